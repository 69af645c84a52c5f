"""Ten thousand devices on paper: let in, told what to run, and settled, in a plane's own data folder.

Owns making them through the plane's own actions while no server runs on the folder (over HTTPS it would only take longer), and the reports they
send later: chained and signed beforehand, so that a load generator only has to send them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penstock.server.actions import deployments, enrolments, joins, reports, rollouts, states
from penstock.server.actions.context import Limits, Plane
from penstock.server.app import open_plane
from penstock.server.core.errors import Refused
from penstock.server.core.model import Actor, Target
from penstock.server.core.rights import everything
from penstock.server.settings import read
from penstock.wire.codec import decode
from penstock.wire.envelope import open_unverified
from penstock.wire.messages import Authorisation, Desired, Report, ReportReply
from penstock.wire.record import replace
from penstock.wire.version import WIRE
from tests.server.paper import Answer, PaperDevice

ACTOR = Actor("user", "usr_bench", "bench", everything("usr_bench"))
BATCH = 128
LOTS = (1000, 5000, 10_000)  # how many devices carry the label that a changed deployment is for


@dataclass
class Fleet:
    """The devices, each with a session and the tag of what it holds."""

    devices: list[PaperDevice]
    app: str
    deployment: str

    def lines(self) -> str:
        """What a load generator needs of each: token and tag."""
        return "".join(f"{device.token} {device.etag}\n" for device in self.devices)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def make(data: Path, count: int, version: str, say: Callable[[str], None]) -> Fleet:
    """Let `count` devices in at site `lab`, deploy that release to all, and let each say that it runs."""
    running = open_plane(read(None, given={"data": data}), Limits(enrol_per_minute=10**9))
    try:
        return fill(running.plane, count, version, say)
    finally:
        running.close()


def fill(plane: Plane, count: int, version: str, say: Callable[[str], None]) -> Fleet:
    """The same in a plane that is open and has site `lab` and the release."""
    found = [PaperDevice(_enrolling(lambda raw: enrolments.ask(plane, raw)), f"sim-{number}", clock=now_ms) for number in range(count)]
    before = 0
    for lot in LOTS:
        part = found[before : max(before, lot * count // LOTS[-1])]
        before += len(part)
        labels = {"fleet": "sim", **{f"lot-{size}": "yes" for size in LOTS if size >= lot}}
        if part:
            join = joins.create_join(plane, ACTOR, site="lab", uses=len(part), auto_approve=True, labels=labels, title="bench").join
        for device in part:
            reply = device.ask(join)
            if reply.status != "approved":
                raise RuntimeError(f"{device.name} was not let in: {reply.why}")
        say(f"{before} devices let in")
    target = Target(selector="fleet=sim")
    made = deployments.create_deployment(plane, ACTOR, name="line", release=f"line:{version}", target=target)
    _work_off(plane)
    say("deployed to all")
    for at in range(0, count, BATCH):
        part = found[at : at + BATCH]
        many = [(device.id, _settled(plane, device)) for device in part]
        for device, answer in zip(part, reports.ingest(plane, many), strict=True):
            if isinstance(answer, Refused):
                raise answer
            device.acked = decode(ReportReply, answer).expect - 1
    _work_off(plane)
    say("all have said that it runs")
    ends = now_ms() + 86_400_000
    for _ in range(60):  # beside a plane that runs, its own reconcilers sign too
        if not any(plane.fleet.entries[device.id].pending for device in found):
            break
        _work_off(plane)
        time.sleep(0.5)
    pending = 0
    for device in found:
        entry = plane.fleet.entries[device.id]
        device.token = plane.tokens.issue(device.id, entry.key_epoch, ends)
        device.etag = entry.tag.decode("ascii")
        pending += entry.pending
    if pending:
        raise RuntimeError(f"{pending} of {count} devices are not at rest")
    return Fleet(found, "line", made.id)


def _enrolling(ask: Callable[[bytes], bytes]) -> Callable[[str, str, dict[str, str], bytes], Answer]:
    def call(_method: str, _target: str, _headers: dict[str, str], body: bytes) -> Answer:
        return Answer(200, {}, ask(body))

    return call


def _work_off(plane: Plane) -> None:
    """What the reconcilers do while a server runs."""
    rollouts.tick_dirty(plane)
    rollouts.tick_running(plane)
    while states.pay(plane):
        pass


def _settled(plane: Plane, device: PaperDevice) -> bytes:
    """The signed report of a device that has done what was ordered."""
    reply, _ = states.state_for(plane, device.id, device.root.version)
    device.desired = decode(Desired, open_unverified(reply.desired.encode())[1])
    device.held = replace(device.held, epoch=device.desired.epoch, generation=device.desired.generation)
    device.leaves = {}
    for text in reply.authorisations:
        leave = decode(Authorisation, open_unverified(text.encode())[1])
        device.leaves[leave.app] = leave
    device.say_app("soaked", "line")
    device.say_receipt("soaked", "line", kind="install")
    device.say_device()
    return _signed(device)


def _signed(device: PaperDevice) -> bytes:
    entries = tuple(entry for entry in device.log if entry.seq > device.acked)
    return device.signed("report", Report(WIRE, device.id, device.held.epoch, device.held.generation, device.acked, entries))


def next_report(device: PaperDevice, turn: int) -> bytes:
    """One more report of about 1 kB, as if the one before had been acknowledged: the app is seen again, a little changed."""
    device.say_app("soaked", "line", why=f"every service runs and is healthy, seen {turn} times")
    raw = _signed(device)
    device.acked = device.log[-1].seq
    del device.log[:-1]
    return raw
