"""Reading the plan of a staged rollout as somebody wrote it, and refusing what would not do what it seems to say.

Owns the notation (`read`, `written`) and the judgement of a plan against the devices there are (`check`). A word that is not known, a number that is none, a
rule that could never act: each is refused by the name of its field as the plan is written, so that no gate is open by mistake at night.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from penstock.server.core.errors import Invalid
from penstock.server.core.halting import HaltRule
from penstock.server.core.targeting import matches, parse
from penstock.server.core.waves import (
    ASK,
    COUNT,
    DEVICES,
    END,
    GO_ON,
    KINDS,
    LAST,
    PERCENT,
    REST,
    SELECTOR,
    SITE,
    Candidate,
    LongLeave,
    Wave,
    WavePlan,
    caps,
)

MAX_WAVES = 100
MAX_NAMED = 20_000
LONGEST_S = 366 * 86_400


def _no(field: str, why: str, remedy: str = "") -> NoReturn:
    raise Invalid("plan-refused", why, field=field, remedy=remedy)


def _whole(found: Mapping[str, Any], key: str, field: str, usual: int, *, least: int = 0, most: int = LONGEST_S) -> int:
    value = found.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int):
        _no(field, f"{field} is {value!r}, and must be a whole number", "write it without quotes and units")
    if value == usual and key not in found:
        return usual
    if not least <= value <= most:
        _no(field, f"{field} is {value}, and must be between {least} and {most}")
    return value


def _share(found: Mapping[str, Any], key: str, field: str, usual: float) -> float:
    value = found.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - only not-a-number differs from itself
        _no(field, f"{field} is {value!r}, and must be a number of percent", "write 5 for five percent, without quotes and without %")
    if key in found and not 0 <= value <= 100:
        _no(field, f"{field} is {value:g}, and must lie between 0 and 100")
    return value


def _flag(found: Mapping[str, Any], key: str, field: str, *, usual: bool) -> bool:
    value = found.get(key, usual)
    if not isinstance(value, bool):
        _no(field, f"{field} is {value!r}, and must be true or false")
    return value


def _choice(found: Mapping[str, Any], key: str, usual: str, among: tuple[str, ...]) -> str:
    value = found.get(key, usual)
    if value not in among:
        _no(key, f"{key} is {value!r}, and must be {' or '.join(among)}")
    return str(value)


def _names(value: Any, field: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) and one for one in value):
        _no(field, f"{field} must be a list of names, and must name somebody")
    if len(value) > MAX_NAMED:
        _no(field, f"{field} names {len(value)}, more than the {MAX_NAMED} allowed", "use a selector")
    twice = sorted({one for one in value if value.count(one) > 1}) if len(set(value)) != len(value) else []
    if twice:
        _no(field, f"{field} names {twice[0]} twice")
    return tuple(value)


def _known(found: Any, among: tuple[str, ...], field: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        _no(field, f"{field} is {type(found).__name__}, and must be a table of {', '.join(among)}")
    for key in found:
        if key not in among:
            _no(
                f"{field}.{key}" if field != "plan" else str(key),
                f"{key!r} is no word of {field}: it knows {', '.join(among)}",
                "a word that nobody reads guards nothing",
            )
    return found


def read(found: Any) -> WavePlan:
    """A plan as it was written. Raises Invalid, with the field and a sentence. What does not depend on devices is judged here."""
    plan = _known(found, ("waves", "halt", "start_ms", "joiners", "failed", "approvals", "approval_s", "long_leave"), "plan")
    waves = plan.get("waves")
    if not isinstance(waves, list | tuple) or not waves:
        _no("waves", "the plan has no waves", "everybody at once is one wave: rest")
    if len(waves) > MAX_WAVES:
        _no("waves", f"the plan has {len(waves)} waves, more than the {MAX_WAVES} allowed")
    parsed = tuple(_wave(one, f"waves[{at}]") for at, one in enumerate(waves))
    for at, wave in enumerate(parsed[:-1]):
        if wave.kind == REST:
            _no(f"waves[{at}].rest", f"wave {at + 1} is the rest, and others come behind it: they would have nobody", "put it last")
    if parsed[-1].kind != REST:
        _no(f"waves[{len(parsed) - 1}]", "the last wave is not the rest: whoever fits no wave would be left over unsaid", "add a last wave: rest")
    if parsed[-1].validate_s:
        _no(f"waves[{len(parsed) - 1}].validate_s", "nothing comes after the last wave that could wait for it", "give the span to the wave before")
    named: set[str] = set()
    for at, wave in enumerate(parsed):
        for device in wave.devices:
            if device in named:
                _no(f"waves[{at}].devices", f"{device} is named in an earlier wave too")
        named.update(wave.devices)
    made = WavePlan(
        parsed,
        _halt(plan.get("halt", {})),
        _whole(plan, "start_ms", "start_ms", 0, most=2**53),
        _choice(plan, "joiners", END, (LAST, END)),
        _choice(plan, "failed", ASK, (ASK, GO_ON)),
        _whole(plan, "approvals", "approvals", 0, most=20),
        _whole(plan, "approval_s", "approval_s", 0),
        _long(plan["long_leave"]) if plan.get("long_leave") is not None else None,
    )
    if made.approval_s and not made.approvals and not any(wave.approvals for wave in parsed):
        _no("approval_s", "approval_s is set, and nothing in the plan asks for an approval")
    if made.failed == GO_ON and made.halt.failed == 1:
        _no("failed", "the rule halts at the first failure, so none is ever below it to go on with", "say failed: ask, or raise halt.failed")
    return made


def _wave(found: Any, field: str) -> Wave:
    wave = _known(found, (*KINDS, "validate_s", "approvals"), field)
    kinds = [kind for kind in KINDS if kind in wave]
    if len(kinds) != 1:
        _no(field, f"{field} must say exactly one of {', '.join(KINDS)}; it says {' and '.join(kinds) or 'none'}")
    kind = kinds[0]
    at = f"{field}.{kind}"
    validate_s = _whole(wave, "validate_s", f"{field}.validate_s", 0)
    approvals = _whole(wave, "approvals", f"{field}.approvals", 0, most=20)
    if kind == DEVICES:
        return Wave(kind, devices=_names(wave[kind], at), validate_s=validate_s, approvals=approvals)
    if kind in (SELECTOR, SITE):
        if not isinstance(wave[kind], str) or not wave[kind]:
            _no(at, f"{at} is {wave[kind]!r}, and must be a text")
        if kind == SITE:
            return Wave(kind, site=wave[kind], validate_s=validate_s, approvals=approvals)
        try:
            parse(wave[kind])
        except Invalid as fault:
            raise Invalid(fault.code, fault.why, field=at, remedy=fault.remedy) from None
        return Wave(kind, selector=wave[kind], validate_s=validate_s, approvals=approvals)
    if kind == COUNT:
        return Wave(kind, count=_whole(wave, kind, at, 0, least=1, most=10**6), validate_s=validate_s, approvals=approvals)
    if kind == PERCENT:
        share = _share(wave, kind, at, 0)
        if not 0 < share < 100:
            _no(at, f"{at} is {share:g}: a wave of nobody or of everybody is no wave", "say more than 0 and less than 100")
        return Wave(kind, percent=share, validate_s=validate_s, approvals=approvals)
    if wave[kind] is not True:
        _no(at, f"{at} is {wave[kind]!r}, and must be true")
    return Wave(REST, validate_s=validate_s, approvals=approvals)


def _halt(found: Any) -> HaltRule:
    halt = _known(found, ("failed", "percent", "percent_from", "first", "silence_s", "silent", "silent_percent"), "halt")
    usual = HaltRule()
    rule = HaltRule(
        _whole(halt, "failed", "halt.failed", usual.failed, most=10**6),
        _share(halt, "percent", "halt.percent", usual.percent),
        _whole(halt, "percent_from", "halt.percent_from", usual.percent_from, least=1, most=10**6),
        _flag(halt, "first", "halt.first", usual=usual.first),
        _whole(halt, "silence_s", "halt.silence_s", usual.silence_s, least=60),
        _whole(halt, "silent", "halt.silent", usual.silent, most=10**6),
        _share(halt, "silent_percent", "halt.silent_percent", 0 if "silent" in halt else usual.silent_percent),
    )
    if rule.percent >= 100:
        _no("halt.percent", f"halt.percent is {rule.percent:g}: it halts only when everybody has failed", "say a share below 100")
    if rule.silent_percent >= 100:
        _no("halt.silent_percent", f"halt.silent_percent is {rule.silent_percent:g}: nobody could ever be too silent", "say a share below 100")
    if not rule.failed and not rule.percent:
        _no("halt", "neither halt.failed nor halt.percent is set: no number of failures would halt it", "say at least one of them")
    return rule


def _long(found: Any) -> LongLeave:
    special = _known(found, ("sites", "leave_s"), "long_leave")
    return LongLeave(_names(special.get("sites"), "long_leave.sites"), _whole(special, "leave_s", "long_leave.leave_s", 0, least=3600))


def check(plan: WavePlan, devices: Sequence[Candidate], soak_s: int, usual_leave_s: int, now_ms: int) -> tuple[int | None, ...]:
    """A plan against the devices it is written for: the sizes of its waves as of now. Raises Invalid for what would be inert with them."""
    if plan.start_ms and plan.start_ms <= now_ms:
        _no("start_ms", "the start lies in the past", "leave it out to start at once")
    if plan.long_leave is not None:
        if plan.long_leave.leave_s <= usual_leave_s:
            _no("long_leave.leave_s", f"long_leave.leave_s is {plan.long_leave.leave_s}, and every leave holds {usual_leave_s} already")
        here = {one.site for one in devices}
        strange = sorted(set(plan.long_leave.sites) - here)
        if strange:
            _no("long_leave.sites", f"the rollout has no device at {strange[0]}")
    total, sizes = len(devices), caps(plan, devices)
    rule = plan.halt
    if rule.failed >= total > 1:
        _no("halt.failed", f"halt.failed is {rule.failed} and there are {total} devices: it halts only when everybody has failed", "say a smaller number")
    largest = max((size or total) for size in sizes)
    if rule.silent and rule.silent >= largest > 1:
        _no("halt.silent", f"halt.silent is {rule.silent} and the largest wave has {largest}: nobody could ever be too silent", "say a smaller number")
    if len(plan.waves) == 1:
        return sizes
    if not total:
        _no("waves", "there is no device to divide into waves", "with one wave, devices get it as they come")
    ids = {one.device for one in devices}
    for at, (wave, size) in enumerate(zip(plan.waves, sizes, strict=True)):
        field = f"waves[{at}].{wave.kind}"
        strange = sorted(set(wave.devices) - ids)
        if strange:
            _no(field, f"wave {at + 1} names {len(strange)} that the rollout does not move: {', '.join(strange[:3])}")
        if size == 0:
            _no(field, _nobody(plan, at, devices), "change the wave, or leave it out")
        if wave.kind == COUNT and (size or 0) < wave.count:
            _no(field, f"wave {at + 1} wants {wave.count}, and {size} of {total} are left for it", "say rest, or fewer")
        if at + 1 < len(plan.waves) and soak_s == 0 and not wave.validate_s:
            _no(f"waves[{at}].validate_s", f"the soak time is 0 and nothing is waited for after wave {at + 1}: it would prove nothing before the next opens")
    return sizes


def _nobody(plan: WavePlan, at: int, devices: Sequence[Candidate]) -> str:
    wave = plan.waves[at]
    if wave.kind == PERCENT:
        return f"{wave.percent:g} percent of {len(devices)} is less than one device: wave {at + 1} would have nobody"
    if wave.kind == SELECTOR and not any(matches(parse(wave.selector), one.labels) for one in devices):
        return f"no device of the rollout meets {wave.selector!r}: wave {at + 1} would have nobody"
    if wave.kind == SITE and not any(one.site == wave.site for one in devices):
        return f"the rollout has no device at {wave.site}: wave {at + 1} would have nobody"
    return f"the waves before take everybody: wave {at + 1} would have nobody"


def written(plan: WavePlan) -> dict[str, Any]:
    """A plan in the notation that `read` reads, all of it said."""
    rule, special = plan.halt, plan.long_leave
    waves = []
    for wave in plan.waves:
        value: Any = {DEVICES: list(wave.devices), SELECTOR: wave.selector, SITE: wave.site, COUNT: wave.count, PERCENT: wave.percent, REST: True}[wave.kind]
        waves.append({wave.kind: value, "validate_s": wave.validate_s, "approvals": wave.approvals})
    made: dict[str, Any] = {
        "waves": waves,
        "halt": {name: getattr(rule, name) for name in ("failed", "percent", "percent_from", "first", "silence_s", "silent", "silent_percent")},
        "start_ms": plan.start_ms,
        "joiners": plan.joiners,
        "failed": plan.failed,
        "approvals": plan.approvals,
        "approval_s": plan.approval_s,
    }
    return made if special is None else {**made, "long_leave": {"sites": list(special.sites), "leave_s": special.leave_s}}
