"""The newest observation of each app on each device."""

from __future__ import annotations

from sqlalchemy import delete, select, tuple_

from penstock.server.core.model import AppStatus, Seen
from penstock.server.store.db import Tx
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import observations as t


def put(tx: Tx, many: list[AppStatus]) -> None:
    """Keep these instead of what was held."""
    tx.upsert(t, [{**row_of(one), "pinned": one.observed.pinned, "removed": one.observed.removed, "why": one.observed.why} for one in many])


def of_device(tx: Tx, device: str) -> tuple[AppStatus, ...]:
    """All apps of a device, by name."""
    return nouns(AppStatus, tx.run(select(t).where(t.c.device == device).order_by(t.c.app)))


def of_devices(tx: Tx, devices: list[str]) -> dict[str, list[AppStatus]]:
    """All apps of these devices."""
    found: dict[str, list[AppStatus]] = {}
    for at in range(0, len(devices), 500):
        for one in nouns(AppStatus, tx.run(select(t).where(t.c.device.in_(devices[at : at + 500])))):
            found.setdefault(one.device, []).append(one)
    return found


def seen_of(tx: Tx, app: str, devices: list[str]) -> dict[str, Seen]:
    """One app on these devices, as far as rollouts ask."""
    columns = (t.c.device, t.c.phase, t.c.content, t.c.target, t.c.pinned, t.c.removed, t.c.why)
    found: dict[str, Seen] = {}
    for at in range(0, len(devices), 500):
        for row in tx.run(select(*columns).where(t.c.app == app, t.c.device.in_(devices[at : at + 500]))):
            found[row.device] = Seen(row.phase, row.content, row.target, bool(row.pinned), bool(row.removed), row.why)
    return found


def drop(tx: Tx, pairs: list[tuple[str, str]]) -> None:
    """Forget apps that are gone from their device."""
    if pairs:
        tx.run(delete(t).where(tuple_(t.c.device, t.c.app).in_(pairs)))


def forget(tx: Tx, device: str) -> None:
    """Forget all of a device that is new hardware."""
    tx.run(delete(t).where(t.c.device == device))
