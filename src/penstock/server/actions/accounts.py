"""What all acts on people, teams and roles share: who is meant, whose rights one may touch, and that somebody is left to change rights.

Owns these checks. The acts themselves stand in `people`, `teams`, `invitations`, `bindings` and `roles`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from penstock.server.actions import places, subjects
from penstock.server.actions.context import Plane, bounded, make_cursor, read_cursor
from penstock.server.core.access import permit, require
from penstock.server.core.breakglass import ID as GLASS
from penstock.server.core.breakglass import NAME as GLASS_NAME
from penstock.server.core.errors import Conflict, Forbidden, Invalid, missing
from penstock.server.core.model import PERSON, Actor, User
from penstock.server.core.peopleviews import TEAM, Grant, Subject
from penstock.server.core.rights import FLEET, Binding, Reach, Rights, Role, Target, administrators, beyond, rights_of
from penstock.server.core.rightwords import WORDS
from penstock.server.core.views import Page
from penstock.server.store import access, invitations, parts, users
from penstock.server.store.db import Tx

MOST_REASON = 1000

T = TypeVar("T")


def check_title(title: str) -> str:
    """A title as it is kept. Raises Invalid."""
    if len(title) > 200 or not title.isprintable():
        raise Invalid("title-malformed", "a title has at most 200 characters, all of them printable", field="title")
    return title.strip()


def check_reason(reason: str) -> str:
    """A reason as it is kept. Raises Invalid."""
    if len(reason) > MOST_REASON:
        raise Invalid("reason-too-long", f"a reason has at most {MOST_REASON} characters", field="reason")
    return reason.strip()


# --- who is seen --------------------------------------------------------------------------------------------------------


def seen(tx: Tx, actor: Actor, verb: str = "users.read") -> frozenset[str] | None:
    """The people, service accounts and teams an actor may see, by id; None: all. Whoever looks after a part of the fleet sees who has a role on it."""
    reach = require(actor, verb)
    if reach.whole:
        return None
    here = {binding.subject for binding in within(tx, reach)}
    for team in tuple(here):
        here.update(access.members(tx, team))
    return frozenset((*here, actor.id))


def within(tx: Tx, reach: Reach) -> tuple[Binding, ...]:
    """The bindings on parts that lie inside."""
    every = access.all_bindings(tx)
    if reach.whole:
        return every
    targets = parts.targets(tx, {binding.on for binding in every})
    return tuple(binding for binding in every if reach.covers(targets[binding.on]))


def user(tx: Tx, actor: Actor, which: str) -> User:
    """A person or service account by id or name. Raises Missing for what the actor may not see."""
    found = users.by_id(tx, which) or users.by_name(tx, which)
    among = seen(tx, actor)
    if found is None or found.removed_ms or (among is not None and found.id not in among):
        raise missing("user", which)
    return found


def changeable(tx: Tx, actor: Actor, which: str) -> User:
    """A person or service account that is to be changed. The sealed account is changed at the plane's own machine only. Raises Missing, Conflict."""
    found = user(tx, actor, which)
    not_glass(found.id, "user")
    return found


def not_glass(user: str, field: str) -> None:
    """Raises Conflict for the sealed account."""
    if user == GLASS:
        raise Conflict(
            "break-glass-sealed",
            "the break-glass account may everything and cannot be changed, shut out or given roles here",
            field=field,
            remedy="it is made anew at the plane's own machine, with penstock-server break-glass seal",
        )


def subject(tx: Tx, which: str, field: str = "who") -> Subject:
    """Whoever has this name or id. For those who give roles: they may name anybody. Raises Invalid."""
    found = users.by_id(tx, which) or users.by_name(tx, which)
    if found is not None and not found.removed_ms:
        return Subject(found.id, found.name, found.kind, found.title)
    team = access.team(tx, which)
    if team is not None:
        return Subject(team.id, team.name, TEAM, team.title)
    raise _unknown(which, field)


def subject_seen(tx: Tx, actor: Actor, which: str) -> Subject:
    """The same for those who ask what somebody may: only who has a role where they look after access, on the whole fleet too. Raises Invalid."""
    found, among = subject(tx, which), seen(tx, actor, "access.read")
    if among is not None and found.id not in among:
        held = access.bindings_of(tx, [found.id, *access.teams_of(tx, found.id)])
        if not any(one.on.kind == FLEET for one in held):
            raise _unknown(which, "who")
    return found


def _unknown(which: str, field: str) -> Invalid:
    return Invalid(
        "who-unknown", f"there is no person, service account or team named {which[:60]!r}", field=field, remedy="write the name as they sign in with it"
    )


def subjects_of(tx: Tx, among: Iterable[str]) -> dict[str, Subject]:
    """Those of these ids that a binding may be for, and every team, by id."""
    found: dict[str, Subject] = {one.id: Subject(one.id, one.name, one.kind, one.title) for one in users.many(tx, among) if not one.removed_ms}
    return {**found, **{team.id: Subject(team.id, team.name, TEAM, team.title) for team in access.all_teams(tx)}}


def check_free(tx: Tx, name: str) -> None:
    """Raises Conflict for a name that somebody, or a team, has or had: a name in the record means one of them for ever."""
    if name == GLASS_NAME:
        raise Conflict("name-taken", f"{name} is the name of the sealed account", field="name", remedy="choose another name")
    had = users.by_name(tx, name)
    if had is not None or access.team(tx, name) is not None:
        gone = had is not None and had.removed_ms
        why = f"somebody who is gone was named {name}, and past acts stand under that name" if gone else f"there is a {name} already"
        raise Conflict("name-taken", why, field="name", remedy="choose another name")


# --- whose rights -------------------------------------------------------------------------------------------------------


def check_over(tx: Tx, actor: Actor, whose: Rights, name: str, what: str) -> None:
    """Raises Forbidden unless the actor may all that `whose` may: otherwise `what` would be a way to more than one has."""
    over = beyond(actor.rights, whose, parts.targets(tx, {part for held in whose.by_verb.values() for part in held}))
    if over:
        verb, part = over[0]
        place = places.of(tx, [part])[part]
        raise Forbidden(
            "more-than-yours",
            f"{name} may {WORDS[verb]} on {place.words} and you may not, so you may not {what}",
            remedy="let somebody do it who may at least as much",
        )


def team_rights(tx: Tx, team: str) -> Rights:
    """What being in a team gives."""
    return rights_of(team, access.bindings_of(tx, [team]), subjects.roles(tx))


def permit_people(actor: Actor) -> None:
    """Raises Forbidden unless the actor looks after people on the whole fleet."""
    permit(actor, "users.write", Target())


# --- who is left --------------------------------------------------------------------------------------------------------


def _left(tx: Tx) -> frozenset[str]:
    waiting = {one.user for one in invitations.all_of(tx).values() if one.first}
    able = [one.id for one in users.all_users(tx) if one.kind == PERSON and not one.disabled and one.id not in waiting]
    members: dict[str, tuple[str, ...]] = {team.id: () for team in access.all_teams(tx)}
    members.update(access.all_members(tx))
    return administrators(access.all_bindings(tx), subjects.roles(tx), members, able)


@contextmanager
def keeping_administrators(tx: Tx, field: str = "") -> Iterator[None]:
    """Around a change: it is refused if nobody would be left who can sign in and change rights on the whole fleet. Raises Conflict."""
    before = _left(tx)
    yield
    if before and not _left(tx):
        raise Conflict(
            "last-administrator",
            "nobody would be left who can change rights on the whole fleet",
            field=field,
            remedy="first give another person who can sign in the role administrator on the whole fleet",
        )


# --- showing ------------------------------------------------------------------------------------------------------------


def grants(tx: Tx, bindings: Iterable[Binding], roles: dict[str, Role], teams: dict[str, str] | None = None) -> tuple[Grant, ...]:
    """Bindings with names. `teams`: those that somebody has these through, id to name."""
    listed = tuple(bindings)
    where = places.of(tx, {one.on for one in listed})
    who = subjects_of(tx, {one.subject for one in listed})
    return tuple(
        Grant(one, who.get(one.subject, Subject(one.subject, one.subject, PERSON)), where[one.on], _title(roles, one.role), (teams or {}).get(one.subject, ""))
        for one in listed
    )


def _title(roles: dict[str, Role], name: str) -> str:
    role = roles.get(name)
    return role.title if role is not None else name


def paged(plane: Plane, found: Sequence[T], key: Callable[[T], str], cursor: str, limit: int) -> Page[T]:
    """A page of a list that is sorted by `key`."""
    after, most = read_cursor(cursor, str), bounded(plane, limit)
    rest = [one for one in found if after is None or key(one) > after[0]]
    return Page(tuple(rest[:most]), make_cursor(key(rest[most - 1])) if len(rest) > most else "")
