"""Session tokens of devices and tokens for the image registry: stateless, short-lived, made with a key only the plane has.

Owns the session token's text (device, key epoch, end in seconds, and 16 bytes of an HMAC-SHA256 over them, with dots between; it travels with every poll, so
every byte counts) and the file of the key, which outlives restarts so that a restart is no stampede. A token only says who asks; what the asker may
read is decided elsewhere.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from penstock.crypto import constant_time_equal, hmac_sha256, random_bytes

_MAC = 16
_REGISTRY = b"penstock image registry tokens, 1"  # what the key for them is made with, so that neither kind passes for the other
MOST_REGISTRY = 6000  # characters: servers and proxies take headers of 8 kB


class SessionTokens:
    """Makes and reads tokens with one key; `registry` does the same for the image registry's, with a key made from it."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.registry = RegistryTokens(key)

    def issue(self, device: str, key_epoch: int, ends_ms: int) -> str:
        """A token for `device`, dead at `ends_ms` (unix milliseconds)."""
        body = f"{device}.{key_epoch}.{ends_ms // 1000}"
        return f"{body}.{self._mac(body)}"

    def _mac(self, body: str) -> str:
        return _text(hmac_sha256(self._key, body.encode("ascii"))[:_MAC])

    def read(self, token: str) -> tuple[str, int, int] | None:
        """(device, key epoch, end) of a token of ours; None for anything else."""
        if len(token) > 256 or not token.isascii():
            return None
        body, _, mac = token.rpartition(".")
        if not constant_time_equal(mac.encode("ascii"), self._mac(body).encode("ascii")):
            return None
        device, epoch, ends_s = body.split(".")
        return device, int(epoch), int(ends_s) * 1000


class RegistryTokens:
    """Makes and reads tokens for the image registry: any short text of ours and an HMAC-SHA256 over it."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac_sha256(key, _REGISTRY)

    def issue(self, body: bytes) -> str:
        """A token that carries `body` for everybody to read and nobody to change."""
        return f"{_text(body)}.{_text(hmac_sha256(self._key, body))}"

    def read(self, token: str) -> bytes | None:
        """What a token of ours carries; None for anything else."""
        if len(token) > MOST_REGISTRY or not token.isascii():
            return None
        head, _, mac = token.partition(".")
        try:
            body = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
        except ValueError:
            return None
        right = _text(hmac_sha256(self._key, body))
        return body if constant_time_equal(mac.encode("ascii"), right.encode("ascii")) and _text(body) == head else None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def key_file(path: Path) -> bytes:
    """The 32 bytes in `path`, made at first use (0600)."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != 32:
            raise ValueError(
                f"{path} must hold 32 bytes and holds {len(key)}; restore it from a backup, or remove it to make all devices open new sessions"
            ) from None
        return key
    with os.fdopen(fd, "wb") as file:
        key = random_bytes(32)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
