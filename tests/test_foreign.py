"""The agent's own tests on the processors that stand in cabinets: armhf and arm64, by user-mode emulation.

Owns running them: Debian's Python (and its pytest and Hypothesis, which are free of compiled code) for that processor, unpacked into a cache, under
qemu. What is run are this repository's tests, unchanged; which ones is chosen by what differs between processors: sizes of integers and of
time_t, byte order of what is packed, ctypes and libcrypto, golden files, files on disk. Tests that only repeat a loop thousands of times are
left out, because emulation is some fifteen times slower.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import SOAKING
from tests.needs import cannot, require, which
from tools.debs import DebsError, unpack

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
RELEASE = "bookworm"
PYTHON = "usr/bin/python3.11"
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libssl3", "libzstd1", "python3-pytest", "python3-hypothesis")
EMULATORS = {"armhf": "arm", "arm64": "aarch64"}
BITS = {"armhf": 32, "arm64": 64}

# sys.executable becomes a script that starts the emulator, so that tests which start another interpreter start the same one.
BOOT = "import sys; sys.executable = {shim!r}; sys.path += {packages!r}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
OURS = ("tzdata", "dateutil")  # of this interpreter's packages: what no processor minds, and Debian's list has not

TESTS = [
    *("tests/wire", "tests/rules", "tests/crypto/test_openssl.py", "tests/crypto/test_selfcheck.py"),
    *("tests/agent/test_ledger.py", "tests/agent/test_devicelog.py", "tests/agent/test_blobstore.py"),
    *("tests/agent/test_small_parts.py", "tests/agent/test_http1.py"),
]
TOO_LONG = "not cut_at_every_byte and not whatever_is_cut_off and not flipped_bytes and not a_full_backlog and not stays_clear_of"
PROCESSORS = ["armhf", "arm64"] if SOAKING else ["armhf"]  # 64 bits are this machine's own


@dataclass(frozen=True)
class Foreign:
    """One emulated processor and what its two runs ended with; they were started together with the other processor's."""

    name: str
    python: Path
    portable: Future[subprocess.CompletedProcess[str]]
    suite: Future[subprocess.CompletedProcess[str]]


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **more}


def run_portable(python: Path) -> subprocess.CompletedProcess[str]:
    # What the kernel says of memory is the emulator's; and a loop of hundreds of rounds is what takes longest.
    command = [str(python), "-I", "-S", "tests/portable/run.py", "src", "--without=test_nothing_leaks"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900, env=environment())


def run_suite(python: Path, root: Path) -> subprocess.CompletedProcess[str]:
    lent = python.parent / "lent"
    lent.mkdir()
    for name in OURS:
        found = importlib.util.find_spec(name)
        assert found is not None, name
        (lent / name).symlink_to(Path(str(found.origin)).parent)
    boot = BOOT.format(shim=str(python), packages=[f"{root}/usr/lib/python3/dist-packages", str(lent)])
    # Only this repository's settings of pytest are left out: Debian's is older than they ask for.
    options = ["-q", "-c", "/dev/null", "--rootdir", str(ROOT), "--import-mode=importlib", "-p", "no:cacheprovider", "--tb=short", "-k", TOO_LONG]
    options += ["-W", "ignore::pytest.PytestUnknownMarkWarning"]
    more = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HYPOTHESIS_PROFILE": "small"}
    command = [str(python), "-c", boot, *options, *TESTS]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900, env=environment(**more))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Foreign]]:
    """The processors at work, side by side: two cores, and emulation is slow."""
    require(*(f"qemu-{EMULATORS[name]}" for name in PROCESSORS))
    found: dict[str, Foreign] = {}
    with ThreadPoolExecutor(max_workers=len(PROCESSORS)) as pool:
        for name in PROCESSORS:
            try:
                root = unpack(RELEASE, name, *PACKAGES)
            except DebsError as fault:
                cannot(f"Python for {name}: {fault}")
            shim = tmp_path_factory.mktemp(name) / "python3.11"
            shim.write_text(f'#!/bin/sh\nexec {which(f"qemu-{EMULATORS[name]}-static")} -L {root} {root}/{PYTHON} "$@"\n')
            shim.chmod(0o755)
            found[name] = Foreign(name, shim, pool.submit(run_portable, shim), pool.submit(run_suite, shim, root))
        yield found


@pytest.fixture(params=["armhf", pytest.param("arm64", marks=pytest.mark.soak)])
def foreign(request: pytest.FixtureRequest, started: dict[str, Foreign]) -> Foreign:
    return started[request.param]


def test_the_processor_is_what_it_says(foreign: Foreign):
    code = "import sys, struct, os; print(os.uname().machine, struct.calcsize('P') * 8)"
    shown = subprocess.run([str(foreign.python), "-I", "-S", "-c", code], capture_output=True, text=True, check=True, env=environment()).stdout.split()
    assert int(shown[1]) == BITS[foreign.name]
    assert shown[0] in ("armv7l", "aarch64")


def test_the_portable_tests(foreign: Foreign):
    done = foreign.portable.result()
    assert done.returncode == 0, done.stderr[-3000:]
    assert " 0 failed" in done.stdout


def test_the_agents_tests(foreign: Foreign):
    done = foreign.suite.result()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout.splitlines()[-1]
