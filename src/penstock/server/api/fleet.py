"""Handlers for looking at the fleet: saved views, comparisons, the history of a site. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import fleet as shapes
from penstock.apiv1 import people
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import compare, saved, sites
from penstock.server.api import present

if TYPE_CHECKING:
    from penstock.server.api.frame import Call


def list_views(call: Call) -> Page[shapes.SavedView]:
    """One's own saved views."""
    return Page(items=tuple(present.saved_view(view) for view in saved.list_views(call.plane, call.actor)))


def save_view(call: Call) -> shapes.SavedView:
    """Give filters a name."""
    return present.saved_view(saved.save_view(call.plane, call.actor, name=call.body.name, query=call.body.query))


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
