"""Values of parameters at levels: the whole fleet, groups, sites, devices, and what a deployment says; and which of them holds on a device.

Owns the order (the more specific level wins: device, site, group, deployment, fleet, then the release's default), the rule about groups, and the history of
what was given, which only grows: a value at a level is the newest line about it, and "as of line N" means the same for ever. Never judges a value.

Groups have no order among themselves. Where two groups of a device give different values and neither its site nor the device itself says anything, no value
holds there: that is refused, naming both (`Ambiguous`), never decided by chance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

FLEET, GROUP, SITE, DEVICE = LEVELS = ("fleet", "group", "site", "device")  # where values are set, the widest first
DEPLOYMENT, DEFAULT = "deployment", "default"
ORDER = (DEVICE, SITE, GROUP, DEPLOYMENT, FLEET)  # who is asked first


@dataclass(frozen=True, slots=True)
class Given:
    """One line of an app's history: a value (or for a secret the `version` of one; or neither: the level says nothing any more) was given at a level.
    `part`: the id of the group, site or device; empty for the fleet."""

    app: str
    number: int
    id: str
    level: str
    part: str
    name: str
    value: str | None
    version: str = ""
    at_ms: int = 0
    by: str = ""
    reason: str = ""

    @property
    def says(self) -> bool:
        """Whether it gives something, and takes nothing back."""
        return self.value is not None or bool(self.version)

    @property
    def said(self) -> tuple[str | None, str]:
        """What it gives, comparable."""
        return self.value, self.version


Key = tuple[str, str]  # level and part


@dataclass(frozen=True, slots=True)
class Levels:
    """What all levels say about the parameters of one app, as of one line of its history: name to (level, part) to the line."""

    at: int = 0
    given: Mapping[str, Mapping[Key, Given]] = field(default_factory=dict)
    groups: bool = False  # whether any group says something


NOTHING = Levels()


def standing(history: Iterable[Given]) -> Levels:
    """What a history comes to; the order of its lines is their number."""
    found: dict[str, dict[Key, Given]] = {}
    at = 0
    for one in sorted(history, key=lambda line: line.number):
        at = one.number
        if one.says:
            found.setdefault(one.name, {})[one.level, one.part] = one
        else:
            found.get(one.name, {}).pop((one.level, one.part), None)
    given = {name: lines for name, lines in found.items() if lines}
    return Levels(at, given, any(level == GROUP for lines in given.values() for level, _ in lines))


class Ambiguous(ValueError):
    """Groups of a device that give different values of `name`; `groups` are their ids, sorted."""

    def __init__(self, name: str, groups: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.groups = groups


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands among the levels."""

    device: str
    site: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """One level that gives a value for a device. `given`: its line; None for the deployment, whose own value or secret's version it is."""

    level: str
    part: str
    value: str | None
    version: str = ""
    given: Given | None = None


def layers(levels: Levels, place: Place, name: str, values: Mapping[str, str], secrets: Mapping[str, str]) -> tuple[Source, ...]:
    """Everything that is said of one parameter for one device, the most specific first. `values` and `secrets` are the deployment's own."""
    lines = levels.given.get(name, {})
    found: list[Source] = []
    for level in ORDER:
        if level == DEPLOYMENT:
            if name in values or name in secrets:
                found.append(Source(DEPLOYMENT, "", values.get(name), secrets.get(name, "") if name not in values else ""))
            continue
        parts: Collection[str] = {DEVICE: (place.device,), SITE: (place.site,), GROUP: sorted(place.groups), FLEET: ("",)}[level]
        for part in parts:
            line = lines.get((level, part))
            if line is not None:
                found.append(Source(level, part, line.value, line.version, line))
    return tuple(found)


def holds(sources: tuple[Source, ...], name: str) -> Source | None:
    """The one that holds; None where nothing is said. Raises Ambiguous."""
    if not sources:
        return None
    first = sources[0]
    if first.level == GROUP:
        same = [one for one in sources if one.level == GROUP]
        if any((one.value, one.version) != (first.value, first.version) for one in same):
            raise Ambiguous(name, tuple(one.part for one in same))
    return first


def chosen(levels: Levels, place: Place, names: Iterable[str], values: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, Source]:
    """What holds on a device for each of these parameters that anything is said of. Raises Ambiguous for the first that groups disagree on."""
    found = {}
    for name in sorted(names):
        source = holds(layers(levels, place, name, values, secrets), name)
        if source is not None:
            found[name] = source
    return found
