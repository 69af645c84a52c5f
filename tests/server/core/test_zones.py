"""The zones that travel: every zone of the zone data, against the transitions in its file and the standard library's offsets."""

from __future__ import annotations

import datetime as dt
import struct
from importlib import resources
from pathlib import Path

import pytest
import tzdata
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules import zonetime
from penstock.server.core.zones import DAY_S, ZoneFault, span_around, zone_of
from penstock.server.effects.zonedata import InstalledZones
from penstock.wire.calendar import Zone
from penstock.wire.codec import decode, encode
from penstock.wire.dates import day_of

ZONES = InstalledZones(Path("/nowhere"))
NAMES = resources.files("tzdata").joinpath("zones").read_text().split()
YEAR_2005 = day_of(2005, 1, 1) * DAY_S
YEAR_2026, YEAR_2037 = day_of(2026, 1, 1) * DAY_S, day_of(2037, 1, 1) * DAY_S
NIGHTS = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/Santiago", "Antarctica/Troll", "UTC")


def of(name: str, from_s: int = YEAR_2026, until_s: int = YEAR_2037) -> Zone:
    data = ZONES.zone(name)
    assert data is not None
    return zone_of(name, ZONES.version, data, from_s, until_s)


def in_file(name: str) -> list[tuple[int, int]]:
    """(second, offset) of the 64-bit transitions in a zone's file, RFC 9636, 3: those that change the offset."""
    raw = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    counts = struct.unpack(">6l", raw[20:44])
    utc, std, leap, times, types, chars = counts
    at = 44 + times * 5 + types * 6 + chars + leap * 8 + std + utc
    utc, std, leap, times, types, chars = struct.unpack(">6l", raw[at + 20 : at + 44])
    at += 44
    when = struct.unpack(f">{times}q", raw[at : at + 8 * times])
    which = raw[at + 8 * times : at + 9 * times]
    offsets = [struct.unpack(">lBB", raw[at + 9 * times + 6 * n : at + 9 * times + 6 * n + 6])[0] for n in range(types)]
    found, before = [], offsets[0]
    for second, kind in zip(when, which, strict=True):
        if offsets[kind] != before:
            found.append((second, offsets[kind]))
        before = offsets[kind]
    return found


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in NIGHTS else pytest.mark.soak) for name in NAMES])
def test_no_transition_of_any_zone_is_missed(name):
    # Up to 2037 files may list what their footer repeats; where they stop earlier, the offsets below judge.
    zone = of(name, YEAR_2005)
    listed = [pair for pair in in_file(name) if YEAR_2005 < pair[0] < YEAR_2037]
    assert set(listed) <= set(zone.transitions[1:])
    data = ZONES.zone(name)
    for second in range(YEAR_2005, YEAR_2037, 5 * DAY_S + 3601):
        assert zonetime.offset_at(zone, second) == dt.datetime.fromtimestamp(second, data).utcoffset().total_seconds()  # type: ignore[union-attr]


@given(st.sampled_from(NAMES), st.integers(YEAR_2026, YEAR_2037 - 1))
def test_what_the_wall_shows_is_what_the_standard_library_says(name, second):
    data = ZONES.zone(name)
    shown = dt.datetime.fromtimestamp(second, data).replace(tzinfo=dt.UTC).timestamp()
    # A short span around it: the whole one is made once per zone elsewhere.
    assert zonetime.local_s(of(name, second - 3 * DAY_S, second + 3 * DAY_S), second) == shown


@pytest.mark.parametrize("name", NIGHTS)
def test_zones_are_small_and_travel(name):
    zone = of(name, *span_around(1_800_000_000_000))
    assert decode(Zone, encode(zone)) == zone
    assert len(encode(zone)) < 1500
    assert zone.tzdata == tzdata.IANA_VERSION
    assert zone.until_s - zone.transitions[0][0] == 12 * 365 * DAY_S


def test_apia_skips_a_day():
    zone = of("Pacific/Apia", day_of(2011, 12, 1) * DAY_S, day_of(2012, 1, 31) * DAY_S)
    assert zone.transitions[1:] == ((day_of(2011, 12, 30) * DAY_S + 10 * 3600, 14 * 3600),)


class Restless(dt.tzinfo):
    """Changes its offset every day."""

    def utcoffset(self, moment):
        return dt.timedelta(minutes=moment.day % 2)

    def tzname(self, _moment):
        return "restless"

    def dst(self, _moment):
        return dt.timedelta(0)

    def fromutc(self, moment):
        return moment + dt.timedelta(minutes=moment.day % 2)


def test_a_zone_with_too_many_changes_is_refused():
    with pytest.raises(ZoneFault, match="more than the 200 allowed"):
        zone_of("Test/Restless", "2026a", Restless(), YEAR_2026, YEAR_2037)


def test_a_name_that_a_device_would_not_take_is_refused():
    with pytest.raises(ZoneFault, match="IANA"):
        zone_of("W. Europe Standard Time", "2026a", dt.UTC, YEAR_2026, YEAR_2037)
