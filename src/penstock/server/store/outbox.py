"""Work that a transaction owes: written with it, done after it, gone once done. One row per (topic, key).

Topic "state": the signed document of device `key` must be made again.
"""

from __future__ import annotations

from sqlalchemy import func, select, tuple_

from penstock.server.store.db import Tx
from penstock.server.store.tables import outbox as t


def owe(tx: Tx, topic: str, keys: list[str], due_ms: int = 0, why: str = "") -> None:
    """Owe this work; owing it twice is owing it once."""
    tx.upsert(t, [{"topic": topic, "key": key, "due_ms": due_ms, "attempts": 0, "why": why} for key in keys], ("due_ms", "attempts"))


def due(tx: Tx, topic: str, now_ms: int, limit: int) -> tuple[str, ...]:
    """The keys of what is due."""
    return tuple(tx.run(select(t.c.key).where(t.c.topic == topic, t.c.due_ms <= now_ms).order_by(t.c.due_ms, t.c.key).limit(limit)).scalars())


def paid(tx: Tx, topic: str, keys: list[str]) -> None:
    """It is done."""
    for at in range(0, len(keys), 400):
        tx.run(t.delete().where(tuple_(t.c.topic, t.c.key).in_([(topic, key) for key in keys[at : at + 400]])))


def later(tx: Tx, topic: str, key: str, due_ms: int, why: str) -> None:
    """It did not work; try again then."""
    tx.run(t.update().where(t.c.topic == topic, t.c.key == key).values(due_ms=due_ms, attempts=t.c.attempts + 1, why=why))


def count(tx: Tx, topic: str) -> int:
    """How much is owed."""
    return int(tx.run(select(func.count()).select_from(t).where(t.c.topic == topic)).scalar())


def overdue(tx: Tx, before_ms: int, attempts: int) -> tuple[int, int]:
    """How much is owed that was due before then, or failed so often; and since when the oldest of it is due (unix ms, 0: nothing is)."""
    late = (t.c.due_ms > 0) & ((t.c.due_ms < before_ms) | (t.c.attempts >= attempts))
    number, oldest = tx.run(select(func.count(), func.min(t.c.due_ms)).where(late)).one()
    return int(number), int(oldest or 0)
