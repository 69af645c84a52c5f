"""Who may, and who is heard of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.access import permit, require
from penstock.server.core.errors import Forbidden, Unauthenticated
from penstock.server.core.liveness import judge, span
from penstock.server.core.model import SYSTEM, Actor
from penstock.server.core.rights import BUILT_IN, EVERYWHERE, VERBS, Binding, Part, Reach, Target, rights_of

ADMIN = Actor("user", "u", "ada", rights_of("u", [Binding("b", "u", "administrator", Part("fleet"))], BUILT_IN))
HERE = Actor("user", "u", "eve", rights_of("u", [Binding("b", "u", "site-owner", Part("site", "a"))], BUILT_IN))


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_refusing(verb):
    for actor in (ADMIN, SYSTEM):
        assert require(actor, verb) == EVERYWHERE
        permit(actor, verb, Target())
    for actor in (Actor("user", "u", "eve"), Actor("device", "d", "press"), Actor("setup", "s", "s")):
        with pytest.raises(Forbidden):
            require(actor, verb)
    with pytest.raises(Unauthenticated):
        require(Actor("nobody", "", ""), verb)


def test_some_of_the_fleet_is_a_reach_and_not_leave_elsewhere():
    assert require(HERE, "devices.write") == Reach(sites=frozenset({"a"}))
    permit(HERE, "devices.write", Target(site="a", device="d"))
    with pytest.raises(Forbidden, match="its site"):
        permit(HERE, "devices.write", Target(site="b", device="d", groups=frozenset({"secret"})))


def test_liveness_by_example():
    now = 10_000_000
    assert judge(0, 60, now).state == "never"
    assert judge(now - 100_000, 60, now).state == "current"
    assert judge(now - 200_000, 60, now).state == "late"
    assert judge(now - 700_000, 60, now).state == "silent"
    assert judge(now - 20_000, 5, now).state == "current"  # even a quick poller may miss a few
    assert judge(now + 5_000, 60, now).state == "current"  # the plane's clock was set back


@given(st.integers(1, 10**9), st.integers(5, 86400), st.integers(0, 10**9))
def test_it_changes_exactly_when_it_says(seen, poll, away):
    found = judge(seen, poll, seen + away)
    if found.until_ms:
        assert judge(seen, poll, found.until_ms - 1).state == found.state
        assert judge(seen, poll, found.until_ms).state != found.state


@pytest.mark.parametrize(
    ("ms", "words"), [(-5, "0 seconds"), (1000, "1 second"), (59_000, "59 seconds"), (60_000, "1 minute"), (7_200_000, "2 hours"), (86_400_000, "1 day")]
)
def test_spans(ms, words):
    assert span(ms) == words
