"""Upstream registries and the copies of their images."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from penstock.server.core.mirrors import COPYING, WAITING, Mirror, Upstream
from penstock.server.store.db import Tx
from penstock.server.store.rows import compare_and_set, noun, nouns, row_of
from penstock.server.store.tables_supply import mirrors as t
from penstock.server.store.tables_supply import upstreams as u

# --- upstreams ----------------------------------------------------------------------------------------------------------


def upstream(tx: Tx, host: str) -> Upstream | None:
    """The registry of that name."""
    return noun(Upstream, tx.run(select(u).where(u.c.host == host)).first())


def upstreams(tx: Tx) -> tuple[Upstream, ...]:
    """All, by name."""
    return nouns(Upstream, tx.run(select(u).order_by(u.c.host)))


def add_upstream(tx: Tx, found: Upstream) -> None:
    """One more."""
    tx.run(u.insert(), [row_of(found)])


def change_upstream(tx: Tx, found: Upstream, revision: int) -> None:
    """Compare and set how it is reached. Raises Stale."""
    values = {name: getattr(found, name) for name in ("user", "vaulted", "ca", "insecure")}
    compare_and_set(tx, u, u.c.host == found.host, revision, "upstream", {**values, "tested_ms": 0, "why": ""})


def tested(tx: Tx, host: str, now_ms: int, why: str) -> None:
    """How a try of it ended."""
    tx.run(u.update().where(u.c.host == host).values(tested_ms=now_ms, why=why))


def remove_upstream(tx: Tx, host: str) -> None:
    """It goes; copies of its images stay."""
    tx.run(u.delete().where(u.c.host == host))


# --- mirrors ------------------------------------------------------------------------------------------------------------


def find(tx: Tx, mirror: str) -> Mirror | None:
    """By id, or by source."""
    return noun(Mirror, tx.run(select(t).where((t.c.id == mirror) | (t.c.source == mirror))).first())


def at(tx: Tx, repository: str, reference: str) -> Mirror | None:
    """The one of that place here."""
    return noun(Mirror, tx.run(select(t).where(t.c.repository == repository, t.c.reference == reference)).first())


def all_of(tx: Tx) -> tuple[Mirror, ...]:
    """All, by source."""
    return nouns(Mirror, tx.run(select(t).order_by(t.c.source)))


def moved(tx: Tx) -> tuple[Mirror, ...]:
    """Those whose tag names other content now, by source."""
    return nouns(Mirror, tx.run(select(t).where(t.c.moved_ms > 0).order_by(t.c.source)))


def next_waiting(tx: Tx) -> Mirror | None:
    """The copy to make now: one that a process died over, else the one that waits longest."""
    query = select(t).where(t.c.state.in_((COPYING, WAITING))).order_by(t.c.state, t.c.asked_ms, t.c.id)
    return noun(Mirror, tx.run(query.limit(1)).first())


def put(tx: Tx, mirror: Mirror) -> None:
    """Keep it as it is now."""
    tx.upsert(t, [row_of(mirror)])


def stand(tx: Tx, mirror: str, **values: Any) -> None:
    """Set columns of how it stands."""
    tx.run(t.update().where(t.c.id == mirror).values(**values))


def remove(tx: Tx, mirror: str) -> None:
    """It is no longer looked at; the image stays as long as something needs it."""
    tx.run(t.delete().where(t.c.id == mirror))
