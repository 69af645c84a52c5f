"""Where the agent keeps what: the layout of its data folder, and writing a file so that a power cut leaves the old or the new one.

Owns paths and permissions (the folder is root's alone: it holds keys and the way to a root-like engine). What the files say is their owners'.
"""

from __future__ import annotations

import os

DEFAULT = "/var/lib/penstock-agent"


class PlaceError(Exception):
    """The data folder is not usable. `why` is a sentence with the remedy."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Places:
    """Paths below one data folder."""

    def __init__(self, data: str = DEFAULT) -> None:
        self.data = os.path.abspath(data)
        self.identity = f"{self.data}/identity"
        self.trust = f"{self.data}/trust"
        self.blobs = f"{self.data}/blobs"
        self.snapshots = f"{self.data}/snapshots"
        self.run = f"{self.data}/run"
        self.slots = f"{self.data}/slots"
        self.control = f"{self.run}/control.sock"
        self.lock = f"{self.run}/lock"
        self.endpoints = f"{self.data}/endpoints.json"
        self.stone = f"{self.data}/retired.json"

    def prepare(self) -> None:
        """Make the folders, closed to others. Raises PlaceError."""
        try:
            os.makedirs(self.data, mode=0o700, exist_ok=True)
            for folder in (self.identity, self.trust, self.blobs, self.snapshots, self.run):
                os.makedirs(folder, mode=0o700, exist_ok=True)
            mode = os.stat(self.data).st_mode
            if mode & 0o077:
                os.chmod(self.data, 0o700)
        except PermissionError:
            raise PlaceError(f"{self.data} is not ours to use; run as root, or name another folder with --data-dir") from None
        except OSError as fault:
            raise PlaceError(f"{self.data} cannot be used: {fault.strerror}; is the disk there, writable and not full?") from None

    def exists(self) -> bool:
        """Whether an agent has ever used this folder."""
        return os.path.isdir(self.identity)


def write_file(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace a file by `data`, durably: temporary file, fsync, rename, fsync of the folder. Raises OSError."""
    beside = f"{path}.new"
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(number, mode)
        left = memoryview(data)
        while left:
            left = left[os.write(number, left) :]
        os.fsync(number)
    finally:
        os.close(number)
    os.rename(beside, path)
    sync_folder(os.path.dirname(path))


def read_file(path: str, limit: int = 1024 * 1024) -> bytes | None:
    """The whole file, None where there is none. Raises OSError; PlaceError past `limit` bytes."""
    try:
        with open(path, "rb") as source:
            data = source.read(limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise PlaceError(f"{path} is longer than the {limit} bytes it may have; it is damaged or not ours")
    return data


def remove_file(path: str) -> None:
    """Remove a file durably; one that is not there is no fault."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Make a rename or a removal in the folder durable."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
