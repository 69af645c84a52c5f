"""What is new in the end of a log that was read a moment ago: pure, so that its honesty can be proven.

Owns finding where the end read before continues in the end read now, and saying when that cannot be told. A device gives the last lines of a
log, without numbers or times; nothing else is known of them.
"""

from __future__ import annotations

from dataclasses import dataclass

SURE = 3  # so many lines that continue are no chance


@dataclass(frozen=True, slots=True)
class Fresh:
    """The lines not seen before. `gap`: lines may be missing before them. `alike`: the lines repeat, so that some may be new that are not shown."""

    lines: tuple[str, ...]
    gap: bool = False
    alike: bool = False


def fresh(before: tuple[str, ...], now: tuple[str, ...], asked: int) -> Fresh:
    """What `now`, the last `asked` lines of a log at most, has beyond `before`, what was its end (any part of it) when it was read last.

    The longest continuation is believed: with lines that differ it is the only one. Never shows a line twice; what it cannot know it says."""
    whole = len(now) < asked  # the log from its first line on
    if not before:
        return Fresh(now, gap=not whole and bool(now))
    kept = [len(before) - start for start in range(len(before)) if before[start:] == now[: len(before) - start]]
    if not kept:
        return Fresh(now, gap=True)
    return Fresh(now[kept[0] :], gap=kept[0] < min(SURE, len(before)), alike=len(kept) > 1 and not whole)


def lines_of(text: str, limit: int) -> tuple[str, ...]:
    """The whole lines of a log's end. A last one that is still being written is left for the next time, and of a text that was cut at `limit` bytes
    the first, of which only the end is there."""
    lines = text.split("\n")[:-1]
    return tuple(lines[1:] if len(text.encode()) >= limit else lines)
