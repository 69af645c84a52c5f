"""Signed documents and leaves: what polls are answered with."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, tuple_

from penstock.server.core.model import DeviceState, Leave, StateHead
from penstock.server.core.rollout import Given
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import leaves
from penstock.server.store.tables import states as t

_CHUNK = 400
_retag = t.update().where(t.c.device == bindparam("which")).values(etag=bindparam("tag"), pending=bindparam("has"))


def get(tx: Tx, device: str) -> DeviceState | None:
    """The newest document of a device."""
    return noun(DeviceState, tx.run(select(t).where(t.c.device == device)).first())


def heads(tx: Tx, devices: list[str]) -> dict[str, StateHead]:
    """The newest documents of these devices, without their bytes."""
    columns = (t.c.device, t.c.epoch, t.c.generation, t.c.content, t.c.etag, t.c.pending)
    found: dict[str, StateHead] = {}
    for at in range(0, len(devices), _CHUNK):
        for row in tx.run(select(*columns).where(t.c.device.in_(devices[at : at + _CHUNK]))):
            found[row.device] = StateHead(row.device, row.epoch, row.generation, row.content, row.etag, bool(row.pending))
    return found


def retag(tx: Tx, rows: list[StateHead]) -> None:
    """The same documents under other tags."""
    if rows:
        tx.run(_retag, [{"which": one.device, "tag": one.etag, "has": one.pending} for one in rows])


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


def given_in(tx: Tx, rollout: str, among: list[str]) -> dict[str, Given]:
    """The newest leave of each of these devices in a rollout."""
    found: dict[str, Given] = {}
    columns = (leaves.c.device, leaves.c.id, leaves.c.content, leaves.c.issued_ms, leaves.c.not_after_ms)
    for at in range(0, len(among), _CHUNK):
        query = select(*columns).where(leaves.c.rollout == rollout, leaves.c.device.in_(among[at : at + _CHUNK])).order_by(leaves.c.issued_ms, leaves.c.id)
        for row in tx.run(query):
            found[row.device] = Given(row.id, row.content, row.issued_ms, row.not_after_ms)
    return found


def drop_leaves(tx: Tx, pairs: list[tuple[str, str]]) -> None:
    """Take leaves back: all of (device, app). What a device already holds lapses by itself."""
    for at in range(0, len(pairs), _CHUNK):
        tx.run(delete(leaves).where(tuple_(leaves.c.device, leaves.c.app).in_(pairs[at : at + _CHUNK])))


def drop_all_leaves(tx: Tx, device: str = "") -> None:
    """Take all leaves back, of one device or of all (a new epoch)."""
    tx.run(delete(leaves) if not device else delete(leaves).where(leaves.c.device == device))


def leave_marks(tx: Tx, devices: list[str]) -> dict[str, list[str]]:
    """What tells the leaves of these devices from any others (a prolonged one keeps its id), in a stable order."""
    found: dict[str, list[str]] = {device: [] for device in devices}
    columns = (leaves.c.device, leaves.c.id, leaves.c.not_after_ms)
    for at in range(0, len(devices), _CHUNK):
        for row in tx.run(select(*columns).where(leaves.c.device.in_(devices[at : at + _CHUNK])).order_by(leaves.c.id)):
            found[row.device].append(f"{row.id}.{row.not_after_ms}")
    return found
