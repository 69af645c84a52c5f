"""Handlers for groups of devices. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import groups as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import groups
from penstock.server.api import present
from penstock.server.api.frame import Answer
from penstock.server.api.lists import Order, part

if TYPE_CHECKING:
    from penstock.server.api.frame import Call


GROUPS: dict[str, Order[shapes.Group]] = {
    "name": Order(lambda item: item.name, lambda item: item.id),
    "title": Order(lambda item: item.title, lambda item: item.id),
    "members": Order(lambda item: item.members, lambda item: item.id, down=True),
}


def list_groups(call: Call) -> Page[shapes.Group]:
    """Every group the asker may see."""
    found = map(present.group, groups.list_groups(call.plane, call.actor))
    return part(found, call.query, GROUPS, lambda item: (item.name, item.title))


def _show(call: Call, group: str) -> Answer:
    found = present.group(groups.get_group(call.plane, call.actor, group=group))
    return Answer(found, revision=found.revision)


def get_group(call: Call) -> Answer:
    """One group, its devices in numbers, and the deployments for it."""
    return _show(call, call.path["group"])


def members(call: Call) -> Page[shapes.GroupMember]:
    """The devices of a group by name, and why each is in."""
    found = groups.list_members(call.plane, call.actor, group=call.path["group"], cursor=call.query.cursor, limit=call.query.limit)
    return present.page(found, present.group_member)


def create_group(call: Call) -> Answer:
    """A new group."""
    body: shapes.GroupCreate = call.body
    made = groups.create_group(call.plane, call.actor, name=body.name, title=body.title, selector=body.selector, named=body.devices, reason=body.reason)
    return _show(call, made.id)


def change_group(call: Call) -> Answer:
    """Another title, selector or list of devices."""
    body: shapes.GroupChange = call.body
    made = groups.change_group(
        call.plane,
        call.actor,
        group=call.path["group"],
        revision=call.revision,
        title=body.title,
        selector=body.selector,
        named=body.devices,
        reason=body.reason,
    )
    return _show(call, made.id)


def remove_group(call: Call) -> Outcome:
    """Forget a group that nothing needs any more."""
    groups.remove_group(call.plane, call.actor, group=call.path["group"], revision=call.revision)
    return Outcome(said="The group is removed; its devices stay as they are.")
