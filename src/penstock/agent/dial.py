"""From an address to a secure connection: names, the race between IPv4 and IPv6, an HTTP proxy, TLS; without ever blocking.

Owns one attempt to connect. `Dial` is a state machine for a selector loop; `dial_now` drives the same machine to its end for children and
for enrolment, so that there is one way to connect. Never chooses an endpoint, never tries twice, never speaks HTTP but the CONNECT.
Sources: RFC 8305 (happy eyeballs, reduced), RFC 9110 section 9.3.6 (CONNECT).
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import time

from penstock.agent.http1 import HttpError, Parser, request_head
from penstock.agent.proxy import authorization, packed
from penstock.agent.tls import Stream, TlsError, WantRead, WantWrite
from penstock.wire.record import record
from penstock.wire.urls import Url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.tls import Context, Session

READ, WRITE = 1, 4  # POLLIN, POLLOUT
NEXT_MS = 250  # how long one address has before the next is tried beside it (RFC 8305, section 5)
MAX_ADDRESSES = 8
TIMEOUT_MS = 30_000
SILENCE_MS = 20_000  # how long bytes we sent may stay unacknowledged before the kernel gives a dead connection up
_TCP_USER_TIMEOUT = 18  # linux/tcp.h


@record
class Target:
    """Where to: the plane's address, and the proxy on the way or None."""

    url: Url
    proxy: Url | None = None

    def first(self) -> Url:
        """Who is connected to first: the proxy where there is one."""
        return self.proxy or self.url

    def words(self) -> str:
        """The target for a sentence."""
        through = f" through the proxy {self.proxy.host_port()}" if self.proxy else ""
        return f"{self.url.host_port()}{through}"


class Socket(_socket.socket):
    """A native socket that TLS can hold on to (it keeps a weak reference)."""

    __slots__ = ("__weakref__",)


class DialError(Exception):
    """No connection. `why` is a sentence that names the address."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def literal(host: str) -> bool:
    """Whether `host` is an address and needs no resolving."""
    return packed(host) is not None


def resolve(host: str, port: int) -> list[list[Any]]:
    """The addresses of `host` as JSON-ready [family, address, port] triples, both families in turn. Blocks; raises DialError."""
    try:
        found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    except OSError as fault:
        raise DialError(f"the name {host} cannot be resolved ({fault.strerror or fault}); check the device's DNS settings and network") from None
    except UnicodeError:
        raise DialError(f"{host!r} is not a host name") from None
    by_family: dict[int, list[list[Any]]] = {}
    for family, _, _, _, address in found:
        entry = [int(family), str(address[0]), port]
        if family in (_socket.AF_INET, _socket.AF_INET6) and entry not in by_family.setdefault(int(family), []):
            by_family[int(family)].append(entry)
    ordered: list[list[Any]] = []
    queues = list(by_family.values())
    while any(queues):
        ordered.extend(queue.pop(0) for queue in queues if queue)
    if not ordered:
        raise DialError(f"the name {host} has no IPv4 or IPv6 address")
    return ordered[:MAX_ADDRESSES]


def literal_addresses(host: str, port: int) -> list[list[Any]]:
    """What `resolve` gives for a literal address, without blocking."""
    return [[int(_socket.AF_INET6 if ":" in host else _socket.AF_INET), host, port]]


class Dial:
    """One attempt. Watch `watched()`, call `step` with what became ready or when `next_ms()` has come, until `stream` or `fault` is set."""

    def __init__(
        self, target: Target, addresses: list[list[Any]], context: Context, session: Session | None, now_ms: int, timeout_ms: int = TIMEOUT_MS
    ) -> None:
        self.stream: Stream | None = None
        self.fault = ""
        self._target = target
        self._context = context
        self._session = session
        self._until_ms = now_ms + timeout_ms
        self._waiting = list(addresses)
        self._next_ms = now_ms
        self._racing: dict[int, tuple[Socket, list[Any]]] = {}
        self._faults: list[str] = []
        self._sock: Socket | None = None
        self._out = b""
        self._parser: Parser | None = None
        self._tls: Stream | None = None
        self._want = WRITE
        try:
            self._race(now_ms)
        except DialError as fault:
            self._fail(fault.why)

    @property
    def over(self) -> bool:
        """Whether it has ended, either way."""
        return self.stream is not None or bool(self.fault)

    def watched(self) -> dict[int, int]:
        """Descriptors and the poll events to watch them for."""
        if self.over:
            return {}
        if self._sock is not None:
            return {self._sock.fileno(): self._want}
        return dict.fromkeys(self._racing, WRITE)

    def next_ms(self) -> int:
        """When to call `step` though nothing became ready."""
        return min(self._until_ms, self._next_ms) if self._sock is None and self._waiting else self._until_ms

    def step(self, ready: set[int], now_ms: int) -> None:
        """Go on. Never raises: an end is in `stream` or `fault`."""
        if self.over:
            return
        if now_ms >= self._until_ms:
            self._fail("no answer in time" if not self._faults else "; ".join(self._faults[-3:]))
            return
        try:
            if self._sock is None:
                self._race_on(ready, now_ms)
            elif self._sock.fileno() in ready:
                self._talk()
        except DialError as fault:
            self._fail(fault.why)

    def close(self) -> None:
        """Give up."""
        for sock, _ in self._racing.values():
            sock.close()
        self._racing.clear()
        if self.stream is None and self._sock is not None:
            self._sock.close()

    def _fail(self, why: str) -> None:
        self.close()
        self.fault = f"{self._target.words()} cannot be reached: {why}"

    # --- the race of addresses ---------------------------------------------------------------------------------------

    def _race(self, now_ms: int) -> None:
        while self._waiting and now_ms >= self._next_ms and self._sock is None:
            entry = self._waiting.pop(0)
            family, host, port = entry
            try:
                sock = Socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
            except OSError as fault:  # a kernel without this family
                self._faults.append(f"{host}: {fault.strerror}")
                continue
            sock.setblocking(False)
            try:
                code = sock.connect_ex((host, port))
            except OSError as fault:  # not an address at all
                code = fault.errno or errno.EINVAL
            if code == 0:
                self._won(sock)
            elif code == errno.EINPROGRESS:
                self._racing[sock.fileno()] = (sock, entry)
                self._next_ms = now_ms + NEXT_MS
            else:
                sock.close()
                self._faults.append(f"{host}: {os.strerror(code)}")
        if self._sock is None and not self._racing and not self._waiting and not self.fault:
            self._fail("; ".join(self._faults[-3:]) or "no address to try")

    def _race_on(self, ready: set[int], now_ms: int) -> None:
        for number in [one for one in self._racing if one in ready]:
            sock, entry = self._racing.pop(number)
            code = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if code == 0:
                self._won(sock)
                return
            sock.close()
            self._faults.append(f"{entry[1]}: {os.strerror(code)}")
            self._next_ms = now_ms
        self._race(now_ms)

    def _won(self, sock: Socket) -> None:
        for other, _ in self._racing.values():
            other.close()
        self._racing.clear()
        self._sock = sock
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        sock.setsockopt(_socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, SILENCE_MS)
        if self._target.proxy is None:
            self._begin_tls()
            return
        place = self._target.url.host_port()
        self._out = request_head("CONNECT", place, place, authorization(self._target.proxy))
        self._parser = Parser("CONNECT")
        self._talk()

    # --- proxy and TLS -----------------------------------------------------------------------------------------------

    def _begin_tls(self) -> None:
        assert self._sock is not None
        self._tls = self._context.wrap(self._sock, self._target.url.host, self._session)
        self._talk()

    def _talk(self) -> None:
        if self._tls is None:
            self._ask_proxy()
            return
        try:
            self._tls.handshake()
        except WantRead:
            self._want = READ
        except WantWrite:
            self._want = WRITE
        except TlsError as fault:
            raise DialError(fault.why) from None
        else:
            self.stream = self._tls

    def _ask_proxy(self) -> None:
        assert self._sock is not None
        assert self._parser is not None
        try:
            if self._out:
                self._out = self._out[self._sock.send(self._out) :]
                self._want = WRITE if self._out else READ
                return
            data = self._sock.recv(4096)
            if not data:
                self._parser.eof()
            self._parser.feed(data)
        except BlockingIOError:
            return
        except OSError as fault:
            raise DialError(f"the connection to the proxy broke ({fault.strerror or fault})") from None
        except HttpError as fault:
            raise DialError(f"the proxy gave no usable answer: {fault.why}") from None
        head = self._parser.head
        if head is None:
            return
        if head.status == 407:
            given = self._target.proxy is not None and self._target.proxy.user
            wants = "does not accept this user name and password" if given else "wants a user name and password"
            raise DialError(f"the proxy {wants} (407); name them in the proxy's address: http://user:password@host:port")
        if not 200 <= head.status < 300:
            raise DialError(f"the proxy refused the connection ({head.status} {head.reason})")
        if self._parser.rest:
            raise DialError("the proxy sent bytes of its own before TLS began")
        self._begin_tls()


def dial_now(target: Target, context: Context, session: Session | None = None, timeout_s: float = 30.0, addresses: list[list[Any]] | None = None) -> Stream:
    """Connect, blocking, within `timeout_s` (resolving the name not counted: the system's resolver has its own). Raises DialError."""
    first = target.first()
    if addresses is None:
        addresses = literal_addresses(first.host, first.port) if literal(first.host) else resolve(first.host, first.port)
    dial = Dial(target, addresses, context, session, _now_ms(), int(timeout_s * 1000))
    while not dial.over:
        watch = select.poll()
        for number, events in dial.watched().items():
            watch.register(number, events)
        ready = {number for number, _ in watch.poll(max(0, dial.next_ms() - _now_ms()) + 1)}
        dial.step(ready, _now_ms())
    if dial.stream is None:
        raise DialError(dial.fault)
    dial.stream.settimeout(timeout_s)
    return dial.stream


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
