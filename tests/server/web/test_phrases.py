"""How an English sentence is found in a catalogue, and that nothing of ours is said twice or lost on the way."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.web.phrases import HOLE, LONGEST, MARK, Catalogue, flat, holes, sayable

WORDS = {
    "there is no device named {1}": "es gibt kein Gerät namens {1}",
    "there is no device": "kein Gerät da",
    "{1} of {2} done": "{2#} zu tun, {1#} getan",
    "it was healthy for {1} s{2}": "es war {1} s lang gesund{2}",
    "; the release has no health rule": "; das Release hat keine Gesundheitsregel",
    "the device is {1}": "das Gerät ist {1*}",
    "quarantined": "in Quarantäne",
    "Open": "Öffnen",
    "stop service {1}": "Dienst {1} anhalten",
    "not healthy within {1} s: {2}": "nicht gesund binnen {1} s: {2}",
    "somebody paused it": "jemand hat ihn pausiert",
    "its leave lapsed": "seine Erlaubnis verfiel",
}
GERMAN = Catalogue("de", WORDS, {"{1}: soaked": "{1}: bewährt", "{1} days": "{1#} Tage"})


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Open", "Öffnen"),
        ("there is no device named 'press-01'", "es gibt kein Gerät namens 'press-01'"),
        ("There is no device named 'press-01'.", "Es gibt kein Gerät namens 'press-01'."),
        ("3 of 12 done", "12 zu tun, 3 getan"),
        ("it was healthy for 60 s", "es war 60 s lang gesund"),
        ("it was healthy for 60 s; the release has no health rule", "es war 60 s lang gesund; das Release hat keine Gesundheitsregel"),
        ("the device is quarantined", "das Gerät ist in Quarantäne"),
        ("not healthy within 60 s: somebody paused it", "nicht gesund binnen 60 s: jemand hat ihn pausiert"),
        ("line: somebody paused it", "line: jemand hat ihn pausiert"),
        ("somebody paused it; its leave lapsed", "jemand hat ihn pausiert; seine Erlaubnis verfiel"),
        ("press-monitor 1.0: soaked", "press-monitor 1.0: bewährt"),
        ("3 days", "3 Tage"),
        ("stop service web", "Dienst web anhalten"),
        ("stop service web: No such container: ab12", "Dienst web anhalten: No such container: ab12"),
        ("stop service web: somebody paused it", "Dienst web anhalten: jemand hat ihn pausiert"),
    ],
)
def test_said(english, german):
    assert GERMAN.say(english) == german


@pytest.mark.parametrize(
    "text",
    [
        "",
        "open",
        "quarantined ward",
        "all of it done",
        "many days",
        "Open the door",
        "the device",
        "press-01",
        "soaked: all",
        "x" * (LONGEST + 1),
        "<b>",
        "{1}",
    ],
)
def test_what_is_not_ours_stays(text):
    assert GERMAN.say(text) == text


def test_the_more_literal_sentence_wins():
    found = Catalogue("de", {"the app {1} is gone": "weg: {1}", "the app {1} of the site is gone": "am Standort weg: {1}"}, {})
    assert found.say("the app x of the site is gone") == "am Standort weg: x"


@pytest.mark.parametrize("said", ["kein Loch", "{1} und {2}", "{2}", "<1>{1}</1>", "{1}{1}"])
def test_a_phrase_with_other_holes_is_refused(said):
    with pytest.raises(ValueError, match="holes and marks"):
        Catalogue("de", {"one hole {1} here": said}, {})


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_fills_a_hole_is_never_lost(first, second):
    found = Catalogue("de", {"from the first {1} to the second {2}.": "zum zweiten {2} vom ersten {1}!"}, {})
    said = found.say(f"from the first {first} to the second {second}.")
    assert said.startswith("zum zweiten ")
    assert len(said) == len(f"zum zweiten {second} vom ersten {first}!")


@given(st.text(alphabet="ab {}12<>/;:. ", max_size=80))
def test_any_text_is_answered(text):
    assert isinstance(GERMAN.say(text), str)


def test_long_text_of_another_program_costs_little():
    tricky = Catalogue("de", {"the {1} x then {2} x then {3} x then {4} x at last": "{1}{2}{3}{4}"}, {})
    text = "the " + "a x then " * 200
    start = time.perf_counter()
    for number in range(20):
        tricky.say(text[: LONGEST - 5] + str(number))
    assert time.perf_counter() - start < 1


def test_flat_holes_and_what_can_be_told_apart():
    assert flat("  a\n  b ") == "a b"
    assert holes("{1} <2>x</2> {1*}") == {"{1}": 2, "<2>": 1, "</2>": 1}
    assert sayable("no hole at all")
    assert sayable("{1} of its entries")
    assert not sayable("{1} failed")
    assert sayable("{1} failed", "{1#} fehlgeschlagen")
    assert not sayable("{1}: {2}")
    assert not HOLE.search("{x}")
    assert not MARK.search("<b>")
