"""The parts of a service that are lists of things: ports, mounts, networks it joins, what it waits for, devices.

Owns their short and long forms, and gives them in the shape of `wire.types`. Whether the named volume, network or service exists is
checked in `project`, once everything is read.
"""

from __future__ import annotations

from typing import Any

from penstock.server.core.compose import refused, tree
from penstock.server.core.compose.reader import Reader, spread

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


def _port(read: Reader, node: tree.Node, path: str) -> Any:
    if not isinstance(node, tree.Mapping):
        return read.value(node, path, "ports")
    parts = Parts(read)
    handlers = {
        "target": parts.take("container", "port_number"),
        "published": parts.take("host", "published"),
        "host_ip": parts.take("host_ip", "host_ip"),
        "protocol": parts.take("protocol", "protocol"),
        # Outside Swarm both modes publish on the device.
        "mode": parts.pick("", ("host", "ingress")),
    }
    read.keys(node, path, handlers, refused.PORT, "a port")
    parts.made.pop("", None)
    if node.get("target") is None:
        read.fault(node, path, "`target` is missing", "write the port inside the container as `target`")
    return parts.made if "container" in parts.made else None


def mounts(read: Reader, node: tree.Node, path: str) -> list[Any]:
    """`volumes` of a service, short and long."""
    return spread(_mount(read, item, f"{path}[{index}]") for index, item in enumerate(read.sequence(node, path)))


def _mount(read: Reader, node: tree.Node, path: str) -> Any:
    if not isinstance(node, tree.Mapping):
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
        handlers["tmpfs"] = lambda inner, here: _ignore(read.keys(inner, here, {"size": parts.take("tmpfs_bytes", "size_bytes")}, {}, "a tmpfs"))
    else:
        handlers["source"] = parts.take("source", "host_path" if kind == "bind" else "volume")
    read.keys(node, path, handlers, refused.MOUNT, f"a {kind} mount")
    for name in ("target",) if kind == "tmpfs" else ("source", "target"):
        if node.get(name) is None:
            read.fault(
                node, path, f"`{name}` is missing", "say where it is mounted" if name == "target" else "say what is mounted; data without a name would be lost"
            )
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
            }
            if not (isinstance(entry.value, tree.Scalar) and entry.value.kind == "null"):
                read.keys(entry.value, here, handlers, refused.NETWORK_USE, "a service's network")
            made.append({"network": entry.key, "aliases": _once([service, *aliases]), **parts.made})
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
