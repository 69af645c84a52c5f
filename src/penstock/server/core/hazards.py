"""What a release may do to the device it runs on, beyond its own containers: plain sentences, for whoever publishes, approves or deploys it.

Owns the list of what breaks isolation and the sentence for each (`hazards`). It shows and never forbids: a release runs as its author meant, and what an
installation allows is another rule's. Values that wait for a parameter are shown as they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from penstock.server.core.interpolate import Hole

SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/var/run/podman/podman.sock")
HARMLESS = frozenset(("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID"))
USUAL = HARMLESS | {"SETPCAP", "SETUID", "SYS_CHROOT"}  # what engines give every container unasked
GUARDS = {"seccomp=unconfined": "seccomp", "apparmor=unconfined": "AppArmor", "label=disable": "SELinux"}


def hazards(services: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Sentences, each once, service by service. `services` have the shape of `wire.types.Service`, with holes."""
    return tuple(dict.fromkeys(text for service in services for text in _of(service)))


def _of(service: Mapping[str, Any]) -> Iterator[str]:
    name = str(service["name"])
    options = service.get("options", {})
    privileged = options.get("privileged")
    if isinstance(privileged, Hole):
        yield f"{name} runs privileged where {privileged.text} says so: it can then do all that root can on the device"
    elif privileged:
        yield f"{name} runs privileged: it can do all that root can on the device"
    yield from _namespaces(name, options)
    yield from _rights(name, options)
    for mount in service.get("mounts", ()):
        yield from _mount(name, mount)
    for node in service.get("devices", ()):
        yield f"{name} uses {_shown(node if isinstance(node, Hole) else node.get('host', ''))} of the device"
    for rule in options.get("device_cgroup_rules", ()):
        yield f"{name} may use device nodes by the rule {_shown(rule)}"


def _namespaces(name: str, options: Mapping[str, Any]) -> Iterator[str]:
    if options.get("network_mode") == "host":
        yield f"{name} is in the device's own network: it can listen on every port and reach all that the device reaches, its local programs included"
    if options.get("pid") == "host":
        yield f"{name} sees every process of the device and can send it signals"
    if options.get("ipc") == "host":
        yield f"{name} shares memory and semaphores with the programs of the device"
    if options.get("uts") == "host":
        yield f"{name} shares the device's host name"
    if options.get("userns") == "host":
        yield f"{name} has the device's own users, also where the engine keeps containers apart from them"
    if options.get("cgroup") == "host":
        yield f"{name} sees the control groups of the whole device"


def _rights(name: str, options: Mapping[str, Any]) -> Iterator[str]:
    for capability in options.get("cap_add", ()):
        plain = _shown(capability).removeprefix("CAP_")
        if plain == "ALL":
            yield f"{name} has every capability of the kernel, which is all that root can do on the device"
        elif plain not in USUAL:
            yield f"{name} has the capability {plain} on the device"
    for text in options.get("security", ()):
        guard = GUARDS.get(_shown(text).replace(":", "=", 1))
        if guard is not None:
            yield f"{name} runs without {guard}, which fences containers in"
    score = options.get("oom_score_adj", 0)
    if options.get("oom_kill_disable") is True or (isinstance(score, int) and score < 0):
        yield f"{name} is spared where the device runs out of memory, so that other programs end first"


def _mount(name: str, mount: Any) -> Iterator[str]:
    if isinstance(mount, Hole):
        if mount.text.startswith(("/", "$")):
            yield f"{name} mounts what {mount.text} says, which may be a folder of the device"
        return
    if mount.get("kind") != "bind":
        return
    source = _shown(mount.get("source", ""))
    top = source.rstrip("/") + "/"
    if any(socket == source or socket.startswith(top) for socket in SOCKETS):
        yield f"{name} reaches the socket of the container engine through {source}: it can control every container, and through them the device"
    elif mount.get("read_only") is True:
        yield f"{name} reads {source} of the device"
    else:
        yield f"{name} reads and writes {source} of the device"


def _shown(value: Any) -> str:
    return value.text if isinstance(value, Hole) else str(value)
