"""The engine's figures in our words, from answers as Docker 28 (cgroup 2) and older engines (cgroup 1) give them."""

from __future__ import annotations

import pytest

from penstock.agent.runtimes import RuntimeFault
from penstock.agent.runtimes.dockerusage import figures, usage
from penstock.agent.runtimes.engine import EngineClient

NEWER = {
    "cpu_stats": {"cpu_usage": {"total_usage": 2_000_000_000}, "system_cpu_usage": 100_000_000_000, "online_cpus": 4},
    "precpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}, "system_cpu_usage": 96_000_000_000, "online_cpus": 4},
    "memory_stats": {"usage": 10_000_000, "limit": 64_000_000, "stats": {"inactive_file": 3_000_000}},
    "pids_stats": {"current": 7},
    "networks": {"eth0": {"rx_bytes": 10, "tx_bytes": 20}, "eth1": {"rx_bytes": 1, "tx_bytes": 2}},
}


def test_between_two_readings_half_a_second_of_four_is_half_a_core():
    assert figures(NEWER) == {
        "cpu_permille": 500,
        "memory_bytes": 7_000_000,
        "memory_limit_bytes": 64_000_000,
        "processes": 7,
        "received_bytes": 11,
        "sent_bytes": 22,
    }


def test_older_engines_name_it_otherwise():
    older = {
        **NEWER,
        "cpu_stats": {"cpu_usage": {"total_usage": 2_000_000_000, "percpu_usage": [1, 1]}, "system_cpu_usage": 100_000_000_000},
        "memory_stats": {"usage": 10, "stats": {"total_inactive_file": 4}},
    }
    found = figures(older)
    assert (found["cpu_permille"], found["memory_bytes"], found["memory_limit_bytes"]) == (250, 6, 0)


def test_no_time_between_the_readings_is_no_use():
    assert figures({**NEWER, "precpu_stats": NEWER["cpu_stats"]})["cpu_permille"] == 0


def test_an_engine_that_tells_one_reading_is_asked_for_another(monkeypatch):
    class Client(EngineClient):
        asked = 0

        def call(self, method, target, doing, *, body=None, timeout_s=None):
            assert target == "/v1.43/containers/c1/stats?stream=false"
            assert timeout_s > 1
            self.asked += 1
            return {**NEWER, "cpu_stats": NEWER["precpu_stats" if self.asked == 1 else "cpu_stats"], "precpu_stats": {}}

    monkeypatch.setattr("penstock.agent.runtimes.dockerusage.BETWEEN_S", 0)
    client = Client("/nowhere")
    assert '"cpu_permille":500' in usage(client, "/v1.43", "c1")
    assert client.asked == 2


@pytest.mark.parametrize("plain", [{}, [], None, {"cpu_stats": 3, "memory_stats": {}}, {"memory_stats": {"usage": "much"}}])
def test_what_does_not_run_has_no_figures(plain):
    with pytest.raises(RuntimeFault) as caught:
        figures(plain)
    assert caught.value.code == "not-running"
