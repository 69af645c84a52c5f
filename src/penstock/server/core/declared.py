"""What a release says of one of its parameters beyond its name: type, default, bounds, words for people.

Owns the record, the types there are, and its plain form inside a release. Never judges a value; `parameters` does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

TEXT, INTEGER, NUMBER, BOOLEAN, CHOICE, SECRET, PORT, DURATION, BYTES = TYPES = (
    "text",
    "integer",
    "number",
    "boolean",
    "choice",
    "secret",
    "port",
    "duration",
    "bytes",
)
ORDERED = (INTEGER, NUMBER, PORT, DURATION, BYTES)  # types that have a least and a greatest value
WRITTEN = (TEXT, SECRET)  # types that have a length and a pattern


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter as its vendor describes it. `default`, `low` and `high` are canonical texts (`parameters.normal`); empty bounds and a `max_length` of 0:
    none. `pattern`: what the whole text must match (`patterns`). `group`: the heading it stands under."""

    type: str = TEXT
    default: str | None = None
    required: bool = False
    title: str = ""
    help: str = ""
    group: str = ""
    choices: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    pattern: str = ""
    min_length: int = 0
    max_length: int = 0


def to_plain(declared: Declared) -> dict[str, Any]:
    """What differs from the defaults, as JSON-like values."""
    found = {one.name: getattr(declared, one.name) for one in fields(Declared) if getattr(declared, one.name) != one.default}
    return {**found, "choices": list(declared.choices)} if declared.choices else found


def from_plain(plain: dict[str, Any]) -> Declared:
    """`to_plain` undone."""
    return Declared(**{**plain, "choices": tuple(plain.get("choices", ()))})
