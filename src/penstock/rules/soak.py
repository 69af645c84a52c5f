"""Time that counts only while it is watched: soak, deadlines, back-off.

Owns the stopwatch arithmetic and the spans derived from a release. Times are monotonic milliseconds of one boot; a watch carried over a restart
of the agent or the machine stands until the next look.
"""

from __future__ import annotations

from penstock.rules.memory import Change, Watch
from penstock.wire.record import replace
from penstock.wire.types import AppState

MAX_GAP_MS = 30_000  # longer between two looks, and nobody can say what happened in between
CRASHES_IN_CHANGE = 3


def tick(watch: Watch, mono_ms: int, *, counting: bool = True) -> Watch:
    """Count the time since the last tick, if it was counting then and the gap is one that was watched; stand when not `counting`."""
    spent = watch.spent_ms
    if watch.mark_ms >= 0 and 0 <= mono_ms - watch.mark_ms <= MAX_GAP_MS:
        spent += mono_ms - watch.mark_ms
    return Watch(spent, mono_ms if counting else -1)


def restarted(mono_ms: int) -> Watch:
    """A watch from zero."""
    return Watch(0, mono_ms)


def stand(change: Change) -> Change:
    """All watches stopped, as after a start of the agent."""
    return replace(
        change,
        ill=replace(change.ill, mark_ms=-1),
        soak=replace(change.soak, mark_ms=-1),
        total=replace(change.total, mark_ms=-1),
    )


def soak_ms(state: AppState) -> int:
    """How long this release must be healthy; within 0 and 30 days whatever the document says."""
    return min(max(state.soak_s, 0), 30 * 86400) * 1000


def deadline_ms(state: AppState) -> int:
    """How long this release may be not well at a stretch; within 1 second and 1 day."""
    return min(max(state.deadline_s, 1), 86400) * 1000


def patience_ms(state: AppState) -> int:
    """How long a release that is now well, now ill, may take to soak before that counts as failed."""
    return 3 * deadline_ms(state) + 4 * soak_ms(state)


def backoff_ms(tries: int, first_ms: int = 1_000, most_ms: int = 300_000) -> int:
    """The wait before try number `tries` + 1: doubling from `first_ms`, at most `most_ms`."""
    if tries <= 0:
        return 0
    return min(first_ms << min(tries - 1, 30), most_ms)
