"""The driver of all reconcilers: calls each by timer or when poked, never twice at a time, and remembers how it went.

Owns threads and timing only. A step that raises is told to the log, tried again after a growing pause, and never stops the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class Reconciler:
    """One loop. `act` does one step and says whether there is more to do at once. `every_s`: how often without being poked."""

    name: str
    act: Callable[[], bool]
    every_s: float
    pokes: tuple[str, ...] = ()


@dataclass(slots=True)
class Status:
    """How a reconciler is doing."""

    runs: int = 0
    failures: int = 0
    last_fault: str = ""
    busy: bool = False
    streak: int = field(default=0)


class Driver:
    """Runs reconcilers, each in a thread of its own, until stopped."""

    def __init__(self, reconcilers: tuple[Reconciler, ...], complain: Callable[[str, BaseException], None]) -> None:
        self._reconcilers = reconcilers
        self._complain = complain
        self._stop = threading.Event()
        self._bells = {one.name: threading.Event() for one in reconcilers}
        self._threads: list[threading.Thread] = []
        self.status: Mapping[str, Status] = {one.name: Status() for one in reconcilers}

    def start(self) -> None:
        """Begin."""
        for one in self._reconcilers:
            thread = threading.Thread(target=self._loop, args=(one,), name=f"reconciler-{one.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def poke(self, what: str) -> None:
        """Something happened: whoever waits for `what` looks at once."""
        for one in self._reconcilers:
            if what == one.name or what in one.pokes:
                self._bells[one.name].set()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End after the steps under way; whether all ended in time."""
        self._stop.set()
        for bell in self._bells.values():
            bell.set()
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self, one: Reconciler) -> None:
        bell, status = self._bells[one.name], self.status[one.name]
        while not self._stop.is_set():
            bell.clear()
            pause = self._once(one, status)
            if pause > 0:
                bell.wait(pause)
            if status.streak:  # a poke does not shorten the pause after a failure
                self._stop.wait(min(LONGEST_PAUSE_S, 0.5 * 2 ** min(status.streak, 7)))

    def _once(self, one: Reconciler, status: Status) -> float:
        status.busy = True
        try:
            more = one.act()
        except Exception as fault:  # noqa: BLE001 - told, counted and tried again; the others go on
            status.failures += 1
            status.streak += 1
            status.last_fault = f"{type(fault).__name__}: {fault}"[:300]
            self._complain(f"reconciler {one.name}", fault)
            return 0.0
        finally:
            status.busy = False
            status.runs += 1
        status.streak = 0
        return 0.0 if more else one.every_s
