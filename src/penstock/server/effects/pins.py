"""PINs of local people, as far as the plane has to do with them: a salt drawn, and the proof that a device will be shown.

Owns only that derivation. A PIN is never kept, logged or sent anywhere.
"""

from __future__ import annotations

from penstock.crypto import pbkdf2, random_bytes


def derive(pin: str, rounds: int, length: int) -> tuple[str, bytes]:
    """A fresh salt (hex), and what PBKDF2-HMAC-SHA256 makes of the PIN with it."""
    salt = random_bytes(16)
    return salt.hex(), pbkdf2(pin.encode("utf-8"), salt, rounds, length)
