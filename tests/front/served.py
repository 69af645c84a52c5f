"""A whole control plane served over TLS inside the test's process, and one scripted device that speaks the real device API.

Owns starting and stopping it. Password rounds are few, all else is as in production. Nothing here leaves loopback.
"""

from __future__ import annotations

import json
import shlex
import socket
import ssl
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

from penstock import crypto
from penstock.client import Client
from penstock.server import commandline
from penstock.server.__main__ import web_config
from penstock.server.actions import housekeeping
from penstock.server.actions.context import Limits
from penstock.server.app import build_asgi, open_plane
from penstock.server.front import build_front
from penstock.server.settings import Settings
from penstock.server.store import status
from penstock.wire import log
from penstock.wire.codec import decode, encode
from penstock.wire.envelope import open_unverified, payload_type, seal
from penstock.wire.join import parse_join
from penstock.wire.messages import (
    Command,
    Desired,
    Engine,
    EnrolReply,
    EnrolRequest,
    Facts,
    LogEntry,
    Report,
    ReportReply,
    SessionReply,
    SessionRequest,
    StateReply,
)
from penstock.wire.trust import key_id
from penstock.wire.types import content_digest
from penstock.wire.version import WIRE
from tests.server.pushing import push, small_image

if TYPE_CHECKING:
    from typing_extensions import Self

PASSWORD = "a long enough sentence"

COMPOSE = """\
name: press-monitor
services:
  web:
    image: {host}/press/web:{version}
    environment:
      LINE: ${{LINE_NAME:?the name on the screen}}
      LOG_LEVEL: ${{LOG_LEVEL:-info}}
    healthcheck:
      test: ["CMD", "/bin/check"]
    depends_on:
      database:
        condition: service_started
  database:
    image: {host}/press/database:1
    volumes:
      - data:/data
volumes:
  data: {{}}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Served:
    """One control plane. `setup_token` is for the first administrator; `ready()` makes one, named mara, and gives an API token."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.host = f"{address}:{self.port}"
        self.url = f"https://{self.host}"
        self.settings = Settings(data=folder / "plane", addresses=(self.url,), listen=self.host)
        self.setup_token = commandline.init(self.settings, folder / "root.key")
        self.running = open_plane(self.settings, Limits(password_rounds=1000))
        self.plane = self.running.plane
        self.ca = "".join(self.plane.authorities)
        self.token = ""
        self.clients: list[httpx.Client] = []
        self.server = uvicorn.Server(web_config(self.settings, build_asgi(self.running, build_front(self.plane)), self.running.tls))
        self.thread = threading.Thread(target=self.server.run, name="served plane")
        self.thread.start()
        until(lambda: self.server.started, "the plane is up")

    def stop(self) -> None:
        for client in self.clients:  # or the server waits five seconds for them to hang up
            client.close()
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()

    def ready(self) -> str:
        """The first administrator, once; an API token."""
        if not self.token:
            with Client(self.url, ca=self.ca) as client:
                self.token = client.set_up(self.setup_token, "mara", PASSWORD).token
        return self.token

    def client(self) -> Client:
        return Client(self.url, self.ready(), ca=self.ca)

    def http(self, token: str | None = None) -> httpx.Client:
        """A bare HTTP client; `token` None: with the administrator's, "" for none."""
        given = self.ready() if token is None else token
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        made = httpx.Client(base_url=self.url, verify=self.tls(), headers=headers, timeout=30, trust_env=False)
        self.clients.append(made)
        return made

    def tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.ca)
        return context

    def images(self, *versions: str) -> None:
        """Images for COMPOSE, put into the registry."""
        content = self.plane.blobs
        push(content, "press/database", small_image("database"), "1")
        for version in versions:
            push(content, "press/web", small_image(f"web {version}"), version)

    def compose(self, version: str) -> str:
        return COMPOSE.format(host=self.host, version=version)


def until(asked: Any, what: str, seconds: float = 20) -> Any:
    """Wait until `asked()` is true and give its answer."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = asked()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"still not so after {seconds} s: {what}")


class ScriptedDevice:
    """A device that says what the test tells it to, signed and chained as the real one does."""

    def __init__(self, served: Served, join: str, name: str, *, hostname: str = "ipc-427e", replaces: bool = False) -> None:
        self.served, self.name, self.replaces = served, name, replaces
        self.join = parse_join(next(part for part in shlex.split(join) if part.startswith("pst-join:")))
        self.private, self.seal_private = crypto.generate_key(), crypto.generate_key()
        self.public = crypto.public_pem(self.private).decode()
        self.keyid = key_id(self.public)
        self.facts = Facts(hostname, ("linux/amd64",), "0.1.0", "3.11.2", "6.1.0", 4, 8 << 30, 128 * 10**9, Engine("docker", "28.2.2", "1.51"))
        self.nonce = crypto.random_bytes(16).hex()
        self.device, self.session, self.etag = "", "", ""
        self.seq, self.head = 0, ""
        self.desired: Any = None  # the newest Desired
        self.http = served.http("")
        self.fingerprint = ""
        self.commands: list[Command] = []

    def _signed(self, kind: str, message: Any) -> bytes:
        return seal(payload_type(kind), encode(message), ((self.keyid, lambda data: crypto.sign(self.private, data)),))

    def _post(self, path: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.session}"} if self.session else {})}
        answer = self.http.post(f"/d/v1/{path}", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.content

    def enrol(self) -> str:
        """Ask to be let in; waiting, approved or rejected."""
        public = crypto.public_pem(self.seal_private).decode()
        reply = decode(
            EnrolReply,
            self._post(
                "enrol", self._signed("enrol", EnrolRequest(WIRE, self.join.token, self.name, self.public, public, self.nonce, self.facts, self.replaces))
            ),
        )
        self.device, self.fingerprint = reply.device, reply.fingerprint
        return reply.status

    def start(self) -> None:
        """Open a session and say that it has started."""
        request = SessionRequest(WIRE, self.device, int(time.time() * 1000), crypto.random_bytes(16).hex(), "0.1.0")
        self.session = decode(SessionReply, self._post("session", self._signed("session", request))).token
        if self.seq == 0:
            self.say("boot", log.Boot("0.1.0", "boot-1", self.facts, "data-1"))
            self.observe_device()

    def poll(self) -> Any:
        """Ask for state; the newest document."""
        answer = self.http.get("/d/v1/state", params={"root": 1}, headers={"Authorization": f"Bearer {self.session}", "If-None-Match": self.etag})
        if answer.status_code == 200:
            self.etag = answer.headers["etag"]
            reply = decode(StateReply, answer.content)
            if reply.desired:
                self.desired = decode(Desired, open_unverified(reply.desired.encode())[1])
            self.commands = [decode(Command, open_unverified(raw.encode())[1]) for raw in reply.commands]
        return self.desired

    def say(self, kind: str, body: Any) -> None:
        """One log entry, reported at once."""
        self.seq += 1
        entry = LogEntry(1, self.seq, self.head, int(time.time() * 1000), "trusted", kind, encode(body).decode())
        self.head = log.entry_digest(entry)
        epoch, generation = (self.desired.epoch, self.desired.generation) if self.desired else (1, 0)
        reply = decode(ReportReply, self._post("report", self._signed("report", Report(WIRE, self.device, epoch, generation, self.seq - 1, (entry,)))))
        assert reply.expect == self.seq + 1, reply

    def observe_device(self, *alarms: str) -> None:
        generation = self.desired.generation if self.desired else 0
        self.say("observation", log.Observation(device=log.DeviceObservation(1, generation, 61 * 10**9, True, alarms)))

    def observe(
        self,
        phase: str,
        why: str = "",
        *,
        app: int = 0,
        version: str = "",
        health: str = "healthy",
        back: str = "",
        drift: tuple[log.DriftItem, ...] = (),
        target: str = "",
    ) -> None:
        """How an app of the desired state stands."""
        assert self.desired is not None
        state = self.desired.apps[app]
        content = content_digest(state)
        services = tuple(log.ServiceStatus(one.name, "running", health if one.healthcheck else "none", one.image, "c" * 12) for one in state.services)
        seen = log.AppObservation(
            state.app,
            state.deployment,
            phase,
            why,
            version or state.version,
            content,
            content if target else "",
            target,
            services,
            drift,
            log.WayBack(bool(back), back, content if back else ""),
        )
        self.say("observation", log.Observation(app=seen))

    def receipt(self, verdict: str, why: str, *, kind: str = "install", before: str = "") -> None:
        assert self.desired is not None
        state, now = self.desired.apps[0], int(time.time() * 1000)
        self.say(
            "receipt",
            log.Receipt(
                "chg_1", kind, state.app, state.deployment, "rollout", "mara", verdict, why, now - 9000, now, before, "", state.version, content_digest(state)
            ),
        )

    def answer(self, outcome: str, why: str, output: str = "") -> None:
        """End the newest command."""
        command = self.commands[-1]
        self.say("command-outcome", log.CommandOutcome(command.id, command.verb, outcome, why, output))

    def unheard(self, ms: int) -> None:
        """Let the plane find that nothing was heard of it for so long."""
        plane = self.served.plane
        entry = plane.fleet.entries[self.device]
        entry.heard = False
        entry.seen_ms = plane.clock.now_ms() - ms
        plane.db.update(lambda tx: status.set_seen(tx, [(self.device, entry.seen_ms)]))
        housekeeping.judge_liveness(plane)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.http.close()

    def __enter__(self) -> Self:
        return self


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem an answer is, checked for its form."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = json.loads(answer.content)
    assert found["status"] == answer.status_code
    assert found["code"]
    assert found["detail"]
    return found
