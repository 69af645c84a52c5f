"""On which local dates a rule falls: the supported subset of RFC 5545, 3.3.10, day by day with jumps.

Owns that question only. A rule is asked for its next date, within bounds, and keeps no state; times of day, zones, exceptions and holidays are its
caller's. Every search ends: it walks days of a daily or weekly rule, months of a monthly or yearly one, and never past the day it was given.
"""

from __future__ import annotations

from penstock.wire.calendar import Rule, ordinal_of
from penstock.wire.dates import WEEKDAYS, date_of, day_of, month_length, read_date, weekday_of


def next_day(rule: Rule, first: int, day: int, limit: int) -> int | None:
    """The rule's first date at or after `day` and before `limit`; `first` is the date it counts from. All in days since 1970-01-01."""
    day = max(day, first)
    if rule.until:
        last = read_date(rule.until)
        limit = min(limit, limit if last is None else last + 1)
    return _by_days(rule, first, day, limit) if rule.freq in ("daily", "weekly") else _by_months(rule, first, day, limit)


def _by_days(rule: Rule, first: int, day: int, limit: int) -> int | None:
    week_start = WEEKDAYS.index(rule.week_start)
    weekdays = {WEEKDAYS.index(text[-2:]) for text in rule.by_day}
    if rule.freq == "weekly" and not weekdays:
        weekdays = {weekday_of(first)}
    first_week = first - (weekday_of(first) - week_start) % 7
    while day < limit:
        if rule.freq == "daily":
            behind = (day - first) % rule.every
            if behind:
                day += rule.every - behind
                continue
        else:
            behind = (day - first_week) // 7 % rule.every
            if behind:
                day += (rule.every - behind) * 7 - (day - first_week) % 7
                continue
        if rule.by_month or rule.by_month_day:
            year, month, number = date_of(day)
            if rule.by_month and month not in rule.by_month:
                day = day_of(year + month // 12, month % 12 + 1, 1)
                continue
            if rule.by_month_day and number not in rule.by_month_day and number - month_length(year, month) - 1 not in rule.by_month_day:
                day += 1
                continue
        if weekdays and weekday_of(day) not in weekdays:
            day += 1
            continue
        return day
    return None


def _by_months(rule: Rule, first: int, day: int, limit: int) -> int | None:
    first_year, first_month, first_number = date_of(first)
    year, month, _ = date_of(day)
    while day_of(year, month, 1) < limit:
        fits = _month_fits(
            rule, (year - first_year) % rule.every == 0, (year * 12 + month - first_year * 12 - first_month) % rule.every == 0, month, first_month
        )
        for found in _days_of_month(rule, year, month, first_number) if fits else ():
            if found >= limit:
                return None
            if found >= day:
                return found
        year, month = year + month // 12, month % 12 + 1
    return None


def _month_fits(rule: Rule, year_fits: bool, month_counts: bool, month: int, first_month: int) -> bool:  # noqa: FBT001
    if rule.by_month and month not in rule.by_month:
        return False
    if rule.freq == "monthly":
        return month_counts
    # A yearly rule that names no day and no month means the month of its beginning; one that names days means every month.
    return year_fits and bool(rule.by_month or rule.by_day or rule.by_month_day or month == first_month)


def _days_of_month(rule: Rule, year: int, month: int, first_number: int) -> list[int]:
    """The rule's dates within one month that fits it, in order."""
    begin, length = day_of(year, month, 1), month_length(year, month)
    if rule.by_month_day:
        numbers = {number if number > 0 else length + 1 + number for number in rule.by_month_day}
    elif rule.by_day:
        numbers = set(range(1, length + 1))
    else:
        numbers = {first_number}
    if rule.by_day:
        named = [ordinal_of(text) for text in rule.by_day]
        numbers = {number for number in numbers if any(_is_named(pair, begin, number, length) for pair in named if pair is not None)}
    return [begin + number - 1 for number in sorted(numbers) if 1 <= number <= length]


def _is_named(pair: tuple[int, int], begin: int, number: int, length: int) -> bool:
    ordinal, weekday = pair
    if weekday_of(begin + number - 1) != weekday:
        return False
    if ordinal > 0:
        return (number - 1) // 7 + 1 == ordinal
    return ordinal == 0 or (length - number) // 7 + 1 == -ordinal


def day_of_count(rule: Rule, first: int, count: int, limit: int) -> int | None:
    """The date of the `count`-th occurrence (RFC 5545, COUNT), None when there are not so many before `limit`. The work grows with `count`."""
    day = first - 1
    for _ in range(count):
        found = next_day(rule, first, day + 1, limit)
        if found is None:
            return None
        day = found
    return day
