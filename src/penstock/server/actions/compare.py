"""Two devices or two sites, side by side.

Owns gathering what each side shows, within what the asker may see: whoever may not read deployments gets no values. The rows are `core.compare`'s.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from penstock.server.actions import catalog, devices, sites, valued, visible
from penstock.server.actions.context import Plane
from penstock.server.core import rights
from penstock.server.core.access import require
from penstock.server.core.compare import Row, rows
from penstock.server.core.errors import Refused
from penstock.server.core.model import Actor, Device
from penstock.server.core.rights import Reach
from penstock.server.core.siteview import TONES, WORDS, by_site
from penstock.server.store import deployments, observations, running, status
from penstock.server.store import devices as device_store
from penstock.server.store import rollouts as rollout_store
from penstock.server.store import sites as site_store
from penstock.server.store.db import Tx

Side = dict[str, dict[str, str]]
SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides by id and name, and all rows."""

    a: tuple[str, str]
    b: tuple[str, str]
    rows: tuple[Row, ...]


def _compared(a: tuple[str, str], b: tuple[str, str], left: Side, right: Side) -> Comparison:
    return Comparison(a, b, tuple(row for part in left for row in rows(part, left[part], right[part])))


def compare_devices(plane: Plane, actor: Actor, *, a: str, b: str) -> Comparison:
    """Two devices, by id or name: what they are, labels, releases, values, drift. Raises Missing for either."""

    def work(tx: Tx) -> Comparison:
        left, right = devices.find(tx, actor, a), devices.find(tx, actor, b)
        return _compared((left.id, left.name), (right.id, right.name), _device(plane, tx, actor, left), _device(plane, tx, actor, right))

    return plane.db.view(work)


def _device(plane: Plane, tx: Tx, actor: Actor, device: Device) -> Side:
    facts, state = device.facts, status.get(tx, device.id)
    site = site_store.find(tx, rights.EVERYWHERE, device.site)  # whoever sees a device sees where it stands
    seen = [one for one in observations.of_device(tx, device.id) if not one.observed.removed]
    return {
        "device": {
            "site": site.name if site is not None else device.site,
            "state": device.state,
            "platforms": ", ".join(facts.platforms),
            "agent": facts.agent,
            "engine": f"{facts.engine.kind} {facts.engine.version}" if facts.engine else "",
            "kernel": facts.kernel,
            "processors": str(facts.cpus or ""),
            "memory bytes": str(facts.memory_bytes or ""),
            "disk bytes": str(facts.disk_bytes or ""),
            "way back": state.way_back,
            "alarms": "; ".join(state.alarms),
        },
        "labels": dict(device.labels),
        "releases": {one.app: one.version or "nothing yet" for one in seen},
        "images": {f"{one.app} {service.service}": service.image for one in seen for service in one.observed.services if service.image},
        "values": _values(plane, tx, actor, [device]),
        "drift": {
            f"{one.app} {item.service} {item.field}": f"{item.seen or 'nothing'} instead of {item.wanted or 'nothing'}"
            for one in seen
            for item in one.observed.drift
        },
    }


def _values(plane: Plane, tx: Tx, actor: Actor, among: list[Device]) -> dict[str, str]:
    """What deployments and levels give these devices, by app and name; several values where the devices have several."""
    if not rights.reach(actor.rights, "deployments.read"):
        return {}
    targets: dict[str, rights.Target] = {device.id: visible.target_of(tx, device) for device in among}
    by_id: dict[str, Device] = {device.id: device for device in among}
    given: list[tuple[str, dict[str, str]]] = []
    for device, owed in rollout_store.assigned_to(tx, list(targets)).items():
        for one in owed:
            plan = deployments.plan(tx, one.deployment, one.plan)
            if plan is None or not visible.reach_into(actor, one.app).covers(targets[device]):
                continue
            release, _ = catalog.release_of(plane, tx, plan.release)
            try:
                held = valued.held(tx, release, plan, by_id[device], valued.levels_at(plane, tx, one.app, one.values_at))
            except Refused:
                continue
            given.append((one.app, {**held.values, **dict.fromkeys(held.secrets, SEALED)}))
    found: dict[str, set[str]] = {}
    for app, values in given:
        for name, value in values.items():
            found.setdefault(f"{app} {name}", set()).add(value)
    return {name: " | ".join(sorted(values)) for name, values in found.items()}


def compare_sites(plane: Plane, actor: Actor, *, a: str, b: str) -> Comparison:
    """Two sites, by id or name: what they are, how their devices stand, labels, releases, values, drift. Raises Missing for either."""
    seen = require(actor, "devices.read")

    def work(tx: Tx) -> Comparison:
        left, right = sites.find(tx, actor, a), sites.find(tx, actor, b)
        return _compared((left.id, left.name), (right.id, right.name), _site(plane, tx, actor, seen, left.id), _site(plane, tx, actor, seen, right.id))

    return plane.db.view(work)


def _many(counts: Counter[str]) -> str:
    return ", ".join(f"{value} on {number}" for value, number in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _site(plane: Plane, tx: Tx, actor: Actor, seen: Reach, site: str) -> Side:
    found = site_store.find(tx, rights.EVERYWHERE, site)
    assert found is not None
    here = Reach(sites=frozenset((site,)), within=seen)
    among = list(device_store.living(tx, here))
    ids: list[str] = [device.id for device in among]
    tones = by_site(device_store.alike(tx, here, site)).get(site, {})
    labels = Counter(f"{key}={value}" for device in among for key, value in device.labels.items())
    releases: dict[str, Counter[str]] = {}
    for apps in running.on_devices(tx, ids).values():
        for one in apps:
            releases.setdefault(one.app, Counter())[one.version or "nothing yet"] += 1
    drift = Counter(app for apps in observations.seen_on(tx, ids).values() for app, gist in apps.items() if gist.drift)
    return {
        "site": {
            "title": found.title,
            "time zone": found.time_zone,
            "devices": str(len(among)),
            "platforms": _many(Counter(platform for device in among for platform in device.platforms[:1])),
            "agents": _many(Counter(device.facts.agent for device in among if device.facts.agent)),
        },
        "standing": {WORDS[tone]: str(tones[tone]) for tone in TONES if tone in tones},
        "labels": {name: f"on {number}" for name, number in labels.items()},
        "releases": {app: _many(counts) for app, counts in releases.items()},
        "values": _values(plane, tx, actor, among),
        "drift": {app: f"on {number}" for app, number in drift.items()},
    }
