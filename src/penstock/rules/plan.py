"""What one app needs next: exactly one answer, with its reason.

Owns the life of a change from the wish to the receipt, and what happens while all is at rest. It asks `gates` whether, `toward` which step,
`health` how it goes and `wayback` where a failure leads. A pure function of memory, wish, look and circumstances; asked again after
every step and every crash.
"""

from __future__ import annotations

from penstock.rules.answers import Act, Circumstances, Settled, Turn, Wait
from penstock.rules.course import under_way
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory
from penstock.rules.phases import phase, sooner, stand
from penstock.rules.rest import look_after, start_unnoted
from penstock.rules.wish import towards_new, withdraw
from penstock.wire.record import replace
from penstock.wire.types import AppState, content_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.rules.answers import Answer


def plan(memory: AppMemory, desired: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    """The next thing for one app. `desired`: what the accepted desired state asks for, None when it does not name the app. `releases`: every release
    the memory speaks of, by content."""
    if not look.seen.engine_ok:
        return Wait(stand(memory), f"the container engine does not answer: {look.seen.why}", phase(memory, desired), reason="engine")
    if c.storage_fault:
        start = start_unnoted(memory, releases, look, c)
        if start is not None:
            return start
        return Wait(
            stand(memory),
            f"the agent's storage cannot be written ({c.storage_fault}); nothing is changed until it can",
            phase(memory, desired),
            reason="storage",
        )
    if memory.change is not None:
        return under_way(memory, memory.change, desired, releases, look, c)
    return _at_rest(memory, desired, releases, look, c)


def _at_rest(memory: AppMemory, desired: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances) -> Answer:
    if desired is None:
        if not memory.running and not memory.units:
            return Settled(memory, "nothing of it is on this device")
        return withdraw(memory, releases, look, c)
    content = content_digest(desired)
    if memory.pin is not None and content != memory.pin.against:
        return Turn(replace(memory, pin=None), "the plane asks for another release than the one that was left; the pin is lifted")
    if content == memory.running:
        return look_after(memory, desired, releases, look, c, "")
    answer = towards_new(memory, desired, content, releases, look, c)
    if isinstance(answer, Wait) and memory.running:
        # While the wish waits, what runs is still looked after.
        rest = look_after(memory, desired, releases, look, c, answer.why)
        if isinstance(rest, (Act, Turn)):
            return rest
        wake = sooner(answer.wake_ms, rest.wake_ms) if isinstance(rest, Wait) else answer.wake_ms
        return replace(answer, memory=rest.memory, needs=answer.needs + rest.needs, wake_ms=wake)
    return answer
