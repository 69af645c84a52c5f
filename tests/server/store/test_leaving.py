"""The step that brought local people, retirements and moved devices: what it changes, and what stands as before."""

from __future__ import annotations

import contextlib
import sqlite3

from penstock.server.store import devices, local_people, retirements
from penstock.server.store.migrate import upgrade
from tests.server.store.steps import at_step


def test_devices_retired_before_have_a_record_that_claims_nothing(tmp_path):
    path = tmp_path / "plane.db"
    older = at_step(path, "0003")
    with contextlib.closing(sqlite3.connect(path)) as plain, plain:
        for name, state in (("dev_1", "retired"), ("dev_2", "active")):
            row = (
                name,
                name,
                "site_1",
                "{}",
                state,
                "retired by ada: old",
                name,
                "ab",
                "PEM",
                "PEM",
                1,
                '{"hostname":"h","platforms":[],"agent":"0","python":"3"}',
                1,
                "",
                0,
                "",
                1,
            )
            plain.execute(f"INSERT INTO devices VALUES ({', '.join('?' * len(row))})", row)
    assert upgrade(older)
    found = older.view(lambda tx: retirements.get(tx, "dev_1"))
    assert found is not None
    assert (found.outcome, found.wipe, found.reason) == ("not-wiped", "nothing", "retired by ada: old")
    assert older.view(lambda tx: retirements.get(tx, "dev_2")) is None
    assert older.view(retirements.ordered) == ()
    assert [one.moved for one in older.view(lambda tx: devices.many(tx, ["dev_1", "dev_2"])).values()] == [False, False]
    assert older.view(lambda tx: local_people.at_sites(tx, {"site_1"})) == {"site_1": []}
    older.close()
