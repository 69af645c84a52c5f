"""A package in a real browser, at desk and phone width: uploaded, refused by file and line, published, read, compared; its icon runs nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FilePayload, expect

from penstock.apiv1 import apps as a
from penstock.apiv1.archives import pack
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.needs import needs
from tests.server.actions.test_publishing import images
from tests.server.core.test_package import example

pytestmark = [needs("chromium"), pytest.mark.browser]


def packed(version: str, files: dict[str, bytes]) -> bytes:
    manifest = files["penstock.yaml"].replace(b"version: 1.4.0", f"version: {version}".encode())
    return pack({**files, "penstock.yaml": manifest})


def upload(content: bytes) -> FilePayload:
    return {"name": "line-monitor.tar", "mimeType": "application/x-tar", "buffer": content}


@pytest.fixture(scope="module")
def vendor(served):
    served.ready()
    images(served.plane)
    with served.client() as client:
        client.publish(a.Publish(archive=pack(example())))
    return served


@pytest.fixture(params=[(DESK, "light", "1.5.0"), (PHONE, "dark", "1.6.0")], ids=["desk", "phone"])
def mara(request, chromium, vendor):
    found = Viewer(chromium, vendor, *request.param[:2])
    found.sign_in()
    yield found, request.param[2]
    found.close()
    assert not found.faults


def test_from_the_archive_to_what_it_changes(mara):
    viewer, version = mara
    page, files = viewer.page, example()
    viewer.goto("/publish")
    viewer.look("publish-package")
    page.get_by_label("Archive").set_input_files(upload(packed(version, {**files, "broker/compose.yaml": b"services:\n  broker:\n    imagee: x\n"})))
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#outcome")).to_contain_text("The package is refused")
    expect(page.locator("#outcome")).to_contain_text("broker/compose.yaml · Line 3, column 5")
    viewer.look("publish-package-refused")
    files["compose.yaml"] = files["compose.yaml"].replace(b"collector:1.4.0", b"collector:1.5.0").replace(b"${LINE:-press}", b"${LINE:-paint}")
    page.get_by_label("Archive").set_input_files(upload(packed(version, files)))
    page.get_by_role("button", name="Check only").click()
    expect(page.locator("#outcome")).to_contain_text(f"It can be published as line-monitor {version}.")
    page.get_by_role("button", name="Publish", exact=True).click()
    page.wait_for_url(re.compile(f"/apps/line-monitor/{version}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Line monitor {version}")
    expect(page.get_by_role("heading", name="About it")).to_be_visible()
    viewer.look("release-package")
    icon = page.locator("img.app-icon").first
    assert icon.evaluate("one => one.complete && one.naturalWidth > 0"), "the icon is drawn"
    page.get_by_role("link", name="What it changes").click()
    page.get_by_label("From release").select_option("1.4.0")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("main")).to_contain_text("Restarts: collector.")
    viewer.look("release-changes")
    viewer.goto("/apps")
    viewer.look("apps-package")
    viewer.goto("/apps/line-monitor")
    viewer.look("app-package")
