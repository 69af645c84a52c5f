"""`python -m penstock.sim`: many seeds, a summary, and for each finding the line that plays it again.

Owns the command line only. The hash seed of the process is fixed first, so that a seed means the same in every process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from contextlib import nullcontext
from functools import partial

from penstock.sim.scenarios import SCENARIOS, Run, play


def main() -> int:
    """Exit status 1 where something was found."""
    read = argparse.ArgumentParser(prog="python -m penstock.sim", description="The simulated fleet: seeded runs of the real plane and the real agents.")
    read.add_argument("--seeds", type=int, default=20, help="how many runs")
    read.add_argument("--first", type=int, default=1, help="the first seed")
    read.add_argument("--scenario", choices=sorted(SCENARIOS), default="", help="only this one; otherwise they take turns")
    read.add_argument("--devices", type=int, default=2, help="members of the fleet")
    read.add_argument("--jobs", type=int, default=1, help="processes to share the runs")
    read.add_argument("--verbose", action="store_true", help="print everything that happens")
    given = read.parse_args()
    begun = time.monotonic()
    runs: list[Run] = []
    todo = range(given.first, given.first + given.seeds)
    one = partial(play, scenario=given.scenario, devices=given.devices, verbose=given.verbose)
    with multiprocessing.Pool(given.jobs) if given.jobs > 1 else nullcontext() as pool:
        for run in pool.imap(one, todo) if pool is not None else map(one, todo):
            runs.append(run)
            _tell(run)
    _summary(runs, time.monotonic() - begun)
    return 1 if any(run.findings for run in runs) else 0


def _tell(run: Run) -> None:
    for finding in run.findings:
        print(f"seed {run.seed} {run.scenario}: {finding}")
    if run.findings:
        print(f"  again: python -m penstock.sim --first {run.seed} --seeds 1 --scenario {run.scenario} --verbose", flush=True)


def _summary(runs: list[Run], spent_s: float) -> None:
    print(f"{'scenario':12} {'runs':>5} {'found':>5} {'events':>9} {'simulated':>10}")
    for name in SCENARIOS:
        mine = [run for run in runs if run.scenario == name]
        if mine:
            hours = sum(run.simulated_ms for run in mine) / 3_600_000
            print(f"{name:12} {len(mine):5} {sum(1 for run in mine if run.findings):5} {sum(run.events for run in mine):9} {hours:8.1f} h")
    found = sum(1 for run in runs if run.findings)
    print(f"{len(runs)} runs, {found} with findings, {spent_s:.0f} s")


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "penstock.sim", *sys.argv[1:]])  # noqa: S606 - the same program, with a fixed hash seed
    sys.exit(main())
