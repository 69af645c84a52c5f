"""Giving and taking roles, roles of one's own, and explanations: never more than one has, only where one looks after things, always with the reason."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from penstock.server.actions import accounts, bindings, explain, invitations, people, places, refusals, roles, subjects, teams, tokens
from penstock.server.actions.events import latest_events
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Missing, Refused, Stale
from penstock.server.core.rights import BUILT_IN, VERBS, Allow, Role, Target, beyond, may
from penstock.server.core.rightwords import WORDS
from penstock.server.store import access, parts, users
from tests.server.people import actor, person, service
from tests.server.planes import ADMIN, a_site, first_administrator, make_plane, turn


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    yield made
    made.db.close()


def held(plane, who, by=ADMIN):
    return {(one.binding.role, one.place.typed) for one in bindings.list_bindings(plane, by, who=who).items}


def group(plane, name, *devices):
    def work(tx):
        tx.run(text(f"INSERT INTO groups VALUES ('grp_{name}', '{name}', '{name}', '', '[]', 1, 1)"))
        for device in devices:
            tx.run(text(f"INSERT INTO group_members VALUES ('grp_{name}', '{device}')"))

    plane.db.update(work)


# --- giving and taking --------------------------------------------------------------------------------------------------------


def test_a_role_is_given_by_name_and_shown_by_name(plane):
    a_site(plane)
    group(plane, "presses")
    person(plane, "anna")
    teams.create_team(plane, ADMIN, name="shift")
    for who, on, words in (
        ("anna", "site:plant-1", "site plant-1"),
        ("shift", "group:presses", "group presses"),
        ("anna", "app:press", "app press"),
        ("anna", "fleet", "the whole fleet"),
    ):
        made = bindings.give(plane, ADMIN, who=who, role_name="viewer", on=on, reason="new here")
        assert (made.subject.name, made.place.typed, made.place.words) == (who, on, words)
    assert held(plane, "anna") == {("viewer", "site:plant-1"), ("viewer", "app:press"), ("viewer", "fleet")}
    with pytest.raises(Conflict, match="has the role viewer on site plant-1 already"):
        bindings.give(plane, ADMIN, who="anna", role_name="viewer", on="site:plant-1")
    (line,) = [one for one in latest_events(plane, ADMIN).items if one.verb == "access.given" and one.site]
    assert (line.data["who"], line.data["on"], line.reason) == ("anna", "site:plant-1", "new here")
    one = bindings.list_bindings(plane, ADMIN, on="app:press").items[0].binding
    bindings.take(plane, ADMIN, binding=one.id, reason="moved on")
    assert held(plane, "anna") == {("viewer", "site:plant-1"), ("viewer", "fleet")}
    with pytest.raises(Missing):
        bindings.take(plane, ADMIN, binding=one.id)


def test_what_is_not_understood_is_named(plane):
    person(plane, "anna")
    for who, role, on, field in (
        ("nobody", "viewer", "fleet", "who"),
        ("anna", "boss", "fleet", "role"),
        ("anna", "viewer", "plant-1", "on"),
        ("anna", "viewer", "fleet:1", "on"),
        ("anna", "viewer", "site:", "on"),
        ("anna", "viewer", "app:Press!", "on"),
    ):
        with pytest.raises(Invalid) as fault:
            bindings.give(plane, ADMIN, who=who, role_name=role, on=on)
        assert (fault.value.field, bool(fault.value.remedy) or "app" in on) == (field, True)
    with pytest.raises(Missing):
        bindings.give(plane, ADMIN, who="anna", role_name="viewer", on="site:nowhere")


def test_a_site_owner_gives_on_their_own_site_and_never_more_than_they_have(plane):
    here = a_site(plane)
    a_site(plane, "plant-2")
    first_administrator(plane)
    person(plane, "anna")
    person(plane, "eve", ("viewer", "site:plant-2"))
    sam = person(plane, "sam", ("site-owner", "site:plant-1"))
    for role in ("site-owner", "site-operator", "viewer", "approver"):
        bindings.give(plane, sam, who="anna", role_name=role, on="site:plant-1", reason="shift plan")
    for role in ("administrator", "engineer", "auditor", "ci"):
        with pytest.raises(Forbidden) as refused:
            bindings.give(plane, sam, who="anna", role_name=role, on="site:plant-1")
        assert refused.value.code == "more-than-yours"
    for on, kind in (("fleet", Forbidden), ("site:plant-2", Missing), ("app:press", Missing), ("group:all", Missing)):
        with pytest.raises(kind):
            bindings.give(plane, sam, who="anna", role_name="viewer", on=on)
    bindings.give(plane, ADMIN, who="anna", role_name="engineer", on="site:plant-1")
    above = next(one.binding for one in bindings.list_bindings(plane, ADMIN, who="anna").items if one.binding.role == "engineer")
    with pytest.raises(Forbidden, match="nobody gives or takes what they have not"):
        bindings.take(plane, sam, binding=above.id)
    # They see who has something on their site, and of the others not even that they are there.
    assert {one.user.name for one in people.list_people(plane, sam).items} == {"anna", "sam"}
    with pytest.raises(Missing):
        people.get_person(plane, sam, user="eve")
    assert {one.place.typed for one in bindings.list_bindings(plane, sam).items} == {"site:plant-1"}
    elsewhere = bindings.list_bindings(plane, ADMIN, who="eve").items[0].binding.id
    with pytest.raises(Missing):
        bindings.take(plane, sam, binding=elsewhere)
    assert [place.part.id for place in bindings.offered(plane, sam)] == [here]
    assert {one.name for one in bindings.givable(plane, sam)} == {"site-owner", "site-operator", "viewer", "approver"}
    assert [place.typed for place in bindings.offered(plane, ADMIN)] == ["fleet", "site:plant-1", "site:plant-2"]


def test_who_is_not_signed_in_or_has_nothing_gives_nothing(plane):
    anna = person(plane, "anna")
    for act in (
        lambda: bindings.give(plane, anna, who="anna", role_name="viewer", on="fleet"),
        lambda: bindings.list_bindings(plane, anna),
        lambda: roles.list_roles(plane, anna),
    ):
        with pytest.raises(Forbidden):
            act()


# --- roles of one's own ---------------------------------------------------------------------------------------------------------


def test_a_role_of_ones_own_lives_and_cannot_vanish_in_use(plane):
    first_administrator(plane)
    made = roles.create_role(plane, ADMIN, name="night", title="Night shift", verbs=("devices.read", "devices.command"))
    assert (made.revision, made.uses) == (1, 0)
    for name, code in (("viewer", "name-taken"), ("night", "name-taken")):
        with pytest.raises(Conflict) as taken:
            roles.create_role(plane, ADMIN, name=name, title="", verbs=("devices.read",))
        assert taken.value.code == code
    anna = person(plane, "anna", ("night", "fleet"))
    assert isinstance(may(anna.rights, "devices.command", Target()), Allow)
    now = roles.change_role(plane, ADMIN, name="night", revision=1, verbs=("devices.read",), reason="too much")
    assert (now.revision, now.uses, now.role.title) == (2, 1, "Night shift")
    assert not isinstance(may(actor(plane, "anna").rights, "devices.command", Target()), Allow)
    with pytest.raises(Stale):
        roles.change_role(plane, ADMIN, name="night", revision=1, title="x")
    with pytest.raises(Conflict) as used:
        roles.remove_role(plane, ADMIN, name="night")
    assert used.value.code == "role-in-use"
    bindings.take(plane, ADMIN, binding=bindings.list_bindings(plane, ADMIN, role_name="night").items[0].binding.id)
    tokens.create_token(plane, person(plane, "bert", ("viewer", "fleet")), name="x", only=(("night", "fleet"),))
    with pytest.raises(Conflict, match="1 API tokens"):
        roles.remove_role(plane, ADMIN, name="night")
    turn(plane, 91 * 86_400_000)
    roles.remove_role(plane, ADMIN, name="night")
    with pytest.raises(Missing):
        roles.get_role(plane, ADMIN, name="night")
    for act in (lambda: roles.change_role(plane, ADMIN, name="viewer", revision=1, title="x"), lambda: roles.remove_role(plane, ADMIN, name="viewer")):
        with pytest.raises(Conflict, match="built in"):
            act()
    with pytest.raises(Invalid) as unknown:
        roles.create_role(plane, ADMIN, name="x", title="", verbs=("devices.explode",))
    assert unknown.value.field == "verbs"


def test_the_last_administrators_role_keeps_its_right(plane):
    first_administrator(plane)
    roles.create_role(plane, ADMIN, name="root", title="Root", verbs=tuple(sorted(VERBS)))
    bindings.give(plane, ADMIN, who="ada", role_name="root", on="fleet")
    built_in = next(one.binding.id for one in bindings.list_bindings(plane, ADMIN, who="ada").items if one.binding.role == "administrator")
    bindings.take(plane, ADMIN, binding=built_in)
    with pytest.raises(Conflict) as fault:
        roles.change_role(plane, ADMIN, name="root", revision=1, verbs=("access.read",))
    assert fault.value.code == "last-administrator"


def test_nobody_puts_into_a_role_what_they_have_not(plane):
    first_administrator(plane)
    roles.create_role(plane, ADMIN, name="giver", title="Giver", verbs=("access.read", "access.write", "devices.read"))
    roles.create_role(plane, ADMIN, name="strong", title="Strong", verbs=("devices.read", "devices.retire"))
    gil = person(plane, "gil", ("giver", "fleet"))
    with pytest.raises(Forbidden):
        roles.create_role(plane, gil, name="x", title="", verbs=("devices.retire",))
    with pytest.raises(Forbidden):
        roles.change_role(plane, gil, name="giver", revision=1, verbs=("access.read", "access.write", "devices.read", "devices.retire"))
    roles.change_role(plane, gil, name="strong", revision=1, title="Strong ones")  # what it has already need not be theirs
    a_site(plane)
    sam = person(plane, "sam", ("site-owner", "site:plant-1"))
    with pytest.raises(Forbidden):  # a role holds on the whole fleet
        roles.create_role(plane, sam, name="mine", title="", verbs=("devices.read",))


# --- why ----------------------------------------------------------------------------------------------------------------------------


def test_every_verb_has_words_and_nothing_else_has(plane):
    assert set(WORDS) == VERBS


def test_the_reason_names_the_binding_the_team_or_what_is_missing(plane):
    a_site(plane, "hamburg")
    person(plane, "anna", ("viewer", "site:hamburg"))
    teams.create_team(plane, ADMIN, name="core", members=("anna",))
    no = explain.explain(plane, ADMIN, who="anna", verb="deployments.write", what="site:hamburg")
    assert no.said == (
        "anna may not deploy and change deployments on site hamburg: no role they have includes this here. "
        "The role administrator, ci or engineer on site hamburg or the whole fleet would do."
    )
    assert (no.allowed, no.roles, no.parts) == (False, ("administrator", "ci", "engineer"), ("site hamburg", "the whole fleet"))
    bindings.give(plane, ADMIN, who="core", role_name="engineer", on="fleet")
    yes = explain.explain(plane, ADMIN, who="anna", verb="deployments.write", what="site:hamburg")
    assert (
        yes.said
        == "anna may deploy and change deployments on site hamburg: they have the role engineer on the whole fleet as a member of team core, given by ada."
    )
    assert yes.by is not None
    assert yes.by.team == "core"
    people.disable_person(plane, ADMIN, user="anna")
    assert explain.explain(plane, ADMIN, who="anna", verb="devices.read", what="site:hamburg").said == "anna may do nothing: the account is disabled."
    assert explain.effective(plane, ADMIN, who="anna")[1] == ()
    for who, verb, what, field in (
        ("x", "devices.read", "fleet", "who"),
        ("anna", "devices.explode", "fleet", "verb"),
        ("anna", "devices.read", "moon", "what"),
    ):
        with pytest.raises(Invalid) as fault:
            explain.explain(plane, ADMIN, who=who, verb=verb, what=what)
        assert fault.value.field == field


def test_explanations_agree_with_the_judgement_they_explain(plane):
    site = a_site(plane)
    anna = person(plane, "anna", ("site-operator", "site:plant-1"), ("publisher", "app:press"))
    for what, target in (("fleet", Target()), ("site:plant-1", Target(site=site)), ("app:press", Target(app="press"))):
        names = {one.subject.name for verb in ("devices.command",) for one in explain.who_can(plane, ADMIN, verb=verb, what=what).items}
        for verb in VERBS:
            judged = isinstance(may(anna.rights, verb, target), Allow)
            assert explain.explain(plane, ADMIN, who="anna", verb=verb, what=what).allowed == judged
            if verb == "devices.command":
                assert ("anna" in names) == judged
    _, found = explain.effective(plane, ADMIN, who="anna")
    assert {(one.place.typed, verb) for one in found for verb, _ in one.verbs} == {
        *(("site:plant-1", verb) for verb in BUILT_IN["site-operator"].verbs),
        *(("app:press", verb) for verb in BUILT_IN["publisher"].verbs),
    }


def test_of_oneself_one_asks_without_a_role_of_others_only_where_one_looks_after_access(plane):
    a_site(plane)
    a_site(plane, "plant-2")
    anna = person(plane, "anna", ("viewer", "site:plant-1"))
    sam = person(plane, "sam", ("site-owner", "site:plant-1"))
    person(plane, "root", ("administrator", "fleet"))
    person(plane, "off", ("administrator", "fleet"))
    people.disable_person(plane, ADMIN, user="off")
    assert explain.explain(plane, anna, who="", verb="devices.read", what="site:plant-1").allowed
    assert not explain.explain(plane, anna, who="anna", verb="devices.write", what="fleet").allowed
    assert [one.place.typed for one in explain.effective(plane, anna)[1]] == ["site:plant-1"]
    with pytest.raises(Missing):  # not even of oneself about what one may not see
        explain.explain(plane, anna, who="anna", verb="devices.read", what="site:plant-2")
    with pytest.raises(Forbidden):
        explain.explain(plane, anna, who="sam", verb="devices.read", what="site:plant-1")
    with pytest.raises(Forbidden):
        explain.who_can(plane, anna, verb="devices.read", what="site:plant-1")
    assert [one.subject.name for one in explain.who_can(plane, sam, verb="devices.read", what="site:plant-1").items] == ["anna", "root", "sam"]
    assert explain.effective(plane, sam, who="root")[1] == ()  # what they have elsewhere is not sam's to see
    person(plane, "zoe", ("viewer", "site:plant-2"))
    for who in ("zoe", "nobody"):  # somebody sam does not see is as somebody who is not there
        with pytest.raises(Invalid, match=f"named '{who}'"):
            explain.effective(plane, sam, who=who)
        with pytest.raises(Invalid, match=f"named '{who}'"):
            bindings.list_bindings(plane, sam, who=who)
    with pytest.raises(Missing):
        explain.who_can(plane, sam, verb="devices.read", what="site:plant-2")


def test_refused_acts_are_noted_once_a_minute(plane):
    anna = person(plane, "anna")
    refused = Forbidden("not-allowed", "you may not")

    def tried(verb="sites.write"):
        refusals.note_refused(plane, anna, verb=verb, path="/api/v1/sites", refused=refused)
        return [one for one in latest_events(plane, ADMIN, limit=200).items if one.verb == "access.refused"]

    assert len(tried()) == len(tried()) == 1
    assert len(tried("devices.write")) == 2
    turn(plane, 60_000)
    found = tried()
    assert len(found) == 3
    assert (found[0].actor_name, found[0].outcome, found[0].reason, found[0].data["path"]) == ("anna", "refused", "you may not", "/api/v1/sites")
    refusals.note_refused(plane, anna, verb="apps.read", path="/", refused=Forbidden("form-expired", "old form"))
    assert len(tried()) == 3


# --- nobody rises -----------------------------------------------------------------------------------------------------------------------


WHO = ("gil", "sam", "tom", "robot", "line")
OWN = {"giver": ("access.read", "access.write", "users.read", "users.write", "devices.read", "tokens.own"), "odd": ("devices.command", "devices.read")}
START = (
    ("gil", "giver", "fleet"),
    ("sam", "site-owner", "site:plant-1"),
    ("tom", "viewer", "site:plant-2"),
    ("robot", "engineer", "site:plant-2"),
    ("line", "site-operator", "fleet"),
)
PLACES = st.sampled_from(["fleet", "site:plant-1", "site:plant-2", "app:press", "group:presses"])
ROLES = st.sampled_from([*BUILT_IN, *OWN, "own"])
SOME_VERBS = st.lists(st.sampled_from(sorted(VERBS)), min_size=1, max_size=4, unique=True)
ACTS = st.one_of(
    st.tuples(st.just("give"), st.sampled_from(WHO), ROLES, PLACES),
    st.tuples(st.just("take"), st.sampled_from(WHO)),
    st.tuples(st.just("make"), SOME_VERBS),
    st.tuples(st.just("change"), st.sampled_from([*OWN, "own"]), SOME_VERBS),
    st.tuples(st.just("team"), st.lists(st.sampled_from(["gil", "sam", "tom"]), max_size=3, unique=True)),
    st.tuples(st.just("enable"), st.sampled_from(WHO[:4])),
    st.tuples(st.just("invite"), st.sampled_from(WHO[:3])),
    st.tuples(st.just("token"), ROLES, PLACES),
)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A plane with an administrator, three people, a program, a team, two sites and a group; `start` puts their rights back."""
    plane = make_plane(tmp_path_factory.mktemp("crowd"))
    first_administrator(plane)
    a_site(plane)
    a_site(plane, "plant-2")
    group(plane, "presses")
    for name in WHO[:3]:
        person(plane, name)
    service(plane, "robot")
    teams.create_team(plane, ADMIN, name="line")
    yield plane
    plane.db.close()


def start(plane):
    def work(tx):
        tx.run(text("DELETE FROM bindings WHERE role <> 'administrator'"))
        tx.run(text("DELETE FROM team_members"))
        tx.run(text("DELETE FROM roles"))
        tx.run(text("UPDATE users SET disabled = 0"))
        for name, verbs in OWN.items():
            access.add_role(tx, Role(name, name, frozenset(verbs)))

    plane.db.update(work)
    for who, role, on in START:
        bindings.give(plane, ADMIN, who=who, role_name=role, on=on)


def everybodys(plane):
    """What everybody may now, by name, teams as such too."""

    def look(tx):
        found = {one.name: subjects.rights_for(tx, one.id) for one in users.all_users(tx)}
        return {**found, **{team.name: accounts.team_rights(tx, team.id) for team in access.all_teams(tx)}}

    return plane.db.view(look)


def attempt(plane, who, act):
    """One act by somebody; whose password or token they hold afterwards, if any."""
    kind, *given_ = act
    if kind == "give":
        bindings.give(plane, who, who=given_[0], role_name=given_[1], on=given_[2])
    elif kind == "take":
        for one in bindings.list_bindings(plane, who, who=given_[0]).items[:1]:
            bindings.take(plane, who, binding=one.binding.id)
    elif kind == "make":
        roles.create_role(plane, who, name="own", title="", verbs=tuple(given_[0]))
    elif kind == "change":
        revision = roles.get_role(plane, who, name=given_[0]).revision
        roles.change_role(plane, who, name=given_[0], revision=revision, verbs=tuple(given_[1]))
    elif kind == "team":
        team = teams.get_team(plane, who, team="line").team
        teams.change_team(plane, who, team="line", revision=team.revision, members=tuple(given_[0]))
    elif kind == "enable":
        people.disable_person(plane, ADMIN, user=given_[0])
        people.enable_person(plane, who, user=given_[0])
    elif kind == "invite":
        invitations.invite(plane, who, user=given_[0])
        return actor(plane, given_[0]).rights
    elif kind == "token":
        made = tokens.create_token(plane, who, name="x", user="robot", only=((given_[0], given_[1]),))
        return tokens.token_actor(plane, made.secret).rights
    return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["gil", "sam", "tom"]), ACTS), min_size=1, max_size=7))
def test_no_way_of_giving_taking_and_changing_roles_leads_above_the_giver(crowd, acts):
    start(crowd)
    for name, act in acts:
        before = everybodys(crowd)
        try:
            got = attempt(crowd, actor(crowd, name), act)
        except Refused:
            got = None
        giver = before[name]
        every = crowd.db.view(
            lambda tx: parts.targets(tx, {part for rights in everybodys(crowd).values() for held_ in rights.by_verb.values() for part in held_})
        )
        for who, rights in everybodys(crowd).items():
            over = set(beyond(giver, rights, every)) - {(verb, part) for verb, held_ in before[who].by_verb.items() for part in held_}
            assert not over, f"{name} did {act} and {who} may now {over}"
        if got is not None:
            narrow = set(beyond(giver, got, every))
            assert not narrow or (got.within is not None and not beyond(giver, got.within, every)), f"{name} did {act} and holds the key of {narrow}"


def test_the_acts_of_the_property_do_succeed_sometimes(crowd):
    """So that the property above is not true because everything is refused."""
    start(crowd)
    gil, sam = actor(crowd, "gil"), actor(crowd, "sam")
    attempt(crowd, gil, ("make", ["devices.read"]))
    attempt(crowd, gil, ("give", "tom", "own", "fleet"))
    attempt(crowd, gil, ("change", "own", ["access.read"]))
    attempt(crowd, gil, ("token", "giver", "site:plant-1"))
    attempt(crowd, sam, ("give", "tom", "site-operator", "site:plant-1"))
    attempt(crowd, sam, ("take", "tom"))
    attempt(crowd, gil, ("team", []))
    crowd.db.view(lambda tx: places.of(tx, {one.on for one in access.all_bindings(tx)}))
