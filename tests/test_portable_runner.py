"""The portable tests on a bare interpreter, and the runner's own exit statuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNNER = ROOT / "tests" / "portable" / "run.py"


def run(*arguments, runner=RUNNER):
    return subprocess.run([sys.executable, "-I", "-S", "-B", str(runner), *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


def test_the_cryptography_on_a_bare_interpreter():
    done = run(ROOT / "src", "crypto")
    assert done.returncode == 0, done.stderr
    assert " 0 failed" in done.stdout


def test_a_failure_is_told(tmp_path):
    runner = tmp_path / "run.py"
    runner.write_bytes(RUNNER.read_bytes())
    (tmp_path / "test_one.py").write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2\nnot_a_test = 3\n", encoding="utf-8")
    done = run(tmp_path, runner=runner)
    assert done.returncode == 1
    assert done.stdout.startswith("1 passed, 1 failed")
    assert "FAILED test_one.py::test_bad" in done.stderr


def test_nothing_found_is_no_success(tmp_path):
    assert run(tmp_path, "no such test").returncode == 2
    assert run().returncode == 2


def test_what_is_left_out_is_said(tmp_path):
    runner = tmp_path / "run.py"
    runner.write_bytes(RUNNER.read_bytes())
    (tmp_path / "test_one.py").write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2\n", encoding="utf-8")
    done = run(tmp_path, "--without=test_bad", runner=runner)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "left out: test_bad")
    assert done.stdout.splitlines()[1].startswith("1 passed, 0 failed")
