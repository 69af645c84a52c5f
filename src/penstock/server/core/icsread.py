"""An iCalendar file to a site's calendar: all of it, or a list of what stands in the way, by line and property.

Owns what an event means for a calendar (RFC 5545, 3.6.1) and what is refused, left out with a warning, or of no concern. The zone is the site's: events must be
on its clock. VTIMEZONE is passed over in favour of the IANA name, whose transitions come from the zone data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from penstock.rules.zonetime import local_s, shown_at
from penstock.server.core.icslines import IcsFault, Line, listed, read_lines, unescaped
from penstock.server.core.icsrules import RuleFault, read_duration, read_rule
from penstock.wire.calendar import Calendar, Freeze, Once, Recurring, Weekly, Zone
from penstock.wire.codec import WireError, from_plain, to_plain
from penstock.wire.dates import DAY_MIN, WEEKDAYS, clock_text, date_text, local_text, read_date, weekday_of

MOST_SAID = 200  # remarks; a file that is wrong everywhere is told so by its first lines
KINDS = ("window", "freeze", "holiday")
_REFUSED = {
    "RDATE": "further dates are not supported; make an event of its own for each of them",
    "EXRULE": "is not part of RFC 5545 any more; name the dates with EXDATE",
    "RECURRENCE-ID": "a single date of a series was changed; take that date out with EXDATE and make an event of its own of it",
}
_TIME = re.compile(r"(\d{8})(?:T(\d{2})(\d{2})(\d{2})(Z?))?")


@dataclass(frozen=True)
class Remark:
    """Something about the file. `line` counts from 1 (0: the file as a whole); `name` is the property or its part."""

    line: int
    name: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.name}: {self.why}" if self.line else f"{self.name}: {self.why}"


@dataclass(frozen=True)
class Imported:
    """What a file gave: a calendar, with warnings about what was left out; or None, with all that was refused."""

    calendar: Calendar | None
    warnings: tuple[Remark, ...] = ()
    refusals: tuple[Remark, ...] = ()


class _Refused(Exception):
    """One event cannot be taken."""

    def __init__(self, line: Line, why: str, part: str = "") -> None:
        super().__init__(why)
        self.remark = Remark(line.number, f"{line.name} {part}".strip(), why)


@dataclass(frozen=True)
class _Time:
    """A DTSTART or DTEND: a minute on the wall, or of UTC where `utc`; a whole day where `date`."""

    minute: int
    date: bool
    utc: bool


@dataclass
class _Reader:
    zone: Zone
    kind: str
    admits: str
    weekly: list[Weekly] = field(default_factory=list)
    once: list[Once] = field(default_factory=list)
    recurring: list[Recurring] = field(default_factory=list)
    holidays: list[str] = field(default_factory=list)
    freezes: list[Freeze] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)
    refusals: list[Remark] = field(default_factory=list)

    # --- one event ----------------------------------------------------------------------------------------------------

    def event(self, begin: Line, lines: list[Line]) -> None:
        one = {line.name: line for line in reversed(lines)}
        status = one.get("STATUS")
        if status is not None and status.value.strip().upper() in ("CANCELLED", "TENTATIVE"):
            self.warnings.append(Remark(status.number, "STATUS", f"the event is {status.value.strip().lower()}, so it is left out"))
            return
        for line in lines:
            if line.name in _REFUSED:
                raise _Refused(line, _REFUSED[line.name])
            if line.name in ("DTSTART", "DTEND", "DURATION", "RRULE") and one[line.name] is not line:
                raise _Refused(line, "stands twice in one event; make two events")
        words = {word.lower() for line in lines if line.name == "CATEGORIES" for word in listed(line.value)}
        if "centre" in words:
            self.warnings.append(Remark(begin.number, "CATEGORIES", "the event was placed by the centre, whose freezes stand by themselves; it is left out"))
            return
        start_line = one.get("DTSTART")
        if start_line is None:
            raise _Refused(begin, "the event has no DTSTART; say when it begins")
        start = self._time(start_line)
        minutes = self._minutes(start_line, start, one)
        kind = next((word for word in KINDS if word in words), self.kind)
        if kind == "holiday":
            self._holiday(start_line, start, minutes, one)
        elif kind == "freeze":
            self._freeze(begin, start, minutes, one, words)
        else:
            self._window(begin, start_line, start, minutes, one, lines, words)

    def _time(self, line: Line) -> _Time:
        found = _TIME.fullmatch(line.value.strip())
        day = read_date(f"{found[1][:4]}-{found[1][4:6]}-{found[1][6:]}") if found else None
        if found is None or day is None:
            raise _Refused(line, f"{line.value[:30]!r} is no date or time such as 20261224T180000 of the years 1970 to 2200")
        if found[2] is None:
            return _Time(day * DAY_MIN, date=True, utc=False)
        hour, minute, second = int(found[2]), int(found[3]), int(found[4])
        if hour > 23 or minute > 59 or second > 60:
            raise _Refused(line, f"{line.value[:30]!r} is no time of day")
        if second:
            raise _Refused(line, "has seconds; windows begin and end on a whole minute")
        zone = line.parameters.get("TZID", "")
        if zone and not found[5] and zone != self.zone.name and not zone.endswith(f"/{self.zone.name}"):
            raise _Refused(line, f"is on the clock of {zone[:60]}, and this site's clock is {self.zone.name}; enter the event in {self.zone.name}", "TZID")
        return _Time(day * DAY_MIN + hour * 60 + minute, date=False, utc=bool(found[5]))

    def _minutes(self, start_line: Line, start: _Time, one: dict[str, Line]) -> int:
        """How long the event lasts, as its own clock counts."""
        end, duration = one.get("DTEND"), one.get("DURATION")
        if end is not None and duration is not None:
            raise _Refused(duration, "stands beside DTEND; an event has one of them")
        if duration is not None:
            minutes = read_duration(duration.value)
            if minutes is None:
                raise _Refused(duration, f"{duration.value[:30]!r} is no length of whole minutes such as PT2H30M")
            line = duration
        elif end is not None:
            until = self._time(end)
            if until.date != start.date:
                raise _Refused(end, "one of DTSTART and DTEND is a day and the other a time; make both the same")
            minutes, line = self._local(end, until) - self._local(start_line, start) if until.utc != start.utc else until.minute - start.minute, end
        elif start.date:
            return DAY_MIN
        else:
            raise _Refused(start_line, "the event has neither DTEND nor DURATION, so it lasts no time; say when it ends")
        if minutes <= 0:
            raise _Refused(line, "the event does not end after it begins")
        return minutes

    def _local(self, line: Line, time: _Time) -> int:
        """The minute on the site's wall."""
        if not time.utc:
            return time.minute
        local = local_s(self.zone, time.minute * 60)
        if shown_at(self.zone, local)[:1] != [time.minute * 60]:
            raise _Refused(
                line, f"is an instant in the hour that comes twice on the clock of {self.zone.name}, or beyond what is known of it; enter a local time"
            )
        return local // 60

    # --- kinds --------------------------------------------------------------------------------------------------------

    def _holiday(self, line: Line, start: _Time, minutes: int, one: dict[str, Line]) -> None:
        if "RRULE" in one:
            raise _Refused(one["RRULE"], "holidays are single dates; name each year's")
        local = self._local(line, start)
        first, last = local // DAY_MIN, (local + minutes - 1) // DAY_MIN
        if last - first >= 366:
            raise _Refused(line, "is a holiday of more than a year")
        self.holidays += [text for text in map(date_text, range(first, last + 1)) if text not in self.holidays]

    def _freeze(self, begin: Line, start: _Time, minutes: int, one: dict[str, Line], words: set[str]) -> None:
        if "RRULE" in one:
            raise _Refused(one["RRULE"], "freezes do not recur; make one event for each")
        zulu = "Z" if start.utc else ""
        shuts = "both" if "both" in words or "fetch" in words else "apply"
        texts = {name: unescaped(one[name].value).strip() if name in one else "" for name in ("DESCRIPTION", "CONTACT")}
        made = Freeze(
            self._name(one, "freeze"),
            local_text(start.minute) + zulu,
            local_text(start.minute + minutes) + zulu,
            self._cut(one.get("DESCRIPTION"), texts["DESCRIPTION"], Freeze.LIMITS["reason"]),
            "site",
            self._cut(one.get("CONTACT"), texts["CONTACT"], Freeze.LIMITS["who"]),
            shuts,
        )
        self._judge(begin, made)
        self.freezes.append(made)

    def _window(self, begin: Line, line: Line, start: _Time, minutes: int, one: dict[str, Line], lines: list[Line], words: set[str]) -> None:
        admits = next((word for word in ("both", "fetch", "apply") if word in words), self.admits)
        admits = "both" if {"fetch", "apply"} <= words else admits
        name, rule_line = self._name(one, "window"), one.get("RRULE")
        if rule_line is None:
            local = self._local(line, start)
            made = Once(name, local_text(local), local_text(local + minutes), admits)
            self._judge(begin, made)
            self.once.append(made)
            return
        if start.utc:
            raise _Refused(line, f"recurs in UTC and would move with the site's clock; enter it in {self.zone.name}")
        day, minute = divmod(start.minute, DAY_MIN)
        try:
            rule = read_rule(rule_line.value, day, minute, self.zone)
        except RuleFault as fault:
            raise _Refused(rule_line, fault.why, fault.part) from None
        except_dates = self._exceptions(lines, minute)
        weekly = rule.freq == "weekly" and rule.every == 1 and not (rule.until or rule.by_month or except_dates) and minutes <= DAY_MIN
        if "weekly" in words and weekly:
            end = (minute + minutes) % DAY_MIN
            known = Weekly(name, rule.by_day or (WEEKDAYS[weekday_of(day)],), clock_text(minute), clock_text(end), admits)
            self._judge(begin, known)
            self.weekly.append(known)
            return
        series = Recurring(name, local_text(start.minute), minutes, rule, except_dates, admits)
        self._judge(begin, series)
        self.recurring.append(series)

    def _exceptions(self, lines: list[Line], minute: int) -> tuple[str, ...]:
        """The local dates of EXDATE."""
        found: list[str] = []
        for line in lines:
            if line.name != "EXDATE":
                continue
            for value in line.value.split(","):
                time = self._time(Line(line.number, line.name, line.parameters, value))
                local = self._local(line, time)
                text = date_text(local // DAY_MIN)
                if not time.date and local % DAY_MIN != minute:
                    self.warnings.append(
                        Remark(line.number, "EXDATE", f"{value.strip()} is not when the event begins, so it takes nothing away; it is left out")
                    )
                elif text not in found and text not in self.holidays:
                    found.append(text)
        return tuple(found)

    # --- small things -------------------------------------------------------------------------------------------------

    def _name(self, one: dict[str, Line], otherwise: str) -> str:
        text = " ".join(unescaped(one["SUMMARY"].value).split()) if "SUMMARY" in one else ""
        text = "".join(letter for letter in text if letter.isprintable())
        return self._cut(one.get("SUMMARY"), text or otherwise, Once.LIMITS["name"])

    def _cut(self, line: Line | None, text: str, most: int) -> str:
        if len(text) > most and line is not None:
            self.warnings.append(Remark(line.number, line.name, f"is cut to {most} characters"))
        return text[:most].rstrip()

    @staticmethod
    def _judge(begin: Line, made: Once | Weekly | Recurring | Freeze) -> None:
        try:
            from_plain(type(made), to_plain(made))
        except WireError as fault:
            raise _Refused(begin, f"the event's {fault.path} {fault.why}") from None


def read_ics(raw: bytes, zone: Zone, *, kind: str = "window", admits: str = "apply") -> Imported:
    """The calendar of an iCalendar file on the clock of `zone`. `kind` is what an event is that does not say so by a category ("window", "freeze" or
    "holiday"), `admits` what such a window lets happen."""
    reader = _Reader(zone, kind, admits)
    try:
        events = _events(read_lines(raw), reader)
    except IcsFault as fault:
        return Imported(None, (), (Remark(fault.line, "file", fault.why),))
    # Holidays first: an EXDATE that says the same as a holiday is not kept a second time.
    for begin, lines in sorted(events, key=lambda event: not any(line.name == "CATEGORIES" and "holiday" in line.value.lower() for line in event[1])):
        try:
            reader.event(begin, lines)
        except _Refused as refused:
            reader.refusals.append(refused.remark)
    made = Calendar(zone.name, tuple(reader.weekly), tuple(reader.once), tuple(reader.recurring), tuple(sorted(reader.holidays)), tuple(reader.freezes))
    if not reader.refusals:
        try:
            from_plain(Calendar, to_plain(made))
        except WireError as fault:
            reader.refusals.append(Remark(0, "file", f"{fault.path}: {fault.why}"))
    refusals = tuple(sorted(reader.refusals, key=lambda remark: remark.line)[:MOST_SAID])
    return Imported(None if refusals else made, tuple(sorted(reader.warnings, key=lambda remark: remark.line)[:MOST_SAID]), refusals)


def _events(lines: list[Line], reader: _Reader) -> list[tuple[Line, list[Line]]]:
    """The events of a file with their own properties; what lies inside an event (alarms) is of no concern."""
    if not lines or (lines[0].name, lines[0].value.strip().upper()) != ("BEGIN", "VCALENDAR"):
        raise IcsFault(lines[0].number if lines else 0, "is not the beginning of an iCalendar file (BEGIN:VCALENDAR)")
    found: list[tuple[Line, list[Line]]] = []
    open_: list[str] = []
    for line in lines:
        word = line.value.strip().upper()
        if line.name == "BEGIN":
            if len(open_) == 1 and word == "VEVENT":
                found.append((line, []))
            elif len(open_) == 1 and word != "VTIMEZONE":
                reader.warnings.append(Remark(line.number, word[:40], "is no event, so it is left out"))
            open_.append(word)
        elif line.name == "END":
            if not open_ or open_.pop() != word:
                raise IcsFault(line.number, f"END:{word[:40]} ends nothing that was begun")
        elif open_ == ["VCALENDAR", "VEVENT"]:
            found[-1][1].append(line)
        elif not open_:
            raise IcsFault(line.number, "stands outside of VCALENDAR")
    if open_:
        raise IcsFault(lines[-1].number, f"the file ends before END:{open_[-1][:40]}; was it cut off?")
    return found
