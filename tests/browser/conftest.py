"""Chromium against a served plane, at desk and phone width. What a page must never do fails the test that saw it.

Watched for on every page: a violation of the content security policy, a request that leaves the plane, an error of the script, a page that scrolls
sideways, serious faults of accessibility (axe-core). Screenshots go to build/screenshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from tests.front.served import PASSWORD, Served
from tests.needs import require, which

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    require("chromium")
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=which("chromium"), args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("plane"))
    yield found
    found.stop()


class Viewer:
    """One person's browser."""

    def __init__(self, chromium: Browser, served: Served, size: tuple[int, int], scheme: Any) -> None:
        self.served, self.size, self.scheme = served, size, scheme
        # The certificate is judged in tests of the server and the client; Chromium cannot be given a private authority here.
        self.context: BrowserContext = chromium.new_context(
            base_url=served.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            ignore_https_errors=True,
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.url)
        self.faults: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        self.page.on("request", self._request)
        self.page.on("response", lambda answer: self.faults.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None)

    def goto(self, path: str) -> None:
        """Open a page. Chromium gives up when any network of the machine changes meanwhile, as engines of other tests do; then once more."""
        for left in (2, 1, 0):
            try:
                self.page.goto(path)
                return
            except Error as fault:
                if not left or not ("ERR_NETWORK_CHANGED" in str(fault) or "chrome-error" in str(fault)):
                    raise
                self.page.wait_for_timeout(500)

    def _console(self, message: Any) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.faults.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.served.url, "data:", "blob:")):
            self.faults.append(f"a request that leaves the plane: {request.url}")

    def look(self, name: str) -> None:
        """Judge the page as it stands and keep a picture of it."""
        self.page.wait_for_load_state("load")
        self.page.evaluate("document.fonts.ready")
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.size[0], f"{name} scrolls sideways: {width} of {self.size[0]} px"
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}-{self.size[0]}-{self.scheme}.png", full_page=True)
        found = self.page.evaluate(f"async () => {{ {AXE}; return (await axe.run(document, {{ resultTypes: ['violations'] }})).violations }}")
        serious = [
            f"{one['id']} ({one['impact']}): {one['help']}: {[node['target'] for node in one['nodes']][:3]} {one['nodes'][0].get('failureSummary', '')[:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert not serious, f"{name}: " + "\n".join(serious)
        assert not self.faults, f"{name}: {self.faults}"

    def resize(self, size: tuple[int, int]) -> None:
        """Another width, on the page as it stands."""
        self.size = size
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def sign_in(self) -> None:
        self.goto("/login")
        self.page.get_by_label("Name").fill("mara")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(re.compile(r"/$"))

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def viewer(chromium: Browser, served: Served) -> Iterator[Viewer]:
    found = Viewer(chromium, served, DESK, "light")
    yield found
    found.close()
    assert not found.faults
