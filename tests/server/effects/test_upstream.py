"""Images copied by the real skopeo from a real registry: in clear, behind a password, behind TLS by a private authority."""

from __future__ import annotations

import threading
import time

import pytest

from penstock.server.actions import mirrors, releases, upstreams
from penstock.server.core.errors import Conflict
from penstock.server.effects.skopeo import Skopeo, fault_of
from penstock.server.effects.upstream import ABSENT, BROKEN, GONE, REFUSED, UNREACHABLE, Access, UpstreamFault
from tests.needs import needs
from tests.server.planes import ADMIN, make_plane
from tests.server.pushing import small_image
from tests.upstreams import PASSWORD, USER, other_registry

pytestmark = [needs("skopeo"), needs("docker-registry")]
PLATFORMS = ("linux/amd64", "linux/arm64")


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    with other_registry(tmp_path_factory.mktemp("clear")) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with other_registry(tmp_path_factory.mktemp("guarded"), tls=True, password=True) as found:
        yield found


@pytest.fixture
def skopeo(tmp_path):
    return Skopeo(tmp_path / "copying")


def left(skopeo):
    return list(skopeo._folder.iterdir())


def test_a_whole_way_from_a_guarded_registry_to_a_release(tmp_path, guarded):
    """The bytes come unchanged, through a password and a private authority; then the tag moves, goes, and the registry is away."""
    plane = make_plane(tmp_path / "plane")
    plane.upstream = Skopeo(tmp_path / "copying")
    digest = guarded.push("x/web", small_image("one", PLATFORMS), "2")
    source = f"{guarded.host}/x/web:2"
    text = f"services:\n  web:\n    image: {source}\n".encode()
    upstreams.set_upstream(plane, ADMIN, host=guarded.host, user=USER, password=PASSWORD, ca=guarded.ca)
    assert upstreams.test_upstream(plane, ADMIN, host=guarded.host) == ""
    with pytest.raises(Conflict, match="images-on-their-way"):
        releases.publish(plane, ADMIN, source=text, app="shop", version="1")
    assert mirrors.copy_next(plane)
    assert [view.mirror.why for view in mirrors.list_mirrors(plane, ADMIN)] == [""]
    made = releases.publish(plane, ADMIN, source=text, app="shop", version="1")
    (image,) = releases.get_release(plane, ADMIN, release=made.id).images
    assert image.image.index == digest
    assert [variant.platform for variant in image.image.variants] == list(PLATFORMS)
    for variant in image.image.variants:
        for blob in (variant.config, *variant.layers):
            assert plane.blobs.blob_size(blob.digest, "127.0.0.1/x/web") == blob.size
    moved = guarded.push("x/web", small_image("two", PLATFORMS), "2")
    assert mirrors.check(plane, ADMIN)[0].mirror.seen == moved
    guarded.untag("x/web", "2")
    assert mirrors.check(plane, ADMIN)[0].mirror.gone_ms > 0
    assert left(plane.upstream) == []
    plane.db.close()


def test_what_is_refused_is_told_apart(skopeo, guarded, clear, tmp_path):
    def kind(image, access):
        with pytest.raises(UpstreamFault) as fault:
            skopeo.raw(image, access)
        assert PASSWORD not in fault.value.why
        return fault.value.kind

    guarded.push("x/web", small_image("kinds"), "k")
    image = f"{guarded.host}/x/web:k"
    assert kind(image, Access(guarded.host, USER, PASSWORD)) == UNREACHABLE, "its authority is not trusted"
    assert kind(image, Access(guarded.host, ca=guarded.ca)) == REFUSED
    assert kind(image, Access(guarded.host, USER, "wrong", guarded.ca)) == REFUSED
    assert kind(f"{guarded.host}/x/web:none", Access(guarded.host, USER, PASSWORD, guarded.ca)) == GONE
    assert kind("127.0.0.1:1/x/web:1", Access("127.0.0.1:1")) == UNREACHABLE
    assert kind(f"{clear.host}/x/web:1", Access(clear.host)) == UNREACHABLE, "plain HTTP is not spoken unless it is said"
    assert kind(f"{clear.host}/x/web:1", Access(clear.host, insecure=True)) == GONE
    skopeo.try_out(Access(clear.host, insecure=True))
    skopeo.try_out(Access(guarded.host, USER, PASSWORD, guarded.ca))
    with pytest.raises(UpstreamFault):
        skopeo.try_out(Access(guarded.host, USER, "wrong", guarded.ca))
    with pytest.raises(UpstreamFault) as absent:
        Skopeo(tmp_path / "none", "skopeo-that-is-not-there").raw(image, Access(clear.host))
    assert absent.value.kind == ABSENT
    assert left(skopeo) == []


SLOW = """#!/bin/sh
echo "$@" >> {folder}/words
for word; do case "$word" in dir:*) target=${{word#dir:}}; mkdir -p "$target"; cp "$target/../auth.json" {folder}/seen;; esac; done
sleep 60
"""


def test_a_copy_that_stands_still_is_given_up_and_a_password_is_on_no_command_line(tmp_path):
    program = tmp_path / "slow"
    program.write_text(SLOW.format(folder=tmp_path))
    program.chmod(0o755)
    slow = Skopeo(tmp_path / "copying", str(program), stall_s=0.6)
    access = Access("ghcr.io", USER, PASSWORD)
    with pytest.raises(UpstreamFault, match="nothing came for"), slow.fetch("ghcr.io/x@sha256:0", access, lambda _: None):
        pass
    assert PASSWORD not in (tmp_path / "words").read_text()
    assert "cm9ib3Q6czNjcmV0" in (tmp_path / "seen").read_text()
    assert left(slow) == []


def test_stopping_ends_what_is_under_way(tmp_path):
    program = tmp_path / "slow"
    program.write_text(SLOW.format(folder=tmp_path))
    program.chmod(0o755)
    slow = Skopeo(tmp_path / "copying", str(program))
    threading.Timer(0.5, slow.stop).start()
    began = time.monotonic()
    with pytest.raises(UpstreamFault, match="is stopping"), slow.fetch("ghcr.io/x@sha256:0", Access("ghcr.io"), lambda _: None):
        pass
    assert time.monotonic() - began < 10
    with pytest.raises(UpstreamFault, match="is stopping"):
        slow.raw("ghcr.io/x:1", Access("ghcr.io"))


def test_what_a_dead_process_left_is_thrown_away(tmp_path):
    old = tmp_path / "copying" / "copy-old"
    old.mkdir(parents=True)
    (old / "auth.json").write_text("{}")
    made = Skopeo(tmp_path / "copying")
    assert left(made) == []


def test_a_complaint_that_nobody_knows_is_repeated():
    found = fault_of('time="x" level=fatal msg="Error: something \\"odd\\" happened"\n')
    assert (found.kind, found.why) == (BROKEN, 'Error: something "odd" happened')
    assert fault_of("").why == "skopeo failed without a word"
