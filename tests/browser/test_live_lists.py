"""A list that is kept up to date while somebody works on it: what was filtered stays filtered, what is being typed stays typed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from penstock.apiv1.devices import JoinTokenCreate
from tests.browser.conftest import DESK, Viewer
from tests.front.served import ScriptedDevice
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]

SOON = 15_000


@pytest.fixture(scope="module")
def fleet(served):
    """Two sites with a device each."""
    served.ready()
    made = {}
    with served.client() as client:
        for site, name in (("hamburg", "press-01"), ("kiel", "dock-01")):
            client.create_site(site)
            device = made[name] = ScriptedDevice(served, client.create_join(site, JoinTokenCreate(auto_approve=True)).line, name)
            assert device.enrol() == "approved"
            device.start()
    yield made
    for device in made.values():
        device.http.close()


@pytest.fixture
def mara(chromium, served, fleet):
    found = Viewer(chromium, served, DESK, "light")
    found.sign_in()
    expect(found.page.locator("#lamp")).to_have_attribute("data-on", "yes", timeout=SOON)
    yield found
    found.close()
    assert not found.faults


def row(viewer, name):
    return viewer.page.locator("#devices").get_by_role("row").filter(has_text=name)


def alarm(viewer, device, text):
    """The device reports, and the open page shows it."""
    device.observe_device(text)
    expect(viewer.page.get_by_role("region", name="Needs a person")).to_contain_text(re.compile(text, re.IGNORECASE), timeout=SOON)


def test_what_was_filtered_stays_filtered(mara, fleet):
    page = mara.page
    expect(row(mara, "dock-01")).to_have_count(1)
    page.get_by_label("Site", exact=True).select_option("hamburg")
    expect(row(mara, "dock-01")).to_have_count(0)
    expect(page).to_have_url(re.compile("site=hamburg"))
    alarm(mara, fleet["press-01"], "the belt is hot")
    expect(row(mara, "press-01")).to_have_count(1)
    expect(row(mara, "dock-01")).to_have_count(0)
    expect(page.get_by_label("Site", exact=True)).to_have_value("hamburg")


def test_what_is_being_typed_stays(mara, fleet):
    page = mara.page
    page.route(re.compile(r"\?q="), lambda route: None)  # the list asked for by what is typed does not arrive
    box = page.get_by_role("searchbox")
    box.click()
    page.keyboard.type("pres")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    alarm(mara, fleet["press-01"], "the belt is torn")
    expect(box).to_be_focused()
    expect(box).to_have_value("pres")
    assert box.evaluate("box => box.selectionStart") == 2
    page.keyboard.type("x")
    expect(box).to_have_value("prxes")
