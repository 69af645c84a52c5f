"""The halt rule and the budget by their laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.budget import DRIFT, SLACK_MS, Account, Asking, Limits, Place, Risk, admit, at_risk, check, counts, long_risk
from penstock.server.core.courses import Course, blocking
from penstock.server.core.errors import Invalid
from penstock.server.core.halting import EXCUSED, NEVER, SEEN, SILENT, HaltRule, counts_of, judge, tolerates_silence
from penstock.server.core.model import CLAIMED, CONFIRMED, FAILED, LEFT_OUT, ORDERED, PENDING, PINNED, REMOVED, SOAKED

STATES = (PENDING, ORDERED, CLAIMED, CONFIRMED, SOAKED, FAILED, PINNED, REMOVED, LEFT_OUT, SILENT, EXCUSED, FAILED + SEEN, SILENT + SEEN)
tallies = st.dictionaries(st.tuples(st.integers(0, 3), st.sampled_from(STATES)), st.integers(0, 40), max_size=14)
rules = st.builds(
    HaltRule,
    st.integers(0, 9),
    st.floats(0, 99),
    st.integers(1, 30),
    st.booleans(),
    st.sampled_from([0, 3600]),
    st.integers(0, 5),
    st.floats(0, 99),
)


@given(rules, tallies, st.integers(1, 3), st.integers(1, 3), st.sampled_from([ORDERED, CLAIMED, CONFIRMED, SOAKED, REMOVED]))
def test_more_failures_never_end_a_halt(rule, tally, opened, wave, was):
    before = judge(rule, tally, opened)
    if not tally.get((wave, was)):
        return
    more = {**tally, (wave, was): tally[wave, was] - 1, (wave, FAILED): tally.get((wave, FAILED), 0) + 1}
    assert judge(rule, more, opened).halts or not before.halts


@given(rules, tallies, st.integers(1, 3))
def test_what_is_acknowledged_halts_nothing(rule, tally, opened):
    seen: dict[tuple[int, str], int] = {}
    for (wave, state), number in tally.items():
        key = (wave, state + SEEN if state in (FAILED, PINNED, SILENT) else state)
        seen[key] = seen.get(key, 0) + number
    assert not judge(rule, seen, opened).halts


@given(rules, tallies, st.integers(1, 3), st.integers(1, 500))
def test_who_has_not_answered_dilutes_nothing(rule, tally, opened, crowd):
    """A share is of those that answered: the same answers halt in a wave of five and in a wave of five hundred, once they may be judged."""
    judged = HaltRule(rule.failed, rule.percent, 0, first=rule.first, silence_s=0)
    more = {**tally, (opened, ORDERED): tally.get((opened, ORDERED), 0) + crowd}
    assert judge(judged, more, opened).halts == judge(judged, tally, opened).halts


@given(tallies, st.integers(0, 3))
def test_the_rule_for_everybody_at_once_never_halts(tally, opened):
    assert not judge(NEVER, tally, opened).halts


@given(rules, tallies, st.integers(1, 3))
def test_silence_is_no_answer_and_no_success(rule, tally, opened):
    quiet = {**tally, (opened, SILENT): tally.get((opened, SILENT), 0) + 1}
    before, after = counts_of(tally, range(1, 4)), counts_of(quiet, range(1, 4))
    assert (after.answered, after.soaked, after.failed) == (before.answered, before.soaked, before.failed)
    if not tolerates_silence(rule, quiet, opened):
        assert SILENT in blocking(Course(), quiet, opened)


def test_the_sentences_say_the_counts():
    rule = HaltRule(failed=3, percent=5, percent_from=20)
    found = judge(rule, {(1, SOAKED): 5, (2, SOAKED): 38, (2, FAILED): 1, (2, ORDERED): 20}, 2)
    assert (found.halts, found.why) == (False, "wave 2: 1 of 39 that answered failed; the rule halts at 3 or 5 %")
    found = judge(rule, {(1, SOAKED): 5, (2, SOAKED): 38, (2, FAILED): 2}, 2)
    assert (found.halts, found.why) == (True, "wave 2: 2 of 40 that answered failed; the rule halts at 3 or 5 %")
    found = judge(rule, {(1, SOAKED): 5, (1, FAILED): 1, (2, SOAKED): 97, (2, FAILED): 2}, 2)
    assert found.halts
    assert "nobody has soaked in a wave before" in found.why
    found = judge(HaltRule(silent=1), {(1, SOAKED): 5, (1, SILENT): 2, (1, FAILED + SEEN): 1}, 1)
    assert (found.halts, found.why) == (True, "wave 1: 2 of 7 said nothing in time; the rule halts above 1 silent or 10 % silent")
    found = judge(HaltRule(), {(1, SOAKED): 1, (1, ORDERED): 1}, 1)
    assert found.why == "wave 1: 0 of 1 that answered failed; the rule halts at 5 %, and at the first failure until somebody has soaked in an earlier wave"


def test_a_share_waits_for_enough_answers_but_never_for_more_than_there_can_be():
    rule = HaltRule(percent=20, percent_from=20, first=False)
    assert not judge(rule, {(1, FAILED): 1, (1, ORDERED): 9}, 1).halts
    assert judge(rule, {(1, FAILED): 2, (1, SOAKED): 8}, 1).halts
    assert judge(rule, {(1, FAILED): 2, (1, SOAKED): 7, (1, SILENT): 1}, 1).halts
    assert judge(rule, {(1, FAILED): 4, (1, SOAKED): 16, (1, ORDERED): 9}, 1).halts


# --- budget -----------------------------------------------------------------------------------------------------------

names = [f"d{at}" for at in range(9)]
places = st.fixed_dictionaries({name: st.builds(Place, st.sampled_from(["s", "t"]), st.sets(st.sampled_from(["g", "h"])).map(frozenset)) for name in names})
optional = st.one_of(st.none(), st.integers(1, 4))
some = st.sets(st.sampled_from(names), max_size=9).map(frozenset)
limits = st.builds(
    Limits,
    optional,
    optional,
    optional,
    st.dictionaries(st.sampled_from(["s", "t"]), st.integers(1, 3)),
    st.dictionaries(st.sampled_from(["g", "h"]), st.integers(1, 3)),
    st.dictionaries(st.sampled_from(["x", "y"]), st.sets(st.sampled_from(names), min_size=1, max_size=4).map(frozenset)),
    st.dictionaries(st.sampled_from(["x", "y"]), st.integers(1, 5)),
)


@given(limits, places, some, some, st.lists(st.builds(Asking, st.sampled_from(names), st.integers(0, 3)), unique_by=lambda one: one.device), st.randoms())
def test_laws_of_the_budget(limit, where, risky, unwell, asking, chance):
    account = Account(limit, risky, unwell, where)
    found = admit(asking, account)
    assert {*found.admitted} | found.refused.keys() == {one.device for one in asking}
    assert all(found.refused.values())
    after = risky | {*found.admitted}
    for site in ("s", "t"):
        most = limit.sites.get(site, limit.site)
        before = sum(1 for one in risky if where[one].site == site)
        assert most is None or sum(1 for one in after if where[one].site == site) <= max(most, before)
    for group in ("g", "h"):
        most = limit.groups.get(group, limit.group)
        before = sum(1 for one in risky if group in where[one].groups)
        assert most is None or sum(1 for one in after if group in where[one].groups) <= max(most, before)
    assert limit.fleet is None or len(after) <= max(limit.fleet, len(risky))
    for members in limit.sets.values():
        if (members & after) - risky:
            assert members - after - unwell, "one that is known to be well stays untouched"
    shuffled = list(asking)
    chance.shuffle(shuffled)
    assert admit(shuffled, account) == found
    assert admit(asking, Account(limit, after, unwell, where)).refused == found.refused
    assert all(device in found.admitted for device in risky & {one.device for one in asking})


@given(places, st.lists(st.builds(Asking, st.sampled_from(names), st.integers(0, 50)), unique_by=lambda one: one.device, min_size=1), st.integers(1, 4))
def test_longest_asking_goes_first_and_everybody_has_a_turn(where, asking, most):
    left, turns = list(asking), 0
    while left:
        found = admit(left, Account(Limits(fleet=most), places=where))
        ages = {one.device: one.since_ms for one in left}
        assert all(ages[one] <= min(ages[other] for other in found.refused) for one in found.admitted if found.refused)
        left = [one for one in left if one.device in found.refused]
        turns += 1
    assert turns == -(-len(asking) // most)


def test_even_a_budget_as_large_as_the_set_leaves_one():
    account = Account(Limits(fleet=2, sets={"pair": frozenset(("a", "b"))}, set_limits={"pair": 2}))
    found = admit([Asking("a"), Asking("b")], account)
    assert found.admitted == ("a",)
    assert found.refused["b"] == "waits for its redundancy set pair: no other member is known to be well and untouched (a)"


def test_a_risk_counts_heard_or_not_until_it_has_lapsed_and_its_silence_is_judged():
    risk = Risk("d", DRIFT, authorised_ms=0, not_after_ms=10_000_000, heard_ms=0)
    assert counts(risk, 9_000_000, 3600), "silent for long, and its leave may hold"
    assert counts(risk, 10_000_000 + SLACK_MS, 3600), "its clock may be slow"
    assert not counts(risk, 10_000_001 + SLACK_MS, 3600)
    assert counts(risk, 10**12, 0), "nobody judges its silence"
    assert counts(Risk("d", DRIFT, 0, 1000, heard_ms=10**9), 10**9 + 1000, 3600), "it is heard, and has not said how it ended"
    assert at_risk([risk, Risk("e", DRIFT, 0, 10**9, ended=True), risk], 1, 3600) == {"d"}


def test_limits_that_could_never_act_are_refused():
    pair = frozenset(("a", "b"))
    for limit, field in (
        (Limits(fleet=0), "budget.fleet"),
        (Limits(fleet=10), "budget.fleet"),
        (Limits(site=5), "budget.site"),
        (Limits(sites={"s": 5}), "budget.sites.s"),
        (Limits(sites={"nowhere": 1}), "budget.sites.nowhere"),
        (Limits(groups={"g": 2}), "budget.groups.g"),
        (Limits(sets={"x": frozenset(("a",))}), "budget.sets.x"),
        (Limits(sets={"x": pair}, set_limits={"x": 2}), "budget.set_limits.x"),
    ):
        with pytest.raises(Invalid) as refused:
            check(limit, 10, {"s": 5, "t": 5}, {"g": 2})
        assert refused.value.field == field
        assert refused.value.why
    check(Limits(9, 4, 1, {"s": 2}, {"g": 1}, {"x": pair}, {"x": 1}), 10, {"s": 5, "t": 5}, {"g": 2})


def test_long_leaves_are_told_as_a_number():
    assert long_risk([("a", "s", 3600)], 3600).devices == 0
    found = long_risk([("a", "s", 30 * 86_400), ("b", "s", 30 * 86_400), ("c", "t", 3600)], 3600)
    assert (found.devices, found.sites, found.longest_s) == (2, 1, 30 * 86_400)
    assert found.why == "2 devices at 1 site may still apply up to 30 days after a halt, out of reach"
