"""The calendar's answers one by one: the nights on which clocks change, what a person reads, clocks that lie, spans that end, and how much work it is."""

from __future__ import annotations

import pytest

from penstock.rules import clockquality
from penstock.rules.calendar import Open, Opening, Shut, admits, narrowed, openings
from penstock.wire.calendar import Calendar, Freeze, Narrowing, Once, Recurring, Rule, Weekly
from penstock.wire.dates import WEEKDAYS, clock_text, local_text
from tests.counting import calls_of
from tests.zones import DAY_S, utc, zone

MIN = 60_000
HOUR = 3_600_000
BERLIN = "Europe/Berlin"
NIGHT = Calendar(BERLIN, (Weekly("night", WEEKDAYS, "01:00", "03:30"),))


def ms(text: str) -> int:
    return utc(text) * 1000


def spans(calendar: Calendar, day: str, days: int = 1, kind: str = "apply") -> list[tuple[str, str]]:
    """(start, end) in UTC of the openings in the days from noon UTC on."""
    begin = ms(f"{day}T12:00")
    found = openings(calendar, zone(calendar.zone, "2010-01-01"), kind, begin, until_ms=begin + days * DAY_S * 1000)
    return [(local_text(one.start_ms // MIN), local_text(one.end_ms // MIN)) for one in found]


# --- the two nights ---------------------------------------------------------------------------------------------------

# zone, the day before, window, what it is in UTC
NIGHTS = [
    # Spring: an hour less. Autumn: an hour more. From 01:00 to 03:30 on the wall, both times.
    (BERLIN, "2026-03-28", ("01:00", "03:30"), [("2026-03-29T00:00", "2026-03-29T01:30")]),
    (BERLIN, "2026-10-24", ("01:00", "03:30"), [("2026-10-24T23:00", "2026-10-25T02:30")]),
    (BERLIN, "2026-06-01", ("01:00", "03:30"), [("2026-06-01T23:00", "2026-06-02T01:30")]),
    ("America/New_York", "2026-03-07", ("01:00", "03:30"), [("2026-03-08T06:00", "2026-03-08T07:30")]),
    ("America/New_York", "2026-10-31", ("01:00", "03:30"), [("2026-11-01T05:00", "2026-11-01T08:30")]),
    ("Australia/Lord_Howe", "2026-10-03", ("01:00", "03:30"), [("2026-10-03T14:30", "2026-10-03T16:30")]),
    ("Australia/Lord_Howe", "2026-04-04", ("01:00", "03:30"), [("2026-04-04T14:00", "2026-04-04T17:00")]),
    ("Asia/Kathmandu", "2026-03-28", ("01:00", "03:30"), [("2026-03-28T19:15", "2026-03-28T21:45")]),
    # A start or an end inside the hour that is skipped: the first instant after it.
    (BERLIN, "2026-03-28", ("02:30", "04:00"), [("2026-03-29T01:00", "2026-03-29T02:00")]),
    (BERLIN, "2026-03-28", ("01:00", "02:30"), [("2026-03-29T00:00", "2026-03-29T01:00")]),
    # Wholly inside it: not that night.
    (BERLIN, "2026-03-28", ("02:00", "03:00"), []),
    (BERLIN, "2026-03-28", ("02:10", "02:50"), []),
    # A start or an end inside the hour that comes twice: the first time, and never twice.
    (BERLIN, "2026-10-24", ("02:30", "04:00"), [("2026-10-25T00:30", "2026-10-25T03:00")]),
    (BERLIN, "2026-10-24", ("01:00", "02:30"), [("2026-10-24T23:00", "2026-10-25T00:30")]),
    (BERLIN, "2026-10-24", ("02:10", "02:50"), [("2026-10-25T00:10", "2026-10-25T00:50")]),
    # From one day into the next, over the change.
    (BERLIN, "2026-10-24", ("22:00", "05:00"), [("2026-10-24T20:00", "2026-10-25T04:00")]),
    (BERLIN, "2026-03-28", ("22:00", "05:00"), [("2026-03-28T21:00", "2026-03-29T03:00")]),
    # Clocks that change at midnight.
    ("America/Havana", "2026-10-31", ("23:30", "00:30"), [("2026-11-01T03:30", "2026-11-01T04:30")]),
    ("America/Havana", "2026-03-07", ("00:00", "02:00"), [("2026-03-08T05:00", "2026-03-08T06:00")]),
]


@pytest.mark.parametrize(("name", "day", "window", "expected"), NIGHTS, ids=[f"{row[0]}-{row[1]}-{row[2][0]}" for row in NIGHTS])
def test_a_nightly_window_on_nights_when_clocks_change(name, day, window, expected):
    assert spans(Calendar(name, (Weekly("night", WEEKDAYS, *window),)), day) == expected


def test_apia_has_no_friday():
    """2011-12-30 was skipped: a Friday's window does not open, one that runs into Saturday opens with it."""
    friday = Calendar("Pacific/Apia", (Weekly("friday", ("FR",), "01:00", "03:30"),))
    assert spans(friday, "2011-12-28", 4) == []
    late = Calendar("Pacific/Apia", (Weekly("friday", ("FR",), "22:00", "02:00"),))
    assert spans(late, "2011-12-28", 4) == [("2011-12-30T10:00", "2011-12-30T12:00")]


def test_a_freeze_covers_both_times_of_the_hour_that_comes_twice():
    calendar = Calendar(BERLIN, freezes=(Freeze("f", "2026-10-25T02:10", "2026-10-25T02:50"),))
    assert spans(calendar, "2026-10-24") == [("2026-10-24T12:00", "2026-10-25T00:10"), ("2026-10-25T01:50", "2026-10-25T12:00")]


# --- what counts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calendar", [None, Calendar(BERLIN), Calendar(BERLIN, holidays=("2026-12-25",))])
@pytest.mark.parametrize("clock", clockquality.QUALITIES)
def test_without_a_calendar_everything_is_open(calendar, clock):
    for kind in ("fetch", "apply"):
        assert isinstance(admits(calendar, None, kind, ms("2026-12-25T12:00"), HOUR, clock), Open)
    assert openings(calendar, None, "apply", 5, until_ms=9000) == (Opening(5, 9000, ends=False),)
    assert openings(calendar, None, "apply", 9000, until_ms=9000) == ()


def test_only_freezes_means_open_outside_of_them():
    calendar = Calendar(BERLIN, freezes=(Freeze("peak", "2026-12-01T00:00", "2026-12-02T00:00"),))
    assert spans(calendar, "2026-11-30", 2) == [("2026-11-30T12:00", "2026-11-30T23:00"), ("2026-12-01T23:00", "2026-12-02T12:00")]
    assert admits(calendar, zone(BERLIN), "fetch", ms("2026-12-01T12:00")) == Open("the site's calendar sets no limit to fetching")


def test_windows_for_applying_leave_fetching_free_and_not_the_other_way_round():
    now = ms("2026-06-01T12:00")
    assert isinstance(admits(NIGHT, zone(BERLIN), "fetch", now), Open)
    assert isinstance(admits(NIGHT, zone(BERLIN), "apply", now), Shut)
    fetching = Calendar(BERLIN, (Weekly("quiet line", WEEKDAYS, "22:00", "04:00", "fetch"),))
    assert isinstance(admits(fetching, zone(BERLIN), "fetch", now), Shut)
    answer = admits(fetching, zone(BERLIN), "apply", now)
    assert isinstance(answer, Shut)
    assert answer.reason == "no-window"
    assert answer.until_ms == 0


def test_windows_that_touch_or_overlap_are_one():
    calendar = Calendar(BERLIN, (Weekly("early", ("MO",), "01:00", "02:00"), Weekly("late", ("MO",), "02:00", "03:00")))
    assert spans(calendar, "2026-06-07") == [("2026-06-07T23:00", "2026-06-08T01:00")]
    answer = admits(calendar, zone(BERLIN), "apply", ms("2026-06-07T23:30"), 80 * MIN)
    assert isinstance(answer, Open)
    assert (answer.window, answer.closes_ms) == ("early, late", ms("2026-06-08T01:00"))


def test_a_window_that_began_days_ago_is_still_open():
    calendar = Calendar(BERLIN, recurring=(Recurring("shutdown", "2026-08-03T06:00", 7 * 1440, Rule("yearly")),))
    answer = admits(calendar, zone(BERLIN), "apply", ms("2027-08-09T12:00") - DAY_S * 1000)
    assert isinstance(answer, Open)
    assert (answer.window, answer.closes_ms) == ("shutdown", ms("2027-08-10T04:00"))


def test_after_a_freeze_all_windows_that_go_on_are_named():
    calendar = Calendar(
        BERLIN,
        (Weekly("night", ("MO",), "01:00", "05:00"), Weekly("inner", ("MO",), "02:30", "04:00")),
        freezes=(Freeze("f", "2026-06-08T02:00", "2026-06-08T02:45"),),
    )
    found = openings(calendar, zone(BERLIN), "apply", ms("2026-06-07T12:00"), count=2)
    assert [one.windows for one in found] == [("night",), ("night", "inner")]
    assert found[1] == Opening(ms("2026-06-08T00:45"), ms("2026-06-08T03:00"), ("night", "inner"))


def test_holidays_shut_what_recurs_and_not_what_was_placed():
    calendar = Calendar(
        BERLIN,
        (Weekly("night", WEEKDAYS, "01:00", "02:00"),),
        (Once("stop", "2026-12-25T08:00", "2026-12-25T09:00"),),
        (Recurring("noon", "2026-12-01T12:00", 60, Rule("daily")),),
        ("2026-12-25",),
    )
    assert spans(calendar, "2026-12-24", 1) == [("2026-12-25T07:00", "2026-12-25T08:00")]


def test_the_kind_must_be_known():
    answer = admits(NIGHT, zone(BERLIN), "melt", 0)
    assert isinstance(answer, Shut)
    assert answer.reason == "unknown-kind"


# --- what a person reads ----------------------------------------------------------------------------------------------

PEAK = Freeze("year-end", "2026-12-15T00:00", "2027-01-04T06:00", "no stops before Christmas", "centre", "Ada")
WEEK = Calendar(BERLIN, (Weekly("night", ("SA",), "01:00", "03:30"),), freezes=(PEAK,))
LONG = Calendar(BERLIN, (Weekly("short", ("MO",), "01:00", "01:20"), Weekly("long", ("SU",), "01:00", "05:00")))

SENTENCES = [
    (NIGHT, "2026-03-29T00:30", 0, "", "window 'night' is open until Sun 29 Mar 2026 03:30; it is Sun 29 Mar 2026 01:30 in Europe/Berlin"),
    (NIGHT, "2026-03-29T12:00", 0, "window-closed", "it waits for window 'night', Mon 30 Mar 2026 01:00"),
    (
        NIGHT,
        "2026-03-29T01:00",
        45 * MIN,
        "window-too-short",
        (
            "by its own history it takes 45 min, and window 'night' ends in 30 min, at Sun 29 Mar 2026 03:30, so it is not started; "
            "it is Sun 29 Mar 2026 03:00 in Europe/Berlin; it waits for window 'night', Mon 30 Mar 2026 01:00, which is long enough"
        ),
    ),
    (NIGHT, "2026-03-29T12:00", 4 * HOUR, "no-window-long-enough", "(the longest is 3 h 30 min)"),
    (
        NIGHT,
        "2026-03-29T12:00",
        3 * HOUR,
        "window-closed",
        "it waits for window 'night', Sun 25 Oct 2026 01:00, the first that is long enough: by its own history",
    ),
    (
        WEEK,
        "2026-12-19T01:00",
        0,
        "frozen",
        "the centre has frozen applying changes until Mon 4 Jan 2027 06:00: 'year-end', placed by Ada (no stops before Christmas);",
    ),
    (WEEK, "2026-12-19T01:00", 0, "frozen", "it waits for window 'night', Sat 9 Jan 2027 01:00"),
    (LONG, "2026-06-07T22:00", 2 * HOUR, "window-closed", "it waits for window 'long', Sun 14 Jun 2026 01:00, the first that is long enough"),
    (Calendar(BERLIN, freezes=(PEAK,)), "2026-12-19T01:00", 0, "frozen", "it waits for the freeze to end, Mon 4 Jan 2027 06:00"),
    (
        Calendar(BERLIN, freezes=(PEAK,)),
        "2026-12-14T22:30",
        HOUR,
        "window-too-short",
        "the time until the next freeze ends in 30 min, at Tue 15 Dec 2026 00:00",
    ),
    (Calendar(BERLIN, once=(Once("gone", "2026-01-01T00:00", "2026-01-02T00:00"),)), "2026-03-01T00:00", 0, "no-window", "opens before Mon 5 Apr 2027 02:00"),
    (NIGHT, "2026-10-25T00:30", 0, "", "it is Sun 25 Oct 2026 02:30 (the first of that night, UTC+02:00) in Europe/Berlin"),
    (NIGHT, "2050-01-01T00:00", 0, "zone-span", "lies in the past: it covers Wed 1 Jan 2020 01:00 to Tue 1 Jan 2036 01:00; the calendar counts as closed"),
    (NIGHT, "1990-01-01T00:00", 0, "zone-span", "lies in the future"),
]


@pytest.mark.parametrize(
    ("calendar", "now", "needs_ms", "reason", "said"), SENTENCES, ids=[f"{row[3] or 'open'}-{index}" for index, row in enumerate(SENTENCES)]
)
def test_every_answer_is_a_sentence(calendar, now, needs_ms, reason, said):
    answer = admits(calendar, zone(BERLIN), "apply", ms(now), needs_ms)
    assert said in answer.why
    assert (answer.reason if isinstance(answer, Shut) else "") == reason


def test_a_change_longer_than_any_window_is_told_so_at_once_and_names_the_remedy():
    answer = admits(NIGHT, zone(BERLIN), "apply", ms("2026-03-29T00:01"), 5 * HOUR)
    assert isinstance(answer, Shut)
    assert (answer.reason, answer.until_ms) == ("no-window-long-enough", 0)
    assert "by its own history it takes 5 h" in answer.why
    assert answer.why.endswith("The site can add a one-off window that is long enough")


def test_a_change_that_just_fits_is_started():
    closes = ms("2026-03-29T01:30")
    assert isinstance(admits(NIGHT, zone(BERLIN), "apply", closes - HOUR, HOUR), Open)
    assert isinstance(admits(NIGHT, zone(BERLIN), "apply", closes - HOUR + 1, HOUR), Shut)
    assert isinstance(admits(NIGHT, zone(BERLIN), "apply", closes - 1), Open)
    assert isinstance(admits(NIGHT, zone(BERLIN), "apply", closes), Shut)


# --- clocks and zones -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["never-set", "stepped-back", "far-from-signed", "untrusted", "a word of a later version"])
def test_with_a_clock_in_doubt_windows_count_as_closed(word):
    for calendar in (NIGHT, Calendar(BERLIN, freezes=(PEAK,))):
        answer = admits(calendar, zone(BERLIN), "apply", ms("2026-03-29T00:30"), 0, word)
        assert isinstance(answer, Shut)
        assert (answer.reason, answer.until_ms) == ("clock", 0)
        assert "windows count as closed until" in answer.why
    assert isinstance(admits(NIGHT, zone(BERLIN), "fetch", ms("2026-03-29T00:30"), 0, word), Open)  # the calendar has no say about it


@pytest.mark.parametrize("there", [None, zone("America/New_York")])
def test_a_calendar_without_its_zone_counts_as_closed(there):
    answer = admits(NIGHT, there, "apply", ms("2026-03-29T00:30"))
    assert isinstance(answer, Shut)
    assert answer.reason == "zone"
    assert openings(NIGHT, there, "apply", ms("2026-03-29T00:30")) == ()


def test_nothing_is_open_beyond_the_span():
    short = zone(BERLIN, "2026-01-01", "2026-03-29")
    all_day = Calendar(BERLIN, (Weekly("always", WEEKDAYS, "00:00", "24:00"),))
    answer = admits(all_day, short, "apply", short.until_s * 1000 - HOUR)
    assert isinstance(answer, Open)
    assert answer.closes_ms == short.until_s * 1000
    assert isinstance(admits(all_day, short, "apply", short.until_s * 1000), Shut)
    assert openings(all_day, short, "apply", short.until_s * 1000) == ()


DAY_MS = DAY_S * 1000
NOW = ms("2026-06-01T00:00")
QUALITY = [
    ({"kept": True}, "trusted"),
    ({"kept": False}, "untrusted"),
    ({"kept": False, "counted": True}, "trusted"),
    ({"kept": True, "build_ms": NOW + 1}, "never-set"),
    ({"kept": True, "signed_ms": NOW + HOUR}, "stepped-back"),
    ({"kept": True, "highest_ms": NOW + HOUR}, "stepped-back"),
    ({"kept": True, "highest_ms": NOW + MIN}, "trusted"),
    ({"kept": True, "signed_ms": NOW - 91 * DAY_MS}, "far-from-signed"),
    ({"kept": True, "signed_ms": NOW - 91 * DAY_MS, "far_ms": 200 * DAY_MS}, "trusted"),
    ({"kept": True, "signed_ms": 0}, "trusted"),
]


@pytest.mark.parametrize(("how", "word"), QUALITY)
def test_the_quality_of_a_clock(how, word):
    found = clockquality.quality(NOW, **{"signed_ms": NOW - DAY_MS, "build_ms": NOW - 400 * DAY_MS, **how})
    assert found == word
    assert bool(clockquality.sentence(found)) == (word != "trusted")


# --- the centre -------------------------------------------------------------------------------------------------------


def test_the_centre_lays_freezes_over_a_calendar_and_takes_none_away():
    own = Freeze("own", "2026-12-24T00:00", "2026-12-25T00:00", by="site")
    site = Calendar(BERLIN, NIGHT.weekly, freezes=(own,))
    false_flag = Freeze("theirs", "2026-12-26T00:00Z", "2026-12-27T00:00Z", by="site")
    assert narrowed(site, None) is site
    assert narrowed(None, Narrowing()) is None
    both = narrowed(site, Narrowing((false_flag,)))
    assert both is not None
    assert [(one.name, one.by) for one in both.freezes] == [("own", "site"), ("theirs", "centre")]
    assert narrowed(None, Narrowing((false_flag,)), BERLIN) == Calendar(BERLIN, freezes=both.freezes[1:])


# --- how much work it is ----------------------------------------------------------------------------------------------


PIECES = tuple(Weekly(f"w{n}", WEEKDAYS, clock_text(n * 40), clock_text(n * 40 + 30)) for n in range(32))
FULL = tuple(Weekly(f"w{n}", WEEKDAYS, clock_text(n * 45), clock_text(n * 45 + 45)) for n in range(32))
NEVER = tuple(Recurring(f"n{n}", "2026-01-01T01:00", 10, Rule("daily", by_month=(2,), by_month_day=(30,))) for n in range(32))
HOLIDAYS = tuple(local_text(utc("2026-06-01T00:00") // 60 + n * 1440)[:10] for n in range(256))
FREEZES = tuple(Freeze(f"f{n}", f"2026-06-01T{n % 24:02}:00", f"2029-06-01T{n % 24:02}:30") for n in range(64))

WORK = [
    ("nightly", NIGHT, 0, 400),
    ("a week ahead, and too short", LONG, 2 * HOUR, 900),
    (
        "plain plant",
        Calendar(BERLIN, NIGHT.weekly, (), (Recurring("r", "2026-01-04T01:00", 60, Rule("monthly", by_day=("1SU",))),), HOLIDAYS[:20], (PEAK,)),
        0,
        2500,
    ),
    ("always open", Calendar(BERLIN, (Weekly("always", WEEKDAYS, "00:00", "24:00"),)), 0, 1500),
    ("longer than any of very many", Calendar(BERLIN, PIECES), 5 * HOUR, 150_000),
    ("all at their limits", Calendar(BERLIN, FULL, recurring=NEVER, holidays=HOLIDAYS, freezes=FREEZES), 5 * HOUR, 150_000),
    ("a window that never comes", Calendar(BERLIN, recurring=NEVER), 0, 150_000),
]


@pytest.mark.parametrize(("calendar", "needs_ms", "most"), [row[1:] for row in WORK], ids=[row[0] for row in WORK])
def test_the_work_is_bounded(calendar, needs_ms, most):
    there = zone(BERLIN)
    assert calls_of(lambda: admits(calendar, there, "apply", ms("2026-06-01T12:00"), needs_ms)) < most


def test_where_counting_ends_the_sentence_says_how_far_it_looked():
    answer = admits(Calendar(BERLIN, PIECES), zone(BERLIN), "apply", ms("2026-06-01T12:00"), 5 * HOUR)
    assert isinstance(answer, Shut)
    assert answer.reason == "no-window-long-enough"
    assert "before Fri 5 Jun 2026" in answer.why


def test_a_list_is_as_long_as_was_asked_for():
    found = openings(NIGHT, zone(BERLIN), "apply", ms("2026-03-29T12:00"), count=3)
    assert [one.windows for one in found] == [("night",)] * 3
    assert found[0] == Opening(ms("2026-03-29T23:00"), ms("2026-03-30T01:30"), ("night",))
    assert len(openings(NIGHT, zone(BERLIN), "apply", ms("2026-03-29T12:00"), count=5000)) == 400
