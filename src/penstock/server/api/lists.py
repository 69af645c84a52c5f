"""Parts of lists that an action gives whole: sites, groups, apps, deployments, enrolments, join tokens, one's own API tokens.

Owns their order, their text filter and their cursor: a cursor names the last item that was given, so that what is added or goes meanwhile moves
nothing. Lists that grow with the fleet or with time (devices, members, timelines, acts, commands, releases, rollouts, people) are cut by their stores
instead. Those cut here are made by hand, one at a time, and their order or their filter is by what no column holds: sites and groups by how many devices
they have, apps by their newest release, join tokens by whether they still let anybody in. A deployment is seen by who sees one of its devices, enrolments
that were not approved go after thirty days, and a person's own tokens are few. With 5 000 sites a part takes a quarter of a second; see
tests/server/store/test_pages.py for what the store's parts must be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.apiv1.common import Page
from penstock.server.actions.context import make_cursor, read_cursor
from penstock.server.core.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from penstock.server.api.queries import Listed

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Order(Generic[A]):
    """By what a list is sorted: `key`, then `ident`, which no two items share; `down`: the greatest first."""

    key: Callable[[A], str | int]
    ident: Callable[[A], str]
    down: bool = False


def part(found: Iterable[A], query: Listed | None, orders: Mapping[str, Order[A]], text: Callable[[A], tuple[str, ...]] | None = None) -> Page[A]:
    """The part of a list that `query` asks for; all of it, in the first of the orders, without one. `text`: what its text filter looks in. Raises
    Invalid for a cursor that is not ours, or that was made for another order."""
    sort = query.sort if query is not None else next(iter(orders))
    order = orders[sort]

    def place(item: A) -> tuple[str | int, str]:
        return order.key(item), order.ident(item)

    items = sorted(found, key=place, reverse=order.down)
    if query is None:
        return Page(items=tuple(items))
    wanted = getattr(query, "text", "").casefold()
    if wanted and text is not None:
        items = [item for item in items if any(wanted in one.casefold() for one in text(item))]
    after = _after(query.cursor, sort)
    if after is not None:
        if items and type(after[0]) is not type(place(items[0])[0]):
            raise _unknown()
        items = [item for item in items if (place(item) < after if order.down else place(item) > after)]
    shown = items[: query.limit]
    return Page(items=tuple(shown), next=make_cursor(sort, *place(shown[-1])) if len(items) > len(shown) else "")


def _after(cursor: str, sort: str) -> tuple[str | int, str] | None:
    if not cursor:
        return None
    try:
        found = read_cursor(cursor, str, str, str)
    except Invalid:
        found = read_cursor(cursor, str, int, str)
    if found is None or found[0] != sort:
        raise _unknown()
    return found[1], found[2]


def _unknown() -> Invalid:
    return Invalid("cursor-unknown", "the cursor was made for another list, or another order of it", field="cursor", remedy="begin again without one")
