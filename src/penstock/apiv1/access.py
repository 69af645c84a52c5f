"""Shapes for people, teams, roles and who may do what where.

A part of the fleet is written "fleet", "group:NAME", "site:NAME", "device:NAME" or "app:NAME"; `where` says it in words.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.common import Name, Text, Title
from penstock.apiv1.people import Password

Who = Annotated[str, Meta(min_length=1, max_length=130, description="a name, or an id")]
On = Annotated[str, Meta(min_length=1, max_length=150, description="fleet, group:NAME, site:NAME, device:NAME or app:NAME")]
Verb = Annotated[str, Meta(min_length=1, max_length=64)]
Kind = Literal["person", "service"]


class Grant(Struct, frozen=True, kw_only=True):
    """A role that somebody has on a part of the fleet. `team`: the team they have it through, empty for their own."""

    id: str
    who: str
    who_kind: Literal["person", "service", "team"]
    role: str
    role_title: str
    on: str
    where: str
    given_by: str
    reason: str
    created_ms: int
    team: str = ""


class User(Struct, frozen=True, kw_only=True):
    """A person or a service account. `invited_until_ms`: an invitation is out, good until then; `has` is what of their rights the asker may see."""

    id: str
    name: str
    title: str
    kind: Kind
    disabled: bool
    created_ms: int
    invited_until_ms: int
    never_signed_up: bool
    teams: tuple[str, ...]
    has: tuple[Grant, ...]
    revision: int


class UserCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody new, without any role yet."""

    name: Name
    title: Title = ""
    kind: Kind = "person"


class UserChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people call them."""

    title: Title


class InvitationMade(Struct, frozen=True, kw_only=True):
    """An invitation for somebody to set their own password. `code` is shown this once and works once; `link` carries it. Both are empty for a service account."""

    user: str
    code: str
    link: str
    expires_ms: int


class InvitationAccept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set one's own password with the one-time code of an invitation."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]
    password: Password
    title: Title = ""


class TeamMember(Struct, frozen=True, kw_only=True):
    """Somebody in a team."""

    name: str
    title: str
    disabled: bool


class Team(Struct, frozen=True, kw_only=True):
    """People who get roles together."""

    id: str
    name: str
    title: str
    members: tuple[TeamMember, ...]
    has: tuple[Grant, ...]
    revision: int


class TeamCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new team; `members` are people's names."""

    name: Name
    title: Title = ""
    members: Annotated[tuple[Who, ...], Meta(max_length=1000)] = ()


class TeamChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change; what is left out stays. `members`: all of them."""

    title: Title | None = None
    members: Annotated[tuple[Who, ...], Meta(max_length=1000)] | None = None
    reason: Text = ""


class Right(Struct, frozen=True, kw_only=True):
    """Something one may do: the verb programs use, and the words for it."""

    verb: str
    words: str


class Role(Struct, frozen=True, kw_only=True):
    """A named set of rights. `uses`: how many bindings name it, as far as the asker may know."""

    name: str
    title: str
    rights: tuple[Right, ...]
    built_in: bool
    uses: int
    revision: int


class RoleCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role of one's own."""

    name: Name
    title: Title = ""
    verbs: Annotated[tuple[Verb, ...], Meta(min_length=1, max_length=100)]
    reason: Text = ""


class RoleChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change, for everybody who has the role; what is left out stays."""

    title: Title | None = None
    verbs: Annotated[tuple[Verb, ...], Meta(min_length=1, max_length=100)] | None = None
    reason: Text = ""


class BindingCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give somebody a role on a part of the fleet."""

    who: Who
    role: Annotated[str, Meta(min_length=1, max_length=64)]
    on: On
    reason: Text = ""


class Explanation(Struct, frozen=True, kw_only=True):
    """Whether somebody may do something on a part of the fleet, in a sentence; by which of their roles, or which of `roles` on which of `parts` would do."""

    allowed: bool
    said: str
    who: str
    verb: str
    words: str
    on: str
    by: Grant | None = None
    roles: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


class EffectiveRight(Struct, frozen=True, kw_only=True):
    """One right and where it comes from."""

    verb: str
    words: str
    role: str
    team: str


class EffectivePart(Struct, frozen=True, kw_only=True):
    """Everything somebody may on one part of the fleet."""

    on: str
    where: str
    rights: tuple[EffectiveRight, ...]


class Effective(Struct, frozen=True, kw_only=True):
    """Everything somebody may, by part, on the parts the asker looks after."""

    who: str
    parts: tuple[EffectivePart, ...]


class Able(Struct, frozen=True, kw_only=True):
    """Somebody who may do a thing, and by which role."""

    name: str
    title: str
    kind: Kind
    by: Grant


class Part(Struct, frozen=True, kw_only=True):
    """A part of the fleet on which the asker may give roles."""

    on: str
    where: str
