"""One served plane for each module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.front.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("plane"))
    yield found
    found.stop()
