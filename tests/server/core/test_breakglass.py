"""The sealed account: its passphrase, and how long a use stays to be seen."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.breakglass import RANDOM_BYTES, Seal, acknowledged, as_made, passphrase, resealed, used

raw = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(raw)
def test_a_passphrase_is_found_however_it_is_typed(random) -> None:
    made = passphrase(random)
    for typed in (made, made.upper(), made.replace("-", " "), made.replace("-", ""), f"  {made}\t"):
        assert as_made(typed) == made
    assert as_made(made[:-1]) != made


def test_a_passphrase_cannot_be_guessed() -> None:
    """Min-entropy: what the likeliest letter leaves, for each of 32 bytes."""
    letters = [passphrase(bytes([one]) * RANDOM_BYTES)[0] for one in range(256)]
    likeliest = max(letters.count(one) for one in set(letters))
    assert -math.log2(likeliest / 256) * RANDOM_BYTES > 150
    with pytest.raises(ValueError, match="32"):
        passphrase(b"short")


@given(st.lists(st.sampled_from(["use", "note", "seal"]), max_size=12))
def test_a_use_is_to_be_seen_until_it_was_both_noted_and_sealed_anew(acts) -> None:
    seal, now = resealed(None, 1), 1
    noted = sealed = True
    for act in acts:
        now += 1
        if act == "use":
            seal, noted, sealed = used(seal, now, "the line stands still", "192.0.2.1"), False, False
        elif act == "note" and seal.used_ms and not seal.acknowledged_ms:
            seal, noted = acknowledged(seal, now, "anna"), True
        elif act == "seal":
            seal, sealed = resealed(seal, now), True
        wanted = {(True, True): "sealed", (False, False): "used", (True, False): "acknowledged", (False, True): "resealed"}
        assert seal.state == wanted[noted, sealed]


def test_each_use_counts() -> None:
    seal = used(used(Seal(1), 2, "first reason", ""), 3, "second reason", "")
    assert (seal.uses, seal.reason) == (2, "second reason")
