"""Templates: catalogue entries that releases are published from."""

from __future__ import annotations

from sqlalchemy import select

from penstock.server.core.templates import Kept
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables_supply import templates as t


def all_of(tx: Tx) -> tuple[Kept, ...]:
    """All, by app."""
    return nouns(Kept, tx.run(select(t).order_by(t.c.app)))


def find(tx: Tx, app: str) -> Kept | None:
    """The one of that app."""
    return noun(Kept, tx.run(select(t).where(t.c.app == app)).first())


def put(tx: Tx, found: Kept) -> None:
    """Keep it, in place of what was there."""
    tx.upsert(t, [row_of(found)])


def remove(tx: Tx, app: str) -> None:
    """It goes; the app and its releases stay."""
    tx.run(t.delete().where(t.c.app == app))
