"""Consent as it travels: what needs a yes, and the yes that a named person gave on site.

Owns the fields and limits. Whether a change waits for a yes is `rules.consent`. Times are unix milliseconds.
"""

from __future__ import annotations

from penstock.wire.record import record
from penstock.wire.types import digest_fault, name_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    Fault = Union[tuple[str, str], None]

NEEDS = ("release", "wave", "always")
ORIGINS = ("site", "centre")
FORMS = ("content", "wave", "until")
MAX_CONSENT_MS = 30 * 86_400_000  # so long a yes is good at most
MAX_RULES = 64
MAX_CONSENTS = 64


@record
class ConsentRule:
    """A yes is needed for what changes `app` (empty: every app). `need`: "release" once for each release, "wave" once for each wave of a rollout, "always" for
    every change, restarts and repairs too. A `need` this program does not know is taken for one that nothing satisfies. No rule: no yes is needed."""

    CHOICES = {"origin": ORIGINS}
    LIMITS = {"need": 32, "app": 63}

    need: str
    app: str = ""
    origin: str = "site"

    def check(self) -> Fault:
        return ("app", f"{name_fault(self.app)}") if self.app and name_fault(self.app) else None


@record
class Consent:
    """A yes to changes of `app`, given on site by a named person. `form` says to what: "content" (this content, a digest; empty: its withdrawal), "wave" (this
    wave of this rollout) or "until" (whatever comes before `until_ms`). Each ends at `until_ms` in any case. `revoked_ms` 0: it stands."""

    CHOICES = {"form": FORMS}
    LIMITS = {"id": 64, "app": 63, "by": 64, "by_name": 100, "rollout": 64, "revoked_by": 100, "remark": 300}

    id: str
    app: str
    form: str
    by: str
    by_name: str
    given_ms: int
    until_ms: int
    content: str = ""
    rollout: str = ""
    wave: int = 0
    remark: str = ""
    revoked_ms: int = 0
    revoked_by: str = ""

    def check(self) -> Fault:
        if name_fault(self.app):
            return ("app", f"{name_fault(self.app)}")
        for field in ("id", "by", "by_name"):
            text = getattr(self, field)
            if not text.strip() or not text.isprintable():
                return (field, "is a name in one line: a yes is given by somebody")
        if not self.remark.isprintable():
            return ("remark", "stands in one line")
        if self.form == "content" and self.content and digest_fault(self.content):
            return ("content", f"{digest_fault(self.content)}")
        if self.form != "content" and self.content:
            return ("content", "stands with form 'content', and only there")
        if (self.form == "wave") != bool(self.rollout) or (self.form != "wave" and self.wave):
            return ("rollout", "rollout and wave stand with form 'wave', and only there")
        if not 0 < self.until_ms - self.given_ms <= MAX_CONSENT_MS:
            return ("until_ms", f"lies after given_ms, by at most {MAX_CONSENT_MS // 86_400_000} days")
        if bool(self.revoked_ms) != bool(self.revoked_by) or self.revoked_ms < 0:
            return ("revoked_by", "stands with revoked_ms, and only there")
        return None
