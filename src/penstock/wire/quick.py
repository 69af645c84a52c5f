"""Readers and writers of records, compiled: the meaning of `codec`, at a third of its time.

Owns the text that is compiled, one function each way for a class, as `record` compiles its `__init__`; it is made of our own field names, nothing from
outside gets into it. For the control plane, which reads and writes thousands of records a second; the agent, which has no memory to spare for it, walks
over the fields. Never decides anything: whatever is not plainly right is handed to `codec`, whose words are the only ones.
"""

from __future__ import annotations

from penstock.wire import codec
from penstock.wire.record import defaults_of, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_NONE = object()  # stands for a field that is not there and has no default

# What nearly every field is. The rest is looked at closely.
_USUAL = {
    "str": "type({0}) is str and len({0}) <= {1} and {0}.isascii()",
    "int": f"type({{0}}) is int and {-codec.MAX_INTEGER} <= {{0}} <= {codec.MAX_INTEGER}",
    "bool": "type({0}) is bool",
}


def install(*classes: type) -> None:
    """Read and write these classes by compiled functions from now on, and make them faster."""
    hasten(*classes)
    for cls in classes:
        codec.readers[cls] = reader(cls)
        codec.writers[cls] = writer(cls)


def hasten(*classes: type) -> None:
    """Make records of these classes in a fifth of the time from now on.

    Setting each attribute of a frozen record goes through `object.__setattr__`. Here it is made as an instance of an open class of the same layout,
    which becomes the frozen one when all is set. The second class takes 2 kB."""
    for cls in classes:
        if "__init__" not in cls.__dict__:
            continue  # done before
        names, defaults = fields_of(cls), defaults_of(cls)
        space: dict[str, Any] = {f"d{index}": defaults.get(name) for index, name in enumerate(names)}
        space["_new"], space["_Open"] = object.__new__, type(cls.__name__, (), {"__slots__": names})
        heads = [f"{name}=d{index}" if name in defaults else name for index, name in enumerate(names)]
        lines = [f"def __new__(_cls, {', '.join(heads)}):", "    self = _new(_Open)", *(f"    self.{name} = {name}" for name in names)]
        exec("\n".join([*lines, "    self.__class__ = _cls", "    return self"]), space)  # noqa: S102 - of our own field names
        cls.__new__ = staticmethod(space["__new__"])  # type: ignore[method-assign]
        del cls.__init__  # type: ignore[misc]


def writer(cls: type) -> Callable[[Any], dict[str, Any]]:
    """A function from a record of `cls` to a dict; fields at their default are left out."""
    defaults = defaults_of(cls)
    space: dict[str, Any] = {"deeper": codec.to_plain}
    lines = ["def write(value):", "    plain = {}"]
    for index, (name, shape) in enumerate(codec.shape_of(cls).items()):
        space[f"d{index}"] = defaults.get(name)
        item = "item" if shape[0] in _USUAL else "deeper(item)"
        lines.append(f"    item = value.{name}")
        if name in defaults:
            lines.append(f"    if item is not d{index} and item != d{index}:")
            lines.append(f"        plain[{name!r}] = {item}")
        else:
            lines.append(f"    plain[{name!r}] = {item}")
    exec("\n".join([*lines, "    return plain"]), space)  # noqa: S102 - of our own field names
    found: Callable[[Any], dict[str, Any]] = space["write"]
    return found


def reader(cls: type) -> Callable[[Any, str], Any]:
    """A function from (parsed JSON, path) to a record of `cls`. It raises WireError."""
    defaults, limits, choices = defaults_of(cls), getattr(cls, "LIMITS", {}), getattr(cls, "CHOICES", {})
    rows = [(name, shape, limits.get(name), choices.get(name)) for name, shape in codec.shape_of(cls).items()]

    def refuse(plain: Any, path: str) -> None:
        raise codec.WireError(path, f"must be an object, is {codec.kind_of(plain)}")

    def closely(index: int, value: Any, path: str) -> Any:
        name, shape, limit, allowed = rows[index]
        place = f"{path}.{name}" if path else name
        if value is _NONE:
            raise codec.WireError(place, "is missing")
        return codec.read_field(value, place, shape, limit, allowed)

    space: dict[str, Any] = {"cls": cls, "closely": closely, "refuse": refuse, "checked": codec.checked}
    lines = ["def read(plain, path):", "    if type(plain) is not dict:", "        refuse(plain, path)", "    get = plain.get"]
    for index, (name, shape, limit, allowed) in enumerate(rows):
        value, default = f"v{index}", f"d{index}"
        space[default] = defaults.get(name, _NONE)
        if allowed is not None and name in defaults and defaults[name] not in allowed:
            raise TypeError(f"{cls.__name__}.{name}: its default is not one of its choices, so that being there and not being there could not be told apart")
        usual = _USUAL.get(shape[0], "").format(value, limit or codec.MAX_TEXT)
        if usual and allowed is not None:
            space[f"c{index}"] = allowed
            usual += f" and {value} in c{index}"
        tests = ([f"{value} is {default}"] if name in defaults else []) + ([f"({usual})"] if usual else [])
        lines.append(f"    {value} = get({name!r}, {default})")
        lines.append(f"    if not ({' or '.join(tests) or 'False'}):")
        lines.append(f"        {value} = closely({index}, {value}, path)")
    lines.append(f"    made = cls({', '.join(f'v{index}' for index in range(len(rows)))})")
    if hasattr(cls, "check"):
        lines.append("    checked(made, path)")
    exec("\n".join([*lines, "    return made"]), space)  # noqa: S102 - of our own field names
    found: Callable[[Any, str], Any] = space["read"]
    return found
