"""Reports of devices: verified, judged against the chain, stored durably, then acknowledged.

Owns group commit: `ingest` takes many reports, verifies each, and writes all of them in one transaction; only then does it sign the
acknowledgements. A report that is refused never holds up the others. Never interprets entries (see `projections`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from penstock.server.actions import projections, retiring, rollouts, states
from penstock.server.actions.context import Plane, note, refresh, seal
from penstock.server.core import chain
from penstock.server.core.errors import Forbidden, Invalid, Refused, missing
from penstock.server.core.model import ACTIVE, QUARANTINED, SYSTEM, Device, LogHead
from penstock.server.core.rights import EVERYWHERE
from penstock.server.store import devices, log, observations, receipts
from penstock.server.store.db import Tx
from penstock.wire.codec import encode
from penstock.wire.log import entry_digest
from penstock.wire.messages import Ack, Report, ReportReply
from penstock.wire.trust import Author, Refusal, accept_report, author
from penstock.wire.version import WIRE

AWAITING = "restored: waiting until it has said what runs there"


@dataclass(slots=True)
class _Work:
    """One report on its way through a batch."""

    device: str
    report: Report | None = None
    digests: tuple[str, ...] = ()
    refused: Refused | None = None
    head: LogHead | None = None
    why: str = ""


@dataclass(slots=True)
class _Batch:
    """What one transaction knows."""

    heads: dict[str, LogHead]
    found: projections.Gathered = field(default_factory=projections.Gathered)
    lines: list[dict[str, object]] = field(default_factory=list)
    touched: dict[str, LogHead] = field(default_factory=dict)


def authors_of(plane: Plane, many: Iterable[str]) -> dict[str, Author]:
    """These devices as authors of what they sign, remembered for their key epoch. Devices that are not known are left out."""
    found: dict[str, Author] = {}
    lacking: list[str] = []
    for device in many:
        entry, held = plane.fleet.entries.get(device), plane.authors.get(device)
        if held is not None and held[0] == (entry.key_epoch if entry is not None else -1):
            found[device] = held[1]
        else:
            lacking.append(device)
    if lacking:
        read = plane.db.view(lambda tx: devices.sign_keys(tx, sorted(set(lacking))))
        for device, (key_epoch, key) in read.items():
            found[device] = author(key)
            plane.authors[device] = key_epoch, found[device]
    return found


def author_of(plane: Plane, device: str) -> Author:
    """One device as the author of what it signs. Raises Missing."""
    found = authors_of(plane, [device])
    if device not in found:
        raise missing("device", device)
    return found[device]


def ingest(plane: Plane, many: Sequence[tuple[str, bytes]]) -> list[bytes | Refused]:
    """Take reports (device of the session, body); for each the encoded ReportReply or the refusal, in the same order."""
    authors = authors_of(plane, [device for device, _ in many])
    works = [_read(plane, device, authors.get(device), raw) for device, raw in many]
    good = [work for work in works if work.refused is None]
    if good:
        plane.db.update(lambda tx: _store(plane, tx, good))
    return [work.refused if work.refused is not None else _reply(plane, work) for work in works]


def _read(plane: Plane, device: str, by: Author | None, raw: bytes) -> _Work:
    work = _Work(device)
    if by is None:
        work.refused = missing("device", device)
        return work
    report = accept_report(device, by, raw, plane.verifiers.verify)
    if isinstance(report, Refusal):
        work.refused = Invalid(f"report-{report.reason}", report.why, remedy="the device keeps its log and tries again; look at its own log for why")
        return work
    work.report = report
    work.digests = tuple(entry_digest(entry) for entry in report.entries)
    return work


def _store(plane: Plane, tx: Tx, works: list[_Work]) -> None:
    names = sorted({work.device for work in works})
    batch = _Batch(log.heads(tx, names))
    for work in works:
        _take(plane, tx, batch, work)
    log.append(tx, batch.lines)
    log.put_heads(tx, list(batch.touched.values()))
    changed = projections.save(plane, tx, batch.found)
    if batch.found.leaving or batch.found.outcomes:
        retiring.told(plane, tx, batch.found.leaving, batch.found.outcomes)
    for device, lost in batch.found.lost.items():
        for one in lost:
            note(
                plane,
                tx,
                SYSTEM,
                "log.entries-lost",
                device,
                outcome="lost",
                reason=one.why,
                data={"first": str(one.first), "last": str(one.last)},
                topics=[(f"device/{device}", device)],
            )
    _reviews(plane, tx, names, changed)
    rollouts.follow_engines(plane, tx, changed.facts)
    states.owe(plane, tx, sorted(changed.owed))
    if changed.moved:
        moved = set(changed.moved)
        tx.after(lambda: _mark(plane, moved))


def _mark(plane: Plane, moved: set[str]) -> None:
    with plane.dirty_lock:
        plane.dirty |= moved
    plane.poke("rollouts")


def _reviews(plane: Plane, tx: Tx, names: list[str], changed: projections.Changed) -> None:
    """Devices that wait for a look after a restore: those that run only what is known go on by themselves."""
    for name in [one for one in names if one in plane.reviewing]:
        device = devices.find(tx, EVERYWHERE, name)
        if device is None or device.review != AWAITING:
            continue
        found = projections.review(plane, tx, device)
        if found is None:
            continue
        devices.mark(tx, name, review=found)
        if found:
            note(
                plane, tx, SYSTEM, "device.review", name, site=device.site, outcome="waiting", reason=found, topics=[(f"device/{name}", name), ("fleet", name)]
            )
        else:
            changed.moved.add(name)
        plane.reviewing.discard(name)
        fresh = devices.find(tx, EVERYWHERE, name)
        if fresh is not None:
            projections.restate(plane, tx, fresh)


def _take(plane: Plane, tx: Tx, batch: _Batch, work: _Work) -> None:
    assert work.report is not None
    head = batch.heads.get(work.device) or LogHead(work.device)
    entries = work.report.entries
    at = chain.needed(head, entries)
    held = log.digest_of(tx, work.device, head.branch, at) if at else ""
    asked = bool(entries) and plane.asked.get(work.device) == entries[0].seq
    judged = chain.judge(head, entries, work.digests, held=held, asked=asked)
    if isinstance(judged, (chain.Fork, chain.Hole)):
        device = devices.find(tx, EVERYWHERE, work.device)
        if device is None:
            work.refused = missing("device", work.device)
            return
        if device.accept_fork:
            judged = chain.judge(head, entries, work.digests, held=held, accept_fork=True)
        elif isinstance(judged, chain.Fork):
            _quarantine(plane, tx, device, judged.why)
            work.refused = Forbidden("device-quarantined", judged.why, remedy="a person at the control plane decides; nothing that runs is touched")
            return
    if isinstance(judged, chain.Hole):
        plane.asked[work.device] = entries[0].seq
        work.head, work.why = head, judged.why
        return
    if isinstance(judged, chain.Broken):
        work.refused = Invalid("report-broken-chain", judged.why, remedy="the device keeps its log; look at its own log for why")
        return
    assert isinstance(judged, chain.Continue)
    plane.asked.pop(work.device, None)
    if judged.forked or (judged.entries and work.device in plane.released):
        # The leave to fork is for the next report alone: whoever comes with another chain after it is the other machine.
        devices.mark(tx, work.device, accept_fork=False)
        tx.after(lambda: plane.released.discard(work.device))
        # What it said on the former branch may be of another machine, or of a day that this one has not lived through: it says it anew.
        observations.forget(tx, work.device)
        receipts.forget_outcomes(tx, work.device)
    if judged.entries:
        last = judged.entries[-1]
        head = LogHead(head.device, judged.branch, last.seq, judged.digests[-1], last.boot)
        batch.heads[work.device] = batch.touched[work.device] = head
        now = plane.clock.now_ms()
        batch.lines.extend(
            {
                "device": work.device,
                "branch": judged.branch,
                "seq": entry.seq,
                "boot": entry.boot,
                "at_ms": entry.at_ms,
                "clock": entry.clock,
                "kind": entry.kind,
                "body": entry.body,
                "digest": digest,
                "received_ms": now,
            }
            for entry, digest in zip(judged.entries, judged.digests, strict=True)
        )
        projections.gather(batch.found, work.device, judged.branch, judged.entries)
    if judged.lost:
        batch.found.lost.setdefault(work.device, []).extend(judged.lost)
    work.head = head


def _quarantine(plane: Plane, tx: Tx, device: Device, why: str) -> None:
    if device.state != ACTIVE:
        return
    devices.mark(tx, device.id, state=QUARANTINED, why=why)
    note(
        plane,
        tx,
        SYSTEM,
        "device.quarantined",
        device.id,
        site=device.site,
        outcome="quarantined",
        reason=why,
        topics=[(f"device/{device.id}", device.id), ("fleet", device.id)],
    )
    fresh = devices.find(tx, EVERYWHERE, device.id)
    if fresh is not None:
        projections.restate(plane, tx, fresh)
    refresh(plane, tx, [device.id])
    tx.after(lambda: _mark(plane, {device.id}))


def _reply(plane: Plane, work: _Work) -> bytes:
    head = work.head or LogHead(work.device)
    ack = Ack(WIRE, work.device, plane.epoch, head.seq, head.head, plane.clock.now_ms())
    return encode(ReportReply(seal(plane, "ack", encode(ack)).decode("ascii"), head.seq + 1, work.why))
