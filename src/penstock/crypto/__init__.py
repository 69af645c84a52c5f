"""One port to the OpenSSL that Python's own `ssl` has loaded: bytes in, bytes out, keys as PEM.

Owns the list of what the rest of Penstock may use; agent and control plane use the same. Never holds policy (which key may
sign what, how many rounds a password deserves). Only SHA-2, HMAC, HKDF, PBKDF2, ECDSA and ECDH on P-256 (P-384 where a
caller names it) and AES-256-GCM exist here, so nothing else can be used by accident. Standard library only; importing it
raises ImportError with a sentence where this Python's OpenSSL is out of reach.
"""

from __future__ import annotations

from penstock.crypto.digests import (
    constant_time_equal,
    file_digest,
    hkdf,
    hmac_sha256,
    pbkdf2,
    random_bytes,
    sha256,
    sha256_hex,
)
from penstock.crypto.keys import P256, P384, Curve, generate_key, public_pem
from penstock.crypto.openssl import CryptoError, lib
from penstock.crypto.sealing import open_sealed, seal
from penstock.crypto.signing import Signer, Verifier, sign, verify

__all__ = [
    "P256",
    "P384",
    "CryptoError",
    "Curve",
    "Signer",
    "Verifier",
    "constant_time_equal",
    "file_digest",
    "generate_key",
    "hkdf",
    "hmac_sha256",
    "open_sealed",
    "openssl_version",
    "pbkdf2",
    "public_pem",
    "random_bytes",
    "seal",
    "self_check",
    "sha256",
    "sha256_hex",
    "sign",
    "verify",
]


def openssl_version() -> str:
    """The library in use, for example "OpenSSL 3.0.19 27 Jan 2026"."""
    return lib.version()


def self_check() -> tuple[str, ...]:
    """What is wrong with the cryptography of this process, as sentences; empty when all is well."""
    from penstock.crypto.selfcheck import self_check as check  # known answers are needed once, at start

    return check()
