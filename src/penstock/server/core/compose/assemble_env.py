"""Files of variables: `env_file`, `label_file` and `.env`, in the grammar of the Compose specification (05-services.md, env_file format).

Owns the way from such a file's bytes to names and values, each value a template as Compose text writes it, and the putting of `.env` values
into a tree as defaults. Never decides which file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from penstock.server.core.compose import tree
from penstock.server.core.compose.faults import Faults, Sources
from penstock.server.core.interpolate import MAX_LENGTH, Template, TemplateError, Use, parse, render

MAX_BYTES = 131_072
MAX_VARIABLES = 1024
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$$"}


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of a file. `value` is a template ('$$' for a dollar sign), None where the line has a name only."""

    name: str
    value: str | None
    line: int
    column: int


def read(content: bytes, name: str, sources: Sources, faults: Faults, *, raw: bool = False, fill: bool = True) -> tuple[Variable, ...]:
    """The variables of a file, in order, a later one of a name in place of the earlier. `raw`: everything behind '=' is the value as it stands.
    `fill`: a use of a variable that stands above has that value as its default."""
    base = sources.add(name, content)
    if len(content) > MAX_BYTES:
        faults.add("", base + 1, 1, f"the file has {len(content)} bytes, more than the {MAX_BYTES} allowed", "write less, or split the app")
        return ()
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeError:
        faults.add("", base + 1, 1, "the file is not UTF-8", "save it as UTF-8 text")
        return ()
    found: dict[str, Variable] = {}
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        line, number = lines[at], base + at + 1
        at += 1
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        stripped = stripped.removeprefix("export ").lstrip() if not raw else stripped
        key, equals, rest = stripped.partition("=")
        key = key.rstrip()
        if not key or any(letter.isspace() or letter in "$'\"#\0" for letter in key) or len(key) > 255:
            faults.add("", number, 1, f"{key[:60]!r} is no name of a variable", "write NAME=value, one on each line; '#' begins a comment")
            continue
        if len(found) >= MAX_VARIABLES and key not in found:
            faults.add("", number, 1, f"the file has more than {MAX_VARIABLES} variables", "write fewer")
            break
        value: str | None = None
        if equals:
            quote = rest.lstrip()[:1]
            if not raw and quote in ("'", '"'):
                value, at = _quoted(lines, at, rest.lstrip(), quote, number, faults)
            else:
                value = rest.replace("$", "$$") if raw else _bare(rest)
            if value is not None and not raw and fill:
                value = _filled(value, found, number, faults)
            if value is None or len(value) > MAX_LENGTH:
                if value is not None:
                    faults.add("", number, 1, f"the value of {key[:60]} has more than {MAX_LENGTH} characters", "write less")
                continue
        found[key] = Variable(key, value, number, 1)
    return tuple(found.values())


def _bare(rest: str) -> str:
    """An unquoted value: up to a comment, without white space around it."""
    if rest.startswith("#"):
        return ""
    for at in range(1, len(rest)):
        if rest[at] == "#" and rest[at - 1] in " \t":
            return rest[:at].strip()
    return rest.strip()


def _quoted(lines: list[str], at: int, rest: str, quote: str, number: int, faults: Faults) -> tuple[str | None, int]:
    """A quoted value, over as many lines as it takes; and the line that follows."""
    out: list[str] = []
    text, i = rest, 1
    while True:
        while i < len(text):
            letter = text[i]
            if letter == "\\" and i + 1 < len(text):
                following = text[i + 1]
                if quote == "'":
                    out.append("'" if following == "'" else "\\" + following.replace("$", "$$"))
                else:
                    out.append(ESCAPES.get(following, "\\" + following))
                i += 2
                continue
            if letter == quote:
                behind = text[i + 1 :].strip()
                if behind and not behind.startswith("#"):
                    faults.add("", number, 1, f"{behind[:40]!r} stands behind the closing quote", "put the whole value in quotes, or a '#' before a comment")
                    return None, at
                return "".join(out), at
            out.append("$$" if letter == "$" and quote == "'" else letter)
            i += 1
        if at >= len(lines):
            faults.add("", number, 1, f"the quote {quote} is not closed", f"close it with {quote}")
            return None, at
        out.append("\n")
        text, i, at = lines[at], 0, at + 1


def _filled(value: str, above: dict[str, Variable], number: int, faults: Faults) -> str | None:
    try:
        return with_defaults(value, {name: one.value for name, one in above.items() if one.value is not None})
    except TemplateError as fault:
        faults.add("", number, 1, fault.why, fault.remedy)
        return None


# --- defaults ------------------------------------------------------------------------------------------------------------------


def with_defaults(text: str, values: Mapping[str, str]) -> str:
    """A template with other defaults: `values` are what a name has when a deployment says nothing, as templates. A text that is no template stays,
    for the reader to refuse by its path. Raises TemplateError for what cannot be said."""
    if "$" not in text or not values:
        return text
    try:
        template = parse(text)
    except TemplateError:
        return text
    made = _defaults(template, values)
    return text if made == template else render(made)


def _defaults(template: Template, values: Mapping[str, str]) -> Template:
    out: list[str | Use] = []
    for part in template:
        if isinstance(part, str):
            out.append(part)
            continue
        use = replace(part, word=_defaults(part.word, values))
        value = values.get(use.name)
        if value is None:
            out.append(use)
            continue
        kind, word = use.operator, parse(value)
        if kind in ("", "-", "?"):
            out.append(Use(use.name, "-", word))
        elif kind == "+":
            out.extend(use.word)
        elif value == "":
            out.append(use)
        elif kind in (":-", ":?"):
            out.append(Use(use.name, ":-", word))
        else:
            raise TemplateError(
                f"{use.name} has a value in a file of variables, and ${{{use.name}:+...}} asks whether it has one", f"take {use.name} out of that file"
            )
    return tuple(out)


def put_defaults(node: tree.Node, values: Mapping[str, str], faults: Faults) -> tree.Node:
    """The tree with `values` as defaults of what it asks for."""
    if isinstance(node, tree.Mapping):
        made = tuple(one if (value := put_defaults(one.value, values, faults)) is one.value else replace(one, value=value) for one in node.entries)
        return node if all(a is b for a, b in zip(made, node.entries, strict=True)) else replace(node, entries=made)
    if isinstance(node, tree.Sequence):
        items = tuple(put_defaults(item, values, faults) for item in node.items)
        return node if all(a is b for a, b in zip(items, node.items, strict=True)) else replace(node, items=items)
    if "$" not in node.text:
        return node
    try:
        text = with_defaults(node.text, values)
    except TemplateError as fault:
        faults.add("", node.line, node.column, fault.why, fault.remedy)
        return node
    return node if text == node.text else replace(node, text=text)
