"""Handlers for people, service accounts, teams and invitations. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from penstock.apiv1 import access as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import invitations, people, teams
from penstock.server.api import present, present_access
from penstock.server.api.frame import Answer

if TYPE_CHECKING:
    from penstock.server.actions.context import Plane
    from penstock.server.api.frame import Call
    from penstock.server.core.peopleviews import NewInvitation


def list_users(call: Call) -> Page[shapes.User]:
    """People and service accounts."""
    query = call.query
    found = people.list_people(call.plane, call.actor, kind=query.kind, text=query.text, cursor=query.cursor, limit=query.limit)
    return present.page(found, present_access.user)


def get_user(call: Call) -> Answer:
    """One person or service account."""
    found = present_access.user(people.get_person(call.plane, call.actor, user=call.path["user"]))
    return Answer(found, revision=found.revision)


def create_user(call: Call) -> shapes.InvitationMade:
    """Somebody new; a person with the invitation to set their own password."""
    made, invitation = people.create_person(call.plane, call.actor, name=call.body.name, title=call.body.title, kind=call.body.kind)
    return _invitation(call.plane, invitation) if invitation is not None else shapes.InvitationMade(user=made.name, code="", link="", expires_ms=0)


def change_user(call: Call) -> Answer:
    """Another title."""
    found = people.change_person(call.plane, call.actor, user=call.path["user"], revision=call.revision, title=call.body.title)
    return Answer(present_access.user(found), revision=found.user.revision)


def invite(call: Call) -> shapes.InvitationMade:
    """A fresh invitation; an older one is worthless."""
    return _invitation(call.plane, invitations.invite(call.plane, call.actor, user=call.path["user"], reason=call.body.reason))


def _invitation(plane: Plane, made: NewInvitation) -> shapes.InvitationMade:
    base = plane.addresses[0] if plane.addresses else ""
    link = f"{base}/invitation?{urlencode({'code': made.code})}"
    return shapes.InvitationMade(user=made.user.name, code=made.code, link=link, expires_ms=made.expires_ms)


def accept_invitation(call: Call) -> Outcome:
    """The code is spent and the password set."""
    user = invitations.accept(call.plane, code=call.body.code, password=call.body.password, title=call.body.title, address=call.address)
    return Outcome(said=f"Your password is set. Sign in as {user.name}.")


def disable(call: Call) -> Outcome:
    """They can do nothing from now on."""
    user = people.disable_person(call.plane, call.actor, user=call.path["user"], reason=call.body.reason)
    return Outcome(said=f"{user.name} is disabled: every session has ended and no token works any more.")


def enable(call: Call) -> Outcome:
    """They can sign in again."""
    user = people.enable_person(call.plane, call.actor, user=call.path["user"], reason=call.body.reason)
    return Outcome(said=f"{user.name} is enabled again.")


def remove_user(call: Call) -> Outcome:
    """They are gone; what they did keeps their name."""
    user = people.remove_person(call.plane, call.actor, user=call.path["user"], reason=call.body.reason)
    return Outcome(said=f"{user.name} is removed. What they did stays in the record under that name.")


def list_teams(call: Call) -> Page[shapes.Team]:
    """Teams."""
    return present.page(teams.list_teams(call.plane, call.actor, cursor=call.query.cursor, limit=call.query.limit), present_access.team)


def get_team(call: Call) -> Answer:
    """One team."""
    found = present_access.team(teams.get_team(call.plane, call.actor, team=call.path["team"]))
    return Answer(found, revision=found.revision)


def create_team(call: Call) -> Answer:
    """A new team."""
    made = teams.create_team(call.plane, call.actor, name=call.body.name, title=call.body.title, members=call.body.members)
    return Answer(present_access.team(made), revision=made.team.revision)


def change_team(call: Call) -> Answer:
    """Another title, or other members."""
    body = call.body
    made = teams.change_team(call.plane, call.actor, team=call.path["team"], revision=call.revision, title=body.title, members=body.members, reason=body.reason)
    return Answer(present_access.team(made), revision=made.team.revision)


def remove_team(call: Call) -> Outcome:
    """A team is gone, and what its people had by it."""
    team = teams.remove_team(call.plane, call.actor, team=call.path["team"], reason=call.body.reason)
    return Outcome(said=f"Team {team.name} is removed, and what its people had by it.")
