"""The store on real SQLite files: migrations equal the tables, transactions hold, one process only, commits survive."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading

import pytest
from sqlalchemy import inspect, text

from penstock.server.core.errors import Stale
from penstock.server.core.model import Site, SiteId
from penstock.server.core.rights import EVERYWHERE
from penstock.server.core.status import seen_of
from penstock.server.store import events, known_addresses, observations, outbox, settings, sites
from penstock.server.store.columns import metadata
from penstock.server.store.db import Busy, Db, copy_database
from penstock.server.store.migrate import FOLDER, HEAD, Newer, upgrade, version_of
from penstock.wire.codec import encode
from penstock.wire.log import AppObservation, Observation, ServiceStatus
from tests.server.store.steps import at_step, moved


@pytest.fixture
def db(tmp_path):
    made = Db(f"sqlite:///{tmp_path / 'plane.db'}", tmp_path / "plane.lock")
    assert upgrade(made)
    yield made
    made.close()


def site(name, number=1):
    return Site(SiteId(f"site_{number}"), name, name, "UTC", 1)


def test_the_steps_build_exactly_the_tables(db):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    assert version_of(db) == HEAD
    assert not upgrade(db)
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
        found = inspect(connection)
        for table in metadata.tables.values():
            columns = {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(table.name)}
            assert columns == {column.name: (column.type.compile(db.engine.dialect), column.nullable) for column in table.columns}


def test_the_newest_step_is_the_one_named():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    assert len(list(script.walk_revisions())) == len(list((FOLDER / "versions").glob("step_*.py")))


def test_the_history_goes_down_again(db):
    moved(db, "base", down=True)
    assert inspect(db.engine).get_table_names() == ["alembic_version"]


def test_who_was_signed_in_before_addresses_were_kept_is_known_there(tmp_path):
    path = tmp_path / "plane.db"
    older = at_step(path, "0003")
    with contextlib.closing(sqlite3.connect(path)) as plain, plain:
        for user in ("usr_1", "usr_2"):
            plain.execute("INSERT INTO users (id, name, password, created_ms, disabled, revision) VALUES (?, ?, 'x', 1, 0, 1)", (user, user))
        for number, (user, address, seen) in enumerate((("usr_1", "192.0.2.7", 5), ("usr_1", "192.0.2.7", 9), ("usr_1", "", 7), ("usr_2", "192.0.2.8", 3))):
            plain.execute(
                'INSERT INTO sessions (id, "user", hash, csrf, created_ms, seen_ms, expires_ms, address, agent) VALUES (?, ?, ?, ?, 1, ?, 99, ?, ?)',
                (f"ses_{number}", user, f"hash {number}", "", seen, address, ""),
            )
    assert upgrade(older)
    assert older.view(lambda tx: known_addresses.holds(tx, "usr_1", "192.0.2.7"))
    assert not older.view(lambda tx: known_addresses.holds(tx, "usr_2", "192.0.2.7"))
    with contextlib.closing(sqlite3.connect(path)) as plain:
        assert sorted(plain.execute("SELECT * FROM known_addresses")) == [("usr_1", "192.0.2.7", 9), ("usr_2", "192.0.2.8", 3)]
        assert list(plain.execute("SELECT * FROM second_factors")) == []
    older.close()


def test_what_an_older_program_kept_of_an_app_is_read_as_before(tmp_path):
    path = tmp_path / "plane.db"
    older = at_step(path, "0001")
    observed = AppObservation("line", "dep_1", "soaked", "it runs", version="1")
    row = ("dev_1", "line", "dep_1", "soaked", "", "", "1", 5, 7, 0, 0, "it runs", 0, "none", encode(observed).decode())
    with contextlib.closing(sqlite3.connect(path)) as plain, plain:  # which asks for no device to go with it
        plain.execute(f"INSERT INTO observations VALUES ({', '.join('?' * len(row))})", row)
    assert upgrade(older)
    (found,) = older.view(lambda tx: observations.of_device(tx, "dev_1"))
    assert found.observed == observed
    older.close()


def test_services_that_were_ill_before_the_step_count_after_it(tmp_path):
    path = tmp_path / "plane.db"
    older = at_step(path, "0005")
    services = (ServiceStatus("web", "running", "unhealthy"), ServiceStatus("db", "running", "healthy"), ServiceStatus("job", "exited", "none"))
    said = [AppObservation("line", "dep_1", phase, "it runs", version="1", services=services) for phase in ("soaked", "applying")]
    with contextlib.closing(sqlite3.connect(path)) as plain, plain:
        for device, one in zip(("dev_1", "dev_2"), said, strict=True):
            row = (device, "line", "dep_1", one.phase, "", "", "1", 5, 7, 0, 0, "it runs", 0, "none", encode(Observation(app=one)).decode())
            plain.execute(f"INSERT INTO observations VALUES ({', '.join('?' * len(row))})", row)
    assert upgrade(older)
    found = older.view(lambda tx: observations.seen_on(tx, ["dev_1", "dev_2"]))
    assert [found[device]["line"].ill for device in ("dev_1", "dev_2")] == [1, 0]
    assert [found[device]["line"].ill for device in ("dev_1", "dev_2")] == [seen_of(one).ill for one in said]
    older.close()


def test_a_database_of_a_newer_program_is_refused(db):
    db.update(lambda tx: tx.run(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(Newer, match="9999"):
        upgrade(db)


def test_how_sqlite_is_set_up(db):
    def ask(tx):
        return {name: tx.run(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}

    assert db.view(ask) == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_an_update_is_all_or_nothing_and_what_follows_it_only_follows_a_commit(db):
    happened: list[object] = []

    def half(tx):
        sites.add(tx, site("one"))
        tx.after(lambda: happened.append("one"))
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError):
        db.update(half)
    assert db.view(lambda tx: sites.all_in(tx, EVERYWHERE)) == ()
    assert happened == []

    def whole(tx):
        sites.add(tx, site("one"))
        tx.after(lambda: happened.append(len(db.view(lambda inner: sites.all_in(inner, EVERYWHERE)))))

    db.update(whole)
    assert happened == [1]


def test_a_view_writes_nothing_and_sees_one_picture(db):
    db.view(lambda tx: sites.add(tx, site("ghost")))
    assert db.view(lambda tx: sites.all_in(tx, EVERYWHERE)) == ()

    def look(tx):
        before = len(sites.all_in(tx, EVERYWHERE))
        thread = threading.Thread(target=lambda: db.update(lambda other: sites.add(other, site("one"))))
        thread.start()
        thread.join(30)
        return before, len(sites.all_in(tx, EVERYWHERE))

    assert db.view(look) == (0, 0)
    assert len(db.view(lambda tx: sites.all_in(tx, EVERYWHERE))) == 1


def test_many_writers_take_turns(db):
    db.update(lambda tx: settings.put(tx, "n", "0"))

    def add(_=None):
        for _ in range(20):
            db.update(lambda tx: settings.put(tx, "n", str(int(settings.get(tx, "n")[0]) + 1)))

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert db.view(lambda tx: settings.get(tx, "n")) == ("120", 121)


def test_compare_and_set(db):
    db.update(lambda tx: sites.add(tx, site("one")))
    one = db.view(lambda tx: sites.find(tx, EVERYWHERE, "one"))
    assert db.update(lambda tx: sites.change(tx, one, 1, title="One", time_zone="UTC")) == 2
    with pytest.raises(Stale) as refused:
        db.update(lambda tx: sites.change(tx, one, 1, title="Uno", time_zone="UTC"))
    assert "at revision 2" in refused.value.why
    assert db.update(lambda tx: settings.change(tx, "k", 0, "v")) == 1
    with pytest.raises(Stale):
        db.update(lambda tx: settings.change(tx, "k", 0, "w"))


def test_owing_twice_is_owing_once(db):
    db.update(lambda tx: outbox.owe(tx, "state", ["a", "b", "a"], 5))
    db.update(lambda tx: outbox.owe(tx, "state", ["a"], 9))
    assert db.view(lambda tx: outbox.due(tx, "state", 9, 10)) == ("b", "a")
    assert db.view(lambda tx: outbox.due(tx, "state", 5, 10)) == ("b",)
    db.update(lambda tx: outbox.paid(tx, "state", ["a"]))
    assert db.view(lambda tx: outbox.count(tx, "state")) == 1


def test_events_are_numbered_for_ever(db):
    row = {"at_ms": 1, "actor_kind": "", "actor_id": "", "actor_name": "", "site": "", "verb": "v", "subject": "", "outcome": "", "reason": "", "data": {}}
    assert [db.update(lambda tx: events.add(tx, row)) for _ in range(3)] == [1, 2, 3]
    db.update(lambda tx: tx.run(text("DELETE FROM events")))
    assert db.update(lambda tx: events.add(tx, row)) == 4


def test_one_process_only(db, tmp_path):
    with pytest.raises(Busy, match="already serves"):
        Db(f"sqlite:///{tmp_path / 'plane.db'}", tmp_path / "plane.lock")


def test_a_database_this_version_does_not_serve():
    with pytest.raises(ValueError, match="use sqlite"):
        Db("mysql://x/y")


def test_what_was_committed_survives_a_kill(tmp_path):
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom penstock.server.store.db import Db\nfrom penstock.server.store.migrate import upgrade\n"
        "from penstock.server.store import settings\nfolder = Path(sys.argv[1])\ndb = Db(f'sqlite:///{folder}/plane.db', folder / 'plane.lock')\nupgrade(db)\n"
        "db.update(lambda tx: settings.put(tx, 'k', 'v'))\n\ndef die(tx):\n    settings.put(tx, 'k', 'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n\ndb.update(die)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=120, check=False)
    assert ended.returncode == -9
    db = Db(f"sqlite:///{tmp_path / 'plane.db'}", tmp_path / "plane.lock")
    assert db.view(lambda tx: settings.get(tx, "k")) == ("v", 1)
    db.close()


def test_a_copy_while_it_is_written(db, tmp_path):
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            db.update(lambda tx, n=number: settings.put(tx, "k", str(n)))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        copy_database(tmp_path / "plane.db", tmp_path / "copy.db")
    finally:
        stop.set()
        thread.join(30)
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        value, revision = copy.execute("SELECT value, revision FROM settings WHERE key = 'k'").fetchone() or ("0", 0)
    copy.close()
    assert int(value) == revision
    with pytest.raises(FileNotFoundError):
        copy_database(tmp_path / "none.db", tmp_path / "other.db")


def test_sites_of_an_older_program_have_no_place_and_keep_all_else(tmp_path):
    older = at_step(tmp_path / "plane.db", "0003")
    older.update(lambda tx: tx.run(text("INSERT INTO sites VALUES ('site_1', 'hamburg', 'Hamburg', 'Europe/Berlin', 7, 3)")))
    assert upgrade(older)
    found = older.view(lambda tx: sites.find(tx, EVERYWHERE, "hamburg"))
    assert found == Site(SiteId("site_1"), "hamburg", "Hamburg", "Europe/Berlin", 7, 3, None, None)
    older.close()
