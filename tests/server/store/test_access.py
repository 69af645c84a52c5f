"""Teams, roles and bindings on a real SQLite file."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from penstock.server.core.errors import Stale
from penstock.server.core.model import Invitation, User, UserId
from penstock.server.core.rights import Binding, Part, Role, Team
from penstock.server.store import access, invitations, users
from penstock.server.store.db import Db
from penstock.server.store.migrate import upgrade
from tests.server.store.steps import at_step


@pytest.fixture
def db(tmp_path):
    made = Db(f"sqlite:///{tmp_path / 'plane.db'}", tmp_path / "plane.lock")
    upgrade(made)
    yield made
    made.close()


def person(name):
    return User(UserId(f"usr_{name}"), name, "x", 1)


def test_teams_and_who_is_in_them(db):
    def work(tx):
        for name in ("anna", "bert"):
            users.add(tx, person(name))
        access.add_team(tx, Team("team_1", "line", "The line", 5))
        access.put_members(tx, "team_1", ["usr_bert", "usr_anna", "usr_bert"])
        assert access.members(tx, "team_1") == ("usr_anna", "usr_bert")
        assert access.teams_of(tx, "usr_anna") == ("team_1",)
        access.put_members(tx, "team_1", ["usr_bert"])
        assert access.teams_of(tx, "usr_anna") == ()
        one = access.team(tx, "line")
        assert one == access.team(tx, "team_1") == Team("team_1", "line", "The line", 5)
        assert access.change_team(tx, one, 1, title="Line 1") == 2
        with pytest.raises(Stale):
            access.change_team(tx, one, 1, title="Line 2")
        access.bind(tx, Binding("bnd_1", "team_1", "viewer", Part("fleet")))
        access.drop_team(tx, one)
        assert access.all_teams(tx) == ()
        assert access.all_bindings(tx) == ()

    db.update(work)


def test_the_same_binding_is_given_once(db):
    def work(tx):
        first = Binding("bnd_1", "usr_a", "viewer", Part("site", "site_1"), "anna", "night shift", 7)
        assert access.bind(tx, first)
        assert not access.bind(tx, Binding("bnd_2", "usr_a", "viewer", Part("site", "site_1")))
        assert access.bind(tx, Binding("bnd_3", "usr_a", "viewer", Part("site", "site_2")))
        assert access.binding(tx, "bnd_1") == first
        assert [one.id for one in access.bindings_of(tx, ["usr_a", "usr_b"])] == ["bnd_1", "bnd_3"]
        assert access.uses_of_role(tx, "viewer") == 2
        access.unbind(tx, "bnd_1")
        assert access.binding(tx, "bnd_1") is None

    db.update(work)


def test_roles_of_ones_own(db):
    def work(tx):
        role = Role("logs", "Logs", frozenset({"devices.read", "devices.command"}))
        access.add_role(tx, role)
        assert access.own_roles(tx) == {"logs": (role, 1)}
        less = Role("logs", "Only looking", frozenset({"devices.read"}))
        assert access.change_role(tx, less, 1) == 2
        with pytest.raises(Stale):
            access.change_role(tx, role, 1)
        access.drop_role(tx, "logs")
        assert access.own_roles(tx) == {}

    db.update(work)


def test_whoever_had_a_role_has_it_on_the_whole_fleet(tmp_path):
    db = at_step(tmp_path / "plane.db", "0002")
    db.update(lambda tx: tx.run(text("INSERT INTO users VALUES ('usr_1', 'anna', 'x', 'administrator', 3, 0, 1)")))
    assert upgrade(db)
    (found,) = db.view(access.all_bindings)
    assert (found.subject, found.role, found.on, found.created_ms) == ("usr_1", "administrator", Part("fleet"), 3)
    db.close()


def test_whoever_was_there_is_not_gone_and_not_invited(tmp_path):
    db = at_step(tmp_path / "plane.db", "0008")
    columns = "id, name, password, created_ms, kind, title, disabled, revision"
    db.update(lambda tx: tx.run(text(f"INSERT INTO users ({columns}) VALUES ('usr_1', 'anna', 'x', 3, 'person', '', 0, 1)")))
    assert upgrade(db)
    (anna,) = db.view(users.all_users)
    assert (anna.name, anna.removed_ms) == ("anna", 0)
    assert db.view(invitations.all_of) == {}
    made = Invitation(anna.id, "digest", True, 5, 9, "ada")
    db.update(lambda tx: invitations.put(tx, made))
    assert db.view(lambda tx: invitations.by_hash(tx, "digest")) == made
    db.close()
