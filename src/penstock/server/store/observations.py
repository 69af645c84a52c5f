"""The newest observation of each app on each device."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from sqlalchemy import delete, select, tuple_

from penstock.server.core.model import AppStatus, Seen
from penstock.server.store.db import Tx
from penstock.server.store.prepared import AMONG, Lookup
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import observations as t

_GIST = ("pinned", "removed", "why", "drift", "way_back", "ill")
_gist = attrgetter(*_GIST)
_COLUMNS = tuple(t.c[name] for name in ("device", "app", "phase", "content", "target", *_GIST))
_seen_on = Lookup(select(*_COLUMNS).where(t.c.device.in_(AMONG)))


def put(tx: Tx, many: list[tuple[AppStatus, Seen, str]]) -> None:
    """Keep these instead of what was held; each with its gist and with the body of the log entry it came from."""
    tx.upsert(t, [{**row_of(one), "observed": said, **dict(zip(_GIST, _gist(gist), strict=True))} for one, gist, said in many])


def of_device(tx: Tx, device: str) -> tuple[AppStatus, ...]:
    """All apps of a device, by name."""
    return nouns(AppStatus, tx.run(select(t).where(t.c.device == device).order_by(t.c.app)))


def _seen(row: Any) -> Seen:
    return Seen(row.app, row.phase, row.content, row.target, bool(row.pinned), bool(row.removed), row.why, row.drift, row.way_back, row.ill)


def seen_on(tx: Tx, devices: list[str]) -> dict[str, dict[str, Seen]]:
    """The gist of every app on these devices, by app."""
    found: dict[str, dict[str, Seen]] = {device: {} for device in devices}
    for device, app, phase, content, target, *gist in tx.look_up(_seen_on, devices):
        pinned, removed, why, drift, way_back, ill = gist
        found[device][app] = Seen(app, phase, content, target, pinned, removed, why, drift, way_back, ill)
    return found


def seen_of(tx: Tx, app: str, devices: list[str]) -> dict[str, Seen]:
    """The gist of one app on these devices."""
    found: dict[str, Seen] = {}
    for at in range(0, len(devices), 500):
        for row in tx.run(select(*_COLUMNS).where(t.c.app == app, t.c.device.in_(devices[at : at + 500]))):
            found[row.device] = _seen(row)
    return found


def drop(tx: Tx, pairs: list[tuple[str, str]]) -> None:
    """Forget apps that are gone from their device."""
    if pairs:
        tx.run(delete(t).where(tuple_(t.c.device, t.c.app).in_(pairs)))


def forget(tx: Tx, device: str) -> None:
    """Forget all of a device that is new hardware."""
    tx.run(delete(t).where(t.c.device == device))
