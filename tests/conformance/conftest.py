"""The fixture `bench`: every runtime in turn, clean for each test."""

from __future__ import annotations

import pytest

from penstock.agent.blobstore import BlobStore
from penstock.agent.runtimes.docker import DockerRuntime
from penstock.agent.runtimes.fake import FakeRuntime
from penstock.agent.runtimes.fakeworld import FakeWorld
from tests.conformance.bench import Bench

REAL = ["docker", "podman", "docker_new", "podman_new"]
# Where versions of an engine differ: the forms of its API for containers and images. The rest on newer engines is for `make soak`.
ON_NEWER = ("test_containers.py", "test_images.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        given = getattr(getattr(item, "callspec", None), "params", {})
        if str(given.get("bench", given.get("real_bench", ""))).endswith("_new") and item.path.name not in ON_NEWER:
            item.add_marker(pytest.mark.soak)


@pytest.fixture(scope="session")
def conformance_store(tmp_path_factory):
    return BlobStore(str(tmp_path_factory.mktemp("conformance-blobs")), reserve_bytes=0)


def _real(request, kind, images, store):
    engine = request.getfixturevalue(kind)
    engine.start()
    engine.reset()
    return Bench(kind, DockerRuntime(str(engine.socket)), images, store, engine=engine)


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.engine) for kind in REAL])
def real_bench(request, images, conformance_store):
    """A real engine in turn."""
    bench = _real(request, request.param, images, conformance_store)
    yield bench
    bench.engine.reset()


class Clock:
    """Time that goes by when told to."""

    def __init__(self):
        self.now_ms = 1_800_000_000_000

    def __call__(self):
        return self.now_ms


@pytest.fixture(params=["fake", "fake_manifests", *(pytest.param(kind, marks=pytest.mark.engine) for kind in REAL)])
def bench(request, images, conformance_store):
    """Every runtime in turn, the simulated one with both kinds of image store."""
    if request.param.startswith("fake"):
        world = FakeWorld(Clock(), store="config" if request.param == "fake" else "manifest")
        yield Bench(request.param, FakeRuntime(world), images, conformance_store, fake=world)
        return
    made = _real(request, request.param, images, conformance_store)
    yield made
    made.engine.reset()
