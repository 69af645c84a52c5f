"""Key files: private from their first moment, never half written, never read when others could have."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.server.effects import private_files
from penstock.server.effects.private_files import FileFault, read_private, write_private


def test_there_and_back(tmp_path):
    path = tmp_path / "deep" / "keys" / "one.pem"
    write_private(path, b"secret")
    assert read_private(path, "the key") == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_an_existing_file_is_not_overwritten_unless_asked(tmp_path):
    path = tmp_path / "one.pem"
    write_private(path, b"old")
    with pytest.raises(FileFault, match="exists already"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    write_private(path, b"new", replace=True)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_umask_and_left_overs_do_not_widen_it(tmp_path):
    path = tmp_path / "one.pem"
    left = tmp_path / f".one.pem.{os.getpid()}.new"
    left.write_bytes(b"x" * 100)
    left.chmod(0o666)
    before = os.umask(0)
    try:
        write_private(path, b"secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"secret"


def test_a_planted_link_is_not_followed(tmp_path):
    target = tmp_path / "elsewhere"
    (tmp_path / f".one.pem.{os.getpid()}.new").symlink_to(target)
    with pytest.raises(FileFault, match="cannot be written"):
        write_private(tmp_path / "one.pem", b"secret")
    assert not target.exists()


def test_a_failing_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "one.pem"
    write_private(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileFault, match="No space left"):
        write_private(path, b"new", replace=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_killed_at_any_moment_it_is_whole(tmp_path):
    path = tmp_path / "one.pem"
    write_private(path, b"0" * 4096)
    source = Path(private_files.__file__).parents[3]
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from penstock.server.effects.private_files import write_private\n"
        "path, n = pathlib.Path(sys.argv[2]), 0\n"
        "while True: n += 1; write_private(path, str(n % 10).encode() * 4096, replace=True); print(n, flush=True)"
    )
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", script, str(source), str(path)], stdout=subprocess.PIPE)
        assert child.stdout
        for _ in range(5):
            assert child.stdout.readline()
        time.sleep(0.01)
        child.kill()
        child.communicate(timeout=30)
        content = read_private(path, "the key")
        assert len(content) == 4096
        assert len(set(content)) == 1


@pytest.mark.parametrize(("mode", "remedy"), [(0o644, "chmod 600"), (0o640, "chmod 600"), (0o620, "chmod 600"), (0o601, "chmod 600")])
def test_a_file_open_to_others_is_refused(tmp_path, mode, remedy):
    path = tmp_path / "one.pem"
    path.write_bytes(b"secret")
    path.chmod(mode)
    with pytest.raises(FileFault, match=remedy) as caught:
        read_private(path, "the director key")
    assert "the director key" in caught.value.why
    assert f"{mode:03o}" in caught.value.why


def test_a_group_may_read_where_that_is_said(tmp_path):
    path = tmp_path / "one.pem"
    path.write_bytes(b"secret")
    path.chmod(0o640)
    assert read_private(path, "the key", group=True) == b"secret"
    for mode in (0o644, 0o660):
        path.chmod(mode)
        with pytest.raises(FileFault, match="chmod"):
            read_private(path, "the key", group=True)


def test_another_user_s_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "one.pem"
    write_private(path, b"secret")
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(FileFault, match="chown"):
        read_private(path, "the key")


def test_what_is_missing_or_no_file_is_named(tmp_path):
    with pytest.raises(FileFault, match=r"the key is missing.*restore it from a backup"):
        read_private(tmp_path / "absent", "the key")
    with pytest.raises(FileFault, match=r"plain file|cannot be read"):
        read_private(tmp_path, "the key")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(FileFault, match="plain file"):  # and it does not wait for a writer
        read_private(tmp_path / "pipe", "the key")
    write_private(tmp_path / "long", bytes(private_files.MAX_PRIVATE + 1))
    with pytest.raises(FileFault, match="longer than"):
        read_private(tmp_path / "long", "the key")
