"""Control planes that stand somewhere else than they did: other ports, other certificates, something in front of them.

Owns what stands between an agent and a plane in these tests (a forwarder, a proxy that ends TLS, a man in the middle), and a plane started with settings
of its own. Everything listens on loopback and ends with the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from penstock.agent.control import NotRunning, ask
from penstock.agent.enrol import read_book
from penstock.agent.places import Places
from penstock.server.effects import certs
from tests.agent.servers import HttpsServer
from tests.e2e.house import AgentProcess, PlaneProcess, eventually


class NoEngine:
    """Where a test is about the way to the plane only: no engine is there."""

    socket = Path("/nonexistent/engine.sock")


class Plane(PlaneProcess):
    """A plane that is reached at `port` and listens on `listens`, started with `settings` (penstock-server's environment, without PENSTOCK_)."""

    def __init__(self, folder: Path, *, port: int = 0, listens: int = 0, **settings: str) -> None:
        super().__init__(folder, port=port)
        self.listens = listens or self.port
        self.settings = settings

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **{f"PENSTOCK_{name.upper()}": value for name, value in self.settings.items()}}

    def server(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "penstock.server", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=self.folder, env=self._environment())
        if check and done.returncode:
            raise AssertionError(f"penstock-server {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self) -> None:
        assert self.process is None
        command = [sys.executable, "-m", "penstock.server", "run", "--data", str(self.data), "--listen", f"127.0.0.1:{self.listens}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=self._environment())
        eventually(self._ready, bool, 60, what="the plane is ready")

    def move(self, port: int) -> None:
        """From the next start on it is reached, and listens, there."""
        self.port = self.listens = port
        self.url = f"https://127.0.0.1:{port}"
        self.settings["addresses"] = self.url


class Front:
    """Hands connections on to `target`, another port of this machine. With `context` it ends TLS, and what is behind it hears clear text."""

    def __init__(self, target: int, *, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", port, ssl=context), self._loop).result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"https://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            both = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in both:
                    one.cancel()
                far_writer.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    def close(self) -> None:
        """No new connections, and the open ones are cut."""

        async def end() -> None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Company:
    """An authority of the plant's own, and certificates by it."""

    def __init__(self, folder: Path, now_ms: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = certs.make_authority("Company CA", now_ms)
        leaf = certs.make_leaf(authority, ("127.0.0.1",), now_ms)
        self.ca = authority.chain.decode()
        self.trust, self.certificate, self.key = folder / "trust.pem", folder / "certificate.pem", folder / "key.pem"
        for path, data in ((self.trust, authority.chain), (self.certificate, leaf.chain), (self.key, leaf.key)):
            path.write_bytes(data)
            path.chmod(0o600)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


Answer = tuple[int, Mapping[str, str], bytes]
Tamper = Callable[[str, str, Answer], Answer]


class Middle:
    """Stands between agent and plane with a certificate the agent believes, as one who has stolen the plane's would. Passes on what is asked (but holds no poll open), and lets
    `tamper` (path, request body as text, answer) make of the answer what it likes."""

    def __init__(self, plane: PlaneProcess, upstream: int, context: ssl.SSLContext, port: int) -> None:
        self.tamper: Tamper = lambda _path, _body, answer: answer
        self._client = httpx.Client(
            base_url=f"https://127.0.0.1:{upstream}", verify=ssl.create_default_context(cafile=str(plane.ca)), timeout=60, trust_env=False
        )
        self._server = HttpsServer(context, self._relay, port=port)

    def _relay(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection", "content-length")}
        try:
            answer = self._client.request(method, path.partition("&wait=")[0], headers=kept, content=body)
        except httpx.HTTPError as fault:
            return 502, {}, str(fault).encode()
        said = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "content-encoding")
        }
        return self.tamper(path, body.decode("utf-8", "replace"), (answer.status_code, said, answer.content))

    def close(self) -> None:
        self._server.stop()
        self._client.close()


def poke(agent: AgentProcess) -> None:
    """Let the agent poll now, if it answers."""
    with contextlib.suppress(NotRunning):
        ask(Places(str(agent.data)).control, {"verb": "poll"})


def addresses(agent: AgentProcess) -> list[str]:
    """The addresses the agent has proven and uses."""
    book = read_book(Places(str(agent.data)))
    return [one.url for one in book.current] if book else []


def settle(agent: AgentProcess, good: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Poll again and again until it is so."""

    def look() -> bool:
        poke(agent)
        return good()

    try:
        eventually(look, bool, seconds, 0.5, what=what)
    except AssertionError as fault:
        raise AssertionError(f"{fault}; {agent.tail(1500)}") from None
