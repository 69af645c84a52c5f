"""Who uses the image registry: signing in by password or API token, and the short-lived tokens that docker and its kin trade that for.

Owns what such a token says (who, until when, for which repositories) and when it is worth nothing any more. What it covers is `core.registryscopes`'s; the
rights themselves are asked for with every request, so that what is taken from somebody is taken from their tokens at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penstock.server.actions import sessions, subjects
from penstock.server.actions.context import Plane, note
from penstock.server.actions.tokens import PREFIX, actor_by_digest, digest_of
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.errors import Unauthenticated
from penstock.server.core.guessing import near
from penstock.server.core.model import Actor, User
from penstock.server.core.registryscopes import Granted, allowed, read_scopes
from penstock.server.store import known_addresses, second_factors, users
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

LIFE_S = 300  # of a token; a push that takes longer asks for another, as all clients do
KEPT_MS = 300_000  # how long a right password is believed without the cost of judging it


@dataclass(frozen=True, slots=True)
class Issued:
    """A token just made: its text, its seconds, when it was made, and what it is for."""

    text: str
    expires_s: int
    at_ms: int
    scope: tuple[Granted, ...]


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Who a token speaks for, and for what. `scope` is None for an API token: whatever its owner may."""

    actor: Actor
    scope: tuple[Granted, ...] | None = None


def sign_in(plane: Plane, user: str, password: str, address: str = "") -> Actor:
    """Who signs in: an API token as the password (any user name), or a person's name and password. Raises Unauthenticated for nobody and for who needs more
    than a password (they use a token), Limited, Unavailable."""
    return _signed_in(plane, user, password, address)[0]


def _signed_in(plane: Plane, user: str, password: str, address: str) -> tuple[Actor, str, str]:
    """Who, and how a token names them: the digest of an API token, or a person's id and what their password looks like in the store."""
    if password.startswith(PREFIX):
        digest = digest_of(password)
        return actor_by_digest(plane, digest), digest, ""
    key = (user, sha256_of(password.encode("utf-8")))
    held = plane.registry_memo.get(key)
    now, epoch = plane.clock.now_ms(), plane.rights_epoch
    if held is None or not 0 <= now - held[0] < KEPT_MS:
        person = sessions.prove(plane, name=user, password=password, address=address)
        held = (now, plane.db.update(lambda tx: _admitted(plane, tx, person, address)), _stamp(person))
        if plane.rights_epoch == epoch:
            plane.registry_memo[key] = held
        while len(plane.registry_memo) > 1000:
            plane.registry_memo.popitem(last=False)
    return held[1], held[1].id, held[2]


def _admitted(plane: Plane, tx: Tx, person: User, address: str) -> Actor:
    """Somebody whose password was right, onto the record. Raises Unauthenticated second-factor-needed for whom a password is not enough."""
    factor = second_factors.of_user(tx, person.id)
    if person.id == BREAK_GLASS or (factor is not None and factor.confirmed_ms):
        raise Unauthenticated(
            "second-factor-needed",
            "a password alone is not enough for this account, and the image registry can ask for no more",
            remedy="give an API token as the password: penstock token create",
        )
    if address:
        known_addresses.put(tx, person.id, near(address), plane.clock.now_ms(), sessions.ADDRESSES)
    actor = subjects.actor_of(tx, person)
    note(plane, tx, actor, "user.signed-in", person.id, data={"address": address, "to": "image registry"})
    return actor


def _stamp(user: User) -> str:
    """Changes with the password."""
    return sha256_of(user.password.encode("utf-8"))[7:23]


def issue(plane: Plane, user: str, password: str, address: str, scopes: Iterable[str], may: Callable[[Actor, str, str], bool]) -> Issued:
    """A token for what of `scopes` its owner may. Raises what `sign_in` raises."""
    actor, who, stamp = _signed_in(plane, user, password, address)
    granted = allowed(read_scopes(scopes), lambda repository, verb: may(actor, repository, verb))
    now = plane.clock.now_ms()
    body = {"w": who, "s": stamp, "e": now // 1000 + LIFE_S, "a": [[one.repository, ",".join(one.verbs)] for one in granted]}
    return Issued(plane.tokens.registry.issue(json.dumps(body, separators=(",", ":")).encode()), LIFE_S, now, granted)


def redeem(plane: Plane, token: str) -> Redeemed:
    """Who a bearer token speaks for: one of ours, or an API token itself. Raises Unauthenticated token-unknown."""
    if token.startswith(PREFIX):
        return Redeemed(actor_by_digest(plane, digest_of(token)))
    raw = plane.tokens.registry.read(token)
    if raw is not None:
        body = json.loads(raw)
        if body["e"] * 1000 > plane.clock.now_ms():
            granted = tuple(Granted(repository, tuple(verbs.split(","))) for repository, verbs in body["a"])
            return Redeemed(actor_by_digest(plane, body["w"]) if not body["s"] else _person(plane, body["w"], body["s"]), granted)
    raise Unauthenticated("token-unknown", "this token is unknown or has expired", remedy="ask for another")


def _person(plane: Plane, user: str, stamp: str) -> Actor:
    now, epoch, key = plane.clock.now_ms(), plane.rights_epoch, (user, stamp)
    held = plane.registry_memo.get(key)
    if held is not None and 0 <= now - held[0] < KEPT_MS:
        return held[1]

    def work(tx: Tx) -> Actor | None:
        found = users.by_id(tx, user)
        fits = found is not None and not found.disabled and not found.removed_ms and found.id != BREAK_GLASS and _stamp(found) == stamp
        return subjects.actor_of(tx, found) if found is not None and fits else None

    actor = plane.db.view(work)
    if actor is None:
        raise Unauthenticated("token-unknown", "the password was changed, or this person may not sign in any more", remedy="sign in again")
    if plane.rights_epoch == epoch:
        plane.registry_memo[key] = (now, actor, stamp)
    return actor
