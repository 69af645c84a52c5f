"""How much a newcomer does from log-in to a running app.

Owns the two numbers; the way is the browser test's (tests/browser/firstapp.py). They are counts, and the same on every machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.results import Result
from tests.browser.conftest import ARGUMENTS, DESK, Viewer
from tests.browser.firstapp import first_app
from tests.front.served import Served
from tests.needs import which

KEYS = ("ux.first_app_clicks", "ux.first_app_chars")


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    """The wanted of the two."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir="/var/tmp") as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=which("chromium"), args=ARGUMENTS)
        served = Served(Path(folder))
        viewer = Viewer(browser, served, DESK, "light")
        try:
            done = first_app(viewer.page, served)
        finally:
            viewer.close()
            served.stop()
            browser.close()
    how = (
        "from the log-in page of an empty plane to the page that says the app is healthy, by what the pages offer alone; a chosen file is two clicks, the line "
        "pasted on the device none; name and password of the log-in are among the characters."
    )
    for key, value in (("ux.first_app_clicks", done.clicks), ("ux.first_app_chars", done.chars)):
        if key in wanted:
            yield Result(key, value, how)
