"""Saved views of the fleet's list: a name and the filters it stands for.

Owns which filters may be saved and their one way of writing. A cursor is none of them: a view begins at its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from penstock.server.core.errors import Invalid

FILTERS = ("q", "site", "show", "app", "group", "sort")
MOST = 50  # of one person
LONGEST_NAME, LONGEST = 60, 1000


@dataclass(frozen=True, slots=True)
class SavedView:
    """One person's name for some filters. `query` is the query text of the fleet's page."""

    id: str
    user: str
    name: str
    query: str
    created_ms: int


def name_of(text: str) -> str:
    """A view's name. Raises Invalid."""
    found = " ".join(text.split())
    if not 1 <= len(found) <= LONGEST_NAME or not found.isprintable():
        raise Invalid("view-name", f"a view's name has 1 to {LONGEST_NAME} characters", field="name", remedy="give it a short name, such as Line 3, drifted")
    return found


def query_of(text: str) -> str:
    """The filters in one way of writing: known ones only, each once, in a fixed order. Raises Invalid naming the one that is none."""
    if len(text) > LONGEST:
        raise Invalid(
            "view-query", f"the filters have more than {LONGEST} characters", field="query", remedy="narrow by a site or an app instead of a long text"
        )
    given: dict[str, str] = {}
    for key, value in parse_qsl(text.removeprefix("?"), keep_blank_values=True):
        if key not in FILTERS:
            raise Invalid("view-query", f"{key[:40]!r} is no filter of the fleet's list", field="query", remedy=f"use {', '.join(FILTERS)}")
        if value.strip():
            given[key] = value.strip()
    return urlencode({key: given[key] for key in FILTERS if key in given})
