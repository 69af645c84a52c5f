"""Devices: their rows, and the list that people look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Text, and_, case, func, or_, select, type_coerce

from penstock.server.core.model import RETIRED, Device, DeviceStatus, Lean
from penstock.server.core.rights import Reach
from penstock.server.core.siteview import Alike
from penstock.server.core.status import SILENT
from penstock.server.core.views import DeviceQuery
from penstock.server.store import running
from penstock.server.store.db import Tx
from penstock.server.store.prepared import AMONG, Lookup
from penstock.server.store.reach import inside
from penstock.server.store.rows import compare_and_set, names_of, noun, nouns, row_of
from penstock.server.store.tables import device_status, group_members, observations, sites
from penstock.server.store.tables import devices as t
from penstock.wire.codec import encode
from penstock.wire.messages import Facts

_sign_keys = Lookup(select(t.c.id, t.c.key_epoch, t.c.sign_key).where(t.c.id.in_(AMONG)))


@dataclass(frozen=True, slots=True)
class Known:
    """What the hot path must know of a device: no more than this stays in memory for each."""

    id: str
    name: str
    site: str
    state: str
    why: str
    key_epoch: int
    etag: str
    pending: bool
    seen_ms: int


def add(tx: Tx, device: Device) -> None:
    """A new one, with its status row."""
    tx.run(t.insert(), [row_of(device)])


def put(tx: Tx, device: Device) -> None:
    """Replace all of a row (a key replaced, for example)."""
    tx.upsert(t, [row_of(device)])


def _within(reach: Reach) -> list[Any]:
    return inside(reach, site=t.c.site, device=t.c.id)


def find(tx: Tx, reach: Reach, device: str) -> Device | None:
    """By id, or by the name of one that is not retired."""
    query = select(t).where((t.c.id == device) | ((t.c.name == device) & (t.c.state != RETIRED)), *_within(reach)).order_by((t.c.id == device).desc())
    return noun(Device, tx.run(query).first())


def by_key(tx: Tx, keyid: str) -> Device | None:
    """The device with that signing key."""
    return noun(Device, tx.run(select(t).where(t.c.keyid == keyid)).first())


def by_name(tx: Tx, name: str) -> Device | None:
    """The one of that name that is not retired."""
    return noun(Device, tx.run(select(t).where(t.c.name == name, t.c.state != RETIRED)).first())


def many(tx: Tx, ids: Any) -> dict[str, Device]:
    """Those of these ids."""
    wanted = sorted(set(ids))
    found: dict[str, Device] = {}
    for at in range(0, len(wanted), 500):
        for device in nouns(Device, tx.run(select(t).where(t.c.id.in_(wanted[at : at + 500])))):
            found[device.id] = device
    return found


def lean(tx: Tx, ids: Any) -> dict[str, Lean]:
    """As much of these devices as documents and rollouts take."""
    wanted = sorted(set(ids))
    columns = (t.c.id, t.c.name, t.c.site, t.c.state, t.c.review, t.c.seal_key, t.c.key_epoch, t.c.moved, type_coerce(t.c.facts, Text).label("facts"))
    found: dict[str, Lean] = {}
    for at in range(0, len(wanted), 500):
        for row in tx.run(select(*columns).where(t.c.id.in_(wanted[at : at + 500]))):
            platforms = tuple(json.loads(row.facts).get("platforms", ()))
            found[row.id] = Lean(row.id, row.name, row.site, row.state, row.review, row.seal_key, row.key_epoch, platforms, bool(row.moved))
    return found


def sign_keys(tx: Tx, ids: list[str]) -> dict[str, tuple[int, str]]:
    """The key epoch of these devices, and the public key they sign with."""
    return {device: (epoch, key) for device, epoch, key in tx.look_up(_sign_keys, ids)}


def living(tx: Tx, reach: Reach) -> tuple[Device, ...]:
    """All that are not retired, by name."""
    return nouns(Device, tx.run(select(t).where(t.c.state != RETIRED, *_within(reach)).order_by(t.c.name, t.c.id)))


def labels(tx: Tx, reach: Reach) -> tuple[tuple[str, str, str, dict[str, str]], ...]:
    """(id, name, site, labels) of all that are not retired, by name: what targeting reads."""
    query = select(t.c.id, t.c.name, t.c.site, t.c.labels).where(t.c.state != RETIRED, *_within(reach)).order_by(t.c.name, t.c.id)
    return tuple((row.id, row.name, row.site, row.labels) for row in tx.run(query))


def labels_of(tx: Tx, ids: Any) -> dict[str, dict[str, str]]:
    """The labels of those of these devices that are not retired."""
    wanted = sorted(set(ids))
    found: dict[str, dict[str, str]] = {}
    for at in range(0, len(wanted), 500):
        found.update((row.id, row.labels) for row in tx.run(select(t.c.id, t.c.labels).where(t.c.state != RETIRED, t.c.id.in_(wanted[at : at + 500]))))
    return found


def seen(tx: Tx, reach: Reach, ids: Any) -> frozenset[str]:
    """Those of these devices that are not retired and lie inside."""
    wanted = sorted(set(ids))
    found: set[str] = set()
    for at in range(0, len(wanted), 500):
        found.update(tx.run(select(t.c.id).where(t.c.state != RETIRED, t.c.id.in_(wanted[at : at + 500]), *_within(reach))).scalars())
    return frozenset(found)


def change(tx: Tx, device: Device, revision: int, **values: Any) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, t, t.c.id == device.id, revision, "device", values)


def mark(tx: Tx, device: str, **values: Any) -> None:
    """Set columns for the plane's own reasons (quarantine, review, facts); the revision stays."""
    tx.run(t.update().where(t.c.id == device).values(**values))


def set_facts(tx: Tx, device: str, facts: Facts) -> bool:
    """What it says of itself; whether it says something new."""
    text = encode(facts).decode("ascii")
    column = type_coerce(t.c.facts, Text)
    return bool(tx.run(t.update().where(t.c.id == device, column != text).values(facts=facts)).rowcount)


def mark_all(tx: Tx, **values: Any) -> None:
    """The same for every device that is not retired."""
    tx.run(t.update().where(t.c.state != RETIRED).values(**values))


def ids(tx: Tx) -> tuple[str, ...]:
    """The ids of all that are not retired."""
    return tuple(tx.run(select(t.c.id).where(t.c.state != RETIRED)).scalars())


def at_site(tx: Tx, site: str) -> list[str]:
    """The ids of those of a site that are not retired."""
    return list(tx.run(select(t.c.id).where(t.c.site == site, t.c.state != RETIRED).order_by(t.c.id)).scalars())


def count(tx: Tx) -> int:
    """How many are not retired."""
    return int(tx.run(select(func.count()).select_from(t).where(t.c.state != RETIRED)).scalar())


# --- the list -----------------------------------------------------------------------------------------------------------


def _narrow(query: Select[Any], reach: Reach, wanted: DeviceQuery, among: tuple[str, ...] | None) -> Select[Any]:
    query = query.where(*_within(reach))
    if wanted.site:
        query = query.where(or_(t.c.site == wanted.site, sites.c.name == wanted.site))
    query = query.where(t.c.state == wanted.state) if wanted.state else query.where(t.c.state != RETIRED)
    if wanted.group:
        query = query.where(t.c.id.in_(select(group_members.c.device).where(group_members.c.group == wanted.group)))
    if wanted.phase:
        query = query.where(device_status.c.phase.in_(wanted.phase.split(",")))
    if wanted.liveness:
        query = query.where(device_status.c.liveness == wanted.liveness)
    if wanted.drift is not None:
        query = query.where(device_status.c.drift > 0 if wanted.drift else device_status.c.drift == 0)
    if wanted.way_back:
        query = query.where(device_status.c.way_back == wanted.way_back)
    if wanted.text:
        like = "%" + wanted.text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = query.where(or_(t.c.name.like(like, escape="\\"), t.c.id.like(like, escape="\\"), sites.c.name.like(like, escape="\\")))
    if wanted.app:
        query = query.where(t.c.id.in_(select(observations.c.device).where(observations.c.app == wanted.app, ~observations.c.removed)))
    if wanted.outdated is not None:
        behind = t.c.id.in_(running.outdated())
        query = query.where(behind if wanted.outdated else ~behind)
    if among is not None:
        query = query.where(t.c.id.in_(among))
    return query


# What `core.status.badness` is, told to the database.
_BADNESS = case(
    (and_(device_status.c.liveness == "silent", device_status.c.severity < SILENT), SILENT),
    else_=device_status.c.severity,
)
_SORTS = {
    "worst": (_BADNESS, True),
    "name": (t.c.name, False),
    "seen": (device_status.c.seen_ms, False),
}


def page(
    tx: Tx, reach: Reach, wanted: DeviceQuery, after: tuple[Any, str] | None, limit: int, among: tuple[str, ...] | None = None
) -> tuple[tuple[Device, DeviceStatus, str], ...]:
    """One page of (device, status, site id), sorted; `after` is (sort value, id) of the last one shown."""
    column, falling = _SORTS[wanted.sort]
    device_columns = [t.c[name].label(f"d_{name}") for name in names_of(Device)]
    status_columns = [device_status.c[name].label(f"s_{name}") for name in names_of(DeviceStatus)]
    query = select(*device_columns, *status_columns).select_from(t.join(device_status, device_status.c.device == t.c.id).join(sites, sites.c.id == t.c.site))
    query = _narrow(query, reach, wanted, among)
    if after is not None:
        value, last = after
        beyond = column < value if falling else column > value
        query = query.where(or_(beyond, and_(column == value, t.c.id > last)))
    query = query.order_by(column.desc() if falling else column.asc(), t.c.id).limit(limit)
    found = []
    for mapping in tx.run(query).mappings():
        device = Device(**{name: mapping[f"d_{name}"] for name in names_of(Device)})
        status = DeviceStatus(**{name: mapping[f"s_{name}"] for name in names_of(DeviceStatus)})
        found.append((device, status, device.site))
    return tuple(found)


def tally(tx: Tx, reach: Reach, wanted: DeviceQuery, among: tuple[str, ...] | None = None) -> dict[str, dict[str, int]]:
    """Counts of what the query finds, by phase, liveness, state, and drift and way back."""
    source = t.join(device_status, device_status.c.device == t.c.id).join(sites, sites.c.id == t.c.site)
    counts: dict[str, dict[str, int]] = {}
    for name, column in (
        ("phase", device_status.c.phase),
        ("liveness", device_status.c.liveness),
        ("state", t.c.state),
        ("way_back", device_status.c.way_back),
        ("drift", device_status.c.drift > 0),
    ):
        query = _narrow(select(column, func.count()).select_from(source), reach, wanted, among).group_by(column)
        counts[name] = {str(key): int(number) for key, number in tx.run(query)}
    behind = select(func.count()).select_from(source).where(t.c.id.in_(running.outdated()))
    counts["outdated"] = {"True": int(tx.run(_narrow(behind, reach, wanted, among)).scalar())}
    return counts


def alike(tx: Tx, reach: Reach, site: str = "") -> tuple[Alike, ...]:
    """How many devices stand alike, per site ("": of all)."""
    s = device_status.c
    alarmed = and_(s.severity > 0, type_coerce(s.alarms, Text) != "[]")
    how = (t.c.site, t.c.state, t.c.review != "", s.phase, s.liveness, s.reported_ms > 0, s.engine_ok, s.apps > 0, alarmed)
    query = select(*how, func.count()).select_from(t.join(device_status, s.device == t.c.id)).where(t.c.state != RETIRED, *_within(reach))
    if site:
        query = query.where(t.c.site == site)
    return tuple(
        Alike(where, state, bool(review), phase, live, bool(reported), bool(engine), bool(apps), bool(alarm), int(count))
        for where, state, review, phase, live, reported, engine, apps, alarm, count in tx.run(query.group_by(*how))
    )


def released(tx: Tx) -> tuple[str, ...]:
    """Those whose log a person has let go on from where it then stood, and that have not reported since."""
    return tuple(tx.run(select(t.c.id).where(t.c.accept_fork, t.c.state != RETIRED)).scalars())


def in_review(tx: Tx) -> tuple[str, ...]:
    """Those a person must look at before they may change anything."""
    return tuple(tx.run(select(t.c.id).where(t.c.review != "", t.c.state != RETIRED)).scalars())
