"""Whether what runs on a device is an older release than it could be.

Owns that one judgement and its sentence. Age is the order of publishing, never the text of a version: "1.10" and "1.9" are names. A release that this
plane does not know is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Newest:
    """The release of an app that was published last."""

    version: str
    published_ms: int


@dataclass(frozen=True, slots=True)
class Running:
    """One app as a device says that it runs it. `newest` is not empty while it is outdated: the version it could be."""

    app: str
    version: str
    phase: str
    newest: str = ""


def running(app: str, version: str, phase: str, published_ms: int | None, newest: Mapping[str, Newest]) -> Running:
    """What runs, judged. `published_ms` is when its release was published; None for one that this plane does not know."""
    best = newest.get(app)
    behind = best is not None and published_ms is not None and best.published_ms > published_ms
    return Running(app, version, phase, best.version if behind and best is not None else "")


def why(one: Running, ordered: str) -> str:
    """The sentence to an outdated app, empty for one that is not. `ordered` is the version its deployment names; "" without one."""
    if not one.newest:
        return ""
    if ordered and ordered != one.version:
        if ordered == one.newest:
            return f"{one.app} {one.version} runs; its deployment orders {ordered}, the newest release"
        return f"{one.app} {one.version} runs; its deployment orders {ordered}, and {one.newest} is the newest release"
    if ordered:
        return f"{one.app} {one.version} runs, as its deployment orders; {one.newest} has been published since"
    return f"{one.app} {one.version} runs, and no deployment asks for it; {one.newest} is the newest release"
