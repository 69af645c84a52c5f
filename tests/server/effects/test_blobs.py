"""The registry's storage: the same promises from the files and from the twin in memory; then what only files must survive."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.server.core.oci import Manifest, NoSpace, NotThere, OciError, WrongDigest, WrongOffset, read_manifest
from penstock.server.effects import files
from penstock.server.effects.blobs import FileContent
from penstock.server.effects.blobs_memory import MemoryContent
from penstock.wire.types import sha256_of
from tests.server.pushing import push, put_blob, small_image

DATA = b"x" * 100_000
DIGEST = sha256_of(DATA)
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(params=["files", "memory"])
def content(request, tmp_path):
    return FileContent(tmp_path / "registry", min_free=0) if request.param == "files" else MemoryContent()


def test_a_blob_goes_in_by_pieces_and_comes_out(content):
    upload = content.begin("a/b")
    assert content.append("a/b", upload, DATA[:10], 0) == 10
    assert content.upload_size("a/b", upload) == 10
    assert content.append("a/b", upload, DATA[10:], 10) == len(DATA)
    assert content.finish("a/b", upload, DIGEST) == len(DATA)
    assert content.blob_size(DIGEST, "a/b") == content.blob_size(DIGEST) == len(DATA)
    assert content.read(DIGEST, 99_990, 100) == b"x" * 10
    with pytest.raises(NotThere):
        content.upload_size("a/b", upload)


def test_pieces_must_follow_each_other_and_belong_to_their_repository(content):
    upload = content.begin("a")
    content.append("a", upload, b"1234", 0)
    with pytest.raises(WrongOffset) as caught:
        content.append("a", upload, b"x", 3)
    assert caught.value.size == 4
    for other in ("b", "a/b"):
        with pytest.raises(NotThere):
            content.append(other, upload, b"x", 4)
    with pytest.raises(NotThere):
        content.append("a", "../../etc", b"x", 0)


def test_wrong_bytes_are_thrown_away(content):
    upload = content.begin("a")
    content.append("a", upload, b"other", 0)
    with pytest.raises(WrongDigest):
        content.finish("a", upload, DIGEST)
    assert content.blob_size(DIGEST) is None
    with pytest.raises(NotThere):
        content.upload_size("a", upload)
    with pytest.raises(NotThere):
        content.read(DIGEST, 0, 1)


def test_an_upload_can_be_cancelled(content):
    upload = content.begin("a")
    content.abort("a", upload)
    with pytest.raises(NotThere):
        content.abort("a", upload)


def test_a_blob_is_seen_only_through_its_repositories(content):
    put_blob(content, "a", DATA)
    assert content.blob_size(DIGEST, "b") is None
    assert not content.mount("b", DIGEST, "c")
    assert content.mount("b", DIGEST, "a")
    assert content.blob_size(DIGEST, "b") == len(DATA)
    content.delete_blob("a", DIGEST)
    assert content.blob_size(DIGEST, "a") is None
    assert content.blob_size(DIGEST, "b") == len(DATA)
    with pytest.raises(NotThere):
        content.delete_blob("a", DIGEST)


def test_manifests_and_tags(content):
    image = small_image("one", ("linux/amd64", "linux/arm64"))
    digest = push(content, "shop/web", image, "1.0")
    push(content, "shop/web", small_image("two"), "2.0")
    found = content.manifest("shop/web", "1.0")
    assert found is not None
    assert (found.digest, found.raw, found.media_type) == (digest, image.index, image.index_type)
    assert content.manifest("shop/web", digest) == found
    assert content.manifest("shop/web", "3.0") is None
    assert content.manifest("other", "1.0") is None
    assert content.manifest("other", digest) is None
    assert content.tags("shop/web") == ("1.0", "2.0")
    assert content.repositories() == ("shop/web",)
    with pytest.raises(NotThere):
        content.tags("other")
    content.delete_tag("shop/web", "1.0")
    with pytest.raises(NotThere):
        content.delete_tag("shop/web", "1.0")
    assert content.manifest("shop/web", digest) == found
    content.put_manifest("shop/web", found.raw, read_manifest(found.raw), "1.1")
    content.delete_manifest("shop/web", digest)
    assert content.tags("shop/web") == ("2.0",)
    assert content.manifest("shop/web", digest) is None
    with pytest.raises(NotThere):
        content.delete_manifest("shop/web", digest)


def test_a_manifest_may_only_name_what_is_there(content):
    image = small_image("one", indexed=True)
    variant = image.variants[0]
    index = read_manifest(image.index or b"")
    manifest = read_manifest(variant.manifest)
    with pytest.raises(NotThere) as caught:
        content.put_manifest("a", image.index, index, "1")
    assert caught.value.digest == variant.digest
    with pytest.raises(NotThere) as caught:
        content.put_manifest("a", variant.manifest, manifest)
    assert caught.value.digest == variant.config_digest
    put_blob(content, "a", variant.config)
    layer = put_blob(content, "a", variant.layers[0].data)
    content.put_manifest("a", variant.manifest, manifest)
    short = Manifest(manifest.media_type, manifest.config, (type(manifest.layers[0])(layer, 1, ""),))
    with pytest.raises(OciError, match="says that"):
        content.put_manifest("a", b"{}", short)


def test_referrers(content):
    digest = push(content, "a", small_image("one"), "1")
    empty = put_blob(content, "a", b"{}")
    raw = (
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/x.sbom","config":{"mediaType":'
        b'"application/vnd.oci.empty.v1+json","digest":"%s","size":2},"layers":[],"subject":{"mediaType":"x","digest":"%s","size":3}}'
        % (empty.encode(), digest.encode())
    )
    content.put_manifest("a", raw, read_manifest(raw))
    (found,) = content.referrers("a", digest)
    assert (found.stored.raw, found.manifest.artifact_type) == (raw, "application/x.sbom")
    assert content.referrers("a", DIGEST) == ()
    content.delete_manifest("a", found.stored.digest)
    assert content.referrers("a", digest) == ()


def test_a_blob_has_a_limit(tmp_path):
    for content in (FileContent(tmp_path, max_blob=10, min_free=0), MemoryContent(max_blob=10)):
        upload = content.begin("a")
        with pytest.raises(OciError, match="larger than the 10 bytes"):
            content.append("a", upload, b"x" * 11, 0)
        assert content.upload_size("a", upload) == 0


# --- files only -------------------------------------------------------------------------------------------------------


def test_another_process_goes_on_where_this_one_stopped(tmp_path):
    upload = FileContent(tmp_path, min_free=0).begin("a")
    FileContent(tmp_path, min_free=0).append("a", upload, DATA[:70_000], 0)
    after = FileContent(tmp_path, min_free=0)
    assert after.upload_size("a", upload) == 70_000
    after.append("a", upload, DATA[70_000:], 70_000)
    assert after.finish("a", upload, DIGEST) == len(DATA)
    assert FileContent(tmp_path).blob_size(DIGEST, "a") == len(DATA)


def test_bytes_lost_by_a_power_cut_are_noticed(tmp_path):
    content = FileContent(tmp_path, min_free=0)
    upload = content.begin("a")
    content.append("a", upload, DATA, 0)
    os.truncate(tmp_path / "uploads" / upload / "data", 99_999)
    with pytest.raises(WrongDigest):
        content.finish("a", upload, DIGEST)


def test_a_full_disk_keeps_what_came_and_says_so(tmp_path, monkeypatch):
    content = FileContent(tmp_path, min_free=0)
    upload = content.begin("a")
    content.append("a", upload, DATA[:1000], 0)
    real = files.write

    def full(file, data):
        real(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(NoSpace, match="disk is full"):
        content.append("a", upload, DATA[1000:], 1000)
    monkeypatch.undo()
    assert content.upload_size("a", upload) == 1000
    content.append("a", upload, DATA[1000:], 1000)
    assert content.finish("a", upload, DIGEST) == len(DATA)


def test_space_and_number_of_uploads_are_limited(tmp_path):
    with pytest.raises(NoSpace, match="nearly full"):
        FileContent(tmp_path, min_free=2**60).begin("a")
    content = FileContent(tmp_path, min_free=0, max_uploads=2)
    content.begin("a")
    content.begin("a")
    with pytest.raises(NoSpace, match="2 uploads are open"):
        content.begin("a")


def test_names_cannot_leave_the_folder(tmp_path):
    content = FileContent(tmp_path / "registry", min_free=0)
    for name in ("../x", "a/../../x", "/etc", "a+b", "A", ""):
        with pytest.raises(OciError):
            content.begin(name)
        with pytest.raises(OciError):
            content.manifest(name, "1")
    for digest in ("sha256:../../x", "sha256:" + "G" * 64):
        with pytest.raises(OciError):
            content.blob_size(digest)
    assert [path.name for path in tmp_path.iterdir()] == ["registry"]


def test_many_pushers_of_the_same_blob(tmp_path):
    content = FileContent(tmp_path, min_free=0)

    def one(number):
        return put_blob(content, f"repository-{number % 3}", DATA)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {DIGEST}
    assert [path.name for path in (tmp_path / "blobs" / DIGEST[7:9]).iterdir()] == [DIGEST[7:]]
    assert files.names(tmp_path / "uploads") == ()


def now_ms():
    return int(time.time() * 1000)


def test_the_sweep_takes_what_nothing_names_and_nothing_else(tmp_path):
    content = FileContent(tmp_path, min_free=0)
    kept = push(content, "a", small_image("kept", ("linux/amd64", "linux/arm64")), "1")
    moved = small_image("moved")
    push(content, "a", moved, "2")
    pinned = small_image("pinned")
    push(content, "b", pinned, "x")
    push(content, "b", small_image("newer"), "x")
    push(content, "a", small_image("newer"), "2")
    lonely = put_blob(content, "a", b"lonely")
    upload = content.begin("a")
    litter = tmp_path / "repositories" / ".half-written"
    litter.write_text("x")
    assert content.collect(now_ms()).blobs == 0

    keep = frozenset(pinned.blobs)
    later = content.collect(now_ms() + 2 * DAY_MS, keep)
    assert (later.uploads, later.blobs) == (1, 1)
    assert content.blob_size(lonely) is None
    assert not litter.exists()
    assert content.manifest("a", moved.digest) is not None  # a manifest that lost its tag stays a while
    with pytest.raises(NotThere):
        content.upload_size("a", upload)

    much_later = content.collect(now_ms() + 40 * DAY_MS, keep)
    assert much_later.blobs == 3  # the moved image: manifest, config, layer
    assert content.manifest("a", moved.digest) is None
    assert content.manifest("b", pinned.digest) is not None
    assert all(content.blob_size(digest) is not None for digest in pinned.blobs)
    found = content.manifest("a", "1")
    assert found is not None
    assert found.digest == kept
    for child in read_manifest(found.raw).children:
        inner = content.manifest("a", child.digest)
        assert inner is not None
        assert all(content.blob_size(layer.digest, "a") for layer in read_manifest(inner.raw).layers)
    assert content.collect(now_ms() + 40 * DAY_MS).blobs == 3  # the pin was all that kept it


def test_a_blob_in_use_is_young(tmp_path):
    content = FileContent(tmp_path, min_free=0)
    digest = put_blob(content, "a", b"soon needed")
    link = tmp_path / "repositories" / "a" / "blobs" / digest[7:]
    blob = tmp_path / "blobs" / digest[7:9] / digest[7:]
    old = time.time() - 5 * 24 * 3600
    for path in (link, blob):
        os.utime(path, (old, old))
    assert content.blob_size(digest, "a") == 11  # a client asks before it decides not to upload
    assert content.collect(now_ms()).blobs == 0
    os.utime(link, (old, old))
    assert content.collect(now_ms()).blobs == 1


def test_put_leaves_no_half_file(tmp_path, monkeypatch):
    def broken(file, data):
        file.write(data[:1])
        raise OSError(5, "Input/output error")

    target = tmp_path / "tag"
    files.put(target, "old")
    monkeypatch.setattr(files, "write", broken)
    with pytest.raises(OSError, match="Input/output"):
        files.put(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["tag"]
    assert files.age_ms(Path(tmp_path / "none"), 5) == 5
