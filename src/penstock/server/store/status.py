"""How devices stand: the one narrow row each that lists are made from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select

from penstock.server.core.model import RETIRED, DeviceStatus
from penstock.server.core.status import Plight
from penstock.server.store.db import Tx
from penstock.server.store.devices import Known
from penstock.server.store.prepared import AMONG, Lookup
from penstock.server.store.rows import names_of, noun, row_of
from penstock.server.store.tables import device_status as t
from penstock.server.store.tables import devices, states

# What a report changes: never what the plane itself keeps (when it was heard, how that is judged).
REPORTED = (
    "severity",
    "phase",
    "why",
    "drift",
    "way_back",
    "pinned",
    "apps",
    "epoch",
    "generation",
    "alarms",
    "strangers",
    "disk_free_bytes",
    "engine_ok",
    "reported_ms",
    "lost",
    "ill",
)

_standing = Lookup(
    select(devices.c.state, devices.c.why, devices.c.review, *(t.c[name] for name in names_of(DeviceStatus)))
    .select_from(t.join(devices, devices.c.id == t.c.device))
    .where(t.c.device.in_(AMONG))
)
_seen = t.update().where(t.c.device == bindparam("which")).values(seen_ms=bindparam("at"))
_liveness = t.update().where(t.c.device == bindparam("which")).values(liveness=bindparam("is_now"))


def put(tx: Tx, statuses: list[DeviceStatus]) -> None:
    """Write whole rows (new devices)."""
    tx.upsert(t, [row_of(status) for status in statuses])


def put_reported(tx: Tx, statuses: list[DeviceStatus], reported_ms: int | None = None) -> None:
    """Write what reports change; `reported_ms` where it is the same for all, and not what they say."""
    same = {} if reported_ms is None else {"reported_ms": reported_ms}
    tx.upsert(t, [{**row_of(status), **same} for status in statuses], REPORTED)


def get(tx: Tx, device: str) -> DeviceStatus:
    """A device's row; a fresh one where there is none."""
    return noun(DeviceStatus, tx.run(select(t).where(t.c.device == device)).first()) or DeviceStatus(device)


def standing(tx: Tx, ids: list[str]) -> dict[str, tuple[Plight, DeviceStatus]]:
    """What the plane holds against these devices, and their rows."""
    return {row[3]: (Plight(*row[:3]), DeviceStatus(*row[3:])) for row in tx.look_up(_standing, ids)}


def adopted(tx: Tx, ids: list[str]) -> dict[str, tuple[int, int, str]]:
    """(epoch, generation, liveness) these devices have said."""
    found: dict[str, tuple[int, int, str]] = {}
    for at in range(0, len(ids), 500):
        for row in tx.run(select(t.c.device, t.c.epoch, t.c.generation, t.c.liveness).where(t.c.device.in_(ids[at : at + 500]))):
            found[row.device] = (row.epoch, row.generation, row.liveness)
    return found


def disk_free(tx: Tx, ids: list[str]) -> dict[str, int]:
    """How many bytes these devices last said are free; 0 for who has not said."""
    found: dict[str, int] = {}
    for at in range(0, len(ids), 500):
        found.update((row.device, row.disk_free_bytes) for row in tx.run(select(t.c.device, t.c.disk_free_bytes).where(t.c.device.in_(ids[at : at + 500]))))
    return found


def set_seen(tx: Tx, seen: list[tuple[str, int]]) -> None:
    """Write when devices were last heard, in one batch."""
    if seen:
        tx.run(_seen, [{"which": device, "at": at_ms} for device, at_ms in seen])


def set_liveness(tx: Tx, judged: list[tuple[str, str]]) -> None:
    """Write how that is judged, in one batch."""
    if judged:
        tx.run(_liveness, [{"which": device, "is_now": liveness} for device, liveness in judged])


def liveness_of_all(tx: Tx) -> dict[str, str]:
    """The judgement now kept, of every device that is not retired."""
    query = select(t.c.device, t.c.liveness).join(devices, devices.c.id == t.c.device).where(devices.c.state != RETIRED)
    return dict(tuple(row) for row in tx.run(query))


def known(tx: Tx, ids: list[str] | None = None) -> tuple[Known, ...]:
    """What the hot path keeps of every device, or of these."""
    query: Any = select(
        devices.c.id,
        devices.c.name,
        devices.c.site,
        devices.c.state,
        devices.c.why,
        devices.c.key_epoch,
        states.c.etag,
        states.c.pending,
        t.c.seen_ms,
    ).select_from(devices.outerjoin(states, states.c.device == devices.c.id).outerjoin(t, t.c.device == devices.c.id))
    chunks = [None] if ids is None else [ids[at : at + 500] for at in range(0, len(ids), 500)]
    found: list[Known] = []
    for chunk in chunks:
        narrowed = query if chunk is None else query.where(devices.c.id.in_(chunk))
        found.extend(
            Known(row.id, row.name, row.site, row.state, row.why, row.key_epoch, row.etag or "", bool(row.pending), row.seen_ms or 0)
            for row in tx.run(narrowed)
        )
    return tuple(found)
