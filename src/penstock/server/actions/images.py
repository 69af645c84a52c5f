"""Images of the built-in registry: looked up for a release, kept while a release needs them, swept when nothing does.

Owns the reading of the documents that `core.images` makes a pinned image of. Never decides whether they are good enough.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.server.actions.context import Plane
from penstock.server.actions.remembering import remember
from penstock.server.core.images import MAX_VARIANTS, Documents, Wanted, digests, is_image
from penstock.server.core.oci import CONFIGS, Collected, Content, read_manifest
from penstock.server.core.registryviews import Pin
from penstock.server.core.release import load
from penstock.server.store import releases
from penstock.server.store.db import Tx

MAX_CONFIG = 4 * 1024 * 1024  # bytes


def registry_hosts(plane: Plane) -> tuple[str, ...]:
    """The names under which people push to the built-in registry, "host:port"."""
    return tuple(address.partition("://")[2].rstrip("/") for address in plane.addresses)


def find(content: Content, where: Wanted) -> Documents | None:
    """Read an image's documents from a registry's storage; None where the name is not there. Waits for a disk. Raises OciError."""
    top = content.manifest(where.repository, where.reference)
    if top is None:
        return None
    # Asking for its size makes it young: a sweep that runs before the release is stored leaves it alone.
    content.blob_size(top.digest, where.repository)
    parts: dict[str, bytes] = {}
    manifest = read_manifest(top.raw, top.media_type)
    children = [child for child in manifest.children if is_image(child)]
    for child in children[:MAX_VARIANTS]:
        stored = content.manifest(where.repository, child.digest)
        if stored is not None:
            content.blob_size(child.digest, where.repository)
            parts[child.digest] = stored.raw
    for raw in [top.raw, *parts.values()]:
        inner = read_manifest(raw)
        if inner.config is not None and inner.config.media_type in CONFIGS:
            size = content.blob_size(inner.config.digest, where.repository)
            if size is not None and size == inner.config.size <= MAX_CONFIG:
                parts[inner.config.digest] = content.read(inner.config.digest, 0, size)
    return Documents(top, parts)


def pinned(plane: Plane, digest: str) -> bool:
    """Whether a published release names this blob or manifest."""
    return digest in plane.db.view(lambda tx: pins(plane, tx))


def pins(plane: Plane, tx: Tx) -> Mapping[str, tuple[Pin, ...]]:
    """Everything of the registry that published releases need, and which do. Releases are never deleted, and a device goes back only to one of them: so this is
    also everything anybody's way back needs."""

    def read() -> Mapping[str, tuple[Pin, ...]]:
        found: dict[str, set[Pin]] = {}
        for row in releases.of_app(tx):
            for digest in frozenset[str]().union(*(digests(image) for image in load(row.document).every_image)):
                found.setdefault(digest, set()).add(Pin(row.app, row.version))
        return {digest: tuple(sorted(who, key=lambda pin: (pin.app, pin.version))) for digest, who in found.items()}

    known: Mapping[str, tuple[Pin, ...]] = remember(plane, ("pins", len(releases.versions(tx))), read)
    return known


def collect(plane: Plane, *, look_only: bool = False) -> Collected:
    """Throw away uploads that were given up and content that nothing names, or say what would go. What a release needs stays."""
    found: Collected = plane.blobs.collect(plane.clock.now_ms(), frozenset(plane.db.view(lambda tx: pins(plane, tx))), look_only=look_only)
    return found


def sweep(plane: Plane) -> int:
    """The same, by itself; bytes freed."""
    return int(collect(plane).bytes)
