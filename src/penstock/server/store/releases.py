"""Apps and their releases: written once, never changed."""

from __future__ import annotations

from sqlalchemy import select

from penstock.server.core.model import App, ReleaseRow
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import apps, assignments, devices, observations
from penstock.server.store.tables import releases as t


def put_app(tx: Tx, app: App) -> None:
    """A catalogue entry, if there is none of that name."""
    tx.upsert(apps, [row_of(app)], ())


def set_title(tx: Tx, app: str, title: str) -> None:
    """What people call it."""
    tx.run(apps.update().where(apps.c.name == app).values(title=title))


def app(tx: Tx, name: str) -> App | None:
    """One catalogue entry."""
    return noun(App, tx.run(select(apps).where(apps.c.name == name)).first())


def all_apps(tx: Tx) -> tuple[App, ...]:
    """The catalogue, by name."""
    return nouns(App, tx.run(select(apps).order_by(apps.c.name)))


def add(tx: Tx, release: ReleaseRow) -> None:
    """A new release."""
    tx.run(t.insert(), [row_of(release)])


def by_id(tx: Tx, release: str) -> ReleaseRow | None:
    """The release of that id."""
    return noun(ReleaseRow, tx.run(select(t).where(t.c.id == release)).first())


def by_version(tx: Tx, app: str, version: str) -> ReleaseRow | None:
    """The release of that app and version."""
    return noun(ReleaseRow, tx.run(select(t).where(t.c.app == app, t.c.version == version)).first())


def of_app(tx: Tx, app: str = "") -> tuple[ReleaseRow, ...]:
    """All releases of an app ("": of all), newest first."""
    query = select(t).order_by(t.c.published_ms.desc(), t.c.id.desc())
    return nouns(ReleaseRow, tx.run(query.where(t.c.app == app) if app else query))


def versions(tx: Tx) -> dict[str, tuple[str, str]]:
    """Per release id: app and version."""
    return {row.id: (row.app, row.version) for row in tx.run(select(t.c.id, t.c.app, t.c.version))}


def apps_on(tx: Tx, reach: Reach) -> frozenset[str]:
    """The apps that devices inside are owed or say they have."""
    found: set[str] = set()
    for table in (observations, assignments):
        query = select(table.c.app).distinct().join(devices, devices.c.id == table.c.device)
        found.update(tx.run(query.where(*inside(reach, site=devices.c.site, device=table.c.device))).scalars())
    return frozenset(found)
