"""Templates in another language: every phrase is found, its holes and marks arrive, and nothing but phrases is changed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, nodes

from penstock.server.web import render
from penstock.server.web.phrases import HOLE, MARK
from penstock.server.web.translate import Walk

TEMPLATES = sorted((Path(render.__file__).parent / "templates").glob("*.html"))
ENV = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=True)


def phrases(source: str) -> list[str]:
    """What is found in a template."""
    found: list[str] = []
    Walk(found.append).template(ENV.parse(source))
    return found


def shown(source: str, words: dict[str, str], **values: object) -> str:
    """A template in another language, filled in."""
    tree = ENV.parse(source)
    Walk(words.get).template(tree)
    code = ENV.compile(tree)
    return ENV.template_class.from_code(ENV, code, ENV.make_globals(None)).render(**values)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Nothing yet.</p>", ["Nothing yet."]),
        ("<p>\n  Two\n  lines </p>", ["Two lines"]),
        ("<p>{{ count }} waiting</p>", ["{1} waiting"]),
        ("<p>Signed in as <strong>{{ name }}</strong></p>", ["Signed in as <1>{1}</1>"]),
        ("<p><strong>Only this.</strong></p>", ["Only this."]),
        ("<a href='/a'>One</a><a href='/b'>Two</a>", ["One", "Two"]),
        ("<p>Type <code>make {{ x }}</code> there</p>", ["Type {1} there"]),
        ("<code>make all</code>", []),
        ("<pre>not said</pre><script>var not = 'said';</script><style>not {}</style>", []),
        ("<svg><title>not said</title></svg>", []),
        ("<!-- not said --><p>Said</p>", ["Said"]),
        ("<!doctype html><p>Said</p>", ["Said"]),
        ('<input placeholder="A name" value="not said" data-x="not said">', ["A name"]),
        ('<a title="Open {{ name }}" href="/x/{{ id }}">{{ name }}</a>', ["Open {1}"]),
        ('<td data-label="Way back"></td><body data-say-copied="Copied">', ["Way back", "Copied"]),
        ('<a class="b{% if x %} c{% endif %}" aria-label="Said">Text</a>', ["Said", "Text"]),
        ('<a{% if x %} title="One"{% else %} title="Two"{% endif %}>Three</a>', ["One", "Two", "Three"]),
        ('<a title="It {% if x %}is{% endif %}">Text</a>', ["It", "is", "Text"]),
        ("{% if x == 'Not said' %}Said{% endif %}", ["Said"]),
        ("{{ m.field('name', 'Your name', help='Say it.') }}", ["Your name", "Say it."]),
        ("{{ 'One thing' if x else 'Many things' }}", ["One thing", "Many things"]),
        ("{{ 'Fill in ' ~ name ~ ' above.' }}", ["Fill in {1} above."]),
        ("{{ {'key': 'A value'}.get('key') }}", ["A value"]),
        ("{% for key, text in (('a', 'First word'),) %}{{ text }}{% endfor %}", ["First word"]),
        ("{% set x = 'A word' %}{% macro f(a='A default') %}In a macro{% endmacro %}", ["A word", "A default", "In a macro"]),
        ("{{ ' min=\"5\" max=\"9\"'|safe }}{{ '/path/to' }}{{ 'lower' }}", []),
    ],
)
def test_what_is_a_phrase(source, found):
    assert phrases(source) == found


def test_holes_and_marks_may_change_places():
    said = shown('<p>From <a href="/a">{{ a }}</a> to <b>{{ b }}</b>.</p>', {"From <1>{1}</1> to <2>{2}</2>.": "Nach <2>{2}</2> von <1>{1}</1>."}, a="A", b="B")
    assert said == '<p>Nach <b>B</b> von <a href="/a">A</a>.</p>'


def test_values_stay_escaped_and_a_quote_ends_no_attribute():
    said = shown('<p title="Open {{ x }}">Hello {{ x }}</p>', {"Open {1}": '"{1}" öffnen', "Hello {1}": "Hallo {1}"}, x="<b>\"'")
    assert said == '<p title="&quot;&lt;b&gt;&#34;&#39;&quot; öffnen">Hallo &lt;b&gt;&#34;&#39;</p>'


def test_white_space_around_a_phrase_stays():
    assert shown("<p>  Go on <i></i></p>", {"Go on": "Weiter"}) == "<p>  Weiter <i></i></p>"


@given(
    st.lists(st.sampled_from(["Word", "word two", "{{ x }}", "<b>", "</b>", "<p>", "</p>", " ", "<code>y</code>", "<br>", "<a href='{{ x }}'>", "</a>", "; "]))
)
def test_a_phrase_that_stays_changes_nothing(parts):
    source = "".join(parts)
    plain = ENV.from_string(source).render(x="X")
    assert shown(source, {}, x="X") == plain

    class Same(dict):  # type: ignore[type-arg]
        def get(self, phrase, default=None):
            return phrase

    said = shown(source, Same(), x="X")
    assert re.sub(r"\s+", " ", said).replace("> ", ">").replace(" <", "<") == re.sub(r"\s+", " ", plain).replace("> ", ">").replace(" <", "<")


def tags(source: str) -> Counter[str]:
    """Tags, expressions and statements of a template, without the words people read."""
    return Counter(re.findall(r"<[/!]?[a-z]+|\b(?:class|id|href|name|value|type|action)=\"[^\"]*\"", source))


def _data(tree: nodes.Template) -> str:
    return "".join(node.data for node in tree.find_all(nodes.TemplateData))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_tag_of_a_page_is_lost_or_changed(path):
    catalogue = render.catalogue("de")
    plain, said = ENV.parse(path.read_text("utf-8")), ENV.parse(path.read_text("utf-8"))
    Walk(catalogue.phrases.get).template(said)
    assert tags(_data(plain)) == tags(_data(said))
    for kind in (nodes.Getattr, nodes.Call, nodes.Filter, nodes.Name):
        assert Counter(map(repr, _names(plain, kind))) == Counter(map(repr, _names(said, kind)))


def _names(tree: nodes.Template, kind: type[nodes.Node]) -> list[object]:
    return [getattr(node, "attr", None) or getattr(node, "name", None) for node in tree.find_all(kind)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_phrase_of_a_page_is_said(path):
    catalogue = render.catalogue("de")
    lacking = [phrase for phrase in phrases(path.read_text("utf-8")) if phrase not in catalogue.phrases]
    assert not lacking, "python -m tools.phrases de prints what is to be filled in"


def test_words_hold_no_markup_of_their_own():
    for english, said in render.catalogue("de").phrases.items():
        bare = MARK.sub("", HOLE.sub("", said))
        if "<" in bare or "&" in bare:
            assert "<" in MARK.sub("", english) or "&" in english, (english, said)
