"""The newest observation of each app on each device."""

from __future__ import annotations

from sqlalchemy import delete, select, tuple_

from penstock.server.core.model import AppStatus
from penstock.server.store.db import Tx
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import observations as t


def put(tx: Tx, many: list[AppStatus]) -> None:
    """Keep these instead of what was held."""
    tx.upsert(t, [row_of(one) for one in many])


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


def of_app(tx: Tx, app: str, devices: list[str]) -> dict[str, AppStatus]:
    """One app on these devices."""
    found: dict[str, AppStatus] = {}
    for at in range(0, len(devices), 500):
        for one in nouns(AppStatus, tx.run(select(t).where(t.c.app == app, t.c.device.in_(devices[at : at + 500])))):
            found[one.device] = one
    return found


def drop(tx: Tx, pairs: list[tuple[str, str]]) -> None:
    """Forget apps that are gone from their device."""
    if pairs:
        tx.run(delete(t).where(tuple_(t.c.device, t.c.app).in_(pairs)))


def forget(tx: Tx, device: str) -> None:
    """Forget all of a device that is new hardware."""
    tx.run(delete(t).where(t.c.device == device))
