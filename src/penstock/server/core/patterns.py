"""Patterns that a vendor writes and anybody's value is held against: a small regular language, matched in time that grows with the text only.

Owns the grammar and the matching. It is not `re`, whose running time on a hostile pair of pattern and text has no bound. The grammar is the common part of all
regular expressions: letters, `.`, classes such as `[a-z0-9_-]` and `[^ ]`, `\\d \\w \\s` and their opposites, `( )`, `(?: )`, `|`, `*`, `+`, `?`, `{2}`,
`{2,}`, `{2,5}`. A pattern always speaks of the whole text; `^` at its beginning and `$` at its end change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

MAX_PATTERN = 300  # characters
MAX_STEPS = 4000  # of the program, counts written out
MAX_COUNT = 1000
MAX_DEPTH = 20  # parentheses within parentheses

Ranges = tuple[tuple[str, str], ...]
TOP = chr(0x10FFFF)
NAMED: dict[str, Ranges] = {
    "d": (("0", "9"),),
    "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
    "s": ((" ", " "), ("\t", "\r")),
}
ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class PatternError(ValueError):
    """A text that is no pattern; the message says why, with the place."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a program: take a character of `ranges`, or (without) go on at each of `to`; no `to` at all is the end."""

    ranges: Ranges | None
    to: tuple[int, ...] = ()


Program = tuple[Step, ...]


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Program:
    """The program of a pattern. Raises PatternError."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"it has {len(pattern)} characters, more than the {MAX_PATTERN} allowed")
    reader = _Reader(pattern)
    tree = reader.either(0)
    if reader.at != len(reader.text):
        raise PatternError(f"the ')' at character {reader.at + 1} closes nothing; write '\\)' for the character")
    steps: list[Step] = []
    _write(tree, steps)
    steps.append(Step(None))
    return tuple(steps)


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` is what the pattern says. Raises PatternError."""
    program = compiled(pattern)
    here = _reach(program, (0,))
    for letter in text:
        following = [at + 1 for at in here if (ranges := program[at].ranges) is not None and any(low <= letter <= high for low, high in ranges)]
        here = _reach(program, following)
        if not here:
            return False
    return len(program) - 1 in here


def _reach(program: Program, begin: list[int] | tuple[int, ...]) -> frozenset[int]:
    """Every step that can be stood at without taking a character."""
    seen: set[int] = set()
    todo = list(begin)
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            if program[at].ranges is None:
                todo.extend(program[at].to)
    return frozenset(seen)


# --- text to tree -------------------------------------------------------------------------------------------------------

# A tree is ("one", ranges), ("all", trees), ("any", trees) or ("times", tree, least, most), most -1 for no end.
Tree = tuple[object, ...]


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("^")
        if self.text.endswith("$") and not self.text.endswith("\\$"):
            self.text = self.text[:-1]
        self.at = 0

    def fault(self, why: str) -> PatternError:
        return PatternError(f"at character {self.at + 1}: {why}")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        found = self.peek()
        if not found:
            raise self.fault("it ends too early")
        self.at += 1
        return found

    def either(self, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise self.fault(f"parentheses stand more than {MAX_DEPTH} deep")
        ways = [self.row(depth)]
        while self.peek() == "|":
            self.at += 1
            ways.append(self.row(depth))
        return ways[0] if len(ways) == 1 else ("any", ways)

    def row(self, depth: int) -> Tree:
        found: list[Tree] = []
        while self.peek() and self.peek() not in "|)":
            found.append(self.counted(self.atom(depth)))
        return ("all", found)

    def atom(self, depth: int) -> Tree:
        letter = self.take()
        if letter == "(":
            if self.peek() == "?":
                if not self.text.startswith("?:", self.at):
                    raise self.fault("of what begins with '(?' only '(?:' is understood")
                self.at += 2
            inner = self.either(depth + 1)
            if self.peek() != ")":
                raise self.fault("a '(' is not closed")
            self.at += 1
            return inner
        if letter == "[":
            return ("one", self.letters())
        if letter == ".":
            return ("one", (("\0", "\t"), ("\x0b", TOP)))
        if letter == "\\":
            return ("one", self.escape())
        if letter in "*+?{}]^$":
            self.at -= 1
            raise self.fault(f"{letter!r} does not stand here; write '\\{letter}' for the character")
        return ("one", ((letter, letter),))

    def escape(self) -> Ranges:
        letter = self.take()
        if letter in NAMED:
            return NAMED[letter]
        if letter.lower() in NAMED:
            return _others(NAMED[letter.lower()])
        if letter in ESCAPED:
            return ((ESCAPED[letter], ESCAPED[letter]),)
        if letter.isalnum():
            self.at -= 1
            raise self.fault(f"'\\{letter}' is not understood")
        return ((letter, letter),)

    def letters(self) -> Ranges:
        opposite = self.peek() == "^"
        self.at += opposite
        found: list[tuple[str, str]] = []
        while self.peek() != "]" or not found:
            low = self.one_of()
            if len(low) == 1 and low[0][0] == low[0][1] and self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.one_of()
                if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                    raise self.fault("the range runs backwards, or to no single character")
                found.append((low[0][0], high[0][0]))
            else:
                found.extend(low)
        self.at += 1
        return _others(tuple(found)) if opposite else tuple(found)

    def one_of(self) -> Ranges:
        letter = self.take()
        return self.escape() if letter == "\\" else ((letter, letter),)

    def counted(self, tree: Tree) -> Tree:
        mark = self.peek()
        if mark not in ("*", "+", "?", "{") or not mark:
            return tree
        self.at += 1
        if mark == "{":
            inside, brace, _ = self.text[self.at :].partition("}")
            low, comma, high = inside.partition(",")
            if not brace or not low.isascii() or not low.isdigit() or (high and not (high.isascii() and high.isdigit())) or len(inside) > 9:
                raise self.fault("'{' wants a number, such as {2}, {2,} or {2,5}; write '\\{' for the character")
            self.at += len(inside) + 1
            least = int(low)
            most = least if not comma else int(high) if high else -1
            if max(least, most) > MAX_COUNT or -1 < most < least:
                raise self.fault(f"{{{inside}}} runs backwards, or counts beyond {MAX_COUNT}")
        else:
            least, most = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[mark]
        if self.peek() and self.peek() in "*+?{":
            raise self.fault(f"{self.peek()!r} follows another count; put what is counted into parentheses")
        return ("times", tree, least, most)


def _others(ranges: Ranges) -> Ranges:
    """All characters but these."""
    found, begin = [], 0
    for low, high in sorted(ranges):
        if ord(low) > begin:
            found.append((chr(begin), chr(ord(low) - 1)))
        begin = max(begin, ord(high) + 1)
    if begin <= ord(TOP):
        found.append((chr(begin), TOP))
    return tuple(found)


# --- tree to program ----------------------------------------------------------------------------------------------------


def _write(tree: Tree, steps: list[Step]) -> None:
    if len(steps) > MAX_STEPS:
        raise PatternError("with its counts written out it is too long; count less")
    kind, rest = tree[0], tree[1:]
    if kind == "one":
        steps.append(Step(rest[0]))  # type: ignore[arg-type]
    elif kind == "all":
        for part in rest[0]:  # type: ignore[attr-defined]
            _write(part, steps)
    elif kind == "any":
        _ways(list(rest[0]), steps)  # type: ignore[call-overload]
    else:
        inner, least, most = rest
        for _ in range(least):  # type: ignore[call-overload]
            _write(inner, steps)  # type: ignore[arg-type]
        if most == -1:
            start = len(steps)
            steps.append(Step(None))
            _write(inner, steps)  # type: ignore[arg-type]
            steps.append(Step(None, (start,)))
            steps[start] = Step(None, (start + 1, len(steps)))
        else:
            starts = []
            for _ in range(most - least):  # type: ignore[operator]
                starts.append(len(steps))
                steps.append(Step(None))
                _write(inner, steps)  # type: ignore[arg-type]
            for start in starts:
                steps[start] = Step(None, (start + 1, len(steps)))


def _ways(ways: list[Tree], steps: list[Step]) -> None:
    fork = len(steps)
    steps.append(Step(None))
    starts, ends = [], []
    for way in ways:
        starts.append(len(steps))
        _write(way, steps)
        ends.append(len(steps))
        steps.append(Step(None))
    steps[fork] = Step(None, tuple(starts))
    for end in ends:
        steps[end] = Step(None, (len(steps),))
