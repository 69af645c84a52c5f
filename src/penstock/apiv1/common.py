"""Shapes every part of the API shares: a page of a list, a problem, a simple outcome.

Owns RFC 9457 problems as Penstock says them (a stable `code`, the `field`, the `remedy`) and cursor pages.
"""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

T = TypeVar("T")

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$",
        description="a-z, 0-9, '-', '_' and '.'; begins and ends with a letter or digit",
    ),
]
Text = Annotated[str, Meta(max_length=1000)]
Title = Annotated[str, Meta(max_length=200)]
Labels = Annotated[dict[str, str], Meta(max_length=64)]


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong in a document: where (`path`, `line` and `column` from 1, 0 when unknown; `file` where there are several), why, and what to do
    instead."""

    path: str
    why: str
    remedy: str = ""
    line: int = 0
    column: int = 0
    file: str = ""


class Problem(Struct, frozen=True, kw_only=True):
    """An error as RFC 9457 says it. `code` is stable and for programs; `detail` is for people; `remedy` says what to do."""

    title: str
    status: int
    code: str
    detail: str
    type: str = "about:blank"
    field: str = ""
    remedy: str = ""
    faults: tuple[Fault, ...] = ()


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list. `next` is the cursor of the part after it, empty at the end."""

    items: tuple[T, ...]
    next: str = ""


class Outcome(Struct, frozen=True, kw_only=True):
    """What was done, in a sentence."""

    said: str


def to_json(value: object) -> bytes:
    """Any shape as JSON bytes."""
    return msgspec.json.encode(value)
