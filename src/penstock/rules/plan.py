"""What one app needs next: exactly one answer, with its reason.

Owns the life of a change from the wish to the receipt, and what happens while all is at rest. It asks `gates` whether, `toward` which step,
`health` how it goes and `wayback` where a failure leads. A pure function of memory, wish, look and circumstances; asked again after
every step and every crash.
"""

from __future__ import annotations

from penstock.rules import turns
from penstock.rules.answers import Act, Broken, Circumstances, Reached, Settled, Turn, Wait
from penstock.rules.drift import Drift, drift
from penstock.rules.gates import Shut, best_leave, gate
from penstock.rules.health import all_well, first_trouble, verdicts
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory, Change, contents_needed
from penstock.rules.naming import keep_tag
from penstock.rules.order import OrderFault, start_order
from penstock.rules.ours import owned
from penstock.rules.soak import CRASHES_IN_CHANGE, deadline_ms, patience_ms, soak_ms, tick
from penstock.rules.step import Step
from penstock.rules.toward import Way, toward
from penstock.rules.variants import image_of, platform_fault, variants_of
from penstock.rules.wayback import back_of, held_image, lacking, own_copies_lacking, proof
from penstock.wire.record import replace
from penstock.wire.types import AppState, Blob, content_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.rules.answers import Answer
    from penstock.rules.health import Verdict

STEADY_MS = 60_000  # well for so long, and earlier crashes are forgotten


def plan(memory: AppMemory, desired: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    """The next thing for one app. `desired`: what the accepted desired state asks for, None when it does not name the app. `releases`: every release
    the memory speaks of, by content."""
    if not look.seen.engine_ok:
        return Wait(_stand(memory), f"the container engine does not answer: {look.seen.why}", phase(memory, desired), reason="engine")
    if c.storage_fault:
        start = _start_unnoted(memory, releases, look, c)
        if start is not None:
            return start
        return Wait(
            _stand(memory),
            f"the agent's storage cannot be written ({c.storage_fault}); nothing is changed until it can",
            phase(memory, desired),
            reason="storage",
        )
    if memory.change is not None:
        return _under_way(memory, memory.change, desired, releases, look, c)
    return _at_rest(memory, desired, releases, look, c)


def _stand(memory: AppMemory) -> AppMemory:
    """Time in which nothing can be seen counts neither for nor against a change."""
    change = memory.change
    if change is None:
        return memory
    marks = {name: replace(getattr(change, name), mark_ms=-1) for name in ("ill", "soak", "total")}
    return replace(memory, change=replace(change, **marks))


def _start_unnoted(memory: AppMemory, releases: dict[str, AppState], look: Look, c: Circumstances) -> Act | None:
    """What should be running is started even while nothing can be written: that changes nothing, and a reboot must not stop a plant."""
    state = releases.get(memory.running)
    if memory.change is not None or state is None:
        return None
    answer = toward(memory, state, releases, look, c)
    if isinstance(answer, Act) and answer.step.kind == "start":
        return replace(answer, step=replace(answer.step, change=""))
    return None


def phase(memory: AppMemory, desired: AppState | None) -> str:
    change = memory.change
    if change is not None:
        if change.stage in ("reverting", "undoing"):
            return "reverting"
        if change.kind == "uninstall":
            return "removing"
        return "applying" if change.stage == "applying" or change.kind in ("restart", "recreate") else change.stage
    if not memory.running:
        return "failed" if memory.failed else "pending"
    if memory.failed and (desired is None or content_digest(desired) != memory.running or not _is_good(memory)):
        return "failed"
    return "soaked" if _is_good(memory) else "confirmed"


def _is_good(memory: AppMemory) -> bool:
    return any(good.content == memory.running for good in memory.good)


# --- at rest --------------------------------------------------------------------------------------------------------------


def _at_rest(memory: AppMemory, desired: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    if desired is None:
        if not memory.running and not memory.units:
            return Settled(memory, "nothing of it is on this device")
        return _withdraw(memory, releases, look, c)
    content = content_digest(desired)
    if memory.pin is not None and content != memory.pin.against:
        return Turn(replace(memory, pin=None), "the plane asks for another release than the one that was left; the pin is lifted")
    if content == memory.running:
        return _rest(memory, desired, releases, look, c, "")
    answer = _towards_new(memory, desired, content, releases, look, c)
    if isinstance(answer, Wait) and memory.running:
        # While the wish waits, what runs is still looked after.
        rest = _rest(memory, desired, releases, look, c, answer.why)
        if isinstance(rest, (Act, Turn)):
            return rest
        return replace(answer, memory=rest.memory, wake_ms=_sooner(answer.wake_ms, getattr(rest, "wake_ms", -1)))
    return answer


def _sooner(one: int, two: int) -> int:
    return min(one, two) if one >= 0 and two >= 0 else max(one, two)


def _towards_new(memory: AppMemory, desired: AppState, content: str, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    """Everything before a change begins: can it run here, are the bytes there, is there a way back, may it."""
    leave = best_leave(desired.app, content, c)
    for refused in memory.refused:
        if refused.content == content and leave in ("", refused.leave):
            return Wait(memory, f"version {desired.version} is not tried again under the same leave: {refused.why}", "failed", reason="refused")
    if memory.pin is not None:
        return Wait(memory, f"{memory.pin.by} went back at the device; it stays there until the plane agrees", phase(memory, None), reason="pinned")
    try:
        start_order(desired.services)
        fault = platform_fault(desired, look.platforms) if look.platforms else None
    except OrderFault as circle:
        fault = str(circle)
    if fault:
        return turns.rejected(memory, desired, leave, fault, c)
    blobs = lacking(desired, look)
    if blobs:
        gone = [blob for blob in blobs if blob.digest in c.unfetchable]
        why = f"{len(blobs)} image parts of version {desired.version} are being fetched"
        if gone:
            why = f"{len(gone)} image parts of version {desired.version} are not to be had from the plane; publish the release again"
        return Wait(memory, why, "fetching", blobs, reason="fetch")
    imported = _import(memory, desired, releases, look, c)
    if imported is not None:
        return imported
    back = back_of(memory, content) if memory.running else ""
    if back:
        missing = proof(releases.get(back), back, _without_stale_copies(memory, back), look)
        if missing is not None:
            return _no_way_back(memory, missing.blobs, missing.why, desired, c)
    kind = "update" if memory.running else "install"
    answer = gate(kind, desired.app, content, c)
    if isinstance(answer, Shut):
        return Wait(memory, answer.why, "waiting", reason=answer.reason)
    why = f"version {desired.version} is to run here, under {answer.why}"
    by = answer.leave.by if answer.leave else ""
    return turns.begin(memory, kind, desired, c, why, cause="rollout", by=by, releases=releases, leave=answer.leave)


def _without_stale_copies(memory: AppMemory, back: str) -> AppMemory:
    """What runs is its own data; only a release that was left needs its copies."""
    if back != memory.running:
        return memory
    return replace(memory, snapshots=tuple(copy for copy in memory.snapshots if copy.content != back))


def _no_way_back(memory: AppMemory, blobs: tuple[Blob, ...], why: str, desired: AppState, c: Circumstances) -> Wait:
    fetchable = tuple(blob for blob in blobs if blob.digest not in c.unfetchable)
    if fetchable:
        return Wait(
            memory, f"before version {desired.version} is applied, the way back is made whole again: {why}", "fetching", fetchable, reason="no-way-back"
        )
    return Wait(memory, f"version {desired.version} is not applied, because there would be no way back: {why}", "waiting", reason="no-way-back")


def _import(memory: AppMemory, desired: AppState, releases: dict[str, AppState], look: Look, c: Circumstances) -> Act | None:
    """Bring a release's images into the engine ahead of its change: bytes may move at any time."""
    variants = variants_of(desired, look.platforms)
    for service in desired.services:
        variant = variants[service.name]
        if held_image(variant, look) is None:
            return Way(memory, desired, releases, look, c, frozenset()).image_step(service.name)
    return None


def _withdraw(memory: AppMemory, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    answer = gate("uninstall", memory.app, "", c)
    if isinstance(answer, Shut):
        running = releases.get(memory.running)
        rest = _rest(memory, running, releases, look, c, answer.why) if running is not None else Settled(memory, answer.why)
        if isinstance(rest, (Act, Turn)):
            return rest
        return Wait(rest.memory, f"it is to be removed from this device: {answer.why}", "waiting", reason=answer.reason, wake_ms=getattr(rest, "wake_ms", -1))
    by = answer.leave.by if answer.leave else ""
    return turns.begin(
        memory, "uninstall", None, c, f"the plane withdrew it, under {answer.why}", cause="withdrawal", by=by, releases=releases, leave=answer.leave
    )


def _rest(memory: AppMemory, desired: AppState, releases: dict[str, AppState], look: Look, c: Circumstances, why: str) -> Answer:
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


# --- under way ------------------------------------------------------------------------------------------------------------


def _under_way(memory: AppMemory, change: Change, desired: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    if change.stage == "reverting":
        return _reverting(memory, change, releases, look, c)
    if change.stage == "undoing":
        return _toward(memory, change, None, releases, look, c, frozenset(), lambda now: turns.undone(now, change, c))
    if change.kind == "uninstall":
        return _toward(memory, change, None, releases, look, c, frozenset(), lambda now: _uninstalled(now, change, c))
    if change.kind in ("restart", "recreate"):
        return _short(memory, change, releases, look, c)
    if change.stage == "applying":
        return _applying(memory, change, releases, look, c)
    newer, needs = _superseded(memory, change, desired, releases, look, c)
    if newer is not None:
        return newer
    answer = _soaking(memory, change, releases, look, c)
    return replace(answer, needs=answer.needs + needs) if isinstance(answer, Wait) and needs else answer


def _uninstalled(memory: AppMemory, change: Change, c: Circumstances) -> Turn:
    emptied = replace(memory, running="", units=(), good=(), refused=(), pin=None, images=(), networks=(), snapshots=())
    return turns.end(emptied, change, "done", "it was removed from this device; its volumes were kept", c)


def _toward(
    memory: AppMemory,
    change: Change,
    goal: AppState | None,
    releases: dict[str, AppState],
    look: Look,
    c: Circumstances,
    unfit: frozenset[str],
    reached: Callable[[AppMemory], Turn],
) -> Answer:
    """One step of a change, with its patience and its marks of having touched something."""
    answer = toward(memory, goal, releases, look, c, unfit)
    if isinstance(answer, Reached):
        return reached(answer.memory)
    if isinstance(answer, Broken):
        if change.stage in ("reverting", "undoing"):
            return turns.left(memory, answer.why, c)
        return turns.fail(memory, answer.why, c, releases)
    if isinstance(answer, Act):
        if answer.step.kind != "image" and answer.memory.change is not None and not answer.memory.change.touched:
            return replace(answer, memory=replace(answer.memory, change=replace(answer.memory.change, touched=True)))
        return answer
    counted = replace(change, ill=tick(change.ill, c.mono_ms, counting=not answer.needs))
    if counted.ill.spent_ms >= (deadline_ms(goal) if goal is not None else 600_000):
        if change.stage in ("reverting", "undoing"):
            return turns.left(memory, answer.why, c)
        return turns.fail(memory, f"not up within {goal.deadline_s if goal else 600} s: {answer.why}", c, releases)
    due = c.mono_ms + max((deadline_ms(goal) if goal is not None else 600_000) - counted.ill.spent_ms, 0)
    return replace(answer, memory=replace(memory, change=counted), wake_ms=_sooner(answer.wake_ms, due))


def _applying(memory: AppMemory, change: Change, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    goal = releases.get(change.target)
    if goal is None:
        return turns.fail(memory, "the description of the release is no longer on this device", c, releases)
    if change.leave and (c.fresh or not change.touched):
        answer = gate(change.kind, memory.app, change.target, c)
        if isinstance(answer, Shut):
            return turns.fail(memory, f"the change was interrupted, and may not go on: {answer.why}", c, releases)
    return _toward(memory, change, goal, releases, look, c, frozenset(), lambda now: turns.claimed(_jobs_done(now, goal, look, c), change, c))


def _jobs_done(memory: AppMemory, state: AppState, look: Look, c: Circumstances) -> AppMemory:
    """Jobs that ended well are not repeated for this specification, whatever becomes of their container."""
    found = verdicts(state, memory, look.seen, c.device, c.probes)
    done = {name for name, one in found.items() if one.verdict == "finished"}
    return replace(memory, units=tuple(replace(unit, finished=True) if unit.service in done else unit for unit in memory.units))


def _superseded(
    memory: AppMemory, change: Change, desired: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances
) -> tuple[Act | Turn | None, tuple[Blob, ...]]:
    """A newer order that may begin now ends the soaking one: the half-soaked release never becomes a way back. Until then its bytes are fetched."""
    if change.kind == "revert" or (desired is not None and content_digest(desired) == change.target):
        return None, ()
    ended = turns.end(memory, change, "superseded", "a newer order came before it had soaked", c)
    after = ended.memory
    follow = _towards_new(after, desired, content_digest(desired), releases, look, c) if desired is not None else _withdraw(after, releases, look, c)
    if isinstance(follow, Act) and follow.step.kind == "image":
        return replace(follow, memory=replace(memory, images=follow.memory.images)), ()
    if isinstance(follow, Turn) and follow.memory.change is not None:
        return ended, ()
    return None, follow.needs if isinstance(follow, Wait) else ()


def _soaking(memory: AppMemory, change: Change, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    state = releases.get(change.target)
    if state is None:
        return turns.fail(memory, "the description of the release is no longer on this device", c, releases)
    found = verdicts(state, memory, look.seen, c.device, c.probes)
    crashing = _crashing(memory, look, c)
    if crashing:
        return turns.fail(memory, crashing, c, releases)
    kept = toward(memory, state, releases, look, c)
    if isinstance(kept, Act):  # a container stands still or is gone: started again, and the soak begins anew
        counted = replace(kept.memory.change or change, soak=replace(change.soak, spent_ms=0, mark_ms=c.mono_ms))
        return replace(kept, memory=replace(kept.memory, change=counted))
    if isinstance(kept, Broken):
        return turns.fail(memory, kept.why, c, releases)
    if change.stage == "claimed":
        if isinstance(kept, Reached):
            return turns.confirmed(kept.memory, change)
        return _ill(memory, change, state, found, kept, releases, c)
    if not all_well(found):
        return _ill(memory, change, state, found, kept if isinstance(kept, Wait) else None, releases, c)
    counted = replace(
        change,
        ill=replace(change.ill, spent_ms=0, mark_ms=c.mono_ms),
        soak=tick(change.soak, c.mono_ms),
        total=tick(change.total, c.mono_ms),
        health_rule=any(one.rule for one in found.values() if one.verdict == "well"),
    )
    if counted.soak.spent_ms >= soak_ms(state):
        return turns.soaked(memory, counted, state, c)
    left = soak_ms(state) - counted.soak.spent_ms
    why = f"version {state.version} is healthy; it counts as good once it has been so for {state.soak_s} s"
    return Wait(replace(memory, change=counted), why, "confirmed", wake_ms=c.mono_ms + left, reason="soak")


def _crashing(memory: AppMemory, look: Look, c: Circumstances) -> str:
    """A sentence when the engine keeps restarting a container of this change."""
    for unit in memory.units:
        container = owned(memory, look.seen, c.device).get(unit.token)
        if container is not None and container.restarts - unit.restarts >= CRASHES_IN_CHANGE:
            times = container.restarts - unit.restarts
            return f"service {unit.service} keeps ending: the engine restarted it {times} times, last exit code {container.exit_code}"
    return ""


def _ill(
    memory: AppMemory, change: Change, state: AppState, found: dict[str, Verdict], kept: Wait | None, releases: dict[str, AppState], c: Circumstances
) -> Answer:
    """Not well: the soak begins anew when it is well again, and the deadline runs."""
    why = first_trouble(found) or (kept.why if kept is not None else "not seen running yet")
    counted = replace(
        change,
        ill=tick(change.ill, c.mono_ms),
        soak=replace(change.soak, spent_ms=0, mark_ms=-1),
        total=tick(change.total, c.mono_ms),
    )
    if counted.ill.spent_ms >= deadline_ms(state):
        return turns.fail(memory, f"not healthy within {state.deadline_s} s: {why}", c, releases)
    if counted.total.spent_ms >= patience_ms(state):
        return turns.fail(memory, f"well and ill in turns, it never stayed healthy for {state.soak_s} s: {why}", c, releases)
    due = c.mono_ms + deadline_ms(state) - counted.ill.spent_ms
    wake = _sooner(due, kept.wake_ms if kept is not None else -1)
    return Wait(replace(memory, change=counted), why, change.stage, wake_ms=wake, reason="health")


def _reverting(memory: AppMemory, change: Change, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    goal = releases.get(change.back)
    if goal is None:
        return turns.left(memory, "the description of the release to go back to is no longer on this device", c)
    return _toward(memory, change, goal, releases, look, c, frozenset(), lambda now: turns.gone_back(now, change, c, releases))


def _short(memory: AppMemory, change: Change, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    """Changes with nothing to soak: a restart on command, and making containers anew that are not as ordered."""
    state = releases.get(change.target)
    if state is None:
        return turns.fail(memory, "the description of the release is no longer on this device", c, releases)
    unfit: frozenset[str] = frozenset()
    if change.kind == "restart":
        mine = owned(memory, look.seen, c.device)
        if change.service not in change.replaced:
            for unit in memory.units:
                if unit.service == change.service and unit.token in mine:
                    grace = next((one.stop_grace_ms for one in state.services if one.name == change.service), 10_000)
                    why = f"restart service {change.service}, as ordered"
                    step = Step(
                        "restart", memory.app, why, change.id, change.target, change.service, container=mine[unit.token].id, token=unit.token, grace_ms=grace
                    )
                    noted = replace(memory, change=replace(change, touched=True))
                    return Act(step, noted, why)
            return turns.fail(memory, f"service {change.service} has no container to restart", c, releases)
        return _toward(
            memory, change, state, releases, look, c, unfit, lambda now: turns.end(now, change, "done", f"service {change.service} was restarted", c)
        )
    once = {unit.token for unit in memory.units if unit.service in change.replaced}
    unfit = drift(memory, state, look, c.device).unfit - once
    return _toward(memory, change, state, releases, look, c, unfit, lambda now: _made_anew(now, change, state, look, c))


def _made_anew(memory: AppMemory, change: Change, state: AppState, look: Look, c: Circumstances) -> Turn:
    """The end of a correction. What is still different will stay so, and is not corrected again and again."""
    left = drift(memory, state, look, c.device)
    stubborn = {f"{item.service} {item.field}" for item in left.items if item.field not in ("state", "container") and item.service in change.replaced}
    changed = replace(memory, stubborn=tuple(sorted(set(memory.stubborn) | stubborn))[:64])
    why = f"{', '.join(change.replaced) or memory.app} was made anew as ordered"
    if stubborn:
        why += f"; still different, and only reported from now on: {', '.join(sorted(stubborn))}"
    return turns.end(changed, change, "done", why, c)
