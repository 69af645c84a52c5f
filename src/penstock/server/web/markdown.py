"""A vendor's README as a page shows it: a small subset of Markdown to HTML.

Owns the subset: headings, paragraphs, lists, code, quotes, tables, rules, emphasis, links. Every character of the source is escaped; no HTML passes,
no picture is fetched, and a link leads to http, https or mail only. What is not understood stands there as it was written. Takes time in
proportion to the text.
"""

from __future__ import annotations

import re
from html import escape

MAX_CHARACTERS = 200_000
MAX_NESTING = 6

FENCE = re.compile(r"(```+|~~~+)\s*([\w+-]*)\s*\Z")
HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*\Z")
RULE = re.compile(r"(?:\*\s*){3,}\Z|(?:-\s*){3,}\Z|(?:_\s*){3,}\Z")
ITEM = re.compile(r"([-*+]|\d{1,9}[.)])\s+(.*)\Z")
CELLS = re.compile(r"\|?\s*:?-{1,}:?\s*(\|\s*:?-{1,}:?\s*)*\|?\s*\Z")
INLINE = re.compile(
    r"(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<code>`[^`\n]{1,2000}`)"
    r"|(?P<picture>!\[(?P<alt>[^\]\[\n]{0,500})\]\((?P<src>[^()\s]{1,2000})(?:\s+\"[^\"\n]{0,500}\")?\))"
    r"|(?P<link>\[(?P<text>[^\]\[\n]{1,500})\]\((?P<to>[^()\s]{1,2000})(?:\s+\"[^\"\n]{0,500}\")?\))"
    r"|(?P<auto><(?P<address>(?:https?://|mailto:)[^<>\s]{1,2000})>)"
    r"|(?P<strong>\*\*(?P<bold>[^*\s](?:[^*\n]{0,1000}[^*\s])?)\*\*|__(?P<bold2>[^_\s](?:[^_\n]{0,1000}[^_\s])?)__)"
    r"|(?P<em>\*(?P<slant>[^*\s](?:[^*\n]{0,1000}[^*\s])?)\*|(?<![A-Za-z0-9])_(?P<slant2>[^_\s](?:[^_\n]{0,1000}[^_\s])?)_(?![A-Za-z0-9]))"
)


def to_html(text: str, *, below: int = 2) -> str:
    """Safe HTML of a README; its headings begin one below `below`, so that the page keeps its own."""
    cut = text[:MAX_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return "\n".join(_blocks(cut.split("\n"), below, 0))


def _blocks(lines: list[str], below: int, depth: int) -> list[str]:
    out: list[str] = []
    words: list[str] = []

    def flush() -> None:
        if words:
            out.append(f"<p>{_inline(' '.join(words))}</p>")
            words.clear()

    at = 0
    while at < len(lines):
        line = lines[at]
        bare = line.strip()
        fence = FENCE.match(bare)
        if not bare:
            flush()
            at += 1
        elif fence:
            flush()
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip().startswith(fence[1]) and not lines[i].strip().strip(fence[1][0])), len(lines))
            out.append(_code(lines[at + 1 : end]))
            at = end + 1
        elif line.startswith("    ") and not words:
            end = at
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            out.append(_code([one[4:] for one in lines[at:end]]))
            at = end
        elif match := HEADING.match(bare):
            flush()
            level = min(6, below + len(match[1]))
            out.append(f"<h{level}>{_inline(match[2])}</h{level}>")
            at += 1
        elif RULE.match(bare):
            flush()
            out.append("<hr>")
            at += 1
        elif bare.startswith(">") and depth < MAX_NESTING:
            flush()
            end = at
            while end < len(lines) and lines[end].strip().startswith(">"):
                end += 1
            inner = [one.strip()[1:].removeprefix(" ") for one in lines[at:end]]
            out.append(f"<blockquote>{''.join(_blocks(inner, below, depth + 1))}</blockquote>")
            at = end
        elif ITEM.match(bare) and depth < MAX_NESTING:
            flush()
            at = _list(lines, at, below, depth, out)
        elif "|" in bare and at + 1 < len(lines) and "|" in lines[at + 1] and CELLS.match(lines[at + 1].strip()):
            flush()
            at = _table(lines, at, out)
        else:
            words.append(bare)
            at += 1
    flush()
    return out


def _code(lines: list[str]) -> str:
    text = "\n".join(lines).strip("\n")
    return f'<pre class="code" tabindex="0"><code>{escape(text)}</code></pre>'


def _list(lines: list[str], at: int, below: int, depth: int, out: list[str]) -> int:
    """A list from line `at` on; the line behind it. What is indented belongs to the item above."""
    indent = len(lines[at]) - len(lines[at].lstrip())
    first = ITEM.match(lines[at].strip())
    ordered = first is not None and first[1][0].isdigit()
    items: list[list[str]] = []
    while at < len(lines):
        line = lines[at]
        bare = line.strip()
        here = len(line) - len(line.lstrip())
        match = ITEM.match(bare)
        if match and here <= indent + 1 and match[1][0].isdigit() == ordered:
            items.append([match[2]])
        elif bare and items and (here > indent + 1 or (lines[at - 1].strip() and not match and not HEADING.match(bare) and not FENCE.match(bare))):
            items[-1].append(line[min(here, indent + 2) :])
        elif not bare and items and at + 1 < len(lines) and (len(lines[at + 1]) - len(lines[at + 1].lstrip())) > indent + 1 and lines[at + 1].strip():
            items[-1].append("")
        elif not bare and at + 1 < len(lines) and (following := ITEM.match(lines[at + 1].strip())) and following[1][0].isdigit() == ordered:
            pass
        else:
            break
        at += 1
    tag = "ol" if ordered else "ul"
    shown = []
    for item in items:
        blocks = _blocks(item, below, depth + 1)
        # An item of one paragraph is a line, not a paragraph of its own.
        if blocks and blocks[0].startswith("<p>"):
            blocks[0] = blocks[0][3:-4]
        shown.append(f"<li>{''.join(blocks)}</li>")
    out.append(f"<{tag}>{''.join(shown)}</{tag}>")
    return at


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")][:32]


def _table(lines: list[str], at: int, out: list[str]) -> int:
    head = _cells(lines[at])
    at += 2
    rows = []
    while at < len(lines) and "|" in lines[at] and lines[at].strip():
        cells = _cells(lines[at])
        rows.append([*cells, *[""] * len(head)][: len(head)])
        at += 1
    top = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    out.append(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>")
    return at


def _inline(text: str, depth: int = 0) -> str:
    if depth > MAX_NESTING:
        return escape(text)
    out, last = [], 0
    for match in INLINE.finditer(text):
        out.append(escape(text[last : match.start()]))
        last = match.end()
        kind = match.lastgroup if match.lastgroup in ("escape", "code") else next(name for name in KINDS if match[name])
        if kind == "escape":
            out.append(escape(match[0][1]))
        elif kind == "code":
            out.append(f"<code>{escape(match[0][1:-1])}</code>")
        elif kind == "picture":
            out.append(escape(match["alt"]))
        elif kind == "link":
            out.append(_link(match["to"], _inline(match["text"], MAX_NESTING), match[0]))
        elif kind == "auto":
            out.append(_link(match["address"], escape(match["address"]), match[0]))
        elif kind == "strong":
            out.append(f"<strong>{_inline(match['bold'] or match['bold2'], depth + 1)}</strong>")
        else:
            out.append(f"<em>{_inline(match['slant'] or match['slant2'], depth + 1)}</em>")
    return "".join((*out, escape(text[last:])))


KINDS = ("escape", "code", "picture", "link", "auto", "strong", "em")


def _link(to: str, shown: str, written: str) -> str:
    """A link to the web or to a mailbox; any other stands as it was written."""
    if not to.lower().startswith(("https://", "http://", "mailto:")):
        return shown if to.startswith(("#", "./", "../")) or ":" not in to else escape(written)
    return f'<a href="{escape(to)}" rel="noopener noreferrer nofollow" target="_blank">{shown}</a>'
