"""The way to a container engine: HTTP over its unix socket, JSON in and out, and every failure as a RuntimeFault in plain words.

Owns connecting, sending, time-outs, size limits and the translation of engine errors into sentences. Knows no verb and no engine's
habits; those are `docker`'s. Serves both the Docker API and Podman's.
"""

from __future__ import annotations

import errno
import json

from penstock.agent.http1 import Connection, HttpError, connect_unix
from penstock.agent.runtimes import RuntimeFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from socket import socket as Socket  # noqa: N812 - the module has a method of that name
    from typing import Any

    from penstock.agent.http1 import Answer

MAX_ANSWER = 8 * 1024 * 1024  # bytes of a JSON answer
MAX_MESSAGE = 300  # characters of an engine's own words inside a sentence of ours
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@")


def quoted(text: str) -> str:
    """A value for a path or query, percent-encoded as UTF-8 (RFC 3986, 2.1); '/', ':' and '@' stay, as engines expect in names."""
    return "".join(chr(byte) if chr(byte) in _SAFE else f"%{byte:02X}" for byte in text.encode("utf-8"))


def query(**values: object) -> str:
    """ "?a=1&b=x" from keyword arguments; None is left out, True is "true", dicts become JSON."""
    parts = [f"{name}={quoted(_plain(value))}" for name, value in values.items() if value is not None]
    return "?" + "&".join(parts) if parts else ""


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else str(value)


class EngineError(Exception):
    """The engine answered with an error status. `message` is its own words. Verbs either know what it means or pass it to `fault_of`."""

    def __init__(self, status: int, message: str, doing: str) -> None:
        super().__init__(f"{doing}: {status} {message}")
        self.status = status
        self.message = message
        self.doing = doing


class EngineClient:
    """One engine's socket. Each call is one connection, closed at its end."""

    def __init__(self, path: str, timeout_s: float = 30.0) -> None:
        self.path = path
        self._timeout_s = timeout_s

    def socket(self, timeout_s: float = 10.0) -> Socket:
        """A connected socket. Raises RuntimeFault with what an operator can do about it."""
        try:
            return connect_unix(self.path, min(timeout_s, 10.0))
        except OSError as fault:
            raise self._unreachable(fault) from None

    def connect(self, timeout_s: float | None = None) -> Connection:
        """A connection for one exchange. Raises RuntimeFault."""
        allowed = timeout_s or self._timeout_s
        return Connection(self.socket(allowed), "engine", allowed)

    def _unreachable(self, fault: OSError) -> RuntimeFault:
        if fault.errno in (errno.ENOENT, errno.ENOTDIR):
            return RuntimeFault("engine-down", f"there is no engine socket at {self.path}; start the container engine, or name the right socket", retry=True)
        if fault.errno == errno.ECONNREFUSED:
            return RuntimeFault(
                "engine-down", f"the container engine behind {self.path} is not running; start it (for example: systemctl start docker)", retry=True
            )
        if fault.errno in (errno.EACCES, errno.EPERM):
            return RuntimeFault("engine-permission", f"the agent may not open {self.path}; run it as root or as a member of the socket's group", retry=True)
        if isinstance(fault, TimeoutError) or type(fault).__name__ == "timeout" or fault.errno == errno.EAGAIN:
            return RuntimeFault("engine-timeout", f"the container engine behind {self.path} takes no connection in time; it may hang", retry=True)
        return RuntimeFault("engine-down", f"the container engine behind {self.path} cannot be reached: {fault}", retry=True)

    def broken(self, fault: HttpError, doing: str) -> RuntimeFault:
        """An exchange that failed below HTTP, as a fault."""
        if fault.kind == "timeout":
            return RuntimeFault("engine-timeout", f"the container engine did not answer in time while {doing}; it may be overloaded or hang", retry=True)
        if fault.kind == "oversize":
            return RuntimeFault("too-large", f"the container engine's answer while {doing} was too large: {fault.why}", retry=False)
        return RuntimeFault("engine-down", f"the container engine broke the connection off while {doing}; it may have stopped: {fault.why}", retry=True)

    def send(
        self,
        connection: Connection,
        method: str,
        target: str,
        doing: str,
        *,
        body: bytes | Iterable[bytes] = b"",
        length: int | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """A request on an open connection; the answer, its body still to come. Raises RuntimeFault, or EngineError for a status of 400 and above."""
        try:
            answer = connection.request(method, target, headers or {}, body, length, timeout_s or self._timeout_s)
            if answer.status < 400:
                return answer
            raise EngineError(answer.status, _message(answer.read(MAX_ANSWER)), doing)
        except HttpError as fault:
            raise self.broken(fault, doing) from None

    def call(self, method: str, target: str, doing: str, *, body: Any = None, timeout_s: float | None = None) -> Any:
        """A request with a JSON body and a JSON answer; None where the answer has no body. `doing` completes "while ...".

        Raises RuntimeFault when the engine cannot be reached or does not answer, EngineError when it answers with an error."""
        raw = b"" if body is None else json.dumps(body).encode("utf-8")
        headers = {"Content-Type": "application/json"} if raw else {}
        with self.connect(timeout_s) as connection:
            answer = self.send(connection, method, target, doing, body=raw, headers=headers, timeout_s=timeout_s)
            try:
                data = answer.read(MAX_ANSWER)
            except HttpError as fault:
                raise self.broken(fault, doing) from None
        if not data.strip():
            return None
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return data.decode("utf-8", "replace")

    def find(self, target: str, doing: str, *, timeout_s: float | None = None) -> Any:
        """GET, or None where the engine says 404. An error of the engine is a RuntimeFault."""
        try:
            return self.call("GET", target, doing, timeout_s=timeout_s)
        except EngineError as error:
            if error.status == 404:
                return None
            raise fault_of(error) from None


def _message(data: bytes) -> str:
    """The engine's own words out of an error's body: Docker and Podman send {"message": ...}, older paths plain text."""
    text = data.decode("utf-8", "replace").strip()
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(plain, dict):
        for key in ("message", "cause", "error"):
            if isinstance(plain.get(key), str) and plain[key]:
                return str(plain[key])
    return text


# What engines say, lower case, in the order they are looked for; the sentence after it is ours.
_KNOWN = (
    ("no-space", True, ("no space left on device", "disk quota exceeded", "not enough space"), "the device has no room left; free some space"),
    (
        "wrong-architecture",
        False,
        ("no matching manifest", "does not match the specified platform", "exec format error", "image operating system", "architecture mismatch"),
        "the image is not made for this device's processor or system",
    ),
    (
        "port-taken",
        True,
        ("port is already allocated", "address already in use", "failed to bind port"),
        "a port it publishes is already in use on this device",
    ),
    (
        "blob-corrupt",
        True,
        (
            "verification failed",
            "digest mismatch",
            "does not match digest",
            "did not match expected",
            "unexpected commit digest",
            "digest did not match",
            "size validation failed",
        ),
        "bytes of the image are not what their digest names; they have to be fetched again",
    ),
    ("in-use", True, ("in use", "being used", "active endpoints", "is using", "associated containers"), "something still uses it"),
    (
        "bad-settings",
        False,
        ("could not select device driver", "unresolvable cdi devices", "nvidia-container-cli: device error"),
        "this device has no such accelerator, or its engine no driver for one",
    ),
    ("start-failed", False, ('exec: "', "executable file"), "its program is not in the image or cannot be run"),
    (
        "bad-settings",
        False,
        ("bind source path does not exist", "statfs /", "error gathering device information", "no such device", "stat /"),
        "a path or device of the host it needs is not there",
    ),
    (
        "start-failed",
        False,
        (
            "executable file not found",
            "no such file or directory",
            "permission denied",
            "oci runtime",
            "failed to create shim",
            "runc create failed",
            "unable to start container process",
        ),
        "its process cannot be started",
    ),
)


def fault_of(error: EngineError, hint: str = "") -> RuntimeFault:
    """An engine's error as a fault: a known meaning where its words give one, else by status. `hint` is added to the sentence."""
    said = " ".join(error.message.split())[:MAX_MESSAGE] or f"status {error.status}"
    lower = error.message.lower()
    for code, retry, words, sentence in _KNOWN:
        if any(word in lower for word in words):
            return RuntimeFault(code, f"{error.doing} failed: {sentence}{hint} (the engine says: {said})", retry=retry)
    if error.status == 404:
        return RuntimeFault("not-found", f"{error.doing} failed: it is not there{hint} (the engine says: {said})", retry=False)
    if error.status == 400:
        return RuntimeFault("bad-settings", f"{error.doing} failed: the engine refuses the settings{hint} (it says: {said})", retry=False)
    return RuntimeFault("engine-error", f"{error.doing} failed{hint} (the engine says: {said})", retry=True)
