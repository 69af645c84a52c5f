"""People, invitations, teams, service accounts and their tokens: who may make whom, and what ends what at once."""

from __future__ import annotations

import pytest

from penstock.server.actions import bindings, breakglass, invitations, people, registryaccess, sessions, teams, tokens
from penstock.server.core.breakglass import NAME as GLASS_NAME
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Limited, Missing, Stale, Unauthenticated
from penstock.server.core.rights import Allow, Target, may
from tests.server.people import SENTENCE, actor, person, service
from tests.server.planes import ADMIN, a_site, first_administrator, make_plane, turn

HOUR = 3_600_000


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    yield made
    made.db.close()


def acts(plane, verb):
    from penstock.server.actions.events import latest_events

    return [one for one in latest_events(plane, ADMIN, limit=200).items if one.verb == verb]


# --- people and invitations -------------------------------------------------------------------------------------------------


def test_an_invitation_works_once_and_for_three_days(plane):
    first_administrator(plane)
    _, made = people.create_person(plane, ADMIN, name="anna", title="Anna Berg")
    assert made is not None
    with pytest.raises(Unauthenticated):
        sessions.sign_in(plane, name="anna", password="")
    waiting = people.get_person(plane, ADMIN, user="anna").invitation
    assert waiting is not None
    assert waiting.first
    assert invitations.look(plane, code=made.code).name == "anna"
    with pytest.raises(Invalid, match="12 to 1000"):
        invitations.accept(plane, code=made.code, password="short")
    invitations.accept(plane, code=made.code.upper().replace("-", " "), password=SENTENCE, title="Anna")
    assert sessions.sign_in(plane, name="anna", password=SENTENCE).user.title == "Anna"
    with pytest.raises(Invalid) as refused:
        invitations.accept(plane, code=made.code, password="another long sentence")
    assert refused.value.code == "invitation-unknown"
    late = invitations.invite(plane, ADMIN, user="anna")
    turn(plane, 72 * HOUR)
    with pytest.raises(Invalid):
        invitations.look(plane, code=late.code)


def test_a_newer_invitation_makes_the_older_worthless_and_a_new_password_ends_sessions(plane):
    first_administrator(plane)
    person(plane, "anna")
    session = sessions.sign_in(plane, name="anna", password=SENTENCE)
    old, new = (invitations.invite(plane, ADMIN, user="anna") for _ in range(2))
    with pytest.raises(Invalid):
        invitations.look(plane, code=old.code)
    assert sessions.who(plane, session.secret).user.name == "anna"  # until it is used nothing ends
    invitations.accept(plane, code=new.code, password="quite another sentence")
    with pytest.raises(Unauthenticated):
        sessions.who(plane, session.secret)
    with pytest.raises(Unauthenticated):
        sessions.sign_in(plane, name="anna", password=SENTENCE)


def test_codes_are_not_guessed_at_leisure_and_not_kept(plane):
    _, made = people.create_person(plane, ADMIN, name="anna")
    assert made is not None
    for _ in range(20):
        with pytest.raises(Invalid):
            invitations.look(plane, code="00000-00000-00000-00000", address="10.0.0.9")
    with pytest.raises(Limited):
        invitations.look(plane, code=made.code, address="10.0.0.9")
    raw = plane.db.engine.raw_connection()
    dump = "".join(str(row) for table in ("invitations", "users", "events") for row in raw.cursor().execute(f"SELECT * FROM {table}"))
    raw.close()
    assert made.code not in dump
    assert made.code.replace("-", "") not in dump


def test_nobody_sets_a_password_for_who_may_more(plane):
    first_administrator(plane)
    from penstock.server.actions import roles

    roles.create_role(plane, ADMIN, name="desk", title="Front desk", verbs=("users.read", "users.write", "tokens.own"))
    desk = person(plane, "dora", ("desk", "fleet"))
    person(plane, "olga", ("administrator", "fleet"))
    person(plane, "nora")
    assert invitations.invite(plane, desk, user="nora").code
    for act in (invitations.invite, people.remove_person):
        with pytest.raises(Forbidden) as refused:
            act(plane, desk, user="olga")
        assert refused.value.code == "more-than-yours"
    people.disable_person(plane, desk, user="olga", reason="left the badge in a taxi")  # shutting out is always safe
    with pytest.raises(Forbidden):
        people.enable_person(plane, desk, user="olga")
    people.enable_person(plane, ADMIN, user="olga")


def test_names_are_given_once_and_for_ever(plane):
    person(plane, "anna")
    teams.create_team(plane, ADMIN, name="shift")
    for taken in ("anna", "shift"):
        with pytest.raises(Conflict, match="already"):
            people.create_person(plane, ADMIN, name=taken)
        with pytest.raises(Conflict):
            teams.create_team(plane, ADMIN, name=taken)
    people.remove_person(plane, ADMIN, user="anna")
    with pytest.raises(Conflict, match="past acts stand under that name"):
        people.create_person(plane, ADMIN, name="anna")
    with pytest.raises(Invalid, match="a-z"):
        people.create_person(plane, ADMIN, name="Anna Berg")


def test_disabling_ends_sessions_and_tokens_at_once(plane):
    first_administrator(plane)
    anna = person(plane, "anna", ("engineer", "fleet"))
    session = sessions.sign_in(plane, name="anna", password=SENTENCE)
    token = tokens.create_token(plane, anna, name="mine")
    assert sessions.who(plane, session.secret).actor.name == "anna"
    assert tokens.token_actor(plane, token.secret).id == anna.id
    assert registryaccess.sign_in(plane, "anna", SENTENCE).id
    forgot = []
    plane.forget_registry = lambda: forgot.append(True)
    people.disable_person(plane, ADMIN, user="anna", reason="on leave")
    for ask in (
        lambda: sessions.who(plane, session.secret),
        lambda: tokens.token_actor(plane, token.secret),
        lambda: registryaccess.sign_in(plane, "anna", SENTENCE),
    ):
        with pytest.raises(Unauthenticated):
            ask()
    assert forgot
    with pytest.raises(Conflict):
        people.disable_person(plane, ADMIN, user="anna")
    people.enable_person(plane, ADMIN, user="anna")
    assert tokens.token_actor(plane, token.secret).id == anna.id
    with pytest.raises(Unauthenticated):  # but the session is over for good
        sessions.who(plane, session.secret)
    assert acts(plane, "user.disabled")[0].reason == "on leave"


def test_who_is_removed_leaves_their_name_in_the_record_and_nothing_else(plane):
    first_administrator(plane)
    anna = person(plane, "anna", ("engineer", "fleet"))
    token = tokens.create_token(plane, anna, name="mine")
    teams.create_team(plane, ADMIN, name="shift", members=("anna",))
    people.remove_person(plane, ADMIN, user="anna", reason="retired")
    assert [one.actor_name for one in acts(plane, "token.created")] == ["anna"]
    assert acts(plane, "user.removed")[0].data["roles"] == "engineer on the whole fleet"
    with pytest.raises(Unauthenticated):
        tokens.token_actor(plane, token.secret)
    assert teams.get_team(plane, ADMIN, team="shift").members == ()
    assert [one.user.name for one in people.list_people(plane, ADMIN).items] == ["ada"]
    for gone in ("anna", anna.id):
        with pytest.raises(Missing):
            people.get_person(plane, ADMIN, user=gone)
    with pytest.raises(Invalid):
        bindings.give(plane, ADMIN, who="anna", role_name="viewer", on="fleet")


def test_a_title_changes_the_name_does_not(plane):
    person(plane, "anna")
    one = people.get_person(plane, ADMIN, user="anna").user
    assert people.change_person(plane, ADMIN, user="anna", revision=one.revision, title="Anna B.").user.title == "Anna B."
    with pytest.raises(Stale):
        people.change_person(plane, ADMIN, user="anna", revision=one.revision, title="x")


def test_people_come_in_pages(plane):
    for name in ("cleo", "anna", "bert"):
        people.create_person(plane, ADMIN, name=name)
    first = people.list_people(plane, ADMIN, limit=2)
    assert [one.user.name for one in first.items] == ["anna", "bert"]
    assert [one.user.name for one in people.list_people(plane, ADMIN, limit=2, cursor=first.next).items] == ["cleo"]
    assert [one.user.name for one in people.list_people(plane, ADMIN, text="LE").items] == ["cleo"]


# --- the last one who can change rights ---------------------------------------------------------------------------------------


def test_the_last_administrator_cannot_go_by_any_door(plane):
    first_administrator(plane)
    ada = actor(plane, "ada")
    (mine,) = bindings.list_bindings(plane, ada, who="ada").items

    def refused(act, *arguments, **more):
        with pytest.raises(Conflict) as fault:
            act(plane, ADMIN, *arguments, **more)
        assert fault.value.code == "last-administrator"
        assert "give another person" in fault.value.remedy

    refused(people.disable_person, user="ada")
    refused(people.remove_person, user="ada")
    refused(bindings.take, binding=mine.binding.id)
    people.create_person(plane, ADMIN, name="olga")  # invited, but cannot sign in yet: she does not count
    bindings.give(plane, ADMIN, who="olga", role_name="administrator", on="fleet")
    service(plane, "robot", ("administrator", "fleet"))  # nor does a program
    refused(people.disable_person, user="ada")
    assert sessions.sign_in(plane, name="ada", password=SENTENCE).user.name == "ada"  # nothing was half done
    made = invitations.invite(plane, ADMIN, user="olga")
    invitations.accept(plane, code=made.code, password=SENTENCE)
    people.disable_person(plane, ADMIN, user="ada")
    refused(people.disable_person, user="olga")


def test_the_last_administrators_may_be_a_team(plane):
    first_administrator(plane)
    person(plane, "olga")
    team = teams.create_team(plane, ADMIN, name="core", members=("olga",)).team
    bindings.give(plane, ADMIN, who="core", role_name="administrator", on="fleet")
    people.disable_person(plane, ADMIN, user="ada")
    for act in (
        lambda: teams.change_team(plane, ADMIN, team="core", revision=team.revision, members=()),
        lambda: teams.remove_team(plane, ADMIN, team="core"),
        lambda: people.disable_person(plane, ADMIN, user="olga"),
        lambda: bindings.take(plane, ADMIN, binding=bindings.list_bindings(plane, ADMIN, who="core").items[0].binding.id),
    ):
        with pytest.raises(Conflict) as fault:
            act()
        assert fault.value.code == "last-administrator"
    assert [one.name for one in teams.get_team(plane, ADMIN, team="core").members] == ["olga"]


# --- teams ----------------------------------------------------------------------------------------------------------------------


def test_what_a_team_has_its_people_have(plane):
    site = a_site(plane)
    anna = person(plane, "anna")
    team = teams.create_team(plane, ADMIN, name="shift", title="Shift leaders", members=("anna",)).team
    bindings.give(plane, ADMIN, who="shift", role_name="site-owner", on="site:plant-1")
    assert isinstance(may(actor(plane, "anna").rights, "sites.write", Target(site=site)), Allow)
    assert people.get_person(plane, ADMIN, user=anna.id).grants[0].team == "shift"
    teams.change_team(plane, ADMIN, team="shift", revision=team.revision, members=(), reason="new shift plan")
    assert not isinstance(may(actor(plane, "anna").rights, "sites.write", Target(site=site)), Allow)
    with pytest.raises(Stale):
        teams.change_team(plane, ADMIN, team="shift", revision=team.revision, title="x")
    with pytest.raises(Invalid, match="no person named 'nobody'"):
        teams.change_team(plane, ADMIN, team="shift", revision=team.revision + 1, members=("nobody",))
    teams.remove_team(plane, ADMIN, team="shift")
    assert teams.list_teams(plane, ADMIN).items == ()
    assert bindings.list_bindings(plane, ADMIN).items == ()


def test_only_who_looks_after_people_makes_them(plane):
    a_site(plane)
    owner = person(plane, "sam", ("site-owner", "site:plant-1"))
    for act in (
        lambda: people.create_person(plane, owner, name="x"),
        lambda: teams.create_team(plane, owner, name="x"),
        lambda: people.disable_person(plane, owner, user="sam"),
        lambda: tokens.create_token(plane, owner, name="x", user="other"),
    ):
        with pytest.raises(Forbidden):
            act()


# --- tokens ---------------------------------------------------------------------------------------------------------------------


def test_a_token_may_be_narrower_than_its_owner_and_makes_no_other(plane):
    anna = person(plane, "anna", ("engineer", "fleet"))
    made = tokens.create_token(plane, anna, name="ci", only=(("ci", "app:press"),))
    narrow = tokens.token_actor(plane, made.secret)
    assert isinstance(may(narrow.rights, "releases.publish", Target(app="press")), Allow)
    assert not isinstance(may(narrow.rights, "releases.publish", Target(app="other")), Allow)
    assert not isinstance(may(narrow.rights, "devices.write", Target(site="any")), Allow)
    with pytest.raises(Forbidden) as refused:
        tokens.create_token(plane, narrow, name="wider")
    assert refused.value.code == "token-narrowed"
    (shown,) = tokens.list_tokens(plane, anna)
    assert [(role, place.typed) for role, place in shown.only] == [("ci", "app:press")]
    for wrong, field in (((("boss", "fleet"),), "only"), ((("ci", "plant"),), "only")):
        with pytest.raises(Invalid) as fault:
            tokens.create_token(plane, anna, name="x", only=wrong)
        assert fault.value.field == field
    with pytest.raises(Missing):
        tokens.create_token(plane, anna, name="x", only=(("ci", "site:nowhere"),))


def test_a_service_accounts_token_is_made_by_who_may_at_least_as_much(plane):
    from penstock.server.actions import roles

    first_administrator(plane)
    robot = service(plane, "robot", ("engineer", "fleet"))
    roles.create_role(plane, ADMIN, name="desk", title="Desk", verbs=("users.read", "users.write", "tokens.own", "devices.read"))
    desk = person(plane, "dora", ("desk", "fleet"))
    with pytest.raises(Forbidden) as refused:
        tokens.create_token(plane, desk, name="mine now", user="robot")
    assert refused.value.code == "more-than-yours"
    roles.create_role(plane, ADMIN, name="look", title="Look", verbs=("devices.read",))
    narrow = tokens.create_token(plane, desk, name="only looks", user="robot", only=(("look", "fleet"),))
    assert tokens.token_actor(plane, narrow.secret).name == "robot (only looks)"
    made = tokens.create_token(plane, ADMIN, name="all of it", user="robot")
    assert tokens.token_actor(plane, made.secret).id == robot.id
    assert {one.token.name for one in tokens.list_tokens(plane, desk, user="robot")} == {"all of it", "only looks"}
    tokens.revoke_token(plane, desk, token=made.token.id, user="robot")
    with pytest.raises(Unauthenticated):
        tokens.token_actor(plane, made.secret)
    person(plane, "anna")
    with pytest.raises(Forbidden, match="theirs to make"):
        tokens.create_token(plane, ADMIN, name="x", user="anna")


def test_the_sealed_account_is_not_for_people_to_change(plane):
    admin = first_administrator(plane)
    plane.db.update(lambda tx: breakglass.seal_anew(tx, plane.ids, plane.clock.now_ms()))
    for act in (
        lambda: people.disable_person(plane, admin, user=GLASS_NAME),
        lambda: people.remove_person(plane, admin, user=GLASS_NAME),
        lambda: people.change_person(plane, admin, user=GLASS_NAME, revision=1, title="mine"),
        lambda: invitations.invite(plane, admin, user=GLASS_NAME),
        lambda: bindings.give(plane, admin, who=GLASS_NAME, role_name="viewer", on="fleet"),
        lambda: people.create_person(plane, admin, name=GLASS_NAME),
    ):
        with pytest.raises(Conflict):
            act()
