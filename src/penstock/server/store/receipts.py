"""Receipts: kept for ever, found by device."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from penstock.server.core.model import ReceiptRow
from penstock.server.store.db import Tx
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import receipts as t


def add(tx: Tx, many: list[ReceiptRow]) -> None:
    """New ones."""
    if many:
        tx.run(t.insert(), [row_of(one) for one in many])


def of_device(tx: Tx, device: str, before: tuple[int, int] | None, limit: int) -> tuple[ReceiptRow, ...]:
    """Newest first; `before` is (branch, seq) of the last one shown."""
    query = select(t).where(t.c.device == device)
    if before is not None:
        branch, seq = before
        query = query.where(or_(t.c.branch < branch, and_(t.c.branch == branch, t.c.seq < seq)))
    return nouns(ReceiptRow, tx.run(query.order_by(t.c.branch.desc(), t.c.seq.desc()).limit(limit)))
