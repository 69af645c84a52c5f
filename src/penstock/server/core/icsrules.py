"""Recurrence rules as iCalendar writes them, to and from the subset that calendars have; the rest refused by the name of the part.

Owns RFC 5545, 3.3.10, and the durations of 3.3.6 as far as windows need them. COUNT and UNTIL both become the last local date: a device need not count.
"""

from __future__ import annotations

import re

from penstock.rules.recurrence import day_of_count, next_day
from penstock.rules.zonetime import DAY_S, local_s
from penstock.wire.calendar import Rule, Zone, ordinal_of
from penstock.wire.dates import DAY_MIN, WEEKDAYS, date_text, read_date

MOST_COUNT = 2000
COUNT_DAYS = 30 * 366  # how far a COUNT is followed
FREQS = {"DAILY": "daily", "WEEKLY": "weekly", "MONTHLY": "monthly", "YEARLY": "yearly"}
_DURATION = re.compile(r"\+?P(?:(\d{1,4})W|(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?)")

REMEDIES = {
    "BYSECOND": "windows begin on a whole minute; leave it out",
    "BYMINUTE": "make one event for each time of day",
    "BYHOUR": "make one event for each time of day",
    "BYYEARDAY": "name the month and its day with BYMONTH and BYMONTHDAY",
    "BYWEEKNO": "name the month with BYMONTH, or use FREQ=WEEKLY with an INTERVAL",
    "BYSETPOS": "write the first Monday as BYDAY=1MO and the last Friday as BYDAY=-1FR",
    "RSCALE": "only the Gregorian calendar is known; leave it out",
    "SKIP": "dates that do not exist are left out; leave it out",
}


class RuleFault(ValueError):
    """A rule that is not taken; `part` is the part's name and the sentence says what to do instead."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part
        self.why = why


def _numbers(part: str, value: str, least: int, most: int) -> tuple[int, ...]:
    try:
        found = tuple(int(one) for one in value.split(","))
    except ValueError:
        raise RuleFault(part, f"{value[:40]!r} is no list of whole numbers") from None
    if any(not least <= abs(one) <= most for one in found):
        raise RuleFault(part, f"has a number that is not {least} to {most}")
    return found


def read_rule(value: str, first: int, start_minute: int, zone: Zone) -> Rule:
    """The rule of an RRULE whose DTSTART falls on the local date `first` (days since 1970-01-01) at `start_minute`. Raises RuleFault."""
    parts: dict[str, str] = {}
    for piece in value.strip().rstrip(";").split(";"):
        name, sign, content = piece.partition("=")
        name = name.strip().upper()
        if not sign or not content:
            raise RuleFault(name[:20] or "RRULE", "has no value; write it as NAME=VALUE")
        if name in parts:
            raise RuleFault(name, "stands twice")
        parts[name] = content.strip().upper()
    freq = parts.pop("FREQ", "")
    if freq not in FREQS:
        raise RuleFault("FREQ", f"must be DAILY, WEEKLY, MONTHLY or YEARLY; is {freq[:20] or 'missing'}. Make one event for each time of day")
    fields: dict[str, tuple[int, ...] | tuple[str, ...]] = {}
    every, count, until, week_start = 1, 0, "", "MO"
    for name, content in parts.items():
        if name == "INTERVAL":
            (every, *_) = _numbers(name, content, 1, 1000)
        elif name == "COUNT":
            (count, *_) = _numbers(name, content, 1, MOST_COUNT)
        elif name == "UNTIL":
            until = _until(content, start_minute, zone)
        elif name == "BYDAY":
            fields["by_day"] = tuple(content.split(","))
        elif name == "BYMONTHDAY":
            fields["by_month_day"] = _numbers(name, content, 1, 31)
        elif name == "BYMONTH":
            fields["by_month"] = _numbers(name, content, 1, 12)
        elif name == "WKST":
            week_start = content
        else:
            raise RuleFault(name[:20], f"is not supported; {REMEDIES.get(name, 'leave it out')}")
    if every < 1 or count < 0:
        raise RuleFault("INTERVAL" if every < 1 else "COUNT", "must be 1 or more")
    if count and until:
        raise RuleFault("COUNT", "stands beside UNTIL; a rule has one of them")
    if week_start not in WEEKDAYS:
        raise RuleFault("WKST", f"must be one of {', '.join(WEEKDAYS)}")
    rule = Rule(FREQS[freq], every, until, week_start=week_start, **fields)  # type: ignore[arg-type]
    _judge(rule, first, freq)
    if not count:
        return rule
    last = day_of_count(rule, first, count, first + COUNT_DAYS)
    if last is None:
        raise RuleFault("COUNT", f"the rule does not come {count} times within 30 years; leave COUNT out")
    return Rule(rule.freq, every, date_text(last), rule.by_day, rule.by_month_day, rule.by_month, week_start)


def _judge(rule: Rule, first: int, freq: str) -> None:
    fault = rule.check()
    if fault is not None:
        part = {"by_day": "BYDAY", "by_month_day": "BYMONTHDAY", "by_month": "BYMONTH", "every": "INTERVAL"}.get(fault[0].partition("[")[0], "RRULE")
        if part == "BYDAY" and rule.freq == "yearly" and not rule.by_month and "[" in fault[0]:
            raise RuleFault(part, "counts days within a year; name the month with BYMONTH, so that it counts within that")
        if part == "BYDAY" and "[" in fault[0] and all(ordinal_of(day) for day in rule.by_day):
            raise RuleFault(part, f"a number before the day has no meaning with FREQ={freq}; use FREQ=MONTHLY")
        raise RuleFault(part, fault[1])
    if len(rule.by_day) > Rule.LIMITS["by_day"] or len(rule.by_month_day) > Rule.LIMITS["by_month_day"] or len(rule.by_month) > Rule.LIMITS["by_month"]:
        raise RuleFault("RRULE", "has too many days or months in one list")
    if next_day(rule, first, first, first + 1) is None:
        where = (
            "UNTIL"
            if rule.until and next_day(Rule(rule.freq, rule.every, "", rule.by_day, rule.by_month_day, rule.by_month), first, first, first + 1)
            else "RRULE"
        )
        raise RuleFault(where, "the event's DTSTART is not one of the dates its rule names; move DTSTART to the first of them")


def _until(value: str, start_minute: int, zone: Zone) -> str:
    """The last local date of an UNTIL: a date, a local time, or an instant with Z."""
    day = read_date(f"{value[:4]}-{value[4:6]}-{value[6:8]}")
    clock = value[8:]
    if day is None or not (not clock or re.fullmatch(r"T([01]\d|2[0-3])[0-5]\d[0-5]\dZ?", clock)):
        raise RuleFault("UNTIL", f"{value[:30]!r} is no date or time such as 20261224 or 20261224T170000Z")
    if not clock:
        return date_text(day)
    minute = int(clock[1:3]) * 60 + int(clock[3:5])
    if clock.endswith("Z"):
        local = local_s(zone, day * DAY_S + minute * 60) // 60
        day, minute = local // DAY_MIN, local % DAY_MIN
    return date_text(day if minute >= start_minute else day - 1)


def write_rule(rule: Rule, start_minute: int, zone: Zone) -> str:
    """The RRULE of a rule whose windows begin at `start_minute`. UNTIL is an instant, as RFC 5545 wants beside a DTSTART with TZID."""
    parts = [f"FREQ={rule.freq.upper()}"]
    if rule.every != 1:
        parts.append(f"INTERVAL={rule.every}")
    if rule.until:
        parts.append(f"UNTIL={_instant(read_date(rule.until) or 0, start_minute, zone)}")
    if rule.by_month:
        parts.append("BYMONTH=" + ",".join(map(str, rule.by_month)))
    if rule.by_month_day:
        parts.append("BYMONTHDAY=" + ",".join(map(str, rule.by_month_day)))
    if rule.by_day:
        parts.append("BYDAY=" + ",".join(rule.by_day))
    if rule.week_start != "MO":
        parts.append(f"WKST={rule.week_start}")
    return ";".join(parts)


def _instant(day: int, minute: int, zone: Zone) -> str:
    """The UTC form of a local time, in the gap by the offset before it (RFC 5545, 3.3.5)."""
    local = day * DAY_S + minute * 60
    offset = zone.transitions[0][1]
    for begin, after in zone.transitions[1:]:
        if local - offset < begin:
            break
        offset = after
    at = (local - offset) // 60
    return f"{date_text(at // DAY_MIN).replace('-', '')}T{at % DAY_MIN // 60:02}{at % 60:02}00Z"


def read_duration(value: str) -> int | None:
    """The minutes of `PT2H30M`, `P1D` or `P1W` (RFC 5545, 3.3.6), days counted as 24 hours of the wall; None when it is none of whole minutes."""
    found = _DURATION.fullmatch(value.strip().upper())
    if found is None or not any(found.groups()):
        return None
    weeks, days, hours, minutes, seconds = (int(one or 0) for one in found.groups())
    if seconds % 60:
        return None
    return (weeks * 7 + days) * DAY_MIN + hours * 60 + minutes + seconds // 60
