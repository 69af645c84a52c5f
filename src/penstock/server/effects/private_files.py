"""Files that hold keys: written whole or not at all, read only when nobody else can read them.

Owns the permissions and the order of writing (temporary file, fsync, rename or link, fsync of the folder). Never knows what is inside.
"""

from __future__ import annotations

import os
from pathlib import Path

MAX_PRIVATE = 65536  # bytes; a key and a chain of certificates take a few thousand


class FileFault(ValueError):
    """A private file cannot be used. `why` is a sentence with the path and the remedy."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def write_private(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write `data` to `path` with mode 0600. A crash leaves the old file, the new one, or none: never a part.

    The folder is made with mode 0700 if it is missing. Raises FileFault when the file exists and `replace` is false, or on any
    error of the file system.
    """
    path = path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                os.fchmod(file.fileno(), 0o600)  # a left-over of the same name may have had another mode
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                fresh.rename(path)
            else:
                path.hardlink_to(fresh)  # unlike a rename, it fails where another process was first
        finally:
            fresh.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        raise FileFault(f"{path} exists already and is not overwritten; move it away if it is no longer needed") from None
    except OSError as error:
        raise FileFault(f"{path} cannot be written: {error.strerror}") from None


def read_private(path: Path, what: str, *, group: bool = False) -> bytes:
    """The content of `path`, which holds `what` (words for the error). Raises FileFault if it is missing, too long, no plain
    file, or open to anybody but its owner. `group`: members of its group may read it, which is how systems hand
    out the keys of certificates."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise FileFault(f"{what} is missing: there is no {path}; restore it from a backup") from None
    except OSError as error:
        raise FileFault(f"{what} cannot be read from {path}: {error.strerror}") from None
    try:
        state = os.fstat(fd)
        if state.st_mode & 0o170000 != 0o100000:
            raise FileFault(f"{what} must be a plain file, and {path} is none")
        if state.st_mode & (0o037 if group else 0o077):
            raise FileFault(f"{what} in {path} can be read or changed by others (mode {state.st_mode & 0o777:03o}); run: chmod 600 {path}")
        if state.st_uid not in (os.geteuid(), 0) and not group:
            raise FileFault(f"{what} in {path} belongs to user {state.st_uid}, not to the user this runs as; run: chown {os.geteuid()} {path}")
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(MAX_PRIVATE + 1)
    finally:
        os.close(fd)
    if len(data) > MAX_PRIVATE:
        raise FileFault(f"{what} in {path} is longer than {MAX_PRIVATE} bytes; is it the right file?")
    return data
