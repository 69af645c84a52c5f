"""A backup as one file: a tar with the database, the keys, the certificates and a list of the blobs.

Owns the archive's layout, its file, and its safe unpacking. Never decides what a restore means (see `actions.restore`). The archive holds private keys: a plain
one belongs where the plane itself could be kept, a sealed one (`crypto.streaming`) may lie anywhere.
"""

from __future__ import annotations

import errno
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from penstock.crypto import CryptoError
from penstock.crypto.streaming import MAGIC, is_sealed, open_stream
from penstock.server.effects.files import sync
from penstock.server.effects.private_files import read_private

FORMAT = 1
ABOUT = "about.json"
DATABASE = "plane.db"
FOLDERS = ("keys", "tls")
IMAGES = "registry"


class ArchiveFault(ValueError):
    """An archive that cannot be written or used, as a sentence."""


def pack(write: Callable[[bytes], Any], database: Path, data: Path, about: Mapping[str, Any], images: Path | None = None) -> None:
    """Give an archive to `write`, piece by piece: the database copy, the key folders below `data`, and `about`; with `images`, that folder too.
    Raises OSError."""
    with tarfile.open(fileobj=_Into(write), mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        text = json.dumps({"format": FORMAT, **about}, indent=1, sort_keys=True).encode("utf-8")
        info = tarfile.TarInfo(ABOUT)
        info.size, info.mode = len(text), 0o600
        tar.addfile(info, io.BytesIO(text))
        tar.add(database, DATABASE)
        for name in FOLDERS:
            if (data / name).is_dir():
                tar.add(data / name, name)
        if images is not None and images.is_dir():
            for path in sorted(images.rglob("*")):
                with suppress(FileNotFoundError):  # an upload that ended meanwhile, a blob that nothing needs any more
                    tar.add(path, f"{IMAGES}/{path.relative_to(images)}", recursive=False)


class _Into:
    """What `tarfile` writes to."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self.write = write


@contextmanager
def written(target: Path) -> Iterator[BinaryIO]:
    """A file to write `target` to (which must not exist), mode 0600. It appears whole under its name, or not at all. Raises ArchiveFault."""
    if target.exists():
        raise ArchiveFault(f"{target} exists already; choose another name")
    partial = target.with_name(target.name + ".partial")
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, 0o600)  # a left-over of the same name may have had another mode
                yield file
                file.flush()
                os.fsync(fd)
            partial.rename(target)
            sync(target.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise ArchiveFault(f"the backup cannot be written to {target}: {said(fault)}") from None


def said(fault: OSError) -> str:
    """A fault of the file system in words."""
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no room left on the disk{f' ({fault.filename})' if fault.filename else ''}; make room, or write it elsewhere"
    return f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault.strerror or fault)


def read_archive(source: Path, data: Path, key: Path | None = None) -> dict[str, Any]:
    """Unpack a backup into `data`, which must be empty or missing; what the archive says of itself. A sealed one is opened with the private half of its
    backup key, and proven to be whole before anything of it is unpacked. Raises ArchiveFault, FileFault."""
    if data.exists() and any(data.iterdir()):
        raise ArchiveFault(f"{data} is not empty; a backup is restored into an empty folder")
    try:
        with source.open("rb") as file:
            sealed = is_sealed(file.read(len(MAGIC)))
            file.seek(0)
            if not sealed:
                return _unpack(file, source, data)
            if key is None:
                raise ArchiveFault(f"{source} is sealed; name the private half of the backup key it was made for with --backup-key FILE")
            private = read_private(key, "the backup key")
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A file without a name: however this ends, the system takes it away.
            with tempfile.TemporaryFile(dir=data) as plain:
                try:
                    open_stream(private, file, plain.write)
                except CryptoError as fault:
                    raise ArchiveFault(f"{source} cannot be opened with {key}: {fault.why}") from None
                plain.seek(0)
                return _unpack(plain, source, data)
    except OSError as fault:
        raise ArchiveFault(f"{source} cannot be restored: {said(fault)}") from None


def _unpack(file: Any, source: Path, data: Path) -> dict[str, Any]:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            # The "data" filter refuses absolute names, "..", links out of the folder and device nodes.
            tar.extractall(data, filter="data")
    except (OSError, tarfile.TarError) as fault:
        raise ArchiveFault(f"{source} cannot be unpacked: {said(fault) if isinstance(fault, OSError) else fault}") from None
    try:
        about = json.loads((data / ABOUT).read_text("utf-8"))
    except (OSError, ValueError):
        raise ArchiveFault(f"{source} is no backup of a control plane: {ABOUT} is missing") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ArchiveFault(f"{source} was written by a newer version; restore it with that version")
    (data / ABOUT).unlink()
    for name in FOLDERS:
        folder = data / name
        if folder.is_dir():
            folder.chmod(0o700)
            for held in folder.iterdir():
                held.chmod(0o600)
    return about
