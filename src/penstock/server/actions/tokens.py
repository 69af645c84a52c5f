"""API tokens: a program's key, made by a person, with at most that person's rights; or a service account's, with at most its own and its maker's."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.actions import accounts, bindings, places, subjects
from penstock.server.actions.context import Plane, note
from penstock.server.actions.passwords import not_sealed
from penstock.server.core.access import require
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.errors import Forbidden, Invalid, Unauthenticated, missing
from penstock.server.core.model import SERVICE, Actor, ApiToken, User
from penstock.server.core.peopleviews import Place
from penstock.server.core.rights import FLEET, Part, beyond
from penstock.server.store import api_tokens as store
from penstock.server.store import parts, users
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

PREFIX = "pst_"
TOUCH_MS = 300_000
KEPT_MS = 5_000


MOST_ONLY = 20


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token and the roles and parts it is narrowed to."""

    token: ApiToken
    only: tuple[tuple[str, Place], ...] = ()


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; `secret` is shown once."""

    token: ApiToken
    secret: str


Only = tuple[tuple[str, str], ...]  # what a token is narrowed to: (role, part as typed) each


def create_token(plane: Plane, actor: Actor, *, name: str, expires_s: int = 90 * 86_400, only: Only = (), user: str = "", at_sign_in: bool = False) -> NewToken:
    """A token, good for `expires_s` seconds (a minute to two years): of the acting person, or of a service account (`user`) by who looks after people.

    `only` narrows it. The break-glass account gets one at its sign-in and makes none. Raises Forbidden for a narrowed token that would make another, and for a service account's that may more than the actor."""
    require(actor, "tokens.own")
    if not at_sign_in:
        not_sealed(actor)
    if not 1 <= len(name) <= 100:
        raise Invalid("name-malformed", "a token's name has 1 to 100 characters", field="name")
    if not 60 <= expires_s <= 2 * 366 * 86_400:
        raise Invalid("expiry-out-of-range", "expires_s is 60 seconds to two years", field="expires_s")
    if len(only) > MOST_ONLY:
        raise Invalid("token-too-narrow", f"a token is narrowed to at most {MOST_ONLY} roles on parts of the fleet", field="only")
    if actor.rights.within is not None:
        raise Forbidden("token-narrowed", "a token that is narrower than its owner makes no tokens", remedy="sign in as the owner")

    def work(tx: Tx) -> NewToken:
        owner = _owner(tx, actor, user)
        narrowed = tuple(_narrowed(tx, actor, role, on) for role, on in only)
        secret, now = PREFIX + plane.ids.secret(), plane.clock.now_ms()
        made = ApiToken(plane.ids.new("tok"), owner, name, digest_of(secret), now, now + expires_s * 1000, only=narrowed)
        if owner != actor.id:
            _check_within(tx, actor, made, user)
        store.add(tx, made)
        note(plane, tx, actor, "token.created", made.id, data={"name": name, "owner": owner, "only": ", ".join(f"{role} on {on}" for role, on in only)})
        return NewToken(made, secret)

    return plane.db.update(work)


def _owner(tx: Tx, actor: Actor, user: str) -> str:
    """Whose tokens: one's own, or with the right a service account's."""
    if not user or user in (actor.id, actor.name):
        return actor.id
    accounts.permit_people(actor)
    found = accounts.user(tx, actor, user)
    if found.kind != SERVICE:
        raise Forbidden(
            "not-a-service", f"{found.name} is a person: their tokens are theirs to make", field="user", remedy="make a service account for a program"
        )
    return found.id


def _narrowed(tx: Tx, actor: Actor, role: str, on: str) -> tuple[str, str, str]:
    kind, _ = places.read(on, "only")
    seen = ("access.read", "tokens.own", f"{kind}s.read") if kind != FLEET else ("tokens.own",)
    part = Part(FLEET) if kind == FLEET else places.find(tx, actor, on, *seen, field="only").part
    return bindings.role(tx, role, "only").name, part.kind, part.id


def _check_within(tx: Tx, actor: Actor, made: ApiToken, name: str) -> None:
    """A service account's token may at most what its maker may: the account as a whole, or else what the token is narrowed to."""
    of_account = subjects.rights_for(tx, made.user)
    if made.only:
        narrow = subjects.narrowed(made, of_account)
        if not beyond(actor.rights, narrow, parts.targets(tx, {part for held in narrow.by_verb.values() for part in held})):
            return
    accounts.check_over(tx, actor, of_account, name, "make it a token" if not made.only else "make it this token")


def list_tokens(plane: Plane, actor: Actor, *, user: str = "") -> tuple[TokenView, ...]:
    """One's own tokens (or a service account's), newest first."""
    require(actor, "tokens.own")

    def work(tx: Tx) -> tuple[TokenView, ...]:
        found = store.of_user(tx, _owner(tx, actor, user))
        named = places.of(tx, {Part(kind, part) for token in found for _, kind, part in token.only})
        return tuple(TokenView(token, tuple((role, named[Part(kind, part)]) for role, kind, part in token.only)) for token in found)

    return plane.db.view(work)


def revoke_token(plane: Plane, actor: Actor, *, token: str, user: str = "") -> None:
    """Make one of one's own tokens (or a service account's) worthless, at once."""
    require(actor, "tokens.own")

    def work(tx: Tx) -> None:
        if not store.revoke(tx, token, _owner(tx, actor, user), plane.clock.now_ms()):
            raise missing("token", token)
        note(plane, tx, actor, "token.revoked", token)

    plane.db.update(work)
    plane.forget()


def digest_of(secret: str) -> str:
    """What is kept of a token."""
    return sha256_of(secret.encode("utf-8"))


def token_actor(plane: Plane, secret: str) -> Actor:
    """Who a token speaks for. Raises Unauthenticated token-unknown."""
    return actor_by_digest(plane, digest_of(secret))


def actor_by_digest(plane: Plane, digest: str) -> Actor:
    """Who the token speaks for that has this digest. Raises Unauthenticated token-unknown."""
    now = plane.clock.now_ms()

    def read(tx: Tx) -> tuple[ApiToken, User, Actor] | None:
        token = store.by_hash(tx, digest)
        user = users.by_id(tx, token.user) if token is not None else None
        return (token, user, subjects.token_actor(tx, token, user)) if token is not None and user is not None else None

    epoch = plane.rights_epoch
    held = plane.token_memo.get(digest)
    found = held[1:] if held is not None and 0 <= now - held[0] <= KEPT_MS else plane.db.view(read)
    if found is not None:
        token, user, actor = found
        if plane.rights_epoch == epoch:  # what was read before a change is not kept after it
            plane.token_memo[digest] = (now if held is None or now - held[0] > KEPT_MS or now < held[0] else held[0], token, user, actor)
        while len(plane.token_memo) > 1000:
            plane.token_memo.popitem(last=False)
        if not token.revoked_ms and token.expires_ms > now and (not user.disabled or user.id == BREAK_GLASS):
            if now - token.used_ms > TOUCH_MS:
                plane.db.update(lambda tx: store.touch(tx, token.id, now))
                plane.token_memo.pop(digest, None)
            return actor
    raise Unauthenticated("token-unknown", "the API token is unknown, revoked or expired", remedy="sign in again, or make a new token")
