"""Small files that are there whole or not at all.

Owns writing with a temporary name, fsync and rename, and a few questions about folders. Never knows what is in a file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

CHUNK = 1024 * 1024


def names(folder: Path) -> tuple[str, ...]:
    """Names in a folder, sorted; ours never begin with a dot, files being written do."""
    try:
        return tuple(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))
    except FileNotFoundError:
        return ()


def text(path: Path) -> str | None:
    try:
        return path.read_text("ascii")
    except (FileNotFoundError, NotADirectoryError):
        return None


def age_ms(path: Path, now_ms: int) -> int:
    with suppress(FileNotFoundError):
        return now_ms - int(path.stat().st_mtime * 1000)
    return now_ms


def write(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def put(path: Path, content: str | bytes) -> None:
    """Write a file so that after a crash it is there whole, or not at all."""
    data = content.encode("ascii") if isinstance(content, str) else content
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with temporary.open("xb", buffering=0) as file:
            write(file, data)
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> Any:
    hashed = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(CHUNK):
            hashed.update(piece)
    return hashed


def touch(path: Path) -> bool:
    """Make a file as young as can be; False where there is none."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
