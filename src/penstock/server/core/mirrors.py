"""Copies of other registries' images: what is copied of one, and what is known of it since.

Owns the nouns (upstream, mirror), the choosing of platforms from a manifest or index as its bytes say it, what is due for another look and what a
look means. Never copies, never asks a registry: `effects.upstream` does, and `actions.mirrors` puts the two together.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from penstock.rules.platforms import normal
from penstock.server.core.images import MAX_VARIANTS, Wanted, is_image
from penstock.server.core.oci import INDEXES, MANIFESTS, OCI_INDEX, Descriptor, Manifest, OciError, read_manifest
from penstock.wire.types import digest_fault, sha256_of

WAITING, COPYING, DONE, FAILED = "waiting", "copying", "done", "failed"
ATTESTED = "vnd.docker.reference.digest"  # an entry of an index that says something of another one (BuildKit)
MOST_UPSTREAMS = 200
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[0-9]{1,5})?\Z")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?\Z")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A registry that images may be copied from. `host` as it stands in names of images ("docker.io", "registry.example:5000"); `vaulted` is the
    password as the vault keeps it, empty where none is needed; `ca` PEM certificates to trust (empty: the system's); `insecure`: plain HTTP, or a
    certificate nobody checks. `tested_ms` and `why`: when it was last tried, and why that failed (empty: it did not)."""

    host: str
    user: str
    vaulted: str
    ca: str
    insecure: bool
    created_ms: int
    created_by: str
    revision: int = 1
    tested_ms: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of another registry's image, or one on its way. `source` is "ghcr.io/x/y:2", `repository` and `reference` its place here. `upstream` is the
    digest it had there when it was copied, `digest` the one it has here (another where only some platforms were taken). `seen` is the digest last seen
    there; `moved_ms`, `gone_ms`, `unreachable_ms`: since when it names other content, is no longer there, cannot be asked (0: no such thing). `attached`: how many
    documents attached to it there are here too, and `attached_why` what of them is not."""

    id: str
    source: str
    repository: str
    reference: str
    platforms: tuple[str, ...]
    state: str
    why: str
    told: bool
    digest: str
    upstream: str
    bytes: int
    asked_ms: int
    asked_by: str
    copied_ms: int
    checked_ms: int
    seen: str
    moved_ms: int
    gone_ms: int
    unreachable_ms: int
    unreachable_why: str
    attached: int
    attached_why: str

    @property
    def host(self) -> str:
        """The registry it comes from."""
        return host_of(self.source)

    @property
    def by_tag(self) -> bool:
        """Whether it was named by a tag, which may move; a digest cannot."""
        return digest_fault(self.reference) is not None


def host_of(source: str) -> str:
    """The registry of a source such as "ghcr.io/x/y:2"."""
    return source.partition("/")[0]


HUB = "docker.io"


def source_of(place: Wanted, hosts: tuple[str, ...]) -> str:
    """Where an image that is not here would come from: the registry its name says, or Docker Hub where it says none, as engines take it. Empty for an image of
    this registry (`hosts`)."""
    if place.source or place.name.partition("/")[0] in hosts:
        return place.source
    inner = place.repository if "/" in place.repository else f"library/{place.repository}"
    return f"{HUB}/{inner}{'@' if digest_fault(place.reference) is None else ':'}{place.reference}"


def at_digest(source: str, digest: str) -> str:
    """A source with a digest in place of its tag or digest."""
    head, slash, tail = source.partition("@")[0].rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}@{digest}"


def host_fault(host: str) -> str:
    """Why `host` is no registry's name; empty when it is one."""
    if not _HOST.match(host) or not ("." in host or ":" in host or host == "localhost"):
        return f"{host[:100]!r} is no registry as it stands in names of images; write ghcr.io or registry.example:5000"
    return ""


def platform_fault(platform: str) -> str:
    """Why this is no platform; empty when it is one."""
    return "" if _PLATFORM.match(platform) else f"{platform[:60]!r} is no platform; write linux/amd64 or linux/arm/v7"


# --- what is copied -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """What is copied of an image: its manifests (with those that attest something of them), and the top that names them here. `top` is the upstream's own
    bytes, unless only some platforms are taken: then an index of just those, or nothing where one manifest stands for itself."""

    upstream: str
    children: tuple[Descriptor, ...]
    top: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """What the image is called by here."""
        return sha256_of(self.top) if self.top else self.children[0].digest


def choose(raw: bytes, platforms: tuple[str, ...] = ()) -> Choice:
    """What to copy of the image whose manifest or index is `raw`: all platforms unless some are named. Raises OciError."""
    manifest = read_manifest(raw)
    upstream = sha256_of(raw)
    if manifest.media_type in MANIFESTS:
        # One manifest has one platform, which only its config says; publishing checks it.
        return Choice(upstream, (Descriptor(upstream, len(raw), manifest.media_type),), b"", manifest.media_type)
    if manifest.media_type not in INDEXES:
        raise OciError(f"it is no image but {manifest.media_type[:100]}")
    if any(child.media_type in INDEXES for child in manifest.children):
        raise OciError("it is an index with another index inside, which devices cannot run")
    if len(manifest.children) > 2 * MAX_VARIANTS:
        raise OciError(f"it names {len(manifest.children)} manifests, more than the {2 * MAX_VARIANTS} allowed")
    if not platforms:
        return Choice(upstream, manifest.children, raw, manifest.media_type)
    return _some(raw, manifest, upstream, platforms)


def _some(raw: bytes, manifest: Manifest, upstream: str, platforms: tuple[str, ...]) -> Choice:
    wanted = {normal(one) for one in platforms}
    images = [child for child in manifest.children if is_image(child)]
    taken = [child for child in images if normal(child.platform) in wanted]
    lacking = wanted - {normal(child.platform) for child in taken}
    if lacking:
        there = ", ".join(sorted({child.platform for child in images})) or "none"
        raise OciError(f"it is not there for {', '.join(sorted(lacking))}, but for {there}")
    digests = {child.digest for child in taken}
    attesting = [child for child in manifest.children if not is_image(child) and child.annotations.get(ATTESTED) in digests]
    if len(taken) + len(attesting) == 1:
        return Choice(upstream, tuple(taken), b"", taken[0].media_type)
    keep = digests | {child.digest for child in attesting}
    plain = json.loads(raw)
    plain["manifests"] = [one for one in plain["manifests"] if one["digest"] in keep]
    top = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    return Choice(upstream, (*taken, *attesting), top, manifest.media_type or OCI_INDEX)


# --- looking again ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at an upstream found: the `digest` of the tag now; or that it is `gone`; or `why` it could not be asked."""

    digest: str = ""
    gone: bool = False
    why: str = ""


def due(mirror: Mirror, now_ms: int, every_ms: int) -> bool:
    """Whether a mirror is to be looked at again: copied, and not looked at for so long. A digest cannot move, but go, and more may be attached to it."""
    return mirror.state == DONE and now_ms - max(mirror.checked_ms, mirror.copied_ms) >= every_ms


def looked(mirror: Mirror, found: Look, now_ms: int) -> Mirror:
    """The mirror after a look. What is here stays as it is, whatever was found."""
    if found.why:
        return replace(mirror, checked_ms=now_ms, unreachable_ms=mirror.unreachable_ms or now_ms, unreachable_why=found.why)
    reached = replace(mirror, checked_ms=now_ms, unreachable_ms=0, unreachable_why="")
    if found.gone:
        return replace(reached, gone_ms=mirror.gone_ms or now_ms)
    moved_ms = 0
    if found.digest != mirror.upstream:
        moved_ms = mirror.moved_ms if mirror.moved_ms and mirror.seen == found.digest else now_ms
    return replace(reached, seen=found.digest, gone_ms=0, moved_ms=moved_ms)


def news(before: Mirror, after: Mirror) -> tuple[str, str]:
    """The verb and sentence of what a look brought to light, both empty where it is nothing new."""
    if after.unreachable_ms and not before.unreachable_ms:
        return "mirror.unreachable", f"{after.source} cannot be looked at: {after.unreachable_why}"
    if after.gone_ms and not before.gone_ms:
        return "mirror.gone", f"{after.source} is no longer there; the copy here stays as it is"
    if after.moved_ms and (after.moved_ms != before.moved_ms):
        return "mirror.moved", f"{after.source} moved from {after.upstream} to {after.seen}; the copy here stays as it is"
    if before.unreachable_ms and not after.unreachable_ms:
        return "mirror.reached", f"{after.source} can be looked at again"
    return "", ""
