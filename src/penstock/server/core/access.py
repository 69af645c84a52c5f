"""Who may do what, where.

Owns the list of verbs and the one function that judges them. Never looks anything up: actor, verb and scope are all it knows. Today one
administrator may everything; further roles are further rows of the same table.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.core.errors import Forbidden, Unauthenticated
from penstock.server.core.model import ADMINISTRATOR, Actor, Scope

# Every verb an action asks for. A route declares one of these; a test compares.
VERBS = frozenset(
    (
        "sites.read",
        "sites.write",
        "joins.read",
        "joins.write",
        "enrolments.read",
        "enrolments.decide",
        "devices.read",
        "devices.write",
        "devices.command",
        "devices.quarantine",
        "apps.read",
        "releases.publish",
        "images.push",
        "images.pull",
        "deployments.read",
        "deployments.write",
        "events.read",
        "settings.read",
        "settings.write",
        "users.read",
        "users.write",
        "tokens.own",
        "system.backup",
        "system.metrics",
    )
)

_ROLES: dict[str, frozenset[str]] = {ADMINISTRATOR: VERBS, "system": VERBS}


@dataclass(frozen=True, slots=True)
class Allow:
    """It may."""


@dataclass(frozen=True, slots=True)
class Deny:
    """It may not, and why."""

    why: str


def may(actor: Actor, verb: str, scope: Scope) -> Allow | Deny:
    """Whether `actor` may do `verb` within `scope`. An unknown verb is a programming error: ValueError."""
    if verb not in VERBS:
        raise ValueError(f"{verb!r} is no verb of this plane")
    if actor.kind not in ("user", "token", "system"):
        return Deny(f"{actor.kind} {actor.name!r} has no part in running the fleet")
    if verb not in _ROLES.get(actor.role, frozenset()):
        return Deny(f"{actor.name!r} has the role {actor.role or 'none'!r}, which does not include {verb}")
    if scope.sites is not None and not scope.sites:
        return Deny(f"{actor.name!r} has no site")
    return Allow()


def require(actor: Actor, verb: str, scope: Scope) -> None:
    """Raise Forbidden (or Unauthenticated for nobody) unless `actor` may."""
    if actor.kind == "nobody":
        raise Unauthenticated("not-signed-in", "this needs somebody who is signed in", remedy="sign in, or send an API token")
    verdict = may(actor, verb, scope)
    if isinstance(verdict, Deny):
        raise Forbidden("not-allowed", verdict.why, remedy="ask an administrator for the role this needs")
