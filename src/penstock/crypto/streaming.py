"""Streams that one key holder only can open, and that nobody can cut, reorder or change unseen.

Owns the construction below and its form. Never decides what is sealed or for whom, and never holds more than two chunks.

    header = MAGIC || version 1 || SHA-256 of the recipient's PEM || point of e || prefix            (16, 1, 32, 65 and 7 bytes)
    ephemeral key pair e;  Z = ECDH(e, recipient)                                (SP 800-56A rev. 3, one-pass Diffie-Hellman)
    key = HKDF-SHA256(secret Z, salt empty, info LABEL || point of e || point of recipient, 32 bytes)
    chunk i = AES-256-GCM(key, iv = prefix || i as 4 bytes || 1 for the last one, else 0, 64 KiB of plaintext, aad header)
    stream = header || every chunk with its 16-byte tag || SHA-256 of all that stands before it

This is STREAM of Hoang, Reyhanitabar, Rogaway and Vizár ("Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015). All chunks but
the last are full; the last one is empty only where the plaintext is. The digest at the end lets whoever carries the stream, and cannot open it, see
that it is whole; what it holds is proven by the chunks alone.
"""

from __future__ import annotations

import hashlib

from penstock.crypto.digests import hkdf, random_bytes, sha256
from penstock.crypto.keys import P256, fresh_key, point_key, private_key, public_key, public_pem, public_point
from penstock.crypto.openssl import CryptoError
from penstock.crypto.sealing import KEY, TAG, ecdh, gcm_decrypt, gcm_encrypt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.crypto.digests import Readable

MAGIC = b"penstock sealed\n"
VERSION = 1
CHUNK = 65536  # bytes of plaintext
PREFIX, DIGEST, POINT = 7, 32, 1 + 2 * P256.coordinate
HEADER = len(MAGIC) + 1 + DIGEST + POINT + PREFIX
MOST = 1 << 32  # chunks, by the counter: 256 TiB
LABEL = b"penstock sealed stream v1 ECDH-P256+HKDF-SHA256+A256GCM+STREAM\0"

_CUT = "the sealed stream is not whole: it was cut or changed on the way; fetch it again, or take another copy"
_CHANGED = "the sealed stream was changed after it was made, or is put together from pieces; take another copy"


class Sealer:
    """A file to write to; what goes to `write` is sealed for the holder of `public_pem`. Nothing is whole before `close`. Raises CryptoError for a bad key."""

    def __init__(self, public_pem: bytes, write: Callable[[bytes], object]) -> None:
        recipient, ephemeral = public_key(public_pem), fresh_key()
        point = public_point(ephemeral)
        self._prefix = random_bytes(PREFIX)
        self._header = MAGIC + bytes((VERSION,)) + sha256(public_pem) + point + self._prefix
        self._key = hkdf(ecdh(ephemeral, recipient), b"", LABEL + point + public_point(recipient), KEY)
        self._write, self._seen = write, hashlib.sha256()
        self._held, self._count = bytearray(), 0
        self.size = 0  # bytes that went out
        self._out(self._header)

    def _out(self, data: bytes) -> None:
        self._seen.update(data)
        self.size += len(data)
        self._write(data)

    def _chunk(self, plaintext: bytes, last: int) -> None:
        if self._count >= MOST:
            raise CryptoError(f"a sealed stream has at most {MOST * CHUNK} bytes")
        ciphertext, tag = gcm_encrypt(self._key, _iv(self._prefix, self._count, last), plaintext, self._header)
        self._count += 1
        self._out(ciphertext + tag)

    def write(self, data: bytes) -> int:
        """Seal more; how many bytes were taken, which is all of them."""
        self._held += data
        while len(self._held) > CHUNK:  # a full chunk is held back: it may be the last
            self._chunk(bytes(self._held[:CHUNK]), 0)
            del self._held[:CHUNK]
        return len(data)

    def close(self) -> str:
        """The last chunk and the digest; that digest as 64 hex digits. Called once, and not at all where the content is not complete."""
        self._chunk(bytes(self._held), 1)
        digest = self._seen.digest()
        self._out(digest)
        return digest.hex()


def open_stream(private_pem: bytes, source: Readable, write: Callable[[bytes], object]) -> int:
    """Write the plaintext of the sealed stream `source`; its size in bytes. Raises CryptoError, and then nothing of what was written may be used."""
    recipient, public = private_key(private_pem), public_pem(private_pem)
    header = _read(source, HEADER)
    point = _judge(header, public)
    key = hkdf(ecdh(recipient, point_key(point)), b"", LABEL + point + public_point(recipient), KEY)
    prefix, seen = header[-PREFIX:], hashlib.sha256(header)
    held, count, size = b"", 0, 0
    while True:
        held += _read(source, CHUNK + TAG + DIGEST + 1 - len(held))
        last = len(held) <= CHUNK + TAG + DIGEST  # behind any other chunk stands at least a tag and the digest
        sealed = held[:-DIGEST] if last else held[: CHUNK + TAG]
        if len(sealed) < TAG or (last and count and len(sealed) == TAG) or count >= MOST:
            raise CryptoError(_CUT)
        try:
            plaintext = gcm_decrypt(key, _iv(prefix, count, int(last)), sealed[:-TAG], sealed[-TAG:], header)
        except CryptoError:
            raise CryptoError(_CUT if last else _CHANGED) from None
        seen.update(sealed)
        held, count, size = held[len(sealed) :], count + 1, size + len(plaintext)
        if last and seen.digest() != held:
            raise CryptoError(_CHANGED)
        write(plaintext)
        if last:
            return size


class Whole:
    """Sees, without any key, whether a sealed stream has come through whole. Feed it every piece in order, then `check`."""

    def __init__(self) -> None:
        self._seen, self._held, self._head = hashlib.sha256(), b"", b""
        self.size = 0  # bytes fed

    def feed(self, piece: bytes) -> None:
        """The next piece."""
        self.size += len(piece)
        if len(self._head) < HEADER:
            self._head += piece[: HEADER - len(self._head)]
        held = self._held + piece
        self._seen.update(held[:-DIGEST])
        self._held = held[-DIGEST:]

    def check(self) -> str:
        """The digest at its end, as 64 hex digits. Raises CryptoError for what is no sealed stream, or not a whole one."""
        if not is_sealed(self._head):
            raise CryptoError("this is no sealed stream; something else answered, or it is another file")
        if self.size < HEADER + TAG + DIGEST or self._seen.digest() != self._held:
            raise CryptoError(_CUT)
        return self._held.hex()


def is_sealed(head: bytes) -> bool:
    """Whether what begins like this is a sealed stream."""
    return head.startswith(MAGIC)


def _judge(header: bytes, public: bytes) -> bytes:
    """The ephemeral point of a header that is for this key. Raises CryptoError."""
    if not is_sealed(header):
        raise CryptoError("this is no sealed stream")
    if len(header) < HEADER:
        raise CryptoError(_CUT)
    if header[len(MAGIC)] != VERSION:
        raise CryptoError(f"the sealed stream has the form {header[len(MAGIC)]}, and this version reads {VERSION}; open it with a newer one")
    wanted, own = header[len(MAGIC) + 1 :][:DIGEST], sha256(public)
    if wanted != own:
        raise CryptoError(f"it is sealed for another key: that one's fingerprint is {wanted.hex()}, and the one given has {own.hex()}")
    return header[-PREFIX - POINT : -PREFIX]


def _iv(prefix: bytes, count: int, last: int) -> bytes:
    return prefix + count.to_bytes(4, "big") + bytes((last,))


def _read(source: Readable, size: int) -> bytes:
    """`size` bytes, or what is left."""
    found = b""
    while len(found) < size:
        piece = source.read(size - len(found))
        if not piece:
            break
        found += piece
    return found
