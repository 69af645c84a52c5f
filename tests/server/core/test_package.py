"""What a package says of itself, which of its files mean what, and the template they make; and what a package may not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.server.core import package
from penstock.server.core.compose import ComposeError
from penstock.server.core.release import _to_json

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "line-monitor"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def example() -> dict[str, bytes]:
    """The files of the example of docs/packages.md."""
    return {path.relative_to(EXAMPLE).as_posix(): path.read_bytes() for path in sorted(EXAMPLE.rglob("*")) if path.is_file()}


def both(*asked, **more):
    """A package and its common template."""
    found = package.read(*asked, **more)
    return found.package, found.common


def refused(files: dict[str, bytes], **more) -> str:
    with pytest.raises(ComposeError) as caught:
        package.read(files, **more)
    assert all(fault.why and fault.remedy for fault in caught.value.faults)
    return str(caught.value)


def test_the_example():
    said, template = both(example())
    assert said == package.Package(
        name="line-monitor",
        title="Line monitor",
        vendor="Example Works GmbH",
        version="1.4.0",
        homepage="https://works.example/line-monitor",
        readme="README.md",
        notes="NOTES.md",
        licence="LICENSE",
        icon="icon.svg",
        entries=("compose.yaml",),
    )
    services = {one["name"]: one for one in template.services}
    assert set(services) == {"broker", "collector", "dashboard"}
    assert services["collector"]["environment"]["SAMPLE_MS"] == "250"
    assert services["collector"]["depends_on"] == [{"service": "broker"}]
    assert services["dashboard"]["depends_on"] == [{"service": "collector"}]
    assert services["dashboard"]["probes"][0]["port"] == 8080
    assert {item.name: item.default for item in template.parameters} == {
        "BROKER_PASSWORD": None,
        "DASHBOARD_PORT": "8080",
        "LINE": "press",
        "MAX_CONNECTIONS": "100",
    }
    assert template.settings.volumes == {"history": "snapshot"}
    assert template.settings.deadline_s == 120


def test_both_ways_of_saying_a_thing_mean_the_same():
    files = example()
    _, other = both(files)
    moved = files | {
        "penstock.yaml": b"name: line-monitor\nversion: 1.4.0\norder: [broker, collector, dashboard]\nsecrets: [BROKER_PASSWORD]\n",
        "compose.yaml": files["compose.yaml"]
        + b"x-penstock:\n  probes: {dashboard: [{http: {port: 8080, path: /healthz}, interval: 10s, retries: 3}]}\n  soak: 60s\n  deadline: 2m\n  volumes: {history: snapshot}\n",
    }
    _, made = both(moved)
    assert _to_json(made.services, places=False) == _to_json(other.services, places=False)
    assert (made.volumes, made.settings) == (other.volumes, other.settings)


def test_what_is_said_twice_and_differently_is_refused():
    files = example()
    text = refused(files | {"compose.yaml": files["compose.yaml"] + b"x-penstock: {soak: 5s}\n"})
    assert text.startswith("compose.yaml, line ")
    assert "x-penstock.soak: is said in penstock.yaml, line" in text


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"nam: x", "penstock.yaml, line 1, column 1: nam: `nam` is no key of penstock.yaml; did you mean `name`?"),
        (b"name: x\nname: y", "penstock.yaml, line 2, column 1: the key 'name' stands twice"),
        (b"title: [a]", "must be one value, is a list"),
        (b"title: " + b"x" * 300, "must be one line of at most 200 characters"),
        (b"homepage: javascript:alert(1)", "is no address of a page"),
        (b"homepage: 'file:///etc/passwd'", "is no address of a page"),
        (b"files: [../x.yaml]", "leads out of the package"),
        (b"files: [gone.yaml]", "there is no file 'gone.yaml' in the package"),
        (b"profiles: [none]", "no service has the profile 'none'"),
        (b"order: [broker, gone]", "penstock.yaml, line 1, column 17: order: there is no service 'gone'"),
        (b"order: [dashboard, broker, collector]\nsecrets: [BROKER_PASSWORD]\nhealth: {gone: []}", "there is no service 'gone' in this file"),
        (b"services: {}", "describe services in compose.yaml"),
        (b"- a", "penstock.yaml, line 1, column 1: the file holds no mapping; a penstock.yaml has at least `name` and `version`"),
        (b"a: &a [*a]", "stands inside what it names"),
    ],
)
def test_a_manifest_that_cannot_be(manifest, why):
    assert why in refused(example() | {"penstock.yaml": manifest})


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("icon.svg", b"<svg xmlns='x'><script>alert(1)</script></svg>", "holds a script"),
        ("icon.svg", b"<svg onload = 'x()'></svg>", "holds a script"),
        ("icon.svg", b"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>", "is no SVG"),
        ("icon.svg", b"<svg><!ENTITY a 'b'></svg>", "holds a script"),
        ("icon.svg", b"<svg><a href='https://x'/></svg>", "holds a script"),
        ("icon.svg", b"<svg><foreignObject/></svg>", "holds a script"),
        ("icon.svg", b"<html></html>", "is no SVG"),
        ("icon.svg", b"\xff", "is not UTF-8"),
        ("icon.svg", b"<svg>" + b" " * 300_000 + b"</svg>", "more than the 262144 allowed"),
        ("README.md", b"\xff\xfe", "the file is not UTF-8"),
        ("NOTES.md", b"x" * (package.MAX_TEXT + 1), "more than the 1048576 allowed"),
    ],
)
def test_files_for_people_that_cannot_be(name, content, why):
    text = refused(example() | {name: content})
    assert why in text
    assert name in text


def test_icons_that_can_be():
    assert package.icon_fault("icon.png", PNG) == ""
    assert package.icon_fault("icon.png", b"GIF89a") == "the icon is no PNG"
    assert package.icon_fault("icon.svg", b"<?xml version='1.0'?>\n<!-- made by hand -->\n<svg><use href='#a'/></svg>") == ""


def test_a_package_without_a_compose_file():
    assert "there is no Compose file in the package" in refused({"README.md": b"x", "penstock.yaml": b"name: x"})


def test_an_override_file_is_laid_over_as_compose_does():
    files = {"docker-compose.yml": b"services: {a: {image: x}}", "docker-compose.override.yml": b"services: {a: {environment: {A: '1'}}}"}
    said, template = both(files)
    assert said.entries == ("docker-compose.yml", "docker-compose.override.yml")
    assert template.services[0]["environment"] == {"A": "1"}
