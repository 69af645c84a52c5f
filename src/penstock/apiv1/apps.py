"""Shapes for apps, releases and deployments: what can run, and the standing intention that it does."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.common import Fault, Name, Text, Title
from penstock.apiv1.devices import Liveness, Tone

Version = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Values = Annotated[dict[str, Annotated[str, Meta(max_length=32768)]], Meta(max_length=256)]


class Parameter(Struct, frozen=True, kw_only=True):
    """A `${NAME}` of a release. `required` is the sentence to show where there is no default. A secret's value goes in and never comes out."""

    name: str
    default: str | None
    required: str
    secret: bool
    services: tuple[str, ...] = ()


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


class Release(Struct, frozen=True, kw_only=True):
    """One immutable version of an app. `images` are pinned by digest; `irreversible` names volumes a change cannot
    take back; `compose` is the file it was made from."""

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


class ReleaseCheck(Struct, frozen=True, kw_only=True):
    """What a Compose file would become. It can be published when there are no `faults`. `name` is what the file calls itself; `restarts` what would
    happen to each service of the app's newest release."""

    name: str
    services: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    faults: tuple[Fault, ...]
    restarts: dict[str, str]


class Publish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish a Compose file as a release."""

    app: Name
    version: Version
    compose: Annotated[str, Meta(min_length=1, max_length=1_000_000)]
    title: Title = ""
    note: Text = ""


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Compose file to look at; nothing is stored."""

    compose: Annotated[str, Meta(min_length=1, max_length=1_000_000)]
    app: Annotated[str, Meta(max_length=63)] = ""


class App(Struct, frozen=True, kw_only=True):
    """A catalogue entry with its releases, newest first."""

    name: str
    title: str
    releases: tuple[ReleaseBrief, ...]
    deployments: int


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
