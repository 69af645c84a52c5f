"""API tokens: a program's key, made by a person, with at most that person's rights."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.actions import sessions, subjects
from penstock.server.actions.context import Plane, note
from penstock.server.actions.passwords import not_sealed
from penstock.server.core.access import require
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.errors import Invalid, Refused, Unauthenticated, missing
from penstock.server.core.model import Actor, ApiToken, User
from penstock.server.store import api_tokens as store
from penstock.server.store import users
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

PREFIX = "pst_"
TOUCH_MS = 300_000
KEPT_MS = 5_000


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; `secret` is shown once."""

    token: ApiToken
    secret: str


def create_token(plane: Plane, actor: Actor, *, name: str, expires_s: int = 90 * 86_400, at_sign_in: bool = False) -> NewToken:
    """A token of the acting person, good for `expires_s` seconds (a minute to two years). The break-glass account gets one at its sign-in and makes none."""
    require(actor, "tokens.own")
    if not at_sign_in:
        not_sealed(actor)
    if not 1 <= len(name) <= 100:
        raise Invalid("name-malformed", "a token's name has 1 to 100 characters", field="name")
    if not 60 <= expires_s <= 2 * 366 * 86_400:
        raise Invalid("expiry-out-of-range", "expires_s is 60 seconds to two years", field="expires_s")

    def work(tx: Tx) -> NewToken:
        secret, now = PREFIX + plane.ids.secret(), plane.clock.now_ms()
        made = ApiToken(plane.ids.new("tok"), actor.id, name, sha256_of(secret.encode("utf-8")), now, now + expires_s * 1000)
        store.add(tx, made)
        note(plane, tx, actor, "token.created", made.id, data={"name": name})
        return NewToken(made, secret)

    return plane.db.update(work)


def list_tokens(plane: Plane, actor: Actor) -> tuple[ApiToken, ...]:
    """One's own tokens, newest first."""
    require(actor, "tokens.own")
    return plane.db.view(lambda tx: store.of_user(tx, actor.id))


def revoke_token(plane: Plane, actor: Actor, *, token: str) -> None:
    """Make one of one's own tokens worthless."""
    require(actor, "tokens.own")

    def work(tx: Tx) -> None:
        if not store.revoke(tx, token, actor.id, plane.clock.now_ms()):
            raise missing("token", token)
        note(plane, tx, actor, "token.revoked", token)

    plane.db.update(work)
    plane.token_memo.clear()


def token_actor(plane: Plane, secret: str) -> Actor:
    """Who a token speaks for. Raises Unauthenticated token-unknown."""
    digest, now = sha256_of(secret.encode("utf-8")), plane.clock.now_ms()

    def read(tx: Tx) -> tuple[ApiToken, User, Actor] | None:
        token = store.by_hash(tx, digest)
        user = users.by_id(tx, token.user) if token is not None else None
        return (token, user, subjects.token_actor(tx, token, user)) if token is not None and user is not None else None

    held = plane.token_memo.get(digest)
    found = held[1:] if held is not None and 0 <= now - held[0] <= KEPT_MS else plane.db.view(read)
    if found is not None:
        token, user, actor = found
        plane.token_memo[digest] = (now if held is None or now - held[0] > KEPT_MS or now < held[0] else held[0], token, user, actor)
        while len(plane.token_memo) > 1000:
            plane.token_memo.popitem(last=False)
        if not token.revoked_ms and token.expires_ms > now and (not user.disabled or user.id == BREAK_GLASS):
            if now - token.used_ms > TOUCH_MS:
                plane.db.update(lambda tx: store.touch(tx, token.id, now))
                plane.token_memo.pop(digest, None)
            return actor
    raise Unauthenticated("token-unknown", "the API token is unknown, revoked or expired", remedy="sign in again, or make a new token")


def registry_actor(plane: Plane, user: str, password: str, address: str = "") -> Actor | None:
    """Who signs in to the image registry: an API token as the password (any user name), or a person's name and password. None for nobody, and for who needs
    more than a password: they use a token."""
    try:
        if password.startswith(PREFIX):
            return token_actor(plane, password)
        held = plane.registry_memo.get((user, sha256_of(password.encode("utf-8"))))
        now = plane.clock.now_ms()
        if held is not None and 0 <= now - held[0] < 300_000:
            return held[1]
        made = sessions.sign_in(plane, name=user, password=password, address=address, agent="image registry")
        actor = plane.db.view(lambda tx: subjects.actor_of(tx, made.user))
        sessions.sign_out(plane, actor, session=made.session.id)
        plane.registry_memo[user, sha256_of(password.encode("utf-8"))] = (now, actor)
        while len(plane.registry_memo) > 1000:
            plane.registry_memo.popitem(last=False)
        return actor
    except Refused:
        return None
