"""The wall and instants: both directions second by second over the nights that matter, against a search of every instant."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules.zonetime import begins_s, covers, first_s, last_s, local_s, said, shown_at
from penstock.wire.calendar import Zone
from penstock.wire.dates import DAY_MIN
from tests.zones import DAY_S, NAMES, data_of, utc, zone

# (zone, a UTC time near its change of the clock)
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("America/Havana", "2026-03-08T05:00"),
    ("America/Havana", "2026-11-01T05:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("Asia/Kathmandu", "2026-03-29T01:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
]


def near(name: str, text: str) -> Zone:
    """The zone two days to both sides of a change."""
    first, until = utc(text) - 2 * DAY_S, utc(text) + 2 * DAY_S
    whole = zone(name, "2010-01-01")
    begin = max(pair for pair in whole.transitions if pair[0] <= first)
    return Zone(name, whole.tzdata, ((first, begin[1]), *(pair for pair in whole.transitions if first < pair[0] < until)), until)


@pytest.mark.parametrize(("name", "text"), CHANGES, ids=[f"{name}-{text[:10]}" for name, text in CHANGES])
def test_every_minute_of_the_wall_around_a_change(name, text):
    piece = near(name, text)
    instants = range(begins_s(piece), piece.until_s, 60)
    walls = [local_s(piece, at) for at in instants]
    data = data_of(name)
    assert walls == [at + dt.datetime.fromtimestamp(at, data).utcoffset().total_seconds() for at in instants]  # type: ignore[union-attr]
    shown: dict[int, list[int]] = {}
    for at, wall in zip(instants, walls):
        shown.setdefault(wall, []).append(at)
    for local in range(utc(text) - DAY_S, utc(text) + DAY_S, 900):
        # First: the first instant at which the wall shows that or later. Last: from which on it never shows less again.
        reached = next((index for index, wall in enumerate(walls) if wall >= local), len(walls))
        assert first_s(piece, local) == (instants[reached] if reached < len(walls) else piece.until_s)
        under = next((index for index in range(len(walls) - 1, -1, -1) if walls[index] < local), -1) + 1
        assert last_s(piece, local) == (instants[under] if under < len(walls) else piece.until_s)
        assert shown_at(piece, local) == shown.get(local, [])


@given(st.sampled_from(NAMES), st.integers(0, 12 * 365 * DAY_MIN))
def test_the_wall_leads_back(name, minute):
    there = zone(name)
    at = begins_s(there) + minute * 60
    local = local_s(there, at)
    assert at in shown_at(there, local)
    assert first_s(there, local) == shown_at(there, local)[0]
    assert first_s(there, local) <= last_s(there, local) <= shown_at(there, local)[-1]


@given(st.sampled_from(NAMES), st.integers(-40 * 365 * DAY_MIN, 40 * 365 * DAY_MIN), st.integers(0, 3 * DAY_MIN))
def test_later_on_the_wall_is_never_earlier_in_time(name, minute, more):
    there = zone(name)
    local = begins_s(there) + minute * 60
    for find in (first_s, last_s):
        assert begins_s(there) <= find(there, local) <= find(there, local + more * 60) <= there.until_s


def test_outside_the_span_nothing_is_covered():
    there = zone("Europe/Berlin")
    assert not covers(there, begins_s(there) - 1)
    assert covers(there, begins_s(there))
    assert covers(there, there.until_s - 1)
    assert not covers(there, there.until_s)


SAID = [
    ("Europe/Berlin", "2026-03-29T00:59", "Sun 29 Mar 2026 01:59"),
    ("Europe/Berlin", "2026-03-29T01:00", "Sun 29 Mar 2026 03:00"),
    ("Europe/Berlin", "2026-10-25T00:30", "Sun 25 Oct 2026 02:30 (the first of that night, UTC+02:00)"),
    ("Europe/Berlin", "2026-10-25T01:30", "Sun 25 Oct 2026 02:30 (the second of that night, UTC+01:00)"),
    ("America/New_York", "2026-11-01T06:30", "Sun 1 Nov 2026 01:30 (the second of that night, UTC-05:00)"),
    ("Asia/Kathmandu", "2026-07-01T18:30", "Thu 2 Jul 2026 00:15"),
    ("Europe/Berlin", "2050-07-01T00:00", "Fri 1 Jul 2050 01:00"),
]


@pytest.mark.parametrize(("name", "at", "text"), SAID)
def test_an_instant_is_said_as_the_site_reads_it(name, at, text):
    assert said(zone(name), utc(at)) == text
