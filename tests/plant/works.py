"""The images of the test plant: Debian's own Python beside busybox, and one program each.

Owns the choice of what of Python goes in (only what the programs import, compiled, in one zip) and the images' names. Makes them from this machine's
files, so nothing is fetched; the same machine gives the same digests.
"""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.images import HOST_PLATFORM, base_layer
from tools.oci import Entry, Image, Layer, make_image, make_layer, make_variant

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
APPS = HERE / "apps"
PYTHON = "/usr/bin/python3"
IMPORTED = "http.server, json, socketserver, sqlite3, struct, urllib.request, hmac, hashlib, resource, threading, signal, encodings.idna, encodings.latin_1"

# What a bare interpreter has loaded after those imports: name, file. Built-in modules have no file.
ASK = f"""
import {IMPORTED}
import json, sys
found = {{name: module.__file__ for name, module in sys.modules.items() if getattr(module, "__file__", None) and name != "__main__"}}
print(json.dumps([sys.version_info[:2], found]))
"""
COMPILE = """
import importlib._bootstrap_external as b, json, sys
for path in json.load(sys.stdin):
    code = compile(open(path, encoding="utf-8").read(), path, "exec", dont_inherit=True, optimize=2)
    data = bytes(b._code_to_hash_pyc(code, b"12345678", False))
    print(data.hex())
"""


def _python(program: str, given: str = "") -> str:
    return subprocess.run([PYTHON, "-I", "-S", "-c", program], input=given, capture_output=True, text=True, check=True, timeout=60).stdout


def _libraries(*files: str) -> set[str]:
    """Shared libraries that those files need, and the loader."""
    said = subprocess.run(["ldd", *files], capture_output=True, text=True, check=True, timeout=30).stdout
    return {word for line in said.splitlines() for word in line.split() if word.startswith("/") and not word.endswith(":")}


def python_layer() -> Layer:
    """A Python that runs the programs and no more: the same bytes in every image."""
    (major, minor), found = json.loads(_python(ASK))
    sources = sorted({(name, file) for name, file in found.items() if file.endswith(".py")})
    binaries = sorted({file for file in found.values() if file.endswith(".so")})
    compiled = _python(COMPILE, json.dumps([file for _, file in sources])).split()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for (name, file), code in zip(sources, compiled, strict=True):
            place = name.replace(".", "/") + ("/__init__" if file.endswith("/__init__.py") else "")
            archive.writestr(zipfile.ZipInfo(f"{place}.pyc"), bytes.fromhex(code))
    home = f"usr/lib/python{major}.{minor}"
    entries = [
        Entry("usr/bin/python3", Path(PYTHON).resolve().read_bytes(), mode=0o755),
        Entry(f"usr/lib/python{major}{minor}.zip", packed.getvalue()),
        Entry(f"{home}/os.py", b"# a landmark: the standard library is in the zip beside this folder\n"),
        *(Entry(f"{home}/lib-dynload/{Path(file).name}", Path(file).read_bytes(), mode=0o755) for file in binaries),
        *(Entry(file.strip("/"), Path(file).resolve().read_bytes(), mode=0o755) for file in sorted(_libraries(PYTHON, *binaries))),
        Entry("srv/small.py", (PROGRAMS / "small.py").read_bytes()),
        Entry("logs", mode=0o777),
        Entry("frames", mode=0o777),
    ]
    return make_layer(entries, level=1)


@dataclass
class Works:
    """Makes the images. `works.image("broker", "1")` is the broker, version "broker-1"."""

    made: dict[tuple[str, str], Image] = field(default_factory=dict)

    @cached_property
    def _base(self) -> list[Layer]:
        return [base_layer(), python_layer()]

    def image(self, program: str, version: str, *, broken: bool = False) -> Image:
        """One program. `broken`: it starts, serves, and is never healthy."""
        key = (program, version)
        if key not in self.made:
            text = (PROGRAMS / f"{program}.py").read_text()
            if broken:
                text = "import small\n\nsmall.serve({}, healthy=lambda: False)\n"
            own = make_layer([Entry("srv/main.py", text.encode()), Entry("version", f"{program}-{version}\n".encode())])
            config = {
                "Env": ["PATH=/usr/bin:/bin", "PYTHONHOME=/usr", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"],
                "Entrypoint": ["/usr/bin/python3", "/srv/main.py"],
                "WorkingDir": "/srv",
            }
            self.made[key] = make_image([make_variant(HOST_PLATFORM, [*self._base, own], config)])
        return self.made[key]
