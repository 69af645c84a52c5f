"""The agent's Debian package.

Owns the tree inside it and its control file. The same program gives the same bytes: dpkg-deb takes times from SOURCE_DATE_EPOCH. One
package for every architecture, because there is no compiled code in it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.agentprogram import ROOT, built_ms, version, zipapp

PACKAGING = ROOT / "packaging"
FILES = {
    "usr/bin/penstock-agent": ("deb/penstock-agent", 0o755),
    "usr/lib/penstock-agent/launcher.py": ("launcher.py", 0o644),
    "lib/systemd/system/penstock-agent.service": ("penstock-agent.service", 0o644),
    "lib/systemd/system/penstock-agent.path": ("penstock-agent.path", 0o644),
    "etc/default/penstock-agent": ("deb/penstock-agent.default", 0o644),
}
CONTROL = """\
Package: penstock-agent
Version: {version}
Section: admin
Priority: optional
Architecture: all
Depends: python3 (>= 3.9), libssl3 | libssl3t64 | libssl1.1
Recommends: ca-certificates, docker.io | podman
Suggests: libzstd1
Installed-Size: {size}
Maintainer: Penstock <penstock@localhost>
Description: agent of the Penstock fleet control for containers
 Keeps the containers of one device as its fleet wants them and its plant
 allows it: dials out only, decides on the device when a change is made,
 goes back by itself when a change fails, and works with the link down.
"""


def make_deb(target: Path) -> Path:
    """Write TARGET/penstock-agent_VERSION_all.deb; its path. Needs dpkg-deb, no root."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        for name, (source, mode) in FILES.items():
            _put(tree / name, (PACKAGING / source).read_bytes(), mode)
        _put(tree / "usr/lib/penstock-agent/penstock-agent.pyz", zipapp(), 0o644)
        _put(tree / "usr/share/man/man8/penstock-agent.8.gz", gzip.compress((PACKAGING / "deb/penstock-agent.8").read_bytes(), 9, mtime=0), 0o644)
        copyright_text = f"Penstock\n\n{(ROOT / 'LICENSE').read_text()}" if (ROOT / "LICENSE").exists() else "Penstock. Licence: Apache-2.0\n"
        _put(tree / "usr/share/doc/penstock-agent/copyright", copyright_text.encode(), 0o644)
        size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024 + 1
        sums = [
            f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
            for path in sorted(tree.rglob("*"))
            if path.is_file() and not path.is_relative_to(tree / "etc")
        ]
        _put(tree / "DEBIAN/control", CONTROL.format(version=version(), size=size).encode(), 0o644)
        _put(tree / "DEBIAN/conffiles", b"/etc/default/penstock-agent\n", 0o644)
        _put(tree / "DEBIAN/md5sums", "".join(sums).encode(), 0o644)
        for script in ("postinst", "prerm", "postrm"):
            _put(tree / "DEBIAN" / script, (PACKAGING / "deb" / script).read_bytes(), 0o755)
        for folder in [tree, *(path for path in tree.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        made = Path(scratch) / "made.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(made)],
            check=True,
            capture_output=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(built_ms() // 1000)},
        )
        return Path(shutil.move(made, target / f"penstock-agent_{version()}_all.deb"))


def _put(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
