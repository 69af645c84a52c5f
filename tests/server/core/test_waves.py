"""Plans of staged rollouts: read, refused, and filled wave by wave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.errors import Invalid
from penstock.server.core.planreading import check, read, written
from penstock.server.core.waves import ALL_AT_ONCE, Candidate, caps, fill, join, leave_s_for, preview

HOUR = 3600


def fleet(count, sites=2, **more):
    return [Candidate(f"d{at:02}", f"s{at % sites}", {"line": "paint" if at % 3 == 0 else "press"}, **more) for at in range(count)]


@pytest.mark.parametrize(
    ("plan", "field", "said"),
    [
        ([], "plan", "must be a table"),
        ({}, "waves", "no waves"),
        ({"waves": []}, "waves", "no waves"),
        ({"waves": [{"rest": True}], "hlat": {}}, "hlat", "no word of plan"),
        ({"waves": [{"count": 1}]}, "waves[0]", "last wave is not the rest"),
        ({"waves": [{"rest": True}, {"rest": True}]}, "waves[0].rest", "would have nobody"),
        ({"waves": [{"count": 0}, {"rest": True}]}, "waves[0].count", "between 1"),
        ({"waves": [{"count": "5"}, {"rest": True}]}, "waves[0].count", "whole number"),
        ({"waves": [{"count": True}, {"rest": True}]}, "waves[0].count", "whole number"),
        ({"waves": [{"percent": 0}, {"rest": True}]}, "waves[0].percent", "nobody or of everybody"),
        ({"waves": [{"percent": 100}, {"rest": True}]}, "waves[0].percent", "nobody or of everybody"),
        ({"waves": [{"percent": "5%"}, {"rest": True}]}, "waves[0].percent", "number of percent"),
        ({"waves": [{"percent": float("nan")}, {"rest": True}]}, "waves[0].percent", "number of percent"),
        ({"waves": [{"count": 1, "percent": 5}, {"rest": True}]}, "waves[0]", "exactly one of"),
        ({"waves": [{}, {"rest": True}]}, "waves[0]", "exactly one of"),
        ({"waves": [{"rest": False}]}, "waves[0].rest", "must be true"),
        ({"waves": [{"selector": "a b"}, {"rest": True}]}, "waves[0].selector", "not understood"),
        ({"waves": [{"devices": []}, {"rest": True}]}, "waves[0].devices", "must name somebody"),
        ({"waves": [{"devices": ["a", "a"]}, {"rest": True}]}, "waves[0].devices", "twice"),
        ({"waves": [{"devices": ["a"]}, {"devices": ["a"]}, {"rest": True}]}, "waves[1].devices", "earlier wave"),
        ({"waves": [{"rest": True, "validate_s": 60}]}, "waves[0].validate_s", "nothing comes after"),
        ({"waves": [{"rest": True}], "joiners": "whenever"}, "joiners", "last or end"),
        ({"waves": [{"rest": True}], "approval_s": 60}, "approval_s", "nothing in the plan asks"),
        ({"waves": [{"rest": True}], "halt": {"percent": 100}}, "halt.percent", "everybody has failed"),
        ({"waves": [{"rest": True}], "halt": {"percent": 101}}, "halt.percent", "between 0 and 100"),
        ({"waves": [{"rest": True}], "halt": {"percent": "5 %"}}, "halt.percent", "number of percent"),
        ({"waves": [{"rest": True}], "halt": {"percent": None}}, "halt.percent", "number of percent"),
        ({"waves": [{"rest": True}], "halt": {"percent": 0}}, "halt", "no number of failures would halt"),
        ({"waves": [{"rest": True}], "halt": {"failed": -1}}, "halt.failed", "between 0"),
        ({"waves": [{"rest": True}], "halt": {"first": "yes"}}, "halt.first", "true or false"),
        ({"waves": [{"rest": True}], "halt": {"silence_s": 0}}, "halt.silence_s", "between 60"),
        ({"waves": [{"rest": True}], "halt": {"silent_percent": 100}}, "halt.silent_percent", "too silent"),
        ({"waves": [{"rest": True}], "halt": {"failed": 1}, "failed": "go-on"}, "failed", "first failure"),
        ({"waves": [{"rest": True}], "long_leave": {"sites": ["s"], "leave_s": 60}}, "long_leave.leave_s", "between 3600"),
    ],
)
def test_what_would_be_inert_or_does_not_parse_is_refused_by_field(plan, field, said):
    with pytest.raises(Invalid) as refused:
        read(plan)
    assert refused.value.field == field
    assert said in refused.value.why


@pytest.mark.parametrize(
    ("plan", "count", "field", "said"),
    [
        ({"waves": [{"percent": 5}, {"rest": True}]}, 19, "waves[0].percent", "5 percent of 19 is less than one device"),
        ({"waves": [{"count": 9}, {"rest": True}]}, 9, "waves[1].rest", "the waves before take everybody"),
        ({"waves": [{"count": 9}, {"rest": True}]}, 7, "waves[0].count", "wants 9, and 7 of 7 are left"),
        ({"waves": [{"selector": "line=none"}, {"rest": True}]}, 9, "waves[0].selector", "no device of the rollout meets"),
        ({"waves": [{"site": "nowhere"}, {"rest": True}]}, 9, "waves[0].site", "no device at nowhere"),
        ({"waves": [{"devices": ["d00", "x"]}, {"rest": True}]}, 9, "waves[0].devices", "names 1 that the rollout does not move: x"),
        ({"waves": [{"count": 1}, {"rest": True}]}, 0, "waves", "no device to divide"),
        ({"waves": [{"count": 1}, {"rest": True}], "halt": {"failed": 9}}, 9, "halt.failed", "only when everybody has failed"),
        ({"waves": [{"count": 1}, {"rest": True}], "halt": {"silent": 8}}, 9, "halt.silent", "nobody could ever be too silent"),
        ({"waves": [{"rest": True}], "start_ms": 5}, 9, "start_ms", "in the past"),
        ({"waves": [{"rest": True}], "long_leave": {"sites": ["x"], "leave_s": 86_400}}, 9, "long_leave.sites", "no device at x"),
        ({"waves": [{"rest": True}], "long_leave": {"sites": ["s0"], "leave_s": HOUR}}, 9, "long_leave.leave_s", "holds 3600 already"),
    ],
)
def test_a_plan_that_does_not_fit_the_fleet_is_refused_by_field(plan, count, field, said):
    with pytest.raises(Invalid) as refused:
        check(read(plan), fleet(count), 600, HOUR, 10)
    assert refused.value.field == field
    assert said in refused.value.why


def test_a_soak_of_nothing_proves_nothing():
    plan = read({"waves": [{"count": 1}, {"rest": True}]})
    with pytest.raises(Invalid, match="prove nothing"):
        check(plan, fleet(9), 0, HOUR, 10)
    check(read({"waves": [{"count": 1, "validate_s": 60}, {"rest": True}]}), fleet(9), 0, HOUR, 10)
    assert check(plan, fleet(9), 600, HOUR, 10) == (1, 8)
    assert check(ALL_AT_ONCE, fleet(9), 0, HOUR, 10) == (None,)


WAVE = st.one_of(
    st.builds(lambda number: {"count": number}, st.integers(1, 9)),
    st.builds(lambda share: {"percent": share}, st.floats(0.5, 99)),
    st.just({"selector": "line=paint"}),
    st.just({"site": "s1", "validate_s": 60, "approvals": 1}),
)
PLAN = st.builds(
    lambda waves, joiners: {"waves": [*waves, {"rest": True}], "joiners": joiners, "long_leave": {"sites": ["s0"], "leave_s": 86_400}, "approval_s": 0},
    st.lists(WAVE, max_size=4),
    st.sampled_from(["last", "end"]),
)


@given(PLAN)
def test_what_is_written_is_read_again(plan):
    found = read(plan)
    assert read(written(found)) == found


@given(PLAN, st.integers(1, 40), st.integers(0, 20), st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)), st.randoms())
def test_growth_never_overfills_a_wave_and_everybody_is_in_one(plan, count, joined, gone, late, chance):
    made = read(plan)
    at_first = fleet(count)
    sizes = caps(made, at_first)
    everybody = [*at_first, *[Candidate(f"j{at:02}", f"s{at % 3}", {"line": "paint"}, since_ms=100) for at in range(joined)]]
    for at, one in enumerate(everybody):
        if at in gone:
            everybody[at] = Candidate(one.device, one.site, one.labels, one.since_ms, away_until_ms=10_000)
        elif at in late:
            everybody[at] = Candidate(one.device, one.site, one.labels, one.since_ms, returned=True)
    placed: list[str] = []
    waiting, number = list(everybody), 0
    while number < len(sizes) or any(one.away_until_ms <= 500 for one in waiting):
        number += 1
        chance.shuffle(waiting)
        filled = fill(made, sizes, number, waiting, 50, 500)
        assert filled == fill(made, sizes, number, sorted(waiting, key=lambda one: one.device), 50, 500)
        cap = sizes[min(number, len(sizes)) - 1]
        assert cap is None or len(filled.devices) <= max(1, cap)
        assert number <= len(sizes) or filled.devices, "waves behind the planned ones never stand empty"
        placed += filled.devices
        waiting = [one for one in waiting if one.device in filled.left]
        assert number < 200
    assert len(placed) == len(set(placed))
    assert {one.device for one in everybody} - {*placed} == {one.device for one in everybody if one.away_until_ms > 500}


def test_the_preview_shows_removals_and_who_goes_when():
    many = [*fleet(4), Candidate("gone", "s0", leaves=True), Candidate("sea", "s9", away_until_ms=10**9)]
    found = preview(read({"waves": [{"site": "s0"}, {"rest": True}]}), many, 0)
    assert [(one.number, one.devices) for one in found] == [(1, ("d00", "d02", "gone")), (2, ("d01", "d03"))]
    assert found[0].why == "wave 1: 3 devices, 1 of them to lose the app"
    assert found[1].left == ("sea",)


def test_joiners_enter_the_last_open_wave_while_it_has_room_or_wait():
    last, end = ({"waves": [{"count": 3}, {"rest": True}], "joiners": joiners} for joiners in ("last", "end"))
    one = Candidate("new", "s0", since_ms=99)
    assert join(read(last), (3, 6), 1, 2, one, 100)[0] == 1
    for plan, sizes, wave, holds, who, said in (
        (last, (3, 6), 1, 3, one, "wave 1 is full: the plan says 3"),
        (end, (3, 6), 1, 2, one, "waits for the end"),
        (last, (3, 6), 0, 0, one, "waits for a wave to open"),
        (last, (3, 6), 1, 2, Candidate("new", "s0", away_until_ms=101), "declared away"),
        (last, (3, 6), 1, 2, Candidate("new", "s0", returned=True), "wave of its own"),
        ({"waves": [{"site": "s1"}, {"rest": True}], "joiners": "last"}, (3, 6), 1, 2, one, "not for it"),
    ):
        number, why = join(read(plan), sizes, wave, holds, who, 100)
        assert number == 0
        assert said in why
    assert join(ALL_AT_ONCE, (None,), 1, 10**6, one, 100)[0] == 1


def test_long_leaves_hold_where_the_plan_says():
    plan = read({"waves": [{"rest": True}], "long_leave": {"sites": ["ship"], "leave_s": 86_400}})
    assert (leave_s_for(plan, "ship", HOUR), leave_s_for(plan, "plant", HOUR), leave_s_for(ALL_AT_ONCE, "ship", HOUR)) == (86_400, HOUR, HOUR)
