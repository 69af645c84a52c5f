"""Where images come from, through the real command: built by buildah and pushed, copied by skopeo from a real registry, searched, imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from penstock.cli.building import build_line, chosen, push_line
from penstock.cli.common import Usage
from penstock.cli.supply import _parts
from tests.attaching import attach, spdx
from tests.front.served import Served
from tests.needs import needs
from tests.server.pushing import small_image
from tests.upstreams import PASSWORD, USER, other_registry

DOCKERFILE = 'FROM scratch AS base\nARG WORD=none\nCOPY hello /hello\nLABEL word=$WORD\nFROM base AS run\nCMD ["/hello"]\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    found = Served(tmp_path_factory.mktemp("plane"))
    found.ready()
    yield found
    found.stop()


@pytest.fixture
def penstock(served, tmp_path):
    """Runs the command; its exit code, what it printed, and what it said beside."""
    ca = tmp_path / "ca.pem"
    ca.write_text(served.ca)
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/graph"\n')
    own = {
        "PENSTOCK_URL": served.url,
        "PENSTOCK_TOKEN": served.token,
        "PENSTOCK_CA": str(ca),
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    own |= {"CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot", "COLUMNS": "900", "NO_PROXY": "127.0.0.1"}

    def run(*words: str, given: str = "", code: int = 0) -> str:
        line = [sys.executable, "-m", "penstock.cli.main", *words]
        done = subprocess.run(line, input=given, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **own})
        assert done.returncode == code, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


@needs("buildah", "root")
def test_a_build_is_pushed_and_pinned(served, penstock, tmp_path):
    folder = tmp_path / "app"
    (folder / "web").mkdir(parents=True)
    (folder / "web" / "hello").write_text("hello")
    (folder / "web" / "Dockerfile").write_text(DOCKERFILE)
    file = folder / "compose.yaml"
    file.write_text("services:\n  web:\n    build: {context: web, target: run, args: {WORD: said}}\n")
    assert "penstock release publish --build" in penstock("release", "publish", str(file), "--app", "built", "--version", "1", code=1)
    said = penstock("release", "publish", str(file), "--app", "built", "--version", "1", "--build", "--builder", "buildah")
    assert "built 1 is published, 1 image pinned" in said
    found = json.loads(penstock("release", "show", "built:1", "--json"))
    assert found["images"][0]["name"] == f"{served.host}/built/web:1"
    assert f'image: "{served.host}/built/web:1"' in found["compose"]
    manifest = json.loads(served.plane.blobs.manifest("built/web", "1").raw)
    config = json.loads(served.plane.blobs.read(manifest["config"]["digest"], 0, 100_000))
    assert (config["config"]["Cmd"], config["config"]["Labels"]["word"]) == (["/hello"], "said")
    (folder / "penstock.yaml").write_text("name: built\nversion: 1-package\n")
    assert "built 1-package is published, 1 image pinned" in penstock("release", "publish", str(folder), "--build", "--builder", "buildah")
    assert f'image: "{served.host}/built/web:1-package"' in json.loads(penstock("release", "show", "built:1-package", "--json"))["compose"]
    (folder / "penstock.yaml").unlink()
    file.write_text("services:\n  web:\n    build: ..\n")
    assert "lies outside of" in penstock("release", "publish", str(file), "--app", "built", "--version", "2", "--build", code=2)
    (folder / "web" / "Dockerfile").write_text("FROM scratch\nCOPY nothing /nothing\n")
    file.write_text("services:\n  web:\n    build: web\n")
    assert "Nothing is published" in penstock("release", "publish", str(file), "--app", "built", "--version", "2", "--build", "--builder", "buildah", code=2)
    penstock("release", "show", "built:2", code=5)


@needs("skopeo", "docker-registry")
def test_images_from_elsewhere(served, penstock, tmp_path):
    with other_registry(tmp_path / "other", tls=True, password=True) as other:
        digest = other.push("x/web", small_image("one", ("linux/amd64", "linux/arm64")), "2")
        file = tmp_path / "compose.yaml"
        file.write_text(f"services:\n  web:\n    image: {other.host}/x/web:2\n")
        publish = ("release", "publish", str(file), "--app", "copied", "--version")
        assert f"penstock upstream set {other.host}" in penstock(*publish, "1", code=1)
        (tmp_path / "other.pem").write_text(other.ca)
        penstock("upstream", "set", other.host, "--user", USER, "--password-stdin", "--ca", str(tmp_path / "other.pem"), given="wrong\n")
        assert "invalid username/password" in penstock("upstream", "test", other.host, code=6)
        said = penstock("upstream", "set", other.host, "--user", USER, "--password-stdin", "--ca", str(tmp_path / "other.pem"), given=f"{PASSWORD}\n")
        assert PASSWORD not in said
        assert "answers" in penstock("upstream", "test", other.host)
        listed = penstock("upstream", "list", "--json")
        assert PASSWORD not in listed
        assert json.loads(listed)[0]["password"] is True
        assert "Publishing copies here first" in penstock("release", "check", str(file), "--app", "copied")
        said = penstock(*publish, "1")
        assert f"Copied here first: {other.host}/x/web:2" in said
        assert "copied 1 is published" in said
        assert json.loads(penstock("release", "show", "copied:1", "--json"))["images"][0]["digest"] == digest
        assert "As it was copied" in penstock("mirror", "check")
        moved = other.push("x/web", small_image("two", ("linux/amd64", "linux/arm64")), "2")
        told = penstock("mirror", "check", code=6)
        assert f"Moved from {digest} to {moved}" in told
        assert "copied 1 pins the old one; publish a new release to take it" in told
        penstock(*publish, "2")
        assert json.loads(penstock("release", "show", "copied:2", "--json"))["images"][0]["digest"] == moved
    assert "Cannot be asked since" in penstock("mirror", "check", code=6)
    assert "Cannot be asked since" in penstock("mirror", "list")
    host = other.host
    penstock("mirror", "forget", f"{host}/x/web:2")
    penstock("upstream", "remove", host)
    assert "None: nothing is copied" in penstock("upstream", "list")


def test_finding_and_lists(served, penstock, tmp_path):
    from penstock.server.actions import inventory
    from tests.server.pushing import push

    web = push(served.plane.blobs, "found/web", small_image("found"), "1")
    attach(served.plane.blobs, "found/web", web, spdx("pkg:pypi/flask@2.2"))
    file = tmp_path / "compose.yaml"
    file.write_text("services: {web: {image: found/web:1}}\n")
    penstock("release", "publish", str(file), "--app", "found", "--version", "1")
    inventory.index(served.plane)
    assert "packages (SPDX), 1 package" in penstock("release", "show", "found:1")
    said = penstock("find", "--package", "flask <2.3")
    assert "Releases that have it and run nowhere: found 1" in said
    entry = {
        "id": "PYSEC-1",
        "aliases": ["CVE-2030-1"],
        "affected": [{"package": {"ecosystem": "PyPI", "name": "Flask"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.3"}]}]}],
    }
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number in range(30):
            archive.writestr(
                f"{number}.json", json.dumps({**entry, "id": f"PYSEC-{number}", "details": "x" * 90_000, "aliases": ["CVE-2030-1"] if number == 1 else []})
            )
    assert len(list(_parts(tmp_path / "all.zip"))) == 3
    assert "30 entries taken in" in penstock("vulnerability", "import", str(tmp_path / "all.zip"), "--name", "pypi")
    found = json.loads(penstock("find", "--cve", "CVE-2030-1", "--json"))
    assert [(one["version"], one["found"]["fixed"]) for one in found["places"]] == [("1", "2.3")]
    assert json.loads(penstock("vulnerability", "list", "--json"))[0]["entries"] == 30
    assert "30 entries are gone" in penstock("vulnerability", "remove", "pypi")
    penstock("find", code=2)


@pytest.mark.parametrize("version", ["2", "3"])
def test_templates(penstock, tmp_path, version):
    catalogue = tmp_path / "templates.json"
    listed = [
        {"type": 1, "title": "Redis", "image": "redis:latest", "note": "mind the door"},
        {"type": 2, "title": "Swarm"},
        {"type": 3, "title": "Inner", "stackFile": "services:\n  a: {image: a, cap_dropp: [x]}\n"},
        {"type": 3, "title": "Shop", "repository": {"url": "https://git.example/shop", "stackfile": "compose.yml"}},
    ]
    catalogue.write_text(json.dumps({"version": version, "templates": listed}))
    said = penstock("app", "import-templates", str(catalogue))
    assert "2 of 4 templates stand in the app list" in said
    assert "can be published" in said
    assert "needs changes: line 2, column 17: services.a.cap_dropp" in " ".join(said.split())
    (tmp_path / "compose.yml").write_text("services:\n  web: {image: shop}\n")
    again = json.loads(penstock("app", "import-templates", str(catalogue), "--stack", f"shop=@{tmp_path / 'compose.yml'}", "--json"))
    assert [line["did"] for line in again["lines"]] == ["same", "refused", "same", "new"]
    assert [bool(line["needs"]) for line in again["lines"]] == [False, False, True, False]
    assert {one["app"]: bool(one["needs"]) for one in json.loads(penstock("app", "templates", "--json"))} == {"redis": False, "inner": True, "shop": False}
    assert "redis" in penstock("app", "list")
    assert 'image: "redis:latest"' in penstock("app", "template", "redis")
    for app in ("redis", "inner", "shop"):
        penstock("app", "remove-template", app)
    penstock("app", "template", "redis", code=5)


# --- lines ----------------------------------------------------------------------------------------------------------------


def test_command_lines(tmp_path):
    from penstock.apiv1.apps import Build

    (tmp_path / "Containerfile").write_text("FROM scratch\n")
    one = Build(service="a", context=".", dockerfile="", args={"A": "b"}, target="t", platforms=("linux/arm64",), image="h/a/a:1")
    file = str(tmp_path / "Containerfile")
    assert build_line("docker", one, tmp_path) == [
        "docker",
        "build",
        "--file",
        file,
        "--platform",
        "linux/arm64",
        "--tag",
        "h/a/a:1",
        "--build-arg",
        "A=b",
        "--target",
        "t",
        str(tmp_path),
    ]
    two = Build(service="a", context=".", dockerfile="", args={}, target="", platforms=("linux/arm64", "linux/amd64"), image="h/a/a:1")
    assert "--manifest" in build_line("podman", two, tmp_path)
    assert push_line("podman", two, Path("/x/config.json"), Path("/x/certs"))[:4] == ["podman", "manifest", "push", "--all"]
    with pytest.raises(Usage, match="docker builds one platform"):
        build_line("docker", two, tmp_path)
    with pytest.raises(Usage, match="is no builder"):
        chosen("make")
