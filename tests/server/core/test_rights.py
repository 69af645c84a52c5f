"""Rights: denied by default, only ever added to, the same for one thing as for a list of them, and always with a true reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.rights import BUILT_IN, KINDS, VERBS, Allow, Binding, Deny, Part, Role, Target, administrators, lacking, may, reach, rights_of

IDS = st.sampled_from(["a", "b", "c"])
PARTS = st.builds(lambda kind, name: Part(kind, "" if kind == "fleet" else name), st.sampled_from(KINDS), IDS)
BINDINGS = st.lists(st.builds(Binding, id=st.uuids().map(str), subject=st.just("me"), role=st.sampled_from([*BUILT_IN, "gone"]), on=PARTS), max_size=6)
TARGETS = st.builds(Target, site=IDS | st.just(""), device=IDS | st.just(""), app=IDS | st.just(""), groups=st.frozensets(IDS, max_size=2))
SOME = st.sampled_from(sorted(VERBS))


@given(SOME, TARGETS)
def test_nobody_may_anything_without_a_binding(verb: str, target: Target) -> None:
    found = may(rights_of("me", [], BUILT_IN), verb, target)
    assert isinstance(found, Deny)
    assert verb in found.why


@given(BINDINGS, SOME, TARGETS)
def test_one_thing_and_a_list_of_them_are_judged_alike(bindings: list[Binding], verb: str, target: Target) -> None:
    rights = rights_of("me", bindings, BUILT_IN)
    assert isinstance(may(rights, verb, target), Allow) == reach(rights, verb).covers(target)


@given(BINDINGS, SOME, TARGETS)
def test_the_reason_is_a_binding_that_does_it_alone(bindings: list[Binding], verb: str, target: Target) -> None:
    found = may(rights_of("me", bindings, BUILT_IN), verb, target)
    if isinstance(found, Allow):
        assert found.by in bindings
        assert isinstance(may(rights_of("me", [found.by], BUILT_IN), verb, target), Allow)


@given(BINDINGS, SOME, TARGETS, st.data())
def test_what_a_denial_names_as_missing_would_do(bindings: list[Binding], verb: str, target: Target, data: st.DataObject) -> None:
    found = may(rights_of("me", bindings, BUILT_IN), verb, target)
    if isinstance(found, Deny):
        more = Binding("more", "me", data.draw(st.sampled_from(found.roles)), data.draw(st.sampled_from(found.parts)))
        assert isinstance(may(rights_of("me", [*bindings, more], BUILT_IN), verb, target), Allow)


@given(BINDINGS, BINDINGS, SOME, TARGETS)
def test_a_binding_more_never_takes_away(some: list[Binding], more: list[Binding], verb: str, target: Target) -> None:
    if isinstance(may(rights_of("me", some, BUILT_IN), verb, target), Allow):
        assert isinstance(may(rights_of("me", [*some, *more], BUILT_IN), verb, target), Allow)


@given(BINDINGS, BINDINGS, SOME, TARGETS)
def test_a_token_may_what_both_it_and_its_owner_may(own: list[Binding], token: list[Binding], verb: str, target: Target) -> None:
    owner, alone = rights_of("me", own, BUILT_IN), rights_of("token", token, BUILT_IN)
    both = isinstance(may(owner, verb, target), Allow) and isinstance(may(alone, verb, target), Allow)
    token_rights = rights_of("token", token, BUILT_IN, within=owner)
    assert isinstance(may(token_rights, verb, target), Allow) == both == reach(token_rights, verb).covers(target)


@given(st.permutations([Binding(str(number), "me", "viewer", Part("site", "a")) for number in range(3)]))
def test_the_same_bindings_in_any_order_give_the_same_reason(bindings: list[Binding]) -> None:
    found = may(rights_of("me", bindings, BUILT_IN), "devices.read", Target(site="a"))
    assert isinstance(found, Allow)
    assert found.by.id == "0"


def test_a_site_is_not_the_fleet_and_not_its_neighbour() -> None:
    rights = rights_of("me", [Binding("1", "me", "site-owner", Part("site", "a"))], BUILT_IN)
    assert isinstance(may(rights, "devices.write", Target(site="a", device="d")), Allow)
    for target in (Target(site="b", device="d"), Target(), Target(app="x"), Target(device="d")):
        assert isinstance(may(rights, "devices.write", target), Deny)


def test_the_roles() -> None:
    assert BUILT_IN["administrator"].verbs == VERBS
    for role in BUILT_IN.values():
        assert role.verbs <= VERBS
        assert role.verbs
    changing = {verb for verb in VERBS if not verb.endswith(".read")} - {"tokens.own", "system.metrics", "images.pull"}
    for name in ("auditor", "viewer"):
        assert not BUILT_IN[name].verbs & changing
    assert not BUILT_IN["engineer"].verbs & {"users.write", "access.write", "settings.write", "system.backup"}
    assert not BUILT_IN["ci"].verbs & {"devices.command", "enrolments.decide"}


def test_a_role_of_ones_own_and_one_that_is_gone() -> None:
    roles = {**BUILT_IN, "logs": Role("logs", "Logs only", frozenset({"devices.command"}))}
    bindings = [Binding("1", "me", "logs", Part("fleet")), Binding("2", "me", "gone", Part("fleet"))]
    assert isinstance(may(rights_of("me", bindings, roles), "devices.command", Target()), Allow)
    assert isinstance(may(rights_of("me", bindings, BUILT_IN), "devices.command", Target()), Deny)


def test_an_unknown_verb_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match=r"devices\.fly"):
        may(rights_of("me", [], BUILT_IN), "devices.fly", Target())


@given(BINDINGS, st.sampled_from(sorted(BUILT_IN)), PARTS, SOME, TARGETS)
def test_nobody_hands_out_what_they_have_not(bindings: list[Binding], role: str, part: Part, verb: str, target: Target) -> None:
    giver = rights_of("me", bindings, BUILT_IN)
    on = {
        "fleet": Target(),
        "site": Target(site=part.id),
        "device": Target(device=part.id),
        "app": Target(app=part.id),
        "group": Target(groups=frozenset({part.id})),
    }
    if not lacking(giver, BUILT_IN[role], on[part.kind]):
        given_to = rights_of("you", [Binding("1", "you", role, part)], BUILT_IN)
        if isinstance(may(given_to, verb, target), Allow):
            assert isinstance(may(giver, verb, target), Allow)


def test_who_is_left_to_change_rights() -> None:
    bindings = [
        Binding("1", "anna", "administrator", Part("fleet")),
        Binding("2", "ops", "administrator", Part("fleet")),
        Binding("3", "carl", "administrator", Part("site", "a")),
        Binding("4", "dora", "engineer", Part("fleet")),
    ]
    assert administrators(bindings, BUILT_IN, {"ops": ["bert", "gone"]}, ["anna", "bert", "carl", "dora"]) == {"anna", "bert"}
    assert administrators(bindings[2:], BUILT_IN, {}, ["carl", "dora"]) == frozenset()
