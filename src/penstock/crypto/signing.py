"""ECDSA signatures: P-256 with SHA-256, and P-384 with SHA-384 where a caller names it (FIPS 186-5).

Owns signing and strict verification. Never decides whose signature is needed. A signature has exactly one accepted form
for its two numbers, shortest DER (X.690, section 10), because a second form would be a second name for the same evidence.
"""

from __future__ import annotations

import ctypes

from penstock.crypto.keys import P256, Curve, Key, private_key, public_key
from penstock.crypto.openssl import fail, lib, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_ROOM = 160  # bytes; the longest signature, on P-384, has 104


class _Ready:
    """A key and the contexts made for it that nobody uses at the moment: making one anew for each signature costs a tenth of it."""

    __slots__ = ("_contexts", "_free", "_key", "_make")

    def __init__(self, key: Key, make: Callable[[Key], int]) -> None:
        self._key, self._make = key, make
        self._contexts: list[int] = []
        self._free = lib.EVP_PKEY_CTX_free  # kept here: at the end of the process the module may be gone first

    def _take(self) -> int:
        try:
            return self._contexts.pop()
        except IndexError:
            return self._make(self._key)

    def __del__(self) -> None:
        for context in getattr(self, "_contexts", ()):
            self._free(context)


class Signer(_Ready):
    """A private key ready for many signatures, also from several threads."""

    __slots__ = ()

    def __init__(self, private_pem: bytes, curves: tuple[Curve, ...] = (P256,)) -> None:
        """Raises CryptoError when `private_pem` is no private key on one of `curves`."""
        super().__init__(private_key(private_pem, curves), _signing)

    def sign(self, message: bytes) -> bytes:
        """A DER signature over `message`."""
        context = self._take()
        try:
            return _sign(context, self._key, message)
        finally:
            self._contexts.append(context)


class Verifier(_Ready):
    """A public key ready for many verifications, also from several threads. Takes about 3 kB."""

    __slots__ = ()

    def __init__(self, public_pem: bytes, curves: tuple[Curve, ...] = (P256,)) -> None:
        """Raises CryptoError when `public_pem` is no public key on one of `curves`."""
        super().__init__(public_key(public_pem, curves), _verifying)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`. Never raises for a bad signature, whatever its bytes."""
        if not well_formed(signature, self._key.curve):
            return False
        context = self._take()
        try:
            return _verify(context, self._key, message, signature)
        finally:
            self._contexts.append(context)


def sign(private_pem: bytes, message: bytes, curves: tuple[Curve, ...] = (P256,)) -> bytes:
    """A DER signature over `message`. Raises CryptoError for a bad key."""
    return Signer(private_pem, curves).sign(message)


def verify(public_pem: bytes, message: bytes, signature: bytes, curves: tuple[Curve, ...] = (P256,)) -> bool:
    """Whether `signature` is that of `public_pem` over `message`. Raises CryptoError for a bad key, never for a bad signature."""
    return Verifier(public_pem, curves).verify(message, signature)


def well_formed(signature: bytes, curve: Curve = P256) -> bool:
    """Whether `signature` is the shortest DER of two integers from 1 to the curve's order less one, and nothing else."""
    end = len(signature)
    # Both lengths stay below 128 on these curves, so the long form of a length is never the shortest.
    if not 8 <= end <= 2 * curve.coordinate + 8 or signature[0] != 0x30 or signature[1] != end - 2:
        return False
    at = 2
    for _ in range(2):
        if at + 2 > end or signature[at] != 0x02:
            return False
        size = signature[at + 1]
        number = signature[at + 2 : at + 2 + size]
        if not 1 <= size <= curve.coordinate + 1 or len(number) != size:
            return False
        if number[0] & 0x80:  # negative
            return False
        if number[0] == 0 and (size == 1 or not number[1] & 0x80):  # zero, or longer than needed
            return False
        if int.from_bytes(number, "big") >= curve.order:
            return False
        at += 2 + size
    return at == end


# The digest is taken by hashlib (the same OpenSSL, see `digests`): asking OpenSSL for both at once looks its algorithms up anew every time.


def _context(key: Key, begin: Callable[[int], int], fault: str) -> int:
    context: int = need(lib.EVP_PKEY_CTX_new(key.handle, None), "OpenSSL has no memory for a signature")
    if begin(context) != 1:
        lib.EVP_PKEY_CTX_free(context)
        raise fail(fault)
    return context


def _signing(key: Key) -> int:
    """A context that signs with `key`."""
    return _context(key, lib.EVP_PKEY_sign_init, "the key cannot sign")


def _verifying(key: Key) -> int:
    """A context that verifies with `key`."""
    return _context(key, lib.EVP_PKEY_verify_init, "the key cannot verify")


def _sign(context: int, key: Key, message: bytes) -> bytes:
    digest = key.curve.digest(message).digest()
    out = ctypes.create_string_buffer(_ROOM)
    size = ctypes.c_size_t(_ROOM)
    need(lib.EVP_PKEY_sign(context, out, ctypes.byref(size), digest, len(digest)), "OpenSSL could not sign")
    return out.raw[: size.value]


def _verify(context: int, key: Key, message: bytes, signature: bytes) -> bool:
    digest = key.curve.digest(message).digest()
    good = bool(lib.EVP_PKEY_verify(context, signature, len(signature), digest, len(digest)) == 1)
    if not good:
        # A crafted key and signature can bring OpenSSL's arithmetic to an error instead of a "no": both are a "no" here.
        lib.ERR_clear_error()
    return good
