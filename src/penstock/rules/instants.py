"""Instants and spans as people write and read them, and what a rule knows of the time.

Owns the reading of times with an offset (RFC 3339, seconds optional) and of spans such as 2h30m, and their words in sentences. Never asks a clock.
"""

from __future__ import annotations

from penstock.wire.record import record

_DIGITS = frozenset("0123456789")
_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000}
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@record
class When:
    """A moment as a rule sees it: `now_ms` device time (unix milliseconds, never below its floor), "trusted" or not, and monotonic time within a boot."""

    now_ms: int
    mono_ms: int
    boot: str
    clock: str = "trusted"


def days_of(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the proleptic Gregorian calendar."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def read_instant(text: str) -> int | None:
    """Unix milliseconds of "2026-05-03T06:00+02:00", "2026-05-03T04:00:00Z" or with a blank for the T; None for anything else. A time without an offset is
    none: in the night the clocks change it would mean two."""
    date, rest = text[:10], text[10:]
    if len(date) != 10 or date[4] != "-" or date[7] != "-" or rest[:1] not in ("T", "t", " "):
        return None
    clock, offset = rest[1:6], rest[6:]
    second = 0
    if offset.startswith(":"):
        second, offset = _number(offset[1:3]), offset[3:]
    year, month, day = _number(date[:4]), _number(date[5:7]), _number(date[8:])
    hour, minute = _number(clock[:2]), _number(clock[3:])
    if len(clock) != 5 or clock[2] != ":" or min(year, month, day, hour, minute, second) < 0:
        return None
    if year < 1970 or not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        return None
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _MONTH_DAYS[month - 1] + leap:
        return None
    away = _offset(offset)
    if away is None:
        return None
    return (days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - away * 60) * 1000


def _number(digits: str) -> int:
    return int(digits) if digits and set(digits) <= _DIGITS else -1


def _offset(text: str) -> int | None:
    """Minutes east of Greenwich."""
    if text in ("Z", "z"):
        return 0
    if len(text) != 6 or text[0] not in "+-" or text[3] != ":":
        return None
    hours, minutes = _number(text[1:3]), _number(text[4:])
    if not 0 <= hours <= 23 or not 0 <= minutes <= 59:
        return None
    return (hours * 60 + minutes) * (-1 if text[0] == "-" else 1)


def read_span(text: str) -> int | None:
    """Milliseconds of "90m", "2h", "1d12h"; None for anything else, nothing included. Each unit (d, h, m, s) once, the greater first."""
    total, digits, last = 0, "", ""
    order = "dhms"
    for letter in text.strip():
        if letter in _DIGITS:
            digits += letter
        elif letter in _UNITS and digits and len(digits) <= 6 and (not last or order.index(letter) > order.index(last)):
            total, digits, last = total + int(digits) * _UNITS[letter], "", letter
        else:
            return None
    return total if last and not digits and total > 0 else None


def show_instant(at_ms: int) -> str:
    """ "2026-05-03 04:00 UTC"."""
    minutes, days = at_ms // 60_000 % 1440, at_ms // 86_400_000
    ahead = days + 719468
    era, of_era = divmod(ahead, 146097)
    of_cycle = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * of_cycle + of_cycle // 4 - of_cycle // 100)
    shifted = (5 * of_year + 2) // 153
    day, month = of_year - (153 * shifted + 2) // 5 + 1, shifted + (3 if shifted < 10 else -9)
    year = of_cycle + era * 400 + (month <= 2)
    return f"{year:04}-{month:02}-{day:02} {minutes // 60:02}:{minutes % 60:02} UTC"


def show_span(span_ms: int) -> str:
    """The two greatest units of a span: "2 h 10 min", "3 days 4 h"; less than a minute is said so."""
    minutes = max(span_ms, 0) // 60_000
    if not minutes:
        return "less than a minute"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} day{'s' if days > 1 else ''}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min"
