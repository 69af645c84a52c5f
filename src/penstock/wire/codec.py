"""Records to JSON and back: unknown keys ignored, wrong types refused by path, every size limited.

The JSON written is canonical (sorted keys, no white space, ASCII, fields at their default left out), so that a digest over
it is the same on every machine and does not change when a later version adds an optional field. Numbers are integers
within 2**53 (RFC 7493, I-JSON); duplicate keys and lone surrogates are refused. Never decides what a value means.
"""

from __future__ import annotations

import sys

from penstock.wire.jsontext import reader, writer
from penstock.wire.record import defaults_of, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

MAX_DOCUMENT = 4 * 1024 * 1024  # bytes
MAX_TEXT = 32768  # characters, unless the record's LIMITS say otherwise
MAX_ITEMS = 1024  # items of a tuple or entries of a dict, unless LIMITS say otherwise
MAX_INTEGER = 2**53 - 1


class WireError(ValueError):
    """A document that is not what it should be. `path` names the place, e.g. `apps[0].services[2].image`; `why` is a sentence."""

    def __init__(self, path: str, why: str, *, oversize: bool = False) -> None:
        super().__init__(f"{path or 'document'}: {why}")
        self.path = path
        self.why = why
        self.oversize = oversize


# --- annotations, read once per class ---------------------------------------------------------------------------------

_shapes: dict[type, dict[str, Any]] = {}


def _parse(text: str, module: str) -> Any:
    text = text.strip()
    if text.endswith("| None"):
        return ("opt", _parse(text[: -len("| None")], module))
    if text.startswith("tuple[") and text.endswith(", ...]"):
        return ("tuple", _parse(text[len("tuple[") : -len(", ...]")], module))
    if text.startswith("dict[str, ") and text.endswith("]"):
        return ("dict", _parse(text[len("dict[str, ") : -1], module))
    if text in ("str", "int", "bool"):
        return (text,)
    found = getattr(sys.modules[module], text, None)
    if not isinstance(found, type):
        raise TypeError(f"the codec cannot read the annotation {text!r} in {module}")
    return ("record", found)


def shape_of(cls: type) -> dict[str, Any]:
    """Per field of a record what stands in it, as `_read` takes it: a kind, and what it is of."""
    shape = _shapes.get(cls)
    if shape is None:
        notes = cls.__annotations__
        shape = {name: _parse(notes[name], cls.__module__) for name in fields_of(cls)}
        _shapes[cls] = shape
    return shape


# Readers and writers of the same meaning that are faster, for whoever reads and writes thousands of records a second: see `quick`, which fills this.
readers: dict[type, Callable[[Any, str], Any]] = {}
writers: dict[type, Callable[[Any], dict[str, Any]]] = {}


# --- out --------------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    write = writers.get(type(value))
    if write is not None:
        return write(value)
    defaults = defaults_of(type(value))
    plain = {}
    for name in fields_of(value):
        item = getattr(value, name)
        if name in defaults and item == defaults[name]:
            continue
        plain[name] = _plain(item)
    return plain


def to_plain(value: Any) -> dict[str, Any]:
    """A record as dicts, lists, strings and integers; fields at their default are left out."""
    plain: dict[str, Any] = _plain(value)
    return plain


def encode(value: Any) -> bytes:
    """A record as canonical JSON, ASCII bytes."""
    return canonical(_plain(value))


def canonical(plain: Any) -> bytes:
    """Dicts, lists, strings and integers as canonical JSON, ASCII bytes."""
    return _write(plain).encode("ascii")


_write = writer(sort_keys=True)


# --- in ---------------------------------------------------------------------------------------------------------------


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise WireError(next(key for key in keys if keys.count(key) > 1), "the key stands twice in one object")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 17:
        raise WireError("", f"the number {digits[:20]}... is larger than 2**53")
    return int(digits)


def _no_constant(name: str) -> Any:
    raise WireError("", f"{name} is not a number JSON has")


_read_text = reader(_pairs, _integer, _no_constant)


def parse(raw: bytes, limit: int = MAX_DOCUMENT) -> Any:
    """JSON bytes to dicts, lists, strings and integers. Raises WireError (its `oversize` tells the one case apart)."""
    if len(raw) > limit:
        raise WireError("", f"{len(raw)} bytes, more than the {limit} allowed", oversize=True)
    try:
        return _read_text(raw.decode("utf-8"))
    except WireError:
        raise
    except (ValueError, RecursionError) as fault:
        raise WireError("", f"not JSON: {str(fault)[:120] or 'nested too deeply'}") from None


def decode(cls: type[T], raw: bytes, limit: int = MAX_DOCUMENT) -> T:
    """JSON bytes to a record of class `cls`. Raises WireError naming the first place that is wrong."""
    return from_plain(cls, parse(raw, limit))


def from_plain(cls: type[T], plain: Any, path: str = "") -> T:
    """Parsed JSON to a record of class `cls`. Raises WireError naming the first place that is wrong."""
    read = readers.get(cls)
    if read is not None:
        quick: T = read(plain, path)
        return quick
    if not isinstance(plain, dict):
        raise WireError(path, f"must be an object, is {kind_of(plain)}")
    values: dict[str, Any] = {}
    defaults, limits, choices = defaults_of(cls), getattr(cls, "LIMITS", {}), getattr(cls, "CHOICES", {})
    for name, shape in shape_of(cls).items():
        if name in plain:
            values[name] = read_field(plain[name], f"{path}.{name}" if path else name, shape, limits.get(name), choices.get(name))
        elif name not in defaults:
            raise WireError(f"{path}.{name}" if path else name, "is missing")
    made = cls(**values)
    checked(made, path)
    return made


def read_field(value: Any, path: str, shape: Any, limit: int | None, allowed: tuple[str, ...] | None) -> Any:
    """The value of one field. Raises WireError."""
    value = _read(shape, value, path, limit)
    if allowed is not None and value not in allowed:
        raise WireError(path, f"must be one of {', '.join(allowed)}; is {str(value)[:60]!r}")
    return value


def checked(made: Any, path: str) -> None:
    """What a record says of itself as a whole (its `check`). Raises WireError."""
    check = getattr(made, "check", None)
    fault = check() if check is not None else None
    if fault is not None:
        field, why = fault
        raise WireError(f"{path}.{field}" if path else field, why)


def _read(shape: Any, value: Any, path: str, limit: int | None) -> Any:
    kind = shape[0]
    if kind == "opt":
        return None if value is None else _read(shape[1], value, path, limit)
    if kind == "str":
        if not isinstance(value, str):
            raise WireError(path, f"must be text, is {kind_of(value)}")
        if len(value) > (limit or MAX_TEXT):
            raise WireError(path, f"{len(value)} characters, more than the {limit or MAX_TEXT} allowed", oversize=True)
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise WireError(path, "holds half of a surrogate pair, which no text may") from None
        return value
    if kind == "int":
        if isinstance(value, bool) or not isinstance(value, int):
            raise WireError(path, f"must be an integer, is {kind_of(value)}")
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise WireError(path, "is larger than 2**53")
        return value
    if kind == "bool":
        if not isinstance(value, bool):
            raise WireError(path, f"must be true or false, is {kind_of(value)}")
        return value
    if kind == "tuple":
        if not isinstance(value, list):
            raise WireError(path, f"must be a list, is {kind_of(value)}")
        if len(value) > (limit or MAX_ITEMS):
            raise WireError(path, f"{len(value)} items, more than the {limit or MAX_ITEMS} allowed", oversize=True)
        return tuple(_read(shape[1], item, f"{path}[{index}]", None) for index, item in enumerate(value))
    if kind == "dict":
        if not isinstance(value, dict):
            raise WireError(path, f"must be an object, is {kind_of(value)}")
        if len(value) > (limit or MAX_ITEMS):
            raise WireError(path, f"{len(value)} entries, more than the {limit or MAX_ITEMS} allowed", oversize=True)
        return {_read(("str",), key, f"{path} (a key)", None): _read(shape[1], item, f"{path}.{key[:60]}", None) for key, item in value.items()}
    return from_plain(shape[1], value, path)


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return {dict: "an object", list: "a list", str: "text", int: "an integer", float: "a fraction"}.get(type(value), type(value).__name__)
