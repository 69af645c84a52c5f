"""PINs: what is one, how waits grow and hold, and that only the right proof fits."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from penstock.rules import pins
from penstock.wire.messages import LocalPerson

SALT = "ab" * 16


def proof(pin: str, rounds: int = 1000) -> str:
    return hashlib.pbkdf2_hmac("sha256", pin.encode(), bytes.fromhex(SALT), rounds, 32).hex()


def person(pin: str = "271828", identity: str = "per_a") -> LocalPerson:
    return LocalPerson(identity, "Anna Ahrens", SALT, 1000, pins.verifier_of(bytes.fromhex(proof(pin))), ("revert",))


@given(st.text(max_size=14))
def test_a_pin_is_six_to_twelve_digits_that_do_not_repeat_or_count(text):
    fault = pins.pin_fault(text)
    plain = text.isascii() and text.isdigit() and 6 <= len(text) <= 12
    if not plain:
        assert fault is not None
    elif fault is not None:
        assert len({int(b) - int(a) for a, b in zip(text, text[1:], strict=False)}) == 1


def test_the_first_pins_anybody_would_try_are_refused():
    for pin in ("000000", "123456", "987654", "777777777777", "0123456789"):
        assert "anybody would try" in (pins.pin_fault(pin) or "")
    for pin in ("135790", "271828", "010101"):
        assert pins.pin_fault(pin) is None


@given(st.text("0123456789", min_size=6, max_size=12), st.text("0123456789", min_size=6, max_size=12))
def test_only_the_proof_of_that_pin_fits(mine, given_):
    assert pins.fits(person(mine), proof(given_)) is (mine == given_)


def test_what_the_signed_state_says_is_no_answer():
    one = person()
    assert not pins.fits(one, one.verifier.removeprefix("sha256:"))
    for wrong in ("", "zz" * 32, "ab" * 31, proof("271828").upper() + "0"):
        assert not pins.fits(one, wrong)


@given(st.integers(0, 2000), st.integers(0, 10**9), st.integers(0, 10**9))
def test_waits_only_grow_and_end(count, at, later):
    assert pins.wait_ms(count) <= pins.wait_ms(count + 1) <= pins.LONGEST_MS
    assert pins.wait_ms(pins.FREE - 1) == 0 < pins.wait_ms(pins.FREE)
    one = person()
    misses = (pins.Misses(one.id, one.verifier, count, at, "boot"),)
    assert pins.left_ms(misses, one, at + later, "boot", 0) == max(pins.wait_ms(count) - later, 0)


@given(st.integers(0, 900_000), st.integers(0, 10**6))
def test_a_reboot_shortens_no_wait(count, started):
    one = person()
    misses = (pins.Misses(one.id, one.verifier, count, 10**12, "before"),)
    assert pins.left_ms(misses, one, started, "after", started) == pins.wait_ms(count)


def test_misses_count_for_one_person_and_one_pin():
    one, other = person(), person(identity="per_b")
    misses: tuple[pins.Misses, ...] = ()
    for _ in range(4):
        misses = pins.missed(misses, one, 100, "boot")
    misses = pins.missed(misses, other, 100, "boot")
    assert pins.left_ms(misses, one, 100, "boot", 0) == 20_000
    assert pins.left_ms(misses, other, 100, "boot", 0) == 0
    again = person("314159")
    assert pins.left_ms(misses, again, 100, "boot", 0) == 0  # another PIN begins anew
    assert [one.person for one in pins.still(misses, (again, other))] == ["per_b"]
    assert [one.person for one in pins.forgiven(misses, "per_a")] == ["per_b"]
