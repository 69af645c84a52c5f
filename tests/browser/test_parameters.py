"""Parameters in a real browser, at desk and phone width: a value set at a site after a look at what it changes, refused where it is none, taken back; room."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import parameters as m
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.front.served import ScriptedDevice
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]

DECLARED = """
  parameters:
    LINE: {title: Line, help: "What the line is called on the dashboard.", default: "${PENSTOCK_SITE}"}
    PORT: {type: port, title: Port of the dashboard, group: Network, default: 18080, min: 1024}
    DETAIL: {title: Detail of the log, group: Logging, choices: [debug, info, warn], default: info}
    PUSH: {type: boolean, title: Send numbers to the historian, group: Logging, default: true}
    TOKEN: {type: secret, title: Token of the historian, group: Logging, min_length: 4}
    EVERY: {type: duration, title: How often it asks, default: 30s, max: 1h}
  needs: {memory: 256m}
"""
COMPOSE = """
services:
  monitor:
    image: penstock-demo/monitor:1.0.0
    ports: ["${PORT}:8080"]
    environment: {LINE: "${LINE}", DETAIL: "${DETAIL}", PUSH: "${PUSH}", TOKEN: "${TOKEN}", EVERY: "${EVERY}"}
x-penstock:
"""


@pytest.fixture(scope="module")
def plant(served):
    """A site with two devices that have an app with declared parameters."""
    served.ready()
    served.images("1.0.0")
    image = re.search(r"image: (\S+)", served.compose("1.0.0"))
    assert image is not None
    made: list[ScriptedDevice] = []
    with served.client() as client:
        client.create_site("ulm", "Ulm foundry", "Europe/Berlin")
        for name in ("press-01", "press-02"):
            device = ScriptedDevice(served, client.create_join("ulm", d.JoinTokenCreate(auto_approve=True, labels={"kind": "press"})).line, name)
            assert device.enrol() == "approved"
            device.start()
            made.append(device)
        client.publish(
            a.Publish(app="monitor", version="1.0.0", compose=COMPOSE.replace("penstock-demo/monitor:1.0.0", image.group(1)) + DECLARED.lstrip("\n"))
        )
        client.deploy(a.DeploymentCreate(release="monitor:1.0.0", target=a.Target(selector="kind=press"), name="monitor", secrets={"TOKEN": "first"}))
    yield served
    for device in made:
        device.http.close()


@pytest.fixture(params=[(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def mara(request, chromium, plant):
    found = Viewer(chromium, plant, *request.param)
    found.sign_in()
    yield found
    found.close()
    assert not found.faults


def test_a_value_at_a_site(mara, plant):
    page = mara.page
    mara.goto("/sites/ulm")
    mara.look("parameters-site-room")
    page.get_by_role("link", name="Parameters").click()
    expect(page.get_by_role("heading", name="Parameters at ulm")).to_be_visible()
    mara.look("parameters-site")
    page.get_by_label("Port of the dashboard").fill("80")
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.get_by_role("alert").first).to_contain_text("less than is allowed")
    mara.look("parameters-refused")
    page.get_by_label("Port of the dashboard").fill("18090")
    page.get_by_label("Detail of the log").select_option("debug")
    page.get_by_label("Token of the historian").fill("second-secret")
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    row = page.get_by_role("row", name=re.compile("press-01"))
    expect(row).to_contain_text("18080")
    expect(row).to_contain_text("18090")
    expect(row).to_contain_text("sealed")
    assert "second-secret" not in page.content()
    mara.look("parameters-preview")
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("Saved. 2 devices change when their gates open.")).to_be_visible()
    mara.look("parameters-set")
    assert "second-secret" not in page.content()
    # on a device of the site it says where the value comes from
    with plant.client() as client:
        device = next(client.devices(10, text="press-01"))
    mara.goto(f"/devices/{device.id}")
    mara.look("parameters-device-room")
    page.get_by_role("link", name="Parameters").click()
    expect(page.get_by_role("row", name=re.compile("Port of the dashboard"))).to_contain_text("from site ulm")
    page.get_by_label("Port of the dashboard").fill("18091")
    page.get_by_role("button", name="Preview what changes").click()
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("Saved. One device changes when its gate opens.")).to_be_visible()
    mara.look("parameters-device")
    # emptied again at both: what the release says holds
    for level, part in (("device", device.id), ("site", "ulm")):
        mara.goto(f"/parameters?level={level}&part={part}")
        page.get_by_label("Port of the dashboard").fill("")
        page.get_by_role("button", name="Preview what changes").click()
        page.get_by_role("button", name="Set it").click()
        expect(page.get_by_text("Saved.").first).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Port of the dashboard"))).to_contain_text("as the release says")
    with plant.client() as client:
        assert client.parameters("monitor", "device", device.id, "PORT").parameters[0].value == "18080"
        client.change_values(m.ValuesChange(app="monitor", level="site", part="ulm", clear=("DETAIL", "TOKEN")))
    mara.goto("/apps/monitor")
    page.get_by_role("link", name="Parameters").click()
    expect(page.get_by_role("heading", name="Parameters for the whole fleet")).to_be_visible()
