"""Receivers of notices for tests: an HTTPS server and an SMTP server on real sockets, that do as they are told and remember what came."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from penstock.server.effects import certs

if TYPE_CHECKING:
    from typing_extensions import Self


class Listener:
    """Accepts on loopback until closed; each connection has a thread. `ca` is the authority to trust."""

    def __init__(self, folder: Path) -> None:
        now = int(time.time() * 1000)
        authority = certs.make_authority("Receivers", now)
        leaf = certs.make_leaf(authority, ("127.0.0.1", "localhost"), now)
        file = folder / "receiver.pem"
        file.write_bytes(leaf.both)
        self.ca = authority.chain.decode()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(file)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.over = threading.Event()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self.listener.accept()
                raw.settimeout(20)
                self.connections += 1
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), contextlib.closing(raw):
            self.serve(raw)

    def serve(self, raw: socket.socket) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@dataclass
class Posted:
    """One request."""

    headers: dict[str, str]
    body: bytes
    line: str = ""


class Hook(Listener):
    """An HTTPS receiver. `answers` are statuses in turn (the last one over and over); 0 hangs, -1 sends a byte now and then."""

    def __init__(self, folder: Path, *answers: int, location: str = "") -> None:
        self.answers, self.location = list(answers) or [200], location
        self.got: list[Posted] = []
        super().__init__(folder)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/hook"

    def serve(self, raw: socket.socket) -> None:
        with self.context.wrap_socket(raw, server_side=True) as tls, tls.makefile("rb") as file:
            line = file.readline().decode()
            headers = {}
            while (text := file.readline().decode().strip()) != "":
                name, _, value = text.partition(":")
                headers[name.lower()] = value.strip()
            self.got.append(Posted(headers, file.read(int(headers["content-length"])), line))
            status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if status == 0:
                self.over.wait(20)
                return
            if status == -1:
                for letter in b"HTTP/1.1 200 OK and then a long story" * 50:
                    tls.sendall(bytes([letter]))
                    self.over.wait(0.05)
                return
            head = f"HTTP/1.1 {status} So\r\nContent-Length: 2\r\nConnection: close\r\n" + (f"Location: {self.location}\r\n" if self.location else "")
            tls.sendall(head.encode() + b"\r\nok")


@dataclass
class Mail:
    """One mail."""

    sender: str
    to: list[str]
    text: str
    user: str = ""
    password: str = ""
    encrypted: bool = False


@dataclass
class _Talk:
    sender: str = ""
    to: list[str] = field(default_factory=list)
    user: str = ""
    password: str = ""


class Post(Listener):
    """An SMTP receiver (RFC 5321, 3207, 4954 as far as a client needs them). `refuse`: a command that is answered 5xx."""

    def __init__(self, folder: Path, *, tls: bool = False, refuse: str = "", users: dict[str, str] | None = None) -> None:
        self.tls, self.refuse, self.users = tls, refuse, users or {}
        self.mails: list[Mail] = []
        super().__init__(folder)

    def serve(self, raw: socket.socket) -> None:
        channel = self.context.wrap_socket(raw, server_side=True) if self.tls else raw
        talk, file = _Talk(), channel.makefile("rb")

        def say(text: str) -> None:
            channel.sendall(text.encode() + b"\r\n")

        say("220 post.test ESMTP")
        while line := file.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            if verb == self.refuse:
                say("550 5.7.1 not here")
            elif verb == "EHLO":
                say("250-post.test\r\n250-AUTH PLAIN" + ("" if isinstance(channel, ssl.SSLSocket) else "\r\n250-STARTTLS") + "\r\n250 8BITMIME")
            elif verb == "STARTTLS":
                say("220 go ahead")
                channel = self.context.wrap_socket(raw, server_side=True)
                file = channel.makefile("rb")
            elif verb == "AUTH":
                _, user, password = base64.b64decode(rest.split(" ")[1]).decode().split("\0")
                good = self.users.get(user) == password
                talk.user, talk.password = user, password
                say("235 welcome" if good else "535 5.7.8 wrong")
            elif verb == "MAIL":
                talk.sender = _between(rest)
                say("250 ok")
            elif verb == "RCPT":
                talk.to.append(_between(rest))
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                text = []
                while (part := file.readline().decode()) not in (".\r\n", ""):
                    text.append(part.removeprefix("."))
                self.mails.append(Mail(talk.sender, talk.to, "".join(text), talk.user, talk.password, isinstance(channel, ssl.SSLSocket)))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


def _between(text: str) -> str:
    return text.partition("<")[2].partition(">")[0]


class Proxy(Listener):
    """An HTTP proxy that knows CONNECT only. `asked` are the places it was asked for."""

    def __init__(self, folder: Path, *, status: int = 200) -> None:
        self.status = status
        self.asked: list[str] = []
        super().__init__(folder)

    def serve(self, raw: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += raw.recv(1)
        place = head.split(b" ")[1].decode()
        self.asked.append(place)
        raw.sendall(f"HTTP/1.1 {self.status} So\r\n\r\n".encode())
        if self.status != 200:
            return
        host, _, port = place.rpartition(":")
        with socket.create_connection((host, int(port)), 10) as other:
            back = threading.Thread(target=_pump, args=(other, raw), daemon=True)
            back.start()
            _pump(raw, other)
            back.join(10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


def until(asked: Callable[[], object], what: str, seconds: float = 10) -> None:
    """Wait until it is so."""
    ends = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < ends, what
        time.sleep(0.02)
