"""Single values of the rarer keys: capabilities, kernel limits, host names, processor shares, modes of files.

Owns their readers, as `scalars` owns the everyday ones: the text with its parameters filled in to a value of `wire.options`, or Bad. Never sees the rest
of the file.
"""

from __future__ import annotations

import base64
import re
from ipaddress import ip_network

from penstock.server.core.compose.scalars import Bad, duration_ms, host_ip, shown, text, whole_number
from penstock.wire.options import MAX_FILE

ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip

CAPABILITY = re.compile(r"(?:CAP_)?[A-Z][A-Z_]{1,30}\Z", re.IGNORECASE)
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")
MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z", re.IGNORECASE)
RULE = re.compile(r"[abc] (?:\d+|\*):(?:\d+|\*) [rwm]{1,3}\Z")
SECURITY = re.compile(r"(?:no-new-privileges(?:[=:](?:true|false))?|(?:label|apparmor)[=:].+|seccomp[=:](?:unconfined|builtin))\Z")
OCTAL = re.compile(r"0o?[0-7]{1,5}\Z")


def capability(value: str) -> str:
    """NET_ADMIN, CAP_NET_ADMIN or ALL."""
    if not CAPABILITY.match(value):
        raise Bad(f"{shown(value)} is no capability", "write a name such as NET_ADMIN, or ALL")
    return value.upper()


def security(value: str) -> str:
    """An option of the engine's security modules."""
    if SECURITY.match(value):
        return value
    if value.startswith("seccomp"):
        raise Bad(f"{shown(value)} names a file, and there is none beside the engine of a device", "write seccomp=unconfined, or leave it out")
    raise Bad(f"{shown(value)} is not understood", "write no-new-privileges:true, apparmor=NAME, label=..., or seccomp=unconfined")


def group(value: str) -> str:
    if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z", value):
        raise Bad(f"{shown(value)} is no group", "write a name or number")
    return value


def device_rule(value: str) -> str:
    """As the kernel's device cgroup takes it, "c 188:* rmw"."""
    if not RULE.match(value):
        raise Bad(f"{shown(value)} is no rule for devices", "write kind, numbers and permissions, such as 'c 188:* rmw'")
    return value


def host_name(value: str) -> str:
    if not HOST_NAME.match(value):
        raise Bad(f"{shown(value)} is no host name", "use letters, digits, '-', '_' and '.'")
    return value


def search_domain(value: str) -> str:
    return value if value == "." else host_name(value)


def extra_host(value: str) -> str:
    """ "name:address" or "name=address" as "name:address"; host-gateway is the device itself."""
    name, sign, address = value.partition("=") if "=" in value else value.partition(":")
    if not sign or not HOST_NAME.match(name):
        raise Bad(f"{shown(value)} is no name with an address", "write name=address, such as plc=10.1.2.3, or name=host-gateway for the device itself")
    return f"{name}:{address if address == 'host-gateway' else host_ip(address)}"


def mac_address(value: str) -> str:
    if not MAC.match(value):
        raise Bad(f"{shown(value)} is no MAC address", "write six bytes such as 02:42:ac:11:00:07")
    return value.lower()


def limit(value: str) -> int:
    """A limit of the kernel; -1 and "unlimited" are none."""
    return -1 if value.strip() in ("-1", "unlimited") else whole_number(value, 0, 999_999_999, "limit")


def oom_score(value: str) -> int:
    plain = value.strip()
    return -whole_number(plain[1:], 0, 1000, "score") if plain.startswith("-") else whole_number(plain, 0, 1000, "score")


def swappiness(value: str) -> int:
    return whole_number(value, 0, 100, "percentage")


def cpu_shares(value: str) -> int:
    return 0 if value.strip() == "0" else whole_number(value, 2, 262_144, "share of the processor")


def cpu_quota(value: str) -> int:
    """Microseconds of processor time for each period; 0 and -1 are no limit."""
    return 0 if value.strip() in ("0", "-1") else whole_number(value, 1000, 999_999_999, "quota in microseconds")


def cpu_period(value: str) -> int:
    """Microseconds, as a number or a span."""
    return _microseconds(value, 1000, 1_000_000)


def cpu_real_time(value: str) -> int:
    """Microseconds, as a number or a span."""
    return _microseconds(value, 0, 1_000_000)


def _microseconds(value: str, low: int, high: int) -> int:
    plain = value.strip()
    if plain[-1:].isalpha() and not plain.endswith("us"):
        plain = str(duration_ms(plain) * 1000)
    return whole_number(plain.removesuffix("us"), low, high, "span in microseconds")


def accelerator_count(value: str) -> int:
    return -1 if value.strip() in ("all", "-1") else whole_number(value, 1, 64, "number of devices")


def file_mode(value: str) -> int:
    """ "0440", as chmod takes it. Without the nought YAML reads a decimal number, and people mean an octal one."""
    if not OCTAL.match(value):
        raise Bad(f"{shown(value)} is no mode of a file", "write it in octal with a nought in front, such as 0440")
    return int(value.replace("o", ""), 8) & 0o7777


def number_of_user(value: str) -> int:
    return whole_number(value, 0, 99_999_999, "number of a user or group")


def content(value: str) -> str:
    """A text as the content of a file, base64."""
    data = text(value).encode("utf-8")
    if len(data) > MAX_FILE:
        raise Bad(f"the file has {len(data)} bytes, more than the {MAX_FILE} allowed", "put it into the image")
    return base64.b64encode(data).decode("ascii")


def subnet(value: str) -> str:
    """A range of addresses such as 10.1.0.0/24."""
    try:
        return str(ip_network(value))
    except ValueError as fault:
        raise Bad(f"{shown(value)} is no range of addresses: {fault}", "write it as 10.1.0.0/24, or fd00:1::/64") from None


def any_ip(value: str) -> str:
    return host_ip(value)


def ipv6(value: str) -> str:
    found = host_ip(value)
    if ":" not in found:
        raise Bad(f"{shown(value)} is no IPv6 address", "write one such as fd00::5")
    return found
