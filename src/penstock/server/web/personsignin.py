"""How somebody else signs in, on their page: where they are signed in, and their second factor. For who looks after people on the whole fleet.

Owns what these two panels show and do; one's own stand on the account page. What they show they ask of the API's handlers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from penstock.apiv1 import access as r
from penstock.apiv1 import devices as d
from penstock.server.api import account
from penstock.server.core.breakglass import ID as BREAK_GLASS
from penstock.server.core.errors import Forbidden, Invalid
from penstock.server.core.model import PERSON
from penstock.server.core.rights import Target, allowed
from penstock.server.web.frame import PAGE_FAULTS, Go, read, refusal, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.apiv1.common import Outcome
    from penstock.server.web.frame import Ask


def standing(ask: Ask, person: r.User) -> dict[str, Any]:
    """What the panels show of a person: `signin` is none where the asker may not see it, for oneself, and for service accounts, which never sign in."""
    may = allowed(ask.actor.rights, ("users.read", "users.write"), Target())
    if person.kind != PERSON or person.id == ask.actor.id or "users.read" not in may:
        return {"signin": None}
    sessions = ask.ask(account.list_sessions_of, user=person.id).items
    factor = ask.ask(account.get_factor_of, user=person.id) if person.id != BREAK_GLASS else None  # it has its passphrase and nothing else
    return {"signin": {"sessions": sessions, "factor": factor, "may_end": "users.write" in may}}


def _done(ask: Ask, act: Callable[[], Outcome]) -> Go:
    """Back on the person's page, with what was done or why not. Raises Forbidden, which is recorded."""
    back = f"/people/{quote(ask.path['user'])}"
    try:
        return Go(back, act().said)
    except Forbidden:
        raise
    except PAGE_FAULTS as fault:
        return Go(back, refusal(told(fault)), "bad")


def end_session(ask: Ask) -> Go:
    """End one of somebody's sessions."""
    return _done(ask, lambda: ask.ask(account.end_session_of))


def end_sessions(ask: Ask) -> Go:
    """End all of somebody's sessions."""
    return _done(ask, lambda: ask.ask(account.end_sessions_of))


def take_factor(ask: Ask) -> Go:
    """Take away somebody's second factor; why goes on the record."""

    def act() -> Outcome:
        reason = ask.first("reason").strip()
        if not reason:
            raise Invalid("reason-needed", "taking away a second factor needs a reason", field="reason", remedy="say why; it goes on the record")
        return ask.ask(account.reset_factor, body=read(d.Reason, {"reason": reason}))  # type: ignore[no-any-return]

    return _done(ask, act)
