"""What faults are judged by: devices with anything wrong at all, since when faults last, and what somebody knows of them.

A fleet that is well gives an empty answer, so that asking costs as much as there is to tell.
"""

from __future__ import annotations

import json

from sqlalchemy import Text, and_, func, or_, select, type_coerce

from penstock.server.core.causes import Known
from penstock.server.core.faults import FOLLOW_WITHIN_MS, LOW_BYTES, AppKnown, DeviceKnown, SiteKnown
from penstock.server.core.model import ACTIVE, RETIRED
from penstock.server.core.rights import Reach
from penstock.server.core.status import ill_services
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import nouns, row_of
from penstock.server.store.tables import device_status as s
from penstock.server.store.tables import devices as d
from penstock.server.store.tables import enrolments, fault_known, fault_marks, observations, sites, states

_COLUMNS = (d.c.id, d.c.name, d.c.site, d.c.state, d.c.why, d.c.review, d.c.enrolled_ms, type_coerce(d.c.facts, Text).label("facts"))
_STANDING = (s.c.liveness, s.c.seen_ms, s.c.reported_ms, s.c.engine_ok, s.c.alarms, s.c.disk_free_bytes, s.c.lost)
_APPS = or_(s.c.phase == "failed", s.c.ill > 0, s.c.drift > 0, s.c.pinned > 0, s.c.way_back == "missing")


def suspects(tx: Tx, reach: Reach, now_ms: int, site: str = "") -> tuple[DeviceKnown, ...]:
    """Every device (of one site) that something may be wrong with, with the apps that are."""
    late = and_(or_(states.c.generation > s.c.generation, states.c.epoch > s.c.epoch), states.c.changed_ms <= now_ms - FOLLOW_WITHIN_MS)
    anything = or_(
        d.c.state != ACTIVE,
        d.c.review != "",
        s.c.liveness.in_(("silent", "never")),
        s.c.engine_ok.is_(False),
        type_coerce(s.c.alarms, Text) != "[]",
        and_(s.c.disk_free_bytes > 0, s.c.disk_free_bytes < LOW_BYTES),
        s.c.lost > 0,
        late,
        _APPS,
    )
    query = select(*_COLUMNS, *_STANDING, states.c.changed_ms, late.label("late"), _APPS.label("apps"))
    query = query.select_from(d.join(s, s.c.device == d.c.id).outerjoin(states, states.c.device == d.c.id)).where(d.c.state != RETIRED, anything)
    query = query.where(*inside(reach, site=d.c.site, device=d.c.id))
    if site:
        query = query.where(d.c.site == site)
    rows = tx.run(query).all()
    apps = _apps(tx, [row.id for row in rows if row.apps])
    return tuple(
        DeviceKnown(
            row.id,
            row.name,
            row.site,
            row.state,
            row.why,
            row.review,
            "current" if row.liveness == "never" and row.reported_ms else row.liveness,
            row.seen_ms or row.reported_ms,
            row.enrolled_ms,
            bool(row.engine_ok),
            row.alarms,
            row.disk_free_bytes,
            int(json.loads(row.facts).get("disk_bytes", 0)) if 0 < row.disk_free_bytes < LOW_BYTES else 0,
            row.lost,
            row.changed_ms if row.late else 0,
            tuple(apps.get(row.id, ())),
        )
        for row in rows
    )


def _apps(tx: Tx, devices: list[str]) -> dict[str, list[AppKnown]]:
    found: dict[str, list[AppKnown]] = {}
    o = observations.c
    wrong = or_(o.phase == "failed", o.ill > 0, o.drift > 0, o.pinned, o.way_back == "missing")
    for at in range(0, len(devices), 500):
        query = select(o.device, o.app, o.deployment, o.phase, o.why, o.version, o.at_ms, o.observed)
        for row in tx.run(query.where(o.device.in_(devices[at : at + 500]), wrong, o.removed.is_(False)).order_by(o.device, o.app)):
            seen = row.observed
            ill = ill_services(seen)
            back = seen.way_back
            missing = not back.ok and bool(back.version or back.content)
            found.setdefault(row.device, []).append(
                AppKnown(
                    row.app,
                    row.deployment,
                    row.phase,
                    row.why,
                    row.version,
                    seen.target_version,
                    row.at_ms,
                    tuple(f"{name}: {why}" for name, _, why in ill),
                    tuple(f"{name}: {why}" for name, loops, why in ill if loops),
                    len(seen.drift),
                    missing,
                    back.why if missing else "",
                    seen.pinned,
                )
            )
    return found


def places(tx: Tx, reach: Reach, room: Reach) -> dict[str, SiteKnown]:
    """The sites that devices inside `reach` stand at, with how many, or that somebody inside `room` waits to be let in at."""
    counted = select(d.c.site, func.count()).where(d.c.state != RETIRED, *inside(reach, site=d.c.site, device=d.c.id)).group_by(d.c.site)
    have = dict(tx.run(counted).all())
    asked = select(enrolments.c.site, func.count(), func.min(enrolments.c.asked_ms)).group_by(enrolments.c.site)
    waiting = tx.run(asked.where(enrolments.c.status == "waiting", *inside(room, site=enrolments.c.site)))
    wait = {site: (number, since_ms) for site, number, since_ms in waiting}
    return {
        row.id: SiteKnown(row.id, row.name, row.title, row.time_zone, have.get(row.id, 0), *wait.get(row.id, (0, 0)))
        for row in tx.run(select(sites).order_by(sites.c.name))
        if row.id in have or row.id in wait
    }


# --- since when ---------------------------------------------------------------------------------------------------------


def marks(tx: Tx) -> dict[str, int]:
    """Since when faults last, by key."""
    return dict(tx.run(select(fault_marks.c.key, fault_marks.c.since_ms)).all())


def put_marks(tx: Tx, fresh: dict[str, int], gone: list[str]) -> None:
    """Note when faults began, and forget those that are over."""
    if fresh:
        tx.upsert(fault_marks, [{"key": key, "since_ms": since_ms} for key, since_ms in fresh.items()])
    for at in range(0, len(gone), 500):
        tx.run(fault_marks.delete().where(fault_marks.c.key.in_(gone[at : at + 500])))


# --- what is known ------------------------------------------------------------------------------------------------------


def known(tx: Tx, now_ms: int) -> dict[str, Known]:
    """What somebody has said of faults, by key, as far as it still counts."""
    return {one.key: one for one in nouns(Known, tx.run(select(fault_known).where(fault_known.c.until_ms > now_ms)))}


def put_known(tx: Tx, many: list[Known]) -> None:
    """Somebody knows of these."""
    tx.upsert(fault_known, [row_of(one) for one in many])


def drop_known(tx: Tx, keys: list[str]) -> int:
    """Nobody says to know of these any more; how many were known."""
    gone = 0
    for at in range(0, len(keys), 500):
        gone += tx.run(fault_known.delete().where(fault_known.c.key.in_(keys[at : at + 500]))).rowcount
    return gone


def run_out(tx: Tx, now_ms: int) -> int:
    """How many have run out and are still kept."""
    return int(tx.run(select(func.count()).select_from(fault_known).where(fault_known.c.until_ms <= now_ms)).scalar())


def drop_known_before(tx: Tx, now_ms: int) -> int:
    """Forget what has run out; how many."""
    return int(tx.run(fault_known.delete().where(fault_known.c.until_ms <= now_ms)).rowcount)
