"""The plan of a staged rollout: its waves in order, and who goes into a wave when it opens.

Owns what a plan says (`WavePlan`), the sizes its waves have as of the day it was written (`caps`), and membership (`fill`, `join`). A wave is filled when it
opens, never before, and never beyond its size as of the plan: a group that grows does not make a wave grow. Whoever does not fit, whoever came too late and
whoever was away gets a wave of its own behind the planned ones. Never judges success; reading and refusing plans is `planreading`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.server.core.halting import NEVER, HaltRule
from penstock.server.core.targeting import matches, parse

DEVICES, SELECTOR, SITE, COUNT, PERCENT, REST = "devices", "selector", "site", "count", "percent", "rest"
KINDS = (DEVICES, SELECTOR, SITE, COUNT, PERCENT, REST)
LAST, END = "last", "end"  # where late joiners go: into the last open wave while it has room, or behind all waves
ASK, GO_ON = "ask", "go-on"  # failures below the halt rule: a person settles each, or the plan passes over them, by name


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave. Exactly one of the fields that its `kind` names counts. `validate_s`: how long nothing more happens after all of it has soaked.
    `approvals`: how many people must agree before it opens."""

    kind: str
    devices: tuple[str, ...] = ()
    selector: str = ""
    site: str = ""
    count: int = 0
    percent: float = 0
    validate_s: int = 0
    approvals: int = 0


@dataclass(frozen=True, slots=True)
class LongLeave:
    """A longer leave for sites that are offline by nature. A halt does not reach who holds one until it lapses: a risk somebody took, in numbers."""

    sites: tuple[str, ...]
    leave_s: int


@dataclass(frozen=True, slots=True)
class WavePlan:
    """How a rollout is to go. `start_ms` 0: at once. `approvals`: people who must agree before it starts, `approval_s` how long their word holds (0: as
    long as the rollout waits)."""

    waves: tuple[Wave, ...]
    halt: HaltRule = field(default_factory=HaltRule)
    start_ms: int = 0
    joiners: str = END
    failed: str = ASK
    approvals: int = 0
    approval_s: int = 0
    long_leave: LongLeave | None = None


ALL_AT_ONCE = WavePlan((Wave(REST),), NEVER, joiners=LAST, failed=ASK)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that a rollout is to move and that is in no wave yet. `since_ms`: when it came to the rollout. `leaves`: the app is taken away from it.
    `away_until_ms`: its site is declared away until then. `returned`: it was away while its wave went by."""

    device: str
    site: str
    labels: Mapping[str, str] = field(default_factory=dict)
    since_ms: int = 0
    leaves: bool = False
    away_until_ms: int = 0
    returned: bool = False
    lab: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """Who is in a wave that opens, and the sentence on it. `left` are in no wave yet."""

    number: int
    devices: tuple[str, ...]
    why: str
    left: tuple[str, ...]


def away(candidate: Candidate, now_ms: int) -> bool:
    """Whether its site is declared away now."""
    return candidate.away_until_ms > now_ms


def caps(plan: WavePlan, as_of: Sequence[Candidate]) -> tuple[int | None, ...]:
    """How large each wave may ever be, by the devices there are as the plan is written. None: no number was promised (everybody at once)."""
    if len(plan.waves) == 1:
        return (None,)
    found: list[int | None] = []
    waiting = _in_order(as_of, -1)
    for wave in plan.waves:
        able = [one.device for one in _able(wave, waiting)]
        picked = able[: _asked(wave, len(as_of))] if wave.kind in (COUNT, PERCENT) else able
        found.append(len(picked))
        taken = frozenset(picked)
        waiting = [one for one in waiting if one.device not in taken]
    return tuple(found)


def _asked(wave: Wave, total: int) -> int:
    # Rounded down: ten percent of 19 devices is one device, never two.
    return wave.count if wave.kind == COUNT else int(total * wave.percent / 100 + 1e-9)


def _able(wave: Wave, waiting: Sequence[Candidate]) -> list[Candidate]:
    """Those a wave may be filled with."""
    if wave.kind == DEVICES:
        named = frozenset(wave.devices)
        return [one for one in waiting if one.device in named]
    if wave.kind == SELECTOR:
        terms = parse(wave.selector)
        return [one for one in waiting if matches(terms, one.labels)]
    return [one for one in waiting if one.site == wave.site] if wave.kind == SITE else list(waiting)


def _in_order(waiting: Iterable[Candidate], written_ms: int) -> list[Candidate]:
    """Who goes first: those the plan was written for, lab sites, then site by site, so that as few plants as possible are touched at once."""
    return sorted(waiting, key=lambda one: (0 <= written_ms < one.since_ms, not one.lab, one.site, one.device))


def fill(plan: WavePlan, sizes: Sequence[int | None], number: int, waiting: Sequence[Candidate], written_ms: int, now_ms: int) -> Filled:
    """Who is in wave `number`, which opens now. Waves behind the planned ones take whoever is left, joiners before those who were away."""
    present = [one for one in waiting if not away(one, now_ms)]
    planned = number <= len(plan.waves)
    if planned:
        cap = sizes[number - 1]
        able = _able(plan.waves[number - 1], [one for one in present if not one.returned and (plan.joiners == LAST or one.since_ms <= written_ms)])
    else:
        cap = None if sizes[-1] is None else max(1, sizes[-1])
        able = [one for one in present if not one.returned] or present
    chosen = _in_order(able, written_ms)[:cap]
    taken = {one.device for one in chosen}
    left = tuple(sorted(one.device for one in waiting if one.device not in taken))
    return Filled(number, tuple(sorted(taken)), _filled_words(number, planned, chosen, len(able), cap), left)


def _filled_words(number: int, planned: bool, chosen: Sequence[Candidate], able: int, cap: int | None) -> str:  # noqa: FBT001 - read beside its call
    if not chosen:
        return f"wave {number} has nobody now and is passed over"
    gone = sum(1 for one in chosen if one.leaves)
    words = f"wave {number}: {len(chosen)} device{'s' if len(chosen) != 1 else ''}"
    if gone:
        words += f", {gone} of them to lose the app"
    if not planned:
        words += "; these came too late or were away, and are a wave of their own"
    if able > len(chosen):
        words += f"; {able - len(chosen)} more would fit, but the plan says {cap} and they wait for a later wave"
    return words


def join(plan: WavePlan, sizes: Sequence[int | None], wave: int, holds: int, candidate: Candidate, now_ms: int) -> tuple[int, str]:
    """Which open wave a late joiner enters (0: none, it waits) and why. `holds`: how many are in wave `wave`, the last open one."""
    if away(candidate, now_ms):
        return 0, "its site is declared away; it neither blocks nor counts, and gets a wave of its own when it is back"
    if plan.joiners != LAST:
        return 0, "it came after the plan was written and waits for the end, as the plan says"
    if wave < 1:
        return 0, "it waits for a wave to open"
    if candidate.returned:
        return 0, "it was away while its wave went by and gets a wave of its own"
    cap = sizes[min(wave, len(sizes)) - 1]
    if cap is not None and holds >= cap:
        return 0, f"wave {wave} is full: the plan says {cap}, and a group that grows makes no wave larger; it waits for a later wave"
    spec = plan.waves[wave - 1] if wave <= len(plan.waves) else None
    if spec is not None and not _able(spec, [candidate]):
        return 0, f"wave {wave} is not for it ({spec.kind}); it waits for a later wave"
    return wave, f"it came while wave {wave} was open and joins it, as the plan says"


def leave_s_for(plan: WavePlan, site: str, usual_s: int) -> int:
    """How long a leave given at a site holds."""
    special = plan.long_leave
    return special.leave_s if special is not None and site in special.sites else usual_s


def preview(plan: WavePlan, candidates: Sequence[Candidate], now_ms: int) -> tuple[Filled, ...]:
    """The waves as they would be filled if nobody came or went: what a person is shown before the start. Those away stand in no wave."""
    sizes, found, number = caps(plan, candidates), [], 0
    waiting = list(candidates)
    written = max((one.since_ms for one in candidates), default=0)
    while number < len(plan.waves) or any(not away(one, now_ms) for one in waiting):
        number += 1
        filled = fill(plan, sizes, number, waiting, written, now_ms)
        found.append(filled)
        left: Collection[str] = frozenset(filled.left)
        waiting = [one for one in waiting if one.device in left]
    return tuple(found)
