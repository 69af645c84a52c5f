"""The walk over a Compose file: kinds checked by path, parameters noticed, values read or left open as holes.

Owns what all parts of a file have in common: mappings with known keys, lists, scalars, and the record of which parameters are used where.
Never knows what a key means; `service`, `project` and `settings` do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from penstock.server.core.compose import tree
from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.forms import READERS
from penstock.server.core.compose.scalars import Bad, shown
from penstock.server.core.facts import PREFIX, is_fact, lacking
from penstock.server.core.interpolate import Hole, Template, TemplateError, evaluate, literal, parse, uses

OURS = "x-penstock"

Handler = Callable[[tree.Node, str], None]


class Reader:
    """One reading of one file. `fixed` are parameters settled when the release is made, with their values; a name of `fixed_names`
    without a value there is settled as unset. `secrets` are the parameters whose values travel sealed. `unused` are faults only where no other
    reading of the package uses what they name."""

    def __init__(
        self,
        faults: Faults,
        secrets: frozenset[str] = frozenset(),
        fixed_names: frozenset[str] = frozenset(),
        fixed: Mapping[str, str] | None = None,
    ) -> None:
        self.faults = faults
        self.secrets = secrets
        self.fixed_names = fixed_names
        self.fixed = dict(fixed or {})
        self.templates: list[tuple[str, Template]] = []
        self.places: dict[str, tuple[int, int]] = {}
        self.unused = Faults(faults.sources)

    def fault(self, node: tree.Node | tree.Entry, path: str, why: str, remedy: str = "") -> None:
        """Take note of a fault at a node."""
        self.faults.add(path, node.line, node.column, why, remedy)

    # --- kinds --------------------------------------------------------------------------------------------------------

    def mapping(self, node: tree.Node, path: str) -> tree.Mapping | None:
        """The node as a mapping; a fault and None otherwise."""
        if isinstance(node, tree.Mapping):
            return node
        self.fault(node, path, f"must be a mapping, is {tree.kind_of(node)}", "write `key: value` lines under it")
        return None

    def sequence(self, node: tree.Node, path: str) -> tuple[tree.Node, ...]:
        """The items of a list; a fault and nothing otherwise."""
        if isinstance(node, tree.Sequence):
            return node.items
        self.fault(node, path, f"must be a list, is {tree.kind_of(node)}", "write items beginning with '- ' under it")
        return ()

    def static(self, node: tree.Node, path: str) -> str | None:
        """A text that may hold no parameter: a name, a choice. None after a fault."""
        if not isinstance(node, tree.Scalar) or node.kind == "null":
            self.fault(node, path, f"must be one value, is {tree.kind_of(node)}", "write one value behind the ':'")
            return None
        if "$" in node.text:
            self.fault(node, path, f"{shown(node.text)}: no parameter may stand here", "write the value itself; it is the same for every device")
            return None
        return node.text

    def choice(self, node: tree.Node, path: str, allowed: tuple[str, ...], remedies: Mapping[str, str] | None = None) -> str | None:
        """One of `allowed`, written without parameters."""
        found = self.static(node, path)
        if found is None or found in allowed:
            return found
        self.fault(node, path, f"{shown(found)} is not supported here", (remedies or {}).get(found) or f"write {_list(allowed)}")
        return None

    def keys(self, node: tree.Node, path: str, handlers: Mapping[str, Handler], refused: Mapping[str, str], noun: str) -> bool:
        """Call the handler of each key; refuse every other, with its own remedy where `refused` has one. Extension keys ("x-...") are for
        people and for anchors, except our own in the wrong place. False when the node is no mapping."""
        mapping = self.mapping(node, path)
        if mapping is None:
            return False
        for entry in mapping.entries:
            here = f"{path}.{entry.key[:60]}" if path else entry.key[:60]
            self.places.setdefault(here, (entry.line, entry.column))
            handler = handlers.get(entry.key)
            if handler is not None:
                handler(entry.value, here)
            elif entry.key == OURS:
                self.fault(entry, here, f"`{OURS}` does not stand here", "it stands at the top of the file and names services and volumes inside")
            elif not entry.key.startswith("x-"):
                self.unknown(entry, here, tuple(handlers), refused, noun)
        return True

    def unknown(self, entry: tree.Entry, path: str, known: tuple[str, ...], refused: Mapping[str, str], noun: str) -> None:
        """Refuse a key."""
        if entry.key in refused:
            self.fault(entry, path, f"`{entry.key}` is not supported for {noun}", refused[entry.key])
            return
        close = get_close_matches(entry.key[:60], [*known, *refused], 1, 0.75)
        remedy = f"did you mean `{close[0]}`?" if close else "remove it, or name it x-... if it is only a note"
        self.fault(entry, path, f"`{entry.key[:60]}` is no key of {noun}", remedy)

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, node: tree.Node, path: str, reader: str) -> Any:
        """A scalar, read by the named reader: a value, a Hole where it waits for parameters, None after a fault."""
        if not isinstance(node, tree.Scalar):
            self.fault(node, path, f"must be one value, is {tree.kind_of(node)}", "write one value behind the ':'")
            return None
        if node.kind == "null":
            self.fault(node, path, "is empty", 'write a value, "" for an empty text, or leave the key out')
            return None
        return self.text(node, node.text, path, reader)

    def text(self, node: tree.Node, text: str, path: str, reader: str) -> Any:
        """A part of a scalar's text, read as `value` does."""
        template = self.template(node, text, path)
        if template is None:
            return None
        for use in uses(template):
            if use.name in self.secrets:
                why = f"the secret {use.name} may only be the whole value of an environment variable"
                self.fault(node, path, why, f"write `NAME: ${{{use.name}}}` under environment; anywhere else it would be readable on the device")
                return None
        plain = literal(template)
        if plain is None and all(use.name in self.fixed_names for use in uses(template)):
            try:
                plain = evaluate(template, self.fixed)
            except TemplateError as fault:
                self.fault(node, path, fault.why, fault.remedy)
                return None
        if plain is None:
            self.templates.append((path, template))
            return Hole(text, reader, path, node.line, node.column)
        try:
            return READERS[reader](plain)
        except Bad as fault:
            self.fault(node, path, fault.why, fault.remedy)
            return None

    def template(self, node: tree.Node, text: str, path: str) -> Template | None:
        """The template that `text` is; None after a fault."""
        try:
            template = parse(text)
        except TemplateError as fault:
            self.fault(node, path, fault.why, fault.remedy)
            return None
        for use in uses(template):
            if use.name.startswith(PREFIX) and not is_fact(use.name):
                self.fault(node, path, *lacking(use.name))
                return None
        return template

    def values(self, node: tree.Node, path: str, reader: str) -> list[Any]:
        """A list of scalars."""
        found = (self.value(item, f"{path}[{index}]", reader) for index, item in enumerate(self.sequence(node, path)))
        return spread(found)

    def pairs(self, node: tree.Node, path: str, key_fault: Callable[[str], str | None], noun: str, empty: str) -> dict[str, tuple[tree.Node, str, str]]:
        """Names and texts from a mapping, or from a list of "NAME=text". Gives name -> (node, text, path). `empty` is the remedy for a name
        without a value."""
        out: dict[str, tuple[tree.Node, str, str]] = {}
        found: list[tuple[tree.Node | tree.Entry, str, str | None, str, tree.Node]] = []
        if isinstance(node, tree.Mapping):
            for entry in node.entries:
                here = f"{path}.{entry.key[:60]}"
                if not isinstance(entry.value, tree.Scalar):
                    self.fault(entry.value, here, f"must be one value, is {tree.kind_of(entry.value)}", "write one value behind the ':'")
                    continue
                text = None if entry.value.kind == "null" else entry.value.text
                found.append((entry, entry.key, text, here, entry.value))
        elif isinstance(node, tree.Sequence):
            for index, item in enumerate(node.items):
                here = f"{path}[{index}]"
                if not isinstance(item, tree.Scalar) or item.kind == "null":
                    self.fault(item, here, f"must be NAME=value, is {tree.kind_of(item)}", "write NAME=value")
                    continue
                name, equals, text = item.text.partition("=")
                found.append((item, name, text if equals else None, here, item))
        else:
            self.fault(node, path, f"must be a mapping or a list, is {tree.kind_of(node)}", "write `NAME: value` lines under it")
        for place, name, value, here, value_node in found:
            wrong = key_fault(name)
            if wrong:
                self.fault(place, here, f"{shown(name)} is no {noun}: {wrong}", "rename it; parameters may stand in values only")
            elif name in out:
                self.fault(place, here, f"the {noun} {shown(name)} stands twice", "keep one of the two")
            elif value is None:
                self.fault(place, here, f"the {noun} {shown(name)} has no value", empty)
            else:
                out[name] = (value_node, value, here)
        return out


def spread(found: Any) -> list[Any]:
    """Values to one list: faults (None) left out, lists laid flat."""
    out: list[Any] = []
    for value in found:
        if isinstance(value, list):
            out.extend(value)
        elif value is not None:
            out.append(value)
    return out


def _list(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
