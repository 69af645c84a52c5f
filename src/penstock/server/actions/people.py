"""People and service accounts: make, list, show, change, disable, remove.

Owns these acts. A person made here cannot sign in before they have set a password of their own (`invitations`); a service account never can. Somebody who is
gone keeps their row, without anything that opens a door, so that the names in the record stay true.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.server.actions import accounts, invitations, subjects
from penstock.server.actions.context import Plane, bounded, make_cursor, note, read_cursor
from penstock.server.core.errors import Conflict, Invalid
from penstock.server.core.model import PERSON, SERVICE, Actor, User, UserId
from penstock.server.core.peopleviews import NewInvitation, PersonView
from penstock.server.core.rights import Reach, reach
from penstock.server.core.views import Page
from penstock.server.effects.passwords import hash_password
from penstock.server.store import access, api_tokens, parts, sessions, users
from penstock.server.store import invitations as invited
from penstock.server.store.db import Tx
from penstock.wire.types import name_fault


def _views(tx: Tx, actor: Actor, found: Iterable[User]) -> tuple[PersonView, ...]:
    listed = tuple(found)
    roles, waiting = subjects.roles(tx), invited.all_of(tx)
    teams = {team.id: team.name for team in access.all_teams(tx)}
    members = access.all_members(tx)
    shown: Reach = reach(actor.rights, "access.read")
    views = []
    mine_of = {user.id: sorted((team for team in teams if user.id in members.get(team, ())), key=lambda team: teams[team]) for user in listed}
    every = access.bindings_of(tx, {one for user, held in mine_of.items() for one in (user, *held)})
    targets = parts.targets(tx, {one.on for one in every})
    by_subject: dict[str, list[int]] = {}
    for at, one in enumerate(every):
        by_subject.setdefault(one.subject, []).append(at)
    named = accounts.grants(tx, every, roles, teams)
    for user in listed:
        mine = mine_of[user.id]
        held = [named[at] for one in (user.id, *mine) for at in by_subject.get(one, ())]
        seen = tuple(one for one in held if user.id == actor.id or shown.covers(targets[one.binding.on]))
        views.append(PersonView(user, tuple(teams[team] for team in mine), seen, waiting.get(user.id)))
    return tuple(views)


def list_people(plane: Plane, actor: Actor, *, kind: str = "", text: str = "", cursor: str = "", limit: int = 50) -> Page[PersonView]:
    """People and service accounts (or one `kind` of them), by name."""
    if kind not in ("", PERSON, SERVICE):
        raise Invalid("kind-unknown", f"kind is {kind[:40]!r}; it must be person or service", field="kind")

    after = read_cursor(cursor, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[PersonView]:
        found = users.page(tx, accounts.seen(tx, actor), after[0] if after else "", most + 1, kind=kind, text=text)
        return Page(_views(tx, actor, found[:most]), make_cursor(found[most - 1].name) if len(found) > most else "")

    return plane.db.view(work)


def get_person(plane: Plane, actor: Actor, *, user: str) -> PersonView:
    """One, by id or name."""
    return plane.db.view(lambda tx: _views(tx, actor, [accounts.user(tx, actor, user)])[0])


def create_person(plane: Plane, actor: Actor, *, name: str, title: str = "", kind: str = PERSON) -> tuple[User, NewInvitation | None]:
    """A person with the invitation to set their own password, or a service account. Without any role yet. Raises Conflict for a taken name."""
    accounts.permit_people(actor)
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    if kind not in (PERSON, SERVICE):
        raise Invalid("kind-unknown", f"kind is {kind[:40]!r}; it must be person or service", field="kind")
    called = accounts.check_title(title)
    # A password nobody knows, so that trying one costs the same time as with anybody.
    password = hash_password(plane.ids.secret(), plane.limits.password_rounds) if kind == PERSON else ""

    def work(tx: Tx) -> tuple[User, NewInvitation | None]:
        accounts.check_free(tx, name)
        made = User(UserId(plane.ids.new("usr")), name, password, plane.clock.now_ms(), kind, called)
        users.add(tx, made)
        note(plane, tx, actor, "user.created", made.id, data={"name": name, "kind": kind})
        return made, invitations.issue(plane, tx, actor, made, first=True) if kind == PERSON else None

    return plane.db.update(work)


def change_person(plane: Plane, actor: Actor, *, user: str, revision: int, title: str) -> PersonView:
    """What people call them; the name stays for ever. Raises Stale."""
    accounts.permit_people(actor)
    called = accounts.check_title(title)

    def work(tx: Tx) -> PersonView:
        found = accounts.changeable(tx, actor, user)
        users.change(tx, found, revision, title=called)
        note(plane, tx, actor, "user.changed", found.id, data={"name": found.name, "before": found.title, "after": called})
        return _views(tx, actor, [accounts.user(tx, actor, found.id)])[0]

    return plane.db.update(work)


def disable_person(plane: Plane, actor: Actor, *, user: str, reason: str = "") -> User:
    """From now on they can do nothing: sessions end and tokens are dead at once. Raises Conflict for the last who can change rights."""
    accounts.permit_people(actor)
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> User:
        found = accounts.changeable(tx, actor, user)
        if found.disabled:
            raise Conflict("user-disabled", f"{found.name} is disabled already")
        with accounts.keeping_administrators(tx):
            users.change(tx, found, found.revision, disabled=True)
        sessions.end_others(tx, found.id, "")
        note(plane, tx, actor, "user.disabled", found.id, reason=why, data={"name": found.name})
        return accounts.user(tx, actor, found.id)

    made = plane.db.update(work)
    plane.forget()
    return made


def enable_person(plane: Plane, actor: Actor, *, user: str, reason: str = "") -> User:
    """They can sign in again, and their tokens that have not expired work again. Raises Forbidden for somebody who may more than the actor."""
    accounts.permit_people(actor)
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> User:
        found = accounts.changeable(tx, actor, user)
        if not found.disabled:
            raise Conflict("user-enabled", f"{found.name} is not disabled")
        accounts.check_over(tx, actor, subjects.rights_for(tx, found.id), found.name, "enable them")
        users.change(tx, found, found.revision, disabled=False)
        note(plane, tx, actor, "user.enabled", found.id, reason=why, data={"name": found.name})
        return accounts.user(tx, actor, found.id)

    made = plane.db.update(work)
    plane.forget()
    return made


def remove_person(plane: Plane, actor: Actor, *, user: str, reason: str = "") -> User:
    """They are gone: sessions, tokens, teams and roles go with them, what they did stays under their name, which nobody gets again.

    Raises Conflict for the last who can change rights, Forbidden for somebody who may more than the actor."""
    accounts.permit_people(actor)
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> User:
        found = accounts.changeable(tx, actor, user)
        accounts.check_over(tx, actor, subjects.rights_for(tx, found.id), found.name, "remove them")
        had = access.bindings_of(tx, [found.id])
        with accounts.keeping_administrators(tx):
            users.change(tx, found, found.revision, disabled=True, password="", removed_ms=plane.clock.now_ms())
            access.leave_teams(tx, found.id)
            access.unbind_all(tx, found.id)
        sessions.end_others(tx, found.id, "")
        api_tokens.drop_all(tx, found.id)
        invited.drop(tx, found.id)
        roles = ", ".join(sorted(f"{one.role} on {one.on}" for one in had))
        note(plane, tx, actor, "user.removed", found.id, reason=why, data={"name": found.name, "roles": roles})
        return found

    made = plane.db.update(work)
    plane.forget()
    return made
