"""The composition root: the only place that builds everything and ties it together.

Owns the order of starting and stopping. Everything it builds gets what it needs as an argument; nothing looks anything up.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from penstock import crypto
from penstock.server.actions import housekeeping, images, registryaccess, repositories, rootbook
from penstock.server.actions import settings as settings_action
from penstock.server.actions.context import Limits, Plane
from penstock.server.api.agent import AgentApi
from penstock.server.api.registry import Registry
from penstock.server.api.registry_gate import Doors, Gate
from penstock.server.core.images import Documents, Wanted, app_of
from penstock.server.core.model import Actor, AppStatus, DeviceStatus, LogHead, Seen
from penstock.server.core.oci import Content
from penstock.server.core.rights import Deny, Target, may
from penstock.server.effects.backups import Backups
from penstock.server.effects.blobs import FileContent
from penstock.server.effects.certstore import Certificates, OwnCertificate, PrivateAuthority, Tls
from penstock.server.effects.clock import SystemClock
from penstock.server.effects.fleetcache import FleetCache
from penstock.server.effects.house import FolderHouse
from penstock.server.effects.ids import RandomIds
from penstock.server.effects.keys import file_keys
from penstock.server.effects.live import Live
from penstock.server.effects.notify import NetCourier
from penstock.server.effects.skopeo import Skopeo
from penstock.server.effects.tokens import SessionTokens, key_file
from penstock.server.effects.vault import open_vault
from penstock.server.effects.verifiers import Verifiers
from penstock.server.reconcilers.driver import Driver
from penstock.server.reconcilers.loops import all_of
from penstock.server.settings import Settings
from penstock.server.store.db import Db
from penstock.server.store.migrate import upgrade
from penstock.wire import quick
from penstock.wire.envelope import Envelope, Signature
from penstock.wire.log import AppObservation, DeviceObservation, DriftItem, Observation, Receipt, ServiceStatus, WayBack
from penstock.wire.messages import Ack, Authorisation, Desired, Facts, LogEntry, Report, ReportReply, StateReply
from penstock.wire.trust import DIRECTOR

# What comes and goes with every report and every document.
HOT = (
    Envelope,
    Signature,
    Report,
    LogEntry,
    Observation,
    AppObservation,
    DeviceObservation,
    ServiceStatus,
    DriftItem,
    WayBack,
    Receipt,
    Ack,
    ReportReply,
    Desired,
    Authorisation,
    StateReply,
    Facts,
)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Asgi = Callable[[Any, Any, Any], Awaitable[None]]

VERBS = {"pull": "images.pull", "push": "images.push", "delete": "images.push"}

BACKUP_ENDS_S = 30.0  # that one going out is waited for at the end

log = structlog.get_logger("penstock.server")


class StartFault(RuntimeError):
    """The plane cannot start, as a sentence with what to do."""


class RegistryImages:
    """Looks images up in the built-in registry, for publishing."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def find(self, wanted: Wanted) -> Documents | None:
        """See `actions.releases.Images`."""
        return images.find(self._content, wanted)


@dataclass(slots=True)
class Running:
    """An open control plane. `close` it in the end."""

    plane: Plane
    driver: Driver
    agent: AgentApi
    registry: Registry
    tls: ssl.SSLContext | None
    notes: tuple[str, ...] = ()
    loop: asyncio.AbstractEventLoop | None = None

    def leave(self) -> None:
        """The end is near: answer long polls and end live streams, so that connections can close. From any thread, also a signal handler."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.agent.leave)
            self.loop.call_soon_threadsafe(self.plane.live.stop)
            if self.plane.backups is not None:
                self.loop.call_soon_threadsafe(self.plane.backups.stop)

    def close(self) -> None:
        """Stop the loops, finish what is under way, write what is only in memory, and let the database go."""
        if self.plane.upstream is not None:
            self.plane.upstream.stop()
        self.driver.stop()
        self.agent.close()
        if self.plane.backups is not None:
            self.plane.backups.stop(BACKUP_ENDS_S)
        housekeeping.write_heartbeats(self.plane)
        self.plane.db.close()


def paths(data: Path) -> dict[str, Path]:
    """Where everything of a plane lies below its data folder."""
    return {
        "database": data / "plane.db",
        "lock": data / "plane.lock",
        "keys": data / "keys",
        "vault": data / "keys" / "vault.pem",
        "sessions": data / "keys" / "sessions.key",
        "tls": data / "tls",
        "registry": data / "registry",
        "copying": data / "copying",
    }


def backups_of(settings: Settings) -> Backups:
    """Where backups of the data folder are made."""
    found = paths(settings.data)
    return Backups(settings.data, found["database"], found["registry"], settings.addresses, settings.listen)


def certificates_of(settings: Settings) -> Certificates:
    """Where HTTPS gets its certificate from."""
    folder = settings.data / "tls"
    if settings.certificate:
        return OwnCertificate(Path(settings.certificate), Path(settings.key), Path(settings.trust) if settings.trust else None, folder)
    return PrivateAuthority(folder)


def open_plane(settings: Settings, limits: Limits | None = None) -> Running:
    """Open the control plane of a data folder that `init` (or a restore) made. Raises StartFault, Busy, Newer, FileFault, CertFault."""
    quick.install(*HOT)
    quick.hasten(DeviceStatus, LogHead, AppStatus, Seen)  # what every report makes anew
    found = paths(settings.data)
    if not found["database"].exists():
        raise StartFault(f"there is no control plane in {settings.data}; make one with: penstock-server init --data {settings.data} --root-key PATH")
    problems = crypto.self_check()
    if problems:
        raise StartFault(f"the cryptography of this process is not to be trusted: {'; '.join(problems)}")
    db = Db(f"sqlite:///{found['database']}", found["lock"])
    try:
        return _open(settings, limits or Limits(), db, found)
    except BaseException:
        db.close()
        raise


def _open(settings: Settings, limits: Limits, db: Db, found: dict[str, Path]) -> Running:
    if upgrade(db):
        log.info("database brought to this version's schema")
    book = db.view(rootbook.read_book)
    if book is None:
        raise StartFault(f"the database in {settings.data} has no root document; restore a backup, or make a new plane")
    clock = SystemClock()
    keys = file_keys(found["keys"])
    if keys.public(DIRECTOR) not in (book.root.keys[keyid] for keyid in book.root.roles[DIRECTOR].keyids):
        raise StartFault("the director key in the data folder is not the one the root document names; finish the rotation, or restore the key")
    certificates = certificates_of(settings)
    notes: tuple[str, ...] = ()
    tls: Tls | None = None
    shown: Path | None = None
    names = settings.certificate_names
    if settings.tls:
        served = certificates.ensure(names or ("localhost", "127.0.0.1"), clock.now_ms())
        tls, notes, shown = Tls(served), served.notes, served.path
    authorities = certificates.trusted() if settings.tls else trust_of(settings)
    content = FileContent(found["registry"])
    plane = Plane(
        db=db,
        clock=clock,
        ids=RandomIds(),
        keys=keys,
        vault=open_vault(found["vault"]),
        verifiers=Verifiers(),
        tokens=SessionTokens(key_file(found["sessions"])),
        live=Live(),
        fleet=FleetCache(),
        roots=book,
        images=RegistryImages(content),
        blobs=content,
        house=FolderHouse(settings.data, shown),
        backups=backups_of(settings),
        upstream=Skopeo(found["copying"]) if settings.mirror != "off" else None,
        courier=NetCourier(loopback=settings.notify_loopback, proxy=settings.notify_proxy),
        limits=limits,
        addresses=settings.addresses,
        authorities=authorities,
        started_ms=clock.now_ms(),
        complain=complain,
    )
    plane.fleet.set_root(book.root.version)
    if plane.backups is not None:
        plane.backups.sweep()
    housekeeping.load_fleet(plane)
    settings_action.announce(plane)

    def renew() -> bool:
        if tls is None:
            return False
        served = certificates.ensure(names or ("localhost", "127.0.0.1"), clock.now_ms())
        if served.notes:
            log.warning("certificate", notes=served.notes)
        tls.renew(served)
        return True

    driver = Driver(all_of(plane, renew), complain)
    plane.poke = driver.poke
    registry = registry_of(plane, content)
    plane.forget_registry = registry.forget
    return Running(plane, driver, AgentApi(plane), registry, tls.context if tls is not None else None, notes)


def trust_of(settings: Settings) -> tuple[str, ...]:
    """What devices must trust where a proxy ends TLS: the file the settings name, or their system's authorities."""
    if not settings.trust:
        return ()
    from penstock.server.effects import certs

    return certs.split(Path(settings.trust).read_bytes(), "the file of trusted authorities")


def registry_of(plane: Plane, content: Content) -> Registry:
    """The built-in registry, with this plane's people and tokens."""

    def why_not(actor: Actor, repository: str, verb: str) -> str | None:
        verdict = may(actor.rights, VERBS[verb], Target(app=app_of(repository)))
        return verdict.why if isinstance(verdict, Deny) else None

    def held(digest: str) -> str | None:
        return "a release needs it; what was published stays" if images.pinned(plane, digest) else None

    doors = Doors(
        sign_in=partial(registryaccess.sign_in, plane),
        redeem=partial(registryaccess.redeem, plane),
        issue=lambda user, password, address, scopes: registryaccess.issue(
            plane, user, password, address, scopes, lambda actor, name, verb: why_not(actor, name, verb) is None
        ),
        may=why_not,
    )
    return Registry(content, Gate(doors, plane.addresses), held, partial(repositories.record, plane))


def complain(what: str, fault: BaseException) -> None:
    """An unexpected fault: into the log, with its trace."""
    log.error("unexpected fault", what=what, exc_info=fault)


def build_asgi(running: Running, front: Asgi) -> Asgi:
    """The one ASGI application: /d/ to the device API, /v2/ to the registry, all else to `front` (which also gets the lifespan)."""
    agent, registry = running.agent, running.registry

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            path = scope["path"]
            if path.startswith("/d/"):
                await agent(scope, receive, send)
            elif path == "/v2" or path.startswith("/v2/"):
                await registry(scope, receive, send)
            else:
                await front(scope, receive, send)
        elif kind == "lifespan":
            await _lifespan(running, front, scope, receive, send)
        else:
            await front(scope, receive, send)

    return app


async def _lifespan(running: Running, front: Asgi, scope: Scope, receive: Receive, send: Send) -> None:
    plane = running.plane

    async def receiving() -> Any:
        message = await receive()
        if message["type"] == "lifespan.startup":
            loop = asyncio.get_running_loop()
            running.loop = loop
            plane.live.start(loop)
            plane.fleet.start(loop)
            running.driver.start()
            log.info("control plane is up", addresses=plane.addresses, devices=len(plane.fleet.entries), epoch=plane.epoch)
        elif message["type"] == "lifespan.shutdown":
            plane.live.stop()
        return message

    async def sending(message: Any) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            await asyncio.to_thread(running.close)
            log.info("control plane is down")
        await send(message)

    await front(scope, receiving, sending)
