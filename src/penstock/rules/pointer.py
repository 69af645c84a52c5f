"""JSON pointers: finding the one value a condition speaks of, in a text a machine sent.

Owns RFC 6901 (evaluation as its section 4 has it) and the reading of the text: strict JSON, one value, no key twice. Never compares.
"""

from __future__ import annotations

from penstock.wire.jsontext import reader
from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DIGITS = frozenset("0123456789")
MOST_DIGITS = 40  # of an integer; more is no reading of anything


class PointerFault(Exception):
    """Nothing to compare. `code` is "malformed" (not JSON) or "missing" (nothing there); `why` is a sentence."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


@record
class Value:
    """A value as text: `type` is "number", "text", "truth", "null", "list" or "object"; the last three have no text."""

    type: str
    text: str = ""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object, so nobody can say which value counts")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number has more than {MOST_DIGITS} digits")
    return int(digits)


_read = reader(_pairs, _integer)


def parts_of(pointer: str) -> tuple[str, ...]:
    """The reference tokens of a pointer: "~1" is "/" and "~0" is "~", in that order. Source: RFC 6901, sections 3 and 4."""
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise PointerFault("missing", f"{pointer[:60]!r} is no JSON pointer: it is empty or begins with '/'")
    parts = pointer[1:].split("/")
    for part in parts:
        if any(after[:1] not in ("0", "1") for after in part.split("~")[1:]):
            raise PointerFault("missing", f"{pointer[:60]!r} is no JSON pointer: '~' is followed by 0 or 1")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def value_at(document: Any, pointer: str) -> Any:
    """The value of a parsed document that a pointer names. Raises PointerFault("missing"). Source: RFC 6901, section 4."""
    at = document
    for number, part in enumerate(parts_of(pointer)):
        where = "/" + "/".join(pointer[1:].split("/")[:number]) if number else "the top"
        if isinstance(at, dict):
            if part not in at:
                raise PointerFault("missing", f"there is nothing at {pointer}: no {part!r} in the object at {where}")
            at = at[part]
        elif isinstance(at, list):
            if not part or len(part) > 9 or not set(part) <= _DIGITS or (len(part) > 1 and part[0] == "0"):
                raise PointerFault("missing", f"there is nothing at {pointer}: {part!r} is no place in the list at {where}")
            if int(part) >= len(at):
                raise PointerFault("missing", f"there is nothing at {pointer}: the list at {where} has {len(at)} items")
            at = at[int(part)]
        else:
            raise PointerFault("missing", f"there is nothing at {pointer}: at {where} stands a single value")
    return at


def find(body: bytes, pointer: str) -> Value:
    """The value at `pointer` of a JSON text in UTF-8 (RFC 8259). Raises PointerFault."""
    try:
        document = _read(body.decode("utf-8"))
    except (ValueError, RecursionError) as fault:
        raise PointerFault("malformed", f"the answer is not JSON: {str(fault)[:100] or 'it is nested too deeply'}") from None
    value = value_at(document, pointer)
    if value is None:
        return Value("null")
    if isinstance(value, bool):
        return Value("truth", "true" if value else "false")
    if isinstance(value, (int, float)):
        return Value("number", repr(value))  # the shortest text that reads back as the same number; inf for what no double holds
    if isinstance(value, str):
        return Value("text", value)
    return Value("list" if isinstance(value, list) else "object")
