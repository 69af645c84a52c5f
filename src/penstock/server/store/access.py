"""Teams, roles of one's own, and bindings: their rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, select

from penstock.server.core.rights import Binding, Part, Role, Team
from penstock.server.store.db import Tx
from penstock.server.store.rows import compare_and_set, noun, nouns, row_of
from penstock.server.store.tables import bindings, roles, team_members, teams

# --- teams --------------------------------------------------------------------------------------------------------------


def add_team(tx: Tx, team: Team) -> None:
    """A new one."""
    tx.run(teams.insert(), [row_of(team)])


def team(tx: Tx, which: str) -> Team | None:
    """By id or name."""
    return noun(Team, tx.run(select(teams).where((teams.c.id == which) | (teams.c.name == which))).first())


def all_teams(tx: Tx) -> tuple[Team, ...]:
    """All, by name."""
    return nouns(Team, tx.run(select(teams).order_by(teams.c.name)))


def change_team(tx: Tx, one: Team, revision: int, *, title: str) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, teams, teams.c.id == one.id, revision, "team", {"title": title})


def drop_team(tx: Tx, one: Team) -> None:
    """Forget it, its members and its bindings."""
    tx.run(delete(team_members).where(team_members.c.team == one.id))
    unbind_all(tx, one.id)
    tx.run(delete(teams).where(teams.c.id == one.id))


def members(tx: Tx, one: str) -> tuple[str, ...]:
    """The people in a team."""
    return tuple(tx.run(select(team_members.c.user).where(team_members.c.team == one).order_by(team_members.c.user)).scalars())


def teams_of(tx: Tx, user: str) -> tuple[str, ...]:
    """The teams somebody is in."""
    return tuple(tx.run(select(team_members.c.team).where(team_members.c.user == user).order_by(team_members.c.team)).scalars())


def put_members(tx: Tx, one: str, users: Iterable[str]) -> None:
    """Exactly these are in a team."""
    tx.run(delete(team_members).where(team_members.c.team == one))
    tx.insert(team_members, [{"team": one, "user": user} for user in sorted(set(users))])


def all_members(tx: Tx) -> dict[str, tuple[str, ...]]:
    """The people of every team that has any, by the team's id."""
    found: dict[str, list[str]] = {}
    for row in tx.run(select(team_members).order_by(team_members.c.user)):
        found.setdefault(row.team, []).append(row.user)
    return {one: tuple(people) for one, people in found.items()}


def leave_teams(tx: Tx, user: str) -> None:
    """Somebody is in no team any more."""
    tx.run(delete(team_members).where(team_members.c.user == user))


# --- roles of one's own ---------------------------------------------------------------------------------------------------


def own_roles(tx: Tx) -> dict[str, tuple[Role, int]]:
    """Those that people here made, with their revision, by name."""
    rows = tx.run(select(roles).order_by(roles.c.name))
    return {row.name: (Role(row.name, row.title, frozenset(row.verbs)), row.revision) for row in rows}


def add_role(tx: Tx, role: Role) -> None:
    """A new one."""
    tx.run(roles.insert(), [{"name": role.name, "title": role.title, "verbs": sorted(role.verbs), "revision": 1}])


def change_role(tx: Tx, role: Role, revision: int) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, roles, roles.c.name == role.name, revision, "role", {"title": role.title, "verbs": sorted(role.verbs)})


def drop_role(tx: Tx, name: str) -> None:
    """Forget a role that no binding names."""
    tx.run(delete(roles).where(roles.c.name == name))


# --- bindings -------------------------------------------------------------------------------------------------------------


def _binding(row: Any) -> Binding:
    return Binding(row.id, row.subject, row.role, Part(row.part_kind, row.part), row.given_by, row.reason, row.created_ms)


def bind(tx: Tx, one: Binding) -> bool:
    """Give it; False where the same stands already."""
    row = {
        "id": one.id,
        "subject": one.subject,
        "role": one.role,
        "part_kind": one.on.kind,
        "part": one.on.id,
        "given_by": one.given_by,
        "reason": one.reason,
        "created_ms": one.created_ms,
    }
    same = select(bindings.c.id).where(*(bindings.c[name] == row[name] for name in ("subject", "role", "part_kind", "part")))
    if tx.run(same).first() is not None:
        return False
    tx.run(bindings.insert(), [row])
    return True


def binding(tx: Tx, which: str) -> Binding | None:
    """The binding of that id."""
    row = tx.run(select(bindings).where(bindings.c.id == which)).first()
    return _binding(row) if row is not None else None


def unbind(tx: Tx, which: str) -> None:
    """Take it away."""
    tx.run(delete(bindings).where(bindings.c.id == which))


def unbind_all(tx: Tx, subject: str) -> None:
    """Take everything from a person, a team or a service account."""
    tx.run(delete(bindings).where(bindings.c.subject == subject))


def bindings_of(tx: Tx, subjects: Iterable[str]) -> tuple[Binding, ...]:
    """Those of these people, teams and service accounts, by id."""
    query = select(bindings).where(bindings.c.subject.in_(sorted(set(subjects)))).order_by(bindings.c.id)
    return tuple(_binding(row) for row in tx.run(query))


def all_bindings(tx: Tx) -> tuple[Binding, ...]:
    """All, by id."""
    return tuple(_binding(row) for row in tx.run(select(bindings).order_by(bindings.c.id)))


def uses_of_role(tx: Tx, name: str) -> int:
    """How many bindings name a role."""
    return int(tx.run(select(func.count()).select_from(bindings).where(bindings.c.role == name)).scalar())
