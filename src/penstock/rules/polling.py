"""When a device speaks to the plane again: the plane proposes, the device keeps within bounds of its own.

Owns the bounds, the jitter, the back-off after failures and the length of a long poll. Randomness comes as an argument: `draw` is a number from
0 to 999. Spans are milliseconds.
"""

from __future__ import annotations

LEAST_POLL_S = 5
MOST_POLL_S = 3_600
MOST_WAIT_S = 50
FIRST_BACKOFF_MS = 2_000
MOST_BACKOFF_MS = 600_000
MOST_RETRY_AFTER_S = 3_600


def poll_ms(poll_s: int, draw: int) -> int:
    """The pause before the next poll: what the plane set, within the device's bounds, spread by a tenth either way."""
    base = min(max(poll_s, LEAST_POLL_S), MOST_POLL_S) * 1000
    return base * 9 // 10 + base * 2 // 10 * min(max(draw, 0), 999) // 1000


def backoff_ms(failures: int, draw: int, retry_after_s: int = 0) -> int:
    """The pause after so many failures in a row: doubling, spread over its upper half, never shorter than the plane's Retry-After (within bounds)."""
    base = min(FIRST_BACKOFF_MS << min(max(failures, 1) - 1, 20), MOST_BACKOFF_MS)
    pause = base // 2 + base // 2 * min(max(draw, 0), 999) // 1000
    if retry_after_s > 0:
        asked = min(retry_after_s, MOST_RETRY_AFTER_S) * 1000
        return max(pause, asked + asked // 10 * min(max(draw, 0), 999) // 1000)
    return pause


def wait_s(granted_s: int) -> int:
    """How long a poll may be held open: what the plane grants, within the device's bound; 0 means not at all."""
    return min(max(granted_s, 0), MOST_WAIT_S)


def header_number(text: str, otherwise: int) -> int:
    """A whole number of seconds from a header; `otherwise` where it is none (an HTTP date in Retry-After counts as none)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else otherwise
