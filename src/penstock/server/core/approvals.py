"""Whether enough people agree to a rollout, or to one of its waves.

Owns the judgement only: who counts (somebody with the right there, not the author, each once, with a remark), for what (exactly the plan that was shown), and
until when. Who has the right is `rights`' business and comes in as names.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from penstock.server.core.errors import Conflict, Forbidden, Invalid
from penstock.server.core.liveness import span


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's word. `wave` 0: the rollout itself. `of`: the digest of what they saw. `person`: False for a program's account."""

    by: str
    wave: int
    of: str
    at_ms: int
    remark: str
    person: bool = True
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """`enough`, how many count, the sentence, and when it changes by itself (0: never)."""

    enough: bool
    count: int
    why: str
    until_ms: int


def _fault(one: Approval, author: str, entitled: Collection[str], of: str, valid_s: int, now_ms: int) -> str:
    if one.withdrawn:
        return "was withdrawn"
    if one.of != of:
        return "was for another plan: it has been changed since"
    if one.by == author:
        return "is the author's own"
    if not one.person:
        return "is a program's"
    if one.by not in entitled:
        return "is by somebody without the right there"
    if not one.remark.strip():
        return "has no remark"
    if valid_s and now_ms >= one.at_ms + valid_s * 1000:
        return f"ran out {span(now_ms - one.at_ms - valid_s * 1000)} ago"
    return "" if one.at_ms <= now_ms else "lies in the future"


def judge(wanted: int, said: Sequence[Approval], *, wave: int, author: str, entitled: Collection[str], of: str, valid_s: int, now_ms: int) -> Judgement:
    """Whether `wanted` people agree to wave `wave` (0: to the rollout) as it stands now."""
    here = sorted((one for one in said if one.wave == wave), key=lambda one: (one.at_ms, one.by))
    good: dict[str, Approval] = {}
    bad: dict[str, str] = {}
    for one in here:
        fault = _fault(one, author, entitled, of, valid_s, now_ms)
        if fault:
            bad[one.by] = fault
        else:
            good[one.by] = one
    ends = sorted((one.at_ms + valid_s * 1000 for one in good.values()), reverse=True) if valid_s else []
    until = ends[wanted - 1] if 0 < wanted <= len(ends) else 0
    what = f"wave {wave}" if wave else "the rollout"
    words = f"{len(good)} of {wanted} approvals of {what}"
    for by in sorted(bad.keys() - good.keys()):
        words += f"; that of {by} does not count: it {bad[by]}"
    return Judgement(len(good) >= wanted, len(good), words, until)


def accept(one: Approval, *, author: str, entitled: Collection[str], of: str, now_ms: int, said: Sequence[Approval]) -> None:
    """Raises unless this word would count if it were given now."""
    if one.of != of:
        raise Conflict("approval-of-another", "the plan was changed since you looked at it: look again", field="of")
    if not one.remark.strip():
        raise Invalid("approval-remark", "an approval needs a remark: what you looked at", field="remark")
    if any(old.by == one.by and old.wave == one.wave and old.of == of and not old.withdrawn for old in said):
        raise Conflict("approval-given", "you have agreed already; another has to")
    fault = _fault(one, author, entitled, of, 0, now_ms)
    if fault:
        raise Forbidden("approval-not-yours", f"your approval would not count: it {fault}")
