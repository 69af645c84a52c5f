"""Queries narrowed to the part of the fleet that somebody may see.

Owns that one translation of a `core.rights.Reach` into SQL. Never decides what the part is.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import false, or_, select

from penstock.server.core.rights import Reach
from penstock.server.store.tables import group_members


def inside(reach: Reach, *, site: Any = None, device: Any = None, app: Any = None, group: Any = None) -> list[Any]:
    """Conditions, all of which hold for rows inside `reach`; none for the whole fleet. Columns that a row has not are left out: a row without any lies
    inside the whole fleet only."""
    found: list[Any] = []
    level: Reach | None = reach
    while level is not None:
        if not level.fleet:
            parts = ((site, level.sites), (device, level.devices), (app, level.apps), (group, level.groups))
            ways = [column.in_(sorted(ids)) for column, ids in parts if column is not None and ids]
            if device is not None and level.groups:
                ways.append(device.in_(select(group_members.c.device).where(group_members.c.group.in_(sorted(level.groups)))))
            found.append(or_(false(), *ways))
        level = level.within
    return found
