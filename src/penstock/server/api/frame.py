"""How one request to /api/v1 is served: who asks, may they, what do they send, do it, answer or say the problem.

Owns routes as values, the order of these checks, ETag and If-Match, idempotency keys, limits of size. Never decides anything about the fleet:
handlers call one action each. The document at /api/v1/openapi.json is made from the same values (`openapi.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import ClientException, HTTPException
from litestar.response import Stream

from penstock.apiv1.common import Problem, to_json
from penstock.server.actions import refusals
from penstock.server.api import auth, problems
from penstock.server.core import access
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from penstock.server.actions.context import Plane
    from penstock.server.core.model import Actor

PUBLIC = "public"  # nobody needs to be known
SIGNED_IN = "signed-in"  # any known actor: it is about themselves

BODY_LIMIT = 2 * 1024 * 1024
PACKAGE_LIMIT = 23 * 1024 * 1024  # a package's 16 MiB in base64, and what stands around it
IDEMPOTENCY_S = 24 * 3600
IDEMPOTENCY_KEPT = 4096

log = structlog.get_logger("api")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameters."""


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table: what is served, who may, what goes in and comes out. `conditional`: the request must name the revision it
    changes (If-Match). `creates`: an Idempotency-Key makes repeating it harmless. `refuses`: statuses it may answer with that do not follow from the rest
    (`openapi.statuses`). `most`: bytes of a body."""

    method: str
    path: str
    handler: Callable[[Call], Any]
    permission: str
    doc: str
    answer: Any = None
    body: Any = None
    query: Any = Nothing
    status: int = 200
    conditional: bool = False
    creates: bool = False
    media_type: str = "application/json"
    stream: bool = False
    refuses: tuple[int, ...] = ()
    most: int = BODY_LIMIT


@dataclass(frozen=True, slots=True)
class Answer:
    """A handler's answer where more than the shape is to be said."""

    shape: Any
    revision: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked and decoded."""

    plane: Plane
    actor: Actor
    path: dict[str, str]
    query: Any
    body: Any
    revision: int
    session: str
    address: str
    agent: str
    last_event: str = ""


@dataclass(slots=True)
class _Kept:
    stamp: str
    until: float
    reply: Response[bytes] | None = None


class Frame:
    """Serves API routes for one plane. Handlers are plain functions and run in a small pool of threads."""

    def __init__(self, plane: Plane, threads: int = 8) -> None:
        self.plane = plane
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="api")
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def close(self) -> None:
        """Let the threads end."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], Any]) -> Any:
        """`work()` in the pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)

    async def identify(self, request: Request[Any, Any, Any]) -> auth.Asker:
        """Who asks. Raises Unauthenticated for a secret that is no longer good."""
        bearer, cookie = auth.bearer_of(request), request.cookies.get(auth.COOKIE, "")
        return await self.run(lambda: auth.identify(self.plane, bearer, cookie))  # type: ignore[no-any-return]

    async def serve(self, route: Route, request: Request[Any, Any, Any]) -> Response[Any]:
        """The whole way of one request. Every fault becomes a problem."""
        try:
            return await self._serve(route, request)
        except Refused as refused:
            return refusal(refused)
        except msgspec.MsgspecError as fault:
            return problem(problems.of_decoding(fault))
        except HTTPException as fault:
            return of_http(fault)
        except Exception:
            log.exception("unexpected", method=route.method, path=route.path)
            return problem(
                problems.make(
                    500, "internal", "something went wrong here that should not have; the server's log has it", remedy="try again; if it stays, report it"
                )
            )

    async def _serve(self, route: Route, request: Request[Any, Any, Any]) -> Response[Any]:
        public = route.permission == PUBLIC
        asker = auth.nobody() if public else await self.identify(request)
        try:
            return await self._judge(route, request, asker)
        except Forbidden as refused:
            await self.refused(asker.actor, route.method, route.permission, request.url.path, refused)
            raise

    async def refused(self, actor: Actor, method: str, verb: str, path: str, refused: Forbidden) -> None:
        """Note that somebody known may not do what they asked for."""
        if method not in ("GET", "HEAD"):
            await self.run(lambda: refusals.note_refused(self.plane, actor, verb=verb, path=path, refused=refused))

    async def _judge(self, route: Route, request: Request[Any, Any, Any], asker: auth.Asker) -> Response[Any]:
        if route.permission != PUBLIC:
            if route.permission == SIGNED_IN:
                access.known(asker.actor)
            else:
                access.require(asker.actor, route.permission)
            if asker.signed_in and route.method not in ("GET", "HEAD"):
                auth.check_form(asker.csrf, request.headers.get("x-penstock-csrf", ""), request.headers.get("sec-fetch-site", ""))
        query = read_query(route.query, request)
        raw = await read_body(route, request)
        body = msgspec.json.decode(raw, type=route.body) if route.body is not None else None
        call = Call(
            plane=self.plane,
            actor=asker.actor,
            path={key: str(value) for key, value in request.path_params.items()},
            query=query,
            body=body,
            revision=read_revision(request) if route.conditional else 0,
            session=asker.signed_in.session.id if asker.signed_in else "",
            address=request.client.host if request.client else "",
            agent=request.headers.get("user-agent", "")[:200],
            last_event=request.headers.get("last-event-id", "")[:32],
        )
        key = request.headers.get("idempotency-key", "") if route.creates else ""
        if key:
            return await self._once(route, call, key, raw)
        return await self._answer(route, call)

    async def _answer(self, route: Route, call: Call) -> Response[Any]:
        if route.stream:
            source = await self.run(lambda: route.handler(call))  # whether it may be heard is looked up
            said = source if isinstance(source, Answer) else Answer(source)
            return stream(said.shape, route.media_type, said.headers)
        found = await self.run(lambda: route.handler(call))
        answer = found if isinstance(found, Answer) else Answer(found)
        headers = {"Cache-Control": "no-store", **answer.headers}
        if answer.revision:
            headers["ETag"] = f'"r{answer.revision}"'
        if answer.shape is None:
            return Response(b"", status_code=204, headers=headers)
        content = answer.shape if isinstance(answer.shape, bytes) else to_json(answer.shape)
        return Response(content, status_code=route.status, headers=headers, media_type=route.media_type)

    async def _once(self, route: Route, call: Call, key: str, raw: bytes) -> Response[Any]:
        """Do it, or repeat what was answered the first time. Kept in memory only: a restart forgets keys, and names stay unique without them."""
        if len(key) > 128:
            raise Invalid("idempotency-key-too-long", "an Idempotency-Key has at most 128 characters", field="Idempotency-Key")
        stamp = hashlib.sha256(b"\0".join((route.method.encode(), route.path.encode(), repr(sorted(call.path.items())).encode(), raw))).hexdigest()
        mine, now = (call.actor.id, key), time.monotonic()
        while self._kept and (len(self._kept) > IDEMPOTENCY_KEPT or next(iter(self._kept.values())).until < now):
            self._kept.popitem(last=False)
        held = self._kept.get(mine)
        if held is not None:
            if held.stamp != stamp:
                raise Conflict("idempotency-key-reused", "this Idempotency-Key was used for another request", remedy="draw a new key for a new request")
            if held.reply is None:
                raise Conflict("idempotency-in-progress", "the first request with this Idempotency-Key is still running", remedy="wait a moment and ask again")
            return held.reply
        kept = self._kept[mine] = _Kept(stamp, now + IDEMPOTENCY_S)
        try:
            kept.reply = await self._answer(route, call)
        except BaseException:
            self._kept.pop(mine, None)
            raise
        return kept.reply


def problem(found: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A problem as an answer."""
    extra = {"WWW-Authenticate": "Bearer"} if found.status == 401 else {}
    return Response(to_json(found), status_code=found.status, media_type=problems.MEDIA_TYPE, headers={"Cache-Control": "no-store", **extra, **(headers or {})})


def refusal(refused: Refused) -> Response[bytes]:
    """A refusal as an answer, with Retry-After where it has one."""
    return problem(problems.of_refusal(refused), {"Retry-After": str(refused.retry_s)} if refused.retry_s else None)


def of_http(fault: HTTPException) -> Response[bytes]:
    """What the framework refused: no such path, wrong method, too large."""
    status = fault.status_code
    said = {
        404: ("no-such-path", "there is nothing at this address", "see /api/v1/openapi.json"),
        405: ("wrong-method", "this address does not take that method", "see /api/v1/openapi.json"),
        415: ("not-json", "the body must be sent as application/json", "set Content-Type: application/json"),
        413: ("too-large", f"a body has at most {BODY_LIMIT} bytes, one with a package {PACKAGE_LIMIT}", "send less"),
    }.get(status, ("bad-request", "the request cannot be read", "see /api/v1/openapi.json"))
    if status >= 500:
        log.error("framework", detail=fault.detail)
    headers = {k: v for k, v in (fault.headers or {}).items() if k.lower() == "allow"}
    return problem(problems.make(status, said[0], said[1], remedy=said[2]), headers)


def stream(source: AsyncIterator[bytes], media_type: str, headers: dict[str, str] | None = None) -> Response[Any]:
    """An answer that goes on."""
    return Stream(source, media_type=media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})})


def read_query(shape: Any, request: Request[Any, Any, Any]) -> Any:
    """The query parameters as `shape`. Raises ValidationError."""
    given: dict[str, Any] = {}
    for key, value in request.query_params.multi_items():
        if key in given:
            raise Invalid("query-twice", f"the query parameter {key[:60]!r} stands twice", field=key[:60])
        given[key] = value
    return msgspec.convert(given, type=shape, strict=False)


async def read_body(route: Route, request: Request[Any, Any, Any]) -> bytes:
    """The request's body, at most as long as the route takes. Raises where a body is of another kind than JSON."""
    if route.body is None:
        return b""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/merge-patch+json"):
        raise ClientException(detail="unsupported media type", status_code=415)
    return await request.body()


def read_revision(request: Request[Any, Any, Any]) -> int:
    """The revision If-Match names. Raises Invalid where there is none: blind overwriting is not offered."""
    given = request.headers.get("if-match", "").strip()
    if not given:
        raise Precondition(
            "revision-required",
            "this changes something others may change too: If-Match must name the revision you read",
            field="If-Match",
            remedy="read it, then send its ETag as If-Match",
        )
    digits = given.removeprefix('"r').removesuffix('"')
    if given != f'"r{digits}"' or not digits.isdigit() or len(digits) > 15:
        raise Invalid("revision-malformed", 'If-Match must be an ETag this API gave, like "r3"', field="If-Match")
    return int(digits)


class Precondition(Refused):
    """The request does not say which revision it changes."""

    kind = "precondition"
