"""What is copied of an image, and what a look at where it came from means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core import mirrors as m
from penstock.server.core.oci import OciError, read_manifest
from penstock.wire.types import sha256_of
from tests.server.pushing import small_image

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")
BASE = m.Mirror(
    "mir_1", "ghcr.io/x/y:2", "ghcr.io/x/y", "2", (), m.DONE, "", False, "sha256:a", "sha256:a", 9, 1, "ada", 100, 100, "sha256:a", 0, 0, 0, "", 0, ""
)


def attested(index: bytes) -> bytes:
    """The index with an attestation for its first image, as BuildKit writes it."""
    plain = json.loads(index)
    first = plain["manifests"][0]
    note = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": first["digest"]}
    plain["manifests"].append(
        {
            "mediaType": first["mediaType"],
            "digest": "sha256:" + "7" * 64,
            "size": 9,
            "annotations": note,
            "platform": {"os": "unknown", "architecture": "unknown"},
        }
    )
    return json.dumps(plain).encode()


def test_all_platforms_come_with_the_upstreams_own_bytes():
    image = small_image(platforms=PLATFORMS)
    assert image.index is not None
    found = m.choose(image.index)
    assert found.top == image.index
    assert found.digest == found.upstream == image.digest
    assert {one.digest for one in found.children} == {one.digest for one in image.variants}


def test_a_manifest_without_an_index_stands_for_itself():
    image = small_image()
    found = m.choose(image.variants[0].manifest)
    assert (found.top, found.digest) == (b"", image.variants[0].digest)


def test_some_platforms_are_an_index_of_just_those_with_what_attests_them():
    image = small_image(platforms=PLATFORMS)
    assert image.index is not None
    raw = attested(image.index)
    first = read_manifest(raw).children[0]
    two = m.choose(raw, (first.platform, next(p for p in PLATFORMS if p != first.platform)))
    assert len(read_manifest(two.top).children) == 3
    assert two.upstream == sha256_of(raw) != two.digest == sha256_of(two.top)
    one = m.choose(image.index, ("linux/arm64",))
    assert one.top == b""
    assert [child.platform for child in one.children] == ["linux/arm64"]


def test_a_platform_that_is_not_there_is_named():
    image = small_image(platforms=PLATFORMS)
    assert image.index is not None
    with pytest.raises(OciError, match="not there for linux/s390x, but for linux/amd64, linux/arm/v7, linux/arm64"):
        m.choose(image.index, ("linux/s390x",))


@pytest.mark.parametrize("host", ["ghcr.io", "docker.io", "localhost", "registry.example:5000", "127.0.0.1:5000"])
def test_hosts(host):
    assert m.host_fault(host) == ""


@pytest.mark.parametrize("host", ["ghcr", "https://ghcr.io", "ghcr.io/x", "GHCR.io", "a b.c", "-a.b", "", "a.b:", "x" * 300 + ".io"])
def test_no_hosts(host):
    assert "write ghcr.io" in m.host_fault(host)


def test_a_digest_takes_the_place_of_a_tag():
    assert m.at_digest("localhost:5000/x/y:2", "sha256:b") == "localhost:5000/x/y@sha256:b"
    assert m.at_digest("localhost:5000/x/y@sha256:a", "sha256:b") == "localhost:5000/x/y@sha256:b"


looks = st.one_of(
    st.sampled_from(["sha256:a", "sha256:b", "sha256:c"]).map(lambda digest: m.Look(digest=digest)),
    st.just(m.Look(gone=True)),
    st.just(m.Look(why="no route")),
)


@given(st.lists(looks, max_size=12))
def test_looks_never_change_what_is_here_and_tell_each_thing_once(found):
    now, mirror, told = 100, BASE, []
    for look in found:
        now += 10
        after = m.looked(mirror, look, now)
        assert (after.digest, after.upstream, after.state, after.copied_ms) == (BASE.digest, BASE.upstream, BASE.state, BASE.copied_ms)
        assert after.checked_ms == now
        assert bool(after.unreachable_ms) == bool(look.why)
        if look.digest:
            assert (after.moved_ms > 0) == (look.digest != BASE.upstream)
            assert after.gone_ms == 0
        told.append(m.news(mirror, after)[0])
        assert m.news(after, m.looked(after, look, now + 1)) == ("", ""), "the same again is no news"
        mirror = after
    for verb in ("mirror.unreachable", "mirror.gone"):
        assert told.count(verb) <= sum(1 for look in found if (look.why if verb.endswith("unreachable") else look.gone))


def test_since_when_is_kept():
    away = m.looked(BASE, m.Look(why="x"), 200)
    assert m.looked(away, m.Look(why="y"), 300).unreachable_ms == 200
    moved = m.looked(BASE, m.Look(digest="sha256:b"), 200)
    assert m.looked(moved, m.Look(digest="sha256:b"), 300).moved_ms == 200
    again = m.looked(moved, m.Look(digest="sha256:c"), 300)
    assert again.moved_ms == 300
    assert m.news(moved, again) == ("mirror.moved", "ghcr.io/x/y:2 moved from sha256:a to sha256:c; the copy here stays as it is")


def test_what_is_due():
    assert not m.due(BASE, 150, 100)
    assert m.due(BASE, 200, 100)
    assert m.due(replace(BASE, reference="sha256:" + "a" * 64), 10_000, 100), "a digest does not move, but more may be attached to it"
    assert not m.due(replace(BASE, state=m.FAILED), 10_000, 100)
