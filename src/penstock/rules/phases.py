"""How far an app is, in the one word that people and the log use for it.

Owns the phase (`log.PHASES`) that follows from memory and wish, and the small reckoning of wake-up times. Decides nothing.
"""

from __future__ import annotations

from penstock.rules.memory import AppMemory
from penstock.wire.record import replace
from penstock.wire.types import AppState, content_digest


def phase(memory: AppMemory, desired: AppState | None) -> str:
    """One of `log.PHASES` for an app about which nothing more particular is known."""
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


def sooner(one: int, two: int) -> int:
    """The earlier of two monotonic times; -1 means never."""
    return min(one, two) if one >= 0 and two >= 0 else max(one, two)


def stand(memory: AppMemory) -> AppMemory:
    """Time in which nothing can be seen counts neither for nor against a change."""
    change = memory.change
    if change is None:
        return memory
    marks = {name: replace(getattr(change, name), mark_ms=-1) for name in ("ill", "soak", "total")}
    return replace(memory, change=replace(change, **marks))
