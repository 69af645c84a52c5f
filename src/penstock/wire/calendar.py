"""A site's calendar on the wire: its zone with every change of the clock, its windows, its holidays, its freezes.

Owns these records, their limits and what makes one of them nonsense. What they mean at an instant stands in `rules.calendar`. Days are written
`2026-12-24`, times on the wall `18:00` and `2026-12-24T18:00`, instants `2026-12-24T17:00Z`. Never holds a rule.
"""

from __future__ import annotations

from penstock.wire.dates import DAY_MIN, WEEKDAYS, read_clock, read_date, read_local
from penstock.wire.record import record

ADMITS = ("apply", "fetch", "both")  # what a window lets happen; a freeze shuts "apply" or "both"
MOST_TRANSITIONS = 200
MOST_OFFSET_S = 26 * 3600  # RFC 9636 allows no more
MOST_WINDOWS = 32  # of each kind: weekly, recurring
MOST_ONCE = 64
MOST_FREEZES = 64
MOST_HOLIDAYS = 256
MOST_EXDATES = 64
MOST_RECURRING_MIN = 7 * DAY_MIN
MOST_ONCE_MIN = 366 * DAY_MIN
_ZONE_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/")


def _label_fault(name: str) -> tuple[str, str] | None:
    if not name.strip():
        return ("name", "is empty; give it a name that people at the site know")
    return None if name.isprintable() else ("name", "holds a character that cannot be shown")


@record
class Zone:
    """A time zone as far as a calendar needs it: the IANA `name`, the version of the zone data (`tzdata`, as "2026b"), and the offsets from UTC
    between the first of `transitions` and `until_s`. A transition is a UTC second (Unix) and the offset in seconds that holds from then on; the
    first one stands where the span begins. Before and from `until_s` on nothing is known, and a calendar counts as closed."""

    LIMITS = {"name": 64, "tzdata": 32, "transitions": MOST_TRANSITIONS}

    name: str
    tzdata: str
    transitions: tuple[tuple[int, ...], ...]
    until_s: int

    def check(self) -> tuple[str, str] | None:
        if not self.name or not set(self.name) <= _ZONE_LETTERS:
            return ("name", "is no IANA zone name such as Europe/Berlin")
        if not self.tzdata:
            return ("tzdata", "is empty; it says of which version of the zone data the offsets are")
        if not self.transitions:
            return ("transitions", "is empty; the first one says where the span begins")
        before = None
        for index, pair in enumerate(self.transitions):
            if len(pair) != 2:
                return (f"transitions[{index}]", "must be two numbers: a UTC second and an offset in seconds")
            if abs(pair[1]) > MOST_OFFSET_S:
                return (f"transitions[{index}]", "has an offset of more than 26 hours")
            if before is not None and pair[0] <= before:
                return (f"transitions[{index}]", "is not later than the one before it")
            before = pair[0]
        if before is not None and self.until_s <= before:
            return ("until_s", "must be later than the last transition")
        return None


@record
class Weekly:
    """A window on days of the week ("MO" to "SU") from `start` to `end` on the wall. An `end` that is not later than `start` is on the next day:
    22:00 to 02:00 is four hours, 00:00 to 00:00 and 00:00 to 24:00 the whole day."""

    CHOICES = {"admits": ADMITS}
    LIMITS = {"name": 60, "days": 7, "start": 5, "end": 5}

    name: str
    days: tuple[str, ...]
    start: str
    end: str
    admits: str = "apply"

    def check(self) -> tuple[str, str] | None:
        fault = _label_fault(self.name)
        if fault is not None:
            return fault
        if not self.days:
            return ("days", "is empty; name at least one of MO, TU, WE, TH, FR, SA, SU")
        for index, day in enumerate(self.days):
            if day not in WEEKDAYS:
                return (f"days[{index}]", f"must be one of {', '.join(WEEKDAYS)}; is {day[:10]!r}")
        if len(set(self.days)) != len(self.days):
            return ("days", "names a day twice")
        if read_clock(self.start) in (None, DAY_MIN):
            return ("start", "must be a time of day from 00:00 to 23:59")
        return None if read_clock(self.end) is not None else ("end", "must be a time of day from 00:00 to 24:00")


@record
class Once:
    """One window, from `start` to `end` on the wall (`2026-12-24T18:00`). Holidays do not touch it: whoever placed it meant that date."""

    CHOICES = {"admits": ADMITS}
    LIMITS = {"name": 60, "start": 16, "end": 16}

    name: str
    start: str
    end: str
    admits: str = "apply"

    def check(self) -> tuple[str, str] | None:
        fault = _label_fault(self.name)
        if fault is not None:
            return fault
        start, end = read_local(self.start), read_local(self.end)
        if start is None:
            return ("start", "must be a local time such as 2026-12-24T18:00")
        if end is None:
            return ("end", "must be a local time such as 2026-12-25T06:00")
        if end <= start:
            return ("end", "must be later than the start")
        return None if end - start <= MOST_ONCE_MIN else ("end", "is more than 366 days after the start; such a window is no window")


@record
class Rule:
    """On which dates a window recurs: the subset of RFC 5545, 3.3.10 that docs/calendars.md lists. `every` is INTERVAL, `until` the last local
    date on which it may begin (empty: no end; a COUNT is kept as the date of its last), `by_day` as "MO" or, in a month, "1MO" and "-1FR"."""

    CHOICES = {"freq": ("daily", "weekly", "monthly", "yearly"), "week_start": WEEKDAYS}
    LIMITS = {"by_day": 40, "by_month_day": 62, "by_month": 12, "until": 10}

    freq: str
    every: int = 1
    until: str = ""
    by_day: tuple[str, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    week_start: str = "MO"

    def check(self) -> tuple[str, str] | None:
        if not 1 <= self.every <= 1000:
            return ("every", "must be 1 to 1000")
        if self.until and read_date(self.until) is None:
            return ("until", "must be a date such as 2026-12-24, or empty")
        for index, day in enumerate(self.by_day):
            ordinal = ordinal_of(day)
            if ordinal is None:
                return (f"by_day[{index}]", "must be a day such as MO, or the first or last of a month such as 1MO and -1FR")
            if ordinal[0] and self.freq in ("daily", "weekly"):
                return (f"by_day[{index}]", f"names the {day}, which a {self.freq} rule does not know; leave the number out, or make the rule monthly")
            if ordinal[0] and self.freq == "yearly" and not self.by_month:
                return (f"by_day[{index}]", f"counts {day} within the year; name the month with by_month, so that it counts within that")
        if len({len(day) > 2 for day in self.by_day}) > 1:
            return ("by_day", "mixes days with and without a number, which programs read differently; make two windows")
        for index, number in enumerate(self.by_month_day):
            if not 1 <= abs(number) <= 31:
                return (f"by_month_day[{index}]", "must be 1 to 31, or -1 to -31 counted from the end of the month")
        if self.by_month_day and self.freq == "weekly":
            return ("by_month_day", "has no meaning in a weekly rule; make the rule monthly or daily")
        for index, number in enumerate(self.by_month):
            if not 1 <= number <= 12:
                return (f"by_month[{index}]", "must be 1 to 12")
        return None


def ordinal_of(text: str) -> tuple[int, int] | None:
    """`-1FR` as (-1, 4), `FR` as (0, 4); None when that is no day (RFC 5545, 3.3.10, `weekdaynum`, within a month: at most the fifth)."""
    if text[-2:] not in WEEKDAYS:
        return None
    number = text[:-2]
    if not number:
        return 0, WEEKDAYS.index(text)
    digits = number[1:] if number[0] in "+-" else number
    if len(digits) != 1 or digits not in "12345":
        return None
    return int(number), WEEKDAYS.index(text[-2:])


@record
class Recurring:
    """A window that recurs by `rule`. `start` is the local time from which the rule counts (it need not be one of its days), and gives the time of
    day; `minutes` its length as the clock on the wall counts them; `except_dates` the local dates on which it does not open."""

    CHOICES = {"admits": ADMITS}
    LIMITS = {"name": 60, "start": 16, "except_dates": MOST_EXDATES}

    name: str
    start: str
    minutes: int
    rule: Rule
    except_dates: tuple[str, ...] = ()
    admits: str = "apply"

    def check(self) -> tuple[str, str] | None:
        fault = _label_fault(self.name)
        if fault is not None:
            return fault
        if read_local(self.start) is None:
            return ("start", "must be a local time such as 2026-12-24T18:00")
        if not 1 <= self.minutes <= MOST_RECURRING_MIN:
            return ("minutes", f"must be 1 to {MOST_RECURRING_MIN} (seven days)")
        return _dates_fault("except_dates", self.except_dates)


def _dates_fault(field: str, dates: tuple[str, ...]) -> tuple[str, str] | None:
    for index, date in enumerate(dates):
        if read_date(date) is None:
            return (f"{field}[{index}]", "must be a date such as 2026-12-24")
    return None


@record
class Freeze:
    """A span in which nothing is applied ("apply"), or nothing fetched either ("both"), whatever windows say. `start` and `end` are both times on
    the wall (`2026-12-24T18:00`) or both instants (`2026-12-24T17:00Z`). `by` says whose it is, `who` which person placed it."""

    CHOICES = {"by": ("site", "centre"), "shuts": ("apply", "both")}
    LIMITS = {"name": 60, "start": 17, "end": 17, "reason": 500, "who": 100}

    name: str
    start: str
    end: str
    reason: str = ""
    by: str = "site"
    who: str = ""
    shuts: str = "apply"

    def check(self) -> tuple[str, str] | None:
        fault = _label_fault(self.name)
        if fault is not None:
            return fault
        start, end = read_local(self.start.rstrip("Z")), read_local(self.end.rstrip("Z"))
        if start is None or self.start.count("Z") > 1:
            return ("start", "must be a local time such as 2026-12-24T18:00, or an instant such as 2026-12-24T17:00Z")
        if end is None or self.end.count("Z") > 1:
            return ("end", "must be a local time such as 2027-01-02T06:00, or an instant such as 2027-01-02T05:00Z")
        if self.start.endswith("Z") != self.end.endswith("Z"):
            return ("end", "must be of the same kind as the start: both local, or both instants with Z")
        return None if end > start else ("end", "must be later than the start")


@record
class Calendar:
    """When a site lets things happen, on its own clock (`zone` is the zone's IANA name). `holidays` are local dates on which weekly and recurring
    windows do not open. No windows at all: open outside its freezes."""

    LIMITS = {"zone": 64, "weekly": MOST_WINDOWS, "once": MOST_ONCE, "recurring": MOST_WINDOWS, "holidays": MOST_HOLIDAYS, "freezes": MOST_FREEZES}

    zone: str
    weekly: tuple[Weekly, ...] = ()
    once: tuple[Once, ...] = ()
    recurring: tuple[Recurring, ...] = ()
    holidays: tuple[str, ...] = ()
    freezes: tuple[Freeze, ...] = ()

    def check(self) -> tuple[str, str] | None:
        return _dates_fault("holidays", self.holidays)


@record
class Narrowing:
    """What the centre lays over a site's calendar: freezes. It has no windows, so it cannot widen anything."""

    LIMITS = {"freezes": MOST_FREEZES}

    freezes: tuple[Freeze, ...] = ()
