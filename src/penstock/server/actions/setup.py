"""The first administrator, made with the one-time set-up token that the plane printed when it was made.

Owns that exchange: it works once, and never again after there is a user.
"""

from __future__ import annotations

from penstock.server.actions.attempts import STRANGERS
from penstock.server.actions.context import Plane, note, throttled
from penstock.server.actions.passwords import check_password
from penstock.server.actions.sessions import open_for
from penstock.server.core.breakglass import NAME as BREAK_GLASS
from penstock.server.core.errors import Conflict, Invalid, Limited
from penstock.server.core.model import ADMINISTRATOR, Actor, User, UserId
from penstock.server.core.rights import FLEET, Binding, Part
from penstock.server.core.views import NewSession
from penstock.server.effects.passwords import hash_password
from penstock.server.store import access, settings, users
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

KEY = "setup-token"


def setup_needed(plane: Plane) -> bool:
    """Whether there is nobody yet who could sign in."""
    return plane.db.view(lambda tx: users.count(tx) == 0)


def new_setup_token(plane: Plane) -> str:
    """A fresh set-up token, shown once; an older one is worthless. Raises Conflict once there is a user. For the command line of the plane itself."""

    def work(tx: Tx) -> str:
        if users.count(tx):
            raise Conflict("already-set-up", "there is an administrator already", remedy="sign in, or let an administrator reset the password")
        secret = plane.ids.secret()
        settings.put(tx, KEY, sha256_of(secret.encode("utf-8")))
        return secret

    return plane.db.update(work)


def set_up(plane: Plane, *, token: str, name: str, password: str, address: str = "", agent: str = "") -> NewSession:
    """The first administrator, signed in. Raises Invalid (setup-token-wrong, weak-password), Conflict already-set-up, Limited."""
    wait = throttled(plane, "set-up", 20, 300_000)
    if wait:
        raise Limited("too-many-attempts", "there were too many attempts", retry_s=wait)
    if not 1 <= len(name.strip()) <= 100 or name != name.strip():
        raise Invalid("name-malformed", "a name has 1 to 100 characters and no space at its ends", field="name")
    if name == BREAK_GLASS:
        raise Invalid("name-reserved", f"the name {BREAK_GLASS} is the sealed account's", field="name", remedy="take another one")
    check_password(password)
    with plane.attempts.turn(STRANGERS):
        made = hash_password(password, plane.limits.password_rounds)

    def work(tx: Tx) -> NewSession:
        if users.count(tx):
            raise Conflict("already-set-up", "there is an administrator already", remedy="sign in")
        kept, _ = settings.get(tx, KEY)
        if not kept or kept != sha256_of(token.strip().encode("utf-8")):
            raise Invalid(
                "setup-token-wrong", "this is not the set-up token", field="token", remedy="it was printed once; make a new one with `penstock-server token`"
            )
        user = User(UserId(plane.ids.new("usr")), name, made, plane.clock.now_ms())
        users.add(tx, user)
        access.bind(tx, Binding(plane.ids.new("bnd"), user.id, ADMINISTRATOR, Part(FLEET), "set-up token", "the first administrator", user.created_ms))
        settings.put(tx, KEY, "")
        note(plane, tx, Actor("setup", "setup", "set-up token"), "user.created", user.id, data={"name": name, "role": ADMINISTRATOR})
        return open_for(plane, tx, user, address, agent)

    return plane.db.update(work)
