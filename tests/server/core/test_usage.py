"""Figures of services: only figures are read, and the small chart stays in its frame."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.usage import MOST_SAMPLES, Sample, line, measured, sample


def test_what_an_agent_sends_is_read():
    text = json.dumps({"cpu_permille": 123, "memory_bytes": 5, "memory_limit_bytes": 9, "processes": 2, "sent_bytes": 1})
    assert sample(7, text) == Sample(7, 123, 5, 9, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"Id": "abc"}',
        '{"cpu_permille": -1}',
        '{"cpu_permille": "9"}',
        '{"cpu_permille": true}',
        '{"cpu_permille": 1, "memory_bytes": 1e3}',
        '"' + "x" * 5000 + '"',
    ],
)
def test_what_is_no_figure_is_none(text):
    assert sample(7, text) is None


@given(st.lists(st.integers(0, 2**62), max_size=80))
def test_the_line_stays_in_its_frame(values):
    path = line(values, 120, 30)
    points = [tuple(map(float, point.split())) for point in path[1:].split("L")] if path else []
    assert len(points) == (len(values) if len(values) > 1 else 0)
    assert all(0 <= x <= 120 and 0 <= y <= 30 for x, y in points)


def test_by_service_oldest_first_and_bounded():
    found = measured([("shop", "web", Sample(at, 1, 1)) for at in range(200, 0, -1)] + [("shop", "db", Sample(1, 2, 2))])
    assert [(one.app, one.service) for one in found] == [("shop", "db"), ("shop", "web")]
    assert [one.at_ms for one in found[1].samples] == list(range(200 - MOST_SAMPLES + 1, 201))
    assert found[1].last.at_ms == 200
