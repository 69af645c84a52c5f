"""A person's second factor: set up, confirmed, recovery codes made anew, switched off, reset by an administrator.

Owns these acts. The secret lies in the vault, recovery codes as digests only. Whether a code is right is `core.onetime`'s; asking for it is `sessions`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from penstock.server.actions import accounts, subjects
from penstock.server.actions.attempts import KNOWN, forgive, judging
from penstock.server.actions.context import Plane, note
from penstock.server.actions.passwords import not_sealed, prove_again
from penstock.server.actions.sessions import opened_secret, somebody, use_code, vault_name
from penstock.server.core import onetime
from penstock.server.core.access import permit
from penstock.server.core.errors import Conflict, Unauthenticated
from penstock.server.core.guessing import judged_by
from penstock.server.core.model import Actor
from penstock.server.core.onetime import Factor
from penstock.server.core.rights import Target
from penstock.server.store import second_factors, sessions
from penstock.server.store.db import Tx
from penstock.wire.urls import read_url


@dataclass(frozen=True, slots=True)
class Shown:
    """A secret on its way into an authenticator app: as people type it, and as a QR code says it."""

    secret: str
    address: str


def get_factor(plane: Plane, actor: Actor) -> Factor | None:
    """One's own second factor, confirmed or not."""
    return plane.db.view(lambda tx: second_factors.of_user(tx, actor.id))


def get_factor_of(plane: Plane, actor: Actor, *, user: str) -> Factor | None:
    """Somebody's second factor, confirmed or not, by id or name. Raises Missing."""
    permit(actor, "users.read", Target())
    return plane.db.view(lambda tx: second_factors.of_user(tx, somebody(tx, user).id))


def begin(plane: Plane, actor: Actor, *, password: str) -> Shown:
    """A fresh secret, asked for once a code has confirmed it. Raises Conflict second-factor-on, Unauthenticated wrong-password."""
    user = prove_again(plane, actor, password)
    secret = bytes.fromhex(plane.ids.secret())[: onetime.SECRET_BYTES]

    def work(tx: Tx) -> None:
        before = second_factors.of_user(tx, user.id)
        if before is not None and before.confirmed_ms:
            raise Conflict("second-factor-on", "you have a second factor already", remedy="switch it off first, then set up the other one")
        second_factors.put(tx, Factor(user.id, plane.vault.put(secret, vault_name(user.id)), plane.clock.now_ms()))

    plane.db.update(work)
    return _shown(plane, actor, secret)


def awaiting(plane: Plane, actor: Actor) -> Shown | None:
    """The secret that waits for its first code, None where there is none: a confirmed one is never shown again."""
    factor = get_factor(plane, actor)
    return _shown(plane, actor, opened_secret(plane, factor)) if factor is not None and not factor.confirmed_ms else None


def _shown(plane: Plane, actor: Actor, secret: bytes) -> Shown:
    where = f" {read_url(plane.addresses[0]).host}" if plane.addresses else ""
    return Shown(onetime.secret_text(secret), onetime.address(secret, f"Penstock{where}".replace(":", " "), actor.name))


def _recovery(plane: Plane) -> tuple[str, ...]:
    return tuple(onetime.recovery_code(bytes.fromhex(plane.ids.secret())[:10]) for _ in range(onetime.RECOVERY_CODES))


def confirm(plane: Plane, actor: Actor, *, code: str, keep: str = "") -> tuple[str, ...]:
    """Switch it on with its first code; the recovery codes, shown this once. Every session but `keep` ends. Raises Conflict, Unauthenticated wrong-code."""
    not_sealed(actor)
    codes = _recovery(plane)

    def work(tx: Tx) -> bool:
        factor = second_factors.of_user(tx, actor.id)
        if factor is None or factor.confirmed_ms:
            raise Conflict("nothing-to-confirm", "no second factor waits for its first code", remedy="begin setting one up")
        step = onetime.accepted(opened_secret(plane, factor), code, plane.clock.now_ms(), factor.used)
        if step is None:
            return False
        digests = tuple(onetime.recovery_digest(one) for one in codes)
        second_factors.put(tx, replace(factor, confirmed_ms=plane.clock.now_ms(), used=step, codes=digests))
        sessions.end_others(tx, actor.id, keep)
        note(plane, tx, actor, "user.second-factor-on", actor.id)
        return True

    keys = judged_by("code", actor.id, "", known=True)
    with judging(plane, KNOWN, keys):
        right = plane.db.update(work)
    if not right:
        raise _wrong_code()
    forgive(plane, keys)
    plane.forget()
    return codes


def _wrong_code() -> Unauthenticated:
    return Unauthenticated(
        "wrong-code",
        "the code is wrong, or was used already",
        field="code",
        remedy="wait for the next one; if none is taken, the clock of the phone may be wrong",
    )


def _prove_both(plane: Plane, actor: Actor, password: str, code: str) -> None:
    """Raises unless the password and a code are right; the code is then used up."""
    prove_again(plane, actor, password)
    factor = get_factor(plane, actor)
    if factor is None or not factor.confirmed_ms:
        raise Conflict("no-second-factor", "you have no second factor", remedy="set one up first")
    keys = judged_by("code", actor.id, "", known=True)
    with judging(plane, KNOWN, keys):
        right = use_code(plane, actor.id, code[:100])
    if not right:
        raise _wrong_code()
    forgive(plane, keys)


def renew_codes(plane: Plane, actor: Actor, *, password: str, code: str) -> tuple[str, ...]:
    """Ten new recovery codes, shown this once; the old ones are worthless. Raises Unauthenticated, Conflict, Limited."""
    _prove_both(plane, actor, password, code)
    codes = _recovery(plane)

    def work(tx: Tx) -> None:
        factor = second_factors.of_user(tx, actor.id)
        if factor is None:
            raise Conflict("no-second-factor", "the second factor was switched off meanwhile")
        second_factors.put(tx, replace(factor, codes=tuple(onetime.recovery_digest(one) for one in codes)))
        note(plane, tx, actor, "user.recovery-codes-renewed", actor.id)

    plane.db.update(work)
    return codes


def switch_off(plane: Plane, actor: Actor, *, password: str, code: str, keep: str = "") -> None:
    """The password alone suffices again; every session but `keep` ends. Raises Unauthenticated, Conflict, Limited."""
    _prove_both(plane, actor, password, code)
    _drop(plane, actor, actor.id, keep, "user.second-factor-off", "")


def cancel(plane: Plane, actor: Actor) -> None:
    """Forget a secret that still waits for its first code."""

    def work(tx: Tx) -> None:
        factor = second_factors.of_user(tx, actor.id)
        if factor is not None and not factor.confirmed_ms:
            second_factors.drop(tx, actor.id)

    plane.db.update(work)


def reset(plane: Plane, actor: Actor, *, user: str, reason: str) -> None:
    """Take away somebody else's second factor, lost with a phone for instance; all their sessions end. Raises Missing, Conflict, Forbidden for somebody who
    may more than the actor: with their password, that would be a way in."""
    accounts.permit_people(actor)
    why = accounts.check_reason(reason)

    def whose(tx: Tx) -> str:
        found = accounts.changeable(tx, actor, user)
        if found.id == actor.id:
            raise Conflict(
                "own-second-factor",
                "this is your own second factor",
                remedy="switch it off with your password and a code; where it is lost, another administrator takes it away",
            )
        if second_factors.of_user(tx, found.id) is None:
            raise Conflict("no-second-factor", f"{found.name} has no second factor")
        accounts.check_over(tx, actor, subjects.rights_for(tx, found.id), found.name, "take their second factor away")
        return found.id

    _drop(plane, actor, plane.db.view(whose), "", "user.second-factor-reset", why)


def _drop(plane: Plane, actor: Actor, user: str, keep: str, verb: str, reason: str) -> None:
    def work(tx: Tx) -> None:
        second_factors.drop(tx, user)
        sessions.end_others(tx, user, keep)
        note(plane, tx, actor, verb, user, reason=reason)

    plane.db.update(work)
    plane.forget()
