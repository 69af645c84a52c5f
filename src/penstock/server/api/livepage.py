"""`/live`: a page's event stream, as raw ASGI in front of the framework.

Owns the way of that one request. A page stays open for hours and there may be hundreds: what the framework keeps of a request for as long as it
runs would be a quarter of a page's cost. What is told to whom stands in `streams`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from penstock.apiv1.common import to_json
from penstock.server.api import auth, problems, streams
from penstock.server.api.blobs import Receive, Scope, Send, header, respond
from penstock.server.core.errors import Refused

if TYPE_CHECKING:
    from penstock.server.api.frame import Frame

PATH = "/live"
HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class LivePages:
    """The streams of one plane's pages."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] != "GET":
                await respond(send, 405, [(b"allow", b"GET")])
                return
            source = await self._source(header(scope, b"cookie"), scope["query_string"], receive)
        except Refused as refused:
            found = problems.of_refusal(refused)
            again = [(b"retry-after", str(refused.retry_s).encode())] if refused.retry_s else []
            kind = [(b"content-type", problems.MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]
            await respond(send, found.status, [*kind, *again], to_json(found))
            return
        await send({"type": "http.response.start", "status": 200, "headers": HEAD})
        try:
            async for piece in source:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await source.aclose()
        await send({"type": "http.response.body", "body": b""})

    async def _source(self, cookies: str, query: bytes, receive: Receive) -> Any:
        plane = self.frame.plane
        given = dict(part.strip().partition("=")[::2] for part in cookies.split(";"))
        topics = [value for key, value in parse_qsl(query.decode("latin-1")[:2000]) if key == "topic"]
        asker = await self.frame.run(lambda: auth.identify(plane, "", given.get(auth.COOKIE, "")))
        wanted = await self.frame.run(lambda: streams.check_topics(plane, asker.actor, topics))
        return streams.changes(plane, asker.actor, wanted, asyncio.ensure_future(_left(receive)))


async def _left(receive: Receive) -> None:
    """Return when the other side has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
