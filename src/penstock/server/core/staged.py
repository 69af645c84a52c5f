"""One step of one rollout: `decide`. Staged or all at once, running, paused, halted or being aborted.

Owns the order of the judgements: what devices said, then silence, then the halt rule, and only then orders, the budget and leave, so that a step that halts
gives nothing. What each device's words mean is `rollout.verdict`; the rule is `halting`, the account `budget`, the waves `courses`. With `EVERYBODY` it decides
as it did before there were waves. Decided twice at one instant it adds nothing, and the order of its input does not matter. Times are unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from penstock.server.core import courses, halting
from penstock.server.core.budget import OPEN_ACCOUNT, SLACK_MS, Account, Admission, Asking, admit
from penstock.server.core.courses import ABORT_SILENCE_S, ABORTING, EVERYBODY, HALTED, PAUSED, SCHEDULED, WATCHED, Course, ended, onward, plain
from penstock.server.core.halting import AWAY, EXCUSED, SILENT
from penstock.server.core.model import (
    ACTIVE,
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
    STOPPED,
    Member,
    Rollout,
)
from penstock.server.core.rollout import Decision, Standing, verdict
from penstock.server.core.verdicts import begun, left_broken, replace_silent, silence

STICKY = frozenset((LEFT_OUT, EXCUSED, AWAY))  # no word of the device moves these; a person, or the end of an absence, does
SAID_NOTHING = "ordered; the device has said nothing about it yet"


@dataclass(slots=True)
class _Step:
    """What one step has worked out so far."""

    rollout: Rollout
    course: Course
    tally: dict[tuple[int, str], int]
    now_ms: int
    wave: int = 0
    again: list[int] = field(default_factory=list)

    def moved(self, before: Member, after: Member) -> None:
        if before.state != after.state or before.wave != after.wave:
            old, new = self.course.key(before), self.course.key(after)
            self.tally[old] = self.tally.get(old, 0) - 1
            self.tally[new] = self.tally.get(new, 0) + 1


def decide(
    rollout: Rollout,
    counts: Mapping[tuple[int, str], int],
    standings: Sequence[Standing],
    now_ms: int,
    leave_s: int,
    course: Course = EVERYBODY,
    account: Account = OPEN_ACCOUNT,
) -> Decision:
    """One step of one rollout.

    `counts`: how many members there are by (wave, state), all of them, acknowledged ones apart (`courses.tally_of`); `standings`: those to be looked at now, which
    may be few. The work is linear in `standings`. Leaves are given for `leave_s` (or what a standing says) and renewed when half of that is over, while the
    rollout runs. Members of a staged rollout that are in no wave yet are in wave 0: where `opens` says so, the caller fills that wave (`waves.fill`)."""
    step = _Step(rollout, course, dict(counts), now_ms)
    if rollout.state == SCHEDULED:
        ready, why, again_ms = courses.begins(course, now_ms)
        if not ready:
            return Decision((), (), {}, frozenset(), (), now_ms + leave_s * 1000, rollout.wave, SCHEDULED, why, again_ms)
        step.rollout = replace(rollout, state=RUNNING, why=why)
    step.wave = step.rollout.wave if course.staged else _open_to(step.rollout, step.tally)
    after = [_listened(step, standing) for standing in standings]
    for standing, new in zip(standings, after, strict=True):
        step.moved(standing.member, new)
    halt = halting.judge(course.plan.halt, step.tally, step.wave) if step.rollout.state in (RUNNING, PAUSED) else None
    if halt is not None and halt.halts:
        step.rollout = replace(step.rollout, state=HALTED, why=halt.why)
    order = _ordered(step, standings, after)
    leaves = _leaves(step, standings, after, leave_s, account)
    for at, standing in enumerate(standings):
        held = leaves.held.get(standing.member.device)
        if held and after[at].state == ORDERED:
            after[at] = replace(after[at], why=held)
    changed = tuple(new for old, new in zip((one.member for one in standings), after, strict=True) if new != old)
    state, why, opens, passed_ms = _whole(step, halt)
    if leaves.held and any(ended(new.state, aborting=True) for new in changed):
        step.again.append(now_ms)  # room in the budget: who waits for it is asked again at once
    return Decision(
        changed,
        tuple(order),
        leaves.grant,
        frozenset(leaves.renew),
        tuple(leaves.revoke),
        now_ms + leave_s * 1000,
        step.wave,
        state,
        why,
        min(step.again, default=0),
        opens,
        passed_ms,
        leaves.until,
        leaves.held,
    )


# --- what devices said ------------------------------------------------------------------------------------------------


def _listened(step: _Step, standing: Standing) -> Member:
    """A member after its device's words, and after their absence."""
    member, rollout = standing.member, step.rollout
    if rollout.state not in WATCHED or not 1 <= member.wave <= step.wave or member.state == PENDING or member.state in STICKY:
        return member
    state, why = verdict(standing if member.state != SILENT else replace(standing, member=replace_silent(member)))
    after = _put(step, member, state, why)
    if after.state in SETTLED:
        return after
    limit_s = step.course.plan.halt.silence_s or (ABORT_SILENCE_S if rollout.state == ABORTING else 0)
    if limit_s:
        seen = standing.seen
        answers = standing.adopted or (seen is not None and bool(member.content) and member.content in (seen.content, seen.target))
        judged = silence(after if member.state != SILENT else member, standing.heard_ms, answers, limit_s, step.now_ms)
        if judged.silent:
            after = _put(step, member, SILENT, judged.why)
        elif judged.at_ms:
            step.again.append(judged.at_ms)
    return after


def _put(step: _Step, member: Member, state: str, why: str) -> Member:
    if (state, why) == (member.state, member.why):
        return member
    return replace(member, state=state, why=why[:1000], changed_ms=step.now_ms if state != member.state else member.changed_ms)


# --- orders and leave -------------------------------------------------------------------------------------------------


def _ordered(step: _Step, standings: Sequence[Standing], after: list[Member]) -> list[str]:
    """Those whose wave is open and who have no order yet; in an abort, those whose turn never comes."""
    order: list[str] = []
    for at, standing in enumerate(standings):
        member = after[at]
        if step.rollout.state == RUNNING and 1 <= member.wave <= step.wave and member.state == PENDING:
            order.append(member.device)
            gone = standing.state == RETIRED
            after[at] = _put(step, member, LEFT_OUT if gone else ORDERED, "the device was retired" if gone else SAID_NOTHING)
        elif step.rollout.state == ABORTING and member.state in (PENDING, ORDERED, SILENT) and not begun(member, standing.seen):
            after[at] = _called_off(step, standing, member)
        step.moved(member, after[at])
    return order


def _called_off(step: _Step, standing: Standing, member: Member) -> Member:
    """A member of an aborted rollout whose device has not begun: off once its leave cannot hold any more."""
    if member.state == PENDING:
        return _put(step, member, EXCUSED, "the rollout was aborted before its turn")
    until = max(standing.risk_until_ms, standing.given.not_after_ms if standing.given is not None else 0)
    if (standing.given is None and standing.adopted) or step.now_ms > until + SLACK_MS:
        return _put(step, member, EXCUSED, "the rollout was aborted before the device began")
    step.again.append(until + SLACK_MS + 1)
    return _put(step, member, member.state, "aborted; the device has not begun, and may until its leave lapses") if member.state == ORDERED else member


@dataclass(slots=True)
class _Leaves:
    grant: dict[str, str] = field(default_factory=dict)
    renew: set[str] = field(default_factory=set)
    revoke: list[str] = field(default_factory=list)
    until: dict[str, int] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


def _leaves(step: _Step, standings: Sequence[Standing], after: Sequence[Member], leave_s: int, account: Account) -> _Leaves:
    found, now_ms = _Leaves(), step.now_ms
    admission = _admission(step, standings, after, account)
    for standing, member in zip(standings, after, strict=True):
        given, device = standing.given, member.device
        span_s = standing.leave_s or leave_s
        if not _wants(step, standing, member):
            if given is not None and not _keeps(step, standing, member):
                found.revoke.append(device)
            continue
        stale = given is None or given.content != member.content
        if stale or (given is not None and given.not_after_ms - now_ms < span_s * 500):
            if device in admission.refused:
                found.held[device] = admission.refused[device]
                if stale and given is not None:
                    found.revoke.append(device)
                continue
            found.grant[device] = member.content
            step.again.append(now_ms + span_s * 500)
            if not stale:
                found.renew.add(device)
            if span_s != leave_s:
                found.until[device] = now_ms + span_s * 1000
        elif given is not None:
            step.again.append(given.not_after_ms - span_s * 500)
    return found


def _wants(step: _Step, standing: Standing, member: Member) -> bool:
    """Whether it is to have leave, budget allowing. Who fell silent gets no more until it is heard: a longer leave would only lengthen the risk."""
    if step.rollout.state != RUNNING or not 1 <= member.wave <= step.wave or member.state in SETTLED or member.state in (EXCUSED, SILENT, AWAY):
        return False
    return standing.state == ACTIVE and not standing.review


def _keeps(step: _Step, standing: Standing, member: Member) -> bool:
    """Whether a leave that is no longer renewed stays out: a device that has begun is left to end, or to go back, by itself."""
    return step.rollout.state in (PAUSED, HALTED, ABORTING) and member.state not in SETTLED and begun(member, standing.seen)


def _admission(step: _Step, standings: Sequence[Standing], after: Sequence[Member], account: Account) -> Admission:
    asking, unwell = [], set(account.unwell)
    for standing, member in zip(standings, after, strict=True):
        given = standing.given
        if member.state == SILENT or left_broken(member):
            unwell.add(member.device)
        if _wants(step, standing, member):
            lapsed = given is None or given.content != member.content or given.not_after_ms <= step.now_ms
            if lapsed:
                asking.append(Asking(member.device, member.changed_ms))
    if account is OPEN_ACCOUNT or not asking:
        return Admission(tuple(one.device for one in asking), {})
    return admit(asking, replace(account, unwell=frozenset(unwell)))


# --- the whole ----------------------------------------------------------------------------------------------------------


def _open_to(rollout: Rollout, tally: Mapping[tuple[int, str], int]) -> int:
    """Where waves stand on members from the first: the highest that may be open. Wave n + 1 opens when everything in wave n has soaked (or is removed, or was
    left out)."""
    if rollout.state != RUNNING:
        return rollout.wave
    wave = max(1, rollout.wave)
    good = (SOAKED, REMOVED, *STICKY)
    while wave < rollout.waves and all(number <= 0 or state in good for (at, state), number in tally.items() if 1 <= at <= wave):
        wave += 1
    return wave


def _whole(step: _Step, halt: halting.Halt | None) -> tuple[str, str, int, int]:
    """State, sentence, the wave to open now (0: none) and since when all that is open has passed."""
    rollout, tally, course = step.rollout, step.tally, step.course
    by: dict[str, int] = {}
    for (_, state), number in tally.items():
        if number > 0:
            by[plain(state)] = by.get(plain(state), 0) + number
    aborting = rollout.state == ABORTING
    passed_over = halting.tolerates_silence(course.plan.halt, tally, step.wave)
    open_ones = sum(number for state, number in by.items() if not ended(state, aborting=aborting) and not (state == SILENT and passed_over))
    said = _words(by, open_ones)
    if aborting:
        return (ABORTING, f"aborted; {said}", 0, course.passed_ms) if open_ones else (STOPPED, f"aborted; {said}", 0, course.passed_ms)
    if rollout.state != RUNNING:
        return rollout.state, rollout.why, 0, course.passed_ms
    if not open_ones:
        return DONE, said, 0, course.passed_ms
    if not course.staged and not tally.get((0, PENDING)):
        if _open_to(rollout, tally) > step.wave:
            step.again.append(step.now_ms)  # the next wave is due at once
        return RUNNING, said if halt is None or course.plan.halt == halting.NEVER else f"{said}; {halt.why}", 0, course.passed_ms
    following = onward(course, tally, step.wave, step.now_ms)
    if following.again_ms:
        step.again.append(following.again_ms)
    words = [said, *([following.why] if following.why else []), *([halt.why] if halt is not None and step.wave else [])]
    return RUNNING, "; ".join(words), following.opens, following.passed_ms


def _words(by: Mapping[str, int], open_ones: int) -> str:
    total = sum(by.values())
    good, bad = by.get(SOAKED, 0) + by.get(REMOVED, 0), by.get(FAILED, 0) + by.get(PINNED, 0)
    words = [f"{good} of {total} done"]
    if bad:
        words.append(f"{bad} failed or went back")
    for state, text in ((LEFT_OUT, "left out"), (EXCUSED, "excused"), (AWAY, "away"), (SILENT, "silent")):
        if by.get(state):
            words.append(f"{by[state]} {text}")
    if open_ones:
        words.append(f"{open_ones} under way")
    return "; ".join(words)
