"""Orders of versions: total and consistent, Debian's as dpkg has it, the others as their documents say."""

from __future__ import annotations

import subprocess
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.server.core.versionorder import ORDERED, key
from penstock.server.core.versionorder import compare as judged
from tests.needs import needs

letters = st.text("0123456789", min_size=1, max_size=3)
DEB = st.from_regex(r"\A(?:[0-2]:)?[0-9][0-9a-cA-B.+~]{0,7}(?:-[0-9a-c.+~]{1,5})?\Z")


def compare(ecosystem: str, a: str, b: str) -> int:
    found = judged(ecosystem, a, b)
    assert found is not None
    return found


GRAMMAR = {
    "deb": DEB,
    "pypi": st.from_regex(r"\A(?:[01]!)?[0-3](?:\.[0-3]){0,2}(?:(?:a|b|rc)[0-2])?(?:\.post[0-2])?(?:\.dev[0-2])?(?:\+[a-b0-2](?:\.[a-b0-2])?)?\Z"),
    "semver": st.from_regex(r"\A[0-3]\.[0-3]\.[0-3](?:-[0-2a-c](?:\.[0-2a-c]){0,2})?\Z"),
    "apk": st.from_regex(r"\A[0-3](?:\.[0-9]{1,2}){0,2}[a-c]?(?:_(?:alpha|beta|pre|rc|p)[0-2]?)?(?:-r[0-3])?\Z"),
}


@pytest.mark.parametrize("ecosystem", GRAMMAR)
def test_orders_are_total_and_consistent(ecosystem):
    @settings(max_examples=150)
    @given(st.lists(GRAMMAR[ecosystem], min_size=3, max_size=3))
    def holds(versions):
        a, b, c = versions
        found = {(x, y): compare(ecosystem, x, y) for x in versions for y in versions}
        assert all(value in (-1, 0, 1) for value in found.values())
        assert found[a, b] == -found[b, a]
        if found[a, b] <= 0 and found[b, c] <= 0:
            assert found[a, c] <= 0
        assert found[a, a] == 0

    holds()


@needs("dpkg")
@settings(max_examples=120, deadline=None)
@given(DEB, DEB)
def test_debians_order_is_dpkgs(a, b):
    word = {-1: "lt", 0: "eq", 1: "gt"}[compare("deb", a, b)]
    assert subprocess.run(["dpkg", "--compare-versions", a, word, b], check=False, capture_output=True, timeout=10).returncode == 0, (a, word, b)


RISING = {
    "deb": ["1.0~~", "1.0~~a", "1.0~", "1.0", "1.0-0.1", "1.0-1~bpo1", "1.0-1", "1.0a", "1.0+b1", "1.0.1", "1.10", "1:0.1"],
    # PEP 440, "Summary of permitted suffixes and relative ordering"
    "pypi": ["1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2", "1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7", "1.0+5", "1.0.post456.dev34", "1.0.post456", "1.0.15", "1.1.dev1", "1!0.1"],
    # semver.org 2.0.0, point 11
    "semver": ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"],
    "apk": ["1.0_alpha", "1.0_beta2", "1.0_pre", "1.0_rc1", "1.0", "1.0-r1", "1.0_p1", "1.0a", "1.05", "1.1", "1.1.1", "1.10"],
}  # fmt: skip


@pytest.mark.parametrize("ecosystem", RISING)
def test_known_rows_rise(ecosystem):
    assert [pair for pair in pairwise(RISING[ecosystem]) if compare(ecosystem, *pair) != -1] == []


@pytest.mark.parametrize(
    ("ecosystem", "a", "b"),
    [("pypi", "1.0", "1.0.0"), ("pypi", "1.0-1", "1.0.post1"), ("npm", "v1.2", "1.2.0+build"), ("deb", "0:1.0", "1.0"), ("deb", "1.0-0", "1.0")],
)
def test_two_ways_to_write_one(ecosystem, a, b):
    assert compare(ecosystem, a, b) == 0


@given(st.text(max_size=30))
def test_any_text_is_a_version_or_none(text):
    for ecosystem in ORDERED:
        key(ecosystem, text)


def test_what_has_no_order_is_equal_or_unknown():
    assert judged("maven", "1", "1") == 0
    assert judged("maven", "1", "2") is None
    assert judged("deb", "1 2", "1") is None
