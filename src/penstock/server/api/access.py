"""Handlers for roles, bindings, and who may do what where and why. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import access as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import bindings, explain, roles
from penstock.server.api import present, present_access
from penstock.server.api.frame import Answer
from penstock.server.core.rightwords import WORDS

if TYPE_CHECKING:
    from penstock.server.api.frame import Call


def list_roles(call: Call) -> Page[shapes.Role]:
    """Every role with its rights."""
    return Page(items=tuple(present_access.role(one) for one in roles.list_roles(call.plane, call.actor)))


def get_role(call: Call) -> Answer:
    """One role."""
    found = present_access.role(roles.get_role(call.plane, call.actor, name=call.path["role"]))
    return Answer(found, revision=found.revision)


def create_role(call: Call) -> Answer:
    """A role of one's own."""
    body = call.body
    made = roles.create_role(call.plane, call.actor, name=body.name, title=body.title, verbs=body.verbs, reason=body.reason)
    return Answer(present_access.role(made), revision=made.revision)


def change_role(call: Call) -> Answer:
    """Other rights for everybody who has the role."""
    body = call.body
    made = roles.change_role(call.plane, call.actor, name=call.path["role"], revision=call.revision, title=body.title, verbs=body.verbs, reason=body.reason)
    return Answer(present_access.role(made), revision=made.revision)


def remove_role(call: Call) -> Outcome:
    """A role that nobody has is gone."""
    found = roles.remove_role(call.plane, call.actor, name=call.path["role"], reason=call.body.reason)
    return Outcome(said=f"The role {found.name} is removed.")


def list_bindings(call: Call) -> Page[shapes.Grant]:
    """Who has which role where."""
    query = call.query
    found = bindings.list_bindings(call.plane, call.actor, who=query.who, on=query.on, role_name=query.role, cursor=query.cursor, limit=query.limit)
    return present.page(found, present_access.grant)


def give(call: Call) -> shapes.Grant:
    """Somebody has a role on a part of the fleet from now on."""
    body = call.body
    return present_access.grant(bindings.give(call.plane, call.actor, who=body.who, role_name=body.role, on=body.on, reason=body.reason))


def take(call: Call) -> Outcome:
    """A role is taken away."""
    found = bindings.take(call.plane, call.actor, binding=call.path["binding"], reason=call.body.reason)
    return Outcome(said=f"{found.subject.name} has the role {found.binding.role} on {found.place.words} no more.")


def offered(call: Call) -> Page[shapes.Part]:
    """The parts of the fleet on which one may give roles, but for devices one has only by their site or group."""
    return Page(items=tuple(shapes.Part(on=place.typed, where=place.words) for place in bindings.offered(call.plane, call.actor)))


def explained(call: Call) -> shapes.Explanation:
    """Whether somebody may, and why."""
    query = call.query
    found = explain.explain(call.plane, call.actor, who=query.who, verb=query.verb, what=query.what)
    return shapes.Explanation(
        allowed=found.allowed,
        said=found.said,
        who=found.subject.name,
        verb=query.verb,
        words=WORDS[query.verb],
        on=found.place.typed,
        by=present_access.grant(found.by) if found.by is not None else None,
        roles=found.roles,
        parts=found.parts,
    )


def effective(call: Call) -> shapes.Effective:
    """Everything somebody may, by part of the fleet."""
    subject, found = explain.effective(call.plane, call.actor, who=call.query.who)
    return shapes.Effective(who=subject.name, parts=tuple(present_access.effective(one) for one in found))


def who_can(call: Call) -> Page[shapes.Able]:
    """Everybody who may do a thing here."""
    query = call.query
    found = explain.who_can(call.plane, call.actor, verb=query.verb, what=query.what, cursor=query.cursor, limit=query.limit)
    return present.page(found, present_access.able)
