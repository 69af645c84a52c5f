"""When a rollout stops by itself: the halt rule and its sentence.

Owns the rule and its judgement, nothing else. The share of failures is taken of the devices that have answered: those whose change ended, well or ill. Who
says nothing is in no denominator; silence has a deadline and a limit of its own. Failures that somebody has acknowledged by resuming count no more. More
failures never end a halt (a property of the tests); successes do not either, since a halt ends by a person's word only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.server.core.model import FAILED, LEFT_OUT, PENDING, PINNED, REMOVED, SOAKED

SILENT = "silent"  # ordered, and its deadline went by without a word
EXCUSED = "excused"  # a person said, with a reason, that the rollout goes on without it
AWAY = "away"  # its site is declared away; it is in no wave
SEEN = "-seen"  # behind a state in a tally: somebody has acknowledged it
WELL, ILL = (SOAKED, REMOVED), (FAILED, PINNED)
OUT = (LEFT_OUT, EXCUSED, AWAY)  # neither block nor count


@dataclass(frozen=True, slots=True)
class HaltRule:
    """Halts at `failed` failures in the whole rollout, or at `percent` of those of one wave that answered, judged as soon as `percent_from` of them have
    answered or all that can. `first`: until somebody has soaked in an earlier wave, one failure is enough. After `silence_s` without a word a device is
    silent; a wave with more than `silent` of them, or more than `silent_percent`, halts; up to there they are passed over, by name. 0: that part is not asked.
    With no limit for silence, no silence halts, and a person settles each before the next wave opens."""

    failed: int = 0
    percent: float = 5
    percent_from: int = 20
    first: bool = True
    silence_s: int = 86_400
    silent: int = 0
    silent_percent: float = 10


NEVER = HaltRule(0, 0, 0, first=False, silence_s=0, silent_percent=0)  # everybody at once, as it was before there were waves


@dataclass(frozen=True, slots=True)
class Counts:
    """One wave, or all, as the rule sees it. `due`: those that can still answer or have."""

    due: int
    answered: int
    failed: int
    silent: int
    soaked: int
    acknowledged: int = 0


@dataclass(frozen=True, slots=True)
class Halt:
    """Whether it halts, the sentence, and the counts of the wave that decided it (of the newest one where nothing did)."""

    halts: bool
    why: str
    wave: int
    counts: Counts


def counts_of(tally: Mapping[tuple[int, str], int], waves: range) -> Counts:
    """What the rule asks, from how many stand where, by (wave, state). Acknowledged failures and silences are under their state with `SEEN` behind it."""
    by: dict[str, int] = {}
    for (wave, state), number in tally.items():
        if wave in waves and number > 0:
            by[state] = by.get(state, 0) + number
    failed, soaked = sum(by.get(state, 0) for state in ILL), sum(by.get(state, 0) for state in WELL)
    seen = sum(number for state, number in by.items() if state.endswith(SEEN))
    total = sum(by.values()) - sum(by.get(state, 0) for state in (*OUT, PENDING)) - seen
    return Counts(total, failed + soaked, failed, by.get(SILENT, 0), soaked, seen)


def judge(rule: HaltRule, tally: Mapping[tuple[int, str], int], opened: int) -> Halt:
    """Whether a rollout whose waves up to `opened` are open halts now, and the sentence."""
    whole = counts_of(tally, range(1, opened + 1))
    newest = Halt(False, "", opened, counts_of(tally, range(opened, opened + 1)))
    proven = False
    for wave in range(1, opened + 1):
        here = counts_of(tally, range(wave, wave + 1))
        found = _stops(rule, here, whole, proven=proven)
        if found:
            return Halt(True, f"wave {wave}: {found}", wave, here)
        proven = proven or here.soaked > 0
    return Halt(False, f"wave {opened}: {told(rule, newest.counts, first=not _proven(tally, opened))}", opened, newest.counts)


def _proven(tally: Mapping[tuple[int, str], int], opened: int) -> bool:
    return counts_of(tally, range(1, opened)).soaked > 0


def _stops(rule: HaltRule, here: Counts, whole: Counts, *, proven: bool) -> str:
    if rule.first and not proven and here.failed:
        return f"{_failed(here)}; nobody has soaked in a wave before, so the first failure halts"
    if rule.failed and whole.failed >= rule.failed:
        spread = "" if whole == here else f" ({whole.failed} of {whole.answered} in all waves)"
        return f"{_failed(here)}{spread}; {limits(rule)}"
    judged = here.answered >= rule.percent_from or here.answered + here.silent >= here.due
    if rule.percent and here.failed and judged and here.failed * 100 >= rule.percent * here.answered:
        return f"{_failed(here)}; {limits(rule)}"
    if _too_silent(rule, here):
        return f"{here.silent} of {here.due} said nothing in time; {_silence(rule)}"
    return ""


def _failed(counts: Counts) -> str:
    words = f"{counts.failed} of {counts.answered} that answered failed"
    return f"{words} ({counts.acknowledged} more were acknowledged before)" if counts.acknowledged else words


def limits(rule: HaltRule) -> str:
    """The rule in words."""
    parts = [f"{rule.failed}" if rule.failed else "", f"{rule.percent:g} %" if rule.percent else ""]
    said = " or ".join(part for part in parts if part)
    return f"the rule halts at {said}" if said else "no rule halts it"


def _silence(rule: HaltRule) -> str:
    parts = [f"{rule.silent} silent" if rule.silent else "", f"{rule.silent_percent:g} % silent" if rule.silent_percent else ""]
    said = " or ".join(part for part in parts if part)
    return f"the rule halts above {said}"


def told(rule: HaltRule, counts: Counts, *, first: bool = False) -> str:
    """The present counts beside the rule, while nothing halts."""
    words = f"{_failed(counts)}; {limits(rule)}"
    if rule.first and first:
        words += ", and at the first failure until somebody has soaked in an earlier wave"
    return f"{words}; {counts.silent} of {counts.due} said nothing in time" if counts.silent else words


def tolerates_silence(rule: HaltRule, tally: Mapping[tuple[int, str], int], opened: int) -> bool:
    """Whether those who are silent now are within the limit that the plan sets for silence: they are passed over, by name, and are no success."""
    return bool(rule.silence_s and (rule.silent or rule.silent_percent)) and not any(
        _too_silent(rule, counts_of(tally, range(wave, wave + 1))) for wave in range(1, opened + 1)
    )


def _too_silent(rule: HaltRule, here: Counts) -> bool:
    if not here.silent or not rule.silence_s:
        return False
    over = bool(rule.silent) and here.silent > rule.silent
    return over or (bool(rule.silent_percent) and here.silent * 100 > rule.silent_percent * here.due)
