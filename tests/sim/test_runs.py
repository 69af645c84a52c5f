"""Runs of the simulated fleet in which nothing may be found, kept seeds among them, and that a seed always means the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.sim.scenarios import SCENARIOS, play

KEPT = [tuple(line.split()[:3]) for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines() if line and not line.startswith("#")]


def clean(scenario: str, seed: int, devices: int) -> None:
    run = play(seed, scenario, devices=devices)
    told = "\n".join(
        [*map(str, run.findings), f"python -m penstock.sim --scenario {scenario} --first {seed} --seeds 1 --devices {devices} --verbose", *run.spoken[-40:]]
    )
    assert not run.findings, told
    assert run.events > 300  # something did happen


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_one_seed_of_every_scenario(scenario):
    clean(scenario, 101, 1)


@pytest.mark.parametrize(("scenario", "seed", "devices"), KEPT)
def test_a_seed_that_failed_once(scenario, seed, devices):
    clean(scenario, int(seed), int(devices))


DIGEST = "from penstock.sim.scenarios import play; run = play(7, 'cut', devices=1); print(run.events, run.digest)"


def test_a_seed_means_the_same_in_every_process():
    said = set()
    for hash_seed in ("0", "1"):
        done = subprocess.run([sys.executable, "-c", DIGEST], env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1, said
