"""A template filled in: holes become values, plain parts become records of the wire, and the whole is checked again.

Owns the one way from plain parts with holes to `wire` services, volumes and networks, used to try a file with its defaults when it is
read, and in earnest for each device. Never knows where values come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.forms import READERS
from penstock.server.core.compose.scalars import Bad
from penstock.server.core.compose.whole import check_whole
from penstock.server.core.interpolate import SECRET_VERSION, Hole, TemplateError, evaluate, fill, holes, parse
from penstock.wire.codec import WireError, from_plain
from penstock.wire.types import Network, Service, Volume

Plain = dict[str, Any]
Places = dict[str, tuple[int, int]]
Filled = tuple[tuple[Service, ...], tuple[Volume, ...], tuple[Network, ...]]


def try_values(
    faults: Faults,
    places: Places,
    values: Mapping[str, str],
    services: Sequence[Plain],
    volumes: Sequence[Plain],
    networks: Sequence[Plain],
    *,
    saying: str = "",
) -> None:
    """Check a file as far as these values and its defaults carry it; what waits for a value is passed over. `saying` begins the sentence about
    one that does not fit."""

    def value_of(hole: Hole) -> object:
        if hole.reader == SECRET_VERSION:
            return "1"
        try:
            text = evaluate(parse(hole.text), values)
        except TemplateError as fault:
            if not fault.missing:
                faults.add(hole.path, hole.line, hole.column, fault.why, fault.remedy)
            return hole
        try:
            return READERS[hole.reader](text)
        except Bad as fault:
            faults.add(hole.path, hole.line, hole.column, f"{saying}{fault.why}", fault.remedy)
            return hole

    _whole(faults, places, value_of, services, volumes, networks)


def fill_in(
    faults: Faults,
    places: Places,
    values: Mapping[str, str],
    secret_versions: Mapping[str, str],
    services: Sequence[Plain],
    volumes: Sequence[Plain],
    networks: Sequence[Plain],
) -> Filled | None:
    """The parts with every hole filled. None (and a fault) when something is missing or wrong."""

    def value_of(hole: Hole) -> object:
        if hole.reader == SECRET_VERSION:
            version = secret_versions.get(hole.text)
            if version is None:
                faults.add(hole.path, hole.line, hole.column, f"the secret {hole.text} has no value", f"give {hole.text} a value in the deployment")
                return hole
            return version
        try:
            return READERS[hole.reader](evaluate(parse(hole.text), values))
        except (TemplateError, Bad) as fault:
            faults.add(hole.path, hole.line, hole.column, fault.why, fault.remedy)
            return hole

    return _whole(faults, places, value_of, services, volumes, networks)


def _whole(
    faults: Faults,
    places: Places,
    value_of: Callable[[Hole], object],
    services: Sequence[Plain],
    volumes: Sequence[Plain],
    networks: Sequence[Plain],
) -> Filled | None:
    filled: list[list[Any]] = [fill(list(part), value_of) for part in (services, volumes, networks)]  # type: ignore[misc]
    check_whole(faults, places, filled[0], filled[1], filled[2])
    if faults:
        return None
    made = (
        _records(faults, places, Service, filled[0], "services"),
        _records(faults, places, Volume, filled[1], "volumes"),
        _records(faults, places, Network, filled[2], "networks"),
    )
    return None if faults else made


def _records(faults: Faults, places: Places, cls: type[Any], plain: list[Plain], noun: str) -> tuple[Any, ...]:
    """Records of the wire; parts that still have holes are passed over. What the wire refuses is a fault too (a limit, mostly)."""
    made = []
    for part in plain:
        if next(holes(part), None) is not None:
            continue
        path = f"{noun}.{part['name']}"
        try:
            made.append(from_plain(cls, part))
        except WireError as fault:
            line, column = places.get(path, (0, 0))
            faults.add(f"{path}.{fault.path}", line, column, fault.why, "write less, or split the service")
    return tuple(made)
