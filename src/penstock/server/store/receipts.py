"""Receipts: kept for ever, found by device; and the newest of each app, which rollouts ask for."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from penstock.server.core.model import ReceiptRow
from penstock.server.core.rollout import Outcome
from penstock.server.store.db import Tx
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import outcomes
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


def put_outcomes(tx: Tx, many: list[tuple[str, str, Outcome]]) -> None:
    """Keep the newest outcome of (device, app); which receipts count is `core.rollout.counts`' to say."""
    tx.upsert(outcomes, [{"device": device, "app": app, **row_of(one)} for device, app, one in many])


def outcomes_of(tx: Tx, devices: list[str], app: str = "") -> dict[tuple[str, str], Outcome]:
    """The newest outcome of every app on these devices (or of one), by (device, app)."""
    found: dict[tuple[str, str], Outcome] = {}
    for at in range(0, len(devices), 500):
        query = select(outcomes).where(outcomes.c.device.in_(devices[at : at + 500]))
        for row in tx.run(query.where(outcomes.c.app == app) if app else query):
            found[row.device, row.app] = Outcome(row.content, row.verdict, row.why, row.authorisation, row.received_ms)
    return found


def forget_outcomes(tx: Tx, device: str) -> None:
    """Forget them for a device that is new hardware."""
    tx.run(outcomes.delete().where(outcomes.c.device == device))
