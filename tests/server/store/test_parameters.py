"""The history of values at levels in the database, and what its step leaves of older data."""

from __future__ import annotations

import json
import sqlite3

from sqlalchemy import text

from penstock.server.core.facts import with_facts
from penstock.server.core.levels import Given, standing
from penstock.server.core.model import App
from penstock.server.store import migrate, parameters, releases
from penstock.server.store.db import Db
from tests.server.store.steps import at_step, moved


def test_older_values_that_look_like_facts_keep_their_meaning(tmp_path):
    db = at_step(tmp_path / "old.db", "0010")
    old = {"A": "${PENSTOCK_SITE}", "B": "$${PENSTOCK_SITE} costs $5", "C": "plain"}
    with sqlite3.connect(tmp_path / "old.db") as raw:  # which does not ask for the rows these lines refer to
        raw.execute(
            'INSERT INTO plans (deployment, version, release, devices, selector, "group", "values", secrets, drift, soak_s, deadline_s, made_ms, made_by, reason)'
            " VALUES ('dep', 1, 'rel', '[]', 'a', '', ?, '{}', '', 0, 0, 0, '', '')",
            (json.dumps(old),),
        )
        raw.execute("INSERT INTO assignments (device, app, deployment, plan, rollout, content) VALUES ('dev', 'shop', 'dep', 1, 'rol', 'c')")
    assert migrate.upgrade(db)
    with db.engine.connect() as connection:
        kept = json.loads(connection.execute(text('SELECT "values" FROM plans')).scalar() or "")
        assert connection.execute(text("SELECT values_at FROM assignments")).scalar() == 0
    assert {name: with_facts(value, {"PENSTOCK_SITE": "ulm"}) for name, value in kept.items()} == old
    moved(db, "0010", down=True)
    db.close()


def test_lines_come_back_as_they_were_said(tmp_path):
    db = Db(f"sqlite:///{tmp_path / 'new.db'}")
    migrate.upgrade(db)
    lines = (
        Given("shop", 1, "val_1", "fleet", "", "PORT", "80", "", 5, "ada", "why"),
        Given("shop", 2, "val_2", "site", "site_1", "KEY", None, "v1", 6, "ada"),
        Given("shop", 3, "val_3", "fleet", "", "PORT", None, "", 7, "bob"),
    )

    def write(tx):
        releases.put_app(tx, App("shop", "Shop", 1))
        parameters.add(tx, lines)
        parameters.put_secret(tx, "shop", "KEY", "v1", "sealed")

    db.update(write)

    def look(tx):
        assert parameters.newest(tx, "shop") == 3
        assert parameters.newest(tx, "other") == 0
        assert parameters.history(tx, "shop", 3) == lines
        assert parameters.history(tx, "shop", 1) == lines[:1]
        assert parameters.mark(tx, "shop", 2) == "val_2"
        assert parameters.apps_at(tx, "site_1") == ("shop",)
        assert parameters.apps_at(tx, "site_2") == ()
        assert parameters.secret(tx, "shop", "KEY", "v1") == "sealed"
        assert parameters.secret(tx, "shop", "KEY", "v2") is None

    db.view(look)
    assert set(standing(lines).given) == {"KEY"}
    db.close()
