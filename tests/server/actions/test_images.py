"""The registry's sweep with a whole plane around it: what a release pins stays, also without its tag."""

from __future__ import annotations

import os

from penstock.server.actions import images, releases
from penstock.server.app import RegistryImages
from penstock.server.core.images import Wanted
from penstock.server.effects.blobs import FileContent
from tests.server.planes import ADMIN, make_plane
from tests.server.pushing import push, small_image


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
