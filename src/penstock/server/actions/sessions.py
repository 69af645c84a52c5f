"""Signing in and out: people's sessions and passwords.

Owns the rules of both. Secrets are 256-bit random and only their digest is kept; a wrong name costs the same time as a wrong password. What a
signed-in person may do is `core.access`'s.
"""

from __future__ import annotations

from penstock.server.actions.context import Plane, note, throttled
from penstock.server.actions.subjects import actor_of
from penstock.server.core.errors import Invalid, Limited, Unauthenticated, missing
from penstock.server.core.model import Actor, Session, User
from penstock.server.core.views import NewSession, SignedIn
from penstock.server.effects.passwords import hash_password, outdated, password_fits
from penstock.server.store import sessions as store
from penstock.server.store import users
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

TRIES, TRIES_MS = 10, 300_000  # wrong passwords per name and per address
TOUCH_MS = 60_000  # how often the last use is written
LEAST_PASSWORD = 12
KEPT_MS = 5_000  # how long a verdict on a session is believed without asking the store


def check_password(password: str) -> None:
    """Raises Invalid for a password that is too easy to try."""
    if not LEAST_PASSWORD <= len(password) <= 1000:
        raise Invalid("weak-password", f"a password has {LEAST_PASSWORD} to 1000 characters", field="password", remedy="use a sentence")
    if len(set(password)) < 5:
        raise Invalid("weak-password", "the password repeats too few characters", field="password", remedy="use a sentence")


def _digest(secret: str) -> str:
    return sha256_of(secret.encode("utf-8"))


def open_for(plane: Plane, tx: Tx, user: User, address: str, agent: str) -> NewSession:
    """A new session for a person whose identity is proven."""
    secret, now = plane.ids.secret(), plane.clock.now_ms()
    made = Session(
        plane.ids.new("ses"), user.id, _digest(secret), plane.ids.secret(), now, now, now + plane.limits.session_total_ms, address[:100], agent[:300]
    )
    store.add(tx, made)
    return NewSession(made, secret, user)


def sign_in(plane: Plane, *, name: str, password: str, address: str = "", agent: str = "") -> NewSession:
    """A session for the right name and password. Raises Unauthenticated, and Limited after too many wrong ones."""
    for key in (f"sign-in name {name[:100]}", f"sign-in address {address}"):
        wait = throttled(plane, key, TRIES, TRIES_MS)
        if wait:
            raise Limited("too-many-attempts", "there were too many attempts to sign in", retry_s=wait, remedy=f"try again in {wait} seconds")
    user = plane.db.view(lambda tx: users.by_name(tx, name))
    rounds = plane.limits.password_rounds
    # Somebody unknown costs the same time, so that names cannot be found out.
    kept = user.password if user is not None else hash_password("nobody", rounds)
    fits = password_fits(password[:1000], kept)
    if user is None or not fits or user.disabled:

        def refused(tx: Tx) -> None:
            nobody = Actor("nobody", "", name[:100])
            note(
                plane,
                tx,
                nobody,
                "user.sign-in-refused",
                user.id if user else "",
                outcome="refused",
                reason="wrong name or password",
                data={"address": address},
            )

        plane.db.update(refused)
        raise Unauthenticated("wrong-credentials", "the name or the password is wrong", remedy="try again; passwords are case-sensitive")
    for key in (f"sign-in name {name[:100]}", f"sign-in address {address}"):
        plane.throttle.pop(key, None)

    def work(tx: Tx) -> NewSession:
        if outdated(kept, rounds):
            users.set_password(tx, user, hash_password(password, rounds))
        made = open_for(plane, tx, user, address, agent)
        note(plane, tx, actor_of(tx, user), "user.signed-in", user.id, data={"address": address})
        return made

    return plane.db.update(work)


def who(plane: Plane, secret: str) -> SignedIn:
    """Whose session this is. Raises Unauthenticated session-expired."""
    digest, now = _digest(secret), plane.clock.now_ms()

    def read(tx: Tx) -> tuple[Session, User, Actor] | None:
        session = store.by_hash(tx, digest)
        user = users.by_id(tx, session.user) if session is not None else None
        return (session, user, actor_of(tx, user)) if session is not None and user is not None else None

    held = plane.session_memo.get(digest)
    if held is None or now - held[0] > KEPT_MS or now < held[0]:
        found = plane.db.view(read)
        if found is None:
            plane.session_memo.pop(digest, None)
        else:
            plane.session_memo[digest] = (now, *found)
            while len(plane.session_memo) > 1000:
                plane.session_memo.popitem(last=False)
    else:
        found = held[1:]
    if found is not None:
        session, user, actor = found
        if session.expires_ms > now and now - session.seen_ms < plane.limits.session_idle_ms and not user.disabled:
            if now - session.seen_ms > TOUCH_MS:
                plane.db.update(lambda tx: store.touch(tx, session.id, now))
                plane.session_memo.pop(digest, None)
            return SignedIn(actor, session, user)
    raise Unauthenticated("session-expired", "you are not signed in, or your session has ended", remedy="sign in again")


def sign_out(plane: Plane, actor: Actor, *, session: str) -> None:
    """End one of one's own sessions."""

    def work(tx: Tx) -> None:
        mine = {one.id: one for one in store.of_user(tx, actor.id)}
        if session not in mine:
            raise missing("session", session)
        store.end(tx, session)
        note(plane, tx, actor, "user.signed-out", actor.id)

    plane.db.update(work)
    plane.session_memo.clear()
    plane.registry_memo.clear()  # the old password opens the registry no longer either


def list_sessions(plane: Plane, actor: Actor) -> tuple[Session, ...]:
    """One's own sessions, newest first."""
    return plane.db.view(lambda tx: store.of_user(tx, actor.id))


def change_password(plane: Plane, actor: Actor, *, old: str, new: str, keep: str = "") -> None:
    """Another password; every session but `keep` ends. Raises Unauthenticated for a wrong old one."""
    wait = throttled(plane, f"password {actor.id}", TRIES, TRIES_MS)
    if wait:
        raise Limited("too-many-attempts", "there were too many attempts", retry_s=wait)
    check_password(new)
    user = plane.db.view(lambda tx: users.by_id(tx, actor.id))
    if user is None or not password_fits(old[:1000], user.password):
        raise Unauthenticated("wrong-credentials", "the present password is wrong")
    made = hash_password(new, plane.limits.password_rounds)

    def work(tx: Tx) -> None:
        users.set_password(tx, user, made)
        store.end_others(tx, user.id, keep)
        note(plane, tx, actor, "user.password-changed", actor.id)

    plane.db.update(work)
    plane.session_memo.clear()
