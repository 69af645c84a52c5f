"""The zone data: the newer ones are used, their version is known, and no name leads out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import tzdata

from penstock.server.effects.zonedata import FixedZones, InstalledZones

BERLIN = (Path(tzdata.__file__).parent / "zoneinfo" / "Europe" / "Berlin").read_bytes()


def folder(path: Path, version: str, name: str = "tzdata.zi") -> Path:
    (path / "Europe").mkdir()
    (path / "Europe" / "Berlin").write_bytes(BERLIN)
    (path / name).write_text(version)
    return path


def test_the_package_is_used_where_the_system_has_nothing(tmp_path):
    zones = InstalledZones(tmp_path)
    assert zones.version == tzdata.IANA_VERSION
    assert str(zones.zone("Europe/Berlin")) == "Europe/Berlin"
    assert zones.zone("Europe/Berlin") is zones.zone("Europe/Berlin")


@pytest.mark.parametrize(("name", "text"), [("tzdata.zi", "# version 2199a\n# more\n"), ("+VERSION", "2199a\n")])
def test_a_newer_system_is_used(tmp_path, name, text):
    zones = InstalledZones(folder(tmp_path, text, name))
    assert zones.version == "2199a"
    assert zones.zone("Europe/Berlin") is not None
    assert zones.zone("Europe/Paris") is None


@pytest.mark.parametrize("text", ["# version 2001a\n", "", "# version unknown\n", "9999\x00a"])
def test_an_older_system_or_one_of_unknown_version_is_not(tmp_path, text):
    zones = InstalledZones(folder(tmp_path, text))
    assert zones.version == tzdata.IANA_VERSION
    assert zones.zone("Europe/Paris") is not None


@pytest.mark.parametrize(
    "name", ["", "Europe", "../zoneinfo/Europe/Berlin", "Europe/../Europe/Berlin", "/etc/passwd", "Europe//Berlin", "Mars/Base", "zone.tab"]
)
def test_what_is_no_zone_is_none(tmp_path, name):
    assert InstalledZones(tmp_path).zone(name) is None


def test_a_file_that_is_no_zone_is_none(tmp_path):
    place = folder(tmp_path, "# version 2199a\n")
    (place / "Broken").write_bytes(b"TZif, or so it says")
    assert InstalledZones(place).zone("Broken") is None


def test_fixed_zones_give_what_they_were_given():
    berlin = InstalledZones().zone("Europe/Berlin")
    assert berlin is not None
    zones = FixedZones("2026a", {"Europe/Berlin": berlin})
    assert (zones.version, zones.zone("Europe/Berlin"), zones.zone("UTC")) == ("2026a", berlin, None)
