"""The launcher with real processes and small programs in place of the agent: placing, trying, confirming, going back."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LAUNCHER = Path(__file__).parent.parent.parent / "packaging" / "launcher.py"
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

# What stands for the agent: tells which program and slot it is, then does as the package's name says.
BODY = """
import os, sys, time, signal
def main():
    data = os.environ["PENSTOCK_DATA_DIR"]
    slot = os.environ.get("PENSTOCK_SLOT", "")
    with open(data + "/ran", "a") as out:
        out.write("%s %s %s %s\\n" % (NAME, slot, __file__, " ".join(sys.argv[1:])))
    if "confirms" in NAME and slot:
        with open(data + "/slots/confirmed", "w") as out:
            out.write(slot + "\\n")
    if "hangs" in NAME:
        if "stubborn" in NAME:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    return 7 if "crashes" in NAME else 0
"""


def program(path: Path, name: str, body: str = BODY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("penstock/__init__.py"), '"""A docstring."""\n')
        archive.writestr(zipfile.ZipInfo("penstock/agent/__init__.py"), "")
        archive.writestr(zipfile.ZipInfo("penstock/agent/__main__.py"), f'"""It says nothing."""\nNAME = {name!r}\n{body}')
        archive.writestr(zipfile.ZipInfo("__main__.py"), "import sys\nfrom penstock.agent.__main__ import main\nsys.exit(main())\n")
    return path


class Device:
    """One data folder and one installed package."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.package = folder / "lib" / "penstock-agent.pyz"

    def install(self, name: str) -> None:
        program(self.package, name)

    def start(self, *arguments: str, python: str = PYTHON, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-I", "-S", str(LAUNCHER), *(arguments or ("run",))],
            env={"PATH": os.environ["PATH"], "PENSTOCK_DATA_DIR": str(self.data), "PENSTOCK_PACKAGED": str(self.package), **environment},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def ran(self) -> list[str]:
        """Which program ran in which slot, oldest first."""
        lines = (self.data / "ran").read_text().splitlines() if (self.data / "ran").exists() else []
        return [" ".join(line.split()[:2]) for line in lines]

    def slot(self, name: str) -> str:
        path = self.data / "slots" / name
        return path.read_text().strip() if path.exists() else ""


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_the_first_start_places_the_package_and_runs_it_compiled(device: Device):
    device.install("first-confirms")
    assert device.start("run", "--flag").returncode == 0
    line = (device.data / "ran").read_text().split()
    assert line[:2] == ["first-confirms", "a"]
    assert line[3:] == ["run", "--flag"]
    lib = device.data / "slots/a/lib"
    assert (lib / "penstock/agent/__main__.pyc").exists()
    assert b"It says nothing" not in (lib / "penstock/agent/__main__.pyc").read_bytes()
    assert not list(lib.rglob("*.py"))
    assert (device.slot("current"), device.slot("confirmed")) == ("a", "a")
    assert device.data.stat().st_mode & 0o777 == 0o700


def test_an_unconfirmed_first_program_goes_on_for_ever(device: Device):
    device.install("first-crashes")
    for _ in range(8):
        assert device.start().returncode == 7
    assert device.ran() == ["first-crashes a"] * 8
    assert device.slot("refused") == ""


def test_a_new_package_goes_beside_the_proven_one_and_is_proven(device: Device):
    device.install("one-confirms")
    device.start()
    device.install("two-confirms")
    device.start()
    device.start()
    assert device.ran() == ["one-confirms a", "two-confirms b", "two-confirms b"]
    assert device.slot("confirmed") == "b"
    device.install("three-confirms")
    device.start()
    assert device.ran()[-1] == "three-confirms a"


def test_a_program_that_never_proves_itself_is_given_up(device: Device):
    device.install("one-confirms")
    device.start()
    device.install("two-crashes")
    for _ in range(5):
        assert device.start().returncode == 7
    done = device.start()
    assert done.returncode == 0
    assert "going back to slot a" in done.stderr
    device.start()
    assert device.ran() == ["one-confirms a", *["two-crashes b"] * 5, "one-confirms a", "one-confirms a"]
    assert len(device.slot("refused")) == 64
    # A later package gets its own chance.
    device.install("three-confirms")
    device.start()
    assert device.ran()[-1] == "three-confirms b"


@pytest.mark.parametrize("kind", ["hangs", "hangs-stubborn"])
def test_a_program_that_hangs_is_ended_at_its_deadline(device: Device, kind: str):
    device.install("one-confirms")
    device.start()
    device.install(f"two-{kind}")
    done = device.start(PENSTOCK_TRIAL_S="1")
    assert done.returncode == (-signal.SIGKILL if "stubborn" in kind else -signal.SIGTERM)
    assert "has not checked in" in done.stderr
    assert device.start().returncode == 0
    assert device.ran() == ["one-confirms a", f"two-{kind} b", "one-confirms a"]


def test_a_program_that_confirms_in_time_is_left_alone(device: Device):
    device.install("one-confirms")
    device.start()
    device.install("two-confirms-hangs")
    process = subprocess.Popen(
        [PYTHON, "-I", "-S", str(LAUNCHER), "run"],
        env={"PENSTOCK_DATA_DIR": str(device.data), "PENSTOCK_PACKAGED": str(device.package), "PENSTOCK_TRIAL_S": "2"},
    )
    try:
        time.sleep(5)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert device.slot("confirmed") == "b"


def test_other_commands_run_the_slot_in_use_and_count_nothing(device: Device):
    device.install("one-confirms")
    device.start()
    device.install("two-crashes")
    device.start()
    before = device.slot("trial")
    for _ in range(9):
        device.start("status")
    assert device.slot("trial") == before == "b 1"
    assert device.ran()[-1] == "two-crashes b"


def test_commands_before_the_first_start_run_the_package(device: Device):
    device.install("one-confirms")
    device.data.mkdir()
    assert device.start("enroll", "x").returncode == 0
    assert [line.split()[0] for line in device.ran()] == ["one-confirms"]
    assert not (device.data / "slots").exists()


def test_a_program_that_cannot_be_compiled_is_given_up_too(device: Device):
    device.install("one-confirms")
    device.start()
    program(device.package, "broken", "def main(:\n")
    for _ in range(5):
        assert device.start().returncode != 0
    assert device.start().returncode == 0
    assert device.ran() == ["one-confirms a", "one-confirms a"]


def test_a_damaged_archive_is_given_up_too(device: Device):
    device.install("one-confirms")
    device.start()
    device.package.write_bytes(device.package.read_bytes()[:-30])
    for _ in range(5):
        assert device.start().returncode != 0
    assert device.start().returncode == 0


def test_another_interpreter_compiles_anew(device: Device):
    from tests.needs import find_python

    found = find_python("3.12") or find_python("3.13") or find_python("3.9")
    device.install("one-confirms")
    device.start()
    first = device.slot("a/lib/built")
    if found is None:
        (device.data / "slots/a/lib/built").write_text("something else\n")
        found = PYTHON
        first = "something else"
    assert device.start(python=found).returncode == 0
    assert device.slot("a/lib/built") != first
    assert device.ran() == ["one-confirms a"] * 2


@pytest.mark.parametrize("gone", ["slots/a", "slots/current", "slots/packaged", "slots"])
def test_lost_files_are_made_good(device: Device, gone: str):
    device.install("one-confirms")
    device.start()
    subprocess.run(["rm", "-rf", str(device.data / gone)], check=True)
    assert device.start().returncode == 0
    assert device.ran()[-1].startswith("one-confirms ")
    assert len(device.ran()) == 2


class PowerCut(BaseException):
    """Everything after it did not happen."""


def cut_at(monkeypatch: pytest.MonkeyPatch, launcher: ModuleType, count: int) -> list[int]:
    """Let the power fail at the count-th change of the file system; the list holds how many there were."""
    seen = [0]

    def guarded(real):
        def call(*arguments, **options):
            seen[0] += 1
            if seen[0] == count:
                raise PowerCut
            return real(*arguments, **options)

        return call

    for name in ("rename", "fsync", "unlink", "makedirs"):
        monkeypatch.setattr(launcher.os, name, guarded(getattr(os, name)))
    monkeypatch.setattr(launcher, "remove", guarded(launcher.remove))
    return seen


@pytest.mark.parametrize("story", ["first", "update", "giving-up"])
def test_a_power_cut_at_any_step_leaves_a_program_to_start(device: Device, story: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    spec = importlib.util.spec_from_file_location("launcher", LAUNCHER)
    assert spec is not None
    assert spec.loader is not None
    launcher: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launcher)
    launcher.PACKAGED = str(device.package)
    started: list[str] = []
    launcher.become = lambda program, _arguments, slot: started.append(f"{slot} {program}")
    launcher.watch = lambda _slots, _slot: None
    arguments = ["run", "--data-dir", str(device.data)]

    def begin() -> None:
        subprocess.run(["rm", "-rf", str(device.data)], check=True)
        device.install("one")
        if story != "first":
            launcher.main(arguments)
            (device.data / "slots/confirmed").write_text("a\n")
            device.install("two")
        if story == "giving-up":
            for _ in range(launcher.ATTEMPTS):
                launcher.main(arguments)

    proven = program(tmp_path / "one.pyz", "one").read_bytes()
    count, cuts = 1, 0
    while True:
        begin()
        with monkeypatch.context() as patch:
            seen = cut_at(patch, launcher, count)
            with contextlib.suppress(PowerCut):
                launcher.main(arguments)
        if seen[0] < count:
            break
        cuts += 1
        started.clear()
        assert launcher.main(arguments) == 1  # `become` came back
        slot = started[-1].split()[0]
        assert started[-1].endswith(f"/slots/{slot}/lib/start.pyc"), (count, started)
        if story != "first":
            assert (device.data / "slots/a/penstock-agent.pyz").read_bytes() == proven
        if story == "giving-up":
            assert slot == "a", count
        count += 1
    assert cuts >= 5


def test_no_program_at_all_is_said(device: Device):
    done = device.start()
    assert done.returncode == 1
    assert "install the package" in done.stderr


def test_the_same_program_compiles_to_the_same_bytes(tmp_path: Path):
    pyz = program(tmp_path / "p.pyz", "same")
    trees = []
    for number in (1, 2):
        target = tmp_path / str(number)
        subprocess.run([PYTHON, "-I", "-S", str(LAUNCHER), "--build", str(pyz), str(target)], check=True)
        trees.append({path.relative_to(target).as_posix(): path.read_bytes() for path in sorted(target.rglob("*")) if path.is_file()})
    assert trees[0] == trees[1]
    assert "start.pyc" in trees[0]
