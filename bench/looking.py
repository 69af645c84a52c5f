"""What a person waits for: the fleet's page with a thousand devices in Chromium, and how many bytes the first page costs.

Owns one plane served over TLS in this process, a fleet on paper (see `paperfleet`) and a browser on the same machine. The time is the browser's own: from
the navigation's start to the frame painted after the last row is there.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench import paperfleet, procs
from bench.place import NOTE, SHORT, log
from bench.results import Result
from penstock.apiv1.apps import Publish
from tests.browser.conftest import ARGUMENTS, DESK
from tests.front.served import PASSWORD, Served
from tests.needs import which

KEYS = ("ui.fleet_1k_ms", "ui.first_load_kb")
DEVICES = 100 if SHORT else 1000
ROUNDS = 7

COMPOSE = """\
services:
  web: {{image: {host}/press/web:1}}
  database: {{image: {host}/press/database:1}}
"""

# Resolves in the second frame after the last row is in the document and its place is known: everything before has been painted.
PAINTED = """async (count) => {
  while (document.querySelectorAll("#devices tbody tr").length < count) await new Promise((next) => requestAnimationFrame(next));
  document.querySelector("#devices tbody tr:last-child").getBoundingClientRect();
  await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
  return performance.now();
}"""
CARRIED = "performance.getEntries().filter((one) => one.transferSize !== undefined).reduce((sum, one) => sum + one.transferSize, 0)"


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    """The wanted numbers, each as soon as it is had."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        served = Served(Path(folder))
        try:
            _fill(served)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=which("chromium"), args=ARGUMENTS)
                try:
                    if "ui.first_load_kb" in wanted:
                        yield _first_load(browser, served)
                    if "ui.fleet_1k_ms" in wanted:
                        yield _fleet(browser, served)
                finally:
                    browser.close()
        finally:
            served.stop()


def _fill(served: Served) -> None:
    with served.client() as client:
        client.create_site("lab")
        served.images("1")
        client.publish(Publish(app="line", version="1", compose=COMPOSE.format(host=served.host)))
    served.plane.limits = replace(served.plane.limits, enrol_per_minute=10**9)
    paperfleet.fill(served.plane, DEVICES, "1", log)


def _signed_in(browser: Browser, served: Served) -> Page:
    """A fresh browser, nothing cached, signed in; it stands on the first page."""
    context = browser.new_context(base_url=served.url, viewport={"width": DESK[0], "height": DESK[1]}, ignore_https_errors=True)
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("Name").fill("mara")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    return page


def _first_load(browser: Browser, served: Served) -> Result:
    """Everything the first page after signing in carries over the wire, in a browser that has nothing of it."""
    page = _signed_in(browser, served)
    cookies: Any = page.context.cookies()
    page.context.close()
    context = browser.new_context(base_url=served.url, ignore_https_errors=True)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto("/", wait_until="load")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(500)
    carried, requests = page.evaluate(CARRIED), page.evaluate("performance.getEntriesByType('resource').length") + 1
    context.close()
    how = f"bytes of {requests} answers, heads included, of the fleet's page with {DEVICES} devices listed, in Chromium with an empty cache.{NOTE}"
    return Result("ui.first_load_kb", carried / 1000, how)


def _fleet(browser: Browser, served: Served) -> Result:
    page = _signed_in(browser, served)
    taken = []
    for _ in range(ROUNDS + 1):
        page.goto("/", wait_until="commit")
        taken.append(page.evaluate(PAINTED, DEVICES))
    page.context.close()
    warm = sorted(taken[1:])  # the first has the style, the script and the fonts to fetch
    how = (
        f"median of {ROUNDS} ({', '.join(f'{one:.0f}' for one in warm)}), the first visit {taken[0]:.0f}: navigation until {DEVICES} rows are painted, "
        f"in Chromium without a graphics card on the plane's own machine, over TLS; {procs.busy()}.{NOTE}"
    )
    return Result("ui.fleet_1k_ms", statistics.median(warm), how)
