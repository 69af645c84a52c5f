"""Refused acts in the plane's record: that somebody known tried to change what they may not.

Owns which refusals are worth a line, and that nobody fills the record with them.
"""

from __future__ import annotations

from penstock.server.actions.context import Plane, note, throttled
from penstock.server.core.errors import Forbidden
from penstock.server.core.model import Actor

EVERY_MS = 60_000


def note_refused(plane: Plane, actor: Actor, *, verb: str, path: str, refused: Forbidden) -> None:
    """Append "access.refused" for a changing call, at most one a minute for each actor and verb. An old form is no attempt, and nobody is no actor."""
    if refused.code == "form-expired" or actor.kind == "nobody" or throttled(plane, f"refused {actor.id} {verb}", 1, EVERY_MS):
        return
    data = {"verb": verb, "path": path[:300], "code": refused.code, "name": verb}
    plane.db.update(lambda tx: note(plane, tx, actor, "access.refused", actor.id, outcome="refused", reason=refused.why, data=data))
