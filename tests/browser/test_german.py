"""The pages in German: the switch at the foot, every page at both widths without an English phrase of ours left on it, clocks of viewer and site."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from penstock.apiv1.devices import JoinTokenCreate
from penstock.server.web import render
from penstock.server.web.phrases import flat
from penstock.wire.log import DriftItem
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.front.served import PASSWORD, ScriptedDevice, until
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]

GERMAN = render.catalogue("de")
# Everything a person can read or hear: texts, and the names of things without a text.
READ = """() => {
  const found = new Set(), hidden = "script,style,svg,pre,code,textarea,datalist,[lang=en] [lang=en]";
  for (const el of document.querySelectorAll("body, body *")) {
    if (el.closest(hidden)) continue;
    for (const name of ["title", "placeholder", "aria-label", "alt", "data-label"]) if (el.getAttribute(name)) found.add(el.getAttribute(name));
    for (const node of el.childNodes) if (node.nodeType === 3 && node.data.trim()) { found.add(node.data); found.add(el.textContent); }
  }
  found.add(document.title);
  return [...found];
}"""


def left_over(viewer: Viewer) -> list[str]:
    """English sentences of ours that stand on a page."""
    assert viewer.page.locator("html").get_attribute("lang") == "de"
    texts = {flat(text) for text in viewer.page.evaluate(READ)}
    return sorted(text for text in texts if GERMAN.say(text) != text)


def choose_german(viewer: Viewer) -> None:
    viewer.page.get_by_role("button", name="Deutsch").click()
    expect(viewer.page.get_by_role("button", name="English")).to_be_visible()


def sign_in(viewer: Viewer) -> None:
    viewer.goto("/login")
    viewer.page.get_by_label("Name").fill("mara")
    viewer.page.get_by_label("Passwort").fill(PASSWORD)
    viewer.page.get_by_role("button", name="Anmelden").click()
    viewer.page.wait_for_url(re.compile(r"/$"))


def test_1_set_up_and_an_empty_fleet(viewer, served):
    page = viewer.page
    viewer.goto("/setup")
    expect(page.get_by_role("heading", name="Set up this control plane")).to_be_visible()
    choose_german(viewer)
    expect(page.get_by_role("heading", name="Diese Leitstelle einrichten")).to_be_visible()
    assert not left_over(viewer)
    viewer.look("de-setup")
    page.get_by_label("Einmal-Token").fill(served.setup_token)
    page.get_by_label("Name zum Anmelden").fill("mara")
    page.get_by_label("Passwort").fill("short")
    page.get_by_role("button", name="Administrator anlegen").click()
    expect(page.get_by_role("alert")).to_contain_text("Passwort")
    assert not left_over(viewer)
    page.get_by_label("Einmal-Token").fill(served.setup_token)
    page.get_by_label("Passwort").fill(PASSWORD)
    page.get_by_role("button", name="Administrator anlegen").click()
    expect(page.get_by_role("status").filter(has_text="Willkommen, mara.")).to_be_visible()
    for path in (
        "/",
        "/join",
        "/apps",
        "/publish",
        "/deploy",
        "/deployments",
        "/sites",
        "/groups",
        "/history",
        "/settings",
        "/account",
        "/devices/dev_nobody",
        "/no/such/page",
    ):
        viewer.goto(path)
        assert not left_over(viewer), path
    with served.http("") as http:
        served.token = http.post("/api/v1/login", json={"name": "mara", "password": PASSWORD}).json()["token"]


@pytest.fixture(scope="module")
def fleet(served):
    """A device whose update failed, one in the waiting room, a deployment, a command, a refused Compose file's worth of words."""
    found: dict[str, Any] = {}
    served.images("1.0.0", "2.0.0")
    with served.client() as client, served.http() as http:
        client.create_site("lisbon", title="Lisboa", time_zone="Europe/Lisbon")
        line = client.create_join("lisbon", JoinTokenCreate(uses=5, auto_approve=True)).line
        waits = client.create_join("lisbon", JoinTokenCreate(uses=5)).line
        device = ScriptedDevice(served, line, "press-01")
        assert device.enrol() == "approved"
        device.start()
        other = ScriptedDevice(served, waits, "press-02")
        assert other.enrol() == "waiting"
        for version in ("1.0.0", "2.0.0"):
            body = {"app": "press-monitor", "version": version, "compose": served.compose(version), "note": ""}
            assert http.post("/api/v1/releases", json=body).status_code == 201
        wanted = {"name": "presses", "release": "press-monitor:1.0.0", "target": {"devices": [device.device]}, "values": {"LINE_NAME": "3"}, "secrets": {}}
        missing = http.post("/api/v1/deployments", json=wanted)
        if missing.status_code != 201:
            names = [one["name"] for one in http.get("/api/v1/releases/press-monitor:1.0.0").json()["parameters"] if one["secret"]]
            missing = http.post("/api/v1/deployments", json={**wanted, "secrets": dict.fromkeys(names, "hidden")})
        assert missing.status_code == 201, missing.text
        found["deployment"] = missing.json()["id"]
        until(lambda: device.poll() and device.desired.apps, "the device is told")
        device.observe("soaked", "version 1.0.0 was healthy for 60 s", back="1.0.0")
        device.receipt("soaked", "version 1.0.0 was healthy for 60 s")
        drift = (DriftItem("web", "environment.LOG_LEVEL", "info", "debug", "reported only, as the deployment says"),)
        why = "not healthy within 60 s: service web: its health check fails: HTTP 500; going back to version 1.0.0"
        device.observe("failed", why, version="1.0.0", target="2.0.0", back="1.0.0", drift=drift, health="unhealthy")
        device.receipt("failed-reverted", why, kind="update", before="0.9.0")
        device.observe_device("the agent's storage cannot be written: disk full. What runs goes on; nothing is changed until that is mended")
        made = http.post(f"/api/v1/devices/{device.device}/commands", json={"verb": "refresh"})
        assert made.status_code == 201, made.text
        until(lambda: device.poll() and device.commands, "the command arrives")
        device.answer("done", "the plane is asked at once, and the engine is looked at")
        found["command"] = made.json()["id"]
    found["device"] = device
    yield found
    device.http.close()
    other.http.close()


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_2_every_page(chromium, served, fleet, size, scheme):
    viewer = Viewer(chromium, served, size, scheme)
    try:
        viewer.goto("/login")
        choose_german(viewer)
        assert not left_over(viewer)
        viewer.look("de-login")
        sign_in(viewer)
        own = f"/devices/{fleet['device'].device}"
        paths: tuple[str, ...] = (
            "/",
            "/join",
            "/apps",
            "/apps/press-monitor",
            "/apps/press-monitor/2.0.0",
            "/publish",
            "/deploy",
            "/deploy?release=press-monitor:2.0.0",
        )
        paths += ("/deployments", "/deployments?state=withdrawn", f"/deployments/{fleet['deployment']}", f"/deploy?deployment={fleet['deployment']}")
        paths += (own, f"{own}/timeline", f"{own}/commands", f"{own}/commands/{fleet['command']}", f"{own}/settings", "/sites", "/history", "/settings")
        for path in paths:
            viewer.goto(path)
            name = path.replace(fleet["device"].device, "one").replace(fleet["deployment"], "one").replace(fleet["command"], "one")
            viewer.look("de" + re.sub(r"[^a-z0-9]+", "-", name))
            assert not left_over(viewer), path
    finally:
        viewer.close()


def test_3_what_is_answered(viewer, served, fleet):
    page = viewer.page
    viewer.goto("/login")
    choose_german(viewer)
    sign_in(viewer)
    viewer.goto("/publish")
    page.get_by_label("App (freiwillig)", exact=True).fill("press-monitor")
    page.get_by_label("Version").fill("3.0.0")
    page.get_by_label("Ihr Text").fill("services:\n  web:\n    image: web:1\n    attach: true\n    ports:\n      - 99999:80\n")
    page.get_by_role("button", name="Veröffentlichen").click()
    expect(page.get_by_text("Zeile 4")).to_be_visible()
    assert not left_over(viewer)
    viewer.look("de-compose-refused")
    viewer.goto(f"/deploy?deployment={fleet['deployment']}")
    page.get_by_role("button", name="Vorschau der Änderungen").click()
    expect(page.get_by_role("heading", name="Was sich ändern würde")).to_be_visible()
    assert not left_over(viewer)
    viewer.look("de-deploy-preview")
    viewer.goto("/join")
    page.get_by_role("button", name="Beitrittszeile anlegen").click()
    expect(page.get_by_role("heading", name="Auf dem Gerät einfügen")).to_be_visible()
    page.get_by_role("button", name="Kopieren").click()
    expect(page.get_by_role("button", name="Kopiert")).to_be_visible()
    assert not left_over(viewer)
    page.get_by_role("button", name="Gleich: freigeben").click()
    expect(page.get_by_text("press-02 ist aufgenommen")).to_be_visible()
    assert not left_over(viewer)


def test_4_clocks(viewer, served, fleet):
    viewer.goto("/login")
    choose_german(viewer)
    sign_in(viewer)
    viewer.goto(f"/devices/{fleet['device'].device}/timeline")
    first = viewer.page.locator("time").first
    # The viewer is in Berlin, the site in Lisbon, an hour behind all year.
    shown = re.fullmatch(r".*?(\d\d):\d\d:\d\d\s\((?:\w\w\., )?(\d\d):\d\d in Lisboa\)", first.inner_text())  # the day too in the hour that it is another
    assert shown, first.inner_text()
    assert (int(shown[1]) - int(shown[2])) % 24 == 1
    first.hover()
    assert re.search(r"\d{4} um .*\(.* in Lisboa\)", first.get_attribute("title") or "")
    viewer.goto("/sites/lisbon")
    done = viewer.page.get_by_role("region", name="Was hier getan wurde").locator("time").first
    expect(done).to_contain_text(re.compile(r"\d\d:\d\d in Lisboa\)"))
    viewer.goto("/history")
    assert "Lisboa" not in viewer.page.locator("time").first.inner_text()
    viewer.goto("/")
    assert re.search(r"vor \d+ (Sek|Min)|jetzt", viewer.page.locator("#devices time").first.inner_text())
    viewer.page.get_by_role("button", name="English").click()
    expect(viewer.page.get_by_role("heading", name="Fleet")).to_be_visible()
    assert re.search(r"\d+ (sec|min)|now", viewer.page.locator("#devices time").first.inner_text())
