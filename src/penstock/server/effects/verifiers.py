"""Verification with parsed keys kept, so that a device's key is parsed once and not with every report.

Owns the bounded store of parsed keys. Never decides whose key counts.
"""

from __future__ import annotations

from collections import OrderedDict

from penstock.crypto import CryptoError, Verifier

MAX_KEYS = 16_384  # about 3 kB each


class Verifiers:
    """`verify` as `wire.trust` wants it. Safe from several threads: the worst a race does is to parse a key twice."""

    def __init__(self, limit: int = MAX_KEYS) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, Verifier] = OrderedDict()

    def verify(self, public_pem: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature fits. Raises ValueError for a key that is none."""
        found = self._known.get(public_pem)
        if found is None:
            try:
                found = Verifier(public_pem)
            except CryptoError as fault:
                raise ValueError(str(fault)) from None
            self._known[public_pem] = found
            while len(self._known) > self._limit:
                self._known.popitem(last=False)
        return found.verify(message, signature)
