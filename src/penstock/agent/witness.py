"""What the device bears witness of: observations for the log, alarms, and answers for the person at the machine.

Owns when an observation is worth a number (what differs from what was told, as far as the backlog has room) and the sentences about the device itself.
Reads the mind and changes nothing in it but what has been told.
"""

from __future__ import annotations

from penstock.agent.ledger import memory_of
from penstock.agent.telling import View, fingerprint, observe_app, sentences, status_data
from penstock.agent.work import LocalReply
from penstock.rules.ours import strangers
from penstock.wire.codec import to_plain
from penstock.wire.log import AppObservation, DeviceObservation, Observation
from penstock.wire.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.mind import Mind
    from penstock.agent.work import Moment


def observe(mind: Mind, now: Moment) -> None:
    """Put what differs from what was last told into the pending observations; the newest of a subject replaces the one before."""
    for app in mind.app_names():
        seen = app_observation(mind, app)
        if mind.book.told.get(app) != fingerprint(seen):
            mind.pending[app] = Observation(app=seen)
        else:
            mind.pending.pop(app, None)
    device = _device_observation(mind, now)
    if mind.book.told.get("") != fingerprint(device):
        mind.pending[""] = Observation(device=device)
    else:
        mind.pending.pop("", None)
    write_observations(mind, now)


def observe_drift(mind: Mind, app: str, now: Moment) -> None:
    """What somebody made different is told before it is put right: afterwards nobody could see which field it was."""
    seen = app_observation(mind, app)
    if seen.drift and mind.book.told.get(app) != fingerprint(seen):
        mind.pending[app] = Observation(app=seen)
        write_observations(mind, now)


def write_observations(mind: Mind, now: Moment) -> None:
    """Number what is pending, as far as the backlog has room for it."""
    for subject in sorted(mind.pending):
        if not mind.log.room_for("observation"):
            return
        body = mind.pending.pop(subject)
        mind.say("observation", body, now)
        inner = body.app if body.app is not None else body.device
        assert inner is not None
        told = {name: print_ for name, print_ in mind.book.told.items() if name != subject}
        if not (body.app is not None and body.app.removed):
            told[subject] = fingerprint(inner)
        mind.book = replace(mind.book, told=told)  # to disk with the next save; the entry itself is what counts


def app_observation(mind: Mind, app: str) -> AppObservation:
    """One app as it stands."""
    memory = memory_of(mind.book, app)
    view = mind.views.get(app, View())
    seen = observe_app(memory, mind.desired(app), mind.releases(memory), view, mind.look, mind.device, mind.watching.probes)
    if view.phase == "fetching" and mind.fetched[1]:
        seen = replace(seen, fetched_bytes=mind.fetched[0], total_bytes=mind.fetched[1])
    return seen


def alarms(mind: Mind, now: Moment) -> tuple[str, ...]:
    """Sentences about what is wrong with the device itself."""
    found = []
    fault = mind.storage_fault()
    if fault:
        found.append(f"the agent's storage cannot be written: {fault}. What runs goes on; nothing is changed until that is mended")
    clock = mind.keeper.trouble(now)
    if clock:
        found.append(clock)
    if not mind.look.seen.engine_ok and mind.engine_failures:
        found.append(f"the container engine does not answer: {mind.look.seen.why}")
    time_ms, _ = mind.keeper.device_time(now)
    if time_ms > mind.root.expires_ms:
        found.append("the root document has expired; changes wait until the plane sends a new one")
    if mind.book.quarantined:
        found.append(f"the plane has set this device apart: {mind.book.quarantined}")
    found.extend(mind.alarm_book[name] for name in sorted(mind.alarm_book))
    return tuple(one[:1000] for one in found)


def _device_observation(mind: Mind, now: Moment) -> DeviceObservation:
    foreign = strangers(mind.book.apps, mind.look.seen, mind.device) if mind.look.seen.engine_ok else ()
    names = tuple(sorted(f"{one.name} ({one.id[:12]})" for one in foreign))
    facts = replace(mind.facts, engine=mind.look.engine, platforms=mind.look.platforms or mind.facts.platforms)
    return DeviceObservation(
        mind.book.held.epoch,
        mind.book.held.generation,
        max(mind.look.free_bytes, 0),
        mind.look.seen.engine_ok,
        alarms(mind, now),
        names[:64],
        facts,
    )


def summary(mind: Mind, now: Moment) -> str:
    """One sentence."""
    raised = alarms(mind, now)
    apps = [app_observation(mind, app) for app in mind.app_names()]
    good = sum(1 for app in apps if app.phase == "soaked")
    text = f"{good} of {len(apps)} apps run as ordered" if apps else "no app is deployed here"
    return text + (f"; {raised[0]}" if raised else "")


def status(mind: Mind, now: Moment, link_why: str, link_ok_ms: int) -> dict[str, Any]:
    """What `status` answers."""
    time_ms, clock = mind.keeper.device_time(now)
    device: dict[str, Any] = {
        "device": mind.device,
        "site": mind.book.site,
        "epoch": mind.book.held.epoch,
        "generation": mind.book.held.generation,
        "time_ms": time_ms,
        "clock": clock,
        "link": {"ok": not link_why, "why": link_why, "last_ok_s_ago": (now.mono_ms - link_ok_ms) // 1000 if link_ok_ms >= 0 else -1},
        "log": {"newest": mind.log.seq, "acknowledged": mind.log.acked},
        "alarms": list(alarms(mind, now)),
        "quarantined": mind.book.quarantined,
        "observation": to_plain(_device_observation(mind, now)),
    }
    return status_data(device, [app_observation(mind, app) for app in mind.app_names()])


def why(mind: Mind, app: str, now: Moment) -> LocalReply:
    """What `why` answers."""
    names = mind.app_names()
    if app and app not in names:
        known = ", ".join(names) or "none"
        return LocalReply(False, f"there is no app {app} on this device; there is: {known}", {})
    said = {name: sentences(app_observation(mind, name)) for name in ([app] if app else names)}
    raised = list(alarms(mind, now))
    first = next(iter(said.values()), ["no app is deployed here"])[0]
    return LocalReply(True, raised[0] if raised and not app else first, {"apps": said, "alarms": raised})
