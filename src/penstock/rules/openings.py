"""The open stretches of a calendar, one after the other: windows united, freezes taken out, within what the zone covers.

Owns that walk and its bounds. A stretch is where something may happen without a break: windows that overlap or touch are one. Never decides about a
change (`rules.calendar` does). Seconds are UTC (Unix). Work is bounded: no walk looks at more than `most` intervals or past its limit.

Windows lean towards closed and freezes towards shut: in the hour that comes twice a window's times both mean the first, so that it never opens twice and is
never open while a shift may already have begun; a freeze ends with the second.
"""

from __future__ import annotations

from penstock.rules.recurrence import next_day
from penstock.rules.zonetime import DAY_S, begins_s, first_s, last_s, local_s
from penstock.wire.calendar import Calendar, Freeze, Recurring, Rule, Weekly, Zone
from penstock.wire.dates import DAY_MIN, read_clock, read_date, read_local
from penstock.wire.record import record

MOST_STEPS = 15_000  # questions to windows in one walk; a device asks for a walk again and again
_EVER = Rule("daily")


@record
class Stretch:
    """Open from `start_s` to before `end_s`. `windows` names whose time it is. `ends` False: it was not followed to its end, which lies later."""

    start_s: int
    end_s: int
    windows: tuple[str, ...]
    ends: bool = True


def windows_limit(calendar: Calendar, kind: str) -> bool:
    """Whether the windows decide about `kind` at all. Listed windows always limit applying. Fetching they limit where one of them speaks of it;
    a calendar whose windows are all for applying lets bytes come at any time."""
    speak = [one.admits for one in calendar.weekly] + [one.admits for one in calendar.once] + [one.admits for one in calendar.recurring]
    return any(kind == "apply" or admits != "apply" for admits in speak)


def freezes_of(calendar: Calendar, kind: str) -> tuple[Freeze, ...]:
    """The freezes that shut `kind`."""
    return tuple(one for one in calendar.freezes if kind == "apply" or one.shuts == "both")


def freeze_span(freeze: Freeze, zone: Zone) -> tuple[int, int]:
    """The UTC seconds of a freeze: from the first time the wall shows its start to the last time it shows its end."""
    start, end = read_local(freeze.start.rstrip("Z")) or 0, read_local(freeze.end.rstrip("Z")) or 0
    if freeze.start.endswith("Z"):
        return start * 60, end * 60
    return first_s(zone, start * 60), last_s(zone, end * 60)


class _Series:
    """A window that comes back on dates: its intervals in order, each asked for once."""

    def __init__(self, window: Weekly | Recurring, holidays: frozenset[int], walk: Walk) -> None:
        self.name = window.name
        self._walk = walk
        if isinstance(window, Weekly):
            start, end = read_clock(window.start) or 0, read_clock(window.end) or 0
            self._rule = Rule("weekly", by_day=window.days)
            self._first = 0
            self._start, self._minutes = start, end - start if end > start else end - start + DAY_MIN
            self._without = holidays
        else:
            start = read_local(window.start) or 0
            self._rule = window.rule
            self._first, self._start = divmod(start, DAY_MIN)
            self._minutes = window.minutes
            self._without = holidays | {read_date(text) or 0 for text in window.except_dates}
        # One day for a clock that was ahead, one for one that was behind.
        self._day = local_s(walk.zone, walk.from_s) // DAY_S - self._minutes // DAY_MIN - 3
        self._limit = local_s(walk.zone, walk.limit_s) // DAY_S + 2
        self._at: tuple[int, int] | None = None
        self._over = False

    def after(self, at_s: int) -> tuple[int, int] | None:
        """The first interval that ends after `at_s`, which never falls from one question to the next."""
        if self._walk.spent(at_s):
            return None
        while not self._over and (self._at is None or self._at[1] <= at_s):
            day = next_day(self._rule, self._first, self._day, self._limit)
            if day is None:
                self._over = True
                break
            self._day = day + 1
            if day in self._without:
                continue
            start = day * DAY_S + self._start * 60
            self._at = first_s(self._walk.zone, start), first_s(self._walk.zone, start + self._minutes * 60)
            if self._at[0] >= self._at[1]:  # it lies wholly in the hour that is skipped
                self._at = None
        return None if self._over else self._at


class _Once:
    """One interval."""

    def __init__(self, name: str, start_s: int, end_s: int, walk: Walk) -> None:
        self.name = name
        self._walk = walk
        self._at = (start_s, end_s)

    def after(self, at_s: int) -> tuple[int, int] | None:
        """The interval while it ends after `at_s`."""
        if self._walk.spent(at_s):
            return None
        return self._at if at_s < self._at[1] and self._at[0] < self._at[1] else None


class Walk:
    """The open stretches of a calendar for one kind from `from_s` on, to before `limit_s` at most. Ask with times that never fall. `steps` counts the
    questions put to windows; when `most` are used up, `limit_s` is set back to where they ended, and every window counts as over from there on."""

    def __init__(self, calendar: Calendar, zone: Zone, kind: str, from_s: int, limit_s: int, most: int = MOST_STEPS) -> None:
        self.zone = zone
        self.from_s = max(from_s, begins_s(zone))
        self.limit_s = min(limit_s, zone.until_s)
        self.most = most
        self.steps = 0
        self._frozen: list[tuple[int, int]] = []
        for start, end in sorted(freeze_span(freeze, zone) for freeze in freezes_of(calendar, kind)):
            if self._frozen and start <= self._frozen[-1][1]:
                self._frozen[-1] = (self._frozen[-1][0], max(end, self._frozen[-1][1]))
            else:
                self._frozen.append((start, end))
        self._windows: list[_Series | _Once] = []
        if not windows_limit(calendar, kind):
            self._windows.append(_Once("", begins_s(zone), zone.until_s, self))
            return
        holidays = frozenset(read_date(text) or 0 for text in calendar.holidays)
        self._windows += [_Series(one, holidays, self) for one in calendar.weekly if one.admits in (kind, "both")]
        self._windows += [_Series(one, holidays, self) for one in calendar.recurring if one.admits in (kind, "both")]
        for one in calendar.once:
            if one.admits in (kind, "both"):
                start, end = read_local(one.start) or 0, read_local(one.end) or 0
                self._windows.append(_Once(one.name, first_s(zone, start * 60), first_s(zone, end * 60), self))

    def spent(self, at_s: int) -> bool:
        """Whether the work allowed is used up; counts one more question, asked for `at_s`."""
        self.steps += 1
        if self.steps <= self.most:
            return False
        self.limit_s = min(self.limit_s, at_s)
        return True

    def frozen_until(self, at_s: int) -> int:
        """When the freeze over `at_s` ends, those that follow on without a break included; 0 when there is none."""
        return next((end for start, end in self._frozen if start <= at_s < end), 0)

    def next(self, at_s: int, follow_s: int) -> Stretch | None:
        """The first open stretch that ends after `at_s`, clipped to begin there at the earliest, followed for `follow_s` at least where it goes on so
        long. None when nothing opens before the limit."""
        at_s = max(at_s, self.from_s)
        while at_s < self.limit_s:
            thawed = self.frozen_until(at_s)
            if thawed:
                at_s = thawed
                continue
            found = [(window.name, span) for window in self._windows if (span := window.after(at_s)) is not None]
            if not found:
                return None
            begin = min(span[0] for _, span in found)
            if begin > at_s:
                at_s = begin
                continue
            return self._follow(at_s, [name for name, span in found if span[0] <= at_s], follow_s)
        return None

    def _follow(self, at_s: int, names: list[str], follow_s: int) -> Stretch:
        stop = min([start for start, _ in self._frozen if start > at_s] + [self.zone.until_s])
        end, grew = at_s, True
        while grew and end < stop:
            if end - at_s >= follow_s > 0 and end < stop:
                return Stretch(at_s, end, tuple(names), ends=False)
            grew = False
            for window in self._windows:
                span = window.after(end)
                if span is not None and span[0] <= end:
                    end, grew = span[1], True
                    if window.name not in names:
                        names.append(window.name)
                    if end >= stop:  # beyond it lies a freeze; what windows do after that is asked for later, in order
                        break
        return Stretch(at_s, min(end, stop), tuple(names))
