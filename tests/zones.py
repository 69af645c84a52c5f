"""Zones for tests: real ones from the installed zone data, over a stated span, and their offsets as the standard library has them."""

from __future__ import annotations

import functools
from datetime import tzinfo
from pathlib import Path

from penstock.server.core.zones import DAY_S, zone_of
from penstock.server.effects.zonedata import InstalledZones
from penstock.wire.calendar import Zone
from penstock.wire.dates import read_local

DATA = InstalledZones(Path("/nowhere"))  # the package's, the same on every machine
NAMES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # the clock changes at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kathmandu",  # +05:45, no changes
    "Africa/Casablanca",
    "Pacific/Apia",
    "UTC",
)


def data_of(name: str) -> tzinfo:
    """The zone as the standard library reads it."""
    found = DATA.zone(name)
    assert found is not None, name
    return found


@functools.cache
def zone(name: str, first: str = "2020-01-01", until: str = "2036-01-01") -> Zone:
    """The zone between two dates, midnight UTC."""
    return zone_of(name, DATA.version, data_of(name), utc(f"{first}T00:00"), utc(f"{until}T00:00"))


def utc(text: str) -> int:
    """The UTC second of `2026-03-29T01:00`."""
    minute = read_local(text)
    assert minute is not None, text
    return minute * 60


__all__ = ["DATA", "DAY_S", "NAMES", "data_of", "utc", "zone"]
