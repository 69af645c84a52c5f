"""The place where a backup is made, and what is left of it by whoever was killed: nothing that stays, nothing that opens."""

from __future__ import annotations

import errno
import io
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from penstock import crypto
from penstock.crypto.streaming import Sealer, open_stream
from penstock.server.effects.archive import ArchiveFault, read_archive, written
from penstock.server.effects.backups import Backups, Occupied, fingerprint
from penstock.server.effects.private_files import write_private

KEY = crypto.generate_key()
PUBLIC = crypto.public_pem(KEY)


@pytest.fixture
def data(tmp_path):
    """A data folder with something of everything."""
    folder = tmp_path / "data"
    for name in ("keys", "tls", "registry/blobs/ab"):
        (folder / name).mkdir(parents=True)
    (folder / "plane.db").write_bytes(b"the database")
    (folder / "keys" / "director.pem").write_bytes(b"a key")
    (folder / "registry" / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"a blob")
    return folder


def backups(data) -> Backups:
    return Backups(data, data / "plane.db", data / "registry", ("https://plane",), "0.0.0.0:8443")


def copy(source, target) -> None:
    target.write_bytes(source.read_bytes())


def made(data, **more) -> bytes:
    out, turn = io.BytesIO(), backups(data).take()
    try:
        found = turn.make(out.write, copy, 5, **more)
    finally:
        turn.end()
    assert found.size == len(out.getvalue())
    return out.getvalue()


def names(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        return found.getnames()


def test_what_is_in_it(data):
    bare = ["about.json", "plane.db", "keys", "keys/director.pem", "tls"]
    assert names(made(data)) == bare
    assert names(made(data, images=True)) == [*bare, "registry/blobs", "registry/blobs/ab", f"registry/blobs/ab/{'ab' * 32}"]
    out = io.BytesIO()
    open_stream(KEY, io.BytesIO(made(data, key=PUBLIC)), out.write)
    assert names(out.getvalue()) == bare
    assert sorted(path.name for path in data.iterdir()) == ["backup.lock", "keys", "plane.db", "registry", "tls"]


def test_one_at_a_time(data):
    first = backups(data).take()
    with pytest.raises(Occupied):
        backups(data).take()
    backups(data).sweep()  # it is somebody's: left alone
    first.end()
    first.end()
    backups(data).take().end()


@pytest.mark.parametrize("where", ["copy", "write"])
def test_whatever_happens_the_copy_goes(data, where):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    turn = backups(data).take()
    with pytest.raises(ArchiveFault, match="no room left"):
        turn.make(full if where == "write" else io.BytesIO().write, full if where == "copy" else copy, 5)
    turn.end()
    assert not (data / "backup.tmp").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from penstock.server.effects.backups import Backups
data = Path(sys.argv[1])
def copy(source, target):
    target.write_bytes(source.read_bytes())
    os.kill(os.getpid(), signal.SIGKILL)
Backups(data, data / "plane.db", data / "registry").take().make(lambda _: None, copy, 5)
"""


def test_a_killed_one_is_swept_by_the_next(data):
    done = subprocess.run([sys.executable, "-c", KILLED, str(data)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (data / "backup.tmp" / "plane.db").exists()
    backups(data).sweep()
    assert not (data / "backup.tmp").exists()
    assert made(data)


KILLED_RESTORE = """
import os, signal, sys
from pathlib import Path
from penstock.server.effects import archive
def half(private, source, write):
    write(b"BEGIN PRIVATE KEY" * 10_000)
    os.kill(os.getpid(), signal.SIGKILL)
archive.open_stream = half
archive.read_archive(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_a_restore_that_is_killed_leaves_nothing_plain(data, tmp_path):
    """What was unsealed has no name, so that nothing has to be swept."""
    (tmp_path / "sealed").write_bytes(made(data, key=PUBLIC))
    write_private(tmp_path / "b.key", KEY)
    fresh = tmp_path / "fresh"
    words = [sys.executable, "-c", KILLED_RESTORE, *(str(one) for one in (tmp_path / "sealed", fresh, tmp_path / "b.key"))]
    assert subprocess.run(words, timeout=60, check=False).returncode == -signal.SIGKILL
    assert list(fresh.iterdir()) == []
    assert read_archive(tmp_path / "sealed", fresh, tmp_path / "b.key")["addresses"] == ["https://plane"]
    assert (fresh / "keys" / "director.pem").read_bytes() == b"a key"


def test_nothing_is_unpacked_of_what_is_not_whole(data, tmp_path):
    """Not even where only the very end lacks."""
    write_private(tmp_path / "b.key", KEY)
    whole = made(data, key=PUBLIC, images=True)
    for spoilt in (whole[:-1], whole[:-33], whole + b"x"):
        (tmp_path / "sealed").write_bytes(spoilt)
        with pytest.raises(ArchiveFault, match="cannot be opened"):
            read_archive(tmp_path / "sealed", tmp_path / "fresh", tmp_path / "b.key")
        assert not any((tmp_path / "fresh").iterdir())


def test_what_is_sealed_and_no_backup_is_said(tmp_path):
    write_private(tmp_path / "b.key", KEY)
    out = io.BytesIO()
    sealer = Sealer(PUBLIC, out.write)
    sealer.write(b"junk")
    sealer.close()
    (tmp_path / "sealed").write_bytes(out.getvalue())
    with pytest.raises(ArchiveFault, match="cannot be unpacked"):
        read_archive(tmp_path / "sealed", tmp_path / "fresh", tmp_path / "b.key")
    with pytest.raises(ArchiveFault, match="no-such"):
        read_archive(tmp_path / "no-such", tmp_path / "fresh2")


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    target = tmp_path / "x.tar"

    def stopped() -> None:
        with written(target) as file:
            file.write(b"half")
            assert not target.exists()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        stopped()
    assert list(tmp_path.iterdir()) == []
    with written(target) as file:
        file.write(b"whole")
    assert target.read_bytes() == b"whole"
    with pytest.raises(ArchiveFault, match="exists already"), written(target):
        pass
    assert target.read_bytes() == b"whole"
    with pytest.raises(ArchiveFault, match="cannot be written"), written(tmp_path / "nowhere" / "x.tar"):
        pass


def test_the_fingerprint_is_that_of_the_file(tmp_path):
    (tmp_path / "b.pub").write_bytes(PUBLIC)
    shown = subprocess.run(["sha256sum", str(tmp_path / "b.pub")], capture_output=True, text=True, timeout=60, check=True).stdout.split()[0]
    assert fingerprint(PUBLIC) == shown
    with pytest.raises(ArchiveFault):
        fingerprint(KEY)


def test_uploads_that_end_meanwhile_do_no_harm(data):
    """Files come and go in a registry that serves."""
    uploads = data / "registry" / "uploads"
    uploads.mkdir()
    over = threading.Event()

    def coming_and_going() -> None:
        number = 0
        while not over.is_set():
            number += 1
            file = uploads / str(number)
            file.write_bytes(b"x" * 1000)
            time.sleep(0.0005)
            file.unlink()

    thread = threading.Thread(target=coming_and_going)
    thread.start()
    try:
        for _ in range(30):
            assert "plane.db" in names(made(data, images=True))
    finally:
        over.set()
        thread.join()
