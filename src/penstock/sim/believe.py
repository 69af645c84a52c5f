"""Make-believe signatures and sealing: quick and deterministic, shaped like the real ones, refused when anything in them is changed.

Owns the keys of the simulated fleet. Who may sign what, and what follows from a signature, is judged by the product's own `wire.trust`. A thief is not
simulated here: everybody could compute these signatures, and nobody does without holding the key object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from penstock.server.effects.keys import RUNNING_ROLES
from penstock.wire.envelope import b64, unb64
from penstock.wire.trust import key_id
from penstock.wire.types import Sealed

_MARK = "simulated key "


class BelieveKey:
    """One key pair. `public` has the place of a PEM text."""

    def __init__(self, name: str) -> None:
        self.public = f"-----BEGIN PUBLIC KEY-----\n{_MARK}{hashlib.sha256(name.encode()).hexdigest()}\n-----END PUBLIC KEY-----\n"
        self.id = key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """What stands for a DER signature."""
        return hashlib.sha256(b"signed " + self.public.encode() + message).digest()

    def signer(self) -> tuple[str, Callable[[bytes], bytes]]:
        """Key id and signing function, as `wire.envelope.seal` takes them."""
        return self.id, self.sign


def verify(public_pem: bytes, message: bytes, signature: bytes) -> bool:
    """`wire.trust.Verify`. Raises ValueError for what is no key."""
    if _MARK.encode() not in public_pem:
        raise ValueError("not a key of the simulated fleet")
    return hashlib.sha256(b"signed " + public_pem + message).digest() == signature


class BelieveKeys:
    """The plane's role keys (`effects.keys.Keys`)."""

    def __init__(self, name: str) -> None:
        self._held = {role: BelieveKey(f"{name} {role}") for role in RUNNING_ROLES}

    def sign(self, role: str, message: bytes) -> tuple[str, bytes]:
        """Key id and signature."""
        key = self._held[role]
        return key.id, key.sign(message)

    def signer(self, role: str) -> tuple[str, Callable[[bytes], bytes]]:
        """Key id and signing function."""
        return self._held[role].signer()

    def public(self, role: str) -> str:
        """The public key."""
        return self._held[role].public


def _cover(data: bytes, bound: bytes, who: str) -> bytes:
    """A stream of bytes over `data`: what is covered shows nothing of itself."""
    stream = b""
    while len(stream) < len(data):
        stream += hashlib.sha256(b"cover" + bound + who.encode() + len(stream).to_bytes(4, "big")).digest()
    return bytes(one ^ two for one, two in zip(data, stream, strict=False))


class BelieveVault:
    """The plane's vault (`effects.vault.Vault`)."""

    def put(self, value: bytes, bound_to: bytes) -> str:
        """The text to keep."""
        return b64(_cover(value, bound_to, "vault"))

    def open(self, kept: str, bound_to: bytes) -> bytes:
        """A kept value."""
        return _cover(unb64(kept), bound_to, "vault")

    def seal_for(self, kept: str, bound_to: bytes, seal_key: str, device_bound: bytes) -> Sealed:
        """A kept value, sealed for one device."""
        value = self.open(kept, bound_to)
        ciphertext = _cover(value, device_bound, seal_key)
        return Sealed(b64(bytes(65)), b64(bytes(12)), b64(ciphertext), b64(hashlib.sha256(device_bound + value).digest()[:16]))


def opener(seal_key: str) -> Callable[[Sealed, bytes], bytes]:
    """The device's way to open a sealed value. Raises ValueError where it was sealed for another device, app or name."""

    def open_secret(sealed: Sealed, bound: bytes) -> bytes:
        value = _cover(unb64(sealed.ciphertext), bound, seal_key)
        if unb64(sealed.tag) != hashlib.sha256(bound + value).digest()[:16]:
            raise ValueError("it was not sealed for this")
        return value

    return open_secret


class BelieveVerifiers:
    """In the place of `effects.verifiers.Verifiers`."""

    def verify(self, public_pem: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature fits."""
        return verify(public_pem, message, signature)
