"""The brain on a stage: a tiny engine, a tiny plane, a disk in memory, and time that only moves when told.

Owns the loop that carries works out as the real one does, and the ways to cut it short. Signatures are stand-ins of the same shape; real ones have
their own tests.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

from penstock.agent.brain import Brain, Identity, Tools
from penstock.agent.hands import Hands
from penstock.agent.memorydisk import MemoryDisk, PowerCut
from penstock.agent.work import Answer, Call, FetchDone, Local, Moment, Unreachable
from penstock.wire import trust
from penstock.wire.codec import canonical, encode
from penstock.wire.envelope import ROOT, payload_type, seal
from penstock.wire.log import body_of, chain_fault, entry_digest
from penstock.wire.messages import Ack, Authorisation, Command, Currency, Desired, Facts, LocalPerson, ReportReply, SessionReply, StateReply
from penstock.wire.types import AppState, Blob, Healthcheck, Image, Mount, Network, NetworkUse, Service, Variant, Volume, content_digest, sha256_of
from penstock.wire.version import WIRE
from tests.agent.tinyengine import TinyEngine

DEVICE = "dev_" + "a" * 26
START_MS = 1_800_000_000_000


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    return signature == hashlib.sha256(public + message).digest()


def signer(public: str):
    return lambda message: hashlib.sha256(public.encode() + message).digest()


def digest(text: str) -> str:
    return sha256_of(text.encode())


def image(name: str) -> Image:
    parts = [Blob(digest(f"{name} {part}"), 10) for part in ("manifest", "config", "layer")]
    return Image(name, (Variant("linux/amd64", parts[0], parts[1], (parts[2],)),))


def config_of(name: str) -> str:
    return digest(f"{name} config")


def service(name: str, image_name: str, **fields) -> Service:
    return Service(name=name, image=image_name, **fields)


def checked(name: str, image_name: str, **fields) -> Service:
    return service(name, image_name, healthcheck=Healthcheck(("CMD", "true"), interval_ms=2_000, retries=2), **fields)


def app(version: str, *services: Service, name: str = "line", **fields) -> AppState:
    images = {one.image: image(one.image) for one in services}
    values: dict[str, Any] = {"soak_s": 10, "deadline_s": 20, "deployment": "dep_1"}
    values.update(fields)
    return AppState(app=name, release=digest(f"release {version}"), version=version, services=services, images=tuple(images.values()), **values)


def simple(version: str, *, policy: str = "", **fields) -> AppState:
    """A database that stays the same and a web service whose image follows the version, with a volume where a policy is given."""
    mounts = (Mount("volume", "/data", "data"),) if policy else ()
    volumes = (Volume("data", policy=policy),) if policy else ()
    return app(
        version,
        checked("db", "db", networks=(NetworkUse("net"),)),
        checked("web", f"web{version}", mounts=mounts, networks=(NetworkUse("net"),)),
        volumes=volumes,
        networks=(Network("net"),),
        **fields,
    )


class TinyPlane:
    """Signs what a test puts into it, and keeps what the device reports."""

    def __init__(self) -> None:
        self.key = "-----tiny director key-----"
        self.root_key = "-----tiny root key-----"
        self.version, self.epoch, self.generation = 1, 1, 0
        self.expires = "2090-01-01T00:00:00Z"
        self.roots = {1: self._root()}
        self.apps: tuple[AppState, ...] = ()
        self.people: tuple[LocalPerson, ...] = ()
        self.desired = b""
        self.leaves: list[bytes] = []
        self.commands: list[bytes] = []
        self.entries: list[Any] = []
        self.seq, self.head = 0, ""
        self.up = True
        self.now_ms = START_MS
        self.edition = 0
        self.status: Answer | None = None
        self.lost_acks = 0
        self.wait = 0
        self.have_blobs = True
        self.number = 0

    def _root(self) -> bytes:
        keys = {}
        for pem in (self.root_key, self.key):
            keys[trust.key_id(pem)] = {"keytype": "ecdsa", "keyval": {"public": pem}, "scheme": "ecdsa-sha2-nistp256"}
        plain = {
            "_type": "root", "spec_version": "1.0.34", "version": self.version, "expires": self.expires, "keys": keys,
            "roles": {"root": {"keyids": [trust.key_id(self.root_key)], "threshold": 1}},
            "penstock": {"epoch": self.epoch, "roles": {"director": {"keyids": [trust.key_id(self.key)], "threshold": 1}}},
        }  # fmt: skip
        return seal(ROOT, canonical(plain), ((trust.key_id(self.root_key), signer(self.root_key)),))

    def first_root(self) -> trust.Root:
        from penstock.wire.envelope import open_unverified

        return trust.read_root(open_unverified(self.roots[1], 100_000)[1])

    def raise_epoch(self) -> None:
        self.version += 1
        self.epoch += 1
        self.roots[self.version] = self._root()
        self.edition += 1

    def sign(self, kind: str, value) -> bytes:
        return seal(payload_type(kind), encode(value), ((trust.key_id(self.key), signer(self.key)),))

    def want(self, *apps: AppState, leave: bool = True) -> None:
        gone = {one.app for one in self.apps} - {one.app for one in apps}
        self.apps = apps
        self.generation += 1
        self.edition += 1
        self.desired = self.sign("desired", Desired(WIRE, DEVICE, self.epoch, self.generation, self.now_ms, apps, people=self.people))
        self.leaves = []
        if leave:
            for one in apps:
                self.leave(one.app, content_digest(one))
            for name in gone:
                self.leave(name, "")

    def leave(self, name: str, content: str, span_ms: int = 3_600_000) -> None:
        self.number += 1
        self.edition += 1
        value = Authorisation(WIRE, f"aut_{self.number}", DEVICE, self.epoch, name, content, "rol_1", 1, self.now_ms, self.now_ms + span_ms, "usr_ann")
        self.leaves.append(self.sign("authorisation", value))

    def order(self, verb: str, span_ms: int = 3_600_000, **arguments: str) -> str:
        self.number += 1
        self.edition += 1
        identity = f"cmd_{self.number}"
        self.commands.append(self.sign("command", Command(WIRE, identity, DEVICE, self.epoch, verb, self.now_ms, self.now_ms + span_ms, arguments, "usr_ann")))
        return identity

    def answer(self, call: Call) -> Answer | Unreachable:
        if not self.up:
            return Unreachable("the plane is away")
        if self.status is not None:
            return self.status
        if call.kind == "session":
            return Answer(200, {}, encode(SessionReply("token", 86_400, WIRE)))
        assert call.headers["authorization"] == "Bearer token"
        if call.kind == "report":
            return self._report(call)
        query = dict(part.split("=") for part in call.path.partition("?")[2].split("&"))
        headers = {"etag": f'"{self.edition}"', "penstock-poll": "60", "penstock-wait": str(self.wait)}
        if call.headers.get("if-none-match") == headers["etag"] and "nonce" not in query:
            return Answer(304, headers)
        currency = ""
        if "nonce" in query:
            currency = self.sign("currency", Currency(WIRE, DEVICE, self.epoch, self.generation, self.now_ms, query["nonce"])).decode()
        roots = tuple(self.roots[version].decode() for version in sorted(self.roots) if version > int(query["root"]))
        reply = StateReply(
            self.desired.decode(), tuple(one.decode() for one in self.leaves), tuple(one.decode() for one in self.commands), roots, currency
        )  # fmt: skip
        return Answer(200, headers, encode(reply))

    def _report(self, call: Call) -> Answer:
        report = trust.accept_report(DEVICE, trust.author("-----tiny device key-----"), call.body, verify)
        assert not isinstance(report, trust.Refusal), report
        fresh = tuple(entry for entry in report.entries if entry.seq > self.seq)
        if fresh and fresh[0].seq == self.seq + 1:
            assert chain_fault(fresh, self.seq, self.head) is None, chain_fault(fresh, self.seq, self.head)
        for entry in fresh:
            self.entries.append(entry)
            self.seq, self.head = entry.seq, entry_digest(entry)
        if self.lost_acks > 0:
            self.lost_acks -= 1
            return Answer(502, {})
        ack = self.sign("ack", Ack(WIRE, DEVICE, self.epoch, self.seq, self.head, self.now_ms))
        return Answer(200, {}, encode(ReportReply(ack.decode(), self.seq + 1)))

    def bodies(self, kind: str) -> list[Any]:
        return [body_of(entry) for entry in self.entries if entry.kind == kind]

    def receipts(self) -> list[Any]:
        return self.bodies("receipt")


class BlobBox:
    """A blob store in memory."""

    def __init__(self) -> None:
        self.blobs: set[str] = set()

    def path(self, name: str) -> str | None:
        return name if name in self.blobs else None

    def sweep(self, keep) -> int:
        self.blobs &= set(keep)
        return 0

    def verify(self, blob) -> bool:
        return blob.digest in self.blobs

    def remove(self, name: str) -> None:
        self.blobs.discard(name)


class _Out(io.BytesIO):
    def __init__(self, box: SnapshotBox, name: str) -> None:
        super().__init__()
        self._box, self._name = box, name

    def close(self) -> None:
        if not self.closed:
            self._box.parts[self._name] = self.getvalue()
        super().close()


class SnapshotBox:
    """Copies of volumes in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.files))

    def writer(self, name: str):
        return _Out(self, name)

    def commit(self, name: str) -> None:
        self.files[name] = self.parts.pop(name)

    def reader(self, name: str):
        return io.BytesIO(self.files[name])

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    def free_bytes(self) -> int:
        return 10**9


class Stage:
    """One device. `run` carries on for a span of fake time; `start` makes a new brain on the same disk, as after a crash."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.engine = TinyEngine()
        self.plane = TinyPlane()
        self.nodes: tuple[str, ...] | None = None
        self.blobs = BlobBox()
        self.snapshots = SnapshotBox()
        self.mono = 1_000_000
        self.wall_offset = START_MS - self.mono
        self.clock = "trusted"
        self.boot = "boot-1"
        self.seed = 0
        self.calls: list[Call] = []
        self.fetches = 0
        self.performed = 0
        self.kill_before = self.kill_after = -1  # the number of an engine work
        self.works: list[str] = []
        self.root = self.plane.first_root()
        blobs: Any = self.blobs  # the part of a blob store that hands use
        self.hands = Hands(self.engine, blobs, self.snapshots, lambda sealed, bound: b"opened", lambda: self.nodes)
        self.brain = self.start()

    def now(self) -> Moment:
        return Moment(self.mono, self.mono + self.wall_offset, self.clock, self.boot)

    def random(self, count: int) -> bytes:
        self.seed += 1
        return hashlib.sha256(str(self.seed).encode()).digest()[:count]

    def want(self, *apps: AppState, leave: bool = True) -> None:
        """The plane asks for these apps, and the device hears of it at once."""
        self.plane.want(*apps, leave=leave)
        self.hear()

    def hear(self) -> None:
        """Poll at the next beat."""
        self.brain.local(Local("poll"), self.now())

    def start(self, **fields) -> Brain:
        newest = max(self.disk.names("trust"), default="", key=lambda name: int(name.split(".")[1]))
        root = self.root
        if newest:
            from penstock.wire.envelope import open_unverified

            root = trust.read_root(open_unverified(self.disk.read(f"trust/{newest}") or b"", 200_000)[1])
        public = "-----tiny device key-----"
        identity = Identity(DEVICE, trust.key_id(public), "0" * 32, signer(public))
        facts = Facts("tiny", ("linux/amd64",), "0.1", "3.11")
        self.brain = Brain(self.disk, identity, root, Tools(self.random, verify), self.now(), facts=facts, built_ms=1_700_000_000_000, **fields)
        return self.brain

    def reboot(self) -> Brain:
        self.engine.reboot()
        self.boot += "x"
        self.mono, self.wall_offset = 5_000, self.mono + self.wall_offset - 5_000
        return self.start()

    def beat(self) -> bool:
        """Do whatever can be done at this instant; False when there was nothing."""
        did = False
        self.engine.tick(self.mono)
        self.plane.now_ms = max(self.plane.now_ms, self.mono + self.wall_offset if self.clock == "trusted" else 0)
        call = self.brain.link_work(self.now())
        if call is not None:
            self.calls.append(call)
            self.brain.done(call, self.plane.answer(call), self.now())
            did = True
        fetch = self.brain.fetch_work(self.now())
        if fetch is not None:
            self.fetches += 1
            if self.plane.up and self.plane.have_blobs:
                self.blobs.blobs |= {blob.digest for blob in fetch.blobs}
                outcome = FetchDone(True, fetched=tuple(blob.digest for blob in fetch.blobs))
            elif self.plane.up:
                outcome = FetchDone(False, "not there", missing=tuple(blob.digest for blob in fetch.blobs))
            else:
                outcome = FetchDone(False, "the plane is away")
            self.brain.done(fetch, outcome, self.now())
            did = True
        work = self.brain.engine_work(self.now())
        if work is not None:
            self.works.append(type(work).__name__)
            self.performed += 1
            if self.performed == self.kill_before:
                raise PowerCut
            done = self.hands.perform(work)
            if self.performed == self.kill_after:
                raise PowerCut
            self.brain.done(work, done, self.now())
            did = True
        return did

    def run(self, seconds: float) -> None:
        end = self.mono + int(seconds * 1000)
        quiet = 0
        while self.mono < end:
            if self.beat():
                quiet += 1
                assert quiet < 500, "it never comes to rest: " + ", ".join(self.works[-10:])
                continue
            quiet = 0
            wake = self.brain.wake_at(self.now())
            self.mono = min(max(wake, self.mono + 10), end)

    def run_through(self, seconds: float, *, reboot: bool = False) -> int:
        """Carry on over a power cut or a kill, once; how often that was."""
        end = self.mono + self.wall_offset + int(seconds * 1000)
        cuts = 0
        while self.mono + self.wall_offset < end:
            try:
                self.run((end - self.mono - self.wall_offset) / 1000)
            except PowerCut:
                cuts += 1
                self.disk.cut_after = -1
                self.kill_before = self.kill_after = -1
                if reboot:
                    self.reboot()
                else:
                    self.start()
        return cuts

    # --- reading it -----------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return self.brain.local(Local("status"), self.now()).data

    def app(self, name: str = "line") -> dict[str, Any]:
        return next(one for one in self.status()["apps"] if one["app"] == name)

    def running(self) -> dict[str, str]:
        """Container name to image of what runs."""
        return {box.order.name: box.order.service.image for box in self.engine.boxes.values() if box.state == "running"}


def deployed(version: str = "1", **fields) -> Stage:
    """A device on which that version of the app `line` has soaked."""
    stage = Stage()
    stage.want(simple(version, **fields))
    stage.run(60)
    return stage
