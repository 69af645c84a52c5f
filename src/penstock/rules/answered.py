"""What a gate answers, open or shut, and the kinds of change it is asked about.

Owns these words only, so that every gate can use them: authorisation, holds, consent, interlocks. Which of them are asked is `gates`' affair.
"""

from __future__ import annotations

from penstock.wire.messages import Authorisation
from penstock.wire.record import record

# Every kind of change; starting what should be running is none.
KINDS = ("install", "update", "revert-remote", "revert-local", "restart", "recreate", "uninstall", "agent-update")


@record
class Open:
    """It may. `leave` is the authorisation it happens under, where it needs one."""

    why: str
    leave: Authorisation | None = None


@record
class Shut:
    """It may not. `reason` is stable; `until_ms` is device time when that is known to end, 0 when not."""

    reason: str
    why: str
    until_ms: int = 0
