"""Browser: local people of a site, moving a device, and retiring one: ordered, taken back, ordered again, wiped; at both widths, in both schemes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from penstock.apiv1.devices import JoinTokenCreate
from penstock.wire.log import CommandOutcome, Event
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.front.served import ScriptedDevice, Served, until

SOON = 10_000


@pytest.fixture(scope="module")
def peopled(served):
    with served.client() as client:
        client.create_site("hamburg", "Hamburg press shop", "Europe/Berlin")
        client.create_site("kiel", "Kiel")
    return served


def a_device(served: Served, name: str) -> ScriptedDevice:
    with served.client() as client:
        made = client.create_join("hamburg", JoinTokenCreate(uses=1, valid_s=3600, auto_approve=True, labels={}))
    device = ScriptedDevice(served, made.line, name)
    assert device.enrol() == "approved"
    device.start()
    device.observe_device()
    return device


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk-light", "phone-dark"])
def test_local_people(chromium, peopled, size, scheme):
    viewer = Viewer(chromium, peopled, size, scheme)
    name = f"Anna Ahrens {size[0]}"
    try:
        viewer.sign_in()
        page = viewer.page
        viewer.goto("/sites/hamburg")
        page.get_by_role("link", name="Local people").click()
        if size == DESK:
            expect(page.get_by_role("heading", name="Nobody yet")).to_be_visible()
            viewer.look("people-nobody")
        page.get_by_label("Name", exact=True).last.fill(name)
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text(f"{name} is on the list.")).to_be_visible()
        if size == DESK:
            expect(page.get_by_text("Nobody on this list has a PIN yet")).to_be_visible()
        page.get_by_label(f"Set PIN of {name}").click()
        row = page.get_by_role("row").filter(has_text=name)
        row.get_by_label("PIN", exact=True).fill("123456")
        row.get_by_label("The same PIN again").fill("123456")
        row.get_by_role("button", name="Set the PIN").click()
        expect(row.get_by_text("the first one that anybody would try")).to_be_visible()
        assert row.get_by_label("PIN", exact=True).input_value() == ""
        viewer.look("people-refused")
        row.get_by_label("PIN", exact=True).fill("271828")
        row.get_by_label("The same PIN again").fill("271829")
        row.get_by_role("button", name="Set the PIN").click()
        expect(row.get_by_text("are not the same")).to_be_visible()
        row.get_by_label("PIN", exact=True).fill("271828")
        row.get_by_label("The same PIN again").fill("271828")
        row.get_by_role("button", name="Set the PIN").click()
        expect(page.get_by_text(f"The PIN of {name} is set")).to_be_visible()
        assert "271828" not in page.content()
        viewer.look("people-listed")
        page.get_by_label(f"Change {name}").click()
        row.get_by_label("Let what was stopped be tried again").uncheck()
        row.get_by_role("button", name="Save").click()
        expect(page.get_by_text(f"{name} is saved")).to_be_visible()
        expect(row.get_by_role("cell").filter(has_text="Let it be tried again")).to_have_count(0)
    finally:
        viewer.close()


def test_move(chromium, peopled):
    viewer = Viewer(chromium, peopled, DESK, "light")
    try:
        with a_device(peopled, "mover"):
            viewer.sign_in()
            page = viewer.page
            viewer.goto("/devices/mover/settings")
            viewer.look("device-leaving")
            page.get_by_text("Move mover").click()
            page.get_by_label("Where it stands now").select_option("kiel")
            viewer.look("device-move")
            page.get_by_role("button", name="Move it").click()
            expect(page.get_by_text("mover stands at kiel now.")).to_be_visible()
    finally:
        viewer.close()


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "dark"), (PHONE, "light")], ids=["desk-dark", "phone-light"])
def test_retire(chromium, peopled, size, scheme):
    viewer = Viewer(chromium, peopled, size, scheme)
    name = f"leaver-{size[0]}"
    try:
        with a_device(peopled, name) as device:
            viewer.sign_in()
            page = viewer.page

            def retire() -> None:
                viewer.goto(f"/devices/{name}/settings")
                page.get_by_text(f"Retire {name}").click()
                page.get_by_label("Apps, data and keys").check()
                page.get_by_label(f"Type {name} to be sure").fill(name)
                page.get_by_label("Why, for the record").last.fill("scrapped")
                viewer.look("device-retire")
                page.get_by_role("button", name="Retire it for good").click()
                expect(page.get_by_text("It is ordered to wipe itself")).to_be_visible()

            retire()
            expect(page.get_by_text("has not heard it yet")).to_be_visible()
            viewer.look("retire-ordered")
            page.get_by_role("button", name="Keep it in the fleet").click()
            expect(page.get_by_text(f"{name} stays in the fleet")).to_be_visible()
            retire()
            with peopled.client() as client:
                ident = until(lambda: [one for one in client.commands(name) if one.verb == "wipe" and one.outcome == "open"], "the order stands")[0].id
            device.say("event", Event("device.retiring", "press will be removed", data={"command": ident}))
            expect(page.get_by_text("It is wiping itself now")).to_be_visible(timeout=SOON)
            viewer.look("retire-heard")
            device.say("command-outcome", CommandOutcome(ident, "wipe", "done", "apps removed: press; volumes removed with their data: press_data"))
            expect(page.get_by_text("Its last word is awaited")).to_be_visible(timeout=SOON)
            device.say("event", Event("device.retired", "its keys are destroyed", data={"command": ident}))
            expect(page.get_by_text("It said last that its keys are destroyed")).to_be_visible(timeout=SOON)
            expect(page.get_by_text(re.compile("press_data")).first).to_be_visible()
            viewer.look("retire-wiped")
    finally:
        viewer.close()
