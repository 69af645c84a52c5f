"""Counting wrong passwords and codes, and taking turns at the costly part of judging them.

Owns the counts (in memory, bounded; a restart forgets them) and the three lanes: strangers, people where they signed in before or are signed in, and the
break-glass account, each of which a flood in another cannot fill. The rules are `core.guessing`'s.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.server.core.errors import Limited, Unavailable
from penstock.server.core.guessing import Rule, Tries, forgotten, one_more, wait_ms
from penstock.server.effects.lanes import Lane, LaneFull

if TYPE_CHECKING:
    from penstock.server.actions.context import Plane

KEPT = 20_000  # counts; the longest untouched goes first
RETRY_S = 3
STRANGERS, KNOWN, SEALED = "strangers", "known", "sealed"
RECORDED, RECORDED_MS = 30, 60_000  # refused attempts written into the record, in a minute; the next one says how many were not


class Attempts:
    """What a plane remembers of attempts to sign in."""

    def __init__(self, cores: int = os.cpu_count() or 1) -> None:
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, Tries] = OrderedDict()
        # At most half the cores for strangers, so that devices go on being served, and at most seven of the API's eight threads in here at all.
        self._lanes = {STRANGERS: Lane(min(2, max(1, cores // 2)), 1), KNOWN: Lane(1, 1), SEALED: Lane(1, 1)}
        self._recorded: list[int] = []
        self._unrecorded = 0

    def begin(self, keys: tuple[tuple[str, Rule], ...], now_ms: int) -> int:
        """Count an attempt as wrong until `forgive` says otherwise, so that many at once are many; milliseconds to wait, and nothing counted, where it is
        too early."""
        with self._lock:
            wait = max(wait_ms(rule, self._tries.get(key, Tries()), now_ms) for key, rule in keys)
            if wait:
                return wait
            for key, _ in keys:
                self._tries[key] = one_more(self._tries.get(key, Tries()), now_ms)
                self._tries.move_to_end(key)
            while len(self._tries) > KEPT:
                self._tries.popitem(last=False)
            return 0

    def forgive(self, keys: tuple[tuple[str, Rule], ...], now_ms: int) -> None:
        """It was right: the pair's count (the first key) is forgotten, of the others only this attempt, or a stranger could clear them with an account of his own."""
        with self._lock:
            self._tries.pop(keys[0][0], None)
            self._take_back(keys[1:], now_ms)

    def withdraw(self, keys: tuple[tuple[str, Rule], ...], now_ms: int) -> None:
        """It was never judged."""
        with self._lock:
            self._take_back(keys, now_ms)

    def _take_back(self, keys: tuple[tuple[str, Rule], ...], now_ms: int) -> None:
        for key, _ in keys:
            held = self._tries.get(key)
            if held is not None and not forgotten(held, now_ms):
                self._tries[key] = Tries(held.count - 1, held.last_ms)

    def recorded(self, now_ms: int) -> int | None:
        """Whether a refused attempt goes into the record: how many did not since the last that did; None to leave this one out."""
        with self._lock:
            self._recorded = [at for at in self._recorded if now_ms - at < RECORDED_MS]
            if len(self._recorded) >= RECORDED:
                self._unrecorded += 1
                return None
            self._recorded.append(now_ms)
            left_out, self._unrecorded = self._unrecorded, 0
            return left_out

    @contextmanager
    def turn(self, lane: str) -> Iterator[None]:
        """Judge in here. Raises Unavailable too-busy."""
        try:
            with self._lanes[lane].turn():
                yield
        except LaneFull:
            raise Unavailable("too-busy", "too many people are signing in just now", retry_s=RETRY_S, remedy=f"try again in {RETRY_S} seconds") from None


def admit(plane: Plane, keys: tuple[tuple[str, Rule], ...]) -> None:
    """Count an attempt. Raises Limited too-many-attempts where it comes too early."""
    wait = plane.attempts.begin(keys, plane.clock.mono_ms())
    if wait:
        seconds = -(-wait // 1000)
        raise Limited("too-many-attempts", "there were too many wrong attempts to sign in", retry_s=seconds, remedy=f"try again in {seconds} seconds")


def forgive(plane: Plane, keys: tuple[tuple[str, Rule], ...]) -> None:
    """It was right."""
    plane.attempts.forgive(keys, plane.clock.mono_ms())


@contextmanager
def judging(plane: Plane, lane: str, keys: tuple[tuple[str, Rule], ...]) -> Iterator[None]:
    """Count an attempt and judge it in here. Raises Limited, and Unavailable for one that is then not judged and does not count."""
    if keys:
        admit(plane, keys)
    try:
        with plane.attempts.turn(lane):
            yield
    except Unavailable:
        plane.attempts.withdraw(keys, plane.clock.mono_ms())
        raise
