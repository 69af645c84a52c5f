"""A time zone of the zone data as the record that travels to devices.

Owns finding the transitions within a span and the length of that span. The zone data come as a value: reading them, and knowing their version, is
`effects.zonedata`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from penstock.wire.calendar import Zone

DAY_S = 86400
YEARS_BACK, YEARS_AHEAD = 2, 10
# Finer than any pair of changes in the zone data that undo each other; a test goes through all zones.
STEP_S = 6 * 3600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ZoneFault(ValueError):
    """The zone data have something that a device cannot be given; says what."""


def offset_s(zone: tzinfo, at_s: int) -> int:
    """Seconds east of UTC at a UTC second, as the zone data say."""
    offset = (EPOCH + timedelta(seconds=at_s)).astimezone(zone).utcoffset()
    if offset is None:
        raise ZoneFault("the zone data give no offset from UTC")
    return offset.days * DAY_S + offset.seconds


def span_around(now_ms: int) -> tuple[int, int]:
    """The UTC seconds from and to which a zone is sent: whole days, two years back and ten ahead. The same all day long, so that what is signed with it
    changes once a day at most; a caller that wants fewer changes rounds `now_ms` down first."""
    today = now_ms // 1000 // DAY_S
    return (today - 365 * YEARS_BACK) * DAY_S, (today + 365 * YEARS_AHEAD) * DAY_S


def zone_of(name: str, version: str, data: tzinfo, from_s: int, until_s: int) -> Zone:
    """The zone between two UTC seconds. `version` is that of the zone data, as "2026b"; `data` the zone as `zoneinfo` reads it. Raises ZoneFault."""
    transitions = [(from_s, offset_s(data, from_s))]
    at = from_s
    while at < until_s - 1:
        ahead = min(at + STEP_S, until_s - 1)
        if offset_s(data, ahead) != transitions[-1][1]:
            low, high = at, ahead
            while high - low > 1:
                middle = (low + high) // 2
                if offset_s(data, middle) == transitions[-1][1]:
                    low = middle
                else:
                    high = middle
            transitions.append((high, offset_s(data, high)))
            ahead = high
        at = ahead
    made = Zone(name, version, tuple(transitions), until_s)
    fault = made.check()
    if fault is None and len(transitions) > Zone.LIMITS["transitions"]:
        fault = ("transitions", f"{len(transitions)} changes of the clock, more than the {Zone.LIMITS['transitions']} allowed")
    if fault is not None:
        raise ZoneFault(f"{name}: {fault[0]} {fault[1]}")
    return made
