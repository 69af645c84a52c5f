"""Sealed values between records and octets."""

from __future__ import annotations

import pytest

from penstock.wire.codec import WireError
from penstock.wire.record import replace
from penstock.wire.sealing import sealed_from_wire, sealed_to_wire

PARTS = (b"\4" + bytes(64), bytes(12), b"secret", bytes(16))


def test_there_and_back():
    assert sealed_from_wire(sealed_to_wire(PARTS)) == PARTS
    empty = (*PARTS[:2], b"", PARTS[3])
    assert sealed_from_wire(sealed_to_wire(empty)) == empty


@pytest.mark.parametrize("name", ["epk", "iv", "tag"])
def test_a_wrong_size_is_named(name):
    sealed = replace(sealed_to_wire(PARTS), **{name: "AAAA"})
    with pytest.raises(WireError, match=rf"^{name}: must have \d+ bytes, and has 3"):
        sealed_from_wire(sealed)


@pytest.mark.parametrize("name", ["epk", "iv", "ciphertext", "tag"])
def test_no_base64_is_named(name):
    with pytest.raises(WireError, match=rf"^{name}: "):
        sealed_from_wire(replace(sealed_to_wire(PARTS), **{name: "*"}))
