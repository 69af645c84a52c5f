"""What people see of parameters at levels: tables, where a value comes from, and what a change would do.

Owns these shapes only.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.server.core.declared import Declared
from penstock.server.core.fit import Reserve


@dataclass(frozen=True, slots=True)
class Layer:
    """One level that says something of a parameter. `value` is None for a secret; `holds`: it is the one that counts here."""

    level: str
    part: str
    name: str
    value: str | None
    holds: bool
    at_ms: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter of an app, seen from a level. `layers`: everything said of it for this place, the most specific first; the one that holds gives its value,
    and without one the release's default (`declared`) does. `below`: levels under this one that say otherwise. `why`: nothing holds, since groups disagree."""

    name: str
    secret: bool
    required: bool
    default: str | None
    message: str
    declared: Declared
    layers: tuple[Layer, ...]
    below: tuple[Layer, ...] = ()
    why: str = ""

    @property
    def held(self) -> Layer | None:
        """The layer that holds."""
        return next((one for one in self.layers if one.holds), None)


@dataclass(frozen=True, slots=True)
class ParameterTable:
    """All parameters of an app at a level. `title` is the level in words; `may`: the asker may set them; `touches`: how many devices with the app lie under it;
    `versions`: the releases whose parameters these are."""

    app: str
    level: str
    part: str
    name: str
    rows: tuple[ParameterRow, ...]
    may: bool
    touches: int
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One parameter on one device: from what, given where, to what. None: no value; a secret's value is never shown."""

    name: str
    before: str | None
    before_level: str
    after: str | None
    after_level: str


@dataclass(frozen=True, slots=True)
class ValueRow:
    """What a change of values does to one device. `what`: update, unchanged, install (it was left out before), left-out."""

    device: str
    name: str
    site: str
    deployment: str
    what: str
    why: str
    changes: tuple[ValueChange, ...] = ()
    restarted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ValuePreview:
    """What a change of values does, device by device (the first few hundred; `counts` cover all). `values`: as they would be kept; `before`: what this level said
    until now, None where it said nothing or it is a secret."""

    app: str
    level: str
    part: str
    name: str
    values: dict[str, str | None]
    before: dict[str, str | None]
    rows: tuple[ValueRow, ...]
    counts: dict[str, int]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceRoom:
    """The room of one device, with what is to be said of it."""

    device: str
    name: str
    site: str
    reserve: Reserve
    nodes: tuple[str, ...] | None
    accelerators: dict[str, int]
    clashes: tuple[str, ...]
