"""One part of an app against another: names that must exist, ports and names that may stand once, circles, waits that never end.

Owns those checks (`check_whole`), on services with or without holes: what waits for a parameter is passed over, and looked at again
when it is filled in for a device.
"""

from __future__ import annotations

from typing import Any

from penstock.server.core.compose.faults import Faults
from penstock.server.core.interpolate import Hole
from penstock.wire.options import IN_SERVICE, MAX_FILES, size_of

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
        _alone(check, service)
        _files(check, service)
    _file_sizes(check, services)
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
        elif (use.get("ipv4") or use.get("ipv6")) and not networks[name].get("external") and not networks[name].get("pools"):
            why = "engines give a fixed address only in a network that was made with its own subnet"
            remedy = f"give the network one, `networks: {{{name[:60]}: {{ipam: {{config: [{{subnet: 10.1.0.0/24}}]}}}}}}`, or reach the service by its name"
            check.fault(f"{path}.{name[:60]}", why, remedy)


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


LONE = ("ports", "expose", "networks", "hostname", "domainname", "dns", "dns_search", "dns_options", "extra_hosts", "mac_address")
WORDS = {"dns_options": "dns_opt"}


def _alone(check: _Check, service: Plain) -> None:
    """What a service that has no network of its own cannot have."""
    options = service.get("options", {})
    mode = options.get("network_mode", "")
    path = f"services.{service['name']}"
    if mode and service.get("networks"):
        check.fault(f"{path}.network_mode", f"`network_mode: {mode}` and `networks` exclude each other", "keep one of the two")
    if mode in ("host", "none") and service.get("ports"):
        why = f"with `network_mode: {mode}` no port can be published"
        check.fault(f"{path}.ports", why, "leave `ports` out; every port is the device's own" if mode == "host" else "leave `ports` out, or join a network")
    if mode.startswith(IN_SERVICE):
        other = mode[len(IN_SERVICE) :]
        for key in LONE:
            if key != "networks" and (service.get(key) or options.get(key)):
                why = f"the service lives in the network of {other}, so it has no `{WORDS.get(key, key)}` of its own"
                check.fault(f"{path}.{WORDS.get(key, key)}", why, f"write it at {other}")
    if options.get("uts") == "host" and (options.get("hostname") or options.get("domainname")):
        check.fault(f"{path}.uts", "with `uts: host` the service has the device's name", "leave `hostname` and `domainname` out")
    if service.get("resources", {}).get("nano_cpus") and (options.get("cpu_quota_us") or options.get("cpu_period_us")):
        check.fault(f"{path}.cpu_quota", "`cpus` says the same as `cpu_quota` and `cpu_period`", "keep `cpus`")


def _files(check: _Check, service: Plain) -> None:
    """Files are put into the container before it starts, so they need a place that is there then and may be written."""
    path = f"services.{service['name']}"
    seen: set[str] = set()
    mounts = [mount for mount in service.get("mounts", ()) if isinstance(mount, dict) and isinstance(mount.get("target"), str)]
    for file in service.get("files", ()):
        target = file.get("target")
        if not isinstance(target, str):
            continue
        if target in seen:
            check.fault(path, f"two files are put at {target}", "put one of them elsewhere")
        seen.add(target)
        for mount in mounts:
            top = mount["target"].rstrip("/") + "/"
            covered = mount["kind"] != "volume" or mount.get("read_only") is True
            if covered and (target.startswith(top) or target == mount["target"]):
                kind = "read-only volume" if mount["kind"] == "volume" else "folder of the device" if mount["kind"] == "bind" else "tmpfs"
                check.fault(path, f"{target} lies under the {kind} mounted at {mount['target']}, which would cover it", "put the file elsewhere")


def _file_sizes(check: _Check, services: list[Plain]) -> None:
    total = sum(size_of(file["content"]) for service in services for file in service.get("files", ()) if isinstance(file.get("content"), str))
    if total > MAX_FILES:
        check.fault("", f"the files put into containers have {total} bytes, more than the {MAX_FILES} allowed for one app", "put the larger ones into images")


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
