"""Shapes for groups of devices: what makes one, who is in, and why."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.apiv1.common import Name, Text, Title
from penstock.apiv1.devices import DeviceSummary

Selector = Annotated[str, Meta(max_length=1000)]
Named = Annotated[tuple[Annotated[str, Meta(max_length=63)], ...], Meta(max_length=10_000)]


class GroupCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set of devices: those named in `devices` (by id or name), those with the labels `selector` means ("line=3, !spare"), or both."""

    name: Name
    title: Title = ""
    selector: Selector = ""
    devices: Named = ()
    reason: Text = ""


class GroupChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may change; what is left out stays. `devices` replaces all named devices that the asker can see."""

    title: Title | None = None
    selector: Selector | None = None
    devices: Named | None = None
    reason: Text = ""


class Tally(Struct, frozen=True, kw_only=True):
    """A group's devices in numbers."""

    devices: int
    healthy: int
    moving: int
    waiting: int
    failing: int
    silent: int
    drifted: int
    no_way_back: int
    outdated: int


class DeployedTo(Struct, frozen=True, kw_only=True):
    """A deployment that is for a group."""

    id: str
    name: str
    app: str


class Group(Struct, frozen=True, kw_only=True):
    """A group as far as the asker may see it. `devices` are the ids of those named, `members` counts who is in. `gives_rights`: roles are given on it, so
    that only somebody who may give them changes who is in. `tally` and `deployments` come with one group, not with a list."""

    id: str
    name: str
    title: str
    selector: str
    devices: tuple[str, ...]
    members: int
    gives_rights: bool
    created_ms: int
    revision: int
    tally: Tally | None = None
    deployments: tuple[DeployedTo, ...] = ()


class GroupMember(Struct, frozen=True, kw_only=True):
    """A device of a group, and why it is in: it is named, its labels are meant, or both."""

    device: DeviceSummary
    ways: tuple[Literal["named", "labels"], ...]
