"""Commands and how they ended."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from penstock.server.core.model import OPEN, CommandRow
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import commands as t
from penstock.server.store.tables import devices


def add(tx: Tx, command: CommandRow) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(command)])


def by_id(tx: Tx, reach: Reach, command: str) -> CommandRow | None:
    """The command of that id, if its device lies inside."""
    query = select(t).join(devices, devices.c.id == t.c.device).where(t.c.id == command, *inside(reach, site=devices.c.site, device=t.c.device))
    return noun(CommandRow, tx.run(query).first())


def of_device(tx: Tx, device: str, before: tuple[int, str] | None, limit: int) -> tuple[CommandRow, ...]:
    """Newest first; `before` is (issued_ms, id) of the last one shown."""
    query = select(t).where(t.c.device == device)
    if before is not None:
        issued_ms, last = before
        query = query.where((t.c.issued_ms < issued_ms) | ((t.c.issued_ms == issued_ms) & (t.c.id < last)))
    return nouns(CommandRow, tx.run(query.order_by(t.c.issued_ms.desc(), t.c.id.desc()).limit(limit)))


def open_for(tx: Tx, many: list[str]) -> dict[str, list[CommandRow]]:
    """What is open for these devices, oldest first."""
    found: dict[str, list[CommandRow]] = {device: [] for device in many}
    for at in range(0, len(many), 400):
        query = select(t).where(t.c.outcome == OPEN, t.c.device.in_(many[at : at + 400])).order_by(t.c.issued_ms, t.c.id)
        for command in nouns(CommandRow, tx.run(query)):
            found[command.device].append(command)
    return found


def end(tx: Tx, device: str, command: str, **values: Any) -> bool:
    """Note how it ended, once; whether it was still open (an outcome may come after it had been taken for expired)."""
    query = t.update().where(t.c.id == command, t.c.device == device, t.c.outcome.in_((OPEN, "expired"))).values(**values)
    return bool(tx.run(query).rowcount)


def expire(tx: Tx, now_ms: int) -> tuple[str, ...]:
    """Close what lapsed unanswered; the devices concerned."""
    lapsed = tx.run(select(t.c.id, t.c.device).where(t.c.outcome == OPEN, t.c.not_after_ms < now_ms)).all()
    for row in lapsed:
        why = "it lapsed before the device said anything; order it again if it is still wanted"
        tx.run(t.update().where(t.c.id == row.id).values(outcome="expired", why=why, ended_ms=now_ms))
    return tuple({row.device for row in lapsed})


def drop_open(tx: Tx, why: str, now_ms: int) -> None:
    """Close all that is open (a new epoch voids them)."""
    tx.run(t.update().where(t.c.outcome == OPEN).values(outcome="expired", why=why, ended_ms=now_ms))


def open_ids(tx: Tx, many: list[str]) -> dict[str, list[str]]:
    """The ids of what is open for these devices, in a stable order."""
    found: dict[str, list[str]] = {device: [] for device in many}
    for at in range(0, len(many), 400):
        for row in tx.run(select(t.c.device, t.c.id).where(t.c.outcome == OPEN, t.c.device.in_(many[at : at + 400])).order_by(t.c.id)):
            found[row.device].append(row.id)
    return found
