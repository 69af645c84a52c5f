"""What happens by itself: heartbeats written down, liveness judged, old things forgotten. Each is one call of a reconciler.

Owns how long things are kept. Receipts, commands' outcomes and the plane's events are kept for ever.
"""

from __future__ import annotations

from penstock.server.actions.context import Plane, note
from penstock.server.actions.planesettings import read as read_settings
from penstock.server.actions.planesettings import remember
from penstock.server.core.liveness import judge
from penstock.server.core.model import SYSTEM
from penstock.server.effects.live import Note
from penstock.server.store import api_tokens, devices, enrolments, known_addresses, log, sessions, status
from penstock.server.store.db import Tx

KEEP_OBSERVATIONS_MS = 90 * 86_400_000
KEEP_ASKINGS_MS = 30 * 86_400_000
KEEP_ADDRESSES_MS = 180 * 86_400_000
KEEP_TOKENS_MS = 90 * 86_400_000  # after they are worth nothing; a pipeline that signs in by password makes one at each run
SWEPT = 2000  # rows per sweep, so that no sweep holds the writer long


def write_heartbeats(plane: Plane) -> int:
    """Write when devices were heard, in one batch; how many. What a crash loses here is only the last seconds of "last heard"."""
    heard = plane.fleet.heard()
    if heard:
        plane.db.update(lambda tx: status.set_seen(tx, heard))
    return len(heard)


def judge_liveness(plane: Plane) -> int:
    """Judge every device by when it was last heard; how many changed."""
    now = plane.clock.now_ms()

    def work(tx: Tx) -> int:
        poll_s = read_settings(plane, tx).poll_s
        changed = []
        for device, was in status.liveness_of_all(tx).items():
            entry = plane.fleet.entries.get(device)
            is_now = judge(entry.seen_ms if entry is not None else 0, poll_s, now)
            if is_now.state != was:
                changed.append((device, is_now.state))
                if "silent" in (is_now.state, was):
                    site = entry.site if entry is not None else ""
                    verb = "device.silent" if is_now.state == "silent" else "device.heard-again"
                    note(plane, tx, SYSTEM, verb, device, site=site, outcome=is_now.state, reason=is_now.why)
        status.set_liveness(tx, changed)
        notes = [note_ for device, _ in changed for note_ in (Note("fleet", device), Note(f"device/{device}", device))]
        tx.after(lambda: plane.live.publish(notes))
        return len(changed)

    # A look first, so that a quiet fleet costs no write transaction.
    if not plane.db.view(lambda tx: _would_change(plane, tx, now)):
        return 0
    return plane.db.update(work)


def _would_change(plane: Plane, tx: Tx, now: int) -> bool:
    poll_s = read_settings(plane, tx).poll_s
    return any(
        judge(entry.seen_ms if (entry := plane.fleet.entries.get(device)) is not None else 0, poll_s, now).state != was
        for device, was in status.liveness_of_all(tx).items()
    )


def sweep(plane: Plane) -> int:
    """Forget what is old; how many rows."""
    now = plane.clock.now_ms()

    def work(tx: Tx) -> int:
        gone = sessions.end_before(tx, now, now - plane.session_idle_s * 1000, now - plane.session_total_s * 1000)
        gone += known_addresses.forget_before(tx, now - KEEP_ADDRESSES_MS)
        gone += api_tokens.forget_before(tx, now - KEEP_TOKENS_MS)
        gone += enrolments.forget_before(tx, now - KEEP_ASKINGS_MS)
        return gone + log.empty_before(tx, now - KEEP_OBSERVATIONS_MS, ("observation", "event"), SWEPT)

    return plane.db.update(work)


def load_fleet(plane: Plane) -> int:
    """Fill the hot path's memory from the store, at start; how many devices."""

    def work(tx: Tx) -> int:
        known = status.known(tx)
        plane.fleet.refresh((one.id, one.name, one.site, one.state, one.why, one.key_epoch, one.etag, one.pending, one.seen_ms) for one in known)
        remember(plane, read_settings(plane, tx))
        plane.reviewing |= set(devices.in_review(tx))
        plane.released |= set(devices.released(tx))
        return len(known)

    return plane.db.view(work)
