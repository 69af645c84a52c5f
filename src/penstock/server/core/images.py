"""From the image a Compose file names to the image a release pins.

Owns where an image is looked for in the built-in registry (`wanted`), and the making of a wire Image, every platform listed, from the
manifests found there (`image_from`). Never reads storage: the caller brings the documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.rules.platforms import normal
from penstock.server.core.oci import CONFIGS, MANIFESTS, TAG, Descriptor, OciError, Stored, config_platform, name_fault, read_manifest
from penstock.wire.codec import MAX_ITEMS
from penstock.wire.types import Blob, Image, Variant, digest_fault

MAX_VARIANTS = 64
DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where an image should be in the built-in registry. `name` is as written; `reference` a tag or digest; `source` where a copy would
    come from, empty where the name says no other registry."""

    name: str
    repository: str
    reference: str
    source: str = ""


def app_of(repository: str) -> str:
    """The app a repository belongs to, as far as rights go: the first part of its name."""
    return repository.partition("/")[0]


def wanted(name: str, hosts: tuple[str, ...] = ()) -> Wanted:
    """The place of the image that a Compose file calls `name`. `hosts` are the names ("plane.example:8443") of this registry.

    "shop/web:1" and "HOST/shop/web:1" are repository shop/web here. An image of another registry keeps that registry's name in front,
    "ghcr.io/shop/web" (without its port), so that copies of different registries do not meet. Raises OciError."""
    rest, at, digest = name.partition("@")
    if at and digest_fault(digest):
        raise OciError(f"{name[:100]!r} is no image: {digest_fault(digest)}")
    head, slash, tail = rest.rpartition("/")
    last, colon, tag = tail.partition(":")
    path = head + slash + last
    if colon and not TAG.match(tag):
        raise OciError(f"{name[:100]!r} is no image: {tag[:60]!r} is no tag")
    host, slash, inner = path.partition("/")
    source = ""
    if path.split("/")[0] in hosts and slash:
        path = inner
    elif slash and ("." in host or ":" in host or host == "localhost"):
        if host in DOCKER_HUB:
            path = inner.removeprefix("library/")
            source = f"docker.io/{inner if '/' in inner else 'library/' + inner}"
        else:
            source = path
            path = f"{host.partition(':')[0]}/{inner}"
    fault = name_fault(path)
    if fault:
        raise OciError(f"{name[:100]!r} is no image: {fault}")
    reference = digest if at else tag or "latest"
    suffix = f"@{digest}" if at else f":{tag or 'latest'}"
    return Wanted(name, path, reference, source + suffix if source else "")


def remedy(found: Wanted, host: str) -> str:
    """How a person brings the image here."""
    separator = "@" if found.reference.startswith("sha256:") else ":"
    here = f"{host}/{found.repository}{separator}{found.reference}"
    if found.source or separator == "@":
        source = found.source or f"REGISTRY/{found.repository}{separator}{found.reference}"
        return f"copy it: skopeo copy --all docker://{source} docker://{here}"
    return f"push it: docker tag {found.name} {here} && docker push {here}"


@dataclass(frozen=True, slots=True)
class Documents:
    """An image as found: the manifest or index of its name, and every manifest and config it leads to, by digest."""

    top: Stored
    parts: Mapping[str, bytes]


def image_from(name: str, found: Documents) -> Image:
    """The wire Image of what was found. Raises OciError when it is no image that a device can run."""
    manifest = read_manifest(found.top.raw, found.top.media_type)
    if manifest.media_type in MANIFESTS:
        variant = _variant(Descriptor(found.top.digest, len(found.top.raw), manifest.media_type), found.top.raw, found.parts)
        return Image(name=name, variants=(variant,))
    variants: dict[str, Variant] = {}
    children = [child for child in manifest.children if is_image(child)]
    if len(children) > MAX_VARIANTS:
        raise OciError(f"the image has {len(children)} platforms, more than the {MAX_VARIANTS} allowed")
    for child in children:
        raw = found.parts.get(child.digest)
        if raw is None:
            raise OciError(f"the index names {child.platform or child.digest}, which was not pushed; push all platforms (skopeo copy --all)")
        variant = _variant(child, raw, found.parts)
        # The first of one platform wins, as it does for engines that pull by index.
        variants.setdefault(variant.platform, variant)
    if not variants:
        raise OciError("the index names no image")
    return Image(name=name, variants=tuple(sorted(variants.values(), key=lambda variant: variant.platform)), index=found.top.digest)


def digests(image: Image) -> frozenset[str]:
    """Everything of the registry that a pinned image needs: what a sweep must keep."""
    found = {image.index} if image.index else set()
    for variant in image.variants:
        found.update((variant.manifest.digest, variant.config.digest, *(layer.digest for layer in variant.layers)))
    return frozenset(found)


def is_image(child: Descriptor) -> bool:
    """Whether an entry of an index is an image to run; build attestations stand in the same list (platform "unknown")."""
    return "vnd.docker.reference.type" not in child.annotations and not child.platform.startswith("unknown")


def _variant(descriptor: Descriptor, raw: bytes, parts: Mapping[str, bytes]) -> Variant:
    manifest = read_manifest(raw)
    if manifest.config is None:
        raise OciError("an index inside an index cannot be run; push the inner one")
    if manifest.config.media_type not in CONFIGS:
        raise OciError(f"this is no container image but {manifest.artifact_type or manifest.config.media_type or 'something else'}")
    config = parts.get(manifest.config.digest)
    if config is None:
        raise OciError("the image's config is missing or larger than 4 MiB; push the image again")
    if any(layer.foreign for layer in manifest.layers):
        raise OciError("a layer is kept in another registry, where devices cannot fetch it; push the image with all its layers")
    if len(manifest.layers) > MAX_ITEMS:
        raise OciError("the image has too many layers")
    # The config is what the engine believes; an index may leave the variant out.
    platform = normal(config_platform(config))
    media_type = manifest.media_type if descriptor.media_type == "" else descriptor.media_type
    return Variant(
        platform=platform,
        manifest=Blob(descriptor.digest, len(raw), media_type),
        config=Blob(manifest.config.digest, manifest.config.size, manifest.config.media_type),
        layers=tuple(Blob(layer.digest, layer.size, layer.media_type) for layer in manifest.layers),
    )
