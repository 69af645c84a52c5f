"""One text of a Compose file to one plain value: numbers, sizes, spans, names, paths.

Owns the readers of single values. Each takes the text with its parameters filled in and gives a value of `wire.types`, or raises Bad with a
sentence. Never sees the rest of the file. Values with an inner form (ports, mounts) stand in `forms`.
"""

from __future__ import annotations

import re
import shlex
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Address, ip_address
from typing import Any

from penstock.rules.platforms import normal

MAX_SPAN_MS = 7 * 24 * 3600 * 1000
MAX_BYTES = 2**50

DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:us|ms|s|m|h|d))+\Z")
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")
UNITS_MS = {"us": Decimal("0.001"), "ms": Decimal(1), "s": Decimal(1000), "m": Decimal(60_000), "h": Decimal(3_600_000), "d": Decimal(86_400_000)}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|k|kb|ki|kib|m|mb|mi|mib|g|gb|gi|gib|t|tb|ti|tib)?\Z", re.IGNORECASE)
SHIFTS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
CPUSET = re.compile(r"\d{1,4}(?:-\d{1,4})?(?:,\d{1,4}(?:-\d{1,4})?)*\Z")
CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,62}\Z")
ENGINE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}\Z")
ALIAS = re.compile(r"[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9_])?\Z")
SIGNAL = re.compile(
    r"(?:SIG)?(?:HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CONT|STOP|TSTP|TTIN|TTOU|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|PWR|SYS|RTMIN(?:\+\d{1,2})?|RTMAX(?:-\d{1,2})?)\Z"
)
PLATFORM = re.compile(r"linux/[a-z0-9]+(?:/[a-z0-9]+)?\Z")
DIGITS = re.compile(r"\d{1,9}\Z")


class Bad(ValueError):
    """A text that is not what its place wants. `why` and `remedy` are sentences."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def shown(text: str) -> str:
    """A text for a sentence, shortened."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


# --- plain values -----------------------------------------------------------------------------------------------------


def text(value: str) -> str:
    if "\0" in value:
        raise Bad("the text holds a NUL, which no container setting may", "remove it")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Bad("the text holds half of a surrogate pair, which no text may", "write the whole character") from None
    return value


def something(value: str) -> str:
    """A text that is not empty."""
    if not value.strip():
        raise Bad("the value is empty", "write a value, or leave the key out")
    return text(value)


def boolean(value: str) -> bool:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Bad(f"{shown(value)} is neither true nor false", "write true or false")


def whole_number(value: str, low: int, high: int, what: str) -> int:
    if not DIGITS.match(value.strip()) or not low <= int(value) <= high:
        raise Bad(f"{shown(value)} is no {what}", f"write a whole number from {low} to {high}")
    return int(value)


def retries(value: str) -> int:
    return whole_number(value, 1, 1000, "number of tries")


def pids(value: str) -> int:
    """0 and -1 are Compose's ways to say "no limit"."""
    if value.strip() in ("0", "-1"):
        return 0
    return whole_number(value, 1, 4_194_304, "number of processes")


def keep(value: str) -> int:
    return whole_number(value, 2, 5, "number of releases to keep")


def duration_ms(value: str) -> int:
    """A span as Compose writes it, "1m30s" (compose-spec, 11-extension.md, durations), in milliseconds."""
    if value.strip() == "0":
        return 0
    if not DURATION.match(value.strip()) or len(value) > 60:
        raise Bad(f"{shown(value)} is no span of time", "write it with units, such as 90s, 1m30s or 500ms")
    span = sum((Decimal(number) * UNITS_MS[unit] for number, unit in DURATION_PART.findall(value)), Decimal(0))
    if span != span.to_integral_value():
        raise Bad(f"{shown(value)} is finer than a millisecond", "write whole milliseconds")
    if span > MAX_SPAN_MS:
        raise Bad(f"{shown(value)} is longer than seven days", "write a shorter span")
    return int(span)


def some_duration_ms(value: str) -> int:
    span = duration_ms(value)
    if span == 0:
        raise Bad("the span is zero", "write a span longer than zero, or leave the key out for the engine's own")
    return span


def duration_s(value: str) -> int:
    span = duration_ms(value)
    if span % 1000:
        raise Bad(f"{shown(value)} is no whole number of seconds", "write whole seconds")
    return span // 1000


def some_duration_s(value: str) -> int:
    span = duration_s(value)
    if span == 0:
        raise Bad("the span is zero", "write at least 1s")
    return span


def size_bytes(value: str) -> int:
    """A size as Compose writes it, "512m"; units are powers of 1024 (compose-spec, 11-extension.md, byte values)."""
    match = SIZE.match(value.strip()) if len(value) <= 40 else None
    if match is None:
        raise Bad(f"{shown(value)} is no size", "write it with a unit, such as 512m or 2g")
    unit = (match.group(2) or "").lower()[:1]
    amount = Decimal(match.group(1)) * (1 << SHIFTS[unit])
    if amount > MAX_BYTES:
        raise Bad(f"{shown(value)} is more memory than any machine has", "check the unit: b, k, m or g")
    return int(amount)


def memory_bytes(value: str) -> int:
    """A memory limit; engines refuse less than 6 MiB (moby daemon/daemon_unix.go, linuxMinMemory)."""
    size = size_bytes(value)
    if 0 < size < 6 << 20:
        raise Bad(f"{shown(value)} is less than the 6m an engine accepts", "write at least 6m; check the unit")
    return size


def swap_bytes(value: str) -> int:
    return -1 if value.strip() == "-1" else memory_bytes(value)


def nano_cpus(value: str) -> int:
    try:
        cpus = Decimal(value.strip()) if len(value) <= 20 else Decimal("NaN")
    except InvalidOperation:
        cpus = Decimal("NaN")
    if not cpus.is_finite() or not 0 <= cpus <= 4096:
        raise Bad(f"{shown(value)} is no number of processors", "write a number such as 0.5 or 2")
    nano = int(cpus * 1_000_000_000)
    if 0 < nano < 10_000_000:
        raise Bad(f"{shown(value)} is less than 0.01, the least an engine can limit to", "write at least 0.01")
    return nano


# --- names ------------------------------------------------------------------------------------------------------------


def container_name(value: str) -> str:
    if not CONTAINER.match(value):
        raise Bad(f"{shown(value)} is no name for a container", "use 2 to 63 letters, digits, '_', '.' or '-', beginning with a letter or digit")
    return value


def engine_name(value: str) -> str:
    if not ENGINE_NAME.match(value):
        raise Bad(f"{shown(value)} is no name an engine accepts", "use letters, digits, '_', '.' or '-', beginning with a letter or digit")
    return value


def alias(value: str) -> str:
    if not ALIAS.match(value):
        raise Bad(f"{shown(value)} is no host name", "use up to 63 letters, digits, '-', '_' and '.'")
    return value


def stop_signal(value: str) -> str:
    name = value.strip().upper()
    if SIGNAL.match(name):
        return name if name.startswith("SIG") else "SIG" + name
    if name.isascii() and name.isdigit() and 1 <= int(name[:4]) <= 64:
        return str(int(name))
    raise Bad(f"{shown(value)} is no signal", "write a name such as SIGINT or SIGTERM")


def platform(value: str) -> str:
    if not PLATFORM.match(value):
        raise Bad(f"{shown(value)} is no platform that can be run", "write linux/amd64, linux/arm64, linux/arm/v7, linux/arm/v6 or linux/386")
    return normal(value)


def absolute(value: str) -> str:
    """A path inside the container."""
    if not value.startswith("/"):
        raise Bad(f"{shown(value)} is no absolute path", "begin it with '/'")
    _no_dots(value)
    return text(value)


def _no_dots(value: str) -> None:
    if ".." in value.split("/"):
        raise Bad(f"{shown(value)} climbs with '..'", "write the path it leads to")
    if len(value) > 4095:
        raise Bad("the path has more than 4095 characters", "write a shorter one")


def host_path(value: str) -> str:
    """A path on the device."""
    if value.startswith(("./", "../", "~")) or value in (".", ".."):
        raise Bad(
            f"{shown(value)} is relative to the Compose file, and there is none on a device",
            "use a named volume, put the files into the image, or write an absolute path of the device",
        )
    return absolute(value)


def ipv4(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise Bad(f"{shown(value)} is no IPv4 address", "write four numbers such as 172.30.0.5") from None


def host_ip(value: str) -> str:
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        return str(ip_address(bare))
    except ValueError:
        raise Bad(f"{shown(value)} is no IP address", "write an address of the device such as 127.0.0.1, or leave it out for all of them") from None


def user(value: str) -> str:
    if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?\Z", value):
        raise Bad(f"{shown(value)} is no user", "write a name or number, with the group behind ':' if wanted, such as 1000:1000")
    return value


def cpuset(value: str) -> str:
    if not CPUSET.match(value):
        raise Bad(f"{shown(value)} is no set of processors", "write numbers and ranges such as 0-2,4")
    return value


def restart(value: str) -> dict[str, Any]:
    """no, always, unless-stopped, on-failure[:N], as the two fields of a service."""
    name, colon, most = value.partition(":")
    if name not in ("no", "always", "on-failure", "unless-stopped") or (colon and name != "on-failure"):
        raise Bad(f"{shown(value)} is no way to restart", "write no, always, unless-stopped, on-failure or on-failure:5")
    return {"restart": name, "restart_max": whole_number(most, 1, 1000, "number of restarts")} if colon else {"restart": name}


def restarts(value: str) -> int:
    return whole_number(value, 1, 1000, "number of restarts")


def priority(value: str) -> int:
    return whole_number(value, 0, 1_000_000, "rank of a network")


# --- words ------------------------------------------------------------------------------------------------------------


def words(value: str) -> list[str]:
    """A command in one text, split as a shell would split it; nothing is expanded."""
    try:
        return [text(word) for word in shlex.split(value)]
    except ValueError as fault:
        raise Bad(f"{shown(value)} cannot be split into words: {fault}", "close the quotes, or write a list of words") from None
