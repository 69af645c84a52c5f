"""How devices leave the fleet: one row for each that was ever told to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from penstock.server.core.model import CANCELLED, ORDERED, Retirement
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import retirements as t


def put(tx: Tx, one: Retirement) -> None:
    """Keep it in place of an earlier one of the device."""
    tx.upsert(t, [row_of(one)])


def get(tx: Tx, device: str) -> Retirement | None:
    """That of a device."""
    return noun(Retirement, tx.run(select(t).where(t.c.device == device)).first())


def change(tx: Tx, device: str, **values: Any) -> None:
    """Set columns."""
    tx.run(t.update().where(t.c.device == device).values(**values))


def void(tx: Tx, said: str, now_ms: int) -> None:
    """Take back all that have not ended (a restored plane does not know which of them were taken back since)."""
    tx.run(t.update().where(t.c.outcome == ORDERED).values(outcome=CANCELLED, said=said, ended_ms=now_ms))


def ordered(tx: Tx) -> tuple[Retirement, ...]:
    """Those that have not ended, oldest first."""
    return nouns(Retirement, tx.run(select(t).where(t.c.outcome == ORDERED).order_by(t.c.ordered_ms, t.c.device)))
