"""What a Docker-compatible engine is: which API to speak, which engine, which kind of image store, whether it has timers.

Owns finding that out by asking; nothing about an engine is configured or assumed from its version.
"""

from __future__ import annotations

import os

from penstock.agent.runtimes import EngineFacts, RuntimeFault
from penstock.agent.runtimes.engine import EngineError, fault_of
from penstock.rules.platforms import runnable
from penstock.wire.messages import Engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.runtimes.engine import EngineClient

NEWEST = (1, 51)  # the newest API this was written against; a newer engine is spoken to in this one
OLDEST = (1, 40)  # Docker 19.03, Podman 3 and later

# What GET /info says of the kernel. A limit it cannot enforce is dropped by the engine with no more than a warning.
_LIMITS = (("memory", "MemoryLimit"), ("swap", "SwapLimit"), ("cpus", "CpuCfsQuota"), ("pids", "PidsLimit"), ("cpuset", "CPUSet"))


def ask(client: EngineClient) -> EngineFacts:
    """Two questions, one answer. Raises RuntimeFault, "unsupported" where what answers is no engine we can drive."""
    try:
        version = client.call("GET", "/version", "asking the engine for its version")
        if not isinstance(version, dict) or not isinstance(version.get("ApiVersion"), str):
            raise RuntimeFault("unsupported", f"what answers at {client.path} is no container engine", retry=False)
        api = negotiate(str(version["ApiVersion"]), str(version.get("MinAPIVersion") or ""))
        info = client.call("GET", f"/v{api}/info", "asking the engine what it is")
    except EngineError as error:
        raise fault_of(error) from None
    info = info if isinstance(info, dict) else {}
    parts = [part for part in version.get("Components") or () if isinstance(part, dict)]
    podman = any("podman" in str(part.get("Name", "")).lower() for part in parts)
    # Docker's containerd image store names its images by manifest; it shows as this driver type (Docker 24 and later).
    status = [row for row in info.get("DriverStatus") or () if isinstance(row, list) and len(row) == 2]
    manifests = any(str(row[0]) == "driver-type" and "containerd.snapshotter" in str(row[1]) for row in status)
    machine = str(info.get("Architecture") or version.get("Arch") or "")
    return EngineFacts(
        engine=Engine(
            kind="podman" if podman else "docker",
            version=str(version.get("Version", ""))[:60],
            api=api,
            store="manifest" if manifests else "config",
            # Podman runs health checks from systemd timers, so where there is no systemd, nobody runs them.
            timers=not podman or os.path.isdir("/run/systemd/system"),
        ),
        platforms=runnable(machine, str(version.get("Arch") or "")),
        root=str(info.get("DockerRootDir") or ""),
        cpus=_integer(info.get("NCPU")),
        memory_bytes=_integer(info.get("MemTotal")),
        start_interval=_version(api) >= (1, 44),
        bridge="podman" if podman else "bridge",
        cannot=tuple(name for name, key in _LIMITS if info.get(key) is False),
    )


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def negotiate(newest: str, oldest: str) -> str:
    """The API version to speak: the newest both sides know. Raises RuntimeFault for an engine too old; one that has dropped all we know is
    spoken to in its oldest, since engines keep their answers compatible far longer than their numbers."""
    theirs = _version(newest)
    if theirs < OLDEST:
        raise RuntimeFault("unsupported", f"the engine speaks API {newest}; at least {OLDEST[0]}.{OLDEST[1]} is needed (Docker 19.03, Podman 3)", retry=False)
    chosen = max(min(theirs, NEWEST), _version(oldest))
    return f"{chosen[0]}.{chosen[1]}"
