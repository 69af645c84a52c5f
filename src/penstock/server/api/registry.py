"""The built-in OCI registry's HTTP face, `/v2/`: what docker, podman, skopeo, buildah and containerd speak.

Owns paths, headers, statuses and error bodies of the distribution specification (v1.1) as raw ASGI, but for uploads (`registry_uploads`) and who may
(`registry_gate`). Storage stands behind `core.oci.Content` and is called in threads. Never keeps state.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from urllib.parse import quote

from penstock.server.api.blobs import Receive, Scope, Send, header, send_blob
from penstock.server.api.registry_gate import Caller, Gate
from penstock.server.api.registry_http import Call, Problem, need_digest, only, page_of, readable_digest, refuse, so_far, whole_body
from penstock.server.api.registry_uploads import Uploads
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
    Referrer,
    WrongDigest,
    WrongOffset,
    name_fault,
    read_manifest,
)
from penstock.server.core.registryscopes import CATALOG, scope_of

MAX_TAGS = 32  # pushed with one manifest

PATH = re.compile(
    r"/v2/(?P<name>[^\n]{1,300})/(?:manifests/(?P<manifest>[^/\n]+)|blobs/uploads/?(?P<upload>(?<=/)[^/\n]*)?|blobs/(?P<blob>[^/\n]+)"
    r"|(?P<tags>tags/list)|referrers/(?P<subject>[^/\n]+))\Z"
)
REFUSALS = {"unauthenticated": 401, "forbidden": 403, "limited": 429, "unavailable": 503, "missing": 404}
CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS", 503: "UNAVAILABLE"}
ASKED = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}  # all other methods push


class Registry:
    """`gate` says who asks and what they may; `held(digest)` why content may not be deleted, or None; `record(actor, verb, repository, reference, digest)` is told
    of manifests pushed and of what was deleted. The last two are called in threads."""

    def __init__(
        self,
        content: Content,
        gate: Gate,
        held: Callable[[str], str | None] = lambda _: None,
        record: Callable[[Actor, str, str, str, str], None] = lambda *_: None,
    ) -> None:
        self.content = content
        self.gate = gate
        self.held = held
        self.record = record

    def forget(self) -> None:
        """Ask everybody to sign in again: call it when a user, a token or a right is taken away."""
        self.gate.forget()

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
        call.read_query()
        if path == "/v2/token":
            await self.gate.token(call)
            return
        if path in ("/v2", "/v2/"):
            await self.gate.caller(call)
            only(call, "GET", "HEAD")
            await call.json({})
            return
        if path == "/v2/_catalog":
            only(call, "GET")
            await self._catalog(call, await self.gate.caller(call, CATALOG))
            return
        match = PATH.match(path)
        known = match is not None and name_fault(match["name"]) is None
        upload = match is not None and match["upload"] is not None
        caller = await self.gate.caller(call, scope_of(match["name"], "push" if upload else ASKED.get(call.method, "push")) if match and known else "")
        if match is None:
            raise Problem(404, "NAME_UNKNOWN", "there is nothing at this address of the registry")
        call.name = match["name"]
        fault = name_fault(call.name)
        if fault:
            raise Problem(400, "NAME_INVALID", f"{call.name[:100]!r}: {fault}")
        if match["manifest"] is not None:
            await self._manifest(call, caller, match["manifest"])
        elif match["blob"] is not None:
            await self._blob(call, caller, match["blob"])
        elif match["tags"] is not None:
            await self._tags(call, caller)
        elif match["subject"] is not None:
            await self._referrers(call, caller, match["subject"])
        elif match["upload"]:
            await Uploads(self.content, self.gate, call, caller).go_on(match["upload"])
        else:
            await Uploads(self.content, self.gate, call, caller).begin()

    async def _not_held(self, digest: str) -> None:
        why = await asyncio.to_thread(self.held, digest)
        if why is not None:
            raise Problem(403, "DENIED", why)

    # --- manifests ----------------------------------------------------------------------------------------------------

    async def _manifest(self, call: Call, caller: Caller, reference: str) -> None:
        only(call, "GET", "HEAD", "PUT", "DELETE")
        await self.gate.need(call, caller, ASKED.get(call.method, "push"))
        if call.method == "PUT":
            await self._put_manifest(call, caller, reference)
            return
        ours = TAG.match(reference) is not None or readable_digest(reference)
        if call.method == "DELETE" and ours:
            await self._delete_manifest(call, caller, reference)
            return
        stored = await asyncio.to_thread(self.content.manifest, call.name, reference) if ours else None
        if stored is None:
            raise Problem(404, "MANIFEST_UNKNOWN", f"there is no {call.name}:{reference} here; push it first")
        headers = [(b"content-type", stored.media_type.encode()), (b"docker-content-digest", stored.digest.encode()), (b"etag", f'"{stored.digest}"'.encode())]
        if f'"{stored.digest}"' in header(call.scope, b"if-none-match"):
            await call.answer(304, headers)
        elif call.method == "HEAD":
            await call.answer(200, [*headers, (b"content-length", str(len(stored.raw)).encode())])
        else:
            await call.answer(200, headers, stored.raw)

    async def _put_manifest(self, call: Call, caller: Caller, reference: str) -> None:
        by_digest = not TAG.match(reference)
        if by_digest:
            need_digest(reference)
        tags = list(dict.fromkeys(call.every.get("tag", []))) if by_digest else [reference]
        if len(tags) > MAX_TAGS:
            raise Problem(414, "UNSUPPORTED", f"{len(tags)} tags are more than the {MAX_TAGS} that may be pushed at once")
        for tag in tags:
            if not TAG.match(tag):
                raise Problem(400, "MANIFEST_INVALID", f"{tag[:60]!r} is no tag: letters, digits, '_', '.' and '-', at most 128")
        raw = await whole_body(call, MAX_MANIFEST)
        manifest = read_manifest(raw, header(call.scope, b"content-type"))
        if by_digest and "sha256:" + hashlib.sha256(raw).hexdigest() != reference:
            raise Problem(400, "DIGEST_INVALID", "the manifest's digest is not the one in the address; it was changed on the way, push again")
        digest = await asyncio.to_thread(self.content.put_manifest, call.name, raw, manifest, *tags)
        for tag in tags:  # what is pushed by digest alone is part of something that gets a tag, or is nobody's news
            await asyncio.to_thread(self.record, caller.actor, "push", call.name, tag, digest)
        headers = [(b"location", f"/v2/{call.name}/manifests/{digest}".encode()), (b"docker-content-digest", digest.encode())]
        if manifest.subject is not None:
            headers.append((b"oci-subject", manifest.subject.digest.encode()))
        if by_digest:
            headers += [(b"oci-tag", tag.encode()) for tag in tags]
        await call.answer(201, headers)

    async def _delete_manifest(self, call: Call, caller: Caller, reference: str) -> None:
        try:
            if TAG.match(reference):
                await asyncio.to_thread(self.content.delete_tag, call.name, reference)
            else:
                await self._not_held(reference)
                await asyncio.to_thread(self.content.delete_manifest, call.name, reference)
        except NotThere as fault:
            raise Problem(404, "MANIFEST_UNKNOWN", fault.why) from None
        await asyncio.to_thread(self.record, caller.actor, "delete", call.name, reference, "")
        await call.answer(202)

    # --- blobs --------------------------------------------------------------------------------------------------------

    async def _blob(self, call: Call, caller: Caller, digest: str) -> None:
        only(call, "GET", "HEAD", "DELETE")
        await self.gate.need(call, caller, ASKED[call.method])
        ours = readable_digest(digest)
        if call.method == "DELETE" and ours:
            await self._not_held(digest)
            try:
                await asyncio.to_thread(self.content.delete_blob, call.name, digest)
            except NotThere as fault:
                raise Problem(404, "BLOB_UNKNOWN", fault.why) from None
            await call.answer(202)
            return
        size = await asyncio.to_thread(self.content.blob_size, digest, call.name) if ours else None
        if size is None:
            raise Problem(404, "BLOB_UNKNOWN", f"the blob {digest} is not in {call.name}")
        await send_blob(call.scope, call.send, self.content, digest, size, head=call.method == "HEAD")

    # --- lists --------------------------------------------------------------------------------------------------------

    async def _tags(self, call: Call, caller: Caller) -> None:
        only(call, "GET")
        await self.gate.need(call, caller, "pull")
        try:
            found = await asyncio.to_thread(self.content.tags, call.name)
        except NotThere as fault:
            raise Problem(404, "NAME_UNKNOWN", fault.why) from None
        page, headers = page_of(call, found, f"/v2/{call.name}/tags/list")
        await call.json({"name": call.name, "tags": page}, headers)

    async def _catalog(self, call: Call, caller: Caller) -> None:
        found = await asyncio.to_thread(self.content.repositories)
        seen = await asyncio.to_thread(lambda: tuple(name for name in found if self.gate.doors.may(caller.actor, name, "pull") is None))
        page, headers = page_of(call, seen, "/v2/_catalog")
        await call.json({"repositories": page}, headers)

    async def _referrers(self, call: Call, caller: Caller, subject: str) -> None:
        """An empty list for what is not known here: what refers to an image may be pushed before it."""
        only(call, "GET")
        await self.gate.need(call, caller, "pull")
        found = await asyncio.to_thread(self.content.referrers, call.name, subject) if readable_digest(subject) else ()
        asked, last = call.query.get("artifactType", ""), call.query.get("last", "")
        entries = [entry for item in found if (entry := entry_of(item, asked)) is not None and item.stored.digest > last]
        shown: list[dict[str, object]] = []
        room = MAX_MANIFEST - 1000
        headers = [(b"oci-filters-applied", b"artifactType")] if asked else []
        for entry in entries:
            room -= len(json.dumps(entry)) + 1
            if shown and room < 0:
                more = f"artifactType={quote(asked, safe='')}&" if asked else ""
                headers.append((b"link", f'</v2/{call.name}/referrers/{subject}?{more}last={quote(str(shown[-1]["digest"]), safe="")}>; rel="next"'.encode()))
                break
            shown.append(entry)
        await call.json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": shown}, headers, OCI_INDEX.encode())


def entry_of(item: Referrer, asked: str) -> dict[str, object] | None:
    """A line of the list of referrers; None for one of another type than asked for."""
    config = item.manifest.config
    kind = item.manifest.artifact_type or (config.media_type if config is not None else "")
    if asked and kind != asked:
        return None
    entry: dict[str, object] = {"mediaType": item.stored.media_type, "size": len(item.stored.raw), "digest": item.stored.digest}
    if kind and (item.manifest.artifact_type or item.stored.media_type not in INDEXES):
        entry["artifactType"] = kind
    if item.manifest.annotations:
        entry["annotations"] = item.manifest.annotations
    return entry
