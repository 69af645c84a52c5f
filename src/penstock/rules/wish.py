"""A wish that is not fulfilled yet: everything before a change begins.

Owns the questions in their order: was it refused, is somebody's pin on it, can it run here, are the bytes there, is there a way back, may it. Never
carries a change further (`course` does).
"""

from __future__ import annotations

from penstock.rules import turns
from penstock.rules.answers import Act, Circumstances, Settled, Turn, Wait
from penstock.rules.gates import Shut, best_leave, gate
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory
from penstock.rules.order import OrderFault, start_order
from penstock.rules.phases import phase
from penstock.rules.rest import look_after
from penstock.rules.toward import Way
from penstock.rules.variants import platform_fault, variants_of
from penstock.rules.wayback import back_of, held_image, lacking, proof
from penstock.wire.record import replace
from penstock.wire.types import AppState, Blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.rules.answers import Answer


def towards_new(memory: AppMemory, desired: AppState, content: str, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    """Everything before a change begins: can it run here, are the bytes there, is there a way back, may it."""
    leave = best_leave(desired.app, content, c)
    if memory.pin is not None:
        return Wait(memory, f"{memory.pin.by} went back at the device; it stays there until the plane agrees", phase(memory, None), reason="pinned")
    for refused in memory.refused:
        if refused.content == content and leave in ("", refused.leave):
            return Wait(memory, f"version {desired.version} is not tried again under the same leave: {refused.why}", "failed", reason="refused")
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
    imported = _import_ahead(memory, desired, releases, look, c)
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


def _import_ahead(memory: AppMemory, desired: AppState, releases: dict[str, AppState], look: Look, c: Circumstances) -> Act | None:
    """Bring a release's images into the engine ahead of its change: bytes may move at any time."""
    variants = variants_of(desired, look.platforms)
    for service in desired.services:
        variant = variants[service.name]
        if held_image(variant, look) is None:
            return Way(memory, desired, releases, look, c, frozenset()).image_step(service.name)
    return None


def withdraw(memory: AppMemory, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    answer = gate("uninstall", memory.app, "", c)
    if isinstance(answer, Shut):
        running = releases.get(memory.running)
        rest = look_after(memory, running, releases, look, c, answer.why) if running is not None else Settled(memory, answer.why)
        if isinstance(rest, (Act, Turn)):
            return rest
        return Wait(rest.memory, f"it is to be removed from this device: {answer.why}", "waiting", reason=answer.reason, wake_ms=getattr(rest, "wake_ms", -1))
    by = answer.leave.by if answer.leave else ""
    return turns.begin(
        memory, "uninstall", None, c, f"the plane withdrew it, under {answer.why}", cause="withdrawal", by=by, releases=releases, leave=answer.leave
    )
