"""The agent's own folders in a simulated device: a disk that remembers what was ever durable, blobs, and copies of volumes.

Owns these twins of `agent.memorydisk`, `agent.blobstore` and `agent.hands.SnapshotFolder`, and nothing of what is kept in them.
"""

from __future__ import annotations

import binascii
import errno
import io
from collections.abc import Collection

from penstock.agent.memorydisk import MemoryDisk, PowerCut
from penstock.wire.codec import WireError, decode
from penstock.wire.log import entry_digest
from penstock.wire.messages import LogEntry
from penstock.wire.types import Blob


class SeenDisk(MemoryDisk):
    """A disk in memory; `entries` is every log entry that was ever whole on it: number to digests, in order of writing."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        super().__init__(files)
        self.entries: dict[int, list[str]] = {}

    def append(self, name: str, data: bytes) -> None:
        """As its twin, and look what became durable."""
        before = len(self.files.get(name, b""))
        try:
            super().append(name, data)
        finally:
            if name.startswith("log/"):
                self._note(self.files.get(name, b"")[before:])

    def _note(self, written: bytes) -> None:
        for line in written.split(b"\n")[:-1]:
            try:
                if int(line[:8], 16) == binascii.crc32(line[9:]):
                    entry = decode(LogEntry, line[9:])
                    self.entries.setdefault(entry.seq, []).append(entry_digest(entry))
            except (ValueError, WireError):
                continue  # a torn line; the log is expected to cope

    def copy(self) -> SeenDisk:
        """A picture of it."""
        made = SeenDisk(self.files)
        made.entries = {seq: list(digests) for seq, digests in self.entries.items()}
        return made


class MemoryBlobs:
    """`agent.blobstore.BlobStore`, as far as the hands use it."""

    def __init__(self, held: Collection[str] = ()) -> None:
        self.held = set(held)

    def path(self, digest: str) -> str | None:
        """Something that stands for a file."""
        return f"memory:{digest}" if digest in self.held else None

    def sweep(self, keep: Collection[str]) -> int:
        """Remove all but these."""
        gone = self.held - set(keep)
        self.held -= gone
        return len(gone)

    def verify(self, blob: Blob) -> bool:
        """Bytes in memory are whole."""
        return blob.digest in self.held

    def remove(self, digest: str) -> None:
        """Remove one."""
        self.held.discard(digest)


class _Part(io.BytesIO):
    """A copy being written."""

    def __init__(self, owner: MemorySnapshots, name: str) -> None:
        super().__init__()
        self._owner = owner
        self._name = name

    def write(self, data: bytes) -> int:  # type: ignore[override] # bytes only
        """Write, where there is room."""
        if self._owner.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)

    def close(self) -> None:
        """Keep what was written beside the whole copies."""
        if not self.closed:
            self._owner.parts[self._name] = self.getvalue()
        super().close()


class MemorySnapshots:
    """`agent.hands.Snapshots`."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = dict(files or {})
        self.parts: dict[str, bytes] = {}
        self.full = False

    def names(self) -> tuple[str, ...]:
        """Complete copies."""
        return tuple(sorted(self.files))

    def writer(self, name: str) -> io.BytesIO:
        """A copy being written."""
        return _Part(self, name)

    def commit(self, name: str) -> None:
        """The written copy is whole."""
        self.files[name] = self.parts.pop(name)

    def reader(self, name: str) -> io.BytesIO:
        """A complete copy."""
        if name not in self.files:
            raise OSError(errno.ENOENT, "No such file or directory")
        return io.BytesIO(self.files[name])

    def remove(self, name: str) -> None:
        """Remove a copy, complete or not."""
        self.files.pop(name, None)
        self.parts.pop(name, None)

    def free_bytes(self) -> int:
        """Space left."""
        return 0 if self.full else 10 * 1024**3


__all__ = ["MemoryBlobs", "MemorySnapshots", "PowerCut", "SeenDisk"]
