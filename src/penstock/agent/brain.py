"""The brain: what the agent does next, in three lanes (engine, fetch, link), each with at most one work in flight.

Owns no socket, clock, process or engine: works go out as values, outcomes come in as values, and the same brain drives the real loop and
the simulated fleet. Decisions are `rules`; memory is the ledger and the device log, both on a disk behind a port. A work is handed out only after the
ledger holds whatever a crash during it would need. The engine lane's decisions stand in `mind`, the words about it all in `telling`.
"""

from __future__ import annotations

from penstock.agent import localpeople, ordered, wiping, witness
from penstock.agent.adopt import Adopter
from penstock.agent.courier import Courier
from penstock.agent.ledger import memory_of
from penstock.agent.mind import Mind
from penstock.agent.work import Answer, Call, EngineDone, Fetch, FetchDone, LocalReply, Unreachable
from penstock.rules.polling import backoff_ms
from penstock.wire.codec import to_plain
from penstock.wire.log import RefusalNote
from penstock.wire.record import record
from penstock.wire.trust import Refusal, accept_ack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.agent.courier import Heard
    from penstock.agent.disk import Disk
    from penstock.agent.ledger import Wipe
    from penstock.agent.work import EngineWork, Local, Moment, Outcome, Work
    from penstock.wire.messages import Endpoint, Facts
    from penstock.wire.trust import Root, Verify
    from penstock.wire.types import Blob

UNFETCHABLE_MS = 3_600_000  # how long the plane's "I do not have that" is believed


@record
class Identity:
    """Who this device is, and what its keys can do. `sign` makes a DER signature with the device key; `keyid` is that key's id. `data` is the
    random identity of the data directory, drawn once (see `log.Boot`)."""

    device: str
    keyid: str
    data: str
    sign: Callable[[bytes], bytes]


@record
class Tools:
    """What the brain may not do by itself: draw random bytes, verify a signature (`trust.Verify`)."""

    random: Callable[[int], bytes]
    verify: Verify


class Brain:
    """Made once per start of the agent; `now` is the moment of the start. Recovers from what is on `disk`; `root` is the newest trusted root (newer
    ones are written to trust/root.<version>.json). `resumed`: the sparing mode woke up again, which is no start worth an entry. Raises ValueError, a sentence,
    where the ledger on the disk is another device's."""

    def __init__(
        self,
        disk: Disk,
        identity: Identity,
        root: Root,
        tools: Tools,
        now: Moment,
        *,
        facts: Facts,
        built_ms: int = 0,
        resumed: bool = False,
        patient: bool = True,
    ) -> None:
        self._patient = patient  # whether polls may be held open at all
        self._disk = disk
        self._identity = identity
        self._tools = tools
        self._mind = Mind(disk, identity.device, identity.data, root, tools.random, now, facts=facts, built_ms=built_ms, resumed=resumed)
        self._adopter = Adopter(identity.device, tools.verify)
        self._courier = Courier(identity.device, identity.keyid, identity.sign, self._draw, self._nonce, facts.agent, now)
        self._engine: EngineWork | None = None
        self._fetch: Fetch | None = None
        self._link: Call | None = None
        self._fetch_failures = 0
        self._fetch_not_before = now.mono_ms
        self._fetched_bytes = 0
        self._tell(now)

    def _draw(self) -> int:
        return int.from_bytes(self._tools.random(4), "big") % 1000

    def _nonce(self) -> str:
        return self._tools.random(16).hex()

    # --- lanes ------------------------------------------------------------------------------------------------------------

    def engine_work(self, now: Moment) -> EngineWork | None:
        """The next thing to do to the engine, or None (also while one is in flight)."""
        if self._engine is not None:
            return None
        self._engine = self._mind.work(now)
        self._tell(now)
        return self._engine

    def fetch_work(self, now: Moment) -> Fetch | None:
        """The next blobs to bring, or None."""
        if self._fetch is not None or not self._courier.token or now.mono_ms < self._fetch_not_before:
            return None
        blobs = self._wanted_blobs()
        if not blobs:
            if not self._mind.needs():
                self._mind.fetch_trouble("")  # what could not be had is not wanted any more
            return None
        self._fetch = Fetch(blobs, self._courier.token, self._mind.book.settings.fetch_bytes_per_s)
        self._fetched_bytes = 0
        return self._fetch

    def _wanted_blobs(self) -> tuple[Blob, ...]:
        if self._mind.storage_fault():
            return ()
        have = set(self._mind.look.blobs)
        return tuple(blob for blob in self._mind.needs() if blob.digest not in have and blob.digest not in self._mind.unfetchable)

    def link_work(self, now: Moment) -> Call | None:
        """The next exchange with the plane, or None."""
        if self._link is not None:
            return None
        mind = self._mind
        if mind.log.waiting() or mind.pending:
            witness.write_observations(mind, now)
            self._tell(now)
        time_ms, _ = mind.keeper.device_time(now)
        call = self._courier.work(
            mind.book, mind.log, mind.root.version, time_ms, now, wants_word=mind.keeper.wants_word(now), patient=self._patient and not mind.busy()
        )  # fmt: skip
        if call is not None and call.kind == "report":
            mind.mark_log()  # what was sent once must never be numbered again, whatever is cut off the log
        self._link = call
        return call

    def interrupt(self, now: Moment) -> bool:
        """Whether the poll in flight, held open by the plane, should be given up because there is something to say. The caller then ends
        it and calls `dropped`."""
        return self._link is not None and self._courier.interrupt(self._link, self._mind.log, now)

    def dropped(self, now: Moment) -> None:
        """The held-open poll was given up after `interrupt`; nothing failed."""
        self._link = None
        self._courier.poke(now)

    def done(self, work: Work, outcome: Outcome, now: Moment) -> None:
        """A work ended. A process that died, or was killed at its time-out, is an outcome too (`EngineDone(ok=False, code="died")`)."""
        if isinstance(outcome, EngineDone):
            if work is self._engine and self._engine is not None:
                engine, self._engine = self._engine, None
                self._mind.done(engine, outcome, now)
        elif isinstance(outcome, FetchDone):
            if work is self._fetch:
                self._fetch = None
                self._fetch_done(work, outcome, now)
        elif work is self._link and isinstance(work, Call):
            self._link = None
            self._link_done(work, outcome, now)
        self._tell(now)

    def progress(self, work: Fetch, done_bytes: int, now: Moment) -> None:
        """How many bytes of a running fetch have come."""
        if work is self._fetch:
            self._mind.progress(done_bytes, sum(blob.size for blob in work.blobs), now)
            self._tell(now)

    def wake_at(self, now: Moment) -> int:
        """When to ask again if nothing else happens: monotonic milliseconds."""
        due = now.mono_ms + 3_600_000
        if self._engine is None:
            due = min(due, self._mind.wake_at(now))
        if self._link is None:
            due = min(due, self._courier.wake_at(self._mind.log))
        if self._fetch is None and self._courier.token and self._wanted_blobs():
            due = min(due, self._fetch_not_before)
        return max(due, now.mono_ms)

    def busy(self) -> bool:
        """Whether a change is under way or soaking: the sparing mode stays resident while it is."""
        return self._mind.busy()

    def unsaid(self) -> bool:
        """Whether the plane is still to hear something, and takes it: the sparing mode says it before it ends."""
        return self._courier.has_to_say(self._mind.log)

    def parting(self) -> Wipe | None:
        """The order under which this device now leaves its fleet, once all but its keys is gone and the plane has that under signature; else None."""
        return self._mind.book.wipe if wiping.parting(self._mind) and self._courier.token else None

    def farewell(self, now: Moment) -> Call | None:
        """The last report, signed while the key is still there. After it the brain is to be left alone."""
        wiping.last_word(self._mind, now)
        return self._courier.report(self._mind.book, self._mind.log, now)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """How the newest accepted desired state says the plane is reached; empty where it does not say."""
        return self._mind.book.endpoints

    def root(self) -> Root:
        """The newest trusted root."""
        return self._mind.root

    def left(self, app: str) -> str:
        """The content that a person at the device went back from, while that pins the app; empty otherwise."""
        pin = memory_of(self._mind.book, app).pin
        return pin.against if pin is not None else ""

    def generation(self) -> tuple[int, int]:
        """Epoch and generation of the accepted desired state; (0, 0) before the first."""
        return self._mind.book.held.epoch, self._mind.book.held.generation

    def device_time(self, now: Moment) -> tuple[int, str]:
        """The device's time, never below its floor, and whether it can be trusted; TLS is judged at it."""
        return self._mind.keeper.device_time(now)

    def _tell(self, now: Moment) -> None:
        """Write what is to be logged, and let the link know."""
        self._mind.flush(now)
        urgent = self._mind.news()
        if urgent is not None:
            self._courier.told(now, urgent=urgent)

    # --- fetch ------------------------------------------------------------------------------------------------------------

    def _fetch_done(self, work: Fetch, outcome: FetchDone, now: Moment) -> None:
        if outcome.session_expired:
            self._courier.drop_session()
            self._courier.poke(now)
        for digest in outcome.missing:
            self._mind.unfetchable[digest] = now.mono_ms + UNFETCHABLE_MS
        self._mind.came(tuple(blob.digest for blob in work.blobs) if outcome.ok else outcome.fetched)
        self._mind.look_again()
        if outcome.ok:
            self._fetch_failures = 0
            self._mind.fetch_trouble("")
            self._mind.progress(0, 0, now)
            return
        if not outcome.session_expired:
            self._fetch_failures = 1 if outcome.fetched else self._fetch_failures + 1
            self._fetch_not_before = now.mono_ms + backoff_ms(self._fetch_failures, self._draw(), outcome.retry_s)
            self._mind.fetch_trouble(outcome.why)

    # --- link -------------------------------------------------------------------------------------------------------------

    def _link_done(self, call: Call, outcome: Answer | Unreachable | EngineDone | FetchDone, now: Moment) -> None:
        assert isinstance(outcome, (Answer, Unreachable))
        mind = self._mind
        heard = self._courier.answered(call, outcome, mind.log, mind.book.settings.poll_s, now)
        if heard.kind == "apart":
            mind.set_apart(heard.why or "no reason given", now)
        elif heard.kind == "superseded":
            mind.superseded(now)
        elif heard.kind in ("state", "current"):
            mind.set_apart("", now)
            wiping.polled(mind, self._adopt(heard, now) if heard.kind == "state" else None, now)
        elif heard.kind == "ack":
            self._acknowledged(heard, now)

    def _adopt(self, heard: Heard, now: Moment) -> frozenset[str]:
        """Take a reply in; the open orders it names."""
        mind = self._mind
        assert heard.reply is not None
        time_ms, _ = mind.keeper.device_time(now)
        adopted = self._adopter.adopt(mind.book, mind.root, heard.reply, heard.nonce, time_ms)
        if adopted.time_ms:
            mind.keeper.anchor(adopted.time_ms, now)
        if heard.nonce:
            proven = adopted.time_ms or not mind.book.held.generation
            why = "the plane was asked for its signed word on the time and gave none: something on the way may repeat old answers"
            mind.alarm("word", "" if proven else why)
        mind.adopt(adopted, heard.etag, now)
        return adopted.listed

    def _acknowledged(self, heard: Heard, now: Moment) -> None:
        """A signed acknowledgement lets the log go; anything else lets nothing go."""
        mind = self._mind
        assert heard.report is not None
        ack = accept_ack(mind.root, self._identity.device, heard.report.ack.encode("utf-8"), self._tools.verify)
        if isinstance(ack, Refusal):
            mind.note_refusal(RefusalNote("ack", ack.reason, ack.why), now)
            self._courier.more(mind.log, now, progress=False)
            return
        fault = mind.log.ack_fault(ack.seq, ack.head)
        if fault:
            mind.alarm("log", fault)
            return
        mind.alarm("log", "")
        mind.keeper.signed(ack.time_ms)
        progress = ack.seq > mind.log.acked
        if progress:
            mind.log.ack(ack.seq)
            mind.mark_log()
            if mind.book.wipe is not None and mind.book.wipe.stage == "telling":
                self._courier.poke(now)  # is it still wanted, now that the plane has it in writing?
        self._courier.more(mind.log, now, progress=progress)

    # --- the person at the device -----------------------------------------------------------------------------------------

    def local(self, request: Local, now: Moment) -> LocalReply:
        """Answer a person at the device, at once."""
        mind = self._mind
        if request.verb == "status":
            reply = LocalReply(True, witness.summary(mind, now), witness.status(mind, now, self._courier.last_why, self._courier.last_ok_ms))
        elif request.verb == "why":
            reply = witness.why(mind, request.app, now)
        elif request.verb == "log":
            reply = self._log(request)
        elif request.verb == "poll":
            self._courier.poke(now)
            mind.look_again()
            reply = LocalReply(True, "the plane is asked at once, and the engine is looked at", {})
        elif request.verb == "revert":
            reply = ordered.go_back(mind, request, now)
        elif request.verb == "retry":
            reply = ordered.try_again(mind, request, now)
        elif request.verb == "people":
            reply = localpeople.people(mind, now)
        else:
            reply = LocalReply(False, f"this agent does not know the request {request.verb!r}", {})
        self._tell(now)
        return reply

    def _log(self, request: Local) -> LocalReply:
        count = min(max(request.count, 1), 200)
        entries = self._mind.log.entries_after(request.after, most=count) if request.after else self._mind.log.tail(count)
        data = {"entries": [to_plain(entry) for entry in entries], "newest": self._mind.log.seq, "acknowledged": self._mind.log.acked}
        return LocalReply(True, f"{len(entries)} entries; the plane has acknowledged up to {self._mind.log.acked}", data)
