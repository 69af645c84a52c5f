"""Interlocks as they travel: conditions on the machine itself that must all hold before a change touches it.

Owns their fields, limits and the sentences that refuse a badly written one. Never asks a machine (`agent.interlocking`) and never judges what was found
(`rules.interlocks`). Addresses of Modbus count from 0, as they stand on the wire (MODBUS Application Protocol Specification V1.1b3, section 4.4);
times are milliseconds (`_ms`).
"""

from __future__ import annotations

from penstock.wire.codec import WireError, encode
from penstock.wire.comparing import OPERATORS, TYPES, Compare, exact, order_of
from penstock.wire.record import record
from penstock.wire.types import name_fault, sha256_of
from penstock.wire.urls import Url, read_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Fault = Union[tuple[str, str], None]

KINDS = ("http", "tcp", "file", "command", "modbus")
TABLES = ("coil", "discrete-input", "holding-register", "input-register")
FORMATS = ("bit", "u16", "s16", "u32", "s32", "f32")
WORDS = ("high-first", "low-first")
FILE_STATES = ("exists", "absent", "content")
ORIGINS = ("site", "centre")
# format -> (registers it takes, least, greatest); f32 has no bounds worth a name
WIDTHS = {
    "bit": (1, 0, 1),
    "u16": (1, 0, 0xFFFF),
    "s16": (1, -0x8000, 0x7FFF),
    "u32": (2, 0, 0xFFFFFFFF),
    "s32": (2, -0x80000000, 0x7FFFFFFF),
    "f32": (2, 0, 0),
}

MAX_INTERLOCKS = 32  # of one device, from site and centre each
MAX_CONDITIONS = 16
LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS = 100, 30_000  # of one condition, all of it
MAX_ROUND_MS = 60_000  # all conditions of one interlock together
MAX_VALUES = 64  # values one Modbus condition reads

_DIGITS = frozenset("0123456789")
_TARGET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/%:@!$&'()*+,;=?")
_ENVIRONMENT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def host_fault(host: str, port: int) -> str | None:
    """Why this is no place to connect to; None when it is one."""
    try:
        read_url(f"http://{f'[{host}]' if ':' in host else host}:{port}", ("http",))
    except WireError as fault:
        return fault.why
    return None


@record
class HttpCheck:
    """GET `url`; its status must lie from `status_low` to `status_high`. With `compare`, the JSON value at `pointer` (RFC 6901; empty: the whole
    document) is held against it. Redirects are not followed and no proxy is used. `ca`: PEM certificates to trust for https, empty: the system's."""

    LIMITS = {"url": 512, "pointer": 512, "ca": 4}

    url: str
    status_low: int = 200
    status_high: int = 299
    pointer: str = ""
    compare: Compare | None = None
    ca: tuple[str, ...] = ()

    def place(self) -> tuple[Url, str]:
        """Where to connect, and what to ask for there. Raises WireError."""
        scheme, mark, rest = self.url.partition("://")
        end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        authority, target = rest[:end], rest[end:]
        if "@" in authority:
            raise WireError("url", "a user name or password has no place in an address")
        where = read_url(f"{scheme}{mark}{authority}", ("http", "https"))
        if not set(target) <= _TARGET:
            raise WireError("url", "has characters that must be percent-encoded, or a '#', which is never sent")
        return where, target if target.startswith("/") else f"/{target}"

    def check(self) -> Fault:
        try:
            self.place()
        except WireError as fault:
            return ("url", fault.why)
        if not 100 <= self.status_low <= 599:
            return ("status_low", "must be 100 to 599")
        if not self.status_low <= self.status_high <= 599:
            return ("status_high", "must be status_low to 599")
        if self.pointer and self.compare is None:
            return ("compare", "is missing: the value at the pointer is to be compared with something")
        if self.pointer and not self.pointer.startswith("/"):
            return ("pointer", "a JSON pointer is empty or begins with '/' (RFC 6901)")
        if any(after not in ("0", "1") for after in (part[:1] for part in self.pointer.split("~")[1:])):
            return ("pointer", "'~' is written '~0' and '/' inside a name '~1' (RFC 6901)")
        if any(len(pem) > 16384 for pem in self.ca):
            return ("ca", "a certificate has at most 16384 characters")
        return None


@record
class TcpCheck:
    """Somebody takes a connection there; nothing is sent."""

    LIMITS = {"host": 253}

    host: str
    port: int

    def check(self) -> Fault:
        why = host_fault(self.host, self.port)
        return ("host", why) if why else None


@record
class FileCheck:
    """A regular file as the agent sees it, symbolic links followed. "absent" needs the folder it would lie in, so that a share that is not there is not
    taken for a file that is not there. "content": its text without white space at the end, at most 4096 bytes."""

    CHOICES = {"state": FILE_STATES}
    LIMITS = {"path": 1024}

    path: str
    state: str = "exists"
    compare: Compare | None = None

    def check(self) -> Fault:
        if not self.path.startswith("/") or "\0" in self.path or self.path.endswith("/"):
            return ("path", "is the whole path of a file and begins with '/'")
        if ".." in self.path.split("/"):
            return ("path", "must not go up with '..'")
        if (self.state == "content") != (self.compare is not None):
            return ("compare", "stands with state 'content', and only there")
        return None


@record
class CommandCheck:
    """A program of the device that must end with `code`. `argv[0]` is its whole path; there is no shell. It runs as `user`, who must be named, in "/",
    with nothing on its standard input and with exactly this `environment` beside PATH and LANG, in a process group of its own that does not outlive the
    time-out."""

    LIMITS = {"argv": 64, "user": 32, "environment": 32}

    argv: tuple[str, ...]
    user: str
    code: int = 0
    environment: dict[str, str] = {}

    def check(self) -> Fault:
        if not self.argv or not self.argv[0].startswith("/"):
            return ("argv", "begins with the whole path of a program, such as /usr/local/bin/line-stands")
        if any("\0" in word or len(word) > 1024 for word in self.argv):
            return ("argv", "a word has at most 1024 characters and no zero byte")
        if not self.user or not self.user.isprintable() or ":" in self.user or " " in self.user:
            return ("user", "names whom the command runs as, such as nobody")
        if not 0 <= self.code <= 255:
            return ("code", "an exit code is 0 to 255")
        for name, value in self.environment.items():
            if not name or not set(name) <= _ENVIRONMENT or name[0] in _DIGITS or len(name) > 64:
                return ("environment", f"{name[:64]!r} is not the name of a variable")
            if name.startswith("LD_"):
                return ("environment", f"{name} would load foreign code into the command")
            if "\0" in value or len(value) > 1024:
                return (f"environment.{name}", "has at most 1024 characters and no zero byte")
        return None


@record
class ModbusCheck:
    """Values read over Modbus TCP, each of which must satisfy `compare`. `count` is the number of values, not of registers. `words` is the order of the two
    registers of a 32-bit value; inside a register the high byte comes first, always (V1.1b3, section 4.2)."""

    CHOICES = {"table": TABLES, "words": WORDS}
    LIMITS = {"host": 253, "format": 32}

    host: str
    table: str
    address: int
    compare: Compare
    format: str = ""
    count: int = 1
    unit: int = 1
    port: int = 502
    words: str = "high-first"

    def read_as(self) -> str:
        """The format in force: "bit" or "u16" where none is named."""
        return self.format or ("bit" if self.bits() else "u16")

    def bits(self) -> bool:
        """Whether the table holds single bits."""
        return self.table in ("coil", "discrete-input")

    def quantity(self) -> int:
        """How many bits or registers are read."""
        return self.count * WIDTHS[self.read_as()][0]

    def check(self) -> Fault:
        why = host_fault(self.host, self.port)
        if why:
            return ("host", why)
        if not 0 <= self.unit <= 255:
            return ("unit", "a unit identifier is 0 to 255; 255 or 1 means the device itself on most, see its manual")
        if not 1 <= self.count <= MAX_VALUES:
            return ("count", f"must be 1 to {MAX_VALUES}")
        if self.read_as() not in FORMATS:
            return None
        if self.bits() != (self.read_as() == "bit"):
            return ("format", f"a {self.table} holds {'single bits' if self.bits() else 'registers of 16 bits: u16, s16, u32, s32 or f32'}")
        if not 0 <= self.address <= 65535 or self.address + self.quantity() > 65536:
            return ("address", "must be 0 to 65535 for all that is read; it counts from 0, so 40001 in a manual is holding-register 0")
        return compare_fault(self.compare, self.read_as())


def compare_fault(compare: Compare, form: str) -> Fault:
    """Why a comparison does not fit values of this format, or says nothing because it could never fail, or never hold."""
    if compare.op not in OPERATORS or compare.type not in TYPES:
        return None
    if compare.type != "number":
        return ("compare.type", "what Modbus brings is a number")
    if compare.op in ("bit-set", "bit-clear"):
        if form == "f32":
            return ("compare.op", "the bits of a fraction mean nothing; compare its value")
        if form == "bit":
            return ("compare.value", "a coil or discrete input is one bit; leave its number out") if compare.value not in ("", "0") else None
        if not compare.value:
            return ("compare.value", "which bit? 0 is the least significant")
        return ("compare.value", f"{form} has no bit {compare.value}") if int(compare.value) >= 16 * WIDTHS[form][0] else None
    if form == "f32":
        return None
    least, greatest = (WIDTHS[form][1], 0), (WIDTHS[form][2], 0)
    value = exact(compare.value)
    high = exact(compare.high) if compare.op == "in" else value
    if value is None or high is None:
        return None
    below, above = order_of(value, least), order_of(value, greatest)
    outside = below < 0 or above > 0
    never = {
        "==": outside,
        "<": below <= 0,
        "<=": below < 0,
        ">": above >= 0,
        ">=": above > 0,
        "in": order_of(high, least) < 0 or above > 0,
    }
    always = {
        "!=": outside,
        "<": above > 0,
        "<=": above >= 0,
        ">": below < 0,
        ">=": below <= 0,
        "in": below <= 0 and order_of(high, greatest) >= 0,
    }
    if never.get(compare.op):
        return ("compare.value", f"no {form} could ever satisfy that, so the interlock would never open")
    if always.get(compare.op):
        return ("compare.value", f"every {form} satisfies that, so the interlock would guard nothing")
    return None


@record
class Condition:
    """One thing that must be so. `name` says it in the plant's own words. Of the five checks there is exactly the one that `kind` names. `timeout_ms` covers
    all of it: finding the address, connecting, asking and reading. `wire` is the first wire version whose programs know every word of it; an older
    program finds it not satisfied, as it does for a kind it does not know."""

    LIMITS = {"name": 120, "kind": 32}

    name: str
    kind: str
    timeout_ms: int = 2000
    http: HttpCheck | None = None
    tcp: TcpCheck | None = None
    file: FileCheck | None = None
    command: CommandCheck | None = None
    modbus: ModbusCheck | None = None
    wire: int = 0

    def check(self) -> Fault:
        if not self.name.strip() or not self.name.isprintable():
            return ("name", "says in one line what must be so, such as 'line 3 stands still'")
        if not LEAST_TIMEOUT_MS <= self.timeout_ms <= MOST_TIMEOUT_MS:
            return ("timeout_ms", f"must be {LEAST_TIMEOUT_MS} to {MOST_TIMEOUT_MS}")
        for kind in KINDS:
            there = getattr(self, kind) is not None
            if there and kind != self.kind:
                return (kind, f"stands beside kind {self.kind!r}; a condition has one check")
            if not there and kind == self.kind:
                return (kind, f"is missing: a condition of kind {kind!r} needs it")
        return None


@record
class Interlock:
    """Conditions that must all hold. `app` empty means every app of the device. `between`: asked again between the steps of a change. `guards_return`: an
    automatic going back waits for it too; without it only what begins is guarded. `origin`: who wrote it, as the
    reader knows by its signature; the site's stand whatever the centre says, and may ask more (`site_only`)."""

    CHOICES = {"origin": ORIGINS}
    LIMITS = {"conditions": MAX_CONDITIONS, "means": 200}

    name: str
    conditions: tuple[Condition, ...]
    means: str = ""
    app: str = ""
    between: bool = False
    guards_return: bool = False
    origin: str = "centre"

    def check(self) -> Fault:
        why = name_fault(self.name)
        if why:
            return ("name", why)
        if self.app and name_fault(self.app):
            return ("app", f"{name_fault(self.app)}")
        if not self.conditions:
            return ("conditions", "an interlock without a condition guards nothing")
        names = [condition.name for condition in self.conditions]
        if len(names) != len(set(names)):
            return ("conditions", "two conditions have the same name, so a receipt could not tell them apart")
        if sum(condition.timeout_ms for condition in self.conditions) > MAX_ROUND_MS:
            return ("conditions", f"their time-outs come to more than {MAX_ROUND_MS} ms together")
        return None


def interlock_digest(interlock: Interlock) -> str:
    """What an observation names, so that one made for other conditions is never used."""
    return sha256_of(encode(interlock))


def site_only(condition: Condition) -> bool:
    """Whether only the site may ask this of its device: running a program, and reading what a file says. Both happen before any gate is open; from the centre
    they would let whoever holds its key run and read what they like, past every gate of the site."""
    return condition.command is not None or condition.kind == "command" or (condition.file is not None and condition.file.state == "content")


def writing_fault(interlock: Interlock) -> Fault:
    """Why an interlock is not to be written, beyond what `check` says: the first word of it that this program does not know, or what is not the centre's to
    ask. A device that gets one all the same finds it not satisfied, and does not ask."""
    for index, condition in enumerate(interlock.conditions):
        place = f"conditions[{index}]"
        if interlock.origin != "site" and site_only(condition):
            return (f"{place}.{condition.kind}", "running a program or reading what a file says is for interlocks that the site writes")
        if condition.kind not in KINDS:
            return (f"{place}.kind", f"{condition.kind!r} is none of {', '.join(KINDS)}")
        if condition.modbus is not None and condition.modbus.read_as() not in FORMATS:
            return (f"{place}.modbus.format", f"{condition.modbus.format!r} is none of {', '.join(FORMATS)}")
        for kind in ("http", "file", "modbus"):
            check = getattr(condition, kind)
            compare = check.compare if check is not None else None
            if compare is not None and compare.op not in OPERATORS:
                return (f"{place}.{kind}.compare.op", f"{compare.op!r} is none of {' '.join(OPERATORS)}")
            if compare is not None and compare.type not in TYPES:
                return (f"{place}.{kind}.compare.type", f"{compare.type!r} is none of {', '.join(TYPES)}")
    return None
