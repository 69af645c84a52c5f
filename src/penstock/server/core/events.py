"""Lines of the plane's own record.

Owns the verbs that may stand there and the shape of a line. Writing them is the store's work; there is no other way to change one.
"""

from __future__ import annotations

from typing import Any

from penstock.server.core.model import Actor


def line(
    actor: Actor,
    at_ms: int,
    verb: str,
    subject: str,
    *,
    site: str = "",
    app: str = "",
    outcome: str = "done",
    reason: str = "",
    data: dict[str, str] | None = None,
) -> dict[str, Any]:
    """One line: who did what (`verb`, dotted, e.g. "device.approved") to which `subject` (an id), where, with what outcome and why."""
    return {
        "at_ms": at_ms,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "site": site,
        "verb": verb,
        "subject": subject,
        "outcome": outcome,
        "reason": reason[:2000],
        "device": subject if subject.startswith("dev_") else "",
        "app": app,
        "data": {key: value[:2000] for key, value in (data or {}).items()},
    }
