"""A README as a page shows it: the subset of Markdown that is understood, and nothing a vendor writes becomes HTML of his own."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.server.web.markdown import to_html

TAG = re.compile(r"<(/?)([a-z0-9]+)((?: [a-z]+=\"[^\"<>]*\")*)>")
TAGS = frozenset(
    ["h3", "h4", "h5", "h6", "p", "pre", "code", "blockquote", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "hr", "a", "strong", "em"]
)


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("# Title #\n\ntext\nmore", "<h3>Title</h3>\n<p>text more</p>"),
        ("- a\n- b\n  - c", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("**a** _b_ `c<d>` *e*", "<p><strong>a</strong> <em>b</em> <code>c&lt;d&gt;</code> <em>e</em></p>"),
        ("```sh\na <b>\n```", '<pre class="code" tabindex="0"><code>a &lt;b&gt;</code></pre>'),
        ("> a\n> b", "<blockquote><p>a b</p></blockquote>"),
        ("---", "<hr>"),
        (
            "|a|b|\n|-|-|\n|c|`d`|",
            '<table><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead><tbody><tr><td>c</td><td><code>d</code></td></tr></tbody></table>',
        ),
        ("[x](https://a.example/?q=1&b)", '<p><a href="https://a.example/?q=1&amp;b" rel="noopener noreferrer nofollow" target="_blank">x</a></p>'),
        ("[x](javascript:alert)", "<p>[x](javascript:alert)</p>"),
        ("![plan](https://a.example/x.png)", "<p>plan</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("a_b_c \\*d\\*", "<p>a_b_c *d*</p>"),
    ],
)
def test_the_subset(source, made):
    assert to_html(source) == made


PIECES = st.sampled_from(
    [
        "<",
        ">",
        "&",
        '"',
        "'",
        "[",
        "](",
        ")",
        "javascript:",
        "https://x",
        "*",
        "**",
        "_",
        "`",
        "```",
        "\n",
        "# ",
        "- ",
        "1. ",
        "> ",
        "|",
        "|-|\n",
        "    ",
        "\\",
        "!",
        "<script>",
        "<img src=x onerror=y>",
        "text ",
        "data:",
        "mailto:a",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
@example('[a](https://x"onclick="y)')
@example('<https://x"onclick="y>')
def test_nothing_but_our_own_tags_comes_out(source):
    made = to_html(source)
    rest = made
    for match in TAG.finditer(made):
        assert match[2] in TAGS
        links = re.findall(r' href="([^"]*)"', match[3])
        assert all(link.lower().startswith(("http://", "https://", "mailto:")) for link in links)
        assert not re.search(r" on[a-z]+=", match[3])
        rest = rest.replace(match[0], "", 1)
    assert "<" not in rest
    assert ">" not in rest


@pytest.mark.parametrize(
    "source",
    [
        "*" * 100_000,
        "[" * 100_000,
        "_a" * 50_000,
        "`" * 100_001,
        "> " * 50_000,
        "- \n" * 30_000,
        "|\n|-|\n" * 20_000,
        "  " * 100_000 + "- a",
        "- a\n" + "  - b\n" * 30_000,
    ],
)
def test_a_text_made_to_take_long_does_not(source):
    began = time.perf_counter()
    to_html(source)
    assert time.perf_counter() - began < 5
