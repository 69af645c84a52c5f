"""Who is owed what: deployments and their targets against devices.

Owns which deployment may claim an app on a device (the older one, and what is already assigned stays) and which devices a change really
moves. Documents are made elsewhere; nothing here knows waves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from penstock.server.core.model import SOAKED, Assignment, Deployment, Plan
from penstock.server.core.targeting import meant


@dataclass(frozen=True, slots=True)
class Claims:
    """Per deployment the devices it holds, and those it meant but another deployment of the same app holds."""

    held: dict[str, tuple[str, ...]]
    conflicts: dict[str, tuple[str, ...]]


def claims(
    deployments: Sequence[Deployment],
    plans: Mapping[str, Plan],
    devices: Sequence[tuple[str, Mapping[str, str]]],
    assigned: Mapping[str, Assignment],
    members: Mapping[str, Collection[str]],
) -> Claims:
    """Deployments of ONE app, oldest first, against all devices (id, labels). `assigned`: who holds the app on a device now; `members`: who is in each group."""
    means = {one.id: set(meant(plans[one.id].target, devices, members)) for one in deployments}
    held: dict[str, list[str]] = {one.id: [] for one in deployments}
    conflicts: dict[str, list[str]] = {one.id: [] for one in deployments}
    for device, _ in devices:
        wanting = [one.id for one in deployments if device in means[one.id]]
        if not wanting:
            continue
        now = assigned.get(device)
        winner = now.deployment if now is not None and now.deployment in wanting else wanting[0]
        held[winner].append(device)
        for loser in wanting:
            if loser != winner:
                conflicts[loser].append(device)
    return Claims(
        {deployment: tuple(found) for deployment, found in held.items()},
        {deployment: tuple(found) for deployment, found in conflicts.items() if found},
    )


@dataclass(frozen=True, slots=True)
class Moves:
    """What a new plan means. `move`: device to the content it shall run. `leave`: devices the app is withdrawn from. `same`: they run that
    content already, only the plan's number changes."""

    move: dict[str, str]
    leave: tuple[str, ...]
    same: tuple[str, ...]


def moves(wanted: Mapping[str, str], assigned: Mapping[str, Assignment], standing: Mapping[str, str]) -> Moves:
    """`wanted`: device to content by the new plan. `assigned`: what this deployment has given out. `standing`: device to its member state in
    the rollout it was given by."""
    move, same = {}, []
    for device, content in wanted.items():
        now = assigned.get(device)
        if now is not None and now.content == content and standing.get(device) == SOAKED:
            same.append(device)
        else:
            move[device] = content
    return Moves(move, tuple(device for device in assigned if device not in wanted), tuple(same))


def describe_conflict(devices: Iterable[str], names: Mapping[str, str]) -> str:
    """The sentence a deployment carries while another one holds some of its devices."""
    shown = [names.get(device, device) for device in devices]
    head = ", ".join(sorted(shown)[:5])
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return f"another deployment of this app came first on {head}{more}" if shown else ""
