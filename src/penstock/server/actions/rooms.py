"""The room of devices and sites: what there is, what is promised, what is left.

Owns these looks only; the reckoning is `core.fit`'s. It shows the names of apps, so it asks for the right to see deployments.
"""

from __future__ import annotations

from penstock.server.actions import catalog, devices, fitting, sites, visible
from penstock.server.actions.context import Plane
from penstock.server.core.access import permit, require
from penstock.server.core.clashes import among
from penstock.server.core.fit import reserve
from penstock.server.core.model import Actor
from penstock.server.core.needs import accelerators_of
from penstock.server.core.parameterviews import DeviceRoom
from penstock.server.core.rights import Target
from penstock.server.store import devices as device_store
from penstock.server.store.db import Tx


def _rooms(plane: Plane, tx: Tx, names: list[str]) -> tuple[DeviceRoom, ...]:
    there = fitting.beside(plane, tx, names)
    found = device_store.many(tx, names)
    made = []
    for name, one in there.items():
        device = found[name]
        have = {} if one.has.nodes is None else dict(accelerators_of(one.has.nodes))
        said = tuple(f"{clash.why}: {clash.remedy}" for clash in among(one.claims.values(), None if one.has.nodes is None else have))
        room = reserve(one.has, one.rooms.values())
        made.append(DeviceRoom(name, device.name, catalog.site_name(plane, tx, device.site), room, one.has.nodes, have, said))
    return tuple(sorted(made, key=lambda room: room.name))


def of_device(plane: Plane, actor: Actor, *, device: str) -> DeviceRoom:
    """One device, by id or name. Raises Missing."""
    require(actor, "deployments.read")

    def work(tx: Tx) -> DeviceRoom:
        found = devices.find(tx, actor, device)
        permit(actor, "deployments.read", visible.target_of(tx, found))
        return _rooms(plane, tx, [found.id])[0]

    return plane.db.view(work)


def of_site(plane: Plane, actor: Actor, *, site: str) -> tuple[DeviceRoom, ...]:
    """Every device of a site that the actor may see, by name. Raises Missing."""
    require(actor, "deployments.read")
    seen = require(actor, "devices.read")

    def work(tx: Tx) -> tuple[DeviceRoom, ...]:
        found = sites.find(tx, actor, site)
        permit(actor, "deployments.read", Target(site=found.id))
        here = device_store.seen(tx, seen, device_store.at_site(tx, found.id))
        return _rooms(plane, tx, sorted(here))

    return plane.db.view(work)
