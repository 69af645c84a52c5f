"""The registry's files when things go wrong: killed before every step of a push, a disk that is really full, sweeps between the steps of pushes.

Whatever happens: no blob is served whose digest is not its own, no manifest whose blobs are missing, and whoever pushes again gets through.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penstock.server.core.oci import NoSpace, read_manifest
from penstock.server.effects import files
from penstock.server.effects.blobs import FileContent
from penstock.wire.types import sha256_of
from tests.needs import needs
from tests.server.pushing import push, put_blob, small_image

OLD, NEW = small_image("old"), small_image("new", indexed=True)
NAME = "shop/web"


def check(root: Path) -> None:
    """What must hold at any moment, also after a restart."""
    for folder in (root / "blobs").iterdir():
        for path in folder.iterdir():
            if not path.name.startswith("."):
                assert sha256_of(path.read_bytes()) == f"sha256:{path.name}", "a blob that is not what its name says"
    content = FileContent(root, min_free=0)
    for repository in content.repositories():
        for digest in content.manifests(repository):
            found = content.manifest(repository, digest)
            assert found is not None, "a manifest without its bytes"
            manifest = read_manifest(found.raw, found.media_type)
            parts = [*manifest.layers, *([manifest.config] if manifest.config else [])]
            assert all(content.blob_size(part.digest, repository) == part.size for part in parts), "a manifest whose blobs are missing"
            assert all(content.manifest(repository, child.digest) for child in manifest.children), "a list whose manifests are missing"
        for tag in content.tags(repository):
            assert content.manifest(repository, tag) is not None, "a tag of nothing"


# --- killed -----------------------------------------------------------------------------------------------------------


def pushed_by_pieces(root: Path) -> None:
    """A push as clients make it: by pieces, a mount, two manifests, a list, a tag that moves, the old image deleted."""
    content = FileContent(root, min_free=0)
    for variant in NEW.variants:
        for data in (variant.config, *(layer.data for layer in variant.layers)):
            upload = content.begin(NAME)
            content.append(NAME, upload, data[:100], 0)
            content.append(NAME, upload, data[100:], 100)
            content.finish(NAME, upload, sha256_of(data))
            content.mount("shop/copy", sha256_of(data), NAME)
        content.put_manifest(NAME, variant.manifest, read_manifest(variant.manifest))
    assert NEW.index is not None
    content.put_manifest(NAME, NEW.index, read_manifest(NEW.index), "1", "2")
    content.delete_manifest(NAME, OLD.digest)
    content.collect(int(time.time() * 1000) + 10**12)


def killed_before(root: Path, step: int) -> bool:
    """Push in a process that dies, without a word, before its `step`-th act on the file system; whether it came to that."""
    child = os.fork()
    if child == 0:
        try:
            left = [step]

            def count(event: str, arguments: tuple[object, ...]) -> None:
                if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.utime", "os.truncate", "shutil.rmtree"):
                    if event == "open" and not str(arguments[0]).startswith(str(root)):
                        return
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(count)
            pushed_by_pieces(root)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - it must not go on as a second test run
            traceback.print_exc()
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.fixture
def in_memory(tmp_path):
    """A folder where syncing costs nothing: hundreds of pushes."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else tmp_path) as name:
        yield Path(name)


def test_killed_before_every_step_of_a_push(in_memory):
    step, more = 1, True
    while more:
        root = in_memory / str(step)
        push(FileContent(root, min_free=0), NAME, OLD, "1")
        more = killed_before(root, step)
        check(root)
        after = FileContent(root, min_free=0)
        found = after.manifest(NAME, "1")
        assert found is not None, "the tag that was moved points at nothing"
        assert found.digest in (OLD.digest, NEW.digest)
        assert push(after, NAME, NEW, "1") == NEW.digest  # whoever pushes again gets through
        check(root)
        for upload in files.names(root / "uploads"):  # and what was half is thrown away in time
            os.utime(root / "uploads" / upload, (0, 0))
        after.collect(int(time.time() * 1000) + 2 * 24 * 3600 * 1000)
        assert files.names(root / "uploads") == ()
        check(root)
        step += 1
    assert step > 60  # there were that many steps: the counting works


# --- full -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Three megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "penstock-test", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@needs("mkfs")
def test_a_disk_that_is_really_full(small_disk):
    """Every act says so and leaves nothing half; with room again, it goes on where it was."""
    content = FileContent(small_disk, min_free=0)
    push(content, NAME, OLD, "1")
    data = os.urandom(2_000_000)
    upload = content.begin(NAME)
    content.append(NAME, upload, data[:1_000_000], 0)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    for act in (
        lambda: content.append(NAME, upload, data[1_000_000:], 1_000_000),
        lambda: content.begin(NAME),
        lambda: put_blob(content, NAME, b"y" * 100_000),
        lambda: push(content, NAME, NEW, "1"),
    ):
        with pytest.raises(NoSpace):
            act()
        check(small_disk)
    found = content.manifest(NAME, "1")
    assert found is not None
    assert found.digest == OLD.digest
    filler.unlink()
    assert content.upload_size(NAME, upload) == 1_000_000
    content.append(NAME, upload, data[1_000_000:], 1_000_000)
    assert content.finish(NAME, upload, sha256_of(data)) == len(data)
    push(content, NAME, NEW, "1")
    check(small_disk)


# --- swept ------------------------------------------------------------------------------------------------------------

GRACE_S = 1000
IMAGES = [small_image(text, platforms) for text, platforms in (("a", ("linux/amd64",)), ("b", ("linux/amd64", "linux/arm64")), ("c", ("linux/arm64",)))]
NAMES = ("one", "two")


class Pusher:
    """A client in the middle of a push. It asks for each blob first, and sends only what is not there."""

    def __init__(self, image: int, name: str, tag: str, began_s: int) -> None:
        self.image, self.name, self.tag, self.began_s = IMAGES[image], name, tag, began_s
        blobs = [(sha256_of(data), data) for one in self.image.variants for data in (one.config, *(layer.data for layer in one.layers))]
        manifests: list[Any] = [(raw, ()) for raw in (one.manifest for one in self.image.variants)]
        if self.image.index is not None:
            manifests.append((self.image.index, ()))
        manifests[-1] = (manifests[-1][0], (tag,))
        self.todo: list[tuple[str, Any]] = [("blob", one) for one in blobs] + [("manifest", one) for one in manifests]
        self.upload = ""

    def step(self, content: FileContent) -> bool:
        """The next act; whether it was the last."""
        kind, what = self.todo[0]
        if kind == "manifest":
            raw, tags = what
            content.put_manifest(self.name, raw, read_manifest(raw), *tags)
        elif not self.upload:
            if content.blob_size(what[0], self.name) is None:
                self.upload = content.begin(self.name)
                content.append(self.name, self.upload, what[1], 0)
                return False
        else:
            content.finish(self.name, self.upload, what[0])
            self.upload = ""
        self.todo.pop(0)
        return not self.todo


class SweepsBetweenSteps(RuleBasedStateMachine):
    """Pushes, releases, deletions, time and sweeps in any order. A push that ends within the grace never loses what it brought or found."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.content = FileContent(self.root, min_free=0, grace_ms=GRACE_S * 1000, upload_age_ms=GRACE_S * 1000, untagged_ms=3 * GRACE_S * 1000)
        self.now_s = 0
        self.pushers: list[Pusher] = []
        self.released: dict[tuple[str, str], int] = {}  # (repository, digest): which image

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(image=st.integers(0, len(IMAGES) - 1), name=st.sampled_from(NAMES), tag=st.sampled_from(["x", "y"]))
    def begin(self, image: int, name: str, tag: str) -> None:
        if len(self.pushers) < 3:
            self.pushers.append(Pusher(image, name, tag, self.now_s))

    @precondition(lambda self: self.pushers)
    @rule(which=st.integers(0, 2), steps=st.integers(1, 6))
    def go_on(self, which: int, steps: int) -> None:
        pusher = self.pushers[which % len(self.pushers)]
        for _ in range(steps):
            if pusher.step(self.content):
                self.pushers.remove(pusher)
                return

    @rule(seconds=st.sampled_from([1, GRACE_S // 2, GRACE_S - 1, 5 * GRACE_S]))
    def time_goes_by(self, seconds: int) -> None:
        """Everything gets older. Who would be longer at it than the grace has given up."""
        self.now_s += seconds
        for path in [self.root, *self.root.rglob("*")]:
            found = path.stat()
            os.utime(path, (found.st_atime - seconds, found.st_mtime - seconds))
        self.pushers = [one for one in self.pushers if self.now_s - one.began_s < GRACE_S]

    @rule(name=st.sampled_from(NAMES), tag=st.sampled_from(["x", "y"]))
    def release(self, name: str, tag: str) -> None:
        found = self.content.manifest(name, tag) if name in self.content.repositories() else None
        if found is not None:
            image = next(number for number, one in enumerate(IMAGES) if one.digest == found.digest)
            self.released[name, found.digest] = image

    @rule(name=st.sampled_from(NAMES), tag=st.sampled_from(["x", "y"]))
    def delete_tag(self, name: str, tag: str) -> None:
        if name in self.content.repositories() and tag in self.content.tags(name):
            self.content.delete_tag(name, tag)

    @rule()
    def sweep(self) -> None:
        keep = frozenset(digest for image in self.released.values() for digest in IMAGES[image].blobs)
        now_ms = int(time.time() * 1000)
        said = self.content.collect(now_ms, keep, look_only=True)
        done = self.content.collect(now_ms, keep)
        assert (said.blobs, said.bytes, said.manifests, said.uploads) == (done.blobs, done.bytes, done.manifests, done.uploads)
        again = self.content.collect(now_ms, keep)
        assert (again.blobs, again.manifests, again.uploads) == (0, (), 0)

    @invariant()
    def nothing_is_half(self) -> None:
        for name, digest in self.released:
            assert self.content.manifest(name, digest) is not None
        for repository in self.content.repositories():
            for digest in self.content.manifests(repository):
                found = self.content.manifest(repository, digest)
                assert found is not None
                manifest = read_manifest(found.raw, found.media_type)
                links = self.root / "repositories" / repository / "blobs"
                for part in (*manifest.layers, *([manifest.config] if manifest.config else [])):
                    assert (links / part.digest[7:]).exists()
                    assert self.content.blob_size(part.digest) == part.size  # in any repository: asking through this one would make it young


TestSweepsBetweenSteps = SweepsBetweenSteps.TestCase
TestSweepsBetweenSteps.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
