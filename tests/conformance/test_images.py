"""Images: out of the agent's own blobs into the engine, with no network, by digest; and what goes wrong says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.agent import blobregistry
from penstock.agent.runtimes import RuntimeFault
from penstock.rules.naming import keep_tag
from penstock.rules.observed import is_variant
from penstock.wire.types import Service


def drop_from_engine(bench, image):
    """As a local person would with `prune -a`."""
    held = bench.runtime.image(image.variants[0])
    if held is None:
        return
    if bench.fake is not None:
        bench.fake.prune_images()
        return
    status, said = bench.engine.api("DELETE", f"/images/{held.id}?force=true")
    assert status == 200, said
    assert bench.runtime.image(image.variants[0]) is None


def test_the_engine_is_known(bench):
    facts = bench.runtime.facts()
    assert (
        facts.engine.kind
        == {"docker": "docker", "podman": "podman", "docker_new": "docker", "podman_new": "podman", "fake": "fake", "fake_manifests": "fake"}[bench.kind]
    )
    assert facts.engine.version
    assert facts.platforms[0] == "linux/amd64"
    assert facts.cpus > 0
    assert facts.memory_bytes > 0
    assert bench.runtime.disk_free() > 0
    assert bench.look().disk_free_bytes > 0


def test_a_pull_leaves_one_name_and_the_right_digest(bench):
    image = bench.image("pull-one")
    variant = image.variants[0]
    drop_from_engine(bench, image)
    assert bench.look(images=(variant,)).images == ()
    tag = keep_tag("conf", image.name, variant)
    identity = bench.runtime.pull(variant, bench.store, tag)
    assert is_variant(identity, variant)
    held = bench.runtime.image(variant)
    assert (held.id, held.tags) == (identity, (tag,))
    assert bench.look(images=(variant,)).images == (held,)
    if bench.real:  # nothing is left of the loopback registry's address
        _, shown = bench.engine.api("GET", "/images/json?all=true")
        assert "127.0.0.1" not in str([each["RepoDigests"] for each in shown] + [each["RepoTags"] for each in shown])
    assert bench.runtime.pull(variant, bench.store, tag) == identity
    bench.runtime.keep(variant, tag)


def test_a_local_name_can_be_added_and_taken_away(bench):
    image = bench.ready(bench.image("names"))
    variant = image.variants[0]
    bench.runtime.keep(variant, "penstock.local/conf/second:x")
    assert len(bench.runtime.image(variant).tags) == 2
    bench.runtime.unkeep("penstock.local/conf/second:x")
    bench.runtime.unkeep("penstock.local/conf/second:x")
    assert bench.runtime.image(variant).tags == (keep_tag("conf", image.name, variant),)
    bench.runtime.unkeep(keep_tag("conf", image.name, variant))
    assert bench.runtime.image(variant) is None


def test_an_image_in_use_keeps_its_name(bench):
    image = bench.ready(bench.image("in-use"))
    service = Service("web", "app")
    identity = bench.runtime.create(bench.order(bench.state(service, images=(image,)), service))
    bench.runtime.start(identity)
    try:
        bench.runtime.unkeep(keep_tag("conf", image.name, image.variants[0]))
    except RuntimeFault as fault:
        assert fault.code == "in-use"
    assert bench.runtime.image(image.variants[0]) is not None
    assert bench.see(identity).state == "running"


def test_somebody_pruned_and_the_image_comes_back_out_of_the_blobs(bench):
    image = bench.ready(bench.image("pruned"))
    service = Service("web", "app")
    state = bench.state(service, images=(image,))
    drop_from_engine(bench, image)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.create(bench.order(state, service))
    assert caught.value.code == "image-missing"
    bench.ready(image)
    identity = bench.runtime.create(bench.order(state, service))
    bench.runtime.start(identity)
    assert is_variant(bench.see(identity).image, image.variants[0])


def test_a_blob_that_is_not_there_is_named(bench):
    image = bench.image("no-blob")
    drop_from_engine(bench, image)
    lost = image.variants[0].layers[-1]
    bench.store.remove(lost.digest)
    with pytest.raises(RuntimeFault) as caught:
        bench.ready(image)
    assert (caught.value.code, caught.value.retry) == ("blob-missing", True)
    assert lost.digest in caught.value.why
    assert bench.runtime.image(image.variants[0]) is None


def test_a_blob_with_other_bytes_is_refused_by_the_engine(bench):
    image = bench.image("bad-blob", payload_bytes=50_000)
    drop_from_engine(bench, image)
    wrong = image.variants[0].layers[-1]
    path = Path(bench.store.path(wrong.digest))
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        with pytest.raises(RuntimeFault) as caught:
            bench.ready(image)
        assert caught.value.code == "blob-corrupt"
        assert bench.runtime.image(image.variants[0]) is None
        assert not bench.store.verify(wrong)
        assert bench.store.path(wrong.digest) is None
    finally:
        bench.store.remove(wrong.digest)
        bench.store.put(wrong, good)
    bench.ready(image)


def test_another_processors_image_is_refused_before_anything_moves(bench):
    image = bench.image("arm", platforms=("linux/arm64",))
    with pytest.raises(RuntimeFault) as caught:
        bench.ready(image)
    assert (caught.value.code, caught.value.retry) == ("wrong-architecture", False)
    assert "linux/arm64" in caught.value.why
    assert "linux/amd64" in caught.value.why


@pytest.mark.parametrize(
    "shape", [{"docker_types": True}, {"compress": False}, {"platforms": ("linux/amd64", "linux/arm64")}], ids=["docker-types", "plain-layers", "of-an-index"]
)
def test_every_form_of_image_comes_in(bench, shape):
    image = bench.image("form-" + "-".join(shape), **shape)
    drop_from_engine(bench, image)
    bench.ready(image)
    service = Service("job", "app", environment={"EXIT_CODE": "0"})
    identity = bench.runtime.create(bench.order(bench.state(service, images=(image,)), service))
    bench.runtime.start(identity)
    assert bench.wait(identity, lambda seen: seen.state == "exited").exit_code == 0


def test_the_engines_connection_is_cut(real_bench, monkeypatch):
    """Each cut closes a transfer in its middle. The engine may come back by itself; where it gives up, the same order works again."""
    image = real_bench.image("cut", payload_bytes=3_000_000)
    drop_from_engine(real_bench, image)
    cuts = 0
    flush = blobregistry.PullRegistry._flush

    def cutting(self, connection):
        nonlocal cuts
        if connection.left > 1_000_000 and cuts < 2:
            cuts += 1
            connection.left = 300_000
            flush(self, connection)
            raise OSError("cut")
        return flush(self, connection)

    monkeypatch.setattr(blobregistry.PullRegistry, "_flush", cutting)
    for _ in range(6):
        try:
            real_bench.ready(image)
            break
        except RuntimeFault as fault:
            assert fault.retry, fault
    assert cuts == 2
    assert real_bench.runtime.image(image.variants[0]) is not None


def test_cleaning_up_takes_ours_only_and_spares_what_is_kept_or_used(bench):
    used, kept, old = (bench.ready(bench.image(f"prune-{name}")) for name in ("used", "kept", "old"))
    theirs = bench.ready(bench.image("prune-theirs"))
    if bench.fake is not None:
        bench.fake.images[theirs.variants[0].manifest.digest].names = {"somebody/else:1"}
    else:
        held = bench.runtime.image(theirs.variants[0])
        bench.engine.api("POST", f"/images/{held.id}/tag?repo=somebody/else&tag=1")
        bench.runtime.unkeep(keep_tag("conf", theirs.name, theirs.variants[0]))
    service = Service("web", "app")
    bench.runtime.create(bench.order(bench.state(service, images=(used,)), service))
    result = bench.runtime.prune((kept.variants[0],))
    left = {image.manifest for image in bench.look(images=tuple(each.variants[0] for each in (used, kept, old, theirs))).images}
    assert left == {each.variants[0].manifest.digest for each in (used, kept, theirs)}
    assert any(is_variant(identity, old.variants[0]) for identity in result.images)
    assert result.freed_bytes > 0
