"""What came with a release: its package's words and files. Written once, with the release, and never changed."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select

from penstock.server.core.model import ReleaseId
from penstock.server.core.package import PackageFile, PackageRow
from penstock.server.store.db import Tx
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import releases
from penstock.server.store.tables_packages import package_contents as contents
from penstock.server.store.tables_packages import package_files as files
from penstock.server.store.tables_packages import packages as t


def add(tx: Tx, package: PackageRow, found: Mapping[str, tuple[str, bytes]]) -> None:
    """A release's package; `found`: path -> digest and content. Content that another release brought is not kept twice."""
    tx.run(t.insert(), [row_of(package)])
    by_digest = dict(found.values())
    tx.upsert(contents, [{"digest": digest, "data": data} for digest, data in sorted(by_digest.items())], ())
    tx.run(files.insert(), [{"release": package.release, "path": path, "digest": digest, "size": len(data)} for path, (digest, data) in sorted(found.items())])


def get(tx: Tx, release: ReleaseId) -> PackageRow | None:
    """The package of a release; None where it was made from one Compose file."""
    return noun(PackageRow, tx.run(select(t).where(t.c.release == release)).first())


def of_newest(tx: Tx) -> dict[str, PackageRow]:
    """Per app the package of the release that was published last, where that has one."""
    last = select(releases.c.app, func.max(releases.c.published_ms).label("last")).group_by(releases.c.app).subquery()
    joined = t.join(releases, releases.c.id == t.c.release).join(last, (last.c.app == releases.c.app) & (last.c.last == releases.c.published_ms))
    apps = {row.id: row.app for row in tx.run(select(releases.c.id, releases.c.app).select_from(joined))}
    return {apps[one.release]: one for one in nouns(PackageRow, tx.run(select(t).where(t.c.release.in_(list(apps)))))} if apps else {}


def files_of(tx: Tx, release: ReleaseId) -> tuple[PackageFile, ...]:
    """The files of a release's package, by path."""
    return nouns(PackageFile, tx.run(select(files.c.path, files.c.digest, files.c.size).where(files.c.release == release).order_by(files.c.path)))


def content(tx: Tx, release: ReleaseId, path: str) -> bytes | None:
    """One file's content; None where the package has no such file."""
    query = select(contents.c.data).join(files, files.c.digest == contents.c.digest).where(files.c.release == release, files.c.path == path)
    found = tx.run(query).scalar()
    return None if found is None else bytes(found)


def all_content(tx: Tx, release: ReleaseId) -> dict[str, bytes]:
    """Every file of a release's package, by path."""
    query = select(files.c.path, contents.c.data).join(contents, files.c.digest == contents.c.digest).where(files.c.release == release).order_by(files.c.path)
    return {row.path: bytes(row.data) for row in tx.run(query)}
