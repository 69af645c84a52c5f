"""One-time codes: the RFCs' own vectors, each code once, and clocks that are a little off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import onetime
from penstock.server.core.onetime import STEP_S, accepted, address, hotp, recovery_code, recovery_digest, secret_text, spent

SECRET = b"12345678901234567890"
NOW_MS = 1_795_000_000_000
STEP = NOW_MS // (STEP_S * 1000)


def test_the_codes_of_rfc_4226() -> None:
    """Appendix D."""
    codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [hotp(SECRET, counter) for counter in range(10)] == codes


def test_the_codes_of_rfc_6238() -> None:
    """Appendix B, the last six of its eight digits."""
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")):
        assert hotp(SECRET, seconds // STEP_S) == code
        assert accepted(SECRET, code, seconds * 1000, -1) == seconds // STEP_S


@given(st.integers(-3, 3))
def test_a_clock_may_be_one_step_off(off: int) -> None:
    assert accepted(SECRET, hotp(SECRET, STEP + off), NOW_MS, 0) == (STEP + off if abs(off) <= onetime.WINDOW else None)


def test_a_code_serves_once_and_none_before_it_any_more() -> None:
    used = accepted(SECRET, hotp(SECRET, STEP), NOW_MS, 0)
    assert used == STEP
    assert accepted(SECRET, hotp(SECRET, STEP), NOW_MS, used) is None
    assert accepted(SECRET, hotp(SECRET, STEP - 1), NOW_MS, used) is None
    assert accepted(SECRET, hotp(SECRET, STEP + 1), NOW_MS, used) == STEP + 1


@given(st.text(max_size=9))
def test_anything_typed_is_judged_and_spaces_do_not_matter(text: str) -> None:
    found = accepted(SECRET, text, NOW_MS, 0)
    right = [hotp(SECRET, STEP + off) for off in (-1, 0, 1)]
    assert (found is not None) == ("".join(text.split()) in right)
    assert accepted(SECRET, f" {right[1][:3]} {right[1][3:]}\n", NOW_MS, 0) == STEP


def test_long_secrets_are_shortened_as_hmac_says() -> None:
    import hmac

    for secret in (b"", b"a" * 64, b"b" * 65, b"c" * 200):
        digest = hmac.new(secret, (7).to_bytes(8, "big"), "sha1").digest()
        at = digest[-1] & 15
        assert hotp(secret, 7) == str((int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF) % 1_000_000).zfill(6)


def test_what_an_app_reads() -> None:
    assert secret_text(SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
    found = address(SECRET, "Penstock plant & co", "anna@example")
    assert found == (
        "otpauth://totp/Penstock%20plant%20%26%20co%3Aanna%40example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Penstock%20plant%20%26%20co&digits=6&period=30"
    )


@given(st.binary(min_size=10, max_size=10))
def test_a_recovery_code_is_found_however_it_is_typed(random: bytes) -> None:
    code = recovery_code(random)
    kept = {recovery_digest(code), recovery_digest("other")}
    for typed in (code, code.upper(), code.replace("-", ""), f" {code.replace('-', ' ')} "):
        assert spent(typed, kept) == recovery_digest(code)
    assert spent(code + "2", kept) is None
    with pytest.raises(ValueError, match="10 random bytes"):
        recovery_code(random[:9])


@given(st.lists(st.sampled_from(["code", "old", "recovery", "wrong"]), max_size=20))
def test_every_code_is_used_up_by_its_first_use(acts: list[str]) -> None:
    codes = [recovery_code(bytes([n]) * 10) for n in range(10, 110, 10)]
    factor = onetime.Factor("usr_1", "vaulted", 1, 1, 0, tuple(recovery_digest(code) for code in codes))
    now, spent_codes = NOW_MS, 0
    for act in acts:
        now += STEP_S * 1000
        given_code = {"code": hotp(SECRET, now // (STEP_S * 1000)), "old": hotp(SECRET, factor.used), "recovery": codes[spent_codes % 10], "wrong": "nonsense"}[
            act
        ]
        after = onetime.judged(factor, SECRET, given_code, now)
        if act == "code":
            assert after is not None
            assert onetime.judged(after, SECRET, given_code, now) is None
        elif act == "recovery" and spent_codes < 10:
            assert after is not None
            assert len(after.codes) == len(factor.codes) - 1
            assert onetime.judged(after, SECRET, given_code, now) is None
            spent_codes += 1
        else:
            assert after is None
        factor = after or factor
