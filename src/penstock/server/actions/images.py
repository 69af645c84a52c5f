"""Looking an image up in the built-in registry.

Owns the reading of the documents that `core.images` makes a pinned image of. Never decides whether they are good enough.
"""

from __future__ import annotations

from penstock.server.actions.catalog import remember
from penstock.server.actions.context import Plane
from penstock.server.core.images import MAX_VARIANTS, Documents, Wanted, is_image
from penstock.server.core.oci import DOCKER_CONFIG, OCI_CONFIG, Content, read_manifest
from penstock.server.core.release import load
from penstock.server.store import releases
from penstock.server.store.db import Tx

MAX_CONFIG = 4 * 1024 * 1024  # bytes


def find(content: Content, where: Wanted) -> Documents | None:
    """Read an image's documents from a registry's storage; None where the name is not there. Waits for a disk. Raises OciError."""
    top = content.manifest(where.repository, where.reference)
    if top is None:
        return None
    parts: dict[str, bytes] = {}
    manifest = read_manifest(top.raw, top.media_type)
    children = [child for child in manifest.children if is_image(child)]
    for child in children[:MAX_VARIANTS]:
        stored = content.manifest(where.repository, child.digest)
        if stored is not None:
            parts[child.digest] = stored.raw
    for raw in [top.raw, *parts.values()]:
        inner = read_manifest(raw)
        if inner.config is not None and inner.config.media_type in (OCI_CONFIG, DOCKER_CONFIG):
            size = content.blob_size(inner.config.digest, where.repository)
            if size is not None and size == inner.config.size <= MAX_CONFIG:
                parts[inner.config.digest] = content.read(inner.config.digest, 0, size)
    return Documents(top, parts)


def pinned(plane: Plane, digest: str) -> bool:
    """Whether a published release names this blob or manifest."""
    known: frozenset[str] = remember(plane, ("pinned", plane.db.view(lambda tx: len(releases.versions(tx)))), lambda: plane.db.view(_pinned))
    return digest in known


def _pinned(tx: Tx) -> frozenset[str]:
    found: set[str] = set()
    for row in releases.of_app(tx):
        for image in load(row.document).images:
            found.add(image.index)
            for variant in image.variants:
                found.update((variant.manifest.digest, variant.config.digest, *(layer.digest for layer in variant.layers)))
    return frozenset(found - {""})
