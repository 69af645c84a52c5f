"""The control socket: one JSON line in, one JSON line out, for the people and programs on the device itself.

Owns the listening side inside the selector loop, and the asking side for the local CLI. Only root reaches it (the folder is closed to
others); who asks is told by the kernel, not by the asker. Never decides an answer: that is the brain's, given at once, whatever else goes on.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import time

from penstock.agent.work import Local, LocalReply
from penstock.wire.codec import WireError, from_plain, parse
from penstock.wire.jsontext import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_REQUEST = 8 * 1024
MAX_REPLY = 8 * 1024 * 1024
MAX_CLIENTS = 16
CLIENT_MS = 5_000  # how long one may take to ask and to listen
READ, WRITE = 1, 4  # POLLIN, POLLOUT
_SO_PEERCRED = 17


class _Client:
    def __init__(self, sock: _socket.socket, by: str, until_ms: int) -> None:
        self.sock = sock
        self.by = by
        self.until_ms = until_ms
        self.asked = bytearray()
        self.reply: memoryview | None = None


class Control:
    """The listening side. `answer` is called with each request and must not wait."""

    def __init__(self, path: str, answer: Callable[[Local], LocalReply]) -> None:
        """Raises OSError where the socket cannot be made."""
        self._path = path
        self._answer = answer
        self._clients: dict[int, _Client] = {}
        if os.path.lexists(path):
            os.unlink(path)  # one left behind by a killed agent; the folder's lock says that nobody else listens
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            self._listener.bind(short(path))
        finally:
            os.umask(before)
        self._listener.listen(128)

    def watched(self) -> dict[int, int]:
        """Descriptors and poll events to watch for."""
        found = {number: READ if client.reply is None else WRITE for number, client in self._clients.items()}
        if len(self._clients) < MAX_CLIENTS:
            found[self._listener.fileno()] = READ
        return found

    def next_ms(self) -> int | None:
        """When `step` must be called to be rid of slow clients, or None."""
        return min((client.until_ms for client in self._clients.values()), default=None)

    def step(self, ready: set[int], now_ms: int) -> None:
        """Take new clients, requests and chances to write."""
        if self._listener.fileno() in ready:
            self._accept(now_ms)
        for number, client in list(self._clients.items()):
            if now_ms >= client.until_ms:
                self._drop(number)
            elif number in ready:
                self._serve(number, client)

    def close(self) -> None:
        """Stop listening and take the socket's file away."""
        for number in list(self._clients):
            self._drop(number)
        self._listener.close()
        try:
            os.unlink(self._path)
        except OSError:
            return  # gone, or a disk that cannot be written any more

    def _accept(self, now_ms: int) -> None:
        try:
            number, _ = self._listener._accept()  # type: ignore[attr-defined] # noqa: SLF001 - what `socket.accept` is made of
        except OSError:
            return  # it went away again, or no descriptor is left; the next turn tells
        sock = _socket.socket(fileno=number)
        sock.setblocking(False)
        self._clients[number] = _Client(sock, _peer(sock), now_ms + CLIENT_MS)

    def _drop(self, number: int) -> None:
        self._clients.pop(number).sock.close()

    def _serve(self, number: int, client: _Client) -> None:
        try:
            if client.reply is None:
                self._listen(number, client)
            if client.reply is not None:
                client.reply = client.reply[client.sock.send(client.reply) :]
                if not client.reply:
                    self._drop(number)
        except BlockingIOError:
            return
        except OSError:
            self._drop(number)

    def _listen(self, number: int, client: _Client) -> None:
        data = client.sock.recv(4096)
        if not data:
            self._drop(number)
            return
        client.asked += data
        if b"\n" in client.asked:
            client.reply = memoryview(self._reply(bytes(client.asked.partition(b"\n")[0]), client.by))
        elif len(client.asked) > MAX_REQUEST:
            client.reply = memoryview(_line(LocalReply(ok=False, why=f"a request has at most {MAX_REQUEST} bytes", data={})))

    def _reply(self, text: bytes, by: str) -> bytes:
        try:
            plain = parse(text, MAX_REQUEST)
            request = from_plain(Local, {**plain, "by": by} if isinstance(plain, dict) else plain)
        except WireError as fault:
            return _line(LocalReply(ok=False, why=f"the request is not understood ({fault}); are agent and command of one version?", data={}))
        line = _line(self._answer(request))
        if len(line) > MAX_REPLY:
            return _line(LocalReply(ok=False, why="the answer would be too long; ask for less", data={}))
        return line


def _line(reply: LocalReply) -> bytes:
    return dumps({"ok": reply.ok, "why": reply.why, "data": reply.data}).encode("ascii") + b"\n"


def _peer(sock: _socket.socket) -> str:
    """The name of the user on the other end, as the kernel knows it."""
    try:
        _, uid, _ = struct.unpack("3i", sock.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12))
    except OSError:
        return "local"
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return f"uid {uid}"


def short(path: str) -> str:
    """A name for a unix socket's path that fits into its 107 bytes, whatever the folder's length: through the folder's descriptor.

    The descriptor stays open for the life of the process, because the name is only good while it is."""
    if len(os.fsencode(path)) <= 107:
        return path
    number = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{number}/{os.path.basename(path)}"


class NotRunning(Exception):
    """Nobody listens on the control socket. `why` is a sentence with the remedy."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _connect(sock: _socket.socket, name: str, until_s: float) -> None:
    """Connect; while more people ask than may wait at once (EAGAIN), try again."""
    while True:
        try:
            sock.connect(name)
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.05)
        else:
            return


def ask(path: str, request: dict[str, Any], timeout_s: float = 10.0) -> LocalReply:
    """Ask a running agent. Raises NotRunning."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(timeout_s)
        try:
            _connect(sock, short(path), time.monotonic() + timeout_s)
        except PermissionError:
            raise NotRunning(f"{path} is closed to this user; run as root") from None
        except OSError as fault:
            if fault.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
                raise NotRunning("the agent is not running; start it with: systemctl start penstock-agent (or: penstock-agent run)") from None
            raise NotRunning(f"the agent cannot be asked: {fault.strerror or fault}") from None
        try:
            sock.sendall(dumps(request).encode("ascii") + b"\n")
            answer = bytearray()
            while not answer.endswith(b"\n"):
                data = sock.recv(65536)
                if not data or len(answer) > MAX_REPLY:
                    break
                answer += data
        except OSError as fault:
            raise NotRunning(f"the agent does not answer ({fault.strerror or fault}); look at its log: journalctl -u penstock-agent") from None
    finally:
        sock.close()
    try:
        plain = loads(answer.decode("utf-8"))
        return LocalReply(ok=bool(plain["ok"]), why=str(plain["why"]), data=dict(plain["data"]))
    except (ValueError, KeyError, TypeError):
        raise NotRunning("the agent ended before it answered; look at its log: journalctl -u penstock-agent") from None
