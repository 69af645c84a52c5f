"""What a device is owed, made and handed out: the signed document, its number, its leaves and commands, and the tag that names all of it.

Owns the rule "the number rises only when the content changes" in practice, and `state_for`, the answer to a poll that is not "nothing
new". Never decides what runs where (see `rollouts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.server.actions import catalog
from penstock.server.actions import planesettings as plane_settings
from penstock.server.actions.context import Plane, note, seal
from penstock.server.actions.remembering import remember
from penstock.server.core.document import Place, Shared, content_of, place, shared, text_of
from penstock.server.core.errors import Refused, missing
from penstock.server.core.images import digests
from penstock.server.core.model import RETIRED, SYSTEM, Assignment, CommandRow, DeviceState, Lean, SitePerson, StateHead
from penstock.server.core.rights import EVERYWHERE
from penstock.server.store import commands, deployments, devices, local_people, observations, outbox, rollouts, roots, sites, states
from penstock.server.store.db import Tx
from penstock.wire.codec import decode, encode
from penstock.wire.envelope import open_unverified
from penstock.wire.messages import Command, Currency, Desired, LocalPerson, Settings, StateReply
from penstock.wire.types import sha256_of
from penstock.wire.version import WIRE

TOPIC = "state"
WIPE = "wipe"
WIPE_MS = 3_600_000  # how long one signed copy of an order to wipe is good for
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


def make(plane: Plane, tx: Tx, wanted: list[str]) -> None:
    """Make the documents and tags of these devices what they should be now."""
    found = devices.lean(tx, wanted)
    held = states.heads(tx, wanted)
    owed = rollouts.assigned_to(tx, wanted)
    leaves, orders = states.leave_marks(tx, wanted), commands.open_ids(tx, wanted)
    settings = plane_settings.read(plane, tx)
    wire = Settings(settings.poll_s, settings.fetch_bytes_per_s, settings.log_quota_bytes)
    making = _Making(plane, tx, shared(settings.endpoints, wire), _places(tx, found), plane.clock.now_ms())
    fresh: list[DeviceState] = []
    tagged: list[StateHead] = []
    for name in wanted:
        device, old = found.get(name), held.get(name)
        if device is None or device.state == RETIRED:
            continue
        made = making.document(device, owed[name], old)
        if made is None:
            continue
        head = StateHead(name, made.epoch, made.generation, made.content, _tag(made, leaves[name], orders[name]), bool(leaves[name] or orders[name]))
        if isinstance(made, DeviceState):
            fresh.append(replace(made, etag=head.etag, pending=head.pending))
        elif head != old:
            tagged.append(head)
    states.put(tx, fresh)
    states.retag(tx, tagged)
    changed = [(row.device, row.etag, row.pending) for row in fresh] + [(row.device, row.etag, row.pending) for row in tagged]
    if changed:
        tx.after(lambda: plane.fleet.retag(changed))


def _places(tx: Tx, found: Mapping[str, Lean]) -> dict[tuple[str, bool], Place]:
    """What the devices of each site are told of it; by site, and whether they were moved there."""
    wanted = {(device.site, device.moved) for device in found.values()}
    people = local_people.at_sites(tx, {site for site, _ in wanted})
    names: dict[str, str] = {site.id: site.name for site in sites.all_in(tx, EVERYWHERE)} if any(moved for _, moved in wanted) else {}
    told = {site: [local_person(one) for one in many if one.pin_ms] for site, many in people.items()}
    return {(site, moved): place(told[site], names.get(site, "") if moved else "") for site, moved in wanted}


def local_person(one: SitePerson) -> LocalPerson:
    """Somebody as a device is told."""
    return LocalPerson(one.id, one.name, one.salt, one.rounds, one.verifier, one.may, one.revision)


def _order(plane: Plane, command: CommandRow) -> str:
    """An open order as it travels. One to wipe is signed when it is asked for and for an hour only: a copy that somebody keeps must not outlive its being
    taken back."""
    if command.verb != WIPE:
        return command.envelope.decode("ascii")
    now = plane.clock.now_ms()
    until = min(command.not_after_ms, now + WIPE_MS)
    said = Command(WIRE, command.id, command.device, plane.epoch, command.verb, now, until, command.arguments, command.by)
    return seal(plane, "command", encode(said)).decode("ascii")


def _tag(made: DeviceState | StateHead, leaves: list[str], orders: list[str]) -> str:
    return sha256_of(f"{made.epoch} {made.generation} {' '.join(leaves)} {' '.join(orders)}".encode())[7:23]


@dataclass(slots=True)
class _Making:
    """Making many documents with the same settings."""

    plane: Plane
    tx: Tx
    same: Shared
    places: dict[tuple[str, bool], Place]
    now: int

    def document(self, device: Lean, owed: list[Assignment], old: StateHead | None) -> DeviceState | StateHead | None:
        """A new document; the old one's head where nothing changed."""
        plane, tx = self.plane, self.tx
        try:
            texts = [catalog.text_for(plane, tx, assignment, device) for assignment in owed]
        except Refused as refusal:
            # Leaving an app out would withdraw it: the old document stands until somebody has looked.
            topics = [(f"device/{device.id}", device.id)]
            note(plane, tx, SYSTEM, "device.document-failed", device.id, site=device.site, outcome="failed", reason=refusal.why, topics=topics)
            return old
        at = self.places[device.site, device.moved]
        content = content_of(texts, device.id, plane.epoch, self.same, at)
        if old is not None and old.content == content and old.epoch == plane.epoch:
            return old
        generation = old.generation + 1 if old is not None else 1
        payload = text_of(texts, device.id, plane.epoch, generation, self.now, self.same, at)
        return DeviceState(device.id, plane.epoch, generation, content, seal(plane, "desired", payload), "", self.now)


def state_for(plane: Plane, device: str, root: int, nonce: str = "", *, known: bool = False) -> tuple[StateReply, str]:
    """All that is owed to a device that has root version `root`, and the tag of it. With a nonce the reply says how current it is, signed. `known`: the
    device named the tag of what it holds, so the document itself need not travel again."""

    def work(tx: Tx) -> tuple[StateReply, str]:
        state = states.get(tx, device)
        currency = ""
        if nonce and state is not None:
            said = Currency(WIRE, device, state.epoch, state.generation, plane.clock.now_ms(), nonce)
            currency = seal(plane, "currency", encode(said)).decode("ascii")
        reply = StateReply(
            desired="" if state is None or known else state.envelope.decode("ascii"),
            authorisations=tuple(leave.envelope.decode("ascii") for leave in states.leaves_of(tx, [device])[device]),
            commands=tuple(_order(plane, command) for command in commands.open_for(tx, [device])[device]),
            roots=roots.chain(tx, root)[:64],
            currency=currency,
        )
        return reply, "" if state is None else state.etag

    return plane.db.view(work)


def blob_for(plane: Plane, device: str, digest: str) -> int:
    """The size of a blob that the device's own document names, or a release it was ever ordered or says it runs: what a prune on the device took of the
    running release or of the way back can be fetched again. Raises Missing for any other, whether it exists or not."""
    state = plane.db.view(lambda tx: states.get(tx, device))
    if state is not None:
        named = remember(plane, ("blobs", device, state.epoch, state.generation), lambda: _named(state.envelope))
        if digest in named or digest in plane.db.view(lambda tx: _earlier(plane, tx, device)):
            size: int | None = plane.blobs.blob_size(digest)
            if size is not None:
                return size
    raise missing("blob", digest)


def _earlier(plane: Plane, tx: Tx, device: str) -> frozenset[str]:
    """Every digest of the releases in this device's history, of parts for other engines nothing."""
    wanted = {member.content for member in rollouts.memberships(tx, device)}
    wanted |= {seen.content for seen in observations.of_device(tx, device)}
    found: set[str] = set()
    engine = devices.lean(tx, [device])[device].engine
    for deployment, number in rollouts.plans_of(tx, wanted - {""}):
        plan = deployments.plan(tx, deployment, number)
        if plan is not None:
            # What is common counts too: it may have had that before it said which engine it has.
            release, _ = catalog.release_of(plane, tx, plan.release)
            found.update(*(digests(image) for image in (*release.images, *release.of(engine).images)))
    return frozenset(found)


def _named(envelope: bytes) -> frozenset[str]:
    desired = decode(Desired, open_unverified(envelope)[1])
    return frozenset[str]().union(*(digests(image) for app in desired.apps for image in app.images))
