"""The device API, `/d/v1/`, as raw ASGI: what agents call, a few of them ten thousand times a second.

Owns paths, headers, limits and problem bodies of that API, the answer "nothing new" (from memory, without disk or JSON), long polls, and the
gathering of reports into batches. What is owed and what a report means is the actions' work. Nothing answered here ever asks a device to
forget or to change what runs: that travels signed, inside.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from penstock.server.actions import devicesessions, enrolments, reports, states
from penstock.server.actions.context import Plane
from penstock.server.api.blobs import send_blob
from penstock.server.core.errors import Invalid, Limited, Missing, Refused, Unauthenticated, Unavailable
from penstock.server.core.model import ACTIVE
from penstock.wire.codec import encode
from penstock.wire.trust import MAX_REPORT
from penstock.wire.types import digest_fault

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

PREFIX = "/d/v1/"
MAX_WAIT_S = 50  # the longest long poll; below what proxies commonly cut
BUSY_POLL_S = 5  # the poll of a device that somebody watches or that has something to do, where no long poll is had
SMALL = 128 * 1024
LARGE = MAX_REPORT * 3 // 2 + 16_384
BATCH = 128  # reports in one transaction
GATHER, GATHER_S = 32, 0.004  # fewer reports than that wait so long for company: a transaction costs as much as ten reports
QUEUE = 2048  # reports waiting; beyond, devices are asked to come back
RATE, BURST = 100, 400  # requests of one device that cost the store something: per second, and at once
REMEMBERED = 50_000  # tokens whose reading is remembered
WORKERS = 4
STATUS = {
    "invalid": 422,
    "missing": 404,
    "conflict": 409,
    "stale": 412,
    "forbidden": 403,
    "unauthenticated": 401,
    "limited": 429,
    "unavailable": 503,
}
JSON = (b"content-type", b"application/json")


class AgentApi:
    """The ASGI application. `close` it in the end; reports under way are finished first."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self._tokens: dict[bytes, tuple[Any, int, int]] = {}
        self._workers = ThreadPoolExecutor(WORKERS, "agent-api")
        self._writer = ThreadPoolExecutor(1, "reports")
        self._pending: list[tuple[str, bytes, asyncio.Future[bytes]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._closing = False

    def leave(self) -> None:
        """Hold no more polls, and answer those that are held; call it in the event loop."""
        self._closing = True
        for entry in self.plane.fleet.entries.values():
            for waiter in entry.waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def close(self) -> None:
        """Finish what was begun and end the threads."""
        self._closing = True
        self._writer.shutdown(wait=True)
        self._workers.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            path = scope["path"]
            if path == "/d/v1/state":
                await self._state(scope, send)
            else:
                await self._other(path, scope, receive, send)
        except Refused as refused:
            await _problem(send, refused)

    # --- the poll -----------------------------------------------------------------------------------------------------

    def _entry(self, authorization: bytes) -> Any:
        """The device that a bearer token speaks for; remembered."""
        plane = self.plane
        held = self._tokens.get(authorization)
        if held is not None:
            entry, ends_ms, key_epoch = held
            if entry.key_epoch == key_epoch and ends_ms > plane.clock.now_ms():
                if entry.state != ACTIVE:
                    devicesessions.check_state(entry)
                return entry
            del self._tokens[authorization]
        kind, _, token = authorization.partition(b" ")
        if kind.lower() != b"bearer":
            raise Unauthenticated("session-expired", "this needs a session", remedy="open one with the device's key")
        entry, ends_ms = devicesessions.read_token(plane, token.decode("latin-1"))
        devicesessions.check_state(entry)
        if len(self._tokens) >= REMEMBERED:
            self._tokens.clear()
        self._tokens[authorization] = (entry, ends_ms, entry.key_epoch)
        return entry

    async def _state(self, scope: Scope, send: Send) -> None:
        if scope["method"] != "GET":
            await _plain(send, 405, [(b"allow", b"GET")])
            return
        authorization = tag = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"if-none-match":
                tag = value
        entry = self._entry(authorization)
        devicesessions.check_newest(entry, authorization)
        plane = self.plane
        entry.seen_ms = plane.clock.now_ms()
        entry.heard = True
        mono = plane.clock.mono_ms()
        if entry.pending or not tag:  # a device that changes, or has just come, has somebody's attention for a while longer
            entry.watched_ms = max(entry.watched_ms, mono + plane.limits.attention_ms)
        busy = entry.pending or entry.watched_ms > mono
        query = scope["query_string"]
        if tag == entry.tag and b"nonce=" not in query:
            if busy and b"wait=" in query:
                await self._wait(entry, query)
                busy = entry.pending or entry.watched_ms > plane.clock.mono_ms()
                if entry.state != ACTIVE:
                    devicesessions.check_state(entry)
            if tag == entry.tag:
                await send({"type": "http.response.start", "status": 304, "headers": self._pace(entry.tag, busy=busy)})
                await send({"type": "http.response.body", "body": b""})
                return
        self._spend(entry)
        root, nonce = _asked(query)
        reply, etag = await self._run(lambda: states.state_for(plane, entry.id, root, nonce, known=tag == entry.tag))
        headers = self._pace(f'"{plane.fleet.root_version}.{etag}"'.encode("ascii"), busy=busy)
        await _plain(send, 200, [JSON, *headers], encode(reply))

    def _pace(self, tag: bytes, *, busy: bool) -> list[tuple[bytes, bytes]]:
        # No more than this: it is what a device at rest pays for, 1 440 times a day. No shared cache keeps an answer to a request with
        # Authorization (RFC 9111, section 3.5), so nothing need be said about caching; the pace at rest stands in the signed settings, and no wait
        # means none is granted.
        pace = [(b"etag", tag)]
        if busy:
            pace.append((b"penstock-poll", b"%d" % min(self.plane.poll_s, BUSY_POLL_S)))
            if self.plane.fleet.waiting < self.plane.fleet.most_waiting:
                pace.append((b"penstock-wait", b"%d" % MAX_WAIT_S))
        return pace

    def _spend(self, entry: Any) -> None:
        """Count one request that costs the store something. Raises Limited for a device that asks without end."""
        now = self.plane.clock.mono_ms()
        entry.credit = min(BURST, entry.credit + (now - entry.asked_ms) * RATE / 1000)
        entry.asked_ms = now
        if entry.credit < 1:
            raise Limited("too-many-requests", f"this device asks more than {RATE} times a second", retry_s=5)
        entry.credit -= 1

    async def _wait(self, entry: Any, query: bytes) -> None:
        """Hold the answer until something changes or the time is over."""
        wait_s = min(MAX_WAIT_S, _number(query, b"wait"))
        fleet = self.plane.fleet
        if wait_s <= 0 or fleet.waiting >= fleet.most_waiting or self._closing:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry.waiters.append(waiter)
        fleet.waiting += 1
        try:
            await asyncio.wait((waiter,), timeout=wait_s)
        finally:
            fleet.waiting -= 1
            if waiter in entry.waiters:
                entry.waiters.remove(waiter)
            entry.seen_ms, entry.heard = self.plane.clock.now_ms(), True

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    # --- everything else ----------------------------------------------------------------------------------------------

    async def _other(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if path == "/d/v1/report" and method == "POST":
            entry = self._entry(_header(scope, b"authorization"))
            entry.seen_ms, entry.heard = self.plane.clock.now_ms(), True
            self._spend(entry)
            body = await _body(scope, receive, LARGE)
            await _plain(send, 200, [JSON], await self._report(entry.id, body))
        elif path == "/d/v1/session" and method == "POST":
            body = await _body(scope, receive, SMALL)
            await _plain(send, 200, [JSON], await self._run(lambda: devicesessions.open_session(self.plane, body)))
        elif path == "/d/v1/enrol" and method == "POST":
            body = await _body(scope, receive, SMALL)
            client = scope.get("client")
            address = str(client[0]) if client else ""
            await _plain(send, 200, [JSON], await self._run(lambda: enrolments.ask(self.plane, body, address)))
        elif path.startswith("/d/v1/blobs/") and method in ("GET", "HEAD"):
            await self._blob(path[len("/d/v1/blobs/") :], scope, send, head=method == "HEAD")
        elif path in ("/d/v1/report", "/d/v1/session", "/d/v1/enrol") or path.startswith("/d/v1/blobs/"):
            await _plain(send, 405, [(b"allow", b"GET, HEAD" if "/blobs/" in path else b"POST")])
        else:
            raise Missing("no-such-call", "the device API has nothing at this address", remedy="is the agent older or newer than the control plane?")

    async def _blob(self, digest: str, scope: Scope, send: Send, *, head: bool) -> None:
        entry = self._entry(_header(scope, b"authorization"))
        entry.seen_ms, entry.heard = self.plane.clock.now_ms(), True
        self._spend(entry)
        if digest_fault(digest):
            raise Missing("blob-not-found", "that is no digest")
        size = await self._run(lambda: states.blob_for(self.plane, entry.id, digest))
        await send_blob(scope, send, self.plane.blobs, digest, size, head=head)

    # --- reports ------------------------------------------------------------------------------------------------------

    async def _report(self, device: str, body: bytes) -> bytes:
        if len(self._pending) >= QUEUE:
            raise Unavailable("busy", "too many reports at once", retry_s=5)
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending.append((device, body, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await done

    async def _write(self) -> None:
        """Group commit: whatever came while the last batch was written is the next batch."""
        loop = asyncio.get_running_loop()
        while self._pending:
            if len(self._pending) < GATHER:
                await asyncio.sleep(GATHER_S)
            batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
            many = [(device, body) for device, body, _ in batch]
            try:
                answers = await loop.run_in_executor(self._writer, reports.ingest, self.plane, many)
            except Exception:  # noqa: BLE001 - one faulty report must not take the others down: each is tried alone
                answers = [await loop.run_in_executor(self._writer, self._alone, one) for one in many]
            for (_, _, done), answer in zip(batch, answers, strict=True):
                if done.done():
                    continue
                if isinstance(answer, Refused):
                    done.set_exception(answer)
                else:
                    done.set_result(answer)

    def _alone(self, one: tuple[str, bytes]) -> bytes | Refused:
        try:
            return reports.ingest(self.plane, [one])[0]
        except Exception as fault:  # noqa: BLE001 - nothing was stored, the device keeps its log and comes again
            self.plane.complain("report", fault)
            return Unavailable("report-not-stored", "the report could not be stored; nothing of it was kept", retry_s=60)


# --- reading and answering ------------------------------------------------------------------------------------------------


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


def _number(query: bytes, name: bytes) -> int:
    for part in query.split(b"&"):
        key, _, value = part.partition(b"=")
        if key == name:
            if not value.isdigit() or len(value) > 9:
                raise Invalid("query-malformed", f"{name.decode()} must be a number", field=name.decode())
            return int(value)
    return 0


def _asked(query: bytes) -> tuple[int, str]:
    """The root version the device has, and its nonce."""
    nonce = ""
    for part in query.split(b"&"):
        key, _, value = part.partition(b"=")
        if key == b"nonce":
            nonce = value.decode("latin-1").lower()
            if not 16 <= len(nonce) <= 64 or not set(nonce) <= set("0123456789abcdef"):
                raise Invalid("query-malformed", "nonce must be 16 to 64 hex digits", field="nonce")
    return _number(query, b"root"), nonce


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises Invalid for one that is too large or cut short (also for not arriving: see `server.connections`)."""
    said = _header(scope, b"content-length")
    if said.isdigit() and int(said[:18]) > limit:
        raise Invalid("body-too-large", f"the body has {int(said[:18])} bytes, more than the {limit} allowed")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Invalid("body-cut", "the connection ended before the body did")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise Invalid("body-too-large", f"the body has more than the {limit} bytes allowed")
        if not message.get("more_body"):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


async def _plain(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def _problem(send: Send, refused: Refused) -> None:
    status = 413 if refused.code == "body-too-large" else STATUS.get(refused.kind, 422)
    plain: dict[str, Any] = {"type": "about:blank", "title": refused.code, "status": status, "code": refused.code, "detail": refused.why}
    if refused.field:
        plain["field"] = refused.field
    if refused.remedy:
        plain["remedy"] = refused.remedy
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    if refused.retry_s:
        headers.append((b"retry-after", b"%d" % refused.retry_s))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await _plain(send, status, headers, json.dumps(plain, separators=(",", ":")).encode("utf-8"))
