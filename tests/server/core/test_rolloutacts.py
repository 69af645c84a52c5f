"""What people do to a rollout, two rollouts on one device, approvals, the words of a verdict, and the preflight."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import rolloutacts as acts
from penstock.server.core.approvals import Approval, accept, judge
from penstock.server.core.budget import Limits
from penstock.server.core.courses import ABORTING, EVERYBODY, HALTED, PAUSED, SCHEDULED, tally_of
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Refused
from penstock.server.core.halting import AWAY, EXCUSED, SEEN, SILENT
from penstock.server.core.halting import judge as judge_halt
from penstock.server.core.meeting import BESIDE, REFUSED, SUPERSEDES, Moving, meeting, turn
from penstock.server.core.model import (
    CLAIMED,
    CONFIRMED,
    DONE,
    FAILED,
    LEFT_OUT,
    ORDERED,
    PENDING,
    PINNED,
    REMOVED,
    RUNNING,
    SOAKED,
    STOPPED,
    SUPERSEDED,
    Member,
    Rollout,
    RolloutId,
    Seen,
)
from penstock.server.core.planreading import read
from penstock.server.core.preflight import RISK, STOPS, WAITS, DeviceFacts, preflight
from penstock.server.core.verdicts import WORDS, begun, fine, silence
from penstock.server.core.waves import Candidate
from penstock.wire.log import PHASES
from tests.server.core.waveworld import NEW, OLD

ROLLOUT = Rollout(RolloutId("rol"), "dep", "shop", 1, RUNNING, "it runs", 3, 2, 0)
EVERY_STATE = (PENDING, ORDERED, CLAIMED, CONFIRMED, SOAKED, FAILED, PINNED, REMOVED, LEFT_OUT, SILENT, EXCUSED, AWAY)
WHOLES = (SCHEDULED, RUNNING, PAUSED, HALTED, ABORTING, DONE, STOPPED, SUPERSEDED)


def member(state=ORDERED, device="d", wave=1, why="why", content=NEW, changed=5):
    return Member("rol", device, "shop", wave, content, state, why, changed)


def seen(phase, content=OLD, target=NEW):
    return Seen("shop", phase, content, target, False, False, f"it is {phase}")


@pytest.mark.parametrize("state", WHOLES)
def test_each_act_is_possible_or_says_why_not(state):
    rollout = replace(ROLLOUT, state=state, why="so it stands")
    failed = [member(FAILED), member(SILENT, "e")]
    possible = {
        "pause": (SCHEDULED, RUNNING),
        "resume": (PAUSED, HALTED),
        "abort": (SCHEDULED, RUNNING, PAUSED, HALTED),
        "excuse": (SCHEDULED, RUNNING, PAUSED, HALTED, ABORTING),
        "retry": (SCHEDULED, RUNNING, PAUSED, HALTED, DONE),
        "revert": (RUNNING, PAUSED, HALTED, ABORTING, DONE, STOPPED),
    }
    done = [member(SOAKED)]
    tries = {
        "pause": lambda: acts.pause(rollout, "anna", "shift change"),
        "resume": lambda: acts.resume(rollout, EVERYBODY, failed, "anna", "looked at it"),
        "abort": lambda: acts.abort(rollout, "anna", "wrong release"),
        "excuse": lambda: acts.excuse(rollout, member(), "anna", "its line is down", 9),
        "retry": lambda: acts.retry(rollout, failed, 9),
        "revert": lambda: acts.revert(rollout, done, {"d": acts.Former(OLD)}, {}, "back", 9),
    }
    for name, attempt in tries.items():
        if state in possible[name]:
            attempt()
        else:
            with pytest.raises(Conflict) as refused:
                attempt()
            assert "so it stands" in refused.value.why, name
            assert state in refused.value.why


def test_every_act_wants_a_reason():
    for attempt in (
        lambda: acts.pause(ROLLOUT, "anna", " "),
        lambda: acts.resume(replace(ROLLOUT, state=HALTED), EVERYBODY, [], "anna", ""),
        lambda: acts.abort(ROLLOUT, "anna", "x"),
        lambda: acts.excuse(ROLLOUT, member(), "anna", "  \n ", 9),
    ):
        with pytest.raises(Invalid) as refused:
            attempt()
        assert refused.value.field == "reason"


@given(st.lists(st.sampled_from(EVERY_STATE), max_size=9))
def test_after_a_resume_the_same_failures_never_halt_again(states):
    members = [member(state, f"d{at}") for at, state in enumerate(states)]
    _, course = acts.resume(replace(ROLLOUT, state=HALTED), EVERYBODY, members, "anna", "looked at it")
    rule = read({"waves": [{"rest": True}], "halt": {"failed": 1, "silent": 1}}).halt
    assert not judge_halt(rule, tally_of(members, course), 1).halts
    for one in members:
        if one.state in (FAILED, SILENT):
            assert course.key(one) == (1, one.state + SEEN)
            assert course.key(replace(one, changed_ms=6)) == (1, one.state), "a new failure of the same device counts"


def test_a_retry_is_later_than_the_failure_even_at_the_same_instant():
    (again,) = acts.retry(ROLLOUT, [member(FAILED, changed=9), member(PINNED, "e"), member(SILENT, "f")], 9)
    assert (again.device, again.state, again.changed_ms) == ("d", ORDERED, 10)
    with pytest.raises(Conflict, match="none of these"):
        acts.retry(ROLLOUT, [member(PINNED)], 9)


def test_who_is_done_is_not_excused():
    for state in (SOAKED, REMOVED, EXCUSED, LEFT_OUT):
        with pytest.raises(Conflict):
            acts.excuse(ROLLOUT, member(state), "anna", "its line is down", 9)


def test_going_back_runs_the_waves_the_other_way_and_leaves_what_cannot():
    members = [
        member(SOAKED, "a", 1),
        member(SOAKED, "b", 2),
        member(FAILED, "c", 2, "failed-reverted: its health"),
        member(FAILED, "d", 2, "failed-left: its health"),
        member(ORDERED, "e", 3),
        member(ORDERED, "f", 3),
        member(PENDING, "g", 0),
        member(SOAKED, "h", 1),
        member(SOAKED, "i", 1),
        member(SILENT, "j", 3),
    ]
    former = {name: acts.Former(OLD) for name in "abcdefgj"} | {"h": acts.Former(OLD, ("db",))}
    back = acts.revert(ROLLOUT, members, former, {"e": seen("applying")}, "rol2", 9)
    assert [(one.device, one.wave) for one in back.members] == [("e", 1), ("j", 1), ("b", 2), ("d", 2), ("a", 3)]
    assert {one.content for one in back.members} == {OLD}
    assert back.waves == 3
    assert back.stay == {"h": "the release changed db for good: going back needs a person at the data first", "i": "nobody knows what it ran before"}
    with pytest.raises(Conflict, match="no device has changed"):
        acts.revert(ROLLOUT, [member(PENDING)], former, {}, "rol2", 9)


@pytest.mark.parametrize("state", EVERY_STATE)
def test_an_absence_takes_out_what_has_not_begun_and_gives_it_back(state):
    gone = acts.send_away(member(state), None, "3 May", 9)
    if state in (PENDING, ORDERED, SILENT):
        assert (gone.state, gone.wave) == (AWAY, 0)
        assert "3 May" in gone.why
        back = acts.come_back(gone, 20)
        assert (back.state, back.wave) == (PENDING, 0)
        assert back.why.startswith(acts.RETURNED)
    else:
        assert gone == member(state)
        if state != AWAY:
            assert acts.come_back(gone, 20) == gone
    assert acts.send_away(member(ORDERED), seen("applying"), "3 May", 9) == member(ORDERED)
    for until in (9, 9 + 367 * 86_400_000):
        with pytest.raises(Invalid):
            acts.check_absence(until, 9)


# --- verdicts ---------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(EVERY_STATE),
    st.sampled_from(["failed-left: so", "failed-reverted: so", "rejected: so", "a newer rollout came", "so", ""]),
    st.one_of(st.none(), st.builds(seen, st.sampled_from(PHASES), st.sampled_from([NEW, OLD, ""]), st.sampled_from([NEW, OLD, ""]))),
    st.sampled_from([NEW, ""]),
)
def test_a_verdict_is_one_of_the_words_and_only_the_judged_is_soaked(state, why, look, content):
    found = fine(member(state, why=why, content=content), look)
    assert found.word in WORDS
    assert (found.word == "soaked") == (state in (SOAKED, REMOVED))
    assert found.word.startswith(("failed", "rejected")) == (state in (FAILED, PINNED))
    assert state in (ORDERED, CLAIMED, CONFIRMED, SILENT) or not begun(member(state), look)


def test_the_words_of_what_is_under_way():
    for phase, word in (
        ("fetching", "fetching"),
        ("waiting", "waiting"),
        ("applying", "applying"),
        ("claimed", "claimed"),
        ("reverting", "applying"),
        ("failed", "waiting"),
    ):
        assert fine(member(), seen(phase)).word == word
    assert fine(member(), seen("soaked", OLD, OLD)).word == "waiting"
    assert fine(member(LEFT_OUT, why="a newer rollout of the same deployment came first"), None).word == "superseded"
    assert fine(member(LEFT_OUT, why="no image for its processor"), None).word == "excused"


def test_silence_has_its_own_clock():
    one = member(changed=0)
    assert silence(one, 0, False, 0, 10**9) == silence(one, 0, False, 0, 0)
    assert silence(one, 50_000, True, 60, 100_000).at_ms == 110_000
    assert silence(one, 50_000, True, 60, 110_000).silent
    assert silence(one, 59_000, False, 60, 60_000).why == "it calls, and has said nothing of its order for 1 minute; silence is not success"
    quiet = member(SILENT, changed=70_000)
    assert silence(quiet, 60_000, True, 60, 80_000).silent
    assert silence(quiet, 75_000, False, 60, 80_000).silent
    assert not silence(quiet, 75_000, True, 60, 80_000).silent
    assert not silence(member(SOAKED), 0, True, 60, 10**9).silent


# --- two rollouts -----------------------------------------------------------------------------------------------------

movings = st.builds(
    Moving,
    st.sampled_from(["r1", "r2", "r3", "r4"]),
    st.sampled_from(["dep", "other"]),
    st.sampled_from(["shop", "till"]),
    st.sampled_from([RUNNING, PAUSED, HALTED, ABORTING]),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(movings, movings)
def test_two_that_meet_never_both_go_on_and_the_losing_side_is_told(old, new):
    found = meeting(old, new)
    assert found.outcome in (REFUSED, SUPERSEDES, BESIDE)
    assert (found.outcome == BESIDE) == (old.app != new.app)
    if found.outcome == REFUSED:
        assert old.rollout in found.new_told
        assert found.old_told
    if found.outcome == SUPERSEDES:
        assert new.rollout in found.old_told
        assert found.after == old.begun


def test_the_rule_of_meeting():
    old = Moving("r1", "dep", "shop", HALTED, 1, has_it=True)
    new = Moving("r2", "dep", "shop", RUNNING, 2, has_it=True)
    assert meeting(old, new).outcome == SUPERSEDES
    assert meeting(replace(old, state=ABORTING), new).outcome == REFUSED
    assert meeting(replace(old, back=True), new).outcome == REFUSED
    assert meeting(old, replace(new, deployment="other", has_it=False)).outcome == REFUSED
    assert meeting(replace(old, has_it=False), replace(new, deployment="other")).outcome == SUPERSEDES
    assert "the device ends what it has begun first" in meeting(replace(old, begun=True), new).new_told


@given(st.lists(movings, unique_by=lambda one: one.rollout, max_size=4), st.randoms())
def test_apps_take_turns_on_a_device(moving, chance):
    first, others = turn(moving)
    shuffled = list(moving)
    chance.shuffle(shuffled)
    assert turn(shuffled) == (first, others)
    assert {first, *others} - {""} == {one.rollout for one in moving}
    if any(one.begun for one in moving):
        assert next(one for one in moving if one.rollout == first).begun
    assert all(first in why for why in others.values())


# --- approvals ------------------------------------------------------------------------------------------------------------

RIGHT = ("anna", "ben", "cleo")


def word(by, **more):
    return Approval(by, more.pop("wave", 0), more.pop("of", "plan"), more.pop("at", 0), more.pop("remark", "read it"), **more)


@pytest.mark.parametrize(
    ("said", "enough", "why"),
    [
        ([word("anna"), word("ben")], True, "2 of 2"),
        ([word("anna"), word("anna", at=1)], False, "1 of 2"),
        ([word("anna"), word("author")], False, "that of author does not count: it is the author's own"),
        ([word("anna"), word("dora")], False, "without the right there"),
        ([word("anna"), word("ben", remark=" ")], False, "has no remark"),
        ([word("anna"), word("ben", of="older plan")], False, "for another plan: it has been changed since"),
        ([word("anna"), word("ben", withdrawn=True)], False, "was withdrawn"),
        ([word("anna"), word("ben", person=False)], False, "is a program's"),
        ([word("anna"), word("ben", wave=2)], False, "1 of 2"),
        ([word("anna", at=5000), word("ben", at=-90_000)], False, "ran out"),
        ([word("anna"), word("ben", at=10_001)], False, "in the future"),
    ],
)
def test_who_counts_as_agreeing(said, enough, why):
    found = judge(2, said, wave=0, author="author", entitled=(*RIGHT, "author"), of="plan", valid_s=60, now_ms=10_000)
    assert found.enough == enough
    assert why in found.why
    assert judge(2, list(reversed(said)), wave=0, author="author", entitled=(*RIGHT, "author"), of="plan", valid_s=60, now_ms=10_000) == found


def test_an_approval_ends_when_it_says():
    said = [word("anna", at=0), word("ben", at=20_000), word("cleo", at=30_000)]
    found = judge(2, said, wave=0, author="x", entitled=RIGHT, of="plan", valid_s=60, now_ms=40_000)
    assert (found.enough, found.until_ms) == (True, 80_000)
    assert judge(2, said, wave=0, author="x", entitled=RIGHT, of="plan", valid_s=60, now_ms=79_999).enough
    assert not judge(2, said, wave=0, author="x", entitled=RIGHT, of="plan", valid_s=60, now_ms=80_000).enough


def test_a_word_that_would_not_count_is_refused_as_it_is_given():
    for one, kind in (
        (word("author"), Forbidden),
        (word("dora"), Forbidden),
        (word("anna", remark=""), Invalid),
        (word("anna", of="older"), Conflict),
        (word("ben"), Conflict),
    ):
        with pytest.raises(kind) as refused:
            accept(one, author="author", entitled=(*RIGHT, "author"), of="plan", now_ms=0, said=[word("ben")])
        assert isinstance(refused.value, Refused)
    accept(word("anna"), author="author", entitled=RIGHT, of="plan", now_ms=0, said=[word("ben")])


# --- preflight ------------------------------------------------------------------------------------------------------------


def device(name, site="s", **more):
    away = more.pop("away", 0)
    return DeviceFacts(Candidate(name, site, away_until_ms=away, leaves=more.pop("leaves", False)), name, **more)


def test_the_preflight_names_every_clause():
    fleet = [
        device("a"),
        device("b", liveness="silent"),
        device("c", way_back="missing"),
        device("d", irreversible=("db",)),
        device("e", site="ship", away=100),
        device("f", too_old=True, unfit="its agent is too old"),
        device("g", review="cloned"),
        device("h", moving="rol9"),
        device("i", leaves=True),
        device("j", site="ship", way_back="none"),
        device("k", unfit="no image for its processor"),
    ]
    plan = read(
        {
            "waves": [{"devices": ["a", "b"], "validate_s": 3600}, {"rest": True, "approvals": 2}],
            "start_ms": 50,
            "approvals": 1,
            "halt": {"silent": 0, "silent_percent": 5},
            "long_leave": {"sites": ["ship"], "leave_s": 86_400},
        }
    )
    limits = Limits(fleet=3, sets={"pair": frozenset(("a", "b")), "split": frozenset(("b", "c"))})
    found = preflight(plan, fleet, limits, usual_leave_s=3600, now_ms=10)
    codes = {one.code for one in found}
    assert codes >= {"silent-now", "too-old", "no-way-back", "irreversible", "away", "review", "moving", "to-lose-it", "first-time", "unfit", "scheduled"}
    assert codes >= {"approval", "validation", "budget-below-wave", "set-without-partner", "set-in-one-wave", "set-split", "silence-halts", "long-leave"}
    weights = [one.weight for one in found]
    assert weights == sorted(weights, key=[STOPS, WAITS, RISK, "note"].index)
    by = {one.code: one for one in found}
    assert by["budget-below-wave"].why == "wave 2 has 8 devices and the fleet's budget is 3: they go 3 at a time, each as one before has soaked"
    assert "a of the redundancy set pair cannot be changed: no other member is known to be well" in {one.why for one in found}
    assert by["irreversible"].devices == ("d",)
    assert all(one.why for one in found)


def test_a_sound_rollout_has_nothing_to_say():
    fleet = [device(f"d{at}") for at in range(9)]
    assert preflight(read({"waves": [{"count": 1}, {"rest": True}]}), fleet, Limits(), usual_leave_s=3600, now_ms=10) == ()
    (one,) = preflight(read({"waves": [{"rest": True}]}), fleet, Limits(), usual_leave_s=3600, now_ms=10)
    assert (one.code, one.weight) == ("all-at-once", RISK)
