"""A site's calendar as an iCalendar file that common clients read, and that gives the same calendar when it is read back.

Owns how windows, holidays and freezes become events (RFC 5545, 3.6.1), and the VTIMEZONE of the zone's transitions (3.6.5). What kind an event is stands in its
CATEGORIES, which clients keep. Clients know no holidays of a calendar, so the dates are also taken out of each series by EXDATE.
"""

from __future__ import annotations

import hashlib

from penstock.rules.recurrence import next_day
from penstock.rules.zonetime import DAY_S, local_s
from penstock.server.core.icslines import escaped, folded
from penstock.server.core.icsrules import write_rule
from penstock.wire.calendar import Calendar, Freeze, Once, Recurring, Rule, Weekly, Zone
from penstock.wire.dates import DAY_MIN, local_text, read_clock, read_date, read_local

PRODUCT = "-//Penstock//Site calendar//EN"


def write_ics(calendar: Calendar, zone: Zone, now_ms: int) -> bytes:
    """The calendar as a file. `now_ms` (Unix milliseconds) is its DTSTAMP and the day from which weekly windows are shown."""
    stamp = _basic(now_ms // 60_000) + "Z"
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT}", "CALSCALE:GREGORIAN", f"X-WR-TIMEZONE:{zone.name}", *_timezone(zone)]
    events = [_weekly(one, calendar, zone, now_ms) for one in calendar.weekly]
    events += [_once(one, zone) for one in calendar.once]
    events += [event for one in calendar.recurring if (event := _recurring(one, calendar, zone))]
    events += [_holiday(date) for date in calendar.holidays]
    events += [_freeze(one, zone) for one in calendar.freezes]
    for number, event in enumerate(events):
        # The same event keeps its name from one export to the next, so that clients recognise it.
        name = hashlib.sha256("\n".join([calendar.zone, str(number), *event]).encode()).hexdigest()[:32]
        lines += ["BEGIN:VEVENT", f"UID:{name}@penstock", f"DTSTAMP:{stamp}", *event, "END:VEVENT"]
    lines.append("END:VCALENDAR")
    return "".join(map(folded, lines)).encode()


def _basic(minute: int) -> str:
    """`20261224T180000` of a minute since 1970-01-01T00:00."""
    return local_text(minute).replace("-", "").replace(":", "") + "00"


def _at(name: str, minute: int, zone: Zone) -> str:
    return f"{name};TZID={zone.name}:{_basic(minute)}"


def _head(name: str, *categories: str) -> list[str]:
    return [f"SUMMARY:{escaped(name)}", f"CATEGORIES:{','.join(categories)}", "TRANSP:TRANSPARENT"]


def _series(name: str, start: int, minutes: int, rule: Rule, dates: tuple[str, ...], zone: Zone, *categories: str) -> list[str]:
    lines = [*_head(name, *categories), _at("DTSTART", start, zone), _at("DTEND", start + minutes, zone)]
    lines.append("RRULE:" + write_rule(rule, start % DAY_MIN, zone))
    days = sorted({read_date(date) or 0 for date in dates})
    lines += [_at("EXDATE", day * DAY_MIN + start % DAY_MIN, zone) for day in days]
    return lines


def _holidays_of(calendar: Calendar, rule: Rule, first: int) -> tuple[str, ...]:
    """The holidays on which a series would open."""
    days = [(text, read_date(text) or 0) for text in calendar.holidays]
    return tuple(text for text, day in days if next_day(rule, first, day, day + 1) == day)


def _weekly(one: Weekly, calendar: Calendar, zone: Zone, now_ms: int) -> list[str]:
    start, end = read_clock(one.start) or 0, read_clock(one.end) or 0
    minutes = end - start if end > start else end - start + DAY_MIN
    rule = Rule("weekly", by_day=one.days)
    today = local_s(zone, now_ms // 1000) // DAY_S
    first = next_day(rule, today, today, today + 7) or today
    return _series(one.name, first * DAY_MIN + start, minutes, rule, _holidays_of(calendar, rule, first), zone, "window", "weekly", one.admits)


def _once(one: Once, zone: Zone) -> list[str]:
    start, end = read_local(one.start) or 0, read_local(one.end) or 0
    return [*_head(one.name, "window", one.admits), _at("DTSTART", start, zone), _at("DTEND", end, zone)]


def _recurring(one: Recurring, calendar: Calendar, zone: Zone) -> list[str]:
    start = read_local(one.start) or 0
    # A rule may count from a date that is not one of its own; in a file DTSTART is always the first event. One that never comes is no event.
    first = start // DAY_MIN
    found = next_day(one.rule, first, first, first + 30 * 366)
    if found is None:
        return []
    begin = found * DAY_MIN + start % DAY_MIN
    dates = one.except_dates + _holidays_of(calendar, one.rule, first)
    return _series(one.name, begin, one.minutes, one.rule, dates, zone, "window", one.admits)


def _holiday(date: str) -> list[str]:
    day = read_date(date) or 0
    texts = [_basic(one * DAY_MIN)[:8] for one in (day, day + 1)]
    return [*_head("holiday", "holiday"), f"DTSTART;VALUE=DATE:{texts[0]}", f"DTEND;VALUE=DATE:{texts[1]}"]


def _freeze(one: Freeze, zone: Zone) -> list[str]:
    lines = _head(one.name, "freeze", one.shuts, *(("centre",) if one.by == "centre" else ()))
    for name, text in (("DTSTART", one.start), ("DTEND", one.end)):
        minute = read_local(text.rstrip("Z")) or 0
        lines.append(f"{name}:{_basic(minute)}Z" if text.endswith("Z") else _at(name, minute, zone))
    if one.reason:
        lines.append(f"DESCRIPTION:{escaped(one.reason)}")
    if one.who:
        lines.append(f"CONTACT:{escaped(one.who)}")
    return lines


# --- the zone ---------------------------------------------------------------------------------------------------------


def _offset(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{minutes % 60:02}" + (f"{rest:02}" if rest else "")


def _second(at_s: int) -> str:
    return _basic(at_s // 60)[:-2] + f"{at_s % 60:02}"


def _timezone(zone: Zone) -> list[str]:
    """A VTIMEZONE whose observances are the transitions themselves, those between the same two offsets together by RDATE."""
    begin, first = zone.transitions[0]
    groups: dict[tuple[int, int], list[int]] = {(first, first): [begin + first]}
    for (_, before), (at, after) in zip(zone.transitions, zone.transitions[1:], strict=False):
        groups.setdefault((before, after), []).append(at + before)
    lines = ["BEGIN:VTIMEZONE", f"TZID:{zone.name}"]
    for (before, after), times in groups.items():
        part = "DAYLIGHT" if after > before else "STANDARD"
        lines += [f"BEGIN:{part}", f"TZOFFSETFROM:{_offset(before)}", f"TZOFFSETTO:{_offset(after)}", f"DTSTART:{_second(times[0])}"]
        lines += [f"RDATE:{_second(time)}" for time in times[1:]]
        lines.append(f"END:{part}")
    return [*lines, "END:VTIMEZONE"]
