"""The device's own store of blobs: files named by their digest, complete and verified, or partial and resumable.

Owns one folder: `sha256/` holds complete blobs, `partial/` those still arriving. A blob appears in `sha256/` only after its size and
digest were checked and its bytes are on the disk, so a power cut at any instant leaves either nothing, a partial file, or the whole blob.
Never fetches anything and never decides what is kept. One process writes a given blob at a time.
"""

from __future__ import annotations

import errno
import hashlib
import os

from penstock.wire.types import Blob, digest_fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import NoReturn

    from typing_extensions import Self

CHUNK = 256 * 1024  # bytes read at once when hashing
SYNC_EVERY = 8 * 1024 * 1024  # bytes written between two flushes, so that a power cut costs little


class BlobFault(Exception):
    """A blob that cannot be stored. `code`: "no-space", "blob-corrupt" (the bytes are not what the digest names) or "storage"
    (the disk refuses); `why` is a sentence."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def _os_fault(fault: OSError, doing: str) -> BlobFault:
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return BlobFault("no-space", f"no room left while {doing}; free some space on the device")
    return BlobFault("storage", f"the disk refused {doing}: {fault.strerror or fault}")


class Partial:
    """A blob on its way in. Made by `BlobStore.begin`; write from `offset` on, then `finish`. Closing early keeps what arrived."""

    def __init__(self, store: BlobStore, blob: Blob, fd: int, offset: int, state: hashlib._Hash) -> None:
        self.blob = blob
        self.offset = offset
        self._store = store
        self._fd = fd
        self._hash = state
        self._unsynced = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Append bytes. Raises BlobFault: more than the blob's size is "blob-corrupt" and forgets what arrived."""
        if self.offset + len(data) > self.blob.size:
            self._forget(f"blob {self.blob.digest} is longer than the {self.blob.size} bytes its release names")
        view = memoryview(data)
        try:
            while view:
                count = os.write(self._fd, view)
                view = view[count:]
            self._unsynced += len(data)
            if self._unsynced >= SYNC_EVERY:
                os.fsync(self._fd)
                self._unsynced = 0
        except OSError as fault:
            self.close()
            raise _os_fault(fault, f"storing {len(data)} bytes of an image") from None
        self._hash.update(data)
        self.offset += len(data)

    def finish(self) -> str:
        """Check size and digest, make the blob complete; its path. Raises BlobFault; a wrong digest forgets what arrived."""
        if self.offset != self.blob.size:
            raise BlobFault("blob-corrupt", f"blob {self.blob.digest} is not complete: {self.offset} of {self.blob.size} bytes")
        if "sha256:" + self._hash.hexdigest() != self.blob.digest:
            self._forget(f"the bytes that came for {self.blob.digest} are not the ones it names; they were thrown away")
        try:
            os.fsync(self._fd)
            self.close()
            return self._store.adopt(self.blob.digest)
        except OSError as fault:
            self.close()
            raise _os_fault(fault, "completing a blob of an image") from None

    def close(self) -> None:
        """Stop; what arrived stays for the next `begin`."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _forget(self, why: str) -> NoReturn:
        self.close()
        self._store.forget(self.blob.digest)
        raise BlobFault("blob-corrupt", why)


class BlobStore:
    """The folder. `quota_bytes` bounds all blobs together, 0 for no bound; `reserve_bytes` is left free on the disk whatever happens."""

    def __init__(self, root: str, quota_bytes: int = 0, reserve_bytes: int = 64 * 1024 * 1024) -> None:
        self._complete = os.path.join(root, "sha256")
        self._partial = os.path.join(root, "partial")
        self._quota = quota_bytes
        self._reserve = reserve_bytes
        try:
            os.makedirs(self._complete, 0o700, exist_ok=True)
            os.makedirs(self._partial, 0o700, exist_ok=True)
        except OSError as fault:
            raise _os_fault(fault, f"making the folder {root}") from None

    # --- what is there ------------------------------------------------------------------------------------------------

    def path(self, digest: str) -> str | None:
        """The file that holds the complete blob, or None."""
        name = self._name(self._complete, digest)
        return name if os.path.isfile(name) else None

    def partial_size(self, digest: str) -> int:
        """How many bytes of an incomplete blob are there."""
        return _size(self._name(self._partial, digest))

    def missing(self, blobs: tuple[Blob, ...]) -> tuple[Blob, ...]:
        """Those of `blobs` that are not complete here, in order, each once."""
        found: dict[str, Blob] = {}
        for blob in blobs:
            if blob.digest not in found and self.path(blob.digest) is None:
                found[blob.digest] = blob
        return tuple(found.values())

    def list(self) -> tuple[Blob, ...]:
        """All complete blobs with their sizes, by digest."""
        names = sorted(name for name in os.listdir(self._complete) if digest_fault("sha256:" + name) is None)
        return tuple(Blob("sha256:" + name, _size(os.path.join(self._complete, name))) for name in names)

    def used_bytes(self) -> int:
        """Bytes of all blobs, partial ones included."""
        return sum(_size(os.path.join(folder, name)) for folder in (self._complete, self._partial) for name in os.listdir(folder))

    def free_bytes(self) -> int:
        """Bytes that may still be written: what the disk has less the reserve, and what the quota leaves. Never negative."""
        disk = os.statvfs(self._complete)
        free = disk.f_bavail * disk.f_frsize - self._reserve
        if self._quota:
            free = min(free, self._quota - self.used_bytes())
        return max(free, 0)

    def room_for(self, blobs: tuple[Blob, ...]) -> str | None:
        """Why the missing ones of `blobs` do not fit; None when they do."""
        needed = sum(blob.size - self.partial_size(blob.digest) for blob in self.missing(blobs))
        free = self.free_bytes()
        if needed > free:
            return f"{needed} bytes of images are still to come and {free} may be used; free some space on the device"
        return None

    def verify(self, blob: Blob) -> bool:
        """Read a complete blob again and compare. A wrong one is removed, so that it is fetched anew."""
        name = self.path(blob.digest)
        if name is None:
            return False
        try:
            with open(name, "rb", buffering=0) as file:
                whole = hashlib.sha256()
                _absorb(file.fileno(), whole)
        except OSError:
            whole = hashlib.sha256()  # unreadable is as bad as wrong
        if "sha256:" + whole.hexdigest() == blob.digest:
            return True
        self.remove(blob.digest)
        return False

    # --- in and out ---------------------------------------------------------------------------------------------------

    def begin(self, blob: Blob) -> Partial:
        """Continue or start a blob; the result's `offset` says from where. Raises BlobFault when there is no room.

        What is there already is read again, so that the digest at the end covers the bytes on the disk."""
        name = self._name(self._partial, blob.digest)
        free = self.free_bytes()
        needed = blob.size - _size(name)
        if needed > free:
            raise BlobFault("no-space", f"{needed} bytes of an image are still to come and {free} may be used; free some space on the device")
        try:
            fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise _os_fault(fault, "starting a blob of an image") from None
        try:
            state = hashlib.sha256()
            offset = _absorb(fd, state)
            if offset > blob.size:
                os.ftruncate(fd, 0)
                os.lseek(fd, 0, os.SEEK_SET)
                state, offset = hashlib.sha256(), 0
        except OSError as fault:
            os.close(fd)
            raise _os_fault(fault, "reading the part of a blob that is already here") from None
        return Partial(self, blob, fd, offset, state)

    def put(self, blob: Blob, data: bytes) -> str:
        """Store a whole blob at once; its path. Raises BlobFault."""
        self.forget(blob.digest)
        with self.begin(blob) as partial:
            partial.write(data)
            return partial.finish()

    def adopt(self, digest: str) -> str:
        """Move a finished partial file to its place; its path. For `Partial`, after it has checked the bytes."""
        name = self._name(self._complete, digest)
        os.replace(self._name(self._partial, digest), name)
        for folder in (self._complete, self._partial):
            _sync_folder(folder)
        return name

    def forget(self, digest: str) -> None:
        """Throw the partial file away."""
        _unlink(self._name(self._partial, digest))

    def remove(self, digest: str) -> None:
        """Remove a blob, complete or partial; one that is not there is no fault."""
        _unlink(self._name(self._complete, digest))
        self.forget(digest)

    def sweep(self, keep: Collection[str]) -> int:
        """Remove every blob whose digest is not among `keep`, partial ones too; the bytes freed."""
        freed = 0
        for folder in (self._complete, self._partial):
            for name in os.listdir(folder):
                if "sha256:" + name not in keep:
                    path = os.path.join(folder, name)
                    freed += _size(path)
                    _unlink(path)
        return freed

    @staticmethod
    def _name(folder: str, digest: str) -> str:
        fault = digest_fault(digest)
        if fault is not None:  # a digest becomes a file name: nothing else may pass
            raise ValueError(f"{digest[:80]!r}: {fault}")
        return os.path.join(folder, digest[7:])


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _os_fault(fault, "removing a blob") from None


def _absorb(fd: int, state: hashlib._Hash) -> int:
    """Feed the rest of a file to a hash; how many bytes."""
    total = 0
    while True:
        data = os.read(fd, CHUNK)
        if not data:
            return total
        state.update(data)
        total += len(data)


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
