"""What differs from what was ordered, though nobody ordered it.

Owns the list of differences of one settled app, field by field, and which containers must be made anew for it. Whether that is done or only
reported is the deployment's word (`AppState.drift`) and the gate's; strangers that bear our labels are named and never touched.
"""

from __future__ import annotations

from penstock.rules.health import fitting_unit, is_job
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory, Unit
from penstock.rules.naming import container_name
from penstock.rules.observed import LABEL_APP, LABEL_DEVICE, LABEL_SERVICE, ObservedContainer
from penstock.rules.optional import within
from penstock.rules.ours import labels_for, owned
from penstock.rules.settings import container_differences
from penstock.rules.specs import specs_of
from penstock.rules.variants import image_of, variants_of
from penstock.wire.log import DriftItem
from penstock.wire.record import record, replace
from penstock.wire.types import AppState, Service

MAX_ITEMS = 64


@record
class Drift:
    """`items` for people and the log; `unfit`: tokens of containers whose settings are not as ordered; `extra`: tokens of ours that nothing asks for."""

    items: tuple[DriftItem, ...] = ()
    unfit: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()


def drift(memory: AppMemory, state: AppState, look: Look, device: str) -> Drift:
    """Compare one app at rest with its release. Empty while the engine does not answer."""
    if not look.seen.engine_ok:
        return Drift()
    action = "corrected" if state.drift == "correct" else "reported only, as the deployment says"
    mine = owned(memory, look.seen, device)
    specs = specs_of(state, look.platforms)
    items: list[DriftItem] = []
    unfit: set[str] = set()
    chosen: set[str] = set()
    for service in state.services:
        unit = fitting_unit(memory, service.name, mine, specs[service.name])
        container = mine.get(unit.token) if unit else None
        if unit is not None:
            chosen.add(unit.token)
        if container is not None:
            container = within(container, {one.id: one.labels.get(LABEL_SERVICE, "") for one in mine.values()})
        found = _one(memory, state, service, unit, container, look, device, action)
        wrong = [item for item in found if item.field not in ("state", "container")]
        if unit is not None and any(f"{item.service} {item.field}" not in memory.stubborn for item in wrong):
            unfit.add(unit.token)
        items.extend(_stubborn(item, memory) for item in found)
    extra = frozenset(token for token in mine if token not in chosen)
    items.extend(DriftItem("", "container", "(none)", f"{mine[token].name} ({mine[token].id[:12]})", action) for token in sorted(extra))
    items.extend(_strangers(memory, mine, look, device))
    return Drift(tuple(items[:MAX_ITEMS]), frozenset(unfit), extra)


def _stubborn(item: DriftItem, memory: AppMemory) -> DriftItem:
    if f"{item.service} {item.field}" not in memory.stubborn:
        return item
    return replace(item, action="reported only: the container was made anew for it once, and it stayed")


def _one(
    memory: AppMemory, state: AppState, service: Service, unit: Unit | None, container: ObservedContainer | None, look: Look, device: str, action: str
) -> list[DriftItem]:
    name = service.name
    if container is None:
        if unit is not None and unit.finished:
            return []
        return [DriftItem(name, "container", container_name(memory.app, service), "(missing)", action)]
    assert unit is not None
    found = []
    ended_well = container.state == "exited" and is_job(state, service) and container.exit_code == 0
    our_own = container.state == "created" and not unit.booted  # made by us just now, and started next
    if container.state not in ("running", "restarting") and not ended_well and not our_own:
        found.append(DriftItem(name, "state", "running", container.state, action))
    variant = variants_of(state, look.platforms).get(name)
    if variant is not None:
        labels = labels_for(device, memory.app, name, unit.spec, unit.token)
        differences = container_differences(state, service, image_of(state, service), variant, labels, container)
        found.extend(DriftItem(name, one.field, one.wanted, one.seen, action) for one in differences)
    return found


def _strangers(memory: AppMemory, mine: dict[str, ObservedContainer], look: Look, device: str) -> list[DriftItem]:
    ours = {container.id for container in mine.values()}
    found = []
    for container in look.seen.containers:
        labels = container.labels
        if labels.get(LABEL_DEVICE) == device and labels.get(LABEL_APP) == memory.app and container.id not in ours:
            seen = f"{container.name} ({container.id[:12]}), {container.state}"
            found.append(
                DriftItem(labels.get(LABEL_SERVICE, "")[:63], "container", "(none)", seen, "left alone: it bears our labels, but this agent did not make it")
            )
    return found
