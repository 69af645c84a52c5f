"""Time: the port through which the plane reads it, the system's clock, and one that tests turn by hand.

Never sleeps and never schedules.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the plane asks of a clock."""

    def now_ms(self) -> int:
        """Unix time in milliseconds; may be set back by an administrator."""
        ...

    def mono_ms(self) -> int:
        """Milliseconds that only rise, from an arbitrary start."""
        ...


class SystemClock:
    """The machine's own."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        """Monotonic milliseconds."""
        return time.monotonic_ns() // 1_000_000


class HandClock:
    """Stands still until somebody turns it."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self.wall = now_ms
        self.mono = 0

    def now_ms(self) -> int:
        """The wall time it was turned to."""
        return self.wall

    def mono_ms(self) -> int:
        """How far it was turned since it was made."""
        return self.mono

    def turn(self, ms: int) -> None:
        """Move both times on."""
        self.wall += ms
        self.mono += ms
