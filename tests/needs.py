"""What the machine must offer for a test to run, and what happens when it does not.

Owns the names of those needs, one probe each, and the list of tests that could not run. In CI (environment variable CI set) a need
that is not met fails the test; elsewhere the test is skipped with the reason, and the reasons stand in a section at the end of the run.
Nothing else in the test suite may skip. It never installs anything: that is tools/install-system.sh.

Use: ``pytestmark = needs("docker", "skopeo")`` or ``@needs("chromium")`` on tests, ``require("docker")`` inside fixtures.
"""

from __future__ import annotations

import functools
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

# reason -> tests that asked for it; filled by `require`, printed by conftest's closing section.
could_not_run: dict[str, list[str]] = {}
current_test = ["a fixture"]  # set by conftest before each test

SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


def which(program: str) -> str | None:
    """Full path of a program; looks in the administrator's folders too, which are not on everybody's PATH."""
    return shutil.which(program, path=SEARCH_PATH)


def find_python(version: str) -> str | None:
    """An interpreter of that minor version ("3.9"), or None: on the PATH, or among those that pyenv keeps."""
    found = which(f"python{version}")
    if found is not None and _runs(found, "-c", "import ssl"):
        return found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in sorted(root.glob(f"{version}.*/bin/python{version}"), reverse=True):
        if _runs(str(candidate), "-c", "import ssl"):
            return str(candidate)
    return None


def _runs(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _programs(*names: str) -> Callable[[], str]:
    def probe() -> str:
        missing = [name for name in names if which(name) is None]
        return f"not installed: {', '.join(missing)}" if missing else ""

    return probe


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def _all(*probes: Callable[[], str]) -> Callable[[], str]:
    def probe() -> str:
        return next((reason for reason in (each() for each in probes) if reason), "")

    return probe


def _python(version: str) -> Callable[[], str]:
    return lambda: "" if find_python(version) else f"no Python {version} on the PATH or under ~/.pyenv/versions"


def _busybox() -> str:
    path = which("busybox")
    if path is None:
        return "not installed: busybox-static"
    if _interpreted(Path(path).read_bytes()):
        return f"{path} needs shared libraries: install busybox-static instead of busybox"
    return ""


def _interpreted(elf: bytes) -> bool:
    """Whether a 64-bit little-endian ELF program names a dynamic linker (a PT_INTERP segment)."""
    offset, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    return any(struct.unpack_from("<I", elf, offset + size * n)[0] == 3 for n in range(count))


def _unshare(*flags: str) -> Callable[[], str]:
    def probe() -> str:
        program = which("unshare")
        if program is None or not _runs(program, *flags, "true"):
            return f"this machine does not let us make namespaces (unshare {' '.join(flags)})"
        return ""

    return probe


def _newer(kind: str) -> Callable[[], str]:
    def probe() -> str:
        from tests.newer import why_not

        return why_not(kind)

    return probe


# name -> probe: "" when met, else a short reason.
PROBES: dict[str, Callable[[], str]] = {
    "root": _root,
    "namespaces": _all(_root, _unshare("-m", "-n")),
    "busybox": _busybox,
    "docker": _all(_root, _programs("dockerd", "docker", "containerd", "runc", "ip", "iptables", "setpriv")),
    "podman": _all(_root, _programs("podman", "conmon", "runc", "ip", "iptables", "setpriv", "nsenter", "unshare"), _unshare("-m")),
    "skopeo": _programs("skopeo"),
    "docker-registry": _programs("docker-registry"),
    "buildah": _all(_root, _programs("buildah")),
    "ctr": _programs("ctr"),
    "docker-compose": _programs("docker-compose"),
    "chromium": _programs("chromium"),
    "qemu-arm": _programs("qemu-arm-static"),
    "qemu-aarch64": _programs("qemu-aarch64-static"),
    "debootstrap": _all(_root, _programs("debootstrap")),
    "dpkg": _programs("dpkg-deb", "dpkg"),
    "systemd-analyze": _programs("systemd-analyze"),
    "openssl": _programs("openssl"),
    "strace": _programs("strace"),
    "faketime": lambda: "" if list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")) else "not installed: faketime",
    "mkfs": _all(_root, _programs("mkfs.ext4", "mount", "umount")),
    "python3.9": _python("3.9"),
    "python3.12": _python("3.12"),
    "python3.13": _python("3.13"),
    "debian-python": lambda: "" if Path("/usr/bin/python3").exists() else "not installed: /usr/bin/python3",
    "docker-new": _newer("docker"),
    "podman-new": _newer("podman"),
}


@functools.cache
def missing(name: str) -> str:
    """Why the need is not met here; empty when it is. Probed once for each run."""
    if name not in PROBES:
        raise pytest.UsageError(f"tests/needs.py knows no need {name!r}: one of {', '.join(sorted(PROBES))}")
    return PROBES[name]()


def needs(*names: str) -> pytest.MarkDecorator:
    """Mark tests with what they need; conftest asks `require` before each."""
    unknown = [name for name in names if name not in PROBES]
    if unknown:
        raise pytest.UsageError(f"tests/needs.py knows no need {unknown[0]!r}: one of {', '.join(sorted(PROBES))}")
    return pytest.mark.needs(*names)


def require(*names: str) -> None:
    """Return when every need is met; otherwise fail the test in CI, skip it elsewhere."""
    for name in names:
        reason = missing(name)
        if reason:
            cannot(f"{name}: {reason}")


def cannot(reason: str) -> NoReturn:
    """This test cannot run here: fail in CI, else skip and remember."""
    could_not_run.setdefault(reason, []).append(current_test[0])
    if IN_CI:
        pytest.fail(f"cannot run here, and in CI that is a failure: {reason}", pytrace=False)
    pytest.skip(reason)
