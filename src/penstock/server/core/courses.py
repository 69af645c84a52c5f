"""How a staged rollout is being run: what has been said and done about it beyond what its row and its members hold, and what follows for its waves.

Owns the states that only staged rollouts have, the tally that knows acknowledged failures, whether all that is open has passed, and when the next wave opens
(`onward`). `staged.decide` asks it; what people do to a rollout is in `rolloutacts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from penstock.server.core.halting import ILL, OUT, SEEN, SILENT, WELL, counts_of, tolerates_silence
from penstock.server.core.liveness import span
from penstock.server.core.model import PENDING, RUNNING, Member
from penstock.server.core.waves import ALL_AT_ONCE, GO_ON, WavePlan

SCHEDULED, PAUSED, HALTED, ABORTING = "scheduled", "paused", "halted", "aborting"
WATCHED = frozenset((RUNNING, PAUSED, HALTED, ABORTING))  # devices are listened to; only a running one gives leave
ABORT_SILENCE_S = 86_400  # where a plan sets no deadline for silence, an abort still ends


@dataclass(frozen=True, slots=True)
class Course:
    """`passed_ms`: since when everything open has soaked or been excused (0: it has not). `acknowledged`: device to the instant of the failure or silence that
    somebody has acknowledged; a later one of the same device is another. `agreed`: the waves that enough people agree to now; 0 is the rollout itself."""

    plan: WavePlan = ALL_AT_ONCE
    passed_ms: int = 0
    acknowledged: Mapping[str, int] = field(default_factory=dict)
    agreed: frozenset[int] = frozenset()

    @property
    def staged(self) -> bool:
        """Whether waves are filled as they open. With one wave everybody stands in it from the first."""
        return len(self.plan.waves) > 1

    def key(self, member: Member) -> tuple[int, str]:
        """Where a member is counted."""
        state = member.state
        if state in (*ILL, SILENT) and self.acknowledged.get(member.device) == member.changed_ms:
            state += SEEN
        return member.wave, state


EVERYBODY = Course()  # all at once, no rule


def tally_of(members: Iterable[Member], course: Course = EVERYBODY) -> dict[tuple[int, str], int]:
    """How many stand where, as `decide` wants it."""
    found: dict[tuple[int, str], int] = {}
    for member in members:
        key = course.key(member)
        found[key] = found.get(key, 0) + 1
    return found


def plain(state: str) -> str:
    """A state without the mark of having been acknowledged."""
    return state.removesuffix(SEEN)


def blocking(course: Course, tally: Mapping[tuple[int, str], int], wave: int) -> dict[str, int]:
    """What keeps the waves up to `wave` from having passed, by state. Soaked and removed pass, and who is excused, left out or away; failures and silence only
    where the plan says so."""
    passing = {*WELL, *OUT}
    if course.plan.failed == GO_ON:
        passing.update(ILL)
    if tolerates_silence(course.plan.halt, tally, wave):
        passing.add(SILENT)
    found: dict[str, int] = {}
    for (at, state), number in tally.items():
        if 1 <= at <= wave and number > 0 and plain(state) not in passing and not (state == SILENT + SEEN and SILENT in passing):
            found[plain(state)] = found.get(plain(state), 0) + number
    return found


@dataclass(frozen=True, slots=True)
class Onward:
    """What comes next. `opens`: the wave to be filled and opened now (0: none). `passed_ms` as in `Course`. `again_ms`: when time alone changes it."""

    opens: int
    passed_ms: int
    again_ms: int
    why: str


def onward(course: Course, tally: Mapping[tuple[int, str], int], wave: int, now_ms: int) -> Onward:
    """Whether the next wave of a running staged rollout opens now, and what it waits for where it does not."""
    waiting = sum(number for (at, state), number in tally.items() if at == 0 and plain(state) == PENDING)
    held = blocking(course, tally, wave)
    if held:
        return Onward(0, 0, 0, f"wave {wave} has not passed: {_held_words(held)}" if waiting else _held_words(held))
    passed = course.passed_ms or now_ms
    if not waiting:
        return Onward(0, passed, 0, "")
    plan = course.plan
    # A wave in which nobody soaked has proven nothing, and has nothing to wait for either; the halt rule stays as strict as in the first.
    validate_s = plan.waves[wave - 1].validate_s if 1 <= wave <= len(plan.waves) and counts_of(tally, range(wave, wave + 1)).soaked else 0
    due = passed + validate_s * 1000
    following = wave + 1
    if due > now_ms:
        return Onward(0, passed, due, f"wave {wave} has passed; wave {following} opens in {span(due - now_ms)}, after its time of validation")
    wanted = plan.waves[following - 1].approvals if following <= len(plan.waves) else 0
    if wanted and following not in course.agreed:
        return Onward(
            0, passed, 0, f"wave {wave} has passed; wave {following} waits for {wanted} approval{'s' if wanted != 1 else ''}" if wave else _first(wanted)
        )
    return Onward(following, passed, now_ms, f"wave {following} opens now")


def _first(wanted: int) -> str:
    return f"wave 1 waits for {wanted} approval{'s' if wanted != 1 else ''}"


def _held_words(held: Mapping[str, int]) -> str:
    said = []
    for state, number in sorted(held.items()):
        if state in ILL:
            said.append(f"{number} {'failed' if state == 'failed' else 'went back by hand'} (retry or excuse)")
        elif state == SILENT:
            said.append(f"{number} silent (excuse, or wait for it)")
        else:
            said.append(f"{number} {state}")
    return ", ".join(said)


def begins(course: Course, now_ms: int) -> tuple[bool, str, int]:
    """Whether a scheduled rollout begins now, the sentence, and when to look again."""
    plan = course.plan
    if plan.approvals and 0 not in course.agreed:
        return (
            False,
            f"waits for {plan.approvals} approval{'s' if plan.approvals != 1 else ''} before it starts",
            plan.start_ms if plan.start_ms > now_ms else 0,
        )
    if plan.start_ms > now_ms:
        return False, f"starts in {span(plan.start_ms - now_ms)}", plan.start_ms
    return True, "begins", 0


def ended(state: str, *, aborting: bool) -> bool:
    """Whether nothing more is to come of a member in that state."""
    state = plain(state)
    return state in WELL or state in ILL or state in OUT or (aborting and state == SILENT)
