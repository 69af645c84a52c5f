"""A backup as one file: a tar with the database, the keys, the certificates and a list of the blobs.

Owns the archive's layout and its safe unpacking. Never decides what a restore means (see `actions.restore`). The archive holds private keys: it
is written 0600, and belongs where the plane itself could be kept.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
ABOUT = "about.json"
DATABASE = "plane.db"
FOLDERS = ("keys", "tls")


class ArchiveFault(ValueError):
    """An archive that cannot be written or used, as a sentence."""


def write_archive(target: Path, database: Path, data: Path, about: Mapping[str, Any], images: Path | None = None) -> int:
    """Write `target` (which must not exist): the database copy, the key folders below `data`, and `about`; with `images`, that folder too.
    Its size in bytes. The file appears whole or not at all."""
    if target.exists():
        raise ArchiveFault(f"{target} exists already; choose another name")
    partial = target.with_name(target.name + ".partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                text = json.dumps({"format": FORMAT, **about}, indent=1, sort_keys=True).encode("utf-8")
                info = tarfile.TarInfo(ABOUT)
                info.size, info.mode = len(text), 0o600
                tar.addfile(info, io.BytesIO(text))
                tar.add(database, DATABASE)
                for name in FOLDERS:
                    if (data / name).is_dir():
                        tar.add(data / name, name)
                if images is not None and images.is_dir():
                    tar.add(images, "registry")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    except OSError as fault:
        partial.unlink(missing_ok=True)
        raise ArchiveFault(f"the backup cannot be written to {target}: {fault.strerror}") from None
    return target.stat().st_size


def read_archive(source: Path, data: Path) -> dict[str, Any]:
    """Unpack a backup into `data`, which must be empty or missing; what the archive says of itself."""
    if data.exists() and any(data.iterdir()):
        raise ArchiveFault(f"{data} is not empty; a backup is restored into an empty folder")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with tarfile.open(source, mode="r:") as tar:
            # The "data" filter refuses absolute names, "..", links out of the folder and device nodes.
            tar.extractall(data, filter="data")
    except (OSError, tarfile.TarError) as fault:
        raise ArchiveFault(f"{source} cannot be unpacked: {fault}") from None
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
            for file in folder.iterdir():
                file.chmod(0o600)
    return about
