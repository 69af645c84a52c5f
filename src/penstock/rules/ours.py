"""Which containers are ours, and what the ledger learns from a look.

Owns that judgement: a container is ours when the ledger knows its id, or the intent token written before it was made, and its labels agree. Labels
alone never make one ours. Never changes anything in an engine.
"""

from __future__ import annotations

from penstock.rules.memory import AppMemory, Unit
from penstock.rules.naming import container_name
from penstock.rules.observed import LABEL_APP, LABEL_DEVICE, LABEL_SERVICE, LABEL_SPEC, LABEL_TOKEN, Observation, ObservedContainer
from penstock.wire.record import replace
from penstock.wire.types import AppState


def labels_for(device: str, app: str, service: str, spec: str, token: str) -> dict[str, str]:
    """The labels a container of ours is made with."""
    return {LABEL_DEVICE: device, LABEL_APP: app, LABEL_SERVICE: service, LABEL_SPEC: spec, LABEL_TOKEN: token}


def owned(memory: AppMemory, seen: Observation, device: str) -> dict[str, ObservedContainer]:
    """Token of each unit that has a container, to that container."""
    by_id = {container.id: container for container in seen.containers}
    found: dict[str, ObservedContainer] = {}
    for unit in memory.units:
        container = by_id.get(unit.container) if unit.container else None
        if container is not None:
            if container.labels.get(LABEL_DEVICE) == device and container.labels.get(LABEL_TOKEN) == unit.token:
                found[unit.token] = container
            continue
        for other in seen.containers:
            if _bears(other, memory.app, unit, device):
                found[unit.token] = other
                break
    return found


def _bears(container: ObservedContainer, app: str, unit: Unit, device: str) -> bool:
    labels = container.labels
    return (
        labels.get(LABEL_TOKEN) == unit.token
        and labels.get(LABEL_DEVICE) == device
        and labels.get(LABEL_APP) == app
        and labels.get(LABEL_SERVICE) == unit.service
    )


def reconcile(memory: AppMemory, seen: Observation, device: str, boot: str) -> AppMemory:
    """The memory after a look: ids learnt by token, jobs that ended well, and units forgotten whose container is gone for good.

    An intent whose container was never seen stays: the engine may still be making it, and trying again uses the same token."""
    if not seen.engine_ok:
        return memory
    mine = owned(memory, seen, device)
    units = []
    for unit in memory.units:
        container = mine.get(unit.token)
        if container is None:
            if not unit.container or unit.finished:
                units.append(unit)
            continue
        if container.id != unit.container:
            # Learnt by token: made just before a crash, or made again by somebody who kept our labels.
            booted = boot if container.state == "running" else ""
            units.append(replace(unit, container=container.id, booted=booted, restarts=container.restarts))
        else:
            units.append(unit)
    return memory if tuple(units) == memory.units else replace(memory, units=tuple(units))


def strangers(memories: tuple[AppMemory, ...], seen: Observation, device: str) -> tuple[ObservedContainer, ...]:
    """Containers that bear our device's label and are not ours: reported, never touched."""
    ours = set()
    for memory in memories:
        ours |= {container.id for container in owned(memory, seen, device).values()}
    return tuple(one for one in seen.containers if one.labels.get(LABEL_DEVICE) == device and one.id not in ours)


def name_taken(state: AppState, service: str, memory: AppMemory, seen: Observation, device: str) -> str | None:
    """A sentence when a container that is not ours sits on the name this service needs; None when the name is free."""
    ours = {container.id for container in owned(memory, seen, device).values()}
    for one in state.services:
        if one.name == service:
            name = container_name(state.app, one)
            for container in seen.containers:
                if container.name == name and container.id not in ours:
                    return (
                        f"the name {name} that service {service} needs is taken by a container that is not Penstock's ({container.id[:12]}); "
                        "remove or rename that container"
                    )
    return None
