"""Frozen value classes without the cost of `dataclasses`.

`dataclasses` imports `inspect`, `ast`, `tokenize` and more, about two megabytes in a process whose whole budget is
fifteen. `record` makes the same kind of class (positional and keyword construction, defaults, equality, hash, repr, slots,
frozen); type checkers see a frozen dataclass. It never validates: that is the codec's work.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    T = TypeVar("T")

    @dataclass_transform(frozen_default=True)
    def record(cls: type[T]) -> type[T]: ...

    def replace(value: T, **changes: Any) -> T: ...

    def fields_of(value: Any) -> tuple[str, ...]: ...

    def defaults_of(cls: type) -> dict[str, Any]: ...

else:

    def _refuse_set(self, name, value=None):
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be changed; use replace()")

    def _eq(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def _hash(self):
        return hash((type(self).__name__,) + tuple(getattr(self, name) for name in self.__slots__))

    def _repr(self):
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({inside})"

    def record(cls):
        """Make `cls` a frozen, slotted value class from its annotated names; defaults are shared, so never mutate one."""
        names = tuple(cls.__dict__.get("__annotations__") or getattr(cls, "__annotations__", {}))
        body = {key: value for key, value in cls.__dict__.items() if key not in ("__dict__", "__weakref__")}
        defaults = {name: body.pop(name) for name in names if name in body}
        space = {f"_d_{name}": value for name, value in defaults.items()}
        space["_set"] = object.__setattr__
        heads = []
        for name in names:
            if name in defaults:
                heads.append(f"{name}=_d_{name}")
            elif any("=" in head for head in heads):
                raise TypeError(f"{cls.__name__}.{name} has no default but follows a field that has one")
            else:
                heads.append(name)
        lines = [f"    _set(self, {name!r}, {name})" for name in names] or ["    pass"]
        exec(f"def __init__(self, {', '.join(heads)}):\n" + "\n".join(lines), space)
        body["__init__"] = space["__init__"]
        body["__slots__"] = names
        body["__defaults__"] = defaults
        for key, value in (
            ("__setattr__", _refuse_set),
            ("__delattr__", _refuse_set),
            ("__eq__", _eq),
            ("__hash__", _hash),
            ("__repr__", _repr),
        ):
            if key in ("__setattr__", "__delattr__", "__repr__") and key in cls.__dict__:
                continue
            body[key] = value
        return type(cls.__name__, cls.__bases__, body)

    def replace(value, **changes):
        """A copy of `value` with some fields changed; an unknown name is a TypeError."""
        kept = {name: getattr(value, name) for name in value.__slots__}
        unknown = [name for name in changes if name not in kept]
        if unknown:
            raise TypeError(f"{type(value).__name__} has no field {unknown[0]}")
        kept.update(changes)
        return type(value)(**kept)

    def fields_of(value):
        """The field names of a record or record class, in order."""
        return value.__slots__

    def defaults_of(cls):
        """The fields of a record class that have a default, with it."""
        return cls.__defaults__
