"""Whether a device is heard of: never, current, late or silent.

Owns the two thresholds. Never says anything about what runs there: a silent device may be perfectly well.
"""

from __future__ import annotations

from dataclasses import dataclass

LATE_POLLS = 3
SILENT_POLLS = 10
LEAST_LATE_S = 30  # shorter polls are still judged with this much patience


@dataclass(frozen=True, slots=True)
class Liveness:
    """The judgement, a sentence, and when it will next change by itself (unix ms, 0: never)."""

    state: str
    why: str
    until_ms: int


def judge(seen_ms: int, poll_s: int, now_ms: int) -> Liveness:
    """How a device that was last heard at `seen_ms` and polls every `poll_s` stands at `now_ms`."""
    if seen_ms <= 0:
        return Liveness("never", "it has not called yet since it was let in", 0)
    late_ms = max(poll_s * LATE_POLLS, LEAST_LATE_S) * 1000
    silent_ms = max(poll_s * SILENT_POLLS, LEAST_LATE_S * 4) * 1000
    away = now_ms - seen_ms
    if away < late_ms:
        return Liveness("current", f"it called {span(away)} ago and calls every {span(poll_s * 1000)}", seen_ms + late_ms)
    if away < silent_ms:
        return Liveness("late", f"it was due and last called {span(away)} ago", seen_ms + silent_ms)
    return Liveness("silent", f"it last called {span(away)} ago; what is shown is what it said then", 0)


def span(ms: int) -> str:
    """A span for people: 40 seconds, 5 minutes, 3 hours, 2 days."""
    seconds = max(0, ms) // 1000
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {word}{'s' if number != 1 else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"
