"""Who is asking: a bearer token of a program, or the session cookie of a browser.

Owns the cookie's name, form tokens (masked, so that compressing a page gives nothing away) and the checks that a change really comes from
our own pages. Who may do what is `core.access`; whether a secret is good is `actions`.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.server.actions import sessions, tokens
from penstock.server.core.errors import Forbidden
from penstock.server.core.model import Actor

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection

    from penstock.server.actions.context import Plane
    from penstock.server.core.views import SignedIn

COOKIE = "__Host-penstock"
NOBODY = Actor("nobody", "", "nobody")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and by which session if by one."""

    actor: Actor
    signed_in: SignedIn | None = None

    @property
    def csrf(self) -> str:
        """The session's form token, or empty."""
        return self.signed_in.session.csrf if self.signed_in else ""


def nobody() -> Asker:
    """Somebody who brings nothing."""
    return Asker(NOBODY)


def identify(plane: Plane, bearer: str, cookie: str) -> Asker:
    """Who a request's secrets belong to; nobody when it brings none. Raises Unauthenticated when one is brought that is no longer good."""
    if bearer:
        return Asker(tokens.token_actor(plane, bearer))
    if cookie:
        found = sessions.who(plane, cookie)
        return Asker(found.actor, found)
    return nobody()


def bearer_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The bearer token of a request, or empty."""
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def mask(token: str) -> str:
    """A form token in another dress each time."""
    raw = token.encode()
    pad = secrets.token_bytes(len(raw))
    return pad.hex() + bytes(a ^ b for a, b in zip(raw, pad, strict=True)).hex()


def unmask(text: str) -> str:
    """The token inside; empty when it is none."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return ""
    half = len(raw) // 2
    return bytes(a ^ b for a, b in zip(raw[:half], raw[half:], strict=False)).decode("utf-8", "replace")


def check_form(token: str, given: str, site: str) -> None:
    """Raise Forbidden unless `given` is the masked `token` and the browser does not say that the request came from elsewhere."""
    if site not in ("", "same-origin", "none") or not token or not hmac.compare_digest(unmask(given).encode(), token.encode()):
        raise Forbidden("form-expired", "this form is not from this session, or is too old", remedy="load the page again and repeat")
