"""Documents attached to images as clients attach them: manifests with a subject, and BuildKit's attestations inside an index."""

from __future__ import annotations

import json
from typing import Any

from penstock.server.core.oci import OCI_INDEX, OCI_MANIFEST, Content, read_manifest
from penstock.wire.types import sha256_of
from tests.server.pushing import put_blob
from tools.oci import Image

EMPTY = b"{}"


def spdx(*purls: str) -> dict[str, Any]:
    """A document that lists packages by their URLs."""
    packages = [{"name": f"p{at}", "externalRefs": [{"referenceType": "purl", "referenceLocator": one}]} for at, one in enumerate(purls)]
    return {"spdxVersion": "SPDX-2.3", "packages": packages}


def referrer(subject: str, size: int, document: Any, kind: str = "application/spdx+json") -> tuple[bytes, dict[str, bytes]]:
    """A manifest that names `subject`, and the blobs it needs."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    plain = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256_of(EMPTY), "size": len(EMPTY)},
        "layers": [{"mediaType": kind, "digest": sha256_of(raw), "size": len(raw)}],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": size},
    }
    return json.dumps(plain).encode(), {sha256_of(EMPTY): EMPTY, sha256_of(raw): raw}


def cosigned(*documents: Any, kind: str = "application/vnd.dev.cosign.simplesigning.v1+json") -> tuple[bytes, dict[str, bytes]]:
    """A manifest as cosign makes it, for a tag that names the image; and the blobs it needs."""
    raws = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in documents]
    config = json.dumps({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [sha256_of(one) for one in raws]}}).encode()
    plain = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256_of(config), "size": len(config)},
        "layers": [{"mediaType": kind, "digest": sha256_of(one), "size": len(one)} for one in raws],
    }
    return json.dumps(plain).encode(), {sha256_of(one): one for one in (config, *raws)}


def listing(*manifests: bytes, kind: str = "application/spdx+json") -> bytes:
    """A list of referrers, as an index."""
    entries = [{"mediaType": OCI_MANIFEST, "digest": sha256_of(one), "size": len(one), "artifactType": kind} for one in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def put(content: Content, repository: str, made: tuple[bytes, dict[str, bytes]], *tags: str) -> str:
    """A manifest with its blobs; its digest."""
    for blob in made[1].values():
        put_blob(content, repository, blob)
    return content.put_manifest(repository, made[0], read_manifest(made[0], OCI_MANIFEST), *tags)


def attach(content: Content, repository: str, subject: str, document: Any, kind: str = "application/spdx+json") -> str:
    """A document as a referrer; the digest of its manifest."""
    stored = content.manifest(repository, subject)
    return put(content, repository, referrer(subject, len(stored.raw) if stored else 2, document, kind))


def push_attested(content: Content, repository: str, image: Image, tag: str, *statements: Any) -> str:
    """An image as BuildKit pushes it: an index with an attestation manifest for its one platform; the index's digest."""
    (variant,) = image.variants
    for digest, data in image.blobs.items():
        if digest not in (variant.digest, image.digest):
            put_blob(content, repository, data)
    content.put_manifest(repository, variant.manifest, read_manifest(variant.manifest))
    config = json.dumps({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    layers = []
    for statement in statements:
        raw = json.dumps(statement).encode()
        note = {"in-toto.io/predicate-type": statement["predicateType"]}
        layers.append({"mediaType": "application/vnd.in-toto+json", "digest": put_blob(content, repository, raw), "size": len(raw), "annotations": note})
    told = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": put_blob(content, repository, config), "size": len(config)},
        "layers": layers,
    }
    attestation = json.dumps(told).encode()
    content.put_manifest(repository, attestation, read_manifest(attestation))
    architecture = json.loads(image.blobs[read_manifest(variant.manifest).config.digest])["architecture"]  # type: ignore[union-attr]
    marks = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": variant.digest}
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {"mediaType": OCI_MANIFEST, "digest": variant.digest, "size": len(variant.manifest), "platform": {"os": "linux", "architecture": architecture}},
                {
                    "mediaType": OCI_MANIFEST,
                    "digest": sha256_of(attestation),
                    "size": len(attestation),
                    "platform": {"os": "unknown", "architecture": "unknown"},
                    "annotations": marks,
                },
            ],
        }
    ).encode()
    return content.put_manifest(repository, index, read_manifest(index), tag)
