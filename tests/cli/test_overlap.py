"""What is told of a log that is followed: nothing twice, nothing missing without a word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.cli.overlap import SURE, fresh, lines_of


def looks(log, sizes, window):
    """The end of a log at each of the lengths it had, as `asked` lines show it."""
    for size in sizes:
        yield tuple(log[max(0, size - window) : size]), size


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 40))
def test_of_lines_that_differ_each_is_shown_once_and_what_is_missing_is_told(steps, window):
    log = [f"line {number}" for number in range(sum(steps))]
    sizes = [sum(steps[: place + 1]) for place in range(len(steps))]
    shown, before, last = [], None, 0
    for now, size in looks(log, sizes, window):
        if before is None:
            shown += now
        else:
            found = fresh(before, now, window)
            assert not found.alike
            missed = max(0, size - last - window)
            assert found.gap or not missed, "lines are missing and nobody says so"
            if before and len(now) - (size - last) >= min(SURE, len(before)):
                assert not found.gap, "nothing is missing"
            shown += found.lines
        before, last = now, size
    assert len(shown) == len(set(shown))
    assert shown == [line for line in log if line in set(shown)]


@given(st.lists(st.sampled_from("ab"), max_size=40), st.lists(st.sampled_from("ab"), max_size=40), st.integers(1, 40))
def test_of_lines_that_repeat_none_is_invented_and_doubt_is_told(old, new, window):
    log = old + new
    before, now = tuple(old[-window:]), tuple(log[-window:])
    found = fresh(before, now, window, began=len(old) < window)
    assert found.lines == now[len(now) - len(found.lines) :], "only the end of what was read"
    exact = tuple(new[-window:])
    if found.lines != exact and found.lines:  # an end that reads as before may be the same or written again: nobody can tell
        assert found.gap or found.alike


@given(st.lists(st.integers(0, 200), max_size=60), st.lists(st.integers(0, 200), max_size=60), st.integers(1, 60), st.integers(0, 60))
def test_a_wider_look_shows_what_a_narrow_one_would(old, new, window, more):
    log = [f"{place} {number}" for place, number in enumerate(old + new)]
    before = tuple(log[: len(old)][-window:])
    now = tuple(log[-(window + more) :])
    found = fresh(before, now, window + more)
    if before and before[-1] in now:
        assert found.lines == tuple(log[len(old) :])


def test_a_log_that_began_anew_is_a_gap():
    assert fresh(("a", "b", "c"), ("x", "y"), 200).gap
    assert fresh(("a", "b", "c"), (), 200).gap
    assert fresh((), (), 200) == fresh(("a",), ("a",), 200)


def test_a_line_that_is_still_written_waits_and_one_that_was_cut_is_left_out():
    assert lines_of("one\ntwo\nthr", 1000) == ("one", "two")
    assert lines_of("ne\ntwo\n", 7) == ("two",)
    assert lines_of("", 1000) == ()
