"""What people do to a rollout: pause, resume, excuse a device, retry what failed, abort, abort and go back; and the absence of sites.

Owns which act is possible when, and what it makes of the values; each that is not possible says why and what would be. Never gives or takes leave: the next
step does that (`staged.decide`), from what stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.server.core.courses import ABORTING, HALTED, PAUSED, SCHEDULED, Course
from penstock.server.core.errors import Conflict, Invalid
from penstock.server.core.halting import AWAY, EXCUSED, ILL, SILENT
from penstock.server.core.model import (
    CLAIMED,
    CONFIRMED,
    DONE,
    LEFT_OUT,
    ORDERED,
    PENDING,
    REMOVED,
    RUNNING,
    SOAKED,
    STOPPED,
    SUPERSEDED,
    Member,
    Rollout,
    Seen,
)
from penstock.server.core.verdicts import begun, left_broken

OVER = frozenset((DONE, STOPPED, SUPERSEDED))
RETURNED = "its site was away until now"  # how the sentence of a member begins that comes back into no wave
LEAST_REASON = 3


def _reason(text: str) -> str:
    said = " ".join(text.split())
    if len(said) < LEAST_REASON:
        raise Invalid("reason-missing", "say why: whoever reads the record at night was not there", field="reason")
    return said[:500]


def _cannot(act: str, rollout: Rollout, remedy: str = "") -> Conflict:
    return Conflict("rollout-not-so", f"it cannot be {act}: the rollout is {rollout.state} ({rollout.why or 'no reason recorded'})", remedy=remedy)


def pause(rollout: Rollout, by: str, reason: str) -> Rollout:
    """No more leave, and none renewed; what has begun ends by itself."""
    if rollout.state not in (RUNNING, SCHEDULED):
        raise _cannot("paused", rollout, "it gives no leave now" if rollout.state in (HALTED, PAUSED) else "")
    return replace(rollout, state=PAUSED, why=f"paused by {by}: {_reason(reason)}")


def resume(rollout: Rollout, course: Course, members: Iterable[Member], by: str, reason: str) -> tuple[Rollout, Course]:
    """Goes on. Failures and silences there are now are acknowledged with it: they count towards no halt any more, a new one of the same device does.
    `members`: at least all that failed or are silent."""
    if rollout.state not in (PAUSED, HALTED):
        raise _cannot("resumed", rollout, "an aborted rollout does not go on: start another" if rollout.state in (ABORTING, STOPPED) else "")
    seen = {member.device: member.changed_ms for member in members if member.state in (*ILL, SILENT)}
    said = f"resumed by {by}: {_reason(reason)}"
    if seen:
        said += f"; {len(seen)} failed or silent acknowledged"
    state = RUNNING if rollout.wave else SCHEDULED
    return replace(rollout, state=state, why=said), replace(course, acknowledged={**course.acknowledged, **seen})


def excuse(rollout: Rollout, member: Member, by: str, reason: str, now_ms: int) -> Member:
    """The rollout goes on without this device. It keeps what it runs; its leave is taken back with the next step."""
    if rollout.state in OVER:
        raise _cannot("left without it", rollout)
    if member.state in (SOAKED, REMOVED):
        raise Conflict("member-done", "it is done on this device: there is nothing to excuse")
    if member.state in (EXCUSED, LEFT_OUT):
        raise Conflict("member-out", f"the rollout goes on without this device already: {member.why}")
    return replace(member, state=EXCUSED, why=f"excused by {by}: {_reason(reason)}", changed_ms=now_ms)


def retry(rollout: Rollout, members: Sequence[Member], now_ms: int) -> tuple[Member, ...]:
    """Those that failed or were excused get another try: ordered anew, under a new leave. Devices where somebody went back by hand are not among them:
    what a person at the machine decided is taken back by a new release or by agreement, never by trying again. The instant is later than that of the
    failure, so that the failure is over and another one of the same device counts."""
    if rollout.state in OVER and rollout.state != DONE:
        raise _cannot("tried again", rollout, "start another rollout")
    if rollout.state == ABORTING:
        raise _cannot("tried again", rollout)
    again = tuple(
        replace(member, state=ORDERED if member.wave else PENDING, why="to be tried again", changed_ms=max(now_ms, member.changed_ms + 1))
        for member in members
        if member.state in ("failed", EXCUSED)
    )
    if not again:
        raise Conflict("nothing-to-retry", "none of these failed or was excused", remedy="a silent device goes on by itself when it is heard")
    return again


def abort(rollout: Rollout, by: str, reason: str) -> Rollout:
    """Nothing more begins, for good. What has begun ends or goes back; the rollout has stopped when nothing is under way any more, or is silent for too long."""
    if rollout.state in OVER or rollout.state == ABORTING:
        raise _cannot("aborted", rollout)
    return replace(rollout, state=ABORTING, why=f"aborted by {by}: {_reason(reason)}")


# --- going back ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Former:
    """What a device ran before: its content (empty: it had nothing of this app, and going back takes it away). `irreversible`: the volumes that the release
    changed for good."""

    content: str
    irreversible: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Back:
    """The rollout that undoes another: its members, in waves that run the other way, and who cannot go back, with the reason."""

    members: tuple[Member, ...]
    waves: int
    stay: dict[str, str]


def revert(rollout: Rollout, members: Sequence[Member], former: Mapping[str, Former], seen: Mapping[str, Seen], into: str, now_ms: int) -> Back:
    """Abort, and take the done devices back too. The last wave goes back first. `members`: all of the aborted rollout; `into`: the id of the new one.
    What never began stays as it is; what went back by itself is there already."""
    if rollout.state in (SUPERSEDED, SCHEDULED):
        raise _cannot("taken back", rollout, "abort it: nothing has been changed" if rollout.state == SCHEDULED else "a newer one has taken over")
    touched = [
        one
        for one in members
        if one.wave and (one.state in (SOAKED, REMOVED, CLAIMED, CONFIRMED, SILENT) or left_broken(one) or begun(one, seen.get(one.device)))
    ]
    stay: dict[str, str] = {}
    going: list[Member] = []
    for one in touched:
        before = former.get(one.device)
        if before is None:
            stay[one.device] = "nobody knows what it ran before"
        elif before.irreversible:
            stay[one.device] = f"the release changed {', '.join(before.irreversible[:3])} for good: going back needs a person at the data first"
        else:
            going.append(one)
    order = {wave: at for at, wave in enumerate(sorted({one.wave for one in going}, reverse=True), 1)}
    made = tuple(
        Member(into, one.device, one.app, order[one.wave], former[one.device].content, PENDING, "to go back; its wave is not open yet", now_ms)
        for one in sorted(going, key=lambda each: (order[each.wave], each.device))
    )
    if not made:
        raise Conflict("nothing-to-revert", "no device has changed that could go back", remedy="abort it" if rollout.state not in OVER else "")
    return Back(made, len(order), stay)


# --- absence ------------------------------------------------------------------------------------------------------------


def send_away(member: Member, seen: Seen | None, until: str, now_ms: int) -> Member:
    """Its site is declared away: it neither blocks nor counts. What has begun there stays under way, since nothing can be said of it for certain."""
    if member.state in (PENDING, ORDERED, SILENT) and not begun(member, seen):
        return replace(member, wave=0, state=AWAY, why=f"its site is away until {until}; it gets what is current then, in a wave of its own", changed_ms=now_ms)
    return member


def come_back(member: Member, now_ms: int) -> Member:
    """The absence is over. It waits for a wave of its own."""
    return replace(member, wave=0, state=PENDING, why=f"{RETURNED}; it waits for a wave of its own", changed_ms=now_ms) if member.state == AWAY else member


def check_absence(until_ms: int, now_ms: int, longest_ms: int = 366 * 86_400_000) -> None:
    """Raises Invalid unless an absence ends, and within a year: one without end would hide a dead site for ever."""
    if until_ms <= now_ms:
        raise Invalid("absence-over", "the absence would be over already", field="until_ms")
    if until_ms - now_ms > longest_ms:
        raise Invalid("absence-endless", "an absence lasts a year at most; renew it, or retire the devices", field="until_ms")
