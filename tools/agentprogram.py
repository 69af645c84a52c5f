"""The agent as one file: a zipapp of `penstock` without the control plane.

Owns which modules belong to it and the bytes of the archive: the same sources and time of build give the same bytes. The archive holds sources, so
that one file serves every Python from 3.9 on; the launcher compiles it once for the interpreter of the device.
"""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
ROOMS = ("wire", "rules", "crypto", "agent")
SHEBANG = b"#!/usr/bin/env -S python3 -I -S\n"
MAIN = """\
import sys
sys.dont_write_bytecode = True
from penstock.agent.__main__ import main
sys.exit(main())
"""
BUILT = "penstock/agent/built.py"
BUILT_MS = re.compile(r"^BUILT_MS = ([0-9_]+)", re.MULTILINE)


def version() -> str:
    found = re.search(r'^__version__ = "([^"]+)"', (SRC / "penstock" / "__init__.py").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def built_ms() -> int:
    """The time floor written into the agent: the newest of SOURCE_DATE_EPOCH or the last commit, and what the source says."""
    said = BUILT_MS.search((SRC / BUILT).read_text())
    assert said is not None
    floor = int(said[1].replace("_", ""))
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not given.isdigit():
        done = subprocess.run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
        given = done.stdout.strip() if done.returncode == 0 else ""
    return max(floor, int(given) * 1000) if given.isdigit() else floor


def files() -> dict[str, bytes]:
    """Path inside the archive to content."""
    found = {"penstock/__init__.py": (SRC / "penstock" / "__init__.py").read_bytes()}
    for room in ROOMS:
        for path in sorted((SRC / "penstock" / room).rglob("*.py")):
            found[path.relative_to(SRC).as_posix()] = path.read_bytes()
    found[BUILT] = BUILT_MS.sub(f"BUILT_MS = {built_ms()}", found[BUILT].decode()).encode()
    found["__main__.py"] = MAIN.encode()
    return found


def zipapp(extra: dict[str, bytes] | None = None) -> bytes:
    """The program's bytes."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted({**files(), **(extra or {})}.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return SHEBANG + out.getvalue()
