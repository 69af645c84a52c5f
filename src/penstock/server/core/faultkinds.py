"""The kinds of fault: what each is called, how they rank, and what somebody woken at night can do about it.

Owns these words only; from which evidence a fault follows stands in `faults`.
"""

from __future__ import annotations

from dataclasses import dataclass

BAD, WARN = "bad", "warn"
SEVERITIES = (BAD, WARN)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: `rank` orders kinds of one severity, `word` is what it is called, `remedy` what somebody woken at night can do."""

    name: str
    rank: int
    word: str
    remedy: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "quarantined",
            1,
            "Quarantined",
            "What runs there runs on. Find out whether its disk or its key was copied, or whether the machine was set back to an older picture; then release "
            "it from quarantine, or replace it.",
        ),
        Kind(
            "failed-change",
            2,
            "Change failed",
            "Look at why in the device's timeline. It stays as it is until a retry or another release is ordered; at the device, penstock-agent revert goes back.",
        ),
        Kind(
            "crash-looping",
            3,
            "Keeps crashing",
            "Read the service's log. If it began with an update, order a revert; at the device that is penstock-agent revert.",
        ),
        Kind("unhealthy", 4, "Unhealthy", "Read the service's log and what its health check says; restart the service, or order a revert."),
        Kind(
            "engine-down",
            5,
            "Engine down",
            "Look at the container engine on the device (systemctl status docker). Until it answers nobody can say what runs there, and nothing is changed.",
        ),
        Kind("disk", 6, "Disk", "Free space on the device: order a prune, remove what is not needed, or give it a larger disk."),
        Kind("storage", 6, "Storage", "Look at the disk of the device: full, read-only or broken. Nothing is changed there until the agent can write again."),
        Kind(
            "no-way-back",
            7,
            "No way back",
            "The images or data copies to go back to are gone from the device, so changes are refused. Publish the older release again, or deploy a new one and let it soak.",
        ),
        Kind(
            "trust-expiring",
            8,
            "Trust expired",
            "The device refuses changes until it gets a new root document. Sign one with the root key; if the plane has it already, see why the device does not fetch it.",
        ),
        Kind(
            "plane-root-expiring",
            9,
            "Root document expires",
            "Take the root key out of its safe and sign a new root document; once it has expired no device accepts a change.",
        ),
        Kind(
            "plane-disk",
            10,
            "Disk of the control plane",
            "Free space where the control plane keeps its data, or give it a larger disk: when it is full, reports are refused.",
        ),
        Kind(
            "plane-certificate-expiring",
            11,
            "Certificate expires",
            "Put a new certificate where the settings name it and start the control plane again; once it has expired devices and people are cut off.",
        ),
        Kind("plane-stuck", 12, "Work left undone", "Read the control plane's log for what fails; starting it again loses nothing."),
        Kind("in-review", 13, "Needs a look", "Open the device, read what it runs that this control plane does not know, then accept it."),
        Kind(
            "away",
            14,
            "Away",
            "Check power, network and proxy there. What runs goes on running; nothing is changed until it is back. At the device, penstock-agent status says what it sees.",
        ),
        Kind("clock", 15, "Clock", "Set the device's clock or its time server. Changes that need leave wait until its time can be trusted."),
        Kind(
            "not-following",
            16,
            "Does not follow",
            "It calls and yet does not take what it is owed. Look in its timeline for a refusal, and at the device with penstock-agent why.",
        ),
        Kind("drifted", 17, "Drifted", "Open the device to see it field by field; restart or deploy to put it right, or change the release to what is wanted."),
        Kind("pinned", 18, "Pinned on site", "Somebody on site went back to an earlier release. Agree with it, or deploy a release they can accept."),
        Kind("alarm", 19, "Alarm", "Open the device for the whole of what it says."),
        Kind("log-gap", 20, "Log entries lost", "Check the device's disk. The loss is named in its timeline; acknowledge it once it is understood."),
        Kind(
            "plane-no-backup",
            21,
            "No recent backup",
            "Make one with penstock backup, as the settings say, keep it off this machine, and let a timer do it from now on.",
        ),
        Kind("notices-failing", 22, "Notices are not delivered", "Open Notifications, read what the receiver answered, put it right and send a test."),
        Kind(
            "never-called",
            23,
            "Never called",
            "Look whether the agent runs on the device and can reach an address of the control plane; else retire the device.",
        ),
        Kind("waiting-room", 24, "Waits to be let in", "Compare the fingerprint with the one shown at the device, then approve or reject it."),
        Kind(
            "tag-moved",
            25,
            "Tag moved",
            "See in Images from elsewhere what it named and what it names. Publish a new release to take the new content; what was published stays as it is.",
        ),
    )
}
