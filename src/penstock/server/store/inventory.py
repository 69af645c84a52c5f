"""What is in images, as documents attached to them say it, and lists of vulnerabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from penstock.server.core.purl import Package
from penstock.server.core.rights import Reach
from penstock.server.core.vulnerabilities import Affected, Span, Vulnerability
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import names_of, nouns, row_of
from penstock.server.store.tables import devices, observations, sites
from penstock.server.store.tables_supply import affected, attached, packages, vulnerabilities, vulnerability_names

MANY = 500


@dataclass(frozen=True, slots=True)
class Attached:
    """A document attached to the image `manifest` (or index), once it was looked at. `why`: why its packages could not be read, empty where they were."""

    document: str
    manifest: str
    repository: str
    format: str
    packages: int
    why: str
    read_ms: int


@dataclass(frozen=True, slots=True)
class Source:
    """One list of vulnerabilities: how many entries stand in it, and when it was last imported."""

    name: str
    entries: int
    imported_ms: int


@dataclass(frozen=True, slots=True)
class Runs:
    """A device that says it runs a release."""

    device: str
    name: str
    site: str
    app: str
    version: str


# --- documents ------------------------------------------------------------------------------------------------------------


def attached_all(tx: Tx) -> dict[tuple[str, str], Attached]:
    """Every document that was looked at, by its digest and the manifest it is attached to."""
    return {(one.document, one.manifest): one for one in nouns(Attached, tx.run(select(attached)))}


def put_document(tx: Tx, found: Attached, listed: tuple[Package, ...]) -> None:
    """Keep what a document says, in place of what was kept of it."""
    tx.run(packages.delete().where(packages.c.document == found.document, packages.c.manifest == found.manifest))
    tx.upsert(attached, [row_of(found)])
    rows = [{**row_of(one), "manifest": found.manifest, "document": found.document, "number": at} for at, one in enumerate(listed)]
    for at in range(0, len(rows), MANY):
        tx.run(packages.insert(), rows[at : at + MANY])


def forget_documents(tx: Tx, gone: list[tuple[str, str]]) -> None:
    """These are attached no more."""
    for document, manifest in gone:
        for table in (packages, attached):
            tx.run(table.delete().where(table.c.document == document, table.c.manifest == manifest))


def named(tx: Tx, name: str, ecosystem: str = "") -> tuple[tuple[str, Package], ...]:
    """Packages of that name, or built of a source package of that name: (manifest, package) each."""
    columns = [packages.c[one] for one in names_of(Package)]
    query = select(packages.c.manifest, *columns).where((packages.c.name == name) | (packages.c.origin == name))
    if ecosystem:
        query = query.where(packages.c.ecosystem == ecosystem)
    return tuple((row[0], Package(*row[1:])) for row in tx.run(query.order_by(packages.c.manifest, packages.c.number)))


# --- vulnerabilities --------------------------------------------------------------------------------------------------------


def drop_entries(tx: Tx, ids: list[str]) -> None:
    """Forget these entries."""
    for at in range(0, len(ids), MANY):
        some = ids[at : at + MANY]
        tx.run(vulnerability_names.delete().where(vulnerability_names.c.vulnerability.in_(some)))
        tx.run(affected.delete().where(affected.c.vulnerability.in_(some)))
        tx.run(vulnerabilities.delete().where(vulnerabilities.c.id.in_(some)))


def put_entries(tx: Tx, source: str, found: list[Vulnerability], now_ms: int) -> None:
    """Keep these entries, in place of those of the same ids."""
    drop_entries(tx, [one.id for one in found])
    heads = [
        {"id": one.id, "source": source, "summary": one.summary, "severity": one.severity, "modified": one.modified, "imported_ms": now_ms} for one in found
    ]
    names = [{"name": name, "vulnerability": one.id} for one in found for name in one.names]
    rows = [
        {
            "vulnerability": one.id,
            "number": at,
            "ecosystem": entry.ecosystem,
            "name": entry.name,
            "ranges": {"distro": entry.distro, "spans": [[span.order, [list(event) for event in span.events]] for span in entry.spans]},
            "versions": list(entry.versions),
        }
        for one in found
        for at, entry in enumerate(one.affected)
    ]
    for table, many in ((vulnerabilities, heads), (vulnerability_names, names), (affected, rows)):
        for at in range(0, len(many), MANY):
            tx.run(table.insert(), many[at : at + MANY])


def sources(tx: Tx) -> tuple[Source, ...]:
    """The lists there are, by name."""
    t = vulnerabilities
    query = select(t.c.source, func.count(), func.max(t.c.imported_ms)).group_by(t.c.source).order_by(t.c.source)
    return tuple(Source(*row) for row in tx.run(query))


def drop_source(tx: Tx, source: str) -> int:
    """Forget a list; how many entries it had."""
    ids = list(tx.run(select(vulnerabilities.c.id).where(vulnerabilities.c.source == source)).scalars())
    drop_entries(tx, ids)
    return len(ids)


def by_name(tx: Tx, name: str) -> tuple[Vulnerability, ...]:
    """The entries of that id or alias (upper case), with what they affect."""
    t = vulnerabilities
    ids = select(vulnerability_names.c.vulnerability).where(vulnerability_names.c.name == name)
    found = []
    for row in tx.run(select(t).where(t.c.id.in_(ids)).order_by(t.c.id)).all():
        names = tuple(
            tx.run(select(vulnerability_names.c.name).where(vulnerability_names.c.vulnerability == row.id).order_by(vulnerability_names.c.name)).scalars()
        )
        entries = tuple(map(_entry, tx.run(select(affected).where(affected.c.vulnerability == row.id).order_by(affected.c.number))))
        found.append(Vulnerability(row.id, names, row.summary, row.severity, row.modified, entries))
    return tuple(found)


def _entry(row: Any) -> Affected:
    spans = tuple(Span(order, tuple((word, version) for word, version in events)) for order, events in row.ranges["spans"])
    return Affected(row.ecosystem, row.name, row.ranges["distro"], spans, tuple(row.versions))


# --- devices ----------------------------------------------------------------------------------------------------------------


def running(tx: Tx, reach: Reach, app: str, versions: list[str]) -> tuple[Runs, ...]:
    """The devices inside that say they run one of these releases, by name."""
    t = observations
    columns = (t.c.device, devices.c.name, sites.c.name.label("site"), t.c.app, t.c.version)
    source = t.join(devices, devices.c.id == t.c.device).join(sites, sites.c.id == devices.c.site)
    query = (
        select(*columns)
        .select_from(source)
        .where(t.c.app == app, t.c.version.in_(versions), ~t.c.removed, *inside(reach, site=devices.c.site, device=t.c.device))
    )
    return tuple(Runs(*row) for row in tx.run(query.order_by(devices.c.name)))
