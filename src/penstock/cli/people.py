"""Commands about people and teams: who there is, who may do what where, and why."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from penstock.apiv1 import access as r
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Reason, Usage
from penstock.cli.names import RightName, RoleName, SubjectName, TeamName, UserName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.client import Client

user = App(name="user", help="People and service accounts.")
team = App(name="team", help="Teams: people who get roles together.")
access = App(name="access", help="Who may do what where, and why.")

On = Annotated[str, Parameter(help="fleet, group:NAME, site:NAME, device:NAME or app:NAME.")]


def _held(grants: Iterable[r.Grant]) -> str:
    return "\n".join(f"{one.role} on {one.where}{f' (team {one.team})' if one.team else ''}" for one in grants)


def _state(found: r.User) -> str:
    if found.disabled:
        return "disabled"
    if found.never_signed_up:
        return "invited"
    return "service account" if found.kind == "service" else "active"


def _show_invitation(made: r.InvitationMade, *, json: bool) -> None:
    if json:
        out.show_json(made)
        return
    out.say(f"Hand this link to {made.user}, by a way you trust. It is shown this once, works once, and is good until {out.at(made.expires_ms)}:")
    sys.stdout.write(made.link + "\n")
    out.say(f"Or say the one-time password, for the page /invitation: {made.code}")


# --- people -------------------------------------------------------------------------------------------------------------


@user.command(name="list")
def user_list(*, service: Annotated[bool, Parameter(negative=(), help="Service accounts only.")] = False, text: str = "", common: Common = COMMON) -> int:
    """People and service accounts, and what each has where."""
    with common.client() as client:
        found = tuple(client.access.users("service" if service else "", text))
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("name", "title", "state", "teams", "has"),
            ((one.name, one.title, _state(one), ", ".join(one.teams), _held(one.has)) for one in found),
            "None that you may see.",
        )
    return out.DONE


@user.command(name="show")
def user_show(name: UserName, *, common: Common = COMMON) -> int:
    """One person or service account, and everything they may."""
    with common.client() as client:
        found = client.access.user(name)
        effective = client.access.effective(name)
    if common.json:
        out.show_json({"user": found, "effective": effective})
        return out.DONE
    out.facts(
        (("name", found.name), ("title", found.title), ("state", _state(found)), ("teams", ", ".join(found.teams)), ("has", _held(found.has) or "no role"))
    )
    for part in effective.parts:
        out.say(f"On {part.where} they may {', '.join(right.words for right in part.rights)}.")
    return out.DONE


@user.command(name="create")
def user_create(
    name: str,
    *,
    title: Annotated[str, Parameter(help="What people call them.")] = "",
    service: Annotated[bool, Parameter(negative=(), help="A service account: it has tokens only.")] = False,
    common: Common = COMMON,
) -> int:
    """Make a person, and an invitation for them; or a service account. Without any role yet."""
    with common.client() as client:
        made = client.access.create_user(name, title, service=service)
    if common.json:
        out.show_json(made)
    elif service:
        out.say(f"{name} is a service account now. Give it a role with penstock access give, then a token with penstock token create --account {name}")
    else:
        _show_invitation(made, json=False)
    return out.DONE


@user.command(name="invite")
def user_invite(name: UserName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """A fresh invitation, to set a first password or a forgotten one anew. An older one is worthless."""
    with common.client() as client:
        _show_invitation(client.access.invite(name, reason), json=common.json)
    return out.DONE


@user.command(name="rename")
def user_rename(name: UserName, title: str, *, common: Common = COMMON) -> int:
    """What people call somebody; the name for signing in stays."""
    with common.client() as client:
        made = client.access.change_user(name, client.access.user(name).revision, title)
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.name} is called {made.title} now")
    return out.DONE


@user.command(name="disable")
def user_disable(name: UserName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Shut somebody out: sessions end and tokens are dead at once."""
    with common.client() as client:
        return out.outcome(client.access.disable(name, reason), json=common.json)


@user.command(name="enable")
def user_enable(name: UserName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Let somebody in again."""
    with common.client() as client:
        return out.outcome(client.access.enable(name, reason), json=common.json)


@user.command(name="remove")
def user_remove(name: UserName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Remove somebody for good. What they did stays in the record under their name, which nobody gets again."""
    with common.client() as client:
        return out.outcome(client.access.remove_user(name, reason), json=common.json)


# --- teams --------------------------------------------------------------------------------------------------------------


@team.command(name="list")
def team_list(*, common: Common = COMMON) -> int:
    """Teams, who is in them, and what each has where."""
    with common.client() as client:
        found = tuple(client.access.teams())
    if common.json:
        out.show_json(found)
    else:
        rows = ((one.name, one.title, ", ".join(member.name for member in one.members), _held(one.has)) for one in found)
        out.table(("name", "title", "people", "has"), rows, "None yet: penstock team create NAME --member WHO")
    return out.DONE


@team.command(name="create")
def team_create(
    name: str, *, title: str = "", member: Annotated[tuple[str, ...], Parameter(help="Somebody in it; may be repeated.")] = (), common: Common = COMMON
) -> int:
    """Make a team."""
    with common.client() as client:
        return _told(client.access.create_team(name, title, member), json=common.json)


def _told(made: r.Team, *, json: bool) -> int:
    """Who is in a team now."""
    if json:
        out.show_json(made)
    else:
        out.say(f"In team {made.name}: {', '.join(one.name for one in made.members) or 'nobody yet'}")
    return out.DONE


def _members(client: Client, name: str, *, add: tuple[str, ...] = (), drop: tuple[str, ...] = (), reason: str = "") -> r.Team:
    found = client.access.team(name)
    had = tuple(one.name for one in found.members)
    absent = [one for one in drop if one not in had]
    if absent:
        raise Usage(f"{absent[0]} is not in team {name}")
    wanted = tuple(one for one in dict.fromkeys((*had, *add)) if one not in drop)
    return client.access.change_team(name, found.revision, r.TeamChange(members=wanted, reason=reason))


@team.command(name="add")
def team_add(name: TeamName, *who: str, reason: Reason = "", common: Common = COMMON) -> int:
    """Put people into a team."""
    with common.client() as client:
        return _told(_members(client, name, add=who, reason=reason), json=common.json)


@team.command(name="drop")
def team_drop(name: TeamName, *who: str, reason: Reason = "", common: Common = COMMON) -> int:
    """Take people out of a team."""
    with common.client() as client:
        return _told(_members(client, name, drop=who, reason=reason), json=common.json)


@team.command(name="remove")
def team_remove(name: TeamName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Remove a team, and what its people had by it."""
    with common.client() as client:
        return out.outcome(client.access.remove_team(name, reason), json=common.json)


# --- who may do what where ----------------------------------------------------------------------------------------------------


@access.command(name="list")
def access_list(*, who: SubjectName = "", on: On = "", role: RoleName = "", common: Common = COMMON) -> int:
    """Who has which role where: of somebody, on exactly a part of the fleet, of a role."""
    with common.client() as client:
        found = tuple(client.access.bindings(who, on, role))
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("who", "role", "on", "given", "by", "why", "id"),
            ((one.who, one.role, one.on, out.ago(one.created_ms), one.given_by, one.reason, one.id) for one in found),
            "None that you may see.",
        )
    return out.DONE


@access.command(name="give")
def access_give(who: SubjectName, role: RoleName, on: On, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Give a person, a team or a service account a role on a part of the fleet. Never more than you have there."""
    with common.client() as client:
        made = client.access.give(who, role, on, reason)
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.who} has the role {made.role} on {made.where} now")
    return out.DONE


@access.command(name="take")
def access_take(who: SubjectName, role: RoleName, on: On, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Take a role on a part of the fleet away."""
    with common.client() as client:
        found = list(client.access.bindings(who, on, role))
        if not found:
            raise Usage(f"{who} has no role {role} on {on} of their own; see penstock access list --who {who}")
        return out.outcome(client.access.take(found[0].id, reason), json=common.json)


@access.command(name="explain")
def access_explain(who: SubjectName, verb: RightName, what: On, *, common: Common = COMMON) -> int:
    """Whether somebody may do something here, and why. Exit code 0 for yes, 1 for no."""
    with common.client() as client:
        found = client.access.explain(who, verb, what)
    if common.json:
        out.show_json(found)
    else:
        out.say(found.said)
    return out.DONE if found.allowed else out.REFUSED


@access.command(name="who")
def access_who(verb: RightName, what: On, *, common: Common = COMMON) -> int:
    """Everybody who may do a thing here."""
    with common.client() as client:
        found = tuple(client.access.who_can(verb, what))
    if common.json:
        out.show_json(found)
    else:
        rows = ((one.name, one.title, f"{one.by.role} on {one.by.where}{f', team {one.by.team}' if one.by.team else ''}") for one in found)
        out.table(("name", "title", "by"), rows, "Nobody.")
    return out.DONE
