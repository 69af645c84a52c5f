"""The course of a change from its first step to its receipt.

Owns each stage: applying, claimed, confirmed and soaking, reverting, undoing, and the short changes that have nothing to soak. Which step is next is
`toward`'s; what a turn writes is `turns`'.
"""

from __future__ import annotations

from penstock.rules import turns
from penstock.rules.answers import Act, Broken, Circumstances, Reached, Turn, Wait
from penstock.rules.drift import drift
from penstock.rules.gates import Shut, gate
from penstock.rules.health import all_well, first_trouble, verdicts
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory, Change
from penstock.rules.observed import is_variant
from penstock.rules.ours import owned
from penstock.rules.phases import sooner
from penstock.rules.soak import CRASHES_IN_CHANGE, deadline_ms, patience_ms, soak_ms, tick
from penstock.rules.step import Step
from penstock.rules.toward import toward
from penstock.rules.variants import image_of, variants_of
from penstock.rules.wish import towards_new, withdraw
from penstock.wire.record import replace
from penstock.wire.types import AppState, Blob, content_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.rules.answers import Answer
    from penstock.rules.health import Verdict

WORD_LOOK_MS = 1_000  # between two decisions while the plane's word on the time is awaited


def under_way(memory: AppMemory, change: Change, desired: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    if change.stage == "reverting":
        return _reverting(memory, change, releases, look, c)
    if change.stage == "undoing":
        return _one_step(memory, change, None, releases, look, c, frozenset(), lambda now: turns.undone(now, change, c))
    if change.kind == "uninstall":
        return _one_step(memory, change, None, releases, look, c, frozenset(), lambda now: _uninstalled(now, change, c))
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


def _one_step(
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
    # Bytes may take as long as they take while nothing has been touched; once something stands still, the deadline runs whatever is waited for.
    counted = replace(change, ill=tick(change.ill, c.mono_ms, counting=change.touched or not answer.needs))
    never = bool(answer.needs) and all(blob.digest in c.unfetchable for blob in answer.needs)
    if never or counted.ill.spent_ms >= (deadline_ms(goal) if goal is not None else 600_000):
        if change.stage in ("reverting", "undoing"):
            return turns.left(memory, answer.why, c)
        why = "its images are gone and not to be had from the plane any more" if never else f"not up within {goal.deadline_s if goal else 600} s"
        return turns.fail(memory, f"{why}: {answer.why}", c, releases)
    due = c.mono_ms + max((deadline_ms(goal) if goal is not None else 600_000) - counted.ill.spent_ms, 0)
    return replace(answer, memory=replace(memory, change=counted), wake_ms=sooner(answer.wake_ms, due))


def _applying(memory: AppMemory, change: Change, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    goal = releases.get(change.target)
    if goal is None:
        return turns.fail(memory, "the description of the release is no longer on this device", c, releases)
    if change.leave and (c.fresh or not change.touched):
        answer = gate(change.kind, memory.app, change.target, c)
        if isinstance(answer, Shut) and answer.reason == "clock" and c.word_due:
            why = "the change was interrupted; it goes on or back once the plane has told the time, and back if it does not soon"
            return Wait(memory, why, "applying", wake_ms=c.mono_ms + WORD_LOOK_MS, reason="clock")
        if isinstance(answer, Shut):
            return turns.fail(memory, f"the change was interrupted, and may not go on: {answer.why}", c, releases)
    return _one_step(memory, change, goal, releases, look, c, frozenset(), lambda now: turns.claimed(_jobs_done(now, goal, look, c), change, c))


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
    follow = towards_new(after, desired, content_digest(desired), releases, look, c) if desired is not None else withdraw(after, releases, look, c)
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
            wrong = _wrong_image(kept.memory, state, look, c)
            return turns.fail(memory, wrong, c, releases) if wrong else turns.confirmed(kept.memory, change)
        return _ill(memory, change, state, found, kept, releases, c)
    again = _started_again(memory, look, c)
    if not all_well(found) or again > change.again:  # what ended between two looks was not well in between, however it stands now
        return _ill(memory, replace(change, again=again), state, found, kept if isinstance(kept, Wait) else None, releases, c)
    counted = replace(
        change,
        again=again,
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


def _wrong_image(memory: AppMemory, state: AppState, look: Look, c: Circumstances) -> str:
    """A sentence when a container runs from another image than the release names: what was claimed is then not what is there."""
    variants = variants_of(state, look.platforms)
    mine = owned(memory, look.seen, c.device)
    for unit in memory.units:
        container = mine.get(unit.token)
        for service in state.services:
            if service.name == unit.service and container is not None and unit.content == content_digest(state):
                image = image_of(state, service)
                if not is_variant(container.image, variants[service.name], image.index):
                    return f"service {service.name} runs from image {container.image[:19]}, which is not the one the release names"
    return ""


def _crashing(memory: AppMemory, look: Look, c: Circumstances) -> str:
    """A sentence when the engine keeps restarting a container of this change."""
    for unit in memory.units:
        container = owned(memory, look.seen, c.device).get(unit.token)
        if container is not None and container.restarts - unit.restarts >= CRASHES_IN_CHANGE:
            times = container.restarts - unit.restarts
            return f"service {unit.service} keeps ending: the engine restarted it {times} times, last exit code {container.exit_code}"
    return ""


def _started_again(memory: AppMemory, look: Look, c: Circumstances) -> int:
    """How often the engine has started containers of this change again by itself."""
    held = owned(memory, look.seen, c.device)
    return sum(max(0, held[unit.token].restarts - unit.restarts) for unit in memory.units if unit.token in held)


def _ill(
    memory: AppMemory, change: Change, state: AppState, found: dict[str, Verdict], kept: Wait | None, releases: dict[str, AppState], c: Circumstances
) -> Answer:
    """Not well: the soak begins anew when it is well again, and the deadline runs."""
    why = first_trouble(found) or (kept.why if kept is not None else f"a service ended and was started again ({change.again} times so far)")
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
    wake = sooner(due, kept.wake_ms if kept is not None else -1)
    return Wait(replace(memory, change=counted), why, change.stage, wake_ms=wake, reason="health")


def _reverting(memory: AppMemory, change: Change, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    goal = releases.get(change.back)
    if goal is None:
        return turns.left(memory, "the description of the release to go back to is no longer on this device", c)
    return _one_step(memory, change, goal, releases, look, c, frozenset(), lambda now: turns.gone_back(now, change, c, releases))


def _short(memory: AppMemory, change: Change, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    """Changes with nothing to soak: a restart on command, and making containers anew that are not as ordered."""
    state = releases.get(change.target)
    if state is None:
        return turns.fail(memory, "the description of the release is no longer on this device", c, releases)
    unfit: frozenset[str] = frozenset()
    if change.kind == "restart":
        mine = owned(memory, look.seen, c.device)
        if change.service not in change.replaced:
            if c.fresh and change.touched:
                return turns.end(memory, change, "failed-left", turns.INTERRUPTED, c)
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
        return _one_step(
            memory, change, state, releases, look, c, unfit, lambda now: turns.end(now, change, "done", f"service {change.service} was restarted", c)
        )
    # Made anew and started, or made anew twice (the first may have been cut short): another time would show the same again.
    once = {unit.token for unit in memory.units if unit.service in change.replaced or change.made.count(unit.service) >= 2}
    unfit = drift(memory, state, look, c.device).unfit - once
    return _one_step(memory, change, state, releases, look, c, unfit, lambda now: _made_anew(now, change, state, look, c))


def _made_anew(memory: AppMemory, change: Change, state: AppState, look: Look, c: Circumstances) -> Turn:
    """The end of a correction. What is still different will stay so, and is not corrected again and again."""
    left = drift(memory, state, look, c.device)
    stubborn = {f"{item.service} {item.field}" for item in left.items if item.field not in ("state", "container") and item.service in change.replaced}
    changed = replace(memory, stubborn=tuple(sorted(set(memory.stubborn) | stubborn))[:64])
    why = f"{', '.join(change.replaced) or memory.app} was made anew as ordered"
    if stubborn:
        why += f"; still different, and only reported from now on: {', '.join(sorted(stubborn))}"
    return turns.end(changed, change, "done", why, c)
