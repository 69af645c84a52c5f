"""Leaving the fleet for good: what a device does when its plane orders it to retire.

Owns the stages of that order and what is said at each. First it says what it will do, and waits until the plane has that under signature and still
wants it; then its apps go in order, as a withdrawal would take them; then volumes (where asked), images, copies and blobs; then it says what was
done, and waits until the plane has that too. What remains, keys last, is `stone`'s. Every stage is in the ledger before it is begun and may be done twice: a kill
at any moment is followed by the same stage again.
"""

from __future__ import annotations

from penstock.agent import looking, ordered
from penstock.agent.ledger import CommandNote, Wipe
from penstock.agent.work import RunCommand
from penstock.rules.naming import volume_name
from penstock.rules.soak import backoff_ms
from penstock.wire.log import CommandOutcome, Event
from penstock.wire.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.mind import Mind
    from penstock.agent.work import EngineDone, EngineWork, Moment
    from penstock.wire.log import Receipt

DATA = ("keep", "wipe")
APP_TRIES = 5  # of removing apps, each of them with tries of its own for every step
TRIES = 10  # of the last work on the engine; then the record says what could not be done
WIPE_MS = 600_000
WAKE = ""  # the wipe's place among the apps' wake-up times


def under_way(mind: Mind) -> bool:
    """Whether it has come to deeds: from here on nothing else is changed on this device."""
    wipe = mind.book.wipe
    return wipe is not None and wipe.stage != "telling"


def past_apps(mind: Mind) -> bool:
    """Whether no app is looked after any more."""
    wipe = mind.book.wipe
    return wipe is not None and wipe.stage in ("engine", "last")


def change_ended(mind: Mind, receipt: Receipt) -> None:
    """An app's removal ended; one that failed is begun again, a few times."""
    wipe = mind.book.wipe
    if wipe is not None and wipe.stage == "apps" and receipt.kind == "uninstall" and receipt.verdict != "done":
        mind.book = replace(mind.book, wipe=replace(wipe, tries=wipe.tries + 1, left=f"{receipt.app}: {receipt.why}"[:1000]))


def order(mind: Mind, note: CommandNote, now: Moment) -> bool:
    """The order has come: noted, and to be told of before anything is done."""
    data = note.command.arguments["data"]
    if data not in DATA:
        ordered.close(mind, note, "refused", f"a device is retired with data {' or '.join(DATA)}, not {data[:40]!r}; update this agent", now)
        return True
    before = mind.book
    ordered.put(mind, replace(note, state="begun"))
    mind.book = replace(mind.book, wipe=Wipe(note.command.id, note.command.by or "the control plane", data))
    if not mind.save():
        mind.book = before
    return not mind.storage_fault()


def next_step(mind: Mind, now: Moment) -> tuple[EngineWork | None, bool]:
    """What the order needs next: a work for the engine, or True when a page was turned without one."""
    wipe = mind.book.wipe
    if wipe is None or mind.storage_fault():
        return None, False
    if wipe.stage == "telling" and not wipe.seq:
        return None, _tell(mind, wipe, now)
    if wipe.stage == "apps":
        here = sorted(memory.app for memory in mind.book.apps if memory.running or memory.units or memory.change is not None)
        if not here or wipe.tries >= APP_TRIES:
            gone = ", ".join(app for app in wipe.apps if app not in here) or "none"
            said = (f"apps removed: {gone}", *((f"apps that could not be removed whole: {', '.join(here)} ({wipe.left})",) if here else ()))
            return None, _turn(mind, replace(wipe, stage="engine", tries=0, said=said))
    if wipe.stage == "engine" and now.mono_ms >= mind.wakes.get(WAKE, 0):
        look = looking.observe_work(mind, now)
        return RunCommand(wipe.command, "wipe", look, timeout_ms=WIPE_MS, volumes=wipe.volumes, data=wipe.data == "wipe", device=mind.device), False
    return None, False


def _turn(mind: Mind, wipe: Wipe | None) -> bool:
    before = mind.book
    mind.book = replace(mind.book, wipe=wipe)
    if mind.save():
        return True
    mind.book = before
    return False


def _tell(mind: Mind, wipe: Wipe, now: Moment) -> bool:
    apps = ", ".join(sorted(memory.app for memory in mind.book.apps if memory.running)) or "no app"
    fate = "with their volumes and data" if wipe.data == "wipe" else "their volumes stay"
    why = f"{wipe.by} ordered this device to be retired: {apps} will be stopped and removed ({fate}), then the agent's own files and keys"
    mind.say("event", Event("device.retiring", why, data={"command": wipe.command, "data": wipe.data}), now)
    mind.flush(now)
    return not mind.log.fault and _turn(mind, replace(wipe, seq=mind.log.seq))


def polled(mind: Mind, listed: frozenset[str] | None, now: Moment) -> None:
    """The plane answered a poll; `listed` are the open orders it names, None where nothing had changed. One that it no longer names was taken back."""
    wipe = mind.book.wipe
    if wipe is None or wipe.stage != "telling":
        return
    if listed is not None and wipe.command not in listed:
        mind.book = replace(mind.book, wipe=None)
        _end(mind, wipe, "refused", "the order was taken back before anything was done", now)
        mind.save()
    elif wipe.seq and mind.log.acked >= wipe.seq:
        apps = tuple(sorted(memory.app for memory in mind.book.apps if memory.running or memory.units))
        before = mind.book
        mind.book = replace(mind.book, wanted=())
        if not _turn(mind, replace(wipe, stage="apps", volumes=_volumes(mind) if wipe.data == "wipe" else (), apps=apps)):
            mind.book = before
            return
    mind.look_again()


def _volumes(mind: Mind) -> tuple[str, ...]:
    """Volumes of our apps, those of others (external ones) left out."""
    found: set[str] = set()
    foreign: set[str] = set()
    for memory in mind.book.apps:
        found.update(note.name for note in memory.volumes)
        for state in mind.releases(memory).values():
            foreign.update(volume_name(state.app, volume) for volume in state.volumes if volume.external)
    return tuple(sorted(found - foreign))


def done(mind: Mind, outcome: EngineDone, now: Moment) -> None:
    """The last work on the engine ended."""
    wipe = mind.book.wipe
    if wipe is None or wipe.stage != "engine":
        return
    if outcome.ok:
        said = tuple(line for line in outcome.output.split("\n") if line)
    elif wipe.tries + 1 >= TRIES:
        said = (f"volumes and images may be left: {outcome.why}",)
    else:
        mind.book = replace(mind.book, wipe=replace(wipe, tries=wipe.tries + 1))
        mind.wakes[WAKE] = now.mono_ms + backoff_ms(wipe.tries + 1)
        mind.say(
            "event", Event("device.wipe-failed", f"what is left on the engine could not be removed: {outcome.why}"[:2000], data={"code": outcome.code}), now
        )
        mind.save()
        return
    mind.wakes.pop(WAKE, None)
    said = (*wipe.said, *said)
    why = "; ".join(said) + "; its own files and keys go as soon as the control plane has this"
    if _end(mind, wipe, "done" if outcome.ok and not wipe.left else "failed", why, now):
        _turn(mind, replace(wipe, stage="last", seq=mind.log.seq, said=said))


def _end(mind: Mind, wipe: Wipe, outcome: str, why: str, now: Moment) -> bool:
    note = next((one for one in mind.book.commands if one.command.id == wipe.command), None)
    if note is not None:
        ordered.close(mind, note, outcome, why, now)
    else:  # a new epoch forgot the note; the order was under way all the same
        mind.say("command-outcome", CommandOutcome(wipe.command, "wipe", outcome, why[:4000]), now)
        mind.flush(now)
    return not mind.storage_fault()


def parting(mind: Mind) -> bool:
    """Whether all is done and the plane has it under signature, so that the keys may go."""
    wipe = mind.book.wipe
    return wipe is not None and wipe.stage == "last" and 0 < wipe.seq <= mind.log.acked


def last_word(mind: Mind, now: Moment) -> None:
    """The last entry this device writes, before what it is signed with goes."""
    why = "the agent's files and its keys are destroyed; this is the last this device says, signed with a key that is in memory only"
    mind.say("event", Event("device.retired", why, data={"command": mind.book.wipe.command if mind.book.wipe else ""}), now)
    mind.flush(now)
