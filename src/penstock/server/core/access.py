"""Refusing what the rights of an actor do not allow.

Owns turning the judgement of `core.rights` into a refusal, and nothing else. An action that reads asks `require` and filters by the reach it gives; one
that changes something finds it inside the reach of reading first (what may not be seen is missing, not forbidden) and then asks `permit` of it.
"""

from __future__ import annotations

from penstock.server.core import rights
from penstock.server.core.errors import Forbidden, Unauthenticated
from penstock.server.core.model import Actor
from penstock.server.core.rights import Deny, Reach, Target

REMEDY = "ask whoever looks after people and access for a role that includes this"


def require(actor: Actor, verb: str) -> Reach:
    """Where an actor may do `verb`. Raises Forbidden for nowhere, Unauthenticated for nobody."""
    found = rights.reach(actor.rights, verb)
    if not found:
        permit(actor, verb, Target())
    return found


def known(actor: Actor) -> None:
    """Raises Unauthenticated for nobody: what is about oneself needs no more than being known."""
    if actor.kind == "nobody":
        raise Unauthenticated("not-signed-in", "this needs somebody who is signed in", remedy="sign in, or send an API token")


def permit(actor: Actor, verb: str, target: Target) -> None:
    """Raises Forbidden unless the actor may do `verb` on exactly this, Unauthenticated for nobody."""
    known(actor)
    verdict = rights.may(actor.rights, verb, target)
    if isinstance(verdict, Deny):
        raise Forbidden("not-allowed", verdict.why, remedy=REMEDY)
