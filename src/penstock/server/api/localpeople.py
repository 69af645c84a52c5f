"""Handlers for the local people of a site. Each decodes, calls one action, and shows what it gave; of a PIN nothing is ever shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.apiv1 import people as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import localpeople as actions
from penstock.server.api.frame import Answer

if TYPE_CHECKING:
    from penstock.server.api.frame import Call
    from penstock.server.core.model import SitePerson


def shown(found: SitePerson) -> shapes.LocalPerson:
    """A local person."""
    may: Any = found.may
    return shapes.LocalPerson(id=found.id, name=found.name, may=may, pin_ms=found.pin_ms, created_ms=found.created_ms, revision=found.revision)


def list_people(call: Call) -> Page[shapes.LocalPerson]:
    """Who may act at a site's devices."""
    return Page(items=tuple(shown(one) for one in actions.list_people(call.plane, call.actor, site=call.path["site"])))


def add_person(call: Call) -> Answer:
    """Another one."""
    body: shapes.LocalPersonCreate = call.body
    made = actions.add_person(call.plane, call.actor, site=call.path["site"], name=body.name, may=body.may, pin=body.pin or "")
    return Answer(shown(made), revision=made.revision)


def change_person(call: Call) -> Answer:
    """Another name or other rights."""
    body: shapes.LocalPersonChange = call.body
    made = actions.change_person(
        call.plane, call.actor, site=call.path["site"], person=call.path["person"], revision=call.revision, name=body.name, may=body.may
    )
    return Answer(shown(made), revision=made.revision)


def set_pin(call: Call) -> Outcome:
    """A PIN, in place of the one before."""
    made = actions.set_pin(call.plane, call.actor, site=call.path["site"], person=call.path["person"], pin=call.body.pin)
    return Outcome(said=f"The PIN of {made.name} is set; devices of the site know it from their next poll on.")


def remove_person(call: Call) -> Outcome:
    """The PIN opens nothing any more."""
    actions.remove_person(call.plane, call.actor, site=call.path["site"], person=call.path["person"])
    return Outcome(said="Removed. Devices of the site know it from their next poll on; what was done under the name stays on record.")
