"""Names and secrets nobody can guess or meet twice: a port, the operating system's randomness, and a countable one for tests.

An id is a prefix, "_" and 26 base-32 letters: 48 bits of time and 80 random bits, so that ids made later sort later and an index
grows at its end. A secret is 32 random bytes in hex.
"""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Protocol

from penstock.crypto import random_bytes


class Ids(Protocol):
    """What the plane asks for."""

    def new(self, prefix: str) -> str:
        """A fresh id such as "dev_06fz..."."""
        ...

    def secret(self) -> str:
        """64 hex digits."""
        ...


def _text(raw: bytes) -> str:
    return base64.b32hexencode(raw).decode("ascii").rstrip("=").lower()


class RandomIds:
    """From the operating system."""

    def new(self, prefix: str) -> str:
        """A fresh id."""
        return f"{prefix}_{_text((time.time_ns() // 1_000_000).to_bytes(6, 'big') + random_bytes(10))}"

    def secret(self) -> str:
        """A fresh secret."""
        return random_bytes(32).hex()


class CountedIds:
    """The same ones in every run."""

    def __init__(self, seed: str = "penstock") -> None:
        self._seed = seed
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def new(self, prefix: str) -> str:
        """The next id."""
        return f"{prefix}_{_text(self._next().to_bytes(16, 'big'))}"

    def secret(self) -> str:
        """The next secret."""
        return hashlib.sha256(f"{self._seed} {self._next()}".encode()).hexdigest()
