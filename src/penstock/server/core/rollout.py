"""Rollouts: which waves open, who gets leave, and what each device's own words make of it.

Owns `verdict` (one device, from what it logged) and `decide` (one rollout). Silence is never success: a member moves on only by what its
device reported. Waves are numbers on members; today every rollout is planned as one wave ("all at once"), and `decide` already opens
them one after the other, each when all of the one before have soaked. Times are unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.server.core.liveness import span
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
    REMOVED,
    RETIRED,
    RUNNING,
    SETTLED,
    SOAKED,
    Member,
    Rollout,
    Seen,
)
from penstock.wire.log import Receipt

FAILURES = frozenset(("failed-unchanged", "failed-reverted", "failed-left", "rejected"))


ORDERED_BY_US = frozenset(("rollout", "withdrawal"))  # causes of changes that a rollout brought about


@dataclass(frozen=True, slots=True)
class Outcome:
    """The newest receipt of an app on a device that a rollout cares about (see `counts`)."""

    content: str
    verdict: str
    why: str
    authorisation: str
    received_ms: int


def counts(held: Outcome | None, receipt: Receipt) -> bool:
    """Whether a receipt takes the place of the outcome held of the same app and device.

    What a rollout brought about does. What somebody at the device, a command or drift brought about is no try of what was ordered: it counts only where
    it ends what the rollout had achieved. Were it otherwise, a repaired container would make the failure forgotten, and the failed release would be tried anew."""
    if receipt.cause in ORDERED_BY_US:
        return True
    return held is not None and held.content == receipt.to_content and receipt.verdict in FAILURES


@dataclass(frozen=True, slots=True)
class Given:
    """The leave a member holds."""

    id: str
    content: str
    issued_ms: int
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One member with all that is known of it. `adopted`: the device says it holds the document that orders this. `state` and `review`
    are the device's."""

    member: Member
    state: str
    review: str
    adopted: bool = False
    seen: Seen | None = None
    outcome: Outcome | None = None
    given: Given | None = None
    liveness: str = "current"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. `members`: those that changed. `order`: devices whose assignment is due (their wave opened). `grant`: device to
    content, leave due until `not_after_ms`; for those in `renew` it is the leave they have, prolonged under its own id, since a new one is another try.
    `revoke`: devices whose leave is to be taken back. `again_ms`: when to look again by itself."""

    members: tuple[Member, ...]
    order: tuple[str, ...]
    grant: dict[str, str]
    renew: frozenset[str]
    revoke: tuple[str, ...]
    not_after_ms: int
    wave: int
    state: str
    why: str
    again_ms: int


def verdict(standing: Standing) -> tuple[str, str]:
    """Where a member stands by its device's own words: state and sentence. Only for members whose wave is open."""
    member, seen = standing.member, standing.seen
    if standing.state == RETIRED:
        return LEFT_OUT, "the device was retired"
    failed = _failed(standing)
    if failed is not None:
        return failed
    if not member.content:
        if seen is None:
            if standing.adopted:
                return REMOVED, "the device holds the new state and knows nothing of the app"
            return _unsaid(standing)
        if seen.removed or seen.phase == "removed":
            return REMOVED, seen.why or "it is gone from the device"
        return ORDERED, seen.why
    if seen is None:
        return _unsaid(standing)
    if seen.pinned and seen.content != member.content:
        return PINNED, seen.why or "somebody at the device went back; agree with it, or order another release"
    if seen.content == member.content and not seen.removed and seen.target in ("", member.content):
        if seen.phase in (SOAKED, CONFIRMED, CLAIMED):
            return seen.phase, seen.why
        if member.state in (SOAKED, CONFIRMED, CLAIMED):
            return member.state, seen.why
        return ORDERED, seen.why
    if member.state == FAILED and standing.given is None:
        # What it said of its failure may be forgotten (a restored plane, another branch of its log): that is no order to try again.
        return FAILED, member.why
    if seen.target == member.content:
        if seen.phase in (CONFIRMED, CLAIMED):
            return seen.phase, seen.why
        return ORDERED, seen.why
    if member.state == SOAKED:
        return SOAKED, member.why
    return ORDERED, "the device has not taken the new state yet" if not standing.adopted else (seen.why or "the device holds the new state")


def _unsaid(standing: Standing) -> tuple[str, str]:
    if standing.member.state in SETTLED:
        return standing.member.state, standing.member.why
    if standing.liveness in ("late", "silent", "never"):
        return ORDERED, "ordered; the device has not been heard of since, and silence is not success"
    return ORDERED, "ordered; the device has said nothing about it yet"


def _failed(standing: Standing) -> tuple[str, str] | None:
    outcome, given = standing.outcome, standing.given
    if outcome is None or outcome.content != standing.member.content:
        return None
    if outcome.verdict in FAILURES:
        # A failure counts against the leave it happened under: a new leave is another try.
        if given is not None and outcome.authorisation != given.id and (outcome.authorisation or outcome.received_ms < given.issued_ms):
            return None
        if given is None and standing.member.state != FAILED and outcome.received_ms < standing.member.changed_ms:
            return None
        return FAILED, f"{outcome.verdict}: {outcome.why}"
    return None


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


def describe_leave(given: Given, now_ms: int) -> str:
    """A leave in words."""
    left = given.not_after_ms - now_ms
    return f"may apply it for another {span(left)}" if left > 0 else f"its leave lapsed {span(-left)} ago"
