"""Shapes for parameters at levels, and for the room of devices."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.apps import Values
from penstock.apiv1.common import Name, Text

Level = Literal["fleet", "group", "site", "device"]
Part = Annotated[str, Meta(max_length=63, description="the group, site or device, by id or name; empty for the fleet")]
Names = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=64)]


class Layer(Struct, frozen=True, kw_only=True):
    """One level that says something of a parameter: fleet, deployment, group, site or device. `value` is null for a secret; `holds`: it is the one that
    counts."""

    level: str
    part: str
    name: str
    value: str | None
    holds: bool
    at_ms: int = 0
    by: str = ""


class ParameterRow(Struct, frozen=True, kw_only=True):
    """One parameter of an app, seen from a level. `value` is what holds there (null: nothing does, or it is a secret), `origin` the level that gave it in words
    ("site ulm", "default"). `own`: the level itself says it. `layers`: all that is said, the most specific first; `below`: levels under this one that say
    otherwise; `allowed`: what may be given, as a phrase; `why`: nothing holds, since groups disagree."""

    name: str
    title: str
    help: str
    group: str
    type: str
    secret: bool
    required: bool
    choices: tuple[str, ...]
    allowed: str
    default: str | None
    value: str | None
    origin: str
    own: bool
    layers: tuple[Layer, ...]
    below: tuple[Layer, ...]
    why: str = ""
    low: str = ""
    high: str = ""
    pattern: str = ""
    min_length: int = 0
    max_length: int = 0


class ParameterTable(Struct, frozen=True, kw_only=True):
    """The parameters of an app at a level. `touches`: how many devices with the app lie under it; `may`: the asker may set them."""

    app: str
    level: str
    part: str
    name: str
    may: bool
    touches: int
    versions: tuple[str, ...]
    parameters: tuple[ParameterRow, ...]


class ValuesLook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values to set at a level, and parameters to clear there, so that what wider levels say holds again."""

    app: Name
    level: Level
    part: Part = ""
    values: Values = {}
    secrets: Values = {}
    clear: Names = ()


class ValuesChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values to set at a level, and parameters to clear there; all of it or nothing."""

    app: Name
    level: Level
    part: Part = ""
    values: Values = {}
    secrets: Values = {}
    clear: Names = ()
    reason: Text = ""


class ValueChange(Struct, frozen=True, kw_only=True):
    """One parameter on one device: from what, given where, to what."""

    name: str
    before: str | None
    before_origin: str
    after: str | None
    after_origin: str


class ValueDevice(Struct, frozen=True, kw_only=True):
    """What a change of values does to one device. `what`: update, unchanged, install (it was left out before), left-out."""

    device: str
    name: str
    site: str
    deployment: str
    what: str
    why: str
    changes: tuple[ValueChange, ...]
    restarted: tuple[str, ...]


class ValuesSeen(Struct, frozen=True, kw_only=True):
    """What a change of values does, or did. `values` as they are kept; `before`: what the level said until now (null: nothing, or a secret)."""

    app: str
    level: str
    part: str
    name: str
    values: dict[str, str | None]
    before: dict[str, str | None]
    devices: tuple[ValueDevice, ...]
    counts: dict[str, int]
    warnings: tuple[str, ...]


class Room(Struct, frozen=True, kw_only=True):
    """The room of one device in bytes; a total of 0 means that it has not said. `memory_left` below 0: more is promised than there is. `nodes` null: it does not
    say which device nodes it has. `clashes`: apps there that want the same thing."""

    device: str
    name: str
    site: str
    memory_bytes: int
    memory_system: int
    memory_promised: dict[str, int]
    memory_left: int
    disk_bytes: int
    disk_free: int
    disk_system: int
    disk_left: int
    nodes: tuple[str, ...] | None
    accelerators: dict[str, int]
    clashes: tuple[str, ...]
