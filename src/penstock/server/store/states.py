"""Signed documents and leaves: what polls are answered with."""

from __future__ import annotations

from sqlalchemy import delete, select, tuple_

from penstock.server.core.model import DeviceState, Leave
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import leaves
from penstock.server.store.tables import states as t

_CHUNK = 400


def get(tx: Tx, device: str) -> DeviceState | None:
    """The newest document of a device."""
    return noun(DeviceState, tx.run(select(t).where(t.c.device == device)).first())


def many(tx: Tx, devices: list[str]) -> dict[str, DeviceState]:
    """The newest documents of these devices."""
    found: dict[str, DeviceState] = {}
    for at in range(0, len(devices), _CHUNK):
        for state in nouns(DeviceState, tx.run(select(t).where(t.c.device.in_(devices[at : at + _CHUNK])))):
            found[state.device] = state
    return found


def put(tx: Tx, rows: list[DeviceState]) -> None:
    """Keep these as the newest."""
    tx.upsert(t, [row_of(one) for one in rows])


def add_leaves(tx: Tx, rows: list[Leave]) -> None:
    """New leaves."""
    if rows:
        tx.run(leaves.insert(), [row_of(one) for one in rows])


def leaves_of(tx: Tx, devices: list[str]) -> dict[str, list[Leave]]:
    """The leaves these devices hold, oldest first."""
    found: dict[str, list[Leave]] = {device: [] for device in devices}
    for at in range(0, len(devices), _CHUNK):
        for leave in nouns(Leave, tx.run(select(leaves).where(leaves.c.device.in_(devices[at : at + _CHUNK])).order_by(leaves.c.issued_ms, leaves.c.id))):
            found[leave.device].append(leave)
    return found


def leaves_in(tx: Tx, rollout: str, among: list[str] | None = None) -> dict[str, Leave]:
    """The newest leave of each device in a rollout."""
    found: dict[str, Leave] = {}
    chunks = [None] if among is None else [among[at : at + _CHUNK] for at in range(0, len(among), _CHUNK)]
    for chunk in chunks:
        query = select(leaves).where(leaves.c.rollout == rollout).order_by(leaves.c.issued_ms, leaves.c.id)
        for leave in nouns(Leave, tx.run(query if chunk is None else query.where(leaves.c.device.in_(chunk)))):
            found[leave.device] = leave
    return found


def expiring(tx: Tx, before_ms: int, limit: int) -> tuple[str, ...]:
    """Rollouts with leaves that lapse before then."""
    return tuple(tx.run(select(leaves.c.rollout).distinct().where(leaves.c.not_after_ms < before_ms).limit(limit)).scalars())


def drop_leaves(tx: Tx, pairs: list[tuple[str, str]]) -> None:
    """Take leaves back: all of (device, app). What a device already holds lapses by itself."""
    for at in range(0, len(pairs), _CHUNK):
        tx.run(delete(leaves).where(tuple_(leaves.c.device, leaves.c.app).in_(pairs[at : at + _CHUNK])))


def drop_all_leaves(tx: Tx, device: str = "") -> None:
    """Take all leaves back, of one device or of all (a new epoch)."""
    tx.run(delete(leaves) if not device else delete(leaves).where(leaves.c.device == device))


def leave_ids(tx: Tx, devices: list[str]) -> dict[str, list[str]]:
    """The ids of the leaves these devices hold, in a stable order."""
    found: dict[str, list[str]] = {device: [] for device in devices}
    for at in range(0, len(devices), _CHUNK):
        for row in tx.run(select(leaves.c.device, leaves.c.id).where(leaves.c.device.in_(devices[at : at + _CHUNK])).order_by(leaves.c.id)):
            found[row.device].append(row.id)
    return found
