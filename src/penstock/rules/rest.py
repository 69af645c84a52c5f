"""An app at rest: what runs is looked after.

Owns starting what stands still, correcting or reporting drift, keeping the way back whole and letting go of what nothing needs. Replacing a running
container for it is a change and goes through the gate.
"""

from __future__ import annotations

from penstock.rules import turns
from penstock.rules.answers import Act, Broken, Circumstances, Settled, Turn, Wait
from penstock.rules.drift import Drift, drift
from penstock.rules.gates import Shut, gate
from penstock.rules.health import first_trouble, verdicts
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory, contents_needed
from penstock.rules.naming import keep_tag
from penstock.rules.ours import owned
from penstock.rules.phases import phase
from penstock.rules.step import Step
from penstock.rules.toward import Way, toward
from penstock.rules.variants import image_of, variants_of
from penstock.rules.wayback import lacking, own_copies_lacking
from penstock.wire.record import replace
from penstock.wire.types import AppState, Blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.rules.answers import Answer

STEADY_MS = 60_000  # well for so long, and earlier crashes are forgotten


def look_after(memory: AppMemory, desired: AppState, releases: dict[str, AppState], look: Look, c: Circumstances, why: str) -> Answer:
    """Look after what runs: start what stands still, correct or report drift, keep the way back whole, let go of what nothing needs."""
    state = releases.get(memory.running)
    if state is None:
        return Settled(memory, why or "nothing of it runs")
    policy = desired.drift if desired.app == memory.app else state.drift
    found = drift(memory, replace(state, drift=policy), look, c.device)
    memory = _steady(memory, c)
    upkeep = _upkeep(memory, state, releases, look, c, found, policy)
    if isinstance(upkeep, (Act, Turn, Wait)):
        return upkeep
    drop = _needless_tag(memory, desired, releases, look)
    if drop is not None:
        step = Step("remove-image", memory.app, f"let go of image {drop}, which nothing needs any more", name=drop)
        return Act(step, memory, step.why)
    health = verdicts(state, memory, look.seen, c.device, c.probes)
    trouble = first_trouble(health)
    needs = tuple(blob for blob in own_copies_lacking(state, look) if blob.digest not in c.unfetchable)
    return Settled(memory, why or trouble or f"version {state.version} runs as ordered", needs)


def _upkeep(memory: AppMemory, state: AppState, releases: dict[str, AppState], look: Look, c: Circumstances, found: Drift, policy: str) -> Answer | None:
    wrong = found.unfit | found.extra
    if wrong and policy == "correct":
        leave = gate("recreate", memory.app, memory.running, c)
        if isinstance(leave, Shut):
            return Wait(memory, f"a container is not as ordered, and it waits: {leave.why}", phase(memory, state), reason=leave.reason)
        blobs = _bytes_lacking(memory, state, look, c, found.unfit)
        if blobs:  # nothing is taken down before what replaces it is at hand
            return _waits_for_bytes(memory, state, blobs, c)
        items = ", ".join(f"{item.service} {item.field}".strip() for item in found.items[:3])
        why = f"not as ordered, and nobody ordered it: {items}"
        return turns.begin(memory, "recreate", state, c, why, cause="drift", by="", releases=releases)
    # Not asked for here: replacing what runs. Only starting what should be running is left, which is no change.
    way = Way(memory, state, releases, look, c, frozenset())
    if way.misfits and any(unit.token in way.mine for unit in way.misfits):
        return None
    if policy != "correct" and _stopped_by_hand(memory, look, c):
        return None
    answer = toward(memory, state, releases, look, c)
    if isinstance(answer, Act):
        return replace(answer, step=replace(answer.step, change=""))
    if isinstance(answer, Wait):
        return replace(answer, phase=phase(memory, state))
    if isinstance(answer, Broken):
        return Wait(memory, answer.why, phase(memory, state), reason="broken")
    return Turn(answer.memory, "noted") if answer.memory != memory else None


def _bytes_lacking(memory: AppMemory, state: AppState, look: Look, c: Circumstances, unfit: frozenset[str]) -> tuple[Blob, ...]:
    """What has to be fetched before the services that are not as ordered can be made anew."""
    mine = owned(memory, look.seen, c.device)
    fine = {unit.service for unit in memory.units if unit.finished or (unit.token in mine and unit.token not in unfit)}
    return lacking(replace(state, services=tuple(one for one in state.services if one.name not in fine)), look)


def _waits_for_bytes(memory: AppMemory, state: AppState, blobs: tuple[Blob, ...], c: Circumstances) -> Wait:
    gone = [blob for blob in blobs if blob.digest in c.unfetchable]
    why = f"a container is not as ordered, and {len(blobs)} parts of its image are being fetched first"
    if gone:
        why = f"a container is not as ordered, and {len(gone)} parts of its image are neither here nor to be had from the plane; publish version {state.version} again"
    return Wait(memory, why, phase(memory, state), blobs, reason="fetch")


def _stopped_by_hand(memory: AppMemory, look: Look, c: Circumstances) -> bool:
    """Whether something is missing or was ended from outside since this boot: with drift only reported, that is left so."""
    mine = owned(memory, look.seen, c.device)
    services = {unit.service for unit in memory.units if unit.token in mine or unit.finished}
    if len(services) < len({unit.service for unit in memory.units}):
        return True
    for unit in memory.units:
        container = mine.get(unit.token)
        if (
            container is not None
            and container.state in ("exited", "paused")
            and unit.booted == c.boot
            and not container.oom
            and container.exit_code in (0, 137, 143)
        ):
            return True
    return not mine


def _steady(memory: AppMemory, c: Circumstances) -> AppMemory:
    """Forget crashes of what has been well for a while."""
    units = tuple(
        replace(unit, crashes=0) if unit.crashes and c.mono_ms - c.up_since.get(unit.token, c.mono_ms) >= STEADY_MS else unit for unit in memory.units
    )
    return replace(memory, units=units) if units != memory.units else memory


def _needless_tag(memory: AppMemory, desired: AppState, releases: dict[str, AppState], look: Look) -> str | None:
    """An image tag of ours that no release we may still need speaks of."""
    if not look.platforms:
        return None
    wanted = set()
    for state in (desired, *(releases[content] for content in contents_needed(memory) if content in releases)):
        variants = variants_of(state, look.platforms)
        for service in state.services:
            if service.name in variants:
                wanted.add(keep_tag(memory.app, image_of(state, service).name, variants[service.name]))
    return next((tag for tag in memory.images if tag not in wanted), None)


def start_unnoted(memory: AppMemory, releases: dict[str, AppState], look: Look, c: Circumstances) -> Act | None:
    """What should be running is started even while nothing can be written: that changes nothing, and a reboot must not stop a plant."""
    state = releases.get(memory.running)
    if memory.change is not None or state is None:
        return None
    answer = toward(memory, state, releases, look, c)
    if isinstance(answer, Act) and answer.step.kind == "start":
        return replace(answer, step=replace(answer.step, change=""))
    return None
