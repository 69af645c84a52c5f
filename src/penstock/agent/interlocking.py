"""Looking at the machine for an interlock: every condition asked once, each within its own time.

Owns the asking over the network (HTTP, TCP, Modbus TCP) and the round of all conditions; files and commands are `onhost`'s. What is found is told as it
is, never judged (`rules.interlocks` does). It blocks, so it runs in a short-lived child whose time-out is `round_ms`; a child that is killed has found
nothing, and nothing found is not satisfied.
"""

from __future__ import annotations

import os
import time

from penstock.agent.http1 import Connection, HttpError
from penstock.agent.modbus import ModbusFault, read
from penstock.agent.onhost import look_at_file, run_command
from penstock.rules.interlocks import NOT_ASKED, Round, Seen
from penstock.rules.pointer import PointerFault, find
from penstock.wire.codec import WireError
from penstock.wire.interlocks import KINDS, interlock_digest, site_only

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Any

    from penstock.agent.http1 import Channel
    from penstock.wire.interlocks import Condition, HttpCheck, Interlock, ModbusCheck

MAX_BODY = 64 * 1024  # bytes of an HTTP answer
MAX_TEXT = 16384  # characters of a value; more is no reading of anything
AT_ONCE = 8
GRACE_MS = 3_000  # for starting, and for a command's end


class Unreached(Exception):
    """No connection. `code` as in `rules.interlocks.CODES`; `why` is a sentence."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def round_ms(interlock: Interlock) -> int:
    """How long a round may take before the child that makes it is killed."""
    return sum(condition.timeout_ms for condition in interlock.conditions) + GRACE_MS


def look(interlock: Interlock, boot: str, at_s: int = 0) -> Round:
    """Ask all conditions of an interlock. Commands come first and one by one, the rest side by side, so that a machine that does not answer costs one
    time-out. `at_s`: judge certificates at this time (unix seconds), because the system clock is behind it; 0: the system clock serves."""
    begun = time.monotonic()
    found: dict[int, Seen] = {}
    rest = []
    for number, condition in enumerate(interlock.conditions):
        if interlock.origin != "site" and site_only(condition):
            found[number] = Seen("denied", NOT_ASKED)
        elif condition.kind == "command":
            found[number] = ask(condition, at_s)
        else:
            rest.append(number)
    _side_by_side(interlock, rest, found, at_s)
    took = int((time.monotonic() - begun) * 1000)
    seen = tuple(found.get(number, Seen("fault", "it was not asked")) for number in range(len(interlock.conditions)))
    return Round(interlock_digest(interlock), int(begun * 1000), boot, seen, took)


def _side_by_side(interlock: Interlock, numbers: list[int], found: dict[int, Seen], at_s: int) -> None:
    if len(numbers) < 2:
        for number in numbers:
            found[number] = ask(interlock.conditions[number], at_s)
        return
    from threading import Thread

    left = numbers[::-1]

    def work() -> None:
        while True:
            try:
                number = left.pop()
            except IndexError:
                return
            found[number] = ask(interlock.conditions[number], at_s)

    workers = [Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(numbers)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def ask(condition: Condition, at_s: int = 0) -> Seen:
    """Ask one condition. Never raises: whatever goes wrong is something found."""
    begun = time.monotonic()
    try:
        seen = _ask(condition, begun + condition.timeout_ms / 1000, at_s)
    except (Unreached, ModbusFault, PointerFault) as fault:
        seen = Seen(fault.code, fault.why)
    except HttpError as fault:
        seen = Seen({"closed": "unreachable"}.get(fault.kind, fault.kind), fault.why)
    except Exception as fault:  # noqa: BLE001 - a fault of ours must never open an interlock, nor end the round of the others
        seen = Seen("fault", f"{type(fault).__name__}: {fault}"[:500])
    took = int((time.monotonic() - begun) * 1000)
    return Seen(seen.code, seen.why[:1000], seen.status, seen.exit, seen.raw, seen.type, seen.text, took)


def _ask(condition: Condition, until: float, at_s: int) -> Seen:
    if condition.kind not in KINDS:
        return Seen("fault", f"this agent does not know conditions of kind {condition.kind!r}; update it")
    if condition.command is not None:
        return run_command(condition.command, condition.timeout_ms)
    if condition.file is not None:
        check = condition.file
        seen = _within(until, lambda: look_at_file(check))
        return seen if isinstance(seen, Seen) else Seen("timeout", f"{check.path} could not be read within the time allowed; does its file system hang?")
    if condition.modbus is not None:
        return _modbus(condition.modbus, until)
    if condition.http is not None:
        return _http(condition.http, until, at_s)
    if condition.tcp is not None:
        connect(condition.tcp.host, condition.tcp.port, until).close()
        return Seen("seen")
    return Seen("fault", "the condition does not say what to ask")


# --- the network ------------------------------------------------------------------------------------------------------


def _addresses(host: str, port: int, until: float) -> list[tuple[Any, ...]]:
    """Where `host` is. Raises Unreached."""
    import socket

    try:
        return [(one[0], one[4]) for one in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)]
    except socket.gaierror:
        pass  # it is a name
    try:
        found = _within(until, lambda: socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
    except (OSError, UnicodeError) as fault:
        raise Unreached("unreachable", f"{host} is not known to the name server ({getattr(fault, 'strerror', '') or fault})") from None
    if found is None:
        raise Unreached("timeout", f"the address of {host} was not found within the time allowed; an address in numbers needs no name server")
    return [(one[0], one[4]) for one in found]


def _within(until: float, act: Callable[[], Any]) -> Any:
    """What `act` gives, or None when it has not ended by `until`. It runs in a thread that is then left behind: nothing else bounds a name server or a file
    system that hangs, and this process is short-lived."""
    from threading import Thread

    said: list[Any] = []

    def work() -> None:
        try:
            said.append((act(), None))
        except Exception as fault:  # noqa: BLE001 - raised again where it was asked for
            said.append((None, fault))

    worker = Thread(target=work, daemon=True)
    worker.start()
    worker.join(max(until - time.monotonic(), 0))
    if not said:
        return None
    value, fault = said[0]
    if fault is not None:
        raise fault
    return value


def connect(host: str, port: int, until: float) -> socket:
    """A connection, until `until` (time.monotonic). Each address of a name gets its share of the time. Raises Unreached."""
    import socket

    fault = Unreached("unreachable", f"{host} has no address")
    places = _addresses(host, port, until)
    for number, (family, place) in enumerate(places):
        left = until - time.monotonic()
        if left <= 0:
            raise Unreached("timeout", f"no connection to {host} port {port} within the time allowed")
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left / (len(places) - number))
            sock.connect(place)
        except OSError as why:
            sock.close()
            late = _is_timeout(why)
            fault = Unreached("timeout" if late else "unreachable", f"no connection to {host} port {port}: {'timed out' if late else why.strerror or why}")
        else:
            return sock
    raise fault


def _is_timeout(fault: OSError) -> bool:
    """Python 3.9's socket.timeout is an OSError of its own; since 3.10 it is TimeoutError."""
    return isinstance(fault, TimeoutError) or type(fault).__name__ == "timeout"


def _modbus(check: ModbusCheck, until: float) -> Seen:
    transaction = int.from_bytes(os.urandom(2), "big")
    sock = connect(check.host, check.port, until)
    with sock:
        return Seen("seen", raw=read(sock, until, transaction, check.unit, check.table, check.address, check.quantity()))


def _http(check: HttpCheck, until: float, at_s: int) -> Seen:
    try:
        where, target = check.place()
    except WireError as fault:
        return Seen("fault", fault.why)
    channel: Channel = connect(where.host, where.port, until)
    try:
        if where.scheme == "https":
            channel = _secured(channel, where.host, check.ca, until, at_s)
        left = max(until - time.monotonic(), 0.001)
        connection = Connection(channel, where.authority(), left)
        headers = {"Connection": "close", "User-Agent": "penstock", "Accept": "application/json, */*", "Accept-Encoding": "identity"}
        answer = connection.request("GET", target, headers, timeout_s=left)
        status = answer.status
        if check.compare is None or not check.status_low <= status <= check.status_high:
            return Seen("seen", status=status)
        return _value(check, answer.headers.get("content-encoding", "identity"), status, _body(answer))
    finally:
        channel.close()


def _body(answer: Any) -> bytes | Seen:
    try:
        body: bytes = answer.read(MAX_BODY)
    except HttpError as fault:
        return Seen({"closed": "malformed"}.get(fault.kind, fault.kind), fault.why, status=answer.status)
    return body


def _value(check: HttpCheck, coding: str, status: int, body: bytes | Seen) -> Seen:
    if isinstance(body, Seen):
        return body
    if coding.strip().lower() not in ("identity", ""):
        return Seen("malformed", f"the answer is encoded ({coding[:40]}), which was not asked for", status=status)
    try:
        value = find(body, check.pointer)
    except PointerFault as fault:
        return Seen(fault.code, fault.why, status=status)
    if len(value.text) > MAX_TEXT:
        return Seen("oversize", f"the value at {check.pointer} has {len(value.text)} characters", status=status)
    return Seen("seen", status=status, type=value.type, text=value.text)


def _secured(channel: Any, host: str, ca: tuple[str, ...], until: float, at_s: int) -> Channel:
    from penstock.agent.tls import Context, TlsError

    channel.settimeout(max(until - time.monotonic(), 0.001))
    try:
        stream = Context(ca, at_s).wrap(channel, host)
        stream.handshake()
    except TlsError as fault:
        raise Unreached("unreachable", fault.why) from None
    return stream
