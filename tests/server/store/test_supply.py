"""The step that adds upstreams, mirrors, packages, vulnerabilities and templates; and what the stores keep of them."""

from __future__ import annotations

from sqlalchemy import inspect, text

from penstock.server.core.model import App
from penstock.server.core.purl import Package, read_purl
from penstock.server.core.templates import Kept
from penstock.server.core.vulnerabilities import Affected, Span, Vulnerability
from penstock.server.store import inventory, mirrors, releases, templates
from penstock.server.store.db import Db
from penstock.server.store.migrate import upgrade
from tests.server.store.steps import at_step, moved

NEW = {"upstreams", "mirrors", "attached_documents", "image_packages", "vulnerabilities", "vulnerability_names", "affected_packages", "templates"}


def test_the_step_adds_its_tables_and_touches_nothing_else(tmp_path):
    older = at_step(tmp_path / "plane.db", "0012")
    with older.engine.begin() as connection:
        connection.execute(text("INSERT INTO apps (name, title, created_ms) VALUES ('shop', 'Shop', 1)"))
        before = set(inspect(connection).get_table_names())
    moved(older, "0013")
    with older.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) - before >= NEW
    assert older.view(releases.all_apps) == (App("shop", "Shop", 1),)
    moved(older, "0012", down=True)
    with older.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == before
    older.close()


def test_a_mirror_of_before_has_nothing_attached(tmp_path):
    older = at_step(tmp_path / "plane.db", "0013")
    columns = "id, source, repository, reference, platforms, state, why, told, digest, upstream, bytes, asked_ms, asked_by, copied_ms, checked_ms, seen"
    columns += ", moved_ms, gone_ms, unreachable_ms, unreachable_why"
    values = "'mir_1', 'ghcr.io/x/y:2', 'ghcr.io/x/y', '2', '[]', 'done', '', 0, 'd', 'd', 1, 1, 'ada', 1, 1, 'd', 0, 0, 0, ''"
    with older.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO mirrors ({columns}) VALUES ({values})"))
    upgrade(older)
    (found,) = older.view(mirrors.all_of)
    assert (found.source, found.attached, found.attached_why) == ("ghcr.io/x/y:2", 0, "")
    older.close()


def test_what_is_kept_comes_back_as_it_was(tmp_path):
    db = Db(f"sqlite:///{tmp_path / 'plane.db'}")
    upgrade(db)
    entry = Vulnerability(
        "X-1",
        ("CVE-1", "X-1"),
        "s",
        "high",
        "m",
        (Affected("deb", "openssl", "debian-12", (Span("deb", (("introduced", "0"), ("fixed", "2"))),), ("1", "1.1")), Affected("npm", "y")),
    )
    packages = (read_purl("pkg:deb/debian/libssl3@3?distro=debian-12&upstream=openssl%403.1"), Package("generic", "own", "1"))
    document = inventory.Attached("sha256:d", "sha256:m", "a/b", "SPDX-2.3", 2, "", 5)
    template = Kept("redis", "Redis", "d", "n", "s", "sha256:1", "services: {}\n", 1, "ada")

    def work(tx):
        inventory.put_entries(tx, "list", [entry], 7)
        inventory.put_entries(tx, "list", [entry], 8)
        inventory.put_document(tx, document, packages)
        inventory.put_document(tx, document, packages)
        releases.put_app(tx, App("redis", "Redis", 1))
        templates.put(tx, template)

    db.update(work)
    assert db.view(lambda tx: inventory.by_name(tx, "CVE-1")) == (entry,)
    assert db.view(inventory.sources) == (inventory.Source("list", 1, 8),)
    assert db.view(lambda tx: inventory.named(tx, "openssl")) == (("sha256:m", packages[0]),)
    assert db.view(lambda tx: inventory.named(tx, "own", "deb")) == ()
    assert db.view(inventory.attached_all) == {("sha256:d", "sha256:m"): document}
    assert db.view(templates.all_of) == (template,)
    db.update(lambda tx: inventory.forget_documents(tx, [("sha256:d", "sha256:m")]))
    assert db.view(lambda tx: inventory.named(tx, "own")) == ()
    db.close()
