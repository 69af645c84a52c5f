"""How one request of the typed client travels: TLS, proxies, time-outs, tries again, streams of events.

Owns the connection (TLS against the system's certificates or a pinned private one, never without), which faults are worth another try, and
problems as exceptions. Knows no route of the API; those are `penstock.client`. Never prints, never writes a secret anywhere: a trace has
method, path, status and duration, no header and no body.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

# httpx brings a command line of its own along, which costs a third of its start; without it `httpx.main` says that it is not installed.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

from penstock.apiv1.common import Problem, to_json  # noqa: E402
from penstock.apiv1.people import Authorities  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

TIMEOUT_S = 60.0
CONNECT_S = 10.0
PATIENCE_S = 60.0  # all pauses of one request together
TRIES = 4
QUIET_S = 45.0  # a stream says something every 15 s
PREPARE_S = 600.0  # a download may say nothing for so long: a large database is copied before it goes out


class ClientError(Exception):
    """The control plane refused, or cannot be reached. `problem` says which, with a stable code and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Way:
    """How to get to a control plane. `ca` is PEM text of its private authority, empty for the system's; `proxy` an HTTP proxy's URL, empty for
    HTTPS_PROXY and NO_PROXY of the environment. `told` hears of pauses (a sentence), `trace` of each request (a line)."""

    ca: str = ""
    proxy: str = ""
    timeout_s: float = TIMEOUT_S
    told: Callable[[str], None] | None = None
    trace: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One message of a stream. `number` is what a stream resumes after, -1 where there is none."""

    name: str
    data: str
    number: int = -1


class Switch:
    """Ends a stream that another thread reads: its connection is shut, and the thread that reads it closes it."""

    def __init__(self) -> None:
        self._off = threading.Event()
        self._socket: socket.socket | None = None

    def off(self) -> None:
        """End it, at once."""
        self._off.set()
        self._shut()

    def holds(self, used: socket.socket | None) -> None:
        """The connection that is read from now on."""
        self._socket = used
        if self._off.is_set():
            self._shut()

    def waited(self, seconds: float) -> bool:
        """Wait that long; True, at once, when it was switched off."""
        return self._off.wait(seconds)

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is gone already
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not the TLS socket's own, which the reader is using


def unreachable(url: str, fault: Exception) -> ClientError:
    """A fault of the network as a problem, with what to look at."""
    said = str(fault) or type(fault).__name__
    remedy = "check the address, the network and whether the control plane runs"
    if "CERTIFICATE_VERIFY_FAILED" in said or "certificate verify failed" in said:
        remedy = "its certificate is not one this machine trusts: log in again with --ca FILE, or with --fingerprint and the one shown on the control plane"
    elif isinstance(fault, httpx.ProxyError):
        remedy = "a proxy is in between: check --proxy, HTTPS_PROXY and NO_PROXY"
    elif isinstance(fault, httpx.TimeoutException):
        said = "no answer in time"
        remedy = "try again, or wait longer with --timeout SECONDS"
    return ClientError(Problem(title="Unreachable", status=0, code="unreachable", detail=f"cannot reach {url}: {said}", remedy=remedy))


def plain_print(text: str) -> str:
    """A SHA-256 fingerprint without the ways people write it."""
    return text.strip().lower().removeprefix("sha256:").translate(str.maketrans("", "", " :-"))


def pinned_ca(url: str, fingerprint: str, timeout: float = 20.0, proxy: str = "") -> str:
    """The PEM certificate of the plane's own authority, if it is the one with this fingerprint. Raises ClientError.

    The certificate is fetched over a connection that is not yet trusted and is believed only because its hash is the one given; nothing
    secret is sent on that connection."""
    untrusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    untrusted.check_hostname = False
    untrusted.verify_mode = ssl.CERT_NONE
    try:
        with httpx.Client(base_url=url, verify=untrusted, timeout=timeout, proxy=proxy or None) as http:
            found = msgspec.json.decode(http.get("/api/v1/ca").raise_for_status().content, type=Authorities)
    except (httpx.HTTPError, msgspec.MsgspecError) as fault:
        raise unreachable(url, fault) from fault
    wanted = plain_print(fingerprint)
    for pem in found.certificates:
        if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() == wanted:
            return pem
    shown = ", ".join(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() for pem in found.certificates) or "none"
    raise ClientError(
        Problem(
            title="Not this one",
            status=0,
            code="other-fingerprint",
            detail=f"the control plane at {url} shows the fingerprint {shown}, not the one given",
            remedy="compare it with what penstock-server printed; somebody may be in between",
        )
    )


def _context(ca: str) -> ssl.SSLContext:
    if not ca:
        return ssl.create_default_context()
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    found.load_verify_locations(cadata=ca)
    return found


def pause_of(status: int, headers: httpx.Headers, code: str, attempt: int, *, repeatable: bool) -> float | None:
    """Seconds to wait before the same request is tried again, None where another try is of no use.

    429 and 503 say that nothing was done, so whatever was asked may be asked again. What a gateway answers for the plane (502, 504) leaves
    that open: only what may be repeated is. A Retry-After that is a date is taken as five seconds."""
    if status in (429, 503):
        said = headers.get("retry-after", "")
        return float(said) if said.isdigit() else 5.0 if said else None
    if status in (502, 504) and repeatable:
        return 0.5 * (attempt + 1)
    if status == 409 and code == "idempotency-in-progress":
        return 0.5 * (attempt + 1)
    return None


class Transport:
    """One control plane, as one asker."""

    def __init__(self, url: str, token: str = "", way: Way | None = None, http: httpx.Client | None = None) -> None:
        self.url = url.rstrip("/")
        self._way = way or Way()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = http or httpx.Client(
            base_url=self.url,
            verify=_context(self._way.ca),
            timeout=httpx.Timeout(self._way.timeout_s, connect=min(CONNECT_S, self._way.timeout_s)),
            headers={"User-Agent": "penstock-client", **headers},
            proxy=self._way.proxy or None,
        )

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        revision: int | None = None,
        creates: bool = False,
    ) -> T:
        """One request and its answer as `kind`. What creates carries a key, so that a second try makes nothing twice. Raises ClientError."""
        headers: dict[str, str] = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if revision is not None:
            headers["If-Match"] = f'"r{revision}"'
        if creates:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        content, params = to_json(body) if body is not None else None, parameters(query or {})
        repeatable, paused = creates or method == "GET", 0.0
        for attempt in range(TRIES):
            began = time.monotonic()
            last = attempt == TRIES - 1
            try:
                answer = self._http.request(method, f"/api/v1{path}", content=content, params=params, headers=headers)
            except httpx.TransportError as fault:
                self._trace(method, path, type(fault).__name__, began)
                # a time-out was waited for in full once; asking again would double what --timeout promised
                if last or not repeatable or isinstance(fault, httpx.TimeoutException | httpx.ProxyError | httpx.UnsupportedProtocol):
                    raise unreachable(self.url, fault) from fault
                time.sleep(0.3 * (attempt + 1))
                continue
            self._trace(method, path, str(answer.status_code), began)
            if answer.status_code < 300:
                return self._read(answer, kind)
            paused += self._pause(answer, attempt, paused, repeatable=repeatable)
        raise AssertionError("the last try ends in an answer or a fault")

    def _pause(self, answer: httpx.Response, attempt: int, paused: float, *, repeatable: bool) -> float:
        """Wait until what was refused may be asked again; the seconds waited. Raises ClientError where there is no other try."""
        problem = self._problem(answer)
        pause = None if attempt >= TRIES - 1 else pause_of(answer.status_code, answer.headers, problem.code, attempt, repeatable=repeatable)
        if pause is None or paused + pause > PATIENCE_S:
            raise ClientError(problem)
        if self._way.told is not None and pause >= 1:
            self._way.told(f"{problem.detail}; trying again in {pause:.0f} s")
        time.sleep(pause)
        return pause

    def download(self, path: str, body: Any) -> Iterator[bytes]:
        """What a POST answers, in pieces, as they come. Refused for now, it is asked again; once begun it is not. Raises ClientError, also where it breaks off."""
        content, paused, told = to_json(body), 0.0, False
        timeout = httpx.Timeout(self._way.timeout_s, connect=min(CONNECT_S, self._way.timeout_s), read=max(self._way.timeout_s, PREPARE_S))
        for attempt in range(TRIES):
            began = time.monotonic()
            try:
                with self._http.stream("POST", f"/api/v1{path}", content=content, headers={"Content-Type": "application/json"}, timeout=timeout) as answer:
                    self._trace("POST", path, str(answer.status_code), began)
                    if answer.status_code < 300:
                        told = True
                        yield from answer.iter_raw()
                        return
                    answer.read()
            except httpx.TransportError as fault:
                if not told:
                    self._trace("POST", path, type(fault).__name__, began)
                    raise unreachable(self.url, fault) from fault
                raise ClientError(
                    Problem(
                        title="Broken off",
                        status=0,
                        code="broken-off",
                        detail=f"{self.url} broke off before the end: {str(fault) or type(fault).__name__}",
                        remedy="try again; the control plane's history says why if it was the one to end it",
                    )
                ) from fault
            paused += self._pause(answer, attempt, paused, repeatable=False)
        raise AssertionError("the last try ends in an answer or a fault")

    def _trace(self, method: str, path: str, ended: str, began: float) -> None:
        if self._way.trace is not None:
            self._way.trace(f"{method} /api/v1{path} {ended} {1000 * (time.monotonic() - began):.0f} ms")

    def _read(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as fault:
            raise ClientError(
                Problem(
                    title="Not understood",
                    status=answer.status_code,
                    code="not-understood",
                    detail=f"{self.url} answered something this client does not understand: {fault}",
                    remedy="use a client of the control plane's version, and check the address",
                )
            ) from fault

    def _problem(self, answer: httpx.Response) -> Problem:
        try:
            return msgspec.json.decode(answer.content, type=Problem)
        except msgspec.MsgspecError:
            return Problem(
                title=answer.reason_phrase,
                status=answer.status_code,
                code="not-penstock",
                detail=f"{self.url} answered {answer.status_code} without saying why",
                remedy="check the address; a proxy may be answering for the control plane",
            )

    def stream(self, path: str, query: dict[str, Any], after: int = -1, switch: Switch | None = None) -> Iterator[Event]:
        """The messages of one stream, from the one numbered `after` on, until it ends by itself ("bye") or breaks (httpx.TransportError). One without a
        name only says the number to resume after. Raises ClientError where it is refused."""
        began = time.monotonic()
        timeout = httpx.Timeout(self._way.timeout_s, connect=CONNECT_S, read=QUIET_S)
        headers = {"Last-Event-ID": str(after)} if after >= 0 else {}
        with self._http.stream("GET", f"/api/v1{path}", params=parameters(query), headers=headers, timeout=timeout) as answer:
            self._trace("GET", path, str(answer.status_code), began)
            wire = answer.extensions.get("network_stream")
            if switch is not None and wire is not None:
                switch.holds(wire.get_extra_info("socket"))
            if answer.status_code != 200:
                answer.read()
                raise ClientError(self._problem(answer))
            name, data, number = "", "", -1
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif line.startswith("id: "):
                    number = int(line[4:]) if line[4:].isdigit() else -1
                elif not line:
                    if name == "bye":
                        return
                    if name or number >= 0:
                        yield Event(name, data, number)
                    name, data, number = "", "", -1

    def resumed(self, path: str, query: dict[str, Any], *, opened: str = "", switch: Switch | None = None) -> Iterator[Event]:
        """A stream that goes on for ever: one that ended or broke is opened again after the last number that was heard, after a pause that grows from one
        second to thirty. `opened`: an event of this name is given each time the stream is opened anew, where what happened in between is not told. It ends when the `switch` is put off."""
        switch = switch or Switch()
        pause, last, first = 1.0, -1, True
        while True:
            if opened and not first:
                yield Event(opened, "")
            first = False
            try:
                for event in self.stream(path, query, last, switch):
                    pause, last = 1.0, max(last, event.number)
                    if event.name:
                        yield event
            except httpx.TransportError:
                pause = min(pause * 2, 30.0)
            except ClientError as fault:
                if fault.problem.status not in (429, 502, 503, 504):
                    raise
                pause = min(pause * 2, 30.0)
            if switch.waited(pause):
                return


def parameters(query: dict[str, Any]) -> dict[str, str]:
    """Query parameters as texts; empty ones are left out."""
    return {key: ("true" if value is True else "false" if value is False else str(value)) for key, value in query.items() if value not in ("", None)}
