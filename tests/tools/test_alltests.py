"""What the closing lines of two runs come to."""

from __future__ import annotations

import pytest

from tools.alltests import closing, counts


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("============================= 61 passed in 448.85s (0:07:28) =============================", {"passed": 61}),
        (
            "===== 2 failed, 3910 passed, 1 skipped, 3 warnings, 22 errors in 9.50s =====",
            {"failed": 2, "passed": 3910, "skipped": 1, "warnings": 3, "error": 22},
        ),
        ("===== 1 failed, 1 error in 0.10s =====", {"failed": 1, "error": 1}),
        ("=== FAILURES ===", {}),
        ("61 passed in 448.85s", {}),
        ("said: === 3 passed in 1.00s ===", {}),
    ],
)
def test_the_numbers_of_a_closing_line(line, found):
    assert counts(line) == found


def test_both_in_one_line_that_reads_like_either():
    said = closing({"passed": 61, "error": 1}, {"failed": 2, "passed": 39}, 3725.4)
    assert said.strip("= ") == "2 failed, 100 passed, 1 error in 3725.40s (1:02:05)"
    assert counts(said) == {"failed": 2, "passed": 100, "error": 1}


def test_nothing_ran():
    assert "no tests ran in 0.50s (0:00:00)" in closing({}, {}, 0.5)
