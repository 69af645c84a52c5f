"""Selectors: what they mean, and where they are not understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.errors import Invalid
from penstock.server.core.model import Target
from penstock.server.core.targeting import KEY, check_labels, check_target, matches, meant, parse

LABELS = {"line": "paint", "zone": "3", "spare": "yes"}


@pytest.mark.parametrize(
    ("selector", "means"),
    [
        ("line=paint", True),
        ("line==paint", True),
        ("line=press", False),
        ("line!=press", True),
        ("line!=paint", False),
        ("nothing!=x", True),
        ("spare", True),
        ("nothing", False),
        ("!nothing", True),
        ("! spare", False),
        ("line in (paint, press)", True),
        ("line in(press)", False),
        ("line notin (press)", True),
        ("nothing notin (a)", True),
        ("nothing in (a)", False),
        (" line = paint , zone in ( 3 , 4 ) , !gone ", True),
        ("line=paint,zone=4", False),
        ("in=x", False),
        ("notin", False),
    ],
)
def test_what_a_selector_means(selector, means):
    assert matches(parse(selector), LABELS) is means


@pytest.mark.parametrize(
    ("selector", "place"),
    [
        ("line=", "character 6"),
        ("=x", "character 1"),
        ("line paint", "character 6"),
        ("line in paint", "character 9"),
        ("line in (paint", "character 15"),
        ("line in ()", "character 10"),
        ("a=b,", "character 5"),
        ("a=b;c", "character 4"),
        ("a=ü", "character 3"),
        ("!", "character 2"),
        ("x" * 64, "character 1"),
    ],
)
def test_where_it_is_not_understood(selector, place):
    with pytest.raises(Invalid) as refused:
        parse(selector)
    assert place in refused.value.why
    assert refused.value.field == "selector"


def test_all_devices_is_never_an_accident():
    for empty in ("", "   "):
        with pytest.raises(Invalid, match="empty"):
            parse(empty)
    for target in (Target(), Target(("a",), "line"), Target(("a",), group="g"), Target(selector="line", group="g"), Target(("a",), "line", "g")):
        with pytest.raises(Invalid, match="exactly one"):
            check_target(target)


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_refused(text):
    try:
        terms = parse(text)
    except Invalid:
        return
    assert terms


words = st.text(alphabet=sorted(KEY), min_size=1, max_size=8)


@given(st.dictionaries(words, words, max_size=5), words, words)
def test_laws(labels, key, value):
    check_labels(labels)
    assert matches(parse(f"{key}={value}"), labels) is not matches(parse(f"{key}!={value}"), labels)
    assert matches(parse(key), labels) is not matches(parse(f"!{key}"), labels)
    assert matches(parse(f"{key} in ({value})"), labels) is matches(parse(f"{key}={value}"), labels)


def test_a_list_keeps_the_fleets_order_and_ignores_strangers():
    fleet = [("a", {}), ("b", {"line": "paint"}), ("c", {})]
    assert meant(Target(("c", "x", "a")), fleet, {}) == ("a", "c")
    assert meant(Target(selector="line"), fleet, {}) == ("b",)


def test_a_group_means_who_is_in_it_now():
    fleet = [("a", {}), ("b", {"line": "paint"}), ("c", {})]
    members = {"g": frozenset({"c", "b", "retired"}), "empty": frozenset()}
    assert meant(Target(group="g"), fleet, members) == ("b", "c")
    assert meant(Target(group="empty"), fleet, members) == meant(Target(group="unknown"), fleet, members) == ()


@pytest.mark.parametrize("labels", [{"": "x"}, {"a b": "x"}, {"a": ""}, {"a": "b c"}, {"a" * 64: "x"}, {str(n): "x" for n in range(65)}])
def test_labels_that_no_selector_could_name(labels):
    with pytest.raises(Invalid):
        check_labels(labels)
