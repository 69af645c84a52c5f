"""The break-glass account: sealing it, noting that it was used, and acknowledging that.

Owns the record of the seal, which lies among the plane's settings. Sealing is for whoever holds the data folder, so it asks for no actor; signing in is
`sessions`'s.
"""

from __future__ import annotations

from dataclasses import asdict

from penstock.server.actions.context import Plane, note
from penstock.server.core.access import permit
from penstock.server.core.breakglass import ID, NAME, RANDOM_BYTES, ROUNDS, Seal, acknowledged, passphrase, resealed, used
from penstock.server.core.errors import Conflict, Forbidden
from penstock.server.core.events import line
from penstock.server.core.model import Actor, User
from penstock.server.core.rights import Target
from penstock.server.effects.ids import Ids
from penstock.server.effects.passwords import hash_password
from penstock.server.store import api_tokens, events, sessions, settings, users
from penstock.server.store.db import Tx
from penstock.wire.codec import canonical, parse

KEY = "break-glass"


def read(tx: Tx) -> Seal | None:
    """How the seal stands, None where the account was never made."""
    text, _ = settings.get(tx, KEY)
    return Seal(**parse(text.encode("utf-8"))) if text else None


def _keep(tx: Tx, seal: Seal) -> None:
    settings.put(tx, KEY, canonical(asdict(seal)).decode("ascii"))


def seal_anew(tx: Tx, ids: Ids, now_ms: int) -> str:
    """Make the account, or give it another passphrase and end what it had open; the passphrase, shown this once. Raises Conflict where a person has its name."""
    secret = passphrase(bytes.fromhex(ids.secret())[:RANDOM_BYTES])
    made = hash_password(secret, ROUNDS)
    user = users.by_id(tx, ID)
    if user is None:
        if users.by_name(tx, NAME) is not None:
            raise Conflict("name-taken", f"somebody else has the name {NAME}", remedy="rename them first")
        users.add(tx, User(ID, NAME, made, now_ms))
    else:
        users.set_password(tx, user, made)
        sessions.end_others(tx, ID, "")
        api_tokens.revoke_all(tx, ID, now_ms)
    _keep(tx, resealed(read(tx), now_ms))
    events.add(tx, line(Actor("system", "commandline", "penstock-server"), now_ms, "break-glass.sealed", ID))
    return secret


def opened(plane: Plane, tx: Tx, actor: Actor, reason: str, address: str) -> None:
    """Note a use, loudly."""
    now = plane.clock.now_ms()
    _keep(tx, used(read(tx) or Seal(now), now, reason, address))
    note(plane, tx, actor, "break-glass.opened", ID, reason=reason, data={"address": address}, topics=[("fleet", ID)])


def alarm(plane: Plane) -> Seal | None:
    """The seal, while a use of it is still to be seen by everybody."""
    seal = plane.db.view(read)
    return seal if seal is not None and seal.state != "sealed" else None


def get_seal(plane: Plane, actor: Actor) -> Seal | None:
    """How the seal stands."""
    permit(actor, "users.read", Target())
    return plane.db.view(read)


def acknowledge(plane: Plane, actor: Actor) -> Seal:
    """Take note of a use; the account itself cannot. Raises Conflict where there is none to take note of."""
    permit(actor, "users.write", Target())
    if actor.id == ID:
        raise Forbidden("own-use", "whoever broke the glass cannot acknowledge it", remedy="let an administrator do it under their own name")

    def work(tx: Tx) -> Seal:
        seal = read(tx)
        if seal is None or not seal.used_ms or seal.acknowledged_ms:
            raise Conflict("nothing-to-acknowledge", "the break-glass account was not used, or its use is acknowledged already")
        after = acknowledged(seal, plane.clock.now_ms(), actor.name)
        _keep(tx, after)
        note(plane, tx, actor, "break-glass.acknowledged", ID, data={"used_for": seal.reason})
        return after

    return plane.db.update(work)
