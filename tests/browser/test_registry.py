"""The registry's pages in a real browser, at desk and phone width: what is in it, what needs it, a tag deleted, a sweep."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from penstock.apiv1 import apps as a
from penstock.server.core.oci import OCI_MANIFEST, read_manifest
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.needs import needs
from tests.server.pushing import push, put_blob, small_image

pytestmark = [needs("chromium"), pytest.mark.browser]


@pytest.fixture(scope="module")
def plant(served):
    """A release that needs two images, an image nobody needs with two tags, one of two platforms, and a list of parts attached to it."""
    served.ready()
    served.images("1.0.0")
    content = served.plane.blobs
    push(content, "press/web", small_image("web loose"), "nightly")
    both = push(content, "tools/probe", small_image("probe", ("linux/amd64", "linux/arm64")), "2.1")
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": put_blob(content, "tools/probe", b"{}"), "size": 2}
    subject = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": both, "size": 3}
    raw = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/spdx+json", "config": empty, "layers": [empty], "subject": subject}
    ).encode()
    content.put_manifest("tools/probe", raw, read_manifest(raw))
    with served.client() as client:
        client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=served.compose("1.0.0")))
    return served


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_looking_deleting_and_sweeping(chromium, plant, size, scheme):
    push(plant.plane.blobs, "press/web", small_image("web loose"), "nightly", "old")
    mara = Viewer(chromium, plant, size, scheme)
    page = mara.page
    mara.sign_in()
    page.get_by_role("link", name="Registry").click()
    expect(page.get_by_role("heading", name="Registry", level=1)).to_be_visible()
    expect(page.get_by_text(f"docker login {plant.host}")).to_be_visible()
    mara.look("registry")
    page.get_by_role("link", name="tools/probe").click()
    expect(page.get_by_text("linux/amd64, linux/arm64")).to_be_visible()
    expect(page.get_by_text("application/spdx+json")).to_be_visible()
    mara.look("registry-attached")
    mara.goto("/registry/repository?name=press/web")
    needed = page.get_by_role("region", name="1.0.0")
    expect(needed.get_by_role("link", name="press-monitor 1.0.0")).to_be_visible()
    expect(needed.get_by_text("Delete this image")).to_have_count(0)
    loose = page.get_by_role("region", name="nightly, old")
    loose.get_by_text("Delete the tag old").click()
    mara.look("registry-repository")
    loose.get_by_role("button", name="Delete the tag").click()
    expect(page.get_by_text("The tag old is deleted from press/web.")).to_be_visible()
    expect(page.get_by_role("heading", name="nightly", exact=True)).to_be_visible()
    mara.goto("/registry")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("A sweep now would free")).to_be_visible()
    mara.look("registry-sweep")
    mara.close()
    assert not mara.faults
