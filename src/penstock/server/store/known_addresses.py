"""From which addresses people have signed in: strangers elsewhere cannot make them wait there."""

from __future__ import annotations

from sqlalchemy import delete, select

from penstock.server.store.db import Tx
from penstock.server.store.tables import known_addresses as t


def holds(tx: Tx, user: str, address: str) -> bool:
    """Whether this person signed in from there before."""
    return tx.run(select(t.c.user).where(t.c.user == user, t.c.address == address)).first() is not None


def put(tx: Tx, user: str, address: str, now_ms: int, most: int) -> None:
    """Note it; of more than `most` of one person the oldest go."""
    tx.upsert(t, [{"user": user, "address": address, "seen_ms": now_ms}])
    newest = select(t.c.address).where(t.c.user == user).order_by(t.c.seen_ms.desc(), t.c.address).limit(most)
    tx.run(delete(t).where(t.c.user == user, t.c.address.not_in(newest)))


def forget_before(tx: Tx, before_ms: int) -> int:
    """Forget those long unused; how many."""
    return int(tx.run(delete(t).where(t.c.seen_ms < before_ms)).rowcount)
