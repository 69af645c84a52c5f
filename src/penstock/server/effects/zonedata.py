"""The zone data: the newer of the operating system's and the ones installed with the plane, and which version they are.

Owns reading them. The version is needed because it travels with every zone and stands on receipts; data whose version cannot be told are not used.
Never decides what a zone means (`core.zones`).
"""

from __future__ import annotations

import re
from datetime import tzinfo
from importlib import resources
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import tzdata

SYSTEM = Path("/usr/share/zoneinfo")
VERSION = re.compile(r"^(?:# version )?(\d{4}[a-z]{0,2})$")
PART = re.compile(r"[A-Za-z0-9_+-]+")


class ZoneData(Protocol):
    """What the plane asks of zone data."""

    version: str

    def zone(self, name: str) -> tzinfo | None:
        """The zone of an IANA name; None when there is none."""
        ...


def _version_of(folder: Path) -> str:
    """The version in the first line of `tzdata.zi` or in `+VERSION`, as systems ship them; empty when neither says."""
    for name in ("tzdata.zi", "+VERSION"):
        try:
            with (folder / name).open(encoding="utf-8", errors="replace") as file:
                found = VERSION.match(file.readline(100).strip())
        except OSError:
            continue
        if found:
            return found[1]
    return ""


class InstalledZones:
    """The system's zone data where they are newer than the package's, else the package's. Read once per zone and plane."""

    def __init__(self, system: Path = SYSTEM) -> None:
        theirs = _version_of(system)
        self._system = system if theirs > tzdata.IANA_VERSION else None
        self.version: str = theirs if self._system else tzdata.IANA_VERSION
        self._read: dict[str, tzinfo] = {}

    def zone(self, name: str) -> tzinfo | None:
        """The zone of an IANA name; None when there is none."""
        if name in self._read:
            return self._read[name]
        parts = name.split("/")
        if not all(PART.fullmatch(part) for part in parts):
            return None
        place = self._system.joinpath(*parts) if self._system else resources.files("tzdata").joinpath("zoneinfo", *parts)
        try:
            with place.open("rb") as file:
                found = ZoneInfo.from_file(file, key=name)
        except (OSError, ValueError):
            return None
        self._read[name] = found
        return found


class FixedZones:
    """Zones given by a test."""

    def __init__(self, version: str, zones: dict[str, tzinfo]) -> None:
        self.version = version
        self._zones = zones

    def zone(self, name: str) -> tzinfo | None:
        """The zone of that name."""
        return self._zones.get(name)
