"""A map of sites drawn from their coordinates alone: where on a sheet each dot, label and line of latitude and longitude comes.

Owns the projection (equirectangular, true at the middle latitude), the window that fits the sites (across the date line if that is the shorter way), the
lines at round degrees, and where labels find room. Never knows how a site stands, nor draws: templates do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 1000.0, 560.0, 56.0
STEPS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)  # degrees between lines
APART_X, APART_Y = 72.0, 48.0  # lines stand at least so far apart, so that their labels have room
LEAST_SPAN = 0.6  # degrees of latitude shown at least, about 65 km: one site alone is not shown from a metre away
LETTER, LINE_HEIGHT = 9.2, 22.0  # what a letter of a label takes


@dataclass(frozen=True, slots=True)
class Place:
    """A site to draw. `weight`: how many devices it has."""

    key: str
    label: str
    latitude: float
    longitude: float
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Dot:
    """A site drawn. `anchor`: start, middle or end, "" where its label found no room."""

    key: str
    label: str
    x: float
    y: float
    radius: float
    label_x: float = 0.0
    label_y: float = 0.0
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of latitude (`y`) or longitude (`x`) and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn map."""

    dots: tuple[Dot, ...]
    meridians: tuple[Line, ...]
    parallels: tuple[Line, ...]
    width: float = WIDTH
    height: float = HEIGHT


def draw(places: Iterable[Place], width: float = WIDTH, height: float = HEIGHT) -> Chart:
    """The map that fits these places; without any, an empty sheet."""
    found = sorted(places, key=lambda one: (-one.weight, one.key))
    if not found:
        return Chart((), (), (), width, height)
    west = _western_edge([one.longitude for one in found])
    east_of = [(one.longitude - west) % 360.0 for one in found]
    middle_x, middle_y = max(east_of) / 2, (min(one.latitude for one in found) + max(one.latitude for one in found)) / 2
    squeeze = max(0.2, math.cos(math.radians(middle_y)))  # a degree of longitude is shorter away from the equator
    span_y = max(LEAST_SPAN, max(one.latitude for one in found) - min(one.latitude for one in found))
    span_x = max(LEAST_SPAN, max(east_of) * squeeze)
    room_x, room_y = width - 2 * MARGIN, height - 2 * MARGIN
    scale = min(room_x / span_x, room_y / span_y)  # of the sheet's units in a degree of latitude

    def across(degrees: float) -> float:
        return width / 2 + (degrees - middle_x) * squeeze * scale

    def down(latitude: float) -> float:
        return height / 2 - (latitude - middle_y) * scale

    greatest = max(1, found[0].weight)
    bare = [
        Dot(one.key, one.label, across(east), down(one.latitude), 8 + 12 * math.sqrt(one.weight / greatest)) for one, east in zip(found, east_of, strict=True)
    ]
    step = next((one for one in STEPS if one * squeeze * scale >= APART_X and one * scale >= APART_Y), STEPS[-1])
    meridians = [
        Line(across(degrees), _degrees((west + degrees + 180) % 360 - 180, "E", "W"))
        for degrees in _multiples(middle_x - width / 2 / (squeeze * scale), middle_x + width / 2 / (squeeze * scale), step, west)
    ]
    parallels = [
        Line(down(latitude), _degrees(latitude, "N", "S"))
        for latitude in _multiples(middle_y - height / 2 / scale, middle_y + height / 2 / scale, step, 0.0)
        if abs(latitude) <= 90
    ]
    return Chart(_labelled(bare, width, height), tuple(meridians), tuple(parallels), width, height)


def _western_edge(longitudes: list[float]) -> float:
    """The longitude east of which all lie in the shortest span: what comes after the widest gap."""
    around = sorted({longitude % 360.0 for longitude in longitudes})
    gaps = [((around[(index + 1) % len(around)] - one) % 360.0 or 360.0, around[(index + 1) % len(around)]) for index, one in enumerate(around)]
    return max(gaps)[1]


def _multiples(low: float, high: float, step: float, offset: float) -> list[float]:
    """What is between, such that value + offset is a multiple of the step."""
    first = math.ceil((low + offset) / step)
    return [number * step - offset for number in range(first, math.floor((high + offset) / step) + 1)]


def _degrees(value: float, plus: str, minus: str) -> str:
    text = f"{abs(value):.2f}".rstrip("0").rstrip(".")
    return f"{text}°" if text == "0" else f"{text}°{plus if value > 0 else minus}"


def _labelled(dots: list[Dot], width: float, height: float) -> tuple[Dot, ...]:
    """Each label beside its dot where nothing stands yet: right, left, below, above; none where there is no room (the list beside has it)."""
    taken = [(dot.x - dot.radius, dot.y - dot.radius, dot.x + dot.radius, dot.y + dot.radius) for dot in dots]
    found = []
    for dot in dots:
        wide, reach = LETTER * len(dot.label), dot.radius + 6
        ways = (
            ("start", dot.x + reach, dot.y + 6, dot.x + reach),
            ("end", dot.x - reach, dot.y + 6, dot.x - reach - wide),
            ("middle", dot.x, dot.y + reach + 14, dot.x - wide / 2),
            ("middle", dot.x, dot.y - reach, dot.x - wide / 2),
        )
        for anchor, x, y, left in ways:
            box = (left, y - LINE_HEIGHT + 6, left + wide, y + 6)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            if inside and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                taken.append(box)
                found.append(Dot(dot.key, dot.label, dot.x, dot.y, dot.radius, x, y, anchor))
                break
        else:
            found.append(dot)
    return tuple(found)
