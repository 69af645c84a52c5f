"""`x-penstock: parameters:`: what a file declares of its parameters.

Owns its keys, the declarations' own faults, and holding them against what the file asks for (`joined`). What a value must be is judged by `core.parameters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from penstock.server.core import declared as d
from penstock.server.core.compose import tree
from penstock.server.core.compose.parameters import measure, normal
from penstock.server.core.compose.reader import OURS, Reader
from penstock.server.core.compose.scalars import Bad, shown
from penstock.server.core.declared import Declared
from penstock.server.core.facts import PREFIX, asks, is_fact
from penstock.server.core.interpolate import FIRST, LETTERS, Parameter, Template, TemplateError, literal, parse, render, uses
from penstock.server.core.patterns import PatternError, compiled

MAX_PARAMETERS = 200
MAX_CHOICES = 100
MAX_LENGTH = 32_768
KEYS = ("type", "default", "required", "title", "help", "group", "choices", "min", "max", "pattern", "min_length", "max_length")
ONLY = {"choices": (d.CHOICE,), "min": d.ORDERED, "max": d.ORDERED, "pattern": d.WRITTEN, "min_length": d.WRITTEN, "max_length": d.WRITTEN}
WORDS = {"title": 100, "help": 2000, "group": 100}  # most characters
REMEDIES = {"secret": "write `type: secret`", "description": "write `help`", "label": "write `title`", "values": "write `choices`", "enum": "write `choices`"}


@dataclass(frozen=True, slots=True)
class Reading:
    """A declaration as it stands in the file. `required` None: not said."""

    declared: Declared
    required: bool | None
    line: int
    column: int


def name_wrong(name: str) -> bool:
    """Whether a text cannot be the name of a parameter of the file."""
    return not name or len(name) > 128 or name[0] not in FIRST or not set(name) <= LETTERS or name.startswith(PREFIX)


def declarations(read: Reader, top: tree.Mapping) -> dict[str, Reading]:
    """Everything under `parameters:`, by name. Read before anything else, since it says which parameters are secret."""
    ours = top.get(OURS)
    node = ours.get("parameters") if isinstance(ours, tree.Mapping) else None
    if node is None:
        return {}
    mapping = read.mapping(node, f"{OURS}.parameters")
    found: dict[str, Reading] = {}
    entries = mapping.entries if mapping else ()
    if len(entries) > MAX_PARAMETERS:
        read.fault(node, f"{OURS}.parameters", f"{len(entries)} parameters, more than the {MAX_PARAMETERS} allowed", "declare fewer; an app needs few knobs")
        return {}
    for entry in entries:
        path = f"{OURS}.parameters.{entry.key[:60]}"
        read.places[path] = (entry.line, entry.column)
        if name_wrong(entry.key):
            read.fault(entry, path, f"{shown(entry.key)} is no name of a parameter of yours", "use letters, digits and '_', not beginning with a digit")
            continue
        made = _one(read, entry, path)
        if made is not None:
            found[entry.key] = made
    return found


def _raw(read: Reader, node: tree.Node, path: str) -> str | None:
    """A text as it stands, dollars and all."""
    if isinstance(node, tree.Scalar) and node.kind != "null":
        return node.text
    read.fault(node, path, f"must be one value, is {tree.kind_of(node)}", "write one value behind the ':'")
    return None


def _one(read: Reader, entry: tree.Entry, path: str) -> Reading | None:
    if isinstance(entry.value, tree.Scalar) and entry.value.kind == "null":
        return Reading(Declared(), None, entry.line, entry.column)
    said: dict[str, tuple[tree.Node, Any]] = {}

    def keep(key: str) -> Any:
        def take(node: tree.Node, here: str) -> None:
            value: Any
            if key == "type":
                value = read.choice(node, here, d.TYPES)
            elif key == "required":
                found = read.choice(node, here, ("true", "false"))
                value = None if found is None else found == "true"
            elif key == "choices":
                value = _choices(read, node, here)
            else:
                value = _raw(read, node, here)
            if value is not None:
                said[key] = (node, value)

        return take

    if not read.keys(entry.value, path, {key: keep(key) for key in KEYS}, REMEDIES, "a parameter"):
        return None
    kind = said["type"][1] if "type" in said else d.CHOICE if "choices" in said else d.TEXT
    before = len(read.faults.listed())
    for key, kinds in ONLY.items():
        if key in said and kind not in kinds:
            read.fault(said[key][0], f"{path}.{key}", f"`{key}` has no meaning for the type {kind}", f"remove it; it belongs to {', '.join(kinds)}")
    if kind == d.CHOICE and "choices" not in said:
        read.fault(entry, f"{path}.choices", "a choice has no `choices`", "write `choices: [a, b]`")
    if len(read.faults.listed()) > before:
        return None
    words: dict[str, Any] = {}
    for key, most in WORDS.items():
        if key in said:
            words[key] = said[key][1].strip()
            if len(words[key]) > most:
                read.fault(said[key][0], f"{path}.{key}", f"`{key}` has {len(words[key])} characters, more than {most}", "write less")
    bare = Declared(type=kind, choices=said["choices"][1] if "choices" in said else (), **words)
    return _bounded(read, entry, path, said, bare)


def _choices(read: Reader, node: tree.Node, path: str) -> tuple[str, ...] | None:
    found: list[str] = []
    for index, item in enumerate(read.sequence(node, path)):
        text = _raw(read, item, f"{path}[{index}]")
        if text is None:
            return None
        if text in found:
            read.fault(item, f"{path}[{index}]", f"{shown(text)} stands twice", "keep one of the two")
        if len(text) > 200:
            read.fault(item, f"{path}[{index}]", "a choice has more than 200 characters", "write a shorter one")
        found.append(text)
    if not 1 <= len(found) <= MAX_CHOICES:
        read.fault(node, path, f"there are {len(found)} choices", f"write 1 to {MAX_CHOICES}")
        return None
    return tuple(found)


def _bounded(read: Reader, entry: tree.Entry, path: str, said: dict[str, tuple[tree.Node, Any]], bare: Declared) -> Reading:
    """The bounds, then the default, which must lie within them."""

    def judged(key: str, against: Declared) -> str | None:
        node, text = said[key]
        try:
            return normal(against, text)
        except Bad as fault:
            read.fault(node, f"{path}.{key}", fault.why, fault.remedy)
            return None

    def number(key: str) -> int:
        node, text = said[key]
        if text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= MAX_LENGTH:
            return int(text)
        read.fault(node, f"{path}.{key}", f"{shown(text)} is no length", f"write a whole number from 0 to {MAX_LENGTH}")
        return 0

    low = (judged("min", bare) if "min" in said else "") or ""
    high = (judged("max", bare) if "max" in said else "") or ""
    if low and high and _measure(bare, low) > _measure(bare, high):
        read.fault(said["max"][0], f"{path}.max", f"`max` {high} is less than `min` {low}", "write them the other way round")
    pattern = said["pattern"][1] if "pattern" in said else ""
    try:
        compiled(pattern)
    except PatternError as fault:
        read.fault(said["pattern"][0], f"{path}.pattern", f"the pattern is not understood: {fault}", "docs/parameters.md shows what a pattern may hold")
        pattern = ""
    shortest = number("min_length") if "min_length" in said else 0
    longest = number("max_length") if "max_length" in said else 0
    if longest and shortest > longest:
        read.fault(said["max_length"][0], f"{path}.max_length", "`max_length` is less than `min_length`", "write them the other way round")
        longest = 0
    full = replace(bare, low=low, high=high, pattern=pattern, min_length=shortest, max_length=longest)
    default = None
    if "default" in said:
        node, text = said["default"]
        if bare.type == d.SECRET:
            read.fault(node, f"{path}.default", "a secret has no default: everybody who has the file would know it", "remove it; it is given when deploying")
        elif wrong := [name for name in asks(text) if not is_fact(name)]:
            read.fault(node, f"{path}.default", f"there is no {wrong[0]}", "docs/parameters.md names the facts of a device")
        else:
            default = text if asks(text) else judged("default", full)
    required = said["required"][1] if "required" in said else None
    if required and "default" in said:
        read.fault(said["required"][0], f"{path}.required", "it is required and has a default, so nobody would ever be asked", "remove one of the two")
    return Reading(replace(full, default=default, required=bool(required)), required, entry.line, entry.column)


def _measure(declared: Declared, text: str) -> Decimal:
    return measure(declared.type, text)


# --- against the file ---------------------------------------------------------------------------------------------------


def joined(read: Reader, found: Iterable[Parameter], declared: Mapping[str, Reading], used: Iterable[str]) -> tuple[Parameter, ...]:
    """The parameters of a file with what it declares of them. `used`: every name that stands anywhere in it."""
    known = set(used) | read.fixed_names
    for name in sorted(declared.keys() - known):
        one = declared[name]
        why = f"the parameter {name} is declared and used nowhere"
        read.unused.add(f"{OURS}.parameters.{name}", one.line, one.column, why, f"write `${{{name}}}` where its value belongs, or remove it")
    for name in sorted(declared.keys() & read.fixed.keys()):
        try:
            read.fixed[name] = normal(declared[name].declared, read.fixed[name])
        except Bad as fault:
            read.faults.add(f"values.{name}", 0, 0, fault.why, fault.remedy)
    return tuple(_joined(read, one, declared[one.name]) if one.name in declared else one for one in found)


def _joined(read: Reader, one: Parameter, reading: Reading) -> Parameter:
    declared = reading.declared
    path = f"{OURS}.parameters.{one.name}"

    def wrong(key: str, why: str, remedy: str) -> None:
        line, column = read.places.get(f"{path}.{key}", (reading.line, reading.column))
        read.faults.add(f"{path}.{key}", line, column, why, remedy)

    if one.secret and declared.type != d.SECRET:
        wrong("type", f"the file takes the value of a secret from {one.name}, and here it is declared as {declared.type}", "write `type: secret`")
        return one
    for place, word in _defaults(read.templates, one.name):
        text = literal(word)
        if not text or asks(text):
            continue
        try:
            made = normal(declared, text)
        except Bad as fault:
            wrong("type", f"in {place} the file gives it the default {shown(text)}: {fault.why}", fault.remedy)
            continue
        if declared.default is not None and made != declared.default:
            wrong(
                "default", f"the default here is {shown(declared.default)}, and in {place} it is {shown(text)}", f"keep one: write `${{{one.name}}}` in {place}"
            )
    if reading.required is False and one.required and declared.default is None:
        wrong(
            "required", f"{one.name} is not required, and {', '.join(one.used_at[:3])} cannot do without it", "give it a default, or remove `required: false`"
        )
    if declared.default is not None:
        return replace(one, default=render((declared.default,)), required=False, declared=declared)
    required = one.required or declared.required
    return replace(one, default=None if required else one.default, required=required, declared=replace(declared, required=required))


def _defaults(templates: Iterable[tuple[str, Template]], name: str) -> list[tuple[str, Template]]:
    return [(path, use.word) for path, template in templates for use in uses(template) if use.name == name and use.operator in ("-", ":-")]


def settled(top: tree.Mapping, declared: Mapping[str, Reading], fixed: Mapping[str, str]) -> dict[str, str]:
    """`fixed` with the declared defaults of parameters that stand in an image, and so are settled when the release is made."""
    return {**{name: one.declared.default for name, one in declared.items() if one.declared.default is not None and name in images(top)}, **fixed}


def images(top: tree.Mapping) -> frozenset[str]:
    """The names of the parameters that stand in an image."""
    services = top.get("services")
    names: set[str] = set()
    for entry in services.entries if isinstance(services, tree.Mapping) else ():
        image = entry.value.get("image") if isinstance(entry.value, tree.Mapping) else None
        if isinstance(image, tree.Scalar):
            try:
                names.update(use.name for use in uses(parse(image.text)))
            except TemplateError:
                continue  # said when the service is read
    return frozenset(names)


def tried(declared: Mapping[str, Reading]) -> dict[str, str]:
    """The declared defaults that are the same on every device: what a file is tried with when it is read."""
    return {name: one.declared.default for name, one in declared.items() if one.declared.default is not None and not asks(one.declared.default)}
