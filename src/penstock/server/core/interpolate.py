"""`${NAME}` in a Compose file: the grammar, what a file asks for, and filling it in.

Owns templates (`parse`, `evaluate`), parameters, and holes: the places of a release whose value waits for a device. Never
knows what a value means; the readers of `compose.scalars` do.

The grammar is the Compose specification's (12-interpolation.md): `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`,
`${NAME:?message}`, `${NAME?message}`, `${NAME:+other}`, `${NAME+other}`, nested words, `$$` for a dollar sign. One difference, on
purpose: a parameter that has neither a value nor a default is refused, where Compose would quietly put nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from penstock.server.core.declared import Declared
from penstock.server.core.facts import PREFIX, is_fact, lacking

MAX_DEPTH = 8  # words within words
MAX_LENGTH = 32768  # characters of one value, filled in; the wire's limit for a text

FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
LETTERS = FIRST | frozenset("0123456789")
OPERATORS = (":-", ":?", ":+", "-", "?", "+")


class TemplateError(ValueError):
    """A text that is no template, or a template that cannot be filled in. `why` and `remedy` are sentences."""

    def __init__(self, why: str, remedy: str = "", missing: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Use:
    """One `${...}`. `operator` is empty, "-", ":-", "?", ":?", "+" or ":+"; `word` what stands behind it."""

    name: str
    operator: str = ""
    word: Template = ()


Template = tuple["str | Use", ...]


# --- text to template -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """The template that `text` is. Raises TemplateError. Remembered: one release is filled in for thousands of devices."""
    parts, end = _parse(text, 0, 0)
    if end != len(text):
        raise AssertionError("a template at depth 0 ends with its text")
    return parts


def _parse(text: str, start: int, depth: int) -> tuple[Template, int]:
    """Up to the end of the text, or (inside braces) up to the '}' that closes the word, which is not consumed."""
    if depth > MAX_DEPTH:
        raise TemplateError(f"'${{' is nested more than {MAX_DEPTH} deep", "write it flatter")
    parts: list[str | Use] = []
    plain: list[str] = []
    at = start
    while at < len(text):
        letter = text[at]
        if letter == "}" and depth:
            break
        if letter != "$":
            plain.append(letter)
            at += 1
            continue
        following = text[at + 1 : at + 2]
        if following == "$":
            plain.append("$")
            at += 2
            continue
        if plain:
            parts.append("".join(plain))
            plain = []
        if following == "{":
            use, at = _braces(text, at + 2, depth)
            parts.append(use)
        elif following in FIRST and following:
            end = _name_end(text, at + 1)
            parts.append(Use(text[at + 1 : end]))
            at = end
        else:
            raise TemplateError(f"'$' is followed by {following!r}, which begins no name", "write '$$' for a dollar sign")
    if plain:
        parts.append("".join(plain))
    return tuple(parts), at


def _name_end(text: str, at: int) -> int:
    while at < len(text) and text[at] in LETTERS:
        at += 1
    return at


def _braces(text: str, start: int, depth: int) -> tuple[Use, int]:
    end = _name_end(text, start)
    name = text[start:end]
    if not name or name[0] not in FIRST:
        raise TemplateError(
            "'${' is not followed by a name", "a name has letters, digits and '_' and does not begin with a digit; write '$$' for a dollar sign"
        )
    if text[end : end + 1] == "}":
        return Use(name), end + 1
    for operator in OPERATORS:
        if text.startswith(operator, end):
            word, stop = _parse(text, end + len(operator), depth + 1)
            if text[stop : stop + 1] != "}":
                break
            return Use(name, operator, word), stop + 1
    if "}" in text[end:]:
        raise TemplateError(f"'${{{name}' is followed by {text[end]!r}, which is no operator", "use ':-', '-', ':?', '?', ':+' or '+', and close with '}'")
    raise TemplateError(f"'${{{name}' is not closed", "close it with '}', or write '$$' for a dollar sign")


def render(template: Template) -> str:
    """The text of a template again; `parse(render(t)) == t` for every t that `parse` gave."""
    return "".join(part.replace("$", "$$") if isinstance(part, str) else "${" + part.name + part.operator + render(part.word) + "}" for part in template)


# --- template to text -------------------------------------------------------------------------------------------------


def evaluate(template: Template, values: Mapping[str, str]) -> str:
    """The template filled in. Raises TemplateError for what is missing (its `missing` names the parameter) or too long."""
    text = _evaluate(template, values)
    if len(text) > MAX_LENGTH:
        raise TemplateError(f"filled in, it has {len(text)} characters, more than the {MAX_LENGTH} allowed", "give shorter values")
    return text


def _evaluate(template: Template, values: Mapping[str, str]) -> str:
    out = []
    for part in template:
        if isinstance(part, str):
            out.append(part)
            continue
        value = values.get(part.name)
        there = value is not None and (value != "" or not part.operator.startswith(":"))
        kind = part.operator[-1:]
        if kind == "+":
            out.append(_evaluate(part.word, values) if there else "")
        elif there:
            out.append(value or "")
        elif kind == "-":
            out.append(_evaluate(part.word, values))
        else:
            raise _missing(part, values, empty=value is not None)
    return "".join(out)


def _missing(use: Use, values: Mapping[str, str], *, empty: bool) -> TemplateError:
    if use.name.startswith(PREFIX):
        why, remedy = lacking(use.name)
        return TemplateError(why, remedy, missing=use.name)
    message = _evaluate(use.word, values) if use.operator else ""
    why = f"parameter {use.name} is empty" if empty else f"parameter {use.name} has no value"
    return TemplateError(
        f"{why}: {message}" if message else why,
        f"give {use.name} a value in the deployment, or a default in the file: ${{{use.name}:-...}}",
        missing=use.name,
    )


def uses(template: Template) -> Iterator[Use]:
    """Every use in a template, words included."""
    for part in template:
        if isinstance(part, Use):
            yield part
            yield from uses(part.word)


def literal(template: Template) -> str | None:
    """The text of a template that asks for nothing; None when it asks."""
    return "".join(str(part) for part in template) if all(isinstance(part, str) for part in template) else None


# --- parameters -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a release asks of a deployment. `default` is the text that stands behind ':-' (itself a template), None where there is
    none or where the file has several; `required`: at least one use demands a value. `message` is the file's own word about it.
    `used_at` are paths in the file; `declared` is what the file says of it beyond using it."""

    name: str
    default: str | None = None
    required: bool = True
    message: str = ""
    secret: bool = False
    used_at: tuple[str, ...] = ()
    declared: Declared | None = None


def parameters(found: list[tuple[str, Template]], secrets: frozenset[str]) -> tuple[Parameter, ...]:
    """The parameters of all templates of a file, by name; `found` are (path, template)."""
    seen: dict[str, list[tuple[str, Use, bool]]] = {}
    for path, template in found:
        for use, certain in _with_need(template, certain=True):
            seen.setdefault(use.name, []).append((path, use, certain))
    made = []
    for name in sorted(seen):
        if is_fact(name):
            continue
        defaults = {render(use.word) for _, use, _ in seen[name] if use.operator in ("-", ":-")}
        required = any(certain and use.operator[-1:] in ("", "?") for _, use, certain in seen[name])
        messages = [render(use.word) for _, use, _ in seen[name] if use.operator[-1:] == "?" and use.word]
        made.append(
            Parameter(
                name=name,
                default=defaults.pop() if len(defaults) == 1 and not required else None,
                required=required,
                message=messages[0] if messages else "",
                secret=name in secrets,
                used_at=tuple(dict.fromkeys(path for path, _, _ in seen[name])),
            )
        )
    return tuple(made)


def _with_need(template: Template, *, certain: bool) -> Iterator[tuple[Use, bool]]:
    """Uses, with whether they are always evaluated: a word behind '-' or '+' is only looked at when it is needed."""
    for part in template:
        if isinstance(part, Use):
            yield part, certain
            yield from _with_need(part.word, certain=False)


# --- holes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hole:
    """A place of a release whose value waits for a device: the template, the reader that makes a value of the text, and where it
    stands in the file. The place is for messages and is no part of a release's digest."""

    text: str
    reader: str
    path: str = ""
    line: int = 0
    column: int = 0


SECRET_VERSION = "secret-version"  # noqa: S105 - the name of a reader; its `text` is the secret's name


def fill(plain: object, value_of: Callable[[Hole], object]) -> object:
    """`plain` with every hole replaced by what `value_of` gives. A list given for an item of a list takes the item's place, since one
    text such as "8000-8003:80-83" may stand for several things. `value_of` may give the hole back to leave it open."""
    if isinstance(plain, Hole):
        return value_of(plain)
    if isinstance(plain, dict):
        return {key: fill(item, value_of) for key, item in plain.items()}
    if isinstance(plain, list):
        out: list[object] = []
        for item in plain:
            value = fill(item, value_of)
            if isinstance(item, Hole) and isinstance(value, list):
                out.extend(value)
            else:
                out.append(value)
        return out
    return plain


def holes(plain: object) -> Iterator[Hole]:
    """Every hole in `plain`, in order."""
    if isinstance(plain, Hole):
        yield plain
    elif isinstance(plain, dict):
        for item in plain.values():
            yield from holes(item)
    elif isinstance(plain, list):
        for item in plain:
            yield from holes(item)
