"""Teams: make, list, show, change, remove. Being in one gives what it has, so nobody is put into a team that may more than whoever puts them there."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.server.actions import accounts, subjects
from penstock.server.actions.context import Plane, note
from penstock.server.core.errors import Invalid, missing
from penstock.server.core.model import PERSON, Actor, User
from penstock.server.core.peopleviews import TeamView
from penstock.server.core.rights import Team, reach
from penstock.server.core.views import Page
from penstock.server.store import access, parts, users
from penstock.server.store.db import Tx
from penstock.wire.types import name_fault

MOST_MEMBERS = 1000


def find(tx: Tx, actor: Actor, which: str) -> Team:
    """By id or name. Raises Missing for what the actor may not see."""
    found, among = access.team(tx, which), accounts.seen(tx, actor)
    if found is None or (among is not None and found.id not in among):
        raise missing("team", which)
    return found


def _view(tx: Tx, actor: Actor, team: Team) -> TeamView:
    people: dict[str, User] = {one.id: one for one in users.all_users(tx)}
    held, shown = access.bindings_of(tx, [team.id]), reach(actor.rights, "access.read")
    targets = parts.targets(tx, {one.on for one in held})
    grants = accounts.grants(tx, (one for one in held if shown.covers(targets[one.on])), subjects.roles(tx))
    members = sorted((people[one] for one in access.members(tx, team.id) if one in people), key=lambda one: one.name)
    return TeamView(team, tuple(members), grants)


def _people(tx: Tx, names: Iterable[str]) -> dict[str, User]:
    found: dict[str, User] = {}
    for name in names:
        one = users.by_id(tx, name) or users.by_name(tx, name)
        if one is None or one.removed_ms or one.kind != PERSON:
            raise Invalid("who-unknown", f"there is no person named {name[:60]!r}", field="members", remedy="write names as people sign in with them")
        found[one.id] = one
    if len(found) > MOST_MEMBERS:
        raise Invalid("team-too-large", f"a team has at most {MOST_MEMBERS} people", field="members")
    return found


def list_teams(plane: Plane, actor: Actor, *, cursor: str = "", limit: int = 50) -> Page[TeamView]:
    """All, by name."""

    def work(tx: Tx) -> Page[TeamView]:
        among = accounts.seen(tx, actor)
        found = [team for team in access.all_teams(tx) if among is None or team.id in among]
        page = accounts.paged(plane, found, lambda one: one.name, cursor, limit)
        return Page(tuple(_view(tx, actor, team) for team in page.items), page.next)

    return plane.db.view(work)


def get_team(plane: Plane, actor: Actor, *, team: str) -> TeamView:
    """One, by id or name."""
    return plane.db.view(lambda tx: _view(tx, actor, find(tx, actor, team)))


def create_team(plane: Plane, actor: Actor, *, name: str, title: str = "", members: tuple[str, ...] = ()) -> TeamView:
    """A new team, without any role yet. Raises Conflict for a taken name, Invalid for somebody unknown."""
    accounts.permit_people(actor)
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    called = accounts.check_title(title)

    def work(tx: Tx) -> TeamView:
        accounts.check_free(tx, name)
        people = _people(tx, members)
        made = Team(plane.ids.new("team"), name, called or name, plane.clock.now_ms())
        access.add_team(tx, made)
        access.put_members(tx, made.id, people)
        note(plane, tx, actor, "team.created", made.id, data={"name": name, "members": _names(people.values())})
        return _view(tx, actor, made)

    found = plane.db.update(work)
    plane.forget()
    return found


def change_team(
    plane: Plane, actor: Actor, *, team: str, revision: int, title: str | None = None, members: tuple[str, ...] | None = None, reason: str = ""
) -> TeamView:
    """Another title or other members, all of them. Raises Stale, Forbidden for a team that may more than the actor, Conflict for the last administrators."""
    accounts.permit_people(actor)
    called, why = accounts.check_title(title or ""), accounts.check_reason(reason)

    def work(tx: Tx) -> TeamView:
        found = find(tx, actor, team)
        before = _view(tx, actor, found)
        had = {one.id for one in before.members}
        people: dict[str, User] = {one.id: one for one in before.members} if members is None else _people(tx, members)
        if not set(people) <= had:
            accounts.check_over(tx, actor, accounts.team_rights(tx, found.id), f"team {found.name}", "put people into it")
        with accounts.keeping_administrators(tx, "members"):
            access.change_team(tx, found, revision, title=found.title if title is None else called or found.name)
            access.put_members(tx, found.id, people)
        data = {"name": found.name, "before": _names(before.members), "after": _names(people.values())}
        note(plane, tx, actor, "team.changed", found.id, reason=why, data=data)
        return _view(tx, actor, find(tx, actor, found.id))

    made = plane.db.update(work)
    plane.forget()
    return made


def remove_team(plane: Plane, actor: Actor, *, team: str, reason: str = "") -> Team:
    """It is gone, and what its people had by it. Raises Forbidden for a team that may more than the actor, Conflict for the last administrators."""
    accounts.permit_people(actor)
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> Team:
        found = find(tx, actor, team)
        accounts.check_over(tx, actor, accounts.team_rights(tx, found.id), f"team {found.name}", "remove it")
        view = _view(tx, actor, found)
        with accounts.keeping_administrators(tx):
            access.drop_team(tx, found)
        roles = ", ".join(f"{one.binding.role} on {one.place.words}" for one in view.grants)
        note(plane, tx, actor, "team.removed", found.id, reason=why, data={"name": found.name, "members": _names(view.members), "roles": roles})
        return found

    made = plane.db.update(work)
    plane.forget()
    return made


def _names(people: Iterable[User]) -> str:
    return ", ".join(sorted(one.name for one in people))
