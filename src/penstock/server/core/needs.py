"""What an app says it needs of a device: processor, memory, disk, device nodes, accelerators.

Owns the record, its plain form inside a release, which device nodes are one program's alone, and what accelerators a list of nodes amounts to. Never compares
a need with a device; `fit` and `clashes` do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from penstock.wire.types import Service

ARCHITECTURES = ("amd64", "arm64", "arm", "386", "riscv64", "ppc64le", "s390x")
ACCELERATORS = {  # kind: the node that each one of it has
    "nvidia": re.compile(r"/dev/nvidia\d+\Z"),
    "amd": re.compile(r"/dev/kfd\Z"),
    "coral": re.compile(r"/dev/apex_\d+\Z"),
    "hailo": re.compile(r"/dev/hailo\d+\Z"),
    "npu": re.compile(r"/dev/accel/accel\d+\Z"),
    "gpu": re.compile(r"/dev/dri/renderD\d+\Z"),
}
# A serial line or a bus has one reader; two would steal each other's bytes. Everything else is shared unless a release says otherwise.
ALONE = re.compile(r"/dev/(?:tty(?:USB|ACM|AMA|THS|mxc|O|S)\d+|serial/.+|spidev[\d.]+|gpiochip\d+|hidraw\d+|usb/hiddev\d+|watchdog\d*|video\d+)\Z")


@dataclass(frozen=True, slots=True)
class Node:
    """A device node of the host. `shared`: others may have it too."""

    path: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Accelerator:
    """So many of a kind, for the app alone unless `shared`."""

    kind: str
    count: int = 1
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What a release needs beyond what its services say. 0 and nothing: not said. Sizes in bytes."""

    architectures: tuple[str, ...] = ()
    memory_bytes: int = 0
    disk_bytes: int = 0
    nodes: tuple[Node, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()


NO_NEEDS = Needs()


def alone(path: str) -> bool:
    """Whether a node that a service is given is taken to be its alone."""
    return ALONE.match(path) is not None


def accelerators_of(nodes: Iterable[str]) -> Counter[str]:
    """How many accelerators of each kind these nodes amount to."""
    return Counter(kind for node in nodes for kind, form in ACCELERATORS.items() if form.match(node))


def accelerators_asked(service: Service) -> dict[str, int]:
    """What a service reserves by `deploy.resources.reservations.devices`, by kind; "all of them" counts as one. Such a reservation shares: an engine gives one
    accelerator to several containers."""
    found: dict[str, int] = {}
    for one in service.options.accelerators:
        kind = one.driver or ("nvidia" if "gpu" in one.capabilities else "")
        if kind in ACCELERATORS:
            found[kind] = found.get(kind, 0) + max(len(one.device_ids), one.count, 1)
    return found


def to_plain(needs: Needs) -> dict[str, Any]:
    """As JSON-like values."""
    return {
        "architectures": list(needs.architectures),
        "memory_bytes": needs.memory_bytes,
        "disk_bytes": needs.disk_bytes,
        "nodes": [[one.path, one.shared] for one in needs.nodes],
        "accelerators": [[one.kind, one.count, one.shared] for one in needs.accelerators],
    }


def from_plain(plain: dict[str, Any]) -> Needs:
    """`to_plain` undone."""
    return Needs(
        tuple(plain["architectures"]),
        plain["memory_bytes"],
        plain["disk_bytes"],
        tuple(Node(*one) for one in plain["nodes"]),
        tuple(Accelerator(*one) for one in plain["accelerators"]),
    )
