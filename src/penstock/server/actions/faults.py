"""Faults: what is wrong now, as causes worst first; saying that one is known; noting since when each lasts.

Owns gathering what is known and handing it to the core. Judged anew at every question, by what the asker may see: nothing here can be older than the store. Never
tells anybody by itself (see `notices`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from penstock.server.actions.context import Plane, bounded, make_cursor, note, read_cursor
from penstock.server.core.access import Allow, may, require
from penstock.server.core.causes import Cause, Known, causes
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.faultkinds import KINDS, SEVERITIES
from penstock.server.core.faults import DAY_MS, PLANE, Fault, PlaneKnown, SiteKnown, faults
from penstock.server.core.faults import Known as Judged
from penstock.server.core.model import EVERYWHERE, Actor, Scope
from penstock.server.core.views import Page
from penstock.server.store import devices, notices, outbox, roots, settings
from penstock.server.store import faults as store
from penstock.server.store import sites as site_store
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


def judged(plane: Plane, tx: Tx, scope: Scope, *, own: bool, room: bool, site: str = "") -> tuple[tuple[Cause, ...], tuple[Fault, ...], dict[str, SiteKnown]]:
    """The causes, faults and sites of a part of the fleet now. `own`: with the plane's own faults; `room`: with who waits to be let in."""
    now = plane.clock.now_ms()
    places = {key: one for key, one in store.places(tx, scope).items() if not site or key == site}
    shown = places if room else {key: replace(one, waiting=0) for key, one in places.items()}
    known = Judged(store.suspects(tx, scope, now, site), shown, of_plane(plane, tx) if own else None)
    found = faults(known, now, store.marks(tx))
    return causes(found, places, store.known(tx, now), now), found, places


def of_plane(plane: Plane, tx: Tx) -> PlaneKnown:
    """What the plane knows of itself."""
    free, total = plane.house.disk() if plane.house is not None else (0, 0)
    number, oldest = outbox.overdue(tx, plane.clock.now_ms() - OVERDUE_MS, OVERDUE_TRIES)
    text, _ = settings.get(tx, BACKUP_KEY)
    return PlaneKnown(
        plane.roots.root.expires_ms,
        plane.house.certificate_ends_ms() if plane.house is not None else 0,
        free,
        total,
        roots.first_ms(tx) if devices.count(tx) else 0,  # an empty plane has nothing that a backup would save
        int(text or 0),
        number,
        oldest,
        notices.failing(tx),
    )


def _seen(plane: Plane, tx: Tx, actor: Actor, scope: Scope, site: str = "") -> tuple[tuple[Cause, ...], dict[str, SiteKnown]]:
    own = not site and scope.sites is None and isinstance(may(actor, "settings.read", scope), Allow)
    room = isinstance(may(actor, "enrolments.read", scope), Allow)
    found, _, places = judged(plane, tx, scope, own=own, room=room, site=site)
    return found, places


def list_faults(
    plane: Plane, actor: Actor, scope: Scope, *, query: Query | None = None, cursor: str = "", limit: int = 50
) -> tuple[Page[Cause], dict[str, SiteKnown]]:
    """Causes the query finds, worst first, and the sites they name."""
    require(actor, "devices.read", scope)
    wanted = query or Query()
    if wanted.severity and wanted.severity not in SEVERITIES:
        raise Invalid("severity-unknown", f"severity is {wanted.severity[:40]!r}; it is one of {', '.join(SEVERITIES)}", field="severity")
    if wanted.kind and wanted.kind not in KINDS:
        raise Invalid("kind-unknown", f"{wanted.kind[:40]!r} is no kind of fault", field="kind", remedy=f"it is one of {', '.join(KINDS)}")
    after = read_cursor(cursor, int, int, int, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> tuple[Page[Cause], dict[str, SiteKnown]]:
        site, device = _place(tx, scope, wanted)
        found, places = _seen(plane, tx, actor, scope, site)
        chosen = tuple(one for one in found if _wanted(one, wanted, device) and (after is None or one.order > after))
        return Page(chosen[:most], make_cursor(*chosen[most - 1].order) if len(chosen) > most else ""), places

    return plane.db.view(work)


def _place(tx: Tx, scope: Scope, wanted: Query) -> tuple[str, str]:
    """The ids of the site and the device asked for. Raises Missing."""
    if wanted.device:
        found = devices.find(tx, scope, wanted.device)
        if found is None:
            raise missing("device", wanted.device)
        return found.site, found.id
    if wanted.site:
        place = site_store.find(tx, scope, wanted.site)
        if place is None:
            raise missing("site", wanted.site)
        return place.id, ""
    return "", ""


def _wanted(one: Cause, wanted: Query, device: str) -> bool:
    return (
        (not wanted.severity or one.severity == wanted.severity)
        and (not wanted.kind or one.kind == wanted.kind)
        and (not device or any(fault.id == device for fault in one.faults))
        and (wanted.known is None or wanted.known == (one.known is not None))
    )


# --- known, until then, because ---------------------------------------------------------------------------------------


def acknowledge(plane: Plane, actor: Actor, scope: Scope, *, fault: str, until_ms: int, reason: str) -> Cause:
    """Somebody knows of this cause: it is muted until then, unless it gets worse or somebody else falls to it. Raises Missing, Invalid."""
    require(actor, "faults.acknowledge", scope)
    now = plane.clock.now_ms()
    if not reason.strip():
        raise Invalid("reason-missing", "it needs a reason, for whoever looks next", field="reason", remedy="say in a few words what is being done about it")
    if not now < until_ms <= now + LONGEST_MS:
        raise Invalid("until-out-of-range", "it can be known of from now to a year ahead", field="until_ms", remedy="give a time in the future")

    def work(tx: Tx) -> Cause:
        cause = _find(plane, tx, actor, scope, fault)
        said = [Known(one.key, one.severity, until_ms, reason.strip()[:1000], actor.name, now) for one in cause.faults]
        store.put_known(tx, said)
        data = {"until_ms": str(until_ms), "cause": cause.title, "faults": str(len(said))}
        note(plane, tx, actor, "fault.acknowledged", cause.id, site=cause.site, outcome="known", reason=reason, data=data, topics=_topics(cause))
        return _find(plane, tx, actor, scope, fault)

    return plane.db.update(work)


def unacknowledge(plane: Plane, actor: Actor, scope: Scope, *, fault: str) -> Cause:
    """It is news again. Raises Missing, Conflict."""
    require(actor, "faults.acknowledge", scope)

    def work(tx: Tx) -> Cause:
        cause = _find(plane, tx, actor, scope, fault)
        if not store.drop_known(tx, [one.key for one in cause.faults]):
            raise Conflict("not-acknowledged", "nobody has said to know of it")
        note(plane, tx, actor, "fault.unacknowledged", cause.id, site=cause.site, data={"cause": cause.title}, topics=_topics(cause))
        return _find(plane, tx, actor, scope, fault)

    return plane.db.update(work)


def _find(plane: Plane, tx: Tx, actor: Actor, scope: Scope, fault: str) -> Cause:
    found, _ = _seen(plane, tx, actor, scope)
    cause = next((one for one in found if one.id == fault), None)
    if cause is None:
        raise missing("fault", fault)
    if any(one.subject == PLANE for one in cause.faults):
        require(actor, "settings.write", scope)
    return cause


def _topics(cause: Cause) -> list[tuple[str, str]]:
    return [("fleet", cause.id), *((f"device/{one.id}", one.id) for one in cause.faults if one.subject == "device")]


# --- by itself --------------------------------------------------------------------------------------------------------


def mark(plane: Plane) -> int:
    """Note since when each fault lasts, and forget what is over or has run out; how many changed."""
    now = plane.clock.now_ms()

    def look(tx: Tx) -> tuple[dict[str, int], list[str], bool]:
        _, found, _ = judged(plane, tx, EVERYWHERE, own=True, room=True)
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
