"""YAML text to a tree that remembers where everything stands.

Owns the reading of YAML as far as a Compose file may use it: one document, anchors, aliases and merge keys, text kept as it was
written. Refuses what bites later: duplicate keys, foreign tags, several documents, and files made to explode (limits on size, depth and
on the nodes an alias multiplies). Never knows a key of Compose.

Plain scalars follow the YAML 1.2 core schema, as Compose's own parser does: `yes` and `22:22` are text, not a boolean and 1342.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from penstock.server.core.compose.faults import ComposeError, Fault, Faults, Sources

MAX_BYTES = 262_144
MAX_DEPTH = 32
MAX_NODES = 20_000  # with every alias counted as often as it is used

RESET, OVERRIDE = "!reset", "!override"  # what a file laid over another may say of a value below

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
BOOLEAN = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
INTEGER = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")

TAG = "tag:yaml.org,2002:"
SCALAR_TAGS = {TAG + "str": "text", TAG + "int": "integer", TAG + "float": "fraction", TAG + "bool": "boolean", TAG + "null": "null"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value. `text` is as written (escapes resolved); `kind` is text, integer, fraction, boolean or null; `tag` is RESET, OVERRIDE or empty."""

    text: str
    kind: str
    line: int
    column: int
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping and its value; line and column are the key's."""

    key: str
    value: Node
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in the file's order, merge keys resolved, each key once."""

    entries: tuple[Entry, ...]
    line: int
    column: int
    tag: str = ""

    def get(self, key: str) -> Node | None:
        """The value of a key, None where there is no such key."""
        return next((entry.value for entry in self.entries if entry.key == key), None)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items in the file's order."""

    items: tuple[Node, ...]
    line: int
    column: int
    tag: str = ""


Node = Scalar | Mapping | Sequence


def kind_of(node: Node) -> str:
    """What a node is, for sentences."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return {"null": "empty", "integer": "a number", "fraction": "a number", "boolean": node.text.lower()}.get(node.kind, "text")


def parse(
    source: str | bytes, sources: Sources | None = None, name: str = "", what: str = "a Compose file has at least `services:` with one service"
) -> Mapping:
    """The tree of a YAML document whose top is a mapping. Raises ComposeError with every fault found.

    With `sources` the lines are numbered through as those of the file `name`, and !reset and !override are kept for who merges files."""
    text = _text(source, name if sources else "")
    base = sources.add(name, text) if sources else 0
    faults = Faults(sources)
    try:
        top = _Composer(text, faults, base, tags=sources is not None).document()
    except _Stop:
        top = None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        said = " ".join(part for part in (fault.context, fault.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        faults.add("", base + line, column, f"this is not YAML: {said[:200]}", "look at the indentation, quotes and brackets here and just above")
        top = None
    except yaml.YAMLError as fault:
        faults.add("", base + 1, 1, f"this is not YAML: {str(fault)[:200]}", "save the file as UTF-8 text")
        top = None
    faults.check()
    if not isinstance(top, Mapping):
        raise ComposeError((Fault("", 1, 1, "the file holds no mapping", what, name if sources else ""),))
    return top


def _text(source: str | bytes, file: str) -> str:
    size = len(source)
    if size > MAX_BYTES:
        raise ComposeError((Fault("", 0, 0, f"the file has {size} bytes, more than the {MAX_BYTES} allowed", "split the app into several", file),))
    try:
        text = source.decode("utf-8") if isinstance(source, bytes) else source
        text.encode("utf-8")
    except UnicodeError as fault:
        raise ComposeError((Fault("", 1, 1, f"the file is not UTF-8: {str(fault)[:100]}", "save it as UTF-8 text", file),)) from None
    # A byte order mark is no part of the text (YAML 1.2.2, 5.2).
    text = text.removeprefix("\ufeff")
    for number, line in enumerate(text.split("\n"), 1):
        for column, letter in enumerate(line, 1):
            if not (letter.isprintable() or letter in "\t\r\x85" or letter > "\x9f"):
                why = f"the character U+{ord(letter):04X} may not stand in YAML"
                raise ComposeError((Fault("", number, column, why, "remove it, or write it as an escape in double quotes", file),))
    return text


class _Stop(Exception):
    """A fault after which going on makes no sense."""


class _Composer:
    """Builds the tree from the parser's events; recursion is bounded by MAX_DEPTH."""

    def __init__(self, text: str, faults: Faults, base: int, *, tags: bool) -> None:
        self.base = base
        self.tags = tags
        self.events: Iterator[yaml.Event] = yaml.parse(text, Loader=LOADER)
        self.faults = faults
        self.anchors: dict[str, Node | None] = {}
        # Nodes below each anchored node, and how deep they go: what one alias costs.
        self.costs: dict[str, tuple[int, int]] = {}
        self.nodes = 0

    def document(self) -> Node | None:
        top: Node | None = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fault(event, "the file holds several YAML documents", "one file describes one app; remove the '---' and what follows")
                    raise _Stop
                top = self._node(next(self.events), 1)[0]
        return top

    def _fault(self, event: yaml.Event, why: str, remedy: str = "") -> None:
        line, column = self._place(event)
        self.faults.add("", line, column, why, remedy)

    def _place(self, event: yaml.Event) -> tuple[int, int]:
        """Line and column of an event, from 1."""
        mark = event.start_mark
        return (self.base + mark.line + 1, mark.column + 1) if mark is not None else (self.base + 1, 1)

    def _count(self, event: yaml.Event, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self._fault(event, f"with its aliases the file has more than {MAX_NODES} values", "use fewer aliases, or split the app")
            raise _Stop
        if depth > MAX_DEPTH:
            self._fault(event, f"the file is nested more than {MAX_DEPTH} deep", "a Compose file needs no more than ten levels")
            raise _Stop

    def _node(self, event: yaml.Event, depth: int) -> tuple[Node, int]:
        """The node that begins with `event`, and how deep it goes below itself."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(event, 1, depth)
        before = self.nodes - 1
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, height = self._scalar(event), 0
        elif isinstance(event, yaml.SequenceStartEvent):
            node, height = self._sequence(event, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            node, height = self._mapping(event, depth)
        else:
            raise AssertionError(f"the parser gave {type(event).__name__} where a node begins")  # noqa: TRY004 - a fault of the parser, not of the input
        if anchor:
            self.anchors[anchor] = node
            self.costs[anchor] = (self.nodes - before, height)
        return node, height

    def _alias(self, event: yaml.AliasEvent, depth: int) -> tuple[Node, int]:
        name = str(event.anchor)
        node = self.anchors.get(name)
        if node is None:
            if name in self.anchors:
                self._fault(event, f"the alias *{name} stands inside what it names", "something cannot contain itself")
            else:
                self._fault(event, f"there is no anchor &{name} above this alias", f"put &{name} before the value it shall name")
            raise _Stop
        cost, height = self.costs[name]
        self._count(event, cost, depth + height)
        return node, height

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        line, column = self._place(event)
        text: str = event.value
        plain = event.implicit[0]
        kind = "text"
        if self._merging(event):
            kind = _plain_kind(text) if event.style is None else "text"
        elif event.tag and event.tag != "!":
            found = SCALAR_TAGS.get(event.tag)
            if found is None:
                self._tag(event)
            kind = found or "text"
        elif plain:
            kind = _plain_kind(text)
        for letter in text:
            if letter == "\0" or "\ud800" <= letter <= "\udfff":
                self._fault(event, f"the text holds the character U+{ord(letter):04X}, which no container setting may", "remove it")
                break
        return Scalar(text, kind, line, column, self._merging(event))

    def _merging(self, event: Any) -> str:
        """!reset or !override, where several files may be merged."""
        return event.tag if self.tags and event.tag in (RESET, OVERRIDE) else ""

    def _tag(self, event: yaml.Event) -> None:
        tag = str(getattr(event, "tag", "")).replace(TAG, "!!")
        self._fault(event, f"the tag {tag[:60]} is not understood", "remove it; there is one file here, nothing to reset or override")

    def _sequence(self, event: yaml.SequenceStartEvent, depth: int) -> tuple[Sequence, int]:
        if event.tag not in (None, "!", TAG + "seq") and not self._merging(event):
            self._tag(event)
        items = []
        height = 0
        for inner in self.events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            node, below = self._node(inner, depth + 1)
            items.append(node)
            height = max(height, below + 1)
        line, column = self._place(event)
        return Sequence(tuple(items), line, column, self._merging(event)), height

    def _mapping(self, event: yaml.MappingStartEvent, depth: int) -> tuple[Mapping, int]:
        if event.tag not in (None, "!", TAG + "map") and not self._merging(event):
            self._tag(event)
        own: dict[str, Entry] = {}
        merged: list[Mapping] = []
        height = 0
        for inner in self.events:
            if isinstance(inner, yaml.MappingEndEvent):
                break
            merge = isinstance(inner, yaml.ScalarEvent) and inner.value == "<<" and inner.implicit[0]
            key, _ = self._node(inner, depth + 1)
            start = next(self.events)
            value, below = self._node(start, depth + 1)
            height = max(height, below + 1)
            if merge:
                merged.extend(self._merge(start, value))
            elif not isinstance(key, Scalar) or key.kind == "null":
                self._fault(inner, "a key must be text", "put it in quotes")
            elif key.text in own:
                first = own[key.text]
                self._fault(inner, f"the key {key.text[:60]!r} stands twice in one mapping, first on line {first.line}", "keep one of the two")
            else:
                line, column = self._place(inner)
                own[key.text] = Entry(key.text, value, line, column)
        for mapping in merged:
            for entry in mapping.entries:
                own.setdefault(entry.key, entry)
        line, column = self._place(event)
        return Mapping(tuple(own.values()), line, column, self._merging(event)), height

    def _merge(self, event: yaml.Event, value: Node) -> list[Mapping]:
        """The mappings of a merge key; the earlier one wins (yaml.org/type/merge.html)."""
        found = value.items if isinstance(value, Sequence) else (value,)
        if not all(isinstance(item, Mapping) for item in found):
            self._fault(event, "'<<' takes a mapping or a list of mappings", "write `<<: *name` with an anchor of a mapping")
            return []
        return [item for item in found if isinstance(item, Mapping)]


def _plain_kind(text: str) -> str:
    if NULL.match(text):
        return "null"
    if BOOLEAN.match(text):
        return "boolean"
    if INTEGER.match(text):
        return "integer"
    return "fraction" if FRACTION.match(text) else "text"
