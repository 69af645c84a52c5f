"""Digests, keyed digests, key derivation, random bytes and comparison.

Owns nothing but these pure functions over bytes. Never decides how many rounds a password deserves or what a digest proves.
SHA-256 and PBKDF2 come from `hashlib`, which takes them from the same OpenSSL (`self_check` proves it) and is in every
process already; the rest is asked of OpenSSL directly, since `hmac` and `random` would each bring modules of their own.
"""

from __future__ import annotations

import ctypes
import hashlib

from penstock.crypto.openssl import lib, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Readable(Protocol):
        """A file opened for reading bytes."""

        def read(self, size: int, /) -> bytes: ...


HASH_BYTES = 32
CHUNK = 65536  # bytes read at once: small enough for an agent's memory budget
MAX_RANDOM = 65536
PBKDF2_LEAST_SALT = 16  # bytes; SP 800-132, section 5.1
PBKDF2_LEAST_ROUNDS = 1000  # SP 800-132, section 5.2; what a password deserves today is the caller's policy
PBKDF2_LEAST_OUTPUT = 14  # bytes; SP 800-132, section 5


def sha256(data: bytes) -> bytes:
    """The 32 bytes of SHA-256 (FIPS 180-4)."""
    return hashlib.sha256(data).digest()


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def file_digest(file: Readable, limit: int | None = None) -> tuple[str, int]:
    """The digest of what is left of `file` in OCI form ("sha256:...") and its size in bytes, read in pieces.

    Raises ValueError as soon as more than `limit` bytes have been read.
    """
    digest = hashlib.sha256()
    size = 0
    while True:
        piece = file.read(CHUNK)
        if not piece:
            return "sha256:" + digest.hexdigest(), size
        size += len(piece)
        if limit is not None and size > limit:
            raise ValueError(f"the file is longer than the {limit} bytes allowed for it")
        digest.update(piece)


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """The 32 bytes of HMAC-SHA256 (RFC 2104)."""
    out = ctypes.create_string_buffer(HASH_BYTES)
    need(lib.HMAC(lib.EVP_sha256(), key, len(key), data, len(data), out, None), "HMAC-SHA256 failed")
    return out.raw


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """`length` (1 to 8160) bytes of HKDF-SHA256 (RFC 5869, sections 2.2 and 2.3)."""
    if not 1 <= length <= 255 * HASH_BYTES:
        raise ValueError(f"HKDF-SHA256 gives 1 to {255 * HASH_BYTES} bytes, not {length}")
    key = hmac_sha256(salt or bytes(HASH_BYTES), secret)
    block, out, count = b"", b"", 0
    while len(out) < length:
        count += 1
        block = hmac_sha256(key, block + info + bytes((count,)))
        out += block
    return out[:length]


def pbkdf2(password: bytes, salt: bytes, rounds: int, length: int = HASH_BYTES) -> bytes:
    """`length` bytes of PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2). Raises ValueError below the least values of SP 800-132,
    because OpenSSL accepts anything."""
    if len(salt) < PBKDF2_LEAST_SALT or rounds < PBKDF2_LEAST_ROUNDS or length < PBKDF2_LEAST_OUTPUT:
        raise ValueError(
            f"PBKDF2 needs a salt of {PBKDF2_LEAST_SALT} bytes, {PBKDF2_LEAST_ROUNDS} rounds and {PBKDF2_LEAST_OUTPUT} bytes of result or more; "
            f"it was given {len(salt)}, {rounds} and {length}"
        )
    return hashlib.pbkdf2_hmac("sha256", password, salt, rounds, length)


def random_bytes(count: int) -> bytes:
    """`count` (0 to 65536) bytes from OpenSSL's generator. Raises CryptoError when it has no entropy."""
    if not 0 <= count <= MAX_RANDOM:
        raise ValueError(f"{count} random bytes asked for, 0 to {MAX_RANDOM} are given at once")
    out = ctypes.create_string_buffer(count or 1)
    need(lib.RAND_bytes(out, count), "OpenSSL's random generator does not work")
    return out.raw[:count]


def constant_time_equal(one: bytes, other: bytes) -> bool:
    """Whether two secrets are equal, in a time that depends on their lengths only."""
    return len(one) == len(other) and bool(lib.CRYPTO_memcmp(one, other, len(one)) == 0)
