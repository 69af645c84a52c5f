"""Groups of devices and who is in them: their rows."""

from __future__ import annotations

from sqlalchemy import select

from penstock.server.store.db import Tx
from penstock.server.store.tables import group_members


def groups_of(tx: Tx, device: str) -> frozenset[str]:
    """The ids of the groups a device is in."""
    return frozenset(tx.run(select(group_members.c.group).where(group_members.c.device == device)).scalars())
