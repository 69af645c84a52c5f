"""A list that comes in parts is the same list: in order, each item once, whatever comes and goes between two parts."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.api import queries
from penstock.server.api.lists import Order, part
from penstock.server.core.errors import Invalid


class Item(NamedTuple):
    id: str
    name: str
    at: int


ORDERS: dict[str, Order[Item]] = {
    "name": Order(lambda item: item.name, lambda item: item.id),
    "title": Order(lambda item: item.at, lambda item: item.id, down=True),
    "devices": Order(lambda item: item.at, lambda item: item.id),
}
ITEMS = st.lists(st.builds(Item, st.uuids().map(str), st.text(max_size=3), st.integers(0, 5)), max_size=30, unique_by=lambda item: item.id)


def text(item):
    return (item.name,)


def walked(found, sort, limit, between=lambda items: items):
    seen: list[Item] = []
    cursor = ""
    for _ in range(100):
        page = part(found, queries.Sites(sort=sort, cursor=cursor, limit=limit), ORDERS, text)
        assert len(page.items) <= limit
        seen += page.items
        cursor, found = page.next, between(found)
        if not cursor:
            return seen
    raise AssertionError("it never ends")


@given(ITEMS, st.sampled_from(sorted(ORDERS)), st.integers(1, 9))
def test_the_parts_are_the_whole_in_order(items, sort, limit):
    order = ORDERS[sort]
    whole = sorted(items, key=lambda item: (order.key(item), item.id), reverse=order.down)
    assert walked(items, sort, limit) == whole
    assert part(items, None, ORDERS).items == tuple(sorted(items, key=lambda item: (item.name, item.id))), "without a query: all, in the first order"


@given(ITEMS, st.sampled_from(sorted(ORDERS)), st.integers(1, 4), st.data())
def test_what_goes_in_between_moves_nothing(items, sort, limit, data):
    gone = set(data.draw(st.lists(st.sampled_from(items), max_size=5))) if items else set()
    seen = walked(items, sort, limit, lambda found: [item for item in found if item not in gone])
    assert len(seen) == len(set(seen))
    assert set(items) - gone <= set(seen)


@given(ITEMS, st.text(max_size=2))
def test_a_text_narrows_without_regard_to_case(items, wanted):
    found = part(items, queries.Sites(text=wanted, limit=queries.WHOLE), ORDERS, text).items
    assert set(found) == {item for item in items if wanted.casefold() in item.name.casefold()}


def test_a_cursor_of_another_order_or_list_is_refused():
    items = [Item(str(number), "x", number) for number in range(5)]
    cursor = part(items, queries.Sites(sort="name", limit=2), ORDERS).next
    assert cursor
    for sort in ("title", "devices"):
        with pytest.raises(Invalid, match="another"):
            part(items, queries.Sites(sort=sort, cursor=cursor, limit=2), ORDERS)
    with pytest.raises(Invalid):
        part(items, queries.Sites(cursor="bm9uc2Vuc2U", limit=2), ORDERS)
    with pytest.raises(Invalid):
        part(items, queries.Sites(cursor="W10", limit=2), ORDERS)
    numbered: dict[str, Order[Item]] = {"name": Order(lambda item: item.at, lambda item: item.id)}
    with pytest.raises(Invalid, match="another"):
        part(items, queries.Sites(cursor=cursor, limit=2), numbered)


def test_every_list_takes_the_same_names():
    lists = (queries.Sites, queries.Apps, queries.Releases, queries.Deployments, queries.Rollouts, queries.Enrolments, queries.Joins, queries.Tokens)
    for shape in lists:
        names = {field.name for field in msgspec.structs.fields(shape)}
        assert {"cursor", "limit", "sort"} <= names
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"limit": queries.WHOLE}, type=shape)
