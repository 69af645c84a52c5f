"""Saved views: their rows."""

from __future__ import annotations

from sqlalchemy import delete, select

from penstock.server.core.saved import SavedView
from penstock.server.store.db import Tx
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import saved_views as t


def put(tx: Tx, view: SavedView) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(view)])


def of_user(tx: Tx, user: str) -> tuple[SavedView, ...]:
    """All of a person, oldest first: tabs keep their places."""
    return nouns(SavedView, tx.run(select(t).where(t.c.user == user).order_by(t.c.created_ms, t.c.id)))


def drop(tx: Tx, user: str, view: str) -> bool:
    """Forget one; whether there was one."""
    return bool(tx.run(delete(t).where(t.c.user == user, t.c.id == view)).rowcount)
