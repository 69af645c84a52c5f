"""The small language of patterns: the same answers as `re` where both speak it, and no text that takes for ever."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.patterns import MAX_STEPS, PatternError, compiled, matches

LETTERS = st.sampled_from("ab0-_. \n")
CLASSES = st.sampled_from(["[ab]", "[^a]", "[a-c0-9]", r"\d", r"\w", r"\s", r"\D", ".", r"\.", "-", "a", "b", "_"])


def joined(parts):
    return st.one_of(
        st.lists(parts, max_size=4).map("".join),
        st.tuples(parts, parts).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(parts, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,3}"])).map(lambda two: f"({two[0]}){two[1]}"),
    )


PATTERNS = st.recursive(CLASSES, joined, max_leaves=8)


@given(PATTERNS, st.text(LETTERS, max_size=8))
def test_it_says_what_re_says(pattern, text):
    assert matches(pattern, text) == (re.fullmatch(pattern, text, re.ASCII) is not None)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "not closed"),
        ("a)", "closes nothing"),
        ("[a", "ends too early"),
        ("[b-a]", "backwards"),
        ("*a", "does not stand here"),
        ("a{3,1}", "backwards"),
        ("a**", "follows another count"),
        ("(?=a)", "only"),
        (r"(a)\1", "not understood"),
        (r"\bx", "not understood"),
        ("(" * 30 + ")" * 30, "deep"),
        ("((a{900}){900}){9}", "too long"),
        ("x" * 400, "more than the 300"),
    ],
)
def test_what_it_does_not_speak_is_refused(pattern, why):
    with pytest.raises(PatternError, match=why):
        compiled(pattern)


def test_a_hostile_pair_takes_no_longer_than_any_other():
    begun = time.monotonic()
    assert not matches("(a*)*(a*)*(a*)*b", "a" * 4000)
    assert time.monotonic() - begun < 5
    assert len(compiled("(?:[a-f0-9]{2}:){5}[a-f0-9]{2}")) < MAX_STEPS
    assert matches("^(?:[a-f0-9]{2}:){5}[a-f0-9]{2}$", "00:1a:2b:3c:4d:5e")
