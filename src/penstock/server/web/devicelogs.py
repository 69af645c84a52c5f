"""The page of a service's log lines: the newest that were fetched, and fetching more.

Lines are asked of the device by a command, once for each look; the page's script asks again while somebody follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from penstock.apiv1 import devices as d
from penstock.server.api import devices, queries
from penstock.server.web.frame import Go, Show, read

if TYPE_CHECKING:
    from penstock.server.web.frame import Ask

LOOK_BACK = 100  # commands looked through for the newest of this service
LINES = ("100", "200", "1000", "2000")


def logs(ask: Ask) -> Show:
    """The newest lines of one service that the device has sent."""
    found: d.Device = ask.ask(devices.get_device)
    services = [(app.app, one.service) for app in found.apps for one in app.services]
    app, service = ask.query.get("app", "")[:63], ask.query.get("service", "")[:63]
    if not app and not service and services:
        app, service = services[0]
    lines = ask.query.get("lines", "") if ask.query.get("lines") in LINES else "200"
    given = [
        one
        for one in ask.ask(devices.list_commands, query=queries.Paging(limit=LOOK_BACK)).items
        if one.verb == "logs" and one.arguments.get("app") == app and one.arguments.get("service") == service
    ]
    return Show(
        "device_logs.html",
        {
            "device": found,
            "s": found.summary,
            "tab": "logs",
            "app": app,
            "service": service,
            "services": services,
            "lines": lines,
            "choices": LINES,
            "command": given[0] if given else None,
            "shown": next((one for one in given if one.outcome == "done"), None),
        },
    )


def fetch(ask: Ask) -> Go:
    """Ask the device for the lines; they come onto the page by themselves."""
    given = {"verb": "logs", **{key: ask.first(key) for key in ("app", "service", "lines") if ask.first(key)}}
    made = ask.ask(devices.order, body=read(d.CommandCreate, given))
    return Go(f"/devices/{made.device}/logs?{urlencode({key: value for key, value in given.items() if key != 'verb'})}")
