"""What is wrong, by what the plane knows: faults of devices, of sites and of the plane itself, worst first, each with what to do.

Owns from which evidence each kind of fault (`faultkinds`) follows, how bad it is, and the order of all. Pure: what is known and the time go in, faults come out. Never groups
(see `causes`), never tells anybody (see `notices`), and never takes silence for health: what is not known is no evidence either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from penstock.server.core.faultkinds import BAD, KINDS, SEVERITIES, WARN
from penstock.server.core.liveness import span
from penstock.server.core.model import ACTIVE, QUARANTINED

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MB, GB = 1024 * 1024, 1024**3
LONG_AWAY_MS = DAY_MS
CALL_WITHIN_MS = HOUR_MS  # from being let in to the first call
FOLLOW_WITHIN_MS = HOUR_MS  # from a new document to the device saying that it holds it
ROOT_WARN_MS, ROOT_BAD_MS = 90 * DAY_MS, 14 * DAY_MS
CERTIFICATE_WARN_MS, CERTIFICATE_BAD_MS = 21 * DAY_MS, 5 * DAY_MS
BACKUP_WITHIN_MS = 8 * DAY_MS
FAILING_WITHIN_MS = HOUR_MS  # nothing reaches a receiver for so long
MOST_NAMED = 5  # releases in a sentence


# --- what is known ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AppKnown:
    """An app as its device last told of it. `ill` and `looping`: a sentence for each service that is not well, or that starts over and over."""

    app: str
    deployment: str = ""
    phase: str = "soaked"
    why: str = ""
    version: str = ""
    target_version: str = ""
    at_ms: int = 0
    ill: tuple[str, ...] = ()
    looping: tuple[str, ...] = ()
    drift: int = 0
    back_missing: bool = False
    back_why: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class DeviceKnown:
    """A device as the plane knows it. `disk_free_bytes` and `disk_bytes` 0: not known. `owed_ms`: since when it is owed a document that it has not taken (0: it
    has). `lost`: log entries whose loss is named."""

    id: str
    name: str
    site: str
    state: str = ACTIVE
    why: str = ""
    review: str = ""
    liveness: str = "current"
    seen_ms: int = 0
    enrolled_ms: int = 0
    engine_ok: bool = True
    alarms: tuple[str, ...] = ()
    disk_free_bytes: int = 0
    disk_bytes: int = 0
    lost: int = 0
    owed_ms: int = 0
    apps: tuple[AppKnown, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteKnown:
    """A site, how many devices of it the asker may see, and who waits there to be let in."""

    id: str
    name: str
    title: str = ""
    time_zone: str = "UTC"
    devices: int = 0
    waiting: int = 0
    waiting_ms: int = 0

    @property
    def called(self) -> str:
        """What people call it."""
        return self.title or self.name


@dataclass(frozen=True, slots=True)
class Moved:
    """A tag of another registry that names other content than was copied, and the releases that pin what it named."""

    source: str
    before: str
    after: str
    since_ms: int
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaneKnown:
    """What the plane knows of itself; 0 means not known, or never. `overdue`: how much work is owed for too long, since `overdue_ms`. `failing`: (name, since,
    why) of targets of notices that nothing can be delivered to."""

    root_expires_ms: int = 0
    certificate_ends_ms: int = 0
    disk_free_bytes: int = 0
    disk_bytes: int = 0
    made_ms: int = 0
    backup_ms: int = 0
    overdue: int = 0
    overdue_ms: int = 0
    failing: tuple[tuple[str, int, str], ...] = ()
    moved: tuple[Moved, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """All that is judged at once. `plane` None: the asker may not see the plane's own faults. Sites are those the asker may see."""

    devices: tuple[DeviceKnown, ...] = ()
    sites: Mapping[str, SiteKnown] | None = None
    plane: PlaneKnown | None = None


# --- faults -----------------------------------------------------------------------------------------------------------

DEVICE, SITE, PLANE = "device", "site", "plane"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with one subject. `key` names it for as long as it lasts; `why` is its evidence in a sentence."""

    kind: str
    severity: str
    subject: str  # device, site or plane
    id: str
    name: str
    site: str
    since_ms: int
    why: str
    app: str = ""
    deployment: str = ""
    detail: str = ""

    @property
    def key(self) -> str:
        """The same for the same fault of the same subject."""
        return f"{self.kind}|{self.subject}|{self.id}|{self.app}|{self.detail}"

    @property
    def remedy(self) -> str:
        """What to do."""
        return KINDS[self.kind].remedy

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Worst first, then by kind, then longest first; never two alike."""
        return SEVERITIES.index(self.severity), KINDS[self.kind].rank, self.since_ms, self.key


def faults(known: Known, now_ms: int, since: Mapping[str, int] | None = None) -> tuple[Fault, ...]:
    """All that is wrong at `now_ms`, worst first. `since`: when faults (by key) were first found, for those whose evidence does not tell."""
    held = since or {}
    found: list[Fault] = []
    for device in known.devices:
        found.extend(_of_device(device, now_ms, held))
    for site in (known.sites or {}).values():
        if site.waiting:
            number = f"{site.waiting} device{'s ask' if site.waiting != 1 else ' asks'} to be let in"
            found.append(Fault("waiting-room", WARN, SITE, site.id, site.called, site.id, site.waiting_ms or now_ms, number))
    if known.plane is not None:
        found.extend(_of_plane(known.plane, now_ms, held))
    return tuple(sorted(found, key=lambda one: one.order))


def _of_device(device: DeviceKnown, now_ms: int, held: Mapping[str, int]) -> Iterator[Fault]:
    def made(kind: str, severity: str, why: str, since_ms: int = 0, detail: str = "", app: AppKnown | None = None) -> Fault:
        draft = Fault(kind, severity, DEVICE, device.id, device.name, device.site, since_ms, why, app.app if app else "", app.deployment if app else "", detail)
        return draft if since_ms else _since(draft, held, now_ms)

    apart = device.state == QUARANTINED
    if apart:
        yield made("quarantined", BAD, device.why or "it was set apart")
    elif device.state != ACTIVE:
        return
    if device.review:
        yield made("in-review", WARN, device.review)
    if not apart and device.liveness == "silent":
        gone = made("away", WARN, "nothing has been heard of it for longer than it should take", device.seen_ms)
        long = now_ms - gone.since_ms
        yield replace(
            gone, severity=BAD if long >= LONG_AWAY_MS else WARN, why=f"nothing has been heard of it for {span(long)}" if device.seen_ms else gone.why
        )
    if device.liveness == "never" and device.enrolled_ms and now_ms - device.enrolled_ms >= CALL_WITHIN_MS:
        why = f"it was let in {span(now_ms - device.enrolled_ms)} ago and has not called since"
        yield made("never-called", WARN, why, device.enrolled_ms)
    if not device.engine_ok:
        yield made("engine-down", BAD, "its agent cannot reach the container engine")
    low = _low(device.disk_free_bytes, device.disk_bytes)
    if low is not None:
        of = f" of {_size(device.disk_bytes)}" if device.disk_bytes else ""
        yield made("disk", low, f"{_size(device.disk_free_bytes)}{of} are free where the agent keeps its data")
    for kind, severity, why in _alarms(device):
        yield made(kind, severity, why, detail=why[:60] if kind == "alarm" else "")
    if device.lost:
        number = f"{device.lost} entr{'ies of its log are' if device.lost != 1 else 'y of its log is'} lost"
        yield made("log-gap", WARN, number, detail=str(device.lost))
    if device.owed_ms and not apart and device.liveness == "current" and now_ms - device.owed_ms >= FOLLOW_WITHIN_MS:
        yield made("not-following", WARN, f"it calls, and has not taken the state it is owed for {span(now_ms - device.owed_ms)}", device.owed_ms)
    for app in device.apps:
        for kind, severity, why, since_ms in _of_app(app):
            yield made(kind, severity, why, since_ms, app=app)


def _of_app(app: AppKnown) -> Iterator[tuple[str, str, str, int]]:
    """(kind, severity, why, since) of what is wrong with one app; since 0 where its evidence does not tell."""
    if app.phase == "failed":
        version = f" {app.target_version}" if app.target_version else ""
        yield "failed-change", BAD, f"{app.app}{version}: {app.why}", 0
    if app.looping:
        yield "crash-looping", BAD, f"{app.app}: {'; '.join(app.looping)}", 0
    elif app.ill:
        yield "unhealthy", BAD, f"{app.app}: {'; '.join(app.ill)}", 0
    if app.back_missing:
        yield "no-way-back", BAD, f"{app.app}: {app.back_why or 'there is nothing left to go back to'}", 0
    if app.drift:
        yield "drifted", WARN, f"{app.app}: {app.drift} field{'s differ' if app.drift != 1 else ' differs'} from what was ordered", 0
    if app.pinned:
        yield "pinned", WARN, f"{app.app}: somebody at the device went back, and the centre has not agreed", 0


# The alarms of a device are sentences (`agent.witness.alarms`), not yet codes: they are told apart by how they begin, and a test holds the two together.
_ALARMS = (
    ("the agent's storage cannot be written", "storage", BAD),
    ("the device's clock cannot be trusted", "clock", WARN),
    ("the system's clock is off", "clock", WARN),
    ("the root document has expired", "trust-expiring", BAD),
    ("the container engine does not answer", "engine-down", BAD),
    ("the plane has set this device apart", "quarantined", BAD),
)


def alarm_kind(sentence: str) -> tuple[str, str]:
    """The kind and severity of fault that an alarm's sentence tells of."""
    return next(((kind, severity) for start, kind, severity in _ALARMS if sentence.startswith(start)), ("alarm", WARN))


def _alarms(device: DeviceKnown) -> Iterator[tuple[str, str, str]]:
    told = {"engine-down"} if not device.engine_ok else set()
    told |= {"quarantined"}  # what the plane itself holds counts, and is told above; just released, the device may not have heard of it yet
    for sentence in device.alarms:
        kind, severity = alarm_kind(sentence)
        name = sentence[:60] if kind == "alarm" else kind
        if name not in told:
            yield kind, severity, sentence
        told.add(name)


def _of_plane(plane: PlaneKnown, now_ms: int, held: Mapping[str, int]) -> Iterator[Fault]:
    def made(kind: str, severity: str, why: str, since_ms: int = 0, detail: str = "") -> Fault:
        draft = Fault(kind, severity, PLANE, "plane", "control plane", "", since_ms, why, detail=detail)
        return draft if since_ms else _since(draft, held, now_ms)

    for kind, ends_ms, warn_ms, bad_ms, what in (
        ("plane-root-expiring", plane.root_expires_ms, ROOT_WARN_MS, ROOT_BAD_MS, "the root document"),
        ("plane-certificate-expiring", plane.certificate_ends_ms, CERTIFICATE_WARN_MS, CERTIFICATE_BAD_MS, "the certificate of the control plane"),
    ):
        left = ends_ms - now_ms
        if ends_ms and left < warn_ms:
            yield made(kind, BAD if left < bad_ms else WARN, f"{what} expires in {span(left)}" if left > 0 else f"{what} expired {span(-left)} ago")
    low = _low(plane.disk_free_bytes, plane.disk_bytes)
    if low is not None:
        yield made("plane-disk", low, f"{_size(plane.disk_free_bytes)} of {_size(plane.disk_bytes)} are free where the control plane keeps its data")
    if plane.overdue:
        number = f"{plane.overdue} piece{'s' if plane.overdue != 1 else ''} of work"
        yield made("plane-stuck", BAD, f"{number} for devices should have been done {span(now_ms - plane.overdue_ms)} ago", plane.overdue_ms)
    newest = max(plane.backup_ms, plane.made_ms)
    if newest and now_ms - newest >= BACKUP_WITHIN_MS:
        why = (
            f"the last backup is {span(now_ms - newest)} old"
            if plane.backup_ms
            else f"no backup was ever made of what is kept here since {span(now_ms - newest)}"
        )
        yield made("plane-no-backup", WARN, why, newest + BACKUP_WITHIN_MS)
    for name, since_ms, why in plane.failing:
        if now_ms - since_ms < FAILING_WITHIN_MS:
            continue
        yield made("notices-failing", WARN, f"to {name}: {why}", since_ms, detail=name)
    for tag in plane.moved:
        if not tag.releases:
            continue
        named = ", ".join(tag.releases[:MOST_NAMED]) + (f" and {len(tag.releases) - MOST_NAMED} more" if len(tag.releases) > MOST_NAMED else "")
        why = f"it named {tag.before[7:19]}, which is pinned by {named}, and names {tag.after[7:19]} now"
        # Another move is another fault: who knew of the first knows nothing of it.
        yield replace(made("tag-moved", WARN, why, tag.since_ms, f"{tag.source[:200]} {tag.after[7:19]}"), name=tag.source)


def _since(draft: Fault, held: Mapping[str, int], now_ms: int) -> Fault:
    return replace(draft, since_ms=held.get(draft.key, now_ms))


def _low(free: int, total: int) -> str | None:
    """How bad it is that a disk has so much left; None when it is enough, or not known."""
    if free <= 0:
        return None
    if free < 128 * MB or (total and free < min(total * 3 // 100, GB)):
        return BAD
    if free < 512 * MB or (total and free < min(total // 10, LOW_BYTES)):
        return WARN
    return None


LOW_BYTES = 5 * GB  # more than this is enough on any disk


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return ""
