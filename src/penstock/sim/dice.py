"""Chance with an origin: one generator for each purpose, all of them children of one seed.

Owns the derivation only. A purpose that draws more often than before does not shift what the others draw, so that a seed keeps its meaning while
the simulator grows.
"""

from __future__ import annotations

import random


class Dice:
    """`of("links", "dev1")` is always the same generator within one world."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._made: dict[str, random.Random] = {}

    def of(self, *purpose: object) -> random.Random:
        """The generator of a purpose."""
        name = "/".join(str(part) for part in purpose)
        if name not in self._made:
            self._made[name] = random.Random(f"{self.seed}/{name}")
        return self._made[name]
