"""Parts of a release for engines on the command line, over the API and on the pages."""

from __future__ import annotations

import re

import pytest

from penstock.apiv1 import apps as a
from penstock.apiv1.archives import pack
from tests.front.browsing import Browser
from tests.front.test_packages import plane, said  # noqa: F401 - fixtures
from tests.server.core.test_package import example

PODMAN = b"""\
services:
  dashboard:
    environment: {ENGINE: podman}
  echo:
    image: line-monitor/simulator:1.4.0
x-penstock: {keep: 3}
"""


def package(version: str, **more: bytes) -> dict[str, bytes]:
    files = example() | {"compose.podman.yaml": PODMAN, "compose.kubernetes.yaml": b"kept: {as: it is", **more}
    return files | {"penstock.yaml": files["penstock.yaml"].replace(b"1.4.0", version.encode())}


@pytest.fixture
def folder(tmp_path):
    def written(files: dict[str, bytes]) -> str:
        top = tmp_path / "package"
        for path, content in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(content)
        return str(top)

    return written


def test_on_the_command_line(said, folder):  # noqa: F811
    told = said("check", folder(package("2.0.0")))
    for line in (
        "Part for podman, compose.podman.yaml",
        "~ service dashboard environment.ENGINE: (not set) -> podman",
        "+ service echo",
        "~ keep: 2 -> 3",
        "Part for kubernetes, compose.kubernetes.yaml: it is kept with the release and not read: no device runs Kubernetes yet",
    ):
        assert line in told, told
    told = said("publish", folder(package("2.0.0")))
    assert "line-monitor 2.0.0 is published, 4 images pinned" in told
    assert "no device runs Kubernetes yet" in told
    assert "environment.ENGINE: (not set) -> podman" in said("show", "line-monitor:2.0.0")
    assert re.search(r"compose.podman.yaml \d+ \w+ podman", said("files", "line-monitor:2.0.0"))
    said("publish", folder(package("2.1.0", **{"compose.podman.yaml": PODMAN.replace(b"ENGINE: podman", b"ENGINE: Podman")})))
    told = said("diff", "line-monitor:2.0.0", "line-monitor:2.1.0")
    assert "line-monitor 2.0.0 -> 2.1.0 Restarts: none." in told
    assert "line-monitor 2.0.0 -> 2.1.0, on podman Restarts: dashboard." in told
    assert "Restarts: none." not in said("diff", "line-monitor:2.0.0", "line-monitor:2.1.0", "--engine", "podman")
    assert "Engine is 'lxc'" in said("diff", "line-monitor:2.0.0", "line-monitor:2.1.0", "--engine", "lxc", code=1)
    bad = folder(package("2.2.0", **{"compose.podman.yaml": b"services:\n  dashboard:\n    imagee: x\n"}))
    assert "compose.podman.yaml, line 3, column 5: services.dashboard.imagee: For podman: " in said("publish", bad, code=1)


def test_on_the_pages(plane):  # noqa: F811
    browser = Browser(plane)
    browser.sign_in()
    with plane.client() as client:
        made = client.publish(a.Publish(archive=pack(package("3.0.0"))))
        client.publish(a.Publish(archive=pack(package("3.1.0", **{"compose.podman.yaml": PODMAN.replace(b"keep: 3", b"keep: 4")}))))
    assert [(part.engine, part.file, bool(part.note)) for part in made.parts] == [
        ("kubernetes", "compose.kubernetes.yaml", True),
        ("podman", "compose.podman.yaml", False),
    ]
    assert [(one.name, one.kind) for one in made.parts[1].services] == [("dashboard", "changed"), ("echo", "added")]
    page = browser.get("/apps/line-monitor/3.0.0").text
    for text in ("Parts for engines", "environment.ENGINE", "no device runs Kubernetes yet", "For Podman"):
        assert text in page, text
    page = browser.get("/apps/line-monitor/3.1.0/changes?from=3.0.0&engine=podman").text
    assert "Any other engine" in page
    assert '<option value="podman" selected>Podman</option>' in page
    assert "<code>3</code> → <code>4</code>" in page
