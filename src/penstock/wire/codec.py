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


# --- annotations ---------------------------------------------------------------------------------


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


def _shape(cls: type) -> dict[str, Any]:
    return {name: _parse(cls.__annotations__[name], cls.__module__) for name in fields_of(cls)}


_NONE = object()  # the default of a field that has none: equal to nothing that a field can hold


# --- out --------------------------------------------------------------------------------------------------------------

# Reading and writing are compiled for each class when it is first met, as `record` compiles its `__init__`: the plane does both thousands of times
# a second, and walking over a table of fields every time costs three times as much. Nothing from outside ever gets into the text compiled.
_writers: dict[type, Callable[[Any], dict[str, Any]]] = {}


def _writer(cls: type) -> Callable[[Any], dict[str, Any]]:
    """A function from a record of `cls` to a dict; fields at their default are left out."""
    defaults = defaults_of(cls)
    space: dict[str, Any] = {"_plain": _plain}
    lines = ["def write(value):", "    plain = {}"]
    for index, (name, shape) in enumerate(_shape(cls).items()):
        space[f"d{index}"] = defaults.get(name)
        item = "item" if shape[0] in ("str", "int", "bool") else "_plain(item)"
        lines.append(f"    item = value.{name}")
        if name in defaults:
            lines.append(f"    if item is not d{index} and item != d{index}:")
            lines.append(f"        plain[{name!r}] = {item}")
        else:
            lines.append(f"    plain[{name!r}] = {item}")
    exec("\n".join([*lines, "    return plain"]), space)  # noqa: S102 - of our own field names
    found: Callable[[Any], dict[str, Any]] = space["write"]
    _writers[cls] = found
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    cls = type(value)
    return (_writers.get(cls) or _writer(cls))(value)


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
    made: T = (_readers.get(cls) or _reader(cls))(plain, path)
    return made


_readers: dict[type, Callable[[Any, str], Any]] = {}

# What nearly every field is; whatever else comes is looked at closely, by `mend`.
_USUAL = {
    "str": "type({0}) is str and len({0}) <= {1} and {0}.isascii()",
    "int": f"type({{0}}) is int and {-MAX_INTEGER} <= {{0}} <= {MAX_INTEGER}",
    "bool": "type({0}) is bool",
}


def _reader(cls: type) -> Callable[[Any, str], Any]:
    """A function from (parsed JSON, path) to a record of `cls`."""
    defaults, limits, choices = defaults_of(cls), getattr(cls, "LIMITS", {}), getattr(cls, "CHOICES", {})
    rows = [(name, shape, limits.get(name), choices.get(name)) for name, shape in _shape(cls).items()]

    def mend(index: int, value: Any, path: str) -> Any:
        name, shape, limit, allowed = rows[index]
        place = f"{path}.{name}" if path else name
        if value is _NONE:
            raise WireError(place, "is missing")
        value = _read(shape, value, place, limit)
        if allowed is not None and value not in allowed:
            raise WireError(place, f"must be one of {', '.join(allowed)}; is {str(value)[:60]!r}")
        return value

    space: dict[str, Any] = {"cls": cls, "mend": mend, "refuse": _no_object}
    lines = ["def read(plain, path):", "    if type(plain) is not dict:", "        refuse(plain, path)", "    get = plain.get"]
    for index, (name, shape, limit, allowed) in enumerate(rows):
        value, default = f"v{index}", f"d{index}"
        space[default] = defaults.get(name, _NONE)
        lines.append(f"    {value} = get({name!r}, {default})")
        usual = _USUAL.get(shape[0], "").format(value, limit or MAX_TEXT)
        if allowed is not None:
            space[f"c{index}"] = allowed
            usual += f" and {value} in c{index}"
        tests = [f"{value} is {default}"] if name in defaults else []
        tests += [f"({usual})"] if usual else []
        lines.append(f"    if not ({' or '.join(tests) or 'False'}):")
        lines.append(f"        {value} = mend({index}, {value}, path)")
    lines.append(f"    made = cls({', '.join(f'v{index}' for index in range(len(rows)))})")
    if hasattr(cls, "check"):
        space["checked"] = _checked
        lines.append("    checked(made, path)")
    exec("\n".join([*lines, "    return made"]), space)  # noqa: S102 - of our own field names
    found: Callable[[Any, str], Any] = space["read"]
    _readers[cls] = found
    return found


def _no_object(plain: Any, path: str) -> None:
    raise WireError(path, f"must be an object, is {_kind(plain)}")


def _checked(made: Any, path: str) -> None:
    fault = made.check()
    if fault is not None:
        field, why = fault
        raise WireError(f"{path}.{field}" if path else field, why)


def _read(shape: Any, value: Any, path: str, limit: int | None) -> Any:
    kind = shape[0]
    if kind == "opt":
        return None if value is None else _read(shape[1], value, path, limit)
    if kind == "str":
        if not isinstance(value, str):
            raise WireError(path, f"must be text, is {_kind(value)}")
        if len(value) > (limit or MAX_TEXT):
            raise WireError(path, f"{len(value)} characters, more than the {limit or MAX_TEXT} allowed", oversize=True)
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise WireError(path, "holds half of a surrogate pair, which no text may") from None
        return value
    if kind == "int":
        if isinstance(value, bool) or not isinstance(value, int):
            raise WireError(path, f"must be an integer, is {_kind(value)}")
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise WireError(path, "is larger than 2**53")
        return value
    if kind == "bool":
        if not isinstance(value, bool):
            raise WireError(path, f"must be true or false, is {_kind(value)}")
        return value
    if kind == "tuple":
        if not isinstance(value, list):
            raise WireError(path, f"must be a list, is {_kind(value)}")
        if len(value) > (limit or MAX_ITEMS):
            raise WireError(path, f"{len(value)} items, more than the {limit or MAX_ITEMS} allowed", oversize=True)
        return tuple(_read(shape[1], item, f"{path}[{index}]", None) for index, item in enumerate(value))
    if kind == "dict":
        if not isinstance(value, dict):
            raise WireError(path, f"must be an object, is {_kind(value)}")
        if len(value) > (limit or MAX_ITEMS):
            raise WireError(path, f"{len(value)} entries, more than the {limit or MAX_ITEMS} allowed", oversize=True)
        return {_read(("str",), key, f"{path} (a key)", None): _read(shape[1], item, f"{path}.{key[:60]}", None) for key, item in value.items()}
    return from_plain(shape[1], value, path)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return {dict: "an object", list: "a list", str: "text", int: "an integer", float: "a fraction"}.get(type(value), type(value).__name__)
