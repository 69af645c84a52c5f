"""Pieces of the registry's answers: calls, refusals, headers, pages.

Owns the forms of the distribution specification (v1.1) that several of its addresses share. Never touches storage.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from urllib.parse import parse_qs, quote

from penstock.server.api.blobs import Receive, Scope, Send, header, respond
from penstock.server.core.oci import OciError, check_digest
from penstock.wire.types import digest_fault

PAGE = 100
OTHER_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{32,256}\Z")  # image-spec, descriptor.md
LENGTHS = {"sha512": 128, "sha384": 96, "blake3": 64}  # of what stands behind the colon
MAX_PAGE = 1000
MAX_PARAMETERS = 64
RECEIVE_TIMEOUT_S = 60  # with no byte of a body for so long, the pusher is gone; what came stays, to be resumed

Headers = list[tuple[bytes, bytes]]


class Problem(Exception):
    """An answer that is an error: status, the specification's code, a sentence."""

    def __init__(self, status: int, code: str, why: str, headers: Headers | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.code = code
        self.why = why
        self.headers = headers or []


class Call:
    """One request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.every: dict[str, list[str]] = {}
        self.name = ""

    def read_query(self) -> None:
        """Raises Problem for one with too much in it."""
        self.every = parameters(self.scope.get("query_string", b""))

    @property
    def query(self) -> dict[str, str]:
        return {key: values[0] for key, values in self.every.items()}

    async def answer(self, status: int, headers: Headers | None = None, body: bytes = b"") -> None:
        await respond(self.send, status, [(b"docker-distribution-api-version", b"registry/2.0"), *(headers or [])], body)

    async def json(self, plain: object, headers: Headers | None = None, media_type: bytes = b"application/json") -> None:
        body = json.dumps(plain, separators=(",", ":")).encode()
        await self.answer(200, [(b"content-type", media_type), *(headers or [])], body)


def parameters(raw: bytes) -> dict[str, list[str]]:
    """What a query or a form says. Raises Problem."""
    try:
        return parse_qs(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise Problem(414, "UNSUPPORTED", f"there are more than the {MAX_PARAMETERS} parameters allowed") from None


def only(call: Call, *methods: str) -> None:
    if call.method not in methods:
        raise Problem(405, "UNSUPPORTED", f"{call.method} is not for this address", [(b"allow", ", ".join(methods).encode())])


def need_digest(text: str) -> None:
    try:
        check_digest(text)
    except OciError as fault:
        raise Problem(400, "DIGEST_INVALID", fault.why) from None


def readable_digest(text: str) -> bool:
    """Whether there can be content of this digest here. False for a well-formed one of another algorithm than SHA-256: nothing of it is kept. Raises Problem."""
    if digest_fault(text) is None:
        return True
    algorithm, _, encoded = text.partition(":")
    if algorithm != "sha256" and OTHER_DIGEST.match(text) and len(encoded) == LENGTHS.get(algorithm, len(encoded)):
        return False
    need_digest(text)
    return True


def credentials(given: str) -> tuple[str, str] | None:
    """User and password of an Authorization header (RFC 7617); a bearer token (RFC 6750) is a password without a user. None: not understood."""
    scheme, _, rest = given.partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return "", rest.strip()
    if scheme.lower() == "basic" and len(rest) < 8192:
        try:
            user, colon, password = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            colon = ""
        if colon:
            return user or "token", password
    return None


def so_far(size: int) -> bytes:
    return f"0-{max(size - 1, 0)}".encode()


def upload_headers(call: Call, upload: str, size: int) -> Headers:
    return [(b"location", f"/v2/{call.name}/blobs/uploads/{upload}".encode()), (b"range", so_far(size)), (b"docker-upload-uuid", upload.encode())]


def page_of(call: Call, found: tuple[str, ...], path: str) -> tuple[list[str], Headers]:
    """The part of a list that `n` and `last` ask for, and the link to the next part (distribution-spec, content discovery)."""
    asked = call.query.get("n", "")
    if asked and not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        raise Problem(400, "UNSUPPORTED", f"n={asked[:20]} is no number")
    count = min(int(asked), MAX_PAGE) if asked else PAGE
    last = call.query.get("last", "")
    rest = [item for item in found if item > last]
    page = rest[:count]
    if len(rest) <= count or not page:
        return page, []
    link = f'<{path}?n={count}&last={quote(page[-1], safe="")}>; rel="next"'
    return page, [(b"link", link.encode())]


async def whole_body(call: Call, limit: int) -> bytes:
    announced = header(call.scope, b"content-length")
    if announced.isdigit() and int(announced) > limit:
        raise Problem(413, "SIZE_INVALID", f"the body has {announced} bytes, more than the {limit} allowed")
    body = bytearray()
    while True:
        try:
            message = await asyncio.wait_for(call.receive(), RECEIVE_TIMEOUT_S)
        except TimeoutError:
            raise Problem(408, "SIZE_INVALID", "the body did not come in time; send it again") from None
        if message["type"] == "http.disconnect":
            raise Problem(400, "SIZE_INVALID", "the connection was cut before the body was complete")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Problem(413, "SIZE_INVALID", f"the body has more than the {limit} bytes allowed")
        if not message.get("more_body", False):
            return bytes(body)


def error_body(problem: Problem) -> bytes:
    return json.dumps({"errors": [{"code": problem.code, "message": problem.why}]}).encode()


async def refuse(call: Call, problem: Problem) -> None:
    body = error_body(problem)
    if call.method == "HEAD":
        await call.answer(problem.status, [*problem.headers, (b"content-length", str(len(body)).encode())])
    else:
        await call.answer(problem.status, [*problem.headers, (b"content-type", b"application/json")], body)
