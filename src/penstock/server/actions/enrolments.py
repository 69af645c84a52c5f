"""The waiting room: devices ask to be let in, people decide.

Owns asking (idempotent by key), approving, rejecting, and what becomes of the one whose place is taken over. A join token is spent by the
first asking of a key. Never lets a device in by itself where a name is taken: replacing hardware is always a person's decision.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.server.actions import membership, projections, rollouts, states
from penstock.server.actions.context import Plane, director_keyid, note, refresh, seal, throttled
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid, Limited, missing
from penstock.server.core.model import (
    ACTIVE,
    APPROVED,
    NOT_WIPED,
    ORDERED,
    REJECTED,
    RETIRED,
    SYSTEM,
    WAITING,
    Actor,
    Device,
    DeviceId,
    DeviceStatus,
    Enrolment,
    EnrolmentId,
    JoinToken,
    LogHead,
)
from penstock.server.core.rights import EVERYWHERE, Target
from penstock.server.core.targeting import check_labels
from penstock.server.store import commands, devices, enrolments, groups, join_tokens, log, observations, receipts, retirements, secrets, sites, status
from penstock.server.store import roots as root_store
from penstock.server.store import states as state_store
from penstock.server.store.db import Tx
from penstock.wire.codec import encode
from penstock.wire.messages import Admission, EnrolReply, EnrolRequest
from penstock.wire.trust import Refusal, accept_enrolment, fingerprint, key_id
from penstock.wire.types import name_fault, sha256_of
from penstock.wire.version import WIRE

RETRY_S = 5
LISTED = 10_000


def ask(plane: Plane, raw: bytes, address: str = "") -> bytes:
    """The encoded EnrolReply to a signed EnrolRequest. Raises Invalid for one that cannot be read, Limited when too many ask."""
    wait = throttled(plane, "enrol", plane.limits.enrol_per_minute, 60_000)
    if wait:
        raise Limited("too-many-enrolments", "too many devices ask to be let in at once", retry_s=wait)
    asked = accept_enrolment(raw, plane.verifiers.verify)
    if isinstance(asked, Refusal):
        raise Invalid(f"enrolment-{asked.reason}", asked.why)
    return encode(plane.db.update(lambda tx: _ask(plane, tx, asked, address)))


def _ask(plane: Plane, tx: Tx, asked: EnrolRequest, address: str) -> EnrolReply:
    keyid, digits = key_id(asked.sign_key), fingerprint(asked.sign_key)
    known = enrolments.by_key(tx, keyid)
    if known is not None and known.status != REJECTED:
        return _standing(tx, known)
    token = join_tokens.by_hash(tx, sha256_of(asked.token.encode("utf-8")))
    fault = _token_fault(plane, token)
    if fault or token is None:
        why = fault or "the join token is not one of this control plane"
        if known is None:
            note(plane, tx, SYSTEM, "enrolment.refused", keyid, outcome="refused", reason=why, data={"name": asked.name, "address": address})
        return EnrolReply(REJECTED, why, 0, digits)
    if known is not None:
        if token.id == known.token:
            return _standing(tx, known)
        enrolments.forget(tx, known.id)
    if devices.by_key(tx, keyid) is not None:
        return EnrolReply(REJECTED, "this key was let in before and is not accepted again; make a new one (uninstall, then enrol)", 0, digits)
    if not join_tokens.spend(tx, token.id):
        return EnrolReply(REJECTED, "the join token has been used as often as it may be; ask for a new one", 0, digits)
    taken = devices.by_name(tx, asked.name)
    why = "waiting until somebody compares the fingerprint and lets it in"
    if taken is not None and asked.replaces:
        why = f"it asks to take the place of device {asked.name}; that needs somebody's approval"
    elif taken is not None:
        why = f"a device named {asked.name} exists already; let it in under another name, or as its replacement"
    alone = token.auto_approve and taken is None
    if alone and not token.gives_rights and membership.hanging(plane, tx, membership.groups_with(tx, token.labels)):
        alone, why = False, "the labels of its join line bring it into a group that roles are given on; somebody who may give roles must let it in"
    made = Enrolment(
        EnrolmentId(plane.ids.new("enr")),
        keyid,
        digits,
        asked.name,
        token.site,
        token.id,
        asked.sign_key,
        asked.seal_key,
        asked.facts,
        WAITING,
        why,
        plane.clock.now_ms(),
        replaces=taken.id if taken is not None and asked.replaces else "",
        labels=dict(token.labels),
    )
    enrolments.add(tx, made)
    note(
        plane,
        tx,
        SYSTEM,
        "enrolment.asked",
        made.id,
        site=made.site,
        outcome="waiting",
        reason=why,
        data={"name": made.name, "fingerprint": digits, "address": address},
        topics=[("enrolments", made.id)],
    )
    if alone:
        _let_in(plane, tx, SYSTEM, made, made.name, made.labels, f"the join token {token.title or token.id} lets in by itself")
        again = enrolments.by_key(tx, keyid)
        assert again is not None
        made = again
    return _standing(tx, made)


def _token_fault(plane: Plane, token: JoinToken | None) -> str:
    if token is None:
        return "the join token is not one of this control plane; copy the whole join line again"
    if token.revoked_ms:
        return "the join token has been revoked; ask for a new one"
    if token.expires_ms <= plane.clock.now_ms():
        return "the join token has expired; ask for a new one"
    return ""


def _standing(tx: Tx, known: Enrolment) -> EnrolReply:
    chain = tuple(root_store.chain(tx))
    if known.status == APPROVED:
        device = devices.by_key(tx, known.keyid)
        if device is None:
            return EnrolReply(REJECTED, "this key was replaced by another; it is not accepted any more", 0, known.fingerprint)
        if device.state == RETIRED:
            return EnrolReply(REJECTED, f"{device.why or 'the device was retired'}; make a new key (uninstall, then enrol)", 0, known.fingerprint)
        return EnrolReply(APPROVED, known.why, 0, known.fingerprint, device.id, chain, device.admission)
    if known.status == REJECTED:
        return EnrolReply(REJECTED, known.why, 0, known.fingerprint)
    return EnrolReply(WAITING, known.why, RETRY_S, known.fingerprint, "", chain)


# --- people decide ------------------------------------------------------------------------------------------------------


def list_enrolments(plane: Plane, actor: Actor, *, status: str = WAITING) -> tuple[Enrolment, ...]:
    """Who asks, newest first, at most 10 000; status "" for all."""
    reach = require(actor, "enrolments.read")
    if status not in ("", WAITING, APPROVED, REJECTED):
        raise Invalid("status-unknown", f"{status!r} is not waiting, approved or rejected", field="status")
    return plane.db.view(lambda tx: enrolments.all_in(tx, reach, status, LISTED))


def get_enrolment(plane: Plane, actor: Actor, *, enrolment: str) -> Enrolment:
    """One asking."""
    return plane.db.view(lambda tx: _get(tx, actor, enrolment))


def _get(tx: Tx, actor: Actor, enrolment: str, verb: str = "enrolments.read") -> Enrolment:
    found = enrolments.by_id(tx, require(actor, "enrolments.read"), enrolment)
    if found is None:
        raise missing("enrolment", enrolment)
    permit(actor, verb, Target(site=found.site))
    return found


def approve(
    plane: Plane,
    actor: Actor,
    *,
    enrolment: str,
    name: str | None = None,
    labels: dict[str, str] | None = None,
    replace: bool = False,
    reason: str = "",
) -> Device:
    """Let it in, under `name` (as it asked, if None) and with `labels` (those of the join token, if None). With `replace` it takes the place
    of the device of that name, whose old key is dead at once. Raises Conflict where a name is taken or the asking is decided, Forbidden where its labels
    bring it into a group that roles are given on and neither the actor nor who made its join token may do that."""

    def work(tx: Tx) -> Device:
        asked = _get(tx, actor, enrolment, "enrolments.decide")
        if asked.status != WAITING:
            raise Conflict("enrolment-decided", f"it was already {asked.status}", remedy="let the device ask again")
        wanted = asked.name if name is None else name
        fault = name_fault(wanted)
        if fault:
            raise Invalid("name-malformed", fault, field="name")
        given = asked.labels if labels is None else labels
        check_labels(given)
        taken = devices.by_name(tx, wanted)
        if taken is not None and not replace:
            raise Conflict(
                "needs-replace",
                f"a device named {wanted} exists already",
                field="replace",
                remedy="give another name, or approve it as the replacement of that device, whose key is then dead at once",
            )
        if taken is None and replace:
            raise Invalid("nothing-to-replace", f"there is no device named {wanted}", field="replace")
        if taken is not None and taken.site != asked.site:
            raise Conflict("other-site", f"device {wanted} is at another site than the join token", remedy="make a join token for that site")
        if taken is not None:
            given = given if labels is not None else taken.labels
            membership.permit(plane, tx, actor, groups.groups_of(tx, taken.id) ^ membership.groups_with(tx, given, taken.id), "labels")
            return _take_place(plane, tx, actor, asked, taken, given, reason)
        token = join_tokens.by_id(tx, EVERYWHERE, asked.token)
        if token is None or not token.gives_rights or token.revoked_ms or given != token.labels:
            membership.permit(plane, tx, actor, membership.groups_with(tx, given), "labels")
        return _let_in(plane, tx, actor, asked, wanted, given, reason)

    return plane.db.update(work)


def reject(plane: Plane, actor: Actor, *, enrolment: str, reason: str) -> Enrolment:
    """Turn it away; the sentence is shown at the device."""

    def work(tx: Tx) -> Enrolment:
        asked = _get(tx, actor, enrolment, "enrolments.decide")
        if asked.status != WAITING:
            raise Conflict("enrolment-decided", f"it was already {asked.status}")
        why = f"rejected by {actor.name}: {reason or 'no reason was given'}"
        enrolments.change(tx, asked.id, status=REJECTED, why=why[:1000], decided_ms=plane.clock.now_ms(), decided_by=actor.name)
        note(plane, tx, actor, "enrolment.rejected", asked.id, site=asked.site, reason=reason, data={"name": asked.name}, topics=[("enrolments", asked.id)])
        return _get(tx, actor, enrolment)

    return plane.db.update(work)


def _admission(plane: Plane, tx: Tx, device: str, name: str, asked: Enrolment) -> str:
    site = sites.find(tx, EVERYWHERE, asked.site)
    assert site is not None
    said = Admission(WIRE, device, name, site.name, asked.keyid, plane.clock.now_ms())
    return seal(plane, "admission", encode(said)).decode("ascii")


def _decided(plane: Plane, tx: Tx, actor: Actor, asked: Enrolment, device: Device, why: str) -> None:
    enrolments.change(
        tx, asked.id, status=APPROVED, why=why[:1000], decided_ms=plane.clock.now_ms(), decided_by=actor.name, device=device.id, admission=device.admission
    )


def _let_in(plane: Plane, tx: Tx, actor: Actor, asked: Enrolment, name: str, labels: dict[str, str], reason: str) -> Device:
    if devices.count(tx) >= plane.limits.devices:
        raise Limited("fleet-full", f"this control plane holds {plane.limits.devices} devices, which is its limit", remedy="retire devices that are gone")
    ident = DeviceId(plane.ids.new("dev"))
    device = Device(
        ident,
        name,
        asked.site,
        labels,
        ACTIVE,
        "",
        asked.keyid,
        asked.fingerprint,
        asked.sign_key,
        asked.seal_key,
        1,
        asked.facts,
        plane.clock.now_ms(),
        admission=_admission(plane, tx, ident, name, asked),
    )
    devices.add(tx, device)
    status.put(tx, [DeviceStatus(ident, severity=20)])
    _decided(plane, tx, actor, asked, device, f"let in by {actor.name}")
    note(
        plane,
        tx,
        actor,
        "device.approved",
        ident,
        site=device.site,
        reason=reason,
        data={"name": name, "fingerprint": asked.fingerprint, "director": director_keyid(plane)[:16]},
        topics=[("enrolments", asked.id), ("fleet", ident)],
    )
    states.make(plane, tx, [ident])
    refresh(plane, tx, [ident])
    rollouts.retarget(plane, tx, actor, [ident])
    return device


def _take_place(plane: Plane, tx: Tx, actor: Actor, asked: Enrolment, taken: Device, labels: dict[str, str], reason: str) -> Device:
    """New hardware under an old name: the same device to people and deployments, with other keys and a log of its own."""
    device = replace(
        taken,
        labels=labels,
        state=ACTIVE,
        why="",
        keyid=asked.keyid,
        fingerprint=asked.fingerprint,
        sign_key=asked.sign_key,
        seal_key=asked.seal_key,
        key_epoch=taken.key_epoch + 1,
        facts=asked.facts,
        enrolled_ms=plane.clock.now_ms(),
        review="",
        accept_fork=False,
        moved=False,
        admission=_admission(plane, tx, taken.id, taken.name, asked),
        revision=taken.revision + 1,
    )
    devices.put(tx, device)
    held = log.head(tx, device.id)
    log.put_heads(tx, [LogHead(device.id, held.branch + 1)])
    observations.forget(tx, device.id)
    receipts.forget_outcomes(tx, device.id)
    secrets.forget_device(tx, device.id)
    state_store.drop_all_leaves(tx, device.id)
    leaving = retirements.get(tx, device.id)
    if leaving is not None and leaving.outcome == ORDERED:
        said = "other hardware took its place before it was heard: nothing is known to be wiped on the former"
        retirements.change(tx, device.id, outcome=NOT_WIPED, said=said, ended_ms=plane.clock.now_ms())
        commands.end(tx, device.id, leaving.command, outcome="expired", why=said, ended_ms=plane.clock.now_ms())
    plane.asked.pop(device.id, None)
    _decided(plane, tx, actor, asked, device, f"let in by {actor.name} in place of the former {device.name}")
    note(
        plane,
        tx,
        actor,
        "device.replaced",
        device.id,
        site=device.site,
        reason=reason,
        data={"name": device.name, "fingerprint": asked.fingerprint, "former": taken.fingerprint},
        topics=[("enrolments", asked.id), ("fleet", device.id), (f"device/{device.id}", device.id)],
    )
    projections.restate(plane, tx, device)
    rollouts.begin_again(plane, tx, device.id)
    if device.engine != taken.engine:
        rollouts.follow_engines(plane, tx, [device.id])
    states.make(plane, tx, [device.id])
    refresh(plane, tx, [device.id])
    if labels != taken.labels:
        rollouts.retarget(plane, tx, actor, [device.id])
    return device
