"""Making a backup out of a data folder: one at a time, in a place that is swept.

Owns the lock (also between processes: a timer's `penstock-server backup` and the plane that serves), the working folder in the data folder, where
nothing lies that does not lie there anyway, and what an archive says of itself. Never decides who may have one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.crypto import CryptoError, sha256_hex
from penstock.crypto.keys import public_key
from penstock.crypto.streaming import Sealer
from penstock.server.effects.archive import DATABASE, ArchiveFault, pack, said
from penstock.server.effects.feed import Feed

SPARE = 16 * 1024 * 1024  # bytes that must stay free beside the copy of the database


class Occupied(RuntimeError):
    """Another backup is being made."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was written: its size in bytes; its digest where it is sealed."""

    size: int
    digest: str
    made_ms: int


def fingerprint(key: bytes) -> str:
    """The SHA-256 of a backup key's public half, as `sha256sum` shows it for the file. Raises ArchiveFault for what is no such key."""
    try:
        public_key(key)
    except CryptoError as fault:
        raise ArchiveFault(fault.why) from None
    return sha256_hex(key)


class Backups:
    """Backups of one data folder. `addresses` and `listen` stand in each, so that a restored plane is looked for where it was."""

    def __init__(self, data: Path, database: Path, registry: Path, addresses: tuple[str, ...] = (), listen: str = "") -> None:
        self._data, self._database, self._registry = data, database, registry
        self._known = {"addresses": list(addresses), "listen": listen}
        self._feed: Feed | None = None

    def take(self) -> Turn:
        """The right to make one; `end` it. What a killed one left behind is swept. Raises Occupied."""
        lock = os.open(self._data / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise Occupied("another backup is being made") from None
        return Turn(lock, self._data / "backup.tmp", self._data, self._database, self._registry, self._known)

    def sweep(self) -> None:
        """Take away what a killed one left behind."""
        try:
            self.take().end()
        except Occupied:
            return  # it is somebody's

    def feed(self) -> Feed:
        """A stream for a backup to go out by."""
        self._feed = Feed()
        return self._feed

    def stop(self, wait_s: float = 0.0) -> None:
        """The end is near: end what goes out."""
        if self._feed is not None:
            self._feed.stop(wait_s)


class Turn:
    """The right to make one backup, by the lock."""

    def __init__(self, lock: int, folder: Path, data: Path, database: Path, registry: Path, known: dict[str, Any]) -> None:
        self._lock, self._folder, self._data, self._database, self._registry, self._known = lock, folder, data, database, registry, known
        self._sweep()

    def _sweep(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def end(self) -> None:
        """Take the copy away and let the next one make theirs."""
        if self._lock >= 0:
            try:
                self._sweep()
            finally:
                os.close(self._lock)
                self._lock = -1

    def check_room(self) -> None:
        """Raises ArchiveFault where the copy of the database would fill the disk."""
        wal = self._database.with_name(self._database.name + "-wal")
        size = sum(path.stat().st_size for path in (self._database, wal) if path.exists())
        free = shutil.disk_usage(self._data).free
        if free < size + SPARE:
            raise ArchiveFault(
                f"the disk of {self._data} is full: a copy of the database needs {_mib(size + SPARE)} MiB there for a while, and {_mib(free)} are free; make room"
            )

    def make(self, write: Callable[[bytes], object], copy: Callable[[Path, Path], None], now_ms: int, *, key: bytes = b"", images: bool = False) -> Made:
        """Give a backup to `write`, piece by piece, sealed for the holder of `key` where there is one. `copy(from, to)` makes a consistent copy of the
        database. Raises ArchiveFault."""
        self.check_room()
        out = Sealer(key, write) if key else _Counter(write)
        try:
            self._folder.mkdir(mode=0o700)
            copy(self._database, self._folder / DATABASE)
            blobs = sorted((file.name, file.stat().st_size) for file in (self._registry / "blobs").glob("*/*")) if self._registry.is_dir() else []
            listed = [{"digest": f"sha256:{name}", "size": size} for name, size in blobs]
            about = {"made_ms": now_ms, "blobs": listed, "images": images, **self._known}
            pack(out.write, self._folder / DATABASE, self._data, about, self._registry if images else None)
            return Made(digest=out.close(), size=out.size, made_ms=now_ms)
        except OSError as fault:
            raise ArchiveFault(f"the backup cannot be made: {said(fault)}") from None


class _Counter:
    """A way through that counts."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self.size = write, 0

    def write(self, data: bytes) -> int:
        """Pass on."""
        self._write(data)
        self.size += len(data)
        return len(data)

    def close(self) -> str:
        """It has no digest."""
        return ""


def _mib(size: int) -> int:
    return -(-size // (1024 * 1024))
