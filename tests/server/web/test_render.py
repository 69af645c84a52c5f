"""Times, sizes and sentences in each language, and which language somebody reads."""

from __future__ import annotations

import pytest

from penstock.server.web import render

AT = 1_790_000_000_000  # 2026-09-21 14:13:20 UTC


def test_times_and_sizes():
    assert render.utc(AT) == "2026-09-21 14:13 UTC"
    assert render.utc(AT, "de") == "21.09.2026, 14:13 UTC"
    assert render.size(1500) == "1.5 kB"
    assert render.size(1500, "de") == "1,5 kB"
    assert [render.span(s) for s in (60, 3600, 172800, 90)] == ["1 minute", "1 hour", "2 days", "90 seconds"]


def test_a_sites_clock_is_shown_where_it_is_another():
    assert render.there(AT, "Europe/Berlin") == "16:13"
    assert render.there(AT, "UTC") == ""
    assert render.there(AT, "") == ""


def test_what_a_clock_somewhere_shows():
    assert render.clock_in(AT, "America/Chicago") == ("Mon", "09:13")
    assert render.clock_in(AT, "Asia/Singapore") == ("Mon", "22:13")
    assert render.clock_in(AT + 3 * 3_600_000, "Asia/Singapore") == ("Tue", "01:13")


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("plane.example:8443/press/web:2.0.0", "press/web:2.0.0"),
        ("localhost/press/web", "press/web"),
        ("127.0.0.1:5000/press/web@sha256:0123456789abcdef0123", "press/web 0123456789ab"),
        ("press/web:1", "press/web:1"),
        ("sha256:0123", "sha256:0123"),
        ("", ""),
    ],
)
def test_an_image_is_called_by_its_name(reference, shown):
    assert render.image(reference) == shown


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("de", "en", "de"),
        ("en", "de", "en"),
        ("xx", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "fr,en;q=0.5,de;q=0.4", "en"),
        ("", "en;q=0.2, de;q=0.7", "de"),
        ("", "fr", "en"),
        ("", "", "en"),
        ("", "de;q=x", "en"),
        ("", "de;q=0", "en"),
        ("", ";;,,=," * 500, "en"),
    ],
)
def test_which_language(cookie, accepted, language):
    assert render.chosen(cookie, accepted) == language


def test_filters_know_the_language():
    pages = render.environments({})
    shown = {
        name: env.from_string("{{ 'it ended well'|sentence }} {{ 'device.retired'|headline }} {{ 86400|span }} {{ 2500|size }}").render()
        for name, env in pages.items()
    }
    assert shown == {"en": "It ended well. Device retired 1 day 2.5 kB", "de": "Er ist gut zu Ende gegangen. Gerät ausgemustert 1 Tag 2,5 kB"}


def test_nothing_is_said_twice():
    """What German says is no English sentence of ours that means something else."""
    german = render.catalogue("de")
    for english, said in german.phrases.items():
        if "{" not in said and "<" not in said:
            assert german.say(said) == said, english
