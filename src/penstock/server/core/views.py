"""What pages and programs are shown: nouns put together for reading.

Owns the shapes only; `actions` fill them. Nothing here is ever saved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from penstock.server.core.declared import Declared
from penstock.server.core.groups import Group
from penstock.server.core.model import (
    Actor,
    AppStatus,
    CommandRow,
    Deployment,
    Device,
    DeviceStatus,
    Member,
    Plan,
    ReleaseBrief,
    ReleaseRow,
    Retirement,
    Rollout,
    Session,
    Site,
    User,
)
from penstock.server.core.outdated import Running
from penstock.server.core.parts import PartShown
from penstock.server.core.sessions import IDLE_S, TOTAL_S
from penstock.wire.messages import Endpoint
from penstock.wire.types import Image

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a longer list. `next` is the cursor of the rest, empty at the end."""

    items: tuple[T, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened. `secret` is shown once; only its digest is kept."""

    session: Session
    secret: str
    user: User

    @property
    def life_s(self) -> int:
        """How long it may last at all, in seconds: as long as its cookie is kept."""
        return (self.session.expires_ms - self.session.created_ms) // 1000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a session's secret belongs to."""

    actor: Actor
    session: Session
    user: User


@dataclass(frozen=True, slots=True)
class SiteView:
    """A site with what is in it. `tones`: how many of its devices (that the asker may see) stand how, see `core.siteview`; `may`: what the asker may do
    there."""

    site: Site
    devices: int
    waiting: int
    tones: dict[str, int] = field(default_factory=dict)
    may: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """Which devices a list is about; an empty field does not narrow it. `group` is its id or name, `label` a selector; `phase` may name several,
    separated by commas."""

    site: str = ""
    group: str = ""
    phase: str = ""
    liveness: str = ""
    state: str = ""
    drift: bool | None = None
    way_back: str = ""
    label: str = ""
    text: str = ""
    app: str = ""
    outdated: bool | None = None
    sort: str = "worst"


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One line of the fleet's list. `late` says in words how long ago it was heard of."""

    device: Device
    site: Site
    status: DeviceStatus
    runs: tuple[Running, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as far as it is seen: `named` are those of its list, `devices` counts who is in, `deployments` are for it; `gives_rights`: roles are given
    on it, or tokens narrowed to it, so that whoever changes who is in changes who may do what."""

    group: Group
    named: tuple[str, ...]
    devices: int
    gives_rights: bool
    deployments: tuple[Deployment, ...] = ()
    counts: FleetCounts | None = None


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A device of a group, and why it is in: named, labels, or both."""

    row: DeviceRow
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """How many devices the query finds, by phase, by liveness and by state."""

    devices: int
    phases: dict[str, int]
    liveness: dict[str, int]
    states: dict[str, int]
    drift: int
    no_way_back: int
    waiting_room: int
    outdated: int


@dataclass(frozen=True, slots=True)
class DeviceApp:
    """One app on one device: what is owed, what it says, where its rollout stands. `observed` None: it has said nothing yet."""

    app: str
    deployment: Deployment | None
    wanted_version: str
    observed: AppStatus | None
    member: Member | None
    leave_until_ms: int = 0
    outdated: str = ""  # a sentence, while a newer release could run


@dataclass(frozen=True, slots=True)
class DeviceView:
    """All there is to know of one device now."""

    device: Device
    site: Site
    status: DeviceStatus
    liveness_why: str
    apps: tuple[DeviceApp, ...]
    commands: tuple[CommandRow, ...]
    epoch: int
    generation: int
    log_seq: int
    groups: tuple[Group, ...] = ()
    retirement: Retirement | None = None
    runs: tuple[Running, ...] = ()
    may: tuple[str, ...] = ()  # what the asker may do to this very device


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing in a device's life, newest first: an entry of its own log ("device") or of the plane's ("plane"). `title` and `why` are for
    people; `body` is the JSON text of the entry."""

    source: str
    key: str
    at_ms: int
    kind: str
    title: str
    why: str
    app: str
    by: str
    clock: str = "trusted"
    body: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value a release asks for. `required` holds the sentence to show where it has no default."""

    name: str
    default: str | None
    required: str
    secret: bool
    services: tuple[str, ...] = ()
    declared: Declared | None = None


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image of a release, with the services that use it."""

    image: Image
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release with what a person wants to see of it. `services` are the common ones, `platforms` those that every one of their images has; all else counts
    the engines' parts in. `hazards` is what it may do to the device beyond its own containers, as sentences."""

    row: ReleaseRow
    parameters: tuple[Parameter, ...]
    services: tuple[str, ...]
    images: tuple[ImageView, ...]
    platforms: tuple[str, ...]
    irreversible: tuple[str, ...] = ()
    health_rule: bool = True
    hazards: tuple[str, ...] = ()
    parts: tuple[PartShown, ...] = ()


@dataclass(frozen=True, slots=True)
class AppView:
    """A catalogue entry with its releases, newest first."""

    name: str
    title: str
    releases: tuple[ReleaseBrief, ...]
    deployments: int
    vendor: str = ""
    icon: str = ""  # the version whose icon it shows


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What a deployment would do to one device. `what`: install, update, unchanged, withdraw, left-out, conflict."""

    device: str
    name: str
    site: str
    what: str
    why: str
    from_version: str = ""
    restarted: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeploymentPreview:
    """What would happen. `missing` are parameters without a value; nothing can be deployed while there are some."""

    rows: tuple[PreviewRow, ...]
    counts: dict[str, int]
    missing: tuple[Parameter, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout with how many devices stand where."""

    rollout: Rollout
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One device of a rollout, with its name."""

    member: Member
    name: str
    site: str
    liveness: str


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """A deployment, its newest plan, the release it names and its newest rollout."""

    deployment: Deployment
    plan: Plan
    release: ReleaseRow
    rollout: RolloutView | None
    devices: int
    may: tuple[str, ...] = ()
    group: str = ""  # the name of the one it is for


@dataclass(frozen=True, slots=True)
class PlaneSettings:
    """What an administrator may set. `endpoints` are the addresses devices use, in signed state; 0 for a rate means no cap.
    `leave_s`: how long an authorisation is valid. `session_idle_s`, `session_total_s`: when people are signed out, unused and at all."""

    revision: int = 1
    poll_s: int = 60
    fetch_bytes_per_s: int = 0
    log_quota_bytes: int = 16 * 1024 * 1024
    leave_s: int = 86_400
    session_idle_s: int = IDLE_S
    session_total_s: int = TOTAL_S
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """This control plane."""

    version: str
    wire: int
    epoch: int
    root_version: int
    root_digest: str
    root_expires_ms: int
    director_keyid: str
    database: str
    started_ms: int
    devices: int
    addresses: tuple[str, ...] = field(default=())
    backup_ms: int = 0
