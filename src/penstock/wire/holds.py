"""Holds as they travel: a leased "not now" on a device, or on one app of it.

Owns the fields and limits. Whether one stands, and until when, is `rules.holds`; who may let it go is `rules.overrule`. Times are unix milliseconds.
"""

from __future__ import annotations

from penstock.wire.record import record
from penstock.wire.types import name_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Fault = Union[tuple[str, str], None]

SCOPES = ("device", "app")
OWNERS = ("person", "program", "centre")
ORIGINS = ("site", "centre")
MAX_LEASE_MS = 30 * 86_400_000  # one lease; a longer hold is renewed, so that somebody still wants it
MAX_HOLDS = 64  # on one device


@record
class Hold:
    """A lease. `owner` is the id of a person or the name of a program, `owner_name` what people call it; `origin` tells whether it was taken on site or placed
    at the centre. A renewal keeps the id, raises `revision` and moves both times. `released_ms` 0: nobody has let it go."""

    CHOICES = {"scope": SCOPES, "owner_kind": OWNERS, "origin": ORIGINS}
    LIMITS = {"id": 80, "app": 63, "reason": 300, "owner": 80, "owner_name": 100, "released_by": 100}

    id: str
    scope: str
    reason: str
    owner_kind: str
    owner: str
    origin: str
    placed_ms: int
    expires_ms: int
    app: str = ""
    owner_name: str = ""
    revision: int = 1
    released_ms: int = 0
    released_by: str = ""

    def check(self) -> Fault:
        for field in ("id", "owner"):
            text = getattr(self, field)
            if not text or not text.isprintable():
                return (field, "is a name in one line")
        if not self.reason.strip() or not self.reason.isprintable():
            return ("reason", "says in one line why nothing may be changed now")
        if (self.scope == "app") != bool(self.app):
            return ("app", "names the app for scope 'app', and is empty for the whole device")
        if self.app and name_fault(self.app):
            return ("app", f"{name_fault(self.app)}")
        if not self.owner_name.isprintable() or not self.released_by.isprintable():
            return ("owner_name", "stands in one line")
        if not 0 < self.expires_ms - self.placed_ms <= MAX_LEASE_MS:
            return ("expires_ms", f"lies after placed_ms, by at most {MAX_LEASE_MS // 86_400_000} days; a hold that is needed for longer is renewed")
        if self.placed_ms < 0 or self.revision < 1 or self.released_ms < 0:
            return ("revision", "revisions begin at 1, times at 0")
        if bool(self.released_ms) != bool(self.released_by):
            return ("released_by", "stands with released_ms, and only there")
        return None
