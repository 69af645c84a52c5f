"""The page that shows two devices or two sites side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.server.api import devices, fleet, people, queries
from penstock.server.web.frame import PAGE_FAULTS, Show, told

if TYPE_CHECKING:
    from penstock.server.web.frame import Ask

CHOICES = 1000  # devices offered to choose from


def compare(ask: Ask) -> Show:
    """Two devices or two sites: what differs, or everything."""
    kind = "sites" if ask.query.get("kind") == "sites" and ask.may("sites.read") else "devices"
    a, b = (ask.query.get(side, "")[:200] for side in ("a", "b"))
    found, problem = None, None
    try:
        if a and b:
            handler = fleet.compare_sites if kind == "sites" else fleet.compare_devices
            found = ask.ask(handler, query=queries.Compare(a=a, b=b))
    except PAGE_FAULTS as fault:
        problem = told(fault)
    if kind == "sites":
        choices = [(one.name, one.title or one.name) for one in ask.ask(people.list_sites).items]
    else:
        listed = ask.ask(devices.list_devices, query=queries.Devices(sort="name", limit=CHOICES))
        choices = [(one.name, f"{one.name}, {one.site}") for one in listed.items]
    return Show(
        "compare.html",
        {
            "kind": kind,
            "a": found.a.name if found else a,
            "b": found.b.name if found else b,
            "found": found,
            "everything": ask.query.get("all") == "yes",
            "choices": choices,
            "problem": problem,
        },
        problem.status if problem else 200,
    )
