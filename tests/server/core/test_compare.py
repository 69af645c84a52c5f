"""Side by side: every name of either side is one row, and only equal texts are the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.compare import rows

side = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=6)


@given(side, side)
def test_every_name_of_either_side_is_one_row(a, b):
    found = rows("labels", a, b)
    assert [row.name for row in found] == sorted({*a, *b})
    for row in found:
        assert row.same == (a.get(row.name, "") == b.get(row.name, ""))


@given(side)
def test_nothing_differs_from_itself(a):
    assert all(row.same for row in rows("labels", a, a))


def test_swapped_sides_swap_the_columns():
    (row,) = rows("releases", {"shop": "1"}, {"shop": "2"})
    (back,) = rows("releases", {"shop": "2"}, {"shop": "1"})
    assert (row.a, row.b, row.same) == (back.b, back.a, False)
