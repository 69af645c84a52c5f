"""A package over the whole way: command line, API, pages; and what a vendor writes does nothing on a page but stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from penstock.apiv1 import apps as a
from penstock.apiv1.archives import pack
from penstock.cli.main import run
from penstock.client import ClientError
from tests.apiv1.test_archives import as_tar, as_zip
from tests.front.browsing import Browser
from tests.front.served import PASSWORD
from tests.server.actions.test_publishing import images
from tests.server.core.test_package import EXAMPLE, example


@pytest.fixture(scope="module")
def plane(served):
    served.ready()
    images(served.plane)
    return served


@pytest.fixture
def browser(plane):
    found = Browser(plane)
    found.sign_in()
    return found


@pytest.fixture
def said(plane, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PENSTOCK_PASSWORD", PASSWORD)
    (tmp_path / "ca.pem").write_text(plane.ca)
    assert run(["login", plane.url, "--user", "mara", "--ca", str(tmp_path / "ca.pem")]) == 0
    capsys.readouterr()

    def told(*words: str, code: int = 0) -> str:
        ended = run(["release", *words])
        printed = capsys.readouterr()
        assert ended == code, printed
        return re.sub(r"\s+", " ", printed.out + printed.err)

    return told


def test_on_the_command_line(said, tmp_path):
    assert "It can be published as line-monitor 1.4.0: " in said("check", str(EXAMPLE))
    assert "line-monitor 1.4.0 is published, 3 images pinned" in said("publish", str(EXAMPLE))
    first = json.loads(said("show", "line-monitor:1.4.0", "--json"))["digest"]
    for name, content in (("p.tar.gz", as_tar(example(), "w:gz", when=5)), ("p.zip", as_zip(example(), top="line-monitor/")), ("p.tar", pack(example()))):
        (tmp_path / name).write_bytes(content)
        assert json.loads(said("publish", str(tmp_path / name), "--json"))["digest"] == first
    assert "Example Works GmbH" in said("show", "line-monitor:1.4.0")
    assert "broker/compose.yaml" in said("files", "line-monitor:1.4.0")
    said("export", "line-monitor:1.4.0", str(tmp_path / "back"))
    assert {path.relative_to(tmp_path / "back").as_posix(): path.read_bytes() for path in (tmp_path / "back").rglob("*") if path.is_file()} == example()
    assert "with something in it" in said("export", "line-monitor:1.4.0", str(tmp_path / "back"), code=2)
    manifest = tmp_path / "back" / "penstock.yaml"
    manifest.write_text(manifest.read_text().replace("version: 1.4.0", "version: 1.5.0"))
    compose = tmp_path / "back" / "compose.yaml"
    compose.write_text(compose.read_text().replace("collector:1.4.0", "collector:1.5.0"))
    said("publish", str(tmp_path / "back"))
    told = said("diff", "line-monitor:1.4.0", "line-monitor:1.5.0")
    assert "Restarts: collector. Volumes touched: history." in told
    assert "~ file compose.yaml" in told
    assert "Nothing changes." in said("diff", "line-monitor:1.4.0", "line-monitor:1.4.0")
    assert "Name two releases" in said("diff", "line-monitor:1.4.0", code=2)
    text = compose.read_text().replace("    env_file: collector.env\n", "    imagee: x\n")
    line = text[: text.index("    imagee")].count("\n") + 1
    compose.write_text(text)
    assert f"compose.yaml, line {line}, column 5: services.collector.imagee" in said("publish", str(tmp_path / "back"), code=1)
    (tmp_path / "back" / "link").symlink_to("/etc/passwd")
    assert "is a link; a package has plain files only" in said("publish", str(tmp_path / "back"), code=2)


def test_overlays_of_plain_files(said, tmp_path, monkeypatch):
    (tmp_path / "base.yaml").write_text("services: {a: {image: line-monitor/broker:2.0}}")
    (tmp_path / "over.yaml").write_text("services:\n  a:\n    environment: {A: x}\n    bad: 1\n")
    words = ("publish", str(tmp_path / "base.yaml"), "-f", str(tmp_path / "over.yaml"), "--app", "plain", "--version", "1")
    assert "over.yaml, line 4, column 5: services.a.bad" in said(*words, code=1)
    (tmp_path / "over.yaml").write_text("services: {a: {environment: {A: x}}}")
    said(*words)
    assert "over.yaml" in said("files", "plain:1")


def test_over_the_api(plane):
    with plane.client() as client:
        for given, code in (
            ({}, "compose-or-archive"),
            ({"compose": "x: y", "archive": b"x"}, "compose-or-archive"),
            ({"archive": b"no archive"}, "archive-refused"),
        ):
            with pytest.raises(ClientError) as caught:
                client.publish(a.Publish(**given))
            assert caught.value.problem.code == code
        found = client.check(a.Check(archive=as_zip(example())))
        assert (found.name, found.version, found.faults) == ("line-monitor", "1.4.0", ())
        files = {"README.md": b"", "compose.yaml": b"services:\n  a: {image: [1]}\n"}
        faults = client.check(a.Check(archive=pack(files))).faults
        assert {(one.file, one.line) for one in faults} >= {("compose.yaml", 2)}


HOSTILE = b"""# <script>alert(1)</script>

<img src=x onerror="alert(2)"> [x](javascript:alert(3)) ![p](https://elsewhere.example/p.png)

- **bold** item
"""


def test_on_the_pages(plane, browser):
    files = example() | {"README.md": HOSTILE}
    files["penstock.yaml"] = files["penstock.yaml"].replace(b"1.4.0", b"1.6.0").replace(b"title: Line monitor", b"title: '<b>Line</b> monitor'")
    browser.get("/publish")
    headers = {"Sec-Fetch-Site": "same-origin"}
    sent = {"archive": ("p.zip", as_zip(files), "application/zip")}
    done = browser.http.post("/publish", data={"csrf": browser.token(), "do": "check"}, files=sent, headers=headers)
    assert "It can be published as line-monitor 1.6.0." in done.text
    done = browser.http.post("/publish", data={"csrf": browser.token(), "do": "publish"}, files=sent, headers=headers)
    assert (done.status_code, done.headers["location"]) == (303, "/apps/line-monitor/1.6.0")
    page = browser.get("/apps/line-monitor/1.6.0").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<strong>bold</strong> item" in page
    for word in ("<script>alert", "<img src=x", 'href="javascript', "elsewhere.example", "<b>Line"):
        assert word not in page
    icon = browser.get("/apps/line-monitor/1.6.0/icon")
    assert icon.content == files["icon.svg"]
    assert icon.headers["content-type"].startswith("image/svg+xml")
    assert icon.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in icon.headers["content-security-policy"]
    assert "sandbox" in icon.headers["content-security-policy"]
    assert 'src="/apps/line-monitor/1.6.0/icon"' in browser.get("/apps").text
    assert "Example Works GmbH" in browser.get("/apps").text
    with plane.client() as client:
        client.publish(a.Publish(archive=pack({**example(), "penstock.yaml": example()["penstock.yaml"].replace(b"1.4.0", b"1.7.0")})))
    changes = browser.get("/apps/line-monitor/1.7.0/changes?from=1.6.0").text
    assert "No container restarts." in changes
    assert "README.md" in changes
    assert browser.get("/apps/line-monitor/1.7.0/changes?from=9").status_code == 422
    assert browser.get("/apps/line-monitor/1.7.0/changes?device=nobody").status_code == 422


def test_a_fault_on_the_page_names_the_file(browser):
    browser.get("/publish")
    files = example() | {"broker/compose.yaml": b"services:\n  broker:\n    imagee: x\n"}
    answer = browser.http.post(
        "/publish", data={"csrf": browser.token(), "do": "publish"}, files={"archive": ("p.tar", pack(files))}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 422
    assert "The package is refused: " in answer.text
    assert '<span class="mono">broker/compose.yaml</span> · Line 3, column 5' in answer.text


def test_the_document_shows_the_example_as_it_is():
    text = (Path(EXAMPLE).parents[1] / "packages.md").read_text()
    manifest = (EXAMPLE / "penstock.yaml").read_text()
    for line in ("name: line-monitor", "vendor: Example Works GmbH", "order: [broker, collector, dashboard]", "secrets: [BROKER_PASSWORD]"):
        assert line in text
        assert line in manifest
