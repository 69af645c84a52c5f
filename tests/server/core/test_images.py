"""Where an image is looked for, and what is pinned of what is found."""

from __future__ import annotations

import json

import pytest

from penstock.server.actions.images import find
from penstock.server.core.images import digests, image_from, remedy, wanted
from penstock.server.core.oci import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, OciError, read_manifest
from penstock.server.effects.blobs_memory import MemoryContent
from penstock.wire.types import sha256_of
from tests.server.pushing import push, put_blob, small_image

HOSTS = ("plane.example:8443", "plane")
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("name", "repository", "reference", "source"),
    [
        ("web", "web", "latest", ""),
        ("shop/web:1.0", "shop/web", "1.0", ""),
        ("plane.example:8443/shop/web:1.0", "shop/web", "1.0", ""),
        ("plane/shop/web", "shop/web", "latest", ""),
        (f"shop/web@{DIGEST}", "shop/web", DIGEST, ""),
        (f"shop/web:1@{DIGEST}", "shop/web", DIGEST, ""),
        ("ghcr.io/shop/web:1", "ghcr.io/shop/web", "1", "ghcr.io/shop/web:1"),
        ("reg.example:5000/web:1", "reg.example/web", "1", "reg.example:5000/web:1"),
        ("localhost/web", "localhost/web", "latest", "localhost/web:latest"),
        ("docker.io/library/nginx:1", "nginx", "1", "docker.io/library/nginx:1"),
        ("docker.io/grafana/grafana", "grafana/grafana", "latest", "docker.io/grafana/grafana:latest"),
    ],
)
def test_where_an_image_is_looked_for(name, repository, reference, source):
    found = wanted(name, HOSTS)
    assert (found.repository, found.reference, found.source) == (repository, reference, source)


@pytest.mark.parametrize("name", ["", "Web", "web:", "web:a b", "web@sha256:12", "/web", "web/", "a//b", "x" * 300, "web:1:2", "-web"])
def test_what_is_no_image(name):
    with pytest.raises(OciError):
        wanted(name)


def test_the_remedy_is_a_line_to_type():
    assert remedy(wanted("shop/web:1"), "plane:8443") == "push it: docker tag shop/web:1 plane:8443/shop/web:1 && docker push plane:8443/shop/web:1"
    assert remedy(wanted("ghcr.io/a/b:1"), "p") == "copy it: skopeo copy --all docker://ghcr.io/a/b:1 docker://p/ghcr.io/a/b:1"
    assert f"docker://p/web@{DIGEST}" in remedy(wanted(f"web@{DIGEST}"), "p")


@pytest.mark.parametrize("docker_types", [False, True])
@pytest.mark.parametrize("indexed", [False, True])
def test_an_image_is_pinned_with_all_its_platforms(docker_types, indexed):
    platforms = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7") if indexed else ("linux/arm/v7",)
    image = small_image("one", platforms, indexed=indexed, docker_types=docker_types)
    content = MemoryContent()
    push(content, "shop/web", image, "1")
    documents = find(content, wanted("shop/web:1"))
    assert documents is not None
    pinned = image_from("shop/web:1", documents)
    assert pinned.index == (image.digest if indexed else "")
    assert [variant.platform for variant in pinned.variants] == (["linux/amd64", "linux/arm/v7", "linux/arm64"] if indexed else ["linux/arm/v7"])
    arm = image.variant("linux/arm/v7")
    found = next(variant for variant in pinned.variants if variant.platform == "linux/arm/v7")
    assert found.manifest.digest == arm.digest
    assert found.manifest.size == len(arm.manifest)
    assert found.manifest.media_type == (DOCKER_MANIFEST if docker_types else OCI_MANIFEST)
    assert found.config.digest == arm.config_digest
    assert [layer.digest for layer in found.layers] == [sha256_of(layer.data) for layer in arm.layers]
    assert digests(pinned) == set(image.blobs)
    assert find(content, wanted("shop/web:2")) is None
    by_digest = find(content, wanted(f"shop/web@{image.digest}"))
    assert by_digest is not None
    assert image_from("x", by_digest).variants == pinned.variants


def changed(image, **more):
    """The only manifest of an image with other fields."""
    return json.dumps({**json.loads(image.variants[0].manifest), **more}).encode()


def store(content, image, raw):
    push(content, "web", image, "base")
    content.put_manifest("web", raw, read_manifest(raw), "1")
    documents = find(content, wanted("web:1"))
    assert documents is not None
    return documents


def test_what_no_device_could_run_is_refused():
    image = small_image()
    content = MemoryContent()
    chart = put_blob(content, "web", b"{}")
    artifact = changed(image, config={"digest": chart, "size": 2, "mediaType": "application/vnd.cncf.helm.config.v1+json"})
    with pytest.raises(OciError, match="no container image but application/vnd"):
        image_from("x", store(content, image, artifact))
    layer = {**json.loads(image.variants[0].manifest)["layers"][0], "urls": ["https://elsewhere.example/x"]}
    with pytest.raises(OciError, match="kept in another registry"):
        image_from("x", store(content, image, changed(image, layers=[layer])))
    odd = put_blob(content, "web", b"[]")
    config = {**json.loads(image.variants[0].manifest)["config"], "digest": odd, "size": 2}
    with pytest.raises(OciError, match="names no processor"):
        image_from("x", store(content, image, changed(image, config=config)))
    empty = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    with pytest.raises(OciError, match="names no image"):
        image_from("x", store(content, image, empty))
    inner = {"mediaType": OCI_INDEX, "digest": sha256_of(empty), "size": len(empty)}
    nested = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]}).encode()
    with pytest.raises(OciError, match="index inside an index"):
        image_from("x", store(content, image, nested))


def test_attestations_in_an_index_are_no_platform():
    image = small_image("one", indexed=True)
    content = MemoryContent()
    other = small_image("attestation", ("unknown/unknown",))
    push(content, "web", other)
    index = json.loads(image.index or b"")
    entry = {"mediaType": OCI_MANIFEST, "digest": other.digest, "size": len(other.variants[0].manifest)}
    index["manifests"].append({**entry, "platform": {"os": "unknown", "architecture": "unknown"}})
    pinned = image_from("x", store(content, image, json.dumps(index).encode()))
    assert [variant.platform for variant in pinned.variants] == ["linux/amd64"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schemaVersion": 1}, "schema version 2"),
        ({"mediaType": "application/vnd.other"}, "calls itself application/vnd.other"),
        ({"config": None}, "config is no descriptor"),
        ({"layers": {}}, "is no list"),
        ({"layers": [{"digest": "md5:1", "size": 1}]}, "no SHA-256 digest"),
        ({"layers": [{"digest": DIGEST, "size": -1}]}, "is no size"),
        ({"layers": [{"digest": DIGEST, "size": True}]}, "is no size"),
        ({"layers": [{"digest": DIGEST, "size": 1}] * 1025}, "more than the 1024"),
        ({"manifests": []}, "mixes an index and an image"),
        ({"annotations": {"a": 1}}, "no mapping of texts"),
        ({"subject": 1}, "subject is no descriptor"),
        ({"artifactType": 1}, "is no text"),
    ],
)
def test_manifests_that_are_none(change, why):
    raw = changed(small_image(), **change)
    with pytest.raises(OciError, match=why):
        read_manifest(raw, OCI_MANIFEST)
    with pytest.raises(OciError):
        read_manifest(raw[:-1], OCI_MANIFEST)
