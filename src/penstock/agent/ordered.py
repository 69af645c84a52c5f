"""Commands from the plane, and going back by order of a person: at most once, with an outcome.

Owns the walk of a command from its note in the ledger through intent to outcome. The intent is saved before anything is done, the outcome is logged before
the note is closed; a crash in between is owned up to as "unknown". Judging is `rules.commands`; deciding on changes is the mind's.
"""

from __future__ import annotations

from penstock.agent import looking, wiping
from penstock.agent.ledger import CommandNote, memory_of, with_memory
from penstock.agent.localpeople import who
from penstock.agent.work import LocalReply, RunCommand
from penstock.rules import turns
from penstock.rules.commands import ASKING, judge
from penstock.rules.gates import Shut, best_leave, gate
from penstock.rules.health import fitting_unit
from penstock.rules.memory import Pin
from penstock.rules.ours import owned
from penstock.rules.variants import variants_of
from penstock.rules.wayback import earlier_of, proof
from penstock.wire.codec import WireError
from penstock.wire.log import CommandOutcome, Event, body_of
from penstock.wire.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.devicelog import DeviceLog
    from penstock.agent.mind import Mind
    from penstock.agent.work import EngineDone, EngineWork, Local, Moment
    from penstock.rules.answers import Turn
    from penstock.wire.log import Receipt
    from penstock.wire.messages import Command

TAIL = 64  # entries looked at after a start for what was logged and not yet forgotten
MAX_OUTPUT = 120_000


def already_logged(log: DeviceLog) -> set[str]:
    """Changes and commands whose end stands in the log already: after a crash between log and ledger they are not logged twice."""
    found = set()
    for entry in log.tail(TAIL):
        try:
            if entry.kind == "receipt":
                found.add(body_of(entry).change)
            elif entry.kind == "command-outcome":
                found.add(body_of(entry).command)
        except WireError:
            continue  # an entry of a newer agent's making; nothing of ours
    return found


def close(mind: Mind, note: CommandNote, outcome: str, why: str, now: Moment, output: str = "") -> None:
    """Log how it ended, then close its note."""
    if note.command.id not in mind.already():
        mind.already().add(note.command.id)
        mind.say("command-outcome", CommandOutcome(note.command.id, note.command.verb, outcome, why[:4000], output[-MAX_OUTPUT:]), now)
    mind.flush(now)
    if not mind.log.fault:
        _note(mind, replace(note, state="ended"))


def _note(mind: Mind, changed: CommandNote) -> bool:
    put(mind, changed)
    return mind.save()


def put(mind: Mind, changed: CommandNote) -> None:
    """A command's note in the live book."""
    notes = tuple(changed if note.command.id == changed.command.id else note for note in mind.book.commands)
    mind.book = replace(mind.book, commands=notes)


def _begin(mind: Mind, note: CommandNote, change: str, turn: Turn, now: Moment) -> None:
    """The intent goes to disk together with the change it begins, in one save, or not at all."""
    standing = mind.book
    put(mind, replace(note, state="begun", change=change))
    mind.turn(turn, now)
    if mind.storage_fault():
        mind.book = standing


def next_command(mind: Mind, now: Moment) -> tuple[EngineWork | None, bool]:
    """The next open command: a work for the engine, or True when something was done about one without it."""
    if mind.storage_fault() or mind.book.wipe is not None:
        return None, False  # while the device is being retired no other order is begun
    time_ms, clock = mind.keeper.device_time(now)
    for note in mind.book.commands:
        if note.state == "ended" or (note.state == "begun" and any(memory.change is not None and memory.change.id == note.change for memory in mind.book.apps)):
            continue  # a change ends in its receipt, and the command with it
        found = judge(note.command, note.state, time_ms, clock)
        if found.verdict == "wait":
            continue
        if found.verdict != "do":
            close(mind, note, found.verdict, found.why, now)
            return None, True
        work, acted = _carry_out(mind, note, now)
        if work is not None or acted:
            return work, acted
    return None, False


def _carry_out(mind: Mind, note: CommandNote, now: Moment) -> tuple[EngineWork | None, bool]:
    command = note.command
    if command.verb == "refresh":
        mind.book = replace(mind.book, etag="")
        close(mind, note, "done", "everything is looked at and asked for again", now)
        mind.look_again()
        return None, True
    if command.verb == "accept-pin":
        return None, _accept_pin(mind, note, now)
    if command.verb == "wipe":
        return None, wiping.order(mind, note, now)
    if command.verb in ASKING:
        return _ask(mind, note, now)
    return None, _change(mind, note, now)


def _accept_pin(mind: Mind, note: CommandNote, now: Moment) -> bool:
    app = note.command.arguments["app"]
    memory = memory_of(mind.book, app)
    if memory.pin is None:
        close(mind, note, "refused", f"{app} is not pinned on this device", now)
        return True
    mind.book = with_memory(mind.book, replace(memory, pin=None))
    mind.say("event", Event("pin.accepted", f"the plane agrees that {app} stays where a person at the device put it", app), now)
    close(mind, note, "done", "the plane agrees; the pin is lifted", now)
    return True


def _ask(mind: Mind, note: CommandNote, now: Moment) -> tuple[EngineWork | None, bool]:
    """logs, inspect, prune: the intent on disk, then the work."""
    command = note.command
    container = ""
    if command.verb != "prune":
        container = _container(mind, command)
        if not container:
            close(mind, note, "failed", f"service {command.arguments['service']} of {command.arguments['app']} has no container on this device", now)
            return None, True
    if not _note(mind, replace(note, state="begun")):
        return None, False
    return RunCommand(command.id, command.verb, looking.observe_work(mind, now), container, _lines(command), _kept_variants(mind)), False


def _lines(command: Command) -> int:
    text = command.arguments.get("lines", "100")
    return min(max(int(text), 1), 2000) if text.isascii() and text.isdigit() and len(text) < 7 else 100


def _container(mind: Mind, command: Command) -> str:
    memory = memory_of(mind.book, command.arguments["app"])
    mine = owned(memory, mind.look.seen, mind.device)
    unit = fitting_unit(memory, command.arguments["service"], mine)
    container = mine.get(unit.token) if unit else None
    return container.id if container is not None else ""


def _kept_variants(mind: Mind) -> tuple:  # type: ignore[type-arg]
    found = {}
    for memory in mind.book.apps:
        for state in mind.releases(memory).values():
            for variant in variants_of(state, mind.look.platforms).values():
                found[variant.manifest.digest] = variant
    return tuple(found.values())


def command_done(mind: Mind, work: RunCommand, outcome: EngineDone, now: Moment) -> None:
    """An asking command ended, or the last work of a wipe."""
    if work.verb == "wipe":
        wiping.done(mind, outcome, now)
        return
    for note in mind.book.commands:
        if note.command.id == work.command and note.state == "begun":
            if outcome.ok:
                close(mind, note, "done", outcome.why or "done", now, outcome.output)
            elif outcome.code in ("died", "timeout"):
                close(mind, note, "unknown", outcome.why or "it did not end", now)
            else:
                close(mind, note, "failed", outcome.why, now)


def _change(mind: Mind, note: CommandNote, now: Moment) -> bool:
    """restart, revert: these are changes, with gate and receipt."""
    command = note.command
    app = command.arguments["app"]
    memory = memory_of(mind.book, app)
    c = mind.circumstances(app, now)
    kind = "restart" if command.verb == "restart" else "revert-remote"
    answer = gate(kind, app, memory.running, c)
    if isinstance(answer, Shut):
        close(mind, note, "refused", answer.why, now)
        return True
    if command.verb == "revert":
        fault = revert_fault(mind, app)
        if fault:
            close(mind, note, "refused", fault, now)
            return True
        turn = revert_turn(mind, app, now, cause="command", by=command.by, pin=False, command=command.id)
        if turn.command and turn.receipt is not None:  # over at once: `turn` closes the command
            _begin(mind, note, "", turn, now)
            return True
        change = turn.memory.change
        _begin(mind, note, change.id if change is not None else "", turn, now)
        return True
    if memory.change is not None:
        return False  # it waits for the end of what is under way; its own end bounds the wait
    state = mind.releases(memory).get(memory.running)
    if state is None or not _container(mind, command):
        close(mind, note, "failed", f"service {command.arguments['service']} of {app} has no container on this device", now)
        return True
    turn = turns.begin(
        memory, "restart", state, c, f"{command.by or 'the plane'} ordered a restart", cause="command", by=command.by,
        releases=mind.releases(memory), command=command.id, service=command.arguments["service"],
    )  # fmt: skip
    assert turn.memory.change is not None
    _begin(mind, note, turn.memory.change.id, turn, now)
    return True


def change_ended(mind: Mind, receipt: Receipt, command: str, now: Moment) -> None:
    """A change that a command asked for has its receipt: the command has its outcome."""
    for note in mind.book.commands:
        if command and note.command.id == command and note.state != "ended":
            good = receipt.verdict in ("done", "soaked") or (note.command.verb == "revert" and receipt.verdict == "failed-reverted")
            outcome = "unknown" if receipt.why == turns.INTERRUPTED else "done" if good else "failed"
            close(mind, note, outcome, receipt.why, now)


# --- going back -----------------------------------------------------------------------------------------------------------


def revert_fault(mind: Mind, app: str) -> str:
    """Why there is nothing to go back to just now; empty when there is."""
    memory = memory_of(mind.book, app)
    if mind.storage_fault():
        return f"the agent's storage cannot be written ({mind.storage_fault()}), so nothing can be changed safely"
    if wiping.under_way(mind):
        return "this device is being retired, so nothing else is changed on it any more"
    if not memory.running and memory.change is None:
        return f"nothing of {app} runs on this device" if app else "name the app that should go back"
    if not mind.look.seen.engine_ok:
        return f"the container engine does not answer: {mind.look.seen.why}"
    change = memory.change
    if change is not None and change.stage in ("reverting", "undoing"):
        return f"{app} is going back already"
    if change is not None and change.kind == "uninstall":
        return f"{app} is being removed"
    if change is not None and change.kind in ("restart", "recreate"):
        return f"a container of {app} is being restarted; try again in a moment"
    content = earlier_of(memory)
    if not content:
        if change is not None and change.kind == "install":
            return ""
        return f"no earlier release of {app} has soaked on this device, so there is nothing to go back to"
    missing = proof(mind.releases(memory).get(content), content, memory, mind.look)
    return f"there is no way back: {missing.why}" if missing is not None else ""


def revert_turn(mind: Mind, app: str, now: Moment, *, cause: str, by: str, pin: bool, command: str = "") -> Turn:
    """Go back: end the change under way, or begin one to the release before. `revert_fault` has been asked."""
    memory = memory_of(mind.book, app)
    c = mind.circumstances(app, now)
    releases = mind.releases(memory)
    change = memory.change
    who = by or "the plane"
    if change is not None:
        memory = replace(memory, change=replace(change, command=command or change.command))
        return turns.fail(memory, f"{who} took it back", c, releases, by=who, pin=pin)
    target = releases[earlier_of(memory)]
    left = memory.running
    why = f"{who} went back to version {target.version}"
    desired = mind.desired(app)
    refused = turns.refuse(memory, left, best_leave(app, left, c), why)
    if pin:
        from penstock.wire.types import content_digest

        against = content_digest(desired) if desired is not None else left
        refused = replace(refused, pin=Pin(earlier_of(memory), against, who, c.now_ms))
    return turns.begin(refused, "revert", target, c, why, cause=cause, by=who, releases=releases, command=command)


def go_back(mind: Mind, request: Local, now: Moment) -> LocalReply:
    """A person at the device goes back: always allowed, if there is a way, to whom the site lets do it."""
    app = request.app
    fault = revert_fault(mind, app)
    if fault:
        return LocalReply(False, fault, {})
    asks = who(mind, request, "revert", now)
    if isinstance(asks, LocalReply):
        return asks
    mind.say("local-act", asks.act("revert", f"{asks.by} went back at the device", app), now)
    turn = revert_turn(mind, app, now, cause="local", by=asks.by, pin=True)
    mind.turn(turn, now)
    mind.look_again()
    if mind.storage_fault():
        return LocalReply(False, f"it could not be noted: {mind.storage_fault()}", {})
    return LocalReply(True, turn.why, {"app": app})


def try_again(mind: Mind, request: Local, now: Moment) -> LocalReply:
    """A person at the device lets a refused release be tried again; it still needs its leave."""
    app = request.app
    memory = memory_of(mind.book, app)
    if not memory.refused:
        return LocalReply(False, f"nothing was refused for {app or 'this device'}, so there is nothing to try again", {})
    asks = who(mind, request, "let-go", now)
    if isinstance(asks, LocalReply):
        return asks
    mind.say("local-act", asks.act("retry", "what was refused may be tried again", app), now)
    mind.keep(replace(memory, refused=()))
    mind.look_again()
    return LocalReply(True, "it is tried again as soon as its leave allows", {"app": app})
