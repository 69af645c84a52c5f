"""The part of the typed client about people, teams, roles, and who may do what where. `Client.access` is one.

Owns one method per thing a program may ask there; how a request goes out and comes back is the client's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from penstock.apiv1 import access as r
from penstock.apiv1 import devices as d
from penstock.apiv1 import people as p
from penstock.apiv1.common import Outcome, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Asking(Protocol):
    """One request of the client."""

    def __call__(self, method: str, path: str, kind: type[T], body: Any = None, *, query: Any = None, revision: Any = None, creates: bool = False) -> T:
        """The answer as `kind`. Raises ClientError."""
        ...


class Paging(Protocol):
    """Every page of a list."""

    def __call__(self, path: str, kind: type[Page[T]], query: dict[str, Any]) -> Iterator[T]:
        """The items one by one. Raises ClientError."""
        ...


class AccessClient:
    """People, teams, roles and bindings of one control plane, as one asker."""

    def __init__(self, ask: Asking, pages: Paging) -> None:
        self._ask, self._pages = ask, pages

    # --- people and service accounts --------------------------------------------------------------------------------------

    def users(self, kind: str = "", text: str = "") -> Iterator[r.User]:
        """People and service accounts, by name."""
        return self._pages("/users", Page[r.User], {"kind": kind, "text": text})

    def user(self, user: str) -> r.User:
        """One, by id or name."""
        return self._ask("GET", f"/users/{_part(user)}", r.User)

    def create_user(self, name: str, title: str = "", *, service: bool = False) -> r.InvitationMade:
        """Somebody new; a person with an invitation."""
        body = r.UserCreate(name=name, title=title, kind="service" if service else "person")
        return self._ask("POST", "/users", r.InvitationMade, body, creates=True)

    def change_user(self, user: str, revision: int, title: str) -> r.User:
        """What people call them."""
        return self._ask("PATCH", f"/users/{_part(user)}", r.User, r.UserChange(title=title), revision=revision)

    def invite(self, user: str, reason: str = "") -> r.InvitationMade:
        """A fresh invitation."""
        return self._ask("POST", f"/users/{_part(user)}/invite", r.InvitationMade, d.Reason(reason=reason))

    def accept_invitation(self, code: str, password: str, title: str = "") -> Outcome:
        """Set one's own password with a one-time code."""
        return self._ask("POST", "/invitation", Outcome, r.InvitationAccept(code=code, password=password, title=title))

    def disable(self, user: str, reason: str = "") -> Outcome:
        """Shut somebody out."""
        return self._ask("POST", f"/users/{_part(user)}/disable", Outcome, d.Reason(reason=reason))

    def enable(self, user: str, reason: str = "") -> Outcome:
        """Let somebody in again."""
        return self._ask("POST", f"/users/{_part(user)}/enable", Outcome, d.Reason(reason=reason))

    def remove_user(self, user: str, reason: str = "") -> Outcome:
        """Remove somebody for good."""
        return self._ask("POST", f"/users/{_part(user)}/remove", Outcome, d.Reason(reason=reason))

    def tokens(self, user: str) -> tuple[p.Token, ...]:
        """A service account's tokens."""
        return self._ask("GET", f"/users/{_part(user)}/tokens", Page[p.Token]).items

    def create_token(self, user: str, label: str, valid_s: int, only: tuple[p.TokenOnly, ...] = ()) -> p.TokenMade:
        """Another token of a service account."""
        return self._ask("POST", f"/users/{_part(user)}/tokens", p.TokenMade, p.TokenCreate(label=label, valid_s=valid_s, only=only), creates=True)

    def revoke_token(self, user: str, token: str) -> Outcome:
        """A service account's token is dead at once."""
        return self._ask("DELETE", f"/users/{_part(user)}/tokens/{_part(token)}", Outcome)

    # --- teams ------------------------------------------------------------------------------------------------------------

    def teams(self) -> Iterator[r.Team]:
        """Teams, by name."""
        return self._pages("/teams", Page[r.Team], {})

    def team(self, team: str) -> r.Team:
        """One, by id or name."""
        return self._ask("GET", f"/teams/{_part(team)}", r.Team)

    def create_team(self, name: str, title: str = "", members: tuple[str, ...] = ()) -> r.Team:
        """A new team."""
        return self._ask("POST", "/teams", r.Team, r.TeamCreate(name=name, title=title, members=members), creates=True)

    def change_team(self, team: str, revision: int, body: r.TeamChange) -> r.Team:
        """Another title or other members."""
        return self._ask("PATCH", f"/teams/{_part(team)}", r.Team, body, revision=revision)

    def remove_team(self, team: str, reason: str = "") -> Outcome:
        """Remove a team."""
        return self._ask("POST", f"/teams/{_part(team)}/remove", Outcome, d.Reason(reason=reason))

    # --- who may do what where ------------------------------------------------------------------------------------------------

    def roles(self) -> tuple[r.Role, ...]:
        """Every role with its rights."""
        return self._ask("GET", "/roles", Page[r.Role]).items

    def role(self, role: str) -> r.Role:
        """One role."""
        return self._ask("GET", f"/roles/{_part(role)}", r.Role)

    def create_role(self, body: r.RoleCreate) -> r.Role:
        """A role of one's own."""
        return self._ask("POST", "/roles", r.Role, body, creates=True)

    def change_role(self, role: str, revision: int, body: r.RoleChange) -> r.Role:
        """Other rights for everybody who has the role."""
        return self._ask("PATCH", f"/roles/{_part(role)}", r.Role, body, revision=revision)

    def remove_role(self, role: str, reason: str = "") -> Outcome:
        """Remove a role that nobody has."""
        return self._ask("POST", f"/roles/{_part(role)}/remove", Outcome, d.Reason(reason=reason))

    def bindings(self, who: str = "", on: str = "", role: str = "") -> Iterator[r.Grant]:
        """Who has which role where."""
        return self._pages("/bindings", Page[r.Grant], {"who": who, "on": on, "role": role})

    def give(self, who: str, role: str, on: str, reason: str = "") -> r.Grant:
        """Somebody has a role on a part of the fleet from now on."""
        return self._ask("POST", "/bindings", r.Grant, r.BindingCreate(who=who, role=role, on=on, reason=reason), creates=True)

    def take(self, binding: str, reason: str = "") -> Outcome:
        """Take a role away."""
        return self._ask("POST", f"/bindings/{_part(binding)}/take", Outcome, d.Reason(reason=reason))

    def explain(self, who: str, verb: str, what: str) -> r.Explanation:
        """Whether somebody may do something here, and why. Nobody named: oneself."""
        return self._ask("GET", "/access/explain", r.Explanation, query={"who": who, "verb": verb, "what": what})

    def effective(self, who: str = "") -> r.Effective:
        """Everything somebody may."""
        return self._ask("GET", "/access/effective", r.Effective, query={"who": who})

    def who_can(self, verb: str, what: str) -> Iterator[r.Able]:
        """Everybody who may do a thing here."""
        return self._pages("/access/who-can", Page[r.Able], {"verb": verb, "what": what})


def _part(text: str) -> str:
    """One part of a path."""
    return quote(text, safe="")
