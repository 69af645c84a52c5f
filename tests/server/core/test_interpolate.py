"""Templates against the Compose specification's table, and what is different on purpose."""

from __future__ import annotations

import pytest

from penstock.server.core.interpolate import MAX_LENGTH, Hole, TemplateError, Use, evaluate, fill, holes, literal, parameters, parse

VALUES = {"SET": "value", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$SET", "value"),
        ("${SET}", "value"),
        ("a${SET}b$SET-c", "avalueb" + "value-c"),
        ("$$SET", "$SET"),
        ("$$$SET", "$value"),
        ("${EMPTY}", ""),
        ("${SET:-other}", "value"),
        ("${SET-other}", "value"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY-other}", ""),
        ("${UNSET:-other}", "other"),
        ("${UNSET-other}", "other"),
        ("${UNSET:-}", ""),
        ("${SET:?message}", "value"),
        ("${EMPTY?message}", ""),
        ("${SET:+other}", "other"),
        ("${EMPTY:+other}", ""),
        ("${EMPTY+other}", "other"),
        ("${UNSET:+other}", ""),
        ("${UNSET+other}", ""),
        ("${UNSET:-${SET}}", "value"),
        ("${UNSET:-${ALSO:-deep$$}}!", "deep$!"),
        ("${UNSET:-a:b-c?d}", "a:b-c?d"),
        ("{}}", "{}}"),
    ],
)
def test_as_compose_has_it(text, value):
    assert evaluate(parse(text), VALUES) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${UNSET}", "UNSET has no value"),  # Compose puts nothing and warns
        ("$UNSET", "UNSET has no value"),
        ("${UNSET:?which ${SET}}", "UNSET has no value: which value"),
        ("${UNSET?}", "UNSET has no value"),
        ("${EMPTY:?which}", "EMPTY is empty: which"),
    ],
)
def test_what_is_missing_is_said(text, why):
    with pytest.raises(TemplateError, match=why.replace("$", r"\$")) as caught:
        evaluate(parse(text), VALUES)
    assert caught.value.missing in ("UNSET", "EMPTY")


@pytest.mark.parametrize(
    "text", ["$", "a$ b", "$1", "${", "${}", "${1}", "${A", "${A!b}", "${A:b}", "${A:-b", "${A:-${B}", "${A b}", "$-" + "{A}", "${A:-" * 20 + "}" * 20]
)
def test_what_is_no_template(text):
    with pytest.raises(TemplateError):
        parse(text)


def test_a_value_is_limited():
    template = parse("${A}${A}")
    with pytest.raises(TemplateError, match="more than the 32768"):
        evaluate(template, {"A": "x" * (MAX_LENGTH // 2 + 1)})


def test_literal():
    assert literal(parse("a$$b")) == "a$b"
    assert literal(parse("a${B}")) is None
    assert parse("${A:-${B}}") == (Use("A", ":-", (Use("B"),)),)


def test_one_use_that_demands_a_value_makes_it_required():
    found = parameters([("x", parse("${A:-1} ${B:-2} ${C:-3} ${C:-4} ${D+${E}}")), ("y", parse("${A}"))], frozenset(["B"]))
    shown = {item.name: (item.default, item.required, item.secret, item.used_at) for item in found}
    assert shown == {
        "A": (None, True, False, ("x", "y")),
        "B": ("2", False, True, ("x",)),
        "C": (None, False, False, ("x",)),
        "D": (None, False, False, ("x",)),
        "E": (None, False, False, ("x",)),
    }


def test_holes_are_filled_and_lists_take_their_place():
    plain = {"a": [Hole("x", "r"), 1, {"b": Hole("y", "r")}], "c": Hole("z", "r")}
    assert [hole.text for hole in holes(plain)] == ["x", "y", "z"]
    given = {"x": [7, 8], "y": "why", "z": ["a"]}
    assert fill(plain, lambda hole: given[hole.text]) == {"a": [7, 8, 1, {"b": "why"}], "c": ["a"]}
