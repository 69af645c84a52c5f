"""Why somebody may or may not: one act on one part, everything somebody may, and everybody who may do a thing here.

Owns putting these questions to `core.rights` with the names of what is asked. Asked of oneself they need no role; of others, one that sees who may do what.
"""

from __future__ import annotations

from penstock.server.actions import accounts, places, subjects
from penstock.server.actions.context import Plane
from penstock.server.core import rightwords
from penstock.server.core.access import require
from penstock.server.core.errors import Invalid
from penstock.server.core.model import Actor, User
from penstock.server.core.peopleviews import TEAM, Able, Effective, Explanation, Grant, Place, Subject
from penstock.server.core.rights import FLEET, VERBS, Allow, Part, Reach, Rights, may, reach
from penstock.server.core.views import Page
from penstock.server.store import access, users
from penstock.server.store.db import Tx


def check_verb(verb: str) -> None:
    """Raises Invalid for what is no verb."""
    if verb not in VERBS:
        raise Invalid(
            "verb-unknown", f"there is no right {verb[:60]!r}", field="verb", remedy="`penstock role show administrator` lists them, such as deployments.write"
        )


def _who(tx: Tx, actor: Actor, who: str) -> tuple[Subject, bool]:
    """The subject asked about, and whether it is the asker."""
    if not who or who in (actor.id, actor.name):
        mine = users.by_id(tx, actor.id)
        if mine is not None:
            return Subject(mine.id, mine.name, mine.kind, mine.title), True
    found = accounts.subject_seen(tx, actor, who)
    return found, found.id == actor.id


def _rights(tx: Tx, subject: Subject) -> tuple[Rights, dict[str, str], bool]:
    """What a subject may, the names of the teams it is in by id, and whether it is disabled."""
    if subject.kind == TEAM:
        return accounts.team_rights(tx, subject.id), {}, False
    mine = access.teams_of(tx, subject.id)
    names = {team.id: team.name for team in access.all_teams(tx) if team.id in mine}
    found = users.by_id(tx, subject.id)
    return subjects.rights_for(tx, subject.id), names, found is not None and found.disabled


def explain(plane: Plane, actor: Actor, *, who: str, verb: str, what: str) -> Explanation:
    """Whether somebody may do `verb` on a part of the fleet, by which binding, or what is missing. Raises Missing for a part the asker may not see."""
    check_verb(verb)

    def work(tx: Tx) -> Explanation:
        subject, own = _who(tx, actor, who)
        place = _place(tx, actor, what, own=own)
        rights, teams, disabled = _rights(tx, subject)
        verdict = may(rights, verb, place.target)
        if isinstance(verdict, Allow) and not disabled:
            grant = accounts.grants(tx, [verdict.by], subjects.roles(tx), teams)[0]
            said = rightwords.allowed(subject.name, verb, place.words, grant.binding.role, _held(actor, grant, own=own), grant.team, grant.binding.given_by)
            return Explanation(True, said, subject, place, grant)
        named = places.of(tx, place.target.parts())
        if isinstance(verdict, Allow):
            said = rightwords.disabled(subject.name)
            return Explanation(False, said, subject, place)
        would = tuple(named[part].words for part in verdict.parts if own or _readable(actor, named[part]))
        shown: Reach = reach(actor.rights, "access.read")
        elsewhere = places.of(tx, rights.by_verb.get(verb, {}))
        said = rightwords.denied(
            subject.name, verb, place.words, verdict.roles, would, sorted(one.words for one in elsewhere.values() if own or shown.covers(one.target))
        )
        return Explanation(False, rightwords.disabled(subject.name) if disabled else said, subject, place, None, verdict.roles, would)

    return plane.db.view(work)


def _place(tx: Tx, actor: Actor, what: str, *, own: bool) -> Place:
    """What is asked about: of oneself anything one sees."""
    kind, _ = places.read(what, "what")
    if own and kind == FLEET:
        return places.of(tx, [Part(FLEET)])[Part(FLEET)]
    return places.find(tx, actor, what, "access.read", *((f"{kind}s.read",) if own else ()), field="what")


def _readable(actor: Actor, place: Place) -> bool:
    """Whether the asker may know that this part is there: all but groups lie within what was asked about."""
    return place.part.kind != "group" or reach(actor.rights, "groups.read").covers(place.target)


def _held(actor: Actor, grant: Grant, *, own: bool) -> str:
    return grant.place.words if own or _readable(actor, grant.place) else "a group it is in"


def effective(plane: Plane, actor: Actor, *, who: str = "") -> tuple[Subject, tuple[Effective, ...]]:
    """Everything somebody may, by part, each with the binding it comes from: on the parts the asker looks after, all of it for oneself."""

    def work(tx: Tx) -> tuple[Subject, tuple[Effective, ...]]:
        subject, own = _who(tx, actor, who)
        rights, teams, disabled = _rights(tx, subject)
        shown: Reach = reach(actor.rights, "access.read")
        held = {} if disabled else rights.by_verb
        named = places.of(tx, {part for by_part in held.values() for part in by_part})
        grants = {one.binding: one for one in accounts.grants(tx, {b for by_part in held.values() for b in by_part.values()}, subjects.roles(tx), teams)}
        found = []
        for part, place in sorted(named.items(), key=lambda item: (item[0].kind != FLEET, item[1].typed)):
            if own or shown.covers(place.target):
                found.append(Effective(place, tuple((verb, grants[held[verb][part]]) for verb in sorted(held) if part in held[verb])))
        return subject, tuple(found)

    return plane.db.view(work)


def who_can(plane: Plane, actor: Actor, *, verb: str, what: str, cursor: str = "", limit: int = 50) -> Page[Able]:
    """Everybody who may do `verb` here, wherever the right comes from: people and service accounts, by name."""
    check_verb(verb)
    require(actor, "access.read")

    def work(tx: Tx) -> Page[Able]:
        place = places.find(tx, actor, what, "access.read", field="what")
        here = place.target.parts()
        roles = subjects.roles(tx)
        held = [one for one in access.all_bindings(tx) if one.on in here and one.role in roles and verb in roles[one.role].verbs]
        teams = {team.id: team.name for team in access.all_teams(tx)}
        members = access.all_members(tx)
        found: dict[str, Able] = {}
        people: dict[str, User] = {one.id: one for one in users.all_users(tx) if not one.disabled}
        for grant in accounts.grants(tx, held, roles, teams):
            for one in members.get(grant.binding.subject, ()) if grant.binding.subject in teams else (grant.binding.subject,):
                if one in people:
                    found.setdefault(one, Able(Subject(one, people[one].name, people[one].kind, people[one].title), grant))
        return accounts.paged(plane, sorted(found.values(), key=lambda one: one.subject.name), lambda one: one.subject.name, cursor, limit)

    return plane.db.view(work)
