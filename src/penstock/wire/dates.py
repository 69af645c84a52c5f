"""Dates and wall-clock times as the wire writes them, without the weight of `datetime`.

Owns reading and writing of `2026-12-24`, `2026-12-24T18:00` and `18:00`, and the arithmetic of the proleptic Gregorian calendar (ISO 8601). A day
is counted from 1970-01-01, a minute from that day's midnight; both are of the wall, with no zone in them. Never knows a zone (see `rules.zonetime`).
"""

from __future__ import annotations

DAY_MIN = 1440  # minutes of a day on the wall
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")  # RFC 5545, 3.3.10, `weekday`; Monday is 0
FIRST_YEAR, LAST_YEAR = 1970, 2200
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def day_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01. The date is not judged."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def date_of(day: int) -> tuple[int, int, int]:
    """Year, month and day of the month of a day since 1970-01-01."""
    day += 719468
    era = day // 146097
    of_era = day - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    number = month + (3 if month < 10 else -9)
    return year + era * 400 + (number <= 2), number, of_year - (153 * month + 2) // 5 + 1


def weekday_of(day: int) -> int:
    """0 for a Monday to 6 for a Sunday."""
    return (day + 3) % 7


def month_length(year: int, month: int) -> int:
    """28 to 31 days."""
    return 29 if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else _LENGTHS[month - 1]


def _number(text: str, least: int, most: int) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if least <= number <= most else None


def read_date(text: str) -> int | None:
    """The day of `2026-12-24`; None when that is no date of 1970 to 2200."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return None
    year, month = _number(text[:4], FIRST_YEAR, LAST_YEAR), _number(text[5:7], 1, 12)
    if year is None or month is None:
        return None
    day = _number(text[8:], 1, month_length(year, month))
    return None if day is None else day_of(year, month, day)


def read_clock(text: str) -> int | None:
    """The minute of the day of `18:00`, 0 to 1440 (`24:00`, the end of the day); None when that is no time of day."""
    if len(text) != 5 or text[2] != ":":
        return None
    hour, minute = _number(text[:2], 0, 24), _number(text[3:], 0, 59)
    if hour is None or minute is None or (hour == 24 and minute):
        return None
    return hour * 60 + minute


def read_local(text: str) -> int | None:
    """The minute since 1970-01-01T00:00 on the wall of `2026-12-24T18:00`; None when that is no such time."""
    if len(text) != 16 or text[10] != "T" or text[11:] == "24:00":
        return None
    day, minute = read_date(text[:10]), read_clock(text[11:])
    return None if day is None or minute is None else day * DAY_MIN + minute


def date_text(day: int) -> str:
    """`2026-12-24`."""
    year, month, number = date_of(day)
    return f"{year:04}-{month:02}-{number:02}"


def clock_text(minute: int) -> str:
    """`18:00` of a minute of the day."""
    return f"{minute // 60:02}:{minute % 60:02}"


def local_text(minute: int) -> str:
    """`2026-12-24T18:00` of a minute since 1970-01-01T00:00 on the wall."""
    return f"{date_text(minute // DAY_MIN)}T{clock_text(minute % DAY_MIN)}"
