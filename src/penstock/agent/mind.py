"""The engine lane: looks, decisions and their traces in the ledger and the log.

Owns the live book, the newest look, and the walk from decision to work and from outcome to memory. Whatever a crash needs is saved before a work
goes out; receipts and outcomes are logged before the ledger forgets why. While the storage refuses, nothing is changed. Never speaks to an
engine or the plane.
"""

from __future__ import annotations

from penstock.agent import looking, ordered, wiping, witness
from penstock.agent.adopt import void_epoch
from penstock.agent.devicelog import DeviceLog
from penstock.agent.ledger import Book, Ledger, LogMark, memory_of, with_memory
from penstock.agent.telling import View, phase_of
from penstock.agent.timekeeper import Timekeeper
from penstock.agent.tokens import Tokens
from penstock.agent.watching import Watching
from penstock.agent.work import ApplyStep, EngineDone, Observe, RunCommand
from penstock.rules import turns
from penstock.rules.answers import Act, Circumstances, Settled, Turn, Wait
from penstock.rules.look import NOTHING_SEEN, Look
from penstock.rules.memory import AppMemory, contents_needed
from penstock.rules.observed import Observation as Seen
from penstock.rules.ours import reconcile
from penstock.rules.plan import plan
from penstock.rules.soak import backoff_ms, stand
from penstock.wire.log import Boot, Event, Observation, RefusalNote
from penstock.wire.record import replace
from penstock.wire.types import AppState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from penstock.agent.adopt import Adopted
    from penstock.agent.disk import Disk
    from penstock.agent.work import EngineWork, Moment
    from penstock.rules.step import Step
    from penstock.wire.log import AppObservation, Receipt
    from penstock.wire.messages import Facts
    from penstock.wire.trust import Root
    from penstock.wire.types import Blob

WORD_MS = 30_000  # how long a change that an interruption left half done waits for the plane's word on the time
DOUBT_EVERY_MS = 3_600_000  # that another session was opened is written down no more often: nobody else fills the log
NODES_MS = 60_000  # a device node that comes and goes is told no more often than this
SOFT_SAVE_MS = 15_000  # counted time is saved no more often than this
MOST_TURNS = 64  # turns in one go; more would be a circle
URGENT = frozenset(("receipt", "command-outcome", "local-act", "event", "refusal", "gap"))


class Mind:
    """See the module. `book` is the live ledger; what is on disk is `ledger.book`."""

    def __init__(
        self,
        disk: Disk,
        device: str,
        data: str,
        root: Root,
        random: Callable[[int], bytes],
        now: Moment,
        *,
        facts: Facts,
        built_ms: int,
        resumed: bool,
    ) -> None:
        self.device = device
        self.root = root
        self.facts = facts
        self._disk = disk
        self.ledger = Ledger(disk)
        self.book = self.ledger.book or Book(0, device, random(16).hex(), epoch=root.epoch)
        if self.book.device != device:
            raise ValueError(f"the ledger on this disk belongs to device {self.book.device}; uninstall that agent before this device is enrolled anew")
        booted = not resumed or self.book.boot_id != now.boot_id or self.book.boots == 0
        if booted:
            self.book = replace(self.book, boots=self.book.boots + 1, boot_id=now.boot_id)
        mark = self.book.log
        self.log = DeviceLog(disk, self.book.boots, mark.seq, mark.digest, mark.acked, self._quota())
        if root.epoch > self.book.epoch:  # a crash fell between the new root and the ledger
            self.book = void_epoch(self.book, root.epoch)
            self.log.rewind(0)
        self.keeper = Timekeeper(max(built_ms, self.book.signed_ms))
        self.tokens = Tokens(self.book.secret)
        self.watching = Watching()
        self.look: Look = NOTHING_SEEN
        self.unfetchable: dict[str, int] = {}
        self.alarm_book: dict[str, str] = {}
        self._refused: set[tuple[str, str]] = set()
        self.views: dict[str, View] = {}
        self.needs_by_app: dict[str, tuple[Blob, ...]] = {}
        self.wakes: dict[str, int] = {}
        self._retry: dict[str, tuple[int, int]] = {}
        self.fetched: tuple[int, int] = (0, 0)
        self._need_look = True
        self._doubt_from = 0
        self.look_at = now.mono_ms
        self._look_not_before = now.mono_ms
        self._nodes_not_before = now.mono_ms
        self.engine_failures = 0
        self._asked: Observe | None = None
        self._dirty = True
        self.sweep = True
        self._soft_ms = now.mono_ms
        self.started_ms = now.mono_ms
        self.pending: dict[str, Observation] = {}
        self._urgent: bool | None = None
        self._apps_at_start = {memory.app for memory in self.book.apps if memory.change is not None}
        self._already = ordered.already_logged(self.log)
        self._receipt_of: dict[str, Receipt] = {}
        apps = tuple(replace(memory, change=stand(memory.change)) if memory.change is not None else memory for memory in self.book.apps)
        self.book = replace(self.book, apps=apps)
        if booted:
            self.say("boot", Boot(facts.agent, now.boot_id, facts, data), now)
        if self.ledger.recovered:
            why = f"a ledger file was damaged, the one before it is used ({self.ledger.recovered})"
            self.say("event", Event("ledger.recovered", why), now)
        self.flush(now)
        if booted or self.ledger.recovered:
            self.save()

    def already(self) -> set[str]:
        """Changes and commands whose end was logged before a crash kept the ledger from forgetting them."""
        return self._already

    def _quota(self) -> int:
        return min(max(self.book.settings.log_quota_bytes, 1024 * 1024), 1024 * 1024 * 1024)

    # --- traces -----------------------------------------------------------------------------------------------------------

    def say(self, kind: str, body: Any, now: Moment) -> None:
        """Queue one entry of the device log."""
        time_ms, clock = self.keeper.device_time(now)
        self.log.add(kind, body, time_ms, clock)
        self._urgent = bool(self._urgent) or kind in URGENT

    def flush(self, now: Moment) -> None:
        """Write what is queued."""
        if self._urgent is not None:
            time_ms, clock = self.keeper.device_time(now)
            self.log.flush(time_ms, clock)

    def news(self) -> bool | None:
        """Whether anything said since the last asking is urgent; None when nothing was said."""
        told, self._urgent = self._urgent, None
        return told

    def save(self) -> bool:
        """The live book to disk."""
        if self.ledger.save(self.book):
            assert self.ledger.book is not None
            self.book = self.ledger.book
            return True
        return False

    def mark_log(self) -> None:
        """The ledger learns where the log ends and what is acknowledged, if it does not know yet."""
        if self.mark_in_book():
            self.save()

    def mark_in_book(self) -> bool:
        """The live book's mark of the log brought up to date; whether it was not."""
        mark = LogMark(self.log.seq, self.log.head, self.log.acked)
        if mark == self.book.log:
            return False
        self.book = replace(self.book, log=mark, signed_ms=max(self.book.signed_ms, self.keeper.floor_ms if self.book.signed_ms else 0))
        return True

    def storage_fault(self) -> str:
        """Why the agent's own storage cannot be relied on; empty when it can."""
        return self.ledger.fault or self.log.fault

    def alarm(self, name: str, why: str) -> None:
        """Raise an alarm, or lower it with an empty sentence."""
        if why:
            self.alarm_book[name] = why
        else:
            self.alarm_book.pop(name, None)

    def note_refusal(self, note: RefusalNote, now: Moment) -> None:
        """Something signed was not accepted, over and over; noted once per start for the same reason."""
        key = (note.what, note.reason)
        if key not in self._refused:
            self._refused.add(key)
            self.say("refusal", note, now)

    # --- what the link brings ---------------------------------------------------------------------------------------------

    def adopt(self, adopted: Adopted, etag: str, now: Moment) -> None:
        """Take in what was accepted, on disk before anything follows from it."""
        kept = all(self.ledger.keep_file(f"trust/root.{version}.json", raw) for version, raw in adopted.roots)
        kept = kept and all(self.ledger.keep_release(content, state) for content, state in adopted.releases)
        before, acked = self.book, self.log.acked
        if adopted.raised:
            self.log.rewind(0)
            self.mark_in_book()
        book = replace(adopted.book, etag=etag if adopted.clean else "", log=self.book.log)
        if wiping.under_way(self):
            book = replace(book, wanted=())
        if book != before:
            self.book = book
            if not kept or not self.save():
                self.book, self.log.acked = before, acked
                return  # not believed before it is on disk; the plane sends it again
        self.root = adopted.root
        self.keeper.signed(book.signed_ms)
        for note in adopted.refusals:
            self.say("refusal", note, now)
        for event in adopted.events:
            self.say("event", event, now)
        self.log.quota_bytes = self._quota()
        if adopted.news or adopted.raised:
            self.unfetchable.clear()
            self.sweep = True
            self.look_again()

    def set_apart(self, why: str, now: Moment) -> None:
        """The plane sets this device apart (it keeps running and logging, and changes nothing), or takes it back."""
        if why == self.book.quarantined:
            return
        text = f"the plane has set this device apart: {why}" if why else "the plane has taken this device back"
        self.say("event", Event("device.apart" if why else "device.back", text), now)
        self.book = replace(self.book, quarantined=why[:1000])
        self.save()
        self._dirty = True

    def superseded(self, now: Moment) -> None:
        """Another session of this device was opened after the one in use: by another machine with this identity, or by a request that was held up
        on the way. What is written down now settles which: two machines cannot both continue one log."""
        if now.mono_ms >= self._doubt_from:
            self._doubt_from = now.mono_ms + DOUBT_EVERY_MS
            self.say(
                "event",
                Event("session.superseded", "the plane has opened another session of this device since; if it was not this machine, its disk was copied"),
                now,
            )

    def look_again(self) -> None:
        """Something changed: decide anew, on a new look."""
        self._need_look = True
        self._dirty = True
        self._look_not_before = min(self._look_not_before, self.look_at)

    def progress(self, done: int, total: int, now: Moment) -> None:
        """Bytes of the running fetch."""
        self.fetched = (done, total)
        if total:
            witness.observe(self, now)

    def came(self, digests: tuple[str, ...]) -> None:
        """These blobs are in the agent's own store now. The next look says so too, but a long step may keep it waiting, and they are not to be
        asked for again meanwhile."""
        self.look = replace(self.look, blobs=tuple(sorted({*self.look.blobs, *digests})))

    def fetch_trouble(self, why: str) -> None:
        """A fetch ended badly; people see it with the waiting app."""
        self.alarm("fetch", why)

    def needs(self) -> tuple[Blob, ...]:
        """Blobs to be fetched: what a wish waits for first, then what the way back would like."""
        found: dict[str, Blob] = {}
        for app in sorted(self.needs_by_app, key=lambda one: (self.views.get(one, View()).phase in ("soaked", "confirmed"), one)):
            for blob in self.needs_by_app[app]:
                found.setdefault(blob.digest, blob)
        return tuple(found.values())

    # --- deciding ---------------------------------------------------------------------------------------------------------

    def work(self, now: Moment) -> EngineWork | None:
        """The next engine work, or None."""
        self.unfetchable = {digest: until for digest, until in self.unfetchable.items() if until > now.mono_ms}
        if now.mono_ms < self._look_not_before:
            return None
        if self._need_look or now.mono_ms >= self.look_at:
            return looking.observe_work(self, now)
        if not self._dirty:
            self._soft_save(now)
            return None
        return self._decide(now)

    def _decide(self, now: Moment) -> EngineWork | None:
        for _ in range(MOST_TURNS):
            turned = False
            for app in () if wiping.past_apps(self) else self.app_names():
                work, turned = self._decide_app(app, now)
                if work is not None:
                    return work
                if turned:
                    break
            if not turned:
                work, turned = ordered.next_command(self, now)
                if work is not None:
                    return work
            if not turned:
                work, turned = wiping.next_step(self, now)
                if work is not None:
                    return work
            if not turned:
                break
            if self._need_look:
                return looking.observe_work(self, now)
        self._dirty = False
        looking.schedule(self, now, past_apps=wiping.past_apps(self))
        witness.observe(self, now)
        self._soft_save(now)
        return None

    def app_names(self) -> list[str]:
        """Apps in the middle of a change first, and those before all of which something was stopped or made, so that at most one is half done."""
        names = {memory.app for memory in self.book.apps} | {one.app for one in self.book.wanted}
        under = [memory for memory in self.book.apps if memory.change is not None and memory.change.stage not in ("claimed", "confirmed")]
        rank = {memory.app: 0 if memory.change is not None and memory.change.touched else 1 for memory in under}
        return sorted(names, key=lambda name: (rank.get(name, 2), name))

    def circumstances(self, app: str, now: Moment) -> Circumstances:
        """What decides besides memory and look."""
        time_ms, clock = self.keeper.device_time(now)
        return Circumstances(
            device=self.device,
            now_ms=time_ms,
            mono_ms=now.mono_ms,
            boot=now.boot_id,
            change_id=self.tokens.change(self.book.next_change),
            token=self.tokens.token(self.book.next_token),
            clock=clock,
            trust_until_ms=self.root.expires_ms,
            quarantined=self.book.quarantined,
            storage_fault=self.storage_fault(),
            leaves=self.book.leaves,
            fresh=app in self._apps_at_start,
            word_due=clock != "trusted" and now.mono_ms - self.started_ms < WORD_MS,
            probes=self.watching.probes,
            down_since=self.watching.down_since,
            up_since=self.watching.up_since,
            unfetchable=frozenset(self.unfetchable),
            retiring=self.book.wipe.by if self.book.wipe is not None and wiping.under_way(self) else "",
        )

    def releases(self, memory: AppMemory) -> dict[str, AppState]:
        """Every release the memory or the wish speaks of, by content."""
        contents = set(contents_needed(memory)) | {one.content for one in self.book.wanted if one.app == memory.app}
        found = {}
        for content in contents:
            state = self.ledger.release(content)
            if state is not None:
                found[content] = state
        return found

    def desired(self, app: str) -> AppState | None:
        """What the accepted desired state asks for."""
        for one in self.book.wanted:
            if one.app == app:
                return self.ledger.release(one.content)
        return None

    def _decide_app(self, app: str, now: Moment) -> tuple[EngineWork | None, bool]:
        memory = memory_of(self.book, app)
        _, retry_at = self._retry.get(app, (0, 0))
        if now.mono_ms < retry_at:
            self.wakes[app] = retry_at
            return None, False
        wanted = any(one.app == app for one in self.book.wanted)
        desired = self.desired(app)
        if wanted and desired is None:
            self.views[app] = View("failed", "the description of the release on this device is damaged; the plane is asked for it again", "damaged")
            if self.book.etag or self.book.held.generation:
                self.ask_anew()
            return None, False
        c = self.circumstances(app, now)
        releases = self.releases(memory)
        answer = plan(memory, desired, releases, self.look, c)
        if self.look.seen.engine_ok and not c.storage_fault and getattr(answer, "reason", "") != "clock":
            self._apps_at_start.discard(app)
        self.views[app] = phase_of(answer, answer.memory, desired)
        self.needs_by_app[app] = answer.needs if isinstance(answer, (Wait, Settled)) else ()
        if isinstance(answer, (Act, Turn)) and memory.change is None and not c.storage_fault:
            witness.observe_drift(self, app, now)
        if isinstance(answer, Act):
            return self._act(answer, releases, desired, now), False
        if isinstance(answer, Turn):
            self.turn(answer, now)
            return None, True
        self.wakes[app] = answer.wake_ms if isinstance(answer, Wait) else -1
        if answer.memory != memory:
            self.book = with_memory(self.book, answer.memory)  # counted time: saved now and then
        return None, False

    def ask_anew(self) -> None:
        """Ask for the whole desired state again, as a device that holds none would; what runs stays."""
        if self.book.held.digest:
            self.book = replace(self.book, etag="", held=replace(self.book.held, generation=max(self.book.held.generation - 1, 0), digest=""))
            self.save()

    def _act(self, answer: Act, releases: dict[str, AppState], desired: AppState | None, now: Moment) -> EngineWork | None:
        """A step: the intent on disk, then the work. Starting what should be running needs no disk."""
        book = with_memory(self.book, answer.memory)
        if answer.step.kind == "create":
            book = replace(book, next_token=self.book.next_token + 1)
        if book != self.book:
            self.book = book
            if not self.save() and not (answer.step.kind == "start" and not answer.step.change):
                self._dirty = True
                self._need_look = True
                self._look_not_before = now.mono_ms + backoff_ms(3)
                return None
        step = answer.step
        state = releases.get(step.content) or releases.get(answer.memory.running) or desired
        if state is None and answer.memory.change is not None:
            state = releases.get(answer.memory.change.target) or releases.get(answer.memory.change.source)
        if state is None:
            # Every description is lost (damaged storage): what is left to do is to take away, and that needs none.
            state = next(iter(releases.values()), AppState(step.app, answer.memory.deployment, "", "", ()))
        return looking.step_work(self, step, state, releases, now)

    def turn(self, turn: Turn, now: Moment) -> None:
        """A page is turned. An end is logged before the ledger forgets the change, a beginning once the ledger holds it: a crash in between
        repeats the page and not the change. What the disk does not take has not happened."""
        standing, before = self.book, memory_of(self.book, turn.memory.app)
        self._dirty = True
        if turn.receipt is not None:
            if turn.receipt.change not in self._already:
                self._already.add(turn.receipt.change)
                self.say("receipt", turn.receipt, now)
            self.flush(now)
            if self.log.fault:
                return
            ordered.change_ended(self, turn.receipt, turn.command, now)
            wiping.change_ended(self, turn.receipt)
            if turn.receipt.kind == "recreate" and turn.receipt.verdict != "done":  # what is begun by nobody's order is not begun again at once
                tries, _ = self._retry.get(turn.receipt.app, (0, 0))
                self._retry[turn.receipt.app] = (tries + 1, now.mono_ms + backoff_ms(tries + 1))
            self.sweep = True
        self._turn_memory(turn, before)
        if not self.save():
            self.book = standing if turn.receipt is None else self.book
            return
        for event in turn.events:
            self.say("event", event, now)
        self.flush(now)
        self._need_look = self._need_look or turn.look

    def _turn_memory(self, turn: Turn, before: AppMemory) -> None:
        """The live book after a turn; an app that is gone leaves it."""
        memory = turn.memory
        wanted = any(one.app == memory.app for one in self.book.wanted)
        if not wanted and memory.change is None and not memory.running and not memory.units:
            self.pending[memory.app] = Observation(app=self._gone(memory.app, turn.why))
            for table in (self.views, self.needs_by_app, self.wakes, self._retry):
                table.pop(memory.app, None)
            memory = AppMemory(memory.app)
        book = with_memory(self.book, memory)
        if memory.change is not None and (before.change is None or before.change.id != memory.change.id):
            book = replace(book, next_change=self.book.next_change + 1)
        if turn.receipt is not None and turn.receipt.verdict == "rejected":
            book = replace(book, next_change=self.book.next_change + 1)
        self.book = book

    @staticmethod
    def _gone(app: str, why: str) -> AppObservation:
        from penstock.wire.log import AppObservation

        return AppObservation(app, "", "removed", why, removed=True)

    # --- outcomes ---------------------------------------------------------------------------------------------------------

    def done(self, work: EngineWork, outcome: EngineDone, now: Moment) -> None:
        """An engine work ended, well or not."""
        if isinstance(work, ApplyStep):
            self._step_done(work.step, outcome, now)
        elif isinstance(work, RunCommand):
            ordered.command_done(self, work, outcome, now)
        asked = work if isinstance(work, Observe) else work.look
        if outcome.look is None:
            self._need_look = True
            if isinstance(work, Observe):
                self._engine_failed(outcome.why or "the look at the engine did not end", now)
            return
        self._looked(outcome.look, asked, now)

    def _step_done(self, step: Step, outcome: EngineDone, now: Moment) -> None:
        memory = memory_of(self.book, step.app)
        c = self.circumstances(step.app, now)
        self._need_look = True
        self._dirty = True
        if outcome.ok or self._left_to_them(step, outcome):
            self._retry.pop(step.app, None)
            if step.kind != "remove-image":
                self.say("event", Event("step.done", step.why, step.app, step.change, {"step": step.kind, "service": step.service}), now)
            memory = turns.after(memory, step, c, identity=outcome.identity, had_data=outcome.had_data, copied_bytes=outcome.bytes)
            self.keep(memory)
            return
        why = f"{step.why}: {outcome.why}"
        tries, _ = self._retry.get(step.app, (0, 0))
        if tries < 3 or tries % 16 == 0:
            data = {"step": step.kind, "service": step.service, "code": outcome.code}
            self.say("event", Event("step.failed", why[:2000], step.app, step.change, data), now)
        in_change = memory.change is not None and step.change == memory.change.id
        if in_change and turns.gives_up(memory, outcome.code, retry=outcome.retry):
            assert memory.change is not None
            if memory.change.stage in ("reverting", "undoing"):
                self.turn(turns.left(memory, why, c), now)
            else:
                self.turn(turns.fail(memory, why, c, self.releases(memory)), now)
            return
        if in_change:
            self.keep(turns.after_fault(memory, outcome.code))
        self._retry[step.app] = (tries + 1, now.mono_ms + backoff_ms(tries + 1))
        self.views[step.app] = View(self.views.get(step.app, View()).phase, why, "step-failed")

    def _left_to_them(self, step: Step, outcome: EngineDone) -> bool:
        """Whether a step that failed is as good as done: an image that somebody else's container uses is left to them. Our own may just be ending."""
        tries, _ = self._retry.get(step.app, (0, 0))
        return step.kind == "remove-image" and outcome.code == "in-use" and (tries >= 3 or wiping.under_way(self))

    def keep(self, memory: AppMemory) -> None:
        """An app's memory into the book, and to disk if it differs."""
        book = with_memory(self.book, memory)
        if book != self.book:
            self.book = book
            self.save()

    def _engine_failed(self, why: str, now: Moment) -> None:
        self.engine_failures += 1
        self.look = replace(self.look, seen=Seen(engine_ok=False, why=why))
        self._look_not_before = now.mono_ms + backoff_ms(self.engine_failures, 1_000, 60_000)
        self.look_at = self._look_not_before
        self._need_look = False
        self._dirty = False
        for app in self.app_names():
            view = self.views.get(app, View())
            self.views[app] = View(view.phase, f"the container engine does not answer: {why}", "engine")
            memory = memory_of(self.book, app)
            if memory.change is not None:
                self.book = with_memory(self.book, replace(memory, change=stand(memory.change)))
        witness.observe(self, now)

    def _looked(self, look: Look, asked: Observe, now: Moment) -> None:
        if not look.seen.engine_ok:
            self._engine_failed(look.seen.why, now)
            return
        self.engine_failures = 0
        first = not self.look.platforms
        self.look = look
        if look.nodes not in (None, self.facts.nodes) and now.mono_ms >= self._nodes_not_before:
            self.facts = replace(self.facts, nodes=look.nodes)
            self._nodes_not_before = now.mono_ms + NODES_MS
        if self.storage_fault():
            self.save()
            time_ms, clock = self.keeper.device_time(now)
            self.log.flush(time_ms, clock)
        apps = []
        for memory in self.book.apps:
            kept = reconcile(
                self.tokens.recover(memory, look.seen, self.device, self.book.next_token) if self.ledger.recovered else memory,
                look.seen,
                self.device,
                now.boot_id,
            )
            apps.append(kept)
        if tuple(apps) != self.book.apps:
            self.book = replace(self.book, apps=tuple(apps))
            self.save()
        self.watching.seen(self.device, self.book.apps, look, asked.ask, now.mono_ms)
        # The first look does not know the platforms before it has asked, so it asks for no images; the second does.
        self._need_look = first and bool(look.platforms) and bool(self.book.apps or self.book.wanted)
        self._dirty = True
        self.look_at = now.mono_ms + looking.idle_ms(self)

    def busy(self) -> bool:
        """Whether a change is under way or soaking, or the device is being retired."""
        return wiping.under_way(self) or any(memory.change is not None for memory in self.book.apps)

    def wake_at(self, now: Moment) -> int:
        """Monotonic time at which `work` has something to do."""
        if self._need_look or self._dirty:
            retries = [at for _, at in self._retry.values() if at > now.mono_ms]
            return max(now.mono_ms if not retries or self._need_look else min([*retries, self.look_at]), self._look_not_before)
        return max(self.look_at, self._look_not_before)

    def _soft_save(self, now: Moment) -> None:
        """Counted time goes to disk now and then; at rest nothing is written."""
        if self.ledger.book is not None and self.book != self.ledger.book and now.mono_ms - self._soft_ms >= SOFT_SAVE_MS:
            self._soft_ms = now.mono_ms
            self.save()
