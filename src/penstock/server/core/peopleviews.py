"""What is shown of people and their rights: bindings with the names of what they name, judgements with their reason.

Owns the shapes only; `actions` fill them. Nothing here is ever saved.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.core import rightwords
from penstock.server.core.model import Invitation, User
from penstock.server.core.rights import Binding, Part, Role, Target, Team

TEAM = "team"


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the fleet with its name, and what it lies in."""

    part: Part
    name: str
    target: Target

    @property
    def words(self) -> str:
        """ "site hamburg"."""
        return rightwords.where(self.part.kind, self.name)

    @property
    def typed(self) -> str:
        """ "site:hamburg"."""
        return rightwords.on(self.part.kind, self.name)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a binding is for. `kind`: person, service or team."""

    id: str
    name: str
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A binding with names. `team`: the name of the team somebody has it through, empty for their own."""

    binding: Binding
    subject: Subject
    place: Place
    role_title: str
    team: str = ""


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person or a service account, with their teams' names, and what of their rights the asker may see."""

    user: User
    teams: tuple[str, ...]
    grants: tuple[Grant, ...]
    invitation: Invitation | None = None


@dataclass(frozen=True, slots=True)
class TeamView:
    """A team, its people, and what of its rights the asker may see."""

    team: Team
    members: tuple[User, ...]
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role, how many bindings name it. A built-in role has no revision."""

    role: Role
    uses: int
    revision: int = 0


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """An invitation just made; `code` is shown once."""

    user: User
    code: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether somebody may do something somewhere, in a sentence, and by which of their rights; or which roles on which parts would do."""

    allowed: bool
    said: str
    subject: Subject
    place: Place
    by: Grant | None = None
    roles: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effective:
    """What somebody may do on one part: verbs, each with the right it comes from."""

    place: Place
    verbs: tuple[tuple[str, Grant], ...]


@dataclass(frozen=True, slots=True)
class Able:
    """Somebody who may do a thing, and by which right."""

    subject: Subject
    grant: Grant
