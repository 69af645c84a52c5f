"""A staged rollout step by step, and the all-at-once plan against what was decided before there were waves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import rolloutacts as acts
from penstock.server.core.budget import OPEN_ACCOUNT, Account, Limits
from penstock.server.core.courses import ABORTING, EVERYBODY, HALTED, PAUSED, SCHEDULED, Course
from penstock.server.core.halting import EXCUSED, SILENT
from penstock.server.core.model import (
    ACTIVE,
    CLAIMED,
    CONFIRMED,
    DONE,
    FAILED,
    LEFT_OUT,
    ORDERED,
    PENDING,
    PINNED,
    QUARANTINED,
    REMOVED,
    RETIRED,
    RUNNING,
    SOAKED,
    STOPPED,
    SUPERSEDED,
    Member,
    Rollout,
    RolloutId,
    Seen,
)
from penstock.server.core.rollout import Given, Outcome, Standing
from penstock.server.core.staged import decide
from penstock.server.core.waves import ALL_AT_ONCE
from penstock.wire.log import PHASES, VERDICTS
from tests.server.core import todays
from tests.server.core.waveworld import HOUR, LEAVE_S, NEW, OLD, START, world

THREE = {"waves": [{"count": 1}, {"count": 2}, {"rest": True}]}

# --- as before --------------------------------------------------------------------------------------------------------

states = st.sampled_from((PENDING, ORDERED, CLAIMED, CONFIRMED, SOAKED, FAILED, PINNED, REMOVED, LEFT_OUT))
contents = st.sampled_from([NEW, OLD, ""])
looks = st.one_of(
    st.none(), st.builds(Seen, st.just("shop"), st.sampled_from(PHASES), contents, contents, st.booleans(), st.booleans(), st.sampled_from(["", "why"]))
)
leaves = st.one_of(st.none(), st.builds(Given, st.sampled_from("lm"), contents, st.integers(0, 9), st.integers(0, 2_000_000)))
outcomes = st.one_of(st.none(), st.builds(Outcome, contents, st.sampled_from(VERDICTS), st.just("so"), st.sampled_from(["", "l", "m"]), st.integers(0, 9)))
standings = st.builds(
    Standing,
    st.builds(Member, st.just("rol"), st.just("d"), st.just("shop"), st.integers(1, 3), contents, states, st.just("before"), st.integers(0, 9)),
    st.sampled_from([ACTIVE, QUARANTINED, RETIRED]),
    st.sampled_from(["", "", "look"]),
    st.booleans(),
    looks,
    outcomes,
    leaves,
    st.sampled_from(["current", "late", "silent", "never"]),
)
many = st.lists(standings, max_size=7).map(lambda found: [replace(one, member=replace(one.member, device=f"d{at}")) for at, one in enumerate(found)])
whole = st.sampled_from([RUNNING, RUNNING, RUNNING, DONE, STOPPED, SUPERSEDED])


@given(many, many, whole, st.integers(0, 3), st.integers(1, 3), st.integers(0, 1_500_000))
def test_everybody_at_once_is_decided_exactly_as_before(looked, others, state, wave, waves, now):
    rollout = Rollout(RolloutId("rol"), "dep", "shop", 1, state, "before", waves, wave, 0)
    counts: dict[tuple[int, str], int] = {}
    for one in (*looked, *others):
        key = (one.member.wave, one.member.state)
        counts[key] = counts.get(key, 0) + 1
    before = todays.decide(rollout, counts, looked, now, LEAVE_S)
    for course, account in ((EVERYBODY, OPEN_ACCOUNT), (Course(ALL_AT_ONCE), Account())):
        after = decide(rollout, counts, looked, now, LEAVE_S, course, account)
        assert after == before, "and nothing that only waves and budgets say"


# --- waves ------------------------------------------------------------------------------------------------------------


def test_a_rollout_in_three_waves_from_beginning_to_end():
    fleet = world(6, THREE)
    for number, names in ((1, ["d00"]), (2, ["d01", "d02"]), (3, ["d03", "d04", "d05"])):
        found = fleet.step()
        assert sorted(found.grant) == names
        assert fleet.rollout.wave == number
        for name in names:
            fleet.through(name)
    assert fleet.step().state == DONE
    assert fleet.rollout.why == "6 of 6 done"
    assert not fleet.opened_over


def test_validation_waits_after_the_soak_and_says_so():
    fleet = world(3, {"waves": [{"site": "s0", "validate_s": 7200}, {"rest": True}]}, sites=3)
    fleet.step()
    fleet.through("d00")
    found = fleet.step()
    assert (found.opens, found.again_ms, fleet.rollout.wave) == (0, START + 2 * HOUR, 1)
    assert "wave 2 opens in 2 hours, after its time of validation" in found.why
    fleet.now_ms = found.again_ms
    assert sorted(fleet.step().grant) == ["d01", "d02"]


def test_the_scheduled_start_and_approvals_are_waited_for():
    fleet = world(3, {**THREE, "start_ms": START + HOUR, "approvals": 2, "waves": [{"count": 1}, {"rest": True, "approvals": 1}]})
    fleet.rollout = replace(fleet.rollout, state=SCHEDULED)
    assert fleet.step().why == "waits for 2 approvals before it starts"
    fleet.course = replace(fleet.course, agreed=frozenset((0,)))
    found = fleet.step()
    assert (found.state, found.why, found.again_ms) == (SCHEDULED, "starts in 1 hour", START + HOUR)
    fleet.now_ms = START + HOUR
    assert sorted(fleet.step().grant) == ["d00"]
    fleet.through("d00")
    assert "wave 2 waits for 1 approval" in fleet.step().why
    fleet.course = replace(fleet.course, agreed=frozenset((0, 2)))
    assert sorted(fleet.step().grant) == ["d01", "d02"]


def test_the_first_failure_halts_and_nothing_more_is_given():
    fleet = world(6, {"waves": [{"count": 3}, {"rest": True}]})
    fleet.step()
    fleet.call("d01")
    fleet.through("d00", "failed-reverted")
    found = fleet.step()
    assert found.state == HALTED
    assert found.why == "wave 1: 1 of 1 that answered failed; nobody has soaked in a wave before, so the first failure halts"
    assert not found.grant
    assert set(found.revoke) == {"d00", "d01", "d02"}
    fleet.now_ms += HOUR
    for name in ("d01", "d02"):
        fleet.call(name)
    again = fleet.step()
    assert (again.state, again.grant, again.opens) == (HALTED, {}, 0)
    assert not any(device.may_begin(fleet.now_ms) for device in fleet.devices.values())


def test_resuming_acknowledges_and_a_new_failure_halts_again():
    fleet = world(6, {"waves": [{"count": 3}, {"rest": True}]})
    fleet.step()
    fleet.through("d00", "failed-reverted")
    fleet.step()
    fleet.rollout, fleet.course = acts.resume(fleet.rollout, fleet.course, fleet.members.values(), "anna", "a broken disk")
    found = fleet.step()
    assert (found.state, sorted(found.grant)) == (RUNNING, ["d01", "d02"])
    fleet.through("d01")
    fleet.through("d02")
    found = fleet.step()
    assert (found.opens, fleet.rollout.wave) == (0, 1)
    assert "1 failed (retry or excuse)" in found.why
    (again,) = acts.retry(fleet.rollout, [fleet.members["d00"]], fleet.now_ms)
    fleet.members["d00"] = again
    fleet.now_ms += 1000
    assert sorted(fleet.step().grant) == ["d00"]
    fleet.through("d00", "failed-left")
    found = fleet.step()
    assert found.state == HALTED
    assert "1 of 3 that answered failed" in found.why


def test_a_device_that_has_begun_keeps_its_leave_through_a_pause_and_ends():
    fleet = world(4, {"waves": [{"count": 2}, {"rest": True}]})
    fleet.step()
    fleet.call("d00")
    fleet.begin("d00")
    fleet.call("d00")
    fleet.rollout = acts.pause(fleet.rollout, "anna", "shift change")
    found = fleet.step()
    assert found.revoke == ("d01",)
    assert found.state == PAUSED
    fleet.end("d00")
    fleet.call("d00")
    fleet.step()
    assert fleet.states()["d00"] == SOAKED
    fleet.now_ms += 100 * HOUR
    assert not fleet.step().grant


def test_an_abort_ends_when_what_began_has_ended():
    fleet = world(4, {"waves": [{"count": 3}, {"rest": True}]})
    fleet.step()
    for name in ("d00", "d01"):
        fleet.call(name)
    fleet.begin("d00")
    fleet.call("d00")
    fleet.devices["d01"].dark = True
    fleet.rollout = acts.abort(fleet.rollout, "anna", "wrong release")
    found = fleet.step()
    assert found.state == ABORTING
    assert fleet.states() == {"d00": ORDERED, "d01": ORDERED, "d02": ORDERED, "d03": EXCUSED}
    fleet.call("d02")
    fleet.end("d00")
    fleet.call("d00")
    found = fleet.step()
    assert fleet.states() == {"d00": SOAKED, "d01": ORDERED, "d02": EXCUSED, "d03": EXCUSED}
    assert found.state == ABORTING
    fleet.now_ms = found.again_ms
    assert fleet.step().state == STOPPED
    assert fleet.rollout.why.startswith("aborted; 1 of 4 done; 3 excused")


def test_an_abort_does_not_wait_for_ever_for_a_device_that_went_dark_while_it_changed():
    fleet = world(2, {"waves": [{"count": 1}, {"rest": True}], "halt": {"silence_s": 3600}})
    fleet.step()
    fleet.call("d00")
    fleet.begin("d00")
    fleet.call("d00")
    fleet.devices["d00"].dark = True
    fleet.rollout = acts.abort(fleet.rollout, "anna", "wrong release")
    for _ in range(10):
        found = fleet.step()
        if found.state == STOPPED:
            break
        assert found.again_ms > fleet.now_ms
        fleet.now_ms = found.again_ms
    assert fleet.rollout.state == STOPPED
    assert "1 silent" in fleet.rollout.why


def test_the_budget_gives_leave_piece_by_piece_and_says_so():
    fleet = world(5, {"waves": [{"count": 1}, {"rest": True}]}, Limits(fleet=2))
    fleet.step()
    fleet.through("d00")
    found = fleet.step()
    assert sorted(found.grant) == ["d01", "d02"]
    assert fleet.members["d03"].why == "waits for the budget: 2 of at most 2 devices of the fleet are at risk now"
    assert fleet.look().members == ()
    fleet.through("d01")
    assert fleet.once(None).again_ms == fleet.now_ms
    assert sorted(fleet.step().grant) == ["d03"]


def test_a_long_leave_is_given_where_the_plan_says_so():
    fleet = world(4, {"waves": [{"count": 1}, {"rest": True}], "long_leave": {"sites": ["s0"], "leave_s": 30 * 86_400}}, sites=2)
    found = fleet.step()
    assert found.until == {"d00": START + 30 * 86_400_000}
    fleet.through("d00")
    found = fleet.step()
    assert sorted(found.until) == ["d02"]


def test_a_silent_device_gets_no_more_leave_and_goes_on_when_it_is_heard():
    fleet = world(30, {"waves": [{"count": 20}, {"rest": True}], "halt": {"silence_s": 7200}})
    fleet.step()
    fleet.devices["d07"].dark = True
    for name in list(fleet.given):
        fleet.through(name)
    fleet.now_ms += 2 * HOUR
    found = fleet.step()
    assert fleet.states()["d07"] == SILENT
    assert fleet.members["d07"].why == "last heard 2 hours ago; the plan gives it 2 hours, and silence is not success"
    assert fleet.rollout.wave == 2
    assert "d07" not in fleet.given
    fleet.devices["d07"].dark = False
    fleet.now_ms += 1000
    fleet.call("d07")
    assert "d07" in fleet.step().grant
    fleet.through("d07")
    fleet.step()
    assert fleet.states()["d07"] == SOAKED
    assert found.state == RUNNING


@pytest.mark.parametrize("state", [PAUSED, HALTED, ABORTING, STOPPED, SUPERSEDED])
@given(many, st.integers(1, 3), st.integers(0, 1_500_000))
def test_what_does_not_run_gives_nothing(state, found, wave, now):
    rollout = Rollout(RolloutId("rol"), "dep", "shop", 1, state, "before", 3, wave, 0)
    for course in (EVERYBODY, Course(world(6, THREE).course.plan)):
        decision = decide(rollout, {}, found, now, LEAVE_S, course)
        assert (decision.grant, decision.order, decision.opens, decision.renew) == ({}, (), 0, frozenset())


def test_a_lapsed_leave_is_prolonged_only_where_the_budget_lets_it():
    plan = Course(world(6, THREE).course.plan)
    rollout = Rollout(RolloutId("rol"), "dep", "shop", 1, RUNNING, "", 3, 1, 0)
    one = Standing(Member("rol", "d", "shop", 1, NEW, ORDERED, "why", 0), ACTIVE, "", True, None, None, Given("lev", NEW, 0, 10_000), heard_ms=10_000)
    full = Account(Limits(fleet=1), frozenset(("e",)))
    found = decide(rollout, {(1, ORDERED): 2}, [one], 10_000, 10, plan, full)
    assert (found.grant, list(found.held)) == ({}, ["d"])
    found = decide(rollout, {(1, ORDERED): 2}, [one], 9_000, 10, plan, full)
    assert found.renew == {"d"}, "it holds leave, and counts already"
    found = decide(rollout, {(1, ORDERED): 2}, [one], 10_000, 10, plan, replace(full, at_risk=frozenset(("d",))))
    assert found.renew == {"d"}


def test_who_falls_silent_in_this_very_step_stands_for_nobody():
    fleet = world(2, {"waves": [{"rest": True}], "halt": {"silence_s": 7200, "silent_percent": 0}}, Limits(sets={"pair": frozenset(("d00", "d01"))}))
    assert sorted(fleet.step().grant) == ["d00"]
    fleet.call("d00")
    fleet.begin("d00")
    fleet.devices["d00"].dark = True
    fleet.now_ms += 30 * HOUR
    fleet.call("d01")
    assert "d00" not in fleet.account().at_risk
    found = fleet.step()
    assert fleet.states()["d00"] == SILENT
    assert not found.grant
    assert "no other member is known to be well" in fleet.members["d01"].why
