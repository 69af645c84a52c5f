"""Shapes for apps, releases and deployments: what can run, and the standing intention that it does."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.archives import MAX_BYTES
from penstock.apiv1.common import Fault, Text, Title
from penstock.apiv1.devices import Liveness, Tone

# Left out where a package says them itself.
AppOrNone = Annotated[str, Meta(max_length=63, pattern=r"^([a-z0-9]([a-z0-9._-]*[a-z0-9])?)?$")]
VersionOrNone = Annotated[str, Meta(max_length=63, pattern=r"^([A-Za-z0-9][A-Za-z0-9._+-]*)?$")]
Values = Annotated[dict[str, Annotated[str, Meta(max_length=32768)]], Meta(max_length=256)]


class Parameter(Struct, frozen=True, kw_only=True):
    """A `${NAME}` of a release. `required` is the sentence to show where there is no default. A secret's value goes in and never comes out.
    `type`, `title`, `help`, `group` and `choices` as the release declares them; `allowed`: what may be given, as a phrase."""

    name: str
    default: str | None
    required: str
    secret: bool
    services: tuple[str, ...] = ()
    type: str = "text"
    title: str = ""
    help: str = ""
    group: str = ""
    choices: tuple[str, ...] = ()
    allowed: str = ""


class ReleaseBrief(Struct, frozen=True, kw_only=True):
    """A release in a list."""

    id: str
    app: str
    version: str
    digest: str
    published_ms: int
    by: str
    note: str


class PinnedImage(Struct, frozen=True, kw_only=True):
    """An image of a release. `digest` is what an engine pulls: of the index, or of the one manifest where there is none; `bytes` is the largest
    download there is for one device, all layers counted."""

    name: str
    digest: str
    platforms: tuple[str, ...]
    bytes: int
    services: tuple[str, ...]


class FieldChange(Struct, frozen=True, kw_only=True):
    """One setting; empty: it was not set, or is not any more."""

    field: str
    before: str
    after: str


class PartChange(Struct, frozen=True, kw_only=True):
    """One service, volume, network or parameter."""

    name: str
    kind: str
    changes: tuple[FieldChange, ...]


class ReleasePart(Struct, frozen=True, kw_only=True):
    """What devices of one engine get in place of what is common, made by the file `file` of the package: what differs. `note`: why it is not run, empty where
    it is."""

    engine: str
    file: str
    note: str
    services: tuple[PartChange, ...] = ()
    volumes: tuple[PartChange, ...] = ()
    networks: tuple[PartChange, ...] = ()
    parameters: tuple[PartChange, ...] = ()
    settings: tuple[FieldChange, ...] = ()


class Release(Struct, frozen=True, kw_only=True):
    """One immutable version of an app. `services` and `platforms` are what is common, `parts` what differs by engine; all else counts both. `images` are pinned by digest; `irreversible` names volumes a change cannot
    take back; `hazards` are sentences on what it may do to the device beyond its own containers; `compose` is the file it was made from."""

    id: str
    app: str
    version: str
    digest: str
    published_ms: int
    by: str
    note: str
    services: tuple[str, ...]
    images: tuple[PinnedImage, ...]
    platforms: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    irreversible: tuple[str, ...]
    health_rule: bool
    compose: str
    hazards: tuple[str, ...] = ()
    parts: tuple[ReleasePart, ...] = ()


class ReleaseCheck(Struct, frozen=True, kw_only=True):
    """What a Compose file or a package would become. It can be published when there are no `faults`. `name` and `version` are what it calls itself;
    `restarts` what would happen to each service of the app's newest release; `hazards` are sentences on what it may do to the device beyond its own
    containers; `copies` are images that publishing copies here first; `parts` differ by engine, and say how once their images are here."""

    name: str
    version: str
    services: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    faults: tuple[Fault, ...]
    restarts: dict[str, str]
    copies: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    parts: tuple[ReleasePart, ...] = ()


class PackageFile(Struct, frozen=True, kw_only=True):
    """One file that a release was made from, by its path in the package. `engine`: whose part it is, empty for none's."""

    path: str
    digest: str
    bytes: int
    engine: str = ""


class Package(Struct, frozen=True, kw_only=True):
    """What came with a release. `readme`, `notes` and `licence` are texts; `icon` says whether there is one; `entries` are the Compose files that were
    laid over each other, `profiles` those chosen."""

    release: str
    app: str
    version: str
    title: str
    vendor: str
    homepage: str
    readme: str
    notes: str
    licence: str
    icon: bool
    entries: tuple[str, ...]
    profiles: tuple[str, ...]
    files: tuple[PackageFile, ...]


class PackageArchive(Struct, frozen=True, kw_only=True):
    """Every file a release was made from, as one tar in base64; byte for byte as they were published."""

    release: str
    app: str
    version: str
    archive: bytes


class ServiceChange(Struct, frozen=True, kw_only=True):
    """One service. `restarts`: its container is stopped or replaced."""

    name: str
    kind: str
    restarts: bool
    why: str
    changes: tuple[FieldChange, ...]


class VolumeChange(Struct, frozen=True, kw_only=True):
    """One volume. `touched`: a container that uses it restarts; `services` are those. `policy` is what a change does to the data."""

    name: str
    kind: str
    touched: bool
    policy: str
    why: str
    services: tuple[str, ...]
    changes: tuple[FieldChange, ...]


class ImageChange(Struct, frozen=True, kw_only=True):
    """A service's image before and after, by name and digest."""

    service: str
    kind: str
    before: str
    after: str
    before_digest: str
    after_digest: str


class FileChange(Struct, frozen=True, kw_only=True):
    """One file of the packages."""

    path: str
    kind: str


class ReleaseChange(Struct, frozen=True, kw_only=True):
    """What release `b` would change where `a` runs. `fetched`: platform -> bytes that a device with `a` still has to fetch. `device` is the one that `a`
    was read from, empty for none. `engine`: whose parts of the two are compared, empty for what is common; `engines` are those that either has a part for."""

    a: ReleaseBrief
    b: ReleaseBrief
    device: str
    same: bool
    services: tuple[ServiceChange, ...]
    volumes: tuple[VolumeChange, ...]
    networks: tuple[PartChange, ...]
    parameters: tuple[PartChange, ...]
    images: tuple[ImageChange, ...]
    files: tuple[FileChange, ...]
    settings: tuple[FieldChange, ...]
    fetched: dict[str, int]
    engine: str = ""
    engines: tuple[str, ...] = ()


Archive = Annotated[bytes, Meta(max_length=MAX_BYTES, description="a package as tar, gzipped tar or zip, in base64")]
Paths = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...], Meta(max_length=16)]
Profiles = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=63)], ...], Meta(max_length=16)]


class Publish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish one Compose file (`compose`) or a package (`archive`) as a release. `app` and `version` may be left out where the package says them; `files`
    are the Compose files to lay over each other and `profiles` those to choose, in place of what the package says."""

    app: AppOrNone = ""
    version: VersionOrNone = ""
    compose: Annotated[str, Meta(max_length=1_000_000)] = ""
    archive: Archive = b""
    files: Paths = ()
    profiles: Profiles = ()
    title: Title = ""
    note: Text = ""
    platforms: Annotated[tuple[Annotated[str, Meta(max_length=60)], ...], Meta(max_length=16)] = ()


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Compose file or a package to look at; nothing is stored."""

    compose: Annotated[str, Meta(max_length=1_000_000)] = ""
    archive: Archive = b""
    files: Paths = ()
    profiles: Profiles = ()
    app: Annotated[str, Meta(max_length=63)] = ""


class BuildsAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Compose file (`compose`) or a package (`archive`) whose services have `build`, to be built where it lies. The rest is as for publishing."""

    app: AppOrNone = ""
    version: VersionOrNone = ""
    compose: Annotated[str, Meta(max_length=1_000_000)] = ""
    archive: Archive = b""
    files: Paths = ()
    profiles: Profiles = ()


class Build(Struct, frozen=True, kw_only=True):
    """One image to build: `context` is a folder, seen from that of the first Compose file, `dockerfile` a file in it (empty: Dockerfile); `image` is what to
    push it as."""

    service: str
    context: str
    dockerfile: str
    args: dict[str, str]
    target: str
    platforms: tuple[str, ...]
    image: str


class Builds(Struct, frozen=True, kw_only=True):
    """What is to be built, and the Compose files that change, by path ("compose.yaml" for one alone): `image` stands in them in place of `build`, and they
    are to be published once all is pushed."""

    builds: tuple[Build, ...]
    changed: dict[str, str]


class App(Struct, frozen=True, kw_only=True):
    """A catalogue entry with its releases, newest first. `icon` is the version whose icon to show, empty for none."""

    name: str
    title: str
    releases: tuple[ReleaseBrief, ...]
    deployments: int
    vendor: str = ""
    icon: str = ""


class Target(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where: devices by id or name, a selector over labels ("line=3, kind in (press, mill), !spare"), or a group by id or name. Exactly one of the three; an
    answer names none where it is a group that the asker may not see."""

    devices: Annotated[tuple[Annotated[str, Meta(max_length=63)], ...], Meta(max_length=10_000)] = ()
    selector: Annotated[str, Meta(max_length=1000)] = ""
    group: Annotated[str, Meta(max_length=63)] = ""


class DeploymentCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standing intention. `release` is an id or "app:version". `secrets` are values of secret parameters: sealed for each device, never shown again.
    `drift`, `soak_s` and `deadline_s` left empty are as the release says."""

    release: Annotated[str, Meta(min_length=1, max_length=130)]
    target: Target
    name: Annotated[str, Meta(max_length=63)] = ""
    values: Values = {}
    secrets: Values = {}
    drift: Literal["", "correct", "report"] = ""
    soak_s: Annotated[int, Meta(ge=0, le=30 * 86400)] = 0
    deadline_s: Annotated[int, Meta(ge=0, le=86400)] = 0
    reason: Text = ""


class DeploymentChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change; what is left out stays. `values` replaces all of them, `secrets` only those named."""

    release: Annotated[str, Meta(min_length=1, max_length=130)] | None = None
    target: Target | None = None
    values: Values | None = None
    secrets: Values | None = None
    drift: Literal["", "correct", "report"] | None = None
    soak_s: Annotated[int, Meta(ge=0, le=30 * 86400)] | None = None
    deadline_s: Annotated[int, Meta(ge=0, le=86400)] | None = None
    reason: Text = ""


class PreviewRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deployment to look at before it is made, or a change of `deployment`."""

    release: Annotated[str, Meta(min_length=1, max_length=130)]
    target: Target
    values: Values = {}
    secrets: Values = {}
    drift: Literal["", "correct", "report"] = ""
    soak_s: Annotated[int, Meta(ge=0, le=30 * 86400)] = 0
    deadline_s: Annotated[int, Meta(ge=0, le=86400)] = 0
    deployment: Annotated[str, Meta(max_length=63)] = ""


class PreviewDevice(Struct, frozen=True, kw_only=True):
    """What a deployment would do on one device. `what`: install, update, unchanged, withdraw, left-out, conflict."""

    device: str
    name: str
    site: str
    what: str
    why: str
    from_version: str
    restarted: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


class Preview(Struct, frozen=True, kw_only=True):
    """What would change where, before anything does. Nothing can be deployed while parameters are `missing`."""

    devices: tuple[PreviewDevice, ...]
    counts: dict[str, int]
    missing: tuple[Parameter, ...]
    warnings: tuple[str, ...]


class Rollout(Struct, frozen=True, kw_only=True):
    """A move of a deployment to one of its plans. `counts` says how many devices stand where; "soaked" is the only success."""

    id: str
    state: str
    why: str
    plan: int
    wave: int
    waves: int
    started_ms: int
    ended_ms: int
    total: int
    counts: dict[str, int]


class Deployment(Struct, frozen=True, kw_only=True):
    """A deployment as it stands. `plan` counts its versions; `conflict` names devices where another deployment of the app came first."""

    id: str
    name: str
    app: str
    version: str
    release: str
    state: Literal["standing", "withdrawn"]
    plan: int
    target: Target
    values: dict[str, str]
    secret_names: tuple[str, ...]
    drift: str
    soak_s: int
    deadline_s: int
    devices: int
    conflict: str
    rollout: Rollout | None
    created_ms: int
    changed_ms: int
    by: str
    reason: str
    revision: int
    may: tuple[str, ...] = ()


class Member(Struct, frozen=True, kw_only=True):
    """One device of a rollout."""

    device: str
    name: str
    site: str
    liveness: Liveness
    state: str
    status: str
    tone: Tone
    why: str
    changed_ms: int


class Retry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Try again where it failed; all failed devices when none is named."""

    devices: Annotated[tuple[Annotated[str, Meta(max_length=63)], ...], Meta(max_length=10_000)] = ()
