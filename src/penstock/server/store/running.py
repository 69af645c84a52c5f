"""What devices say they run, against the newest releases there are.

Owns those queries. Whether something is outdated is `core.outdated`'s; the condition here narrows a list by the same rule, and a test holds the two
together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from penstock.server.core.outdated import Newest, Running, running
from penstock.server.store.db import Tx
from penstock.server.store.tables import observations as t
from penstock.server.store.tables import releases


def newest(tx: Tx) -> dict[str, Newest]:
    """The release published last, per app."""
    found: dict[str, Newest] = {}
    for row in tx.run(select(releases.c.app, releases.c.version, releases.c.published_ms).order_by(releases.c.published_ms, releases.c.id)):
        found[row.app] = Newest(row.version, row.published_ms)
    return found


def on_devices(tx: Tx, devices: list[str]) -> dict[str, tuple[Running, ...]]:
    """What these devices run, by app's name."""
    best = newest(tx)
    found: dict[str, list[Running]] = {}
    source = t.outerjoin(releases, (releases.c.app == t.c.app) & (releases.c.version == t.c.version))
    columns = select(t.c.device, t.c.app, t.c.version, t.c.phase, releases.c.published_ms).select_from(source)
    for at in range(0, len(devices), 500):
        query = columns.where(t.c.device.in_(devices[at : at + 500]), ~t.c.removed).order_by(t.c.device, t.c.app)
        for device, app, version, phase, published in tx.run(query):
            found.setdefault(device, []).append(running(app, version, phase, published, best))
    return {device: tuple(apps) for device, apps in found.items()}


def outdated() -> Any:
    """The ids of the devices that run a release older than the newest of its app."""
    last = select(releases.c.app, func.max(releases.c.published_ms).label("last")).group_by(releases.c.app).subquery()
    source = t.join(releases, (releases.c.app == t.c.app) & (releases.c.version == t.c.version)).join(last, last.c.app == t.c.app)
    return select(t.c.device).select_from(source).where(~t.c.removed, releases.c.published_ms < last.c.last)
