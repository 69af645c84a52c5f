"""Leaving the fleet: a device retired at once, or by an order that it carries out before its key dies.

Owns that order from its giving to the record that stays. The device says what it will do, does it, says what it did, and that its keys are gone; each is
noted here as it comes with its log. What was never heard is never claimed: such a record says that nothing is known to have been wiped.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.server.actions import rollouts, states
from penstock.server.actions.context import Plane, note, refresh, tell
from penstock.server.actions.devices import find
from penstock.server.core.errors import Conflict, Invalid
from penstock.server.core.model import (
    ACTIVE,
    APPS,
    CANCELLED,
    DATA,
    NOT_WIPED,
    NOTHING,
    ORDERED,
    REFUSED,
    RETIRED,
    SYSTEM,
    WIPED,
    Actor,
    CommandId,
    CommandRow,
    Device,
    Retirement,
)
from penstock.server.core.rights import EVERYWHERE
from penstock.server.store import commands, devices, retirements
from penstock.server.store import rollouts as rollout_store
from penstock.server.store import states as state_store
from penstock.server.store.db import Tx
from penstock.wire.log import CommandOutcome, Event

RETIRING, DESTROYED = "device.retiring", "device.retired"  # what a device's own entries are named
ORDER_MS = 90 * 86_400_000  # how long an order waits for a device that is away
LAST_WORD_MS = 900_000  # how long the last word may take after the device has said what it did
KINDS = (NOTHING, APPS, DATA)


def retire(plane: Plane, actor: Actor, *, device: str, revision: int, reason: str, wipe: str = NOTHING) -> Device:
    """It leaves the fleet. With wipe "apps" or "data" it is ordered to take its apps (with data: their volumes too), its state and its keys away first; with
    "nothing" its key is dead at once, and what runs on it goes on running. Its evidence stays either way. Raises Stale, Conflict."""
    if wipe not in KINDS:
        raise Invalid("wipe-unknown", f"wipe is {wipe[:40]!r}; it must be one of {', '.join(KINDS)}", field="wipe")

    def work(tx: Tx) -> Device:
        found = find(tx, actor, device, "devices.retire")
        if found.state == RETIRED:
            raise Conflict("device-retired", "the device was retired already")
        held = retirements.get(tx, found.id)
        under_way = held is not None and held.outcome == ORDERED
        if wipe == NOTHING:
            devices.change(tx, found, revision)
            _at_once(plane, tx, actor, find(tx, actor, found.id), held if under_way else None, reason)
        elif under_way:
            raise Conflict("retirement-ordered", f"{found.name} is ordered to retire already", remedy="take that order back first, or retire it at once")
        elif found.state != ACTIVE:
            raise Conflict("device-not-active", f"the device is {found.state} and takes no orders", remedy="release it first, or retire it without wiping")
        else:
            devices.change(tx, found, revision)
            _order(plane, tx, actor, found, wipe, reason)
        return find(tx, actor, found.id)

    return plane.db.update(work)


def _topics(device: str) -> list[tuple[str, str]]:
    return [(f"device/{device}", device), ("fleet", device)]


def _order(plane: Plane, tx: Tx, actor: Actor, found: Device, wipe: str, reason: str) -> None:
    now = plane.clock.now_ms()
    ident = CommandId(plane.ids.new("cmd"))
    arguments = {"data": "wipe" if wipe == DATA else "keep"}
    commands.add(tx, CommandRow(ident, found.id, states.WIPE, arguments, now, now + ORDER_MS, actor.name, b""))  # signed when it is asked for
    retirements.put(tx, Retirement(found.id, wipe, ident, actor.name, reason[:500], now))
    data = {"name": found.name, "wipe": wipe, "command": ident}
    note(plane, tx, actor, "device.retire-ordered", found.id, site=found.site, outcome=ORDERED, reason=reason, data=data, topics=_topics(found.id))
    states.owe(plane, tx, [found.id])


def _at_once(plane: Plane, tx: Tx, actor: Actor, found: Device, held: Retirement | None, reason: str) -> None:
    """Without the device, or without waiting for it any longer."""
    now = plane.clock.now_ms()
    if held is None:
        said = "retired without asking the device: nothing was wiped on it"
        record = Retirement(found.id, NOTHING, "", actor.name, reason[:500], now, outcome=NOT_WIPED, said=said)
    else:
        said = (
            held.said if held.wiped_ms else "it had begun, and did not say how it ended" if held.heard_ms else "never heard again: nothing is known to be wiped"
        )
        record = replace(held, outcome=WIPED if held.wiped_ms else NOT_WIPED, said=said)
        _close(plane, tx, held, f"{actor.name} retired the device without waiting for it")
    _leave(plane, tx, actor, found, record, reason)


def _close(plane: Plane, tx: Tx, held: Retirement, why: str) -> None:
    commands.end(tx, held.device, held.command, outcome="expired", why=why, ended_ms=plane.clock.now_ms())


def _leave(plane: Plane, tx: Tx, actor: Actor, found: Device, record: Retirement, reason: str) -> None:
    """Its key is dead from now on; what it did is on record."""
    retirements.put(tx, replace(record, ended_ms=plane.clock.now_ms()))
    why = f"retired by {record.by or actor.name}: {reason or record.reason or 'no reason was given'}"
    devices.mark(tx, found.id, state=RETIRED, why=why[:500], key_epoch=found.key_epoch + 1)
    state_store.drop_all_leaves(tx, found.id)
    rollout_store.unassign(tx, [(found.id, one.app) for one in rollout_store.assigned_to(tx, [found.id])[found.id]])
    data = {"name": found.name, "wipe": record.wipe, "outcome": record.outcome, "said": record.said[:1000]}
    note(
        plane, tx, actor, "device.retired", found.id, site=found.site, outcome=record.outcome, reason=reason or record.said, data=data, topics=_topics(found.id)
    )
    refresh(plane, tx, [found.id])
    plane.later_dirty(tx, found.id)
    rollouts.retarget(plane, tx, actor, [found.id])


def cancel(plane: Plane, actor: Actor, *, device: str, reason: str = "") -> Device:
    """Take an order to retire back, while the device has not said that it begins. Raises Conflict."""

    def work(tx: Tx) -> Device:
        found = find(tx, actor, device, "devices.retire")
        held = retirements.get(tx, found.id)
        if held is None or held.outcome != ORDERED:
            raise Conflict("retirement-none", f"{found.name} is not ordered to retire")
        if held.heard_ms:
            raise Conflict("retirement-heard", f"{found.name} has heard the order and may have begun", remedy="it is too late to take it back")
        retirements.change(tx, found.id, outcome=CANCELLED, ended_ms=plane.clock.now_ms(), said=f"taken back by {actor.name} before the device had heard it")
        _close(plane, tx, held, f"{actor.name} took it back")
        note(plane, tx, actor, "device.retire-cancelled", found.id, site=found.site, reason=reason, data={"name": found.name}, topics=_topics(found.id))
        states.owe(plane, tx, [found.id])
        return find(tx, actor, found.id)

    return plane.db.update(work)


# --- what the device says of it -------------------------------------------------------------------------------------------


def told(plane: Plane, tx: Tx, words: list[tuple[str, Event]], outcomes: list[tuple[str, CommandOutcome]]) -> None:
    """Entries of devices that retire, in the order they stand in their logs: that they begin, what they did, their last word."""
    now = plane.clock.now_ms()
    for device, event in words:
        held = retirements.get(tx, device)
        if held is not None and event.name == RETIRING and held.command == event.data.get("command") and not held.heard_ms:
            retirements.change(tx, device, heard_ms=now)
            tell(plane, tx, _topics(device))
    for device, outcome in outcomes:
        held = retirements.get(tx, device)
        if held is None or outcome.verb != states.WIPE or held.command != outcome.command or held.wiped_ms:
            continue
        if outcome.outcome in ("done", "failed"):  # failed: apps are gone, and it says what may be left
            retirements.change(tx, device, outcome=ORDERED, ended_ms=0, wiped_ms=now, said=outcome.why)
            tell(plane, tx, _topics(device))
        elif held.outcome == ORDERED:
            retirements.change(tx, device, outcome=REFUSED, ended_ms=now, said=outcome.why)
            tell(plane, tx, _topics(device))
    for device, event in words:
        held = retirements.get(tx, device)
        found = devices.find(tx, EVERYWHERE, device)
        if event.name == DESTROYED and held is not None and held.wiped_ms and found is not None and found.state != RETIRED:
            _leave(plane, tx, SYSTEM, found, replace(held, destroyed_ms=now, outcome=WIPED), held.reason)


def settle(plane: Plane) -> int:
    """Retire those whose last word does not come, and those that were never heard while the order stood; how many."""
    if not plane.db.view(lambda tx: _due(plane, tx)):
        return 0

    def work(tx: Tx) -> int:
        due = _due(plane, tx)
        for held in due:
            found = devices.find(tx, EVERYWHERE, held.device)
            if found is None or found.state == RETIRED:
                retirements.change(tx, held.device, outcome=WIPED if held.wiped_ms else NOT_WIPED, ended_ms=plane.clock.now_ms())
            elif held.wiped_ms:
                said = f"{held.said}; whether its keys are destroyed it could not say any more"
                _leave(plane, tx, SYSTEM, found, replace(held, outcome=WIPED, said=said), held.reason)
            else:
                _at_once(plane, tx, SYSTEM, found, held, held.reason)
        return len(due)

    return plane.db.update(work)


def _due(plane: Plane, tx: Tx) -> tuple[Retirement, ...]:
    now = plane.clock.now_ms()
    return tuple(
        held
        for held in retirements.ordered(tx)
        if (held.wiped_ms and now > held.wiped_ms + LAST_WORD_MS) or (not held.heard_ms and now > held.ordered_ms + ORDER_MS)
    )
