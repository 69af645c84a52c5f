"""The blast radius: how many devices may be at risk at once, whatever puts them there.

Owns what counts as a risk (`counts`) and who may be put at risk now (`admit`). One account for all causes: rollouts, parameters, restarts, drift correction,
the agent's own update. A device that has leave and has not soaked counts, heard of or not; one that has gone dark counts until its leave has lapsed and its
silence has been judged. Of a redundancy set one member that is known to be well always stays untouched. Never gives leave itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.server.core.errors import Invalid

ROLLOUT, PARAMETERS, COMMAND, DRIFT, AGENT = "rollout", "parameters", "command", "drift", "agent"
SLACK_MS = 600_000  # a leave ends by the device's clock, which may be behind ours
CAUSES = (ROLLOUT, PARAMETERS, COMMAND, DRIFT, AGENT)
FLEET, SITE, GROUP, SET = "fleet", "site", "group", "redundancy set"


@dataclass(frozen=True, slots=True)
class Risk:
    """One device that was given leave for one change, at `authorised_ms` and until `not_after_ms`. `heard_ms`: when it last called. `ended`: it said how it
    ended (soaked, failed, removed), or that it holds a state without the leave and has not begun."""

    device: str
    cause: str
    authorised_ms: int
    not_after_ms: int
    heard_ms: int = 0
    ended: bool = False


def counts(risk: Risk, now_ms: int, silence_s: int) -> bool:
    """Whether the device is at risk by it now: until it says how it ended, or has both been silent for `silence_s` (0: is waited for without end) and a leave
    that has lapsed, by a clock that may be slow too."""
    if risk.ended:
        return False
    judged = silence_s > 0 and now_ms - max(risk.heard_ms, risk.authorised_ms) >= silence_s * 1000
    return not judged or now_ms <= risk.not_after_ms + SLACK_MS


@dataclass(frozen=True, slots=True)
class Limits:
    """How many devices at once. None: no limit of that kind. `sites` and `groups` are exceptions from `site` and `group`. `sets`: each redundancy set with its
    members; `set_limits` a number for some of them, on top of the rule that never all of a set are at risk."""

    fleet: int | None = None
    site: int | None = None
    group: int | None = None
    sites: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    set_limits: Mapping[str, int] = field(default_factory=dict)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands, as far as limits ask."""

    site: str
    groups: frozenset[str] = frozenset()


NOWHERE = Place("")


@dataclass(frozen=True, slots=True)
class Asking:
    """A device that a change wants to put at risk, since when it has been asking."""

    device: str
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may, in the order it was decided, and why the others may not now."""

    admitted: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """All that limits the blast radius at one moment. `at_risk`: devices that count now, for whatever cause. `unwell`: devices not known to be well (failed and
    left so, dark, quarantined): they stand for nobody in a redundancy set. `places`: of every device at risk or asking."""

    limits: Limits = NO_LIMITS
    at_risk: frozenset[str] = frozenset()
    unwell: frozenset[str] = frozenset()
    places: Mapping[str, Place] = field(default_factory=dict)


OPEN_ACCOUNT = Account()  # nothing is limited


def at_risk(risks: Iterable[Risk], now_ms: int, silence_s: int) -> frozenset[str]:
    """The devices at risk now; a device counts once, whatever number of changes it has leave for."""
    return frozenset(risk.device for risk in risks if counts(risk, now_ms, silence_s))


def check(limits: Limits, fleet: int, site_sizes: Mapping[str, int], group_sizes: Mapping[str, int]) -> None:
    """Raises Invalid for a limit that could never act, or that would let nothing ever happen."""
    numbers = [(FLEET, "", limits.fleet, fleet)]
    numbers += [("sites", name, number, site_sizes.get(name, 0)) for name, number in limits.sites.items()]
    numbers += [("groups", name, number, group_sizes.get(name, 0)) for name, number in limits.groups.items()]
    numbers += [("set_limits", name, number, len(limits.sets.get(name, ()))) for name, number in limits.set_limits.items()]
    numbers += [(SITE, "", limits.site, max(site_sizes.values(), default=0)), (GROUP, "", limits.group, max(group_sizes.values(), default=0))]
    for what, name, number, size in numbers:
        where = f"budget.{what}.{name}" if name else f"budget.{what}"
        if number is None:
            continue
        if number < 1:
            raise Invalid(
                "budget-inert", f"{where} is {number}: nothing could ever be changed", field=where, remedy="say at least 1, or pause what shall not go on"
            )
        if number >= size > 1 or (name and not size):
            raise Invalid(
                "budget-inert", f"{where} is {number} and there are {size} devices: it would never hold anything back", field=where, remedy="say fewer"
            )
    for name, members in limits.sets.items():
        if len(members) < 2:
            field_name = f"budget.sets.{name}"
            why = f"the redundancy set {name} has {len(members)} device{'s' if len(members) != 1 else ''}: none could ever be changed"
            raise Invalid("budget-inert", why, field=field_name, remedy="name the devices that stand in for each other, or remove the set")


def admit(asking: Sequence[Asking], account: Account) -> Admission:
    """Who may be put at risk now. Longest asking first, then by name, so that input order does not matter; whoever is held back holds back nobody behind it.
    A device that is at risk already costs nothing more."""
    limits, places = account.limits, account.places
    risky = set(account.at_risk)
    sites: Counter[str] = Counter(places.get(device, NOWHERE).site for device in risky)
    groups: Counter[str] = Counter(group for device in risky for group in places.get(device, NOWHERE).groups)
    sets_of: dict[str, list[str]] = {}
    for name in sorted(limits.sets):
        for device in limits.sets[name]:
            sets_of.setdefault(device, []).append(name)
    admitted: list[str] = []
    waiting: list[str] = []

    def why_not(device: str) -> str:
        place = places.get(device, NOWHERE)
        return _over(limits, place, len(risky), sites, groups) or _of_a_set(limits, sets_of.get(device, ()), device, risky, account.unwell)

    for one in sorted(asking, key=lambda each: (each.since_ms, each.device)):
        device = one.device
        if device not in risky:
            if why_not(device):
                waiting.append(device)
                continue
            risky.add(device)
            sites[places.get(device, NOWHERE).site] += 1
            groups.update(places.get(device, NOWHERE).groups)
        admitted.append(device)
    # The sentence is that of the end, so that it stays the same when the same is asked again.
    return Admission(tuple(admitted), {device: why_not(device) for device in waiting})


def _over(limits: Limits, place: Place, fleet: int, sites: Counter[str], groups: Counter[str]) -> str:
    if limits.fleet is not None and fleet >= limits.fleet:
        return _held(fleet, FLEET, "", limits.fleet)
    most = limits.sites.get(place.site, limits.site)
    if most is not None and sites[place.site] >= most:
        return _held(sites[place.site], SITE, place.site, most)
    for group in sorted(place.groups):
        most = limits.groups.get(group, limits.group)
        if most is not None and groups[group] >= most:
            return _held(groups[group], GROUP, group, most)
    return ""


def _held(now: int, what: str, name: str, most: int) -> str:
    where = f"{what} {name}" if name else what
    return f"waits for the budget: {now} of at most {most} devices of the {where} are at risk now"


def _of_a_set(limits: Limits, names: Sequence[str], device: str, risky: Collection[str], unwell: Collection[str]) -> str:
    for name in names:
        members = limits.sets[name]
        busy = sorted(one for one in members if one != device and one in risky)
        sound = [one for one in members if one != device and one not in risky and one not in unwell]
        if not sound:
            others = ", ".join(sorted(members - {device})[:3]) or "nobody"
            return f"waits for its redundancy set {name}: no other member is known to be well and untouched ({others})"
        most = limits.set_limits.get(name)
        if most is not None and len(busy) >= most:
            return _held(len(busy), SET, name, most)
    return ""


@dataclass(frozen=True, slots=True)
class LongRisk:
    """How many devices a halt may not reach, and for how long at most."""

    devices: int
    sites: int
    longest_s: int
    why: str


def long_risk(leaves: Iterable[tuple[str, str, int]], usual_s: int) -> LongRisk:
    """What longer leaves cost, from (device, site, seconds) of those in the plan: said in numbers, never hidden."""
    longer = [(device, site, seconds) for device, site, seconds in leaves if seconds > usual_s]
    devices, sites = len({device for device, _, _ in longer}), len({site for _, site, _ in longer})
    longest = max((seconds for _, _, seconds in longer), default=0)
    if not devices:
        return LongRisk(0, 0, 0, "every leave lapses in the usual time")
    days, hours = divmod(longest // 3600, 24)
    spell = f"{days} days" if days > 1 else f"{days * 24 + hours} hours"
    why = f"{devices} device{'s' if devices != 1 else ''} at {sites} site{'s' if sites != 1 else ''} may still apply up to {spell} after a halt, out of reach"
    return LongRisk(devices, sites, longest, why)
