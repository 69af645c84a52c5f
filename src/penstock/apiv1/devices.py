"""Shapes for devices: how they join, how they stand, what happened on them, what may be asked of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.common import Labels, Name, Text, Title
from penstock.apiv1.notices import FleetFault

Phase = Literal["none", "pending", "fetching", "waiting", "applying", "claimed", "confirmed", "soaked", "reverting", "failed", "removing", "removed"]
Liveness = Literal["never", "current", "late", "silent"]
Tone = Literal["good", "busy", "wait", "bad", "away", "none"]
Standing = Literal["active", "quarantined", "retired"]


class JoinTokenCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token devices join a site with. `auto_approve` skips the waiting room."""

    uses: Annotated[int, Meta(ge=1, le=10_000)] = 1
    valid_s: Annotated[int, Meta(ge=60, le=366 * 86400)] = 86400
    auto_approve: bool = False
    labels: Labels = {}
    title: Title = ""


class JoinTokenMade(Struct, frozen=True, kw_only=True):
    """A new join token. `line` is the one command to run on the device; it is shown this once."""

    id: str
    site: str
    join: str
    line: str
    root: str
    uses: int
    expires_ms: int
    auto_approve: bool


class JoinToken(Struct, frozen=True, kw_only=True):
    """A join token without its secret. `good`: it still lets somebody in."""

    id: str
    site: str
    uses: int
    used: int
    created_ms: int
    expires_ms: int
    auto_approve: bool
    good: bool
    revoked: bool = False
    title: str = ""


class Facts(Struct, frozen=True, kw_only=True):
    """What a device says of itself."""

    hostname: str = ""
    platforms: tuple[str, ...] = ()
    agent: str = ""
    python: str = ""
    kernel: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    engine: str = ""
    engine_version: str = ""


class Enrolment(Struct, frozen=True, kw_only=True):
    """A device that asks to be let in. `fingerprint` is shown on the device too: compare before approving."""

    id: str
    name: str
    site: str
    fingerprint: str
    status: Literal["waiting", "approved", "rejected"]
    asked_ms: int
    facts: Facts
    replaces: bool = False
    why: str = ""
    device: str = ""


class Reason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for the record."""

    reason: Text = ""


class Approve(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let a device in, under `name` and with `labels` if given. `replace` lets it take the place of the device of that name, whose key is dead at
    once. `fingerprint`, if given, must be the one it asks with."""

    name: Name | None = None
    labels: Labels | None = None
    replace: bool = False
    fingerprint: Annotated[str, Meta(max_length=200)] = ""


class Running(Struct, frozen=True, kw_only=True):
    """One app as the device says that it runs it. `newest` is not empty while it is outdated: a release published later."""

    app: str
    version: str
    phase: Phase
    newest: str = ""


class DeviceSummary(Struct, frozen=True, kw_only=True):
    """A device in a list. `status` is the one word for how it stands (worst first: Quarantined, Failed, Unhealthy, Silent, ...), `tone` its
    colour and shape, `why` the sentence that belongs to it; `phase` is the worst of its apps."""

    id: str
    name: str
    site: str
    state: Standing
    liveness: Liveness
    status: str
    tone: Tone
    phase: Phase
    why: str
    last_seen_ms: int
    drift: int
    way_back: Literal["ok", "missing", "none"]
    apps: int
    labels: dict[str, str]
    revision: int
    alarms: tuple[str, ...] = ()
    pinned: int = 0
    runs: tuple[Running, ...] = ()


class ServiceStatus(Struct, frozen=True, kw_only=True):
    """One service as the device last saw it."""

    service: str
    state: str
    health: str
    image: str = ""
    container: str = ""
    restarts: int = 0
    exit_code: int = 0
    why: str = ""


class DriftItem(Struct, frozen=True, kw_only=True):
    """One field that is not as desired."""

    service: str
    field: str
    wanted: str
    seen: str
    action: str = ""


class WayBack(Struct, frozen=True, kw_only=True):
    """What a revert would bring back; `why` says what is missing when there is no way back."""

    ok: bool
    version: str = ""
    why: str = ""


class AppOnDevice(Struct, frozen=True, kw_only=True):
    """How one app stands on one device. `wanted_version` is what the plane owes it; `leave_until_ms` when its leave to apply lapses (0: none);
    `rollout_state` where the device stands in its rollout. All else is the device's own last word; `at_ms` 0: it has said nothing yet.
    `outdated`: a sentence while a newer release could run here."""

    app: str
    deployment: str
    deployment_name: str
    wanted_version: str
    leave_until_ms: int
    rollout_state: str
    rollout_why: str
    phase: Phase
    why: str
    version: str
    target_version: str
    services: tuple[ServiceStatus, ...]
    drift: tuple[DriftItem, ...]
    way_back: WayBack
    pinned: bool
    health_rule: bool
    fetched_bytes: int
    total_bytes: int
    at_ms: int
    content: str = ""
    outdated: str = ""


class GroupOfDevice(Struct, frozen=True, kw_only=True):
    """A group that a device is in."""

    name: str
    title: str


class Retirement(Struct, frozen=True, kw_only=True):
    """How a device leaves the fleet, or left it. `outcome`: ordered (it has not ended yet), wiped, not-wiped (retired all the same; `said` says what is known),
    cancelled (taken back), refused (by the device). `heard_ms`: the device said that it begins; `wiped_ms`: it said what it did; `destroyed_ms`: its last
    word, that its keys are gone."""

    wipe: Literal["nothing", "apps", "data"]
    by: str
    reason: str
    ordered_ms: int
    heard_ms: int
    wiped_ms: int
    destroyed_ms: int
    ended_ms: int
    outcome: Literal["ordered", "wiped", "not-wiped", "cancelled", "refused"]
    said: str


class Retire(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a device out of the fleet. `wipe`: "apps" or "data" order it to remove its apps (with data: their volumes too), its state and its keys first;
    "nothing" ends its key at once, and what runs there goes on running."""

    reason: Text = ""
    wipe: Literal["nothing", "apps", "data"] = "nothing"


class Move(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The site a device stands at from now on, by id or name, and why."""

    site: Annotated[str, Meta(min_length=1, max_length=64)]
    reason: Text = ""


class Device(Struct, frozen=True, kw_only=True):
    """A device in full. `may`: what the asker may do to it. `owed_*` is the newest signed state, `adopted_*` what the device says it has taken. `review` is not
    empty while a person must look before the device may change anything. `time_zone` is its site's."""

    summary: DeviceSummary
    site_title: str
    time_zone: str
    fingerprint: str
    facts: Facts
    owed_epoch: int
    owed_generation: int
    adopted_epoch: int
    adopted_generation: int
    log_seq: int
    lost: int
    enrolled_ms: int
    disk_free_bytes: int
    engine_ok: bool
    strangers: tuple[str, ...]
    apps: tuple[AppOnDevice, ...]
    liveness_why: str
    review: str
    groups: tuple[GroupOfDevice, ...] = ()
    retirement: Retirement | None = None
    may: tuple[str, ...] = ()


class DeviceChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change about a device; what is left out stays. `labels` replaces all of them."""

    labels: Labels | None = None
    name: Name | None = None


class TimelineItem(Struct, frozen=True, kw_only=True):
    """One thing in a device's life. `source`: its own log ("device") or the plane's record ("plane"). `body` is the entry as it was signed or
    recorded, JSON text; `clock` tells whether its time can be trusted."""

    source: str
    key: str
    at_ms: int
    kind: str
    title: str
    why: str
    app: str
    by: str
    clock: str
    tone: Tone
    body: str


class CommandCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to ask of a device. `app`, `service` and `lines` where the verb needs them; `what`: "usage" makes
    an inspect tell only what the container uses now. It lapses after `valid_s`."""

    verb: Literal["restart", "revert", "logs", "inspect", "prune", "refresh", "accept-pin"]
    app: Annotated[str, Meta(max_length=63)] = ""
    service: Annotated[str, Meta(max_length=63)] = ""
    lines: Annotated[int, Meta(ge=1, le=5000)] = 200
    what: Literal["", "usage"] = ""
    valid_s: Annotated[int, Meta(ge=60, le=30 * 86400)] = 3600


class Command(Struct, frozen=True, kw_only=True):
    """A command and how it ended. `open` until the device has told its outcome; `expired` when its time ran out unheard."""

    id: str
    device: str
    verb: str
    arguments: dict[str, str]
    by: str
    issued_ms: int
    not_after_ms: int
    outcome: Literal["open", "done", "failed", "refused", "unknown", "expired"]
    why: str = ""
    output: str = ""
    ended_ms: int = 0


class Overview(Struct, frozen=True, kw_only=True):
    """The fleet in numbers, and what needs a person: the worst faults that nobody knows of yet, and how many somebody does (`faults_known`)."""

    devices: int
    current: int
    silent: int
    healthy: int
    moving: int
    waiting: int
    failing: int
    idle: int
    quarantined: int
    drifted: int
    no_way_back: int
    outdated: int
    waiting_room: int
    sites: int
    releases: int
    deployments: int
    faults: tuple[FleetFault, ...]
    faults_known: int
