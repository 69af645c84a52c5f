"""Whether a calendar is open, minute by minute over whole spans, against what the standard library's zones and python-dateutil say.

The judge here knows nothing of transitions, stretches or walks: it asks `zoneinfo` what the wall shows at each instant and adds sets of minutes.
"""

from __future__ import annotations

import datetime as dt

from dateutil import rrule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.rules.calendar import Open, Shut, admits, narrowed, openings
from penstock.wire.calendar import Calendar, Freeze, Narrowing, Once, Recurring, Rule, Weekly
from penstock.wire.dates import WEEKDAYS, date_text, day_of, local_text
from tests.rules.test_recurrence import FREQS
from tests.zones import NAMES, data_of, utc, zone

DAY = 1440
# Spans with a change of the clock in most zones, and one with none.
BEGINS = ("2026-03-06", "2026-03-27", "2026-04-02", "2026-10-01", "2026-10-23", "2026-10-30", "2026-07-01")
SPAN_DAYS = 5
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - what the wall shows has no zone

kinds = st.sampled_from(["apply", "fetch"])
grants = st.sampled_from(["apply", "fetch", "both"])
# Whole half hours meet the edges of the gap and the fold; other minutes lie inside them.
minutes = st.integers(0, 47).map(lambda half: half * 30) | st.integers(0, DAY - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def calendars(draw, name: str, begin: str):
    """A calendar whose windows lie around the days from `begin` on."""
    first = (dt.date.fromisoformat(begin) - EPOCH.date()).days
    days = st.integers(first - 2, first + SPAN_DAYS + 1)
    locals_ = st.tuples(days, minutes).map(lambda pair: pair[0] * DAY + pair[1])
    weekly = st.builds(
        Weekly,
        st.just("w"),
        st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=7, unique=True).map(tuple),
        minutes.map(clock),
        minutes.map(clock),
        grants,
    )
    once = st.builds(lambda start, length, grant: Once("o", local_text(start), local_text(start + length), grant), locals_, st.integers(1, 4000), grants)
    rules = st.one_of(
        st.builds(Rule, st.just("daily"), st.integers(1, 3), st.just("") | days.map(date_text)),
        st.builds(lambda days: Rule("weekly", by_day=days), st.lists(st.sampled_from(WEEKDAYS), max_size=4, unique=True).map(tuple)),
        st.just(Rule("monthly", by_day=("-1SU", "1SU", "2SU"))),
    )
    recurring = st.builds(
        lambda start, length, rule, out, grant: Recurring("r", local_text(start), length, rule, tuple(date_text(one) for one in out), grant),
        locals_,
        st.integers(1, 200) | st.integers(1, 10080),
        rules,
        st.lists(days, max_size=2),
        grants,
    )

    def freeze(start, length, shuts, instant):
        end = "Z" if instant else ""
        return Freeze("f", local_text(start) + end, local_text(start + length) + end, shuts=shuts)

    freezes = st.builds(freeze, locals_, st.integers(1, 2000), st.sampled_from(["apply", "both"]), st.booleans())
    return Calendar(
        name,
        tuple(draw(st.lists(weekly, max_size=2))),
        tuple(draw(st.lists(once, max_size=2))),
        tuple(draw(st.lists(recurring, max_size=2))),
        tuple(date_text(day) for day in draw(st.lists(days, max_size=2))),
        tuple(draw(st.lists(freezes, max_size=3))),
    )


cases = st.tuples(st.sampled_from(NAMES), st.sampled_from(BEGINS)).flatmap(lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), calendars(*pair)))


class Judge:
    """What the wall shows at each minute around a span, and what follows for windows and freezes by their stated meaning."""

    def __init__(self, name: str, begin: str) -> None:
        self.first = utc(f"{begin}T00:00") // 60 - 12 * DAY
        self.begin = utc(f"{begin}T00:00") // 60
        self.end = self.begin + SPAN_DAYS * DAY
        data = data_of(name)
        self.wall = []
        for minute in range(self.first, self.end + 3 * DAY):
            offset = dt.datetime.fromtimestamp(minute * 60, data).utcoffset()
            assert offset is not None
            self.wall.append(minute + int(offset.total_seconds()) // 60)

    def reached(self, local: int) -> int:
        """The first minute at which the wall shows `local` or later."""
        return self.first + next((index for index, wall in enumerate(self.wall) if wall >= local), len(self.wall))

    def passed(self, local: int) -> int:
        """The minute from which on the wall never shows less again."""
        under = [index for index, wall in enumerate(self.wall) if wall < local]
        return self.first + (under[-1] + 1 if under else 0)

    def open(self, calendar: Calendar, kind: str) -> set[int]:
        """The minutes of the span at which `kind` may begin."""
        days = range(self.first // DAY - 2, self.end // DAY + 3)
        spans = []
        for weekly in calendar.weekly:
            if weekly.admits in (kind, "both"):
                start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (weekly.start, weekly.end))
                length = end - start if end > start else end - start + DAY
                on = [day for day in days if WEEKDAYS[(EPOCH + dt.timedelta(days=day)).weekday()] in weekly.days and date_text(day) not in calendar.holidays]
                spans += [(day * DAY + start, length) for day in on]
        for again in calendar.recurring:
            if again.admits in (kind, "both"):
                spans += [(start, again.minutes) for start in self._starts(again, calendar)]
        for once in calendar.once:
            if once.admits in (kind, "both"):
                start, end = (int((dt.datetime.fromisoformat(text) - EPOCH).total_seconds()) // 60 for text in (once.start, once.end))
                spans.append((start, end - start))
        open_: set[int] = set()
        for start, length in spans:
            if start + length > self.wall[0]:
                open_ |= set(range(self.reached(start), self.reached(start + length)))
        grants_ = [one.admits for one in calendar.weekly] + [one.admits for one in calendar.once] + [one.admits for one in calendar.recurring]
        if not grants_ or (kind == "fetch" and set(grants_) == {"apply"}):
            open_ = set(range(self.first, self.end + 3 * DAY))
        for freeze in calendar.freezes:
            if kind == "apply" or freeze.shuts == "both":
                start, end = (int((dt.datetime.fromisoformat(text.rstrip("Z")) - EPOCH).total_seconds()) // 60 for text in (freeze.start, freeze.end))
                if not freeze.start.endswith("Z"):
                    start, end = self.reached(start), self.passed(end)
                open_ -= set(range(start, end))
        return open_ & set(range(self.begin, self.end))

    @staticmethod
    def _starts(again: Recurring, calendar: Calendar) -> list[int]:
        begin, rule = dt.datetime.fromisoformat(again.start), again.rule
        found = rrule.rrule(
            FREQS[rule.freq],
            dtstart=begin,
            interval=rule.every,
            until=dt.datetime.fromisoformat(rule.until or "2026-12-01") + dt.timedelta(hours=23, minutes=59),
            byweekday=[getattr(rrule, day[-2:])(int(day[:-2])) if len(day) > 2 else getattr(rrule, day) for day in rule.by_day] or None,
        )
        kept = [one for one in found if one.date().isoformat() not in (*calendar.holidays, *again.except_dates)]
        return [int((one - EPOCH).total_seconds()) // 60 for one in kept]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(cases, kinds)
def test_openings_are_the_minutes_an_independent_judge_finds(case, kind):
    name, begin, calendar = case
    judge = Judge(name, begin)
    found = openings(calendar, zone(name), kind, judge.begin * 60_000, until_ms=judge.end * 60_000, count=1000)
    assert {minute for one in found for minute in range(one.start_ms // 60_000, one.end_ms // 60_000)} == judge.open(calendar, kind)
    for one, following in zip(found, found[1:]):
        assert one.start_ms < one.end_ms < following.start_ms


@given(cases, kinds, st.integers(0, SPAN_DAYS * DAY * 60_000 - 1), st.integers(0, 300) | st.integers(0, 5000))
def test_admits_agrees_with_the_openings(case, kind, at_ms, needs):
    name, begin, calendar = case
    now_ms, needs_ms = utc(f"{begin}T00:00") * 1000 + at_ms, needs * 60_000
    found = openings(calendar, zone(name), kind, now_ms, until_ms=now_ms + 400 * DAY * 60_000, count=1000)
    answer = admits(calendar, zone(name), kind, now_ms, needs_ms)
    fits = [one for one in found if one.end_ms - one.start_ms >= needs_ms or not one.ends]
    if isinstance(answer, Open):
        assert fits
        assert fits[0].start_ms == now_ms
        assert answer.closes_ms in (0, fits[0].end_ms)
    else:
        assert not fits or fits[0].start_ms > now_ms
        assert answer.reason in Shut.CHOICES["reason"]
        assert answer.until_ms == 0 or answer.until_ms > now_ms
        if answer.until_ms:
            assert isinstance(admits(calendar, zone(name), kind, answer.until_ms, needs_ms), Open)
            assert answer.until_ms == fits[0].start_ms
    assert answer.why


@given(cases, kinds, st.integers(0, SPAN_DAYS * DAY * 60_000 - 1), st.integers(0, 300), st.data())
def test_the_centre_never_widens(case, kind, at_ms, needs, data):
    name, begin, calendar = case
    other = data.draw(calendars(name, begin))
    site = data.draw(st.sampled_from([calendar, None]))
    now_ms = utc(f"{begin}T00:00") * 1000 + at_ms
    both = narrowed(site, Narrowing(other.freezes), name)
    if isinstance(admits(both, zone(name), kind, now_ms, needs * 60_000), Open):
        assert isinstance(admits(site, zone(name), kind, now_ms, needs * 60_000), Open)
    for freeze in other.freezes:
        assert both is not None
        assert isinstance(admits(both, None, "apply", now_ms), Shut)  # without its zone it is shut, not open
        assert any((one.start, one.end, one.by) == (freeze.start, freeze.end, "centre") for one in both.freezes)


@given(cases, kinds, st.integers(0, SPAN_DAYS * DAY * 60_000 - 1))
def test_order_and_repetition_do_not_matter(case, kind, at_ms):
    name, begin, calendar = case
    now_ms = utc(f"{begin}T00:00") * 1000 + at_ms
    mixed = Calendar(
        name,
        calendar.weekly[::-1] + calendar.weekly,
        calendar.once[::-1],
        calendar.recurring[::-1] + calendar.recurring,
        calendar.holidays[::-1],
        calendar.freezes[::-1],
    )
    spans = [[(one.start_ms, one.end_ms) for one in openings(each, zone(name), kind, now_ms)] for each in (calendar, mixed)]
    assert spans[0] == spans[1]


def test_the_judge_sees_both_nights():
    """The judge itself, on what is known."""
    calendar = Calendar("Europe/Berlin", (Weekly("night", ("SU",), "01:00", "03:30"),))
    assert len(Judge("Europe/Berlin", "2026-03-27").open(calendar, "apply")) == 90
    assert len(Judge("Europe/Berlin", "2026-10-23").open(calendar, "apply")) == 210
    assert day_of(2026, 3, 29) == day_of(2026, 3, 27) + 2
