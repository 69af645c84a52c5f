"""What time it is, and whether this device can be believed about it.

Owns the reading of clocks for the real agent; everything that decides gets a `Moment` as an argument. Never sets a clock.
"""

from __future__ import annotations

import ctypes
import os
import time

from penstock.agent.work import Moment

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMESYNCD = "/run/systemd/timesync/synchronized"
_UNSYNCED_BYTES = 512  # more than struct timex has on any architecture; all zero asks without setting


_libc = ctypes.CDLL(None)


def mono_ms() -> int:
    """Monotonic milliseconds since some point of this boot, suspended time not counted on every kernel alike; never goes back."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """Unix milliseconds as the system clock has them."""
    return time.time_ns() // 1_000_000


def boot_id() -> str:
    """The kernel's random id of this boot; empty where there is none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:
            return source.read(64).strip()
    except OSError:
        return ""


def synchronised() -> bool:
    """Whether the kernel, or timesyncd, says that somebody (chrony, timesyncd, ntpd, PTP) keeps the clock in time."""
    if os.path.exists(_TIMESYNCD):
        return True
    try:
        state: int = _libc.adjtimex(ctypes.create_string_buffer(_UNSYNCED_BYTES))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _TIME_ERROR


def kept_by_hardware() -> bool:
    """Whether the system clock was set from a hardware clock at start. Such a clock drifts, but does not begin at 1970."""
    try:
        clocks = os.listdir("/sys/class/rtc")
    except OSError:
        return False
    for name in clocks:
        try:
            with open(f"/sys/class/rtc/{name}/hctosys", encoding="ascii") as source:
                if source.read(2).strip() == "1":
                    return True
        except OSError:
            continue  # this one says nothing; another may
    return False


class Clock:
    """Moments. The question of trust costs system calls, so its answer is kept for a minute."""

    def __init__(self) -> None:
        self._boot = boot_id()
        self._trusted = False
        self._asked_ms = -60_000_000

    def now(self) -> Moment:
        """This moment."""
        mono = mono_ms()
        if mono - self._asked_ms >= 60_000:
            self._asked_ms = mono
            self._trusted = synchronised() or kept_by_hardware()
        return Moment(mono, wall_ms(), "trusted" if self._trusted else "untrusted", self._boot)
