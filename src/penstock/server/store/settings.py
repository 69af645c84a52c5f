"""Values by key, with a revision each."""

from __future__ import annotations

from sqlalchemy import select

from penstock.server.core.errors import stale
from penstock.server.store.db import Tx
from penstock.server.store.tables import settings as t


def get(tx: Tx, key: str) -> tuple[str, int]:
    """The value and its revision; ("", 0) where nothing was ever set."""
    row = tx.run(select(t).where(t.c.key == key)).first()
    return (row.value, row.revision) if row else ("", 0)


def put(tx: Tx, key: str, value: str) -> None:
    """Set without asking what was there."""
    _, revision = get(tx, key)
    tx.upsert(t, [{"key": key, "value": value, "revision": revision + 1}])


def change(tx: Tx, key: str, revision: int, value: str) -> int:
    """Set if it is still at `revision`; the new revision. Raises Stale."""
    _, have = get(tx, key)
    if have != revision:
        raise stale("settings", have, revision)
    tx.upsert(t, [{"key": key, "value": value, "revision": revision + 1}])
    return revision + 1
