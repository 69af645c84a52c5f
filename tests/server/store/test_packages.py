"""What came with a release, as it is kept: each content once, nothing for releases of before, and the step that brings the tables."""

from __future__ import annotations

from sqlalchemy import inspect

from penstock.server.core.model import ReleaseId, ReleaseRow
from penstock.server.core.package import PackageRow
from penstock.server.store import packages, releases
from penstock.server.store.db import Tx
from tests.server.store.steps import at_step, moved

TABLES = {"packages", "package_contents", "package_files"}


def release(name: str, ms: int) -> ReleaseRow:
    return ReleaseRow(ReleaseId(f"rel_{name}"), "shop", name, f"sha256:{name}", "{}", "", ms, "ada")


def package(of: ReleaseRow, vendor: str) -> PackageRow:
    return PackageRow(of.id, "Shop", vendor, "", "README.md", "", "", "icon.png", ("compose.yaml",), ())


def test_step_0012_brings_packages_to_a_plane_that_has_releases(tmp_path):
    db = at_step(tmp_path / "old.db", "0011")
    old, one, two = release("1", 1), release("2", 2), release("3", 3)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO apps (name, title, created_ms) VALUES ('shop', 'Shop', 1)")
        connection.exec_driver_sql(
            "INSERT INTO releases (id, app, version, digest, document, source, published_ms, published_by, note) VALUES ('rel_1', 'shop', '1', 'd', '{}', '', 1, 'ada', '')"
        )
    moved(db, "0012")
    assert db.view(lambda tx: packages.get(tx, old.id)) is None
    assert db.view(lambda tx: packages.files_of(tx, old.id)) == ()
    assert db.view(packages.of_newest) == {}
    same = {"README.md": ("sha256:a", b"read"), "icon.png": ("sha256:b", bytes(range(256)))}

    def publish(tx: Tx, row: ReleaseRow, vendor: str, files: dict[str, tuple[str, bytes]]) -> None:
        releases.add(tx, row)
        packages.add(tx, package(row, vendor), files)

    db.update(lambda tx: publish(tx, one, "first", same))
    db.update(lambda tx: publish(tx, two, "second", {**same, "copy": ("sha256:b", bytes(range(256)))}))
    assert [item.path for item in db.view(lambda tx: packages.files_of(tx, two.id))] == ["README.md", "copy", "icon.png"]
    assert db.view(lambda tx: packages.all_content(tx, two.id)) == {"README.md": b"read", "copy": bytes(range(256)), "icon.png": bytes(range(256))}
    assert db.view(lambda tx: packages.content(tx, one.id, "copy")) is None
    assert {app: found.vendor for app, found in db.view(packages.of_newest).items()} == {"shop": "second"}
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM package_contents").scalar() == 2
    moved(db, "0011", down=True)
    assert not TABLES & set(inspect(db.engine).get_table_names())
    db.close()
