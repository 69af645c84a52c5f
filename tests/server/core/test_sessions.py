"""How long sessions last, and browsers in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.model import Session
from penstock.server.core.sessions import agent_words, ends_ms

ms = st.integers(0, 10**13)


@given(ms, ms, ms, st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_session_ends_by_whichever_comes_first(created, seen, expires, idle_s, total_s) -> None:
    ends = ends_ms(Session("s", "u", "h", "c", created, seen, expires), idle_s, total_s)
    limits = (expires, created + total_s * 1000, seen + idle_s * 1000)
    assert ends in limits
    assert all(ends <= limit for limit in limits)


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36", "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari on iOS",
        ),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.14.1", "curl"),
        ("scanner/7 (strange)", "scanner"),
        ("", ""),
    ],
)
def test_browsers_in_words(agent, said) -> None:
    assert agent_words(agent) == said


@given(st.text(max_size=300))
def test_whatever_a_browser_calls_itself_the_words_are_short_and_printable(agent) -> None:
    said = agent_words(agent)
    assert len(said) <= 40
    assert said.isprintable()
