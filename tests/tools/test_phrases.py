"""What the tool counts as a sentence; and that every one of them has its words in every language."""

from __future__ import annotations

import pytest

from penstock.server.web.render import ENGLISH, LANGUAGES
from tools import phrases


def of(source: str, *, words: bool = False) -> list[str]:
    return [text for text, _ in phrases.of_source(source, words=words)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('x = "two words"', ["two words"]),
        ('x = "word"', []),
        ('f(why=f"the app {app} is not {state!r} any more")', ["the app {1} is not {2} any more"]),
        ("f(f\"{n} field{'s' if n != 1 else ''} of it differ\")", ["{1} fields of it differ", "{1} field of it differ"]),
        ('f("one thing" if x else f"{n} things are there")', ["one thing", "{1} things are there"]),
        ('f("a sentence " + why + " goes on")', ["a sentence {1} goes on"]),
        ('f(f"{a}{b} side by side")', ["{1} side by side"]),
        ('def f():\n    "A docstring is none."', []),
        ('if x == "not a sentence": pass', []),
        ('x = {"not a key": "but a value"}', ["but a value"]),
        ('log.info("not for people")', []),
        ('raise ValueError("for the programmer")', []),
        ('raise Invalid("code", "for the person")', ["for the person"]),
        ('X = ((1, ("sought in others", "as is this"), "what is said"),)', ["what is said"]),
        ('note(tx, "device.silent" if x else "device.heard-again")', ["device.silent", "device.heard-again"]),
        ('verb = "site.named"', ["site.named"]),
        ('x = "site.named"', []),
        ('verb, end = ("site.named", 1) if x else ("site.lost", 2)', ["site.named", "site.lost"]),
        ('def f():\n    return "site.named", f"{x}"', ["site.named"]),
        ('def f():\n    return "site.named"', []),
        ('f(f"{a}: {b}")', []),
        ('x = "Content-Type: text/html"', []),
    ],
)
def test_what_counts(source, found):
    assert of(source) == found


def test_in_a_table_of_words_one_word_counts():
    assert of('X = {"soaked": ("good", "Soaked")}', words=True) == ["Soaked"]


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != ENGLISH])
def test_everything_has_its_words(language):
    lacking = phrases.missing(language)
    assert not lacking, f"{len(lacking)} have no words in {language!r}; `python -m tools.phrases {language}` prints them to be filled in"
    assert not phrases.unused(language), f"`python -m tools.phrases {language} --fill FILE` drops what nobody says any more"
    assert all(phrases.catalogue(language)["phrases"].values())


def test_the_lists_are_not_empty():
    assert len(phrases.template_phrases()) > 300
    assert len(phrases.sentences()) > 1000
