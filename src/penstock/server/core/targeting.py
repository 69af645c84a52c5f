"""Which devices a deployment is for: a list, a selector over labels that the centre has assigned, or a group.

Owns the selector's grammar and its evaluation. Never reads what a device says of itself: that may exclude it elsewhere, never
include it here. Grammar, terms joined by commas, all of which must hold:

    key            the label exists            !key              it does not
    key=value      it has this value           key!=value        it does not have this value (or does not exist)
    key in (a, b)  it has one of these         key notin (a, b)  it has none of these (or does not exist)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from penstock.server.core.errors import Invalid
from penstock.server.core.model import Target

KEY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")
MAX_SELECTOR = 2000
MAX_LABELS = 64


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `how`: exists, absent, in, notin."""

    key: str
    how: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a device with these labels meets it."""
        have = labels.get(self.key)
        if self.how == "exists":
            return have is not None
        if self.how == "absent":
            return have is None
        return (have in self.values) if self.how == "in" else (have not in self.values)


def _fault(text: str, at: int, why: str) -> Invalid:
    return Invalid(
        "selector-malformed",
        f"the selector is not understood at character {at + 1} ({text[at : at + 12]!r}): {why}",
        field="selector",
        remedy="write terms such as line=paint, zone!=office, size in (s, m), spare or !spare, joined by commas",
    )


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1

    def word(self, what: str) -> str:
        self.space()
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in KEY:
            self.at += 1
        if start == self.at:
            raise _fault(self.text, start, f"{what} is missing")
        if self.at - start > 63:
            raise _fault(self.text, start, f"{what} has more than 63 characters")
        return self.text[start : self.at]

    def take(self, mark: str) -> bool:
        self.space()
        if self.text.startswith(mark, self.at):
            self.at += len(mark)
            return True
        return False

    def values(self) -> frozenset[str]:
        if not self.take("("):
            raise _fault(self.text, self.at, "'in' and 'notin' want values in parentheses")
        found = {self.word("a value")}
        while self.take(","):
            found.add(self.word("a value"))
        if not self.take(")"):
            raise _fault(self.text, self.at, "the parenthesis is not closed")
        return frozenset(found)

    def term(self) -> Term:
        if self.take("!"):
            return Term(self.word("a label's name"), "absent")
        key = self.word("a label's name")
        if self.take("!="):
            return Term(key, "notin", frozenset((self.word("a value"),)))
        if self.take("==") or self.take("="):
            return Term(key, "in", frozenset((self.word("a value"),)))
        self.space()
        start = self.at
        if self.at < len(self.text) and self.text[self.at] in KEY:
            how = self.word("'in' or 'notin'")
            if how not in ("in", "notin"):
                raise _fault(self.text, start, "after a label's name come =, !=, in, notin, a comma or the end")
            return Term(key, how, self.values())
        return Term(key, "exists")


def parse(selector: str) -> tuple[Term, ...]:
    """The terms of a selector. Raises Invalid with the place of the first fault. An empty selector is refused: "all devices" is said as
    a term that all devices meet, so that nobody says it by leaving a field empty."""
    if len(selector) > MAX_SELECTOR:
        raise Invalid("selector-malformed", f"the selector has {len(selector)} characters, more than the {MAX_SELECTOR} allowed", field="selector")
    reader = _Reader(selector)
    reader.space()
    if reader.at == len(selector):
        raise Invalid("selector-empty", "the selector is empty", field="selector", remedy="name a label, or give a list of devices")
    terms = [reader.term()]
    while reader.take(","):
        terms.append(reader.term())
    reader.space()
    if reader.at != len(selector):
        raise _fault(selector, reader.at, "a comma or the end is expected")
    return tuple(terms)


def matches(terms: Iterable[Term], labels: Mapping[str, str]) -> bool:
    """Whether a device with these labels is meant."""
    return all(term.holds(labels) for term in terms)


def meant(target: Target, devices: Iterable[tuple[str, Mapping[str, str]]], members: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The devices (id, labels) that a target means, in the order given. `members`: who is in each group; nobody is in one that it does not have."""
    if target.selector:
        terms = parse(target.selector)
        return tuple(device for device, labels in devices if matches(terms, labels))
    wanted = set(members.get(target.group, ()) if target.group else target.devices)
    return tuple(device for device, _ in devices if device in wanted)


def check_target(target: Target) -> None:
    """Raises Invalid unless it is exactly one of a list, a selector and a group, and a readable one."""
    if bool(target.devices) + bool(target.selector) + bool(target.group) != 1:
        raise Invalid(
            "target-unclear",
            "a deployment is for a list of devices, for a selector or for a group, exactly one of the three",
            field="target",
            remedy="name devices, or give a selector, or name a group",
        )
    if target.selector:
        parse(target.selector)


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises Invalid unless every key and value could stand in a selector."""
    if len(labels) > MAX_LABELS:
        raise Invalid("labels-too-many", f"{len(labels)} labels, more than the {MAX_LABELS} allowed", field="labels")
    for key, value in labels.items():
        if not 1 <= len(key) <= 63 or not set(key) <= KEY:
            raise Invalid("label-malformed", f"the label's name {key[:70]!r} must have 1 to 63 of A-Z a-z 0-9 - _ . /", field=f"labels.{key[:63]}")
        if not 1 <= len(value) <= 63 or not set(value) <= KEY:
            raise Invalid("label-malformed", f"the value of label {key} must have 1 to 63 of A-Z a-z 0-9 - _ . /", field=f"labels.{key}")
