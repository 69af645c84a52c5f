"""The bench's own bookkeeping: every key is measured once, numbers are merged key by key, overlapping spans count once."""

from __future__ import annotations

import json

from bench.__main__ import MEASUREMENTS
from bench.deploying import _covered
from bench.results import REACH, Result, merge, table


def test_every_key_has_exactly_one_measurement():
    keys = [key for _, found, _ in MEASUREMENTS for key in found]
    assert sorted(keys) == sorted(REACH)


def test_a_number_measured_anew_replaces_only_itself(tmp_path):
    file = tmp_path / "results.json"
    merge([Result("plane.rss_10k_mib", 500, "a"), Result("plane.cpu_10k_percent", 12.34567, "b")], file)
    merge([Result("plane.rss_10k_mib", 700, "c")], file)
    assert json.loads(file.read_text()) == {
        "plane.rss_10k_mib": {"value": 700, "unit": "MiB", "how": "c"},
        "plane.cpu_10k_percent": {"value": 12.346, "unit": "% of one core", "how": "b"},
    }
    lines = {line.split()[0]: line for line in table(file).splitlines()}
    assert lines["plane.rss_10k_mib"].endswith("MISSED")
    assert not lines["plane.cpu_10k_percent"].endswith("MISSED")
    assert "not measured" in lines["store.deploy_change_10k_s"]


def test_what_overlaps_counts_once():
    assert _covered([(1, 3), (2, 4), (2.5, 3), (10, 11)]) == 4
    assert _covered([]) == 0
