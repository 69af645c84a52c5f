"""Sentences of ours in another language: what a catalogue is, and how an English sentence is found in it.

A catalogue maps English to the other language. `{1}`, `{2}` stand for what differs from time to time (holes), `<1>...</1>` for a piece that is marked
up inside the phrase. In the other language a hole may bear a sign: `{1*}` holds a word of ours, which is said too; `{1#}` holds a number. Pure: text in, text out. What is not in the catalogue stays as it is: it was typed by a person or comes from another program.
Never decides which language somebody reads.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HOLE = re.compile(r"\{(\d+)([*#]?)\}")
_NUMBER = re.compile(r"[+-]?\d[\d., ]*")
MARK = re.compile(r"<(/?)(\d+)>")
_WORD = re.compile(r"[^\W\d_]{2,}")
_BLANK = re.compile(r"\s+")
# Sentences that code puts together stand between these; tried in this order, the loosest bond first.
_JOINTS = ("; ", ". ", ": ", " · ", ", ")
LONGEST = 2000  # characters; longer text is no sentence of ours
DEEPEST = 8  # a sentence in a sentence in a sentence
_REMEMBERED = 4096


def flat(text: str) -> str:
    """A phrase as the catalogue names it: white space in one piece, none at the ends."""
    return _BLANK.sub(" ", text).strip()


def holes(phrase: str) -> Counter[str]:
    """The holes and marks of a phrase and how often each stands there."""
    return Counter([f"{{{number}}}" for number, _ in HOLE.findall(phrase)] + [f"<{end}{number}>" for end, number in MARK.findall(phrase)])


def sayable(english: str, said: str = "") -> bool:
    """Whether a sentence can be told from other text: it has no holes, or two whole words of its own, or one beside nothing but numbers."""
    marks = HOLE.findall(said)
    if not HOLE.search(english):
        return True
    words = _whole(HOLE.sub("\0", english))
    return (len(words) >= 2 and sum(map(len, words)) >= 6) or (bool(words) and bool(marks) and all(sign == "#" for _, sign in marks))


def _whole(text: str) -> list[str]:
    """The words of a pattern that stand alone: not the end of what fills a hole."""
    found = []
    for word in _WORD.finditer(text):
        before, after = text[word.start() - 1 : word.start()], text[word.end() : word.end() + 1]
        if before != "\0" and after != "\0":
            found.append(word.group().lower())
    return found


@dataclass(frozen=True, slots=True)
class _Pattern:
    pieces: tuple[str, ...]  # the English between the holes
    said: tuple[str | tuple[int, str], ...]  # text, or which hole and the sign it bears
    weight: int

    @property
    def ends_otherwise(self) -> bool:
        """Whether the last hole of the English has words after it in the other language."""
        last = self.said[-2] if len(self.said) > 1 and not self.said[-1] else self.said[-1]
        return isinstance(last, str) or last[0] != len(self.pieces) - 2

    def fit(self, text: str) -> tuple[str, ...] | None:
        """What fills the holes, or None. Linear in the text: each piece is sought once, from the left."""
        head, tail = self.pieces[0], self.pieces[-1]
        at, end = len(head), len(text) - len(tail)
        if at > end or not text.startswith(head) or not text.endswith(tail):
            return None
        found = []
        for piece in self.pieces[1:-1]:
            where = text.find(piece, at, end)
            if where < 0:
                return None
            found.append(text[at:where])
            at = where + len(piece)
        return (*found, text[at:end])


def _pattern(english: str, said: str) -> _Pattern:
    order = [int(number) for number, _ in HOLE.findall(english)]
    pieces = HOLE.split(english)[::3]
    parts: list[str | tuple[int, str]] = []
    at = 0
    for hole in HOLE.finditer(said):
        parts += [said[at : hole.start()], (order.index(int(hole.group(1))), hole.group(2))]
        at = hole.end()
    return _Pattern(tuple(pieces), (*parts, said[at:]), sum(map(len, pieces)))


class Catalogue:
    """The phrases of one language, ready to be asked thousands of times a page."""

    def __init__(self, language: str, phrases: Mapping[str, str], composed: Mapping[str, str]) -> None:
        """`composed` are patterns for what programs put together, which may be as loose as one word beside holes. Raises ValueError for a phrase whose
        holes are not those of its English."""
        both = {**phrases, **composed}
        for english, said in both.items():
            if holes(english) != holes(said):
                raise ValueError(f"{language}: {said!r} has not the holes and marks of {english!r}")
        self.language = language
        self.phrases = both
        self._kept: dict[str, str] = {}
        found = [
            (english, said)
            for english, said in both.items()
            if HOLE.search(english) and not MARK.search(english) and (english in composed or sayable(english, said))
        ]
        common = Counter(word for english, _ in found for word in set(_whole(HOLE.sub("\0", english))))
        self._by_word: dict[str, list[_Pattern]] = {}
        for english, said in found:
            rarest = min(_whole(HOLE.sub("\0", english)), key=lambda word: (common[word], -len(word), word))
            self._by_word.setdefault(rarest, []).append(_pattern(english, said))

    def say(self, text: str) -> str:
        """A sentence, or words of ours that a program put together, in this language."""
        kept = self._kept.get(text)
        if kept is None:
            kept = self._say(text, 0)
            if len(self._kept) >= _REMEMBERED:
                self._kept.clear()
            self._kept[text] = kept
        return kept

    def _say(self, text: str, depth: int) -> str:
        if not text or len(text) > LONGEST or depth > DEEPEST:
            return text
        for variant, capital, stop in _variants(text):
            said = self.phrases.get(variant) if "<" not in variant else None
            if said is None:
                said = self._by_pattern(variant, depth)
            if said is not None:
                said = said[:1].upper() + said[1:] if capital else said
                return said + "." if stop and said[-1:] not in ".!?:" else said
        for joint in _JOINTS:
            head, found, rest = text.partition(joint)
            if found:
                pair = tuple(self._say(piece, depth + 1) if " " in piece else piece for piece in (head, rest))
                if pair != (head, rest):
                    return joint.join(pair)
        return text

    def _by_pattern(self, text: str, depth: int) -> str | None:
        candidates = [pattern for word in {word.lower() for word in _WORD.findall(text)} for pattern in self._by_word.get(word, ())]
        for pattern in sorted(candidates, key=lambda one: -one.weight):
            fills = pattern.fit(text)
            if fills is not None and all(isinstance(part, str) or part[1] != "#" or _NUMBER.fullmatch(fills[part[0]]) for part in pattern.said):
                if not pattern.pieces[-1] and pattern.ends_otherwise:
                    # What another program said may follow a sentence whose last words are a name: the name ends where that begins.
                    fills, joint, rest = _until_joint(fills)
                    return self._filled(pattern, fills, depth) + joint + self._fill(rest, depth, alone=False)
                return self._filled(pattern, fills, depth)
        return None

    def _filled(self, pattern: _Pattern, fills: tuple[str, ...], depth: int) -> str:
        return "".join(part if isinstance(part, str) else self._fill(fills[part[0]], depth, alone=part[1] == "*") for part in pattern.said)

    def _fill(self, text: str, depth: int, *, alone: bool) -> str:
        """What stands in a hole: said too where it is a sentence; a single word only where the catalogue says that it is one of ours."""
        return self._say(text, depth + 1) if alone or " " in text else text


def _until_joint(fills: tuple[str, ...]) -> tuple[tuple[str, ...], str, str]:
    """The fills, the last one up to where another sentence begins; how that is joined to it, and it."""
    for joint in (": ", "; "):
        name, found, rest = fills[-1].partition(joint)
        if found:
            return (*fills[:-1], name), joint, rest
    return fills, "", ""


def _variants(text: str) -> Iterator[tuple[str, bool, bool]]:
    """A text as the catalogue may hold it, and what was taken off: the capital of its beginning, the full stop of its end."""
    yield text, False, False
    stop = text.endswith(".")
    if stop:
        yield text[:-1], False, True
    if text[:1].isupper() and not text[:2].isupper():
        lower = text[0].lower() + text[1:]
        yield lower, True, False
        if stop:
            yield lower[:-1], True, True
