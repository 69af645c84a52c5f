"""What stored log entries mean for the rows people and rollouts look at.

Owns the step from entries to observations, receipts, outcomes of commands and the one status row. Works on batches: it gathers from many
reports and writes each table once. Never judges a chain (see `reports`) and never moves a rollout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.server.actions.context import Plane, note, tell
from penstock.server.core import status as judge
from penstock.server.core.chain import Lost
from penstock.server.core.model import SYSTEM, AppStatus, Device, ReceiptRow, Seen
from penstock.server.core.rights import EVERYWHERE
from penstock.server.core.rollout import Outcome, counts
from penstock.server.store import commands, devices, observations, receipts, rollouts, status
from penstock.server.store.db import Tx
from penstock.wire.codec import WireError
from penstock.wire.log import Boot, CommandOutcome, DeviceObservation, Event, Observation, Receipt, body_of
from penstock.wire.messages import Facts, LogEntry
from penstock.wire.record import replace


@dataclass(slots=True)
class Gathered:
    """What a batch of reports says, per device."""

    spoken: dict[str, tuple[DeviceObservation, int]] = field(default_factory=dict)
    apps: dict[tuple[str, str], tuple[AppStatus, str]] = field(default_factory=dict)  # with the words of the entry
    facts: dict[str, Facts] = field(default_factory=dict)
    receipts: list[ReceiptRow] = field(default_factory=list)
    outcomes: list[tuple[str, CommandOutcome]] = field(default_factory=list)
    lost: dict[str, list[Lost]] = field(default_factory=dict)
    unread: list[tuple[str, int, str]] = field(default_factory=list)
    leaving: list[tuple[str, Event]] = field(default_factory=list)  # what devices say of being retired


def gather(found: Gathered, device: str, branch: int, entries: tuple[LogEntry, ...]) -> None:
    """Add what these entries say. An entry that cannot be read is kept as evidence and named."""
    for entry in entries:
        if entry.kind not in ("observation", "receipt", "command-outcome", "boot") and not (entry.kind == "event" and '"device.retir' in entry.body):
            continue
        try:
            body = body_of(entry)
        except WireError as fault:
            found.unread.append((device, entry.seq, str(fault)))
            continue
        if isinstance(body, Observation):
            if body.device is not None:
                found.spoken[device] = (body.device, entry.at_ms)
                if body.device.facts is not None:
                    found.facts[device] = latest(found.facts.get(device), body.device.facts)
            elif body.app is not None:
                seen = body.app
                fresh = AppStatus(device, seen.app, seen.deployment, seen.phase, seen.content, seen.target, seen.version, entry.at_ms, entry.seq, seen)
                found.apps[device, seen.app] = fresh, entry.body
        elif isinstance(body, Receipt):
            found.receipts.append(ReceiptRow(device, branch, entry.seq, entry.at_ms, body))
        elif isinstance(body, CommandOutcome):
            found.outcomes.append((device, body))
        elif isinstance(body, Event):
            found.leaving.append((device, body))
        elif isinstance(body, Boot):
            found.facts[device] = latest(found.facts.get(device), body.facts)


def latest(known: Facts | None, said: Facts) -> Facts:
    """What is known of a device after it said this. An agent that has just started, or whose engine does not answer, knows nothing of the
    engine, nor which platforms that runs: so that is still as it was."""
    if said.engine is not None or known is None or known.engine is None:
        return said
    return replace(said, engine=known.engine, platforms=known.platforms)


@dataclass(slots=True)
class Changed:
    """Devices a rollout should look at, devices whose tag changed, and devices that said something new of themselves."""

    moved: set[str] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    facts: set[str] = field(default_factory=set)


def save(plane: Plane, tx: Tx, found: Gathered) -> Changed:
    """Write what was gathered."""
    now = plane.clock.now_ms()
    changed = Changed()
    concerned = sorted({*found.spoken, *(device for device, _ in found.apps), *found.lost})
    held = observations.seen_on(tx, concerned)
    _apps(tx, found, held, changed)
    receipts.add(tx, found.receipts)
    _outcomes(tx, found, changed, now)
    for device, outcome in found.outcomes:
        values = {"outcome": outcome.outcome, "why": outcome.why, "output": outcome.output, "ended_ms": now}
        if commands.end(tx, device, outcome.command, **values):
            changed.owed.add(device)
            tell(plane, tx, [(f"device/{device}", outcome.command)])
    for device, facts in found.facts.items():
        known = devices.find(tx, EVERYWHERE, device) if facts.engine is None else None
        if devices.set_facts(tx, device, latest(known.facts if known else None, facts)):
            changed.facts.add(device)
            changed.moved.add(device)
    for device, seq, why in found.unread:
        note(plane, tx, SYSTEM, "log.entry-unread", device, outcome="failed", reason=f"entry {seq}: {why}")
    _status(plane, tx, found, concerned, held)
    return changed


def _outcomes(tx: Tx, found: Gathered, changed: Changed, now: int) -> None:
    newest: dict[tuple[str, str], Outcome] = {}
    held = receipts.outcomes_of(tx, sorted({one.device for one in found.receipts}))
    for one in found.receipts:
        said, key = one.receipt, (one.device, one.receipt.app)
        changed.moved.add(one.device)
        if counts(held.get(key), said):
            newest[key] = held[key] = Outcome(said.to_content, said.verdict, said.why, said.authorisation, now)
    receipts.put_outcomes(tx, [(device, app, outcome) for (device, app), outcome in newest.items()])


def _apps(tx: Tx, found: Gathered, held: dict[str, dict[str, Seen]], changed: Changed) -> None:
    kept = []
    for (device, app), (fresh, said) in found.apps.items():
        gist = judge.seen_of(fresh.observed)
        old = held[device].get(app)
        if old is None or _moved(old) != _moved(gist):
            changed.moved.add(device)
        held[device][app] = gist
        kept.append((fresh, gist, said))
    observations.put(tx, kept)


def _moved(one: Seen) -> tuple[object, ...]:
    return one.phase, one.content, one.target, one.pinned, one.removed


def _status(plane: Plane, tx: Tx, found: Gathered, concerned: list[str], held: dict[str, dict[str, Seen]]) -> None:
    now = plane.clock.now_ms()
    fresh = []
    for device, (plight, was) in status.standing(tx, concerned).items():
        is_now = was
        if device in found.spoken:
            is_now = judge.observed(is_now, found.spoken[device][0], now)
        if device in found.lost:
            is_now = replace(is_now, lost=is_now.lost + sum(one.last - one.first + 1 for one in found.lost[device]))
        is_now = judge.summary(plight, is_now, held[device].values())
        if is_now != was:
            fresh.append(is_now)
    status.put_reported(tx, fresh, now)
    tell(plane, tx, [topic for one in fresh for topic in ((f"device/{one.device}", one.device), ("fleet", one.device))])


def restate(plane: Plane, tx: Tx, device: Device) -> None:
    """Make the status row of one device anew after the plane changed something about it (state, review)."""
    fresh = judge.summary(device, status.get(tx, device.id), observations.seen_on(tx, [device.id])[device.id].values())
    status.put_reported(tx, [fresh])
    tell(plane, tx, [(f"device/{device.id}", device.id), ("fleet", device.id)])


def review(plane: Plane, tx: Tx, device: Device) -> str | None:
    """After a restore: the sentence a person must look at, "" when all is known, None while the device has not spoken in this epoch.

    It must have said of itself that it is in this epoch, and of every app it is owed what runs."""
    spoken = status.get(tx, device.id)
    if spoken.epoch != plane.epoch:
        return None
    held = {one.app: one for one in observations.of_device(tx, device.id)}
    for assignment in rollouts.assigned_to(tx, [device.id])[device.id]:
        if assignment.app not in held:
            return None
    running = {one.content: one.app for one in held.values() if one.content and not one.observed.removed}
    known = rollouts.known(tx, set(running))
    unknown = sorted(app for content, app in running.items() if content not in known)
    if unknown:
        return (
            f"it runs {', '.join(unknown)} in a release this control plane does not know (deployed after the backup, lost by the restore); accept it to go on"
        )
    return ""
