"""Where each device stands in a rollout, in the fourteen words that people are shown.

Owns the words and how they follow from what a device logged and from what the rollout decided (`fine`), and the judgement of silence (`silence`). The stored
state of a member is coarser (`core.rollout`): it says what the rollout does next, this says what happens on the device. Silence is never success.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.core.halting import AWAY, EXCUSED, SILENT
from penstock.server.core.liveness import span
from penstock.server.core.model import CLAIMED, CONFIRMED, FAILED, LEFT_OUT, ORDERED, PENDING, PINNED, REMOVED, SETTLED, SOAKED, Member, Seen

FETCHING, WAITING, APPLYING, REVERTING = "fetching", "waiting", "applying", "reverting"
UNCHANGED, REVERTED, LEFT, REJECTED, SUPERSEDED = "failed-unchanged", "failed-reverted", "failed-left", "rejected", "superseded"
WORDS = (PENDING, FETCHING, WAITING, APPLYING, CLAIMED, CONFIRMED, SOAKED, UNCHANGED, REVERTED, LEFT, REJECTED, SUPERSEDED, SILENT, EXCUSED)
NEWER = "a newer rollout"  # how the sentence of a member begins that another rollout took over
UNDER_WAY = frozenset((APPLYING, CLAIMED, CONFIRMED))  # a container may have been replaced, and it is not known to be well


@dataclass(frozen=True, slots=True)
class Fine:
    """One of `WORDS` and the sentence."""

    word: str
    why: str


def fine(member: Member, seen: Seen | None) -> Fine:
    """What a person is shown of a member whose stored state was judged before, with the newest its device said."""
    state, why = member.state, member.why
    if state in (SOAKED, REMOVED):
        return Fine(SOAKED, why or "healthy for the soak time" if state == SOAKED else why or "it is gone from the device, as ordered")
    if state in (SILENT, EXCUSED, PENDING):
        return Fine(state, why)
    if state == AWAY:
        return Fine(EXCUSED, why)
    if state == LEFT_OUT:
        return Fine(SUPERSEDED if why.startswith(NEWER) else EXCUSED, why)
    if state == FAILED:
        said = why.partition(":")[0]
        return Fine(said if said in (UNCHANGED, REVERTED, LEFT, REJECTED) else LEFT, why)
    if state == PINNED:
        return Fine(REVERTED, why)
    if seen is not None and (member.content in (seen.content, seen.target) or (not member.content and not seen.removed)):
        if seen.phase in (FETCHING, WAITING):
            return Fine(seen.phase, seen.why or why)
        if seen.phase in (APPLYING, REVERTING, "removing"):  # "failed" has ended: ordered anew, it waits for its next try
            return Fine(APPLYING, seen.why or why)
        if member.content and seen.phase in (CLAIMED, CONFIRMED):
            return Fine(seen.phase, seen.why or why)
    return Fine(state if state in (CLAIMED, CONFIRMED) else WAITING, why or "ordered; the device has said nothing about it yet")


def begun(member: Member, seen: Seen | None) -> bool:
    """Whether the device has begun to change, by its own words: what it has begun it ends, or goes back from, by itself."""
    return member.state not in SETTLED and member.state not in (PENDING, EXCUSED, AWAY) and fine(replace_silent(member), seen).word in UNDER_WAY


def replace_silent(member: Member) -> Member:
    """A member as it stood before it fell silent: what it said last still holds."""
    if member.state != SILENT:
        return member
    return Member(member.rollout, member.device, member.app, member.wave, member.content, ORDERED, member.why, member.changed_ms, member.values_at)


def left_broken(member: Member) -> bool:
    """Whether it failed and could not go back: it stands for nobody until somebody has looked."""
    return member.state == FAILED and member.why.startswith(LEFT)


@dataclass(frozen=True, slots=True)
class Silence:
    """Whether a member is silent now, the sentence, and when it will be if nothing is heard (unix ms, 0: it is, or is not judged)."""

    silent: bool
    why: str = ""
    at_ms: int = 0


def silence(member: Member, heard_ms: int, answers: bool, limit_s: int, now_ms: int) -> Silence:  # noqa: FBT001 - read beside its call
    """`heard_ms`: when the device last called. `answers`: it has said something of what it was ordered. A device that calls and does not answer is given the
    same time as one that does not call: whoever polls for ever and never takes the order would else be under way for ever."""
    if not limit_s or member.state in SETTLED or member.state in (PENDING, EXCUSED, AWAY):
        return Silence(False)
    since = member.changed_ms
    if member.state == SILENT:
        if heard_ms > since and answers:
            return Silence(False)
        return Silence(True, member.why)
    last = max(since, heard_ms) if answers else since
    if now_ms - last >= limit_s * 1000:
        if heard_ms > since and not answers:
            return Silence(True, f"it calls, and has said nothing of its order for {span(now_ms - since)}; silence is not success")
        heard = f"last heard {span(now_ms - heard_ms)} ago" if heard_ms else "never heard of"
        return Silence(True, f"{heard}; the plan gives it {span(limit_s * 1000)}, and silence is not success")
    return Silence(False, "", last + limit_s * 1000)
