"""The engine lane: looks, decisions and their traces in the ledger and the log.

Owns the live book, the newest look, and the walk from decision to work and from outcome to memory. Whatever a crash needs is saved before a work
goes out; receipts and outcomes are logged before the ledger forgets why. While the storage refuses, nothing is changed. Never speaks to an
engine or the plane.
"""

from __future__ import annotations

from penstock.agent import ordered
from penstock.agent.devicelog import DeviceLog
from penstock.agent.ledger import Book, Ledger, LogMark, memory_of, with_memory
from penstock.agent.telling import View, fingerprint, observe_app, phase_of, sentences, status_data
from penstock.agent.timekeeper import Timekeeper
from penstock.agent.tokens import Tokens
from penstock.agent.watching import Watching, needed_blobs, needed_contents
from penstock.agent.work import ApplyStep, EngineDone, LocalReply, Observe, RunCommand
from penstock.rules import turns
from penstock.rules.answers import Act, Circumstances, Settled, Turn, Wait
from penstock.rules.look import NOTHING_SEEN, Look
from penstock.rules.memory import AppMemory, contents_needed
from penstock.rules.observed import Observation as Seen
from penstock.rules.ours import reconcile, strangers
from penstock.rules.plan import plan
from penstock.rules.soak import backoff_ms, stand
from penstock.rules.variants import image_of, variants_of
from penstock.wire.codec import to_plain
from penstock.wire.log import Boot, DeviceObservation, Event, LocalAct, Observation, RefusalNote
from penstock.wire.record import replace

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
    from penstock.wire.types import AppState, Blob, Variant

CHANGING_LOOK_MS = 2_000  # between looks while a change waits for something
SOAKING_LOOK_MS = 5_000
SOFT_SAVE_MS = 15_000  # counted time is saved no more often than this
MOST_IDLE_LOOK_MS = 300_000
STEP_MS = 120_000
LONG_STEP_MS = 3_600_000
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
        self.keeper = Timekeeper(max(built_ms, self.book.signed_ms))
        self.tokens = Tokens(self.book.secret)
        self.watching = Watching()
        self.look: Look = NOTHING_SEEN
        self.unfetchable: dict[str, int] = {}
        self._alarms: dict[str, str] = {}
        self._refused: set[tuple[str, str]] = set()
        self._views: dict[str, View] = {}
        self._needs: dict[str, tuple[Blob, ...]] = {}
        self._wakes: dict[str, int] = {}
        self._retry: dict[str, tuple[int, int]] = {}
        self._fetched: tuple[int, int] = (0, 0)
        self._need_look = True
        self._look_at = now.mono_ms
        self._look_not_before = now.mono_ms
        self._engine_failures = 0
        self._asked: Observe | None = None
        self._dirty = True
        self._sweep = True
        self._soft_ms = now.mono_ms
        self._told: dict[str, bytes] = {}
        self._pending: dict[str, Observation] = {}
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
        mark = LogMark(self.log.seq, self.log.head, self.log.acked)
        if mark != self.book.log:
            self.book = replace(self.book, log=mark, signed_ms=max(self.book.signed_ms, self.keeper.floor_ms if self.book.signed_ms else 0))
            self.save()

    def storage_fault(self) -> str:
        """Why the agent's own storage cannot be relied on; empty when it can."""
        return self.ledger.fault or self.log.fault

    def alarm(self, name: str, why: str) -> None:
        """Raise an alarm, or lower it with an empty sentence."""
        if why:
            self._alarms[name] = why
        else:
            self._alarms.pop(name, None)

    def note_refusal(self, note: RefusalNote, now: Moment) -> None:
        """Something signed was not accepted, over and over; noted once per start for the same reason."""
        key = (note.what, note.reason)
        if key not in self._refused:
            self._refused.add(key)
            self.say("refusal", note, now)

    # --- what the link brings ---------------------------------------------------------------------------------------------

    def adopt(self, adopted: Adopted, etag: str, now: Moment) -> None:
        """Take in what was accepted, on disk before anything follows from it."""
        for note in adopted.refusals:
            self.say("refusal", note, now)
        for event in adopted.events:
            self.say("event", event, now)
        for version, raw in adopted.roots:
            self.ledger.keep_file(f"trust/root.{version}.json", raw)
        for content, state in adopted.releases:
            self.ledger.keep_release(content, state)
        if self.ledger.fault:
            return  # not believed before it is on disk; the plane sends it again
        self.root = adopted.root
        book = replace(adopted.book, etag=etag if adopted.clean else "")
        self.keeper.signed(book.signed_ms)
        if adopted.raised:
            self.log.rewind(0)
            book = replace(book, log=LogMark(self.log.seq, self.log.head, self.log.acked))
            self.unfetchable.clear()
        if book != self.book:
            self.flush(now)
            self.book = book
            self.save()
        self.log.quota_bytes = self._quota()
        if adopted.news:
            self.unfetchable.clear()
            self._sweep = True
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

    def look_again(self) -> None:
        """Something changed: decide anew, on a new look."""
        self._need_look = True
        self._dirty = True
        self._look_not_before = min(self._look_not_before, self._look_at)

    def progress(self, done: int, total: int, now: Moment) -> None:
        """Bytes of the running fetch."""
        self._fetched = (done, total)
        if total:
            self._observe(now)

    def fetch_trouble(self, why: str) -> None:
        """A fetch ended badly; people see it with the waiting app."""
        self.alarm("fetch", why)

    def needs(self) -> tuple[Blob, ...]:
        """Blobs to be fetched: what a wish waits for first, then what the way back would like."""
        found: dict[str, Blob] = {}
        for app in sorted(self._needs, key=lambda one: (self._views.get(one, View()).phase in ("soaked", "confirmed"), one)):
            for blob in self._needs[app]:
                found.setdefault(blob.digest, blob)
        return tuple(found.values())

    # --- deciding ---------------------------------------------------------------------------------------------------------

    def work(self, now: Moment) -> EngineWork | None:
        """The next engine work, or None."""
        self.unfetchable = {digest: until for digest, until in self.unfetchable.items() if until > now.mono_ms}
        if now.mono_ms < self._look_not_before:
            return None
        if self._need_look or now.mono_ms >= self._look_at:
            return self.observe_work(now)
        if not self._dirty:
            self._soft_save(now)
            return None
        return self._decide(now)

    def _decide(self, now: Moment) -> EngineWork | None:
        for _ in range(MOST_TURNS):
            turned = False
            for app in self._apps():
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
                break
            if self._need_look:
                return self.observe_work(now)
        self._dirty = False
        self._schedule(now)
        self._observe(now)
        self._soft_save(now)
        return None

    def _apps(self) -> list[str]:
        """Apps in the middle of a change first, so that at most one is half done."""
        names = {memory.app for memory in self.book.apps} | {one.app for one in self.book.wanted}
        busy = {memory.app for memory in self.book.apps if memory.change is not None and memory.change.stage not in ("claimed", "confirmed")}
        return sorted(names, key=lambda name: (name not in busy, name))

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
            probes=self.watching.probes,
            down_since=self.watching.down_since,
            up_since=self.watching.up_since,
            unfetchable=frozenset(self.unfetchable),
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
            self._wakes[app] = retry_at
            return None, False
        wanted = any(one.app == app for one in self.book.wanted)
        desired = self.desired(app)
        if wanted and desired is None:
            self._views[app] = View("failed", "the description of the release on this device is damaged; the plane is asked for it again", "damaged")
            if self.book.etag or self.book.held.generation:
                self.ask_anew()
            return None, False
        c = self.circumstances(app, now)
        releases = self.releases(memory)
        answer = plan(memory, desired, releases, self.look, c)
        if self.look.seen.engine_ok and not c.storage_fault:
            self._apps_at_start.discard(app)
        self._views[app] = phase_of(answer, answer.memory, desired)
        self._needs[app] = answer.needs if isinstance(answer, (Wait, Settled)) else ()
        if isinstance(answer, Act):
            return self._act(answer, releases, desired, now), False
        if isinstance(answer, Turn):
            self.turn(answer, now)
            return None, True
        self._wakes[app] = answer.wake_ms if isinstance(answer, Wait) else -1
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
            state = next(iter(releases.values()), None)
        if state is None:
            return None
        return self._step_work(step, state, releases, now)

    def _step_work(self, step: Step, state: AppState, releases: dict[str, AppState], now: Moment) -> ApplyStep:
        variant: Variant | None = None
        index = ""
        if step.kind in ("image", "create"):
            variant = variants_of(state, self.look.platforms).get(step.service)
            index = next((image_of(state, one).index for one in state.services if one.name == step.service), "")
        timeout = STEP_MS
        if step.kind in ("stop", "restart"):
            timeout = step.grace_ms + 60_000
        elif step.kind in ("image", "snapshot", "restore"):
            timeout = LONG_STEP_MS
        helper = self._helper(releases) if step.kind in ("volume", "snapshot", "restore") else None
        return ApplyStep(step, state, self.device, self.observe_work(now), variant, index, helper, 0, timeout)

    def _helper(self, releases: dict[str, AppState]) -> Variant | None:
        """Any image of the app that the engine holds."""
        held = {image.manifest for image in self.look.seen.images} | {image.config for image in self.look.seen.images}
        for content in sorted(releases):
            for variant in variants_of(releases[content], self.look.platforms).values():
                if variant.manifest.digest in held or variant.config.digest in held:
                    return variant
        return None

    def turn(self, turn: Turn, now: Moment) -> None:
        """A page is turned: logged first, then the ledger, so that a crash in between repeats the page and not the change."""
        before = memory_of(self.book, turn.memory.app)
        if turn.receipt is not None and turn.receipt.change not in self._already:
            self.say("receipt", turn.receipt, now)
        for event in turn.events:
            self.say("event", event, now)
        if turn.receipt is not None:
            ordered.change_ended(self, turn.receipt, turn.command, now)
            self._sweep = True
        self.flush(now)
        memory = turn.memory
        wanted = any(one.app == memory.app for one in self.book.wanted)
        if not wanted and memory.change is None and not memory.running and not memory.units:
            self._pending[memory.app] = Observation(app=self._gone(memory.app, turn.why))
            self._told.pop(memory.app, None)
            for table in (self._views, self._needs, self._wakes, self._retry):
                table.pop(memory.app, None)
            memory = AppMemory(memory.app)
        book = with_memory(self.book, memory)
        if memory.change is not None and (before.change is None or before.change.id != memory.change.id):
            book = replace(book, next_change=self.book.next_change + 1)
        if turn.receipt is not None and turn.receipt.verdict == "rejected":
            book = replace(book, next_change=self.book.next_change + 1)
        self.book = book
        self.save()
        self._dirty = True
        self._need_look = self._need_look or turn.look

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
        if outcome.ok:
            self._retry.pop(step.app, None)
            if step.kind != "remove-image":
                self.say("event", Event("step.done", step.why, step.app, step.change, {"step": step.kind, "service": step.service}), now)
            memory = turns.after(memory, step, c, identity=outcome.identity, had_data=outcome.had_data, copied_bytes=outcome.bytes)
            self._keep(memory)
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
            self._keep(turns.after_fault(memory, outcome.code))
        self._retry[step.app] = (tries + 1, now.mono_ms + backoff_ms(tries + 1))
        self._views[step.app] = View(self._views.get(step.app, View()).phase, why, "step-failed")

    def _keep(self, memory: AppMemory) -> None:
        book = with_memory(self.book, memory)
        if book != self.book:
            self.book = book
            self.save()

    def _engine_failed(self, why: str, now: Moment) -> None:
        self._engine_failures += 1
        self.look = replace(self.look, seen=Seen(engine_ok=False, why=why))
        self._look_not_before = now.mono_ms + backoff_ms(self._engine_failures, 1_000, 60_000)
        self._look_at = self._look_not_before
        self._need_look = False
        self._dirty = False
        for app in self._apps():
            view = self._views.get(app, View())
            self._views[app] = View(view.phase, f"the container engine does not answer: {why}", "engine")
            memory = memory_of(self.book, app)
            if memory.change is not None:
                self.book = with_memory(self.book, replace(memory, change=stand(memory.change)))
        self._observe(now)

    def _looked(self, look: Look, asked: Observe, now: Moment) -> None:
        if not look.seen.engine_ok:
            self._engine_failed(look.seen.why, now)
            return
        self._engine_failures = 0
        first = not self.look.platforms
        self.look = look
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
        self._look_at = now.mono_ms + self._idle_ms()

    # --- looking ----------------------------------------------------------------------------------------------------------

    def _idle_ms(self) -> int:
        return min(max(self.book.settings.poll_s, 5) * 1000, MOST_IDLE_LOOK_MS)

    def _schedule(self, now: Moment) -> None:
        """When to look next, now that nothing can be done at once."""
        due = self._look_at
        for memory in self.book.apps:
            if memory.change is None:
                continue
            pause = SOAKING_LOOK_MS if self._views.get(memory.app, View()).reason == "soak" else CHANGING_LOOK_MS
            due = min(due, now.mono_ms + pause)
        for at in self._wakes.values():
            if at >= 0:
                due = min(due, at)
        check = self.watching.next_check_ms(self.book.apps, now.mono_ms)
        if check >= 0:
            due = min(due, check)
        self._look_at = max(due, now.mono_ms + 100)

    def observe_work(self, now: Moment) -> Observe:
        apps = []
        states: dict[str, AppState] = {}
        names = {memory.app for memory in self.book.apps} | {one.app for one in self.book.wanted}
        for app in sorted(names):
            memory = memory_of(self.book, app)
            releases = self.releases(memory)
            states.update(releases)
            apps.append((memory, releases))
        ask = self.watching.ask(self.device, apps, self.look, now.mono_ms)
        blobs = needed_blobs(tuple(states.values()), self.look.platforms)
        keep: tuple[str, ...] | None = None
        drop: tuple[str, ...] = ()
        wanted = {copy.name for memory in self.book.apps for copy in memory.snapshots}
        if all(memory.change is None for memory in self.book.apps):
            drop = tuple(name for name in self.look.snapshots if name not in wanted)
        if self._sweep and self.look.platforms and self.look.seen.engine_ok and not self.storage_fault() and not self.busy():
            keep = blobs
            self.ledger.drop_releases(needed_contents(self.book.apps, tuple(one.content for one in self.book.wanted)))
            self._sweep = False
        return Observe(ask, blobs, keep, drop)

    def busy(self) -> bool:
        """Whether a change is under way or soaking."""
        return any(memory.change is not None for memory in self.book.apps)

    def wake_at(self, now: Moment) -> int:
        """Monotonic time at which `work` has something to do."""
        if self._need_look or self._dirty:
            retries = [at for _, at in self._retry.values() if at > now.mono_ms]
            return max(now.mono_ms if not retries or self._need_look else min([*retries, self._look_at]), self._look_not_before)
        return max(self._look_at, self._look_not_before)

    def _soft_save(self, now: Moment) -> None:
        """Counted time goes to disk now and then; at rest nothing is written."""
        if self.ledger.book is not None and self.book != self.ledger.book and now.mono_ms - self._soft_ms >= SOFT_SAVE_MS:
            self._soft_ms = now.mono_ms
            self.save()

    # --- observations -----------------------------------------------------------------------------------------------------

    def _observe(self, now: Moment) -> None:
        """Put what differs from what was last told into the pending observations; the newest of a subject replaces the one before."""
        for app in self._apps():
            seen = self.app_observation(app)
            if self._told.get(app) != fingerprint(seen):
                self._pending[app] = Observation(app=seen)
            else:
                self._pending.pop(app, None)
        device = self._device_observation(now)
        if self._told.get("") != fingerprint(device):
            self._pending[""] = Observation(device=device)
        else:
            self._pending.pop("", None)
        self.write_observations(now)

    def pending_observations(self) -> bool:
        """Whether something was seen that has no number yet."""
        return bool(self._pending)

    def write_observations(self, now: Moment) -> None:
        """Number what is pending, as far as the backlog has room for it."""
        for subject in sorted(self._pending):
            if not self.log.room_for("observation"):
                return
            body = self._pending.pop(subject)
            self.say("observation", body, now)
            inner = body.app if body.app is not None else body.device
            assert inner is not None
            self._told[subject] = fingerprint(inner)

    def app_observation(self, app: str) -> AppObservation:
        """One app as it stands."""
        memory = memory_of(self.book, app)
        view = self._views.get(app, View())
        seen = observe_app(memory, self.desired(app), self.releases(memory), view, self.look, self.device, self.watching.probes)
        if view.phase == "fetching" and self._fetched[1]:
            seen = replace(seen, fetched_bytes=self._fetched[0], total_bytes=self._fetched[1])
        return seen

    def alarms(self, now: Moment) -> tuple[str, ...]:
        """Sentences about what is wrong with the device itself."""
        found = []
        fault = self.storage_fault()
        if fault:
            found.append(f"the agent's storage cannot be written: {fault}. What runs goes on; nothing is changed until that is mended")
        clock = self.keeper.trouble(now)
        if clock:
            found.append(clock)
        if not self.look.seen.engine_ok and self._engine_failures:
            found.append(f"the container engine does not answer: {self.look.seen.why}")
        time_ms, _ = self.keeper.device_time(now)
        if time_ms > self.root.expires_ms:
            found.append("the root document has expired; changes wait until the plane sends a new one")
        if self.book.quarantined:
            found.append(f"the plane has set this device apart: {self.book.quarantined}")
        found.extend(self._alarms[name] for name in sorted(self._alarms))
        return tuple(one[:1000] for one in found)

    def _device_observation(self, now: Moment) -> DeviceObservation:
        foreign = strangers(self.book.apps, self.look.seen, self.device) if self.look.seen.engine_ok else ()
        names = tuple(sorted(f"{one.name} ({one.id[:12]})" for one in foreign))
        facts = replace(self.facts, engine=self.look.engine, platforms=self.look.platforms or self.facts.platforms)
        return DeviceObservation(
            self.book.held.epoch,
            self.book.held.generation,
            max(self.look.free_bytes, 0),
            self.look.seen.engine_ok,
            self.alarms(now),
            names[:64],
            facts,
        )

    # --- the person at the device -----------------------------------------------------------------------------------------

    def summary(self, now: Moment) -> str:
        """One sentence."""
        alarms = self.alarms(now)
        apps = [self.app_observation(app) for app in self._apps()]
        good = sum(1 for app in apps if app.phase == "soaked")
        text = f"{good} of {len(apps)} apps run as ordered" if apps else "no app is deployed here"
        return text + (f"; {alarms[0]}" if alarms else "")

    def status(self, now: Moment, link_why: str, link_ok_ms: int) -> dict[str, Any]:
        """What `status` answers."""
        time_ms, clock = self.keeper.device_time(now)
        device: dict[str, Any] = {
            "device": self.device,
            "epoch": self.book.held.epoch,
            "generation": self.book.held.generation,
            "time_ms": time_ms,
            "clock": clock,
            "link": {"ok": not link_why, "why": link_why, "last_ok_s_ago": (now.mono_ms - link_ok_ms) // 1000 if link_ok_ms >= 0 else -1},
            "log": {"newest": self.log.seq, "acknowledged": self.log.acked},
            "alarms": list(self.alarms(now)),
            "quarantined": self.book.quarantined,
            "observation": to_plain(self._device_observation(now)),
        }
        return status_data(device, [self.app_observation(app) for app in self._apps()])

    def why(self, app: str, now: Moment) -> LocalReply:
        """What `why` answers."""
        names = self._apps()
        if app and app not in names:
            known = ", ".join(names) or "none"
            return LocalReply(False, f"there is no app {app} on this device; there is: {known}", {})
        said = {name: sentences(self.app_observation(name)) for name in ([app] if app else names)}
        alarms = list(self.alarms(now))
        first = next(iter(said.values()), ["no app is deployed here"])[0]
        return LocalReply(True, alarms[0] if alarms and not app else first, {"apps": said, "alarms": alarms})

    def revert(self, app: str, by: str, now: Moment) -> LocalReply:
        """A person at the device goes back: always allowed, if there is a way."""
        fault = ordered.revert_fault(self, app)
        if fault:
            return LocalReply(False, fault, {})
        self.say("local-act", LocalAct("revert", by, f"{by} went back at the device", app), now)
        turn = ordered.revert_turn(self, app, now, cause="local", by=by, pin=True)
        self.turn(turn, now)
        self.look_again()
        if self.storage_fault():
            return LocalReply(False, f"it could not be noted: {self.storage_fault()}", {})
        return LocalReply(True, turn.why, {"app": app})

    def retry(self, app: str, by: str, now: Moment) -> LocalReply:
        """A person at the device lets a refused release be tried again; it still needs its leave."""
        memory = memory_of(self.book, app)
        if not memory.refused:
            return LocalReply(False, f"nothing was refused for {app or 'this device'}, so there is nothing to try again", {})
        self.say("local-act", LocalAct("retry", by, "what was refused may be tried again", app), now)
        self._keep(replace(memory, refused=()))
        self.look_again()
        return LocalReply(True, "it is tried again as soon as its leave allows", {"app": app})
