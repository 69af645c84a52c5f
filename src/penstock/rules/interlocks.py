"""Whether the machine is in a state in which a change may touch it.

Owns the comparison of what was found with what must be so, and the sentence about it. Whatever is not plainly as it must be (unreachable, malformed, late,
too large, not a number, missing, a word this program does not know) is *not satisfied*. Never asks a machine; nobody overrules the answer.
"""

from __future__ import annotations

from penstock.rules.answered import Open, Shut
from penstock.rules.registers import single, values_of
from penstock.wire.comparing import OPERATORS, TYPES, Compare, exact, order_of
from penstock.wire.interlocks import FORMATS, KINDS, MAX_ROUND_MS, Condition, Interlock, interlock_digest, site_only
from penstock.wire.record import record
from penstock.wire.version import READS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

FRESH_MS = 5_000  # so long after its end may a round be used
SHOWN = 120  # characters of an observed value in a sentence or a receipt

# How looking went -> what a person is told when it went badly.
CODES = {
    "seen": "",
    "unreachable": "it could not be reached",
    "timeout": "it did not answer in time",
    "malformed": "its answer makes no sense",
    "oversize": "it answered with more than is read",
    "missing": "the value is not there",
    "refused": "it answered with a refusal",
    "denied": "this device is not allowed to look",
    "fault": "it could not be asked",
}

NOT_ASKED = "running a program or reading what a file says is asked for interlocks only that the site wrote; the centre wrote this one"
# What guards what. A person at the device may always go back: a condition is often asked of the very app that has just broken, and then it
# would bar the way out. It is asked and recorded all the same.
NEVER_GUARDED = frozenset(("revert-local",))


@record
class Seen:
    """What was found for one condition. `code` is one of CODES; `why` says more where it is not "seen". `status` is that of HTTP, `exit` that of a command (-1:
    none), `raw` the bits or registers of Modbus, `type` and `text` the value of a JSON document, of a file, or what a command printed."""

    LIMITS = {"why": 1000, "raw": 128, "text": 16384}

    code: str
    why: str = ""
    status: int = 0
    exit: int = -1
    raw: tuple[int, ...] = ()
    type: str = ""
    text: str = ""
    took_ms: int = 0


@record
class Round:
    """All conditions of one interlock, asked once, in their order. `digest` is that of the interlock, `mono_ms` and `boot` when asking began, `took_ms` how
    long all of it took."""

    digest: str
    mono_ms: int
    boot: str
    seen: tuple[Seen, ...]
    took_ms: int = 0


@record
class Finding:
    """One condition judged: what a receipt keeps. `observed` is the value for people, bounded."""

    condition: str
    holds: bool
    why: str
    observed: str = ""
    took_ms: int = 0


@record
class Verdict:
    """One interlock judged."""

    interlock: str
    holds: bool
    why: str
    findings: tuple[Finding, ...] = ()


def shown(text: str, limit: int = SHOWN) -> str:
    """A text from outside, fit for one line: bounded, and what does not print is escaped."""
    clean = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


# --- one comparison ---------------------------------------------------------------------------------------------------


def wanted(compare: Compare) -> str:
    """What a comparison asks for, in words."""
    if compare.op == "in":
        return f"from {compare.value} to {compare.high}"
    if compare.op in ("bit-set", "bit-clear"):
        word = "set" if compare.op == "bit-set" else "clear"
        return f"bit {compare.value} {word}" if compare.value else word
    words = {"==": "", "!=": "anything but ", "<": "less than ", "<=": "at most ", ">": "more than ", ">=": "at least "}
    return f"{words.get(compare.op, compare.op)}{compare.value!r}" if compare.type == "text" else f"{words.get(compare.op, compare.op)}{compare.value}"


def compared(compare: Compare, kind: str, text: str, said: str = "", meant: Compare | None = None) -> str:
    """Hold a value (`kind` as in `pointer.Value`) against what is wanted. Empty when it fits, else a sentence, in which the value and what is wanted may
    stand in other words (`said`, `meant`)."""
    if compare.op not in OPERATORS or compare.type not in TYPES:
        word = compare.op if compare.op not in OPERATORS else compare.type
        return f"this agent does not know the comparison {word[:32]!r}; update it"
    if kind != compare.type:
        return f"it is {_a(kind)}, where {_a(compare.type)} is needed"
    if kind != "number":
        fits = (text == compare.value) == (compare.op == "==")
        return "" if fits else f"it is {shown(text)!r}, and must be {wanted(compare)}"
    number = exact(text)
    if number is None:
        return f"it is {shown(said or text)}, which is not a number anything can be compared with"
    if compare.op in ("bit-set", "bit-clear"):
        return _bit(compare, number, text)
    low = exact(compare.value)
    high = exact(compare.high) if compare.op == "in" else low
    if low is None or high is None:
        return f"the condition compares with {compare.value[:40]!r}, which is not a number; correct the interlock"
    return "" if _holds(compare.op, number, low, high) else f"it is {shown(said or text)}, and must be {wanted(meant or compare)}"


def _holds(op: str, number: tuple[int, int], low: tuple[int, int], high: tuple[int, int]) -> bool:
    place = order_of(number, low)
    table = {
        "==": place == 0,
        "!=": place != 0,
        "<": place < 0,
        "<=": place <= 0,
        ">": place > 0,
        ">=": place >= 0,
        "in": place >= 0 and order_of(number, high) <= 0,
    }
    return table.get(op, False)


def _bit(compare: Compare, number: tuple[int, int], text: str) -> str:
    mantissa, power = number
    if power < 0 or mantissa < 0 or power > 10:
        return f"it is {shown(text)}, which has no bits: a whole number from 0 is needed"
    place = int(compare.value or "0")
    there = (mantissa * 10**power >> place) & 1
    if there == (compare.op == "bit-set"):
        return ""
    if not compare.value:
        return f"it is {'set' if there else 'clear'}, and must be {'set' if compare.op == 'bit-set' else 'clear'}"
    return f"bit {place} of {shown(text)} is {'set' if there else 'clear'}, and must be {'set' if compare.op == 'bit-set' else 'clear'}"


def _a(kind: str) -> str:
    return {"truth": "true or false", "object": "an object", "null": "null", "": "nothing"}.get(kind, f"a {kind}")


# --- one condition ----------------------------------------------------------------------------------------------------


def judge_condition(condition: Condition, seen: Seen) -> Finding:
    """Whether one condition holds, by what was found."""
    why, observed = _judged(condition, seen)
    return Finding(condition.name, not why, why, shown(observed), seen.took_ms)


def _judged(condition: Condition, seen: Seen) -> tuple[str, str]:
    """(why it does not hold, or empty; what was observed)."""
    if condition.kind not in KINDS or condition.wire > READS:
        return f"this agent does not know conditions of kind {condition.kind[:32]!r} as this one is written; update it", ""
    if seen.code not in CODES or (seen.code != "seen" and condition.kind != "http"):
        return _unseen(seen), ""
    check = getattr(condition, condition.kind)
    if check is None:
        return "the condition does not say what to ask; correct the interlock", ""
    if condition.kind == "http":
        return _judge_http(condition, seen)
    if condition.kind == "tcp":
        return "", "connected"
    if condition.kind == "file":
        return _judge_file(condition, seen)
    if condition.kind == "command":
        said = f"exit code {seen.exit}" + (f", it printed: {seen.text}" if seen.text else "")
        return ("" if seen.exit == check.code else f"the command ended with {said}; exit code {check.code} was wanted"), said
    return _judge_modbus(condition, seen)


def _unseen(seen: Seen) -> str:
    base = CODES.get(seen.code, CODES["fault"]) or CODES["fault"]
    return f"{base}: {shown(seen.why, 4 * SHOWN)}" if seen.why else base


def _judge_http(condition: Condition, seen: Seen) -> tuple[str, str]:
    check = condition.http
    assert check is not None
    status = f"status {seen.status}" if seen.status else ""
    if seen.status and not check.status_low <= seen.status <= check.status_high:
        span = str(check.status_low) if check.status_low == check.status_high else f"{check.status_low} to {check.status_high}"
        return f"it answered with {status}; {span} was wanted", status
    if seen.code != "seen" or not seen.status:
        return _unseen(seen), status
    if check.compare is None:
        return "", status
    return compared(check.compare, seen.type, seen.text), f"{seen.text or seen.type} ({status})"


def _judge_file(condition: Condition, seen: Seen) -> tuple[str, str]:
    check = condition.file
    assert check is not None
    if check.state != "content" or check.compare is None:
        there = seen.type == "file"
        if seen.type not in ("file", "absent"):
            return "nobody can say whether the file is there", ""
        if there == (check.state == "exists"):
            return "", "there" if there else "not there"
        return f"{check.path} is {'there' if there else 'not there'}, and must {'not ' if there else ''}be", "there" if there else "not there"
    if seen.type != "text":
        return f"{check.path} is not there, so there is no content to compare", "not there"
    kind = check.compare.type
    if kind == "truth" and seen.text not in ("true", "false"):
        return f"the file says {shown(seen.text)!r}, which is neither true nor false", seen.text
    if kind == "number" and exact(seen.text) is None:
        return f"the file says {shown(seen.text)!r}, which is not a number anything can be compared with", seen.text
    return compared(check.compare, kind, seen.text), seen.text


def _judge_modbus(condition: Condition, seen: Seen) -> tuple[str, str]:
    check = condition.modbus
    assert check is not None
    form = check.read_as()
    if form not in FORMATS:
        return f"this agent does not know the format {form[:32]!r}; update it", ""
    if len(seen.raw) != check.quantity():
        return f"{CODES['malformed']}: {len(seen.raw)} bits or registers came, {check.quantity()} were asked for", ""
    try:
        values = values_of(seen.raw, form, check.words)
    except ValueError as fault:
        return f"{CODES['malformed']}: {fault}", ""
    texts = [f"{value:.9g}" if form == "f32" else str(value) for value in values]
    compare = _single_precision(check.compare) if form == "f32" else check.compare
    for number, value in enumerate(values):
        why = compared(compare, "number", repr(value), texts[number], check.compare)
        if why:
            place = f"{check.table} {check.address}" if len(values) == 1 else f"value {number + 1} of {len(values)} from {check.table} {check.address}"
            return f"{place}: {why}", ", ".join(texts)
    return "", ", ".join(texts)


def _single_precision(compare: Compare) -> Compare:
    """The comparison with its numbers rounded as the registers round theirs: 21.1 is then equal to what a machine that means 21.1 sends."""
    if compare.op not in OPERATORS or compare.type != "number" or exact(compare.value) is None:
        return compare
    high = compare.high
    if compare.op == "in" and exact(high) is not None:
        high = repr(single(float(high)))
    return Compare(compare.op, repr(single(float(compare.value))), high, compare.type)


# --- one interlock, and all -------------------------------------------------------------------------------------------


def judge(interlock: Interlock, found: Round | None, mono_ms: int, boot: str) -> Verdict:
    """Whether an interlock holds at `mono_ms` of `boot`, by a round that was made for these very conditions within the last five seconds."""
    name = interlock.name
    if not interlock.conditions:
        return Verdict(name, holds=False, why="it has no condition, so nobody can say what it guards; correct the interlock")
    if found is None:
        return Verdict(name, holds=False, why="the machine has not been asked yet")
    if found.digest != interlock_digest(interlock) or len(found.seen) != len(interlock.conditions):
        return Verdict(name, holds=False, why="what was asked belongs to an older text of this interlock; it is asked again")
    if found.boot != boot or not 0 <= mono_ms - found.mono_ms <= min(found.took_ms, MAX_ROUND_MS) + FRESH_MS:
        return Verdict(name, holds=False, why="the machine was asked too long ago; it is asked again")
    findings = tuple(
        Finding(condition.name, holds=False, why=NOT_ASKED) if interlock.origin != "site" and site_only(condition) else judge_condition(condition, seen)
        for condition, seen in zip(interlock.conditions, found.seen)
    )
    wrong = [finding for finding in findings if not finding.holds]
    if not wrong:
        return Verdict(name, holds=True, why="all its conditions hold", findings=findings)
    why = f"{wrong[0].condition}: {wrong[0].why}"
    if len(wrong) > 1:
        why += f" (and {len(wrong) - 1} more {'conditions do' if len(wrong) > 2 else 'condition does'} not hold)"
    return Verdict(name, holds=False, why=why, findings=findings)


def guarding(interlocks: tuple[Interlock, ...], kind: str, app: str, *, moment: str = "before") -> tuple[Interlock, ...]:
    """Those that must hold for a change of this kind to `app`. `moment`: "before" it begins, "between" its steps, or "return" for an automatic going
    back."""
    if kind in NEVER_GUARDED:
        return ()
    mine = (one for one in interlocks if one.app in ("", app))
    if moment == "before":
        return tuple(mine)
    if moment == "between":
        return tuple(one for one in mine if one.between)
    return tuple(one for one in mine if one.guards_return)


def joined(site: tuple[Interlock, ...], centre: tuple[Interlock, ...]) -> tuple[Interlock, ...]:
    """What guards a device: all of the site's, then all of the centre's. The centre can only add: one of the same name stands beside, never instead."""
    return (*(_from(one, "site") for one in site), *(_from(one, "centre") for one in centre))


def _from(one: Interlock, origin: str) -> Interlock:
    return Interlock(one.name, one.conditions, one.means, one.app, one.between, one.guards_return, origin)


def interlocked(interlocks: tuple[Interlock, ...], rounds: dict[str, Round], mono_ms: int, boot: str) -> tuple[Gate, tuple[Verdict, ...]]:
    """The gate, and every verdict for the receipt. `rounds`: by digest of the interlock."""
    verdicts = tuple(judge(one, rounds.get(interlock_digest(one)), mono_ms, boot) for one in interlocks)
    for one, verdict in zip(interlocks, verdicts):
        if not verdict.holds:
            meant = f" ({one.means})" if one.means else ""
            more = sum(1 for other in verdicts if not other.holds) - 1
            rest = f"; {more} more interlock{'s do' if more > 1 else ' does'} not hold" if more else ""
            return Shut(
                "interlock", f"interlock {one.name}{meant} does not hold: {verdict.why}{rest}. It is asked again by itself; nobody can overrule it"
            ), verdicts
    return Open("every interlock holds" if interlocks else "no interlock guards this"), verdicts


if TYPE_CHECKING:
    Gate = Union[Open, Shut]
