"""The parts of a service that are lists of things: ports, mounts, networks it joins, what it waits for, devices.

Owns their short and long forms, and gives them in the shape of `wire.types`. Whether the named volume, network or service exists is
checked in `project`, once everything is read.
"""

from __future__ import annotations

import re
from typing import Any

from penstock.server.core.compose import refused, tree
from penstock.server.core.compose.forms import MAX_PORTS
from penstock.server.core.compose.reader import Handler, Reader, spread
from penstock.server.core.compose.scalars import Bad, alias

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
CONDITIONS = {"service_started": "started", "service_healthy": "healthy", "service_completed_successfully": "completed"}


class Parts:
    """Gathers the values of a mapping's keys under wire names; what is not given is left out."""

    def __init__(self, read: Reader) -> None:
        self.read = read
        self.made: dict[str, Any] = {}

    def take(self, name: str, reader: str) -> Any:
        """A handler that reads one value into `name`."""

        def handler(node: tree.Node, path: str) -> None:
            value = self.read.value(node, path, reader)
            if value is not None:
                self.made[name] = value

        return handler

    def pick(self, name: str, allowed: tuple[str, ...]) -> Any:
        """A handler that reads one of `allowed` into `name`."""

        def handler(node: tree.Node, path: str) -> None:
            value = self.read.choice(node, path, allowed)
            if value is not None:
                self.made[name] = value

        return handler


def ports(read: Reader, node: tree.Node, path: str) -> list[Any]:
    """`ports`, short and long."""
    return spread(_port(read, item, f"{path}[{index}]") for index, item in enumerate(read.sequence(node, path)))


RANGE = re.compile(r"(?:(?P<ip>\[[0-9a-fA-F:]+\]|[0-9.]+):)?(?P<first>\d{1,5})-(?P<last>\d{1,5}):(?P<inside>\d{1,5})(?:/(?P<kind>[a-zA-Z]+))?\Z")


def _port(read: Reader, node: tree.Node, path: str) -> Any:
    if not isinstance(node, tree.Mapping):
        shared = RANGE.match(node.text) if isinstance(node, tree.Scalar) and node.kind != "null" else None
        if shared is not None and int(shared["first"]) < int(shared["last"]) <= 65535 and int(shared["last"]) - int(shared["first"]) < MAX_PORTS:
            return _shared_out(read, node, path, shared)
        return read.value(node, path, "ports")
    parts = Parts(read)
    hosts = node.get("published")
    spread_over = PUBLISHED.match(hosts.text) if isinstance(hosts, tree.Scalar) else None
    handlers = {
        "target": parts.take("container", "port_number"),
        "published": parts.take("host", "published") if spread_over is None else lambda _node, _path: None,
        "host_ip": parts.take("host_ip", "host_ip"),
        "protocol": parts.take("protocol", "protocol"),
        # Outside Swarm both modes publish on the device.
        "mode": parts.pick("", ("host", "ingress")),
    }
    read.keys(node, path, handlers, refused.PORT, "a port")
    parts.made.pop("", None)
    if node.get("target") is None:
        read.fault(node, path, "`target` is missing", "write the port inside the container as `target`")
    if spread_over is not None:
        first, last = int(spread_over[1]), int(spread_over[2])
        if not 1 <= first < last <= min(65535, first + MAX_PORTS - 1):
            read.fault(node, f"{path}.published", f"{spread_over[0]!r} is no range of ports", f"write the smaller one first, and at most {MAX_PORTS}")
        else:
            parts.made.update(spread=list(range(first, last + 1)), at=f"{path}.published")
    return parts.made if "container" in parts.made else None


PUBLISHED = re.compile(r"(\d{1,5})-(\d{1,5})\Z")


def _shared_out(read: Reader, node: tree.Node, path: str, found: re.Match[str]) -> Any:
    """Several ports of the device for one of the container: one for each container of the service (see `arrange`)."""
    address = f"{found['ip']}:" if found["ip"] else ""
    kind = f"/{found['kind']}" if found["kind"] else ""
    made = read.text(node, f"{address}{found['first']}:{found['inside']}{kind}", path, "ports")
    if not made:
        return None
    del made[0]["host"]
    read.places.setdefault(path, (node.line, node.column))
    return {**made[0], "spread": list(range(int(found["first"]), int(found["last"]) + 1)), "at": path}


def links(read: Reader, node: tree.Node, path: str) -> list[tuple[str, str]]:
    """`links`: "SERVICE" or "SERVICE:NAME", as service and name."""
    made = []
    for index, item in enumerate(read.sequence(node, path)):
        value = read.static(item, f"{path}[{index}]")
        if value is None:
            continue
        other, colon, name = value.partition(":")
        try:
            made.append((other, alias(name if colon else other)))
        except Bad as fault:
            read.fault(item, f"{path}[{index}]", fault.why, fault.remedy)
    return made


def mounts(read: Reader, node: tree.Node, path: str) -> list[Any]:
    """`volumes` of a service, short and long."""
    return spread(_mount(read, item, f"{path}[{index}]") for index, item in enumerate(read.sequence(node, path)))


def _mount(read: Reader, node: tree.Node, path: str) -> Any:
    if not isinstance(node, tree.Mapping):
        if isinstance(node, tree.Scalar) and node.text.startswith("/") and not set(node.text) & set(":$"):
            target = read.value(node, path, "absolute")
            return None if target is None else {"kind": "volume", "target": target, "source": ""}  # `arrange` names it
        return read.value(node, path, "mount")
    kind_node = node.get("type")
    if kind_node is None:
        read.fault(node, path, "`type` is missing", "write `type: volume`, `bind` or `tmpfs`")
        return None
    others = {"npipe": "leave it out; it is for Windows", "cluster": refused.SWARM, "image": refused.NOT_YET}
    kind = read.choice(kind_node, f"{path}.type", ("volume", "bind", "tmpfs"), others)
    if kind is None:
        return None
    parts = Parts(read)
    handlers = {
        "type": lambda _node, _path: None,
        "target": parts.take("target", "absolute"),
        "read_only": parts.take("read_only", "boolean"),
    }
    if kind == "tmpfs":
        own: dict[str, Handler] = {"size": parts.take("tmpfs_bytes", "size_bytes"), "mode": parts.take("tmpfs_mode", "file_mode")}
        handlers["tmpfs"] = lambda inner, here: _ignore(read.keys(inner, here, own, {}, "a tmpfs"))
    else:
        handlers["source"] = parts.take("source", "host_path" if kind == "bind" else "volume")
    if kind == "bind":
        bind: dict[str, Handler] = {
            "propagation": parts.pick("propagation", PROPAGATIONS),
            "create_host_path": parts.take("make_source", "boolean"),
            "selinux": parts.pick("selinux", ("z", "Z")),
        }
        handlers["bind"] = lambda inner, here: _ignore(read.keys(inner, here, bind, refused.BIND, "a bind mount"))
    if kind == "volume":
        volume: dict[str, Handler] = {"nocopy": parts.take("no_copy", "boolean")}
        handlers["volume"] = lambda inner, here: _ignore(read.keys(inner, here, volume, refused.MOUNTED_VOLUME, "a volume mount"))
    read.keys(node, path, handlers, refused.MOUNT, f"a {kind} mount")
    if kind == "volume" and node.get("source") is None:
        parts.made["source"] = ""  # `arrange` names it
    for name in ("source", "target") if kind == "bind" else ("target",):
        if node.get(name) is None:
            read.fault(node, path, f"`{name}` is missing", "say where it is mounted" if name == "target" else "say which folder of the device is mounted")
    for flag in ("make_source", "no_copy", "read_only"):
        if parts.made.get(flag) is False:
            del parts.made[flag]
    return {"kind": kind, **parts.made} if "target" in parts.made and (kind == "tmpfs" or "source" in parts.made) else None


def _ignore(_: object) -> None:
    """A handler gives nothing back."""


def networks(read: Reader, node: tree.Node, path: str, service: str) -> list[Any]:
    """`networks` of a service, list or mapping. Its own name is an alias in each, as Compose has it."""
    made = []
    if isinstance(node, tree.Mapping):
        for entry in node.entries:
            here = f"{path}.{entry.key[:60]}"
            read.places.setdefault(here, (entry.line, entry.column))
            parts = Parts(read)
            aliases: list[Any] = []
            handlers = {
                "aliases": lambda inner, at, into=aliases: into.extend(read.values(inner, at, "alias")),
                "ipv4_address": parts.take("ipv4", "ipv4"),
                "ipv6_address": parts.take("ipv6", "ipv6"),
                "link_local_ips": _link_local(read, parts),
                "mac_address": parts.take("mac_address", "mac_address"),
                "driver_opts": _driver_options(read, parts),
                "priority": parts.take("priority", "priority"),
            }
            if not (isinstance(entry.value, tree.Scalar) and entry.value.kind == "null"):
                read.keys(entry.value, here, handlers, refused.NETWORK_USE, "a service's network")
            made.append({"network": entry.key, "aliases": _once([service, *aliases]), **parts.made})
        if any("priority" in use for use in made):  # the first network is the one a container's own traffic takes
            made.sort(key=lambda use: -use["priority"] if isinstance(use.get("priority"), int) else 0)
        for use in made:
            use.pop("priority", None)
        return made
    for index, item in enumerate(read.sequence(node, path)):
        here = f"{path}[{index}]"
        name = read.static(item, here)
        if name is None:
            continue
        if any(use["network"] == name for use in made):
            read.fault(item, here, f"the network {name[:60]!r} stands twice", "keep one of the two")
            continue
        read.places.setdefault(f"{path}.{name[:60]}", (item.line, item.column))
        made.append({"network": name, "aliases": [service]})
    return made


def _link_local(read: Reader, parts: Parts) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        parts.made["link_local"] = read.values(node, path, "any_ip")

    return handler


def _driver_options(read: Reader, parts: Parts) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        pairs = read.pairs(node, path, lambda name: None if name and "$" not in name else "it is empty or holds '$'", "option", "write a value")
        found = {key: read.text(place, text, at, "text") for key, (place, text, at) in pairs.items()}
        parts.made["driver_options"] = {key: value for key, value in found.items() if value is not None}

    return handler


def _once(items: list[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


def depends_on(read: Reader, node: tree.Node, path: str) -> list[Any]:
    """`depends_on`, list or mapping with conditions."""
    made: list[Any] = []
    if isinstance(node, tree.Mapping):
        for entry in node.entries:
            here = f"{path}.{entry.key[:60]}"
            read.places.setdefault(here, (entry.line, entry.column))
            made.append(_dependency(read, entry, here))
        return made
    for index, item in enumerate(read.sequence(node, path)):
        here = f"{path}[{index}]"
        name = read.static(item, here)
        if name is None:
            continue
        read.places.setdefault(f"{path}.{name[:60]}", (item.line, item.column))
        if any(other["service"] == name for other in made):
            read.fault(item, here, f"the service {name[:60]!r} stands twice", "keep one of the two")
        else:
            made.append({"service": name})
    return made


def _dependency(read: Reader, entry: tree.Entry, path: str) -> dict[str, Any]:
    made: dict[str, Any] = {"service": entry.key}

    def condition(node: tree.Node, here: str) -> None:
        found = read.choice(node, here, tuple(CONDITIONS))
        if found is not None and found != "service_started":
            made["condition"] = CONDITIONS[found]

    def flag(name: str, default: bool) -> Any:  # noqa: FBT001 - two call sites below
        def handler(node: tree.Node, here: str) -> None:
            found = read.choice(node, here, ("true", "false"))
            if found is not None and (found == "true") is not default:
                made[name] = found == "true"

        return handler

    if isinstance(entry.value, tree.Scalar) and entry.value.kind == "null":
        return made
    handlers = {"condition": condition, "restart": flag("restart", default=False), "required": flag("required", default=True)}
    read.keys(entry.value, path, handlers, refused.DEPENDENCY, "a dependency")
    return made


def devices(read: Reader, node: tree.Node, path: str) -> list[Any]:
    """`devices`, short and long."""
    return spread(_device(read, item, f"{path}[{index}]") for index, item in enumerate(read.sequence(node, path)))


def _device(read: Reader, node: tree.Node, path: str) -> Any:
    if not isinstance(node, tree.Mapping):
        return read.value(node, path, "device")
    parts = Parts(read)
    handlers = {
        "source": parts.take("host", "host_path"),
        "target": parts.take("container", "absolute"),
        "permissions": parts.take("permissions", "permissions"),
    }
    read.keys(node, path, handlers, {}, "a device")
    if node.get("source") is None:
        read.fault(node, path, "`source` is missing", "write the device node of the device as `source`")
    if "host" in parts.made:
        parts.made.setdefault("container", parts.made["host"])
    return parts.made if "host" in parts.made else None
