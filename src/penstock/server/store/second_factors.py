"""Second factors: their rows, one for each person who has set one up."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select

from penstock.server.core.onetime import Factor
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, row_of
from penstock.server.store.tables import second_factors as t


def of_user(tx: Tx, user: str) -> Factor | None:
    """A person's, confirmed or not."""
    return noun(Factor, tx.run(select(t).where(t.c.user == user)).first())


def put(tx: Tx, factor: Factor) -> None:
    """Keep it as it is now."""
    tx.upsert(t, [row_of(factor)])


def drop(tx: Tx, user: str) -> None:
    """Forget it, with its recovery codes."""
    tx.run(delete(t).where(t.c.user == user))


def having(tx: Tx, users: Iterable[str]) -> frozenset[str]:
    """Which of these people have a confirmed one."""
    return frozenset(tx.run(select(t.c.user).where(t.c.user.in_(sorted(set(users))), t.c.confirmed_ms > 0)).scalars())
