"""`build:` read for a machine that builds, and the file with `image:` in its place."""

from __future__ import annotations

import pytest
import yaml

from penstock.server.core import compose
from penstock.server.core.compose import ALONE, ComposeError
from penstock.server.core.compose.building import name_of, plan

FILE = """\
# a comment stays
services:
  web:
    build: ./web   # here
    ports: ["80:80"]
  api:
    build:
      context: api
      dockerfile: Dockerfile.edge
      args:
        LEVEL: "3"
        PRICE: 5$$
      target: run
      platforms: [linux/amd64, linux/arm64]

    # before the next
    restart: always
  both:
    image: something/else:1
    build: {context: both, args: [A=b=c]}
  plain:
    image: x/plain:1
"""


def planned_of(files, entries=(ALONE,), profiles=(), version="1.2"):
    return plan({path: text.encode() for path, text in files.items()}, entries, profiles, "shop", version, "plane.example:8443")


def planned(text):
    builds, changed = planned_of({ALONE: text})
    return builds, changed[ALONE].decode() if changed else text


def test_what_is_built_and_what_is_published():
    builds, text = planned(FILE)
    assert [(b.service, b.context, b.dockerfile, b.args, b.target, b.platforms) for b in builds] == [
        ("web", "./web", "", (), "", ()),
        ("api", "api", "Dockerfile.edge", (("LEVEL", "3"), ("PRICE", "5$")), "run", ("linux/amd64", "linux/arm64")),
        ("both", "both", "", (("A", "b=c"),), "", ()),
    ]
    assert builds[0].image == "plane.example:8443/shop/web:1.2"
    services = yaml.safe_load(text)["services"]
    assert {name: service["image"] for name, service in services.items()} == {
        "web": "plane.example:8443/shop/web:1.2",
        "api": "plane.example:8443/shop/api:1.2",
        "both": "plane.example:8443/shop/both:1.2",
        "plain": "x/plain:1",
    }
    assert not any("build" in service for service in services.values())
    assert services["web"]["ports"] == ["80:80"]
    assert services["api"]["restart"] == "always"
    for kept in ("# a comment stays", "# here", "# before the next"):
        assert kept in text
    compose.read(text.encode())


def test_a_file_without_builds_is_as_it_was():
    text = "services: {a: {image: b:1}}\n"
    assert planned(text) == ((), text)


@pytest.mark.parametrize(
    ("build", "said", "line"),
    [
        ("{context: ., cache_from: [x]}", "`cache_from` is not supported in a build", 3),
        ("https://git.example/x.git", "not a folder beside the file", 3),
        ("[a]", "must be a folder or a mapping", 3),
        ('"${WHERE}"', "no parameter may stand in a build", 3),
        ("{context: ., args: [NAME]}", "has no value", 3),
        ("{context: ., args: 7}", "must be a mapping or a list", 3),
        ("{context: ., platforms: [arm64]}", "is no platform", 3),
        ("{context: [a]}", "must be one value", 3),
    ],
)
def test_what_is_refused_names_its_line(build, said, line):
    with pytest.raises(ComposeError, match=said) as refused:
        planned(f"services:\n  web:\n    build: {build}\n")
    assert refused.value.faults[0].line == line


def test_a_build_that_is_taken_over_is_refused():
    with pytest.raises(ComposeError, match="comes from an anchor"):
        planned("x-base: &base\n  build: .\nservices:\n  web:\n    <<: *base\n")
    with pytest.raises(ComposeError, match="comes from an anchor"):
        planned("services:\n  a: &a\n    build: .\n  b: *a\n")


def test_a_version_that_cannot_be_a_tag():
    with pytest.raises(ComposeError, match="cannot be a tag"):
        planned_of({ALONE: FILE}, version="1.0+x")


def test_files_laid_over_each_other_are_changed_each_where_it_says_build():
    files = {
        "deploy/base.yaml": "services:\n  web: {build: ../web}\n  tool: {build: ../tool, profiles: [tools]}\n",
        "deploy/over.yaml": "services:\n  web: {restart: always}\n  api: {build: api}\n",
        "web/Dockerfile": "FROM x\n",
    }
    entries = ("deploy/base.yaml", "deploy/over.yaml")
    builds, changed = planned_of(files, entries)
    assert [(one.service, one.context) for one in builds] == [("web", "deploy/../web"), ("api", "deploy/api")]
    assert set(changed) == set(entries)
    assert b"build" not in changed["deploy/base.yaml"].replace(b"x-built", b"")
    assert [one.service for one in planned_of(files, entries, ("tools",))[0]] == ["web", "tool", "api"]


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("services: {web: {build: b}}", "it is built in a.yaml already"),
        ("services: {web: {image: 'x:1'}}", "it is built in a.yaml, which gives it its image"),
        ("services: {api: {extends: {file: c.yaml, service: c}}}", "it comes from a file that is included or extended"),
        ("include: [c.yaml]", "it comes from a file that is included or extended"),
    ],
)
def test_a_build_of_several_files_that_has_no_one_place_is_refused_by_file(over, said):
    files = {"a.yaml": "services: {web: {build: a}}", "b.yaml": over, "c.yaml": "services: {c: {build: c}}"}
    with pytest.raises(ComposeError, match=said) as refused:
        planned_of(files, ("a.yaml", "b.yaml"))
    assert refused.value.faults[0].file in ("b.yaml", "c.yaml")


def test_the_name_is_that_of_the_last_file_that_says_one():
    assert name_of({"a.yaml": b"name: one", "b.yaml": b"name: two", "c.yaml": b"services: {}"}, ("a.yaml", "b.yaml", "c.yaml")) == "two"
    assert name_of({ALONE: b"services: {}"}, (ALONE,)) == ""


PODMAN = (("podman", "compose.podman.yaml"),)


def in_parts(over, text=FILE, **more):
    files = {ALONE: text.encode(), "compose.podman.yaml": over.encode()}
    return plan(files, (ALONE,), (), "shop", "1.2", "plane.example:8443", PODMAN, **more)


def test_a_part_builds_images_of_its_own():
    builds, changed = in_parts("services:\n  web:\n    build: {context: web, target: podman}\n  extra:\n    build: extra\n  api: {image: x/api:1}\n")
    assert [(one.service, one.context, one.image.removeprefix("plane.example:8443/")) for one in builds] == [
        ("web", "./web", "shop/web:1.2"),
        ("api", "api", "shop/api:1.2"),
        ("both", "both", "shop/both:1.2"),
        ("web", "web", "shop/web/podman:1.2"),
        ("extra", "extra", "shop/extra/podman:1.2"),
    ]
    services = yaml.safe_load(changed["compose.podman.yaml"])["services"]
    assert services["web"]["image"].endswith("/shop/web/podman:1.2")
    assert services["api"]["image"] == "x/api:1"
    assert yaml.safe_load(changed[ALONE])["services"]["web"]["image"].endswith("/shop/web:1.2")


def test_a_part_that_builds_half_is_refused_with_its_place():
    with pytest.raises(ComposeError) as caught:
        in_parts("services:\n  web:\n    build:\n      target: podman\n")
    (fault,) = caught.value.faults
    assert (fault.file, fault.line) == ("compose.podman.yaml", 3)
    assert "it is built in compose.yaml already" in fault.why


def test_a_part_may_take_a_build_away():
    builds, changed = in_parts("services:\n  web:\n    build: !reset null\n    image: x/web:9\n", "services:\n  web:\n    build: ./web\n")
    assert [one.image for one in builds] == ["plane.example:8443/shop/web:1.2"]
    assert "compose.podman.yaml" not in changed
