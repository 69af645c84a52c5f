"""The watch: what must hold at every moment of every run, judged from outside.

Owns the continuous rules and the list of what was found. It reads what could be seen by somebody who stands beside the machines: the engines' records of
acts, the messages that arrive, the files on the disks, the plane's database, and what an agent answers when it is asked. What must hold in the
end stands in `reckoning`. Never changes anything.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.agent.work import Answer
from penstock.sim.catalogue import Version
from penstock.sim.running import runs
from penstock.wire.codec import WireError, decode
from penstock.wire.envelope import open_unverified
from penstock.wire.messages import Authorisation, StateReply

if TYPE_CHECKING:
    from penstock.agent.work import ApplyStep, Call, Unreachable
    from penstock.sim.device import SimDevice
    from penstock.sim.engine import Act
    from penstock.sim.world import World

DISTURBING = ("stop", "restart", "remove", "rename")
MOST = 5  # findings after which a run ends
SPIN = 900  # wake-ups of one agent in a minute
BURST = 60  # files changed between two works
FLOOD = 60  # calls of one agent that fail in a minute


@dataclass(frozen=True)
class Finding:
    """A rule that did not hold."""

    rule: str
    device: str
    at_ms: int
    text: str

    def __str__(self) -> str:
        return f"{self.rule} on {self.device or 'the plane'}: {self.text}"


@dataclass(frozen=True)
class Given:
    """A leave that has reached a device."""

    app: str
    content: str
    epoch: int
    not_after_ms: int


@dataclass
class File:
    """What the watch keeps of one device."""

    number: tuple[int, int] = (0, 0)
    given: dict[str, Given] = field(default_factory=dict)
    begun: dict[str, tuple[int, int]] = field(default_factory=dict)  # change -> when its first step was handed out, in which epoch
    change: dict[str, str] = field(default_factory=dict)  # app -> the change its last step belonged to
    ran: dict[str, set[str]] = field(default_factory=dict)  # app -> marks that were ever made here
    play: dict[str, dict[str, Version | None]] = field(default_factory=dict)  # app -> versions it may be moved between since the last rest
    excused: set[tuple[str, str]] = field(default_factory=set)  # (app, service) that somebody meddled with or ordered something for
    restarts: dict[tuple[str, str], int] = field(default_factory=dict)  # (app, service) -> restarts ordered and not yet carried out
    whole: set[tuple[str, str]] = field(default_factory=set)  # (app, version) that was seen there, complete and running
    still: str = ""  # why nothing may be touched just now
    wakes: list[int] = field(default_factory=list)
    failed_calls: list[int] = field(default_factory=list)
    made_volumes: set[str] = field(default_factory=set)
    rested_apps: set[str] = field(default_factory=set)
    damaged: bool = False
    twin: bool = False  # cloned or set back: its log is a person's business


class Watch:
    """One per world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.found: list[Finding] = []
        self.most = MOST
        self._files: dict[int, File] = {}
        self._contents: dict[str, Version] = {}
        self._asked_ms = 0

    # --- findings -------------------------------------------------------------------------------------------------------

    def find(self, rule: str, device: SimDevice | None, text: str) -> None:
        """Something did not hold."""
        finding = Finding(rule, device.name if device is not None else "", self.world.now_ms(), text)
        if all((one.rule, one.device, one.text) != (finding.rule, finding.device, finding.text) for one in self.found):
            self.found.append(finding)
            self.world.trace(device, "FOUND", f"{rule}: {text}")

    def too_many(self) -> bool:
        """Whether looking further is pointless."""
        return len(self.found) >= self.most

    def plane_fault(self, text: str) -> None:
        """The plane raised what is no refusal."""
        self.find("plane-raised", None, text)

    def raised(self, device: SimDevice, fault: Exception) -> None:
        """The agent raised."""
        where = traceback.extract_tb(fault.__traceback__)[-1]
        self.find("agent-raised", device, f"{type(fault).__name__}: {fault} ({where.filename.rpartition('/')[2]}:{where.lineno})")

    def of(self, device: SimDevice) -> File:
        """What is kept of a device."""
        return self._files.setdefault(id(device), File())

    # --- what is known from outside -------------------------------------------------------------------------------------

    def knows(self, content: str, version: Version) -> None:
        """Which version a content digest means."""
        self._contents[content] = version

    def version_of(self, content: str) -> Version | None:
        """The version of a content digest."""
        return self._contents.get(content)

    def in_play(self, device: SimDevice, app: str, version: Version | None) -> None:
        """From now on the device may be moved to this version (None: away from the app)."""
        self.of(device).play.setdefault(app, {})[version.name if version else ""] = version

    def rest(self, device: SimDevice, app: str, version: Version | None) -> None:
        """All is quiet, and this is what runs: only what is ordered from here on excuses a disturbance."""
        file = self.of(device)
        file.play[app] = {version.name if version else "": version}
        if version is not None:
            file.rested_apps.add(app)
        file.excused = {one for one in file.excused if one[0] != app}

    def excuse(self, device: SimDevice, app: str, service: str) -> None:
        """Somebody meddled with a service, or ordered something for it."""
        self.of(device).excused.add((app, service))

    def restart_ordered(self, device: SimDevice, app: str, service: str) -> None:
        """Somebody ordered one restart."""
        self.excuse(device, app, service)
        orders = self.of(device).restarts
        orders[app, service] = orders.get((app, service), 0) + 1

    def rebooted(self, device: SimDevice) -> None:
        """The machine lost power."""
        self.of(device).still = ""

    def hold_still(self, device: SimDevice, why: str) -> None:
        """From now on nothing that runs there may be touched, until `why` is lifted with an empty text."""
        self.of(device).still = why

    # --- events ---------------------------------------------------------------------------------------------------------

    def woke(self, device: SimDevice) -> None:
        """The agent woke up by its alarm clock."""
        wakes = self.of(device).wakes
        now = self.world.now_ms()
        wakes.append(now)
        if len(wakes) > SPIN:
            if now - wakes[0] < 60_000:
                self.find("spins", device, f"the agent woke up {len(wakes)} times within a minute")
            wakes.clear()

    def wrote(self, device: SimDevice, changes: int) -> None:
        """The agent changed so many files between two works."""
        if changes > BURST:
            self.find("spins", device, f"the agent changed files {changes} times without doing anything in between")

    def step(self, device: SimDevice, work: ApplyStep) -> None:
        """The agent begins a step."""
        file, step = self.of(device), work.step
        if not step.why:
            self.find("no-why", device, f"the step {step.kind} of {step.app} says no reason")
        if step.change and step.kind != "image":
            file.begun.setdefault(step.change, (self.world.now_ms(), file.number[0]))
        file.change[step.app] = step.change

    def heard(self, device: SimDevice, call: Call, outcome: Answer | Unreachable) -> None:
        """An answer reached a device: leaves in it count as given from here on."""
        if not isinstance(outcome, Answer) or outcome.status >= 400:
            self._failed_call(device)
        if call.kind != "poll" or not isinstance(outcome, Answer) or outcome.status != 200:
            return
        try:
            reply = decode(StateReply, outcome.body, 8_000_000)
            for text in reply.authorisations:
                leave = decode(Authorisation, open_unverified(text.encode())[1])
                if leave.device == device.id:
                    self.of(device).given[leave.id] = Given(leave.app, leave.content, leave.epoch, leave.not_after_ms)
        except WireError:
            return  # what a proxy made up

    def _failed_call(self, device: SimDevice) -> None:
        """Calls that fail are followed by longer and longer pauses."""
        failed, now = self.of(device).failed_calls, self.world.now_ms()
        failed.append(now)
        if len(failed) > FLOOD:
            if now - failed[0] < 60_000:
                self.find("floods", device, f"{len(failed)} calls failed within a minute")
            failed.clear()

    def touched(self, device: SimDevice, act: Act) -> None:
        """The agent did something to the engine."""
        file = self.of(device)
        if file.still and act.verb not in ("unkeep", "start"):
            self.find("touched-in-vain", device, f"{act.verb} of {act.name if act.target is None else act.target.name}, although {file.still}")
        target = act.target
        if act.verb == "create_volume":
            file.made_volumes.add(act.name)
        elif act.verb == "remove_volume":
            self._volume_removed(device, file, act)
        if target is None:
            return
        if act.verb == "start":
            self._started(device, act)
            self.world.after(1_000, lambda: self._whole(device, act))
        if act.verb == "restart":
            orders = file.restarts.get((target.app, target.service), 0)
            file.restarts[target.app, target.service] = orders - 1
            if orders < 1 and not (device.flaky or device.hang):
                self.find("restarted-again", device, f"{target.app}/{target.service} was restarted more often than ordered")
        if act.verb != "create" and (target.device != device.id or target.token in ("", "tok_of_somebody_else")):
            self.find("stranger-touched", device, f"{act.verb} of {target.name}, which is not ours")
        elif act.verb == "create":
            self._made(device, file, act)
        elif act.verb in DISTURBING and target.state == "running" and target.health != "unhealthy":
            self._disturbed(device, file, act)

    def _volume_removed(self, device: SimDevice, file: File, act: Act) -> None:
        if act.name not in file.made_volumes:
            self.find("volume-lost", device, f"volume {act.name} was removed, and Penstock had not made it")
        elif act.name.partition("_")[0] in file.rested_apps and not self._importing(device, act):
            self.find("volume-lost", device, f"volume {act.name} was removed, although its app had run well")

    def _importing(self, device: SimDevice, act: Act) -> bool:
        """A restore makes a volume anew within one verb; the record then holds import_volume, never remove_volume."""
        return act.verb == "import_volume" or device.id == ""

    def _made(self, device: SimDevice, file: File, act: Act) -> None:
        """A container was made: for a service never seen here before, leave must have been given."""
        target = act.target
        assert target is not None
        ran = file.ran.setdefault(target.app, set())
        if target.mark in ran:
            return
        ran.add(target.mark)
        begun, epoch = file.begun.get(file.change.get(target.app, ""), (act.at_ms, file.number[0]))
        fitting = []
        for leave in file.given.values():
            version = self._contents.get(leave.content)
            if leave.app == target.app and version is not None and target.mark in version.marks.values():
                fitting.append(leave)
        if not fitting:
            self.find("no-leave", device, f"{target.mark} was applied without any leave for it")
        elif all(leave.epoch < epoch for leave in fitting):
            self.find("void-leave", device, f"{target.mark} was applied under a leave of an earlier epoch")
        elif device.trusted and device.skew_ms == 0 and not device.since_1970 and all(leave.not_after_ms < begun for leave in fitting):
            late = begun - max(leave.not_after_ms for leave in fitting)
            self.find("lapsed-leave", device, f"{target.mark} was applied {late} ms after its leave had lapsed")

    def _whole(self, device: SimDevice, act: Act) -> None:
        """A moment after a start: is the version complete now?"""
        if act.target is not None and act.target.app in self.world.catalogue.versions:
            version = runs(self.world, device, act.target.app)
            if version is not None:
                self.of(device).whole.add((version.app, version.name))

    def _started(self, device: SimDevice, act: Act) -> None:
        """A service was started: what it waits for must have come first."""
        target = act.target
        assert target is not None
        part = next((part for version in self.world.catalogue.versions.get(target.app, []) for part in version.parts if part.mark == target.mark), None)
        there = {one.service: one for one in device.engine.all_shown() if one.app == target.app and one.token not in ("", "tok_of_somebody_else")}
        for need, condition in part.needs if part is not None else ():
            other = there.get(need)
            if condition == "completed":
                continue  # a job that ended may have been removed since
            if other is None:
                self.find("order", device, f"{target.app}/{target.service} was started before there was {need}")
            elif condition == "started" and other.state == "restarting":
                continue  # it was started, and fell since the agent last looked
            elif other.state != "running" or (condition == "healthy" and other.health != "healthy"):
                self.find("order", device, f"{target.app}/{target.service} was started while {need} was {other.state}, {other.health}; it needs it {condition}")

    def _disturbed(self, device: SimDevice, file: File, act: Act) -> None:
        """A running, healthy container was stopped, restarted or removed: there must be a reason."""
        target = act.target
        assert target is not None
        if (target.app, target.service) in file.excused:
            return
        versions = list(file.play.get(target.app, {}).values())
        marks = {version.marks.get(target.service, "") if version is not None else "" for version in versions}
        if marks - {target.mark}:
            return
        if act.verb == "stop" and self._copied_with_others(versions, target.service):
            return
        asked = ", ".join(sorted(version.name if version else "none" for version in versions)) or "nothing"
        self.find(
            "healthy-disturbed", device, f"{act.verb} of {target.app}/{target.service} ({target.mark}), which ran well and stays the same in version {asked}"
        )

    @staticmethod
    def _copied_with_others(versions: list[Version | None], service: str) -> bool:
        """Whether the service shares a volume that is to be copied with one that changes: then it may stand still for the copy."""
        there = [version for version in versions if version is not None]
        shared = {
            name for version in there for part in version.parts if part.name == service for name in part.volumes if version.volumes.get(name) == "snapshot"
        }
        for name in shared:
            users = {part.name for version in there for part in version.parts if name in part.volumes}
            if any(len({version.marks.get(user, "") for version in there}) > 1 for user in users):
                return True
        return False

    # --- after every event ----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """The numbers only rise."""
        for device in self.world.devices:
            brain = device.brain
            if brain is None:
                continue
            file = self.of(device)
            number = brain.generation()
            if number < file.number and not (file.damaged and number[0] == file.number[0]):
                self.find("number-back", device, f"it held {file.number} and now holds {number}")
            file.number = number

    def doubled(self, first: SimDevice, twin: SimDevice) -> None:
        """The twin knows what the first one knew."""
        self.of(twin).given = dict(self.of(first).given)
        self.of(twin).play = {app: dict(versions) for app, versions in self.of(first).play.items()}

    def set_back(self, device: SimDevice) -> None:
        """The machine is an earlier picture of itself, or a copy of another: numbers begin anew there."""
        file = self.of(device)
        file.number = (0, 0)
        file.twin = True
        file.still = ""
