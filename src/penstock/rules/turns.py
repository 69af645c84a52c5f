"""How the memory of one app turns: a change begins, is claimed, confirmed, soaks, fails, goes back, ends in a receipt.

Owns each of these turns as a function from memory to memory and what is logged with it. When a turn is due is `plan`'s to say. What a step's
outcome leaves in the memory stands here too (`after`), because a crash may fall between the two.
"""

from __future__ import annotations

from penstock.rules.answers import Circumstances, Turn
from penstock.rules.health import has_rule
from penstock.rules.memory import AppMemory, Change, Good, Pin, Refused, Snapshot, VolumeNote, contents_needed, unit_of, with_unit, without_unit
from penstock.rules.soak import restarted
from penstock.rules.step import Step
from penstock.rules.wayback import back_of
from penstock.wire.log import Event, Receipt
from penstock.wire.messages import Authorisation
from penstock.wire.record import replace
from penstock.wire.types import AppState, content_digest

MAX_REFUSED = 16
STEP_TRIES = 5  # how often one step of a change may fail before the change has failed
BACK_TRIES = 10  # going back is tried longer
INTERRUPTED = "the agent was interrupted while it restarted the service, so nobody knows whether that was done; it is not done twice"
ENGINE_CODES = ("engine-down", "engine-permission", "engine-timeout", "timeout", "died")  # say nothing about the change itself


def begin(
    memory: AppMemory,
    kind: str,
    target: AppState | None,
    c: Circumstances,
    why: str,
    *,
    cause: str,
    by: str,
    releases: dict[str, AppState],
    leave: Authorisation | None = None,
    command: str = "",
    service: str = "",
) -> Turn:
    """A change is decided on. Nothing has been touched yet."""
    content = content_digest(target) if target else ""
    source = releases.get(memory.running)
    change = Change(
        id=c.change_id,
        kind=kind,
        cause=cause,
        by=by,
        source=memory.running,
        target=content,
        back=back_of(memory, content) if kind in ("install", "update", "revert") else "",
        source_version=source.version if source else "",
        target_version=target.version if target else "",
        deployment=target.deployment if target else memory.deployment,
        started_ms=c.now_ms,
        clock=c.clock,
        leave=leave.id if leave else "",
        rollout=leave.rollout if leave else "",
        wave=leave.wave if leave else 0,
        command=command,
        service=service,
        ill=restarted(c.mono_ms),
        health_rule=has_rule(target) if target else True,
    )
    snapshots = memory.snapshots
    if kind in ("update", "revert") and change.source == change.back:
        # Copies made when this release was left before are of other data than what it has now.
        snapshots = tuple(copy for copy in snapshots if copy.content != change.source)
    units = tuple(replace(unit, crashes=0) for unit in memory.units)
    changed = replace(memory, change=change, snapshots=snapshots, units=units)
    if kind != "recreate":
        changed = replace(changed, stubborn=())
    event = Event("change.begun", why, memory.app, change.id, {"kind": kind, "to": change.target_version, "from": change.source_version})
    return Turn(changed, why, (event,))


def claimed(memory: AppMemory, change: Change, c: Circumstances) -> Turn:
    """Every step is done; it has yet to be seen running."""
    why = f"version {change.target_version} is in place; waiting to see it run"
    units = tuple(replace(unit, content=change.target) for unit in memory.units)
    fresh = replace(change, stage="claimed", tries=0, ill=restarted(c.mono_ms), soak=restarted(c.mono_ms), total=restarted(c.mono_ms))
    changed = replace(memory, change=fresh, units=units, running=change.target)
    return Turn(changed, why, (Event("change.claimed", why, memory.app, change.id),), look=True)


def confirmed(memory: AppMemory, change: Change) -> Turn:
    """The right images were seen running."""
    why = f"version {change.target_version} was seen running"
    return Turn(replace(memory, change=replace(change, stage="confirmed")), why, (Event("change.confirmed", why, memory.app, change.id),))


def soaked(memory: AppMemory, change: Change, state: AppState, c: Circumstances) -> Turn:
    """Healthy for the soak time: the only success."""
    rule = "" if change.health_rule else "; the release has no health rule, so running was all there was to see"
    why = f"version {state.version} was healthy for {state.soak_s} s{rule}"
    return end(memory, change, "soaked", why, c, good=Good(change.target, state.version, c.now_ms), keep=state.keep)


def fail(memory: AppMemory, why: str, c: Circumstances, releases: dict[str, AppState], *, by: str = "", pin: bool = False) -> Turn:
    """The change under way has failed, or a person took it back: the way depends on how far it came."""
    change = memory.change
    assert change is not None
    memory = refuse(memory, change.target, change.leave, why) if change.kind in ("install", "update", "revert") else memory
    if change.kind in ("restart", "recreate", "uninstall"):
        return end(memory, change, "failed-left" if change.touched else "failed-unchanged", why, c)
    if not change.touched:
        return end(memory, change, "failed-unchanged", why, c)
    target = releases.get(change.target)
    fixed = [volume.name for volume in target.volumes if volume.policy == "irreversible"] if target else []
    if fixed and change.replaced and not by:
        left = f"{why}. It is left as it is: volume {', '.join(fixed)} is marked irreversible, so going back is a person's decision"
        return end(replace(memory, running=change.target), change, "failed-left", left, c)
    if change.back:
        back = releases.get(change.back)
        stage, text = "reverting", f"{why}; going back to version {back.version if back else '?'}"
    elif change.source and change.kind != "install":
        # What ran before never soaked here, so it is no way back: nothing is made better by taking everything away.
        left = f"{why}. There is no release to go back to that ever soaked on this device"
        return end(replace(memory, running=change.target), change, "failed-left", left, c)
    else:
        stage, text = "undoing", f"{why}; removing what the first installation made"
    fresh = replace(change, stage=stage, why=why, failed_by=by, pin=pin, tries=0, ill=restarted(c.mono_ms))
    units = tuple(replace(unit, crashes=0) for unit in memory.units)
    event = Event("change.failed", text, memory.app, change.id)
    return Turn(replace(memory, change=fresh, units=units, failed=why), text, (event,), look=True)


def gone_back(memory: AppMemory, change: Change, c: Circumstances, releases: dict[str, AppState]) -> Turn:
    """The way back runs again."""
    state = releases.get(change.back)
    why = f"{change.why}; version {state.version if state else '?'} runs again"
    units = tuple(replace(unit, content=change.back) for unit in memory.units)
    changed = replace(memory, units=units, running=change.back)
    if change.pin:
        changed = replace(changed, pin=Pin(change.back, change.target, change.failed_by, c.now_ms))
    return end(changed, change, "failed-reverted", why, c)


def undone(memory: AppMemory, change: Change, c: Circumstances) -> Turn:
    """A failed first installation has left nothing."""
    why = f"{change.why}; what the installation made has been removed"
    pin = Pin("", change.target, change.failed_by, c.now_ms) if change.pin else memory.pin
    return end(replace(memory, running="", units=(), snapshots=(), pin=pin), change, "failed-unchanged", why, c)


def end(memory: AppMemory, change: Change, verdict: str, why: str, c: Circumstances, *, good: Good | None = None, keep: int = 2) -> Turn:
    """The change is over; the receipt says how."""
    receipt = Receipt(
        change=change.id,
        kind=change.kind,
        app=memory.app,
        deployment=change.deployment,
        cause=change.cause,
        by=change.failed_by or change.by,
        verdict=verdict,
        why=why[:4000],
        started_ms=change.started_ms,
        ended_ms=max(c.now_ms, change.started_ms),
        from_version=change.source_version,
        from_content=change.source,
        to_version=change.target_version,
        to_content=change.target,
        authorisation=change.leave,
        rollout=change.rollout,
        wave=change.wave,
        health_rule=change.health_rule,
        clock=c.clock if change.clock == "trusted" else change.clock,
    )
    failed = "" if verdict in ("soaked", "done") else why
    if verdict == "superseded":
        failed = memory.failed
    changed = replace(memory, change=None, failed=failed)
    if good is not None:
        changed = replace(changed, good=_stack(changed.good, good, change, keep))
    return Turn(forget(changed), why, (), receipt, change.command)


def _stack(goods: tuple[Good, ...], good: Good, change: Change, keep: int) -> tuple[Good, ...]:
    """Releases to go back to, newest first. Going back to one takes those above it off the stack."""
    rest = goods
    contents = [one.content for one in goods]
    if change.kind == "revert" and good.content in contents:
        rest = goods[contents.index(good.content) :]
    return (good, *(one for one in rest if one.content != good.content))[: max(keep, 2)]


def forget(memory: AppMemory) -> AppMemory:
    """Copies of data that no release we may go back to needs any more are let go of."""
    needed = {good.content for good in memory.good}
    if memory.change is not None:
        needed.add(memory.change.back)
    return replace(memory, snapshots=tuple(copy for copy in memory.snapshots if copy.content in needed))


def refuse(memory: AppMemory, content: str, leave: str, why: str) -> AppMemory:
    """This content is not tried again under this leave."""
    kept = tuple(one for one in memory.refused if one.content != content)
    return replace(memory, refused=(Refused(content, leave, why[:1000]), *kept)[:MAX_REFUSED])


def rejected(memory: AppMemory, state: AppState, leave: str, why: str, c: Circumstances) -> Turn:
    """A release that cannot run here at all, refused before anything was done."""
    content = content_digest(state)
    change = Change(
        c.change_id, "update" if memory.running else "install", "rollout", "", memory.running, content,
        target_version=state.version, deployment=state.deployment, started_ms=c.now_ms, clock=c.clock, leave=leave,
    )  # fmt: skip
    return end(refuse(memory, content, leave, why), change, "rejected", why, c)


# --- what a step leaves ---------------------------------------------------------------------------------------------------


def after(memory: AppMemory, step: Step, c: Circumstances, *, identity: str = "", had_data: bool = False, copied_bytes: int = 0) -> AppMemory:
    """The memory after a step that went well."""
    change = memory.change
    if change is not None and step.change == change.id:
        memory = replace(memory, change=replace(change, tries=0, ill=restarted(c.mono_ms)))
    unit = unit_of(memory, step.token) if step.token else None
    if step.kind == "create" and unit is not None:
        return with_unit(memory, replace(unit, container=identity))
    if step.kind == "remove" and unit is not None:
        return without_unit(memory, unit.token)
    if step.kind == "snapshot" and memory.change is not None:
        copies = tuple(copy for copy in memory.snapshots if not (copy.volume == step.name and copy.content == memory.change.back))
        return replace(memory, snapshots=(*copies, Snapshot(step.name, memory.change.back, step.snapshot, copied_bytes)))
    if step.kind == "restore" and memory.change is not None:
        return replace(memory, change=replace(memory.change, restored=(*memory.change.restored, step.snapshot)))
    if step.kind == "volume":
        old = next((note for note in memory.volumes if note.name == step.name), VolumeNote(step.name, ours=False, had_data=False))
        others = tuple(note for note in memory.volumes if note.name != step.name)
        return replace(memory, volumes=(*others, replace(old, had_data=old.had_data or had_data)))
    if step.kind == "remove-volume":
        return replace(memory, volumes=tuple(note for note in memory.volumes if note.name != step.name))
    if step.kind == "remove-network":
        return replace(memory, networks=tuple(note for note in memory.networks if note.name != step.name))
    if step.kind == "remove-image":
        return replace(memory, images=tuple(tag for tag in memory.images if tag != step.name))
    if step.kind == "restart" and memory.change is not None:
        return replace(memory, change=replace(memory.change, replaced=(*memory.change.replaced, step.service)))
    return memory


def gives_up(memory: AppMemory, code: str, *, retry: bool) -> bool:
    """Whether one more failure of a step means that the change has failed."""
    change = memory.change
    if change is None or code in ENGINE_CODES:
        return False
    if change.stage in ("reverting", "undoing"):
        return change.tries + 1 >= BACK_TRIES
    return not retry or change.tries + 1 >= STEP_TRIES


def after_fault(memory: AppMemory, code: str) -> AppMemory:
    """The memory after a step that did not go well and will be tried again."""
    change = memory.change
    if change is None or code in ENGINE_CODES:
        return memory
    return replace(memory, change=replace(change, tries=change.tries + 1))


def left(memory: AppMemory, why: str, c: Circumstances) -> Turn:
    """Going back did not work: what is there stays, under its own name."""
    change = memory.change
    assert change is not None
    text = f"{change.why}; going back did not work: {why}"
    running = change.back if change.stage == "reverting" else ""
    return end(replace(memory, running=running), change, "failed-left", text, c)


__all__ = [
    "after", "after_fault", "begin", "claimed", "confirmed", "contents_needed", "end", "fail", "forget", "gives_up", "gone_back", "left",
    "refuse", "rejected", "soaked", "undone",
]  # fmt: skip
