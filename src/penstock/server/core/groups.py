"""Groups of devices: a list of names, a selector over centrally assigned labels, or both; and who is in.

Owns the noun and the rule of membership, nothing else: a device is in a group that names it, or whose selector its labels meet. Never reads what a device
says of itself. A group with neither is empty; retired devices are in none, which is the business of whoever hands devices in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock.server.core.errors import Invalid
from penstock.server.core.targeting import Term, matches, parse

MAX_NAMED = 20_000
NAMED, LABELS = "named", "labels"


@dataclass(frozen=True, slots=True)
class Group:
    """A set of devices. `devices` are the ids of those named one by one; `selector` means whoever has the labels, now and later; empty: nobody by label."""

    id: str
    name: str
    title: str
    selector: str
    devices: tuple[str, ...]
    created_ms: int
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A group's rule of membership, read once and asked of many devices. Made by `rule_of`."""

    named: frozenset[str]
    terms: tuple[Term, ...]

    def ways(self, device: str, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Why a device is in: named, labels, both; none where it is not."""
        return (*((NAMED,) if device in self.named else ()), *((LABELS,) if self.terms and matches(self.terms, labels) else ()))


def rule_of(group: Group) -> Rule:
    """What makes a device one of a group."""
    return Rule(frozenset(group.devices), parse(group.selector) if group.selector else ())


def check(selector: str, devices: tuple[str, ...]) -> None:
    """Raises Invalid for a selector that is not understood, and for too many named devices."""
    if selector:
        parse(selector)
    if len(devices) > MAX_NAMED:
        raise Invalid("group-too-large", f"{len(devices)} devices are named, more than the {MAX_NAMED} allowed", field="devices", remedy="use a selector")


def memberships(groups: Iterable[Group], devices: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, frozenset[str]]:
    """Of each device (id, labels) the ids of the groups it is in."""
    rules = [(group.id, rule_of(group)) for group in groups]
    return {device: frozenset(group for group, rule in rules if rule.ways(device, labels)) for device, labels in devices}
