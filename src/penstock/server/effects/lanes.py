"""Work that is costly on purpose, a few at a time: digests of passwords.

Owns how many are made at once and how many may wait for it, for each lane by itself, so that a flood in one lane neither fills the plane's threads nor holds up
another lane. Never decides which lane somebody is in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class LaneFull(RuntimeError):
    """As many as may wait are waiting already, or it took too long."""


class Lane:
    """At most `slots` at once, and `waiting` more that wait up to `wait_s` seconds."""

    def __init__(self, slots: int, waiting: int, wait_s: float = 3.0) -> None:
        self._slots = threading.Semaphore(slots)
        self._inside = threading.Semaphore(slots + waiting)
        self._wait_s = wait_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Do it in here. Raises LaneFull."""
        if not self._inside.acquire(blocking=False):
            raise LaneFull("too many wait already")
        try:
            if not self._slots.acquire(timeout=self._wait_s):
                raise LaneFull("it took too long")
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._inside.release()
