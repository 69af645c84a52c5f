"""Which shared libraries an ELF file asks for, read from its bytes: any little-endian processor, no foreign program run.

Owns reading DT_NEEDED and PT_INTERP (System V ABI, chapter 5) and following them through a folder of unpacked packages.
"""

from __future__ import annotations

import struct
from pathlib import Path

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB = 0, 1, 5


def needed(data: bytes) -> tuple[list[str], str]:
    """Names of the libraries, and the path of the dynamic linker ("" for a library)."""
    if data[:4] != b"\x7fELF" or data[5] != 1:
        return [], ""
    wide = data[4] == 2
    offset = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)[0]
    size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
    loads, dynamic, interpreter = [], (0, 0), ""
    for number in range(count):
        at = offset + number * size
        if wide:
            kind, _, start, address, _, length = struct.unpack_from("<IIQQQQ", data, at)
        else:
            kind, start, address, _, length = struct.unpack_from("<IIIII", data, at)
        if kind == PT_LOAD:
            loads.append((address, start, length))
        elif kind == PT_DYNAMIC:
            dynamic = (start, length)
        elif kind == PT_INTERP:
            interpreter = data[start : start + length].rstrip(b"\0").decode()
    form, step = ("<QQ", 16) if wide else ("<II", 8)
    names, strings = [], 0
    for at in range(dynamic[0], dynamic[0] + dynamic[1], step):
        tag, value = struct.unpack_from(form, data, at)
        if tag == DT_NULL:
            break
        if tag == DT_NEEDED:
            names.append(value)
        elif tag == DT_STRTAB:
            strings = next((value - address + start for address, start, length in loads if address <= value < address + length), 0)
    return [data[strings + name : data.index(b"\0", strings + name)].decode() for name in names], interpreter


def closure(root: Path, programs: list[Path], folders: list[str]) -> dict[str, Path]:
    """Every library that `programs` need, by the path it is looked for at below `root`; FileNotFoundError names what is missing."""
    found: dict[str, Path] = {}
    queue = list(programs)
    while queue:
        names, interpreter = needed(queue.pop().read_bytes())
        wanted = [f"{folder}/{name}" for name in names for folder in [_where(root, folders, name)]]
        if interpreter:
            wanted.append(interpreter.lstrip("/"))
        for path in wanted:
            if path not in found:
                real = resolve(root, path)
                found[path] = real
                queue.append(real)
    return found


def _where(root: Path, folders: list[str], name: str) -> str:
    for folder in folders:
        if (root / folder / name).exists():
            return folder
    raise FileNotFoundError(f"{name} is in none of {', '.join(folders)} below {root}")


def resolve(root: Path, path: str) -> Path:
    """The file behind `path` with `root` as the root folder, also for absolute links."""
    for _ in range(20):
        here = root
        parts = Path(path).parts
        for number, part in enumerate(parts):
            here = here / part
            if here.is_symlink():
                target = here.readlink()
                rest = Path(*parts[number + 1 :]) if number + 1 < len(parts) else Path()
                base = Path() if target.is_absolute() else here.parent.relative_to(root)
                path = _plain(base / str(target).lstrip("/") / rest)
                break
        else:
            if not here.exists():
                raise FileNotFoundError(f"{path} is not below {root}")
            return here
    raise FileNotFoundError(f"too many links: {path}")


def _plain(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
