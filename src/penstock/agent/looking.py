"""What to look at next and when, and how a step is dressed as a work.

Owns the making of engine works from the mind's state: which releases, containers and bytes the next look covers, which files nothing needs any more,
and how soon to look again. Decides nothing about an app.
"""

from __future__ import annotations

from penstock.agent.ledger import memory_of
from penstock.agent.telling import View
from penstock.agent.watching import needed_blobs, needed_contents
from penstock.agent.work import ApplyStep, Observe
from penstock.rules.variants import image_of, variants_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.mind import Mind
    from penstock.agent.work import Moment
    from penstock.rules.step import Step
    from penstock.wire.types import AppState, Variant

CHANGING_LOOK_MS = 2_000  # between looks while a change waits for something
SOAKING_LOOK_MS = 5_000
MOST_IDLE_LOOK_MS = 300_000
STEP_MS = 120_000
LONG_STEP_MS = 3_600_000


def observe_work(mind: Mind, now: Moment) -> Observe:
    apps = []
    states: dict[str, AppState] = {}
    names = {memory.app for memory in mind.book.apps} | {one.app for one in mind.book.wanted}
    for app in sorted(names):
        memory = memory_of(mind.book, app)
        releases = mind.releases(memory)
        states.update(releases)
        apps.append((memory, releases))
    ask = mind.watching.ask(mind.device, apps, mind.look, now.mono_ms)
    blobs = needed_blobs(tuple(states.values()), mind.look.platforms)
    keep: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    wanted = {copy.name for memory in mind.book.apps for copy in memory.snapshots}
    if all(memory.change is None for memory in mind.book.apps):
        drop = tuple(name for name in mind.look.snapshots if name not in wanted)
    if mind.sweep and mind.look.platforms and mind.look.seen.engine_ok and not mind.storage_fault() and not mind.busy():
        keep = blobs
        mind.ledger.drop_releases(needed_contents(mind.book.apps, tuple(one.content for one in mind.book.wanted)))
        mind.sweep = False
    return Observe(ask, blobs, keep, drop)


def step_work(mind: Mind, step: Step, state: AppState, releases: dict[str, AppState], now: Moment) -> ApplyStep:
    variant: Variant | None = None
    index = ""
    if step.kind in ("image", "create"):
        variant = variants_of(state, mind.look.platforms).get(step.service)
        index = next((image_of(state, one).index for one in state.services if one.name == step.service), "")
    timeout = STEP_MS
    if step.kind in ("stop", "restart"):
        timeout = step.grace_ms + 60_000
    elif step.kind in ("image", "snapshot", "restore"):
        timeout = LONG_STEP_MS
    helper = _helper(mind, releases) if step.kind in ("volume", "snapshot", "restore") else None
    return ApplyStep(step, state, mind.device, observe_work(mind, now), variant, index, helper, 0, timeout)


def _helper(mind: Mind, releases: dict[str, AppState]) -> Variant | None:
    """Any image of the app that the engine holds."""
    held = {image.manifest for image in mind.look.seen.images} | {image.config for image in mind.look.seen.images}
    for content in sorted(releases):
        for variant in variants_of(releases[content], mind.look.platforms).values():
            if variant.manifest.digest in held or variant.config.digest in held:
                return variant
    return None


def schedule(mind: Mind, now: Moment, *, past_apps: bool) -> None:
    """When to look next, now that nothing can be done at once. With `past_apps` no app is looked after any more, nor waited for."""
    due = mind.look_at
    left = {memory.app for memory in mind.book.apps} if past_apps else ()
    for memory in mind.book.apps:
        if memory.change is None or memory.app in left:
            continue
        pause = SOAKING_LOOK_MS if mind.views.get(memory.app, View()).reason == "soak" else CHANGING_LOOK_MS
        due = min(due, now.mono_ms + pause)
    for what, at in mind.wakes.items():
        if at >= 0 and what not in left:
            due = min(due, at)
    check = mind.watching.next_check_ms(mind.book.apps, now.mono_ms)
    if check >= 0:
        due = min(due, check)
    mind.look_at = max(due, now.mono_ms + 100)


def idle_ms(mind: Mind) -> int:
    return min(max(mind.book.settings.poll_s, 5) * 1000, MOST_IDLE_LOOK_MS)
