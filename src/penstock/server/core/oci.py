"""What an OCI registry speaks of: names, tags, digests, manifests.

Owns their grammar and limits, and the reading of a manifest far enough to know what it refers to (OCI image-spec manifest.md,
image-index.md; distribution-spec; Docker's schema 2, which has the same shape). Never touches storage or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.wire.codec import MAX_INTEGER, WireError, parse
from penstock.wire.types import digest_fault

MAX_MANIFEST = 4 * 1024 * 1024  # bytes; what clients and other registries keep to
MAX_REFERENCES = 1024  # of one manifest
MAX_NAME = 200  # characters of a repository: it must fit a file name, with room for a suffix

NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
CONFIGS = (OCI_CONFIG, DOCKER_CONFIG)


class OciError(ValueError):
    """A name, digest or manifest that is none. `why` is a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class WrongDigest(OciError):
    """The bytes that came are not those that were announced."""


class WrongOffset(OciError):
    """A piece of an upload that does not continue it. `size` is what is there."""

    def __init__(self, why: str, size: int) -> None:
        super().__init__(why)
        self.size = size


class NotThere(OciError):
    """Something named does not exist here. `digest` says which content, where it is one."""

    def __init__(self, why: str, digest: str = "") -> None:
        super().__init__(why)
        self.digest = digest


class NoSpace(OciError):
    """The storage is full, or would be."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content (OCI image-spec, descriptor.md)."""

    digest: str
    size: int
    media_type: str
    platform: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    foreign: bool = False  # the bytes are somewhere else (`urls`, or a non-distributable type)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest or index refers to. `config` is None for an index; `children` are manifests, empty for an image."""

    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once."""
        found = {one.digest: one for one in (*((self.config,) if self.config else ()), *self.layers)}
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Stored:
    """A manifest as it was pushed, to the byte."""

    digest: str
    media_type: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest that names another as its subject (distribution-spec, listing referrers)."""

    stored: Stored
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Collected:
    """What a sweep removed, or would: uploads given up, content and its bytes, and the manifests, each (repository, digest)."""

    uploads: int = 0
    blobs: int = 0
    bytes: int = 0
    manifests: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag, what it names, and since when (unix milliseconds)."""

    tag: str
    digest: str
    since_ms: int


class Content(Protocol):
    """The registry's storage. Every method is synchronous and may wait for a disk: call it in a thread. Names and digests are checked
    by the caller. `repository` scopes what is visible: a blob is seen only through a repository it was pushed to or mounted in."""

    def begin(self, repository: str) -> str:
        """A new upload; its id. Raises NoSpace."""
        ...

    def append(self, repository: str, upload: str, data: bytes, at: int) -> int:
        """Add bytes at offset `at`; the new size. Raises NotThere, WrongOffset, NoSpace."""
        ...

    def upload_size(self, repository: str, upload: str) -> int:
        """Bytes an upload has. Raises NotThere."""
        ...

    def finish(self, repository: str, upload: str, digest: str) -> int:
        """Make the upload a blob, durably; its size. Raises NotThere, WrongDigest (the upload is gone then)."""
        ...

    def abort(self, repository: str, upload: str) -> None:
        """Throw an upload away. Raises NotThere."""
        ...

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Make a blob of repository `source` visible in `repository` too; False where there is none."""
        ...

    def blob_size(self, digest: str, repository: str | None = None) -> int | None:
        """Size of a blob, None where there is none; in any repository where none is named."""
        ...

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """At most `size` bytes of a blob from `offset`. Raises NotThere."""
        ...

    def delete_blob(self, repository: str, digest: str) -> None:
        """The blob is no longer visible in this repository. Raises NotThere."""
        ...

    def holders(self, digest: str) -> tuple[str, ...]:
        """The repositories a blob is in, sorted."""
        ...

    def put_manifest(self, repository: str, raw: bytes, manifest: Manifest, *tags: str) -> str:
        """Store a manifest under its digest and `tags` (empty ones count for none); the digest. Raises NotThere for content it names that is not here."""
        ...

    def manifest(self, repository: str, reference: str) -> Stored | None:
        """A manifest by tag or digest."""
        ...

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Remove a manifest, its tags and those that only say what is attached to it (see `core.attached`). Raises NotThere."""
        ...

    def delete_tag(self, repository: str, tag: str) -> None:
        """Remove a tag. Raises NotThere."""
        ...

    def tags(self, repository: str) -> tuple[str, ...]:
        """Tags of a repository, sorted. Raises NotThere where there is no such repository."""
        ...

    def tagged(self, repository: str) -> tuple[Tagged, ...]:
        """Tags of a repository with what they name, sorted; none where there is no such repository."""
        ...

    def manifests(self, repository: str) -> tuple[str, ...]:
        """Digests of a repository's manifests, with and without a tag, sorted."""
        ...

    def sizes(self, repository: str) -> Mapping[str, int]:
        """Everything a repository holds, blobs and manifests: bytes by digest."""
        ...

    def repositories(self) -> tuple[str, ...]:
        """Every repository, sorted."""
        ...

    def referrers(self, repository: str, digest: str) -> tuple[Referrer, ...]:
        """Manifests whose subject is `digest`, sorted by digest."""
        ...

    def collect(self, now_ms: int, keep: frozenset[str] = frozenset(), *, look_only: bool = False) -> Collected:
        """Sweep by the rule of `core.sweeping`; whatever is in `keep` (digests) stays. `look_only`: say what would go."""
        ...


def check_references(manifest: Manifest, blob_size: Callable[[str], int | None], has_manifest: Callable[[str], bool]) -> None:
    """Raise when a manifest names content that is not here, or not of the size it says. A subject may come later (distribution-spec)."""
    for descriptor in (manifest.config, *manifest.layers):  # each time it is named: two sizes of one digest cannot both be right
        if descriptor is None or descriptor.foreign:
            continue
        size = blob_size(descriptor.digest)
        if size is None:
            raise NotThere(f"the blob {descriptor.digest} is not in this repository; push it first", descriptor.digest)
        if size != descriptor.size:
            raise OciError(f"the manifest says that {descriptor.digest} has {descriptor.size} bytes; it has {size}")
    for child in manifest.children:
        if not has_manifest(child.digest):
            raise NotThere(f"the manifest {child.digest} is not in this repository; push all platforms", child.digest)


def name_fault(name: str) -> str | None:
    """Why `name` is no repository; None when it is one (distribution-spec, <name>)."""
    if len(name) > MAX_NAME:
        return f"a repository name has at most {MAX_NAME} characters"
    if not NAME.match(name):
        return "a repository name has lower-case letters and digits, separated by '.', '_', '-' or '/'"
    return None


def check_digest(text: str) -> str:
    """The digest `text` is. Raises OciError."""
    fault = digest_fault(text)
    if fault:
        raise OciError(f"{text[:80]!r} is no digest this registry keeps: {fault}")
    return text


# --- manifests --------------------------------------------------------------------------------------------------------


def read_manifest(raw: bytes, content_type: str = "") -> Manifest:
    """What a manifest says. `content_type` is what it was pushed as; it must agree with what the manifest says of itself. Raises
    OciError."""
    try:
        plain = parse(raw, MAX_MANIFEST)
    except WireError as fault:
        raise OciError(f"the manifest is not understood: {fault}") from None
    if not isinstance(plain, dict):
        raise OciError("the manifest is no JSON object")
    if plain.get("schemaVersion") != 2:
        raise OciError("the manifest is not of schema version 2; push with Docker 1.10 or later")
    said = _text(plain, "mediaType")
    given = content_type.partition(";")[0].strip().lower()
    if said and given and said != given:
        raise OciError(f"the manifest calls itself {said[:100]}, and was sent as {given[:100]}")
    kind = said or given or _guess(plain)
    if kind not in MANIFESTS + INDEXES:
        raise OciError(f"manifests of the type {kind[:100]!r} are not kept here; push an OCI or Docker image, index or artifact")
    if (kind in INDEXES) != ("manifests" in plain) or (kind in INDEXES) == ("layers" in plain or "config" in plain):
        raise OciError(f"the manifest is no {kind}: it mixes an index and an image")
    subject = plain.get("subject")
    common: dict[str, Any] = {
        "media_type": kind,
        "subject": _descriptor(subject, "subject") if subject is not None else None,
        "artifact_type": _text(plain, "artifactType"),
        "annotations": _annotations(plain, ""),
    }
    if kind in INDEXES:
        return Manifest(children=_descriptors(plain, "manifests"), **common)
    if "config" not in plain:
        raise OciError("the manifest has no config")
    return Manifest(config=_descriptor(plain["config"], "config"), layers=_descriptors(plain, "layers"), **common)


def _guess(plain: dict[str, Any]) -> str:
    """An OCI manifest may leave its media type out."""
    return OCI_INDEX if "manifests" in plain else OCI_MANIFEST


def _text(plain: dict[str, Any], key: str, where: str = "") -> str:
    value = plain.get(key, "")
    if not isinstance(value, str) or len(value) > 1000:
        raise OciError(f"{where}{key} is no text")
    return value


def _annotations(plain: dict[str, Any], where: str) -> dict[str, str]:
    found = plain.get("annotations") or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise OciError(f"{where}annotations are no mapping of texts")
    return found


def _descriptors(plain: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    found = plain.get(key)
    if found is None:
        return ()  # Go writes an empty list as null
    if not isinstance(found, list):
        raise OciError(f"{key} is no list")
    if len(found) > MAX_REFERENCES:
        raise OciError(f"{key} has {len(found)} items, more than the {MAX_REFERENCES} allowed")
    return tuple(_descriptor(item, f"{key}[{index}]") for index, item in enumerate(found))


def _descriptor(plain: Any, where: str) -> Descriptor:
    if not isinstance(plain, dict):
        raise OciError(f"{where} is no descriptor")
    digest, size = plain.get("digest"), plain.get("size")
    if not isinstance(digest, str) or digest_fault(digest):
        raise OciError(f"{where}.digest is no SHA-256 digest")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_INTEGER:
        raise OciError(f"{where}.size is no size")
    media_type = _text(plain, "mediaType", f"{where}.")
    urls = plain.get("urls")
    return Descriptor(
        digest=digest,
        size=size,
        media_type=media_type,
        platform=_platform(plain.get("platform"), where),
        annotations=_annotations(plain, f"{where}."),
        foreign=bool(urls) or "nondistributable" in media_type or ".foreign." in media_type,
    )


def _platform(plain: Any, where: str) -> str:
    """ "os/architecture[/variant]"; empty where there is none."""
    if plain is None:
        return ""
    if not isinstance(plain, dict):
        raise OciError(f"{where}.platform is no platform")
    parts = [_text(plain, key, f"{where}.platform.") for key in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if part)


def config_platform(raw: bytes) -> str:
    """The platform an image's config names. Raises OciError."""
    try:
        plain = parse(raw, MAX_MANIFEST)
    except WireError as fault:
        raise OciError(f"the image's config is not understood: {fault}") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("architecture"), str) or not isinstance(plain.get("os"), str):
        raise OciError("the image's config names no processor and system")
    return _platform({key: plain.get(key) or "" for key in ("os", "architecture", "variant")}, "config")
