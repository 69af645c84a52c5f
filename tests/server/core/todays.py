"""The step of a rollout as it was before there were waves: kept as it stood, to compare with.

Owns nothing of the product. `staged.decide` with everybody at once must decide what this decides, on any input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.server.core.model import ACTIVE, DONE, FAILED, LEFT_OUT, ORDERED, PENDING, PINNED, REMOVED, RETIRED, RUNNING, SETTLED, SOAKED, Member, Rollout
from penstock.server.core.rollout import Decision, Standing, verdict


def _settles(state: str) -> bool:
    return state in SETTLED


def decide(rollout: Rollout, counts: Mapping[tuple[int, str], int], standings: Sequence[Standing], now_ms: int, leave_s: int) -> Decision:
    """One step of one rollout.

    `counts`: how many members there are by (wave, state), all of them; `standings`: those to be looked at now, which may be few. The work is
    linear in `standings`. Leaves are given for `leave_s` and renewed when half of that is over, while the rollout runs."""
    tally = dict(counts)
    changed: list[Member] = []
    order: list[str] = []
    grant: dict[str, str] = {}
    renew: set[str] = set()
    revoke: list[str] = []
    not_after_ms = now_ms + leave_s * 1000
    again_ms = 0
    wave = _open_to(rollout, tally)
    for standing in standings:
        member = standing.member
        state, why = member.state, member.why
        if rollout.state == RUNNING and member.wave <= wave:
            if state == PENDING:
                state, why = ORDERED, "ordered; the device has said nothing about it yet"
                order.append(member.device)
                if standing.state == RETIRED:
                    state, why = LEFT_OUT, "the device was retired"
            elif state != LEFT_OUT:
                state, why = verdict(standing)
        if (state, why) != (member.state, member.why):
            moved = state != member.state
            changed.append(replace(member, state=state, why=why[:1000], changed_ms=now_ms if moved else member.changed_ms))
            if moved:
                tally[member.wave, member.state] = tally.get((member.wave, member.state), 0) - 1
                tally[member.wave, state] = tally.get((member.wave, state), 0) + 1
        wants = rollout.state == RUNNING and member.wave <= wave and not _settles(state) and standing.state == ACTIVE and not standing.review
        given = standing.given
        if not wants:
            if given is not None:
                revoke.append(member.device)
        elif given is None or given.content != member.content:
            grant[member.device] = member.content
        elif given.not_after_ms - now_ms < leave_s * 500:
            grant[member.device] = member.content
            renew.add(member.device)
        else:
            due = given.not_after_ms - leave_s * 500
            again_ms = due if not again_ms else min(again_ms, due)
    if grant:
        due = now_ms + leave_s * 500
        again_ms = due if not again_ms else min(again_ms, due)
    state, why = _whole(rollout, tally)
    if state == RUNNING and _open_to(rollout, tally) > wave:
        again_ms = now_ms  # the next wave is due at once
    return Decision(tuple(changed), tuple(order), grant, frozenset(renew), tuple(revoke), not_after_ms, wave, state, why, again_ms)


def _open_to(rollout: Rollout, tally: Mapping[tuple[int, str], int]) -> int:
    """The highest wave that may be open: wave n + 1 opens when everything in wave n has soaked (or is removed, or was left out)."""
    if rollout.state != RUNNING:
        return rollout.wave
    wave = max(1, rollout.wave)
    good = (SOAKED, REMOVED, LEFT_OUT)
    while wave < rollout.waves and all(number <= 0 or state in good for (at, state), number in tally.items() if at <= wave):
        wave += 1
    return wave


def _whole(rollout: Rollout, tally: Mapping[tuple[int, str], int]) -> tuple[str, str]:
    by_state: dict[str, int] = {}
    for (_, state), number in tally.items():
        if number > 0:
            by_state[state] = by_state.get(state, 0) + number
    total = sum(by_state.values())
    good = by_state.get(SOAKED, 0) + by_state.get(REMOVED, 0)
    bad = by_state.get(FAILED, 0) + by_state.get(PINNED, 0)
    if rollout.state != RUNNING:
        return rollout.state, rollout.why
    words = [f"{good} of {total} done"]
    if bad:
        words.append(f"{bad} failed or went back")
    if by_state.get(LEFT_OUT):
        words.append(f"{by_state[LEFT_OUT]} left out")
    open_ones = total - sum(by_state.get(state, 0) for state in SETTLED)
    if open_ones:
        words.append(f"{open_ones} under way")
        return RUNNING, "; ".join(words)
    return DONE, "; ".join(words)
