"""Secret values at rest and on their way: kept under the vault's own key, opened only to be sealed for one device, or to
judge a person's one-time code.

Owns the vault's key pair (a file, 0600, beside the database and in every backup) and the text a value is kept as. A thief of the database
alone reads no secret; a thief of the whole data folder does. Never logs a value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from penstock.crypto import CryptoError, generate_key, open_sealed, public_pem, seal
from penstock.wire.codec import WireError, decode, encode
from penstock.wire.sealing import sealed_from_wire, sealed_to_wire
from penstock.wire.types import Sealed


class VaultFault(ValueError):
    """A value cannot be opened or sealed; the text says why, never what."""


class Vault(Protocol):
    """What the plane asks of it."""

    def put(self, value: bytes, bound_to: bytes) -> str:
        """The text to keep; it opens only with the same `bound_to`."""
        ...

    def open(self, kept: str, bound_to: bytes) -> bytes:
        """A kept value that the plane itself needs. Raises VaultFault."""
        ...

    def seal_for(self, kept: str, bound_to: bytes, seal_key: str, device_bound: bytes) -> Sealed:
        """A kept value, sealed for the holder of `seal_key` and bound to `device_bound`."""
        ...


class KeyVault:
    """A vault over one private key."""

    def __init__(self, private_pem: bytes) -> None:
        self._private = private_pem
        self._public = public_pem(private_pem)

    def put(self, value: bytes, bound_to: bytes) -> str:
        """Seal for the vault itself."""
        return encode(sealed_to_wire(seal(self._public, value, bound_to))).decode("ascii")

    def open(self, kept: str, bound_to: bytes) -> bytes:
        """Open with the vault's key. Raises VaultFault."""
        try:
            return open_sealed(self._private, sealed_from_wire(decode(Sealed, kept.encode("ascii"))), bound_to)
        except (CryptoError, WireError) as fault:
            raise VaultFault(str(fault)) from None

    def seal_for(self, kept: str, bound_to: bytes, seal_key: str, device_bound: bytes) -> Sealed:
        """Open with the vault's key, seal with the device's. Raises VaultFault."""
        value = self.open(kept, bound_to)
        try:
            return sealed_to_wire(seal(seal_key.encode("utf-8"), value, device_bound))
        except (CryptoError, WireError) as fault:
            raise VaultFault(str(fault)) from None


def open_vault(path: Path) -> KeyVault:
    """The vault of this key file, made at first use."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return KeyVault(path.read_bytes())
    pem = generate_key()
    with os.fdopen(fd, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return KeyVault(pem)
