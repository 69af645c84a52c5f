"""The link to the plane for the selector loop: one HTTP exchange at a time over a kept-alive TLS connection, never blocking.

Owns connections, TLS sessions, the order in which addresses are tried, and the trial of new ones (the rules are `endpoints`). A `Call`
goes in, an `Answer` with any status, or `Unreachable`, comes out; what they mean is the brain's. Names are resolved by somebody else
(`to_resolve`), because resolving blocks. Never retries a call the other side may have acted on, except where a kept connection turned out to be dead.
"""

from __future__ import annotations

from penstock.agent import endpoints
from penstock.agent.dial import READ, WRITE, Dial, DialError, literal, literal_addresses
from penstock.agent.http1 import HttpError, Parser, request_head
from penstock.agent.reach import target_of
from penstock.agent.tls import Context, Stream, TlsError, WantRead, WantWrite
from penstock.agent.work import Answer, Call, Unreachable
from penstock.wire.codec import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from penstock.agent.dial import Target
    from penstock.agent.endpoints import Book
    from penstock.agent.tls import Session
    from penstock.wire.messages import Endpoint

MAX_ANSWER = 12 * 1024 * 1024  # bytes of a body
DIAL_MS = 20_000
GOOD = (200, 304)  # statuses of a poll that prove an address
BLOCK = 64 * 1024


class _Line:
    """One open connection."""

    def __init__(self, endpoint: Endpoint, stream: Stream, target: Target, context: Context) -> None:
        self.endpoint = endpoint
        self.stream = stream
        self.target = target
        self.context = context
        self.used = False


class Link:
    """See the module. `save` is called with the book whenever it changed; `say` gets (event, fields) worth a line on standard error."""

    def __init__(self, book: Book, environment: Mapping[str, str], save: Callable[[Book], None], say: Callable[..., None]) -> None:
        self.book = book
        self.judge_at_s = 0  # set to the time floor while the system clock is behind it, else 0
        self._environment = environment
        self._save = save
        self._say = say
        self._lines: list[_Line] = []
        self._contexts: dict[tuple[tuple[str, ...], bool], Context] = {}
        self._sessions: dict[str, tuple[Context, Session]] = {}
        self._names: dict[str, list[list[Any]]] = {}  # what names last meant, for when the resolver is down
        self._call: Call | None = None
        self._result: Answer | Unreachable | None = None
        self._queue: list[Endpoint] = []
        self._faults: list[str] = []
        self._resolving: tuple[str, int] | None = None
        self._dial: Dial | None = None
        self._dialing: tuple[Endpoint, Target] | None = None
        self._trusting: Context | None = None  # what the dial at hand verifies with
        self._line: _Line | None = None  # the one the call is on
        self._out = memoryview(b"")
        self._parser = Parser()
        self._body = bytearray()
        self._want = READ
        self._until_ms = 0
        self._trial_at_ms = 0
        self._trial_wait_ms = endpoints.TRIAL_FIRST_MS
        self._trial_refused = 0

    # --- what the loop asks --------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a call is in flight."""
        return self._call is not None and self._result is None

    def start(self, call: Call, now_ms: int) -> None:
        """Begin an exchange; the one before must have been taken."""
        assert self._call is None
        self._call, self._result = call, None
        self._faults = []
        trial = bool(self.book.wanted) and now_ms >= self._trial_at_ms
        order = endpoints.order(self.book, trial=trial)
        if not trial and self._lines:  # whoever answered last, while it lasts
            order = (self._lines[0].endpoint, *[one for one in order if one != self._lines[0].endpoint])
        self._queue = list(order)
        self._next(now_ms)

    def take(self) -> Answer | Unreachable | None:
        """The outcome of the call, once."""
        result = self._result
        if result is not None:
            self._call = self._result = None
        return result

    def to_resolve(self) -> tuple[str, int] | None:
        """A name and port whose addresses are wanted; answered by `resolved`."""
        return self._resolving

    def resolved(self, addresses: list[list[Any]] | None, why: str, now_ms: int) -> None:
        """What `dial.resolve` said in a child: addresses, or None and why not."""
        if self._resolving is None:
            return
        host = self._resolving[0]
        self._resolving = None
        if addresses:
            self._names[host] = addresses
        elif host in self._names:
            addresses = self._names[host]
        if not addresses:
            self._failed(why, now_ms)
            return
        self._begin_dial(addresses, now_ms)

    def watched(self) -> dict[int, int]:
        """Descriptors and poll events to watch for."""
        found = {line.stream.fileno(): READ for line in self._lines if line is not self._line}
        if self._dial is not None:
            found.update(self._dial.watched())
        if self._line is not None:
            found[self._line.stream.fileno()] = self._want
        return found

    def next_ms(self) -> int | None:
        """When to call `step` though nothing became ready, or None."""
        if self._dial is not None:
            return self._dial.next_ms()
        return self._until_ms if self._line is not None else None

    def step(self, ready: set[int], now_ms: int) -> None:
        """Go on with whatever became ready, or whose time has come."""
        for line in [one for one in self._lines if one is not self._line and one.stream.fileno() in ready]:
            self._listen_idle(line)
        if self._dial is not None:
            self._dial.step(ready, now_ms)
            self._dialed(now_ms)
        elif self._line is not None:
            if now_ms >= self._until_ms:
                self._broken("no complete answer in time", now_ms, silent=True)
            elif self._line.stream.fileno() in ready:
                self._talk(now_ms)

    def close(self) -> None:
        """Close everything; a call in flight is forgotten."""
        if self._dial is not None:
            self._dial.close()
        for line in self._lines:
            line.stream.close()
        self._lines.clear()
        self._call = self._result = self._line = self._dial = None

    def address(self) -> str:
        """The address of the open connection, empty when there is none."""
        return self._lines[0].endpoint.url if self._lines else ""

    def give_up(self) -> None:
        """Forget the call in flight; the line it is on is closed, because its answer would come to somebody else."""
        if self._line is not None:
            self._drop(self._line)
        if self._dial is not None:
            self._dial.close()
        self._dial = self._dialing = self._resolving = self._call = self._result = None

    def offer(self, wanted: tuple[Endpoint, ...], at: str) -> None:
        """The accepted desired state `at` ("epoch.generation") names these endpoints."""
        book = endpoints.offered(self.book, wanted, at)
        if book is not self.book:
            if book.wanted and book.wanted != self.book.wanted:
                self._trial_at_ms, self._trial_wait_ms, self._trial_refused = 0, endpoints.TRIAL_FIRST_MS, 0
                self._say("link.trial", urls=" ".join(one.url for one in book.wanted))
            self._keep(book)

    def _keep(self, book: Book) -> None:
        self.book = book
        self._save(book)

    # --- finding a line for the call -----------------------------------------------------------------------------------

    def _next(self, now_ms: int) -> None:
        """Take the next endpoint of the queue: an open line to it, or a dial."""
        while self._queue:
            endpoint = self._queue.pop(0)
            line = next((one for one in self._lines if one.endpoint == endpoint), None)
            if line is not None:
                self._send(line, now_ms)
                return
            try:
                target = target_of(endpoint, self._environment)
            except WireError as fault:
                self._faults.append(str(fault))
                continue
            self._dialing = (endpoint, target)
            first = target.first()
            if literal(first.host):
                self._begin_dial(literal_addresses(first.host, first.port), now_ms)
            else:
                self._resolving = (first.host, first.port)
            return
        self._result = Unreachable("; ".join(dict.fromkeys(self._faults)) or "no address of the plane is known")

    def _failed(self, why: str, now_ms: int) -> None:
        """The endpoint at hand did not work; the next one is tried."""
        self._faults.append(why)
        self._trial_failed(self._dialing[0] if self._dialing else None, why, now_ms)
        self._dialing = None
        self._next(now_ms)

    def _trial_failed(self, endpoint: Endpoint | None, why: str, now_ms: int) -> None:
        if endpoint is not None and endpoints.wanted(self.book, endpoint):
            self._say("link.trial-failed", url=endpoint.url, why=why)
            self._trial_at_ms = now_ms + self._trial_wait_ms
            self._trial_wait_ms = min(self._trial_wait_ms * 2, endpoints.TRIAL_MOST_MS)
            self._trial_refused = 0

    def _begin_dial(self, addresses: list[list[Any]], now_ms: int) -> None:
        assert self._dialing is not None
        endpoint, target = self._dialing
        try:
            context = self._context(endpoint)
        except TlsError as fault:
            self._failed(f"{target.words()}: {fault.why}", now_ms)
            return
        kept = self._sessions.get(endpoint.url)
        session = kept[1] if kept is not None and kept[0] is context else None
        self._trusting = context
        self._dial = Dial(target, addresses, context, session, now_ms, DIAL_MS)
        self._dialed(now_ms)

    def _context(self, endpoint: Endpoint) -> Context:
        key = (endpoint.ca, self.judge_at_s > 0)
        context = self._contexts.get(key)
        if context is None:
            context = Context(endpoint.ca, self.judge_at_s)
            self._contexts[key] = context
        context.at_s = self.judge_at_s
        return context

    def _dialed(self, now_ms: int) -> None:
        dial = self._dial
        if dial is None or not dial.over:
            return
        assert self._dialing is not None
        assert self._trusting is not None
        endpoint, target = self._dialing
        self._dial = None
        if dial.stream is None:
            self._failed(dial.fault, now_ms)
            return
        self._dialing = None
        line = _Line(endpoint, dial.stream, target, self._trusting)
        self._lines.insert(0, line)
        self._say("link.up", url=endpoint.url, tls=dial.stream.version(), resumed="yes" if dial.stream.resumed() else "no")
        self._send(line, now_ms)

    # --- the exchange --------------------------------------------------------------------------------------------------

    def _send(self, line: _Line, now_ms: int) -> None:
        assert self._call is not None
        call = self._call
        base = line.target.url
        head = request_head(call.method, base.path + call.path, base.authority(), call.headers, len(call.body))
        self._line = line
        self._out = memoryview(head + call.body)
        self._parser = Parser(call.method)
        self._body = bytearray()
        self._until_ms = now_ms + call.timeout_ms
        self._talk(now_ms)

    def _talk(self, now_ms: int) -> None:
        line = self._line
        assert line is not None
        try:
            while self._out:
                self._out = self._out[line.stream.send(self._out) :]
            while not self._parser.done:
                data = line.stream.recv(BLOCK)
                if not data:
                    self._parser.eof()
                    break
                self._take_body(self._parser.feed(data))
        except WantRead:
            self._want = READ
            return
        except WantWrite:
            self._want = WRITE
            return
        except HttpError as fault:
            self._broken(fault.why, now_ms, silent=not self._parser.started)
            return
        except OSError as fault:
            self._broken(f"the connection broke ({fault.strerror or fault})", now_ms, silent=not self._parser.started)
            return
        self._complete(line, now_ms)

    def _take_body(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) > MAX_ANSWER:
            raise HttpError("oversize", f"the answer is longer than the {MAX_ANSWER} bytes allowed")

    def _broken(self, why: str, now_ms: int, *, silent: bool) -> None:
        line = self._line
        assert line is not None
        again = silent and line.used
        self._drop(line)
        self._faults.append(f"{line.target.words()}: {why}")
        if again:  # a kept connection had died: the same address deserves a fresh one
            self._faults.pop()
            self._queue.insert(0, line.endpoint)
        else:
            self._trial_failed(line.endpoint, why, now_ms)
        self._next(now_ms)

    def _drop(self, line: _Line) -> None:
        line.stream.close()
        if line in self._lines:
            self._lines.remove(line)
        if line is self._line:
            self._line = None

    def _complete(self, line: _Line, now_ms: int) -> None:
        head, call = self._parser.head, self._call
        assert head is not None
        assert call is not None
        if not line.used and not line.stream.resumed():  # the same one serves again and again, as long as the plane lets it
            session = line.stream.session()
            if session is not None:
                self._sessions[line.endpoint.url] = (line.context, session)
        line.used = True
        self._line = None
        if not head.keep_alive or self._parser.rest:
            self._drop(line)
        if endpoints.wanted(self.book, line.endpoint) and not self._proves(line, head.status, call, now_ms):
            return
        self._result = Answer(head.status, head.headers, bytes(self._body))
        self._body = bytearray()

    def _proves(self, line: _Line, status: int, call: Call, now_ms: int) -> bool:
        """An address on trial answered. False: not as the plane does, so the call goes on to the next address."""
        if call.kind == "poll" and status in GOOD:
            self._say("link.moved", url=line.endpoint.url)
            self._trial_refused = 0
            self._keep(endpoints.checked_in(self.book, line.endpoint))
            for other in [one for one in self._lines if one is not line]:
                self._drop(other)
            return True
        if status in GOOD:
            return True
        if status == 401 and self._trial_refused == 0:  # the session may simply have ended; the brain will ask for one, here
            self._trial_refused = 1
            return True
        why = f"it answered {status} to a {call.kind}"
        self._drop(line)
        self._faults.append(f"{line.target.words()}: {why}")
        self._trial_failed(line.endpoint, why, now_ms)
        self._next(now_ms)
        return False

    def _listen_idle(self, line: _Line) -> None:
        """Something arrived on a line that nobody asked on: session tickets, or the end."""
        try:
            if not line.stream.recv(1024):
                self._drop(line)
            else:
                self._drop(line)  # an answer to no question: whatever it is, it is not to be believed
        except (WantRead, WantWrite):
            return
        except OSError:
            self._drop(line)


def resolve_job(host: str, port: int) -> Callable[[Any], Any]:
    """The job for a child that resolves `host`; its value is what `Link.resolved` takes."""

    def job(_send: object) -> Any:
        from penstock.agent.dial import resolve

        try:
            return {"addresses": resolve(host, port)}
        except DialError as fault:
            return {"why": fault.why}

    return job
