"""Small images put into a registry's storage without HTTP, for tests of what stands on it."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.server.core.oci import Content, read_manifest
from penstock.wire.types import sha256_of
from tools.oci import Entry, Image, make_image, make_layer, make_variant


def small_image(text: str = "one", platforms: Sequence[str] = ("linux/amd64",), *, indexed: bool | None = None, docker_types: bool = False) -> Image:
    """An image that holds one file; other text, other digests."""
    variants = [
        make_variant(platform, [make_layer([Entry("text", f"{text} {platform}".encode())])], {"Cmd": ["/x"]}, docker_types=docker_types)
        for platform in platforms
    ]
    return make_image(variants, indexed=indexed)


def put_blob(content: Content, repository: str, data: bytes) -> str:
    upload = content.begin(repository)
    content.append(repository, upload, data, 0)
    digest = sha256_of(data)
    assert content.finish(repository, upload, digest) == len(data)
    return digest


def push(content: Content, repository: str, image: Image, *tags: str) -> str:
    """Blobs, manifests, index, tags: as a client does it. The digest of the top."""
    manifests = {variant.digest for variant in image.variants} | {image.digest}
    for digest, data in image.blobs.items():
        if digest not in manifests:
            put_blob(content, repository, data)
    for variant in image.variants:
        content.put_manifest(repository, variant.manifest, read_manifest(variant.manifest, variant.manifest_type), *(tags if image.index is None else ()))
    if image.index is not None:
        content.put_manifest(repository, image.index, read_manifest(image.index, image.index_type), *tags)
    return image.digest
