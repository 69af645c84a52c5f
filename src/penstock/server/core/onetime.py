"""One-time codes as a second factor: TOTP (RFC 6238) and recovery codes.

Owns making and judging codes from a secret, the time and what was used before. Never stores anything and never draws a secret. SHA-1 is what every
authenticator app understands and what the RFC names first; as a keyed digest it is sound (RFC 6238, section 1.2; SP 800-131A still allows it).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

DIGITS = 6
STEP_S = 30
WINDOW = 1  # steps that a phone's clock may be off, each way
SECRET_BYTES = 20  # RFC 4226, section 4: 160 bits
RECOVERY_CODES = 10
_BLOCK = 64
_LETTERS = "23456789abcdefghjkmnpqrstvwxyz"  # nothing that looks like something else


@dataclass(frozen=True, slots=True)
class Factor:
    """A person's second factor as it is kept. `secret` is as the vault keeps it; `confirmed_ms` 0: set up, but no code has come yet, and it is not asked for.
    `used` is the newest step accepted, `codes` the digests of the recovery codes left."""

    user: str
    secret: str
    created_ms: int
    confirmed_ms: int = 0
    used: int = 0
    codes: tuple[str, ...] = ()


def hotp(secret: bytes, counter: int) -> str:
    """The code of a counter (RFC 4226, section 5.3)."""
    key = secret if len(secret) <= _BLOCK else hashlib.sha1(secret, usedforsecurity=False).digest()
    key = key.ljust(_BLOCK, b"\0")
    inner = hashlib.sha1(bytes(one ^ 0x36 for one in key) + counter.to_bytes(8, "big"), usedforsecurity=False).digest()
    digest = hashlib.sha1(bytes(one ^ 0x5C for one in key) + inner, usedforsecurity=False).digest()
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def accepted(secret: bytes, given: str, now_ms: int, used: int) -> int | None:
    """The step a code belongs to, None for a wrong one. `used` is the newest step accepted before: a code serves once (RFC 6238, section 5.2)."""
    digits = "".join(given.split())
    if len(digits) != DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    now = now_ms // (STEP_S * 1000)
    found = None
    for step in range(max(0, now - WINDOW), now + WINDOW + 1):  # all of them, always: the time taken says nothing
        same = sum(one != other for one, other in zip(hotp(secret, step), digits, strict=True)) == 0
        if same and step > used:
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """The secret as people type it: base32 in groups of four."""
    text = base64.b32encode(secret).decode("ascii").rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def address(secret: bytes, issuer: str, name: str) -> str:
    """What an authenticator app reads from a QR code (the otpauth scheme of Google Authenticator's key URI format)."""
    label = quote(f"{issuer}:{name}", safe="")
    given = {"secret": secret_text(secret).replace(" ", ""), "issuer": issuer, "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{label}?{urlencode(given, quote_via=quote)}"


def letters(random: bytes) -> str:
    """A letter or digit for each random byte, none that looks like another. The likeliest comes 9 times in 256: 4.8 bits each."""
    return "".join(_LETTERS[one * len(_LETTERS) // 256] for one in random)


def recovery_code(random: bytes) -> str:
    """A recovery code from 10 random bytes: ten characters in two groups, 49 bits."""
    if len(random) != 10:
        raise ValueError("a recovery code is made from 10 random bytes")
    text = letters(random)
    return f"{text[:5]}-{text[5:]}"


def recovery_digest(code: str) -> str:
    """What is kept of a recovery code; how it was typed (spaces, dash, capitals) does not matter."""
    plain = "".join(one for one in code.lower() if one in _LETTERS)
    return hashlib.sha256(f"penstock recovery code {plain}".encode()).hexdigest()


def spent(code: str, kept: Collection[str]) -> str | None:
    """The kept digest that a recovery code uses up, None for a wrong one."""
    digest = recovery_digest(code)
    return digest if digest in kept else None


def judged(factor: Factor, secret: bytes, given: str, now_ms: int) -> Factor | None:
    """The factor with a one-time or recovery code used up, None for a wrong one. `secret` is the factor's, opened."""
    step = accepted(secret, given, now_ms, factor.used)
    if step is not None:
        return replace(factor, used=step)
    gone = spent(given, factor.codes)
    return replace(factor, codes=tuple(one for one in factor.codes if one != gone)) if gone is not None else None
