"""From set-up to a running app, a failure and the way back, in a real browser, with a scripted device on the real device API."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from penstock.apiv1.devices import DeviceChange
from penstock.wire.log import CommandOutcome, DriftItem
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.front.served import PASSWORD, ScriptedDevice, until
from tests.needs import needs

pytestmark = [needs("chromium"), pytest.mark.browser]

SOON = 15_000  # the longest a live page may take to follow, in ms; generous, since machines are busy


@pytest.fixture(scope="module")
def story():
    """What one test leaves for the next: the device and the ids met on the way. The tests of this file are chapters, in order."""
    found: dict[str, Any] = {}
    yield found
    if "device" in found:
        found["device"].http.close()


@pytest.fixture
def device(story):
    return story["device"]


@pytest.fixture
def mara(viewer, story):
    viewer.sign_in()
    return viewer


def test_1_set_up(viewer, served):
    page = viewer.page
    viewer.goto("/")
    expect(page.get_by_role("heading", name="Set up this control plane")).to_be_visible()
    viewer.look("01-setup")
    page.get_by_label("One-time set-up token").fill(served.setup_token)
    page.get_by_label("Your name for signing in").fill("mara")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Make administrator").click()
    expect(page.get_by_role("alert")).to_contain_text("password")
    assert page.get_by_label("Your name for signing in").input_value() == "mara"
    page.get_by_label("One-time set-up token").fill(served.setup_token)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make administrator").click()
    expect(page.get_by_role("heading", name="From here to a running app")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Welcome, mara.")).to_be_visible()
    viewer.look("02-first-run")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.get_by_label("Name").fill("mara")
    page.get_by_label("Password").fill("not this one at all")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    viewer.look("03-login-refused")
    with served.http("") as http:
        made = http.post("/api/v1/login", json={"name": "mara", "password": PASSWORD})
    served.token = made.json()["token"]


def test_2_a_device_arrives_and_is_compared(mara, served, story):
    page = mara.page
    page.get_by_role("link", name="Name a site").click()
    page.get_by_label("Short name").fill("hamburg")
    page.get_by_label("Title").fill("Hamburg press shop")
    page.get_by_label("Time zone").first.fill("Europe/Berlin")
    page.get_by_role("button", name="Name it").click()
    expect(page.get_by_text("Hamburg press shop is a site now.")).to_be_visible()
    page.get_by_label("Labels it gets").fill("kind=press, line=3")
    page.get_by_role("button", name="Make join line").click()
    expect(page.get_by_role("heading", name="Paste this on the device")).to_be_visible()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    line = page.evaluate("navigator.clipboard.readText()")
    assert line.startswith("sudo penstock-agent enroll ")
    mara.look("04-join-line")
    device = story["device"] = ScriptedDevice(served, line, "press-01")
    assert device.enrol() == "waiting"
    expect(page.get_by_role("heading", name="press-01")).to_be_visible(timeout=SOON)
    expect(page.locator(".print")).to_have_text(device.fingerprint)
    expect(page.get_by_role("heading", name="Paste this on the device")).to_be_visible()
    mara.look("05-waiting-room")
    page.get_by_role("button", name="The same: approve").click()
    expect(page.get_by_text("press-01 is let in as")).to_be_visible()
    assert device.enrol() == "approved"
    device.start()
    page.get_by_role("link", name="Fleet").click()
    page.get_by_role("link", name="press-01").first.click()
    expect(page.get_by_role("heading", name="Nothing is deployed here")).to_be_visible()
    mara.look("06-device-idle")


def test_3_faults_by_line_then_published(mara, served):
    served.images("1.0.0", "2.0.0")
    page = mara.page
    mara.goto("/publish")
    page.get_by_label("App (optional)", exact=True).fill("press-monitor")
    page.get_by_label("Version").fill("1.0.0")
    page.get_by_label("Its text").fill("services:\n  web:\n    image: web:1\n    attach: true\n    ports:\n      - 99999:80\n")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Line 4")).to_be_visible()
    expect(page.get_by_text("attach: true").first).to_be_visible()
    assert page.get_by_label("App (optional)", exact=True).input_value() == "press-monitor"
    mara.look("07-compose-refused")
    page.get_by_label("Compose file").set_input_files({"name": "compose.yaml", "mimeType": "text/yaml", "buffer": served.compose("1.0.0").encode()})
    expect(page.get_by_label("Its text")).to_have_value(served.compose("1.0.0"))
    near = served.compose("1.0.0").replace(
        "    environment:", "    network_mode: host\n    cap_add: [SYS_ADMIN]\n    volumes: ['/var/run:/host/run:ro', '/srv:/srv']\n    environment:"
    )
    page.get_by_label("Its text").fill(near)
    page.get_by_role("button", name="Check only").click()
    expect(page.get_by_text("What this release may do to the device")).to_be_visible()
    expect(page.get_by_text("web is in the device's own network")).to_be_visible()
    mara.look("07-hazards")
    mara.resize(PHONE)
    mara.look("07-hazards")
    mara.resize(DESK)
    page.get_by_label("Its text").fill(served.compose("1.0.0"))
    page.get_by_role("button", name="Check only").click()
    expect(page.get_by_text(re.compile("It can be published"))).to_be_visible()
    expect(page.get_by_text("What this release may do to the device")).to_have_count(0)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="press-monitor 1.0.0")).to_be_visible()
    mara.look("08-release")


def test_4_previewed_deployed_watched(mara, device, story):
    page = mara.page
    mara.goto("/apps/press-monitor/1.0.0")
    page.get_by_role("link", name="Deploy", exact=True).click()
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.get_by_role("alert")).to_contain_text("No device is chosen")
    page.get_by_label(re.compile("press-01")).check()
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.get_by_text("Fill in LINE_NAME above.")).to_be_visible()
    expect(page.get_by_role("button", name="Deploy it")).to_have_count(0)
    page.get_by_label(re.compile("LINE_NAME")).fill("Line 3")
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.get_by_role("button", name="Deploy it")).to_be_visible()
    assert page.get_by_label(re.compile("LINE_NAME")).input_value() == "Line 3"
    mara.look("09-deploy-preview")
    page.get_by_role("button", name="Deploy it").click()
    expect(page.get_by_role("heading", name="Rollout")).to_be_visible()
    story["deployment"] = page.url.split("/")[-1]
    until(lambda: device.poll() and device.desired.apps, "the device is told")
    device.observe("claimed", "both services were started")
    expect(page.get_by_text("Claimed")).to_be_visible(timeout=SOON)
    mara.look("10-deployment-claimed")
    mara.goto(f"/devices/{device.device}")
    expect(page.locator("li[aria-current=step]")).to_have_text("Confirmed")
    device.observe("confirmed", "healthy for 35 of 60 seconds")
    expect(page.locator("li[aria-current=step]")).to_have_text("Soaked", timeout=SOON)
    mara.look("11-device-soaking")
    device.observe("soaked", "healthy for 60 seconds", back="1.0.0")
    device.receipt("soaked", "healthy for 60 seconds")
    expect(page.get_by_text("Healthy for 60 seconds.").first).to_be_visible(timeout=SOON)
    mara.goto(f"/deployments/{story['deployment']}")
    expect(page.get_by_text("1 of 1 done")).to_be_visible(timeout=SOON)


def test_5_logs_arrive_on_the_open_page(mara, device):
    page = mara.page
    mara.goto(f"/devices/{device.device}")
    page.get_by_role("link", name="Logs of web").click()
    page.get_by_role("button", name="Fetch now").click()
    expect(page.get_by_text("Signed and waiting for the device")).to_be_visible()
    until(lambda: device.poll() and device.commands, "the command arrives")
    device.answer("done", "2 lines", "listening on :8080\nconnected to the line\n")
    expect(page.get_by_label("Output")).to_contain_text("connected to the line", timeout=SOON)
    page.get_by_label("Search in these lines").fill("line")
    expect(page.locator("#log-said")).to_contain_text("line")
    page.get_by_label("Only lines that match").check()
    expect(page.get_by_label("Output")).to_have_text("connected to the line")
    page.get_by_label("Search in these lines").fill("")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.path().read_text() == "listening on :8080\nconnected to the line\n"
    mara.look("12-logs")


def test_5b_followed_lines_are_put_together(mara, device):
    page = mara.page
    mara.goto(f"/devices/{device.device}/logs?app=press-monitor&service=web")
    expect(page.get_by_label("Output")).to_contain_text("connected to the line")
    page.get_by_role("button", name="Follow").click()
    until(lambda: device.poll() and device.commands, "the device is asked again")
    device.answer("done", "2 lines", "connected to the line\nstarted shift 2\n")
    expect(page.get_by_label("Output")).to_have_text("listening on :8080\nconnected to the line\nstarted shift 2", timeout=SOON)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Follow")).to_be_visible()


def test_5c_what_services_use(mara, device):
    page = mara.page
    mara.goto(f"/devices/{device.device}")
    page.get_by_role("button", name="Measure now").click()
    expect(page.get_by_text("Asked; waiting for the device")).to_be_visible()
    until(lambda: device.poll() and len(device.commands) == 2, "both services are asked")
    for command, permille in zip(tuple(device.commands), (375, 20), strict=True):
        text = f'{{"cpu_permille":{permille},"memory_bytes":52428800,"processes":3}}'
        device.say("command-outcome", CommandOutcome(command.id, command.verb, "done", "done", text))
    expect(page.get_by_text("37.5 %")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("52.4 MB").first).to_be_visible()
    mara.look("12-resources")


def test_6_a_release_fails_and_the_device_goes_back(mara, served, device, story):
    page = mara.page
    with served.http() as http:
        body = {"app": "press-monitor", "version": "2.0.0", "compose": served.compose("2.0.0")}
        assert http.post("/api/v1/releases", json=body).status_code == 201
        release = http.get("/api/v1/releases/press-monitor:2.0.0").json()["id"]
    mara.goto(f"/deployments/{story['deployment']}")
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Release").select_option(release)
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.get_by_role("row", name=re.compile("press-01.*Update.*web"))).to_be_visible()
    mara.look("13-upgrade-preview")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_text("press-monitor 2.0.0 is ordered.")).to_be_visible()
    until(lambda: device.poll() and device.desired.apps[0].version == "2.0.0", "the device is told")
    mara.goto(f"/devices/{device.device}")
    device.observe("reverting", "web was unhealthy for 120 seconds", health="unhealthy", back="1.0.0")
    expect(page.locator("li.fail")).to_have_text("Going back", timeout=SOON)
    drift = (DriftItem("web", "environment.LOG_LEVEL", "info", "debug", "reported"),)
    device.observe(
        "failed", "web was unhealthy for 120 seconds; gone back to 1.0.0, its volume restored", version="1.0.0", target="2.0.0", back="1.0.0", drift=drift
    )
    device.receipt("failed-reverted", "web was unhealthy for 120 seconds; gone back to 1.0.0, its volume restored", kind="update", before="1.0.0")
    expect(page.get_by_text("environment.LOG_LEVEL")).to_be_visible(timeout=SOON)
    mara.look("14-device-went-back")
    page.get_by_role("link", name="Whole timeline").click()
    expect(page.get_by_text("Update of press-monitor 1.0.0 to 2.0.0: failed-reverted").first).to_be_visible()
    page.get_by_role("link", name="Changes", exact=True).click()
    mara.look("15-timeline")
    mara.goto("/")
    expect(page.get_by_role("heading", name="Needs a person")).to_be_visible()
    mara.look("16-fleet")


def test_7_labels_conflicts_and_what_was_typed(mara, served, device):
    page = mara.page
    mara.goto(f"/devices/{device.device}/settings")
    with served.client() as client:
        client.change_device(device.device, client.device(device.device).summary.revision, DeviceChange(labels={"kind": "mill"}))
    page.get_by_role("textbox", name="Labels").fill("kind=press, line=4")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("changed meanwhile")
    assert page.get_by_role("textbox", name="Labels").input_value() == "kind=press, line=4"
    mara.look("17-somebody-else-changed-it")
    mara.goto(f"/devices/{device.device}/settings")
    page.get_by_role("textbox", name="Labels").fill("kind=press, line=4")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_8_keyboard_and_filters(mara):
    page = mara.page
    mara.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("nothing-like-this")
    expect(page.get_by_text("No device matches.")).to_be_visible(timeout=SOON)
    expect(page).to_have_url(re.compile("q=nothing-like-this"))
    mara.goto("/?q=line%3D4")
    expect(page.get_by_role("link", name="press-01").last).to_be_visible()
    mara.goto("/")
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.textContent")
    assert first == "press-01"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Sites", exact=True)).to_be_visible()
    mara.goto("/?show=failing")
    expect(page.locator("#devices").get_by_role("link", name="press-01")).to_be_visible()


def test_8b_views_and_labels_with_undo(mara, device):
    page = mara.page
    mara.goto("/?q=line%3D4")
    page.get_by_text("Save as a view").click()
    page.get_by_label("Name of the view").fill("Line 4")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Line 4")).to_have_attribute("aria-current", "page")
    mara.look("18-view")
    page.get_by_role("button", name="Remove this view").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="Line 4")).to_be_visible()
    mara.goto(f"/devices/{device.device}")
    page.get_by_text("Edit labels").click()
    page.get_by_label("Labels").fill("kind=press, line=9")
    page.get_by_role("button", name="Save labels").click()
    expect(page.locator(".chip", has_text="line=9")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".chip", has_text="line=4")).to_be_visible()


def test_8c_a_site_on_the_map(mara):
    page = mara.page
    mara.goto("/sites/hamburg")
    page.get_by_label("Latitude").fill("53.55")
    page.get_by_label("Longitude").fill("9,99")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("53.5500, 9.9900")).to_be_visible()
    mara.goto("/sites")
    page.get_by_role("group", name="Map of the sites").first.get_by_role("link", name="Hamburg press shop").click()
    expect(page.get_by_role("heading", name="Hamburg press shop")).to_be_visible()
    mara.look("19-site")


PAGES = (
    "/",
    "/join",
    "/apps",
    "/apps/press-monitor",
    "/apps/press-monitor/2.0.0",
    "/publish",
    "/deploy",
    "/deploy?release=press-monitor:2.0.0",
    "/deployments",
    "/sites",
    "/sites/hamburg",
    "/compare",
    "/compare?kind=sites&a=hamburg&b=hamburg&all=yes",
    "/history",
    "/settings",
    "/account",
)


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "dark"), (PHONE, "light")], ids=["desk-dark", "phone-light"])
def test_9_every_page_at_every_width(chromium, served, device, story, size, scheme):
    viewer = Viewer(chromium, served, size, scheme)
    try:
        viewer.goto("/login")
        viewer.look("login")
        viewer.sign_in()
        own = f"/devices/{device.device}"
        for path in (
            *PAGES,
            own,
            f"{own}/timeline",
            f"{own}/logs",
            f"{own}/commands",
            f"{own}/settings",
            f"/deployments/{story['deployment']}",
            "/devices/dev_nobody",
        ):
            viewer.goto(path)
            viewer.look("all" + re.sub(r"[^a-z0-9]+", "-", path.replace(device.device, "one").replace(story["deployment"], "one")))
    finally:
        viewer.close()
