"""The words and tones for how things stand: one place, so that pages, API and CLI say the same.

Pure: values in, (tone, word) out. A tone is a shape and a colour together (good, busy, wait, bad, away, none); the word always stands beside it.
"""

from __future__ import annotations

import json

from penstock.apiv1.devices import Concern, Tone
from penstock.server.core import siteview
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

# A site, by the worst tone of its devices.
SITES: dict[str, tuple[str, str]] = {tone: (tone, siteview.WORDS[tone]) for tone in siteview.TONES}

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


MOVING = siteview.MOVING


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
    if status.phase == "soaked":
        word = "Healthy"
        if status.severity > 0 and status.alarms:
            return ("wait", "Alarm", status.alarms[0])
    return (tone, word, status.why)


_CONCERNS = {
    "Quarantined": "look at its timeline, find out whether disk or key were copied, then release it from quarantine or replace it",
    "Needs a look": "open it, read what it runs that this plane does not know, then accept",
    "Failed": "read why in its timeline; it stays on its way back until a new release or a retry is ordered",
    "Silent": "check its power, network and proxy; nothing is changed there until it is back",
    "Engine down": "look at the container engine on the device",
    "Alarm": "open the device for the whole list",
}


def concern(device: Device, status: DeviceStatus) -> Concern | None:
    """What a person should look at here; None when nothing."""
    if device.state == RETIRED:
        return None
    tone, word, why = of_device(device, status)

    def made(severity: str, what: str, reason: str, remedy: str) -> Concern:
        return Concern(severity="bad" if severity == "bad" else "warn", device=device.id, name=device.name, what=what, why=reason, remedy=remedy)

    if word in _CONCERNS:
        return made("bad" if tone == "bad" else "warn", word.lower(), why, _CONCERNS[word])
    if status.way_back == "missing":
        return made("bad", "no way back", status.why, "the images or snapshots to go back to are gone; changes are refused until they are fetched again")
    if status.pinned:
        return made("warn", "pinned at the device", "somebody on site went back to an earlier release", "agree with it, or deploy a release they can accept")
    if status.drift:
        return made("warn", "drift", status.why or "what runs differs from what was ordered", "open the device to see it field by field")
    if status.lost:
        return made("warn", "log gap", f"{status.lost} entries of its log are lost; their loss is named in its timeline", "check its disk")
    if status.alarms:
        return made("warn", "alarm", status.alarms[0], _CONCERNS["Alarm"])
    return None


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
