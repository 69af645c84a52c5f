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


def fresh(before: tuple[str, ...], now: tuple[str, ...], asked: int, *, began: bool = False) -> Fresh:
    """What `now`, the last `asked` lines of a log at most, has beyond `before`, what was its end (any part of it) when it was read last;
    `began`: that was all of it then.

    Of all the ways `before` may lie in `now` or begin ahead of it, the one with the most lines in common is believed, and of several the latest: with
    lines that differ it is the only one. Never shows a line twice; what it cannot know it says."""
    whole = len(now) < asked  # the log from its first line on
    if not before:
        return Fresh(now, gap=not whole and bool(now))
    if began and whole and now[: len(before)] == before:
        return Fresh(now[len(before) :])
    found: dict[int, int] = {}  # where what is new begins in `now` -> lines in common
    for ends in range(1, len(now) + 1):
        common = min(ends, len(before))
        if now[ends - 1] == before[-1] and now[ends - common : ends] == before[len(before) - common :]:
            found[ends] = common
    if not found:
        return Fresh(now, gap=True)
    most = max(found.values())
    begins = max(ends for ends, common in found.items() if common == most)
    return Fresh(now[begins:], gap=most < min(SURE, len(before)), alike=len(found) > 1)


def lines_of(text: str, limit: int) -> tuple[str, ...]:
    """The whole lines of a log's end. A last one that is still being written is left for the next time, and of a text that was cut at `limit` bytes
    the first, of which only the end is there."""
    lines = text.split("\n")[:-1]
    return tuple(lines[1:] if len(text.encode()) >= limit else lines)
