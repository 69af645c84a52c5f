"""The stored form of every message of every wire version served: what was written once can be read for as long as it is served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.wire import log, messages, types
from penstock.wire.codec import decode, encode
from penstock.wire.record import defaults_of, fields_of
from penstock.wire.version import SERVED, WIRE
from tests.wire import samples

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = {**samples.MESSAGES, **samples.BODIES}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_present_version_writes_and_reads_its_golden_file(name: str) -> None:
    path = GOLDEN / f"v{WIRE}" / f"{name}.json"
    written = encode(SAMPLES[name])
    if os.environ.get("PENSTOCK_WRITE_GOLDEN"):  # only for a new message; a changed file is a broken contract
        path.write_bytes(written + b"\n")
    stored = path.read_bytes().rstrip(b"\n")
    assert written == stored
    assert decode(type(SAMPLES[name]), stored) == SAMPLES[name]


def test_every_served_version_has_a_golden_file_of_every_message() -> None:
    for version in SERVED:
        here = {path.stem for path in (GOLDEN / f"v{version}").glob("*.json")}
        assert here == set(SAMPLES), f"wire version {version}"


def test_the_plane_serves_its_own_version_and_at_most_the_one_before() -> None:
    assert SERVED[-1] == WIRE
    assert SERVED in ((WIRE,), (WIRE - 1, WIRE))
    assert len(SERVED) == min(WIRE, 2)


def test_every_record_of_the_wire_has_a_sample_and_every_optional_field_is_set_in_it() -> None:
    """A field that no golden file holds could be renamed without a test noticing."""
    seen: dict[type, set[str]] = {}

    def walk(value: object) -> None:
        if isinstance(value, tuple):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif hasattr(type(value), "__slots__") and type(value).__module__.startswith("penstock.wire"):
            cls = type(value)
            defaults = defaults_of(cls)
            for field in fields_of(value):
                item = getattr(value, field)
                if field not in defaults or item != defaults[field]:
                    seen.setdefault(cls, set()).add(field)
                walk(item)

    for sample in SAMPLES.values():
        walk(sample)
    for module in (messages, log, types):
        for name, cls in vars(module).items():
            if isinstance(cls, type) and cls.__module__ == module.__name__ and hasattr(cls, "__defaults__"):
                # one choice only: always at its default
                missing = set(fields_of(cls)) - seen.get(cls, set()) - {"alg", "health_rule"} - {"exit_code", "wave"}
                assert not missing, f"{name}: no sample sets {sorted(missing)}"
