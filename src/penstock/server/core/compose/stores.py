"""A top-level volume or network of a Compose file to the shape of `wire.types`.

Owns the tables of their keys, addresses of networks included. Whether anything uses them is not asked; what they may not be beside each other is
checked in `whole`.
"""

from __future__ import annotations

from typing import Any

from penstock.server.core.compose import refused, tree
from penstock.server.core.compose.lists import Parts
from penstock.server.core.compose.reader import Handler, Reader
from penstock.server.core.compose.service import labels, option_fault


def volume(read: Reader, entry: tree.Entry, path: str) -> dict[str, Any]:
    """One volume."""
    return _store(read, entry, path, "volume", lambda _parts: {}, refused.VOLUME)


def network(read: Reader, entry: tree.Entry, path: str) -> dict[str, Any]:
    """One network."""

    def more(parts: Parts) -> dict[str, Handler]:
        return {
            "internal": _flag(read, parts, "internal"),
            "attachable": _flag(read, parts, "attachable"),
            "enable_ipv6": _flag(read, parts, "ipv6"),
            "ipam": lambda node, here: _ipam(read, parts, node, here),
        }

    return _store(read, entry, path, "network", more, refused.NETWORK)


def _flag(read: Reader, parts: Parts, name: str) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        parts.made[name] = read.choice(node, path, ("true", "false")) == "true"

    return handler


def _options(read: Reader, parts: Parts, name: str) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        pairs = read.pairs(node, path, option_fault, "option", "write a value")
        found = {key: read.text(place, text, at, "text") for key, (place, text, at) in pairs.items()}
        parts.made[name] = {key: value for key, value in found.items() if value is not None}

    return handler


def _store(read: Reader, entry: tree.Entry, path: str, noun: str, more: Any, others: dict[str, str]) -> dict[str, Any]:
    if isinstance(entry.value, tree.Scalar) and entry.value.kind == "null":
        return {"name": entry.key}
    parts = Parts(read)
    made = parts.made

    def external(node: tree.Node, here: str) -> None:
        if isinstance(node, tree.Mapping):
            made["external"] = True
            read.keys(node, here, {"name": parts.take("engine_name", "engine_name")}, {}, "an external " + noun)
        else:
            made["external"] = read.choice(node, here, ("true", "false")) == "true"

    def take_labels(node: tree.Node, here: str) -> None:
        made["labels"] = labels(read, node, here)

    handlers: dict[str, Handler] = {
        "driver": parts.take("driver", "engine_name"),
        "driver_opts": _options(read, parts, "driver_options"),
        "name": parts.take("engine_name", "engine_name"),
        "external": external,
        "labels": take_labels,
        **more(parts),
    }
    read.keys(entry.value, path, handlers, others, f"a {noun}")
    idle = [key for key in made if key not in ("engine_name", "external") and made[key]]
    if made.get("external") and idle:
        words = {"driver_options": "driver_opts", "ipv6": "enable_ipv6", "pools": "ipam", "ipam_driver": "ipam", "ipam_options": "ipam"}
        why = f"an external {noun} exists already, so `{words.get(idle[0], idle[0])}` would have no effect"
        read.fault(entry, path, why, "leave it out, or remove `external`")
    return {"name": entry.key, **{key: value for key, value in made.items() if value not in (False, {}, [])}}


def _ipam(read: Reader, parts: Parts, node: tree.Node, path: str) -> None:
    def config(inner: tree.Node, here: str) -> None:
        pools = []
        for index, item in enumerate(read.sequence(inner, here)):
            pool = Parts(read)
            handlers: dict[str, Handler] = {
                "subnet": pool.take("subnet", "subnet"),
                "gateway": pool.take("gateway", "any_ip"),
                "ip_range": pool.take("ip_range", "subnet"),
                "aux_addresses": _addresses(read, pool),
            }
            at = f"{here}[{index}]"
            if read.keys(item, at, handlers, {}, "a range of addresses") and pool.made:
                if "subnet" not in pool.made and item.get("subnet") is None:  # type: ignore[union-attr]
                    read.fault(item, at, "`subnet` is missing", "write the range the other addresses lie in, such as `subnet: 10.1.0.0/24`")
                pools.append(pool.made)
        parts.made["pools"] = pools

    own: dict[str, Handler] = {
        "driver": parts.take("ipam_driver", "engine_name"),
        "config": config,
        "options": _options(read, parts, "ipam_options"),
    }
    read.keys(node, path, own, {}, "ipam")
    if parts.made.get("ipam_driver") == "default":
        del parts.made["ipam_driver"]


def _addresses(read: Reader, pool: Parts) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        pairs = read.pairs(node, path, option_fault, "name", "write an address")
        found = {key: read.text(place, text, at, "any_ip") for key, (place, text, at) in pairs.items()}
        pool.made["reserved"] = {key: value for key, value in found.items() if value is not None}

    return handler
