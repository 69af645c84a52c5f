"""Finds the phrases in a template's syntax tree and says them in another language, once, when the template is compiled.

Templates stay plain English HTML. A phrase is: a run of text with the expressions and the inline marks (a, b, em, strong) in it; the value of an attribute
that people read; a text literal in an expression that reads like words. `{{ ... }}` and `<code>` become holes. What a page costs when it is shown is not
touched: each language has templates of its own. Never looks at values: sentences that come as values go through the filter `say`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from penstock.server.web.phrases import HOLE, MARK, flat

Look = Callable[[str], "str | None"]  # a phrase as the catalogue names it -> what to say, None where it stays

READ = frozenset(("title", "placeholder", "aria-label", "aria-description", "alt", "data-label"))  # and every data-say-...
INLINE = frozenset(("a", "b", "em", "strong"))
HIDDEN = frozenset(("script", "style", "svg", "pre", "textarea"))
_LETTERS = re.compile(r"[^\W\d_]{2,}")
# A literal in an expression that people read: a capital first, or words with a blank between; never what looks like markup or a path.
_WORDS = re.compile(r"[A-Z][a-z]|[^\s=/<>\"]+ [^\W\d_(\"'`{]")
_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)")
_ATTRIBUTE = re.compile(r"([^\s=/>\"']+)(\s*=\s*)([\"'])(.*?)\3", re.DOTALL)
_OPEN_VALUE = re.compile(r"([^\s=/>\"']+)\s*=\s*([\"'])[^\"']*\Z", re.DOTALL)
# Expressions stand in the text as one character each, of the area that Unicode keeps free for such uses.
_FIRST = 0xE000
_EXPRESSION = re.compile("[\ue000-\uf8ff]")


@dataclass(frozen=True, slots=True)
class _Piece:
    """text, hole (an expression, or code), open or close of an inline mark; `end` is what a phrase cannot reach across."""

    kind: str
    text: str
    name: str = ""


class Walk:
    """One way through one template, in the order of its source: where in the HTML it is, and each phrase as it comes."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.within = ""  # an element whose content is not text
        self.in_tag = ""  # the name of a tag that is not closed yet
        self.attribute = ""  # the attribute whose value is not closed yet
        self.quote = ""

    def template(self, tree: nodes.Template) -> None:
        """The whole of a template, in place."""
        self._body(tree.body)

    def _place(self) -> tuple[str, str, str, str]:
        return self.within, self.in_tag, self.attribute, self.quote

    # --- the tree -----------------------------------------------------------------------------------------------------

    def _body(self, body: Iterable[nodes.Node]) -> None:
        for node in body:
            self._statement(node)

    def _statement(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Output):
            node.nodes = self._output(node)
        elif isinstance(node, nodes.Macro):
            node.defaults = [self._expr(one) for one in node.defaults]
            self._body(node.body)
        elif isinstance(node, nodes.If):
            before = self._place()
            self._body(node.body)
            others: list[list[nodes.Node]] = [[one] for one in node.elif_]
            for other in (*others, node.else_):  # each branch begins where the first began
                self.within, self.in_tag, self.attribute, self.quote = before
                self._body(other)
        elif isinstance(node, nodes.For):
            node.iter = self._expr(node.iter)
            self._body(node.body)
            self._body(node.else_)
        elif isinstance(node, nodes.Assign):
            node.node = self._expr(node.node)
        elif not isinstance(node, (nodes.Import, nodes.FromImport, nodes.Extends, nodes.Include)):
            for name, value in node.iter_fields():
                if name in ("body", "else_"):
                    self._body(value)

    def _expr(self, node: Any) -> Any:
        """An expression with its readable literals said. Tests, keys and what is compared are for programs."""
        if isinstance(node, nodes.Const):
            if isinstance(node.value, str) and _WORDS.match(node.value):
                said = self.look(flat(node.value))
                return node if said is None else nodes.Const(said, lineno=node.lineno, environment=node.environment)
        elif isinstance(node, nodes.Concat):
            return self._concat(node)
        elif isinstance(node, nodes.CondExpr):
            node.expr1 = self._expr(node.expr1)
            node.expr2 = None if node.expr2 is None else self._expr(node.expr2)
        elif isinstance(node, (nodes.Pair, nodes.Keyword)):
            node.value = self._expr(node.value)
        elif isinstance(node, nodes.Getitem):
            node.node = self._expr(node.node)
        elif not isinstance(node, (nodes.Test, nodes.Compare)):
            for name, value in node.iter_fields():
                if isinstance(value, nodes.Node):
                    setattr(node, name, self._expr(value))
                elif isinstance(value, list):
                    setattr(node, name, [self._expr(one) if isinstance(one, nodes.Node) else one for one in value])
        return node

    def _concat(self, node: nodes.Concat) -> nodes.Expr:
        """`"text " ~ value ~ " text"`: one phrase with holes."""
        text, fills = _as_text(node.nodes, self._expr, nodes.Const)
        if _LETTERS.search(text) and _WORDS.match(_EXPRESSION.sub("x", flat(text))):
            text = self._phrase([_Piece("hole" if _EXPRESSION.match(one) else "text", one) for one in _cut(text)])
        return nodes.Concat(
            [fills[ord(one) - _FIRST] if _EXPRESSION.match(one) else nodes.Const(one, lineno=node.lineno, environment=node.environment) for one in _cut(text)],
            lineno=node.lineno,
            environment=node.environment,
        )

    def _output(self, node: nodes.Output) -> list[nodes.Expr]:
        text, fills = _as_text(node.nodes, self._expr, nodes.TemplateData)
        return [
            fills[ord(one) - _FIRST] if _EXPRESSION.match(one) else nodes.TemplateData(one, lineno=node.lineno, environment=node.environment)
            for one in _cut(self._html(text))
        ]

    # --- HTML ---------------------------------------------------------------------------------------------------------

    def _html(self, text: str) -> str:
        """A stretch of HTML between two statements of the template, said. Begins and may end inside a tag or an element."""
        out: list[str] = []
        run: list[_Piece] = []
        at = 0
        while at < len(text):
            if self.within:
                at = self._pass(text, at, out)
            elif self.in_tag:
                at = self._rest_of_tag(text, at, out)
            else:
                at = self._text(text, at, run, out)
        return "".join(out) + self._run(run)

    def _pass(self, text: str, at: int, out: list[str]) -> int:
        """Go over what is hidden or code, to its end."""
        mark = "-->" if self.within == "!--" else f"</{self.within}"
        where = text.find(mark, at)
        if where >= 0:
            self.within = ""
        stop = len(text) if where < 0 else where
        out.append(text[at:stop])
        if where >= 0 and mark == "-->":
            out.append(mark)
            stop += len(mark)
        return stop

    def _rest_of_tag(self, text: str, at: int, out: list[str]) -> int:
        if self.attribute:
            where = text.find(self.quote, at)
            stop = len(text) if where < 0 else where
            out.append(self._value(self.attribute, text[at:stop]))
            if where >= 0:
                self.attribute = ""
                out.append(self.quote)
                stop += 1
            return stop
        stop, closed = _tag_end(text, at)
        out.append(self._attributes(text[at:stop]))
        if closed:
            self.within = self.in_tag if self.in_tag in HIDDEN or self.in_tag == "code" else ""
            self.in_tag = ""
        return stop

    def _text(self, text: str, at: int, run: list[_Piece], out: list[str]) -> int:
        found = _TAG.search(text, at)
        comment = text.find("<!", at)
        first = min(one for one in (len(text), found.start() if found else len(text), comment if comment >= 0 else len(text)))
        run += [_Piece("hole" if _EXPRESSION.match(one) else "text", one) for one in _cut(text[at:first])]
        if first == len(text):
            return first
        if first == comment:
            out.append(self._run(run))
            run.clear()
            stop = text.find(">", first) + 1 if not text.startswith("<!--", first) else first + 4
            self.within = "!--" if text.startswith("<!--", first) else ""
            out.append(text[first:stop])
            return stop
        assert found is not None
        name, closing = found.group(2).lower(), bool(found.group(1))
        stop, closed = _tag_end(text, found.end())
        if closed and name == "code" and not closing and (end := text.find("</code>", stop)) >= 0:
            run.append(_Piece("hole", text[first : end + 7]))
            return end + 7
        if closed and name in INLINE:
            run.append(_Piece("close" if closing else "open", self._attributes(text[first:stop]), name))
            return stop
        out.append(self._run(run))
        run.clear()
        out.append(self._attributes(text[first:stop]))
        if not closed:
            self.in_tag = f"/{name}" if closing else name
        elif not closing and (name in HIDDEN or name == "code") and not text[:stop].endswith("/>"):
            self.within = name
        return stop

    def _attributes(self, text: str) -> str:
        """A tag, or part of one, with the values that people read said. Remembers a value that it ends in."""
        found = _OPEN_VALUE.search(_ATTRIBUTE.sub(lambda one: " " * len(one.group()), text))
        tail = ""
        if found:
            self.attribute, self.quote = found.group(1).lower(), found.group(2)
            start = found.start(2) + 1
            text, tail = text[:start], self._value(self.attribute, text[start:])
        return _ATTRIBUTE.sub(lambda one: f"{one[1]}{one[2]}{one[3]}{self._value(one[1].lower(), one[4])}{one[3]}", text) + tail

    def _value(self, attribute: str, text: str) -> str:
        if attribute not in READ and not attribute.startswith("data-say-"):
            return text
        return self._phrase([_Piece("hole" if _EXPRESSION.match(one) else "text", one) for one in _cut(text)]).replace('"', "&quot;")

    def _run(self, run: list[_Piece]) -> str:
        """A run of text, expressions and inline marks: one phrase where it has words of its own, else what stands inside its marks one by one."""
        pairs = _pairs(run)
        for index, piece in enumerate(run):
            if piece.kind in ("open", "close") and index not in pairs:
                return self._run(run[:index]) + piece.text + self._run(run[index + 1 :])
        outside, index = [], 0
        while index < len(run):
            if run[index].kind == "open":
                index = pairs[index]
            else:
                outside.append(run[index])
            index += 1
        if any(piece.kind == "text" and _LETTERS.search(piece.text) for piece in outside):
            return self._phrase(run)
        out, index = [], 0
        while index < len(run):
            if run[index].kind == "open":
                end = pairs[index]
                out += [run[index].text, self._run(run[index + 1 : end]), run[end].text]
                index = end
            else:
                out.append(run[index].text)
            index += 1
        return "".join(out)

    def _phrase(self, run: list[_Piece]) -> str:
        """One phrase, said. White space at its ends stays."""
        whole = "".join(piece.text for piece in run)
        if not any(piece.kind == "text" and _LETTERS.search(piece.text) for piece in run):
            return whole
        key, fills, marks = "", [], []
        open_marks: list[int] = []
        for piece in run:
            if piece.kind == "text":
                key += piece.text
            elif piece.kind == "hole":
                fills.append(piece.text)
                key += f"{{{len(fills)}}}"
            elif piece.kind == "open":
                marks.append([piece.text, ""])
                open_marks.append(len(marks))
                key += f"<{len(marks)}>"
            else:
                number = open_marks.pop()
                marks[number - 1][1] = piece.text
                key += f"</{number}>"
        said = self.look(flat(key))
        if said is None:
            return whole
        said = HOLE.sub(lambda one: fills[int(one[1]) - 1], said)
        said = MARK.sub(lambda one: marks[int(one[2]) - 1][bool(one[1])], said)
        return key[: len(key) - len(key.lstrip())] + said + key[len(key.rstrip()) :]


def _as_text(parts: Iterable[Any], expr: Callable[[Any], Any], literal: type[Any]) -> tuple[str, list[Any]]:
    """Literals (of that type of node) and expressions as one text, in which each expression is one character; and the expressions."""
    text = ""
    fills: list[Any] = []
    for part in parts:
        data = getattr(part, "data", None) if literal is nodes.TemplateData else getattr(part, "value", None)
        if isinstance(part, literal) and isinstance(data, str):
            text += data
        else:
            text += chr(_FIRST + len(fills))
            fills.append(expr(part))
    return text, fills


def _cut(text: str) -> list[str]:
    """Text with expressions in it, as pieces that are one or the other."""
    return [one for one in re.split("([\ue000-\uf8ff])", text) if one]


def _tag_end(text: str, at: int) -> tuple[int, bool]:
    """Where a tag ends that is open at `at`, and whether it does here. A `>` inside a quoted value is none."""
    quote = ""
    for index in range(at, len(text)):
        sign = text[index]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == ">":
            return index + 1, True
    return len(text), False


def _pairs(run: list[_Piece]) -> dict[int, int]:
    """Which opening mark belongs to which closing one, both ways; those without a partner are not in it."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for index, piece in enumerate(run):
        if piece.kind == "open":
            waiting.append(index)
        elif piece.kind == "close" and waiting and run[waiting[-1]].name == piece.name:
            start = waiting.pop()
            found[start], found[index] = index, start
    return found
