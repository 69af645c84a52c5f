"""A device on paper: keys, a log, and the rules of trust, but no engine. It says of itself whatever a test wants it to say.

It speaks the device API through a `call` given to it (straight into the ASGI application, or over TLS), and believes nothing that
`wire.trust` would not let an agent believe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from penstock import crypto
from penstock.server.api.agent import AgentApi
from penstock.wire import log as bodies
from penstock.wire import messages as m
from penstock.wire import trust
from penstock.wire.codec import decode, encode
from penstock.wire.envelope import payload_type, seal
from penstock.wire.join import parse_join
from penstock.wire.types import AppState, content_digest
from penstock.wire.version import READS, WIRE


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


Call = Callable[[str, str, dict[str, str], bytes], Answer]


def straight(api: AgentApi) -> Call:
    """Calls that go right into the application, one at a time."""

    def call(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        return asyncio.run(through(api, method, target, headers, body))

    return call


async def through(api: Any, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    """One call into an ASGI application."""
    path, _, query = target.partition("?")
    sent: list[Any] = []
    inbox = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return inbox.pop(0) if inbox else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw, "client": ("127.0.0.1", 1)}
    await api(scope, receive, send)
    start = sent[0]
    got = {key.decode(): value.decode() for key, value in start["headers"]}
    return Answer(start["status"], got, b"".join(message.get("body", b"") for message in sent[1:]))


FACTS = m.Facts("press-4", ("linux/amd64",), "0.1.0", "3.11.2", engine=m.Engine("docker", "20.10.24", "1.41"), reads=READS)


@lru_cache(maxsize=20_000)
def _parsed(key: bytes) -> tuple[str, crypto.Signer]:
    """A private key's public half and what signs with it: reading a key takes as long as ten signatures."""
    return crypto.public_pem(key).decode("ascii"), crypto.Signer(key)


@dataclass
class PaperDevice:
    """One device. `log` holds every entry it ever wrote; `acked` how far the plane has taken it."""

    call: Call
    name: str = "press-4"
    facts: m.Facts = FACTS
    key: bytes = field(default_factory=crypto.generate_key)
    seal_key: bytes = field(default_factory=crypto.generate_key)
    id: str = ""
    root: Any = None
    token: str = ""
    etag: str = ""
    held: trust.Held = field(default_factory=lambda: trust.Held(0, 0, ""))
    desired: Any = None
    leaves: dict[str, m.Authorisation] = field(default_factory=dict)
    commands: tuple[m.Command, ...] = ()
    log: list[m.LogEntry] = field(default_factory=list)
    acked: int = 0
    boot: int = 1
    nonce: int = 0
    clock: Callable[[], int] = lambda: 1_800_000_000_000

    @property
    def public(self) -> str:
        return _parsed(self.key)[0]

    def signed(self, kind: str, value: Any) -> bytes:
        public, signer = _parsed(self.key)
        return seal(payload_type(kind), encode(value), ((trust.key_id(public), signer.sign),))

    # --- getting in -------------------------------------------------------------------------------------------------------

    def ask(self, join: str, *, replaces: bool = False) -> m.EnrolReply:
        told = parse_join(join)
        asked = m.EnrolRequest(WIRE, told.token, self.name, self.public, crypto.public_pem(self.seal_key).decode("ascii"), "ab" * 16, self.facts, replaces)
        answer = self.call("POST", "/d/v1/enrol", {}, self.signed("enrol", asked))
        assert answer.status == 200, answer.body
        reply = decode(m.EnrolReply, answer.body)
        if reply.status == "approved":
            self.enter(reply, told.root)
        return reply

    def enter(self, reply: m.EnrolReply, pinned: str) -> None:
        root: trust.Root | trust.Refusal | None = None
        for text in reply.roots:
            root = (
                trust.pin_root(text.encode(), pinned, crypto.verify)
                if not isinstance(root, trust.Root)
                else trust.accept_root(root, text.encode(), crypto.verify)
            )
        assert isinstance(root, trust.Root), root
        admission = trust.accept_admission(root, trust.key_id(self.public), reply.admission.encode(), crypto.verify)
        assert isinstance(admission, m.Admission), admission
        self.root, self.id = root, admission.device

    def open_session(self) -> Answer:
        self.nonce += 1
        asked = m.SessionRequest(WIRE, self.id, self.clock(), f"{self.nonce:032x}")
        answer = self.call("POST", "/d/v1/session", {}, self.signed("session", asked))
        if answer.status == 200:
            self.token = decode(m.SessionReply, answer.body).token
        return answer

    # --- polling ----------------------------------------------------------------------------------------------------------

    def poll(self, more: str = "", *, tagged: bool = True) -> Answer:
        if not self.token:
            self.open_session()
        headers = {"authorization": f"Bearer {self.token}"}
        if self.etag and tagged:
            headers["if-none-match"] = self.etag
        assert self.root is not None
        answer = self.call("GET", f"/d/v1/state?root={self.root.version}{more}", headers, b"")
        if answer.status == 200:
            self.adopt(decode(m.StateReply, answer.body, 32 * 1024 * 1024))
            self.etag = answer.headers["etag"]
        return answer

    def adopt(self, reply: m.StateReply) -> None:
        assert self.root is not None
        for text in reply.roots:
            root = trust.accept_root(self.root, text.encode(), crypto.verify)
            assert isinstance(root, trust.Root), root
            if root.epoch > self.root.epoch:
                self.acked = 0  # a newer epoch: begin again with the oldest entry there is
                self.leaves = {}
            self.root = root
        if reply.desired:  # empty: it is the one already held
            accepted = trust.accept_desired(self.root, self.held, self.id, reply.desired.encode(), crypto.verify)
            assert not isinstance(accepted, trust.Refusal), accepted
            self.desired, self.held = accepted
        leaves = [trust.accept_authorisation(self.root, self.id, text.encode(), crypto.verify) for text in reply.authorisations]
        assert all(isinstance(leave, m.Authorisation) for leave in leaves), leaves
        self.leaves = {leave.app: leave for leave in leaves if isinstance(leave, m.Authorisation)}
        commands = [trust.accept_command(self.root, self.id, text.encode(), crypto.verify) for text in reply.commands]
        self.commands = tuple(command for command in commands if isinstance(command, m.Command))
        assert len(self.commands) == len(commands), commands

    def app(self, name: str = "shop") -> AppState:
        assert self.desired is not None
        return next(app for app in self.desired.apps if app.app == name)

    # --- saying things ----------------------------------------------------------------------------------------------------

    def write(self, kind: str, body: Any, seq: int = 0) -> m.LogEntry:
        last = self.log[-1] if self.log else None
        number = seq or (last.seq + 1 if last else 1)
        prev = bodies.entry_digest(last) if last else ""
        entry = m.LogEntry(self.boot, number, prev, self.clock(), "trusted", kind, encode(body).decode("ascii"))
        self.log.append(entry)
        return entry

    def say_device(self) -> None:
        assert self.root is not None
        seen = bodies.DeviceObservation(self.held.epoch or self.root.epoch, self.held.generation, 10**9, facts=self.facts)
        self.write("observation", bodies.Observation(device=seen))

    def say_app(self, phase: str, name: str = "shop", *, content: str | None = None, target: str = "", **more: Any) -> None:
        state = next((app for app in (self.desired.apps if self.desired else ()) if app.app == name), None)
        running = content if content is not None else content_digest(state) if state else ""
        seen = bodies.AppObservation(
            name,
            state.deployment if state else "",
            phase,
            more.pop("why", f"it is {phase}"),
            version=state.version if state else "",
            content=running,
            target=target,
            **more,
        )
        self.write("observation", bodies.Observation(app=seen))

    def say_receipt(
        self, verdict: str, name: str = "shop", *, content: str | None = None, leave: str | None = None, kind: str = "update", cause: str = "rollout"
    ) -> None:
        state = next((app for app in (self.desired.apps if self.desired else ()) if app.app == name), None)
        to = content if content is not None else content_digest(state) if state else ""
        given = leave if leave is not None else self.leaves[name].id if name in self.leaves else ""
        now = self.clock()
        said = bodies.Receipt(
            f"chg{len(self.log)}",
            kind,
            name,
            state.deployment if state else "",
            cause,
            "",
            verdict,
            f"it {verdict}",
            now,
            now,
            to_content=to,
            authorisation=given,
        )
        self.write("receipt", said)

    def send(self, entries: tuple[m.LogEntry, ...]) -> Answer:
        if not self.token:
            self.open_session()
        assert self.root is not None
        report = m.Report(WIRE, self.id, self.held.epoch or self.root.epoch, self.held.generation, self.acked, entries)
        return self.call("POST", "/d/v1/report", {"authorization": f"Bearer {self.token}"}, self.signed("report", report))

    def report(self) -> m.ReportReply:
        """Send what is not acknowledged; take the acknowledgement, if it fits the log."""
        answer = self.send(tuple(entry for entry in self.log if entry.seq > self.acked))
        assert answer.status == 200, answer.body
        reply = decode(m.ReportReply, answer.body)
        assert self.root is not None
        ack = trust.accept_ack(self.root, self.id, reply.ack.encode(), crypto.verify)
        assert isinstance(ack, m.Ack), ack
        digests = {entry.seq: bodies.entry_digest(entry) for entry in self.log}
        if ack.seq and digests.get(ack.seq) == ack.head:
            self.acked = max(self.acked, ack.seq)
        return reply
