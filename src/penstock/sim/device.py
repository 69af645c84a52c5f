"""One device of a simulated world: the real brain, ledger, log and hands around a fake engine, a disk in memory and a clock that may be wrong.

Owns what `agent/loop.py` does for a real device (carrying works out and outcomes back, one of each lane at a time), the deaths of the agent and of the
machine, and the pictures a rolled-back or cloned machine is made from. Never decides anything an agent decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.agent.brain import Brain, Identity, Tools
from penstock.agent.hands import Hands
from penstock.agent.memorydisk import PowerCut
from penstock.agent.runtimes import RuntimeFault
from penstock.agent.runtimes.fakeworld import FakeWorld
from penstock.agent.work import Answer, ApplyStep, Call, EngineDone, Fetch, FetchDone, Local, LocalReply, Moment, Observe, Unreachable
from penstock.server.core.errors import Refused
from penstock.sim.believe import BelieveKey, opener, verify
from penstock.sim.engine import Act, SimEngine, copied
from penstock.sim.links import Link
from penstock.sim.stores import MemoryBlobs, MemorySnapshots, SeenDisk
from penstock.wire.codec import decode, encode
from penstock.wire.envelope import payload_type, seal
from penstock.wire.join import parse_join
from penstock.wire.messages import EnrolReply, EnrolRequest, Facts
from penstock.wire.trust import Refusal, Root, accept_admission, accept_root, pin_root
from penstock.wire.version import READS, WIRE

if TYPE_CHECKING:
    from penstock.agent.work import EngineWork
    from penstock.sim.world import World

MARGIN_MS = 5_000  # as agent/loop.py
SHORTEST_MS = 20
LONGEST_MS = 300_000
FETCH_BYTES_PER_S = 2_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Picture:
    """A machine as it was: what a snapshot of a VM or an image of a disk holds."""

    disk: SeenDisk
    blobs: frozenset[str]
    snapshots: dict[str, bytes]
    engine: FakeWorld


class Flight:
    """A work on its way. `over` once it does not matter any more; `looks`: it only looks."""

    def __init__(self, *, looks: bool = False) -> None:
        self.over = False
        self.looks = looks


class SimDevice:
    """See the module. `brain` is None while the agent is dead. `skew_ms` and `trusted` describe the system clock."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dice = world.dice
        self.sign_key = BelieveKey(f"{world.seed} {name} sign")
        self.seal_key = BelieveKey(f"{world.seed} {name} seal")
        self.disk = SeenDisk()
        self.blobs = MemoryBlobs()
        self.snapshots = MemorySnapshots()
        self.fake = FakeWorld(world.now_ms)
        self.engine = SimEngine(self.fake, self._touched)
        self.link = Link(self.dice.of("link", name))
        self.brain: Brain | None = None
        self.id = ""
        self.first_root = b""
        self.skew_ms = 0
        self.since_1970 = False  # the clock begins anew with each boot
        self.trusted = True
        self.slow = 1.0
        self.hang = 0.0  # chance that a verb outlasts its time-out
        self.flaky = 0.0
        self.boots = 0
        self.starts = 0
        self.clone_of: SimDevice | None = None
        self._boot_ms = world.now_ms()
        self._engine: Flight | None = None
        self._fetch: Flight | None = None
        self._call: tuple[Flight, Call] | None = None
        self._wake = Flight()
        self._down = Flight()
        self._boot()
        self.fake.trouble = self._trouble

    # --- time ---------------------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        self.boots += 1
        self._boot_ms = self.world.now_ms()

    def moment(self) -> Moment:
        """Now, by this device's clocks."""
        mono = self.world.now_ms() - self._boot_ms + 1_000
        wall = mono if self.since_1970 else self.world.now_ms() + self.skew_ms
        return Moment(mono, max(wall, 0), "trusted" if self.trusted else "untrusted", f"{self.name}-boot-{self.boots}")

    # --- joining --------------------------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        """What it says of itself."""
        return Facts(self.name, ("linux/amd64",), "0.0-sim", "3.11", reads=READS)

    def enrol(self) -> None:
        """Become a member, over a clear line."""
        plane = self.world.plane
        join = parse_join(plane.join)
        asked = EnrolRequest(WIRE, join.token, self.name, self.sign_key.public, self.seal_key.public, "0" * 32, self.facts())
        body = seal(payload_type("enrol"), encode(asked), (self.sign_key.signer(),))
        answer = plane.handle(Call("session", "POST", "/d/v1/enrol", {}, body))
        assert isinstance(answer, Answer), answer
        reply = decode(EnrolReply, answer.body, 4_000_000)
        assert reply.status == "approved", reply
        self.first_root = reply.roots[0].encode()
        assert isinstance(pin_root(self.first_root, join.root, verify), Root) or len(reply.roots) > 1
        admission = accept_admission(self._root(), self.sign_key.id, reply.admission.encode(), verify)
        assert not isinstance(admission, Refusal), admission
        self.id = admission.device

    def _root(self) -> Root:
        """The newest root on the disk."""
        root = pin_root(self.first_root, self.world.plane.pinned, verify)
        assert isinstance(root, Root), root
        while True:
            raw = self.disk.read(f"trust/root.{root.version + 1}.json")
            following = accept_root(root, raw, verify) if raw is not None else None
            if not isinstance(following, Root):
                return root
            root = following

    # --- life and death -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The agent starts."""
        assert self.brain is None
        self.starts += 1
        dice = self.dice.of("agent", self.name, self.starts)
        who = Identity(self.id, self.sign_key.id, f"data of {(self.clone_of or self).name}", self.sign_key.sign)
        tools = Tools(dice.randbytes, verify)
        self.world.trace(self, "start", str(self.boots))

        def make() -> None:
            self.brain = Brain(self.disk, who, self._root(), tools, self.moment(), facts=self.facts())

        if self._guard(make):
            self.pump()

    def kill(self, *, machine: bool = False, back_ms: int | None = 5_000) -> None:
        """The agent dies, or the whole machine loses power; it comes back after `back_ms`, or not by itself."""
        self.world.trace(self, "kill", "machine" if machine else "agent")
        for flight in (self._engine, self._fetch, self._call[0] if self._call else None, self._wake):
            if flight is not None:
                flight.over = True
        self._engine = self._fetch = self._call = None
        self.brain = None
        self.disk.cut_after = -1
        self._down.over = True
        self._down = down = Flight()
        if machine:
            self.snapshots.parts.clear()
            self.world.watch.rebooted(self)
        if back_ms is not None:

            def back() -> None:
                if not down.over and self.brain is None:
                    if machine:
                        self._boot()
                        self.fake.restart_engine()
                    self.start()

            self.world.after(back_ms, back)

    def picture(self) -> Picture:
        """What an image of this machine's disk holds now."""
        return Picture(self.disk.copy(), frozenset(self.blobs.held), dict(self.snapshots.files), copied(self.fake))

    def put_back(self, picture: Picture) -> None:
        """The machine is set back to a picture of itself and starts."""
        self.kill(machine=True, back_ms=None)
        self.take(picture)
        self._boot()
        self.fake.restart_engine()
        self.start()

    def take(self, picture: Picture) -> None:
        """This machine's disk holds what the picture holds."""
        self.disk = picture.disk.copy()
        self.blobs = MemoryBlobs(picture.blobs)
        self.snapshots = MemorySnapshots(picture.snapshots)
        kept = copied(picture.engine)
        self.fake.images, self.fake.containers, self.fake.volumes = kept.images, kept.containers, kept.volumes
        self.fake.networks, self.fake.free_bytes = kept.networks, kept.free_bytes

    def _guard(self, act: Callable[[], None]) -> bool:
        """Run a piece of the brain; a power cut in it kills the agent, anything else it raises is a finding."""
        try:
            act()
        except PowerCut:
            self.kill(back_ms=self.dice.of("deaths", self.name).choice((200, 3_000, 30_000)))
            return False
        except Exception as fault:  # noqa: BLE001 - the agent must never raise
            self.world.watch.raised(self, fault)
            self.kill(back_ms=30_000)
            return False
        return True

    # --- the loop -------------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Give every idle lane its next work, and set the alarm clock."""
        if self.brain is None:
            return
        before = self.disk.changes
        self._guard(self._feed)
        self.world.watch.wrote(self, self.disk.changes - before)

    def _feed(self) -> None:
        brain = self.brain
        assert brain is not None
        now = self.moment()
        if self._engine is None:
            work = brain.engine_work(now)
            if work is not None:
                self._begin_engine(work)
        if self._fetch is None:
            fetch = brain.fetch_work(now)
            if fetch is not None:
                self._begin_fetch(fetch)
        if self._call is not None and brain.interrupt(now):
            self._call[0].over = True
            self._call = None
            brain.dropped(now)
        if self._call is None:
            call = brain.link_work(now)
            if call is not None:
                flight = Flight()
                self._call = (flight, call)
                self.world.send(self, call, flight)
        rest = min(max(brain.wake_at(now) - now.mono_ms, SHORTEST_MS), LONGEST_MS)
        self._wake.over = True
        self._wake = wake = Flight()

        def due() -> None:
            if not wake.over:
                self.world.watch.woke(self)
                self.pump()

        self.world.after(rest, due)

    def _tell(self, act: Callable[[Brain, Moment], None]) -> None:
        """Give the brain an outcome and go on."""
        brain = self.brain
        if brain is not None and self._guard(lambda: act(brain, self.moment())):
            self.pump()

    # --- the engine's lane ----------------------------------------------------------------------------------------------

    def at_work(self) -> bool:
        """Whether something more than a look is under way at the engine."""
        return self._engine is not None and not self._engine.looks

    def _trouble(self, verb: str, when: str) -> RuntimeFault | None:
        if self.flaky and self.dice.of("flaky", self.name).random() < self.flaky:
            code = self.dice.of("flaky", self.name).choice(("engine-error", "engine-timeout", "engine-down"))
            return RuntimeFault(code, f"{verb} failed {when} it was done: the simulated engine has a bad day", retry=True)
        return None

    def _hands(self) -> Hands:
        return Hands(self.engine, self.blobs, self.snapshots, opener(self.seal_key.public))  # type: ignore[arg-type] # the engine is a Runtime by its verbs

    def _begin_engine(self, work: EngineWork) -> None:
        flight = self._engine = Flight(looks=isinstance(work, Observe))
        dice = self.dice.of("engine", self.name)
        if isinstance(work, ApplyStep):
            self.world.trace(self, "step", f"{work.step.kind} {work.step.app}/{work.step.service} {work.step.name}".strip())
            self.world.watch.step(self, work)
        before = int(dice.choice((5, 30, 300)) * self.slow)
        hangs = dice.random() < self.hang
        if hangs:
            before = work.timeout_ms + MARGIN_MS + dice.choice((1, 60_000))

            def give_up() -> None:
                if not flight.over:
                    self._ended(flight, work, EngineDone(ok=False, why="it took too long and was ended", code="timeout"))

            self.world.after(work.timeout_ms + MARGIN_MS, give_up)
        late = hangs and dice.random() < 0.5 and not isinstance(work, Observe)

        def act() -> None:
            if flight.over and not late:
                return
            self.fake.take_spent_ms()
            outcome = self._hands().perform(work)
            spent = self.fake.take_spent_ms()
            if not flight.over:
                self.world.after(spent + dice.choice((1, 20)), lambda: self._ended(flight, work, outcome))

        self.world.after(before, act)

    def _ended(self, flight: Flight, work: EngineWork, outcome: EngineDone) -> None:
        if flight.over:
            return
        flight.over = True
        self._engine = None
        if not outcome.ok:
            self.world.trace(self, "failed", outcome.code)
        self._tell(lambda brain, now: brain.done(work, outcome, now))

    def _touched(self, act: Act) -> None:
        self.world.trace(self, act.verb, act.target.mark or act.target.name if act.target else act.name)
        self.world.watch.touched(self, act)

    # --- the fetch lane -------------------------------------------------------------------------------------------------

    def _begin_fetch(self, work: Fetch) -> None:
        flight = self._fetch = Flight()
        fetched: list[str] = []
        missing: list[str] = []
        done = [0]
        todo = list(work.blobs)
        dice = self.dice.of("fetch", self.name)

        def end(outcome: FetchDone) -> None:
            if not flight.over:
                flight.over = True
                self._fetch = None
                self._tell(lambda brain, now: brain.done(work, outcome, now))

        def next_one() -> None:
            if flight.over:
                return
            plane = self.world.plane
            weather = self.link.weather
            if weather.cut or weather.proxy in ("garbles", "stalls") or not plane.up or dice.random() < weather.lose_request:
                end(FetchDone(ok=False, why="the connection broke off", fetched=tuple(fetched)))
                return
            if not todo:
                end(FetchDone(ok=not missing, why="some are not to be had" if missing else "", fetched=tuple(fetched), missing=tuple(missing)))
                return
            blob = todo.pop(0)
            found = plane.blob(work.token, blob.digest)
            if isinstance(found, Refused):
                if found.kind == "missing":
                    missing.append(blob.digest)
                elif found.kind == "unauthenticated":
                    end(FetchDone(ok=False, why=found.why, fetched=tuple(fetched), session_expired=True))
                    return
                else:
                    end(FetchDone(ok=False, why=found.why, code=found.code, fetched=tuple(fetched), retry_s=found.retry_s))
                    return
            else:
                self.blobs.held.add(blob.digest)
                fetched.append(blob.digest)
                done[0] += blob.size
                self._tell(lambda brain, now: brain.progress(work, done[0], now))
            self.world.after(self.link.delay_ms() + blob.size * 1000 // FETCH_BYTES_PER_S, next_one)

        self.world.after(self.link.delay_ms(), next_one)

    # --- the link's lane ------------------------------------------------------------------------------------------------

    def answered(self, flight: Flight, outcome: Answer | Unreachable) -> None:
        """An answer arrived, or it is certain that none will."""
        if flight.over or self._call is None or self._call[0] is not flight:
            return
        flight.over = True
        call = self._call[1]
        self._call = None
        self.world.watch.heard(self, call, outcome)
        self._tell(lambda brain, now: brain.done(call, outcome, now))

    # --- the person at the device ---------------------------------------------------------------------------------------

    def local(self, request: Local) -> LocalReply | None:
        """Ask the agent something; None where it is dead (or dies over it)."""
        found: list[LocalReply] = []
        brain = self.brain
        if brain is None or not self._guard(lambda: found.append(brain.local(request, self.moment()))):
            return None
        self.world.trace(self, "local", f"{request.verb} {request.app} {found[0].ok}")
        self.pump()
        return found[0]
