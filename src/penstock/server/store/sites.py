"""Sites: their rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from penstock.server.core.model import Site
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import compare_and_set, noun, nouns, row_of
from penstock.server.store.tables import devices, enrolments
from penstock.server.store.tables import sites as t


def add(tx: Tx, site: Site) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(site)])


def find(tx: Tx, reach: Reach, site: str) -> Site | None:
    """By id or name, if it lies inside."""
    return noun(Site, tx.run(select(t).where((t.c.id == site) | (t.c.name == site), *inside(reach, site=t.c.id))).first())


def all_in(tx: Tx, reach: Reach) -> tuple[Site, ...]:
    """All, by name."""
    return nouns(Site, tx.run(select(t).where(*inside(reach, site=t.c.id)).order_by(t.c.name)))


def count(tx: Tx, reach: Reach) -> int:
    """How many lie inside."""
    return int(tx.run(select(func.count()).select_from(t).where(*inside(reach, site=t.c.id))).scalar())


def counts(tx: Tx) -> dict[str, tuple[int, int]]:
    """Per site: devices that are not retired, and enrolments waiting."""
    have = dict(tx.run(select(devices.c.site, func.count()).where(devices.c.state != "retired").group_by(devices.c.site)).all())
    wait = dict(tx.run(select(enrolments.c.site, func.count()).where(enrolments.c.status == "waiting").group_by(enrolments.c.site)).all())
    return {site: (have.get(site, 0), wait.get(site, 0)) for site in {*have, *wait}}


def change(tx: Tx, site: Site, revision: int, **values: Any) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, t, t.c.id == site.id, revision, "site", values)
