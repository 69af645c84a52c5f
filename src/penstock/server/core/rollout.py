"""Rollouts: what each device's own words make of it.

Owns `verdict` (one device, from what it logged) and the values that a step of a rollout takes and gives. Silence is never success: a member moves on only by
what its device reported. The step itself is `staged.decide`. Times are unix milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.server.core.liveness import span
from penstock.server.core.model import (
    CLAIMED,
    CONFIRMED,
    FAILED,
    LEFT_OUT,
    ORDERED,
    PINNED,
    REMOVED,
    RETIRED,
    SETTLED,
    SOAKED,
    Member,
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
    are the device's. `heard_ms`: when it last called. `leave_s`: a leave of its own length (0: as all). `risk_until_ms`: how long the last leave that was
    given for this may still hold, taken back or not."""

    member: Member
    state: str
    review: str
    adopted: bool = False
    seen: Seen | None = None
    outcome: Outcome | None = None
    given: Given | None = None
    liveness: str = "current"
    heard_ms: int = 0
    leave_s: int = 0
    risk_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. `members`: those that changed. `order`: devices whose assignment is due (their wave opened). `grant`: device to
    content, leave due until `not_after_ms`; for those in `renew` it is the leave they have, prolonged under its own id, since a new one is another try.
    `revoke`: devices whose leave is to be taken back. `again_ms`: when to look again by itself. `opens`: the wave to be filled and
    opened now (0: none). `passed_ms`: since when all that is open has passed. `until`: leaves with an end of their own. `held`: who waits for the budget, and why."""

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
    opens: int = 0
    passed_ms: int = 0
    until: dict[str, int] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


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


def describe_leave(given: Given, now_ms: int) -> str:
    """A leave in words."""
    left = given.not_after_ms - now_ms
    return f"may apply it for another {span(left)}" if left > 0 else f"its leave lapsed {span(-left)} ago"
