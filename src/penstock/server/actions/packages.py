"""What came with a release: the words and files of its package, for people and for whoever wants the package back.

Owns the reading of them. Who publishes them is `actions.releases`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.server.actions import visible
from penstock.server.actions.context import Plane
from penstock.server.core.compose import ALONE
from penstock.server.core.errors import missing
from penstock.server.core.model import Actor, ReleaseRow
from penstock.server.core.package import PackageFile, PackageRow
from penstock.server.core.parts import shown
from penstock.server.core.release import load
from penstock.server.store import packages
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

MAX_SHOWN = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackageView:
    """A release's package for people: its texts read, its files by path. `engines`: the engine that a file is the part for."""

    row: ReleaseRow
    said: PackageRow
    files: tuple[PackageFile, ...]
    readme: str
    notes: str
    licence: str
    engines: Mapping[str, str] = field(default_factory=dict)


def get_package(plane: Plane, actor: Actor, *, release: str) -> PackageView:
    """What came with a release, by id or "app:version". A release made from one Compose file has that file."""

    def work(tx: Tx) -> PackageView:
        row = visible.release(tx, actor, release)
        said = packages.get(tx, row.id)
        if said is None:
            source = row.source.encode()
            alone = PackageFile(ALONE, sha256_of(source), len(source))
            return PackageView(row, PackageRow(row.id, "", "", "", "", "", "", "", (ALONE,), ()), (alone,), "", "", "")
        readme, notes, licence = (_text(tx, row, path) for path in (said.readme, said.notes, said.licence))
        files = packages.files_of(tx, row.id)
        engines = {one.file: one.engine for one in shown(load(row.document), {one.path: one for one in files}, said.entries)}
        return PackageView(row, said, files, readme, notes, licence, engines)

    return plane.db.view(work)


def _text(tx: Tx, row: ReleaseRow, path: str) -> str:
    found = packages.content(tx, row.id, path) if path else None
    return (found or b"")[:MAX_SHOWN].decode("utf-8", "replace")


def get_files(plane: Plane, actor: Actor, *, release: str) -> tuple[ReleaseRow, dict[str, bytes]]:
    """Every file a release was made from, byte for byte."""

    def work(tx: Tx) -> tuple[ReleaseRow, dict[str, bytes]]:
        row = visible.release(tx, actor, release)
        return row, packages.all_content(tx, row.id) or {ALONE: row.source.encode()}

    return plane.db.view(work)


def get_icon(plane: Plane, actor: Actor, *, release: str) -> tuple[str, bytes]:
    """A release's icon: its file's name and content. Raises Missing where it has none."""

    def work(tx: Tx) -> tuple[str, bytes]:
        row = visible.release(tx, actor, release)
        said = packages.get(tx, row.id)
        found = packages.content(tx, row.id, said.icon) if said is not None and said.icon else None
        if said is None or found is None:
            raise missing("icon", release)
        return said.icon, found

    return plane.db.view(work)
