"""How a site stands: its devices by tone, worst first.

Owns the tone of a handful of devices that stand alike. The words and tones of one device are `api.words`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.server.core.model import QUARANTINED

TONES = ("bad", "away", "wait", "busy", "none", "good")  # worst first
WORDS = {"bad": "Needs a person", "away": "Silent", "wait": "Waiting", "busy": "Moving", "none": "Nothing runs", "good": "Healthy"}
MOVING = ("pending", "fetching", "applying", "claimed", "confirmed", "removing")


@dataclass(frozen=True, slots=True)
class Alike:
    """Devices of one site that stand alike, and how many they are. `alarmed`: it says alarms."""

    site: str
    state: str
    review: bool
    phase: str
    liveness: str
    reported: bool
    engine_ok: bool
    apps: bool
    alarmed: bool
    count: int


def tone(one: Alike) -> str:
    """How they stand."""
    if one.state == QUARANTINED:
        return "bad"
    if one.review:
        return "wait"
    if one.liveness == "never" and not one.reported:
        return "none"
    if one.phase == "failed":
        return "bad"
    if one.liveness == "silent":
        return "away"
    if not one.engine_ok:
        return "bad"
    if not one.apps:
        return "none"
    if one.phase in ("waiting", "reverting"):
        return "wait"
    if one.phase in MOVING:
        return "busy"
    if one.phase == "soaked":
        return "wait" if one.alarmed else "good"
    return "none"


def by_site(found: Iterable[Alike]) -> dict[str, dict[str, int]]:
    """Per site: how many devices of each tone; tones that none has are left out."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        mine = counts.setdefault(one.site, {})
        which = tone(one)
        mine[which] = mine.get(which, 0) + one.count
    return counts


def worst(counts: dict[str, int]) -> str:
    """The worst tone there is; "none" where there is no device."""
    return next((one for one in TONES if counts.get(one)), "none")
