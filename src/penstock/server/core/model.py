"""The nouns of the control plane as frozen values.

Owns their fields only; what may happen to them stands in the other files of this room. Times are unix milliseconds (`_ms`, 0 means
"never"), spans seconds (`_s`). `revision` rises by one with every change by a person and is what compare-and-set compares. What every report makes anew is a
`record`, which is as frozen as a frozen dataclass and can be hastened (`wire.quick`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType

from penstock.server.core.rights import NONE, Rights, everything
from penstock.wire.log import AppObservation, Receipt
from penstock.wire.messages import Facts
from penstock.wire.record import record

SiteId = NewType("SiteId", str)
DeviceId = NewType("DeviceId", str)
JoinId = NewType("JoinId", str)
EnrolmentId = NewType("EnrolmentId", str)
ReleaseId = NewType("ReleaseId", str)
DeploymentId = NewType("DeploymentId", str)
RolloutId = NewType("RolloutId", str)
LeaveId = NewType("LeaveId", str)
CommandId = NewType("CommandId", str)
UserId = NewType("UserId", str)

# --- who asks -------------------------------------------------------------------------

ADMINISTRATOR = "administrator"  # the role of whoever sets the plane up


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and what they may. `kind`: user, token (a program's), device, setup, system, nobody."""

    kind: str
    id: str
    name: str
    rights: Rights = field(default=NONE, compare=False, repr=False)


SYSTEM = Actor("system", "system", "control plane", everything("system"))
PERSON, SERVICE = "person", "service"


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in, or a service account, which has tokens only and no `password` (scheme, parameters, salt and digest in one text)."""

    id: UserId
    name: str
    password: str
    created_ms: int
    kind: str = PERSON
    title: str = ""
    disabled: bool = False
    revision: int = 1
    removed_ms: int = 0  # the row stays, so that nobody else is ever given the name that past acts were done under


@dataclass(frozen=True, slots=True)
class Invitation:
    """The leave to set one's own password, once. `hash` is the digest of its code; `first`: its person never had a password of their own."""

    user: str
    hash: str
    first: bool
    created_ms: int
    expires_ms: int
    made_by: str


@dataclass(frozen=True, slots=True)
class Session:
    """A person's browser, signed in. `hash` is the digest of its secret; `csrf` goes into every form."""

    id: str
    user: str
    hash: str
    csrf: str
    created_ms: int
    seen_ms: int
    expires_ms: int
    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A program's key. `hash` is the digest of its secret; `only` narrows it: (role, kind of part, id of part) each. Empty: all its owner may."""

    id: str
    user: str
    name: str
    hash: str
    created_ms: int
    expires_ms: int
    used_ms: int = 0
    revoked_ms: int = 0
    only: tuple[tuple[str, str, str], ...] = ()


# --- places and devices -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """A plant, ship or substation. `name` is the short name, `title` what people call it, `time_zone` an IANA name. `latitude` and `longitude` in
    degrees, north and east positive: both or neither."""

    id: SiteId
    name: str
    title: str
    time_zone: str
    created_ms: int
    revision: int = 1
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class JoinToken:
    """The leave to ask for admission at one site. `hash` is the digest of the secret; `labels` are given to whoever joins with it. `gives_rights`: who made
    it may give rights on the whole fleet, so that those labels may bring a device into a group that roles are given on."""

    id: JoinId
    site: str
    title: str
    hash: str
    uses: int
    used: int
    expires_ms: int
    auto_approve: bool
    labels: dict[str, str]
    created_ms: int
    created_by: str
    revoked_ms: int = 0
    gives_rights: bool = False


WAITING, APPROVED, REJECTED = "waiting", "approved", "rejected"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Somebody asks to be let in; one per key. `replaces` is the device whose name it asks to take over, or empty."""

    id: EnrolmentId
    keyid: str
    fingerprint: str
    name: str
    site: str
    token: str
    sign_key: str
    seal_key: str
    facts: Facts
    status: str
    why: str
    asked_ms: int
    replaces: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    decided_ms: int = 0
    decided_by: str = ""
    device: str = ""
    admission: str = ""
    revision: int = 1


ACTIVE, QUARANTINED, RETIRED = "active", "quarantined", "retired"


@dataclass(frozen=True, slots=True)
class Device:
    """What one agent manages. `state`: active, quarantined (`why` says why) or retired. `key_epoch` rises when its key is
    replaced; sessions of an older one are dead. `review`: not empty while a person must look before it may change anything
    (after a restore); `accept_fork`: a person has said that its log may go on from where it now stands; `moved`: its site is
    another than in the admission it keeps."""

    id: DeviceId
    name: str
    site: str
    labels: dict[str, str]
    state: str
    why: str
    keyid: str
    fingerprint: str
    sign_key: str
    seal_key: str
    key_epoch: int
    facts: Facts
    enrolled_ms: int
    review: str = ""
    accept_fork: bool = False
    admission: str = ""
    moved: bool = False
    revision: int = 1

    @property
    def platforms(self) -> tuple[str, ...]:
        """What it runs, best first."""
        return self.facts.platforms

    @property
    def engine(self) -> str:
        """The engine it has: docker, podman; empty while it has not said."""
        return self.facts.engine.kind if self.facts.engine is not None else ""


@dataclass(frozen=True, slots=True)
class Lean:
    """As much of a device as making its document and moving its rollouts takes; loaded ten thousand at a time."""

    id: str
    name: str
    site: str
    state: str
    review: str
    seal_key: str
    key_epoch: int
    platforms: tuple[str, ...]
    moved: bool = False
    engine: str = ""


NOTHING, APPS, DATA = "nothing", "apps", "data"  # what goes when a device is retired; with data its volumes too
ORDERED, WIPED, NOT_WIPED, CANCELLED, REFUSED = "ordered", "wiped", "not-wiped", "cancelled", "refused"


@dataclass(frozen=True, slots=True)
class Retirement:
    """How a device leaves the fleet, or left it: the newest such order. `wipe`: nothing, apps or data. `heard_ms`: the device has said that it begins;
    `wiped_ms`: it has said what it did (`said`); `destroyed_ms`: its last word, that its keys are gone. `outcome`: ordered, wiped, not-wiped (retired all the
    same), cancelled (it stays), or refused (the device said no)."""

    device: str
    wipe: str
    command: str
    by: str
    reason: str
    ordered_ms: int
    heard_ms: int = 0
    wiped_ms: int = 0
    destroyed_ms: int = 0
    ended_ms: int = 0
    outcome: str = ORDERED
    said: str = ""


@dataclass(frozen=True, slots=True)
class SitePerson:
    """Somebody who may act at the devices of a site, without an account here. Without a PIN (`pin_ms` 0) no device is told. `may` as in
    `wire.messages.LOCAL_ACTS`; `salt`, `rounds` and `verifier` are all that is kept of the PIN."""

    id: str
    site: str
    name: str
    may: tuple[str, ...]
    created_ms: int
    salt: str = ""
    rounds: int = 0
    verifier: str = ""
    pin_ms: int = 0
    revision: int = 1


@record
class DeviceStatus:
    """How a device stands, by its own last words: the one row lists are made from. `severity` sorts worst first (see
    `status.py`); `liveness`: never, current, late or silent; `lost` counts log entries whose loss was named."""

    device: str
    severity: int = 10
    phase: str = "none"
    why: str = "it has not reported yet"
    drift: int = 0
    way_back: str = "none"  # ok, missing, none (nothing to go back to yet)
    pinned: int = 0
    apps: int = 0
    epoch: int = 0
    generation: int = 0
    alarms: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    disk_free_bytes: int = 0
    engine_ok: bool = True
    reported_ms: int = 0
    seen_ms: int = 0
    liveness: str = "never"
    lost: int = 0
    ill: int = 0  # services that are not well


@record
class LogHead:
    """How far the plane holds a device's log: the last entry's number and digest, on which branch (0 at first, one up when a
    person lets a forked log go on)."""

    device: str
    branch: int = 0
    seq: int = 0
    head: str = ""
    boot: int = 0


@record
class AppStatus:
    """The newest observation of one app on one device. `seq` is the log entry it came from."""

    device: str
    app: str
    deployment: str
    phase: str
    content: str
    target: str
    version: str
    at_ms: int
    seq: int
    observed: AppObservation


@record
class Seen:
    """As much of an observation of an app as rollouts and the status row ask for. `drift` counts fields, `ill` services that are not well; `way_back`: ok, missing (there was
    one, or should be), none (nothing to go back to yet)."""

    app: str
    phase: str
    content: str
    target: str
    pinned: bool
    removed: bool
    why: str
    drift: int = 0
    way_back: str = "none"
    ill: int = 0


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A receipt as it stands in a device's log."""

    device: str
    branch: int
    seq: int
    at_ms: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class LogLine:
    """One stored entry of a device's log. `body` is the JSON text of the record that `kind` names."""

    device: str
    branch: int
    seq: int
    boot: int
    at_ms: int
    clock: str
    kind: str
    body: str
    digest: str
    received_ms: int


# --- what runs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class App:
    """A catalogue entry."""

    name: str
    title: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One immutable version of an app. `digest` names its content; `document` is the release as `core.release` writes it; `source` the
    Compose text it was made from."""

    id: ReleaseId
    app: str
    version: str
    digest: str
    document: str
    source: str
    published_ms: int
    published_by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseBrief:
    """A release in a list: without its document and its source, which are long."""

    id: ReleaseId
    app: str
    version: str
    digest: str
    published_ms: int
    published_by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Which devices: a list of device ids, a selector over centrally assigned labels, or the id of a group. Exactly one of the three."""

    devices: tuple[str, ...] = ()
    selector: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a deployment, never changed once written: which release with which values for whom. `secrets` maps a secret
    parameter to the version of its value."""

    deployment: str
    version: int
    release: str
    target: Target
    values: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    drift: str = ""  # correct, report; empty: as the release says
    soak_s: int = 0  # 0: as the release says
    deadline_s: int = 0
    made_ms: int = 0
    made_by: str = ""
    reason: str = ""


STANDING, WITHDRAWN = "standing", "withdrawn"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The standing intention "this app on these devices". `plan` is the number of its newest Plan; `conflict` names devices where
    another deployment of the same app came first."""

    id: DeploymentId
    name: str
    app: str
    state: str
    plan: int
    created_ms: int
    conflict: str = ""
    revision: int = 1


RUNNING, DONE, STOPPED, SUPERSEDED = "running", "done", "stopped", "superseded"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Moving a deployment to one of its plans. `waves` is how many there are, `wave` the highest one opened so far (0: none)."""

    id: RolloutId
    deployment: str
    app: str
    plan: int
    state: str
    why: str
    waves: int
    wave: int
    started_ms: int
    ended_ms: int = 0


# Where one device stands in a rollout. Only what the device itself logged moves it past ORDERED.
PENDING, ORDERED, CLAIMED, CONFIRMED, SOAKED, FAILED, PINNED, REMOVED, LEFT_OUT = (
    "pending",  # its wave is not open
    "ordered",  # its wave is open: the leave is out or due
    "claimed",
    "confirmed",
    "soaked",
    "failed",
    "pinned",  # a person at the device went back; the centre has not agreed
    "removed",  # a withdrawal carried out
    "left-out",  # cannot run it (no image for its processor), retired, or taken over by another rollout
)
SETTLED = frozenset((SOAKED, FAILED, PINNED, REMOVED, LEFT_OUT))


@dataclass(frozen=True, slots=True)
class Member:
    """One device in one rollout. `content` is the digest it shall run, empty for a withdrawal; `values_at` the line of the app's history of values (see
    `levels`) that it was made by."""

    rollout: str
    device: str
    app: str
    wave: int
    content: str
    state: str
    why: str
    changed_ms: int
    values_at: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one device is owed of one app: a plan's number, and as of which line of the app's history of values; put there by a rollout when the device's wave
    opened."""

    device: str
    app: str
    deployment: str
    plan: int
    rollout: str
    content: str
    values_at: int = 0


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The newest signed document of a device and what names it. `content` is the digest of the document without its number and date: the
    number rises only when it changes. `etag` covers everything a poll would answer but the root."""

    device: str
    epoch: int
    generation: int
    content: str
    envelope: bytes
    etag: str
    changed_ms: int
    pending: bool = False


@dataclass(frozen=True, slots=True)
class StateHead:
    """A document without its bytes."""

    device: str
    epoch: int
    generation: int
    content: str
    etag: str
    pending: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """An authorisation given out, with its signed form."""

    id: LeaveId
    device: str
    app: str
    content: str
    rollout: str
    wave: int
    issued_ms: int
    not_after_ms: int
    envelope: bytes


OPEN = "open"


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command given to a device. `outcome`: open, expired, or what the device said (done, failed, refused, unknown)."""

    id: CommandId
    device: str
    verb: str
    arguments: dict[str, str]
    issued_ms: int
    not_after_ms: int
    by: str
    envelope: bytes
    outcome: str = OPEN
    why: str = ""
    output: str = ""
    ended_ms: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the plane's own append-only record: who did what to what, why, and how it ended. `number` orders them."""

    number: int
    at_ms: int
    actor_kind: str
    actor_id: str
    actor_name: str
    site: str
    verb: str
    subject: str
    outcome: str
    reason: str
    data: dict[str, str] = field(default_factory=dict)
    device: str = ""
    app: str = ""
