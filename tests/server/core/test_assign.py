"""Who is owed what: no two deployments share a device, what is assigned stays, and only real changes move anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.assign import claims, describe_conflict, moves
from penstock.server.core.model import FAILED, SOAKED, STANDING, Assignment, Deployment, Plan, Target

DEVICES = [(f"d{number}", {"line": "a" if number % 2 else "b"}) for number in range(6)]


def deployment(name, created):
    return Deployment(name, name, "shop", STANDING, 1, created)


def plan(name, target):
    return Plan(name, 1, "rel", target)


targets = st.one_of(
    st.builds(lambda ids: Target(tuple(ids)), st.lists(st.sampled_from([name for name, _ in DEVICES]), min_size=1)),
    st.sampled_from([Target(selector="line"), Target(selector="line=a")]),
    st.sampled_from([Target(group="g1"), Target(group="g2"), Target(group="nobody's")]),
)
MEMBERS = {"g1": frozenset({"d0", "d3", "elsewhere"}), "g2": frozenset({"d3", "d4"})}


@given(st.lists(targets, min_size=1, max_size=4), st.dictionaries(st.sampled_from([name for name, _ in DEVICES]), st.sampled_from(["p0", "p1", "p2", "p3"])))
def test_laws(wanted, given_out):
    names = [f"p{number}" for number in range(len(wanted))]
    deployments = [deployment(name, number) for number, name in enumerate(names)]
    plans = {name: plan(name, target) for name, target in zip(names, wanted, strict=True)}
    assigned = {device: Assignment(device, "shop", name, 1, "rol", "c") for device, name in given_out.items()}
    found = claims(deployments, plans, DEVICES, assigned, MEMBERS)
    held = [device for devices in found.held.values() for device in devices]
    assert len(held) == len(set(held))
    for name in names:
        target = plans[name].target
        meant = {
            device
            for device, labels in DEVICES
            if device in target.devices
            or device in MEMBERS.get(target.group, ())
            or (target.selector == "line")
            or (target.selector == "line=a" and labels["line"] == "a")
        }
        assert set(found.held[name]) | set(found.conflicts.get(name, ())) == meant
        for device in meant:
            if device in assigned and assigned[device].deployment == name:
                assert device in found.held[name]


def test_the_older_one_comes_first():
    both = {"old": plan("old", Target(selector="line")), "new": plan("new", Target(("d1",)))}
    found = claims([deployment("old", 1), deployment("new", 2)], both, DEVICES, {}, {})
    assert found.held["new"] == ()
    assert found.conflicts == {"new": ("d1",)}


def test_only_what_changes_is_moved():
    assigned = {device: Assignment(device, "shop", "dep", 1, "rol", content) for device, content in (("a", "x"), ("b", "x"), ("c", "y"), ("gone", "x"))}
    found = moves({"a": "x", "b": "x", "c": "x", "new": "x"}, assigned, {"a": SOAKED, "b": FAILED, "c": SOAKED})
    assert (found.move, found.leave, found.same) == ({"b": "x", "c": "x", "new": "x"}, ("gone",), ("a",))


def test_a_conflict_in_words():
    assert describe_conflict((), {}) == ""
    assert describe_conflict(("a",), {"a": "press"}) == "another deployment of this app came first on press"
    assert "and 2 more" in describe_conflict(tuple("abcdefg"), {})
