"""Passwords as they are kept: PBKDF2-HMAC-SHA256 with a salt, scheme and rounds written beside the digest.

Owns the text form "pbkdf2-sha256$rounds$salt$digest" (hex) and its comparison. Never decides who may sign in. 600 000 rounds is what
OWASP's cheat sheet asks of PBKDF2-HMAC-SHA256; tests turn it down.
"""

from __future__ import annotations

from penstock.crypto import constant_time_equal, pbkdf2, random_bytes

ROUNDS = 600_000
LEAST_ROUNDS = 1000  # what the port to the library takes
SCHEME = "pbkdf2-sha256"


def hash_password(password: str, rounds: int = ROUNDS) -> str:
    """The text to keep for `password`."""
    salt = random_bytes(16)
    return f"{SCHEME}${rounds}${salt.hex()}${pbkdf2(password.encode('utf-8'), salt, rounds, 32).hex()}"


def password_fits(password: str, kept: str, rounds: int = ROUNDS) -> bool:
    """Whether `password` is the one `kept` was made from. An unreadable text fits nothing.

    Costs `rounds` rounds whatever `kept` is (more only where it was made with more), so that the time taken tells nobody whether there was anything to fit."""
    parts = kept.split("$")
    readable = len(parts) == 4 and parts[0] == SCHEME and parts[1].isdigit()
    have, salt = (int(parts[1]), bytes.fromhex(parts[2])) if readable else (rounds, b"\0" * 16)
    made = pbkdf2(password.encode("utf-8"), salt, have, 32)
    if have < rounds:
        pbkdf2(b"", salt, max(LEAST_ROUNDS, rounds - have), 32)
    return readable and constant_time_equal(bytes.fromhex(parts[3]), made)


def outdated(kept: str, rounds: int = ROUNDS) -> bool:
    """Whether a text should be made anew at the next sign-in."""
    parts = kept.split("$")
    return len(parts) != 4 or parts[0] != SCHEME or not parts[1].isdigit() or int(parts[1]) < rounds
