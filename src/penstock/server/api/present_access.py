"""From people, teams, roles and rights to the public API's shapes.

Owns the mapping only: nothing is looked up, decided or hidden here. Pages render the same shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import access
from penstock.server.api.present import one_of
from penstock.server.core.rightwords import WORDS

if TYPE_CHECKING:
    from penstock.server.core import peopleviews


def grant(found: peopleviews.Grant) -> access.Grant:
    """A binding with names."""
    one = found.binding
    return access.Grant(
        id=one.id,
        who=found.subject.name,
        who_kind=one_of(found.subject.kind),
        role=one.role,
        role_title=found.role_title,
        on=found.place.typed,
        where=found.place.words,
        given_by=one.given_by,
        reason=one.reason,
        created_ms=one.created_ms,
        team=found.team,
    )


def user(found: peopleviews.PersonView) -> access.User:
    """A person or a service account."""
    one, invitation = found.user, found.invitation
    return access.User(
        id=one.id,
        name=one.name,
        title=one.title,
        kind=one_of(one.kind),
        disabled=one.disabled,
        created_ms=one.created_ms,
        invited_until_ms=invitation.expires_ms if invitation is not None else 0,
        never_signed_up=invitation is not None and invitation.first,
        teams=found.teams,
        has=tuple(grant(item) for item in found.grants),
        revision=one.revision,
    )


def team(found: peopleviews.TeamView) -> access.Team:
    """A team and its people."""
    members = tuple(access.TeamMember(name=one.name, title=one.title, disabled=one.disabled) for one in found.members)
    one = found.team
    return access.Team(id=one.id, name=one.name, title=one.title, members=members, has=tuple(grant(item) for item in found.grants), revision=one.revision)


def role(found: peopleviews.RoleView) -> access.Role:
    """A role with its rights in words."""
    one = found.role
    rights = tuple(access.Right(verb=verb, words=WORDS[verb]) for verb in sorted(one.verbs) if verb in WORDS)
    return access.Role(name=one.name, title=one.title, rights=rights, built_in=one.built_in, uses=found.uses, revision=found.revision)


def effective(found: peopleviews.Effective) -> access.EffectivePart:
    """What somebody may on one part."""
    rights = tuple(access.EffectiveRight(verb=verb, words=WORDS[verb], role=by.binding.role, team=by.team) for verb, by in found.verbs if verb in WORDS)
    return access.EffectivePart(on=found.place.typed, where=found.place.words, rights=rights)


def able(found: peopleviews.Able) -> access.Able:
    """Somebody who may do a thing."""
    return access.Able(name=found.subject.name, title=found.subject.title, kind=one_of(found.subject.kind), by=grant(found.grant))
