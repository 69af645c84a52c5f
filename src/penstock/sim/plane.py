"""The control plane of a simulated world: the real actions, core and store on a real SQLite file, behind a door without HTTP.

Owns its composition, the door (which call of the device API leads to which action, as `server/api/agent.py` does over HTTP), the rhythm of the real
reconcilers, a crash of the plane, its backup and its restore. Never decides.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penstock.agent.work import Answer, Call
from penstock.server.actions import devicesessions, enrolments, housekeeping, joins, reports, restore, rootbook, sites, states
from penstock.server.actions.context import Limits, Plane, RootBook
from penstock.server.core.errors import Refused
from penstock.server.core.model import ACTIVE, Actor
from penstock.server.core.rights import everything
from penstock.server.core.rootdoc import Holders, first_draft, raise_epoch, sign_first
from penstock.server.effects.clock import HandClock
from penstock.server.effects.fleetcache import Entry, FleetCache
from penstock.server.effects.ids import CountedIds
from penstock.server.effects.keys import RUNNING_ROLES
from penstock.server.effects.live import Live
from penstock.server.effects.tokens import SessionTokens
from penstock.server.reconcilers.loops import all_of
from penstock.server.store.db import Db, Tx, copy_database
from penstock.server.store.migrate import upgrade
from penstock.sim.believe import BelieveKey, BelieveKeys, BelieveVault, BelieveVerifiers
from penstock.sim.catalogue import Catalogue
from penstock.wire.codec import encode
from penstock.wire.envelope import open_unverified
from penstock.wire.trust import Root
from penstock.wire.types import sha256_of

BOSS = Actor("user", "usr_sim", "fleet engineer", everything("usr_sim"))
START_MS = 1_800_000_000_000
ROOT_ENDS_MS = START_MS + 10 * 366 * 86_400_000
MAX_WAIT_S = 50
BUSY_POLL_S = 5
STATUS = {"invalid": 422, "missing": 404, "conflict": 409, "stale": 412, "forbidden": 403, "unauthenticated": 401, "limited": 429, "unavailable": 503}


@dataclass
class Held:
    """A poll held open: answered when the device's tag changes, or at `until_ms`."""

    entry: Entry
    call: Call
    tag: str
    until_ms: int


class SimPlane:
    """One plane. `fault` collects what no request may ever cause."""

    def __init__(self, catalogue: Catalogue, clock: HandClock, seed: str, fault: Callable[[str], None]) -> None:
        self.catalogue = catalogue
        self.clock = clock
        self.fault = fault
        self.up = True
        self._seed = seed
        shm = Path("/dev/shm")  # noqa: S108 - memory, where the machine has it; the folder is made private by mkdtemp
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-sim-", dir=shm if shm.is_dir() else None))
        self._files = 0
        self._keys = BelieveKeys(seed)
        self._root_key = BelieveKey(f"{seed} root")
        self._ids = CountedIds(seed)
        self._due: dict[str, int] = {}
        self._poked: list[str] = []
        self.restores = 0
        self.chain: tuple[str, ...] = ()
        path = self._fresh_file()
        _empty_database(path)
        self.plane = self._open(path)
        holders = {role: self._keys.public(role) for role in RUNNING_ROLES}
        first = sign_first(first_draft(Holders((self._root_key.public,)), holders, ROOT_ENDS_MS), (self._root_key.signer(),))
        self.pinned = sha256_of(open_unverified(first)[1])
        self.plane.db.update(lambda tx: rootbook.add_root(tx, self.plane.verifiers, first, clock.now_ms()))
        self._read_roots()
        self.site = sites.create_site(self.plane, BOSS, name="plant")
        self.join = joins.create_join(self.plane, BOSS, site="plant", uses=1000, auto_approve=True, labels={"ring": "all"}, expires_s=90 * 86_400).join
        self._start()

    # --- composition --------------------------------------------------------------------------------------------------

    def _fresh_file(self) -> Path:
        self._files += 1
        return self._folder / f"plane{self._files}.db"

    def _open(self, path: Path) -> Plane:
        self.path = path
        made = Plane(
            Db(f"sqlite:///{path}"),
            self.clock,
            self._ids,
            self._keys,
            BelieveVault(),
            BelieveVerifiers(),  # type: ignore[arg-type] # the same verb; the real class is no Protocol
            SessionTokens(sha256_of(self._seed.encode())[7:39].encode()),
            Live(),
            FleetCache(),
            RootBook(Root(1, 1, 0, {}, {}), "", ()),
            images=self.catalogue,
            blobs=self.catalogue,
            limits=Limits(enrol_per_minute=10_000),
            addresses=("https://plane.sim:8443",),
            started_ms=self.clock.now_ms(),
        )
        made.poke = self._poked.append
        return made

    def _read_roots(self) -> None:
        book = self.plane.db.view(rootbook.read_book)
        assert book is not None
        self.plane.roots = book
        self.chain = book.chain  # what lies beside the root key
        self.plane.fleet.set_root(book.root.version)

    def _start(self) -> None:
        housekeeping.load_fleet(self.plane)
        # The registry's sweep and the certificate have no part here.
        self.loops = [loop for loop in all_of(self.plane, lambda: False) if loop.name not in ("images", "certificate")]
        now = self.clock.now_ms()
        self._due = {loop.name: now for loop in self.loops}

    def close(self) -> None:
        """Remove all of it."""
        self.plane.db.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- crash, backup, restore -----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Killed: what was only in memory is gone."""
        self.up = False
        self._poked.clear()
        self.plane.db.close()

    def start(self) -> None:
        """Up again, on what the disk holds."""
        self.plane = self._open(self.path)
        self._read_roots()
        self.up = True
        self._start()

    def backup(self) -> Path:
        """A consistent copy of the database."""
        kept = self._fresh_file().with_suffix(".backup")
        copy_database(self.path, kept)
        return kept

    def restore(self, kept: Path) -> None:
        """Yesterday's picture in the place of today's, and a new epoch: what `penstock-server restore` does."""
        if self.up:
            self.stop()
        chain = self.chain
        path = self._fresh_file()
        shutil.copyfile(kept, path)
        self.plane = self._open(path)

        def begin(tx: Tx) -> None:
            now = self.clock.now_ms()
            held = rootbook.read_book(tx)
            assert held is not None
            for newer in chain[len(held.chain) :]:
                rootbook.add_root(tx, self.plane.verifiers, newer.encode("ascii"), now)
            current = rootbook.read_book(tx)
            assert current is not None
            envelope = raise_epoch(current.root, ROOT_ENDS_MS, (self._root_key.signer(),), {role: self._keys.public(role) for role in RUNNING_ROLES})
            fresh = rootbook.add_root(tx, self.plane.verifiers, envelope, now)
            restore.begin_epoch(tx, now, fresh.epoch, 0, kept.name)

        self.plane.db.update(begin)
        self._read_roots()
        self.up = True
        self.restores += 1
        self._start()

    # --- the reconcilers ------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Run what is poked or due."""
        if not self.up:
            return
        now = self.clock.now_ms()
        by_name = {loop.name: loop for loop in self.loops}
        for _ in range(50):
            due = [name for name, at in self._due.items() if at <= now]
            poked, self._poked[:] = list(dict.fromkeys(self._poked)), []
            todo = [*poked, *(name for name in due if name not in poked)]
            if not todo:
                return
            for name in todo:
                loop = by_name.get(name)
                if loop is None:
                    continue
                self._due[name] = now + int(loop.every_s * 1000)
                try:
                    if loop.act():
                        self._due[name] = now
                except Exception as fault:  # noqa: BLE001 - whatever it is, it is a finding
                    self.fault(f"the reconciler {name} raised {type(fault).__name__}: {fault}")
        self.fault("the reconcilers poke each other for ever")

    def next_ms(self) -> int:
        """When a reconciler is due next."""
        return min(self._due.values())

    # --- the door -------------------------------------------------------------------------------------------------------

    def handle(self, call: Call) -> Answer | Held:
        """One call of the device API; a poll may be held open."""
        try:
            return self._handle(call)
        except Refused as refused:
            return _problem(refused)
        except Exception as fault:  # noqa: BLE001 - a 500 is a finding
            self.fault(f"a {call.kind} made the plane raise {type(fault).__name__}: {fault}")
            return Answer(500, {}, b"")
        finally:
            self.pump()

    def _entry(self, call: Call) -> Entry:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        entry, _ = devicesessions.read_token(self.plane, token)
        devicesessions.check_state(entry)
        entry.seen_ms, entry.heard = self.clock.now_ms(), True
        return entry

    def _handle(self, call: Call) -> Answer | Held:
        path, _, query = call.path.partition("?")
        if path == "/d/v1/session":
            return Answer(200, {}, devicesessions.open_session(self.plane, call.body))
        if path == "/d/v1/enrol":
            return Answer(200, {}, enrolments.ask(self.plane, call.body))
        if path == "/d/v1/report":
            entry = self._entry(call)
            answer = reports.ingest(self.plane, [(entry.id, call.body)])[0]
            if isinstance(answer, Refused):
                raise answer
            return Answer(200, {}, answer)
        assert path == "/d/v1/state", path
        entry = self._entry(call)
        devicesessions.check_newest(entry, call.headers["authorization"].encode("ascii"))
        return self._state(entry, call, dict(part.split("=", 1) for part in query.split("&")))

    def _state(self, entry: Entry, call: Call, asked: dict[str, str]) -> Answer | Held:
        tag = call.headers.get("if-none-match", "")
        busy = self._busy(entry)
        if tag.encode() == entry.tag and "nonce" not in asked:
            wait = min(int(asked.get("wait", "0")), MAX_WAIT_S)
            if busy and wait > 0:
                return Held(entry, call, tag, self.clock.now_ms() + wait * 1000)
            return Answer(304, self._pace(entry.tag.decode(), busy=busy))
        return self._full(entry, asked)

    def _full(self, entry: Entry, asked: dict[str, str]) -> Answer:
        reply, etag = states.state_for(self.plane, entry.id, int(asked.get("root", "0")), asked.get("nonce", ""))
        return Answer(200, self._pace(f'"{self.plane.fleet.root_version}.{etag}"', busy=self._busy(entry)), encode(reply))

    def _busy(self, entry: Entry) -> bool:
        return entry.pending or entry.watched_ms > self.clock.mono_ms()

    def _pace(self, tag: str, *, busy: bool) -> dict[str, str]:
        if not busy:
            return {"etag": tag}
        return {"etag": tag, "penstock-poll": str(min(self.plane.poll_s, BUSY_POLL_S)), "penstock-wait": str(MAX_WAIT_S)}

    def release(self, held: Held) -> Answer | None:
        """The answer to a held poll, once there is reason for one."""
        now = self.clock.now_ms()
        current = self.plane.fleet.entries.get(held.entry.id)
        if current is not held.entry:  # the plane was restarted under it
            return Answer(502, {})
        if held.entry.state == ACTIVE and held.tag.encode() == held.entry.tag and now < held.until_ms:
            return None
        held.entry.seen_ms, held.entry.heard = now, True
        try:
            devicesessions.check_state(held.entry)
            if held.tag.encode() == held.entry.tag:
                return Answer(304, self._pace(held.tag, busy=self._busy(held.entry)))
            query = held.call.path.partition("?")[2]
            return self._full(held.entry, dict(part.split("=", 1) for part in query.split("&")))
        except Refused as refused:
            return _problem(refused)

    def blob(self, token: str, digest: str) -> bytes | Refused:
        """A blob, to a device whose document names it."""
        try:
            entry, _ = devicesessions.read_token(self.plane, token)
            devicesessions.check_state(entry)
            states.blob_for(self.plane, entry.id, digest)
        except Refused as refused:
            return refused
        return self.catalogue.blobs[digest]


def _problem(refused: Refused) -> Answer:
    status = STATUS.get(refused.kind, 422)
    headers = {"retry-after": str(refused.retry_s)} if refused.retry_s else {}
    plain = {"title": refused.code, "status": status, "code": refused.code, "detail": refused.why}
    return Answer(status, headers, json.dumps(plain).encode())


_template: list[bytes] = []


def _empty_database(path: Path) -> None:
    """The schema, made once per process and copied."""
    if not _template:
        first = path.with_suffix(".first")
        made = Db(f"sqlite:///{first}")
        upgrade(made)
        made.close()
        copy_database(first, path)
        _template.append(path.read_bytes())
    path.write_bytes(_template[0])
