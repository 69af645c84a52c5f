"""The agent's files in memory, with the ways a disk fails: for the simulated fleet and for fault injection.

Owns the twin of `disk.RealDisk` and its knobs. Nothing in the real agent imports it.
"""

from __future__ import annotations

from penstock.agent.disk import DiskFault


class PowerCut(BaseException):
    """The machine stopped here. A BaseException, so that no handler of faults takes it for one."""


class MemoryDisk:
    """Knobs: `broken` (a sentence: every change of a file fails so), `full_after` (bytes that may still be written), `cut_after` (changes until the
    power goes; the last one is torn when `torn`). `changes` counts what was changed."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files: dict[str, bytes] = dict(files or {})
        self.broken = ""
        self.full_after = -1
        self.cut_after = -1
        self.torn = False
        self.changes = 0
        self.written_bytes = 0

    def read(self, name: str) -> bytes | None:
        """The whole file, None where there is none."""
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        """Replace the file."""
        if self._change(name, len(data)):
            raise PowerCut  # the temporary file is torn, the old one stands
        self.files[name] = data

    def append(self, name: str, data: bytes) -> None:
        """Add to the file's end; a power cut may leave a part."""
        if self._change(name, len(data)):
            if self.torn:
                self.files[name] = self.files.get(name, b"") + data[: len(data) // 2]
            raise PowerCut
        self.files[name] = self.files.get(name, b"") + data

    def names(self, folder: str) -> tuple[str, ...]:
        """The files in a folder, sorted."""
        return tuple(sorted(name[len(folder) + 1 :] for name in self.files if name.startswith(folder + "/")))

    def remove(self, name: str) -> None:
        """Remove the file."""
        if name in self.files:
            if self._change(name, 0):
                raise PowerCut
            del self.files[name]

    def truncate(self, name: str, length: int) -> None:
        """Damage: keep the first `length` bytes."""
        self.files[name] = self.files[name][:length]

    def _change(self, name: str, size: int) -> bool:
        """Count one change; whether the power goes now."""
        if self.broken:
            raise DiskFault(f"{name}: {self.broken}")
        if self.full_after >= 0:
            if size > self.full_after:
                raise DiskFault(f"no space left writing {name}; free some space on the device", full=True)
            self.full_after -= size
        if self.cut_after == 0:
            return True
        if self.cut_after > 0:
            self.cut_after -= 1
        self.changes += 1
        self.written_bytes += size
        return False
