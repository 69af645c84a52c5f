"""A whole staged rollout as a state machine: people, devices and time in any order, against the truth of what devices hold and do.

Owns the laws that hold at every moment: the budget, redundancy sets, the order of waves, their sizes, halts and pauses, and that every rollout ends.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.server.core import rolloutacts as acts
from penstock.server.core.budget import Limits
from penstock.server.core.courses import ABORTING, HALTED, PAUSED
from penstock.server.core.errors import Refused
from penstock.server.core.halting import AWAY, EXCUSED, SILENT
from penstock.server.core.model import DONE, FAILED, LEFT_OUT, RUNNING, SOAKED, STOPPED
from tests.server.core.waveworld import HOUR, NEW, World, world

PLANS = (
    {"waves": [{"count": 1}, {"rest": True}]},
    {"waves": [{"count": 2}, {"count": 2}, {"rest": True}], "joiners": "last"},
    {"waves": [{"site": "s0", "validate_s": 7200}, {"percent": 30}, {"rest": True}], "joiners": "last", "failed": "go-on"},
    {"waves": [{"rest": True}], "joiners": "last"},
    {"waves": [{"count": 2}, {"rest": True}], "failed": "go-on", "halt": {"failed": 3, "first": False, "silent": 2, "silence_s": 7200}},
)
VERDICTS = ("soaked", "soaked", "soaked", "failed-reverted", "failed-left", "failed-unchanged")
NAMES = [f"d{at:02}" for at in range(12)]
SET_A, SET_B = frozenset(("d00", "d01")), frozenset(("d02", "d03", "d04"))


class Whole(RuleBasedStateMachine):
    """One rollout over eight devices, four of which may come later."""

    fleet: World

    @initialize(plan=st.sampled_from(PLANS), fleet=st.sampled_from([1, 2, 3, None]), site=st.sampled_from([1, 2, None]))
    def begin(self, plan: dict[str, Any], fleet: int | None, site: int | None) -> None:
        self.limits = Limits(fleet=fleet, site=site, sets={"a": SET_A, "b": SET_B}, set_limits={"b": 2})
        self.fleet = world(8, plan, self.limits, sites=3)
        self.fleet.step()
        self.halted = False

    # --- time, devices ----------------------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 20, 45, 130, 26 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.fleet.now_ms += minutes * 60_000

    @rule(name=st.sampled_from(NAMES))
    def a_device_calls(self, name: str) -> None:
        if name in self.fleet.devices:
            self.fleet.call(name)

    @rule(name=st.sampled_from(NAMES), verdict=st.sampled_from(VERDICTS))
    def a_device_goes_all_the_way(self, name: str, verdict: str) -> None:
        if name in self.fleet.devices:
            self.fleet.through(name, verdict)

    @rule(name=st.sampled_from(NAMES))
    def a_device_begins(self, name: str) -> None:
        if name in self.fleet.devices:
            self.fleet.begin(name)

    @rule(name=st.sampled_from(NAMES), verdict=st.sampled_from(VERDICTS))
    def a_device_ends(self, name: str, verdict: str) -> None:
        if name in self.fleet.devices:
            self.fleet.end(name, verdict)

    @rule(name=st.sampled_from(NAMES), dark=st.booleans())
    def a_line_is_cut_or_mended(self, name: str, dark: bool) -> None:
        if name in self.fleet.devices:
            self.fleet.devices[name].dark = dark

    @rule(name=st.sampled_from(NAMES[8:]), site=st.sampled_from(["s0", "s1", "s2"]))
    def a_device_joins(self, name: str, site: str) -> None:
        if name not in self.fleet.devices:
            self.fleet.late(name, site)

    # --- the plane ----------------------------------------------------------------------------------------------------------

    @rule(among=st.one_of(st.none(), st.sets(st.sampled_from(NAMES), max_size=4)))
    def the_plane_looks(self, among: set[str] | None) -> None:
        names = None if among is None else sorted(among & self.fleet.members.keys())
        before = self.fleet.rollout.state
        waves = self.fleet.rollout.wave
        found = self.fleet.step(names)
        if before in (HALTED, PAUSED, ABORTING, STOPPED):
            assert not found.grant
            assert self.fleet.rollout.wave == waves
            assert found.state != RUNNING
        if found.state == HALTED:
            assert not found.grant
            assert "failed" in found.why or "said nothing in time" in found.why
        assert found.why
        if among is None:
            again = self.fleet.look()
            assert not again.grant, "deciding twice at one instant gives nothing more"
            assert all(one.state == self.fleet.members[one.device].state for one in again.members), again.members
            assert not found.again_ms or found.again_ms >= self.fleet.now_ms

    # --- people ---------------------------------------------------------------------------------------------------------------

    @rule()
    def somebody_pauses(self) -> None:
        with suppress(Refused):
            self.fleet.rollout = acts.pause(self.fleet.rollout, "anna", "shift change")

    @precondition(lambda self: self.fleet.rollout.state in (PAUSED, HALTED))
    @rule()
    def somebody_resumes(self) -> None:
        self.fleet.rollout, self.fleet.course = acts.resume(self.fleet.rollout, self.fleet.course, self.fleet.members.values(), "anna", "looked at it")
        failing = {name: state for name, state in self.fleet.states().items() if state in (FAILED, SILENT)}
        if self.fleet.step([]).state == HALTED:
            raise AssertionError(f"halted again by the same: {failing}")

    @rule(name=st.sampled_from(NAMES))
    def somebody_excuses(self, name: str) -> None:
        with suppress(Refused, KeyError):
            self.fleet.members[name] = acts.excuse(self.fleet.rollout, self.fleet.members[name], "anna", "its line is down", self.fleet.now_ms)

    @rule()
    def somebody_retries_the_failed(self) -> None:
        with suppress(Refused):
            failed = [one for one in self.fleet.members.values() if one.state == FAILED]
            for one in acts.retry(self.fleet.rollout, failed, self.fleet.now_ms):
                self.fleet.members[one.device] = one

    @rule(name=st.sampled_from(NAMES))
    def a_site_goes_away(self, name: str) -> None:
        member = self.fleet.members.get(name)
        if member is not None and self.fleet.rollout.state not in acts.OVER:
            self.fleet.members[name] = acts.send_away(member, self.fleet.devices[name].told, "3 May", self.fleet.now_ms)

    @rule(name=st.sampled_from(NAMES))
    def a_site_comes_back(self, name: str) -> None:
        member = self.fleet.members.get(name)
        if member is not None and self.fleet.rollout.state not in (STOPPED, ABORTING):
            self.fleet.members[name] = acts.come_back(member, self.fleet.now_ms)

    @precondition(lambda self: self.fleet.now_ms > self.fleet.rollout.started_ms + HOUR)
    @rule()
    def somebody_aborts(self) -> None:
        with suppress(Refused):
            self.fleet.rollout = acts.abort(self.fleet.rollout, "anna", "wrong release")

    # --- laws ---------------------------------------------------------------------------------------------------------------------

    @invariant()
    def never_more_at_risk_than_the_budget(self) -> None:
        if not hasattr(self, "fleet"):
            return
        risky = self.fleet.really_at_risk()
        assert self.limits.fleet is None or len(risky) <= self.limits.fleet, risky
        for site in ("s0", "s1", "s2"):
            there = [name for name in risky if self.fleet.devices[name].site == site]
            assert self.limits.site is None or len(there) <= self.limits.site, there

    @invariant()
    def never_all_of_a_redundancy_set(self) -> None:
        if not hasattr(self, "fleet"):
            return
        down = {name for name, device in self.fleet.devices.items() if device.may_begin(self.fleet.now_ms) or device.begun}
        assert not down >= SET_A
        assert not down >= SET_B
        assert len(self.fleet.really_at_risk() & SET_B) <= 2

    @invariant()
    def waves_are_never_overfilled(self) -> None:
        if not hasattr(self, "fleet"):
            return
        held: dict[int, int] = {}
        for member in self.fleet.members.values():
            held[member.wave] = held.get(member.wave, 0) + 1
        sizes = self.fleet.sizes
        for wave, number in held.items():
            cap = sizes[min(wave, len(sizes)) - 1]
            assert wave == 0 or cap is None or number <= cap, (wave, number, cap)

    @invariant()
    def a_wave_opens_only_over_what_soaked_or_is_excused(self) -> None:
        if not hasattr(self, "fleet"):
            return
        plan = self.fleet.course.plan
        for said in self.fleet.opened_over:
            state = said.split(" is ")[1].split(" ")[0]
            assert (state == FAILED and plan.failed == "go-on") or (state == SILENT and (plan.halt.silent or plan.halt.silent_percent)), said

    @invariant()
    def silence_is_never_success(self) -> None:
        if not hasattr(self, "fleet"):
            return
        for name, state in self.fleet.states().items():
            assert state != SOAKED or self.fleet.devices[name].runs == NEW

    def teardown(self) -> None:
        """Faults stop, a person does what the sentences ask for: it ends."""
        if not hasattr(self, "fleet"):
            return
        fleet = self.fleet
        for device in fleet.devices.values():
            device.dark = False
        for name in list(fleet.members):
            fleet.members[name] = acts.come_back(fleet.members[name], fleet.now_ms) if fleet.rollout.state not in (STOPPED, ABORTING) else fleet.members[name]
        for _ in range(200):
            if fleet.rollout.state in (DONE, STOPPED):
                break
            if fleet.rollout.state in (HALTED, PAUSED):
                fleet.rollout, fleet.course = acts.resume(fleet.rollout, fleet.course, fleet.members.values(), "anna", "go on")
            for name, member in list(fleet.members.items()):
                if member.state == FAILED:
                    fleet.members[name] = replace(acts.excuse(fleet.rollout, member, "anna", "seen to by hand", fleet.now_ms))
            for name in fleet.devices:
                fleet.end(name)
                fleet.through(name)
            fleet.step()
            fleet.now_ms += 20 * 60_000
        assert fleet.rollout.state in (DONE, STOPPED), (fleet.rollout, fleet.states())
        if fleet.rollout.state == DONE:
            assert all(state in (SOAKED, EXCUSED, LEFT_OUT, AWAY, FAILED, SILENT) for state in fleet.states().values()), fleet.states()


TestWhole = Whole.TestCase
TestWhole.settings = settings(stateful_step_count=60)
