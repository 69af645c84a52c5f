"""What services use, as their device measured it: reading the figures, and the line of a small chart.

Owns the reading of a command's output (a device's text is never trusted: what is no figure is none) and the geometry of the line. Draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

MOST_TEXT = 4096
MOST_SAMPLES = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one service. `cpu_permille` of one processor."""

    at_ms: int
    cpu_permille: int
    memory_bytes: int
    memory_limit_bytes: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One service's measurements, oldest first."""

    app: str
    service: str
    samples: tuple[Sample, ...]

    @property
    def last(self) -> Sample:
        """The newest."""
        return self.samples[-1]


def sample(at_ms: int, output: str) -> Sample | None:
    """The figures in a command's output; None for what is none (an agent that does not know them answers with something else)."""
    if len(output) > MOST_TEXT:
        return None
    try:
        plain = json.loads(output)
    except ValueError:
        return None
    if not isinstance(plain, dict):
        return None
    given = [plain.get(name, 0) for name in ("cpu_permille", "memory_bytes", "memory_limit_bytes", "processes")]
    if "cpu_permille" not in plain or not all(type(one) is int and 0 <= one < 2**63 for one in given):
        return None
    return Sample(at_ms, *given)


def measured(found: Iterable[tuple[str, str, Sample]]) -> tuple[Measured, ...]:
    """(app, service, sample) in any order as one line for each service, by name, the newest samples kept."""
    by_service: dict[tuple[str, str], list[Sample]] = {}
    for app, service, one in found:
        by_service.setdefault((app, service), []).append(one)
    return tuple(
        Measured(app, service, tuple(sorted(samples, key=lambda one: one.at_ms)[-MOST_SAMPLES:])) for (app, service), samples in sorted(by_service.items())
    )


def line(values: Iterable[int], width: int = 120, height: int = 30) -> str:
    """An SVG path through the values, each as far from the next, the greatest at the top and nought at the bottom; empty for fewer than two."""
    found = list(values)
    if len(found) < 2:
        return ""
    top = max(*found, 1)
    return "M" + "L".join(f"{width * index / (len(found) - 1):.1f} {height - 1 - (height - 2) * value / top:.1f}" for index, value in enumerate(found))
