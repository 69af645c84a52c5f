"""Names and manifests from outside: whatever comes, an answer or an OciError."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.images import Documents, image_from
from penstock.server.core.oci import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, OciError, Stored, config_platform, name_fault, read_manifest

DIGEST = "sha256:" + "0" * 64
KEYS = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "artifactType",
    "digest",
    "size",
    "urls",
    "platform",
    "os",
    "architecture",
]
leaves = st.sampled_from([DIGEST, OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, 2, 0, -1, 1.5, 2**60, None, True, "", "linux", "amd64"]) | st.text(max_size=5)
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6), max_leaves=20)
descriptors = st.fixed_dictionaries(
    {"digest": leaves | st.just(DIGEST), "size": leaves | st.just(2)}, optional={"mediaType": leaves, "platform": trees, "annotations": trees}
)
manifests = st.fixed_dictionaries(
    {"schemaVersion": st.just(2)},
    optional={
        "mediaType": st.sampled_from([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX, "x"]),
        "config": descriptors | trees,
        "layers": st.lists(descriptors, max_size=3) | trees,
        "manifests": st.lists(descriptors, max_size=3) | trees,
        "subject": descriptors | trees,
        "annotations": trees,
        "artifactType": leaves,
    },
)


@given(manifests | trees, st.sampled_from(["", OCI_MANIFEST, OCI_INDEX, "text/plain"]) | st.text(max_size=10), trees)
def test_any_manifest_is_read_or_refused(plain, kind, config):
    raw = json.dumps(plain).encode()
    try:
        manifest = read_manifest(raw, kind)
    except OciError as fault:
        assert fault.why
        return
    try:
        image_from("x", Documents(Stored(DIGEST, manifest.media_type, raw), {DIGEST: json.dumps(config).encode()}))
    except OciError as fault:
        assert fault.why


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(raw):
    for reader in (read_manifest, config_platform):
        with pytest.raises(OciError):
            reader(raw)


@pytest.mark.parametrize("name", ["a", "a/b", "a.b/c-d/e__f", "ghcr.io/x/y", "a--b", "0"])
def test_names(name):
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", ".a", "a-", "a+b", "é", "a\n", "x" * 201, "../a", "a/../b"])
def test_no_names(name):
    assert name_fault(name)
