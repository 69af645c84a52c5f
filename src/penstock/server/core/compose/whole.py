"""One part of an app against another: names that must exist, ports and names that may stand once, circles, waits that never end.

Owns those checks (`check_whole`), on services with or without holes: what waits for a parameter is passed over, and looked at again
when it is filled in for a device.
"""

from __future__ import annotations

from typing import Any

from penstock.server.core.compose.faults import Faults
from penstock.server.core.interpolate import Hole

Plain = dict[str, Any]


class _Check:
    def __init__(self, faults: Faults, places: dict[str, tuple[int, int]]) -> None:
        self.faults = faults
        self.places = places

    def fault(self, path: str, why: str, remedy: str) -> None:
        """A fault at the nearest place that is known."""
        nearest = path
        while nearest and nearest not in self.places:
            nearest = nearest.rpartition(".")[0]
        line, column = self.places.get(nearest, (0, 0))
        self.faults.add(path, line, column, why, remedy)


def check_whole(faults: Faults, places: dict[str, tuple[int, int]], services: list[Plain], volumes: list[Plain], networks: list[Plain]) -> None:
    """Every check of parts against each other."""
    check = _Check(faults, places)
    names = {volume["name"] for volume in volumes}
    known_networks = {network["name"]: network for network in networks}
    for service in services:
        _mounts(check, service, names)
        _networks(check, service, known_networks)
        _resources(check, service)
    _ports(check, services)
    _container_names(check, services)
    _dependencies(check, services)


def _known(value: Any) -> bool:
    return value is not None and not isinstance(value, Hole)


def _mounts(check: _Check, service: Plain, volumes: set[str]) -> None:
    path = f"services.{service['name']}.volumes"
    targets: set[str] = set()
    for mount in service.get("mounts", ()):
        if isinstance(mount, Hole):
            continue
        source, target = mount.get("source"), mount.get("target")
        if mount["kind"] == "volume" and _known(source) and source not in volumes:
            check.fault(path, f"there is no volume {source!r} in this file", f"declare it: `volumes: {{{source}: {{}}}}` at the top of the file")
        if _known(target):
            plain = target.rstrip("/") or "/"
            if plain == "/":
                check.fault(path, "something is mounted over the whole of the container", "mount it at a folder")
            if plain in targets:
                check.fault(path, f"two things are mounted at {plain}", "mount one of them elsewhere")
            targets.add(plain)


def _networks(check: _Check, service: Plain, networks: dict[str, Plain]) -> None:
    path = f"services.{service['name']}.networks"
    for use in service.get("networks", ()):
        name = use["network"]
        if name not in networks:
            check.fault(
                f"{path}.{name[:60]}",
                f"there is no network {name[:60]!r} in this file",
                f"declare it: `networks: {{{name[:60]}: {{}}}}` at the top of the file",
            )
        elif use.get("ipv4") and not networks[name].get("external"):
            why = "engines give a fixed address only in a network that was made with its own subnet"
            check.fault(f"{path}.{name[:60]}", why, "make that network on the device and name it as `external`, or reach the service by its name")


def _resources(check: _Check, service: Plain) -> None:
    limits = service.get("resources", {})
    memory, swap, kept = (limits.get(name) for name in ("memory_bytes", "memory_swap_bytes", "memory_reservation_bytes"))
    path = f"services.{service['name']}"
    if swap is not None and memory is None:
        check.fault(f"{path}.memswap_limit", "`memswap_limit` counts memory and swap together, and there is no `mem_limit`", "write `mem_limit` too")
    if isinstance(swap, int) and isinstance(memory, int) and 0 < swap < memory:
        check.fault(f"{path}.memswap_limit", "`memswap_limit` is smaller than `mem_limit`", "it is the sum of memory and swap, so write at least as much")
    if isinstance(kept, int) and isinstance(memory, int) and kept > memory:
        check.fault(path, "more memory is reserved than the service may use", "reserve at most as much as the limit")


def _ports(check: _Check, services: list[Plain]) -> None:
    taken: dict[tuple[int, str], list[tuple[str, str]]] = {}
    for service in services:
        path = f"services.{service['name']}.ports"
        for port in service.get("ports", ()):
            if isinstance(port, Hole):
                continue
            host, protocol, address = port.get("host", 0), port.get("protocol", "tcp"), port.get("host_ip", "")
            if not host or any(isinstance(item, Hole) for item in (host, protocol, address)):
                continue
            address = "" if address in ("0.0.0.0", "::") else address  # noqa: S104 - compared, not bound
            for other, where in taken.setdefault((host, protocol), []):
                if address == other or "" in (address, other):
                    check.fault(path, f"port {host}/{protocol} of the device is published twice, here and by {where}", "publish one of them at another port")
            taken[host, protocol].append((address, service["name"]))


def _container_names(check: _Check, services: list[Plain]) -> None:
    seen: dict[str, str] = {}
    for service in services:
        name = service.get("container_name")
        if isinstance(name, str):
            if name in seen:
                check.fault(f"services.{service['name']}.container_name", f"{name!r} is also the container of {seen[name]}", "rename one of them")
            seen[name] = service["name"]


def _dependencies(check: _Check, services: list[Plain]) -> None:
    by_name = {service["name"]: service for service in services}
    waits: dict[str, list[str]] = {}
    for service in services:
        name = service["name"]
        for need in service.get("depends_on", ()):
            other = need["service"]
            path = f"services.{name}.depends_on.{other[:60]}"
            if other == name:
                check.fault(path, "a service cannot wait for itself", "remove it")
                continue
            if other not in by_name:
                check.fault(path, f"there is no service {other[:60]!r} in this file", "name a service of this file, or remove it")
                continue
            waits.setdefault(name, []).append(other)
            _condition(check, path, need.get("condition", "started"), by_name[other])
    circle = _circle(waits)
    if circle:
        path = f"services.{circle[0]}.depends_on.{circle[1]}"
        check.fault(path, f"the services wait for each other in a circle: {' -> '.join(circle)}", "remove one of these dependencies")


def _condition(check: _Check, path: str, condition: str, other: Plain) -> None:
    name = other["name"]
    if condition == "completed" and other.get("restart", "no") in ("always", "unless-stopped"):
        why = f"{name} is started again whenever it ends (restart: {other['restart']}), so it never completes"
        check.fault(path, why, f"write `restart: 'no'` or `on-failure` in {name}")
    health = other.get("healthcheck") or {}
    if condition == "healthy" and health.get("test") == ["NONE"] and not other.get("probes"):
        check.fault(path, f"{name} has its health check switched off, so it never becomes healthy", "give it a health check, or wait for service_started")


def _circle(waits: dict[str, list[str]]) -> list[str]:
    """The first circle found, its first service again at the end; empty when there is none."""
    done: set[str] = set()
    for start in waits:
        path: list[str] = []
        stack = [(start, iter(waits.get(start, ())))]
        path.append(start)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                done.add(name)
                stack.pop()
                path.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                path.append(following)
                stack.append((following, iter(waits.get(following, ()))))
    return []
