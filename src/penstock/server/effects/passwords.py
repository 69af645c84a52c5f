"""Passwords as they are kept: PBKDF2-HMAC-SHA256 with a salt, scheme and rounds written beside the digest.

Owns the text form "pbkdf2-sha256$rounds$salt$digest" (hex) and its comparison. Never decides who may sign in. 600 000 rounds is what
OWASP's cheat sheet asks of PBKDF2-HMAC-SHA256; tests turn it down.
"""

from __future__ import annotations

from penstock.crypto import constant_time_equal, pbkdf2, random_bytes

ROUNDS = 600_000
SCHEME = "pbkdf2-sha256"


def hash_password(password: str, rounds: int = ROUNDS) -> str:
    """The text to keep for `password`."""
    salt = random_bytes(16)
    return f"{SCHEME}${rounds}${salt.hex()}${pbkdf2(password.encode('utf-8'), salt, rounds, 32).hex()}"


def password_fits(password: str, kept: str) -> bool:
    """Whether `password` is the one `kept` was made from. An unreadable text fits nothing."""
    parts = kept.split("$")
    if len(parts) != 4 or parts[0] != SCHEME or not parts[1].isdigit():
        return False
    digest = bytes.fromhex(parts[3])
    return constant_time_equal(digest, pbkdf2(password.encode("utf-8"), bytes.fromhex(parts[2]), int(parts[1]), 32))


def outdated(kept: str, rounds: int = ROUNDS) -> bool:
    """Whether a text should be made anew at the next sign-in."""
    parts = kept.split("$")
    return len(parts) != 4 or parts[0] != SCHEME or not parts[1].isdigit() or int(parts[1]) < rounds
