"""What a device is owed, made and handed out: the signed document, its number, its leaves and commands, and the tag that names all of it.

Owns the rule "the number rises only when the content changes" in practice, and `state_for`, the answer to a poll that is not "nothing
new". Never decides what runs where (see `rollouts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from penstock.server.actions import catalog
from penstock.server.actions import planesettings as plane_settings
from penstock.server.actions.context import Plane, note, refresh, seal
from penstock.server.core.document import content_of, text_of
from penstock.server.core.errors import Refused, missing
from penstock.server.core.images import digests
from penstock.server.core.model import RETIRED, SYSTEM, Assignment, Device, DeviceState
from penstock.server.core.views import PlaneSettings
from penstock.server.store import commands, devices, outbox, rollouts, roots, states
from penstock.server.store.db import Tx
from penstock.wire.codec import decode, encode
from penstock.wire.envelope import open_unverified
from penstock.wire.messages import Currency, Desired, Settings, StateReply
from penstock.wire.types import sha256_of
from penstock.wire.version import WIRE

TOPIC = "state"
INLINE = 64  # up to so many documents are made in the transaction that wants them; more are owed
BATCH = 200


def owe(plane: Plane, tx: Tx, wanted: Sequence[str]) -> None:
    """The documents or tags of these devices may have to change: few are made anew at once, many are owed and made by the reconciler."""
    if not wanted:
        return
    if len(wanted) <= INLINE:
        make(plane, tx, list(wanted))
        return
    outbox.owe(tx, TOPIC, list(wanted), plane.clock.now_ms())
    tx.after(lambda: plane.poke("states"))


def pay(plane: Plane) -> int:
    """Make one batch of owed documents; how many are left."""

    def work(tx: Tx) -> int:
        due = list(outbox.due(tx, TOPIC, plane.clock.now_ms(), BATCH))
        if due:
            outbox.paid(tx, TOPIC, due)
            make(plane, tx, due)
        return outbox.count(tx, TOPIC) if len(due) == BATCH else 0

    return plane.db.update(work)


def _wire_settings(found: PlaneSettings) -> Settings:
    return Settings(found.poll_s, found.fetch_bytes_per_s, found.log_quota_bytes)


def make(plane: Plane, tx: Tx, wanted: list[str]) -> None:
    """Make the documents and tags of these devices what they should be now."""
    found = devices.many(tx, wanted)
    held = states.many(tx, wanted)
    owed = rollouts.assigned_to(tx, wanted)
    leaves, orders = states.leave_ids(tx, wanted), commands.open_ids(tx, wanted)
    settings = plane_settings.read(plane, tx)
    wire_settings = _wire_settings(settings)
    now = plane.clock.now_ms()
    rows = []
    for name in wanted:
        device = found.get(name)
        if device is None or device.state == RETIRED:
            continue
        old = held.get(name)
        fresh = _document(plane, tx, device, owed[name], old, settings, wire_settings, now)
        if fresh is None:
            continue
        tag = sha256_of(f"{fresh.epoch} {fresh.generation} {' '.join(leaves[name])} {' '.join(orders[name])}".encode())[7:31]
        fresh = replace(fresh, etag=tag, pending=bool(leaves[name] or orders[name]))
        if fresh != old:
            rows.append(fresh)
    states.put(tx, rows)
    if rows:
        refresh(plane, tx, [row.device for row in rows])


def _document(
    plane: Plane, tx: Tx, device: Device, owed: list[Assignment], old: DeviceState | None, settings: PlaneSettings, wire_settings: Settings, now: int
) -> DeviceState | None:
    try:
        texts = [catalog.text_for(plane, tx, assignment, device) for assignment in owed]
    except Refused as refusal:
        # Leaving an app out would withdraw it: the old document stands until somebody has looked.
        note(
            plane,
            tx,
            SYSTEM,
            "device.document-failed",
            device.id,
            site=device.site,
            outcome="failed",
            reason=refusal.why,
            topics=[(f"device/{device.id}", device.id)],
        )
        if old is not None:
            return old
        texts = []
    content = content_of(texts, device.id, settings.endpoints, plane.epoch, wire_settings)
    if old is not None and old.content == content and old.epoch == plane.epoch:
        return old
    generation = old.generation + 1 if old is not None else 1
    payload = text_of(texts, device.id, settings.endpoints, plane.epoch, generation, now, wire_settings)
    return DeviceState(device.id, plane.epoch, generation, content, seal(plane, "desired", payload), "", now)


def state_for(plane: Plane, device: str, root: int, nonce: str = "") -> tuple[StateReply, str]:
    """All that is owed to a device that has root version `root`, and the tag of it. With a nonce the reply says how current it is, signed."""

    def work(tx: Tx) -> tuple[StateReply, str]:
        state = states.get(tx, device)
        currency = ""
        if nonce and state is not None:
            said = Currency(WIRE, device, state.epoch, state.generation, plane.clock.now_ms(), nonce)
            currency = seal(plane, "currency", encode(said)).decode("ascii")
        reply = StateReply(
            desired="" if state is None else state.envelope.decode("ascii"),
            authorisations=tuple(leave.envelope.decode("ascii") for leave in states.leaves_of(tx, [device])[device]),
            commands=tuple(command.envelope.decode("ascii") for command in commands.open_for(tx, [device])[device]),
            roots=roots.chain(tx, root)[:64],
            currency=currency,
        )
        return reply, "" if state is None else state.etag

    return plane.db.view(work)


def blob_for(plane: Plane, device: str, digest: str) -> int:
    """The size of a blob that the device's own document names. Raises Missing for any other, whether it exists or not."""
    state = plane.db.view(lambda tx: states.get(tx, device))
    if state is not None:
        named = catalog.remember(plane, ("blobs", device, state.epoch, state.generation), lambda: _named(state.envelope))
        size: int | None = plane.blobs.blob_size(digest) if digest in named else None
        if size is not None:
            return size
    raise missing("blob", digest)


def _named(envelope: bytes) -> frozenset[str]:
    desired = decode(Desired, open_unverified(envelope)[1])
    return frozenset[str]().union(*(digests(image) for app in desired.apps for image in app.images))
