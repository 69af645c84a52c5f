"""Signing in and out, and the sessions that stand open.

Owns the steps of signing in: the password, then what is still missing (a one-time code, the reason for breaking the glass), then a session with a fresh secret.
Secrets are 256-bit random and only their digest is kept; a wrong name costs the same time as a wrong password. What a signed-in person may do is
`core.access`'s; how guessing is slowed down is `attempts`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.actions import breakglass
from penstock.server.actions.attempts import KNOWN, SEALED, STRANGERS, forgive, judging
from penstock.server.actions.context import Plane, note
from penstock.server.actions.subjects import actor_of
from penstock.server.core.access import permit
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.breakglass import LEAST_REASON, ROUNDS, SESSION_MS, as_made
from penstock.server.core.breakglass import NAME as GLASS_NAME
from penstock.server.core.errors import Invalid, Unauthenticated, missing
from penstock.server.core.guessing import Rule, judged_by, near
from penstock.server.core.model import Actor, Session, User
from penstock.server.core.onetime import Factor, judged
from penstock.server.core.rights import Target
from penstock.server.core.sessions import ends_ms
from penstock.server.core.views import NewSession, SignedIn
from penstock.server.effects.passwords import hash_password, outdated, password_fits
from penstock.server.store import known_addresses, second_factors, users
from penstock.server.store import sessions as store
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

TOUCH_MS = 60_000  # how often the last use is written
KEPT_MS = 5_000  # how long a verdict on a session is believed without asking the store
ADDRESSES = 20  # known ones for each person
HALFWAY_MS, HALFWAY_TRIES, HALFWAY = 300_000, 5, 1000  # between password and code: how long, how many codes, how many people
NEEDED = ("second-factor-needed", "reason-needed")  # the password was right, and something is missing
LONGEST_PASSWORD = 1000


@dataclass(frozen=True, slots=True)
class Halfway:
    """Somebody whose password was right and whose code is awaited."""

    user: User
    until_ms: int
    tries: int = HALFWAY_TRIES


def _digest(secret: str) -> str:
    return sha256_of(secret.encode("utf-8"))


def _wrong() -> Unauthenticated:
    return Unauthenticated("wrong-credentials", "the name or the password is wrong", remedy="try again; passwords are case-sensitive")


# --- the steps of signing in ----------------------------------------------------------------------------------------------


def prove(plane: Plane, *, name: str, password: str, address: str = "") -> User:
    """Whose name and password these are. Raises Unauthenticated wrong-credentials, Limited too-many-attempts, Unavailable too-busy."""

    def look(tx: Tx) -> tuple[User | None, bool]:
        found = users.by_name(tx, name)
        return found, found is not None and known_addresses.holds(tx, found.id, near(address))

    user, known = plane.db.view(look)
    rounds, given = plane.limits.password_rounds, password[:LONGEST_PASSWORD]
    keys: tuple[tuple[str, Rule], ...] = ()
    if user.id == BREAK_GLASS if user is not None else name == GLASS_NAME:
        # 150 random bits: nobody guesses them, so others' wrong attempts may not count, and a costly digest would only let them take its turns.
        # The same where it was never sealed, so that the answer tells nobody whether it was.
        lane, cost, given = SEALED, ROUNDS, as_made(given)
    else:
        keys, lane, cost = judged_by("password", name, address, known=known), KNOWN if known else STRANGERS, rounds
    with judging(plane, lane, keys):
        fits = password_fits(given, user.password if user is not None else "", cost)
        able = user is not None and fits and not user.disabled
        better = hash_password(given, rounds) if able and user is not None and lane != SEALED and outdated(user.password, rounds) else ""
    if user is None or not fits or (user.disabled and user.id != BREAK_GLASS):
        _refused(plane, name, user.id if user else "", "wrong name or password", address)
        raise _wrong()
    if keys:
        forgive(plane, keys)
    return _with_password(plane, user, better) if better else user


def _with_password(plane: Plane, user: User, made: str) -> User:
    """The user with the same password kept by more rounds; as they are now where it was changed meanwhile."""

    def work(tx: Tx) -> User:
        now = users.by_id(tx, user.id)
        if now is not None and now.password == user.password:
            users.set_password(tx, now, made)
            now = users.by_id(tx, user.id)
        return now or user

    return plane.db.update(work)


def _refused(plane: Plane, name: str, user: str, why: str, address: str) -> None:
    """Onto the record, unless there are so many that only their number goes there."""
    left_out = plane.attempts.recorded(plane.clock.mono_ms())
    if left_out is None:
        return
    data = {"address": address, **({"not_recorded_before": str(left_out)} if left_out else {})}
    nobody = Actor("nobody", "", "".join(one if one.isprintable() else "?" for one in name[:100]))
    plane.db.update(lambda tx: note(plane, tx, nobody, "user.sign-in-refused", user, outcome="refused", reason=why, data=data))


def complete(plane: Plane, user: User, *, code: str = "", reason: str = "", address: str = "", agent: str = "", instead: str = "") -> NewSession:
    """A session for somebody proven. `instead`: the secret of a session that this one takes the place of. Raises Unauthenticated second-factor-needed,
    reason-needed and wrong-code, Invalid reason-too-short, Limited."""
    factor = plane.db.view(lambda tx: second_factors.of_user(tx, user.id))
    if user.id == BREAK_GLASS:
        _check_reason(reason.strip())
    elif factor is not None and factor.confirmed_ms:
        if not code.strip():
            raise Unauthenticated(
                NEEDED[0], "this account has a second factor", field="code", remedy="give the six digits your authenticator app shows, or a recovery code"
            )
        _check_code(plane, user, code[:100], address)

    def work(tx: Tx) -> NewSession:
        now = users.by_id(tx, user.id)
        if now is None or now.password != user.password or (now.disabled and now.id != BREAK_GLASS):
            raise _wrong()  # since the password was judged
        if instead:
            before = store.by_hash(tx, _digest(instead))
            if before is not None and before.user == user.id:
                store.end(tx, before.id)
        actor, made = actor_of(tx, now), open_for(plane, tx, now, address, agent)
        if user.id == BREAK_GLASS:
            breakglass.opened(plane, tx, actor, reason.strip(), address)
        data = {"address": address, **({"second_factor": "yes"} if factor is not None and factor.confirmed_ms else {})}
        note(plane, tx, actor, "user.signed-in", user.id, reason=reason.strip() if user.id == BREAK_GLASS else "", data=data)
        return made

    made = plane.db.update(work)
    if instead:
        plane.forget()
    return made


def _check_reason(reason: str) -> None:
    if not reason:
        raise Unauthenticated(NEEDED[1], "breaking the glass needs a reason", field="reason", remedy="say why; everybody will read it")
    if len(reason) < LEAST_REASON or len(reason) > 500:
        raise Invalid("reason-too-short", f"the reason has {LEAST_REASON} to 500 characters", field="reason", remedy="say what happened, in a sentence")


def _check_code(plane: Plane, user: User, code: str, address: str) -> None:
    """Use up a code. Raises Unauthenticated wrong-code, Limited. A code counts as used even where the session is then refused."""
    known = plane.db.view(lambda tx: known_addresses.holds(tx, user.id, near(address)))
    keys = judged_by("code", user.id, address, known=known)
    with judging(plane, KNOWN if known else STRANGERS, keys):
        right = use_code(plane, user.id, code)
    if not right:
        _refused(plane, user.name, user.id, "wrong code", address)
        raise Unauthenticated(
            "wrong-code",
            "the code is wrong, or was used already",
            field="code",
            remedy="wait for the next one; if none is taken, the clock of the phone may be wrong",
        )
    forgive(plane, keys)


def use_code(plane: Plane, user: str, code: str) -> bool:
    """Use up one of a person's codes, if it is one; whether it was."""

    def work(tx: Tx) -> bool:
        factor = second_factors.of_user(tx, user)
        after = judged(factor, opened_secret(plane, factor), code, plane.clock.now_ms()) if factor is not None else None
        if factor is None or after is None:
            return False
        second_factors.put(tx, after)
        if len(after.codes) < len(factor.codes):
            note(plane, tx, Actor("user", user, ""), "user.recovery-code-used", user, data={"left": str(len(after.codes))})
        return True

    return plane.db.update(work)


def opened_secret(plane: Plane, factor: Factor) -> bytes:
    """A factor's secret, out of the vault. Raises VaultFault."""
    return plane.vault.open(factor.secret, vault_name(factor.user))


def vault_name(user: str) -> bytes:
    """What the secret of a person's second factor is bound to in the vault."""
    return f"second factor of {user}".encode()


def sign_in(plane: Plane, *, name: str, password: str, code: str = "", reason: str = "", address: str = "", agent: str = "") -> NewSession:
    """All steps at once. Raises what `prove` and `complete` raise."""
    return complete(plane, prove(plane, name=name, password=password, address=address), code=code, reason=reason, address=address, agent=agent)


def open_for(plane: Plane, tx: Tx, user: User, address: str, agent: str) -> NewSession:
    """A new session for a person whose identity is proven, always with a fresh secret."""
    secret, now = plane.ids.secret(), plane.clock.now_ms()
    life_ms = SESSION_MS if user.id == BREAK_GLASS else plane.session_total_s * 1000
    made = Session(plane.ids.new("ses"), user.id, _digest(secret), plane.ids.secret(), now, now, now + life_ms, address[:100], agent[:300])
    store.add(tx, made)
    if address and user.id != BREAK_GLASS:
        known_addresses.put(tx, user.id, near(address), now, ADDRESSES)
    return NewSession(made, secret, user)


# --- between the password and the code ------------------------------------------------------------------------------------


def wait_for_code(plane: Plane, user: User) -> str:
    """Remember for a few minutes that somebody's password was right; a ticket to go on with. In memory: a restart asks for the password again."""
    ticket, now = plane.ids.secret(), plane.clock.mono_ms()
    plane.halfway[_digest(ticket)] = Halfway(user, now + HALFWAY_MS)
    while len(plane.halfway) > HALFWAY:
        plane.halfway.popitem(last=False)
    return ticket


def resume(plane: Plane, ticket: str) -> User:
    """Whose ticket this is; each asking uses up one of its tries. Raises Unauthenticated sign-in-again."""
    held = plane.halfway.pop(_digest(ticket), None)
    if held is None or held.until_ms <= plane.clock.mono_ms():
        raise Unauthenticated("sign-in-again", "this took too long, or too many codes were wrong", remedy="give your name and password again")
    if held.tries > 1:
        plane.halfway[_digest(ticket)] = Halfway(held.user, held.until_ms, held.tries - 1)
    return held.user  # type: ignore[no-any-return]


# --- sessions -------------------------------------------------------------------------------------------------------------


def who(plane: Plane, secret: str) -> SignedIn:
    """Whose session this is. Raises Unauthenticated session-expired."""
    digest, now, turn = _digest(secret), plane.clock.now_ms(), plane.rights_epoch

    def read(tx: Tx) -> tuple[Session, User, Actor] | None:
        session = store.by_hash(tx, digest)
        user = users.by_id(tx, session.user) if session is not None else None
        return (session, user, actor_of(tx, user)) if session is not None and user is not None else None

    held = plane.session_memo.get(digest)
    if held is None or now - held[0] > KEPT_MS or now < held[0]:
        found = plane.db.view(read)
        if found is None:
            plane.session_memo.pop(digest, None)
        elif turn == plane.rights_epoch:
            plane.session_memo[digest] = (now, *found)
            while len(plane.session_memo) > 1000:
                plane.session_memo.popitem(last=False)
    else:
        found = held[1:]
    if found is not None:
        session, user, actor = found
        if ends_ms(session, plane.session_idle_s, plane.session_total_s) > now and (not user.disabled or user.id == BREAK_GLASS):
            if now - session.seen_ms > TOUCH_MS:
                plane.db.update(lambda tx: store.touch(tx, session.id, now))
                plane.session_memo.pop(digest, None)
            return SignedIn(actor, session, user)
    raise Unauthenticated("session-expired", "you are not signed in, or your session has ended", remedy="sign in again")


def _standing(plane: Plane, found: tuple[Session, ...]) -> tuple[Session, ...]:
    now = plane.clock.now_ms()
    return tuple(one for one in found if ends_ms(one, plane.session_idle_s, plane.session_total_s) > now)


def list_sessions(plane: Plane, actor: Actor) -> tuple[Session, ...]:
    """One's own sessions that have not ended, newest first."""
    return _standing(plane, plane.db.view(lambda tx: store.of_user(tx, actor.id)))


def list_sessions_of(plane: Plane, actor: Actor, *, user: str) -> tuple[Session, ...]:
    """The sessions of somebody, by id or name. Raises Missing."""
    permit(actor, "users.read", Target())
    return _standing(plane, plane.db.view(lambda tx: store.of_user(tx, somebody(tx, user).id)))


def somebody(tx: Tx, user: str) -> User:
    """The person of that id or name. Raises Missing."""
    found = users.by_id(tx, user) or users.by_name(tx, user)
    if found is None:
        raise missing("user", user)
    return found


def sign_out(plane: Plane, actor: Actor, *, session: str) -> None:
    """End one of one's own sessions. Raises Missing."""

    def work(tx: Tx) -> None:
        if session not in {one.id for one in store.of_user(tx, actor.id)}:
            raise missing("session", session)
        store.end(tx, session)
        note(plane, tx, actor, "user.signed-out", actor.id, data={"session": session})

    plane.db.update(work)
    plane.forget()


def sign_out_others(plane: Plane, actor: Actor, *, keep: str = "") -> int:
    """End all of one's own sessions but `keep`; how many."""

    def work(tx: Tx) -> int:
        ended = sum(one.id != keep for one in store.of_user(tx, actor.id))
        store.end_others(tx, actor.id, keep)
        note(plane, tx, actor, "user.signed-out", actor.id, data={"sessions": str(ended)})
        return ended

    ended = plane.db.update(work)
    plane.forget()
    return ended


def end_sessions_of(plane: Plane, actor: Actor, *, user: str, session: str = "") -> int:
    """End one session of somebody, or all; how many. Raises Missing."""
    permit(actor, "users.write", Target())

    def work(tx: Tx) -> int:
        whose = somebody(tx, user)
        ended = [one.id for one in store.of_user(tx, whose.id) if session in ("", one.id)]
        if session and not ended:
            raise missing("session", session)
        for one in ended:
            store.end(tx, one)
        note(plane, tx, actor, "user.sessions-ended", whose.id, data={"sessions": str(len(ended))})
        return len(ended)

    ended = plane.db.update(work)
    plane.forget()
    return ended
