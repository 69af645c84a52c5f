"""A small HTTP/1.1: an incremental response parser that does no I/O, request heads, and a synchronous client over a connected socket.

Owns RFC 9112 as far as a client needs it, strictly: what is ambiguous (two lengths, folded lines, bare line feeds) is refused, and
every size has a limit. The standard library's client costs the resident agent over a megabyte and cannot be driven by a selector
loop. Never connects (the caller brings the socket), never follows redirects, never decides what an answer means.
"""

from __future__ import annotations

import time

from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from socket import socket
    from typing import Protocol

    from typing_extensions import Buffer, Self

    class Channel(Protocol):
        """What a connection is read from and written to: a socket, or a TLS stream over one. Failing is an OSError."""

        def settimeout(self, seconds: float | None, /) -> None: ...

        def recv(self, count: int, /) -> bytes: ...

        def sendall(self, data: Buffer, /) -> None: ...

        def close(self) -> None: ...


MAX_HEAD = 32 * 1024  # bytes of status line and headers together
MAX_HEADERS = 128
MAX_CHUNK_LINE = 1024  # bytes of a chunk's size with its extensions, which are ignored
MAX_INTERIM = 8  # 1xx answers before the real one
READ = 64 * 1024  # bytes asked of a socket at once

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = frozenset(b"0123456789abcdefABCDEF")


class HttpError(Exception):
    """The exchange failed below the level of a status. `why` is a sentence.

    `kind`: "closed" (the connection ended early), "timeout", "malformed" (not HTTP/1.1, or not unambiguous) or "oversize"."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why


@record
class Head:
    """Status and headers of an answer. Header names are lower case; repeated ones are joined with ", " (RFC 9110, 5.3)."""

    status: int
    reason: str
    headers: dict[str, str]
    keep_alive: bool


def parse_fields(lines: list[bytes]) -> dict[str, str]:
    """Header lines (without their CR LF) to a dict. Raises HttpError. Source: RFC 9112, section 5."""
    if len(lines) > MAX_HEADERS:
        raise HttpError("oversize", f"{len(lines)} header lines, more than the {MAX_HEADERS} allowed")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not _TOKEN.issuperset(name):
            raise HttpError("malformed", f"a header line is not 'name: value': {line[:60]!r}")
        if b"\r" in value or b"\n" in value or b"\0" in value:
            raise HttpError("malformed", f"header {name[:40]!r} holds a control character")
        key = name.decode("ascii").lower()
        text = value.strip(b" \t").decode("latin-1")
        if key in fields:
            if key in ("content-length", "transfer-encoding", "host"):
                raise HttpError("malformed", f"header {key} stands twice")
            text = f"{fields[key]}, {text}"
        fields[key] = text
    return fields


def decimal(text: str, what: str) -> int:
    """A non-negative integer of at most 15 digits, nothing else beside it. Raises HttpError naming `what`."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise HttpError("malformed", f"{what} is not a number: {text[:40]!r}")
    return int(text)


class Parser:
    """One answer, fed as bytes arrive. `head` is None until it is complete; `done` tells the end of the body.

    A parser serves one answer: make the next with `rest` (bytes that came after the end) fed first. `method` is the request's,
    since answers to HEAD and CONNECT have no body."""

    def __init__(self, method: str = "GET") -> None:
        self.head: Head | None = None
        self.rest = b""
        self._method = method
        self._state = "head"
        self._buffer = bytearray()
        self._left = 0
        self._interim = 0
        self._trailers = 0

    @property
    def done(self) -> bool:
        """Whether the whole answer, body included, has arrived."""
        return self._state == "done"

    @property
    def started(self) -> bool:
        """Whether any byte of an answer has arrived."""
        return bool(self.head or self._buffer or self._interim)

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the connection; give back the body bytes they held. Raises HttpError; the connection is then useless."""
        if self._state == "done":
            self.rest += data
            return b""
        if self._state == "close":
            return data
        if self._state == "fixed" and not self._buffer and len(data) < self._left:  # the usual case of a big body: no copy
            self._left -= len(data)
            return data
        self._buffer += data
        body = bytearray()
        while self._step(body):
            pass
        if self.done:
            self.rest = bytes(self._buffer)
            self._buffer.clear()
        return bytes(body)

    def eof(self) -> None:
        """The connection ended. Raises HttpError unless the answer was complete, or ends with the connection."""
        if self._state == "close":
            self._state = "done"
        elif not self.done:
            where = "before answering" if not self.started else "in the middle of an answer"
            raise HttpError("closed", f"the other side closed the connection {where}")

    # --- states: each returns False when it needs more bytes ---------------------------------------------------------

    def _step(self, body: bytearray) -> bool:
        state = self._state
        if state == "done":
            return False
        if state == "head":
            return self._read_head()
        if state == "fixed":
            return self._read_fixed(body)
        if state == "size":
            return self._read_size()
        if state == "chunk":
            return self._read_chunk(body)
        if state == "trailer":
            return self._read_trailer()
        body += self._buffer  # until the connection closes
        self._buffer.clear()
        return False

    def _line(self, limit: int, what: str) -> bytes | None:
        end = self._buffer.find(b"\n", 0, limit + 2)
        if end < 0:
            if len(self._buffer) > limit:
                raise HttpError("oversize", f"{what} is longer than {limit} bytes")
            return None
        if end == 0 or self._buffer[end - 1] != 13:
            raise HttpError("malformed", f"{what} does not end with CR LF")
        line = bytes(self._buffer[: end - 1])
        del self._buffer[: end + 1]
        return line

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise HttpError("oversize", f"the answer's headers are longer than {MAX_HEAD} bytes")
            if self._buffer[:5] != b"HTTP/"[: len(self._buffer)]:
                raise HttpError("malformed", "the other side does not speak HTTP/1.1")
            return False
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        self._take_head(lines)
        return True

    def _take_head(self, lines: list[bytes]) -> None:
        version, _, rest = lines[0].partition(b" ")
        code, _, reason = rest.partition(b" ")
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit() or not 100 <= int(code) <= 599:
            raise HttpError("malformed", f"not an HTTP/1.1 status line: {lines[0][:60]!r}")
        status = int(code)
        headers = parse_fields(lines[1:])
        if status < 200 and status != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise HttpError("malformed", "more interim answers than any server sends")
            return
        options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
        keep = "close" not in options and (version == b"HTTP/1.1" or "keep-alive" in options)
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if length is not None and coding is not None:
            raise HttpError("malformed", "the answer has both a length and a transfer coding")
        if self._method == "HEAD" or status in (204, 304) or (self._method == "CONNECT" and 200 <= status < 300):
            self._state = "done"
        elif status == 101:  # from here on another protocol, in both directions
            self._state, keep = "close", False
        elif coding is not None:
            if coding.lower() != "chunked":
                raise HttpError("malformed", f"transfer coding {coding[:40]!r} was not asked for")
            self._state = "size"
        elif length is not None:
            self._left = decimal(length, "Content-Length")
            self._state = "fixed"
            if not self._left:
                self._state = "done"
        else:
            self._state, keep = "close", False
        self.head = Head(status, reason.decode("latin-1"), headers, keep)

    def _read_fixed(self, body: bytearray) -> bool:
        part = self._buffer[: self._left]
        body += part
        del self._buffer[: len(part)]
        self._left -= len(part)
        if not self._left:
            self._state = "done"
        return False

    def _read_size(self) -> bool:
        line = self._line(MAX_CHUNK_LINE, "a chunk's size")
        if line is None:
            return False
        digits = line.partition(b";")[0].strip(b" \t")
        if not 1 <= len(digits) <= 13 or not _HEX.issuperset(digits):
            raise HttpError("malformed", f"not a chunk's size: {line[:40]!r}")
        self._left = int(digits, 16)
        self._state = "chunk" if self._left else "trailer"
        return True

    def _read_chunk(self, body: bytearray) -> bool:
        if self._left:
            part = self._buffer[: self._left]
            body += part
            del self._buffer[: len(part)]
            self._left -= len(part)
        if self._left or len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise HttpError("malformed", "a chunk is longer than it said")
        del self._buffer[:2]
        self._state = "size"
        return True

    def _read_trailer(self) -> bool:
        line = self._line(MAX_HEAD, "a trailer")
        if line is None:
            return False
        if not line:
            self._state = "done"
        self._trailers += 1
        if self._trailers > MAX_HEADERS:
            raise HttpError("oversize", "more trailers than allowed")
        return True


def request_head(method: str, target: str, host: str, headers: Mapping[str, str], length: int | None = 0) -> bytes:
    """The head of a request. `length` None means a chunked body; 0 writes a length only where the method has a body (RFC 9110, 8.6).

    Raises ValueError for anything that would not stay in its line."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length is None:
        lines.append("Transfer-Encoding: chunked")
    elif length or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {length}")
    if " " in target or not target:
        raise ValueError(f"not a request target: {target[:60]!r}")
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise ValueError(f"a control character in {line[:60]!r}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Answer:
    """An answer whose body is still on its way. Read it to the end (or close the connection) before the next request."""

    def __init__(self, exchange: Connection, parser: Parser, first: bytes, until: float) -> None:
        head = parser.head
        assert head is not None
        self.head = head
        self.status = head.status
        self.headers = head.headers
        self._exchange = exchange
        self._parser = parser
        self._first = first
        self._until = until

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece as it arrives. Raises HttpError when it is cut short or too slow."""
        if self._first:
            first, self._first = self._first, b""
            yield first
        while not self._parser.done:
            piece = self._exchange.receive(self._parser, self._until)
            if piece:
                yield piece
        self._exchange.finished(self._parser)

    def read(self, limit: int = 16 * 1024 * 1024) -> bytes:
        """The whole body. Raises HttpError("oversize") past `limit` bytes."""
        body = bytearray()
        for piece in self.chunks():
            body += piece
            if len(body) > limit:
                self._exchange.close()
                raise HttpError("oversize", f"the answer is longer than the {limit} bytes allowed")
        return bytes(body)


class Connection:
    """A synchronous client over a socket that is already connected (unix, TCP or TLS). One request at a time.

    `host` goes into the Host header. `idle_s` bounds every single wait for bytes; each request has a time-out for the whole of it
    besides. After an HttpError, or when `usable` is False, close it and connect anew."""

    def __init__(self, sock: Channel, host: str, idle_s: float = 60.0) -> None:
        self._sock = sock
        self._host = host
        self._idle_s = idle_s
        self._rest = b""
        self.usable = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; closing twice is allowed."""
        self.usable = False
        self._sock.close()

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        length: int | None = None,
        timeout_s: float = 60.0,
    ) -> Answer:
        """Send a request and wait for the head of its answer.

        `body` may be bytes, or an iterable of bytes (a file in pieces): sent with Content-Length when `length` is given, chunked
        otherwise. `timeout_s` covers sending and the whole answer. Raises HttpError. An answer that comes before the body is
        fully sent (an early refusal) is returned, and the connection is not used again."""
        until = time.monotonic() + timeout_s
        whole = body if isinstance(body, (bytes, bytearray)) else None
        size = len(whole) if whole is not None else length
        head = request_head(method, target, self._host, headers or {}, size)
        parser = Parser(method)
        try:
            if whole is not None:
                self._send(head + whole, until)
            else:
                self._send(head, until)
                self._stream(body, length, until)  # type: ignore[arg-type]
        except HttpError as fault:
            if fault.kind != "closed":
                raise
            self.usable = False  # the other side may have answered before it stopped listening: its answer says more
        first = b""
        if self._rest:
            first = parser.feed(self._rest)
            self._rest = b""
        while parser.head is None:
            first += self.receive(parser, until)
        answer = Answer(self, parser, first, until)
        if parser.done and not first:
            self.finished(parser)
        return answer

    def _stream(self, body: Iterable[bytes], length: int | None, until: float) -> None:
        sent = 0
        for piece in body:
            if piece:
                sent += len(piece)
                self._send(piece if length is not None else b"%x\r\n%s\r\n" % (len(piece), piece), until)
        if length is None:
            self._send(b"0\r\n\r\n", until)
        elif sent != length:
            self.close()
            raise HttpError("malformed", f"{sent} bytes of body were ready, {length} announced")

    def _arm(self, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            self.close()
            raise HttpError("timeout", "no complete answer within the time allowed")
        self._sock.settimeout(min(left, self._idle_s))

    def _send(self, data: bytes, until: float) -> None:
        self._arm(until)
        try:
            self._sock.sendall(data)
        except TimeoutError:
            self.close()
            raise HttpError("timeout", "the other side does not take the request") from None
        except OSError as fault:
            if _is_timeout(fault):
                self.close()
                raise HttpError("timeout", "the other side does not take the request") from None
            raise HttpError("closed", f"the connection broke while sending: {fault}") from None

    def receive(self, parser: Parser, until: float) -> bytes:
        """One read into `parser`; what it held of the body. For `Answer`."""
        self._arm(until)
        try:
            data = self._sock.recv(READ)
        except OSError as fault:
            self.close()
            if _is_timeout(fault):
                raise HttpError("timeout", f"nothing came for {min(self._idle_s, 3600.0):.0f} seconds, or the time allowed ran out") from None
            raise HttpError("closed", f"the connection broke: {fault}") from None
        try:
            if data:
                return parser.feed(data)
            self.usable = False
            parser.eof()
        except HttpError:
            self.close()
            raise
        return b""

    def finished(self, parser: Parser) -> None:
        """The answer is complete. For `Answer`."""
        self._rest = parser.rest
        parser.rest = b""
        if parser.head is None or not parser.head.keep_alive:
            self.usable = False


def _is_timeout(fault: OSError) -> bool:
    """Python 3.9's socket.timeout is an OSError of its own; since 3.10 it is TimeoutError."""
    return isinstance(fault, TimeoutError) or type(fault).__name__ == "timeout"


def connect_unix(path: str, timeout_s: float = 10.0) -> socket:
    """A connected unix stream socket. Raises OSError (missing, refused, permission)."""
    from socket import AF_UNIX, SOCK_STREAM
    from socket import socket as make

    sock = make(AF_UNIX, SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock
