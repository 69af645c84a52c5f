"""Bindings: give somebody a role on a part of the fleet, take it away, list who has what.

Owns these acts. Nobody gives or takes what they have not themselves on that part; who looks after one site does so there and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.server.actions import accounts, places, subjects
from penstock.server.actions.context import Plane, note
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Forbidden, Invalid, missing
from penstock.server.core.model import Actor
from penstock.server.core.peopleviews import Grant, Place
from penstock.server.core.rights import APP, Binding, Role, lacking
from penstock.server.core.rightwords import WORDS
from penstock.server.core.views import Page
from penstock.server.store import access, parts
from penstock.server.store.db import Tx


def _able(actor: Actor, role: Role, place: Place) -> None:
    lack = lacking(actor.rights, role, place.target)
    if lack:
        raise Forbidden(
            "more-than-yours",
            f"the role {role.name} includes to {WORDS[lack[0]]}, which you may not on {place.words}: nobody gives or takes what they have not",
            field="role",
            remedy="choose a role within your own, or let somebody do it who has it",
        )


def role(tx: Tx, name: str, field: str = "role") -> Role:
    """The role of that name. Raises Invalid."""
    roles = subjects.roles(tx)
    if name not in roles:
        raise Invalid("role-unknown", f"there is no role {name[:60]!r}", field=field, remedy=f"it is one of {', '.join(sorted(roles))}")
    return roles[name]


def _note(plane: Plane, tx: Tx, actor: Actor, verb: str, grant: Grant) -> None:
    role_name, place = grant.binding.role, grant.place
    data = {"who": grant.subject.name, "role": role_name, "on": place.typed, "name": f"{grant.subject.name}: {role_name} on {place.words}"}
    app = place.part.id if place.part.kind == APP else ""
    note(plane, tx, actor, verb, grant.subject.id, site=place.target.site, app=app, reason=grant.binding.reason, data=data)


def give(plane: Plane, actor: Actor, *, who: str, role_name: str, on: str, reason: str = "") -> Grant:
    """Somebody has a role on a part of the fleet from now on. Raises Forbidden for more than the actor has there, Conflict where it stands already."""
    require(actor, "access.write")
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> Grant:
        place = places.find(tx, actor, on, "access.read", "access.write")
        permit(actor, "access.write", place.target)
        subject, given = accounts.subject(tx, who), role(tx, role_name)
        accounts.not_glass(subject.id, "who")
        _able(actor, given, place)
        made = Binding(plane.ids.new("bnd"), subject.id, given.name, place.part, actor.name, why, plane.clock.now_ms())
        if not access.bind(tx, made):
            raise Conflict("given-already", f"{subject.name} has the role {given.name} on {place.words} already")
        found = accounts.grants(tx, [made], subjects.roles(tx))[0]
        _note(plane, tx, actor, "access.given", found)
        return found

    found = plane.db.update(work)
    plane.forget()
    return found


def take(plane: Plane, actor: Actor, *, binding: str, reason: str = "") -> Grant:
    """A binding is gone. Raises Missing for one the actor may not see, Forbidden for more than they have there, Conflict for the last administrator."""
    require(actor, "access.write")
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> Grant:
        one = access.binding(tx, binding)
        place = places.of(tx, [one.on])[one.on] if one is not None else None
        if one is None or place is None or not require(actor, "access.read").covers(place.target):
            raise missing("binding", binding)
        permit(actor, "access.write", place.target)
        roles = subjects.roles(tx)
        if one.role in roles:
            _able(actor, roles[one.role], place)
        found = accounts.grants(tx, [one], roles)[0]
        with accounts.keeping_administrators(tx):
            access.unbind(tx, one.id)
        _note(plane, tx, actor, "access.taken", replace(found, binding=replace(one, reason=why)))
        return found

    found = plane.db.update(work)
    plane.forget()
    return found


def list_bindings(plane: Plane, actor: Actor, *, who: str = "", on: str = "", role_name: str = "", cursor: str = "", limit: int = 50) -> Page[Grant]:
    """Who has which role where, in the order they were given: of a subject, on exactly a part, of a role; only on parts the actor looks after."""
    reach = require(actor, "access.read")

    def work(tx: Tx) -> Page[Grant]:
        found = access.all_bindings(tx)
        if who:
            subject = accounts.subject_seen(tx, actor, who).id
            found = tuple(one for one in found if one.subject == subject)
        if on:
            part = places.find(tx, actor, on, "access.read").part
            found = tuple(one for one in found if one.on == part)
        if role_name:
            found = tuple(one for one in found if one.role == role_name)
        if not reach.whole:
            targets = parts.targets(tx, {one.on for one in found})
            found = tuple(one for one in found if reach.covers(targets[one.on]))
        page = accounts.paged(plane, found, lambda one: one.id, cursor, limit)
        return Page(accounts.grants(tx, page.items, subjects.roles(tx)), page.next)

    return plane.db.view(work)


def offered(plane: Plane, actor: Actor, *, verb: str = "access.write") -> tuple[Place, ...]:
    """The parts on which an actor may give roles (or do another verb), for choosing one."""
    return plane.db.view(lambda tx: places.offered(tx, actor, verb))


def givable(plane: Plane, actor: Actor, *, on: str = "") -> tuple[Role, ...]:
    """The roles an actor may give on a part; of all parts they may give roles on, where none is named."""

    def work(tx: Tx) -> tuple[Role, ...]:
        where = [places.find(tx, actor, on, "access.write")] if on else places.offered(tx, actor, "access.write")[:50]
        return tuple(one for _, one in sorted(subjects.roles(tx).items()) if any(not lacking(actor.rights, one, place.target) for place in where))

    return plane.db.view(work)
