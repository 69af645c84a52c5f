"""`python -m bench [--only KEY[,KEY]]`: measure, print the table, keep the numbers in bench/results.json.

Owns the command line and which measurement gives which keys; what is measured together is run together. BENCH_SHORT=1 tries everything with
small fleets and short times, and writes into build/bench-short.json instead.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import beginning, deciding, deploying, idle, limits, listening, looking, planes, publishing, reading, registry, results
from bench.place import SHORT, log, many_files

# One measurement: the keys it can give, and what runs it for those of them that are wanted.
MEASUREMENTS: tuple[tuple[str, tuple[str, ...], Callable[[frozenset[str]], Iterable[results.Result]]], ...] = (
    ("plane", planes.KEYS, planes.measure),
    ("deploying", deploying.KEYS, deploying.measure),
    ("memory limit", limits.KEYS, limits.measure),
    ("idle", idle.KEYS, idle.measure),
    ("deciding", deciding.KEYS, deciding.measure),
    ("beginning", beginning.KEYS, beginning.measure),
    ("listening", listening.KEYS, listening.measure),
    ("looking", looking.KEYS, looking.measure),
    ("registry", registry.KEYS, registry.measure),
    ("publishing", publishing.KEYS, publishing.measure),
    ("reading", reading.KEYS, reading.measure),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the numbers of the design.")
    parser.add_argument("--only", default="", help="keys, separated by commas; all of them if not given")
    given = parser.parse_args()
    wanted = frozenset(given.only.split(",")) if given.only else frozenset(results.REACH)
    unknown = wanted - frozenset(results.REACH)
    if unknown:
        parser.error(f"no such key: {', '.join(sorted(unknown))}; the keys are {', '.join(results.REACH)}")
    file = results.FILE
    if SHORT:
        file = Path(__file__).resolve().parents[1] / "build" / "bench-short.json"
        file.parent.mkdir(exist_ok=True)
    many_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended, too
    failed = 0
    for name, keys, measure in MEASUREMENTS:
        mine = wanted & frozenset(keys)
        if not mine:
            continue
        log(f"{name}: {', '.join(sorted(mine))}")
        began = time.monotonic()
        try:
            for one in measure(mine):  # each is kept at once: a later fault does not lose an earlier number
                results.merge([one], file)
                log(f"{one.key} = {one.value:,.3f} ({one.how})")
        except Exception:  # noqa: BLE001 - one measurement that fails must not lose the others; it is told, and counted in the exit code
            failed += 1
            traceback.print_exc()
        log(f"{name}: took {time.monotonic() - began:.0f} s")
    print(results.table(file))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
