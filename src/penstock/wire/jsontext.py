"""JSON text to values and back, on the native half of the standard `json` module.

`json` itself imports `re`, `enum`, `functools` and `collections`: over a megabyte in a process whose whole budget is fifteen, for nothing that is used
here. Its native half does the work in both cases, so results and speed are the same; where it is absent (other interpreters) `json` serves.
Never decides what is acceptable; that is `codec`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _json: Any
else:
    try:
        import _json
    except ImportError:  # an interpreter that keeps no native half
        _json = None

SPACE = " \t\n\r"


class _Rules:
    """What the native scanner asks its context for (the attributes of `json.JSONDecoder`)."""

    strict = True
    object_hook = None
    memo: dict[str, str] = {}

    def __init__(self, pairs: Callable[[list[tuple[str, Any]]], Any] | None, integer: Callable[[str], Any], constant: Callable[[str], Any]) -> None:
        self.object_pairs_hook = pairs
        self.parse_float = float
        self.parse_int = integer
        self.parse_constant = constant


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number JSON has")


def reader(
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    integer: Callable[[str], Any] = int,
    constant: Callable[[str], Any] = _no_constant,
) -> Callable[[str], Any]:
    """A function from JSON text to values; hooks as those of `json.loads`. It raises ValueError (RecursionError for deep nesting)."""
    if _json is None:
        import json

        return lambda text: json.loads(text, object_pairs_hook=pairs, parse_int=integer, parse_constant=constant)
    scan = _json.make_scanner(_Rules(pairs, integer, constant))

    def read(text: str) -> Any:
        begin = len(text) - len(text.lstrip(SPACE))
        try:
            value, end = scan(text, begin)
        except StopIteration as at:
            raise ValueError(f"no value at character {at.value}") from None
        except SystemError:
            # It takes its exception from json.decoder, and before Python 3.12 only where somebody else has imported that: it fails without one.
            raise ValueError("it is cut short or malformed") from None
        if text[end:].strip(SPACE):
            raise ValueError(f"more follows the value, at character {end}")
        return value

    return read


def _no_default(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def writer(*, sort_keys: bool) -> Callable[[Any], str]:
    """A function from values to JSON text: ASCII, no white space, no NaN. It raises TypeError or ValueError."""
    if _json is None:
        import json

        return lambda value: json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

    # No memory of what it is inside of: records cannot hold themselves, and without one it serves every call.
    encode = _json.make_encoder(None, _no_default, _json.encode_basestring_ascii, None, ":", ",", sort_keys, False, False)

    def write(value: Any) -> str:
        return "".join(encode(value, 0))

    return write


loads = reader()
dumps = writer(sort_keys=False)
