"""A person's password: what it must be, proving it once more, and another one.

Owns the rules of passwords. The digest is `effects.passwords`'s; signing in is `sessions`'s.
"""

from __future__ import annotations

from penstock.server.actions.attempts import KNOWN, forgive, judging
from penstock.server.actions.context import Plane, note
from penstock.server.actions.sessions import LONGEST_PASSWORD, forget_verdicts
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.errors import Conflict, Invalid, Unauthenticated
from penstock.server.core.guessing import judged_by
from penstock.server.core.model import Actor, User
from penstock.server.effects.passwords import hash_password, password_fits
from penstock.server.store import sessions, users
from penstock.server.store.db import Tx

LEAST = 12


def check_password(password: str) -> None:
    """Raises Invalid for a password that is too easy to try."""
    if not LEAST <= len(password) <= LONGEST_PASSWORD:
        raise Invalid("weak-password", f"a password has {LEAST} to {LONGEST_PASSWORD} characters", field="password", remedy="use a sentence")
    if len(set(password)) < 5:
        raise Invalid("weak-password", "the password repeats too few characters", field="password", remedy="use a sentence")


def not_sealed(actor: Actor) -> None:
    """Raises Conflict for the break-glass account, which has its passphrase and nothing else."""
    if actor.id == BREAK_GLASS:
        raise Conflict(
            "sealed-account",
            "the break-glass account has its sealed passphrase and nothing else",
            remedy="seal it anew on the machine of the control plane: penstock-server break-glass seal",
        )


def prove_again(plane: Plane, actor: Actor, password: str) -> User:
    """The signed-in person, if this is their password. Raises Unauthenticated wrong-password, Limited, Unavailable, Conflict sealed-account."""
    not_sealed(actor)
    user = plane.db.view(lambda tx: users.by_id(tx, actor.id))
    keys = judged_by("own-password", actor.id, "", known=True)
    with judging(plane, KNOWN, keys):
        fits = password_fits(password[:LONGEST_PASSWORD], user.password if user is not None else "", plane.limits.password_rounds)
    if user is None or not fits:
        raise Unauthenticated("wrong-password", "the present password is wrong", field="password", remedy="try again; passwords are case-sensitive")
    forgive(plane, keys)
    return user


def change_password(plane: Plane, actor: Actor, *, old: str, new: str, keep: str = "") -> None:
    """Another password; every session but `keep` ends. Raises Invalid weak-password, and what `prove_again` raises."""
    check_password(new)
    user = prove_again(plane, actor, old)
    with plane.attempts.turn(KNOWN):
        made = hash_password(new, plane.limits.password_rounds)

    def work(tx: Tx) -> None:
        users.set_password(tx, user, made)
        sessions.end_others(tx, user.id, keep)
        note(plane, tx, actor, "user.password-changed", actor.id)

    plane.db.update(work)
    forget_verdicts(plane)
