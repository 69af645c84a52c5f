"""Two apps that want the same thing of one device: a port, a device node, an accelerator, a container's name, a volume or a network of the engine.

Owns what an app lays claim to (`claims_of`) and when two claims exclude each other (`between`). Symmetric, and indifferent to order; parts of one app against
each other are `compose.whole`'s. Never knows which app came first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.rules.naming import container_name, network_name, volume_name
from penstock.server.core.needs import Needs, accelerators_asked, alone
from penstock.wire.types import AppState

PORT, NODE, ACCELERATOR, CONTAINER, VOLUME, NETWORK = "port", "node", "accelerator", "container", "volume", "network"
WILD = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """One thing an app wants. `what` names it; `address`: of a port; `alone`: nobody else may have it; `count`: of accelerators."""

    kind: str
    what: str
    service: str = ""
    address: str = ""
    alone: bool = True
    count: int = 1


@dataclass(frozen=True, slots=True)
class Claims:
    """All an app wants of a device."""

    app: str
    found: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Clash:
    """Two apps that cannot stand on one device. `apps` sorted; `why` names both and the thing; `remedy` what to do."""

    kind: str
    what: str
    apps: tuple[str, str]
    why: str
    remedy: str


def claims_of(state: AppState, needs: Needs) -> Claims:
    """What an app wants of a device, parameters filled in."""
    found: set[Claim] = set()
    for service in state.services:
        found |= {Claim(PORT, f"{port.host}/{port.protocol}", service.name, port.host_ip) for port in service.ports if port.host}
        said = {node.path: not node.shared for node in needs.nodes}
        found |= {Claim(NODE, node.host, service.name, alone=said.get(node.host, alone(node.host))) for node in service.devices}
        found |= {Claim(ACCELERATOR, kind, service.name, alone=False, count=count) for kind, count in accelerators_asked(service).items()}
        found.add(Claim(CONTAINER, container_name(state.app, service), service.name))
    found |= {Claim(NODE, node.path, alone=not node.shared) for node in needs.nodes}
    found |= {Claim(ACCELERATOR, one.kind, alone=not one.shared, count=one.count) for one in needs.accelerators}
    found |= {Claim(VOLUME, volume_name(state.app, volume)) for volume in state.volumes if not volume.external}
    found |= {Claim(NETWORK, network_name(state.app, network)) for network in state.networks if not network.external}
    return Claims(state.app, tuple(sorted(found)))


def between(one: Claims, other: Claims, accelerators: dict[str, int] | None = None) -> tuple[Clash, ...]:
    """Every clash of two apps. `accelerators`: how many of each kind the device has, None where it has not said (then one of each)."""
    first, second = sorted((one, other), key=lambda claims: (claims.app, claims.found))
    there: dict[tuple[str, str], list[Claim]] = {}
    for claim in second.found:
        there.setdefault((claim.kind, claim.what), []).append(claim)
    found: dict[tuple[str, str], Clash] = {}
    for mine in first.found:
        for theirs in there.get((mine.kind, mine.what), ()):
            if _exclude(mine, theirs, accelerators):
                found.setdefault((mine.kind, mine.what), _clash(first.app, mine, second.app, theirs))
    return tuple(found[key] for key in sorted(found))


def among(claims: Iterable[Claims], accelerators: dict[str, int] | None = None) -> tuple[Clash, ...]:
    """Every clash of any two of these apps."""
    many = sorted(claims, key=lambda one: (one.app, one.found))
    return tuple(clash for index, one in enumerate(many) for other in many[index + 1 :] for clash in between(one, other, accelerators))


def _exclude(mine: Claim, theirs: Claim, accelerators: dict[str, int] | None) -> bool:
    if mine.kind == PORT:
        return mine.address == theirs.address or mine.address in WILD or theirs.address in WILD
    if mine.kind == ACCELERATOR:
        have = 1 if accelerators is None else accelerators.get(mine.what, 0)
        return (mine.alone or theirs.alone) and mine.count + theirs.count > max(have, 1)
    return mine.alone or theirs.alone


WORDS = {
    PORT: "port {} of the device",
    NODE: "the device node {}",
    ACCELERATOR: "the accelerator {}",
    CONTAINER: "the container name {}",
    VOLUME: "the volume {} of the engine",
    NETWORK: "the network {} of the engine",
}
REMEDIES = {
    PORT: "give one of them another port (a parameter, if the release has one), or put them on different devices",
    NODE: "put them on different devices, or say in the release that it may be shared: `needs: devices: [{{node: {}, shared: true}}]`",
    ACCELERATOR: "put them on different devices, or say in the release that it may be shared: `needs: accelerators: [{{kind: {}, shared: true}}]`",
    CONTAINER: "leave `container_name` out of one of them; services find each other by their own names",
    VOLUME: "leave the volume's `name` out of one of them, or name it `external` in the one that only uses it",
    NETWORK: "leave the network's `name` out of one of them, or name it `external` in the one that only joins it",
}


def _clash(app: str, mine: Claim, other: str, theirs: Claim) -> Clash:
    one = f"{app} (service {mine.service})" if mine.service else app
    two = f"{other} (service {theirs.service})" if theirs.service else other
    return Clash(mine.kind, mine.what, (app, other), f"{one} and {two} both want {WORDS[mine.kind].format(mine.what)}", REMEDIES[mine.kind].format(mine.what))
