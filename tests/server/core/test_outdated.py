"""Outdated: a release published later exists; age is never the text of a version."""

from __future__ import annotations

from penstock.server.core.outdated import Newest, running, why

NEWEST = {"shop": Newest("1.10", 30)}


def test_older_by_publishing_is_outdated():
    assert running("shop", "1.9", "soaked", 20, NEWEST).newest == "1.10"
    assert running("shop", "1.10", "soaked", 30, NEWEST).newest == ""


def test_what_this_plane_does_not_know_is_not_judged():
    assert running("shop", "hand-made", "soaked", None, NEWEST).newest == ""
    assert running("other", "1", "soaked", 1, NEWEST).newest == ""


def test_the_sentence_says_who_is_behind():
    old = running("shop", "1.9", "soaked", 20, NEWEST)
    assert why(old, "1.9") == "shop 1.9 runs, as its deployment orders; 1.10 has been published since"
    assert why(old, "1.10") == "shop 1.9 runs; its deployment orders 1.10, the newest release"
    assert why(old, "1.9.5") == "shop 1.9 runs; its deployment orders 1.9.5, and 1.10 is the newest release"
    assert why(old, "") == "shop 1.9 runs, and no deployment asks for it; 1.10 is the newest release"
    assert why(running("shop", "1.10", "soaked", 30, NEWEST), "1.9") == ""
