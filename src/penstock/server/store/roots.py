"""The chain of root documents, as signed envelopes."""

from __future__ import annotations

from sqlalchemy import func, select

from penstock.server.store.db import Tx
from penstock.server.store.tables import roots as t


def add(tx: Tx, version: int, epoch: int, envelope: str, now_ms: int) -> None:
    """The next one."""
    tx.run(t.insert(), [{"version": version, "epoch": epoch, "envelope": envelope, "added_ms": now_ms}])


def chain(tx: Tx, above: int = 0) -> tuple[str, ...]:
    """All above a version, oldest first."""
    return tuple(tx.run(select(t.c.envelope).where(t.c.version > above).order_by(t.c.version)).scalars())


def first_ms(tx: Tx) -> int:
    """When the plane got its first root document, which is when it was made (unix ms)."""
    return int(tx.run(select(func.min(t.c.added_ms))).scalar() or 0)
