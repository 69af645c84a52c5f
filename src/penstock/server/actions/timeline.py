"""A device's life in one list: its own log and what the plane noted about it, newest first, in words.

Owns the merging and the sentences. The device's entries are ordered by its own numbers, the plane's by theirs; between the two the time of
arrival decides.
"""

from __future__ import annotations

from typing import Any

from penstock.server.actions.context import Plane, bounded, make_cursor, read_cursor
from penstock.server.actions.devices import find
from penstock.server.core.model import Actor, Event, LogLine
from penstock.server.core.rights import EVERYWHERE
from penstock.server.core.views import Page, TimelineEntry
from penstock.server.store import events, log
from penstock.server.store.db import Tx
from penstock.wire.codec import WireError, decode
from penstock.wire.log import BODIES, Boot, CommandOutcome, Gap, LocalAct, Observation, Receipt, RefusalNote
from penstock.wire.log import Event as DeviceEvent

KINDS = (*BODIES, "plane")


def timeline(plane: Plane, actor: Actor, *, device: str, cursor: str = "", limit: int = 50, kinds: tuple[str, ...] = ()) -> Page[TimelineEntry]:
    """Newest first; `kinds` narrows it (of the log, and "plane" for the plane's own notes)."""
    at = read_cursor(cursor, int, int, int)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[TimelineEntry]:
        ident = find(tx, actor, device).id
        wanted = tuple(kind for kind in kinds if kind != "plane")
        lines: tuple[LogLine, ...] = ()
        if not kinds or wanted:
            lines = log.newest(tx, ident, (0, at[0], at[1]) if at else None, wanted, most + 1)
        noted: tuple[Event, ...] = ()
        if not kinds or "plane" in kinds:
            noted = events.before(tx, EVERYWHERE, at[2] if at else 0, ident, most + 1)
        merged: list[tuple[int, LogLine | Event]] = [(line.received_ms, line) for line in lines] + [(one.at_ms, one) for one in noted]
        # Python's sort is stable: within one source the source's own order stays.
        merged.sort(key=lambda pair: -pair[0])
        shown = _in_order(merged, most)
        branch, seq = (at[0], at[1]) if at else (1 << 30, 1 << 50)
        number = at[2] if at else 0
        for _, one in shown:
            if isinstance(one, LogLine):
                branch, seq = one.branch, one.seq
            else:
                number = one.number
        more = len(merged) > len(shown)
        return Page(tuple(_entry(one) for _, one in shown), make_cursor(branch, seq, number) if more else "")

    return plane.db.view(work)


def _in_order(merged: list[tuple[int, LogLine | Event]], most: int) -> list[tuple[int, LogLine | Event]]:
    """The first `most`, each source kept in its own order even where arrival times are equal or were set back."""
    lines = sorted((pair for pair in merged if isinstance(pair[1], LogLine)), key=lambda pair: (-pair[1].branch, -pair[1].seq))  # type: ignore[union-attr]
    noted = sorted((pair for pair in merged if isinstance(pair[1], Event)), key=lambda pair: -pair[1].number)  # type: ignore[union-attr]
    shown: list[tuple[int, LogLine | Event]] = []
    while len(shown) < most and (lines or noted):
        source = lines if lines and (not noted or lines[0][0] >= noted[0][0]) else noted
        shown.append(source.pop(0))
    return shown


def _entry(one: LogLine | Event) -> TimelineEntry:
    if isinstance(one, Event):
        app = one.data.get("app", "")
        title = f"command {one.data.get('verb', '')}: ordered" if one.verb == "command.ordered" else one.verb
        return TimelineEntry("plane", f"plane-{one.number}", one.at_ms, "plane", title, one.reason, app, one.actor_name)
    title, why, app, by = _words(one)
    return TimelineEntry("device", f"log-{one.branch}-{one.seq}", one.at_ms, one.kind, title, why, app, by, one.clock, one.body)


def _words(line: LogLine) -> tuple[str, str, str, str]:
    """Title, sentence, app and who, of a log entry."""
    try:
        body: Any = decode(BODIES[line.kind], line.body.encode("utf-8"))
    except (WireError, KeyError):
        return line.kind, "written by an agent of another version; it is kept, and not understood here", "", ""
    if isinstance(body, Receipt):
        versions = f"{body.from_version} to {body.to_version}" if body.from_version and body.to_version else body.to_version or body.from_version
        return f"{body.kind} of {body.app} {versions}: {body.verdict}".replace("  ", " "), body.why, body.app, body.by
    if isinstance(body, Observation):
        if body.app is not None:
            version = f" {body.app.version}" if body.app.version else ""
            return f"{body.app.app}{version}: {body.app.phase}", body.app.why, body.app.app, ""
        alarms = "; ".join(body.device.alarms) if body.device is not None else ""
        return "device observed", alarms or "no alarm", "", ""
    if isinstance(body, DeviceEvent):
        return body.name, body.why, body.app, ""
    if isinstance(body, LocalAct):
        return f"at the device: {body.verb}", body.why, body.app, f"{body.by}, by PIN" if body.pin == "by-pin" else body.by
    if isinstance(body, CommandOutcome):
        return f"command {body.verb}: {body.outcome}", body.why, "", ""
    if isinstance(body, RefusalNote):
        return f"refused {body.what}: {body.reason}", body.why, "", ""
    if isinstance(body, Gap):
        return f"entries {body.first} to {body.last} lost", body.why, "", ""
    if isinstance(body, Boot):
        return "agent started", f"agent {body.agent} on {body.facts.hostname}", "", ""
    return line.kind, "", "", ""
