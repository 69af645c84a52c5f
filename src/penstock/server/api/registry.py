"""The built-in OCI registry's HTTP face, `/v2/`: what `docker push`, `podman push`, `skopeo copy` and their kind speak.

Owns paths, headers, statuses and error bodies of the distribution specification (v1.1) as raw ASGI. Storage stands behind `core.oci.Content`
and is called in threads; who is asking and what he may do is asked of two functions. Never keeps state beside a short memory of
who signed in.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable

from penstock.server.api.blobs import Receive, Scope, Send, header, send_blob
from penstock.server.api.registry_http import (
    RECEIVE_TIMEOUT_S,
    Call,
    Problem,
    credentials,
    need_digest,
    only,
    page_of,
    refuse,
    sign_in,
    so_far,
    upload_headers,
    whole_body,
)
from penstock.server.core.errors import Refused
from penstock.server.core.model import Actor
from penstock.server.core.oci import (
    INDEXES,
    MAX_MANIFEST,
    OCI_INDEX,
    TAG,
    Content,
    NoSpace,
    NotThere,
    OciError,
    WrongDigest,
    WrongOffset,
    name_fault,
    read_manifest,
)

PIECE = 1024 * 1024  # bytes gathered before a thread writes them
REMEMBERED_S = 30  # a sign-in is believed again for so long: checking a password costs a tenth of a second, a push asks fifty times
MAX_REMEMBERED = 256

PATH = re.compile(
    r"/v2/(?P<name>[^\n]{1,300})/(?:manifests/(?P<manifest>[^/\n]+)|blobs/uploads/?(?P<upload>(?<=/)[^/\n]*)?|blobs/(?P<blob>[^/\n]+)"
    r"|(?P<tags>tags/list)|referrers/(?P<subject>[^/\n]+))\Z"
)
REFUSALS = {"unauthenticated": 401, "forbidden": 403, "limited": 429, "unavailable": 503, "missing": 404}
CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS", 503: "UNAVAILABLE"}


class Registry:
    """`authenticate(user, password, address)` gives the actor or None (a bearer token comes as a password without a user); `may(actor, repository, verb)`
    the sentence why not, or None; verbs are pull, push, delete. `held(digest)`: why content may not be deleted, or None. All three are
    called in threads and may raise `core.errors.Refused`. `clock` gives monotonic seconds."""

    def __init__(
        self,
        content: Content,
        authenticate: Callable[[str, str, str], Actor | None],
        may: Callable[[Actor, str, str], str | None],
        held: Callable[[str], str | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.content = content
        self.authenticate = authenticate
        self.may = may
        self.held = held
        self.clock = clock
        self._remembered: dict[bytes, tuple[Actor, float]] = {}

    def forget(self) -> None:
        """Ask everybody to sign in again: call it when a user, a token or a right is taken away."""
        self._remembered.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send)
        try:
            await self._route(call)
        except Problem as problem:
            await refuse(call, problem)
        except WrongOffset as fault:
            place = [(b"range", so_far(fault.size)), (b"location", scope["path"].encode())]
            await refuse(call, Problem(416, "BLOB_UPLOAD_INVALID", fault.why, place))
        except WrongDigest as fault:
            await refuse(call, Problem(400, "DIGEST_INVALID", fault.why))
        except NoSpace as fault:
            await refuse(call, Problem(507, "UNAVAILABLE", fault.why, [(b"retry-after", b"60")]))
        except NotThere as fault:
            await refuse(call, Problem(404, "MANIFEST_BLOB_UNKNOWN", fault.why))
        except OciError as fault:
            await refuse(call, Problem(400, "MANIFEST_INVALID" if "/manifests/" in scope["path"] else "SIZE_INVALID", fault.why))
        except Refused as fault:
            status = REFUSALS.get(fault.kind, 400)
            again = [(b"retry-after", str(fault.retry_s).encode())] if fault.retry_s else []
            await refuse(call, Problem(status, CODES.get(status, "DENIED"), fault.why, again))

    # --- who asks for what --------------------------------------------------------------------------------------------

    async def _route(self, call: Call) -> None:
        path = call.scope["path"]
        actor = await self._actor(call)
        if path in ("/v2", "/v2/"):
            only(call, "GET", "HEAD")
            await call.json({})
            return
        if path == "/v2/_catalog":
            only(call, "GET")
            await self._catalog(call, actor)
            return
        match = PATH.match(path)
        if match is None:
            raise Problem(404, "NAME_UNKNOWN", "there is nothing at this address of the registry")
        call.name = match["name"]
        fault = name_fault(call.name)
        if fault:
            raise Problem(400, "NAME_INVALID", f"{call.name[:100]!r}: {fault}")
        if match["manifest"] is not None:
            await self._manifest(call, actor, match["manifest"])
        elif match["blob"] is not None:
            await self._blob(call, actor, match["blob"])
        elif match["tags"] is not None:
            await self._tags(call, actor)
        elif match["subject"] is not None:
            await self._referrers(call, actor, match["subject"])
        elif match["upload"]:
            await self._upload(call, actor, match["upload"])
        else:
            await self._begin(call, actor)

    async def _actor(self, call: Call) -> Actor:
        given = header(call.scope, b"authorization")
        if not given:
            raise sign_in("sign in first: docker login")
        key = hashlib.sha256(given.encode("latin-1")).digest()
        now = self.clock()
        known = self._remembered.get(key)
        if known is not None and now < known[1]:
            return known[0]
        user, password = credentials(given)
        actor = await asyncio.to_thread(self.authenticate, user, password, (call.scope.get("client") or ("",))[0])
        if actor is None:
            raise sign_in("this user and password, or this token, are not known here")
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (actor, now + REMEMBERED_S)
        return actor

    async def _need(self, call: Call, actor: Actor, verb: str, name: str = "") -> None:
        why = await asyncio.to_thread(self.may, actor, name or call.name, verb)
        if why is not None:
            raise Problem(403, "DENIED", why)

    async def _not_held(self, digest: str) -> None:
        why = await asyncio.to_thread(self.held, digest)
        if why is not None:
            raise Problem(403, "DENIED", why)

    # --- manifests ----------------------------------------------------------------------------------------------------

    async def _manifest(self, call: Call, actor: Actor, reference: str) -> None:
        only(call, "GET", "HEAD", "PUT", "DELETE")
        if not TAG.match(reference):
            need_digest(reference)
        if call.method == "PUT":
            await self._need(call, actor, "push")
            await self._put_manifest(call, reference)
            return
        if call.method == "DELETE":
            await self._need(call, actor, "delete")
            await self._delete_manifest(call, reference)
            return
        await self._need(call, actor, "pull")
        stored = await asyncio.to_thread(self.content.manifest, call.name, reference)
        if stored is None:
            raise Problem(404, "MANIFEST_UNKNOWN", f"there is no {call.name}:{reference} here; push it first")
        headers = [(b"content-type", stored.media_type.encode()), (b"docker-content-digest", stored.digest.encode()), (b"etag", f'"{stored.digest}"'.encode())]
        if call.method == "HEAD":
            await call.answer(200, [*headers, (b"content-length", str(len(stored.raw)).encode())])
        else:
            await call.answer(200, headers, stored.raw)

    async def _put_manifest(self, call: Call, reference: str) -> None:
        raw = await whole_body(call, MAX_MANIFEST)
        manifest = read_manifest(raw, header(call.scope, b"content-type"))
        by_digest = not TAG.match(reference)
        if by_digest and "sha256:" + hashlib.sha256(raw).hexdigest() != reference:
            raise Problem(400, "DIGEST_INVALID", "the manifest's digest is not the one in the address; it was changed on the way, push again")
        digest = await asyncio.to_thread(self.content.put_manifest, call.name, raw, manifest, "" if by_digest else reference)
        headers = [(b"location", f"/v2/{call.name}/manifests/{digest}".encode()), (b"docker-content-digest", digest.encode())]
        if manifest.subject is not None:
            headers.append((b"oci-subject", manifest.subject.digest.encode()))
        await call.answer(201, headers)

    async def _delete_manifest(self, call: Call, reference: str) -> None:
        try:
            if TAG.match(reference):
                await asyncio.to_thread(self.content.delete_tag, call.name, reference)
            else:
                await self._not_held(reference)
                await asyncio.to_thread(self.content.delete_manifest, call.name, reference)
        except NotThere as fault:
            raise Problem(404, "MANIFEST_UNKNOWN", fault.why) from None
        await call.answer(202)

    # --- blobs --------------------------------------------------------------------------------------------------------

    async def _blob(self, call: Call, actor: Actor, digest: str) -> None:
        only(call, "GET", "HEAD", "DELETE")
        need_digest(digest)
        if call.method == "DELETE":
            await self._need(call, actor, "delete")
            await self._not_held(digest)
            try:
                await asyncio.to_thread(self.content.delete_blob, call.name, digest)
            except NotThere as fault:
                raise Problem(404, "BLOB_UNKNOWN", fault.why) from None
            await call.answer(202)
            return
        await self._need(call, actor, "pull")
        size = await asyncio.to_thread(self.content.blob_size, digest, call.name)
        if size is None:
            raise Problem(404, "BLOB_UNKNOWN", f"the blob {digest} is not in {call.name}")
        await send_blob(call.scope, call.send, self.content, digest, size, head=call.method == "HEAD")

    # --- uploads ------------------------------------------------------------------------------------------------------

    async def _begin(self, call: Call, actor: Actor) -> None:
        only(call, "POST")
        await self._need(call, actor, "push")
        mount, source, digest = (call.query.get(key, "") for key in ("mount", "from", "digest"))
        if mount:
            need_digest(mount)
        if mount and source and name_fault(source) is None:
            allowed = await asyncio.to_thread(self.may, actor, source, "pull") is None
            if allowed and await asyncio.to_thread(self.content.mount, call.name, mount, source):
                await self._made(call, mount)
                return
        if digest:
            need_digest(digest)
        upload = await asyncio.to_thread(self.content.begin, call.name)
        if digest:
            if not await self._take(call, upload, 0):
                return
            await asyncio.to_thread(self.content.finish, call.name, upload, digest)
            await self._made(call, digest)
            return
        await call.answer(202, upload_headers(call, upload, 0))

    async def _upload(self, call: Call, actor: Actor, upload: str) -> None:
        only(call, "GET", "PATCH", "PUT", "DELETE")
        await self._need(call, actor, "push")
        try:
            size = await asyncio.to_thread(self.content.upload_size, call.name, upload)
            if call.method == "GET":
                await call.answer(204, upload_headers(call, upload, size))
            elif call.method == "DELETE":
                await asyncio.to_thread(self.content.abort, call.name, upload)
                await call.answer(204)
            else:
                await self._continue(call, upload, size)
        except NotThere as fault:
            raise Problem(404, "BLOB_UPLOAD_UNKNOWN", fault.why) from None

    async def _continue(self, call: Call, upload: str, size: int) -> None:
        digest = call.query.get("digest", "")
        if call.method == "PUT":
            need_digest(digest)
        piece = header(call.scope, b"content-range")
        start, dash, _ = piece.removeprefix("bytes ").partition("-")
        if piece and not (dash and start.isascii() and start.isdigit() and len(start) < 19):
            raise Problem(400, "BLOB_UPLOAD_INVALID", f"the Content-Range {piece[:60]!r} is not understood; write first-last")
        if piece and int(start) != size:
            raise WrongOffset(f"the upload has {size} bytes, and this piece begins at {start}", size)
        if not await self._take(call, upload, size):
            return
        if call.method == "PUT":
            await asyncio.to_thread(self.content.finish, call.name, upload, digest)
            await self._made(call, digest)
        else:
            size = await asyncio.to_thread(self.content.upload_size, call.name, upload)
            await call.answer(202, upload_headers(call, upload, size))

    async def _take(self, call: Call, upload: str, size: int) -> bool:
        """The request's body into the upload. False when the pusher went away: what came is kept."""
        waiting = bytearray()
        more = True
        while more:
            try:
                message = await asyncio.wait_for(call.receive(), RECEIVE_TIMEOUT_S)
            except TimeoutError:
                message = {"type": "http.disconnect"}
            gone = message["type"] == "http.disconnect"
            waiting += b"" if gone else message.get("body", b"")
            more = not gone and message.get("more_body", False)
            if waiting and (not more or len(waiting) >= PIECE):
                size = await asyncio.to_thread(self.content.append, call.name, upload, bytes(waiting), size)
                waiting.clear()
            if gone:
                return False
        return True

    async def _made(self, call: Call, digest: str) -> None:
        await call.answer(201, [(b"location", f"/v2/{call.name}/blobs/{digest}".encode()), (b"docker-content-digest", digest.encode())])

    # --- lists --------------------------------------------------------------------------------------------------------

    async def _tags(self, call: Call, actor: Actor) -> None:
        only(call, "GET")
        await self._need(call, actor, "pull")
        try:
            found = await asyncio.to_thread(self.content.tags, call.name)
        except NotThere as fault:
            raise Problem(404, "NAME_UNKNOWN", fault.why) from None
        page, headers = page_of(call, found, f"/v2/{call.name}/tags/list")
        await call.json({"name": call.name, "tags": page}, headers)

    async def _catalog(self, call: Call, actor: Actor) -> None:
        found = await asyncio.to_thread(self.content.repositories)
        seen = await asyncio.to_thread(lambda: tuple(name for name in found if self.may(actor, name, "pull") is None))
        page, headers = page_of(call, seen, "/v2/_catalog")
        await call.json({"repositories": page}, headers)

    async def _referrers(self, call: Call, actor: Actor, subject: str) -> None:
        only(call, "GET")
        need_digest(subject)
        await self._need(call, actor, "pull")
        found = await asyncio.to_thread(self.content.referrers, call.name, subject)
        asked = call.query.get("artifactType", "")
        manifests = []
        for item in found:
            config = item.manifest.config
            kind = item.manifest.artifact_type or (config.media_type if config is not None else "")
            if asked and kind != asked:
                continue
            entry: dict[str, object] = {"mediaType": item.stored.media_type, "size": len(item.stored.raw), "digest": item.stored.digest}
            if kind and (item.manifest.artifact_type or item.stored.media_type not in INDEXES):
                entry["artifactType"] = kind
            if item.manifest.annotations:
                entry["annotations"] = item.manifest.annotations
            manifests.append(entry)
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        await call.json(index, [(b"oci-filters-applied", b"artifactType")] if asked else None, OCI_INDEX.encode())
