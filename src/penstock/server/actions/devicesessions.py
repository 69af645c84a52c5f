"""Sessions of devices: a signed request in, a short-lived bearer token out.

Owns that exchange and the reading of tokens on the hot path. A token only says who asks; it is bound to the device's key epoch, so that
replacing a key kills every token made before. Never touches the store for a poll.
"""

from __future__ import annotations

from penstock.server.actions.context import Plane
from penstock.server.actions.reports import author_of
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Unauthenticated
from penstock.server.core.model import ACTIVE, QUARANTINED
from penstock.server.effects.fleetcache import Entry
from penstock.wire.codec import WireError, decode, encode
from penstock.wire.envelope import open_unverified
from penstock.wire.messages import SessionReply, SessionRequest
from penstock.wire.trust import Refusal, accept_session
from penstock.wire.version import WIRE

MAX_NONCES = 100_000


def open_session(plane: Plane, raw: bytes) -> bytes:
    """The encoded SessionReply to a signed SessionRequest. Raises Unauthenticated, Forbidden, Conflict (a repeated request), Invalid."""
    try:
        _, payload = open_unverified(raw, 65536)
        device = decode(SessionRequest, payload, 65536).device
    except WireError as fault:
        raise Invalid("session-malformed", str(fault), field=fault.path) from None
    entry = plane.fleet.entries.get(device)
    if entry is None:
        raise Unauthenticated("device-unknown", f"there is no device {device[:40]} here", remedy="enrol it with a join token")
    check_state(entry)
    asked = accept_session(author_of(plane, device), raw, plane.verifiers.verify)
    if isinstance(asked, Refusal):
        if asked.reason == "unknown-key":
            # Somebody stands before this machine and asks why nothing reaches it: its status shows this sentence.
            why = "its key is not the one known for this device (any more): other hardware took its place, or this is a copy; to let it in as a device of its own: uninstall, then enroll"
            raise Forbidden("device-replaced", why, remedy="a person at the control plane decides; nothing that runs is touched")
        raise Unauthenticated(f"session-{asked.reason}", asked.why, remedy="if its key was replaced, enrol it again")
    nonce = (device, entry.key_epoch, asked.nonce)
    if nonce in plane.nonces:
        raise Conflict("session-repeated", "this very request was already answered; something on the way repeats requests", field="nonce")
    plane.nonces[nonce] = None
    while len(plane.nonces) > MAX_NONCES:
        plane.nonces.popitem(last=False)
    expires_s = plane.limits.device_session_s
    ends_ms = plane.clock.now_ms() + expires_s * 1000
    token = plane.tokens.issue(device, entry.key_epoch, ends_ms)
    if token.encode("ascii") == entry.session:  # a token tells its end in whole seconds, and two sessions are never one
        token = plane.tokens.issue(device, entry.key_epoch, ends_ms + 1000)
    entry.session = token.encode("ascii")
    return encode(SessionReply(token, expires_s, WIRE))


def check_newest(entry: Entry, authorization: bytes) -> None:
    """Raises Unauthenticated session-superseded where a newer session of that device was opened than the one that polls with `authorization`.

    A device has one session at a time. Two machines with one identity have two, even while neither has anything to say: so each is sent to
    open another, the device writes down that it was, and the log of one of them no longer continues what the plane holds."""
    if entry.session and not authorization.endswith(entry.session):
        raise Unauthenticated("session-superseded", "a newer session of this device is open", remedy="open a new session with the device's key")


def check_state(entry: Entry) -> None:
    """Raises Forbidden unless the device may take part."""
    if entry.state == ACTIVE:
        return
    code = "device-quarantined" if entry.state == QUARANTINED else "device-retired"
    raise Forbidden(code, entry.why or f"the device is {entry.state}", remedy="a person at the control plane decides; nothing that runs is touched")


def read_token(plane: Plane, token: str) -> tuple[Entry, int]:
    """The device a token speaks for, and when the token ends (unix ms). Raises Unauthenticated session-expired."""
    found = plane.tokens.read(token)
    if found is not None:
        device, key_epoch, ends_ms = found
        entry = plane.fleet.entries.get(device)
        if entry is not None and entry.key_epoch == key_epoch and ends_ms > plane.clock.now_ms():
            return entry, ends_ms
    raise Unauthenticated("session-expired", "the session has ended or never was", remedy="open a new session with the device's key")
