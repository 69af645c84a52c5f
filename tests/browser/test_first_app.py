"""A newcomer gets from log-in to a running app by what the pages offer alone, at desk and phone width, and without much ado."""

from __future__ import annotations

import pytest

from tests.browser.conftest import DESK, PHONE, Viewer
from tests.browser.firstapp import first_app
from tests.front.served import Served
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_from_log_in_to_a_running_app(chromium, tmp_path, size):
    served = Served(tmp_path)
    viewer = Viewer(chromium, served, size, "light")
    try:
        done = first_app(viewer.page, served, viewer.look)
    finally:
        viewer.close()
        served.stop()
    assert not viewer.faults
    assert done.clicks <= 20
    assert done.chars <= 120
