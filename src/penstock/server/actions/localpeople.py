"""The local people of a site: who may act at its devices with a PIN, link or no link.

Owns their rules and that the site's devices learn of every change in their signed state. A PIN is seen here once and never kept: what stays, and what
devices get, is a salt and a digest. Who has no PIN yet is not told to any device.
"""

from __future__ import annotations

from penstock.rules.pins import PROOF_BYTES, ROUNDS, pin_fault, verifier_of
from penstock.server.actions import states
from penstock.server.actions.context import Plane, note
from penstock.server.actions.sites import find as find_site
from penstock.server.core.errors import Conflict, Invalid, Limited, missing
from penstock.server.core.model import Actor, Site, SitePerson
from penstock.server.effects.pins import derive
from penstock.server.store import devices
from penstock.server.store import local_people as store
from penstock.server.store.db import Tx
from penstock.wire.messages import LOCAL_ACTS

MOST = 64  # people of one site; every device of it carries all of them


def list_people(plane: Plane, actor: Actor, *, site: str) -> tuple[SitePerson, ...]:
    """Those of a site, by name."""

    def work(tx: Tx) -> tuple[SitePerson, ...]:
        place = find_site(tx, actor, site)
        return tuple(store.at_sites(tx, {place.id})[place.id])

    return plane.db.view(work)


def add_person(plane: Plane, actor: Actor, *, site: str, name: str, may: tuple[str, ...], pin: str = "") -> SitePerson:
    """Another one, with a PIN or without one yet. Raises Conflict for a name that is there."""
    wanted, rights = _name(name), _rights(may)
    known = _pin(pin) if pin else {}

    def work(tx: Tx) -> SitePerson:
        place = find_site(tx, actor, site, "sites.people")
        _free(tx, place, wanted, "")
        if len(store.at_sites(tx, {place.id})[place.id]) >= MOST:
            raise Limited("too-many-people", f"a site has at most {MOST} local people", remedy="remove those who are gone")
        now = plane.clock.now_ms()
        ident = plane.ids.new("per")
        store.add(tx, SitePerson(ident, place.id, wanted, rights, now))
        made = _get(tx, place, ident)
        if known:
            store.change(tx, made, made.revision, **known, pin_ms=now)
            made = _get(tx, place, ident)
        _told(plane, tx, actor, place, made, "site.person-added", {"may": " ".join(rights), "pin": "set" if known else "not yet"})
        return made

    return plane.db.update(work)


def change_person(
    plane: Plane, actor: Actor, *, site: str, person: str, revision: int, name: str | None = None, may: tuple[str, ...] | None = None
) -> SitePerson:
    """Another name or other rights; the PIN stays. Raises Stale."""
    wanted = _name(name) if name is not None else None
    rights = _rights(may) if may is not None else None

    def work(tx: Tx) -> SitePerson:
        place = find_site(tx, actor, site, "sites.people")
        found = _get(tx, place, person)
        if wanted is not None:
            _free(tx, place, wanted, found.id)
        given = {"name": found.name if wanted is None else wanted, "may": found.may if rights is None else rights}
        store.change(tx, found, revision, **given)
        made = _get(tx, place, found.id)
        _told(
            plane,
            tx,
            actor,
            place,
            made,
            "site.person-changed",
            {"before": f"{found.name}: {' '.join(found.may)}", "after": f"{made.name}: {' '.join(made.may)}"},
        )
        return made

    return plane.db.update(work)


def set_pin(plane: Plane, actor: Actor, *, site: str, person: str, pin: str) -> SitePerson:
    """A PIN, in place of the one before. Devices know it as soon as they have their next signed state."""
    known = _pin(pin)

    def work(tx: Tx) -> SitePerson:
        place = find_site(tx, actor, site, "sites.people")
        found = _get(tx, place, person)
        store.change(tx, found, found.revision, **known, pin_ms=plane.clock.now_ms())
        made = _get(tx, place, found.id)
        _told(plane, tx, actor, place, made, "site.person-pin-set", {})
        return made

    return plane.db.update(work)


def remove_person(plane: Plane, actor: Actor, *, site: str, person: str) -> None:
    """The PIN opens nothing any more as soon as a device has its next signed state. What was done under the name stays on record."""

    def work(tx: Tx) -> None:
        place = find_site(tx, actor, site, "sites.people")
        found = _get(tx, place, person)
        store.remove(tx, found.id)
        _told(plane, tx, actor, place, found, "site.person-removed", {})

    plane.db.update(work)


def _get(tx: Tx, site: Site, person: str) -> SitePerson:
    found = store.find(tx, site.id, person)
    if found is None:
        raise missing("person", person)
    return found


def _free(tx: Tx, site: Site, name: str, but: str) -> None:
    other = store.find(tx, site.id, name)
    if other is not None and other.id != but:
        raise Conflict("name-taken", f"{site.name} has somebody called {other.name} already", field="name", remedy="add something that tells the two apart")


def _name(name: str) -> str:
    text = " ".join(name.split())
    if not 1 <= len(text) <= 100 or not text.isprintable():
        raise Invalid("name-malformed", "a name has 1 to 100 characters, all of which can be shown", field="name")
    return text


def _rights(may: tuple[str, ...]) -> tuple[str, ...]:
    for right in may:
        if right not in LOCAL_ACTS:
            raise Invalid("right-unknown", f"{right[:40]!r} is nothing a local person may; there is: {', '.join(LOCAL_ACTS)}", field="may")
    if not may:
        raise Invalid(
            "right-missing", "somebody who may nothing need not be on the list", field="may", remedy=f"choose at least one of {', '.join(LOCAL_ACTS)}"
        )
    return tuple(sorted(set(may)))


def _pin(pin: str) -> dict[str, object]:
    fault = pin_fault(pin)
    if fault:
        raise Invalid("pin-malformed", fault, field="pin")
    salt, proof = derive(pin, ROUNDS, PROOF_BYTES)
    return {"salt": salt, "rounds": ROUNDS, "verifier": verifier_of(proof)}


def _told(plane: Plane, tx: Tx, actor: Actor, site: Site, person: SitePerson, verb: str, data: dict[str, str]) -> None:
    topics = [(f"site/{site.id}", person.id), ("fleet", site.id)]
    note(plane, tx, actor, verb, person.id, site=site.id, data={"name": person.name, "site": site.name, **data}, topics=topics)
    states.owe(plane, tx, devices.at_site(tx, site.id))
