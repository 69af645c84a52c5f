"""A registry on loopback that lives only while one pull runs, and serves one variant of one image out of the agent's own blobs.

Owns a listening socket on 127.0.0.1 at a port the kernel picks, an unguessable repository path, and the read-only part of the OCI
distribution specification that an engine's pull uses: base, manifest and blob by digest, HEAD, Range. One thread: the same select
loop serves the engine's connections and watches the engine's answer to the pull. Serves nothing but this variant's digests, and
never writes. A blob is read and checked once before its first byte goes out: containerd keeps what it was once given, and would
refuse the right bytes for a day after wrong ones. Source: OCI distribution-spec 1.1, "Pull"; RFC 9110 sections 9.3.2 and 14.
"""

from __future__ import annotations

import hashlib
import os
import selectors
import socket
import time

from penstock.wire.codec import canonical
from penstock.wire.types import Blob, Variant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from penstock.agent.runtimes import BlobSource

MAX_REQUEST = 16 * 1024  # bytes of a request's head
MAX_CONNECTIONS = 32
SEND = 256 * 1024  # bytes handed to the kernel at once
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class _Connection:
    """One of the engine's connections: what came in, and what still goes out."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox = bytearray()
        self.outbox = b""
        self.file = -1
        self.offset = 0
        self.left = 0
        self.closing = False
        self.check: _Check | None = None

    def close_file(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    @property
    def busy(self) -> bool:
        return bool(self.outbox) or self.left > 0


class _Check:
    """A blob being checked before it is served, a piece at each turn of the loop; `then` answers the request that waits for it."""

    def __init__(self, digest: str, then: Callable[[bool], None]) -> None:
        self.digest = digest
        self.then = then
        self.state = hashlib.sha256()


class PullRegistry:
    """The registry. Use as a context manager; `reference` is what to tell the engine, `served` how many body bytes went out,
    `missing` the digests that were asked for, belong to the variant and are not in the store, `corrupt` those whose bytes are not theirs."""

    def __init__(self, variant: Variant, blobs: BlobSource) -> None:
        self._blobs = blobs
        self._manifest = variant.manifest.digest
        self._known: dict[str, Blob] = {blob.digest: blob for blob in (variant.manifest, variant.config, *variant.layers)}
        self.repository = f"{os.urandom(16).hex()}/x"
        self.served = 0
        self.missing: list[str] = []
        self.corrupt: list[str] = []
        self._sound: set[str] = set()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._selector = selectors.DefaultSelector()
        self._connections: set[_Connection] = set()
        try:
            self._listener.bind(("127.0.0.1", 0))
            self._listener.listen(16)
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)
        except OSError:
            self.close()
            raise
        self.port: int = self._listener.getsockname()[1]

    @property
    def name(self) -> str:
        """Host, port and repository, as they stand in an image reference."""
        return f"127.0.0.1:{self.port}/{self.repository}"

    @property
    def reference(self) -> str:
        """The reference to pull: by digest, so that the engine checks what it gets."""
        return f"{self.name}@{self._manifest}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and cut every connection."""
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        self._listener.close()

    def serve(self, watched: socket.socket, ready: Callable[[], bool], until: float, stall_s: float) -> str:
        """Serve until `ready` (called whenever `watched` is readable) says True.

        Returns "done", or "deadline" when monotonic time `until` has passed, or "stalled" when for `stall_s` seconds neither the
        registry nor the engine moved a byte."""
        watched.setblocking(False)
        self._selector.register(watched, selectors.EVENT_READ)
        moved = time.monotonic()
        try:
            while True:
                now = time.monotonic()
                if now >= until:
                    return "deadline"
                if now - moved >= stall_s:
                    return "stalled"
                checking = [connection for connection in self._connections if connection.check is not None]
                for connection in checking:
                    moved = now
                    self._check(connection)
                for key, events in self._selector.select(0 if checking else min(1.0, until - now)):
                    moved = time.monotonic()
                    if key.fileobj is watched:
                        if ready():
                            return "done"
                    elif key.fileobj is self._listener:
                        self._accept()
                    else:
                        self._serve_one(key.data, events)
        finally:
            self._selector.unregister(watched)

    # --- connections --------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # it went away between select and accept
        if len(self._connections) >= MAX_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        connection = _Connection(sock)
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _drop(self, connection: _Connection) -> None:
        connection.close_file()
        self._connections.discard(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()

    def _serve_one(self, connection: _Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and not self._receive(connection):
                self._drop(connection)
                return
            while connection.check is None:
                if not self._flush(connection):
                    break
                if connection.closing:
                    self._drop(connection)
                    return
                if not self._next_request(connection):
                    break
        except OSError:
            self._drop(connection)  # the engine hung up; it will ask again if it still wants the bytes
            return
        mask = selectors.EVENT_WRITE if connection.busy else selectors.EVENT_READ
        self._selector.modify(connection.sock, mask, connection)

    @staticmethod
    def _receive(connection: _Connection) -> bool:
        try:
            data = connection.sock.recv(MAX_REQUEST)
        except BlockingIOError:
            return True
        connection.inbox += data
        return bool(data) and len(connection.inbox) <= 4 * MAX_REQUEST

    def _flush(self, connection: _Connection) -> bool:
        """Send what is owed; True when nothing is left."""
        try:
            while connection.outbox:
                count = connection.sock.send(connection.outbox)
                connection.outbox = connection.outbox[count:]
            while connection.left:
                count = os.sendfile(connection.sock.fileno(), connection.file, connection.offset, min(connection.left, SEND))
                if count == 0:
                    raise OSError("the blob's file is shorter than it was")
                connection.offset += count
                connection.left -= count
                self.served += count
        except BlockingIOError:
            return False
        connection.close_file()
        return True

    # --- requests -----------------------------------------------------------------------------------------------------

    def _next_request(self, connection: _Connection) -> bool:
        if connection.inbox and not 65 <= connection.inbox[0] <= 90:
            # Engines try TLS first. Silence would cost them ten seconds; a hang-up is no reason for containerd to try without. An answer
            # in plain HTTP is what makes every one of them turn to plain HTTP at once.
            connection.inbox.clear()
            self._answer(connection, 400, close=True)
            return True
        end = connection.inbox.find(b"\r\n\r\n")
        if end < 0:
            if len(connection.inbox) > MAX_REQUEST:
                self._answer(connection, 431, close=True)
                return True
            return False
        lines = bytes(connection.inbox[:end]).split(b"\r\n")
        del connection.inbox[: end + 4]
        parts = lines[0].split(b" ")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            self._answer(connection, 400, close=True)
            return True
        close = headers.get(b"connection", b"").lower() == b"close" or parts[2] == b"HTTP/1.0"
        if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
            self._answer(connection, 400, close=True)  # nothing here takes a body
            return True
        if parts[0] not in (b"GET", b"HEAD"):
            self._answer(connection, 405, close=close)
            return True
        target = parts[1].partition(b"?")[0].decode("latin-1")
        self._route(connection, target, headers.get(b"range", b""), head=parts[0] == b"HEAD", close=close)
        return True

    def _route(self, connection: _Connection, target: str, wanted: bytes, *, head: bool, close: bool) -> None:
        if target in ("/v2", "/v2/"):
            self._answer(connection, 200, canonical({}), head=head, close=close)
            return
        prefix = f"/v2/{self.repository}/"
        kind, _, digest = target[len(prefix) :].partition("/") if target.startswith(prefix) else ("", "", "")
        blob = self._known.get(digest)
        if blob is None or (kind == "manifests") != (digest == self._manifest) or kind not in ("manifests", "blobs"):
            self._answer(connection, 404, canonical({"errors": [{"code": "NAME_UNKNOWN"}]}), head=head, close=close)
            return
        path = self._blobs.path(digest)
        if path is None:
            if digest not in self.missing:
                self.missing.append(digest)
            self._answer(connection, 404, canonical({"errors": [{"code": "BLOB_UNKNOWN"}]}), head=head, close=close)
            return
        connection.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

        def then(sound: bool) -> None:  # noqa: FBT001 - the one thing there is to say
            if sound:
                self._serve_blob(connection, blob, wanted, head=head, close=close)
            else:
                connection.close_file()
                self._answer(connection, 404, canonical({"errors": [{"code": "BLOB_UNKNOWN"}]}), head=head, close=close)

        if head or digest in self._sound:
            then(sound=True)
        else:
            connection.check = _Check(digest, then)

    def _check(self, connection: _Connection) -> None:
        """Read one more piece of the blob a connection waits for; at its end, answer."""
        check = connection.check
        assert check is not None
        try:
            data = os.read(connection.file, SEND)
        except OSError:
            data = b""  # unreadable is as bad as wrong
        if data:
            check.state.update(data)
            return
        connection.check = None
        sound = "sha256:" + check.state.hexdigest() == check.digest
        if sound:
            self._sound.add(check.digest)
        elif check.digest not in self.corrupt:
            self.corrupt.append(check.digest)
        check.then(sound)
        self._serve_one(connection, 0)

    def _serve_blob(self, connection: _Connection, blob: Blob, wanted: bytes, *, head: bool, close: bool) -> None:
        size = os.fstat(connection.file).st_size
        first, last = _range(wanted, size)
        if first > last and size:
            connection.close_file()
            self._answer(connection, 416, head=head, close=close, extra=(f"Content-Range: bytes */{size}",))
            return
        media = (blob.media_type or OCI_MANIFEST) if blob.digest == self._manifest else "application/octet-stream"
        extra = [f"Docker-Content-Digest: {blob.digest}", f"Content-Type: {media}", "Accept-Ranges: bytes"]
        status = 200
        if wanted and (first, last) != (0, size - 1):
            status = 206
            extra.append(f"Content-Range: bytes {first}-{last}/{size}")
        connection.outbox = _head(status, last - first + 1, close=close, extra=tuple(extra))
        connection.closing = close
        connection.offset, connection.left = first, 0 if head else last - first + 1

    @staticmethod
    def _answer(connection: _Connection, status: int, body: bytes = b"", *, close: bool, head: bool = False, extra: tuple[str, ...] = ()) -> None:
        kind = ("Content-Type: application/json",) if body else ()
        connection.outbox = _head(status, len(body), close=close, extra=extra + kind) + (b"" if head else body)
        connection.closing = close


_REASONS = {200: "OK", 206: "Partial Content", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


def _head(status: int, length: int, *, close: bool, extra: tuple[str, ...]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Refused')}", "Docker-Distribution-API-Version: registry/2.0"]
    lines += [f"Content-Length: {length}", *extra]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _range(text: bytes, size: int) -> tuple[int, int]:
    """First and last byte of a single range; the whole where there is none or one we do not read (RFC 9110, 14.2 allows ignoring it).

    A range that cannot be met comes back with first > last."""
    whole = (0, size - 1)
    unit, _, spec = text.partition(b"=")
    first, dash, last = spec.partition(b"-")
    if unit != b"bytes" or not dash or b"," in spec or not (first + last).isdigit() or len(first + last) > 30:
        return whole
    if not first:
        count = int(last)
        return (max(size - count, 0), size - 1) if count else (1, 0)
    if int(first) >= size or (last and int(last) < int(first)):
        return (1, 0)
    return (int(first), min(int(last), size - 1) if last else size - 1)
