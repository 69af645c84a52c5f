"""Shapes for where images come from and what is in them: upstream registries, mirrors, attached documents, what runs where, vulnerability lists, templates."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.common import Text

Host = Annotated[str, Meta(min_length=1, max_length=259)]
Word = Annotated[str, Meta(max_length=200)]


class Upstream(Struct, frozen=True, kw_only=True):
    """A registry that images may be copied from. `password` says whether one is kept; it is never shown. `tested_ms` and `why`: the last try, and why it failed."""

    host: str
    user: str
    password: bool
    ca: str
    insecure: bool
    created_ms: int
    by: str
    tested_ms: int
    why: str


class UpstreamSet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a registry is reached. `password` left out keeps the one there is. `ca`: PEM certificates to trust for it; `insecure`: plain HTTP, or a certificate
    that nobody checks."""

    host: Host
    user: Word = ""
    password: Annotated[str, Meta(max_length=4096)] | None = None
    ca: Annotated[str, Meta(max_length=20_000)] = ""
    insecure: bool = False


class UpstreamTested(Struct, frozen=True, kw_only=True):
    """How a try ended. `answered` False: `why` says what was answered instead."""

    answered: bool
    why: str


class Mirror(Struct, frozen=True, kw_only=True):
    """A copy of another registry's image. `upstream` is the digest it had there when it was copied, `digest` the one it has here; `seen` what the tag named
    there at the last look. `moved_ms`, `gone_ms`, `unreachable_ms`: since when it names other content, is no longer there, cannot be asked (0: no such
    thing). `done` of `total` bytes are here while it is copied. `releases` pin what it holds. `attached` of the documents attached to it there are here too;
    `attached_why` says why not all of them are (empty: they are)."""

    id: str
    source: str
    repository: str
    reference: str
    platforms: tuple[str, ...]
    state: Literal["waiting", "copying", "done", "failed"]
    why: str
    digest: str
    upstream: str
    seen: str
    bytes: int
    done: int
    total: int
    asked_ms: int
    by: str
    copied_ms: int
    checked_ms: int
    moved_ms: int
    gone_ms: int
    unreachable_ms: int
    unreachable_why: str
    releases: tuple[str, ...]
    attached: int
    attached_why: str


class MirrorCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Look again at one mirror, by id or source; at all of them where none is named."""

    mirror: Annotated[str, Meta(max_length=512)] = ""


class Attached(Struct, frozen=True, kw_only=True):
    """A document attached to an image: a list of packages (`spdx`, `cyclonedx`), a signature (kept and shown, not verified), another attestation. `packages` is how many it lists (-1: none
    by its nature, or not read yet), `why` why it could not be read."""

    document: str
    manifest: str
    subject: str
    platform: str
    kind: Literal["spdx", "cyclonedx", "signature", "attestation", "other"]
    media_type: str
    bytes: int
    packages: int
    why: str


class ImageAttached(Struct, frozen=True, kw_only=True):
    """An image of a release, and what is attached to it."""

    image: str
    attached: tuple[Attached, ...]


class FoundPackage(Struct, frozen=True, kw_only=True):
    """What was found in an image. `affected`, or `unknown`: `why` it cannot be told. `fixed` is the version to go to, where one is known. No name: it is the
    digest that was asked for."""

    verdict: Literal["affected", "unknown"]
    ecosystem: str = ""
    name: str = ""
    version: str = ""
    purl: str = ""
    fixed: str = ""
    vulnerability: str = ""
    why: str = ""


class FoundPlace(Struct, frozen=True, kw_only=True):
    """A release's image for one platform, and what was found there."""

    app: str
    version: str
    image: str
    platform: str
    digest: str
    found: FoundPackage


class FoundDevice(Struct, frozen=True, kw_only=True):
    """A device that says it runs it."""

    device: str
    name: str
    site: str
    place: FoundPlace


class FoundVulnerability(Struct, frozen=True, kw_only=True):
    """An entry of a list that was judged by."""

    id: str
    names: tuple[str, ...]
    summary: str
    severity: str


class Found(Struct, frozen=True, kw_only=True):
    """The answer: `hits` a line for each device and finding (at most 5000), `devices` that run it, `unknown` devices of which it cannot be told, `places` the
    releases that have it, run or not. Only `indexed` of `images` images have a list of packages: what has none is not found."""

    hits: tuple[FoundDevice, ...]
    devices: int
    unknown: int
    places: tuple[FoundPlace, ...]
    vulnerabilities: tuple[FoundVulnerability, ...]
    images: int
    indexed: int


class VulnerabilityList(Struct, frozen=True, kw_only=True):
    """A list of vulnerabilities, and how many entries stand in it."""

    name: str
    entries: int
    imported_ms: int


class VulnerabilityImport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Entries for a list, all of them taken or none: `text` is OSV as one JSON object or an array of them, or CSV. Entries that are known are replaced."""

    name: Annotated[str, Meta(min_length=1, max_length=63)]
    format: Literal["osv", "csv"] = "osv"
    text: Annotated[str, Meta(min_length=1, max_length=2_000_000)]


class VulnerabilitiesImported(Struct, frozen=True, kw_only=True):
    """What an import did: entries kept, and entries withdrawn by their publisher and so removed."""

    kept: int
    withdrawn: int


class TemplateBrief(Struct, frozen=True, kw_only=True):
    """A catalogue entry that releases are published from. `needs`: what is to be changed in it before it can be published (empty: nothing)."""

    app: str
    title: str
    description: str
    source: str
    imported_ms: int
    by: str
    needs: str


class Template(Struct, frozen=True, kw_only=True):
    """A template with the Compose text to publish and what its author says of it. `needs`: what is to be changed first (empty: nothing)."""

    app: str
    title: str
    description: str
    source: str
    imported_ms: int
    by: str
    note: str
    compose: str
    needs: str


class TemplatesImport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A catalogue of Portainer's (JSON, version 2 or 3). `stacks`: Compose texts by the names of apps whose template only points to a repository."""

    catalogue: Annotated[str, Meta(min_length=1, max_length=1_500_000)]
    source: Word = ""
    stacks: Annotated[dict[str, Annotated[str, Meta(max_length=1_000_000)]], Meta(max_length=100)] = {}


class TemplateLine(Struct, frozen=True, kw_only=True):
    """What became of one template of a catalogue. `why` it was refused; `needs`: what is to be changed in one that was taken before it can be published (empty:
    nothing); `lacks`: where the Compose file lies that it was refused without, to be given under `app`."""

    number: int
    title: str
    app: str
    did: Literal["new", "changed", "same", "refused"]
    why: Text
    needs: str
    lacks: str


class TemplatesImported(Struct, frozen=True, kw_only=True):
    """What became of each template, in the order of the file."""

    lines: tuple[TemplateLine, ...]
