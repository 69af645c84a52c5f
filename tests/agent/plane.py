"""A control plane small enough to read: what the agent's tests enrol with, poll, report to and fetch from.

Built of the wire's own rules and the crypto port, so that the agent's side is proven before the real plane's. It keeps a device's log as the
real one must: a chain without holes, acknowledged under signature.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from penstock import crypto
from penstock.server.core.rootdoc import Holders, first_draft, raise_epoch, sign_first
from penstock.wire import messages as m
from penstock.wire.codec import encode, parse
from penstock.wire.envelope import open_unverified, payload_type, seal
from penstock.wire.join import Join, format_join
from penstock.wire.log import body_of, chain_fault, entry_digest
from penstock.wire.trust import Refusal, Root, accept_enrolment, accept_report, accept_session, author, key_id, read_root
from penstock.wire.types import AppState, Image, content_digest, sha256_of


class Signing:
    """A key and its id."""

    def __init__(self) -> None:
        self.private = crypto.generate_key()
        self.public = crypto.public_pem(self.private).decode()
        self.id = key_id(self.public)

    def signer(self):
        return self.id, lambda message: crypto.sign(self.private, message)


class Plane:
    """The handler of an HttpsServer. Tests reach into it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.root_key, self.director = Signing(), Signing()
        draft = first_draft(Holders((self.root_key.public,)), {"director": self.director.public}, (int(time.time()) + 10 * 365 * 86400) * 1000)
        self.roots = [sign_first(draft, (self.root_key.signer(),)).decode()]
        self.token = "join-token"
        self.auto_approve = True
        self.rejected = ""
        self.requests: list[m.EnrolRequest] = []
        self.device = ""
        self.keyid = ""
        self.sign_key = ""
        self.seal_key = ""
        self.epoch, self.generation = 1, 0
        self.apps: tuple[AppState, ...] = ()
        self.endpoints: tuple[m.Endpoint, ...] = ()
        self.settings = m.Settings(poll_s=10)
        self.leaves: dict[str, m.Authorisation] = {}
        self.commands: list[m.Command] = []
        self.desired = ""
        self.entries: list[m.LogEntry] = []
        self.sessions = 0
        self.valid: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.blob_cuts: list[int] = []
        self.polls = 0
        self.poll_s = 10
        self.wait_s = 0
        self.changed = threading.Condition(self.lock)
        self.faults: list[str] = []
        self.broken = False

    # --- for tests ---------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Root:
        return read_root(open_unverified(self.roots[-1].encode(), 256 * 1024)[1])

    def join(self, url: str, *ca: str, proxy: str = "") -> str:
        pinned = sha256_of(open_unverified(self.roots[0].encode(), 256 * 1024)[1])
        return format_join(Join((url,), self.token, pinned, ca, proxy))

    def _signed(self, kind: str, value: Any) -> str:
        return seal(payload_type(kind), encode(value), (self.director.signer(),)).decode()

    def now(self) -> int:
        return int(time.time() * 1000)

    def deploy(self, *apps: AppState, leave: bool = True, endpoints: tuple[m.Endpoint, ...] | None = None) -> None:
        """A new generation; `leave`: with the authorisations to apply it."""
        with self.changed:
            gone = {app.app for app in self.apps} - {app.app for app in apps}
            self.apps = apps
            if endpoints is not None:
                self.endpoints = endpoints
            self.generation += 1
            if leave:
                for app in apps:
                    self.authorise(app.app, content_digest(app))
                for name in gone:
                    self.authorise(name, "")
            desired = m.Desired(1, self.device, self.epoch, self.generation, self.now(), apps, self.endpoints, self.settings)
            self.desired = self._signed("desired", desired)
            self.changed.notify_all()

    def authorise(self, app: str, content: str) -> None:
        name = f"lv_{len(self.leaves)}_{self.generation}"
        self.leaves[app] = m.Authorisation(1, name, self.device, self.epoch, app, content, "rol_1", 1, self.now(), self.now() + 3_600_000, "tester")
        with self.changed:
            self.changed.notify_all()

    def order(self, verb: str, **arguments: str) -> str:
        with self.changed:
            command = m.Command(1, f"cmd_{len(self.commands)}", self.device, self.epoch, verb, self.now(), self.now() + 600_000, arguments, "tester")
            self.commands.append(command)
            self.changed.notify_all()
        return command.id

    def raise_epoch(self) -> None:
        with self.changed:
            self.roots.append(raise_epoch(self.root, self.root.expires_ms, (self.root_key.signer(),)).decode())
            self.epoch += 1
            self.leaves.clear()
            self.commands.clear()

    def bodies(self, kind: str) -> list[Any]:
        with self.lock:
            return [body_of(entry) for entry in self.entries if entry.kind == kind]

    def until(self, condition, timeout_s: float = 60.0, what: str = "") -> Any:
        """Wait for something to be true of the plane."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with self.lock:
                found = condition()
            if found:
                return found
            time.sleep(0.02)
        told = [(entry.kind, entry.body[:200]) for entry in self.entries[-12:]]
        raise AssertionError(f"never came true: {what or condition}; faults {self.faults}; the log ends with {told}")

    def observed(self, app: str) -> Any:
        """The newest observation of an app."""
        found = [body.app for body in self.bodies("observation") if body.app is not None and body.app.app == app]
        return found[-1] if found else None

    # --- the device API ----------------------------------------------------------------------------------------------

    def __call__(self, method, path, headers, body):
        where, _, query = path.partition("?")
        arguments = dict(part.split("=") for part in query.split("&") if part)
        if self.broken:
            return 503, {"Retry-After": "1"}, b"broken"
        if where == "/d/v1/enrol":
            return self._enrol(body)
        if where == "/d/v1/session":
            return self._session(body)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.valid:
            return self._problem(401, "session-expired")
        if where == "/d/v1/state":
            return self._state(arguments, headers)
        if where == "/d/v1/report":
            return self._report(body)
        return self._blob(where, headers)

    def _problem(self, status: int, code: str, detail: str = ""):
        return status, {"Content-Type": "application/problem+json"}, json.dumps({"code": code, "detail": detail}).encode()

    def _enrol(self, body):
        with self.lock:
            request = accept_enrolment(body, crypto.verify)
            if isinstance(request, Refusal):
                return self._problem(400, request.reason, request.why)
            self.requests.append(request)
            if request.token != self.token:
                return self._problem(403, "join-token-unknown", "this join token is not known here")
            print_ = key_id(request.sign_key)[:32]
            if self.rejected:
                reply = m.EnrolReply("rejected", self.rejected, 0, print_)
            elif not self.auto_approve:
                reply = m.EnrolReply("waiting", "somebody has to approve this device", 1, print_)
            else:
                self.device, self.keyid = "dev_" + "a" * 26, key_id(request.sign_key)
                self.sign_key, self.seal_key = request.sign_key, request.seal_key
                admission = m.Admission(1, self.device, request.name, "plant-a", self.keyid, self.now())
                reply = m.EnrolReply("approved", "welcome", 0, print_, self.device, tuple(self.roots), self._signed("admission", admission))
            return 200, {}, encode(reply)

    def _session(self, body):
        with self.lock:
            request = accept_session(author(self.sign_key), body, crypto.verify)
            if isinstance(request, Refusal):
                self.faults.append(f"session: {request.why}")
                return self._problem(401, "unknown-device", request.why)
            self.sessions += 1
            token = f"session-{self.sessions}"
            self.valid = {token}
            return 200, {}, encode(m.SessionReply(token, 3600, 1))

    def _etag(self) -> str:
        marks = f"{self.epoch}.{self.generation}.{sorted(leave.id for leave in self.leaves.values())}.{len(self.commands)}.{len(self.roots)}"
        return f'"{sha256_of(marks.encode())[7:23]}"'

    def _state(self, arguments, headers):
        with self.changed:
            self.polls += 1
            extra = {"ETag": self._etag(), "Penstock-Poll": str(self.poll_s), "Penstock-Wait": str(self.wait_s)}
            nonce = arguments.get("nonce", "")
            if not nonce and headers.get("if-none-match") == self._etag():
                if self.wait_s and "wait" in arguments:
                    self.changed.wait_for(lambda: headers.get("if-none-match") != self._etag(), min(self.wait_s, 2))
                    extra["ETag"] = self._etag()
                if headers.get("if-none-match") == self._etag():
                    return 304, extra, b""
            currency = m.Currency(1, self.device, self.epoch, self.generation, self.now(), nonce) if nonce else None
            reply = m.StateReply(
                self.desired,
                tuple(self._signed("authorisation", leave) for leave in self.leaves.values()),
                tuple(self._signed("command", command) for command in self.commands),
                tuple(self.roots[int(arguments["root"]) :]),
                self._signed("currency", currency) if currency else "",
            )
            return 200, extra, encode(reply)

    def _report(self, body):
        with self.changed:
            report = accept_report(self.device, author(self.sign_key), body, crypto.verify)
            if isinstance(report, Refusal):
                self.faults.append(f"report: {report.why}")
                return self._problem(400, report.reason, report.why)
            held = len(self.entries)
            fresh = tuple(entry for entry in report.entries if entry.seq > held)
            fault = chain_fault(fresh, held, entry_digest(self.entries[-1]) if self.entries else "") if fresh else None
            if fault:
                self.faults.append(f"report: {fault}")
                return self._problem(409, "log-forked", fault)
            self.entries += fresh
            head = entry_digest(self.entries[-1]) if self.entries else ""
            ack = m.Ack(1, self.device, self.epoch, len(self.entries), head, self.now())
            return 200, {}, encode(m.ReportReply(self._signed("ack", ack), len(self.entries) + 1))

    def _blob(self, where, headers):
        data = self.blobs.get(where.removeprefix("/d/v1/blobs/"))
        if data is None:
            return self._problem(404, "blob-unknown")
        begin = int(headers["range"][6:-1]) if "range" in headers else 0
        rest = data[begin:]
        extra = {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if begin else {}
        with self.lock:
            cut = self.blob_cuts.pop(0) if self.blob_cuts else None
        if cut is not None:
            lines = [f"HTTP/1.1 {206 if begin else 200} X", f"Content-Length: {len(rest)}", *(f"{name}: {value}" for name, value in extra.items())]
            return ("\r\n".join(lines).encode() + b"\r\n\r\n" + rest[:cut],)
        return 206 if begin else 200, extra, rest

    def publish(self, image: Any, name: str) -> Image:
        """Offer a test image's blobs; as the wire names it."""
        from penstock.wire.types import Blob, Variant

        self.blobs.update(image.blobs)
        variants = []
        for one in image.variants:
            manifest = parse(one.manifest)
            layers = tuple(Blob(layer["digest"], layer["size"], layer["mediaType"]) for layer in manifest["layers"])
            config = Blob(manifest["config"]["digest"], manifest["config"]["size"], manifest["config"]["mediaType"])
            variants.append(Variant(str(one.platform), Blob(sha256_of(one.manifest), len(one.manifest), one.manifest_type), config, layers))
        return Image(name, tuple(variants), sha256_of(image.index) if image.index else "")
