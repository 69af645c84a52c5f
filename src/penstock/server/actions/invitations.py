"""Invitations: how a person gets a password that nobody else ever knew, and a new one when they forgot it.

Owns the one-time code, good for three days, once. Whoever holds it sets the password, so it is made only by somebody who may at least as much.
"""

from __future__ import annotations

from penstock.server.actions import accounts, subjects
from penstock.server.actions.context import Plane, note, throttled
from penstock.server.actions.passwords import check_password
from penstock.server.core.errors import Conflict, Invalid, Limited
from penstock.server.core.model import PERSON, Actor, Invitation, User
from penstock.server.core.peopleviews import NewInvitation
from penstock.server.effects.passwords import hash_password
from penstock.server.store import invitations as store
from penstock.server.store import sessions, users
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

VALID_MS = 72 * 3_600_000
CODE_DIGITS, CODE_GROUP = 20, 5  # 80 bits, short enough to be read out
TRIES, TRIES_MS = 20, 300_000  # wrong codes per address; and ten times as many from everywhere


def _plain(code: str) -> str:
    return "".join(code.lower().split()).replace("-", "")


def _digest(code: str) -> str:
    return sha256_of(_plain(code).encode("utf-8"))


def invite(plane: Plane, actor: Actor, *, user: str, reason: str = "") -> NewInvitation:
    """A fresh code for a person to set their own password with; an older one is worthless. Raises Forbidden for somebody who may more than the actor."""
    accounts.permit_people(actor)
    why = accounts.check_reason(reason)

    def work(tx: Tx) -> NewInvitation:
        found = accounts.changeable(tx, actor, user)
        if found.kind != PERSON:
            raise Conflict("not-a-person", f"{found.name} is a service account, which has tokens only", field="user", remedy="make a token for it")
        if found.disabled:
            raise Conflict("user-disabled", f"{found.name} is disabled", field="user", remedy="enable them first")
        accounts.check_over(tx, actor, subjects.rights_for(tx, found.id), found.name, "set them a new password")
        before = store.of_user(tx, found.id)
        made = issue(plane, tx, actor, found, first=before is not None and before.first)
        note(plane, tx, actor, "user.invited", found.id, reason=why, data={"name": found.name})
        return made

    return plane.db.update(work)


def issue(plane: Plane, tx: Tx, actor: Actor, user: User, *, first: bool) -> NewInvitation:
    """A fresh code, in place of any older one. `first`: this person has never had a password of their own."""
    digits, now = plane.ids.secret()[:CODE_DIGITS], plane.clock.now_ms()
    code = "-".join(digits[at : at + CODE_GROUP] for at in range(0, CODE_DIGITS, CODE_GROUP))
    store.put(tx, Invitation(user.id, _digest(code), first, now, now + VALID_MS, actor.name))
    return NewInvitation(user, code, now + VALID_MS)


def look(plane: Plane, *, code: str, address: str = "") -> User:
    """Whom a code invites. Raises Invalid invitation-unknown, Limited."""
    _throttle(plane, address)
    return plane.db.view(lambda tx: _invited(plane, tx, code)[0])


def accept(plane: Plane, *, code: str, password: str, title: str = "", address: str = "") -> User:
    """Set one's own password with a code: it is spent, and every older session ends. Raises Invalid (invitation-unknown, weak-password), Limited."""
    _throttle(plane, address)
    check_password(password)
    called = accounts.check_title(title)
    made = hash_password(password, plane.limits.password_rounds)

    def work(tx: Tx) -> User:
        found, _ = _invited(plane, tx, code)
        users.change(tx, found, found.revision, password=made, title=called or found.title)
        sessions.end_others(tx, found.id, "")
        store.drop(tx, found.id)
        note(plane, tx, Actor("user", found.id, found.name), "user.password-set", found.id, reason="by invitation", data={"name": found.name})
        fresh = users.by_id(tx, found.id)
        assert fresh is not None
        return fresh

    found = plane.db.update(work)
    plane.forget()
    return found


def _throttle(plane: Plane, address: str) -> None:
    for key, most in ((f"invitation address {address}", TRIES), ("invitation", TRIES * 10)):
        wait = throttled(plane, key, most, TRIES_MS)
        if wait:
            raise Limited("too-many-attempts", "there were too many attempts", retry_s=wait, remedy=f"try again in {wait} seconds")


def _invited(plane: Plane, tx: Tx, code: str) -> tuple[User, Invitation]:
    found = store.by_hash(tx, _digest(code))
    user = users.by_id(tx, found.user) if found is not None else None
    if found is None or user is None or user.disabled or found.expires_ms <= plane.clock.now_ms():
        raise Invalid(
            "invitation-unknown",
            "this invitation is unknown, used or older than three days",
            field="code",
            remedy="ask whoever invited you for a new one; the newest is the only one that works",
        )
    return user, found
