"""Bringing a variant into a Docker or Podman engine out of the agent's own blobs, and looking after its local names.

Owns the pull through the loopback registry, tags, and cleaning up what is ours among images. Never fetches from anywhere, and never
touches an image that does not bear a name of ours.
"""

from __future__ import annotations

import json
import time

from penstock.agent.blobregistry import PullRegistry
from penstock.agent.http1 import HttpError, Parser, request_head
from penstock.agent.runtimes import PruneResult, RuntimeFault
from penstock.agent.runtimes.dockerseen import image_id
from penstock.agent.runtimes.engine import EngineError, fault_of, query, quoted
from penstock.rules.naming import KEEP_REPOSITORY
from penstock.rules.observed import ObservedImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket
    from typing import Any

    from penstock.agent.runtimes import BlobSource
    from penstock.agent.runtimes.engine import EngineClient
    from penstock.wire.types import Variant

PULL_S = 3600.0  # the longest a pull may take; slow flash and big layers
STALL_S = 600.0  # the longest in which nothing moves: unpacking one big layer on slow flash says nothing for minutes
MAX_PROGRESS = 4 * 1024 * 1024  # bytes of the engine's progress lines kept


def find(client: EngineClient, version: str, variant: Variant) -> dict[str, Any] | None:
    """The image of a variant as the engine describes it, by whichever of its digests the engine's store uses, or None."""
    for digest in (variant.config.digest, variant.manifest.digest):
        plain = client.find(f"{version}/images/{digest}/json", "looking for an image")
        if isinstance(plain, dict) and image_id(plain.get("Id")) in (variant.config.digest, variant.manifest.digest):
            return plain
    return None


def observed(plain: dict[str, Any], variant: Variant) -> ObservedImage:
    """An engine's description of an image as a record."""
    tags = tuple(sorted(str(tag) for tag in plain.get("RepoTags") or ()))
    size = plain.get("Size")
    return ObservedImage(
        manifest=variant.manifest.digest,
        config=variant.config.digest,
        id=image_id(plain.get("Id")),
        tags=tags,
        size=size if isinstance(size, int) else 0,
    )


def pull(client: EngineClient, version: str, variant: Variant, blobs: BlobSource, tag: str, *, podman: bool, platform: str | None) -> str:
    """Pull by digest from a registry that lives as long as this call; the engine's id of the image, named `tag` and nothing else.

    Raises RuntimeFault: "blob-missing" and "blob-corrupt" name the blob where the engine lets it be known."""
    if blobs.path(variant.manifest.digest) is None:
        raise RuntimeFault("blob-missing", f"the image's manifest {variant.manifest.digest} is not on the device yet", retry=True)
    try:
        registry = PullRegistry(variant, blobs)
    except OSError as fault:
        raise RuntimeFault("engine-error", f"the agent cannot listen on 127.0.0.1: {fault}", retry=True) from None
    with registry:
        if podman:
            target = f"/v4.0.0/libpod/images/pull{query(reference=registry.reference, tlsVerify=False, policy='always', quiet=False)}"
        else:
            target = f"{version}/images/create{query(fromImage=registry.name, tag=variant.manifest.digest, platform=platform)}"
        _transfer(client, target, registry)
        name = registry.reference
    plain = find(client, version, variant)
    if plain is None:
        raise RuntimeFault("engine-error", f"the engine says it has the image {variant.manifest.digest}, and then does not find it", retry=True)
    identity = image_id(plain.get("Id"))
    keep(client, version, identity, tag)
    untag(client, version, name)
    return identity


def _transfer(client: EngineClient, target: str, registry: PullRegistry) -> None:
    exchange = _Exchange(client.socket())
    try:
        outcome = exchange.run(target, registry)
    except HttpError as fault:
        raise client.broken(fault, "bringing in an image") from None
    finally:
        exchange.close()
    said = exchange.error()
    if outcome == "done" and not said:
        return
    if registry.corrupt:
        raise RuntimeFault("blob-corrupt", f"the bytes kept for {registry.corrupt[0]} are not what it names; they have to be fetched again", retry=True)
    if registry.missing:
        raise RuntimeFault("blob-missing", f"the image needs {registry.missing[0]}, which is not on the device; it has to be fetched again", retry=True)
    if outcome != "done":
        raise RuntimeFault("engine-timeout", "the container engine stopped taking the image in; it may be overloaded or its disk stuck", retry=True)
    raise fault_of(EngineError(exchange.status, said, "bringing in an image"))


class _Exchange:
    """One pull request on its own socket, driven by the registry's select loop."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._parser = Parser("POST")
        self._body = bytearray()
        self.status = 0

    def run(self, target: str, registry: PullRegistry) -> str:
        self._sock.settimeout(10.0)
        try:
            self._sock.sendall(request_head("POST", target, "engine", {}))
        except OSError as fault:
            raise HttpError("closed", str(fault)) from None
        outcome = registry.serve(self._sock, self._ready, time.monotonic() + PULL_S, STALL_S)
        self.status = self._parser.head.status if self._parser.head is not None else 0
        return outcome

    def _ready(self) -> bool:
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return False
        except OSError as fault:
            raise HttpError("closed", str(fault)) from None
        if data:
            self._body += self._parser.feed(data)
            if len(self._body) > MAX_PROGRESS:
                del self._body[: -MAX_PROGRESS // 2]  # progress only; an error comes last
        else:
            self._parser.eof()
        return self._parser.done

    def error(self) -> str:
        """The engine's own words where the pull failed; both engines report inside a 200 answer, one JSON object a line."""
        text = bytes(self._body).decode("utf-8", "replace")
        found = ""
        for line in text.splitlines():
            try:
                plain = json.loads(line)
            except ValueError:
                continue
            if isinstance(plain, dict):
                word = plain.get("error") or (plain.get("message") if self.status >= 400 else "")
                found = str(word) if word else found
        if self.status >= 400 and not found:
            return text.strip() or f"status {self.status}"
        return found

    def close(self) -> None:
        self._sock.close()


# --- names --------------------------------------------------------------------------------------------------------------


def keep(client: EngineClient, version: str, identity: str, tag: str) -> None:
    """Name an image `tag` (repository:tag). Naming it again is no fault."""
    repository, _, label = tag.rpartition(":")
    try:
        client.call("POST", f"{version}/images/{identity}/tag{query(repo=repository, tag=label)}", "naming an image")
    except EngineError as error:
        if error.status == 404:
            raise RuntimeFault("image-missing", f"the engine no longer holds the image for {tag}", retry=True) from None
        raise fault_of(error) from None


def untag(client: EngineClient, version: str, name: str) -> None:
    """Take one name away; the image goes with its last one. What is not there is no fault; "in-use" while a container needs it."""
    try:
        client.call("DELETE", f"{version}/images/{quoted(name)}{query(noprune=False)}", "taking an image's name away", timeout_s=300.0)
    except EngineError as error:
        if error.status == 404:
            return
        if error.status == 409:
            raise RuntimeFault("in-use", f"the image {name} is still used by a container", retry=True) from None
        raise fault_of(error) from None


def _ours(name: str) -> bool:
    """Whether an image's name is one of ours: kept, or left over from a pull that died between pulling and naming."""
    if name.startswith(KEEP_REPOSITORY + "/"):
        return True
    host, _, path = name.partition("/")
    secret, _, rest = path.partition("/")
    return host.startswith("127.0.0.1:") and len(secret) == 32 and rest.startswith("x@sha256:")


def prune(client: EngineClient, version: str, kept: tuple[Variant, ...]) -> PruneResult:
    """Remove names of ours from images that no container uses and that are not among `kept`; an image goes with its last name."""
    try:
        images = client.call("GET", f"{version}/images/json{query(all=False)}", "listing images")
        containers = client.call("GET", f"{version}/containers/json{query(all=True)}", "listing containers")
    except EngineError as error:
        raise fault_of(error) from None
    used = {image_id(item.get("ImageID")) for item in containers or ()}
    spared = used | {digest for variant in kept for digest in (variant.config.digest, variant.manifest.digest)}
    removed, freed = [], 0
    for item in images or ():
        identity = image_id(item.get("Id"))
        if identity in spared:
            continue
        names = [name for name in (*(item.get("RepoTags") or ()), *(item.get("RepoDigests") or ())) if _ours(name)]
        if not names:
            continue
        for name in names:
            try:
                untag(client, version, name)
            except RuntimeFault as fault:
                if fault.code != "in-use":
                    raise
        if client.find(f"{version}/images/{identity}/json", "looking for an image") is None:
            removed.append(identity)
            size = item.get("Size")
            freed += size if isinstance(size, int) else 0
    return PruneResult(tuple(sorted(removed)), freed)
