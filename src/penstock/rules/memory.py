"""What a device remembers of one app: the part of the ledger that decisions read and rewrite.

Owns these value types and the few questions asked of them everywhere. Written to disk whole (`agent.ledger`), so a field added later needs
a default and a golden file. Never holds a secret in clear, never a release itself (those lie beside the ledger under their content digest).
"""

from __future__ import annotations

from penstock.wire.record import record, replace
from penstock.wire.types import name_fault

STAGES = (
    "applying",  # the engine is being brought to the target
    "claimed",  # every step is done; it has not been seen running yet
    "confirmed",  # seen running under the right digest; soaking, where there is something to soak
    "reverting",  # the engine is being brought to the way back
    "undoing",  # a first install failed: everything it made goes
)
KINDS = ("install", "update", "revert", "restart", "recreate", "uninstall")


@record
class Watch:
    """A stopwatch that counts only what was observed. `mark_ms` is the monotonic time of the last count, -1 while it stands; a new start of the
    agent lets it stand, so that time nobody watched never counts."""

    spent_ms: int = 0
    mark_ms: int = -1


@record
class Unit:
    """One container that is ours: the intent was written here before it was made. `container` is the engine's id once known; `spec` the
    digest of what it was made from; `content` the release. `booted` is the kernel's boot id at the last start. `finished`: a job that
    ended well and is not repeated. `restarts` is the engine's own count at the last start, `crashes` ours since it was last healthy."""

    service: str
    token: str
    spec: str
    content: str
    container: str = ""
    booted: str = ""
    finished: bool = False
    restarts: int = 0
    crashes: int = 0


@record
class NetworkNote:
    """A network we made, by engine name, with the digest of what it was made from."""

    name: str
    spec: str


@record
class VolumeNote:
    """A volume we use, by engine name. `ours`: we made it. `had_data`: something lay in it before we first used it."""

    name: str
    ours: bool
    had_data: bool


@record
class Snapshot:
    """A copy of a volume's data as it was when the app left release `content`. `volume` is the engine name, `name` the file's."""

    volume: str
    content: str
    name: str
    bytes: int = 0


@record
class Good:
    """A release that soaked here."""

    content: str
    version: str
    at_ms: int = 0


@record
class Refused:
    """A content that failed here, or was taken back, under a leave: not tried again until another leave or another content comes."""

    content: str
    leave: str
    why: str


@record
class Pin:
    """A person at the device went back: it stays at `content` until the centre agrees. `against` is what was left."""

    content: str
    against: str
    by: str
    at_ms: int


@record
class Change:
    """The one change of an app that is under way, up to its end in a receipt. `source` is the content it leaves, `target` the one it goes to
    (empty: none), `back` the one a failure returns to (empty: none). `touched`: something that ran has been stopped or something has been
    made. `ill` counts time since all was last well, `soak` healthy time, `total` time since it was claimed. `replaced`:
    services whose new container was started; `made`: those made anew because they drifted, once for each time. `again`: how often the engine had started
    its containers again at the last look while it soaked.
    `failed_by`: who took the change back; `pin`: and wants it to stay so."""

    CHOICES = {"kind": KINDS, "stage": STAGES}

    id: str
    kind: str
    cause: str
    by: str
    source: str
    target: str
    back: str = ""
    stage: str = "applying"
    source_version: str = ""
    target_version: str = ""
    deployment: str = ""
    started_ms: int = 0
    clock: str = "trusted"
    leave: str = ""
    rollout: str = ""
    wave: int = 0
    command: str = ""
    touched: bool = False
    service: str = ""
    made_volumes: tuple[str, ...] = ()
    made_networks: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    ill: Watch = Watch()
    soak: Watch = Watch()
    total: Watch = Watch()
    tries: int = 0
    why: str = ""
    failed_by: str = ""
    pin: bool = False
    health_rule: bool = True
    again: int = 0
    made: tuple[str, ...] = ()


@record
class AppMemory:
    """All a device remembers of one app. `running` is the content in place (empty: none). `images` are engine tags of ours.
    `stubborn`: "service field" that stayed different although the container was made anew for it; never a reason to do so again."""

    app: str
    deployment: str = ""
    running: str = ""
    good: tuple[Good, ...] = ()
    units: tuple[Unit, ...] = ()
    networks: tuple[NetworkNote, ...] = ()
    volumes: tuple[VolumeNote, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    images: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    pin: Pin | None = None
    change: Change | None = None
    failed: str = ""
    stubborn: tuple[str, ...] = ()

    def check(self) -> tuple[str, str] | None:
        fault = name_fault(self.app)
        return ("app", fault) if fault else None


def unit_of(memory: AppMemory, token: str) -> Unit | None:
    """The unit with this token, or None."""
    for unit in memory.units:
        if unit.token == token:
            return unit
    return None


def with_unit(memory: AppMemory, changed: Unit) -> AppMemory:
    """The memory with the unit of the same token replaced, or added."""
    units = tuple(changed if unit.token == changed.token else unit for unit in memory.units)
    if all(unit.token != changed.token for unit in units):
        units += (changed,)
    return replace(memory, units=units)


def without_unit(memory: AppMemory, token: str) -> AppMemory:
    """The memory without that unit."""
    return replace(memory, units=tuple(unit for unit in memory.units if unit.token != token))


def snapshots_of(memory: AppMemory, content: str) -> tuple[Snapshot, ...]:
    """The copies made when the app left `content`."""
    return tuple(copy for copy in memory.snapshots if copy.content == content)


def contents_needed(memory: AppMemory) -> frozenset[str]:
    """Releases that must stay on disk: what runs, what is moved between, every way back, and whatever a container was made from."""
    needed = {memory.running} | {good.content for good in memory.good} | {unit.content for unit in memory.units}
    needed |= {copy.content for copy in memory.snapshots}
    if memory.pin is not None:
        needed.add(memory.pin.content)
    if memory.change is not None:
        needed |= {memory.change.source, memory.change.target, memory.change.back}
    return frozenset(needed - {""})
