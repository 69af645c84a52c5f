"""The stored form of every message of every wire version served: what was written once can be read for as long as it is served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.wire import log, messages, options, types
from penstock.wire.codec import decode, encode
from penstock.wire.record import defaults_of, fields_of, replace
from penstock.wire.version import READS, SERVED, WIRE
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


@pytest.mark.parametrize("name", sorted(samples.NEWER))
def test_what_the_newest_version_added_has_a_golden_file_too(name: str) -> None:
    path = GOLDEN / f"v{READS}" / f"{name}.json"
    written = encode(samples.NEWER[name])
    if os.environ.get("PENSTOCK_WRITE_GOLDEN"):
        path.write_bytes(written + b"\n")
    assert written == path.read_bytes().rstrip(b"\n")
    assert decode(type(samples.NEWER[name]), written) == samples.NEWER[name]


def test_every_served_version_has_a_golden_file_of_every_message_that_is_its_own() -> None:
    here = {version: {path.stem for path in (GOLDEN / f"v{version}").glob("*.json")} for version in SERVED}
    assert here == {WIRE: set(SAMPLES), READS: set(samples.NEWER)}


def test_the_plane_serves_its_own_version_and_at_most_the_one_before() -> None:
    assert SERVED == (READS - 1, READS)
    assert WIRE in SERVED


def test_a_state_bears_the_number_of_the_words_it_uses() -> None:
    """An older program passes over words it does not know, so it must not be given them under a number it takes. Each of them counts."""
    plain, newer = samples.APP, samples.APP_2
    assert types.wire_needed(plain) == 1
    assert types.wire_needed(newer) == 2
    service, old = newer.services[0], plain.services[0]
    for one in (
        *(replace(old, options=replace(options.Options(), **{field: getattr(service.options, field)})) for field in fields_of(service.options)),
        replace(old, files=service.files[:1]),
        *(replace(old, mounts=(mount,)) for mount in service.mounts),
        replace(old, networks=service.networks),
    ):
        assert types.wire_needed(replace(plain, services=(one,))) == 2, one
    for field in ("attachable", "ipv6", "pools", "ipam_driver", "ipam_options"):
        network = replace(plain.networks[0], **{field: getattr(newer.networks[0], field)})
        assert types.wire_needed(replace(plain, networks=(network,))) == 2, field


def test_digests_of_what_version_1_could_say_are_what_they_were() -> None:
    """Authorisations, receipts and labels of containers name them."""
    assert types.content_digest(samples.APP) == "sha256:073b3c588d47438034f232fc5205c5968ab5a9bcbe680c643100d7d4db5362dc"
    assert types.service_digest(samples.SERVICE) == "sha256:51a11bf611bbdc0ae11f5f5e481cf29ba466ea432daa907ef895c2ede37d0f55"
    assert types.service_digest(samples.BROKER) == "sha256:8cd9daa12f69a343bb118e4ff1c9aa3654cfa3e6c6bcf12ecbe7c8d09366ae1e"


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

    for sample in (*SAMPLES.values(), *samples.NEWER.values()):
        walk(sample)
    for module in (messages, log, types, options):
        for name, cls in vars(module).items():
            if isinstance(cls, type) and cls.__module__ == module.__name__ and hasattr(cls, "__defaults__"):
                # one choice only: always at its default
                missing = set(fields_of(cls)) - seen.get(cls, set()) - {"alg", "health_rule"} - {"exit_code", "wave"}
                assert not missing, f"{name}: no sample sets {sorted(missing)}"
