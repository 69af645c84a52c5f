"""The plane's own record: append-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from penstock.server.core.model import Event
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import nouns
from penstock.server.store.tables import events as t


def add(tx: Tx, row: dict[str, Any]) -> int:
    """Append; its number."""
    return int(tx.run(t.insert().values(**row)).inserted_primary_key[0])


def after(tx: Tx, reach: Reach, number: int, subject: str, limit: int) -> tuple[Event, ...]:
    """What came after `number`, oldest first."""
    query = select(t).where(t.c.number > number).order_by(t.c.number).limit(limit)
    return nouns(Event, tx.run(_narrow(query, reach, subject)))


def before(tx: Tx, reach: Reach, number: int, subject: str, limit: int) -> tuple[Event, ...]:
    """What came before `number` (0: the newest), newest first."""
    query = select(t).order_by(t.c.number.desc()).limit(limit)
    if number:
        query = query.where(t.c.number < number)
    return nouns(Event, tx.run(_narrow(query, reach, subject)))


def _narrow(query: Any, reach: Reach, subject: str) -> Any:
    if subject:
        query = query.where(t.c.subject == subject)
    return query.where(*inside(reach, site=t.c.site, device=t.c.device, app=t.c.app))


def last(tx: Tx) -> int:
    """The newest number."""
    return int(tx.run(select(func.max(t.c.number))).scalar() or 0)
