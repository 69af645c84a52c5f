"""Saved views: known filters only, one way of writing, and what is written is read as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.errors import Invalid
from penstock.server.core.saved import FILTERS, name_of, query_of


@given(st.dictionaries(st.sampled_from(FILTERS), st.text(max_size=12)))
def test_written_once_it_is_written_the_same_for_ever(given_filters):
    from urllib.parse import parse_qsl, urlencode

    written = query_of(urlencode(given_filters))
    assert query_of(written) == written
    assert dict(parse_qsl(written)) == {key: value.strip() for key, value in given_filters.items() if value.strip()}


def test_the_order_of_typing_does_not_matter():
    assert query_of("?show=drifted&q=line%3D3") == query_of("q=line%3D3&show=drifted&site=") == "q=line%3D3&show=drifted"


@pytest.mark.parametrize("text", ["cursor=abc", "next=https://elsewhere", "q=" + "x" * 1001])
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(Invalid) as refused:
        query_of(text)
    assert refused.value.field == "query"


@pytest.mark.parametrize("text", ["", "   ", "x" * 61, "a\x00b"])
def test_a_name_is_one_that_can_be_read(text):
    with pytest.raises(Invalid):
        name_of(text)


def test_a_name_loses_its_blanks():
    assert name_of("  Line 3,\n drifted ") == "Line 3, drifted"
