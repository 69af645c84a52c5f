"""iCalendar in and out: what comes back is what went out, an independent reader sees the same openings, and what is refused is named by line and property."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import icalendar
import pytest
from dateutil import rrule
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules.calendar import openings
from penstock.rules.recurrence import next_day
from penstock.server.core.icslines import IcsFault, escaped, folded, listed, read_lines, unescaped
from penstock.server.core.icsread import Imported, read_ics
from penstock.server.core.icsrules import read_duration
from penstock.server.core.icswrite import write_ics
from penstock.wire.calendar import Calendar, Freeze, Once, Recurring, Rule, Weekly
from penstock.wire.codec import decode, encode
from penstock.wire.dates import DAY_MIN, WEEKDAYS, clock_text, date_text, day_of, local_text
from penstock.wire.record import replace
from tests.rules.test_recurrence import rules
from tests.zones import NAMES, utc, zone

BERLIN = "Europe/Berlin"
NOW_MS = utc("2026-01-05T12:00") * 1000

# --- there and back ---------------------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf", "Co", "Cn", "Zs"]), min_size=1, max_size=60)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=80).map(str.strip)
grants = st.sampled_from(["apply", "fetch", "both"])
clocks = st.integers(0, DAY_MIN - 1).map(clock_text)
days = st.integers(day_of(2025, 1, 1), day_of(2029, 12, 31))
moments = st.integers(day_of(2025, 1, 1) * DAY_MIN, day_of(2029, 12, 31) * DAY_MIN)
weeklies = st.builds(Weekly, names, st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True).map(tuple), clocks, clocks, grants)
onces = st.builds(
    lambda name, start, length, grant: Once(name, local_text(start), local_text(start + length), grant), names, moments, st.integers(1, 9999), grants
)
holidays = st.lists(days.map(date_text), max_size=5, unique=True).map(lambda found: tuple(sorted(found)))


@st.composite
def series(draw):
    """A series whose start is one of its own dates, as every file has it."""
    rule = draw(rules())
    start = draw(moments)
    first = next_day(rule, start // DAY_MIN, start // DAY_MIN, start // DAY_MIN + 2000)
    if first is None or first > day_of(2029, 12, 31):
        rule, first = replace(rule, freq="daily", by_day=(), by_month=(), by_month_day=(), until=""), start // DAY_MIN
    out = tuple(date_text(day) for day in sorted(set(draw(st.lists(days, max_size=3)))))
    return Recurring(draw(names), local_text(first * DAY_MIN + start % DAY_MIN), draw(st.integers(1, 10080)), rule, out, draw(grants))


@st.composite
def freezes(draw):
    start = draw(moments)
    end = "Z" * draw(st.booleans())
    span = local_text(start) + end, local_text(start + draw(st.integers(1, 99999))) + end
    return Freeze(draw(names), *span, draw(texts), "site", draw(texts), draw(st.sampled_from(["apply", "both"])))


def listed_of(what):
    return st.lists(what, max_size=3).map(tuple)


calendars = st.builds(Calendar, st.sampled_from(NAMES), listed_of(weeklies), listed_of(onces), listed_of(series()), holidays, listed_of(freezes()))


def plain(calendar: Calendar) -> Calendar:
    """The calendar as a file keeps it: an exception on a holiday says nothing more than the holiday."""
    kept = [replace(one, except_dates=tuple(date for date in one.except_dates if date not in calendar.holidays)) for one in calendar.recurring]
    return replace(calendar, recurring=tuple(kept))


@given(calendars)
def test_what_is_written_is_read_back(calendar):
    assert decode(Calendar, encode(calendar)) == calendar
    found = read_ics(write_ics(calendar, zone(calendar.zone), NOW_MS), zone(calendar.zone))
    assert found == Imported(plain(calendar))


@given(calendars)
def test_what_is_written_is_iCalendar(calendar):  # noqa: N802 - its name
    raw = write_ics(calendar, zone(calendar.zone), NOW_MS)
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    theirs: Any = icalendar.Calendar.from_ical(raw)
    assert not theirs.errors
    events = theirs.walk("VEVENT")
    assert not any(event.errors for event in events)
    assert len({str(event["UID"]) for event in events}) == len(events)
    assert [str(event["SUMMARY"]) for event in events if "weekly" in event.categories] == [one.name for one in calendar.weekly]
    assert [str(event.get("DESCRIPTION", "")) for event in events if "freeze" in event.categories] == [one.reason for one in calendar.freezes]


simple_rules = st.sampled_from(
    [Rule("daily"), Rule("weekly", 2, by_day=("MO", "TH")), Rule("monthly", by_day=("1SU", "-1FR")), Rule("daily", until="2026-02-10")]
)


@given(simple_rules, st.integers(0, 300), st.integers(0, DAY_MIN - 1), st.lists(st.integers(0, 40), max_size=4, unique=True))
def test_an_independent_reader_sees_the_same_openings(rule, skip, minute, out):
    """Where clocks do not change (there clients differ among themselves)."""
    first = next_day(rule, day_of(2026, 1, 1), day_of(2026, 1, 1) + (skip % 20), day_of(2026, 2, 28)) or day_of(2026, 1, 1)
    off = tuple(date_text(first + day) for day in out)
    calendar = Calendar("Asia/Kathmandu", recurring=(Recurring("r", local_text(first * DAY_MIN + minute), 30, rule, off[:2]),), holidays=tuple(sorted(off[2:])))
    there = zone("Asia/Kathmandu")
    whole: Any = icalendar.Calendar.from_ical(write_ics(calendar, there, NOW_MS))
    event = next(one for one in whole.walk("VEVENT") if "window" in one.categories)
    begin = event["DTSTART"].dt
    theirs = rrule.rruleset()
    series: Any = rrule.rrulestr(event["RRULE"].to_ical().decode(), dtstart=begin)
    theirs.rrule(series)
    exceptions = event.get("EXDATE", [])
    for each in exceptions if isinstance(exceptions, list) else [exceptions]:
        for one in each.dts:
            theirs.exdate(one.dt)
    until = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    expected = [int(one.timestamp()) * 1000 for one in theirs.between(dt.datetime(2025, 12, 1, tzinfo=dt.UTC), until)]
    found = openings(calendar, there, "apply", utc("2025-12-01T00:00") * 1000, until_ms=int(until.timestamp()) * 1000, count=1000)
    assert [one.start_ms for one in found] == expected


# --- by hand ----------------------------------------------------------------------------------------------------------


def ics(*lines: str, tail: str = "") -> bytes:
    return ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + "".join(f"{line}\r\n" for line in lines) + f"END:VEVENT\r\n{tail}END:VCALENDAR\r\n").encode()


START, END = f"DTSTART;TZID={BERLIN}:20260104T010000", f"DTEND;TZID={BERLIN}:20260104T033000"

TAKEN = [
    ((START, END), Calendar(BERLIN, once=(Once("window", "2026-01-04T01:00", "2026-01-04T03:30"),))),
    (("SUMMARY:Night\\, long", START, "DURATION:PT2H"), Calendar(BERLIN, once=(Once("Night, long", "2026-01-04T01:00", "2026-01-04T03:00"),))),
    (("DTSTART:20260104T010000", "DTEND:20260104T020000"), Calendar(BERLIN, once=(Once("window", "2026-01-04T01:00", "2026-01-04T02:00"),))),
    (("DTSTART:20260704T010000Z", "DTEND:20260704T020000Z"), Calendar(BERLIN, once=(Once("window", "2026-07-04T03:00", "2026-07-04T04:00"),))),
    (
        ("DTSTART;TZID=/example.org/Europe/Berlin:20260104T010000", "DURATION:P1D"),
        Calendar(BERLIN, once=(Once("window", "2026-01-04T01:00", "2026-01-05T01:00"),)),
    ),
    (("dtstart;value=DATE:20260104", "categories:x,HOLIDAY"), Calendar(BERLIN, holidays=("2026-01-04",))),
    (("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227", "CATEGORIES:holiday"), Calendar(BERLIN, holidays=("2026-12-24", "2026-12-25", "2026-12-26"))),
    (
        (START, END, "RRULE:FREQ=MONTHLY;BYDAY=1SU;COUNT=3", f"EXDATE;TZID={BERLIN}:20260201T010000"),
        Calendar(BERLIN, recurring=(Recurring("window", "2026-01-04T01:00", 150, Rule("monthly", until="2026-03-01", by_day=("1SU",)), ("2026-02-01",)),)),
    ),
    (
        (START, END, "RRULE:FREQ=WEEKLY;UNTIL=20260118T000000Z;INTERVAL=1;"),  # 01:00 of the 18th in Berlin: included
        Calendar(BERLIN, recurring=(Recurring("window", "2026-01-04T01:00", 150, Rule("weekly", until="2026-01-18")),)),
    ),
    (
        (START, END, "RRULE:FREQ=WEEKLY;UNTIL=20260117T235959Z"),
        Calendar(BERLIN, recurring=(Recurring("window", "2026-01-04T01:00", 150, Rule("weekly", until="2026-01-17")),)),
    ),
    ((START, END, "RRULE:FREQ=WEEKLY", "CATEGORIES:window,weekly,fetch,apply"), Calendar(BERLIN, (Weekly("window", ("SU",), "01:00", "03:30", "both"),))),
    (
        ("DTSTART:20261201T000000Z", "DTEND:20261202T000000Z", "CATEGORIES:freeze,both", "DESCRIPTION:a\\nb", "CONTACT:Ada"),
        Calendar(BERLIN, freezes=(Freeze("freeze", "2026-12-01T00:00Z", "2026-12-02T00:00Z", "a\nb", "site", "Ada", "both"),)),
    ),
    (
        (START, END, "BEGIN:VALARM", "TRIGGER:-PT15M", "DTSTART:nonsense", "END:VALARM"),
        Calendar(BERLIN, once=(Once("window", "2026-01-04T01:00", "2026-01-04T03:30"),)),
    ),
]


@pytest.mark.parametrize(("lines", "calendar"), TAKEN, ids=range(len(TAKEN)))
def test_what_is_taken(lines, calendar):
    assert read_ics(ics(*lines), zone(BERLIN)) == Imported(calendar)


RULE = "RRULE:FREQ=WEEKLY"
REFUSED = [
    ((START, END, "RRULE:FREQ=HOURLY"), 5, "RRULE FREQ", "DAILY, WEEKLY, MONTHLY or YEARLY"),
    ((START, END, "RRULE:COUNT=3"), 5, "RRULE FREQ", "missing"),
    ((START, END, RULE + ";BYSETPOS=1"), 5, "RRULE BYSETPOS", "BYDAY=1MO"),
    ((START, END, RULE + ";BYHOUR=1,3"), 5, "RRULE BYHOUR", "one event for each time"),
    ((START, END, "RRULE:FREQ=YEARLY;BYWEEKNO=20"), 5, "RRULE BYWEEKNO", "BYMONTH"),
    ((START, END, "RRULE:FREQ=YEARLY;BYYEARDAY=100"), 5, "RRULE BYYEARDAY", "BYMONTHDAY"),
    ((START, END, "RRULE:FREQ=YEARLY;BYDAY=20MO"), 5, "RRULE BYDAY", "month"),
    ((START, END, "RRULE:FREQ=YEARLY;BYDAY=1MO"), 5, "RRULE BYDAY", "BYMONTH"),
    ((START, END, RULE + ";BYDAY=1MO"), 5, "RRULE BYDAY", "FREQ=MONTHLY"),
    ((START, END, "RRULE:FREQ=MONTHLY;BYDAY=SU,1SU"), 5, "RRULE BYDAY", "two windows"),
    ((START, END, RULE + ";BYMONTHDAY=4"), 5, "RRULE BYMONTHDAY", "monthly"),
    ((START, END, RULE + ";COUNT=2;UNTIL=20270101"), 5, "RRULE COUNT", "UNTIL"),
    ((START, END, RULE + ";COUNT=0"), 5, "RRULE COUNT", "1 to 2000"),
    ((START, END, RULE + ";COUNT=-4"), 5, "RRULE COUNT", "1 or more"),
    ((START, END, RULE + ";INTERVAL=x"), 5, "RRULE INTERVAL", "whole numbers"),
    ((START, END, RULE + ";INTERVAL=-2"), 5, "RRULE INTERVAL", "1 or more"),
    ((START, END, RULE + ";UNTIL=soon"), 5, "RRULE UNTIL", "20261224"),
    ((START, END, RULE + ";UNTIL=20250101"), 5, "RRULE UNTIL", "DTSTART"),
    ((START, END, RULE + ";WKST=XX"), 5, "RRULE WKST", "MO"),
    ((START, END, RULE + ";BYDAY=MO"), 5, "RRULE RRULE", "move DTSTART"),
    ((START, END, RULE + ";FREQ=DAILY"), 5, "RRULE FREQ", "twice"),
    ((START, END, RULE + ";FROG"), 5, "RRULE FROG", "NAME=VALUE"),
    ((START, END, RULE + ";FROG=1"), 5, "RRULE FROG", "not supported"),
    ((START, END, RULE, RULE), 6, "RRULE", "twice"),
    ((START, END, "RDATE:20260105T010000"), 5, "RDATE", "event of its own"),
    ((START, END, "RECURRENCE-ID:20260105T010000"), 5, "RECURRENCE-ID", "EXDATE"),
    ((START, END, "EXRULE:FREQ=DAILY"), 5, "EXRULE", "EXDATE"),
    ((END,), 2, "BEGIN", "no DTSTART"),
    ((START,), 3, "DTSTART", "neither DTEND nor DURATION"),
    ((START, END, "DURATION:PT1H"), 5, "DURATION", "DTEND"),
    ((START, "DURATION:PT1S"), 4, "DURATION", "whole minutes"),
    ((START, "DTEND:20260104T010000"), 4, "DTEND", "does not end after"),
    ((START, "DTEND;VALUE=DATE:20260105"), 4, "DTEND", "make both the same"),
    ((START.replace("0000", "0001"), END), 3, "DTSTART", "seconds"),
    (("DTSTART;TZID=W. Europe Standard Time:20260104T010000", "DURATION:PT1H"), 3, "DTSTART TZID", "this site's clock is Europe/Berlin"),
    (("DTSTART:20260104T010000Z", "DURATION:PT1H", RULE), 3, "DTSTART", "recurs in UTC"),
    (("DTSTART:20261025T013000Z", "DURATION:PT1H"), 3, "DTSTART", "comes twice"),
    (("DTSTART:20260230T010000", "DURATION:PT1H"), 3, "DTSTART", "no date or time"),
    (("DTSTART:20260203T250000", "DURATION:PT1H"), 3, "DTSTART", "time of day"),
    (("DTSTART:20260203T010000", "DURATION:P8D", "RRULE:FREQ=MONTHLY"), 2, "BEGIN", "seven days"),
    (("DTSTART;VALUE=DATE:20260203", "RRULE:FREQ=YEARLY", "CATEGORIES:holiday"), 4, "RRULE", "single dates"),
    (("DTSTART;VALUE=DATE:20260203", "RRULE:FREQ=YEARLY", "CATEGORIES:freeze"), 4, "RRULE", "do not recur"),
]


@pytest.mark.parametrize(("lines", "line", "name", "why"), REFUSED, ids=[f"{row[2]}-{index}" for index, row in enumerate(REFUSED)])
def test_what_is_refused_is_named(lines, line, name, why):
    found = read_ics(ics(*lines), zone(BERLIN))
    assert found.calendar is None
    (remark,) = found.refusals
    assert (remark.line, remark.name) == (line, name)
    assert why in remark.why
    assert str(remark).startswith(f"line {line}: {name}: ")


WARNED = [
    ((START, END, "STATUS:CANCELLED"), "", 5, "STATUS", "left out"),
    ((START, END, "CATEGORIES:freeze,centre"), "", 2, "CATEGORIES", "placed by the centre"),
    ((START, END, RULE, "EXDATE:20260111T020000"), "", 6, "EXDATE", "takes nothing away"),
    ((START, END, "SUMMARY:" + "n" * 70), "", 5, "SUMMARY", "cut to 60"),
    ((START, END), "BEGIN:VTODO\r\nSUMMARY:clean\r\nEND:VTODO\r\n", 6, "VTODO", "no event"),
]


@pytest.mark.parametrize(("lines", "tail", "line", "name", "why"), WARNED, ids=[row[3] for row in WARNED])
def test_what_is_left_out_is_said(lines, tail, line, name, why):
    found = read_ics(ics(*lines, tail=tail), zone(BERLIN))
    assert found.calendar is not None
    (remark,) = found.warnings
    assert (remark.line, remark.name) == (line, name)
    assert why in remark.why


def test_holidays_of_another_calendar_are_read_as_such():
    found = read_ics(ics("SUMMARY:Epiphany", "DTSTART;VALUE=DATE:20260106"), zone(BERLIN), kind="holiday")
    assert found == Imported(Calendar(BERLIN, holidays=("2026-01-06",)))


def test_too_many_events_are_refused():
    raw = b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\nDTSTART:20260101T010000\nDURATION:PT1H\nEND:VEVENT\n" * 65 + b"END:VCALENDAR\n"
    (remark,) = read_ics(raw, zone(BERLIN)).refusals
    assert "more than the 64 allowed" in remark.why


BROKEN = [
    (b"", 0, "beginning"),
    (b"<html>", 1, "no property name"),
    (b"BEGIN:VEVENT\nEND:VEVENT", 1, "beginning"),
    (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", 2, "cut off"),
    (b"BEGIN:VCALENDAR\nEND:VEVENT\n", 2, "ends nothing"),
    (b"BEGIN:VCALENDAR\nEND:VCALENDAR\nX:1", 3, "outside"),
    (b"BEGIN:VCALENDAR\nSUMMARY\n", 2, "no ':'"),
    (b"BEGIN:VCALENDAR\nSUMMARY;X\n", 2, "parameter"),
    (b'BEGIN:VCALENDAR\nSUMMARY;X="a:b\n', 2, "not closed"),
    (b"BEGIN:VCALENDAR\nSUMMARY:\xff\n", 2, "UTF-8"),
    (b"BEGIN:VCALENDAR\nX:" + b"a" * 30000, 2, "20000 characters"),
    (b"x" * 2_000_000, 0, "bytes"),
    (b"\n" * 60_000, 0, "lines"),
]


@pytest.mark.parametrize(("raw", "line", "why"), BROKEN, ids=[row[2] for row in BROKEN])
def test_what_is_no_file_is_refused(raw, line, why):
    found = read_ics(raw, zone(BERLIN))
    assert found.calendar is None
    assert found.refusals[0].line == line
    assert why in found.refusals[0].why


PARTS = [
    "BEGIN:VCALENDAR",
    "END:VCALENDAR",
    "BEGIN:VEVENT",
    "END:VEVENT",
    START,
    END,
    RULE,
    "RRULE:FREQ=DAILY;COUNT=99",
    "EXDATE:20260104",
    "CATEGORIES:freeze",
]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=30), max_size=12).map("\n".join) | st.text())
def test_whatever_comes_in_there_is_an_answer(text):
    found = read_ics(text.encode("utf-8", "surrogatepass"), zone(BERLIN))
    assert (found.calendar is None) == bool(found.refusals)
    if found.calendar is not None:
        assert decode(Calendar, encode(found.calendar)) == found.calendar


# --- lines ------------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_text_survives_escape_and_fold(text):
    (line,) = read_lines(folded(f"SUMMARY:{escaped(text)}").encode())
    assert unescaped(line.value) == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=10), min_size=1, max_size=5))
def test_lists_are_split_where_they_were_joined(words):
    assert listed(",".join(map(escaped, words))) == words


def test_parameters_are_read():
    (line,) = read_lines(b'attendee;CN="Doe, J: x;y";Role=CHAIR:mailto:a@b')
    assert (line.name, line.parameters, line.value) == ("ATTENDEE", {"CN": "Doe, J: x;y", "ROLE": "CHAIR"}, "mailto:a@b")


def test_a_fold_may_fall_within_a_character():
    (line,) = read_lines("SUMMARY:ü".encode()[:-1] + b"\r\n " + "ü".encode()[-1:] + b"\r\n")
    assert line.value == "ü"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("PT2H30M", 150), ("P1D", 1440), ("P1W", 10080), ("P1DT1H", 1500), ("PT60S", 1), ("PT1S", None), ("P", None), ("-PT1H", None), ("PT", None)],
)
def test_durations(text, minutes):
    assert read_duration(text) == minutes


def test_a_fault_says_its_line():
    assert str(IcsFault(3, "is odd")) == "line 3: is odd"
    assert str(IcsFault(0, "is odd")) == "is odd"


def test_the_file_in_the_documents_is_taken():
    block = (Path(__file__).parents[3] / "docs" / "calendars.md").read_text().partition("```ics\n")[2].partition("```")[0]
    found = read_ics(block.encode(), zone(BERLIN))
    assert not found.refusals
    assert not found.warnings
    assert found.calendar is not None
    assert [one.name for one in found.calendar.recurring] == ["first Sunday"]
    assert found.calendar.holidays == ("2026-12-25", "2026-12-26")
    assert [one.who for one in found.calendar.freezes] == ["Ada"]


WRITTEN = [
    row.split("|")[2].strip().partition(",")[0] for row in (Path(__file__).parents[3] / "docs" / "calendars.md").read_text().splitlines() if "| FREQ=" in row
]


@pytest.mark.parametrize("rule", WRITTEN)
def test_the_rules_in_the_documents_are_taken(rule):
    starts = [day for day in range(day_of(2026, 3, 1), day_of(2026, 9, 1)) if not read_ics(_at(day, rule), zone(BERLIN)).refusals]
    assert starts, rule


def _at(day: int, rule: str) -> bytes:
    return ics(f"DTSTART:{date_text(day).replace('-', '')}T010000", "DURATION:PT1H", f"RRULE:{rule}")
