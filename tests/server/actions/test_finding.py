"""Which devices run a digest, a package, what a vulnerability affects: from documents attached to images to devices that say what they run."""

from __future__ import annotations

import json

import pytest

from penstock.server.actions import finding, inventory, releases, repositories
from penstock.server.actions.images import pins
from penstock.server.api.agent import AgentApi
from penstock.server.app import RegistryImages
from penstock.server.core.attached import fallback_tag
from penstock.server.core.errors import Forbidden, Invalid, Missing
from penstock.server.core.oci import read_manifest
from penstock.server.effects.blobs import FileContent
from tests.attaching import attach, cosigned, push_attested, put, spdx
from tests.server.actions.test_main_path import deploy, let_in, soak
from tests.server.people import person
from tests.server.planes import ADMIN, a_release, make_plane, turn
from tests.server.pushing import push, small_image

SSL = "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?distro=debian-12&upstream=openssl"
OSV = {
    "id": "DSA-1",
    "upstream": ["CVE-2024-1"],
    "summary": "leaks",
    "affected": [
        {
            "package": {"ecosystem": "Debian:12", "name": "openssl"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.11-1~deb12u2"}]}],
        }
    ],
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    """Two devices that run shop 1, whose web image has lists of packages; nothing else has one."""
    made = make_plane(tmp_path_factory.mktemp("finding"))
    api = AgentApi(made)
    release = a_release(made, "1")
    web = made.blobs.manifest("shop/web", "1").digest
    attach(made.blobs, "shop/web", web, spdx(SSL, "pkg:pypi/flask@2.2", "pkg:maven/org.x/y@1"))
    attach(made.blobs, "shop/web", web, b"sig", "application/vnd.dev.cosign.simplesigning.v1+json")
    attach(made.blobs, "shop/web", web, b"{not json", "application/vnd.cyclonedx+json")
    assert inventory.index(made) == 2
    assert inventory.index(made) == 0
    devices = [let_in(made, api, name) for name in ("press-1", "press-2")]
    deploy(made, release)
    for device in devices:
        device.poll()
        soak(made, device)
    finding.import_list(made, ADMIN, source="debian", kind="osv", text=json.dumps([OSV]))
    yield made
    api.close()
    made.db.close()


def web(plane):
    return plane.blobs.manifest("shop/web", "1").digest


def test_by_digest(plane):
    found = finding.find(plane, ADMIN, digest=web(plane))
    assert [(hit.name, hit.site, hit.place.app, hit.place.version, hit.place.image) for hit in found.hits] == [
        ("press-1", "plant-1", "shop", "1", "shop/web:1"),
        ("press-2", "plant-1", "shop", "1", "shop/web:1"),
    ]
    assert (found.devices, found.images, found.indexed) == (2, 2, 1)
    layer = read_manifest(plane.blobs.manifest("shop/db", "1").raw).layers[0].digest
    assert {hit.place.image for hit in finding.find(plane, ADMIN, digest=layer).hits} == {"shop/db:1"}
    assert finding.find(plane, ADMIN, digest="sha256:" + "0" * 64).devices == 0


@pytest.mark.parametrize(("package", "many", "unknown"), [("flask", 2, 0), ("Flask <2.3", 2, 0), ("flask <2.2", 0, 0), ("pypi:flask 2.2", 2, 0), ("deb:flask", 0, 0), ("openssl", 2, 0), (SSL, 2, 0), ("maven:org.x:y <2", 0, 2)])  # fmt: skip
def test_by_package(plane, package, many, unknown):
    found = finding.find(plane, ADMIN, package=package)
    assert (found.devices, found.unknown) == (many, unknown)
    if many:
        assert [hit.name for hit in found.hits] == ["press-1", "press-2"]


def test_by_vulnerability(plane):
    for name in ("cve-2024-1", "DSA-1"):
        found = finding.find(plane, ADMIN, cve=name)
        assert found.devices == 2
        match = found.hits[0].place.match
        assert match.package is not None
        assert (match.package.name, match.verdict.fixed, match.vulnerability) == ("libssl3", "3.0.11-1~deb12u2", "DSA-1")
        assert [one.summary for one in found.vulnerabilities] == ["leaks"]
    with pytest.raises(Missing):
        finding.find(plane, ADMIN, cve="CVE-1999-1")


def test_one_question_at_a_time(plane):
    for asked in ({}, {"digest": "sha256:" + "0" * 64, "cve": "x"}, {"digest": "sha256:0"}, {"package": "<3"}):
        with pytest.raises(Invalid):
            finding.find(plane, ADMIN, **asked)


def test_nobody_learns_of_devices_they_may_not_see(plane):
    one = person(plane, "olga", ("viewer", "device:press-1"))
    found = finding.find(plane, one, package="flask")
    assert [hit.name for hit in found.hits] == ["press-1"]
    assert found.devices == 1
    with pytest.raises(Forbidden):
        finding.find(plane, person(plane, "vera", ("publisher", "app:shop")), package="flask")


def test_what_is_attached_is_shown(plane):
    web_, db = sorted(inventory.attachments(plane, ADMIN, release="shop:1"), key=lambda one: one.image != "shop/web:1")
    assert db.attached == ()
    shown = {one.kind: one for one in web_.attached}
    assert set(shown) == {"spdx", "signature", "cyclonedx"}
    assert shown["spdx"].packages == 3
    assert shown["cyclonedx"].why == "it is no JSON"
    assert shown["signature"].packages == -1


def test_attestations_inside_an_index(tmp_path):
    plane = make_plane(tmp_path)
    document = {"predicateType": "https://spdx.dev/Document", "predicate": spdx("pkg:npm/left-pad@1.0.0")}
    push_attested(plane.blobs, "a/b", small_image(), "1", document, {"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}})
    releases.publish(plane, ADMIN, source=b"services: {b: {image: a/b:1}}", app="a", version="1")
    inventory.index(plane)
    (shown,) = inventory.attachments(plane, ADMIN, release="a:1")
    assert [(one.kind, one.packages, one.platform) for one in shown.attached] == [("spdx", 1, "linux/amd64"), ("attestation", -1, "linux/amd64")]
    assert [place.version for place in finding.find(plane, ADMIN, package="left-pad").places] == ["1"]
    plane.db.close()


def test_what_is_attached_stays_while_its_image_does_and_goes_from_the_index_with_it(tmp_path):
    plane = make_plane(tmp_path)
    content = plane.blobs = FileContent(tmp_path / "registry", grace_ms=0, untagged_ms=0)
    plane.images = RegistryImages(content)
    digest = push(content, "a/b", small_image(), "1")
    attach(content, "a/b", digest, spdx("pkg:npm/left-pad@1.0.0"))
    releases.publish(plane, ADMIN, source=b"services: {b: {image: a/b:1}}", app="a", version="1")
    content.delete_tag("a/b", "1")
    later = 4_000_000_000_000
    content.collect(later, plane.db.view(lambda tx: frozenset(pins(plane, tx))))
    (one,) = inventory.attachments(plane, ADMIN, release="a:1")[0].attached
    assert content.read(one.document, 0, 20).startswith(b'{"spdxVersion"'), "kept while a release pins its subject"
    inventory.index(plane)
    content.delete_manifest("a/b", one.manifest)
    inventory.index(plane)
    assert finding.find(plane, ADMIN, package="left-pad").places == ()
    plane.db.close()


# --- lists ----------------------------------------------------------------------------------------------------------------


def test_lists_are_taken_in_whole_or_not_at_all(tmp_path):
    plane = make_plane(tmp_path)

    def take(text, kind="osv", actor=ADMIN):
        return finding.import_list(plane, actor, source="own", kind=kind, text=text)

    with pytest.raises(Invalid, match="is no event"):
        take(json.dumps([OSV, {"id": "X", "affected": [{"package": {"ecosystem": "a", "name": "b"}, "ranges": [{"events": [{"bad": "0"}]}]}]}]))
    assert finding.list_sources(plane, ADMIN) == ()
    assert take(json.dumps(OSV)).kept == 1
    turn(plane, 1000)
    assert take(json.dumps([{**OSV, "affected": []}, {"id": "Y", "withdrawn": "2024-01-01"}])) == finding.Imported(1, 1)
    (source,) = finding.list_sources(plane, ADMIN)
    assert (source.name, source.entries, source.imported_ms) == ("own", 1, plane.clock.now_ms())
    assert take("id,purl,fixed\nCVE-1,pkg:pypi/flask,2.3\n", "csv").kept == 1
    for text in ("{", "[" * 100_000, "x" * 2_000_001):
        with pytest.raises(Invalid):
            take(text)
    assert finding.remove_source(plane, ADMIN, source="own") == 2
    with pytest.raises(Missing):
        finding.remove_source(plane, ADMIN, source="own")
    with pytest.raises(Forbidden):
        take(json.dumps(OSV), actor=person(plane, "vera", ("viewer", "fleet")))
    plane.db.close()


def test_what_cosigns_tags_attach_is_found_swept_and_deleted_with_its_image(tmp_path):
    plane = make_plane(tmp_path)
    content = plane.blobs = FileContent(tmp_path / "registry", grace_ms=0, untagged_ms=0)
    plane.images = RegistryImages(content)
    digest = push(content, "a/b", small_image(), "1")
    put(content, "a/b", cosigned(b"sig"), f"{fallback_tag(digest)}.sig")
    put(content, "a/b", cosigned(spdx("pkg:npm/left-pad@1.0.0"), kind="text/spdx+json"), f"{fallback_tag(digest)}.sbom")
    loose = push(content, "a/b", small_image("loose"), "2")
    put(content, "a/b", cosigned(b"other"), f"{fallback_tag(loose)}.sig")
    gone = push(content, "a/b", small_image("gone"), "3")
    put(content, "a/b", cosigned(b"third"), f"{fallback_tag(gone)}.sig")
    releases.publish(plane, ADMIN, source=b"services: {b: {image: a/b:1}}", app="a", version="1")
    inventory.index(plane)
    assert [place.version for place in finding.find(plane, ADMIN, package="left-pad").places] == ["1"]
    (image, *_) = [one for one in repositories.get_repository(plane, ADMIN, repository="a/b").images if one.digest == digest]
    assert ([tag.tag for tag in image.tags], sorted(one.kind for one in image.attached)) == (["1"], ["sbom", "signature"])
    for tag in ("1", "2"):
        content.delete_tag("a/b", tag)
    content.delete_manifest("a/b", gone)
    assert content.tags("a/b") == tuple(sorted([f"{fallback_tag(digest)}.sbom", f"{fallback_tag(digest)}.sig", f"{fallback_tag(loose)}.sig"]))
    content.collect(4_000_000_000_000, plane.db.view(lambda tx: frozenset(pins(plane, tx))))
    assert content.tags("a/b") == (f"{fallback_tag(digest)}.sbom", f"{fallback_tag(digest)}.sig"), "a release needs their image"
    assert len(content.manifests("a/b")) == 3
    assert len(inventory.attachments(plane, ADMIN, release="a:1")[0].attached) == 2
    plane.db.close()
