"""Values of parameters: what a text given for one must be, and the one canonical text it is kept as.

Owns the judging (`normal`), by type and by what the release declares. Never knows who gave a value or where it ends up. Canonical texts: true and false;
whole numbers without a plus or leading zeros; numbers without an exponent; spans in falling units ("1h30m"); sizes in the greatest unit that divides them
("512M", powers of 1024).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from penstock.server.core import declared as d
from penstock.server.core.compose.scalars import DURATION, DURATION_PART, MAX_BYTES, SHIFTS, SIZE, UNITS_MS, Bad, shown, text
from penstock.server.core.declared import Declared
from penstock.server.core.patterns import matches

MAX_TEXT = 32_768  # characters of one value
MAX_MATCHED = 4096  # characters of a value that has a pattern
MAX_SPAN_MS = 3660 * 86_400_000  # ten years
WHOLE = re.compile(r"[+-]?[0-9]{1,18}\Z")
SPANS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
UNITS = (("T", 40), ("G", 30), ("M", 20), ("K", 10), ("B", 0))
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
EXAMPLES = {
    d.INTEGER: "a whole number",
    d.NUMBER: "a number such as 0.5",
    d.BOOLEAN: "true or false",
    d.PORT: "a whole number from 1 to 65535",
    d.DURATION: "a span with units, such as 90s or 1h30m",
    d.BYTES: "a size with a unit, such as 512M or 2G",
}


def normal(declared: Declared, value: str) -> str:
    """The canonical text of a value. Raises Bad, which says what is allowed; the text of a secret is never repeated."""
    kind = declared.type
    if len(value) > MAX_TEXT:
        raise Bad(f"it has {len(value)} characters, more than the {MAX_TEXT} allowed", "give a shorter value")
    if kind in d.WRITTEN:
        return _written(declared, text(value))
    if kind == d.CHOICE:
        if value not in declared.choices:
            raise Bad(f"{shown(value)} is none of the choices", f"give one of: {', '.join(declared.choices)}")
        return value
    made, amount = _READ[kind](value.strip())
    if kind in d.ORDERED:
        _within(declared, value, amount)
    return made


def measure(kind: str, canonical: str) -> Decimal:
    """How much a canonical text of an ordered type is: milliseconds, bytes, or the number itself."""
    return _READ[kind](canonical)[1]


def allowed(declared: Declared) -> str:
    """What may be given, as a phrase: "a whole number from 1 to 65535"."""
    if declared.type == d.CHOICE:
        return f"one of: {', '.join(declared.choices)}"
    base = EXAMPLES.get(declared.type, "text")
    if declared.type == d.PORT:
        return f"a whole number from {declared.low or 1} to {declared.high or 65535}"
    if declared.low and declared.high:
        return f"{base}, from {declared.low} to {declared.high}"
    if declared.low or declared.high:
        return f"{base}, {f'at least {declared.low}' if declared.low else f'at most {declared.high}'}"
    limits = [f"at least {declared.min_length}" if declared.min_length else "", f"at most {declared.max_length}" if declared.max_length else ""]
    length = " and ".join(one for one in limits if one)
    return base + (f" of {length} characters" if length else "") + (f", in the form {declared.pattern}" if declared.pattern else "")


def _written(declared: Declared, value: str) -> str:
    what = "the secret" if declared.type == d.SECRET else shown(value)
    if len(value) < declared.min_length:
        raise Bad(f"{what} has {len(value)} characters, fewer than {declared.min_length}", f"give at least {declared.min_length}")
    if declared.max_length and len(value) > declared.max_length:
        raise Bad(f"{what} has {len(value)} characters, more than {declared.max_length}", f"give at most {declared.max_length}")
    if declared.pattern:
        if len(value) > MAX_MATCHED:
            raise Bad(f"{what} has {len(value)} characters, more than the {MAX_MATCHED} that a pattern is held against", "give a shorter value")
        if not matches(declared.pattern, value):
            raise Bad(f"{what} is not in the form {declared.pattern}", "give a value in that form")
    return value


def _within(declared: Declared, value: str, amount: Decimal) -> None:
    low, high = declared.low, declared.high
    if (low and amount < measure(declared.type, low)) or (high and amount > measure(declared.type, high)):
        raise Bad(f"{shown(value)} is {'less' if low and amount < measure(declared.type, low) else 'more'} than is allowed", f"give {allowed(declared)}")


def _bad(kind: str, value: str, noun: str) -> Bad:
    return Bad(f"{shown(value)} is no {noun}", f"give {EXAMPLES[kind]}")


def _integer(value: str) -> tuple[str, Decimal]:
    if not WHOLE.match(value):
        raise _bad(d.INTEGER, value, "whole number")
    return str(int(value)), Decimal(int(value))


def _number(value: str) -> tuple[str, Decimal]:
    try:
        found = Decimal(value) if len(value) <= 40 and value.isascii() and "_" not in value else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    exponent = found.as_tuple().exponent
    if not found.is_finite() or not isinstance(exponent, int) or not -18 <= exponent <= 18 or abs(found.adjusted()) > 18:
        raise _bad(d.NUMBER, value, "number")
    made = format(found, "f")
    made = made.rstrip("0").rstrip(".") if "." in made else made
    made = "0" if made in ("-0", "", "-") or not found else made
    return made, found


def _boolean(value: str) -> tuple[str, Decimal]:
    lower = value.lower()
    if lower not in (*TRUE, *FALSE):
        raise _bad(d.BOOLEAN, value, "yes or no")
    return ("true", Decimal(1)) if lower in TRUE else ("false", Decimal(0))


def _port(value: str) -> tuple[str, Decimal]:
    if not WHOLE.match(value) or not 1 <= int(value) <= 65535:
        raise _bad(d.PORT, value, "port")
    return str(int(value)), Decimal(int(value))


def _duration(value: str) -> tuple[str, Decimal]:
    if value == "0":
        return "0s", Decimal(0)
    if len(value) > 60 or not value.isascii() or not DURATION.match(value):
        raise _bad(d.DURATION, value, "span of time")
    span = sum((Decimal(number) * UNITS_MS[unit] for number, unit in DURATION_PART.findall(value)), Decimal(0))
    if span != span.to_integral_value() or span > MAX_SPAN_MS:
        raise Bad(f"{shown(value)} is finer than a millisecond, or longer than ten years", f"give {EXAMPLES[d.DURATION]}")
    left, out = int(span), ""
    for unit, size in SPANS:
        count, left = divmod(left, size)
        out += f"{count}{unit}" if count else ""
    return out or "0s", span


def _bytes(value: str) -> tuple[str, Decimal]:
    found = SIZE.match(value) if len(value) <= 40 and value.isascii() else None
    if found is None:
        raise _bad(d.BYTES, value, "size")
    amount = Decimal(found.group(1)) * (1 << SHIFTS[(found.group(2) or "").lower()[:1]])
    if amount > MAX_BYTES or amount != amount.to_integral_value():
        raise Bad(f"{shown(value)} is no whole number of bytes, or more than any machine has", "check the unit: B, K, M, G or T")
    size = int(amount)
    unit, shift = next((unit, shift) for unit, shift in UNITS if size % (1 << shift) == 0 and (size or not shift))
    return f"{size >> shift}{unit}", amount


_READ = {d.INTEGER: _integer, d.NUMBER: _number, d.BOOLEAN: _boolean, d.PORT: _port, d.DURATION: _duration, d.BYTES: _bytes}
