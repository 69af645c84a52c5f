"""Pushing blobs: an upload's beginning, its pieces, its end, and blobs mounted from another repository instead.

Owns these addresses of the distribution specification (v1.1, "Pushing blobs"). While one piece is written and hashed in a thread the next one is received,
so that neither waits for the other; never more than two are held.
"""

from __future__ import annotations

import asyncio

from penstock.server.api.blobs import header
from penstock.server.api.registry_gate import Caller, Gate
from penstock.server.api.registry_http import RECEIVE_TIMEOUT_S, Call, Problem, need_digest, only, upload_headers
from penstock.server.core.oci import Content, NotThere, WrongOffset, name_fault

PIECE = 1024 * 1024  # bytes gathered before a thread writes them


class Uploads:
    """One request about an upload."""

    def __init__(self, content: Content, gate: Gate, call: Call, caller: Caller) -> None:
        self.content = content
        self.gate = gate
        self.call = call
        self.caller = caller

    async def begin(self) -> None:
        """POST: a new upload, a whole blob at once, or a blob that is here already."""
        call = self.call
        only(call, "POST")
        await self.gate.need(call, self.caller, "push")
        mount, digest, algorithm = (call.query.get(key, "") for key in ("mount", "digest", "digest-algorithm"))
        if algorithm not in ("", "sha256"):
            raise Problem(400, "DIGEST_INVALID", f"digests by {algorithm[:40]!r} are not kept here; use sha256")
        for text in (mount, digest):
            if text:
                need_digest(text)
        if mount and await self._mounted(mount):
            await self._made(mount)
            return
        upload = await asyncio.to_thread(self.content.begin, call.name)
        if not digest:
            await call.answer(202, upload_headers(call, upload, 0))
        elif await self._take(upload, 0):
            await asyncio.to_thread(self.content.finish, call.name, upload, digest)
            await self._made(digest)

    async def _mounted(self, digest: str) -> bool:
        """From the repository that is named, or from any that the caller may read; as if it were not there from one they may not."""
        source = self.call.query.get("from", "")
        if source:
            names: tuple[str, ...] = (source,) if name_fault(source) is None else ()
        else:
            names = await asyncio.to_thread(self.content.holders, digest)
        for name in names:
            if await self.gate.may(self.caller, name, "pull") and await asyncio.to_thread(self.content.mount, self.call.name, digest, name):
                return True
        return False

    async def go_on(self, upload: str) -> None:
        """How far it is (GET), a piece (PATCH), the last piece or none (PUT), never mind (DELETE)."""
        call = self.call
        only(call, "GET", "PATCH", "PUT", "DELETE")
        await self.gate.need(call, self.caller, "push")
        try:
            size = await asyncio.to_thread(self.content.upload_size, call.name, upload)
            if call.method == "GET":
                await call.answer(204, upload_headers(call, upload, size))
            elif call.method == "DELETE":
                await asyncio.to_thread(self.content.abort, call.name, upload)
                await call.answer(204)
            else:
                await self._continue(upload, size)
        except NotThere as fault:
            raise Problem(404, "BLOB_UPLOAD_UNKNOWN", fault.why) from None

    async def _continue(self, upload: str, size: int) -> None:
        call = self.call
        digest = call.query.get("digest", "")
        if call.method == "PUT":
            need_digest(digest)
        self._check_place(size)
        if not await self._take(upload, size):
            return
        if call.method == "PUT":
            await asyncio.to_thread(self.content.finish, call.name, upload, digest)
            await self._made(digest)
        else:
            size = await asyncio.to_thread(self.content.upload_size, call.name, upload)
            await call.answer(202, upload_headers(call, upload, size))

    def _check_place(self, size: int) -> None:
        """Whether this piece goes where the upload ends. Without a Content-Range it does. Raises Problem, WrongOffset."""
        piece = header(self.call.scope, b"content-range")
        if not piece:
            return
        start, dash, end = piece.removeprefix("bytes ").partition("/")[0].partition("-")
        if not (dash and all(one.isascii() and one.isdigit() and len(one) < 19 for one in (start, end))):
            raise Problem(400, "BLOB_UPLOAD_INVALID", f"the Content-Range {piece[:60]!r} is not understood; write first-last")
        if int(start) != size:
            raise WrongOffset(f"the upload has {size} bytes, and this piece begins at {start}", size)
        length = header(self.call.scope, b"content-length")
        if length.isdigit() and int(length) and int(end) - int(start) + 1 != int(length):
            raise Problem(400, "SIZE_INVALID", f"the Content-Range {piece[:60]} is not of the {length[:20]} bytes that Content-Length announces")

    async def _take(self, upload: str, size: int) -> bool:
        """The request's body into the upload. False when the pusher went away: what came is kept."""
        call, content = self.call, self.content
        waiting: list[bytes] = []
        held = 0
        writing: asyncio.Task[int] | None = None
        more, gone = True, False
        try:
            while more:
                try:
                    message = await asyncio.wait_for(call.receive(), RECEIVE_TIMEOUT_S)
                except TimeoutError:
                    message = {"type": "http.disconnect"}
                gone = message["type"] == "http.disconnect"
                body = b"" if gone else message.get("body", b"")
                if body:
                    waiting.append(body)
                    held += len(body)
                more = not gone and message.get("more_body", False)
                if held >= PIECE or (held and not more):
                    if writing is not None:
                        size, writing = await writing, None
                    writing = asyncio.ensure_future(asyncio.to_thread(content.append, call.name, upload, b"".join(waiting), size))
                    waiting, held = [], 0
            if writing is not None:
                size, writing = await writing, None
        finally:
            if writing is not None:  # the request ends, but not before the thread does
                await asyncio.wait([writing])
        return not gone

    async def _made(self, digest: str) -> None:
        await self.call.answer(201, [(b"location", f"/v2/{self.call.name}/blobs/{digest}".encode()), (b"docker-content-digest", digest.encode())])
