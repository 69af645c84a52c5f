"""Which version of an app runs on a device, told from its containers alone.

Owns that judgement by marks. Knows no ledger and no labels of specifications.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.sim.catalogue import Version

if TYPE_CHECKING:
    from penstock.sim.device import SimDevice
    from penstock.sim.engine import Shown
    from penstock.sim.world import World

MIXED = Version("mixed", 0, ())


def runs(world: World, device: SimDevice, app: str) -> Version | None:
    """The version whose services run there, exactly and all; None where nothing of the app is left, MIXED for anything else."""
    mine = _ours(device, app)
    if not mine:
        return None
    for version in world.catalogue.versions[app]:
        jobs = {part.name for part in version.parts if part.behaviour.kind == "job"}
        marks = version.marks
        if any(marks.get(one.service) != one.mark for one in mine):
            continue
        up = [one.service for one in mine if one.service not in jobs and one.state in ("running", "restarting")]
        if sorted(up) == sorted(set(marks) - jobs) and len(mine) == len({one.service for one in mine}):
            return version
    return MIXED


def part_of(device: SimDevice, version: Version) -> bool:
    """Whether nothing of its app is there but services of this version, none of them twice."""
    mine = _ours(device, version.app)
    return all(version.marks.get(one.service) == one.mark for one in mine) and len(mine) == len({one.service for one in mine})


def _ours(device: SimDevice, app: str) -> list[Shown]:
    return [one for one in device.engine.all_shown() if one.app == app and one.device == device.id and one.token not in ("", "tok_of_somebody_else")]


def shown(device: SimDevice, app: str) -> str:
    """What runs there, for a sentence."""
    mine = [one for one in device.engine.all_shown() if one.app == app]
    return ", ".join(f"{one.service}={one.mark}({one.state})" for one in mine) or "nothing"
