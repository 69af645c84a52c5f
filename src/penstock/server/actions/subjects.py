"""Who somebody is to the plane: the actor that a person, a service account or one of their tokens is, with its rights.

Owns putting an actor's rights together from what is kept. What they allow is `core.rights`'s.
"""

from __future__ import annotations

from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.model import Actor, ApiToken, User
from penstock.server.core.rights import BUILT_IN, Binding, Part, Rights, Role, everything, rights_of
from penstock.server.store import access
from penstock.server.store.db import Tx


def roles(tx: Tx) -> dict[str, Role]:
    """All there are, by name: the built-in ones and those made here."""
    return {**BUILT_IN, **{name: role for name, (role, _) in access.own_roles(tx).items()}}


def rights_for(tx: Tx, user: str) -> Rights:
    """What a person or a service account may do, by themselves and by their teams. The break-glass account may everything: no binding gives or takes that."""
    if user == BREAK_GLASS:
        return everything(user)
    return rights_of(user, access.bindings_of(tx, [user, *access.teams_of(tx, user)]), roles(tx))


def actor_of(tx: Tx, user: User) -> Actor:
    """A person who acts."""
    return Actor("user", user.id, user.name, rights_for(tx, user.id))


def token_actor(tx: Tx, token: ApiToken, user: User) -> Actor:
    """A program that acts with somebody's token: with what its owner may now, or the part of it that the token was narrowed to."""
    own = rights_for(tx, user.id)
    if token.only:
        narrowed = [Binding(f"{token.id}/{number}", token.id, role, Part(kind, part)) for number, (role, kind, part) in enumerate(token.only)]
        own = rights_of(token.id, narrowed, own.roles, within=own)
    return Actor("token", user.id, f"{user.name} ({token.name})", own)
