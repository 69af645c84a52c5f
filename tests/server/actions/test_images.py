"""The registry's sweep with a whole plane around it: what a release pins stays, also without its tag."""

from __future__ import annotations

import json
import os

from penstock.server.actions import images, releases
from penstock.server.app import RegistryImages
from penstock.server.core.images import Wanted
from penstock.server.core.oci import OCI_MANIFEST, Collected, read_manifest
from penstock.server.effects.blobs import FileContent
from tests.server.planes import ADMIN, make_plane
from tests.server.pushing import push, put_blob, small_image


def test_the_sweep_keeps_what_a_release_pins(tmp_path):
    plane = make_plane(tmp_path)
    content = FileContent(tmp_path / "registry", min_free=0)
    plane.blobs, plane.images = content, RegistryImages(content)
    pinned, loose = small_image("pinned"), small_image("loose")
    push(content, "shop/web", pinned, "1")
    push(content, "shop/web", loose, "2")
    releases.publish(plane, ADMIN, source=b"services: {web: {image: 'shop/web:1'}}", app="shop", version="1")
    for tag in ("1", "2"):
        content.delete_tag("shop/web", tag)
    for path in (tmp_path / "registry").rglob("*"):
        os.utime(path, (0, 0))
    assert images.sweep(plane) == sum(len(data) for data in loose.blobs.values())
    assert all(content.blob_size(digest) is None for digest in loose.blobs)
    assert all(content.blob_size(digest) is not None for digest in pinned.blobs)
    assert all(images.pinned(plane, digest) for digest in pinned.blobs)
    assert not any(images.pinned(plane, digest) for digest in loose.blobs)


def test_publishing_makes_an_image_young(tmp_path):
    content = FileContent(tmp_path, min_free=0)
    image = small_image("one", ("linux/amd64", "linux/arm64"))
    push(content, "shop/web", image, "1")
    links = tmp_path / "repositories" / "shop+web"
    for folder in ("manifests", "blobs"):
        for path in (links / folder).iterdir():
            os.utime(path, (0, 0))
    assert images.find(content, Wanted("x", "shop/web", "1")) is not None
    for digest in (image.digest, *(variant.digest for variant in image.variants)):
        assert (links / "manifests" / digest[7:]).stat().st_mtime > 0


def test_the_sweep_keeps_every_way_back(tmp_path):
    """A device goes back to a release that soaked there, and releases stay: so what each of them needs stays, however long ago it was, and its signatures with it."""
    plane = make_plane(tmp_path)
    content = FileContent(tmp_path / "registry", min_free=0)
    plane.blobs, plane.images = content, RegistryImages(content)
    before, after = small_image("one", ("linux/amd64", "linux/arm64")), small_image("two")
    for version, image in (("1", before), ("2", after)):
        push(content, "shop/web", image, "latest")
        releases.publish(plane, ADMIN, source=b"services: {web: {image: 'shop/web:latest'}}", app="shop", version=version)
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": put_blob(content, "shop/web", b"{}"), "size": 2}
    subject = {"mediaType": before.index_type, "digest": before.digest, "size": 1}
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [], "subject": subject}).encode()
    signature = content.put_manifest("shop/web", raw, read_manifest(raw))
    content.delete_tag("shop/web", "latest")
    for path in (tmp_path / "registry").rglob("*"):
        os.utime(path, (0, 0))
    assert images.collect(plane, look_only=True) == images.collect(plane) == Collected()
    assert all(content.blob_size(digest) is not None for image in (before, after) for digest in image.blobs)
    assert [one.stored.digest for one in content.referrers("shop/web", before.digest)] == [signature]
