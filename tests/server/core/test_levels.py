"""Which level's value holds: the most specific, always; clearing restores; the order in which groups are named says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.levels import DEPLOYMENT, LEVELS, ORDER, Ambiguous, Given, Place, chosen, holds, layers, standing

HERE = Place("dev", "ulm", frozenset({"g1", "g2"}))
PARTS = {"fleet": ("",), "group": ("g1", "g2", "g9"), "site": ("ulm", "ham"), "device": ("dev", "other")}
VALUES = st.sampled_from(["a", "b", "c", None])
LINES = st.lists(st.tuples(st.sampled_from([(level, part) for level in LEVELS for part in PARTS[level]]), VALUES), max_size=12)
OWN = st.dictionaries(st.just("X"), st.sampled_from(["d", "e"]))


def history(lines):
    return [Given("shop", at + 1, f"val_{at}", level, part, "X", value) for at, ((level, part), value) in enumerate(lines)]


def says(lines):
    """What each part says in the end, worked out the plain way."""
    return {key: value for key, value in dict(lines).items() if value is not None}


def expected(said, own):
    """The rule in so many words; "?" where groups disagree."""
    if ("device", "dev") in said:
        return said["device", "dev"]
    if ("site", "ulm") in said:
        return said["site", "ulm"]
    groups = {said["group", name] for name in ("g1", "g2") if ("group", name) in said}
    if len(groups) > 1:
        return "?"
    if groups:
        return groups.pop()
    return own.get("X", said.get(("fleet", "")))


def held(lines, own, place=HERE):
    try:
        found = chosen(standing(history(lines)), place, ["X"], own, {})
    except Ambiguous as fault:
        assert fault.name == "X"
        assert set(fault.groups) == {"g1", "g2"}
        return "?"
    return found["X"].value if "X" in found else None


@given(LINES, OWN)
def test_the_most_specific_level_holds(lines, own):
    assert held(lines, own) == expected(says(lines), own)


@given(LINES, OWN, st.sampled_from([(level, part) for level in LEVELS for part in PARTS[level]]), st.sampled_from(["a", "b", "z"]))
def test_clearing_restores_what_was_before_it_was_set(lines, own, key, value):
    before = [one for one in lines if one[0] != key]
    assert held([*before, (key, value), (key, None)], own) == held(before, own)


@given(LINES, OWN)
def test_the_order_of_groups_says_nothing(lines, own):
    swapped = [((level, {"g1": "g2", "g2": "g1"}.get(part, part)), value) for (level, part), value in lines]
    assert held(lines, own) == held(swapped, own)


@given(LINES, OWN)
def test_what_is_said_elsewhere_says_nothing_here(lines, own):
    mine = [one for one in lines if one[0] not in (("group", "g9"), ("site", "ham"), ("device", "other"))]
    assert held(lines, own) == held(mine, own)


@given(LINES, OWN)
def test_layers_are_all_that_is_said_and_the_first_holds(lines, own):
    levels = standing(history(lines))
    found = layers(levels, HERE, "X", own, {})
    assert [ORDER.index(one.level) for one in found] == sorted(ORDER.index(one.level) for one in found)
    said = says(lines)
    assert {(one.level, one.part) for one in found} - {(DEPLOYMENT, "")} == {
        key for key in said if key in (("fleet", ""), ("group", "g1"), ("group", "g2"), ("site", "ulm"), ("device", "dev"))
    }
    assert levels.groups == any(level == "group" for level, _ in said)
    try:
        assert holds(found, "X") == (found[0] if found else None)
    except Ambiguous:
        assert found[0].level == "group"


@given(LINES, st.integers(0, 12))
def test_as_of_a_line_means_the_same_for_ever(lines, at):
    early = standing([one for one in history(lines) if one.number <= at])
    assert early.given == standing(history(lines[:at])).given


def test_a_secret_at_a_level_and_a_value_of_the_deployment_do_not_mix():
    lines = [Given("shop", 1, "v", "site", "ulm", "X", None, "s1")]
    (first, second) = layers(standing(lines), HERE, "X", {}, {"X": "s0"})
    assert (first.version, first.value, second.version) == ("s1", None, "s0")
    with pytest.raises(Ambiguous, match="X"):
        holds(
            layers(standing([Given("shop", 1, "v", "group", "g1", "X", None, "s1"), Given("shop", 2, "w", "group", "g2", "X", None, "s2")]), HERE, "X", {}, {}),
            "X",
        )
