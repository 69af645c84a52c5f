"""On which dates a rule falls, against python-dateutil over years, and that no search is long."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from dateutil import rrule
from hypothesis import given
from hypothesis import strategies as st

from penstock.rules.recurrence import day_of_count, next_day
from penstock.wire.calendar import Rule
from penstock.wire.dates import WEEKDAYS, date_text, day_of
from tests.counting import calls_of

FREQS: dict[str, Any] = {"daily": rrule.DAILY, "weekly": rrule.WEEKLY, "monthly": rrule.MONTHLY, "yearly": rrule.YEARLY}
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - a day on the wall


@st.composite
def rules(draw):
    """Any rule that its own check lets pass."""
    freq = draw(st.sampled_from(list(FREQS)))
    by_month = tuple(draw(st.lists(st.integers(1, 12), max_size=3, unique=True)))
    counted = freq == "monthly" or (freq == "yearly" and by_month)
    numbers = ("1", "2", "+5", "-1", "-5") if counted and draw(st.booleans()) else ("",)
    days = [number + day for number in numbers for day in WEEKDAYS]
    rule = Rule(
        freq,
        draw(st.integers(1, 5) | st.integers(1, 1000)),
        draw(st.just("") | st.integers(day_of(2024, 1, 1), day_of(2034, 1, 1)).map(date_text)),
        tuple(draw(st.lists(st.sampled_from(days), max_size=3, unique=True))),
        tuple(draw(st.lists(st.integers(1, 31) | st.integers(-31, -1), max_size=3, unique=True))) if freq != "weekly" else (),
        by_month,
        draw(st.sampled_from(WEEKDAYS)),
    )
    assert rule.check() is None
    return rule


def oracle(rule: Rule, first: int, limit: int) -> rrule.rrule:
    """The same rule as python-dateutil reads it, to before `limit`."""
    last = EPOCH + dt.timedelta(days=limit - 1)
    days = [getattr(rrule, day[-2:])(int(day[:-2])) if len(day) > 2 else getattr(rrule, day) for day in rule.by_day]
    return rrule.rrule(
        FREQS[rule.freq],
        dtstart=EPOCH + dt.timedelta(days=first),
        interval=rule.every,
        wkst=getattr(rrule, rule.week_start),
        until=min(last, dt.datetime.fromisoformat(rule.until)) if rule.until else last,
        byweekday=days or None,
        bymonthday=rule.by_month_day or None,
        bymonth=rule.by_month or None,
    )


def ours(rule: Rule, first: int, day: int, limit: int) -> list[int]:
    found = []
    while (at := next_day(rule, first, day, limit)) is not None:
        found.append(at)
        day = at + 1
    return found


starts = st.integers(day_of(2023, 1, 1), day_of(2028, 12, 31))


@given(rules(), starts)
def test_the_dates_are_those_of_an_independent_reader(rule, first):
    limit = first + 9 * 366
    theirs = [(moment - EPOCH).days for moment in oracle(rule, first, limit)]
    assert ours(rule, first, first - 500, limit) == theirs


@given(rules(), starts, st.integers(-100, 3000), st.integers(0, 500))
def test_it_does_not_matter_where_one_begins_to_look(rule, first, skip, length):
    day = first + skip
    assert ours(rule, first, day, day + length) == [one for one in ours(rule, first, first, day + length) if one >= day]


@given(rules(), starts, st.integers(1, 60))
def test_a_count_is_the_date_of_its_last(rule, first, count):
    limit = first + 9 * 366
    found = ours(rule, first, first, limit)
    assert day_of_count(rule, first, count, limit) == (found[count - 1] if len(found) >= count else None)


EXAMPLES = [  # RFC 5545, 3.8.5.3, as far as they lie in the subset
    (Rule("daily", every=2), "2026-01-01", ["2026-01-01", "2026-01-03", "2026-01-05"]),
    (Rule("weekly", every=2, by_day=("TU", "SU"), week_start="MO"), "1997-08-05", ["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"]),
    (Rule("weekly", every=2, by_day=("TU", "SU"), week_start="SU"), "1997-08-05", ["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"]),
    (Rule("monthly", by_day=("1FR",)), "1997-09-05", ["1997-09-05", "1997-10-03", "1997-11-07"]),
    (Rule("monthly", by_day=("-2MO",)), "1997-09-22", ["1997-09-22", "1997-10-20", "1997-11-17"]),
    (Rule("monthly", by_month_day=(-3,)), "1997-09-28", ["1997-09-28", "1997-10-29", "1997-11-28"]),
    (Rule("monthly", by_day=("FR",), by_month_day=(13,)), "1998-02-13", ["1998-02-13", "1998-03-13", "1998-11-13"]),
    (Rule("monthly", by_month_day=(31,)), "2026-01-31", ["2026-01-31", "2026-03-31", "2026-05-31"]),
    (Rule("yearly", by_month=(11,), by_day=("1TU",)), "2026-01-01", ["2026-11-03", "2027-11-02", "2028-11-07"]),
    (Rule("yearly"), "2024-02-29", ["2024-02-29", "2028-02-29", "2032-02-29"]),
]


@pytest.mark.parametrize(("rule", "first", "dates"), EXAMPLES, ids=[f"{row[0].freq}-{row[1]}-{row[2][1]}" for row in EXAMPLES])
def test_examples(rule, first, dates):
    begin = (dt.datetime.fromisoformat(first) - EPOCH).days
    assert [date_text(day) for day in ours(rule, begin, begin, begin + 4000)][:3] == dates[:3]


HARD = [
    Rule("daily", by_month=(2,), by_month_day=(30,)),  # never
    Rule("daily", every=997, by_month=(2,)),
    Rule("monthly", every=1000),
    Rule("yearly", every=1000, by_month=(2,), by_day=("5MO",)),
    Rule("daily", by_month=(2,), by_month_day=(29,), by_day=("MO",)),
    Rule("weekly", every=1000),
]


@pytest.mark.parametrize("rule", HARD, ids=[str(index) for index in range(len(HARD))])
def test_no_search_is_long(rule):
    first = day_of(2026, 1, 2)
    assert calls_of(lambda: next_day(rule, first, first + 1, first + 400)) < 4000
