"""A whole control plane in a test's folder: real SQLite file, real keys, a clock turned by hand, images in memory."""

from __future__ import annotations

from pathlib import Path

from penstock.crypto import generate_key
from penstock.server.actions import housekeeping, releases, rollouts, rootbook, sessions, setup, sites, states
from penstock.server.actions.context import Limits, Plane
from penstock.server.app import RegistryImages
from penstock.server.core import rootdoc
from penstock.server.core.model import Actor, ReleaseRow
from penstock.server.core.rights import everything
from penstock.server.effects.backups import Backups
from penstock.server.effects.blobs_memory import MemoryContent
from penstock.server.effects.clock import HandClock
from penstock.server.effects.fleetcache import FleetCache
from penstock.server.effects.ids import CountedIds
from penstock.server.effects.keys import RUNNING_ROLES, HeldKey, memory_keys
from penstock.server.effects.live import Live
from penstock.server.effects.tokens import SessionTokens
from penstock.server.effects.vault import KeyVault
from penstock.server.effects.verifiers import Verifiers
from penstock.server.store.db import Db
from penstock.server.store.migrate import upgrade
from tests.server.pushing import push, small_image

ROOT_KEY = HeldKey(generate_key())
KEYS = memory_keys()
VAULT = KeyVault(generate_key())
ADMIN = Actor("user", "usr_admin", "ada", everything("usr_admin"))
ADDRESS = "https://127.0.0.1:8443"
NOW = 1_800_000_000_000

COMPOSE = """
name: shop
services:
  web:
    image: shop/web:{version}
    environment: {{LEVEL: "${{LEVEL:-info}}"}}
    depends_on: [db]
  db:
    image: shop/db:1
    volumes: ["data:/data"]
volumes: {{data: {{}}}}
x-penstock: {{soak: 30s, deadline: 60s}}
"""

WITH_SECRET = """
name: vault
services:
  web:
    image: shop/web:1
    environment: {PASSWORD: "${PASSWORD}"}
x-penstock: {secrets: [PASSWORD]}
"""


def make_plane(folder: Path, *, addresses: tuple[str, ...] = (ADDRESS,), authorities: tuple[str, ...] = ()) -> Plane:
    """A plane that has everything but users, sites and devices."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = HandClock(NOW)
    db = Db(f"sqlite:///{folder / 'plane.db'}", folder / "plane.lock")
    upgrade(db)
    verifiers = Verifiers()
    if db.view(rootbook.read_book) is None:
        draft = rootdoc.first_draft(rootdoc.Holders((ROOT_KEY.public,)), {role: KEYS.public(role) for role in RUNNING_ROLES}, NOW + 10**12)
        envelope = rootdoc.sign_first(draft, (ROOT_KEY.signer(),))
        db.update(lambda tx: rootbook.add_root(tx, verifiers, envelope, NOW))
    book = db.view(rootbook.read_book)
    assert book is not None
    content = MemoryContent()
    plane = Plane(
        db=db,
        clock=clock,
        ids=CountedIds(str(folder)),
        keys=KEYS,
        vault=VAULT,
        verifiers=verifiers,
        tokens=SessionTokens(b"k" * 32),
        live=Live(),
        fleet=FleetCache(),
        roots=book,
        images=RegistryImages(content),
        blobs=content,
        backups=Backups(folder, folder / "plane.db", folder / "registry"),
        limits=Limits(password_rounds=1000),
        addresses=addresses,
        authorities=authorities,
        started_ms=NOW,
    )
    plane.fleet.set_root(book.root.version)
    housekeeping.load_fleet(plane)
    return plane


def turn(plane: Plane, ms: int) -> None:
    """Let time pass."""
    assert isinstance(plane.clock, HandClock)
    plane.clock.turn(ms)


def work_off(plane: Plane) -> None:
    """What the reconcilers would do now, in one go."""
    rollouts.tick_dirty(plane)
    rollouts.tick_running(plane)
    while states.pay(plane):
        pass


def first_administrator(plane: Plane) -> Actor:
    """Set the plane up; its administrator."""
    token = setup.new_setup_token(plane)
    made = setup.set_up(plane, token=token, name="ada", password="correct horse battery")
    return sessions.who(plane, made.secret).actor


def a_site(plane: Plane, name: str = "plant-1") -> str:
    """A site; its id."""
    return sites.create_site(plane, ADMIN, name=name).id


def a_release(plane: Plane, version: str = "1", source: str = COMPOSE, app: str = "shop", platforms: tuple[str, ...] = ("linux/amd64",)) -> ReleaseRow:
    """A published release whose web image differs from version to version."""
    push(plane.blobs, "shop/web", small_image(f"web {version}", platforms), version)
    push(plane.blobs, "shop/db", small_image("db", platforms), "1")
    text = source.format(version=version) if source is COMPOSE else source
    return releases.publish(plane, ADMIN, source=text.encode(), app=app, version=version)
