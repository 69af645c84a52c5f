"""The plane's settings as they are kept, for the actions that need them. Changing them is `settings`'s."""

from __future__ import annotations

from penstock.server.actions.context import Plane
from penstock.server.core.sessions import IDLE_S, TOTAL_S
from penstock.server.core.views import PlaneSettings
from penstock.server.store import settings as store
from penstock.server.store.db import Tx
from penstock.wire.codec import from_plain, parse
from penstock.wire.messages import Endpoint

KEY = "plane"


def kept_endpoints(tx: Tx) -> list[object]:
    """The addresses an administrator has set, as they are kept; none where the plane's own count."""
    text, _ = store.get(tx, KEY)
    found: list[object] = parse(text.encode("utf-8"))["endpoints"] if text else []
    return found


def read(plane: Plane, tx: Tx) -> PlaneSettings:
    """The settings; addresses default to those the plane was started with."""
    text, revision = store.get(tx, KEY)
    own = tuple(Endpoint(url, plane.authorities) for url in plane.addresses)
    if not text:
        return PlaneSettings(endpoints=own)
    plain = parse(text.encode("utf-8"))
    endpoints = tuple(from_plain(Endpoint, one) for one in plain["endpoints"])
    return PlaneSettings(
        revision=revision + 1,
        poll_s=plain["poll_s"],
        fetch_bytes_per_s=plain["fetch_bytes_per_s"],
        log_quota_bytes=plain["log_quota_bytes"],
        leave_s=plain["leave_s"],
        session_idle_s=plain.get("session_idle_s", IDLE_S),
        session_total_s=plain.get("session_total_s", TOTAL_S),
        endpoints=endpoints or own,
    )


def remember(plane: Plane, found: PlaneSettings) -> None:
    """Keep at hand what is asked for with every request."""
    plane.poll_s, plane.session_idle_s, plane.session_total_s = found.poll_s, found.session_idle_s, found.session_total_s
