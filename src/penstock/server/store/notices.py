"""Who is told of faults and acts, what each was told, and the messages on their way to them, in order."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from penstock.server.core.notices import Book, Rules, Target, Told
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import compare_and_set, noun
from penstock.server.store.tables import notice_books as b
from penstock.server.store.tables import notice_targets as t
from penstock.server.store.tables import notices as n

_LISTS = ("kinds", "sites", "acts")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target fares. `event`: the newest act of the record it was given; `last_outcome`: delivered, failed or given-up; `failing_ms`: since when nothing
    reaches it (0: it does, or nothing was sent yet)."""

    target: str
    event: int = 0
    last_ms: int = 0
    last_outcome: str = ""
    last_why: str = ""
    failing_ms: int = 0


@dataclass(frozen=True, slots=True)
class Queued:
    """A message on its way. `body` is the JSON text that is sent; `number` orders them."""

    number: int
    id: str
    target: str
    kind: str
    body: str
    made_ms: int
    due_ms: int
    attempts: int
    why: str


# --- targets ------------------------------------------------------------------------------------------------------------


def _row(target: Target) -> dict[str, Any]:
    plain = {name: getattr(target, name) for name in ("id", "name", "site", "kind", "enabled", "way", "vaulted", "created_ms", "created_by", "revision")}
    return {**plain, "rules": asdict(target.rules)}


def _target(row: Any) -> Target:
    plain: dict[str, Any] = {key: tuple(value) if key in _LISTS else value for key, value in row.rules.items()}
    rules = Rules(**plain)
    return Target(row.id, row.name, row.site, row.kind, bool(row.enabled), rules, row.way, row.vaulted, row.created_ms, row.created_by, row.revision)


def add(tx: Tx, target: Target, event: int) -> None:
    """A new one, that hears of acts after number `event`."""
    tx.run(t.insert(), [_row(target)])
    tx.run(b.insert(), [{"target": target.id, "told": [], "sent": [], "event": event}])


def find(tx: Tx, reach: Reach, target: str) -> Target | None:
    """By id or name, if it lies inside: one of the fleet only in the whole of it."""
    query = select(t).where((t.c.id == target) | (t.c.name == target), *inside(reach, site=t.c.site))
    row = tx.run(query.order_by((t.c.id == target).desc())).first()
    return _target(row) if row is not None else None


def named(tx: Tx, name: str) -> Target | None:
    """The one of that name, wherever."""
    row = tx.run(select(t).where(t.c.name == name)).first()
    return _target(row) if row is not None else None


def all_in(tx: Tx, reach: Reach) -> tuple[Target, ...]:
    """All inside, by name."""
    return tuple(_target(row) for row in tx.run(select(t).where(*inside(reach, site=t.c.site)).order_by(t.c.name)))


def count(tx: Tx) -> int:
    """How many there are."""
    return int(tx.run(select(func.count()).select_from(t)).scalar())


def change(tx: Tx, target: Target, revision: int) -> None:
    """Compare and set all of it. Raises Stale."""
    values = {key: value for key, value in _row(target).items() if key not in ("id", "revision", "created_ms", "created_by")}
    compare_and_set(tx, t, t.c.id == target.id, revision, "notice", values)


def remove(tx: Tx, target: str) -> None:
    """It goes, and with it what is on its way to it."""
    tx.run(n.delete().where(n.c.target == target))
    tx.run(b.delete().where(b.c.target == target))
    tx.run(t.delete().where(t.c.id == target))


# --- what each was told -------------------------------------------------------------------------------------------------


def book(tx: Tx, target: str) -> Book:
    """What is remembered of it."""
    row = tx.run(select(b.c.told, b.c.sent).where(b.c.target == target)).one()
    return Book(tuple(Told(**one) for one in row.told), tuple(row.sent))


def put_book(tx: Tx, target: str, kept: Book) -> None:
    """Remember this."""
    tx.run(b.update().where(b.c.target == target).values(told=[asdict(one) for one in kept.told], sent=list(kept.sent)))


def standings(tx: Tx) -> dict[str, Standing]:
    """How each fares."""
    return {row.target: noun(Standing, row) or Standing(row.target) for row in tx.run(select(b))}


def stand(tx: Tx, target: str, **values: Any) -> None:
    """Set columns of how it fares."""
    tx.run(b.update().where(b.c.target == target).values(**values))


def failing(tx: Tx) -> tuple[tuple[str, int, str], ...]:
    """(name, since, why) of those that nothing reaches."""
    query = select(t.c.name, b.c.failing_ms, b.c.last_why).join(t, t.c.id == b.c.target).where(b.c.failing_ms > 0, t.c.enabled).order_by(t.c.name)
    return tuple((row.name, row.failing_ms, row.last_why) for row in tx.run(query))


# --- on their way -------------------------------------------------------------------------------------------------------


def queue(tx: Tx, target: str, many: list[tuple[str, str, dict[str, Any]]], now_ms: int) -> None:
    """Owe these messages: (id, kind, body), in this order."""
    for key, kind, body in many:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        tx.run(n.insert(), [{"id": key, "target": target, "kind": kind, "body": text, "made_ms": now_ms, "due_ms": now_ms, "attempts": 0, "why": ""}])


def queued(tx: Tx) -> dict[str, int]:
    """How many messages are on their way to each target."""
    return dict(tx.run(select(n.c.target, func.count()).group_by(n.c.target)).all())


def heads(tx: Tx, now_ms: int) -> tuple[tuple[Target, Queued], ...]:
    """The first message of each enabled target, where it is due: what comes after it waits, so that order is kept."""
    firsts = select(func.min(n.c.number)).group_by(n.c.target)
    query = select(n).where(n.c.number.in_(firsts), n.c.due_ms <= now_ms).order_by(n.c.number)
    found = []
    for row in tx.run(query).all():
        target = _target(tx.run(select(t).where(t.c.id == row.target)).one())
        message = noun(Queued, row)
        if target.enabled and message is not None:
            found.append((target, message))
    return tuple(found)


def delivered(tx: Tx, number: int) -> bool:
    """It arrived; whether it was still owed."""
    return bool(tx.run(n.delete().where(n.c.number == number)).rowcount)


def later(tx: Tx, number: int, due_ms: int, why: str) -> None:
    """It did not arrive; try again then."""
    tx.run(n.update().where(n.c.number == number).values(due_ms=due_ms, attempts=n.c.attempts + 1, why=why[:500]))
