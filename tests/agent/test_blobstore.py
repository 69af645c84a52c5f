"""The blob store: nothing half, nothing wrong, nothing lost that had arrived."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.blobstore import BlobFault, BlobStore
from penstock.wire.types import Blob

DATA = b"layer " * 1000


def blob_of(data):
    return Blob("sha256:" + hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def store(tmp_path):
    return BlobStore(str(tmp_path / "blobs"), reserve_bytes=0)


def test_a_blob_appears_when_it_is_whole(store):
    blob = blob_of(DATA)
    with store.begin(blob) as partial:
        partial.write(DATA[:100])
        assert store.path(blob.digest) is None
        assert store.missing((blob, blob)) == (blob,)
        partial.write(DATA[100:])
        path = partial.finish()
    assert store.path(blob.digest) == path
    assert Path(path).read_bytes() == DATA
    assert store.list() == (Blob(blob.digest, blob.size),)
    assert store.missing((blob,)) == ()
    assert store.partial_size(blob.digest) == 0


@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=5))
def test_it_goes_on_where_it_stopped_after_any_number_of_cuts(tmp_path_factory, cuts):
    folder = str(tmp_path_factory.mktemp("cut"))
    blob = blob_of(DATA)
    for cut in sorted(cuts):
        with BlobStore(folder, reserve_bytes=0).begin(blob) as partial:
            partial.write(DATA[partial.offset : cut])
    store = BlobStore(folder, reserve_bytes=0)
    assert store.partial_size(blob.digest) == (max(cuts) if cuts else 0)
    with store.begin(blob) as partial:
        partial.write(DATA[partial.offset :])
        partial.finish()
    assert store.verify(blob)


def test_wrong_bytes_are_thrown_away(store):
    blob = blob_of(DATA)
    with store.begin(blob) as partial:
        partial.write(b"x" * len(DATA))
        with pytest.raises(BlobFault) as caught:
            partial.finish()
    assert caught.value.code == "blob-corrupt"
    assert store.partial_size(blob.digest) == 0
    assert store.path(blob.digest) is None


def test_more_bytes_than_named_are_refused_as_they_come(store):
    blob = blob_of(DATA)
    with store.begin(blob) as partial, pytest.raises(BlobFault) as caught:
        partial.write(DATA + b"x")
    assert caught.value.code == "blob-corrupt"
    assert str(len(DATA)) in caught.value.why
    assert store.partial_size(blob.digest) == 0


def test_too_few_are_not_finished_and_stay(store):
    blob = blob_of(DATA)
    with store.begin(blob) as partial:
        partial.write(DATA[:10])
        with pytest.raises(BlobFault):
            partial.finish()
    assert store.partial_size(blob.digest) == 10


def test_a_part_that_the_disk_spoilt_is_found_out(store, tmp_path):
    blob = blob_of(DATA)
    with store.begin(blob) as partial:
        partial.write(DATA[:500])
    path = tmp_path / "blobs" / "partial" / blob.digest[7:]
    path.write_bytes(b"\0" * 500)  # a power cut left the length and not the bytes
    with store.begin(blob) as partial:
        assert partial.offset == 500
        partial.write(DATA[500:])
        with pytest.raises(BlobFault) as caught:
            partial.finish()
    assert caught.value.code == "blob-corrupt"
    store.put(blob, DATA)
    assert store.verify(blob)


def test_a_part_longer_than_the_blob_begins_anew(store, tmp_path):
    blob = blob_of(DATA)
    (tmp_path / "blobs" / "partial" / blob.digest[7:]).write_bytes(DATA + b"more")
    with store.begin(blob) as partial:
        assert partial.offset == 0
        partial.write(DATA)
        partial.finish()
    assert store.verify(blob)


def test_a_complete_blob_that_rots_is_removed_when_verified(store):
    blob = blob_of(DATA)
    path = store.put(blob, DATA)
    Path(path).write_bytes(b"X" + DATA[1:])
    assert not store.verify(blob)
    assert store.path(blob.digest) is None
    assert not store.verify(blob)


def test_the_quota_counts_everything(tmp_path):
    store = BlobStore(str(tmp_path), quota_bytes=len(DATA) + 100, reserve_bytes=0)
    store.put(blob_of(DATA), DATA)
    assert store.free_bytes() == 100
    other = blob_of(DATA[:-1])
    assert "free some space" in (store.room_for((other,)) or "")
    assert store.room_for((blob_of(DATA), blob_of(b"small"))) is None
    with pytest.raises(BlobFault) as caught:
        store.begin(other)
    assert caught.value.code == "no-space"


def test_the_reserve_is_kept_free(tmp_path):
    assert BlobStore(str(tmp_path), reserve_bytes=2**62).free_bytes() == 0


def test_a_full_disk_is_told_and_what_arrived_stays(store, monkeypatch):
    blob = blob_of(DATA)
    real = os.write
    calls = []

    def full(fd, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    monkeypatch.setattr("penstock.agent.blobstore.os.write", full)
    with store.begin(blob) as partial:
        partial.write(DATA[:100])
        with pytest.raises(BlobFault) as caught:
            partial.write(DATA[100:])
    assert caught.value.code == "no-space"
    monkeypatch.undo()
    with store.begin(blob) as partial:
        assert partial.offset == 100


def test_sweeping_spares_what_is_named(store):
    kept, gone, part = blob_of(b"kept"), blob_of(b"gone"), blob_of(b"part")
    store.put(kept, b"kept")
    store.put(gone, b"gone")
    with store.begin(part) as partial:
        partial.write(b"pa")
    assert store.sweep({kept.digest}) == 6
    assert store.list() == (Blob(kept.digest, 4),)
    assert store.partial_size(part.digest) == 0
    store.remove(kept.digest)
    store.remove(kept.digest)
    assert store.used_bytes() == 0


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "", "md5:" + "a" * 32, "sha256:" + "A" * 64, "sha256:" + "a" * 63 + "/"])
def test_nothing_but_a_digest_becomes_a_file_name(store, digest):
    for verb in (store.path, store.partial_size, store.remove, store.forget):
        with pytest.raises(ValueError, match="digest"):
            verb(digest)
