"""Apps and their releases: written once, never changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, or_, select, tuple_

from penstock.server.core.model import App, ReleaseBrief, ReleaseRow
from penstock.server.core.release import IN_PARTS
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import names_of, noun, nouns, row_of
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


def newest_of(tx: Tx, app: str) -> ReleaseRow | None:
    """The release of an app that was published last."""
    return noun(ReleaseRow, tx.run(select(t).where(t.c.app == app).order_by(t.c.published_ms.desc(), t.c.id.desc()).limit(1)).first())


# --- lists --------------------------------------------------------------------------------------------------------------

_brief = [t.c[name] for name in names_of(ReleaseBrief)]


def briefs(tx: Tx, app: str = "") -> tuple[ReleaseBrief, ...]:
    """All releases of an app ("": of all), newest first, as they stand in lists."""
    query = select(*_brief).order_by(t.c.published_ms.desc(), t.c.id.desc())
    return nouns(ReleaseBrief, tx.run(query.where(t.c.app == app) if app else query))


def _seen(query: Select[Any], among: frozenset[str] | None) -> Select[Any]:
    return query if among is None else query.where(t.c.app.in_(sorted(among)))


def count(tx: Tx, among: frozenset[str] | None) -> int:
    """How many there are of these apps; None: of all."""
    return int(tx.run(_seen(select(func.count()).select_from(t), among)).scalar())


def apps_in_parts(tx: Tx) -> frozenset[str]:
    """The apps of which a release has parts for engines (see `core.release.IN_PARTS`). The text of a document is looked at, not read."""
    return frozenset(tx.run(select(t.c.app).where(t.c.document.like(f'%"format":{IN_PARTS},%')).distinct()).scalars())


def page(
    tx: Tx, among: frozenset[str] | None, after: tuple[Any, str] | None, limit: int, *, app: str = "", text: str = "", sort: str = "newest"
) -> tuple[ReleaseBrief, ...]:
    """One page of the releases of these apps (None: of all), "newest" first or by "app"; `after` is (published_ms or app, id) of the last one shown."""
    column, falling = (t.c.published_ms, True) if sort == "newest" else (t.c.app, False)
    query = _seen(select(*_brief), among)
    if app:
        query = query.where(t.c.app == app)
    if text:
        query = query.where(or_(*(func.lower(one).contains(text.lower(), autoescape=True) for one in (t.c.app, t.c.version, t.c.note))))
    if after is not None:
        place, last = tuple_(column, t.c.id), tuple_(*after)
        query = query.where(place < last if falling else place > last)
    order = (column.desc(), t.c.id.desc()) if falling else (column, t.c.id)
    return nouns(ReleaseBrief, tx.run(query.order_by(*order).limit(limit)))


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
