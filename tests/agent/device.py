"""The real agent as processes, for the tests: a data folder, the program under a bare interpreter, its local commands.

Owns starting and stopping them by process id. `python -I -S` and the source folder: what the zipapp does, without building it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SOURCE = str(Path(__file__).resolve().parents[2] / "src")
PROGRAM = f"import sys; sys.path.insert(0, {SOURCE!r}); sys.argv[0] = 'penstock-agent'; from penstock.agent.__main__ import main; sys.exit(main())"


class Device:
    """One device. `engine` is the engine's socket."""

    def __init__(self, folder: Path, engine: str = "", python: str = sys.executable) -> None:
        self.data = folder / "data"
        self.log = folder / "agent.log"
        self.engine = engine
        self.python = python
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> list[str]:
        return [self.python, "-I", "-S", "-c", PROGRAM, *words, "--data-dir", str(self.data)]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}

    def do(self, *words: str, status: int = 0, timeout: float = 60) -> str:
        """A local command to its end; its output."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, env=self.environment(), check=False)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr, self.tail())
        return done.stdout if status == 0 else done.stdout + done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.do(*words, "--json"))

    def start(self, *words: str) -> None:
        assert self.process is None
        with self.log.open("ab") as log:
            arguments = self.command("run", *(("--engine", self.engine) if self.engine else ()), *words)
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, env=self.environment())

    def wait_up(self, timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.tail()
            done = subprocess.run(self.command("status", "--json"), capture_output=True, timeout=60, env=self.environment(), check=False)
            if done.returncode == 0 and json.loads(done.stdout)["running"]:
                return
            time.sleep(0.1)
        raise AssertionError(f"the agent never came up: {self.tail()}")

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(sign)
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
            raise AssertionError(f"the agent did not end: {self.tail()}") from None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def close(self) -> None:
        if self.process is not None:
            self.stop(signal.SIGKILL)
