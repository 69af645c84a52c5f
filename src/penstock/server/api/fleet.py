"""Handlers for looking at the fleet: saved views, comparisons, the history of a site. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from penstock.apiv1 import fleet as shapes
from penstock.apiv1 import people
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import compare, saved, sites
from penstock.server.api import present, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.server.api.frame import Call
    from penstock.server.core.saved import SavedView

# What each of the numbers of the fleet's page stands for, as a query of devices.
SHOWS: dict[str, dict[str, str]] = {
    "": {},
    "healthy": {"phase": "soaked"},
    "moving": {"phase": ",".join(words.MOVING)},
    "waiting": {"phase": "waiting"},
    "failing": {"phase": "failed,reverting"},
    "silent": {"liveness": "silent"},
    "drifted": {"drift": "true"},
    "noway": {"way_back": "missing"},
    "outdated": {"outdated": "true"},
}


def filters_of(given: Mapping[str, str]) -> dict[str, str]:
    """What the filters of the fleet's page ask of devices; unknown values of "show" and "sort" are as none. What is typed is a name, or labels."""
    text = given.get("q", "")
    by_label = any(sign in text for sign in "=!(") and " " not in text.strip(" ")
    found = {key: given.get(key, "") for key in ("site", "app", "group")} | {"label" if by_label else "text": text}
    sort = given.get("sort", "")
    found |= SHOWS.get(given.get("show", ""), {}) | ({"sort": sort} if sort in ("name", "seen") else {})
    return {key: value for key, value in found.items() if value}


def _view(found: SavedView) -> shapes.SavedView:
    filters = filters_of(dict(parse_qsl(found.query)))
    return shapes.SavedView(id=found.id, name=found.name, query=found.query, filters=filters, created_ms=found.created_ms)


def list_views(call: Call) -> Page[shapes.SavedView]:
    """One's own saved views."""
    return Page(items=tuple(_view(view) for view in saved.list_views(call.plane, call.actor)))


def save_view(call: Call) -> shapes.SavedView:
    """Give filters a name."""
    return _view(saved.save_view(call.plane, call.actor, name=call.body.name, query=call.body.query))


def drop_view(call: Call) -> Outcome:
    """Forget a saved view."""
    saved.drop_view(call.plane, call.actor, view=call.path["view"])
    return Outcome(said="The view is removed; no device was touched.")


def compare_devices(call: Call) -> shapes.Comparison:
    """Two devices, side by side."""
    return present.comparison(compare.compare_devices(call.plane, call.actor, a=call.query.a, b=call.query.b))


def compare_sites(call: Call) -> shapes.Comparison:
    """Two sites, side by side."""
    return present.comparison(compare.compare_sites(call.plane, call.actor, a=call.query.a, b=call.query.b))


def site_history(call: Call) -> Page[people.HistoryItem]:
    """What was done at one site, newest first."""
    found = sites.site_history(call.plane, call.actor, site=call.path["site"], cursor=call.query.cursor, limit=call.query.limit)
    return present.page(found, present.history)
