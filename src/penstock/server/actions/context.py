"""What every action is given: the store and the ports, and the few things a plane knows of itself.

Owns the shape of `Plane` and the small helpers all actions share (noting an event, telling who looks, paging). Built by `app.py` only.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.server.actions.attempts import Attempts
from penstock.server.core.errors import Invalid
from penstock.server.core.events import line
from penstock.server.core.model import Actor, ApiToken, Session, User
from penstock.server.core.sessions import IDLE_S, TOTAL_S
from penstock.server.effects.backups import Backups
from penstock.server.effects.clock import Clock
from penstock.server.effects.fleetcache import FleetCache
from penstock.server.effects.house import House
from penstock.server.effects.ids import Ids
from penstock.server.effects.live import Live, Note
from penstock.server.effects.notify import Courier
from penstock.server.effects.tokens import SessionTokens
from penstock.server.effects.upstream import Upstream
from penstock.server.effects.vault import Vault
from penstock.server.effects.verifiers import Verifiers
from penstock.server.store import events, status
from penstock.server.store.db import Db, Tx
from penstock.wire.codec import canonical
from penstock.wire.envelope import b64, pae, payload_type
from penstock.wire.trust import DIRECTOR, Author, Root, key_id


class Keys(Protocol):
    """The plane's signing keys (see `effects.keys`)."""

    def sign(self, role: str, message: bytes) -> tuple[str, bytes]:
        """Key id and DER signature of a role's key over `message`."""
        ...

    def public(self, role: str) -> str:
        """The role's public key as PEM."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds this plane; tests turn some of it down."""

    password_rounds: int = 600_000
    device_session_s: int = 86_400
    enrol_per_minute: int = 600
    devices: int = 20_000
    page: int = 1000  # the API gives at most 200 at once, a page of the UI as many as this
    mirror_bytes: int = 64 * 1024**3  # of one image that is copied from elsewhere
    mirror_check_s: int = 6 * 3600  # how often a mirror is looked at again
    watch_ms: int = 60_000
    attention_ms: int = 600_000  # long polls after a change, and after a device has come


@dataclass(slots=True)
class RootBook:
    """The root documents: the newest one read, the digest devices pin, and the chain. Replaced as a whole when a root is added."""

    root: Root
    digest: str  # of the newest root's payload: what join lines carry
    chain: tuple[str, ...]


@dataclass(slots=True)
class Plane:
    """One control plane, running."""

    db: Db
    clock: Clock
    ids: Ids
    keys: Keys
    vault: Vault
    verifiers: Verifiers
    tokens: SessionTokens
    live: Live
    fleet: FleetCache
    roots: RootBook
    images: Any = None  # the registry's look-up of images, see actions.releases
    blobs: Any = None  # where blobs lie, see api.agent
    house: House | None = None  # the machine it runs on; None: nothing is known of it
    upstream: Upstream | None = None  # other registries, for copies of their images; None: nothing is copied
    courier: Courier | None = None  # who carries notices; None: nobody does
    backups: Backups | None = None  # of its data folder; None: it has none
    limits: Limits = field(default_factory=Limits)
    addresses: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()  # PEM certificates that devices need to trust the addresses; empty: the system's
    started_ms: int = 0
    poll_s: int = 60  # settings that are asked for with every request
    session_idle_s: int = IDLE_S
    session_total_s: int = TOTAL_S
    complain: Callable[[str, BaseException], None] = lambda _what, _fault: None  # an unexpected fault, for the log
    poke: Callable[[str], None] = lambda _: None
    dirty: set[str] = field(default_factory=set)  # devices whose reports a rollout should look at
    dirty_lock: threading.Lock = field(default_factory=threading.Lock)
    due: dict[str, int] = field(default_factory=dict)  # per rollout: when all of it is to be looked at again (0: never by itself)
    asked: dict[str, int] = field(default_factory=dict)  # devices that were asked to fill a hole in their log: from which number they sent
    authors: dict[str, tuple[int, Author]] = field(default_factory=dict)  # device: its key epoch, and what it signs with
    nonces: OrderedDict[tuple[str, int, str], None] = field(default_factory=OrderedDict)  # session requests already answered
    reviewing: set[str] = field(default_factory=set)  # devices that wait for a look after a restore
    released: set[str] = field(default_factory=set)  # devices let out of quarantine that have not reported since: their next report may fork
    copying: dict[str, tuple[int, int]] = field(default_factory=dict)  # mirrors being copied: bytes that are here, and of how many
    memo: OrderedDict[Any, Any] = field(default_factory=OrderedDict)  # resolved releases, bounded by actions.catalog
    memo_lock: threading.Lock = field(default_factory=threading.Lock)
    session_memo: OrderedDict[str, tuple[int, Session, User, Actor]] = field(default_factory=OrderedDict)  # who a session is, for seconds
    attempts: Attempts = field(default_factory=Attempts)  # to sign in
    halfway: OrderedDict[str, Any] = field(default_factory=OrderedDict)  # who has given a password and not yet a code, see `sessions`
    token_memo: OrderedDict[str, tuple[int, ApiToken, User, Actor]] = field(default_factory=OrderedDict)  # the same for API tokens
    registry_memo: OrderedDict[tuple[str, str], tuple[int, Actor, str]] = field(default_factory=OrderedDict)  # who uses the registry, see `registryaccess`
    rights_epoch: int = 0  # rises whenever people, sessions or rights changed: live streams and memories of an older one end
    forget_registry: Callable[[], None] = lambda: None
    throttle: dict[str, list[int]] = field(default_factory=dict)  # recent moments per key, see `throttled`

    def later_dirty(self, tx: Tx, device: str) -> None:
        """After the commit have the rollouts of this device looked at."""

        def mark() -> None:
            with self.dirty_lock:
                self.dirty.add(device)
            self.poke("rollouts")

        tx.after(mark)

    def forget(self) -> None:
        """After people, sessions or rights changed: nobody is who they were remembered to be."""
        self.rights_epoch += 1
        self.session_memo.clear()
        self.token_memo.clear()
        self.registry_memo.clear()
        self.forget_registry()

    @property
    def epoch(self) -> int:
        """The epoch that documents are signed for."""
        return self.roots.root.epoch


def seal(plane: Plane, kind: str, payload: bytes, role: str = DIRECTOR) -> bytes:
    """A Penstock message of `kind`, signed by the role's key."""
    name = payload_type(kind)
    keyid, signature = plane.keys.sign(role, pae(name, payload))
    return canonical({"payload": b64(payload), "payloadType": name, "signatures": [{"keyid": keyid, "sig": b64(signature)}]})


def director_keyid(plane: Plane) -> str:
    """The key id that signs for the director."""
    return key_id(plane.keys.public(DIRECTOR))


def note(
    plane: Plane,
    tx: Tx,
    actor: Actor,
    verb: str,
    subject: str,
    *,
    site: str = "",
    app: str = "",
    outcome: str = "done",
    reason: str = "",
    data: dict[str, str] | None = None,
    topics: Iterable[tuple[str, str]] = (),
) -> int:
    """Append to the plane's record, and after the commit tell who looks at "events" and at `topics` (topic, key). `site` and `app` say who may read it."""
    number = events.add(tx, line(actor, plane.clock.now_ms(), verb, subject, site=site, app=app, outcome=outcome, reason=reason, data=data))
    notes = [Note("events", subject, number), *(Note(topic, key, number) for topic, key in topics)]
    tx.after(lambda: plane.live.publish(notes))
    return number


def tell(plane: Plane, tx: Tx, topics: Iterable[tuple[str, str]]) -> None:
    """After the commit tell who looks at `topics` (topic, key)."""
    notes = [Note(topic, key) for topic, key in topics]
    tx.after(lambda: plane.live.publish(notes))


def refresh(plane: Plane, tx: Tx, devices: list[str]) -> None:
    """After the commit bring these devices in the hot path's memory up to date and wake their long polls."""
    known = status.known(tx, devices)
    rows = [(one.id, one.name, one.site, one.state, one.why, one.key_epoch, one.etag, one.pending, one.seen_ms) for one in known]
    tx.after(lambda: plane.fleet.refresh(rows))


def make_cursor(*parts: Any) -> str:
    """An opaque cursor text."""
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode("utf-8")).decode("ascii").rstrip("=")


def read_cursor(text: str, *kinds: type) -> tuple[Any, ...] | None:
    """What a cursor was made of, None for the empty one. Raises Invalid for one that is not ours."""
    if not text:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, list) or len(found) != len(kinds) or not all(type(one) is kind for one, kind in zip(found, kinds, strict=True)):
        raise Invalid("cursor-unknown", "the cursor is not one this control plane gave out", field="cursor", remedy="begin again without one")
    return tuple(found)


def bounded(plane: Plane, limit: int) -> int:
    """`limit` within 1 and the greatest page."""
    if not 1 <= limit <= plane.limits.page:
        raise Invalid("limit-out-of-range", f"limit is {limit}; it must be 1 to {plane.limits.page}", field="limit")
    return limit


def throttled(plane: Plane, key: str, most: int, span_ms: int) -> int:
    """Count one more of `key`; seconds to wait when there were `most` within the span already, else 0. In memory, bounded."""
    now = plane.clock.mono_ms()
    recent = [at for at in plane.throttle.get(key, []) if now - at < span_ms]
    if len(recent) >= most:
        plane.throttle[key] = recent
        return max(1, (span_ms - (now - recent[0])) // 1000 + 1)
    recent.append(now)
    if len(plane.throttle) > 10_000:
        plane.throttle.clear()
    plane.throttle[key] = recent
    return 0
