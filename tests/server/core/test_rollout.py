"""Rollouts as pure decisions: silence is never success, failures count against the leave they happened under, waves open in order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    SETTLED,
    SOAKED,
    STOPPED,
    Member,
    Rollout,
    RolloutId,
    Seen,
)
from penstock.server.core.rollout import Given, Outcome, Standing, verdict
from penstock.server.core.staged import decide
from penstock.wire.log import PHASES

NEW, OLD = "sha256:" + "1" * 64, "sha256:" + "2" * 64
LEAVE_S = 1000
ROLLOUT = Rollout(RolloutId("rol"), "dep", "shop", 1, RUNNING, "", 1, 1, 0)


def member(state=ORDERED, content=NEW, device="d", wave=1, changed=0):
    return Member("rol", device, "shop", wave, content, state, "before", changed)


def seen(phase, content=NEW, target="", **more):
    return Seen("shop", phase, content, target, more.get("pinned", False), more.get("removed", False), f"it is {phase}")


def stand(state=ORDERED, content=NEW, **more):
    return Standing(member(state, content), more.pop("device_state", ACTIVE), more.pop("review", ""), **more)


@pytest.mark.parametrize(
    ("standing", "state"),
    [
        (stand(), ORDERED),
        (stand(liveness="silent"), ORDERED),
        (stand(seen=seen("claimed")), CLAIMED),
        (stand(seen=seen("confirmed")), CONFIRMED),
        (stand(seen=seen("soaked")), SOAKED),
        (stand(seen=seen("soaked", OLD)), ORDERED),
        (stand(seen=seen("soaked", OLD), adopted=True), ORDERED),
        (stand(seen=seen("waiting", OLD, NEW)), ORDERED),
        (stand(seen=seen("applying", OLD, NEW)), ORDERED),
        (stand(seen=seen("claimed", OLD, NEW)), CLAIMED),
        (stand(seen=seen("soaked", OLD, pinned=True)), PINNED),
        (stand(SOAKED, seen=seen("waiting", "", NEW)), ORDERED),
        (stand(SOAKED, seen=seen("failed")), SOAKED),  # a later crash is the status page's, not the rollout's
        (stand(SOAKED, seen=seen("soaked", OLD)), SOAKED),
        (stand(content="", seen=seen("removing")), ORDERED),
        (stand(content="", seen=seen("removed", "", removed=True)), REMOVED),
        (stand(content=""), ORDERED),
        (stand(content="", adopted=True), REMOVED),
        (stand(REMOVED, content="", seen=seen("waiting", OLD)), ORDERED),  # set back: it has again what had been removed
        (stand(device_state=RETIRED), LEFT_OUT),
        (stand(outcome=Outcome(NEW, "failed-reverted", "no", "lev", 5), given=Given("lev", NEW, 1, 10**9)), FAILED),
        (stand(outcome=Outcome(NEW, "failed-reverted", "no", "other", 5), given=Given("lev", NEW, 1, 10**9)), ORDERED),
        (stand(outcome=Outcome(NEW, "rejected", "no", "", 5), given=Given("lev", NEW, 1, 10**9)), FAILED),
        (stand(outcome=Outcome(NEW, "rejected", "no", "", 0), given=Given("lev", NEW, 1, 10**9)), ORDERED),
        (stand(outcome=Outcome(OLD, "failed-reverted", "no", "lev", 5), given=Given("lev", NEW, 1, 10**9)), ORDERED),
        (stand(FAILED, outcome=Outcome(NEW, "failed-reverted", "no", "lev", 5)), FAILED),
        (stand(outcome=Outcome(NEW, "superseded", "no", "lev", 5), given=Given("lev", NEW, 1, 10**9)), ORDERED),
    ],
)
def test_verdicts(standing, state):
    found, why = verdict(standing)
    assert found == state
    assert why


@given(st.sampled_from(PHASES), st.sampled_from([NEW, OLD, ""]), st.sampled_from([NEW, OLD, ""]), st.booleans())
def test_only_the_devices_own_word_about_this_content_is_success(phase, content, target, adopted):
    found, _ = verdict(stand(seen=seen(phase, content, target), adopted=adopted))
    if found == SOAKED:
        assert (phase, content) == ("soaked", NEW)
    if found in (CLAIMED, CONFIRMED):
        assert NEW in (content, target)


def run(standings, rollout=ROLLOUT, now=0):
    counts: dict[tuple[int, str], int] = {}
    for standing in standings:
        key = (standing.member.wave, standing.member.state)
        counts[key] = counts.get(key, 0) + 1
    return decide(rollout, counts, standings, now, LEAVE_S)


def test_leave_is_given_renewed_and_taken_back():
    fresh = run([stand(PENDING)])
    assert (fresh.order, fresh.grant, fresh.not_after_ms) == (("d",), {"d": NEW}, LEAVE_S * 1000)
    assert fresh.again_ms == LEAVE_S * 500
    young = run([stand(given=Given("l", NEW, 0, LEAVE_S * 1000))], now=LEAVE_S * 499)
    assert (young.grant, young.again_ms) == ({}, LEAVE_S * 500)
    assert run([stand(given=Given("l", NEW, 0, LEAVE_S * 1000))], now=LEAVE_S * 501).grant == {"d": NEW}
    assert run([stand(given=Given("l", OLD, 0, LEAVE_S * 1000))]).grant == {"d": NEW}
    given = Given("l", NEW, 0, LEAVE_S * 1000)
    for standing in (
        stand(seen=seen("soaked"), given=given),
        stand(device_state=QUARANTINED, given=given),
        stand(review="look", given=given),
        stand(seen=seen("soaked", OLD, pinned=True), given=given),
        stand(LEFT_OUT, given=given),
    ):
        found = run([standing])
        assert (found.grant, found.revoke) == ({}, ("d",))
    stopped = run([stand(given=given)], replace(ROLLOUT, state=STOPPED))
    assert (stopped.revoke, stopped.state, stopped.members) == (("d",), STOPPED, ())


def test_a_leave_that_ends_is_prolonged_and_one_for_something_else_is_a_new_one():
    held = Given("lev", NEW, 0, LEAVE_S * 1000)
    late = LEAVE_S * 600
    for given_now, renew in ((held, {"d"}), (replace(held, content=OLD), ()), (None, ())):
        found = decide(ROLLOUT, {(1, ORDERED): 1}, [stand(given=given_now)], late, LEAVE_S)
        assert (found.grant, found.renew) == ({"d": NEW}, frozenset(renew))


def test_waves_open_one_after_the_other():
    two = replace(ROLLOUT, waves=2, wave=0)
    first, second = stand(PENDING), Standing(member(PENDING, device="e", wave=2), ACTIVE, "")
    found = run([first, second], two)
    assert (found.order, found.wave, found.state) == (("d",), 1, RUNNING)
    after = replace(two, wave=1)
    for state in (CLAIMED, CONFIRMED, FAILED, PINNED, ORDERED):
        assert run([Standing(member(state), ACTIVE, "", seen=None), second], after).order == ()
    assert run([stand(SOAKED, seen=seen("soaked")), second], after).order == ("e",)
    last_step = run([stand(seen=seen("soaked")), second], after)
    assert last_step.order == ()
    assert last_step.again_ms == 0  # now: the next step opens the wave
    assert last_step.members[0].state == SOAKED


def test_how_the_whole_stands():
    assert run([stand(seen=seen("soaked"))]).state == DONE
    found = run([stand(seen=seen("soaked")), Standing(member(FAILED, device="e"), ACTIVE, ""), Standing(member(device="f"), ACTIVE, "")])
    assert found.state == RUNNING
    assert found.why == "1 of 3 done; 1 failed or went back; 1 under way"
    assert run([Standing(member(LEFT_OUT), ACTIVE, "")]).state == DONE


states = st.sampled_from((PENDING, ORDERED, CLAIMED, CONFIRMED, SOAKED, FAILED, PINNED, REMOVED, LEFT_OUT))
looks = st.one_of(st.none(), st.builds(seen, st.sampled_from(PHASES), st.sampled_from([NEW, OLD]), st.sampled_from(["", NEW, OLD])))
leaves = st.one_of(st.none(), st.builds(Given, st.just("l"), st.sampled_from([NEW, OLD]), st.just(0), st.integers(0, 2_000_000)))


@given(st.lists(st.tuples(states, looks, leaves, st.sampled_from([ACTIVE, QUARANTINED, RETIRED]), st.booleans()), max_size=6), st.integers(0, 1_500_000))
def test_laws_of_leave(many, now):
    standings = [
        Standing(member(state, device=f"d{number}"), plight, "look" if review else "", seen=look, given=given)
        for number, (state, look, given, plight, review) in enumerate(many)
    ]
    found = run(standings, now=now)
    after = {one.device: one.state for one in found.members}
    for standing in standings:
        device = standing.member.device
        state = after.get(device, standing.member.state)
        if device in found.grant:
            assert state not in SETTLED
            assert standing.state == ACTIVE
            assert not standing.review
            assert device not in found.revoke
        if state in SETTLED and standing.given is not None:
            assert device in found.revoke
    # saying the same again changes nothing more, but for those whose turn has only just come
    settled = [replace(one, member=replace(one.member, state=after.get(one.member.device, one.member.state))) for one in standings]
    again = run(settled, replace(ROLLOUT, wave=found.wave, state=RUNNING), now)
    assert {one.device: one.state for one in again.members if one.device not in found.order}.items() <= after.items()
