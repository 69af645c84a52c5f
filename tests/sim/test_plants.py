"""Each planted fault must be found within its seeds, by a rule that is about it."""

from __future__ import annotations

import pytest

from penstock.sim.scenarios import play
from tests.sim.plants import PLANTS

# They prove the watch, which changes rarely, so that each time only some are planted.
SOME = frozenset(range(0, len(PLANTS), 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    "plant",
    [pytest.param(plant, id=plant.rule.replace(" ", "-"), marks=() if place in SOME else pytest.mark.soak) for place, plant in enumerate(PLANTS)],
)
def test_a_planted_fault_is_found(plant, monkeypatch):
    plant.plant(monkeypatch)
    seen = set()
    for seed in range(plant.first, plant.first + plant.seeds):
        run = play(seed, plant.scenario, devices=plant.devices, most=1)
        seen |= {finding.rule for finding in run.findings}
        if seen & plant.expected:
            return
    pytest.fail(f"{plant.seeds} runs of {plant.scenario} found {sorted(seen) or 'nothing'}; one of {sorted(plant.expected)} was due")
