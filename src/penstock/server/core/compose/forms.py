"""Texts with a form of their own: ports, mounts, device nodes.

Owns Compose's short forms and gives them as JSON-like values in the shape of `wire.types`; and `READERS`, every reader by name, used twice:
when a file is read, and when a hole of a release is filled for a device. Never sees the rest of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.server.core.compose.rarerwords import (
    accelerator_count,
    any_ip,
    capability,
    content,
    cpu_period,
    cpu_quota,
    cpu_real_time,
    cpu_shares,
    device_rule,
    extra_host,
    file_mode,
    group,
    host_name,
    ipv6,
    limit,
    mac_address,
    number_of_user,
    oom_score,
    search_domain,
    security,
    subnet,
    swappiness,
)
from penstock.server.core.compose.scalars import (
    Bad,
    absolute,
    alias,
    boolean,
    container_name,
    cpuset,
    duration_ms,
    duration_s,
    engine_name,
    host_ip,
    host_path,
    ipv4,
    keep,
    memory_bytes,
    nano_cpus,
    pids,
    platform,
    priority,
    restart,
    restarts,
    retries,
    shown,
    size_bytes,
    some_duration_ms,
    some_duration_s,
    something,
    stop_signal,
    swap_bytes,
    text,
    user,
    whole_number,
    words,
)
from penstock.wire.types import name_fault

MAX_PORTS = 256  # of one range
PROTOCOLS = ("tcp", "udp", "sctp")


def port_number(value: str) -> int:
    return whole_number(value, 1, 65535, "port")


def published(value: str) -> int:
    """The port on the device; empty or 0 lets the engine choose."""
    if "-" in value:
        raise Bad(f"{shown(value)} is a range", "write one entry for each port, or the short form 8000-8003:80-83")
    return whole_number(value or "0", 0, 65535, "port")


def protocol(value: str) -> str:
    if value.lower() not in PROTOCOLS:
        raise Bad(f"{shown(value)} is no protocol", "write tcp, udp or sctp")
    return value.lower()


def _range(value: str) -> range:
    first, dash, last = value.partition("-")
    low = port_number(first)
    high = port_number(last) if dash else low
    if high < low:
        raise Bad(f"the range {shown(value)} runs backwards", "write the smaller number first")
    if high - low >= MAX_PORTS:
        raise Bad(f"the range {shown(value)} has more than {MAX_PORTS} ports", "publish only the ports that are used")
    return range(low, high + 1)


def ports(value: str) -> list[dict[str, Any]]:
    """The short form "[[address:]device port:]container port[/protocol]", ranges allowed, as ports of the wire."""
    body, slash, kind = value.partition("/")
    wire_protocol = protocol(kind) if slash else "tcp"
    address = ""
    if body.startswith("["):
        inside, bracket, body = body[1:].partition("]:")
        if not bracket:
            raise Bad(f"{shown(value)}: the address is not closed with ']:'", "write [::1]:8080:80")
        address = host_ip(inside)
        if body.count(":") != 1:
            raise Bad(f"{shown(value)} is no port", "write [::1]:8080:80")
    head, _, inner = body.rpartition(":")
    if head and not address and ":" in head:
        where, _, head = head.rpartition(":")
        address = host_ip(where)
    elif body.startswith(":") and not address:
        raise Bad(f"{shown(value)} is no port", "write 80, 8080:80 or 127.0.0.1:8080:80")
    inside_ports = _range(inner)
    outside: list[int] = list(_range(head)) if head and head != "0" else [0] * len(inside_ports)
    if len(outside) != len(inside_ports):
        raise Bad(
            f"{shown(value)}: {len(outside)} ports of the device for {len(inside_ports)} of the container",
            "make both ranges equally long; let the engine choose a port by leaving the device's port out",
        )
    return [_port(container, host, address, wire_protocol) for container, host in zip(inside_ports, outside, strict=True)]


def _port(container: int, host: int, address: str, wire_protocol: str) -> dict[str, Any]:
    port: dict[str, Any] = {"container": container}
    if host:
        port["host"] = host
    if address:
        port["host_ip"] = address
    if wire_protocol != "tcp":
        port["protocol"] = wire_protocol
    return port


def expose(value: str) -> list[str]:
    """ "3000", "3000/udp" or a range, each port as "3000/tcp"."""
    body, slash, kind = value.partition("/")
    wire_protocol = protocol(kind) if slash else "tcp"
    return [f"{number}/{wire_protocol}" for number in _range(body)]


# --- mounts and devices -----------------------------------------------------------------------------------------------

MOUNT_OPTIONS = {
    "cached": "leave it out; it has no effect on Linux",
    "delegated": "leave it out; it has no effect on Linux",
    "consistent": "leave it out; it has no effect on Linux",
}


def mount(value: str) -> dict[str, Any]:
    """The short form "source:target[:ro|rw]" as a mount of the wire."""
    parts = value.split(":")
    if len(parts) == 1:
        raise Bad(
            f"{shown(value)} has no name, so its data would be lost with the container",
            "give it a name, `data:" + value[:60] + "`, and declare `data` under volumes",
        )
    if len(parts) > 3:
        raise Bad(f"{shown(value)} has more than two ':'", "write source:target or source:target:ro")
    source, target = parts[0], parts[1]
    made: dict[str, Any] = {"kind": "bind" if source.startswith(("/", ".", "~")) else "volume", "target": absolute(target)}
    made["source"] = host_path(source) if made["kind"] == "bind" else volume(source)
    for option in parts[2].split(",") if len(parts) == 3 else ():
        if option == "ro":
            made["read_only"] = True
        elif option in ("z", "Z") and made["kind"] == "bind":
            made["selinux"] = option
        elif option.removeprefix("r") in ("private", "shared", "slave") and made["kind"] == "bind":
            made["propagation"] = option
        elif option == "nocopy" and made["kind"] == "volume":
            made["no_copy"] = True
        elif option != "rw":
            others = "ro, rw, z, Z and the kinds of propagation are" if made["kind"] == "bind" else "ro, rw and nocopy are"
            raise Bad(f"the mount option {shown(option)} is not supported", MOUNT_OPTIONS.get(option, f"only {others}"))
    return made


def volume(value: str) -> str:
    """The name of a volume of this file."""
    fault = name_fault(value)
    if fault:
        remedy = "use lower-case letters, digits, '-', '_' and '.'; a folder of the device begins with '/'"
        raise Bad(f"{shown(value)} is neither a path nor the name of a volume: {fault}", remedy)
    return value


TMPFS_WORDS = ("exec", "noexec", "suid", "nosuid", "dev", "nodev")


def tmpfs(value: str) -> dict[str, Any]:
    """A service's `tmpfs`: "/path" or "/path:size=64m,mode=0750"."""
    target, colon, options = value.partition(":")
    made: dict[str, Any] = {"kind": "tmpfs", "target": absolute(target)}
    for option in options.split(",") if colon else ():
        name, equals, amount = option.partition("=")
        if name == "size" and equals:
            made["tmpfs_bytes"] = size_bytes(amount)
        elif name == "mode" and equals:
            made["tmpfs_mode"] = file_mode("0" + amount)
        elif option == "ro":
            made["read_only"] = True
        elif option in TMPFS_WORDS or (name in ("uid", "gid", "nr_inodes") and amount.isdigit()):
            made.setdefault("tmpfs_options", []).append(option)
        elif option != "rw":
            raise Bad(f"the tmpfs option {shown(option)} is not supported", "size, mode, uid, gid, nr_inodes, ro, and exec, suid, dev or their opposites are")
    return made


def device(value: str) -> dict[str, Any]:
    """ "/dev/on/device[:/dev/in/container[:rwm]]"."""
    parts = value.split(":")
    if not value.startswith("/") and "=" in value:
        raise Bad(f"{shown(value)} is a CDI device, which is not supported", "name the device node, such as /dev/ttyUSB0")
    if len(parts) > 3:
        raise Bad(f"{shown(value)} has more than two ':'", "write /dev/ttyUSB0:/dev/ttyUSB0:rw")
    if len(parts) == 2 and not parts[1].startswith("/"):
        parts = [parts[0], parts[0], parts[1]]
    made = {"host": host_path(parts[0]), "container": absolute(parts[1] if len(parts) > 1 else parts[0])}
    if len(parts) == 3:
        made["permissions"] = permissions(parts[2])
    return made


def permissions(value: str) -> str:
    if not value or len(set(value)) != len(value) or not set(value) <= set("rwm"):
        raise Bad(f"{shown(value)} are no permissions for a device", "write some of r (read), w (write) and m (mknod)")
    return "".join(letter for letter in "rwm" if letter in value)


READERS: dict[str, Callable[[str], Any]] = {
    reader.__name__: reader
    for reader in (
        text, something, boolean, retries, pids, keep, duration_ms, some_duration_ms, duration_s, some_duration_s, size_bytes, memory_bytes,
        swap_bytes, nano_cpus, container_name, engine_name, alias, stop_signal, platform, absolute, host_path, ipv4, host_ip, user, cpuset,
        restart, restarts, priority, accelerator_count, any_ip, capability, content, cpu_period, cpu_quota, cpu_real_time, cpu_shares, device_rule,
        extra_host, file_mode, group, host_name, ipv6, limit, mac_address, number_of_user, oom_score, search_domain, security, subnet, swappiness, words, port_number, published, protocol, ports, expose, mount, volume, tmpfs, device, permissions,
    )
}  # fmt: skip
