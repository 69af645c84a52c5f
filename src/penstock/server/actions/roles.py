"""Roles of one's own: make, list, change, remove. They hold on the whole fleet, so only what somebody may there goes into one."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.server.actions import accounts
from penstock.server.actions.context import Plane, note
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Forbidden, Invalid, missing
from penstock.server.core.model import Actor
from penstock.server.core.peopleviews import RoleView
from penstock.server.core.rights import BUILT_IN, VERBS, Role, Target, lacking
from penstock.server.core.rightwords import WORDS
from penstock.server.store import access as store
from penstock.server.store import api_tokens
from penstock.server.store.db import Tx
from penstock.wire.types import name_fault

MOST_ROLES = 200


def _view(tx: Tx, name: str) -> RoleView | None:
    own = store.own_roles(tx)
    if name in BUILT_IN:
        return RoleView(BUILT_IN[name], store.uses_of_role(tx, name))
    return RoleView(own[name][0], store.uses_of_role(tx, name), own[name][1]) if name in own else None


def list_roles(plane: Plane, actor: Actor) -> tuple[RoleView, ...]:
    """All, the built-in ones first. Everybody who looks after roles anywhere sees them, and how many bindings use each only on the whole fleet."""
    whole = require(actor, "access.read").whole

    def work(tx: Tx) -> tuple[RoleView, ...]:
        found = (_view(tx, name) for name in (*BUILT_IN, *store.own_roles(tx)))
        return tuple(RoleView(one.role, one.uses if whole else 0, one.revision) for one in found if one is not None)

    return plane.db.view(work)


def get_role(plane: Plane, actor: Actor, *, name: str) -> RoleView:
    """One, by name."""
    for one in list_roles(plane, actor):
        if one.role.name == name:
            return one
    raise missing("role", name)


def _checked(actor: Actor, name: str, title: str, verbs: Iterable[str], before: frozenset[str] = frozenset()) -> Role:
    permit(actor, "access.write", Target())
    wanted = frozenset(verbs)
    unknown = sorted(wanted - VERBS)
    if unknown:
        raise Invalid(
            "verb-unknown",
            f"there is no right {unknown[0][:60]!r}",
            field="verbs",
            remedy="`penstock role show administrator` lists them, such as deployments.write",
        )
    if not wanted:
        raise Invalid("role-empty", "a role gives at least one right", field="verbs")
    lack = lacking(actor.rights, Role(name, title, wanted - before), Target())
    if lack:
        raise Forbidden(
            "more-than-yours",
            f"you may not {WORDS[lack[0]]} on the whole fleet, so you may not put {lack[0]} into a role",
            field="verbs",
            remedy="leave it out, or let somebody do it who has it",
        )
    return Role(name, accounts.check_title(title) or name, wanted)


def create_role(plane: Plane, actor: Actor, *, name: str, title: str, verbs: tuple[str, ...], reason: str = "") -> RoleView:
    """A new role. Raises Conflict for a taken name, Forbidden for more than the actor may on the whole fleet."""
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    made, why = _checked(actor, name, title, verbs), accounts.check_reason(reason)

    def work(tx: Tx) -> RoleView:
        own = store.own_roles(tx)
        if name in BUILT_IN or name in own:
            raise Conflict("name-taken", f"there is a role {name} already", field="name")
        if len(own) >= MOST_ROLES:
            raise Conflict("too-many-roles", f"there are {MOST_ROLES} roles of your own already", remedy="remove one that nobody has")
        store.add_role(tx, made)
        note(plane, tx, actor, "role.created", name, reason=why, data={"name": name, "verbs": ", ".join(sorted(made.verbs))})
        return RoleView(made, 0, 1)

    return plane.db.update(work)


def change_role(
    plane: Plane, actor: Actor, *, name: str, revision: int, title: str | None = None, verbs: tuple[str, ...] | None = None, reason: str = ""
) -> RoleView:
    """Another title or other rights, for everybody who has it. Raises Stale, Conflict for a built-in one, Forbidden for adding what the actor has not."""
    permit(actor, "access.write", Target())
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> RoleView:
        before = _own(tx, name)
        made = _checked(actor, name, before.title if title is None else title, before.verbs if verbs is None else verbs, before.verbs)
        with accounts.keeping_administrators(tx, "verbs"):
            now = store.change_role(tx, made, revision)
        data = {"name": name, "added": ", ".join(sorted(made.verbs - before.verbs)), "taken": ", ".join(sorted(before.verbs - made.verbs))}
        note(plane, tx, actor, "role.changed", name, reason=why, data=data)
        return RoleView(made, store.uses_of_role(tx, name), now)

    found = plane.db.update(work)
    plane.forget()
    return found


def remove_role(plane: Plane, actor: Actor, *, name: str, reason: str = "") -> Role:
    """A role that nobody has is gone. Raises Conflict for a built-in one, and while bindings or tokens name it."""
    permit(actor, "access.write", Target())
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> Role:
        found = _own(tx, name)
        uses, tokens = store.uses_of_role(tx, name), api_tokens.narrowed_to(tx, name, plane.clock.now_ms())
        if uses or tokens:
            raise Conflict(
                "role-in-use",
                f"the role {name} is in use: {uses} times given, {tokens} API tokens narrowed to it",
                remedy=f"take it from everybody first: penstock access list --role {name}",
            )
        store.drop_role(tx, name)
        note(plane, tx, actor, "role.removed", name, reason=why, data={"name": name, "verbs": ", ".join(sorted(found.verbs))})
        return found

    return plane.db.update(work)


def _own(tx: Tx, name: str) -> Role:
    if name in BUILT_IN:
        raise Conflict("role-built-in", f"the role {name} is built in and cannot be changed or removed", remedy="make a role of your own from it")
    found = store.own_roles(tx).get(name)
    if found is None:
        raise missing("role", name)
    return found[0]
