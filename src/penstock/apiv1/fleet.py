"""Shapes for looking at the fleet: saved views, and two devices or sites side by side."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class SavedView(Struct, frozen=True, kw_only=True):
    """One's own name for some filters of the fleet's list. `query` is the query text of its page; `filters` the same as a query of /api/v1/devices."""

    id: str
    name: str
    query: str
    filters: dict[str, str]
    created_ms: int


class SavedViewCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give filters a name."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    query: Annotated[str, Meta(max_length=1000, description="q, site, show, app, group and sort, as in the address of the fleet's page")] = ""


class Compared(Struct, frozen=True, kw_only=True):
    """One side of a comparison."""

    id: str
    name: str


class ComparedRow(Struct, frozen=True, kw_only=True):
    """One thing of both sides, under `part` (device, site, standing, labels, releases, images, values, drift); an empty text: it has none."""

    part: str
    name: str
    a: str
    b: str
    same: bool


class Comparison(Struct, frozen=True, kw_only=True):
    """Two devices or two sites, side by side."""

    a: Compared
    b: Compared
    rows: tuple[ComparedRow, ...]
