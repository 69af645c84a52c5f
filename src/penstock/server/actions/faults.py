"""Faults: what is wrong now, as causes worst first; saying that one is known; noting since when each lasts.

Owns gathering what is known and handing it to the core. Judged anew at every question, by what the asker may see: nothing here can be older than the store. Never
tells anybody by itself (see `notices`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from penstock.server.actions import visible
from penstock.server.actions.context import Plane, bounded, make_cursor, note, read_cursor
from penstock.server.actions.devices import find as find_device
from penstock.server.actions.images import pins
from penstock.server.actions.sites import find as find_site
from penstock.server.core.access import permit, require
from penstock.server.core.causes import Cause, Known, causes
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.faultkinds import KINDS, SEVERITIES
from penstock.server.core.faults import DAY_MS, DEVICE, PLANE, SITE, DeviceKnown, Fault, Moved, PlaneKnown, SiteKnown, faults
from penstock.server.core.faults import Known as Judged
from penstock.server.core.model import Actor
from penstock.server.core.rights import EVERYWHERE, Allow, Reach, Target, may
from penstock.server.core.rights import reach as reach_of
from penstock.server.core.views import Page
from penstock.server.store import devices, mirrors, notices, outbox, roots, settings
from penstock.server.store import faults as store
from penstock.server.store.db import Tx

BACKUP_KEY = "backup-made"  # unix ms of the newest backup, written by whoever made it
OVERDUE_MS, OVERDUE_TRIES = 600_000, 5
LONGEST_MS = 366 * DAY_MS  # that something may be known of without a look


@dataclass(frozen=True, slots=True)
class Query:
    """Which causes; an empty field does not narrow. `known`: only those somebody knows of (True), only news (False)."""

    severity: str = ""
    kind: str = ""
    site: str = ""
    device: str = ""
    known: bool | None = None


def judged(plane: Plane, tx: Tx, reach: Reach, room: Reach, *, own: bool, site: str = "") -> tuple[tuple[Fault, ...], dict[str, SiteKnown]]:
    """The faults now of the devices inside `reach` and of who waits to be let in inside `room` (at one site), and the sites they are at. `own`: with the plane's
    own faults."""
    now = plane.clock.now_ms()
    places = {key: one for key, one in store.places(tx, reach, room).items() if not site or key == site}
    known = Judged(tuple(_heard(plane, one) for one in store.suspects(tx, reach, now, site)), places, of_plane(plane, tx) if own else None)
    return faults(known, now, store.marks(tx)), places


def _heard(plane: Plane, device: DeviceKnown) -> DeviceKnown:
    """A device with the newest word on when it was heard, which is written to the store in batches only."""
    entry = plane.fleet.entries.get(device.id)
    return device if entry is None or entry.seen_ms <= device.seen_ms else replace(device, seen_ms=entry.seen_ms)


def of_plane(plane: Plane, tx: Tx) -> PlaneKnown:
    """What the plane knows of itself."""
    free, total = plane.house.disk() if plane.house is not None else (0, 0)
    number, oldest = outbox.overdue(tx, plane.clock.now_ms() - OVERDUE_MS, OVERDUE_TRIES)
    return PlaneKnown(
        plane.roots.root.expires_ms,
        plane.house.certificate_ends_ms() if plane.house is not None else 0,
        free,
        total,
        roots.first_ms(tx) if devices.count(tx) else 0,  # an empty plane has nothing that a backup would save
        newest_backup_ms(tx),
        number,
        oldest,
        notices.failing(tx),
        _moved(plane, tx),
    )


def _moved(plane: Plane, tx: Tx) -> tuple[Moved, ...]:
    found = mirrors.moved(tx)
    held = pins(plane, tx) if found else {}
    return tuple(
        Moved(one.source, one.upstream, one.seen, one.moved_ms, tuple(f"{pin.app} {pin.version}" for pin in held.get(one.digest, ()))) for one in found
    )


def newest_backup_ms(tx: Tx) -> int:
    """When the newest backup was made (unix ms), 0 for never."""
    return int(settings.get(tx, BACKUP_KEY)[0] or 0)


def _seen(plane: Plane, tx: Tx, actor: Actor, site: str = "") -> tuple[tuple[Cause, ...], dict[str, SiteKnown]]:
    reach, room = require(actor, "devices.read"), reach_of(actor.rights, "enrolments.read")
    own = not site and isinstance(may(actor.rights, "settings.read", Target()), Allow)
    found, places = judged(plane, tx, reach, room, own=own, site=site)
    now = plane.clock.now_ms()
    return causes(found, places, store.known(tx, now), now, whole=reach.whole and not site), places


def list_faults(plane: Plane, actor: Actor, *, query: Query | None = None, cursor: str = "", limit: int = 50) -> tuple[Page[Cause], dict[str, SiteKnown]]:
    """Causes the query finds, worst first, and the sites they name."""
    require(actor, "devices.read")
    wanted = query or Query()
    if wanted.severity and wanted.severity not in SEVERITIES:
        raise Invalid("severity-unknown", f"severity is {wanted.severity[:40]!r}; it is one of {', '.join(SEVERITIES)}", field="severity")
    if wanted.kind and wanted.kind not in KINDS:
        raise Invalid("kind-unknown", f"{wanted.kind[:40]!r} is no kind of fault", field="kind", remedy=f"it is one of {', '.join(KINDS)}")
    after = read_cursor(cursor, int, int, int, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> tuple[Page[Cause], dict[str, SiteKnown]]:
        site, device = _place(tx, actor, wanted)
        found, places = _seen(plane, tx, actor, site)
        chosen = tuple(one for one in found if _wanted(one, wanted, device) and (after is None or one.order > after))
        return Page(chosen[:most], make_cursor(*chosen[most - 1].order) if len(chosen) > most else ""), places

    return plane.db.view(work)


def _place(tx: Tx, actor: Actor, wanted: Query) -> tuple[str, str]:
    """The ids of the site and the device asked for. Raises Missing."""
    if wanted.device:
        found = find_device(tx, actor, wanted.device)
        return found.site, found.id
    return (find_site(tx, actor, wanted.site).id, "") if wanted.site else ("", "")


def _wanted(one: Cause, wanted: Query, device: str) -> bool:
    return (
        (not wanted.severity or one.severity == wanted.severity)
        and (not wanted.kind or one.kind == wanted.kind)
        and (not device or any(fault.id == device for fault in one.faults))
        and (wanted.known is None or wanted.known == (one.known is not None))
    )


def overview(plane: Plane, actor: Actor, *, limit: int) -> tuple[tuple[Cause, ...], dict[str, SiteKnown], int]:
    """The worst causes that are news, the sites they name, and how many somebody knows of."""
    found, places = plane.db.view(lambda tx: _seen(plane, tx, actor))
    news = tuple(one for one in found if one.known is None)
    return news[:limit], places, len(found) - len(news)


# --- known, until then, because ---------------------------------------------------------------------------------------


def acknowledge(plane: Plane, actor: Actor, *, fault: str, until_ms: int, reason: str) -> Cause:
    """Somebody knows of this cause: it is muted until then, unless it gets worse or somebody else falls to it. Raises Missing, Invalid."""
    require(actor, "faults.acknowledge")
    now = plane.clock.now_ms()
    if not reason.strip():
        raise Invalid("reason-missing", "it needs a reason, for whoever looks next", field="reason", remedy="say in a few words what is being done about it")
    if not now < until_ms <= now + LONGEST_MS:
        raise Invalid("until-out-of-range", "it can be known of from now to a year ahead", field="until_ms", remedy="give a time in the future")

    def work(tx: Tx) -> Cause:
        cause = _find(plane, tx, actor, fault)
        said = [Known(one.key, one.severity, until_ms, reason.strip()[:1000], actor.name, now) for one in cause.faults]
        store.put_known(tx, said)
        data = {"until_ms": str(until_ms), "cause": cause.title, "faults": str(len(said))}
        note(plane, tx, actor, "fault.acknowledged", _subject(cause), site=cause.site, outcome="known", reason=reason, data=data, topics=_topics(cause))
        return _find(plane, tx, actor, fault)

    return plane.db.update(work)


def unacknowledge(plane: Plane, actor: Actor, *, fault: str) -> Cause:
    """It is news again. Raises Missing, Conflict."""
    require(actor, "faults.acknowledge")

    def work(tx: Tx) -> Cause:
        cause = _find(plane, tx, actor, fault)
        if not store.drop_known(tx, [one.key for one in cause.faults]):
            raise Conflict("not-acknowledged", "nobody has said to know of it")
        note(plane, tx, actor, "fault.unacknowledged", _subject(cause), site=cause.site, data={"cause": cause.title}, topics=_topics(cause))
        return _find(plane, tx, actor, fault)

    return plane.db.update(work)


def _find(plane: Plane, tx: Tx, actor: Actor, fault: str) -> Cause:
    """What the actor sees of a cause and may acknowledge, all of it. Raises Missing, Forbidden."""
    found, _ = _seen(plane, tx, actor)
    cause = next((one for one in found if one.id == fault), None)
    if cause is None:
        raise missing("fault", fault)
    mine = {device for device, *_ in devices.labels(tx, require(actor, "faults.acknowledge"))}
    beyond = [one.id for one in cause.faults if one.subject == DEVICE and one.id not in mine]
    for device in devices.many(tx, beyond[:1]).values():
        permit(actor, "faults.acknowledge", visible.target_of(tx, device))
    for one in cause.faults:
        if one.subject == SITE:
            permit(actor, "faults.acknowledge", Target(site=one.site))
        elif one.subject == PLANE:
            permit(actor, "settings.write", Target())
    return cause


def _subject(cause: Cause) -> str:
    """What the record names: the one device, so that it stands in its timeline, or the cause."""
    return cause.faults[0].id if len(cause.faults) == 1 and cause.faults[0].subject == DEVICE else cause.id


def _topics(cause: Cause) -> list[tuple[str, str]]:
    return [("fleet", cause.id), *((f"device/{one.id}", one.id) for one in cause.faults if one.subject == "device")]


# --- by itself --------------------------------------------------------------------------------------------------------


def mark(plane: Plane) -> int:
    """Note since when each fault lasts, and forget what is over or has run out; how many changed."""
    now = plane.clock.now_ms()

    def look(tx: Tx) -> tuple[dict[str, int], list[str], bool]:
        found, _ = judged(plane, tx, EVERYWHERE, EVERYWHERE, own=True)
        held = store.marks(tx)
        present = {one.key: one.since_ms for one in found}
        return {key: at for key, at in present.items() if key not in held}, [key for key in held if key not in present], bool(store.run_out(tx, now))

    fresh, gone, over = plane.db.view(look)  # a look first, so that a quiet fleet costs no write transaction
    if not fresh and not gone and not over:
        return 0

    def work(tx: Tx) -> int:
        store.put_marks(tx, fresh, gone)
        return len(fresh) + len(gone) + store.drop_known_before(tx, now)

    return plane.db.update(work)
