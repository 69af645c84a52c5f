"""Each planted fault must be found within its seeds, by a rule that is about it."""

from __future__ import annotations

import pytest

from penstock.sim.scenarios import play
from tests.sim.plants import PLANTS


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.rule.replace(" ", "-"))
def test_a_planted_fault_is_found(plant, monkeypatch):
    plant.plant(monkeypatch)
    seen = set()
    for seed in range(plant.first, plant.first + plant.seeds):
        run = play(seed, plant.scenario, devices=plant.devices, most=1)
        seen |= {finding.rule for finding in run.findings}
        if seen & plant.expected:
            return
    pytest.fail(f"{plant.seeds} runs of {plant.scenario} found {sorted(seen) or 'nothing'}; one of {sorted(plant.expected)} was due")
