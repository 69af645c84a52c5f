"""A small world around the pure decisions of rollouts: a plane that carries out what `decide` says, and devices that obey, dawdle, fail and go dark.

Owns the truth: what each device really holds and does, beside what the plane has heard. The plane here does what the actions have to do and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from penstock.server.core import rolloutacts
from penstock.server.core.budget import ROLLOUT, Account, Limits, Place, Risk, at_risk
from penstock.server.core.courses import Course, tally_of
from penstock.server.core.halting import AWAY, EXCUSED, SILENT
from penstock.server.core.model import ACTIVE, DONE, FAILED, LEFT_OUT, PENDING, RUNNING, SETTLED, SOAKED, Member, Rollout, RolloutId, Seen
from penstock.server.core.planreading import read
from penstock.server.core.rollout import Decision, Given, Outcome, Standing
from penstock.server.core.staged import decide
from penstock.server.core.verdicts import left_broken
from penstock.server.core.waves import Candidate, Filled, caps, fill, join, leave_s_for

NEW, OLD = "sha256:" + "1" * 64, "sha256:" + "2" * 64
LEAVE_S, HOUR = 3600, 3_600_000
START = 1_000 * HOUR


@dataclass
class Device:
    """What is true. `leave`: the leave in the document it holds."""

    name: str
    site: str
    since_ms: int = 0
    dark: bool = False
    runs: str = OLD
    phase: str = "soaked"
    target: str = ""
    leave: Given | None = None
    heard_ms: int = 0
    adopted: bool = False
    told: Seen | None = None
    outcome: Outcome | None = None
    ended: Outcome | None = None
    tries: int = 0
    trying: str = ""
    spent: set[str] = field(default_factory=set)  # leaves that it has tried under: a failure is not tried again under the same

    def may_begin(self, now_ms: int) -> bool:
        if self.leave is None or now_ms > self.leave.not_after_ms or self.target != NEW or self.runs == NEW or self.begun:
            return False
        return self.leave.id not in self.spent

    @property
    def begun(self) -> bool:
        return self.phase in ("applying", "claimed")


@dataclass
class World:
    devices: dict[str, Device]
    course: Course
    limits: Limits = field(default_factory=Limits)
    now_ms: int = START
    members: dict[str, Member] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    risks: dict[str, Risk] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)  # their document changed since they last called
    rollout: Rollout = field(default_factory=lambda: Rollout(RolloutId("rol"), "dep", "shop", 1, RUNNING, "begins", 1, 0, START))
    filled: list[Filled] = field(default_factory=list)
    opened_over: list[str] = field(default_factory=list)
    ids: int = 0

    def __post_init__(self) -> None:
        self.sizes = caps(self.course.plan, [self.candidate(name) for name in self.devices])
        wave = 0 if self.course.staged else 1
        for name in self.devices:
            self.members[name] = Member("rol", name, "shop", wave, NEW, PENDING, "its wave is not open yet", self.now_ms)

    def candidate(self, name: str) -> Candidate:
        device, member = self.devices[name], self.members.get(name)
        returned = member is not None and member.why.startswith(rolloutacts.RETURNED)
        return Candidate(name, device.site, {"site": device.site}, device.since_ms, returned=returned)

    # --- the plane ------------------------------------------------------------------------------------------------------

    def standing(self, name: str) -> Standing:
        device, risk = self.devices[name], self.risks.get(name)
        return Standing(
            self.members[name],
            ACTIVE,
            "",
            name in self.ordered and device.adopted and name not in self.fresh,
            device.told,
            device.outcome,
            self.given.get(name),
            heard_ms=device.heard_ms,
            leave_s=leave_s_for(self.course.plan, device.site, LEAVE_S),
            risk_until_ms=risk.not_after_ms if risk is not None else 0,
        )

    def account(self) -> Account:
        for name, risk in self.risks.items():
            member, device = self.members[name], self.devices[name]
            over = member.state in SETTLED and member.state != LEFT_OUT
            gone = device.adopted and name not in self.fresh and name not in self.given and not self.heard_begun(name)
            self.risks[name] = replace(risk, heard_ms=device.heard_ms, ended=over or gone)
        silence_s = self.course.plan.halt.silence_s
        unwell = {name for name, member in self.members.items() if member.state == SILENT or left_broken(member)}
        places = {name: Place(device.site) for name, device in self.devices.items()}
        return Account(self.limits, at_risk(self.risks.values(), self.now_ms, silence_s), frozenset(unwell), places)

    def heard_begun(self, name: str) -> bool:
        told = self.devices[name].told
        return told is not None and told.phase in ("applying", "claimed", "confirmed")

    def step(self, among: list[str] | None = None) -> Decision:
        """As the reconciler does: look, open what is to be opened, and look again where that is due at once."""
        found = self.once(among)
        for _ in range(3 * len(self.devices) + len(self.course.plan.waves)):
            if found.opens:
                self.open(found.opens)
            elif found.again_ms != self.now_ms:
                return found
            found = self.once(None)
        raise AssertionError("waves open without end")

    def look(self, among: list[str] | None = None) -> Decision:
        names = sorted(self.members) if among is None else among
        rollout = replace(self.rollout, state=RUNNING) if self.rollout.state == DONE else self.rollout
        tally = tally_of(self.members.values(), self.course)
        return decide(rollout, tally, [self.standing(name) for name in names], self.now_ms, LEAVE_S, self.course, self.account())

    def once(self, among: list[str] | None) -> Decision:
        found = self.look(among)
        for member in found.members:
            self.members[member.device] = member
        self.ordered.update(found.order)
        for name in found.revoke:
            del self.given[name]
        for name, content in found.grant.items():
            self.ids += 1
            ident = self.given[name].id if name in found.renew else f"lev{self.ids}"
            until = found.until.get(name, found.not_after_ms)
            self.given[name] = Given(ident, content, self.now_ms, until)
            before = self.risks.get(name)
            self.risks[name] = Risk(name, ROLLOUT, self.now_ms, max(until, before.not_after_ms if before else 0), self.devices[name].heard_ms)
        self.fresh.update({*found.order, *found.grant, *found.revoke})
        for name in (*found.order, *found.grant, *found.revoke):
            self.devices[name].adopted = False
        self.rollout = replace(self.rollout, state=found.state, why=found.why, wave=max(self.rollout.wave, found.wave))
        self.course = replace(self.course, passed_ms=found.passed_ms)
        return found

    def open(self, number: int) -> None:
        for member in self.members.values():
            if 1 <= member.wave < number and member.state not in (SOAKED, EXCUSED, LEFT_OUT, AWAY):
                self.opened_over.append(f"{member.device} is {member.state} as wave {number} opens")
        waiting = [self.candidate(name) for name, member in self.members.items() if member.wave == 0 and member.state == PENDING]
        filled = fill(self.course.plan, self.sizes, number, waiting, START, self.now_ms)
        self.filled.append(filled)
        for name in filled.devices:
            self.members[name] = replace(self.members[name], wave=number, why="its wave opens")
        self.rollout = replace(self.rollout, wave=number, waves=max(number, self.rollout.waves))
        self.course = replace(self.course, passed_ms=0)

    def late(self, name: str, site: str) -> None:
        self.devices[name] = Device(name, site, self.now_ms, heard_ms=self.now_ms)
        holds = sum(1 for member in self.members.values() if member.wave == self.rollout.wave)
        wave, why = join(self.course.plan, self.sizes, self.rollout.wave, holds, self.candidate(name), self.now_ms)
        self.members[name] = Member("rol", name, "shop", wave, NEW, PENDING, why, self.now_ms)

    # --- devices --------------------------------------------------------------------------------------------------------

    def call(self, name: str) -> None:
        """It reports what it did, and fetches its document."""
        device = self.devices[name]
        if device.dark:
            return
        device.heard_ms = self.now_ms
        if device.ended is not None:
            device.outcome, device.ended = replace(device.ended, received_ms=self.now_ms), None
        self.fresh.discard(name)
        device.adopted = name in self.ordered
        if name in self.ordered:
            device.target = NEW
        device.leave = self.given.get(name)
        device.told = Seen("shop", device.phase, device.runs, device.target if device.target != device.runs else "", False, False, f"it is {device.phase}")

    def begin(self, name: str) -> bool:
        device = self.devices[name]
        if not device.may_begin(self.now_ms) or device.leave is None:
            return False
        device.trying = device.leave.id
        device.spent.add(device.trying)
        device.phase = "applying"
        device.tries += 1
        return True

    def end(self, name: str, verdict: str = "soaked") -> None:
        device = self.devices[name]
        if not device.begun:
            return
        device.ended = Outcome(NEW, verdict, "its health rule" if verdict != "soaked" else "", device.trying, 0)
        device.runs = NEW if verdict == "soaked" else OLD
        device.phase = "soaked" if verdict == "soaked" else "failed"

    def through(self, name: str, verdict: str = "soaked") -> None:
        """All of it: fetch, apply, report."""
        self.call(name)
        if self.begin(name):
            self.end(name, verdict)
        self.call(name)

    # --- the truth --------------------------------------------------------------------------------------------------------

    def really_at_risk(self) -> set[str]:
        """Devices that may begin now or have begun, but for those whose silence was judged and whose leave has lapsed."""
        judged = self.account().at_risk
        return {name for name, device in self.devices.items() if device.may_begin(self.now_ms) or (device.begun and name in judged)}

    def states(self) -> dict[str, str]:
        return {name: member.state for name, member in sorted(self.members.items())}


def world(count: int, plan: dict[str, Any], limits: Limits | None = None, sites: int = 1) -> World:
    """Devices d00, d01, ... dealt to sites in turn."""
    devices = {f"d{at:02}": Device(f"d{at:02}", f"s{at % sites}", heard_ms=START) for at in range(count)}
    return World(devices, Course(read(plan)), limits or Limits())


__all__ = ["AWAY", "EXCUSED", "FAILED", "HOUR", "LEAVE_S", "NEW", "OLD", "SILENT", "START", "Device", "World", "world"]
