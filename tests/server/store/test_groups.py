"""Groups on a real SQLite file: their rows, who is in, what hangs on them, and the step that lets a deployment be for one."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from penstock.server.core.errors import Stale
from penstock.server.core.groups import Group
from penstock.server.core.model import ApiToken, Target, User, UserId
from penstock.server.core.rights import EVERYWHERE, Binding, Part, Reach
from penstock.server.store import access, api_tokens, deployments, groups, join_tokens, users
from penstock.server.store.db import Db
from penstock.server.store.migrate import upgrade
from tests.server.store.steps import at_step


@pytest.fixture
def db(tmp_path):
    made = Db(f"sqlite:///{tmp_path / 'plane.db'}", tmp_path / "plane.lock")
    upgrade(made)
    yield made
    made.close()


def group(number, **more):
    return Group(f"grp_{number}", f"g{number}", f"Group {number}", more.get("selector", ""), more.get("devices", ()), 5)


def test_rows_and_who_sees_them(db):
    def work(tx):
        one, two = group(1, selector="line", devices=("dev_a",)), group(2)
        groups.add(tx, two)
        groups.add(tx, one)
        assert groups.all_in(tx, EVERYWHERE) == (one, two)
        assert groups.find(tx, EVERYWHERE, "g1") == groups.find(tx, EVERYWHERE, "grp_1") == one
        here = Reach(groups=frozenset({"grp_2"}), sites=frozenset({"site_1"}))
        assert groups.all_in(tx, here) == (two,)
        assert groups.find(tx, here, "g1") is None
        assert groups.all_in(tx, Reach(fleet=True, within=here)) == (two,)
        assert groups.change(tx, one, 1, title="Lines") == 2
        with pytest.raises(Stale):
            groups.change(tx, one, 1, title="Presses")
        with pytest.raises(Stale):
            groups.drop(tx, one, 1)
        groups.put_members(tx, "grp_1", ["dev_b", "dev_a", "dev_b"])
        groups.drop(tx, one, 2)
        assert groups.all_in(tx, EVERYWHERE) == (two,)
        assert groups.groups_of(tx, "dev_a") == frozenset()

    db.update(work)


def test_who_is_in(db):
    def work(tx):
        for number in (1, 2):
            groups.add(tx, group(number))
        groups.put_members(tx, "grp_1", ["dev_a", "dev_b"])
        groups.put_devices(tx, {"dev_b": frozenset({"grp_2"}), "dev_c": frozenset({"grp_1", "grp_2"}), "dev_d": frozenset()})
        assert groups.members_of(tx, ["grp_1", "grp_2", "grp_3"]) == {"grp_1": {"dev_a", "dev_c"}, "grp_2": {"dev_b", "dev_c"}, "grp_3": frozenset()}
        assert groups.groups_of(tx, "dev_c") == {"grp_1", "grp_2"}
        assert groups.members_of(tx, []) == {}

    db.update(work)


def test_what_hangs_on_a_group(db):
    def work(tx):
        users.add(tx, User(UserId("usr_1"), "anna", "x", 1))
        access.bind(tx, Binding("bnd_1", "usr_1", "viewer", Part("group", "grp_1")))
        access.bind(tx, Binding("bnd_2", "usr_1", "viewer", Part("site", "grp_9")))
        for number, (revoked, expires) in enumerate([(0, 100), (7, 100), (0, 10)]):
            only = (("ci", "group", f"grp_{number + 2}"), ("ci", "app", "grp_9"))
            api_tokens.add(tx, ApiToken(f"tok_{number}", "usr_1", f"t{number}", f"h{number}", 1, expires, revoked_ms=revoked, only=only))
        assert groups.giving(tx, 10) == {"grp_1": {"viewer"}, "grp_2": {"ci"}}
        assert groups.tokens_on(tx, "grp_2", 10) == ("t0",)
        assert groups.tokens_on(tx, "grp_3", 10) == groups.tokens_on(tx, "grp_4", 10) == ()

    db.update(work)


def test_what_an_older_program_kept_is_for_no_group_and_gives_no_rights(tmp_path):
    path = tmp_path / "plane.db"
    older = at_step(path, "0004")
    with contextlib.closing(sqlite3.connect(path)) as plain, plain:  # which asks for no release and no site to go with it
        plain.execute("INSERT INTO plans VALUES ('dep_1', 1, 'rel_1', '[]', 'line', '{}', '{}', '', 0, 0, 1, 'anna', '')")
        plain.execute("INSERT INTO join_tokens VALUES ('join_1', 'site_1', 't', 'h', 1, 0, 9, 1, '{}', 1, 'anna', 0)")
    assert upgrade(older)
    plan = older.view(lambda tx: deployments.plan(tx, "dep_1", 1))
    assert plan is not None
    assert plan.target == Target(selector="line")
    token = older.view(lambda tx: join_tokens.by_hash(tx, "h"))
    assert token is not None
    assert token.gives_rights is False
    older.close()
