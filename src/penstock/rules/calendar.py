"""Whether a site's calendar lets something happen now, and when it next will.

Owns the answer with its sentence, the list of openings, and how the centre narrows. How windows add up stands in `openings`, what a clock on the
wall means in `zonetime`, on which dates a rule falls in `recurrence`. Pure: the agent, the plane, the simulator and the forecast ask the same function.
An update that meets a shut calendar waits; nothing here drops one.
"""

from __future__ import annotations

from penstock.rules import clockquality
from penstock.rules.openings import Stretch, Walk, freeze_span, freezes_of, windows_limit
from penstock.rules.zonetime import DAY_S, begins_s, covers, said
from penstock.wire.calendar import Calendar, Freeze, Narrowing, Zone
from penstock.wire.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

KINDS = ("fetch", "apply")
HORIZON_S = 400 * DAY_S  # how far ahead an opening is looked for: a yearly shutdown is within it
FOLLOW_S = 15 * DAY_S  # how far an open stretch is followed to say when it closes
MOST_OPENINGS = 1000
MOST_LIST_STEPS = 300_000  # for a list, which a person or the forecast asks for, not a device in its loop


@record
class Open:
    """It may begin now. `closes_ms` is when the site's time for it ends, 0 when that is not within the next days; `window` names it, empty without one."""

    why: str
    window: str = ""
    closes_ms: int = 0


@record
class Shut:
    """It may not begin now. `reason` is stable; `until_ms` is the first instant known at which it may, 0 when none is known."""

    CHOICES = {"reason": ("unknown-kind", "clock", "zone", "zone-span", "frozen", "window-closed", "window-too-short", "no-window", "no-window-long-enough")}

    reason: str
    why: str
    until_ms: int = 0


@record
class Opening:
    """A span in which it may happen, Unix milliseconds. `windows` names whose time it is; none where no window is needed. `end_ms` is also where the list
    stopped looking when `ends` is False."""

    start_ms: int
    end_ms: int
    windows: tuple[str, ...] = ()
    ends: bool = True


def narrowed(site: Calendar | None, central: Narrowing | None, zone: str = "") -> Calendar | None:
    """The site's calendar with the centre's freezes laid over it. `zone` is the IANA name for a site without a calendar.

    It never admits an instant that the site's own does not: freezes are all that is taken from the centre, and no freeze of the site is left out."""
    if central is None or not central.freezes:
        return site
    base = Calendar(zone) if site is None else site
    return replace(base, freezes=base.freezes + tuple(replace(one, by="centre") for one in central.freezes))


def limits(calendar: Calendar | None, kind: str) -> bool:
    """Whether the calendar has any say about `kind`. Without one, or with holidays alone, everything may happen at any time."""
    return calendar is not None and bool(windows_limit(calendar, kind) or freezes_of(calendar, kind))


def admits(calendar: Calendar | None, zone: Zone | None, kind: str, now_ms: int, needs_ms: int = 0, clock: str = clockquality.TRUSTED) -> Open | Shut:
    """Whether `kind` ("fetch" or "apply") may begin at `now_ms` (Unix milliseconds) and, lasting `needs_ms`, end before the site's time for it is over.

    `zone` is the one that travelled with the calendar; `clock` one of `clockquality.QUALITIES`."""
    if kind not in KINDS:
        return Shut("unknown-kind", f"this program does not know what a calendar says of {kind!r}; update it")
    if calendar is None or not limits(calendar, kind):
        return Open("this site has no calendar" if calendar is None else f"the site's calendar sets no limit to {_doing(kind)}")
    doubt = clockquality.sentence(clock)
    if doubt:
        return Shut("clock", doubt)
    if zone is None or zone.name != calendar.zone:
        has = "none came with it" if zone is None else f"that of {zone.name} came with it"
        return Shut(
            "zone", f"the site's calendar needs the clock changes of {calendar.zone or 'its time zone'}, and {has}; it waits for the plane to send them"
        )
    now_s = now_ms // 1000
    if not covers(zone, now_s):
        return _outside(zone, now_s)
    walk = Walk(calendar, zone, kind, now_s, now_s + HORIZON_S)
    follow_s = max(FOLLOW_S, -(-needs_ms // 1000) + 1)
    stretch = walk.next(now_s, follow_s)
    place = f"it is {said(zone, now_s)} in {zone.name}"
    if stretch is not None and stretch.start_s <= now_s and (not stretch.ends or now_ms + needs_ms <= stretch.end_s * 1000):
        closes_ms = stretch.end_s * 1000 if stretch.ends and stretch.end_s <= walk.limit_s else 0
        named = _named(stretch.windows)
        until = f" until {said(zone, stretch.end_s)}" if closes_ms else ""
        why = f"{named} is open{until}; {place}" if named else f"nothing is frozen{until}; {place}"
        return Open(why, ", ".join(stretch.windows) if named else "", closes_ms)
    return _shut(calendar, kind, walk, stretch, now_ms, needs_ms, follow_s, place)


def _shut(calendar: Calendar, kind: str, walk: Walk, stretch: Stretch | None, now_ms: int, needs_ms: int, follow_s: int, place: str) -> Shut:
    """Why not now, and when. `stretch` is the one that is open now and too short, or the next, or None."""
    zone, now_s = walk.zone, now_ms // 1000
    first, longest_s = stretch, 0
    if stretch is not None and stretch.start_s <= now_s:
        longest_s = stretch.end_s - now_s
        stretch = walk.next(stretch.end_s, follow_s)
    coming = stretch
    while stretch is not None and stretch.ends and (stretch.end_s - stretch.start_s) * 1000 < needs_ms:
        longest_s = max(longest_s, stretch.end_s - stretch.start_s)
        stretch = walk.next(stretch.end_s, follow_s)
    until_ms = 0 if stretch is None else stretch.start_s * 1000
    then = "" if stretch is None else f"it waits for {_named(stretch.windows) or 'the freeze to end'}, {said(zone, stretch.start_s)}"
    needs = f"by its own history it takes {_span(needs_ms)}"
    if stretch is None and longest_s:
        wide = f"no stretch that the calendar leaves open before {said(zone, walk.limit_s)} is that long (the longest is {_span(longest_s * 1000)})"
        return Shut("no-window-long-enough", f"{needs}, and {wide}; {place}. The site can add a one-off window that is long enough")
    if first is not None and first.start_s <= now_s:
        left = f"{_named(first.windows) or 'the time until the next freeze'} ends in {_span(first.end_s * 1000 - now_ms)}, at {said(zone, first.end_s)}"
        return Shut("window-too-short", f"{needs}, and {left}, so it is not started; {place}; {then}, which is long enough", until_ms)
    if coming is not None and stretch is not None and coming.start_s < stretch.start_s:
        then += f", the first that is long enough: {needs}"
    freeze = _freeze_over(calendar, kind, zone, now_s)
    if freeze is not None:
        return Shut("frozen", f"{_frozen(freeze, kind, zone)}; {place}; {then or 'after it, no window is known to open'}", until_ms)
    if stretch is None:
        shown = said(zone, walk.limit_s)
        return Shut("no-window", f"no window of the site's calendar that lets {_doing(kind)} opens before {shown}; {place}. The site can add one")
    return Shut("window-closed", f"no window is open; {place}; {then}", until_ms)


def _outside(zone: Zone, now_s: int) -> Shut:
    begin = begins_s(zone)
    end = "the past" if now_s >= zone.until_s else "the future"
    why = f"what is known of the clock changes of {zone.name} (zone data {zone.tzdata}) lies in {end}: it covers {said(zone, begin)} to {said(zone, zone.until_s)}"
    return Shut("zone-span", f"{why}; the calendar counts as closed until the plane sends newer ones", begin * 1000 if now_s < begin else 0)


def _freeze_over(calendar: Calendar, kind: str, zone: Zone, now_s: int) -> Freeze | None:
    """The freeze over `now_s` that lasts longest."""
    best, best_end = None, 0
    for freeze in freezes_of(calendar, kind):
        start, end = freeze_span(freeze, zone)
        if start <= now_s < end and end > best_end:
            best, best_end = freeze, end
    return best


def _frozen(freeze: Freeze, kind: str, zone: Zone) -> str:
    whose = "the centre" if freeze.by == "centre" else "the site"
    who = f", placed by {freeze.who}" if freeze.who else ""
    reason = f" ({freeze.reason})" if freeze.reason else ""
    return f"{whose} has frozen {_doing(kind)} until {said(zone, freeze_span(freeze, zone)[1])}: {freeze.name!r}{who}{reason}"


def _doing(kind: str) -> str:
    return "fetching" if kind == "fetch" else "applying changes"


def _named(windows: tuple[str, ...]) -> str:
    names = [repr(name) for name in windows if name]
    if not names:
        return ""
    return f"window {names[0]}" if len(names) == 1 else f"windows {', '.join(names)}"


def _span(ms: int) -> str:
    """`2 h 30 min`; what is left over of a minute counts as one."""
    minutes = -(-max(ms, 0) // 60_000)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts) or "no time"


def openings(calendar: Calendar | None, zone: Zone | None, kind: str, from_ms: int, *, until_ms: int = 0, count: int = 50) -> tuple[Opening, ...]:
    """The next spans in which `kind` may happen, at most `count` (and 1000) of them, looked for until `until_ms` or for 400 days; the first begins at
    `from_ms` where that lies in it. Empty when there is none, or when the zone that the calendar needs did not come with it."""
    limit_s = until_ms // 1000 if until_ms else from_ms // 1000 + HORIZON_S
    if calendar is None or not limits(calendar, kind):
        return (Opening(from_ms, limit_s * 1000, ends=False),) if from_ms < limit_s * 1000 else ()
    if zone is None or zone.name != calendar.zone:
        return ()
    walk = Walk(calendar, zone, kind, from_ms // 1000, limit_s, MOST_LIST_STEPS)
    found: list[Opening] = []
    at_s = from_ms // 1000
    while len(found) < min(count, MOST_OPENINGS):
        stretch = walk.next(at_s, max(limit_s - at_s, 1))
        if stretch is None:
            break
        cut = not stretch.ends or stretch.end_s > limit_s
        end_s = min(stretch.end_s, limit_s)
        found.append(Opening(max(stretch.start_s * 1000, from_ms), end_s * 1000, tuple(name for name in stretch.windows if name), not cut))
        at_s = stretch.end_s
        if cut:
            break
    return tuple(found)


if TYPE_CHECKING:
    Answer = Union[Open, Shut]
