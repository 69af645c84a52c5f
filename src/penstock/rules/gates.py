"""The one question asked before every change: may it happen now?

Owns that answer for every kind of change. Windows, holds and interlocks join here. Starting what should be running is no change and is never asked
about; stopping what runs is never a gate's doing.
"""

from __future__ import annotations

from penstock.rules.answered import KINDS, Open, Shut
from penstock.rules.answers import Circumstances
from penstock.wire.trust import leave_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

__all__ = ("KINDS", "NEEDS_LEAVE", "Open", "Shut", "best_leave", "gate")

NEEDS_LEAVE = frozenset(("install", "update", "uninstall", "agent-update"))


def gate(kind: str, app: str, content: str, c: Circumstances) -> Open | Shut:
    """Whether a change of this kind to `content` (empty for a withdrawal) may begin now."""
    if kind not in KINDS:
        return Shut("unknown-kind", f"this agent does not know changes of kind {kind!r}; update it")
    if c.storage_fault:
        return Shut("storage", f"the agent's storage cannot be written ({c.storage_fault}); what runs goes on, changes wait until that is mended")
    if kind == "revert-local":
        return Open("a person at the device may always go back")
    if c.retiring:
        if kind == "uninstall":
            return Open(f"the order of {c.retiring} to retire this device")
        return Shut("retiring", f"{c.retiring} ordered this device to be retired; nothing else is changed on it any more")
    if c.quarantined:
        return Shut("quarantined", f"the plane has set this device apart: {c.quarantined}. What runs goes on; a person at the plane must decide")
    if c.now_ms > c.trust_until_ms:
        return Shut("trust-expired", "the root document has expired; what runs goes on, changes wait until the plane sends a new one")
    if kind not in NEEDS_LEAVE:
        return Open("no leave is needed for this")
    return _leave(kind, app, content, c)


def _leave(kind: str, app: str, content: str, c: Circumstances) -> Open | Shut:
    lapsed = None
    other = None
    for leave in c.leaves:
        if leave.app != app:
            continue
        fault = leave_fault(leave, app, content, c.now_ms)
        if fault is None:
            if c.clock != "trusted":
                return Shut(
                    "clock", "the device's clock cannot be trusted, so nobody can say whether the leave has lapsed; it waits for the time from the plane"
                )
            return Open(f"leave {leave.id}" + (f" by {leave.by}" if leave.by else ""), leave)
        if fault.reason == "authorisation-lapsed":
            lapsed = fault
        else:
            other = fault
    if lapsed is not None:
        return Shut("authorisation-lapsed", lapsed.why)
    if other is not None:
        return Shut("authorisation-other-content", f"the plane's leave for {app} is for another release than the one asked for; it waits for the right one")
    word = "withdrawal" if kind == "uninstall" else "release"
    return Shut("no-authorisation", f"the plane has not given leave for this {word} of {app} yet")


def best_leave(app: str, content: str, c: Circumstances) -> str:
    """The id of the leave there is for this content, lapsed or not; empty when there is none."""
    for leave in c.leaves:
        if leave.app == app and leave.content == content:
            return leave.id
    return ""


if TYPE_CHECKING:
    Gate = Union[Open, Shut]
