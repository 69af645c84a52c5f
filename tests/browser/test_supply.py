"""Images from elsewhere, finding what runs, templates: seen at both widths, in both schemes, and used."""

from __future__ import annotations

import json

import pytest

from penstock.apiv1 import apps as a
from penstock.cli.publishing import published
from penstock.server.actions import finding, inventory, mirrors, upstreams
from penstock.server.core.attached import fallback_tag
from penstock.server.effects.upstream import UNREACHABLE, UpstreamFault
from penstock.server.effects.upstream_memory import MemoryUpstream
from tests.attaching import attach, cosigned, listing, spdx
from tests.browser.conftest import DESK, PHONE, Viewer
from tests.needs import needs
from tests.server.planes import ADMIN
from tests.server.pushing import push, small_image

pytestmark = [needs("chromium"), pytest.mark.browser]

OSV = {
    "id": "DEBIAN-CVE-2030-1",
    "upstream": ["CVE-2030-1"],
    "summary": "A crafted certificate makes the server read past its end.",
    "affected": [
        {
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.11-1~deb12u2"}]}],
        }
    ],
}
CATALOGUE = {
    "version": "2",
    "templates": [
        {"type": 1, "title": "Redis", "description": "Open-source in-memory data structure store", "image": "redis:latest", "ports": ["6379/tcp"]},
        {
            "type": 1,
            "title": "PostgreSQL",
            "description": "The most advanced open-source database",
            "image": "postgres:16",
            "env": [{"name": "POSTGRES_PASSWORD", "label": "Superuser password"}],
        },
        {"type": 2, "title": "Agents", "description": "for a Swarm"},
        {"type": 3, "title": "Inner", "stackFile": "services:\n  a: {image: a, cap_dropp: [x]}\n"},
        {"type": 3, "title": "Shop", "repository": {"url": "https://git.example/shop", "stackfile": "docker-compose.yml"}},
    ],
}


@pytest.fixture(scope="module")
def upstream(served):
    """Two registries in memory, three copies: one as it was, one moved, one that cannot be asked; one that failed."""
    served.ready()
    plane = served.plane
    if plane.upstream is not None:
        plane.upstream.stop()
    found = plane.upstream = MemoryUpstream()
    for host in ("ghcr.io", "docker.io", "registry.example:5000"):
        upstreams.set_upstream(plane, ADMIN, host=host, user="robot" if host == "ghcr.io" else "", password="x" if host == "ghcr.io" else None)
    names = ("ghcr.io/plant/historian:2", "docker.io/library/redis:7", "registry.example:5000/line/vision:1")
    for name in names:
        image = small_image(name, ("linux/amd64", "linux/arm64"))
        found.put(name, dict(image.blobs), image.index or b"")
    redis = found.tags[names[1]]
    signature = cosigned(b"sig")
    found.put(f"docker.io/library/redis:{fallback_tag(redis)}.sig", signature[1], signature[0])
    found.put(f"docker.io/library/redis:{fallback_tag(redis)}", {}, listing(b"never pushed"))
    with served.client() as client:
        text = "services:\n" + "".join(f"  s{at}:\n    image: {name.removeprefix('docker.io/library/')}\n" for at, name in enumerate(names))
        published(lambda: client.publish(a.Publish(app="mixed", version="1.0.0", compose=text)), "publishing")
    moved = small_image("moved", ("linux/amd64",))
    found.put(names[0], dict(moved.blobs), moved.index or moved.variants[0].manifest)
    found.faults["registry.example:5000"] = UpstreamFault(UNREACHABLE, "dial tcp 10.0.0.9:5000: connect: no route to host")
    upstreams.test_upstream(plane, ADMIN, host="registry.example:5000")
    upstreams.test_upstream(plane, ADMIN, host="ghcr.io")
    mirrors.check(plane, ADMIN)
    return found


@pytest.fixture(scope="module")
def indexed(served, upstream):
    plane = served.plane
    digest = push(plane.blobs, "press/web", small_image("web", ("linux/amd64",)), "1")
    attach(plane.blobs, "press/web", digest, spdx("pkg:deb/debian/libssl3@3.0.11-1~deb12u1?distro=debian-12&upstream=openssl", "pkg:pypi/flask@2.2"))
    attach(plane.blobs, "press/web", digest, b"sig", "application/vnd.dev.cosign.simplesigning.v1+json")
    with served.client() as client:
        client.publish(a.Publish(app="press", version="1.0.0", compose="services: {web: {image: press/web:1}}\n"))
    inventory.index(plane)
    finding.import_list(plane, ADMIN, source="debian", kind="osv", text=json.dumps(OSV))


@pytest.fixture(params=[(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def mara(chromium, served, request):
    viewer = Viewer(chromium, served, *request.param)
    viewer.sign_in()
    yield viewer
    viewer.close()


def test_mirrors(mara, upstream):
    mara.goto("/mirrors")
    page = mara.page
    assert page.get_by_text("The tag moved").is_visible()
    assert page.get_by_text("no route to host").first.is_visible()
    assert page.get_by_text("mixed 1.0.0").first.is_visible()
    assert page.get_by_text("1 document attached to it came along").is_visible()
    assert page.get_by_text("Not all that is attached to it there is here").is_visible()
    mara.look("mirrors")
    page.get_by_role("button", name="Look again at docker.io/library/redis:7").click()
    assert page.get_by_text("all are as they were copied").is_visible()
    mara.goto("/faults")
    assert page.get_by_text("ghcr.io/plant/historian:2: Tag moved").is_visible()
    assert page.get_by_text("which is pinned by mixed 1.0.0").is_visible()
    mara.look("faults-tag-moved")


def test_find(mara, indexed):
    mara.goto("/find?kind=cve&text=CVE-2030-1")
    page = mara.page
    assert page.get_by_text("Releases that have it and run nowhere: press 1.0.0").is_visible()
    mara.look("find")
    mara.goto("/apps/press/1.0.0")
    assert page.get_by_text("Packages, SPDX").is_visible()
    assert page.get_by_text("Kept and shown, not verified").is_visible()
    mara.look("release-attached")


def test_templates(mara, tmp_path):
    file = tmp_path / "templates.json"
    file.write_text(json.dumps(CATALOGUE))
    mara.goto("/templates")
    page = mara.page
    page.set_input_files("input[name=file]", str(file))
    page.get_by_role("button", name="Import").click()
    assert page.get_by_text("It is a Swarm stack").is_visible()
    assert page.get_by_text("Needs changes").first.is_visible()
    assert page.get_by_text("docker-compose.yml in https://git.example/shop", exact=True).is_visible()
    mara.look("templates")
    stack = tmp_path / "any-name.yml"
    stack.write_text("services:\n  web: {image: shop:1}\n")
    page.get_by_label("Shop", exact=True).set_input_files(str(stack))
    page.get_by_role("button", name="Import these").click()
    assert page.get_by_role("link", name="Publish shop").is_visible()
    assert page.get_by_text("Compose files that lie elsewhere").count() == 0
    mara.goto("/templates")
    page.get_by_role("link", name="Publish redis").click()
    assert 'image: "redis:latest"' in page.locator("#f-compose").input_value()


def test_publishing_waits_for_copies_by_itself(mara, upstream):
    image = small_image("late", ("linux/amd64",))
    upstream.put("ghcr.io/plant/late:1", dict(image.blobs), image.variants[0].manifest)
    mara.goto("/publish")
    page = mara.page
    page.get_by_label("App").fill(f"late-{mara.size[0]}")
    page.get_by_label("Version").fill("1.0.0")
    page.locator("#f-compose").fill(f"services:\n  a:\n    image: ghcr.io/plant/late:1\n    environment: {{WIDTH: '{mara.size[0]}'}}\n")
    page.get_by_role("button", name="Publish", exact=True).click()
    page.wait_for_url("**/apps/late-*/1.0.0", timeout=20_000)
