"""Faults surfacing by themselves and who is told of them, in a real browser, with scripted devices and a real receiver."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from penstock.apiv1 import apps as a
from penstock.apiv1.devices import JoinTokenCreate
from penstock.wire.log import DriftItem
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.front.served import ScriptedDevice
from tests.needs import needs
from tests.server.effects.receivers import Hook

pytestmark = [needs("chromium"), pytest.mark.browser]

SOON = 20_000


@pytest.fixture(scope="module")
def wrong(served):
    """A fleet in trouble: a site gone dark, a service that is not well, one that drifted, one that waits."""
    served.ready()
    served.images("1.0.0")
    devices = []
    with served.client() as client:
        client.create_site("hamburg", "Hamburg press shop", "Europe/Berlin")
        client.create_site("kiel", "Kiel dock", "Europe/Berlin")
        client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=served.compose("1.0.0")))
        for name, site in (("press-01", "hamburg"), ("press-02", "hamburg"), ("press-03", "hamburg"), ("dock-01", "kiel"), ("dock-02", "kiel")):
            device = ScriptedDevice(served, client.create_join(site, JoinTokenCreate(auto_approve=True)).line, name)
            assert device.enrol() == "approved"
            device.start()
            devices.append(device)
        client.deploy(
            a.DeploymentCreate(release="press-monitor:1.0.0", target=a.Target(devices=("dock-01", "dock-02")), values={"LINE_NAME": "dock"}, name="dock")
        )
        waiting = ScriptedDevice(served, client.create_join("kiel", JoinTokenCreate()).line, "dock-03")
        assert waiting.enrol() == "waiting"
    for device in devices[3:]:
        device.poll()
    devices[3].observe("soaked", "its health check fails: the answer was 500", health="unhealthy", back="0.9.0")
    devices[4].observe("soaked", "as ordered", back="0.9.0", drift=(DriftItem("web", "image", "one", "another"),))
    for device in devices[:3]:
        device.unheard(3_600_000)
    yield devices
    for device in (*devices, waiting):
        device.http.close()


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk-light", "phone-dark"])
def test_what_is_wrong_is_seen_everywhere(chromium, served, wrong, size, scheme):
    viewer = Viewer(chromium, served, size, scheme)
    try:
        viewer.sign_in()
        page = viewer.page
        panel = page.get_by_role("region", name="Needs a person")
        expect(panel).to_contain_text("dock-01: Unhealthy")
        expect(panel).to_contain_text("Hamburg press shop: 3 of 3 devices away")
        assert panel.get_by_role("listitem").first.inner_text().find("dock-01") >= 0, "worst first"
        viewer.look("40-faults-first-page")
        viewer.goto("/faults")
        expect(page.get_by_role("heading", name="dock-03")).to_have_count(0)
        expect(page.get_by_text("1 device asks to be let in")).to_be_visible()
        viewer.look("41-faults")
        viewer.goto("/?site=hamburg")
        expect(page.get_by_role("region", name="Needs a person")).not_to_contain_text("dock-01")
        viewer.look("42-faults-of-a-site")
        viewer.goto(f"/devices/{wrong[0].device}")
        expect(page.get_by_role("region", name="Needs a person")).to_contain_text("3 of 3 devices")
        viewer.look("43-faults-of-a-device")
        viewer.goto("/notices")
        expect(page.get_by_text("Nobody is told yet")).to_be_visible()
        viewer.look("44-notices-empty")
    finally:
        viewer.close()
    assert not viewer.faults


def test_known_until_then_because_and_back_again(viewer, served, wrong):
    viewer.sign_in()
    page = viewer.page
    viewer.goto(f"/devices/{wrong[4].device}")
    page.get_by_label("I know: dock-02: Drifted").click()
    page.get_by_label("What is being done about it").fill("the vendor tries another image")
    viewer.look("45-fault-known-form")
    page.get_by_role("button", name="Note it").click()
    expect(page.get_by_role("status").filter(has_text="dock-02: Drifted is known.")).to_be_visible()
    expect(page.get_by_text("“the vendor tries another image”").first).to_be_visible()
    assert page.url.endswith(f"/devices/{wrong[4].device}"), "back where it was said"
    viewer.look("46-fault-known")
    viewer.goto("/")
    expect(page.get_by_role("region", name="Needs a person")).not_to_contain_text("Drifted")
    viewer.goto("/faults?known=yes")
    page.get_by_role("button", name="Make it news again: dock-02: Drifted").click()
    expect(page.get_by_role("status").filter(has_text="is news again.")).to_be_visible()
    viewer.goto("/history")
    expect(page.get_by_text("Fault acknowledged")).to_be_visible()


def test_it_goes_away_by_itself(viewer, served, wrong):
    viewer.sign_in()
    page = viewer.page
    expect(page.get_by_text("dock-01: Unhealthy")).to_be_visible()
    wrong[3].observe("soaked", "as ordered", back="0.9.0")
    expect(page.get_by_text("dock-01: Unhealthy")).to_have_count(0, timeout=SOON)


def test_somebody_is_told(viewer, served, wrong, tmp_path):
    served.plane.courier._loopback = True
    viewer.sign_in()
    page = viewer.page
    with Hook(tmp_path, 500, 200) as hook:
        viewer.goto("/settings")
        page.get_by_role("link", name="Notifications").click()
        page.get_by_label("Name", exact=True).fill("Night shift")
        page.get_by_label("Address").fill(hook.url)
        page.get_by_label("Quiet hours").first.fill("22:00-06:00")
        page.get_by_label("Time zone").fill("Europe/Berlin")
        page.get_by_text("More").click()
        page.get_by_label("Certificate to trust").fill(hook.ca)
        page.get_by_role("button", name="Tell them").click()
        expect(page.get_by_role("alert").first).to_be_visible()
        assert page.get_by_label("Address").input_value() == hook.url, "what was typed is kept"
        viewer.look("47-notice-refused")
        page.get_by_label("Name", exact=True).fill("night-shift")
        page.get_by_role("button", name="Tell them").click()
        expect(page.get_by_role("heading", name="The secret of night-shift")).to_be_visible()
        secret = page.locator("#new-secret").inner_text()
        assert re.fullmatch("[0-9a-f]{64}", secret)
        viewer.look("48-notice-made")
        viewer.goto("/notices")
        assert secret not in page.content()
        page.get_by_role("button", name="Test night-shift").click()
        expect(page.get_by_role("alert").filter(has_text="The test did not arrive at night-shift: it answered 500")).to_be_visible()
        page.get_by_role("button", name="Test night-shift").click()
        expect(page.get_by_role("status").filter(has_text="The test arrived at night-shift.")).to_be_visible()
        expect(page.get_by_text("Delivered")).to_be_visible()
        viewer.look("49-notices")
        assert len(hook.got) == 2
        page.get_by_role("button", name="Turn off night-shift").click()
        expect(page.get_by_text("night-shift is told nothing until it is turned on.")).to_be_visible()
        page.get_by_label("Remove night-shift").click()
        page.get_by_role("button", name="Really remove").click()
        expect(page.get_by_text("Nobody is told yet")).to_be_visible()
        page.get_by_label("Mail", exact=True).check()
        expect(page.get_by_label("Mail server")).to_be_visible()
        expect(page.get_by_label("Address")).not_to_be_visible()
        viewer.look("50-notice-mail")
