"""The blob store, the tar watcher, times and translations, on any Python and processor the agent may stand on."""

from __future__ import annotations

import hashlib
import tempfile

from penstock.agent.blobregistry import PullRegistry
from penstock.agent.blobstore import BlobFault, BlobStore
from penstock.agent.runtimes import CreateOrder, NetworkOrder
from penstock.agent.runtimes.dockerseen import moment_ms
from penstock.agent.runtimes.engine import query
from penstock.agent.runtimes.fake import FakeRuntime
from penstock.agent.runtimes.fakeworld import FakeWorld
from penstock.agent.runtimes.tarwatch import TarWatch
from penstock.rules.observed import LABEL_DEVICE, Ask, Observation, container_by_id
from penstock.rules.settings import container_differences
from penstock.wire.codec import decode, encode
from penstock.wire.types import AppState, Blob, Image, Network, NetworkUse, Port, Service, Variant


def _blob(data: bytes) -> Blob:
    return Blob("sha256:" + hashlib.sha256(data).hexdigest(), len(data))


def test_blobs_resume_and_are_verified() -> None:
    data = bytes(range(256)) * 1000
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(folder, reserve_bytes=0)
        with store.begin(_blob(data)) as partial:
            partial.write(data[:1000])
        with store.begin(_blob(data)) as partial:
            assert partial.offset == 1000
            partial.write(data[1000:])
            partial.finish()
        assert store.verify(_blob(data))
        try:
            store.put(_blob(b"other"), b"wrong")
        except BlobFault as fault:
            assert fault.code == "blob-corrupt"
        else:
            raise AssertionError("wrong bytes were stored")


def test_times_beyond_32_bits() -> None:
    assert moment_ms("2026-11-21T03:22:14.37134237Z") == 1795231334371
    assert moment_ms("2040-01-01T00:00:00Z") == 2208988800000  # past what a 32-bit time_t holds
    assert query(t=2208988800000, filters={"a": ["ü"]}).startswith("?t=2208988800000&filters=")


def test_big_sizes_in_archives() -> None:
    header = bytearray(512)
    header[:5] = b"_data"
    header[124:136] = (5 * 1024**3).to_bytes(12, "big")
    header[124] |= 0x80  # base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    watch = TarWatch("_data")
    watch.feed(bytes(header))
    assert not watch.whole
    assert watch.entries == 0


def test_a_container_comes_out_as_it_went_in() -> None:
    manifest, config = _blob(b"{}"), _blob(b'{"config": {"Cmd": ["run"]}}')
    variant = Variant("linux/amd64", manifest, config, ())
    image = Image("app", (variant,))
    service = Service("web", "app", networks=(NetworkUse("net"),), ports=(Port(80, 8080),), environment={"A": "é"})
    state = AppState("press", "dep", "sha256:" + "0" * 64, "1", (service,), networks=(Network("net"),), images=(image,))
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(folder, reserve_bytes=0)
        store.put(manifest, b"{}")
        store.put(config, b'{"config": {"Cmd": ["run"]}}')
        world = FakeWorld(lambda: 1_800_000_000_000)
        runtime = FakeRuntime(world)
        runtime.pull(variant, store, "penstock.local/press/app:1")
        labels = {LABEL_DEVICE: "dev_x", "penstock.token": "t"}
        runtime.create_network(NetworkOrder("press_net", labels=labels))
        identity = runtime.create(CreateOrder("press-web-1", service, variant, "t", labels, networks={"net": "press_net"}))
        runtime.start(identity)
        seen = runtime.observe(Ask("dev_x"))
        assert decode(Observation, encode(seen)) == seen
        found = container_by_id(seen, identity)
        assert found is not None
        assert found.state == "running"
        assert container_differences(state, service, image, variant, labels, found) == ()
        with PullRegistry(variant, store) as registry:
            assert registry.reference.endswith(variant.manifest.digest)
