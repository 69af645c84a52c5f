"""The local people of sites: their rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select

from penstock.server.core.model import SitePerson
from penstock.server.store.db import Tx
from penstock.server.store.rows import compare_and_set, noun, nouns, row_of
from penstock.server.store.tables import local_people as t


def add(tx: Tx, person: SitePerson) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(person)])


def find(tx: Tx, site: str, person: str) -> SitePerson | None:
    """By id or name, at that site."""
    query = select(t).where(t.c.site == site, (t.c.id == person) | (func.lower(t.c.name) == person.lower())).order_by((t.c.id == person).desc())
    return noun(SitePerson, tx.run(query).first())


def at_sites(tx: Tx, sites: set[str]) -> dict[str, list[SitePerson]]:
    """Those of these sites, by name."""
    found: dict[str, list[SitePerson]] = {site: [] for site in sites}
    wanted = sorted(sites)
    for at in range(0, len(wanted), 400):
        for person in nouns(SitePerson, tx.run(select(t).where(t.c.site.in_(wanted[at : at + 400])).order_by(t.c.name, t.c.id))):
            found[person.site].append(person)
    return found


def change(tx: Tx, person: SitePerson, revision: int, **values: Any) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, t, t.c.id == person.id, revision, "person", values)


def remove(tx: Tx, person: str) -> None:
    """Forget one."""
    tx.run(delete(t).where(t.c.id == person))
