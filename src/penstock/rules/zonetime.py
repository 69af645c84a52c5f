"""Between the clock on the wall and instants, by the transitions that a zone carries along.

Owns both directions, what holds in the hour that is skipped (the gap) and in the hour that comes twice (the fold), and how a local time is written
in a sentence. Local seconds are those since 1970-01-01T00:00 on the wall. Never looks at the zone data of the machine it runs on.
"""

from __future__ import annotations

from penstock.wire.calendar import Zone
from penstock.wire.dates import date_of, weekday_of

DAY_S = 86400
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def begins_s(zone: Zone) -> int:
    """The first UTC second the zone covers."""
    return zone.transitions[0][0]


def covers(zone: Zone, at_s: int) -> bool:
    """Whether the zone says what the clock on the wall shows at this UTC second."""
    return begins_s(zone) <= at_s < zone.until_s


def _part(zone: Zone, at_s: int) -> int:
    """The place of the last transition at or before `at_s`; 0 before the span."""
    low, high = 0, len(zone.transitions)
    while high - low > 1:
        middle = (low + high) // 2
        if zone.transitions[middle][0] <= at_s:
            low = middle
        else:
            high = middle
    return low


def offset_at(zone: Zone, at_s: int) -> int:
    """Seconds east of UTC at a UTC second. Outside the span that of its nearest end, which is good for showing only."""
    return zone.transitions[_part(zone, at_s)][1]


def local_s(zone: Zone, at_s: int) -> int:
    """What the wall shows at a UTC second."""
    return at_s + offset_at(zone, at_s)


def first_s(zone: Zone, local: int) -> int:
    """The first UTC second of the span at which the wall shows `local` or later.

    In the fold the first of the two; in the gap the first instant after it; before the span its beginning, after it its end."""
    parts = zone.transitions
    # The offset changes by two days at most, so a part that ended four days earlier in UTC is past.
    for index in range(_part(zone, local - 4 * DAY_S), len(parts)):
        begin, offset = parts[index]
        end = parts[index + 1][0] if index + 1 < len(parts) else zone.until_s
        if local < end + offset:
            return max(local - offset, begin)
    return zone.until_s


def last_s(zone: Zone, local: int) -> int:
    """The first UTC second of the span from which on the wall never shows anything earlier than `local` again.

    In the fold the second of the two; in the gap the first instant after it; before the span its beginning, after it its end."""
    parts = zone.transitions
    for index in range(_part(zone, local + 4 * DAY_S), -1, -1):
        begin, offset = parts[index]
        end = parts[index + 1][0] if index + 1 < len(parts) else zone.until_s
        if local > begin + offset:
            return min(local - offset, end)
    return begins_s(zone)


def shown_at(zone: Zone, local: int) -> list[int]:
    """The UTC seconds of the span at which the wall shows just `local`: none in the gap, two in the fold."""
    parts = zone.transitions
    found = []
    for index in range(_part(zone, local - 4 * DAY_S), _part(zone, local + 4 * DAY_S) + 1):
        begin, offset = parts[index]
        end = parts[index + 1][0] if index + 1 < len(parts) else zone.until_s
        if begin <= local - offset < end:
            found.append(local - offset)
    return found


def said(zone: Zone, at_s: int) -> str:
    """An instant as people of the site read it: `Sun 25 Oct 2026 02:30`; with the offset from UTC where the clock shows that twice."""
    local = local_s(zone, at_s)
    year, month, day = date_of(local // DAY_S)
    minute = local % DAY_S // 60
    text = f"{_DAYS[weekday_of(local // DAY_S)]} {day} {_MONTHS[month - 1]} {year} {minute // 60:02}:{minute % 60:02}"
    instants = shown_at(zone, local)
    if len(instants) < 2:
        return text
    offset = offset_at(zone, at_s)
    minutes = abs(offset) // 60
    which = "first" if at_s == instants[0] else "second"
    return f"{text} (the {which} of that night, UTC{'-' if offset < 0 else '+'}{minutes // 60:02}:{minutes % 60:02})"
