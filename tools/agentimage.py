"""The agent's container image, from unpacked Debian packages: no registry, no engine, no build tool.

Owns which files are inside: Debian's Python reduced to the modules that the agent imports, the libraries these need, the certificates of
public authorities, and the agent compiled for that interpreter. Two layers: the lower one changes when Debian's packages do, the upper one
with the agent. The same packages and sources give the same bytes. No shell, no package manager, no source code inside.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.agentprogram import ROOT, built_ms, version, zipapp
from tools.debs import DebsError, unpack
from tools.elf import closure, resolve
from tools.oci import Entry, Image, Variant, make_image, make_layer, make_variant

RELEASE = "bookworm"
PYTHON = "python3.11"
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libssl3", "libzstd1", "ca-certificates", "media-types")
LIBRARY = "usr/lib/penstock-agent/lib"


@dataclass(frozen=True)
class Target:
    """One processor: Debian's name, the folder of its libraries."""

    debian: str
    triplet: str


TARGETS = {
    "linux/amd64": Target("amd64", "x86_64-linux-gnu"),
    "linux/arm64": Target("arm64", "aarch64-linux-gnu"),
    "linux/arm/v7": Target("armhf", "arm-linux-gnueabihf"),
}

# Runs inside the packages' own Python: imports all of the agent, prints the files of the standard library that took.
TRACE = """
import sys, json
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import importlib
for name in json.loads(sys.argv[2]):
    importlib.import_module(name)
print(json.dumps(sorted({getattr(m, "__file__", None) or "" for m in list(sys.modules.values())} - {""})))
"""
# Imported by C code or by name at run time, which importing the agent does not show.
ALSO = ("encodings.idna", "encodings.ascii", "encodings.latin_1", "zipimport", "traceback", "tokenize", "linecache", "socket", "ssl", "pwd")

COMPILE = """
import sys, json, runpy
tools = runpy.run_path(sys.argv[1])
import ast
for source, target, name in json.load(sys.stdin):
    with open(source, "rb") as file:
        tree = ast.parse(file.read())
    tools["strip"](tree)
    tools["_write_code"](compile(tree, name, "exec", dont_inherit=True), target)
"""

START = """\
#!/usr/bin/python3.11 -IS
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/usr/lib/penstock-agent/lib")
from penstock.agent.__main__ import main
sys.exit(main())
"""


def _python(root: Path, *arguments: str, stdin: str = "") -> str:
    """Run the amd64 packages' own Python, by their own linker."""
    libraries = f"{root}/usr/lib/x86_64-linux-gnu"
    linker = resolve(root, "lib64/ld-linux-x86-64.so.2")
    command = [str(linker), "--library-path", libraries, "--argv0", f"{root}/usr/bin/{PYTHON}", f"{root}/usr/bin/{PYTHON}", "-I", "-S", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise DebsError(f"the packages' Python failed: {done.stderr.strip()[-800:]}")
    return done.stdout


def agent_modules() -> list[str]:
    """Every module of the agent but the one that starts it."""
    names = []
    for room in ("wire", "rules", "crypto", "agent"):
        for path in sorted((ROOT / "src" / "penstock" / room).rglob("*.py")):
            parts = path.relative_to(ROOT / "src").with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


def packages(architecture: str, *, strict: bool) -> Path:
    """The unpacked packages with their security updates; without these, unless `strict`, when their mirror cannot serve them just now."""
    try:
        return unpack(RELEASE, architecture, *PACKAGES, security=True)
    except DebsError as fault:
        if strict:
            raise
        print(f"agent image ({architecture}): no security updates just now, made without them: {fault}", file=sys.stderr)
        return unpack(RELEASE, architecture, *PACKAGES)


def build_image(platforms: tuple[str, ...] = ("linux/amd64",), *, strict: bool = False) -> Image:
    """Raises DebsError when Debian's packages cannot be had. `strict`: for what is given to others, never without security updates."""
    host = packages("amd64", strict=strict)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "agent.pyz").write_bytes(zipapp())
        _python(host, str(ROOT / "packaging" / "launcher.py"), "--build", str(work / "agent.pyz"), str(work / "lib"))
        agent = [
            Entry("usr/bin/penstock-agent", START.encode(), mode=0o755),
            *(Entry(f"{LIBRARY}/{path.relative_to(work / 'lib')}", path.read_bytes()) for path in sorted((work / "lib").rglob("*")) if path.is_file()),
            Entry("var/lib/penstock-agent", mode=0o700),
        ]
        modules = _standard_library(host)
        compiled = _compile(host, modules, work)
        variants = [_variant(platform, packages(TARGETS[platform].debian, strict=strict), agent, modules, compiled) for platform in platforms]
    return make_image(variants, indexed=len(variants) > 1)


def _standard_library(host: Path) -> list[str]:
    """Paths below /usr/lib of the modules needed, sources and libraries alike; the same on every processor but for the libraries' names."""
    base = f"{host}/usr/lib/"
    shown = json.loads(_python(host, "-c", TRACE, str(ROOT / "src"), json.dumps([*agent_modules(), *ALSO])))
    return [path.removeprefix(base) for path in shown if path.startswith(base)]


def _compile(host: Path, modules: list[str], work: Path) -> dict[str, bytes]:
    """Byte code of the sources among `modules`, by the path it gets below /usr/lib."""
    jobs = [[f"{host}/usr/lib/{name}", f"{work}/stdlib/{name}c", f"/usr/lib/{name}"] for name in modules if name.endswith(".py")]
    _python(host, "-c", COMPILE, str(ROOT / "packaging" / "launcher.py"), stdin=json.dumps(jobs))
    return {f"{name}c": (work / "stdlib" / f"{name}c").read_bytes() for name in modules if name.endswith(".py")}


def _variant(platform: str, root: Path, agent: list[Entry], modules: list[str], compiled: dict[str, bytes]) -> Variant:
    target = TARGETS[platform]
    extensions = [name.replace("x86_64-linux-gnu", target.triplet) for name in modules if name.endswith(".so")]
    present = [name for name in extensions if (root / "usr/lib" / name).exists()]
    folders = [f"usr/lib/{target.triplet}", f"lib/{target.triplet}", "usr/lib"]
    programs = [root / "usr/bin" / PYTHON, *(root / "usr/lib" / name for name in present), resolve(root, f"usr/lib/{target.triplet}/libzstd.so.1")]
    libraries = closure(root, programs, folders)
    libraries[f"usr/lib/{target.triplet}/libzstd.so.1"] = programs[-1]
    authorities = b"".join(path.read_bytes() for path in sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt")))
    entries = {
        "etc/passwd": Entry("etc/passwd", b"root:x:0:0:root:/:/sbin/nologin\n"),
        "etc/group": Entry("etc/group", b"root:x:0:\n"),
        "etc/nsswitch.conf": Entry("etc/nsswitch.conf", b"hosts: files dns\n"),
        "etc/ssl/certs/ca-certificates.crt": Entry("etc/ssl/certs/ca-certificates.crt", authorities),
        "usr/lib/ssl/cert.pem": Entry("usr/lib/ssl/cert.pem", link="/etc/ssl/certs/ca-certificates.crt"),
        f"usr/bin/{PYTHON}": Entry(f"usr/bin/{PYTHON}", programs[0].read_bytes(), mode=0o755),
        "tmp": Entry("tmp", mode=0o1777),
        **{f"usr/lib/{name}": Entry(f"usr/lib/{name}", data) for name, data in compiled.items()},
        **{f"usr/lib/{name}": Entry(f"usr/lib/{name}", (root / "usr/lib" / name).read_bytes()) for name in present},
    }
    for name, path in libraries.items():
        inside = name if name.startswith("usr/") else f"usr/{name}"
        entries[inside] = Entry(inside, path.read_bytes(), mode=0o755)
    links = [Entry(name, link=f"usr/{name}") for name in ("bin", "lib", "lib64") if name != "lib64" or target.triplet.startswith("x86_64")]
    base = make_layer([*links, *(entries[name] for name in sorted(entries))], level=9)
    inside_of = sorted(line for line in (root / ".packages").read_text().splitlines() if line.split("_")[0].startswith(("libc6", "libssl3", "python3.11-")))
    config = {
        "Env": ["PATH=/usr/bin", "PENSTOCK_DATA_DIR=/var/lib/penstock-agent"],
        "Entrypoint": ["/usr/bin/penstock-agent"],
        "Cmd": ["run"],
        "Volumes": {"/var/lib/penstock-agent": {}},
        "WorkingDir": "/",
        "StopSignal": "SIGTERM",
    }
    labels = {
        "org.opencontainers.image.title": "penstock-agent",
        "org.opencontainers.image.version": version(),
        "com.penstock.built-ms": str(built_ms()),
        "com.penstock.packages": " ".join(inside_of),
    }
    return make_variant(platform, [base, make_layer(agent, level=9)], config, labels=labels)
