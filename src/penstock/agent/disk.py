"""The agent's files as a port: read, replace, append, list, remove; durable when they return.

Owns the protocol and its real form. Names are relative to the data folder ("ledger.a", "log/000.seg"). Replacing writes a temporary file, flushes it,
renames it and flushes the folder, so that a power cut leaves the old content or the new. Never decides what is written.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class DiskFault(Exception):
    """The storage does not do what it was asked. `why` is a sentence; `full` tells the one case that space mends."""

    def __init__(self, why: str, *, full: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.full = full


class Disk(Protocol):
    """Files below one folder. Every verb raises DiskFault, and nothing else, when it cannot do what it was asked."""

    def read(self, name: str) -> bytes | None:
        """The whole file, None where there is none."""

    def write(self, name: str, data: bytes) -> None:
        """Replace the file; after a crash it holds the old bytes or the new ones."""

    def append(self, name: str, data: bytes) -> None:
        """Add to the file's end, making it where it is not; durable on return. A fault or a crash may leave a part of `data`."""

    def names(self, folder: str) -> tuple[str, ...]:
        """The files in a folder, sorted; empty where there is none."""

    def remove(self, name: str) -> None:
        """Remove the file; one that is not there is no fault."""


def _fault(fault: OSError, doing: str, name: str) -> DiskFault:
    full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
    if full:
        return DiskFault(f"no space left {doing} {name}; free some space on the device", full=True)
    if fault.errno == errno.EROFS:
        return DiskFault(f"the file system of {name} is read-only; it may be worn out or damaged")
    return DiskFault(f"{doing} {name}: {fault.strerror or fault}")


class RealDisk:
    """Files below `root`, closed to others."""

    def __init__(self, root: str) -> None:
        self._root = root

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def read(self, name: str) -> bytes | None:
        """The whole file, None where there is none."""
        try:
            with open(self._path(name), "rb") as source:
                return source.read()
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise _fault(fault, "reading", name) from None

    def write(self, name: str, data: bytes) -> None:
        """Replace the file; after a crash it holds the old bytes or the new ones."""
        path = self._path(name)
        try:
            self._put(f"{path}.new", data, os.O_TRUNC)
            os.rename(f"{path}.new", path)
            _sync_folder(os.path.dirname(path))
        except OSError as fault:
            raise _fault(fault, "writing", name) from None

    def append(self, name: str, data: bytes) -> None:
        """Add to the file's end; durable on return."""
        path = self._path(name)
        try:
            fresh = not os.path.exists(path)
            self._put(path, data, os.O_APPEND)
            if fresh:
                _sync_folder(os.path.dirname(path))
        except OSError as fault:
            raise _fault(fault, "writing", name) from None

    def _put(self, path: str, data: bytes, flag: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag
        try:
            number = os.open(path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            number = os.open(path, flags, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(number, left) :]
            os.fdatasync(number)
        finally:
            os.close(number)

    def names(self, folder: str) -> tuple[str, ...]:
        """The files in a folder, sorted; half-written ones are not among them."""
        try:
            return tuple(sorted(name for name in os.listdir(self._path(folder)) if not name.endswith(".new")))
        except FileNotFoundError:
            return ()
        except OSError as fault:
            raise _fault(fault, "listing", folder) from None

    def remove(self, name: str) -> None:
        """Remove the file; one that is not there is no fault."""
        path = self._path(name)
        try:
            os.unlink(path)
            _sync_folder(os.path.dirname(path))
        except FileNotFoundError:
            return
        except OSError as fault:
            raise _fault(fault, "removing", name) from None


def _sync_folder(path: str) -> None:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
