"""Statements handed to the driver as tuples: they read and write the same as SQLAlchemy's own way, types and defaults included."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from penstock.server.core.model import DeviceStatus
from penstock.server.store import prepared
from penstock.server.store.db import Db
from penstock.server.store.migrate import upgrade
from penstock.server.store.prepared import AMONG, SIZES, Lookup
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import device_status, outbox
from penstock.wire.record import fields_of, replace

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
WHOLE = st.integers(-(2**53), 2**53)
STATUSES = st.builds(
    DeviceStatus,
    device=st.sampled_from("abcdef"),
    why=WORDS,
    phase=WORDS,
    severity=st.integers(0, 100),
    alarms=st.lists(WORDS, max_size=3).map(tuple),
    strangers=st.lists(WORDS, max_size=2).map(tuple),
    disk_free_bytes=WHOLE,
    engine_ok=st.booleans(),
    seen_ms=WHOLE,
)
LOOKUP = Lookup(select(*(device_status.c[name] for name in fields_of(DeviceStatus))).where(device_status.c.device.in_(AMONG)))


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    folder = tmp_path_factory.mktemp("db")
    made = Db(f"sqlite:///{folder / 'plane.db'}", folder / "plane.lock")
    upgrade(made)
    yield made
    made.close()


def write(db, work):
    """In a transaction that is undone, with foreign keys checked only at an end that never comes."""

    def run(tx):
        tx.run(text("PRAGMA defer_foreign_keys=ON"))
        return work(tx)

    return db.view(run)


@settings(max_examples=60, deadline=None)
@given(
    first=st.lists(STATUSES, min_size=1, max_size=6, unique_by=lambda one: one.device), then=st.lists(STATUSES, max_size=6, unique_by=lambda one: one.device)
)
def test_what_is_written_is_what_sqlalchemy_reads_and_what_a_lookup_finds(db, first, then):
    only = ("why", "alarms", "engine_ok")

    def work(tx):
        tx.insert(device_status, [row_of(one) for one in first])
        tx.upsert(device_status, [row_of(one) for one in then], only)
        return nouns(DeviceStatus, tx.run(select(device_status))), [DeviceStatus(*row) for row in tx.look_up(LOOKUP, sorted("abcdefg"))]

    held = {one.device: one for one in first}
    for one in then:
        old = held.get(one.device)
        held[one.device] = one if old is None else replace(old, **{name: getattr(one, name) for name in only})
    read, looked_up = write(db, work)
    assert {one.device: one for one in read} == held
    assert {one.device: one for one in looked_up} == held
    assert len(looked_up) == len(held)


@pytest.mark.parametrize("count", [0, 1, 2, *(size + more for size in SIZES for more in (0, 1)), 1201])
def test_a_lookup_finds_each_of_any_number_of_keys_once(db, count):
    names = [f"d{number}" for number in range(1300)]

    def work(tx):
        tx.insert(device_status, [row_of(DeviceStatus(name)) for name in names])
        return [row[0] for row in tx.look_up(LOOKUP, names[:count])]

    assert sorted(write(db, work)) == sorted(names[:count])


def test_columns_left_out_get_their_defaults_and_nothing_is_nothing(db):
    def work(tx):
        tx.insert(outbox, [])
        tx.upsert(outbox, [])
        tx.upsert(outbox, [{"topic": "state", "key": "a"}], ())
        tx.upsert(outbox, [{"topic": "state", "key": "a"}], ())
        return [tuple(row) for row in tx.run(select(outbox))]

    defaults = [
        column.default.arg for column in outbox.columns if isinstance(column.default, ScalarElementColumnDefault) and column.name not in ("topic", "key")
    ]
    assert write(db, work) == [("state", "a", *defaults)]


def test_the_same_statements_serve_postgresql():
    rows = row_of(DeviceStatus("a"))
    for dialect, mark in ((sqlite.dialect(), "?"), (postgresql.dialect(paramstyle="format"), "%s")):
        said, get, _, defaults = prepared._writing(dialect, device_status, tuple(rows), ("why",))
        assert said.count(mark) == len(rows) == len(get({**defaults, **rows}))
        assert "ON CONFLICT (device) DO UPDATE SET why = excluded.why" in said
    with pytest.raises(ValueError, match="positional"):
        prepared._writing(postgresql.dialect(paramstyle="named"), device_status, tuple(rows), None)
