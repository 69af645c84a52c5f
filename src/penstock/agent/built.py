"""When this agent was built. The time floor of a device that has not yet heard any signed time: it cannot be earlier than this.

Owns one number; the packager may write it anew, and it only ever rises.
"""

from __future__ import annotations

BUILT_MS = 1_795_219_200_000  # 2026-11-21T00:00:00Z
