"""Two devices or two sites side by side: which rows there are and where they differ.

Owns the rows and their order. What is compared is given as plain text by name; never looks anything up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of both sides. An empty text: it has none."""

    part: str
    name: str
    a: str
    b: str

    @property
    def same(self) -> bool:
        """Whether the two agree."""
        return self.a == self.b


def rows(part: str, a: Mapping[str, str], b: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of one part (labels, releases, ...): every name that either has, by name."""
    return tuple(Row(part, name, a.get(name, ""), b.get(name, "")) for name in sorted({*a, *b}))
