"""The calendar's records on the wire: what is refused, at which field, and that dates are those of the standard library."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire import dates
from penstock.wire.calendar import Calendar, Freeze, Narrowing, Once, Recurring, Rule, Weekly, Zone
from penstock.wire.codec import WireError, decode, encode, from_plain

EPOCH = dt.date(1970, 1, 1)


@given(st.dates(dt.date(1970, 1, 1), dt.date(2200, 12, 31)))
def test_dates_are_those_of_the_standard_library(date):
    day = (date - EPOCH).days
    assert dates.day_of(date.year, date.month, date.day) == day
    assert dates.date_of(day) == (date.year, date.month, date.day)
    assert dates.weekday_of(day) == date.weekday()
    assert dates.date_text(day) == date.isoformat()
    assert dates.read_date(date.isoformat()) == day


@given(st.text("0123456789-T:Z+ \u0663", max_size=17) | st.text(max_size=17))
def test_what_is_read_as_a_time_is_written_the_same(text):
    day, minute, local = dates.read_date(text), dates.read_clock(text), dates.read_local(text)
    assert day is None or dates.date_text(day) == text
    assert minute is None or dates.clock_text(minute) == text
    assert local is None or dates.local_text(local) == text


@given(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2200, 12, 31)))  # noqa: DTZ001 - times on the wall have no zone
def test_local_times_are_read(moment):
    text = moment.isoformat(timespec="minutes")
    minute = dates.read_local(text)
    assert minute is not None
    assert dt.datetime(1970, 1, 1) + dt.timedelta(minutes=minute) == moment.replace(second=0, microsecond=0)  # noqa: DTZ001


@pytest.mark.parametrize(
    "text", ["2026-02-29", "1969-12-31", "2201-01-01", "2026-13-01", "2026-00-10", "2026-1-010", "+026-01-01", "\u0662\u0660\u0662\u0666-01-01"]
)
def test_what_is_no_date_is_not_read(text):
    assert dates.read_date(text) is None


WEEKLY = {"name": "night", "days": ["MO"], "start": "01:00", "end": "03:30"}
ONCE = {"name": "stop", "start": "2026-12-24T18:00", "end": "2026-12-25T06:00"}
RECURRING = {"name": "month", "start": "2026-01-04T01:00", "minutes": 60, "rule": {"freq": "monthly", "by_day": ["1SU"]}}
FREEZE = {"name": "peak", "start": "2026-12-01T00:00", "end": "2027-01-02T00:00"}
ZONE = {"name": "Europe/Berlin", "tzdata": "2026b", "transitions": [[0, 3600], [100, 7200]], "until_s": 200}

WRONG = [
    (Weekly, WEEKLY, {"name": " "}, "name", "people at the site"),
    (Weekly, WEEKLY, {"name": "a\nb"}, "name", "cannot be shown"),
    (Weekly, WEEKLY, {"name": "n" * 61}, "name", "more than the 60"),
    (Weekly, WEEKLY, {"days": []}, "days", "at least one"),
    (Weekly, WEEKLY, {"days": ["MO", "1MO"]}, "days[1]", "must be one of"),
    (Weekly, WEEKLY, {"days": ["MO", "MO"]}, "days", "twice"),
    (Weekly, WEEKLY, {"start": "24:00"}, "start", "23:59"),
    (Weekly, WEEKLY, {"end": "24:01"}, "end", "24:00"),
    (Weekly, WEEKLY, {"admits": "everything"}, "admits", "apply, fetch, both"),
    (Once, ONCE, {"start": "2026-12-24"}, "start", "local time"),
    (Once, ONCE, {"end": "2026-12-24T24:00"}, "end", "local time"),
    (Once, ONCE, {"end": ONCE["start"]}, "end", "later than the start"),
    (Once, ONCE, {"end": "2028-12-24T18:00"}, "end", "366 days"),
    (Recurring, RECURRING, {"start": "2026-02-30T01:00"}, "start", "local time"),
    (Recurring, RECURRING, {"minutes": 0}, "minutes", "seven days"),
    (Recurring, RECURRING, {"minutes": 10081}, "minutes", "seven days"),
    (Recurring, RECURRING, {"except_dates": ["2026-01-01", "soon"]}, "except_dates[1]", "a date"),
    (Recurring, RECURRING, {"rule": {"freq": "hourly"}}, "rule.freq", "daily, weekly"),
    (Recurring, RECURRING, {"rule": {"freq": "daily", "every": 0}}, "rule.every", "1 to 1000"),
    (Recurring, RECURRING, {"rule": {"freq": "daily", "until": "later"}}, "rule.until", "a date"),
    (Recurring, RECURRING, {"rule": {"freq": "monthly", "by_day": ["6MO"]}}, "rule.by_day[0]", "1MO"),
    (Recurring, RECURRING, {"rule": {"freq": "weekly", "by_day": ["1MO"]}}, "rule.by_day[0]", "monthly"),
    (Recurring, RECURRING, {"rule": {"freq": "yearly", "by_day": ["1MO"]}}, "rule.by_day[0]", "by_month"),
    (Recurring, RECURRING, {"rule": {"freq": "monthly", "by_day": ["MO", "1MO"]}}, "rule.by_day", "two windows"),
    (Recurring, RECURRING, {"rule": {"freq": "monthly", "by_month_day": [0]}}, "rule.by_month_day[0]", "1 to 31"),
    (Recurring, RECURRING, {"rule": {"freq": "weekly", "by_month_day": [1]}}, "rule.by_month_day", "weekly"),
    (Recurring, RECURRING, {"rule": {"freq": "yearly", "by_month": [13]}}, "rule.by_month[0]", "1 to 12"),
    (Freeze, FREEZE, {"start": "2026-12-01"}, "start", "instant"),
    (Freeze, FREEZE, {"end": "2027-01-02T00:00ZZ"}, "end", "more than the 17 allowed"),
    (Freeze, FREEZE, {"start": "2026-12-01T00:0ZZ"}, "start", "instant"),
    (Freeze, FREEZE, {"end": "2027-01-02T00:00Z"}, "end", "same kind"),
    (Freeze, FREEZE, {"end": FREEZE["start"]}, "end", "later"),
    (Freeze, FREEZE, {"shuts": "fetch"}, "shuts", "apply, both"),
    (Freeze, FREEZE, {"by": "me"}, "by", "site, centre"),
    (Zone, ZONE, {"name": "Europe/Bérlin"}, "name", "IANA"),
    (Zone, ZONE, {"tzdata": ""}, "tzdata", "version"),
    (Zone, ZONE, {"transitions": []}, "transitions", "begins"),
    (Zone, ZONE, {"transitions": [[0, 1, 2]]}, "transitions[0]", "two numbers"),
    (Zone, ZONE, {"transitions": [[0, 100000]]}, "transitions[0]", "26 hours"),
    (Zone, ZONE, {"transitions": [[5, 0], [5, 0]]}, "transitions[1]", "not later"),
    (Zone, ZONE, {"transitions": [[n, 0] for n in range(201)]}, "transitions", "more than the 200"),
    (Zone, ZONE, {"until_s": 100}, "until_s", "later"),
    (Calendar, {"zone": "Europe/Berlin"}, {"holidays": ["2026-02-29"]}, "holidays[0]", "a date"),
    (Calendar, {"zone": "Europe/Berlin"}, {"weekly": [WEEKLY] * 33}, "weekly", "more than the 32"),
    (Calendar, {"zone": "Europe/Berlin"}, {"freezes": [FREEZE] * 65}, "freezes", "more than the 64"),
    (Narrowing, {}, {"freezes": [FREEZE] * 65}, "freezes", "more than the 64"),
]


@pytest.mark.parametrize(("cls", "good", "bad", "path", "said"), WRONG, ids=[f"{row[0].__name__}.{row[3]}-{index}" for index, row in enumerate(WRONG)])
def test_nonsense_is_refused_at_its_field(cls, good, bad, path, said):
    from_plain(cls, good)
    with pytest.raises(WireError) as fault:
        from_plain(cls, {**good, **bad})
    assert fault.value.path == path
    assert said in fault.value.why


def test_a_whole_calendar_comes_back_from_the_wire():
    calendar = Calendar(
        "Europe/Berlin",
        (Weekly("night", ("MO", "SU"), "22:00", "02:00", "both"),),
        (Once("stop", "2026-12-24T18:00", "2026-12-25T06:00", "fetch"),),
        (Recurring("month", "2026-01-04T01:00", 60, Rule("monthly", by_day=("1SU", "-1FR")), ("2026-02-01",)),),
        ("2026-12-25",),
        (Freeze("peak", "2026-12-01T00:00Z", "2027-01-02T00:00Z", "trade", "centre", "Ada", "both"),),
    )
    assert decode(Calendar, encode(calendar)) == calendar
    zone = Zone("Europe/Berlin", "2026b", ((0, 3600), (100, 7200)), 200)
    assert decode(Zone, encode(zone)) == zone
