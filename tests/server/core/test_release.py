"""Publishing, the digest and document of a release, filling it in for a device, and what changes from one to the next."""

from __future__ import annotations

import pytest

from penstock.server.actions.images import find
from penstock.server.core import release as releases
from penstock.server.core.compose import ComposeError, read
from penstock.server.core.difference import between_releases, between_states
from penstock.server.core.facts import Site
from penstock.server.core.release import Release
from penstock.server.effects.blobs_memory import MemoryContent
from penstock.wire.codec import decode, encode
from penstock.wire.types import AppState, Port, SecretUse, Volume, content_digest, sha256_of
from tests.server.pushing import push, small_image

FILE = """
services:
  web:
    image: shop/web:${TAG:-1}
    ports: ["${PORT:-8080}:80"]
    environment: {PASSWORD: "${PASSWORD:?the database's}", LEVEL: "${LEVEL:-info}", SITE: "${PENSTOCK_SITE}"}
    volumes: ["data:/data"]
    depends_on: [db]
  db:
    image: shop/db:1
    stop_grace_period: 30s
volumes: {data: {}}
x-penstock: {secrets: [PASSWORD], soak: 30s, volumes: {data: snapshot}}
"""
HERE = Site("press-4", "dev_a", "plant-7")


@pytest.fixture
def content():
    made = MemoryContent()
    push(made, "shop/web", small_image("web 1", ("linux/amd64", "linux/arm64")), "1")
    push(made, "shop/web", small_image("web 2", ("linux/amd64", "linux/arm64")), "2")
    push(made, "shop/db", small_image("db"), "1")
    return made


def publish(content, source=FILE, version="1.0", app="shop", **fixed) -> Release:
    template = read(source, fixed)
    found = {item.name: find(content, item) for item in releases.images_wanted(template, ("plane:8443",))}
    return releases.publish(app, version, template, found, "plane:8443", ("plane:8443",))


def state(release: Release, site=HERE, secret="1", **values) -> AppState:
    return releases.resolve(release, values, {"PASSWORD": secret}, site, deployment="dep_a", release_digest=releases.digest(release))


def test_a_release_pins_its_images(content):
    made = publish(content)
    assert [image.name for image in made.images] == ["shop/db:1", "shop/web:1"]
    assert [variant.platform for variant in made.images[1].variants] == ["linux/amd64", "linux/arm64"]
    assert made.secrets == ("PASSWORD",)
    assert {item.name for item in made.parameters} == {"PORT", "PASSWORD", "LEVEL"}
    # Whoever moves the tag later moves nothing here.
    before = releases.digest(made)
    push(content, "shop/web", small_image("web other"), "1")
    assert releases.digest(releases.load(releases.document(made))) == before
    assert releases.digest(publish(content)) != before


def test_missing_images_are_all_named_with_the_line_to_type(content):
    source = "services:\n  a: {image: nowhere:1}\n  b: {image: 'ghcr.io/x/y:2'}\n  c: {image: 'shop/db:1'}\n"
    with pytest.raises(ComposeError) as caught:
        publish(content, source)
    one, two = caught.value.faults
    assert (one.path, one.line, one.column) == ("services.a.image", 2, 7)
    assert "docker push plane:8443/nowhere:1" in one.remedy
    assert "skopeo copy --all docker://ghcr.io/x/y:2 docker://plane:8443/ghcr.io/x/y:2" in two.remedy


@pytest.mark.parametrize(
    ("source", "app", "version", "why"),
    [
        (FILE, "Shop", "1", "no name for an app"),
        (FILE, "shop", "", "1 to 63 characters"),
        (FILE, "shop", "1/2", "has letters, digits"),
        ("name: other\n" + FILE, "shop", "1", "is published as shop"),
        ("services: {a: {image: 'A:1'}}", "shop", "1", "is no image"),
        ("services: {a: {image: 'shop/db:1', platform: linux/arm64}}", "shop", "1", "has no linux/arm64, it has linux/amd64"),
    ],
)
def test_what_is_not_published(content, source, app, version, why):
    with pytest.raises(ComposeError, match=why):
        publish(content, source, version, app)


def test_a_release_of_one_compose_file_is_named_and_written_as_ever(content):
    """What plants run is named by it: a release that uses nothing new has the digest and the document it had before there were packages."""
    made = publish(content)
    assert releases.digest(made) == "sha256:13db686612d9e930e46bd8fe3397fd7d82dc3420d6a176c19873b6f8bab49d92"
    assert sha256_of(releases.document(made).encode()) == "sha256:7612f9b33f26e4303f69fff6efa64f65400a1280d2f452469798b38226a1f855"


def test_the_digest_is_of_the_meaning_not_of_the_text(content):
    digest = releases.digest(publish(content))
    spaced = FILE.replace("services:", "# a note\n\nservices:   # here").replace("x-penstock", "x-note: 1\nx-penstock")
    assert releases.digest(publish(content, spaced)) == digest
    for change in (("30s}", "31s}"), ("8080", "8081"), ("[db]", "{db: {condition: service_healthy}}"), ("soak: 30s", "soak: 31s")):
        assert change[0] in FILE or change[0] == "30s}"
        other = FILE.replace("30s\nvolumes", "31s\nvolumes") if change[0] == "30s}" else FILE.replace(*change)
        assert releases.digest(publish(content, other)) != digest, change
    assert releases.digest(publish(content, version="1.1")) != digest


def test_filled_in_for_a_device(content):
    made = publish(content)
    found = state(made, PORT="9000")
    web, db = found.services
    assert web.ports == (Port(80, 9000),)
    assert web.environment == {"LEVEL": "info", "SITE": "plant-7"}
    assert web.secret_environment == {"PASSWORD": SecretUse("PASSWORD", "1")}
    assert found.volumes == (Volume("data", policy="snapshot"),)
    assert (found.soak_s, found.deadline_s, found.release, found.deployment) == (30, 120, releases.digest(made), "dep_a")
    assert db.networks == web.networks[:0] + db.networks
    assert decode(AppState, encode(found)) == found
    assert releases.asks_device(made)
    assert content_digest(found) == content_digest(state(made, PORT="9000"))
    assert content_digest(found) != content_digest(state(made, PORT="9000", site=Site("press-4", "dev_a", "other")))
    assert content_digest(found) != content_digest(state(made, PORT="9000", secret="2"))
    assert not releases.asks_device(publish(content, FILE.replace(', SITE: "${PENSTOCK_SITE}"', "")))


@pytest.mark.parametrize(
    ("values", "secrets", "why"),
    [
        ({}, {}, "the secret PASSWORD has no value"),
        ({"PROT": "1"}, {"PASSWORD": "1"}, "no parameter 'PROT'"),
        ({"PASSWORD": "x"}, {"PASSWORD": "1"}, "PASSWORD is a secret"),
        ({}, {"PASSWORD": "1", "LEVEL": "1"}, "LEVEL is no secret"),
        ({"PORT": "http"}, {"PASSWORD": "1"}, "'http' is no port"),
        ({"TAG": "2"}, {"PASSWORD": "1"}, "no parameter 'TAG'"),
    ],
)
def test_values_that_do_not_fit(content, values, secrets, why):
    with pytest.raises(ComposeError, match=why):
        releases.resolve(publish(content), values, secrets, HERE)


def test_values_that_fit_on_no_device_are_refused_before_anything_is_ordered(content):
    made = publish(content)
    releases.check_values(made, {"PORT": "9000"}, {"PASSWORD": ""})
    releases.check_values(made, {}, {})  # what is missing is asked for elsewhere
    with pytest.raises(ComposeError) as refused:
        releases.check_values(made, {"PORT": "http"}, {"PASSWORD": ""})
    (fault,) = refused.value.faults
    assert (fault.path, fault.line > 0) == ("values.PORT", True)
    assert "'http' is no port" in fault.why
    assert "services.web.ports[0]" in fault.why


def test_a_parameter_settled_when_published_stays(content):
    made = publish(content, TAG="2", LEVEL="debug")
    assert made.images[1].name == "shop/web:2"
    assert state(made).services[0].environment["LEVEL"] == "debug"
    with pytest.raises(ComposeError, match="LEVEL was settled"):
        state(made, LEVEL="info")


def test_a_document_of_another_format_is_refused(content):
    text = releases.document(publish(content)).replace('"format":1', '"format":2')
    with pytest.raises(ValueError, match="newer control plane"):
        releases.load(text)


def test_what_changes_on_a_device(content):
    one = state(publish(content))
    nothing = between_states(one, one)
    assert nothing.same
    assert nothing.restarted == ()
    fresh = between_states(None, one)
    assert [(part.name, part.kind, part.restarts) for part in fresh.services] == [("db", "added", True), ("web", "added", True)]
    assert fresh.restarted == ()
    quiet = FILE.replace("stop_grace_period: 30s", "stop_grace_period: 5s")
    change = between_states(one, state(publish(content, quiet)))
    assert [(part.name, part.kind, part.restarts) for part in change.services] == [("db", "changed", False), ("web", "same", False)]
    new = between_states(one, state(publish(content, TAG="2"), LEVEL="debug"), "linux/amd64")
    (web,) = (part for part in new.services if part.restarts)
    assert [(item.field, item.before, item.after) for item in web.changes if item.field != "image"] == [("environment.LEVEL", "info", "debug")]
    assert next(item for item in web.changes if item.field == "image").after.startswith("shop/web:2@sha256:")
    gone = between_states(
        one, state(publish(content, FILE.replace("depends_on: [db]", "").replace("  db:\n    image: shop/db:1\n    stop_grace_period: 30s\n", "")))
    )
    assert gone.restarted == ("db",)
    assert gone.services[0].kind == "removed"


def test_what_changes_between_releases(content):
    one = publish(content)
    assert between_releases(one, publish(content)).same
    two = between_releases(one, publish(content, FILE.replace(":-8080}", ":-9090}").replace("stop_grace_period: 30s", "user: '5'"), "2"))
    assert {part.name: part.kind for part in two.services} == {"db": "changed", "web": "changed"}
    assert two.restarted == ("db", "web")
    (port,) = (part for part in two.parameters if part.kind == "changed")
    assert (port.name, port.changes[0].before, port.changes[0].after) == ("PORT", "8080", "9090")
    moved = publish(content, version="1.1")
    push(content, "shop/web", small_image("web other"), "1")
    renewed = between_releases(moved, publish(content, version="1.2"))
    assert renewed.restarted == ("web",)
