"""Faults planted in the product's rules, one at a time, each with the runs in which the watch must find it.

Owns the plants. A plant changes one rule the way a careless change would; nothing in the simulator knows of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from penstock.agent import adopt, brain, courier, hands, ledger, ordered
from penstock.agent.devicelog import DeviceLog
from penstock.agent.work import EngineDone
from penstock.rules import course, gates, health, ours, rest, toward, turns, wish
from penstock.rules import drift as drift_rules
from penstock.rules.commands import Judgement
from penstock.rules.gates import Open
from penstock.server.actions import projections, rollouts, states
from penstock.server.core import chain, rollout, staged
from penstock.server.core.model import FAILED, ORDERED, SOAKED
from penstock.server.store import commands as command_store
from penstock.server.store import rollouts as rollout_store
from penstock.wire import trust
from penstock.wire.record import replace
from penstock.wire.trust import Held


@dataclass(frozen=True)
class Plant:
    """`rule`: which rule is broken, in words. `scenario`, `first` and `seeds`: where to look. `expected`: findings of which at least one must come up."""

    rule: str
    plant: Callable[[pytest.MonkeyPatch], None]
    scenario: str
    expected: frozenset[str]
    first: int = 1
    seeds: int = 4
    devices: int = 1


def _gate_always_open(patch):
    patch.setattr(gates, "_leave", lambda *_: Open("planted"))


def _lapse_forgotten(patch):
    real = trust.leave_fault
    patch.setattr(gates, "leave_fault", lambda leave, app, content, now_ms: real(leave, app, content, min(now_ms, leave.not_after_ms)))


def _older_generation_accepted(patch):
    real = trust.accept_desired

    def accept(root, held, device, raw, verify):
        return real(root, Held(held.epoch, 0, ""), device, raw, verify)

    patch.setattr(adopt, "accept_desired", accept)


def _desired_never_refreshed(patch):
    patch.setattr(states, "content_of", lambda *_: "sha256:" + "0" * 64)


def _illness_ignored(patch):
    patch.setattr(course, "all_well", lambda _: True)
    patch.setattr(course, "_crashing", lambda *_: "")


def _no_deadline(patch):
    patch.setattr(course, "deadline_ms", lambda _: 10**12)
    patch.setattr(course, "patience_ms", lambda _: 10**12)
    patch.setattr(course, "CRASHES_IN_CHANGE", 10**9)
    patch.setattr(toward, "CRASHES_IN_CHANGE", 10**9)


def _no_revert(patch):
    real = turns.fail

    def fail(memory, why, c, releases, **more):
        change = memory.change
        if change is not None and change.back:
            return turns.end(replace(memory, running=change.target), change, "failed-reverted", why, c)
        return real(memory, why, c, releases, **more)

    patch.setattr(turns, "fail", fail)


def _unchanged_services_replaced(patch):
    real = toward.Way.__init__

    def init(self, memory, goal, releases, look, c, unfit):
        real(self, memory, goal, releases, look, c, unfit)
        if memory.change is not None and memory.change.kind == "update":
            old = {name: unit for name, unit in self.chosen.items() if unit.content != self.content}
            self.chosen = {name: unit for name, unit in self.chosen.items() if name not in old}
            self.misfits += old.values()

    patch.setattr(toward.Way, "__init__", init)


def _drift_everywhere(patch):
    real = drift_rules.drift

    def drift(memory, state, look, device):
        found = real(memory, state, look, device)
        return replace(found, unfit=found.unfit | frozenset(unit.token for unit in memory.units[:1]))

    for module in (rest, course):
        patch.setattr(module, "drift", drift)


def _labels_make_it_ours(patch):
    def bears(container, app, unit, device):
        labels = container.labels
        return labels.get("penstock.device") == device and labels.get("penstock.app") == app and labels.get("penstock.service") == unit.service

    real = ours.owned

    def owned(memory, seen, device):
        found = real(memory, seen, device)
        for unit in memory.units:
            for container in seen.containers:
                if bears(container, memory.app, unit, device) and container.id != unit.container and "copy-of" in container.name:
                    found[unit.token] = container
        return found

    for module in (rest, toward, course, ordered, health):
        patch.setattr(module, "owned", owned)


def _refusals_forgotten(patch):
    patch.setattr(turns, "refuse", lambda memory, *_: memory)
    patch.setattr(turns, "MAX_REFUSED", 0)


def _failures_forgotten(patch):
    # There are two guards: which receipt counts, and that a failed member stays so while nobody orders it anew.
    real = rollout.verdict

    def verdict(standing):
        if standing.member.state == FAILED:
            standing = dataclasses.replace(standing, member=dataclasses.replace(standing.member, state=ORDERED))
        return real(standing)

    patch.setattr(staged, "verdict", verdict)
    patch.setattr(projections, "counts", lambda *_: True)


def _renewed_leaves_are_new_ones(patch):
    real = staged.decide
    patch.setattr(rollouts, "decide", lambda *given: dataclasses.replace(real(*given), renew=frozenset()))


def _orders_reversed(patch):
    patch.setattr(toward, "condition_met", lambda *_: True)
    patch.setattr(toward, "start_order", lambda services: tuple(sorted(services, key=lambda one: one.name, reverse=True)))


def _commands_repeated(patch):
    patch.setattr(ordered, "judge", lambda *_: Judgement("do"))
    real = ordered._note

    def note(thinking, changed):
        return real(thinking, replace(changed, state="open") if changed.command.verb == "restart" else changed)

    patch.setattr(ordered, "_note", note)


def _ledger_in_memory_only(patch):
    def save(self, book):
        self.book = replace(book, serial=book.serial + 1)
        return True

    patch.setattr(ledger.Ledger, "save", save)


def _entries_forgotten(patch):
    real = DeviceLog._put

    def put(self, data, batch):
        if batch[0].seq % 11 == 0 and len(batch) == 1:
            self.seq, self.head = batch[-1].seq, "sha256:" + "0" * 64
            return True
        return real(self, data, batch)

    patch.setattr(DeviceLog, "_put", put)


def _no_back_off(patch):
    for module in (courier, brain):
        patch.setattr(module, "backoff_ms", lambda *_: 0)


def _data_not_restored(patch):
    patch.setattr(hands.Hands, "_restore", lambda self, work: EngineDone(ok=True))


def _silence_is_success(patch):
    patch.setattr(rollout, "_unsaid", lambda standing: (SOAKED, "planted"))
    real = rollout.verdict

    def verdict(standing):
        state, why = real(standing)
        return (SOAKED, "planted") if state == "ordered" else (state, why)

    patch.setattr(staged, "verdict", verdict)


def _forks_unnoticed(patch):
    real = chain.judge

    def judge(head, entries, digests, **more):
        found = real(head, entries, digests, **more)
        return chain.Continue((), (), head.branch) if isinstance(found, chain.Fork) else found

    patch.setattr(chain, "judge", judge)


def _failure_is_success(patch):
    patch.setattr(rollout, "_failed", lambda standing: None)
    real = rollout.verdict
    patch.setattr(staged, "verdict", lambda standing: (SOAKED, "planted") if standing.outcome is not None else real(standing))


def _restart_forgets(patch):
    """A poll that fails makes the agent think nothing is wanted, and the gate lets it go."""
    real = brain.Brain._link_done

    def done(self, call, outcome, now):
        real(self, call, outcome, now)
        if not hasattr(outcome, "status"):
            self._mind.book = replace(self._mind.book, wanted=())
            self._mind.look_again()

    patch.setattr(brain.Brain, "_link_done", done)
    real_gate = gates.gate
    patch.setattr(wish, "gate", lambda kind, app, content, c: Open("planted") if kind == "uninstall" else real_gate(kind, app, content, c))


def _withdrawn_for_good(patch):
    patch.setattr(rollout_store, "_there_again", lambda *_: set())


def _commands_never_end(patch):
    patch.setattr(command_store, "end", lambda *_, **__: False)
    patch.setattr(command_store, "expire", lambda *_: ())


def _left_as_it_is(patch):
    real = turns.fail

    def fail(memory, why, c, releases, **more):
        change = memory.change
        return real(replace(memory, change=replace(change, back="")) if change is not None and change.source else memory, why, c, releases, **more)

    patch.setattr(turns, "fail", fail)


PLANTS = (
    Plant("a change needs leave", _gate_always_open, "dark", frozenset(("touched-in-vain", "no-leave", "lapsed-leave"))),
    Plant("a leave lapses", _lapse_forgotten, "dark", frozenset(("touched-in-vain", "lapsed-leave"))),
    Plant("generations only rise", _older_generation_accepted, "old-answers", frozenset(("number-back",))),
    Plant("a changed document has a new number", _desired_never_refreshed, "orders", frozenset(("unsettled", "wrong-release"))),
    Plant("what is withdrawn stays withdrawn", _withdrawn_for_good, "twins", frozenset(("unsettled",)), 4008, 1, devices=2),
    Plant("a command ends or lapses", _commands_never_end, "orders", frozenset(("unsettled",))),
    Plant("a failed change is left half done only where nothing had soaked", _left_as_it_is, "orders", frozenset(("two-releases",)), 26),
    Plant("an ill release does not soak", _illness_ignored, "alone", frozenset(("not-gone-back", "false-success"))),
    Plant("a deadline ends a change", _no_deadline, "alone", frozenset(("not-gone-back",))),
    Plant("a failed change goes back", _no_revert, "alone", frozenset(("not-gone-back", "two-releases", "believes-wrong"))),
    Plant("unchanged services stay", _unchanged_services_replaced, "orders", frozenset(("healthy-disturbed",))),
    Plant("drift is what differs", _drift_everywhere, "cut", frozenset(("healthy-disturbed", "touched-in-vain", "unsettled"))),
    Plant("labels make nothing ours", _labels_make_it_ours, "hands", frozenset(("stranger-touched",))),
    Plant("what failed is not tried again under the same leave", _refusals_forgotten, "alone", frozenset(("tried-again", "not-gone-back"))),
    Plant("a repair does not make a failure forgotten", _failures_forgotten, "alone", frozenset(("tried-again",))),
    Plant("a leave that is prolonged is no other try", _renewed_leaves_are_new_ones, "alone", frozenset(("tried-again",))),
    Plant("services start after what they need", _orders_reversed, "orders", frozenset(("order",))),
    Plant("a command is carried out at most once", _commands_repeated, "orders", frozenset(("restarted-again", "unsettled")), 3),
    Plant("the ledger is on disk before a step", _ledger_in_memory_only, "deaths", frozenset(("number-back", "unsettled", "two-releases", "wrong-release"))),
    Plant("every entry of the log is written", _entries_forgotten, "orders", frozenset(("log-lost", "unsettled", "log-altered")), 7),
    Plant("failures are followed by a pause", _no_back_off, "planes", frozenset(("floods", "spins"))),
    Plant("data comes back with its release", _data_not_restored, "alone", frozenset(("data-not-restored",))),
    Plant("silence is not success", _silence_is_success, "orders", frozenset(("false-success", "believes-wrong"))),
    Plant("failure is not success", _failure_is_success, "orders", frozenset(("false-success", "believes-wrong"))),
    Plant("two machines with one key are noticed", _forks_unnoticed, "clone", frozenset(("twin-unnoticed", "unsettled", "apart")), 3, devices=2),
    Plant("no answer makes a device forget", _restart_forgets, "cut", frozenset(("touched-in-vain", "healthy-disturbed"))),
)
