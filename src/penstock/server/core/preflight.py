"""What could stop a rollout, said before it starts: every clause by name, with the devices it is about.

Owns the list of clauses. It looks at the plan, the devices and the budget as they are now; it never forecasts time, and forbids nothing: what must not be
written at all is refused by `planreading`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from penstock.server.core.budget import Limits, Place, long_risk
from penstock.server.core.halting import HaltRule
from penstock.server.core.liveness import span
from penstock.server.core.waves import COUNT, PERCENT, Candidate, Filled, WavePlan, leave_s_for, preview

STOPS, WAITS, RISK, NOTE = "stops", "waits", "risk", "note"  # it will not go on by itself; it will go on later; it may harm; good to know
WEIGHT = {STOPS: 0, WAITS: 1, RISK: 2, NOTE: 3}
NAMED = 5


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What is known of one device that the rollout is to move. `liveness` as in `liveness.py`; `way_back`: ok, missing, none (it has nothing of this app yet);
    `unfit`: why it cannot be given the release at all (too old an agent, no room, another processor); `irreversible`: volumes that cannot be put back;
    `moving`: another rollout has begun on it; `review`: a person has to look at it first."""

    candidate: Candidate
    name: str
    liveness: str = "current"
    way_back: str = "ok"
    unfit: str = ""
    too_old: bool = False
    irreversible: tuple[str, ...] = ()
    moving: str = ""
    review: str = ""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing, with a stable code, how it weighs, the sentence, and the devices by name."""

    code: str
    weight: str
    why: str
    devices: tuple[str, ...] = ()
    field: str = ""


def preflight(plan: WavePlan, fleet: Sequence[DeviceFacts], limits: Limits, *, usual_leave_s: int, now_ms: int) -> tuple[Clause, ...]:
    """Every clause that could stop, delay or harm it, worst first."""
    waves = preview(plan, [one.candidate for one in fleet], now_ms)
    found = [*_devices(fleet, plan.halt, now_ms), *_waves(plan, waves), *_budget(waves, fleet, limits), *_sets(waves, fleet, limits), *_approvals(plan)]
    found += _leaves(plan, fleet, usual_leave_s)
    if plan.start_ms > now_ms:
        found.append(Clause("scheduled", WAITS, f"nothing begins for another {span(plan.start_ms - now_ms)}", field="start_ms"))
    return tuple(sorted(found, key=lambda one: (WEIGHT[one.weight], one.code, one.why)))


def _clause(code: str, weight: str, fleet: Iterable[DeviceFacts], one: str, many: str) -> list[Clause]:
    names = sorted(each.name for each in fleet)
    if not names:
        return []
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return [Clause(code, weight, f"{len(names)} {one if len(names) == 1 else many}: {shown}", tuple(names))]


def _devices(fleet: Sequence[DeviceFacts], rule: HaltRule, now_ms: int) -> list[Clause]:
    gone = [one for one in fleet if one.candidate.away_until_ms > now_ms]
    here = [one for one in fleet if one.candidate.away_until_ms <= now_ms]
    staying = [one for one in here if not one.candidate.leaves]
    quiet = [one for one in here if one.liveness in ("silent", "never")]
    found = [
        *_clause("silent-now", WAITS, quiet, "device is silent now and will not answer", "devices are silent now and will not answer"),
        *_clause("too-old", STOPS, [one for one in staying if one.too_old], "agent is too old for the release", "agents are too old for the release"),
        *_clause(
            "unfit",
            NOTE,
            [one for one in staying if one.unfit and not one.too_old],
            "device cannot be given it, and is left out",
            "devices cannot be given it, and are left out",
        ),
        *_clause("no-way-back", RISK, [one for one in staying if one.way_back == "missing"], "device has no way back", "devices have no way back"),
        *_clause(
            "first-time",
            NOTE,
            [one for one in staying if one.way_back == "none"],
            "device gets the app for the first time",
            "devices get the app for the first time",
        ),
        *_clause(
            "irreversible",
            RISK,
            [one for one in staying if one.irreversible],
            "device has volumes that cannot be put back, so it will not go back by itself",
            "devices have volumes that cannot be put back, so they will not go back by themselves",
        ),
        *_clause("away", NOTE, gone, "device is at a site declared away, and comes later", "devices are at sites declared away, and come later"),
        *_clause("review", STOPS, [one for one in here if one.review], "device waits for a person to look at it", "devices wait for a person to look at them"),
        *_clause(
            "moving", WAITS, [one for one in here if one.moving], "device is being changed by another rollout", "devices are being changed by another rollout"
        ),
        *_clause("to-lose-it", NOTE, [one for one in here if one.candidate.leaves], "device loses the app", "devices lose the app"),
    ]
    if quiet and rule.silence_s:
        most = max(rule.silent, int(rule.silent_percent * len(here) / 100))
        if (rule.silent or rule.silent_percent) and len(quiet) > most:
            why = f"{len(quiet)} of {len(here)} are silent already, and the plan lets {most} be: it would halt {span(rule.silence_s * 1000)} after their waves open"
            found.append(Clause("silence-halts", STOPS, why, tuple(sorted(one.name for one in quiet)), "halt.silent"))
    return found


def _waves(plan: WavePlan, waves: Sequence[Filled]) -> list[Clause]:
    proves = "has nobody as things stand and proves nothing"
    found = [Clause("empty-wave", RISK, f"wave {one.number} {proves}", field=f"waves[{one.number - 1}]") for one in waves if not one.devices]
    first = next((wave for wave in waves if wave.devices), None)
    total = sum(len(wave.devices) for wave in waves)
    if len(plan.waves) == 1 and total > 1:
        found.append(Clause("all-at-once", RISK, f"all {total} devices are changed in one wave: nothing is proven before the rest follows", field="waves"))
    elif first is not None and len(first.devices) * 2 > total > 1:
        found.append(Clause("large-first-wave", RISK, f"wave {first.number} is {len(first.devices)} of {total} devices", field=f"waves[{first.number - 1}]"))
    return found


def _budget(waves: Sequence[Filled], fleet: Sequence[DeviceFacts], limits: Limits) -> list[Clause]:
    places = {one.candidate.device: Place(one.candidate.site, one.groups) for one in fleet}
    found = []
    for wave in waves:
        sites = Counter(places[device].site for device in wave.devices)
        groups = Counter(group for device in wave.devices for group in places[device].groups)
        tight = [(f"the fleet's budget is {limits.fleet}", len(wave.devices), limits.fleet)]
        tight += [
            (f"the budget of site {site} is {limits.sites.get(site, limits.site)}", number, limits.sites.get(site, limits.site))
            for site, number in sites.items()
        ]
        tight += [
            (f"the budget of group {group} is {limits.groups.get(group, limits.group)}", number, limits.groups.get(group, limits.group))
            for group, number in groups.items()
        ]
        for words, number, most in tight:
            if most is not None and number > most:
                why = f"wave {wave.number} has {number} devices and {words}: they go {most} at a time, each as one before has soaked"
                found.append(Clause("budget-below-wave", WAITS, why, field=f"waves[{wave.number - 1}]"))
    return found


def _sets(waves: Sequence[Filled], fleet: Sequence[DeviceFacts], limits: Limits) -> list[Clause]:
    names = {one.candidate.device: one.name for one in fleet}
    dark = {one.candidate.device for one in fleet if one.liveness in ("silent", "never")}
    wave_of = {device: wave.number for wave in waves for device in wave.devices}
    found = []
    for name in sorted(limits.sets):
        members = limits.sets[name]
        inside = sorted(members & wave_of.keys())
        if not inside:
            continue
        shown = tuple(sorted(names[device] for device in inside))
        together = Counter(wave_of[device] for device in inside)
        sound = members - dark
        for device in inside:
            if not sound - {device}:
                why = f"{names[device]} of the redundancy set {name} cannot be changed: no other member is known to be well"
                found.append(Clause("set-without-partner", STOPS, why, (names[device],)))
        if len(members) > 1 and max(together.values()) == len(members):
            why = f"all of the redundancy set {name} is in wave {max(together, key=lambda at: together[at])}: its members go one after the other"
            found.append(Clause("set-in-one-wave", WAITS, why, shown))
        elif len(together) > 1:
            why = f"the redundancy set {name} is split across waves {', '.join(str(at) for at in sorted(together))}: it runs two releases in between"
            found.append(Clause("set-split", NOTE, why, shown))
        elif len(inside) < len(members):
            why = f"the redundancy set {name} is moved in part: {len(members) - len(inside)} of its members are not in this rollout"
            found.append(Clause("set-in-part", NOTE, why, shown))
    return found


def _approvals(plan: WavePlan) -> list[Clause]:
    found = []
    if plan.approvals:
        found.append(Clause("approval", WAITS, f"{plan.approvals} must agree before it starts", field="approvals"))
    for at, wave in enumerate(plan.waves):
        if wave.approvals:
            found.append(Clause("approval", WAITS, f"{wave.approvals} must agree before wave {at + 1} opens", field=f"waves[{at}].approvals"))
        if wave.validate_s and at + 1 < len(plan.waves):
            found.append(
                Clause(
                    "validation", WAITS, f"wave {at + 2} opens {span(wave.validate_s * 1000)} after wave {at + 1} has soaked", field=f"waves[{at}].validate_s"
                )
            )
        if wave.kind in (COUNT, PERCENT) and plan.failed == "ask" and at + 1 < len(plan.waves) and not plan.halt.first and at == 0:
            found.append(Clause("no-first-rule", RISK, "the first failure of the first wave does not halt", field="halt.first"))
    return found


def _leaves(plan: WavePlan, fleet: Sequence[DeviceFacts], usual_s: int) -> list[Clause]:
    if plan.long_leave is None:
        return []
    risk = long_risk(((one.candidate.device, one.candidate.site, leave_s_for(plan, one.candidate.site, usual_s)) for one in fleet), usual_s)
    names = tuple(sorted(one.name for one in fleet if leave_s_for(plan, one.candidate.site, usual_s) > usual_s))
    return [Clause("long-leave", RISK, risk.why, names, "long_leave")] if risk.devices else []
