"""What other systems got wrong about rollouts, one test for each: the name says whose trap it is and what happened there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.server.core import rolloutacts as acts
from penstock.server.core.budget import Limits
from penstock.server.core.courses import ABORTING, HALTED
from penstock.server.core.errors import Invalid
from penstock.server.core.halting import AWAY, SILENT, HaltRule, judge
from penstock.server.core.model import CLAIMED, CONFIRMED, DONE, FAILED, ORDERED, RUNNING, SOAKED, STOPPED, Seen
from penstock.server.core.planreading import read
from penstock.server.core.preflight import preflight
from penstock.server.core.verdicts import fine
from tests.server.core.test_rolloutacts import device
from tests.server.core.waveworld import HOUR, NEW, OLD, START, world

TWO = {"waves": [{"count": 2}, {"rest": True}]}
PATIENT = {"silence_s": 7200}


def test_hawkbit_3185_success_posted_and_then_the_old_slot_boots_opens_no_wave():
    fleet = world(4, TWO)
    fleet.step()
    fleet.through("d01")
    for phase in ("claimed", "confirmed"):
        fleet.devices["d00"].told = Seen("shop", phase, NEW, "", False, False, phase)
        assert fleet.step().opens == 0
    assert fleet.states()["d00"] == CONFIRMED
    fleet.devices["d00"].told = Seen("shop", "waiting", OLD, NEW, False, False, "the old one runs again")
    fleet.step()
    assert fleet.rollout.wave == 1
    assert fleet.states()["d00"] == ORDERED


def test_hawkbit_693_a_device_that_never_reports_is_not_under_way_for_ever():
    fleet = world(4, {**TWO, "halt": PATIENT})
    fleet.step()
    for _ in range(9):
        fleet.devices["d00"].heard_ms = fleet.now_ms = fleet.now_ms + HOUR  # it polls, and says nothing
        fleet.step()
    assert fleet.states()["d00"] == SILENT
    assert "it calls, and has said nothing of its order" in fleet.members["d00"].why


def test_hawkbit_halts_too_late_since_the_silent_and_the_untouched_dilute_the_share():
    rule = HaltRule(percent=10, percent_from=5, first=False)
    assert judge(rule, {(1, FAILED): 1, (1, SOAKED): 9, (1, ORDERED): 400, (0, "pending"): 5000}, 1).halts


def test_hawkbit_confirmation_an_unanswered_question_is_told_as_waiting_with_its_why():
    fleet = world(4, TWO)
    fleet.step()
    fleet.devices["d00"].told = Seen("shop", "waiting", OLD, NEW, False, False, "waits for the window that opens at 22:00")
    fleet.step()
    found = fine(fleet.members["d00"], fleet.devices["d00"].told)
    assert (found.word, found.why) == ("waiting", "waits for the window that opens at 22:00")


def test_hawkbit_zephyr_89530_an_abort_is_never_stuck_for_want_of_an_answer():
    fleet = world(4, TWO)
    fleet.step()
    fleet.call("d00")
    for one in fleet.devices.values():
        one.dark = True
    fleet.rollout = acts.abort(fleet.rollout, "anna", "wrong release")
    steps = 0
    while fleet.rollout.state == ABORTING:
        found = fleet.step()
        fleet.now_ms = found.again_ms or fleet.now_ms
        steps += 1
        assert steps < 10
    assert fleet.rollout.state == STOPPED


def test_fleet_594_one_of_fifty_dark_the_others_finish_and_it_is_told_as_dark():
    fleet = world(50, {"waves": [{"count": 10}, {"percent": 40}, {"rest": True}], "halt": PATIENT})
    fleet.devices["d33"].dark = True
    for _ in range(8):
        fleet.step()
        for name in list(fleet.given):
            fleet.through(name)
        fleet.now_ms += HOUR
    assert fleet.rollout.state == DONE
    assert fleet.states()["d33"] == SILENT
    assert fleet.rollout.why == "49 of 50 done; 1 silent"
    assert sum(1 for state in fleet.states().values() if state == SOAKED) == 49


def test_fleet_594_a_dark_device_in_the_first_wave_holds_up_the_next_but_not_its_own():
    fleet = world(6, {"waves": [{"count": 2}, {"rest": True}], "halt": {**PATIENT, "silent_percent": 0}})
    fleet.devices["d00"].dark = True
    fleet.step()
    fleet.through("d01")
    fleet.now_ms += 3 * HOUR
    found = fleet.step()
    assert (found.state, fleet.states()["d01"], fleet.rollout.wave) == (RUNNING, SOAKED, 1)
    assert "1 silent (excuse, or wait for it)" in found.why
    fleet.members["d00"] = acts.excuse(fleet.rollout, fleet.members["d00"], "anna", "its line is down", fleet.now_ms)
    assert fleet.step().grant
    assert fleet.rollout.wave == 2


def test_fleet_default_thresholds_that_make_the_gate_inert_do_not_exist():
    plan = read(TWO)
    assert judge(plan.halt, {(1, FAILED): 1, (1, ORDERED): 1}, 1).halts
    assert judge(plan.halt, {(1, SOAKED): 2, (2, FAILED): 1, (2, SOAKED): 19}, 2).halts


@pytest.mark.parametrize("halt", [{"percent": "5%"}, {"percent": "five"}, {"failed": "3"}, {"failed": 2.5}, {"percent": None}, {"procent": 5}])
def test_fleet_a_threshold_that_does_not_parse_is_refused_and_never_fails_open(halt):
    with pytest.raises(Invalid) as refused:
        read({**TWO, "halt": halt})
    assert refused.value.field.startswith("halt.")


def test_fleet_4144_a_rollout_with_healthy_devices_is_never_stuck():
    fleet = world(12, {"waves": [{"count": 1}, {"percent": 50}, {"rest": True}]}, Limits(fleet=2, site=1), sites=3)
    for _ in range(40):
        fleet.step()
        for name in list(fleet.given):
            fleet.through(name)
        if fleet.rollout.state == DONE:
            break
    assert fleet.rollout.why == "12 of 12 done"


def test_fleet_208_every_clause_that_could_stop_it_is_named_before_the_start():
    found = preflight(read(TWO), [device("a", liveness="silent"), device("b"), device("c", review="cloned")], Limits(), usual_leave_s=3600, now_ms=0)
    assert {"silent-now", "review"} <= {one.code for one in found}


def test_mender_a_group_that_grows_does_not_overfill_a_wave():
    fleet = world(10, {"waves": [{"percent": 20}, {"percent": 30}, {"rest": True}], "joiners": "last"})
    fleet.step()
    for at in range(30):
        fleet.late(f"n{at:02}", "s0")
    for _ in range(40):
        fleet.step()
        for name in list(fleet.given):
            fleet.through(name)
        if fleet.rollout.state == DONE:
            break
    held: dict[int, int] = {}
    for member in fleet.members.values():
        held[member.wave] = held.get(member.wave, 0) + 1
    assert [held[wave] for wave in (1, 2, 3)] == [2, 3, 5]
    assert max(held.values()) == 5
    assert fleet.rollout.why == "40 of 40 done"


def test_mender_deployments_158_a_device_without_an_image_is_not_pending_for_ever():
    fleet = world(3, TWO)
    fleet.members["d00"] = replace(fleet.members["d00"], wave=1, state="left-out", content="", why="no image for its processor")
    fleet.rollout = replace(fleet.rollout, wave=1)
    for _ in range(3):
        fleet.step()
        for name in list(fleet.given):
            fleet.through(name)
    assert (fleet.rollout.state, fleet.rollout.why) == (DONE, "2 of 3 done; 1 left out")
    assert fine(fleet.members["d00"], None).word == "excused"


def test_greengrass_1161_a_broken_one_ends_and_a_repaired_release_takes_over_from_the_halt():
    fleet = world(4, TWO)
    fleet.step()
    fleet.through("d00", "failed-left")
    fleet.step()
    assert fleet.rollout.state == HALTED
    assert fleet.states()["d00"] == FAILED
    assert fine(fleet.members["d00"], None).word == "failed-left"
    fleet.rollout, fleet.course = acts.resume(fleet.rollout, fleet.course, fleet.members.values(), "anna", "seen to")
    assert fleet.step().state == RUNNING


def test_open_horizon_3577_a_redundancy_set_is_judged_by_what_runs_not_by_what_was_agreed():
    pair = frozenset(("d00", "d01"))
    fleet = world(2, {"waves": [{"rest": True}]}, Limits(sets={"pair": pair}))
    assert sorted(fleet.step().grant) == ["d00"]
    for phase in ("claimed", "confirmed"):
        fleet.devices["d00"].told = Seen("shop", phase, NEW, "", False, False, phase)
        assert not fleet.step().grant
    assert fleet.states()["d00"] in (CLAIMED, CONFIRMED)
    fleet.devices["d00"].told = None
    fleet.through("d00")
    assert sorted(fleet.step().grant) == ["d01"]


def test_open_horizon_3577_a_member_that_was_left_broken_protects_nobody():
    fleet = world(
        2,
        {"waves": [{"rest": True}], "failed": "go-on", "halt": {"failed": 0, "percent": 99, "first": False}},
        Limits(sets={"pair": frozenset(("d00", "d01"))}),
    )
    fleet.step()
    fleet.through("d00", "failed-left")
    assert not fleet.step().grant
    assert "no other member is known to be well" in fleet.members["d01"].why


def test_open_horizon_3769_away_for_long_misses_nothing():
    fleet = world(4, TWO)
    for name in ("d00", "d03"):
        fleet.members[name] = acts.send_away(fleet.members[name], None, "3 May", START)
    for _ in range(4):
        fleet.step()
        for name in list(fleet.given):
            fleet.through(name)
    assert fleet.rollout.state == DONE
    assert fleet.rollout.why == "2 of 4 done; 2 away"
    assert fleet.states()["d00"] == AWAY
    fleet.now_ms += 1000 * HOUR
    for name in ("d00", "d03"):
        fleet.members[name] = acts.come_back(fleet.members[name], fleet.now_ms)
        fleet.devices[name].heard_ms = fleet.now_ms
    assert sorted(fleet.step().grant) == ["d00", "d03"]
    assert fleet.members["d00"].wave > 2, "a wave of their own"


def test_komodo_1576_offline_devices_are_passed_over_and_do_not_fail_the_whole():
    fleet = world(20, {"waves": [{"rest": True}], "halt": {**PATIENT, "silent": 2}})
    for name in ("d01", "d02"):
        fleet.devices[name].dark = True
    fleet.step()
    for name in list(fleet.given):
        fleet.through(name)
    fleet.now_ms += 3 * HOUR
    assert fleet.step().state == DONE
    assert fleet.rollout.why == "18 of 20 done; 2 silent"


def test_arcane_1311_a_claim_without_the_digest_running_is_no_success():
    fleet = world(4, TWO)
    fleet.step()
    fleet.devices["d00"].told = Seen("shop", "soaked", OLD, NEW, False, False, "healthy")
    fleet.step()
    assert fleet.states()["d00"] == ORDERED


def test_arcane_4149_patience_that_runs_out_is_silence_and_not_failure():
    fleet = world(4, {**TWO, "halt": {**PATIENT, "silent_percent": 0}})
    fleet.step()
    fleet.devices["d00"].dark = True
    fleet.now_ms += 3 * HOUR
    assert fleet.step().state == RUNNING
    assert fleet.states()["d00"] == SILENT


def test_adopted_dark_halted_and_then_its_window_opens():
    fleet = world(6, {"waves": [{"count": 3}, {"rest": True}]})
    fleet.step()
    fleet.call("d01")
    fleet.devices["d01"].dark = True
    fleet.through("d00", "failed-reverted")
    fleet.step()
    assert fleet.rollout.state == HALTED
    assert fleet.devices["d01"].may_begin(fleet.now_ms), "a halt does not reach it, and is not said to"
    assert "d01" in fleet.account().at_risk, "so it counts"
    fleet.now_ms += 2 * HOUR
    assert not fleet.begin("d01"), "its leave has lapsed"


def test_meshanics_resume_does_not_halt_again_by_the_failures_already_seen():
    fleet = world(9, {"waves": [{"count": 4}, {"rest": True}]})
    fleet.step()
    for name in ("d00", "d01"):
        fleet.through(name, "failed-reverted")
    fleet.step()
    fleet.rollout, fleet.course = acts.resume(fleet.rollout, fleet.course, fleet.members.values(), "anna", "two broken disks")
    for _ in range(3):
        assert fleet.step().state == RUNNING
    fleet.through("d02")
    assert fleet.step().state == RUNNING
    fleet.through("d03", "failed-reverted")
    assert fleet.step().state == HALTED


def test_a_canary_that_was_excused_has_proven_nothing():
    fleet = world(9, {"waves": [{"count": 1}, {"count": 3}, {"rest": True}]})
    fleet.step()
    fleet.members["d00"] = acts.excuse(fleet.rollout, fleet.members["d00"], "anna", "its line is down", fleet.now_ms)
    fleet.step()
    assert fleet.rollout.wave == 2
    fleet.through("d01")
    fleet.step()
    fleet.through("d02", "failed-reverted")
    assert fleet.step().state == HALTED
    assert "the first failure halts" in fleet.rollout.why
