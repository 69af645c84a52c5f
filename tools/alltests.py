"""`make test`: the browser's tests and all the others side by side, and one verdict on both.

Owns that both run, are ended together, and are summed up. Never decides what a test is; arguments go to the others' pytest as they are.

The browser has a network of its own: Chromium gives up what it is doing whenever an interface comes or goes, as engines make them do. Much of the others'
time is waiting (for containers, grace periods, polls), so that the browser has room beside them; they let it go first where both want a processor.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTEST = [sys.executable, "-m", "pytest"]
BROWSER = ["unshare", "--net", "sh", "-c", 'PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"', "sh", *PYTEST, "tests/browser"]
CLOSING = re.compile(r"^=+ (?P<counts>.*\d+ [a-z]+.*) in [0-9.]+s.*=+$")
NOTHING_RAN = 5  # pytest's exit code where no test was found


def counts(line: str) -> dict[str, int]:
    """The numbers of a closing line of pytest, such as "2 failed, 40 passed"; empty for any other line."""
    found = CLOSING.match(line)
    return (
        {what.removesuffix("s") if what.startswith("error") else what: int(number) for number, what in re.findall(r"(\d+) ([a-z]+)", found["counts"])}
        if found
        else {}
    )


def closing(one: dict[str, int], other: dict[str, int], seconds: float) -> str:
    """One closing line for both, in pytest's words."""
    both = {what: one.get(what, 0) + other.get(what, 0) for what in (*one, *other)}
    order = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warning", "error")
    said = ", ".join(f"{both[what]} {what}" for what in sorted(both, key=lambda what: order.index(what) if what in order else len(order))) or "no tests ran"
    minutes, rest = divmod(int(seconds), 60)
    return f"{'=' * 20} {said} in {seconds:.2f}s ({minutes // 60}:{minutes % 60:02}:{rest:02}) {'=' * 20}"


def last(path: Path) -> dict[str, int]:
    """What the newest closing line in a log counts."""
    for line in reversed(path.read_text("utf-8", "replace").splitlines()):
        if found := counts(line.strip()):
            return found
    return {}


def main(arguments: list[str]) -> int:
    """Run both; the exit code of the others, or of the browser's where those passed."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    browser_log, others_log = build / "browser.log", build / "others.log"
    began = time.monotonic()
    with browser_log.open("wb") as quiet, others_log.open("wb") as copy:
        browser = subprocess.Popen(BROWSER, cwd=ROOT, stdout=quiet, stderr=subprocess.STDOUT)
        others = subprocess.Popen(
            ["nice", "-n", "5", *PYTEST, "--ignore=tests/browser", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

        def leave(number: int, _frame: object) -> None:
            for child in (browser, others):
                child.send_signal(number)

        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        assert others.stdout is not None
        while piece := os.read(others.stdout.fileno(), 65536):
            os.write(1, piece)
            copy.write(piece)
        code, beside = others.wait(), browser.wait()
    print("\n== the browser's tests", flush=True)
    print(browser_log.read_text("utf-8", "replace"), flush=True)
    print(closing(last(browser_log), last(others_log), time.monotonic() - began), flush=True)
    return (code or beside) if code != NOTHING_RAN else (beside or code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
