"""Groups: who is in by name, who by label, and that nothing else brings a device in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.errors import Invalid
from penstock.server.core.groups import LABELS, MAX_NAMED, NAMED, Group, check, memberships, rule_of

FLEET = {"d1": {"line": "paint"}, "d2": {"line": "press", "spare": "yes"}, "d3": {}}


def group(name="g", selector="", devices=()):
    return Group(name, name, name, selector, tuple(devices), 1)


def test_why_a_device_is_in():
    rule = rule_of(group(selector="line, !spare", devices=["d1", "d3"]))
    assert [rule.ways(device, labels) for device, labels in FLEET.items()] == [(NAMED, LABELS), (), (NAMED,)]


def test_a_group_with_neither_has_nobody():
    assert all(rule_of(group()).ways(device, labels) == () for device, labels in FLEET.items())


SELECTORS = st.sampled_from(["", "line", "line=paint", "!line", "line in (paint, press), !spare", "size=s"])
LABELLED = st.dictionaries(st.sampled_from(["line", "spare", "size"]), st.sampled_from(["paint", "press", "yes", "s"]), max_size=3)


@given(
    st.lists(st.tuples(SELECTORS, st.lists(st.sampled_from(["d1", "d2", "d3", "gone"]), max_size=3)), max_size=4),
    st.dictionaries(st.sampled_from(["d1", "d2", "d3"]), LABELLED),
)
def test_memberships_say_what_each_rule_says_alone(made, fleet):
    groups = [group(f"g{number}", selector, devices) for number, (selector, devices) in enumerate(made)]
    found = memberships(groups, fleet.items())
    assert found.keys() == fleet.keys()
    for device, labels in fleet.items():
        assert found[device] == {one.id for one in groups if rule_of(one).ways(device, labels)}
        for one in groups:
            if device not in one.devices and not one.selector:
                assert one.id not in found[device]


def test_what_is_refused():
    check("", ())
    check("line=3", ("d1",))
    with pytest.raises(Invalid, match="not understood"):
        check("line=", ())
    with pytest.raises(Invalid) as refused:
        check("", ("d",) * (MAX_NAMED + 1))
    assert (refused.value.field, refused.value.code) == ("devices", "group-too-large")
