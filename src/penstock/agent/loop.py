"""The selector loop: it carries the brain's works to their hands and the outcomes back, and answers people at once meanwhile.

Owns waiting, signals, and the three lanes' traffic: engine and fetch works go to children, exchanges with the plane to the link. Nothing in
here blocks and nothing decides; what is decided is the brain's, what is heavy is a child's.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` would import enum on top
import os
import select

from penstock.agent.journal import say
from penstock.agent.link import resolve_job
from penstock.agent.reach import judge_at_s
from penstock.agent.work import Answer, ApplyStep, EngineDone, FetchDone, Local, LocalReply, Observe, RunCommand, order_of
from penstock.wire.codec import WireError, from_plain
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from penstock.agent.children import Child, Children, Ended, Job
    from penstock.agent.clock import Clock
    from penstock.agent.control import Control
    from penstock.agent.ledger import Wipe
    from penstock.agent.link import Link
    from penstock.agent.work import Call, EngineWork, Fetch, Moment, Outcome, Work
    from penstock.wire.messages import Endpoint

    class Mind(Protocol):
        """What the loop needs of a brain (see `agent.brain.Brain`)."""

        def engine_work(self, now: Moment) -> EngineWork | None: ...

        def fetch_work(self, now: Moment) -> Fetch | None: ...

        def link_work(self, now: Moment) -> Call | None: ...

        def done(self, work: Work, outcome: Outcome, now: Moment) -> None: ...

        def progress(self, work: Fetch, done_bytes: int, now: Moment) -> None: ...

        def wake_at(self, now: Moment) -> int: ...

        def local(self, request: Local, now: Moment) -> LocalReply: ...

        def endpoints(self) -> tuple[Endpoint, ...]: ...

        def generation(self) -> tuple[int, int]: ...

        def device_time(self, now: Moment) -> tuple[int, str]: ...

        def interrupt(self, now: Moment) -> bool: ...

        def dropped(self, now: Moment) -> None: ...

        def parting(self) -> Wipe | None: ...

        def farewell(self, now: Moment) -> Call | None: ...

        def busy(self) -> bool: ...

        def unsaid(self) -> bool: ...


READ = 1  # POLLIN
REST_MS = 2_000  # a wait from this length on is a rest
LONGEST_MS = 300_000  # the loop looks up at least this often
SHORTEST_MS = 20  # and, with nothing to do, at most this often
LINGER_MS = 2_000  # how long the child of the engine lane waits for the next step of a change
MARGIN_MS = 5_000  # what a child has beyond its work's own time-out, to say that it ran out
FETCH_SILENCE_MS = 600_000  # a fetch that tells nothing for so long is stuck
RESOLVE_MS = 20_000
ENDING_MS = 8_000  # how long a step under way may still take when the agent is asked to end
LAST_TRIES = 3  # of the last word of a retired device
LAST_LOOK_MS = 500
FAILED, RETIRED = 1, 4  # exit statuses; 4 is that of a device that belongs to no fleet
SPARING_MS = 600_000  # how long the sparing mode stays at most when no change is under way


@record
class Options:
    """How to run. `sparing`: end when the poll is done and no change is under way."""

    sparing: bool = False


class Loop:
    """One run of the agent. `engine_job` and `fetch_job` make the job a child carries out; its value is an outcome in plain form."""

    def __init__(
        self,
        brain: Mind,
        link: Link,
        children: Children,
        clock: Clock,
        engine_job: Callable[[EngineWork], Job],
        fetch_job: Callable[[Fetch, int], Job],
        options: Options,
    ) -> None:
        self._brain = brain
        self._link = link
        self._children = children
        self._clock = clock
        self._engine_job = engine_job
        self._fetch_job = fetch_job
        self._options = options
        self.control: Control | None = None
        self.checked_in: Callable[[], None] = lambda: None  # called after each poll the plane has answered
        self.before_rest: Callable[[], object] = lambda: None  # called once before each rest of some seconds
        self.bury: Callable[[Wipe], None] = lambda _: None  # destroys every file of the agent, its keys last; raises OSError
        self._stirred = True
        self._engine: tuple[Child, EngineWork] | None = None
        self._hands: Child | None = None  # the child of the engine lane while it waits for more to do
        self._hands_until_ms = 0
        self._fetch: tuple[Child, Fetch] | None = None
        self._call: Call | None = None
        self._resolver: Child | None = None
        self._polled = False
        self._trouble = ""
        self._engine_trouble = ""
        self._ending_ms = 0
        self._again = False
        self._wake_r, self._wake_w = -1, -1
        self._begun_ms = clock.now().mono_ms

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until asked to end, or with nothing left to do in the sparing mode; the exit status."""
        self._watch_signals()
        try:
            while not self._over(self._clock.now()):
                wipe = self._brain.parting()
                if wipe is not None:
                    return self._part(wipe)
                self._feed(self._clock.now())
                self._wait()
        finally:
            self._children.stop_all()
            self._link.close()
            if self.control is not None:
                self.control.close()
            self._unwatch_signals()
        return 0

    def _part(self, wipe: Wipe) -> int:
        """The device is retired: its last word is made, its keys go, then the word is said with the key still in memory. Nobody is left to answer."""
        call = self._brain.farewell(self._clock.now())
        self._children.stop_all()
        if self._call is not None:
            self._link.give_up()
        try:
            self.bury(wipe)
        except OSError as fault:
            say("error", "agent.retire", why=f"not everything could be destroyed: {fault}; the next start goes on")
            return FAILED
        said = call is not None and any(self._say_last(call) for _ in range(LAST_TRIES))
        say("info", "agent.retired", why="this device is retired; its keys are gone" + ("" if said else ", which the control plane could not be told"))
        return RETIRED

    def _say_last(self, call: Call) -> bool:
        """One try; whether the plane took it."""
        self._link.start(call, self._clock.now().mono_ms)
        while True:
            outcome = self._link.take()
            if outcome is not None:
                return isinstance(outcome, Answer) and outcome.status == 200
            wanted = self._link.to_resolve()
            if wanted is not None:
                self._resolve_last(*wanted)
                continue
            watch = select.poll()
            for number, events in self._link.watched().items():
                watch.register(number, events)
            ready = {number for number, _ in watch.poll(LAST_LOOK_MS)}
            self._link.step(ready, self._clock.now().mono_ms)

    def _resolve_last(self, host: str, port: int) -> None:
        try:
            value = resolve_job(host, port)(None)
        except OSError as fault:
            value = {"why": str(fault)}
        self._link.resolved(value.get("addresses"), value.get("why", ""), self._clock.now().mono_ms)

    def _watch_signals(self) -> None:
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        _signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        for number in (_signal.SIGTERM, _signal.SIGINT):
            _signal.signal(number, self._on_end)
        _signal.signal(_signal.SIGHUP, self._on_again)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)

    def _unwatch_signals(self) -> None:
        _signal.set_wakeup_fd(-1)
        for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGCHLD):
            _signal.signal(number, _signal.SIG_DFL)
        os.close(self._wake_r)
        os.close(self._wake_w)

    def _on_end(self, *_: object) -> None:
        if not self._ending_ms:
            self._ending_ms = self._clock.now().mono_ms
            say("info", "agent.ending")

    def _on_again(self, *_: object) -> None:
        self._again = True

    def _over(self, now: Moment) -> bool:
        if self._ending_ms:
            return self._engine is None or now.mono_ms - self._ending_ms > ENDING_MS
        if not self._options.sparing or self._working():
            return False
        if self._polled:
            self._feed(now)  # the poll may have left a report or a look to do
            if self._working():
                return False
            if not self._brain.unsaid():
                return True
        return now.mono_ms - self._begun_ms > SPARING_MS

    def _working(self) -> bool:
        return bool(self._engine or self._fetch or self._call) or self._brain.busy()

    # --- handing out works ------------------------------------------------------------------------------------------

    def _feed(self, now: Moment) -> None:
        """Give every idle lane its next work."""
        if self._ending_ms:
            return
        if self._again:
            self._again = False
            self._brain.local(Local("poll", by="signal"), now)
        if self._engine is None:
            work = self._brain.engine_work(now)
            if work is not None:
                self._begin_engine(work, now)
            elif self._hands is not None and (now.mono_ms >= self._hands_until_ms or not self._brain.busy()):
                self._children.dismiss(self._hands)
                self._hands = None
        if self._fetch is None:
            fetch = self._brain.fetch_work(now)
            if fetch is not None:
                self._begin_fetch(fetch, now)
        if self._call is not None and self._brain.interrupt(now):
            self._link.give_up()
            self._call = None
            self._brain.dropped(now)
        if self._call is None:
            self._call = self._brain.link_work(now)
            if self._call is not None:
                self._link.judge_at_s = self._judge_at_s(now)
                self._link.start(self._call, now.mono_ms)
                self._after_link(now)

    def _judge_at_s(self, now: Moment) -> int:
        return judge_at_s(self._brain.device_time(now)[0], now.wall_ms)

    def _begin_engine(self, work: EngineWork, now: Moment) -> None:
        if isinstance(work, ApplyStep):
            step = work.step
            say("info", f"step.{step.kind}", app=step.app, service=step.service, name=step.name, why=step.why)
        elif isinstance(work, RunCommand):
            say("info", f"command.{work.verb}", command=work.command)
        child, self._hands = self._hands, None
        if child is not None:
            if self._children.give(child, order_of(work), work.timeout_ms + MARGIN_MS, now.mono_ms):
                self._engine = (child, work)
                return
            self._children.dismiss(child)
        job = self._engine_job(work)
        again = getattr(job, "again", None) if self._brain.busy() else None
        try:
            child = self._children.start("work on the engine", job, work.timeout_ms + MARGIN_MS, now.mono_ms, again=again)
        except OSError as fault:
            self._brain.done(work, EngineDone(ok=False, why=f"no process can be started: {fault.strerror}", code="died"), now)
            return
        self._engine = (child, work)

    def _begin_fetch(self, work: Fetch, now: Moment) -> None:
        say("info", "fetch.begin", blobs=len(work.blobs), bytes=sum(blob.size for blob in work.blobs), cap=work.bytes_per_s or "none")
        try:
            job = self._fetch_job(work, self._judge_at_s(now))
            child = self._children.start("fetching", job, FETCH_SILENCE_MS, now.mono_ms, niceness=10)
        except OSError as fault:
            self._brain.done(work, FetchDone(ok=False, why=f"no process can be started: {fault.strerror}", code="died"), now)
            return
        self._fetch = (child, work)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        now = self._clock.now()
        parts = [self._brain.wake_at(now), self._link.next_ms(), self._children.next_ms(), now.mono_ms + LONGEST_MS]
        if self.control is not None:
            parts.append(self.control.next_ms())
        if self._ending_ms:
            parts.append(self._ending_ms + ENDING_MS)
        if self._hands is not None:
            parts.append(self._hands_until_ms)
        rest = min(part for part in parts if part is not None) - now.mono_ms
        watch = select.poll()
        watch.register(self._wake_r, READ)
        pipes = self._children.watched()
        for number in pipes:
            watch.register(number, READ)
        for number, events in self._link.watched().items():
            watch.register(number, events)
        if self.control is not None:
            for number, events in self.control.watched().items():
                watch.register(number, events)
        if self._stirred and rest >= REST_MS and not len(self._children):
            self._stirred = False
            self.before_rest()
        ready = {number for number, _ in watch.poll(min(max(rest, SHORTEST_MS), LONGEST_MS))}
        self._stirred = self._stirred or bool(ready) or len(self._children) > 0
        now = self._clock.now()
        if self._wake_r in ready:
            os.read(self._wake_r, 4096)
        for number, child in pipes.items():
            if number in ready:
                self._children.read(child)
                self._news(child, now)
        if self._engine is not None and self._engine[0].orders >= 0 and self._engine[0].result is not None:
            self._stay(self._engine[0], now)
        self._children.expire(now.mono_ms)
        for child, ended in self._children.reap():
            self._news(child, now)
            self._ended(child, ended, now)
        self._link.step(ready, now.mono_ms)
        self._after_link(now)
        if self.control is not None:
            self.control.step(ready, now.mono_ms)

    def _stay(self, child: Child, now: Moment) -> None:
        """The child of the engine lane has a result, and stays for what follows, while something does."""
        ended, child.result = child.result, None
        assert ended is not None
        child.until_ms = now.mono_ms + LINGER_MS + MARGIN_MS
        self._ended(child, ended, now)
        if ended.ok and self._brain.busy():
            self._hands, self._hands_until_ms = child, now.mono_ms + LINGER_MS
        else:
            self._children.dismiss(child)

    def answer(self, request: Local) -> LocalReply:
        """For the control socket: the brain's answer, and in a status what only the running process knows."""
        reply = self._brain.local(request, self._clock.now())
        if request.verb == "status" and reply.ok:
            reply.data.update(pid=os.getpid(), address=self._link.address(), children=len(self._children))
        return reply

    # --- bringing outcomes back -------------------------------------------------------------------------------------

    def _news(self, child: Child, now: Moment) -> None:
        if not child.news:
            return
        latest, child.news = child.news[-1], []
        if self._fetch is not None and self._fetch[0] is child and isinstance(latest, int):
            child.until_ms = now.mono_ms + FETCH_SILENCE_MS
            self._brain.progress(self._fetch[1], latest, now)

    def _ended(self, child: Child, ended: Ended, now: Moment) -> None:
        if child is self._hands:  # it went while it waited: the next work gets another
            self._hands = None
        elif child is self._resolver:
            self._resolver = None
            value: dict[str, Any] = ended.value if ended.ok else {"why": f"{ended.why}; check the device's DNS settings"}
            self._link.resolved(value.get("addresses"), value.get("why", ""), now.mono_ms)
        elif self._engine is not None and self._engine[0] is child:
            work = self._engine[1]
            self._engine = None
            outcome = _outcome(EngineDone, ended)
            self._tell_engine(work, outcome)
            self._brain.done(work, outcome, now)
        elif self._fetch is not None and self._fetch[0] is child:
            fetch = self._fetch[1]
            self._fetch = None
            fetched = _outcome(FetchDone, ended)
            say("info" if fetched.ok else "warning", "fetch.end", blobs=len(fetched.fetched), why=fetched.why)
            self._brain.done(fetch, fetched, now)

    def _tell_engine(self, work: EngineWork, outcome: EngineDone) -> None:
        look = outcome.look
        trouble = outcome.why if look is None else look.seen.why
        if isinstance(work, Observe) or outcome.ok:
            if trouble != self._engine_trouble:
                self._engine_trouble = trouble
                say("warning" if trouble else "info", "engine.trouble" if trouble else "engine.ok", why=trouble)
        else:
            what = work.step.kind if isinstance(work, ApplyStep) else work.verb
            say("warning", "work.failed", work=what, code=outcome.code, why=outcome.why)

    def _after_link(self, now: Moment) -> None:
        wanted = self._link.to_resolve()
        if wanted is not None and self._resolver is None:
            try:
                self._resolver = self._children.start("resolving", resolve_job(*wanted), RESOLVE_MS, now.mono_ms)
            except OSError as fault:
                self._link.resolved(None, f"no process can be started: {fault.strerror}", now.mono_ms)
        outcome = self._link.take()
        if outcome is None:
            return
        call, self._call = self._call, None
        assert call is not None
        self._tell_link(call, outcome)
        self._brain.done(call, outcome, now)
        epoch, generation = self._brain.generation()
        self._link.offer(self._brain.endpoints(), f"{epoch}.{generation}" if generation else "")
        if not isinstance(outcome, Answer):
            self._polled = True  # nobody is there: the sparing mode tries again when it is started next
        elif call.kind == "poll" and outcome.status != 401:
            self._polled = True
            if outcome.status in (200, 304):
                self.checked_in()

    def _tell_link(self, call: Call, outcome: Any) -> None:
        trouble = ""
        if not isinstance(outcome, Answer):
            trouble = outcome.why
        elif outcome.status >= 400 and outcome.status != 401:
            trouble = f"the control plane answered {outcome.status} to a {call.kind}"
        if trouble != self._trouble:
            self._trouble = trouble
            say("warning" if trouble else "info", "link.trouble" if trouble else "link.ok", why=trouble)


def _outcome(cls: type[Any], ended: Ended) -> Any:
    """A child's value as an outcome; a child that ended otherwise is one too."""
    if ended.ok:
        try:
            return from_plain(cls, ended.value)
        except WireError as fault:
            return cls(ok=False, why=f"a child gave no usable result: {fault}", code="died")
    return cls(ok=False, why=ended.why, code="timeout" if ended.code == "timeout" else "died")
