"""What a value is held against: the closed set of comparisons, and numbers as exact decimals.

Owns the words, their limits and the exact reading of a number. Never compares a value that was seen: that is `rules.interlocks`.
"""

from __future__ import annotations

from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Fault = Union[tuple[str, str], None]

OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "bit-set", "bit-clear")
TYPES = ("number", "text", "truth")  # what a value is read as before it is compared
MAX_EXPECTED = 1024  # characters of a text to compare with
MAX_NUMBER = 40  # characters of a number
MAX_EXPONENT = 400

_DIGITS = frozenset("0123456789")


def exact(text: str) -> tuple[int, int] | None:
    """A decimal number as JSON writes one (RFC 8259, section 6), exactly: (m, e) for m * 10**e. None when it is none, or one that nobody measures
    (longer than 40 characters, an exponent beyond 400)."""
    if len(text) > MAX_NUMBER:
        return None
    body, mark, power = text.lower().partition("e")
    sign = -1 if body.startswith("-") else 1
    whole, dot, part = body[1 if sign < 0 else 0 :].partition(".")
    if not whole or not set(whole) <= _DIGITS or (len(whole) > 1 and whole[0] == "0") or (dot and not part) or not set(part) <= _DIGITS:
        return None
    exponent = 0
    if mark:
        digits = power[1:] if power[:1] in ("+", "-") else power
        if not digits or not set(digits) <= _DIGITS or len(digits) > 4:
            return None
        exponent = -int(digits) if power.startswith("-") else int(digits)
        if abs(exponent) > MAX_EXPONENT:
            return None
    return sign * int(whole + part), exponent - len(part)


def order_of(one: tuple[int, int], two: tuple[int, int]) -> int:
    """-1, 0 or 1 as `one` is smaller than, equal to or greater than `two`, exactly."""
    low = min(one[1], two[1])
    left, right = one[0] * int(10 ** (one[1] - low)), two[0] * int(10 ** (two[1] - low))
    return (left > right) - (left < right)


@record
class Compare:
    """What a value is held against. `op` "in" means from `value` to `high`, both included; "bit-set" and "bit-clear" name a bit in `value`, counted from
    0, the least significant. Numbers are decimal text, so that nothing is lost on the way. An `op` or `type` this program does not know is kept as it is:
    whoever judges it finds it not satisfied."""

    LIMITS = {"op": 32, "value": MAX_EXPECTED, "high": MAX_NUMBER, "type": 32}

    op: str
    value: str = ""
    high: str = ""
    type: str = "number"

    def check(self) -> Fault:
        if self.op not in OPERATORS or self.type not in TYPES:
            return None
        if self.high and self.op != "in":
            return ("high", "only the operator 'in' has an upper end")
        if self.op in ("bit-set", "bit-clear"):
            if self.type != "number":
                return ("type", f"{self.op} needs a number")
            if self.value and (not set(self.value) <= _DIGITS or len(self.value) > 2 or int(self.value) > 31):
                return ("value", "a bit has a number from 0 (the least significant) to 31")
            return None
        if self.type != "number":
            if self.op not in ("==", "!="):
                return ("op", f"{self.op} compares numbers; for {self.type} there are == and !=")
            return ("value", "is true or false") if self.type == "truth" and self.value not in ("true", "false") else None
        low = exact(self.value)
        if low is None:
            return ("value", f"{self.value[:MAX_NUMBER]!r} is not a decimal number such as 21.5")
        if self.op == "in":
            high = exact(self.high)
            if high is None:
                return ("high", f"{self.high!r} is not a decimal number such as 21.5")
            if order_of(low, high) > 0:
                return ("high", "the upper end lies below the lower end, so nothing could ever be in between")
        return None
