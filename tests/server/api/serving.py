"""A whole control plane behind real TLS on loopback, in a thread of the test, and a keep-alive HTTPS caller."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from penstock.server import commandline
from penstock.server.__main__ import Server, web_config
from penstock.server.app import Running, build_asgi, certificates_of, open_plane
from penstock.server.settings import Settings
from tests.server.paper import Answer, Call


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def no_front(scope, receive, send):  # the device API and the registry need no front door
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def settings_for(folder: Path) -> Settings:
    port = free_port()
    return Settings(data=folder / "data", addresses=(f"https://127.0.0.1:{port}",), listen=f"127.0.0.1:{port}")


@contextlib.contextmanager
def in_thread(server: Server) -> Iterator[None]:
    """A server that runs in a thread, from its start to its graceful end."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < give_up
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@contextlib.contextmanager
def served(folder: Path, settings: Settings | None = None) -> Iterator[tuple[Running, Settings]]:
    """A running plane; made first if there is none. Ends it gracefully."""
    found = settings or settings_for(folder)
    if not found.data.exists():
        commandline.init(found, folder / "root.pem")
    running = open_plane(found)
    with in_thread(Server(running.leave, web_config(found, build_asgi(running, no_front), running.tls))):
        try:
            yield running, found
        finally:
            running.leave()


def over_tls(settings: Settings, timeout_s: float = 90) -> Call:
    """Calls over one kept-alive connection that trusts the plane's authority and nothing else."""
    context = ssl.create_default_context(cadata="".join(certificates_of(settings).trusted()))
    held: list[http.client.HTTPSConnection] = []

    def call(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        for attempt in (1, 2):
            if not held:
                held.append(http.client.HTTPSConnection("127.0.0.1", settings.port, timeout=timeout_s, context=context))
            try:
                held[0].request(method, target, body or None, headers)
                response = held[0].getresponse()
                return Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
            except (http.client.HTTPException, OSError):
                held.pop().close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    return call
