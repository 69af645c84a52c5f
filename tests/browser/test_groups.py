"""Groups in a real browser, at desk and phone width: made, filled by name and by label, deployed to, looked at, kept while needed, removed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import groups as g
from penstock.server.core.rights import Binding, Part
from penstock.server.store import access
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.front.served import ScriptedDevice
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]

LABELS = {"press-01": {"kind": "press", "line": "3"}, "press-02": {"kind": "press", "line": "4"}, "saw-01": {}}


@pytest.fixture(scope="module")
def plant(served):
    """A site with three devices, two of them presses, and a release."""
    served.ready()
    served.images("1.0.0")
    made: list[ScriptedDevice] = []
    with served.client() as client:
        client.create_site("hamburg", "Hamburg press shop", "Europe/Berlin")
        for name, labels in LABELS.items():
            device = ScriptedDevice(served, client.create_join("hamburg", d.JoinTokenCreate(auto_approve=True, labels=labels)).line, name)
            assert device.enrol() == "approved"
            device.start()
            made.append(device)
        client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=served.compose("1.0.0")))
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


def remove_all(served) -> Any:
    with served.client() as client:
        for one in client.deployments(state="standing"):
            client.withdraw(one.id, one.revision, "")
        for one in client.groups():
            client.remove_group(one.id, one.revision)


def test_from_no_group_to_a_deployment_to_one(mara, plant):
    remove_all(plant)
    page = mara.page
    mara.goto("/groups")
    expect(page.get_by_role("heading", name="No group yet")).to_be_visible()
    mara.look("40-groups-none")
    page.get_by_label("Short name").fill("presses")
    page.get_by_label("Title").fill("All presses")
    page.get_by_label("Devices with these labels").fill("kind=")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text("not understood")
    assert page.get_by_label("Title").input_value() == "All presses"
    mara.look("41-group-refused")
    page.get_by_label("Devices with these labels").fill("kind=press")
    page.get_by_label("And these devices by name").fill("press-01")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("All presses is a group now.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="press-01")).to_contain_text("It is named, and has the labels")
    expect(page.get_by_role("row").filter(has_text="press-02")).to_contain_text("It has the labels")
    page.get_by_label("Device", exact=True).fill("saw-01")
    page.get_by_role("button", name="Put it in").click()
    expect(page.get_by_role("row").filter(has_text="saw-01")).to_contain_text("It is named")
    mara.look("42-group")
    page.get_by_role("link", name="Deploy to it").click()
    page.get_by_role("link", name="press-monitor 1.0.0").click()
    expect(page.get_by_label("Every device of a group")).to_be_checked()
    expect(page.get_by_label("Group", exact=True)).to_have_value("presses")
    page.get_by_label(re.compile("LINE_NAME")).fill("Line 3")
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.get_by_role("button", name="Deploy it")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="saw-01")).to_be_visible()
    mara.look("43-deploy-to-group")
    page.get_by_role("button", name="Deploy it").click()
    expect(page.get_by_role("heading", name="Rollout")).to_be_visible()
    mara.look("44-deployed-to-group")
    page.get_by_role("link", name="presses").click()
    expect(page.get_by_role("link", name="press-monitor")).to_be_visible()
    page.get_by_text("Remove presses").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"deployment press-monitor(-\d)? is for it"))
    mara.look("45-group-still-needed")
    page.get_by_role("button", name="Take off the list: saw-01").click()
    expect(page.get_by_role("row").filter(has_text="saw-01")).to_have_count(0)


def test_seen_on_the_fleet_and_the_device_and_guarded_where_roles_are_given(mara, plant):
    remove_all(plant)
    page = mara.page
    with plant.client() as client:
        made = client.create_group(plant_group())
        client.create_group(plant_group("saws", "Saws", ""))
        device = client.device("press-01").summary.id
    plant.plane.db.update(lambda tx: access.bind(tx, Binding("bnd_press", "usr_else", "site-operator", Part("group", made.id))))
    try:
        mara.goto("/?group=presses")
        expect(page.get_by_label("Group", exact=True)).to_have_value("presses")
        expect(page.get_by_role("row").filter(has_text="press-02")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="saw-01")).to_have_count(0)
        mara.look("46-fleet-of-a-group")
        mara.goto(f"/devices/{device}")
        mara.look("46a-device-with-access")
        page.get_by_role("link", name="Who may do what here").click()
        expect(page.get_by_text("device:press-01")).to_be_visible()
        mara.goto(f"/devices/{device}")
        page.get_by_role("link", name="All presses").click()
        expect(page.get_by_text("Roles are given on this group")).to_be_visible()
        mara.look("47-group-with-roles")
        mara.goto("/groups")
        expect(page.get_by_role("row").filter(has_text="All presses")).to_contain_text("Given on it")
        mara.look("48-groups")
        mara.goto("/groups/presses")
        page.get_by_text("Remove presses").click()
        page.get_by_role("button", name="Remove it").click()
        expect(page.get_by_role("alert")).to_contain_text("role site-operator is given on it")
    finally:
        plant.plane.db.update(lambda tx: access.unbind(tx, "bnd_press"))


def plant_group(name="presses", title="All presses", selector="kind=press"):
    return g.GroupCreate(name=name, title=title, selector=selector)
