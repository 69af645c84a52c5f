"""The native half of json says what json says, value for value and refusal for refusal; and without it json serves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.wire import jsontext
from tests.needs import find_python

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_values_are_written_and_read_as_json_does(value, sort_keys):
    text = jsontext.writer(sort_keys=sort_keys)(value)
    assert text == json.dumps(value, sort_keys=sort_keys, separators=(",", ":"))
    assert jsontext.loads(f" {text}\n") == json.loads(text)


@given(st.text() | st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\u'))
def test_any_text_is_read_or_refused_as_json_does(text):
    def constant(name):
        raise ValueError(name)

    try:
        expected = json.loads(text, parse_constant=constant)
    except ValueError:
        with pytest.raises(ValueError):
            jsontext.loads(text)
    else:
        assert jsontext.loads(text) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: object()}, b"x"])
def test_what_has_no_form_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        jsontext.dumps(value)


def test_depth_is_an_error_and_no_crash():
    with pytest.raises(RecursionError):
        jsontext.loads("[" * 200_000)
    deep: list[object] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        jsontext.dumps(deep)


def test_what_is_malformed_is_refused_where_nobody_has_imported_json():
    """As in the agent: the native scanner then has no exception of its own to raise."""
    program = """
import sys
sys.path.insert(0, "src")
from penstock.wire.codec import WireError, parse
assert "json" not in sys.modules
for text in ['{"a":"b', '"\\\\x"', '{"a" 1}', '{"a":1', '{1:2}', '[1', '[1 2]', '"\\\\u12', '', '{', '"a\\nb"', 'nul', '-', '[1,]', '{"a":1,}', '1 1', '"\\\\ud800']:
    try:
        parse(text.encode())
    except WireError as fault:
        assert fault.why.startswith("not JSON"), (text, fault.why)
    else:
        raise AssertionError(text)
print("refused")
"""
    for python in dict.fromkeys([sys.executable, *filter(None, [find_python("3.9")])]):
        done = subprocess.run([python, "-I", "-S", "-c", program], capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.strip() == "refused", done.stderr


def test_without_the_native_half_json_serves_and_with_it_json_is_not_imported():
    program = (
        "import sys\n{before}\nsys.path.insert(0, 'src')\nfrom penstock.wire import jsontext\n"
        "assert jsontext.loads(' [1, {{\"a\": 2}}] ') == [1, {{'a': 2}}]\nassert jsontext.dumps({{'a': [1]}}) == '{{\"a\":[1]}}'\nprint('json' in sys.modules)\n"
    )
    for before, expected in (("", "False"), ("sys.modules['_json'] = None", "True")):
        done = subprocess.run([sys.executable, "-I", "-S", "-c", program.format(before=before)], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == expected
