"""What an administrator sets: reading and changing it. A change that devices must know gives every device a new document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.server.actions.context import Plane, note
from penstock.server.actions.planesettings import KEY, kept_endpoints, read, remember
from penstock.server.actions.states import owe
from penstock.server.core.access import permit
from penstock.server.core.errors import Invalid
from penstock.server.core.model import SYSTEM, Actor
from penstock.server.core.rights import Target
from penstock.server.core.sessions import LEAST_IDLE_S, LEAST_TOTAL_S, MOST_IDLE_S, MOST_TOTAL_S
from penstock.server.core.views import PlaneSettings
from penstock.server.store import devices
from penstock.server.store import settings as store
from penstock.server.store.db import Tx
from penstock.wire.codec import WireError, canonical, to_plain
from penstock.wire.join import pem_fault
from penstock.wire.messages import Endpoint
from penstock.wire.types import sha256_of
from penstock.wire.urls import read_url

FOR_DEVICES = ("poll_s", "fetch_bytes_per_s", "log_quota_bytes", "leave_s")
FOR_PEOPLE = ("session_idle_s", "session_total_s")
ANNOUNCED = "announced-endpoints"


def get_settings(plane: Plane, actor: Actor) -> PlaneSettings:
    """The settings as they are."""
    permit(actor, "settings.read", Target())
    return plane.db.view(lambda tx: read(plane, tx))


def _check(found: PlaneSettings) -> None:
    for name, value, least, most, unit in (
        ("poll_s", found.poll_s, 5, 86_400, "seconds"),
        ("fetch_bytes_per_s", found.fetch_bytes_per_s, 0, 10**10, "bytes per second"),
        ("log_quota_bytes", found.log_quota_bytes, 1024 * 1024, 2**34, "bytes"),
        ("leave_s", found.leave_s, 300, 30 * 86_400, "seconds"),
        ("session_idle_s", found.session_idle_s, LEAST_IDLE_S, MOST_IDLE_S, "seconds"),
        ("session_total_s", found.session_total_s, LEAST_TOTAL_S, MOST_TOTAL_S, "seconds"),
    ):
        if not least <= value <= most:
            raise Invalid("setting-out-of-range", f"{name} is {value}; it must be {least} to {most} {unit}", field=name)
    if found.session_idle_s > found.session_total_s:
        raise Invalid("setting-out-of-range", "session_idle_s is longer than session_total_s", field="session_idle_s", remedy="make it at most as long")
    if len(found.endpoints) > 8:
        raise Invalid("setting-out-of-range", "there can be at most 8 endpoints", field="endpoints")
    for index, endpoint in enumerate(found.endpoints):
        try:
            read_url(endpoint.url, path=f"endpoints[{index}].url")
            if endpoint.proxy:
                read_url(endpoint.proxy, ("http",), f"endpoints[{index}].proxy")
            for place, pem in enumerate(endpoint.ca):
                pem_fault(pem, f"endpoints[{index}].ca[{place}]")
        except WireError as fault:
            raise Invalid("endpoint-malformed", fault.why, field=fault.path, remedy="write it as https://host:port") from None


def change_settings(
    plane: Plane,
    actor: Actor,
    *,
    revision: int,
    poll_s: int | None = None,
    fetch_bytes_per_s: int | None = None,
    log_quota_bytes: int | None = None,
    leave_s: int | None = None,
    session_idle_s: int | None = None,
    session_total_s: int | None = None,
    endpoints: tuple[Endpoint, ...] | None = None,
    reason: str = "",
) -> PlaneSettings:
    """Change what is given. Endpoints are tried by devices beside the old ones and committed after a check-in; an empty tuple means the addresses
    the plane was started with. Raises Stale."""
    permit(actor, "settings.write", Target())

    def work(tx: Tx) -> PlaneSettings:
        before = read(plane, tx)
        given: dict[str, Any] = {
            name: value
            for name, value in (
                ("poll_s", poll_s),
                ("fetch_bytes_per_s", fetch_bytes_per_s),
                ("log_quota_bytes", log_quota_bytes),
                ("leave_s", leave_s),
                ("session_idle_s", session_idle_s),
                ("session_total_s", session_total_s),
                ("endpoints", endpoints),
            )
            if value is not None
        }
        after = replace(before, **given)
        _check(after)
        plain = {name: getattr(after, name) for name in (*FOR_DEVICES, *FOR_PEOPLE)}
        # What was never set stays unset, so that it goes on following the addresses and authorities the plane is started with.
        plain["endpoints"] = [to_plain(one) for one in endpoints] if endpoints is not None else kept_endpoints(tx)
        store.change(tx, KEY, revision - 1, canonical(plain).decode("ascii"))
        note(plane, tx, actor, "settings.changed", "plane", reason=reason, data={name: str(value)[:500] for name, value in given.items()})
        if not given.keys() <= set(FOR_PEOPLE):
            owe(plane, tx, list(devices.ids(tx)))
        tx.after(lambda: remember(plane, after))
        return read(plane, tx)

    return plane.db.update(work)


def announce(plane: Plane) -> bool:
    """Tell the fleet, through signed state, when the plane was started with other addresses or authorities than before; whether it was."""

    def work(tx: Tx) -> bool:
        endpoints = read(plane, tx).endpoints
        text = sha256_of(canonical([to_plain(one) for one in endpoints]))
        before, _ = store.get(tx, ANNOUNCED)
        if before == text:
            return False
        store.put(tx, ANNOUNCED, text)
        if before:
            note(plane, tx, SYSTEM, "plane.endpoints", "plane", data={"urls": " ".join(one.url for one in endpoints)[:500]})
            owe(plane, tx, list(devices.ids(tx)))
        return True

    return plane.db.update(work)
