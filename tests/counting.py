"""How much work something is, counted and not timed: the same number on a busy machine. Owns the counting; what is too much, each test says."""

from __future__ import annotations

import sys
from collections.abc import Callable


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called by `work`."""
    count = 0

    def counting(_frame, event, _what):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
