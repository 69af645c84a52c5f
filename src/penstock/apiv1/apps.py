"""Shapes for apps, releases and deployments: what can run, and the standing intention that it does."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.common import Name, Text
from penstock.apiv1.devices import Liveness, Phase, Tone

Version = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Values = Annotated[dict[str, Annotated[str, Meta(max_length=32768)]], Meta(max_length=256)]


class Parameter(Struct, frozen=True, kw_only=True):
    """A `${NAME}` of a release. A secret's value goes in and never comes out."""

    name: str
    default: str | None
    required: bool
    message: str
    secret: bool


class ReleaseService(Struct, frozen=True, kw_only=True):
    """A service of a release, and the image it is pinned to."""

    name: str
    image: str
    digest: str
    platforms: tuple[str, ...]
    size_bytes: int = 0
    healthcheck: bool = False


class ReleaseVolume(Struct, frozen=True, kw_only=True):
    """A named volume and what a change does to its data."""

    name: str
    policy: str


class ReleaseBrief(Struct, frozen=True, kw_only=True):
    """A release in a list."""

    app: str
    version: str
    digest: str
    published_ms: int
    by: str
    services: int


class Release(Struct, frozen=True, kw_only=True):
    """One immutable version of an app."""

    app: str
    version: str
    digest: str
    published_ms: int
    by: str
    services: tuple[ReleaseService, ...]
    volumes: tuple[ReleaseVolume, ...]
    parameters: tuple[Parameter, ...]
    soak_s: int
    deadline_s: int
    drift: str
    compose: str = ""


class Publish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish a Compose file as a release. With `check` nothing is stored; the answer says what it would be."""

    app: Name
    version: Version
    compose: Annotated[str, Meta(min_length=1, max_length=1_000_000)]
    check: bool = False


class App(Struct, frozen=True, kw_only=True):
    """A catalogue entry."""

    name: str
    releases: int
    latest: str
    published_ms: int
    deployments: int


class Target(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where: devices by id or name, or a selector over labels. One of the two."""

    devices: Annotated[tuple[Annotated[str, Meta(max_length=63)], ...], Meta(max_length=10_000)] = ()
    selector: Annotated[str, Meta(max_length=1000)] = ""


class DeploymentCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standing intention. `secrets` are values of secret parameters: stored, sealed for each device, never shown."""

    app: Name
    version: Version
    target: Target
    name: Annotated[str, Meta(max_length=63)] = ""
    values: Values = {}
    secrets: Values = {}
    drift: Literal["", "correct", "report"] = ""
    reason: Text = ""


class DeploymentChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change; what is left out stays. `values` replaces all of them, `secrets` only those named."""

    version: Version | None = None
    target: Target | None = None
    values: Values | None = None
    secrets: Values = {}
    drift: Literal["", "correct", "report"] | None = None
    reason: Text = ""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a deployment is. `soaked` is the only success; `silent` counts devices that have not said anything yet."""

    total: int
    soaked: int
    moving: int
    waiting: int
    failed: int
    silent: int


class Deployment(Struct, frozen=True, kw_only=True):
    """A deployment as it stands. `plan` counts its versions; `conflict` names devices where another deployment of the app came first."""

    id: str
    name: str
    plan: int
    app: str
    version: str
    target: Target
    values: dict[str, str]
    secret_names: tuple[str, ...]
    state: Literal["standing", "withdrawn"]
    conflict: str
    drift: str
    progress: Progress
    created_ms: int
    changed_ms: int
    by: str
    revision: int


class DeploymentDevice(Struct, frozen=True, kw_only=True):
    """One device of a deployment, worst first."""

    device: str
    name: str
    site: str
    liveness: Liveness
    phase: Phase
    status: str
    tone: Tone
    why: str
    version: str
    target_version: str
    last_seen_ms: int
    fetched_bytes: int = 0
    total_bytes: int = 0


class ServiceChange(Struct, frozen=True, kw_only=True):
    """What happens to one service."""

    service: str
    change: Literal["unchanged", "restarted", "added", "removed"]
    why: str = ""


class PreviewDevice(Struct, frozen=True, kw_only=True):
    """What a deployment would do on one device."""

    device: str
    name: str
    site: str
    action: Literal["install", "update", "nothing", "remove", "refused"]
    from_version: str
    to_version: str
    why: str
    services: tuple[ServiceChange, ...]


class Preview(Struct, frozen=True, kw_only=True):
    """What would change where, before anything does."""

    devices: tuple[PreviewDevice, ...]
    warnings: tuple[str, ...] = ()
