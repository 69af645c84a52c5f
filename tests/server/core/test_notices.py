"""Who is told of what, and when: one message a cause, bounded by the hour, quiet at night, and nothing lost by any of it."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.server.core.causes import Cause, Known
from penstock.server.core.faultkinds import BAD, WARN
from penstock.server.core.faults import Fault
from penstock.server.core.notices import (
    BURST,
    CLEAR_MS,
    HOUR_MS,
    SETTLE_MS,
    Book,
    Decision,
    Rules,
    Target,
    decide,
    hears_act,
    hears_of,
    quiet_at,
    quiet_fault,
    wait_ms,
)
from penstock.server.core.noticetexts import body_of, mail_of

NOW = 1_800_000_000_000
TARGET = Target("ntt_1", "pager", "", "webhook", True, Rules(), {}, "", NOW, "ada")


def cause(name: str = "a", severity: str = WARN, many: int = 1, **more: object) -> Cause:
    faults = tuple(Fault("disk", severity, "device", f"dev_{name}_{n}", f"press-{n}", "site_1", NOW, "full") for n in range(many))
    made = Cause(f"disk|{name}", "disk", severity, f"press-{name}: Disk", "full", "site_1", NOW, faults)
    return replace(made, **more)  # type: ignore[arg-type]


class Run:
    """A target living through time; `said` is every line told, as (what, key)."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.target = replace(TARGET, rules=rules or Rules())
        self.book, self.now = Book(), NOW
        self.said: list[tuple[str, str]] = []
        self.messages: list[tuple[int, int]] = []

    def step(self, *found: Cause, after: int = SETTLE_MS, quiet: bool = False) -> Decision:
        self.now += after
        made = decide(self.target, self.book, found, self.now, quiet=quiet)
        self.book = made.book
        for message in made.messages:
            self.said += [(one.what, one.told.key) for one in message.news]
            self.messages.append((self.now, len(message.news)))
        return made


def test_opened_worsened_cleared_once_each():
    run = Run()
    run.step(cause())
    assert run.said == [], "it must last first"
    run.step(cause())
    run.step(cause())
    assert run.said == [("opened", "disk|a")]
    run.step(cause(severity=BAD))
    run.step(cause(severity=BAD))
    assert run.said[1:] == [("worsened", "disk|a")]
    run.step()
    run.step(cause(severity=WARN), after=1000)
    run.step()
    assert len(run.said) == 2, "it came back before it was told to be over"
    run.step(after=CLEAR_MS)
    assert run.said[2:] == [("cleared", "disk|a")]
    assert run.book.told == ()


def test_what_mends_itself_at_once_is_not_told():
    run = Run()
    run.step(cause())
    run.step(after=1000)
    run.step(after=HOUR_MS)
    assert run.said == []


def test_it_has_spread():
    run = Run()
    run.step(cause(many=1))
    for many in (1, 2, 3, 4, 5, 6, 11, 12):
        run.step(cause(many=many))
    assert [what for what, _ in run.said] == ["opened", "worsened", "worsened", "worsened"], "at 1, 3, 6 and 12"


def test_what_somebody_knows_of_is_not_told_and_its_end_is_no_news_before_it_was():
    run = Run()
    known = Known("k", WARN, NOW + 10**9, "x", "ada", NOW)
    for _ in range(3):
        run.step(cause(known=known))
    run.step(after=HOUR_MS)
    assert run.said == []
    run.step(cause())
    run.step(cause())
    run.step(cause(known=known), after=HOUR_MS)
    assert [what for what, _ in run.said] == ["opened"]


def test_a_wider_cause_stands_for_those_it_covers():
    run = Run()
    run.step(cause("a"), cause("b"))
    run.step(cause("a"), cause("b"))
    wide = cause("all", BAD, covers=("disk|a", "disk|b"))
    run.step(wide)
    run.step(wide, after=HOUR_MS)
    assert [what for what, _ in run.said] == ["opened"] * 3
    run.step(cause("a"), after=HOUR_MS)
    run.step(cause("a"), after=CLEAR_MS)
    assert sorted(run.said[3:]) == [("cleared", "disk|all"), ("cleared", "disk|b")], "a was told of before and is still there"


def test_quiet_hours_are_told_after_in_one_digest_and_what_is_bad_comes_through():
    run = Run(Rules(quiet="22:00-06:00"))
    for _ in range(3):
        run.step(cause("a"), cause("b"), cause("c", BAD), quiet=True)
    assert run.said == [("opened", "disk|c")]
    run.step(cause("b"), quiet=True, after=HOUR_MS)
    run.step(cause("b"), quiet=True, after=CLEAR_MS)
    made = run.step(cause("b"))
    (digest,) = made.messages
    assert digest.digest
    assert sorted((one.what, one.told.key) for one in digest.news) == [("cleared", "disk|c"), ("opened", "disk|b"), ("passed", "disk|a")]
    run.step(cause("b"), after=HOUR_MS)
    assert len(run.said) == 4, "told once"


def test_not_even_what_is_bad_where_that_is_wished():
    run = Run(Rules(quiet="22:00-06:00", through=False))
    for _ in range(3):
        run.step(cause("c", BAD), quiet=True)
    assert run.said == []
    run.step(cause("c", BAD))
    assert run.said == [("opened", "disk|c")]


def test_much_at_once_is_one_digest():
    run = Run()
    found = [cause(str(n)) for n in range(BURST + 1)]
    run.step(*found)
    run.step(*found)
    assert run.messages == [(run.now, BURST + 1)]


def test_only_what_a_target_wants():
    run = Run(Rules(severity=BAD))
    for _ in range(3):
        run.step(cause("a"), cause("b", BAD))
    assert run.said == [("opened", "disk|b")]
    run = Run(Rules(kinds=("away",)))
    for _ in range(3):
        run.step(cause("a"))
    assert run.said == []
    own = replace(cause(), kind="notices-failing", faults=(replace(cause().faults[0], detail="pager"),))
    run = Run()
    for _ in range(3):
        run.step(own)
    assert run.said == [], "nobody is told that nothing reaches them"
    assert hears_of(replace(TARGET, site="site_1"), "site_1")
    assert not hears_of(replace(TARGET, site="site_1"), "")
    assert hears_of(TARGET, "")
    assert not hears_of(replace(TARGET, rules=Rules(sites=("site_2",))), "site_1")
    assert hears_act(replace(TARGET, rules=Rules(acts=("deployment.",))), "deployment.changed", "site_1")
    assert not hears_act(TARGET, "deployment.changed", "")


histories = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from((BAD, WARN)), st.integers(1, 9)), max_size=8, unique_by=lambda one: one[0]),
        st.booleans(),
    ),
    min_size=5,
    max_size=80,
)


@settings(deadline=None, max_examples=60)
@given(histories, st.integers(1, 6), st.booleans())
def test_no_storm_no_repetition_and_nothing_lost(history, per_hour, through):
    run = Run(Rules(per_hour=per_hour, quiet="22:00-06:00", through=through))
    open_: set[str] = set()
    for at, (found, quiet) in enumerate(history):
        causes = [cause(name, severity, many) for name, severity, many in found]
        before = len(run.said)
        made = run.step(*causes, quiet=quiet)
        for what, key in run.said[before:]:
            if what == "opened":
                assert key not in open_, f"{key} was opened twice, step {at}"
                open_.add(key)
            elif what == "cleared":
                open_.remove(key)
            else:
                assert (what == "worsened") == (key in open_)
        if quiet:
            assert all(through and one.severity == BAD for message in made.messages for one in message.news)
    for at, _ in run.messages:
        assert sum(at - HOUR_MS < other <= at for other, _ in run.messages) <= per_hour
    last = [cause(name, severity, many) for name, severity, many in history[-1][0]]
    for _ in range(4):
        run.step(*last, after=HOUR_MS)
    assert {one.key for one in last} <= {one.key for one in run.book.told if one.told}, "what lasts is told in the end"
    for _ in range(4):
        run.step(after=HOUR_MS)
    assert run.book.told == (), "and so is that it is over"


def test_quiet_hours_are_in_the_zone_of_the_rules_and_span_midnight():
    rules, zone = Rules(quiet="22:00-06:00", time_zone="Europe/Berlin"), ZoneInfo("Europe/Berlin")
    noon = 1_800_000_000_000 - 1_800_000_000_000 % 86_400_000 + 11 * HOUR_MS  # January: Berlin is an hour ahead of UTC
    assert [quiet_at(rules, zone, noon + hours * HOUR_MS) for hours in (0, 9, 10, 13, 17, 18)] == [False, False, True, True, True, False]
    assert not quiet_at(Rules(), zone, noon)
    day = Rules(quiet="12:00-13:00")
    assert [quiet_at(day, zone, noon + minutes * 60_000) for minutes in (-1, 0, 59, 60)] == [False, True, True, False]


@pytest.mark.parametrize("text", ["22-06", "22:00", "24:00-06:00", "22:00-22:00", "22:60-06:00", "a:00-b:00", "22:00-06:00-07:00"])
def test_what_is_no_span_of_hours(text):
    assert quiet_fault(text)
    assert quiet_fault("22:00-06:00") == quiet_fault("") == ""


def test_waits_grow_to_an_hour():
    waits = [wait_ms(attempt) for attempt in range(1, 40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (10_000, HOUR_MS)
    assert sum(waits[:30]) > 22 * HOUR_MS


def test_a_mail_says_it_in_words_and_has_one_line_of_subject():
    run = Run()
    run.step(cause(title="press-1: Disk\r\nBcc: x"))
    (message,) = run.step(cause(title="press-1: Disk\r\nBcc: x")).messages
    subject, text = mail_of(body_of(message, "https://plane", {"site_1": "Hamburg"}), ZoneInfo("Europe/Berlin"))
    assert subject == "[Penstock] press-1: Disk Bcc: x"
    assert "What to do: Free space" in text
    assert "CET" in text
