"""What time it is for decisions: never below the floor, and trusted only when there is reason to.

Owns the floor (build date, newest signed time) and the anchor: a signed time bound to our own question, from which the monotonic clock counts on
within one boot. Never reads a clock; moments come as arguments.
"""

from __future__ import annotations

from penstock.wire.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.agent.work import Moment

CLOSE_MS = 300_000  # a wall clock this near to the anchored time is as good
AGAIN_MS = 3_600_000  # how old the plane's word may grow before it is asked for again


@record
class Anchor:
    """`time_ms` was signed by the plane in answer to our nonce, received at `mono_ms` of `boot`."""

    boot: str
    mono_ms: int
    time_ms: int


class Timekeeper:
    """`floor_ms` rises with every signed time."""

    def __init__(self, floor_ms: int) -> None:
        self.floor_ms = floor_ms
        self._anchor: Anchor | None = None

    def signed(self, time_ms: int) -> None:
        """A time stood in something signed that was accepted."""
        self.floor_ms = max(self.floor_ms, time_ms)

    def anchor(self, time_ms: int, now: Moment) -> None:
        """The plane answered our own question with a signed time."""
        self.signed(time_ms)
        self._anchor = Anchor(now.boot_id, now.mono_ms, time_ms)

    def wants_word(self, now: Moment) -> bool:
        """Whether the plane should be asked for its word on the time and on our being current."""
        anchor = self._anchor
        return anchor is None or anchor.boot != now.boot_id or now.mono_ms - anchor.mono_ms >= AGAIN_MS

    def device_time(self, now: Moment) -> tuple[int, str]:
        """Unix milliseconds for decisions, and "trusted" or "untrusted"."""
        anchor = self._anchor
        if anchor is not None and anchor.boot == now.boot_id and now.mono_ms >= anchor.mono_ms:
            counted = anchor.time_ms + now.mono_ms - anchor.mono_ms
            if now.clock == "trusted" and abs(now.wall_ms - counted) <= CLOSE_MS:
                return max(now.wall_ms, self.floor_ms), "trusted"
            return max(counted, self.floor_ms), "trusted"
        if now.wall_ms >= self.floor_ms:
            return now.wall_ms, now.clock
        return self.floor_ms, "untrusted"

    def trouble(self, now: Moment) -> str:
        """A sentence when the system's clock is off; empty when it is not known to be."""
        time_ms, clock = self.device_time(now)
        if clock == "untrusted":
            return "the device's clock cannot be trusted; changes that need leave wait for the time from the plane"
        if abs(now.wall_ms - time_ms) > CLOSE_MS:
            return f"the system's clock is off by {abs(now.wall_ms - time_ms) // 1000} s; Penstock goes by the plane's signed time"
        return ""
