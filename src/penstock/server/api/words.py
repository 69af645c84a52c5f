"""The words and tones for how things stand: one place, so that pages, API and CLI say the same.

Pure: values in, (tone, word) out. A tone is a shape and a colour together (good, busy, wait, bad, away, none); the word always stands beside it.
"""

from __future__ import annotations

import json

from penstock.apiv1.devices import Tone
from penstock.server.core.model import QUARANTINED, RETIRED, Device, DeviceStatus

PHASES: dict[str, tuple[Tone, str]] = {
    "none": ("none", "Nothing deployed"),
    "pending": ("busy", "Pending"),
    "fetching": ("busy", "Fetching"),
    "waiting": ("wait", "Waiting"),
    "applying": ("busy", "Applying"),
    "claimed": ("busy", "Claimed"),
    "confirmed": ("busy", "Confirmed"),
    "soaked": ("good", "Soaked"),
    "reverting": ("wait", "Going back"),
    "failed": ("bad", "Failed"),
    "removing": ("busy", "Removing"),
    "removed": ("none", "Removed"),
}

MEMBERS: dict[str, tuple[Tone, str]] = {
    "pending": ("none", "Not begun"),
    "ordered": ("busy", "Ordered"),
    "claimed": ("busy", "Claimed"),
    "confirmed": ("busy", "Confirmed"),
    "soaked": ("good", "Soaked"),
    "failed": ("bad", "Failed"),
    "pinned": ("wait", "Pinned at the device"),
    "removed": ("good", "Removed"),
    "left-out": ("none", "Left out"),
}

ROLLOUTS: dict[str, tuple[Tone, str]] = {
    "running": ("busy", "Running"),
    "done": ("good", "Done"),
    "stopped": ("bad", "Stopped"),
    "superseded": ("none", "Superseded"),
}

OUTCOMES: dict[str, tuple[Tone, str]] = {
    "open": ("busy", "On its way"),
    "done": ("good", "Done"),
    "failed": ("bad", "Failed"),
    "refused": ("wait", "Refused"),
    "unknown": ("wait", "Unknown"),
    "expired": ("none", "Expired"),
}

PREVIEWS: dict[str, tuple[Tone, str]] = {
    "install": ("busy", "Install"),
    "update": ("busy", "Update"),
    "unchanged": ("good", "Unchanged"),
    "withdraw": ("wait", "Withdraw"),
    "left-out": ("none", "Left out"),
    "conflict": ("bad", "Conflict"),
}

MOVING = ("pending", "fetching", "applying", "claimed", "confirmed", "removing")


def of_phase(phase: str) -> tuple[Tone, str]:
    """A phase of an app on a device."""
    return PHASES.get(phase, ("none", phase.capitalize()))


def of_rollout(state: str, failed: int) -> tuple[Tone, str]:
    """A rollout. One that has ended is good news only if nobody failed."""
    if state == "done" and failed:
        return ("bad", "Ended, not well")
    return ROLLOUTS.get(state, ("none", state.capitalize()))


def of_device(device: Device, status: DeviceStatus) -> tuple[Tone, str, str]:
    """How a device stands: tone, word and the sentence that belongs to it. What a person must decide comes before what the device says."""
    if device.state == RETIRED:
        return ("none", "Retired", device.why)
    if device.state == QUARANTINED:
        return ("bad", "Quarantined", device.why)
    if device.review:
        return ("wait", "Needs a look", device.review)
    if status.liveness == "never" and not status.reported_ms:  # liveness is judged now and then; a report is news at once
        return ("none", "Never seen", "it has not reported yet")
    if status.phase == "failed":
        return ("bad", "Failed", status.why)
    if status.liveness == "silent":
        return ("away", "Silent", "nothing has been heard of it for longer than it should take; what runs there goes on running")
    if not status.engine_ok:
        return ("bad", "Engine down", "the agent cannot reach the container engine")
    if not status.apps:
        return ("none", "Idle", "nothing is deployed here")
    tone, word = of_phase(status.phase)
    if status.ill and status.phase in ("soaked", "confirmed"):
        return ("bad", "Unhealthy", status.why)
    if status.phase == "soaked":
        word = "Healthy"
        if status.severity > 0 and status.alarms:
            return ("wait", "Alarm", status.alarms[0])
    return (tone, word, status.why)


_GOOD = {"soaked", "done"}
_BAD = {"failed-unchanged", "failed-reverted", "failed-left", "rejected", "failed", "refused"}


def of_entry(kind: str, title: str, body: str) -> Tone:
    """The tone of a timeline entry, from its kind and, for receipts and outcomes, how they ended."""
    if kind in ("refusal", "gap"):
        return "bad"
    try:
        said = json.loads(body) if body else {}
    except ValueError:
        said = {}
    ended = str(said.get("verdict") or said.get("outcome") or "") if isinstance(said, dict) else ""
    if kind == "local-act" and isinstance(said, dict) and said.get("pin") == "without-pin":
        return "bad"
    if ended in _GOOD:
        return "good"
    if ended in _BAD:
        return "bad"
    if kind == "observation":
        app = said.get("app") if isinstance(said, dict) else None
        if isinstance(app, dict):
            tone = of_phase(str(app.get("phase", "")))[0]
            return tone if tone in ("good", "bad", "busy", "wait") else "none"
    if "lost" in title.lower() or "failed" in title.lower():
        return "bad"
    return "none"
