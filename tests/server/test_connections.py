"""Connections as a client sees them: a real server on loopback, with small time limits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.server import connections
from penstock.server.__main__ import Server, web_config
from penstock.server.settings import Settings
from tests.agent.servers import Authority
from tests.server.api.serving import free_port, in_thread

LINE = b" HTTP/1.1\r\nhost: here\r\n"


class App:
    """Answers what it was sent; on /late the head first and the body a good while after."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        self.asked.append(scope["path"])
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                self.asked.append("cut")
                return
            body, more = body + message["body"], message["more_body"]
        if scope["path"] == "/slow":
            await asyncio.sleep(0.3)
        body = body or scope["path"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        if scope["path"] == "/late":
            await asyncio.sleep(1)
        await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(app: App, tls: ssl.SSLContext | None = None, keep_alive: int = 30) -> Iterator[int]:
    """The app behind the product's own server and settings, but for how long a connection may be idle."""
    port = free_port()
    config = web_config(Settings(listen=f"127.0.0.1:{port}"), app, tls)
    config.timeout_keep_alive, config.lifespan = keep_alive, "off"
    with in_thread(Server(lambda: None, config)):
        yield port


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time, and give a request half a second."""
    monkeypatch.setattr(connections, "LOOK_S", 0.1)
    monkeypatch.setattr(connections, "ARRIVE_S", 0.5)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def rest(sock: socket.socket) -> bytes:
    """Everything until the other side ends the connection."""
    found = b""
    while piece := sock.recv(65536):
        found += piece
    return found


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("said", "asked"),
    [(b"", []), (b"GET /a HT", []), (b"GET /a" + LINE, []), (b"POST /a" + LINE + b"content-length: 9\r\n\r\nfour", ["/a", "cut"])],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_a_request_that_does_not_arrive_ends_the_connection(said: bytes, asked: list[str]) -> None:
    app = App()
    with serving(app) as port, connect(port) as sock:
        sock.sendall(said)
        assert rest(sock).startswith(b"HTTP/1.1 408 ")
    assert app.asked == asked


@pytest.mark.usefixtures("hasty")
def test_a_body_that_keeps_the_pace_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PACE", 1000)
    with serving(App()) as port, connect(port) as sock:
        sock.sendall(b"POST /a" + LINE + b"connection: close\r\ncontent-length: 3000\r\n\r\n")
        for _ in range(6):
            sock.sendall(b"x" * 500)
            time.sleep(0.25)
        assert rest(sock).endswith(b"x" * 3000)


@pytest.mark.usefixtures("hasty")
def test_an_answer_may_take_its_time() -> None:
    with serving(App(), keep_alive=0) as port, connect(port) as sock:
        sock.sendall(b"GET /late" + LINE + b"\r\n")
        assert rest(sock).endswith(b"\r\n\r\n/late")  # and then nobody asks more, and it ends


@pytest.mark.usefixtures("hasty")
def test_an_idle_connection_ends_after_its_time_and_not_before() -> None:
    with serving(App(), keep_alive=1) as port, connect(port) as sock:
        for _ in range(4):
            sock.sendall(b"GET /a" + LINE + b"\r\n")
            assert sock.recv(65536).endswith(b"/a")
            time.sleep(0.4)
        assert rest(sock) == b""


def test_the_head_does_not_wait_for_a_body_that_comes_later() -> None:
    with serving(App()) as port, connect(port) as sock:
        sock.sendall(b"GET /late" + LINE + b"\r\n")
        began = time.monotonic()
        assert sock.recv(65536).endswith(b"\r\n\r\n")
        assert time.monotonic() - began < 0.9  # the body is sent after one second
        assert sock.recv(65536) == b"/late"


def test_requests_sent_without_waiting_are_answered_in_order() -> None:
    app = App()
    with serving(app) as port, connect(port) as sock:
        sock.sendall(b"".join(b"GET /%s" % path + LINE + b"\r\n" for path in (b"slow", b"b", b"c")) + b"GET /d" + LINE + b"connection: close\r\n\r\n")
        answers = rest(sock)
    assert app.asked == ["/slow", "/b", "/c", "/d"]
    assert [one.rpartition(b"\r\n\r\n")[2] for one in answers.split(b"HTTP/1.1 200 OK")[1:]] == [b"/slow", b"/b", b"/c", b"/d"]


def test_a_large_answer_arrives_whole() -> None:
    body = bytes(range(256)) * 8192
    with serving(App()) as port, connect(port) as sock:
        sock.sendall(b"POST /a" + LINE + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        assert rest(sock).endswith(b"\r\n\r\n" + body)


def test_head_and_body_are_one_record_of_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    leaf = authority.leaf()
    with serving(App(), leaf) as port, connect(port) as sock:
        context = ssl.create_default_context(cadata=authority.pem)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        records: list[int] = []
        raw = bytearray()

        def take() -> None:
            if outgoing.pending:
                sock.sendall(outgoing.read())
            piece = sock.recv(65536)
            assert piece
            incoming.write(piece)
            raw.extend(piece)

        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
            take()
        tls.write(b"GET /a" + LINE + b"\r\n")
        raw.clear()
        answer = b""
        while not answer.endswith(b"/a"):
            try:
                answer += tls.read()
            except ssl.SSLWantReadError:
                take()
        at = 0
        while at < len(raw):  # RFC 8446, section 5.1: type, version, length
            size = int.from_bytes(raw[at + 3 : at + 5], "big")
            records.append(size)
            at += 5 + size
        # 17 bytes of TLS 1.3 around what is sent; whatever came before it are tickets for the next session.
        assert records[-1] == len(answer) + 17
