"""Who may, and who is heard of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.access import VERBS, Allow, Deny, may, require
from penstock.server.core.errors import Forbidden, Unauthenticated
from penstock.server.core.liveness import judge, span
from penstock.server.core.model import EVERYWHERE, SYSTEM, Actor, Scope

ADMIN = Actor("user", "u", "ada", "administrator")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_verbs(verb):
    assert isinstance(may(ADMIN, verb, EVERYWHERE), Allow)
    assert isinstance(may(SYSTEM, verb, EVERYWHERE), Allow)
    for actor in (
        Actor("user", "u", "eve", ""),
        Actor("token", "t", "ci", "viewer"),
        Actor("device", "d", "press", "administrator"),
        Actor("setup", "s", "s", "administrator"),
    ):
        assert isinstance(may(actor, verb, EVERYWHERE), Deny)
        with pytest.raises(Forbidden):
            require(actor, verb, EVERYWHERE)
    assert isinstance(may(ADMIN, verb, Scope(frozenset())), Deny)
    with pytest.raises(Unauthenticated):
        require(Actor("nobody", "", ""), verb, EVERYWHERE)


def test_an_unknown_verb_is_a_mistake_in_the_program():
    with pytest.raises(ValueError, match="is no verb"):
        may(ADMIN, "devices.explode", EVERYWHERE)


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
