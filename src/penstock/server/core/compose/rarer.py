"""The rarer keys of a service to the shape of `wire.options.Options`: isolation, names, limits of the kernel, accelerators.

Owns the table of those keys (`handlers`) and their forms. What they may not be beside each other is checked in `whole`; single values stand in
`rarerwords`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.server.core.compose import refused, tree
from penstock.server.core.compose.lists import Parts
from penstock.server.core.compose.rarerwords import ULIMITS
from penstock.server.core.compose.reader import Handler, Reader, spread
from penstock.wire.options import IN_SERVICE
from penstock.wire.types import name_fault

CONTAINER = "name a service of this file, as `service:NAME`; a container somebody else made may be another one tomorrow"


def name_of(text: str) -> str | None:
    """Why `text` is no name of an option; None when it is one."""
    if not text or "$" in text or "\0" in text:
        return "it is empty" if not text else "it holds '$'"
    return "it has more than 255 characters" if len(text) > 255 else None


def handlers(read: Reader, options: Parts) -> dict[str, Handler]:
    """Key of a service -> what reads it into `options`."""
    take, pick = options.take, options.pick
    return {
        "privileged": take("privileged", "boolean"),
        "read_only": take("read_only", "boolean"),
        "init": take("init", "boolean"),
        "tty": take("tty", "boolean"),
        "stdin_open": take("stdin_open", "boolean"),
        "oom_kill_disable": take("oom_kill_disable", "boolean"),
        "network_mode": _mode(read, options, "network_mode", ("host", "none", "bridge", "default")),
        "ipc": _mode(read, options, "ipc", ("host", "none", "private", "shareable")),
        "pid": _mode(read, options, "pid", ("host",)),
        "uts": pick("uts", ("host",)),
        "userns_mode": pick("userns", ("host",)),
        "cgroup": pick("cgroup", ("host", "private")),
        "cgroup_parent": take("cgroup_parent", "something"),
        "runtime": take("runtime", "something"),
        "hostname": take("hostname", "host_name"),
        "domainname": take("domainname", "host_name"),
        "mac_address": take("mac_address", "mac_address"),
        "cap_add": _listed(read, options, "cap_add", "capability"),
        "cap_drop": _listed(read, options, "cap_drop", "capability"),
        "security_opt": _listed(read, options, "security", "security"),
        "group_add": _listed(read, options, "groups", "group"),
        "device_cgroup_rules": _listed(read, options, "device_cgroup_rules", "device_rule"),
        "dns": _listed(read, options, "dns", "host_ip"),
        "dns_search": _listed(read, options, "dns_search", "search_domain"),
        "dns_opt": _listed(read, options, "dns_options", "something"),
        "extra_hosts": _extra_hosts(read, options),
        "sysctls": _pairs(read, options, "sysctls"),
        "annotations": _pairs(read, options, "annotations"),
        "storage_opt": _pairs(read, options, "storage"),
        "ulimits": _ulimits(read, options),
        "logging": _logging(read, options),
        "shm_size": take("shm_bytes", "size_bytes"),
        "oom_score_adj": take("oom_score_adj", "oom_score"),
        "mem_swappiness": take("swappiness", "swappiness"),
        "cpu_shares": take("cpu_shares", "cpu_shares"),
        "cpu_quota": take("cpu_quota_us", "cpu_quota"),
        "cpu_period": take("cpu_period_us", "cpu_period"),
        "cpu_rt_runtime": take("cpu_rt_runtime_us", "cpu_real_time"),
        "cpu_rt_period": take("cpu_rt_period_us", "cpu_real_time"),
        "gpus": lambda node, path: accelerators(read, options, node, path, ("gpu",)),
    }


def _mode(read: Reader, options: Parts, field: str, words: tuple[str, ...]) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        found = read.static(node, path)
        if found is None:
            return
        if found.startswith(IN_SERVICE) and not name_fault(found[len(IN_SERVICE) :]):
            options.made[field] = found
        elif found in words:
            options.made[field] = "bridge" if found == "default" else found
        else:
            remedy = CONTAINER if found.startswith("container:") else f"write {', '.join(words)} or service:NAME"
            if field == "network_mode" and not found.startswith("container:"):
                remedy += "; a network is joined under `networks`"
            read.fault(node, path, f"`{found[:60]}` is not supported here", remedy)

    return handler


def _listed(read: Reader, options: Parts, field: str, reader: str) -> Handler:
    """A list of texts; Compose lets one stand alone."""

    def handler(node: tree.Node, path: str) -> None:
        if isinstance(node, tree.Sequence):
            found = read.values(node, path, reader)
        else:
            value = read.value(node, path, reader)
            found = [] if value is None else [value]
        if found:
            options.made[field] = found

    return handler


def _pairs(read: Reader, options: Parts, field: str) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        found = read.pairs(node, path, name_of, "name", 'write "" for an empty value')
        made = {name: read.text(place, text, here, "text") for name, (place, text, here) in found.items()}
        options.made[field] = {name: value for name, value in made.items() if value is not None}

    return handler


def _extra_hosts(read: Reader, options: Parts) -> Handler:
    """ "name:address" or "name=address" in a list, or a mapping of a name to one address or several."""

    def handler(node: tree.Node, path: str) -> None:
        found: list[Any] = []
        if isinstance(node, tree.Mapping):
            for entry in node.entries:
                here = f"{path}.{entry.key[:60]}"
                if name_of(entry.key):
                    read.fault(entry, here, f"{entry.key[:60]!r} is no host name", "parameters may stand in values only")
                    continue
                items = entry.value.items if isinstance(entry.value, tree.Sequence) else (entry.value,)
                for item in items:
                    if not isinstance(item, tree.Scalar) or item.kind == "null":
                        read.fault(item, here, f"must be an address, is {tree.kind_of(item)}", "write the address behind the name")
                    else:
                        found.append(read.text(item, f"{entry.key}={item.text}", here, "extra_host"))
        else:
            found = read.values(node, path, "extra_host")
        options.made["extra_hosts"] = spread(found)

    return handler


def _ulimits(read: Reader, options: Parts) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        mapping = read.mapping(node, path)
        made: list[Any] = []
        for entry in mapping.entries if mapping else ():
            here = f"{path}.{entry.key[:60]}"
            read.places.setdefault(here, (entry.line, entry.column))
            if entry.key not in ULIMITS:
                read.fault(entry, here, f"{entry.key[:60]!r} is no limit of the kernel", f"write one of {', '.join(ULIMITS)}")
                continue
            if isinstance(entry.value, tree.Mapping):
                parts = Parts(read)
                read.keys(entry.value, here, {"soft": parts.take("soft", "limit"), "hard": parts.take("hard", "limit")}, {}, "a limit")
                if len(parts.made) == 2:
                    made.append({"name": entry.key, **parts.made})
                elif entry.value.get("soft") is None or entry.value.get("hard") is None:
                    read.fault(entry, here, "`soft` and `hard` both have to be there", "write both, or one number for both")
            else:
                value = read.value(entry.value, here, "limit")
                if value is not None:
                    made.append({"name": entry.key, "soft": value, "hard": value})
        options.made["ulimits"] = sorted(made, key=lambda one: str(one["name"]))  # their order means nothing

    return handler


def _logging(read: Reader, options: Parts) -> Handler:
    def handler(node: tree.Node, path: str) -> None:
        parts = Parts(read)
        read.keys(node, path, {"driver": parts.take("driver", "something"), "options": _pairs(read, parts, "options")}, {}, "logging")
        options.made["logging"] = {key: value for key, value in parts.made.items() if value != {}}

    return handler


def accelerators(read: Reader, options: Parts, node: tree.Node, path: str, needs: tuple[str, ...] = ()) -> None:
    """`gpus`, and `devices` under deploy.resources.reservations. `needs`: capabilities that are understood."""
    made = options.made.setdefault("accelerators", [])
    if isinstance(node, tree.Scalar):
        if needs and node.text == "all":
            made.append({"count": -1, "capabilities": list(needs)})
        else:
            read.fault(node, path, "is no list of devices", "write `gpus: all`, or a list" if needs else "write a list")
        return
    for index, item in enumerate(read.sequence(node, path)):
        one = _accelerator(read, item, f"{path}[{index}]", needs)
        if one is not None:
            made.append(one)


def _accelerator(read: Reader, node: tree.Node, path: str, needs: tuple[str, ...]) -> dict[str, Any] | None:
    parts = Parts(read)
    take: Callable[[str, str], Handler] = lambda name, reader: _listed(read, parts, name, reader)  # noqa: E731 - a short name for six lines
    handlers_: dict[str, Handler] = {
        "driver": parts.take("driver", "something"),
        "count": parts.take("count", "accelerator_count"),
        "device_ids": take("device_ids", "something"),
        "capabilities": take("capabilities", "something"),
        "options": _pairs(read, parts, "options"),
    }
    if not read.keys(node, path, handlers_, refused.ACCELERATOR, "a reserved device"):
        return None
    made = parts.made
    if not needs and not made.get("capabilities"):
        read.fault(node, path, "`capabilities` is missing", "say what the device must be able to do, such as `capabilities: [gpu]`")
        return None
    if "count" in made and "device_ids" in made:
        read.fault(node, path, "`count` and `device_ids` stand side by side", "say how many or say which, not both")
        return None
    if "device_ids" not in made:
        made.setdefault("count", -1)
    made["capabilities"] = list(dict.fromkeys([*needs, *made.get("capabilities", ())]))
    return made
