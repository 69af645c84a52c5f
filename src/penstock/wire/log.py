"""The bodies of device log entries and the hash chain over them.

Owns what an observation, a receipt and the other kinds say, and how entries are chained. Storing, batching and quotas are
the agent's and the plane's own affairs.
"""

from __future__ import annotations

from penstock.wire.codec import decode, encode
from penstock.wire.messages import Facts, LogEntry
from penstock.wire.record import record
from penstock.wire.types import sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How far a deployment is on a device (observations).
PHASES = (
    "pending",  # known, nothing done yet
    "fetching",  # bytes are moving
    "waiting",  # all there, the gate is shut; `why` says which
    "applying",
    "claimed",  # the agent did it
    "confirmed",  # the digest was seen running again
    "soaked",  # healthy for the soak time: the only success
    "reverting",
    "failed",  # it ended badly; the receipt's verdict says how; `why` says more
    "removing",
    "removed",
)

# How a change ended (receipts).
VERDICTS = (
    "soaked",
    "failed-unchanged",  # nothing was touched, or everything is as it was without a container having been replaced
    "failed-reverted",  # gone back, and the way back confirmed
    "failed-left",  # could not go back: what runs is named in `why`
    "rejected",  # refused before anything was done
    "superseded",  # a newer order came first
    "done",  # changes with nothing to soak: restart, withdrawal
)

CAUSES = ("rollout", "local", "command", "drift", "withdrawal", "self")


@record
class Boot:
    """The agent started. `boot_id` is the kernel's, so that a restart of the agent and one of the machine can be told apart."""

    agent: str
    boot_id: str
    facts: Facts
    data: str = ""  # random identity of the data directory, drawn once: a clone has the same, its chain forks


@record
class ServiceStatus:
    """One service as seen. `state` is the engine's word (running, exited, created, restarting, paused, dead) or "missing";
    `health` one of healthy, unhealthy, starting, none, unknown."""

    service: str
    state: str
    health: str
    image: str = ""
    container: str = ""
    restarts: int = 0
    exit_code: int = 0
    why: str = ""


@record
class DriftItem:
    """One field that is not as desired and that nobody ordered."""

    service: str
    field: str
    wanted: str
    seen: str
    action: str = ""


@record
class WayBack:
    """What a local `revert` would bring back. `ok` False: no way back, `why` says what is missing."""

    ok: bool
    version: str = ""
    content: str = ""
    why: str = ""


@record
class AppObservation:
    """How one app stands on the device. `content` is what runs, `target` what is being moved to."""

    app: str
    deployment: str
    phase: str
    why: str
    version: str = ""
    content: str = ""
    target: str = ""
    target_version: str = ""
    services: tuple[ServiceStatus, ...] = ()
    drift: tuple[DriftItem, ...] = ()
    way_back: WayBack = WayBack(ok=False)
    pinned: bool = False
    health_rule: bool = True
    fetched_bytes: int = 0
    total_bytes: int = 0
    removed: bool = False


@record
class DeviceObservation:
    """How the device itself stands. `alarms` are sentences: storage, clock, engine, trust."""

    epoch: int
    generation: int
    disk_free_bytes: int = 0
    engine_ok: bool = True
    alarms: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    facts: Facts | None = None


@record
class Event:
    """Something that happened once. `name` is stable and dotted, e.g. "step.done", "health.lost"; `why` is for people."""

    name: str
    why: str
    app: str = ""
    change: str = ""
    data: dict[str, str] = {}


@record
class Receipt:
    """The record of one change: what, why, who allowed it, how it ended. Never dropped."""

    CHOICES = {"verdict": VERDICTS}

    change: str
    kind: str  # install, update, revert, restart, recreate, uninstall
    app: str
    deployment: str
    cause: str
    by: str
    verdict: str
    why: str
    started_ms: int
    ended_ms: int
    from_version: str = ""
    from_content: str = ""
    to_version: str = ""
    to_content: str = ""
    authorisation: str = ""
    rollout: str = ""
    wave: int = 0
    window: str = ""
    health_rule: bool = True
    clock: str = "trusted"


@record
class LocalAct:
    """Somebody did something at the device itself: revert, retry. `by` is a local person's name and `person` the id, or the device's own user where the
    site has no local people. `pin` says what stood for it: "by-pin", "without-pin" (root, with a reason), or nothing where none was needed."""

    CHOICES = {"pin": ("", "by-pin", "without-pin")}

    verb: str
    by: str
    why: str
    app: str = ""
    person: str = ""
    pin: str = ""


@record
class CommandOutcome:
    """How a command ended; "unknown" after a crash between doing and noting, never tried again."""

    CHOICES = {"outcome": ("done", "failed", "refused", "unknown")}
    LIMITS = {"output": 131_072}

    command: str
    verb: str
    outcome: str
    why: str
    output: str = ""


@record
class RefusalNote:
    """A signed thing was not accepted. `reason` is one of `trust.REASONS`. Written once for the same bytes, not at every poll."""

    what: str
    reason: str
    why: str
    digest: str = ""


@record
class Gap:
    """Entries `first` to `last` existed and are lost (damaged storage); their loss is named."""

    first: int
    last: int
    why: str


BODIES: dict[str, type] = {
    "boot": Boot,
    "event": Event,
    "receipt": Receipt,
    "local-act": LocalAct,
    "command-outcome": CommandOutcome,
    "refusal": RefusalNote,
    "gap": Gap,
}


@record
class Observation:
    """One subject as last seen: the device itself, or one app. Only the newest of a subject matters, so a backlog keeps just that."""

    device: DeviceObservation | None = None
    app: AppObservation | None = None

    def check(self) -> tuple[str, str] | None:
        if (self.device is None) == (self.app is None):
            return ("device", "an observation is of the device or of one app")
        return None


BODIES["observation"] = Observation


def entry_digest(entry: LogEntry) -> str:
    """What the next entry's `prev` says: SHA-256 over the canonical JSON of the whole entry."""
    return sha256_of(encode(entry))


def body_of(entry: LogEntry) -> Any:
    """The record inside an entry. Raises WireError."""
    return decode(BODIES[entry.kind], entry.body.encode("utf-8"))


def chain_fault(entries: tuple[LogEntry, ...], seq: int, head: str) -> str | None:
    """Why `entries` do not continue a chain whose last entry is number `seq` with digest `head`; None when they do."""
    for entry in entries:
        if entry.seq != seq + 1:
            return f"entry {entry.seq} follows {seq}"
        if entry.prev != head:
            return f"entry {entry.seq} does not continue the entry before it"
        seq, head = entry.seq, entry_digest(entry)
    return None
