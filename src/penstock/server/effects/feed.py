"""A stream that a thread makes and a connection takes: pieces handed over one by one.

Owns how far the maker may run ahead, how long it waits for a taker, and that each learns when the other has gone. Never knows what the pieces are.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable

AHEAD = 16  # pieces made and not yet taken
STALL_S = 60.0  # nothing taken for so long: the taker has gone, whatever its connection says
LONGEST_S = 24 * 3600.0
LOOK_S = 0.5


class Gone(RuntimeError):
    """Nobody takes it any more."""


class Feed:
    """One stream. The maker's thread calls `write` and in the end `finish`; the taker goes through `pieces`, once."""

    def __init__(self, stall_s: float = STALL_S, longest_s: float = LONGEST_S) -> None:
        self._pieces: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._gone, self._taken, self._over = threading.Event(), threading.Event(), threading.Event()
        self._stall_s, self._ends = stall_s, time.monotonic() + longest_s
        self._took = 0.0  # when a piece was taken last
        self._why = "whoever asked for it has gone, or the control plane is stopping"  # said again to a maker that writes on
        self._failed = True
        self._thread: threading.Thread | None = None

    # --- the maker ----------------------------------------------------------------------------------------------------------

    def start(self, work: Callable[[], object], then: Callable[[], object]) -> None:
        """Run `work` in a thread of its own, and `then` after it however it ends. What `work` raises it has said elsewhere: the taker learns only that."""

        def run() -> None:
            try:
                work()
                self._failed = False
            except Exception:  # noqa: BLE001, S110 - said elsewhere
                pass
            finally:
                try:
                    then()
                finally:
                    self._over.set()

        self._thread = threading.Thread(target=run, name="feed", daemon=True)
        self._thread.start()

    def write(self, piece: bytes | None) -> None:
        """Hand a piece over. Raises Gone."""
        since = time.monotonic()
        while not self._gone.is_set():
            try:
                return self._pieces.put(piece, timeout=LOOK_S)
            except queue.Full:
                self._judge(since)
        raise Gone(self._why)

    def _judge(self, since: float) -> None:
        """Give the taker up who has taken nothing for too long, or takes for ever."""
        now = time.monotonic()
        if now - max(since, self._took) >= self._stall_s:
            self._why = f"nothing of it was taken for {self._stall_s:.0f} s"
            self._gone.set()
        elif now >= self._ends:
            self._why = "it took too long"
            self._gone.set()

    def finish(self) -> None:
        """There is no more; wait until all of it was taken. Raises Gone."""
        self.write(None)
        since = time.monotonic()
        while not self._taken.wait(LOOK_S):
            self._judge(since)
            if self._gone.is_set():
                raise Gone(self._why)

    def stop(self, wait_s: float = 0.0) -> None:
        """End it from outside; wait so long for the thread."""
        self._gone.set()
        if self._thread is not None and wait_s:
            self._thread.join(wait_s)

    # --- the taker ----------------------------------------------------------------------------------------------------------

    def _take(self) -> bytes | None:
        """The next piece; None for the end the maker has said. Raises Gone where there is none to come."""
        while not self._gone.is_set():
            try:
                piece = self._pieces.get(timeout=LOOK_S)
            except queue.Empty:
                if self._over.is_set():
                    raise Gone("it was not made to its end") from None
                continue
            self._took = time.monotonic()
            return piece
        raise Gone(self._why)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Every piece. Raises Gone where the maker failed, so that what was sent does not end as if it were whole."""
        try:
            while (piece := await asyncio.to_thread(self._take)) is not None:
                yield piece
            self._taken.set()
            while not await asyncio.to_thread(self._over.wait, LOOK_S):
                pass
            if self._failed:
                raise Gone("it was not made to its end")
        finally:
            self._gone.set()
