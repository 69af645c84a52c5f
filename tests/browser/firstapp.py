"""A newcomer's way from log-in to a running app, counted: what they click and what they type.

Owns that one way, for the test and for the bench. Only what the pages offer is used: every address but the first is reached by a click.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, Page, expect

from tests.front.served import PASSWORD, ScriptedDevice, Served, until

if TYPE_CHECKING:
    from collections.abc import Callable

SOON = 15_000  # ms


@dataclass
class Counted:
    """How much a person does: a click is a click, a key or a choice from a list; a file that is chosen is two."""

    clicks: int = 0
    chars: int = 0

    def click(self, place: Locator) -> None:
        place.click()
        self.clicks += 1

    def type(self, place: Locator, text: str) -> None:
        place.fill(text)
        self.chars += len(text)


def first_app(page: Page, served: Served, look: Callable[[str], None] = lambda _: None) -> Counted:
    """From the log-in page to a device that says the app is healthy. The plane is set up and empty; the Compose file and its images are there."""
    served.ready()
    served.images("1.0.0")
    done = Counted()
    button, link, label = (lambda name: page.get_by_role("button", name=name)), (lambda name: page.get_by_role("link", name=name)), page.get_by_label
    page.goto("/")
    done.type(label("Name"), "mara")
    done.type(label("Password"), PASSWORD)
    done.click(button("Sign in"))
    expect(page.get_by_role("heading", name="From here to a running app")).to_be_visible()
    look("first-app-begins")
    done.click(link("Name a site"))
    done.type(label("Short name"), "hamburg")
    done.click(button("Name it"))
    done.click(button("Make join line"))
    done.click(button("Copy"))
    line = page.locator("#join-line, .copyline code, .copyline input").first
    text = line.input_value() if line.evaluate("el => 'value' in el") else line.inner_text()
    with ScriptedDevice(served, text, "press-01") as device:
        assert device.enrol() == "waiting"
        expect(page.get_by_role("heading", name="press-01")).to_be_visible(timeout=SOON)
        done.click(button("The same: approve"))
        expect(page.get_by_text("press-01 is let in as")).to_be_visible()
        assert device.enrol() == "approved"
        device.start()
        done.click(link("Fleet").first)
        done.click(link("Publish").first)
        done.type(label("App (optional)", exact=True), "press-monitor")
        done.type(label("Version"), "1.0.0")
        label("Compose file").set_input_files({"name": "compose.yaml", "mimeType": "text/yaml", "buffer": served.compose("1.0.0").encode()})
        done.clicks += 2
        expect(label("Its text")).to_have_value(served.compose("1.0.0"))
        done.click(page.get_by_role("button", name="Publish", exact=True))
        expect(page.get_by_role("heading", name="press-monitor 1.0.0")).to_be_visible()
        done.click(page.get_by_role("link", name="Deploy", exact=True).first)
        label(re.compile("press-01")).check()
        done.clicks += 1
        done.type(label(re.compile("LINE_NAME")), "Line 3")
        done.click(button("Preview what changes"))
        done.click(button("Deploy it"))
        expect(page.get_by_role("heading", name="Rollout")).to_be_visible()
        until(lambda: device.poll() and device.desired.apps, "the device is told")
        for phase in ("claimed", "confirmed", "soaked"):
            device.observe(phase, "healthy for 60 seconds")
        device.receipt("soaked", "healthy for 60 seconds")
        expect(page.get_by_text("1 of 1 done")).to_be_visible(timeout=SOON)
        look("first-app-runs")
    return done
