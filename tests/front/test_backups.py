"""Backups over the API and the command line, from a plane that serves: sealed, whole or not there, one at a time, on record, and what comes back from them."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from pathlib import Path

import pytest

from penstock import crypto
from penstock.apiv1 import access as r
from penstock.apiv1.devices import JoinTokenCreate
from penstock.cli import out
from penstock.cli.main import run
from penstock.client import Client
from penstock.crypto.streaming import MAGIC, Whole, is_sealed
from penstock.server import commandline
from penstock.server.actions import devices, events, faults
from penstock.server.app import StartFault, open_plane
from penstock.server.effects import backups as effect
from penstock.server.effects import feed as feeds
from penstock.server.effects.archive import ArchiveFault
from penstock.server.effects.private_files import FileFault
from penstock.server.settings import Settings
from tests.front.served import ScriptedDevice, Served, problem, until
from tests.server.planes import ADMIN

KEY = crypto.generate_key()
PUBLIC = crypto.public_pem(KEY).decode()
PRINT = crypto.sha256_hex(PUBLIC.encode())


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = Served(tmp_path_factory.mktemp("plane"))
    made.ready()
    with made.client() as client:
        client.create_site("plant-1")
    yield made
    made.stop()


@pytest.fixture
def cli(served, tmp_path, monkeypatch, capsys):
    """`cli(words...)`: the exit code, standard output and standard error."""
    ca = tmp_path / "ca.pem"
    ca.write_text(served.ca)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PENSTOCK_URL", served.url)
    monkeypatch.setenv("PENSTOCK_CA", str(ca))
    monkeypatch.setenv("PENSTOCK_TOKEN", served.ready())
    for one in (out.console, out.errors):
        monkeypatch.setattr(one, "width", 1000)

    def asked(*words: str) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return asked


@pytest.fixture
def key(tmp_path, cli) -> Path:
    assert cli("backup", "key", str(tmp_path / "b.key"))[0] == 0
    return tmp_path / "b.key"


def acts(served: Served, verb: str) -> list[dict[str, str]]:
    return [
        one.data | {"by": one.actor_name.partition(" ")[0], "reason": one.reason}
        for one in events.list_events(served.plane, ADMIN, limit=200)
        if one.verb == verb
    ]


def quiet(served: Served) -> None:
    """Nothing of a backup is left where it was made."""
    data = served.settings.data
    assert not (data / "backup.tmp").exists()
    assert not list(data.glob("*.partial"))


def test_there_and_back_again(served, cli, key, tmp_path):
    """From a plane that serves to one that opens: with the images, by the two keys."""
    with served.client() as client:
        join = client.create_join("plant-1", JoinTokenCreate(auto_approve=True)).join
    with ScriptedDevice(served, join, "press-1") as device:
        assert device.enrol() == "approved"
        device.start()
    served.images("1")
    target = tmp_path / "plane.sealed"
    before = served.plane.clock.now_ms()
    code, said, err = cli("backup", "--key", f"{key}.pub", target, "--images")
    assert code == 0, err
    assert "whole" in said
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not target.with_name("plane.sealed.partial").exists()
    data = target.read_bytes()
    assert is_sealed(data)
    for secret in (b"PRIVATE KEY", b"SQLite format", b"press-1", b"about.json"):
        assert secret not in data
    fingerprint = crypto.sha256_hex(Path(f"{key}.pub").read_bytes())
    (made,) = acts(served, "backup.made")
    assert (made["by"], made["key"], made["images"], made["size"]) == ("mara", fingerprint, "yes", str(len(data)))
    assert made["digest"] == data[-32:].hex()
    assert acts(served, "backup.begun")[0]["key"] == fingerprint
    with served.client() as client:
        assert client.about().backup_ms >= before
    quiet(served)

    root, again = served.settings.data.parent / "root.key", tmp_path / "again"
    with pytest.raises(ArchiveFault, match="--backup-key"):
        commandline.restored(Settings(data=again), target, root)
    other = tmp_path / "other.key"
    other.write_bytes(crypto.generate_key())
    other.chmod(0o600)
    with pytest.raises(ArchiveFault, match=f"sealed for another key.*{fingerprint}"):
        commandline.restored(Settings(data=again), target, root, other)
    other.chmod(0o644)
    with pytest.raises(FileFault, match="chmod 600"):
        commandline.restored(Settings(data=again), target, root, other)
    with pytest.raises(FileFault, match="backup key is missing"):
        commandline.restored(Settings(data=again), target, root, tmp_path / "nothing")
    (tmp_path / "cut").write_bytes(data[:-1000])
    with pytest.raises(ArchiveFault, match="not whole"):
        commandline.restored(Settings(data=again), tmp_path / "cut", root, key)
    assert not again.exists()

    lines = commandline.restored(Settings(data=again), target, root, key)
    assert any("epoch 2 has begun; 1 devices are known" in line for line in lines), lines
    assert not any("not in the backup" in line for line in lines), "its images were"
    assert {path.name for path in again.iterdir()} == {"keys", "plane.db", "plane.lock", "registry", "server.toml", "tls"}, "nothing plain lies about"
    running = open_plane(Settings(data=again, addresses=(served.url,)))
    try:
        assert running.plane.epoch == 2
        assert "waiting until it has said" in devices.get_device(running.plane, ADMIN, device="press-1").device.review
    finally:
        running.close()


def test_a_backup_answers_the_fault(served, cli, key, tmp_path, monkeypatch):
    plane = served.plane

    def missing() -> bool:
        return any(one.kind == "plane-no-backup" for one in faults.list_faults(plane, ADMIN, query=faults.Query(kind="plane-no-backup"))[0].items)

    assert cli("backup", "--key", f"{key}.pub", tmp_path / "one")[0] == 0
    assert not missing()
    now = plane.clock.now_ms()
    monkeypatch.setattr(plane.clock, "now_ms", lambda: now + 9 * 86_400_000)
    assert missing()


def test_json(cli, key, tmp_path):
    code, said, _ = cli("backup", "--key", f"{key}.pub", tmp_path / "one", "--json")
    assert code == 0
    made = json.loads(said)
    assert made == {
        "path": str(tmp_path / "one"),
        "size": (tmp_path / "one").stat().st_size,
        "digest": (tmp_path / "one").read_bytes()[-32:].hex(),
        "key": crypto.sha256_hex(Path(f"{key}.pub").read_bytes()),
        "images": False,
    }


def test_the_key(cli, tmp_path):
    file = tmp_path / "mine"
    code, said, _ = cli("backup", "key", file, "--json")
    assert code == 0
    made = json.loads(said)
    assert made == {"private": str(file), "public": f"{file}.pub", "fingerprint": crypto.sha256_hex(Path(f"{file}.pub").read_bytes())}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert crypto.public_pem(file.read_bytes()) == Path(f"{file}.pub").read_bytes()
    before = file.read_bytes()
    code, _, err = cli("backup", "key", file)
    assert code == 2
    assert "not overwritten" in err
    assert file.read_bytes() == before
    file.unlink()
    assert cli("backup", "key", file)[0] == 2, "nor is the public half"
    assert not file.exists()


def test_the_private_half_is_not_sent(served, cli, key, tmp_path):
    began = len(acts(served, "backup.begun"))
    code, _, err = cli("backup", "--key", key, tmp_path / "one")
    assert code == 2
    assert "private half" in err
    assert f"{key}.pub" in err
    (tmp_path / "text").write_text("hello")
    code, _, err = cli("backup", "--key", tmp_path / "text", tmp_path / "one")
    assert code == 2
    assert "not the public half" in err
    assert len(acts(served, "backup.begun")) == began
    assert not (tmp_path / "one").exists()


def test_nothing_is_overwritten(cli, key, tmp_path):
    (tmp_path / "one").write_text("mine")
    code, _, err = cli("backup", "--key", f"{key}.pub", tmp_path / "one")
    assert code == 2
    assert "not overwritten" in err
    assert (tmp_path / "one").read_text() == "mine"


@pytest.mark.parametrize("spoil", ["cut", "changed", "page"])
def test_what_does_not_come_through_whole_is_not_kept(cli, key, tmp_path, monkeypatch, spoil):
    """Also where whatever stands in between ends it as if it were whole."""
    honest = Client.backup

    def between(self, key, *, images=False):
        data = b"".join(honest(self, key, images=images))
        yield {"cut": data[:-40_000], "changed": data[:5000] + bytes((data[5000] ^ 1,)) + data[5001:], "page": b"<html>who are you?</html>"}[spoil]

    monkeypatch.setattr(Client, "backup", between)
    code, said, err = cli("backup", "--key", f"{key}.pub", tmp_path / "one")
    assert code != 0
    assert not said
    assert "whole" in err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("one")] == []


def test_one_at_a_time(served, key, tmp_path):
    """Whoever asks meanwhile is told when to come again: over the API, and at the data folder."""
    with served.http() as http:
        turn = served.plane.backups.take()
        try:
            answer = http.post("/api/v1/backup", json={"key": PUBLIC})
            found = problem(answer)
            assert (answer.status_code, found["code"]) == (503, "backup-in-progress")
            assert int(answer.headers["retry-after"]) > 0
            with pytest.raises(StartFault, match="another backup is being made"):
                commandline.backup(served.settings, tmp_path / "here.tar")
            assert not (tmp_path / "here.tar").exists()
        finally:
            turn.end()
        answer = http.post("/api/v1/backup", json={"key": PUBLIC})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"].startswith('attachment;filename="penstock-')
        watch = Whole()
        watch.feed(answer.content)
        assert watch.check() == acts(served, "backup.made")[-1]["digest"], "it is on record when the answer ends"
    quiet(served)


def test_who_goes_away_leaves_nothing_behind(served):
    """More than fits into any buffer, so that the end cannot have been sent; the next one's turn comes at once."""
    push_much(served)
    before = len(acts(served, "backup.made"))
    newest = served.plane.db.view(faults.newest_backup_ms)
    with served.http() as http:
        with http.stream("POST", "/api/v1/backup", json={"key": PUBLIC, "images": True}) as answer:
            assert next(answer.iter_raw()).startswith(MAGIC)
        until(lambda: any(one["key"] == PRINT for one in acts(served, "backup.failed")), "it is on record that it failed")
        until(lambda: not (served.settings.data / "backup.tmp").exists(), "the copy is away")
        assert "gone" in acts(served, "backup.failed")[-1]["reason"]
        assert len(acts(served, "backup.made")) == before
        assert served.plane.db.view(faults.newest_backup_ms) == newest
        answer = http.post("/api/v1/backup", json={"key": PUBLIC})
        assert answer.status_code == 200


def push_much(served: Served) -> None:
    folder = served.settings.data / "registry" / "blobs" / "ff"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("f" * 64)).write_bytes(crypto.random_bytes(65536) * 800)


def test_who_takes_nothing_is_not_waited_for(served, monkeypatch):
    push_much(served)
    monkeypatch.setattr(feeds.Feed.__init__, "__defaults__", (1.0, 60.0))
    with served.http() as http, http.stream("POST", "/api/v1/backup", json={"key": PUBLIC, "images": True}) as answer:
        pieces = answer.iter_raw()
        assert next(pieces).startswith(MAGIC)
        until(lambda: any("nothing of it was taken" in one["reason"] for one in acts(served, "backup.failed")), "it was given up")
        turn = until(lambda: taken(served), "the next one's turn")
        turn.end()


def taken(served: Served) -> effect.Turn | None:
    assert served.plane.backups is not None
    try:
        return served.plane.backups.take()
    except effect.Occupied:
        return None


def test_a_fault_on_the_way_is_on_record_and_no_end_is_sent(served, cli, key, tmp_path, monkeypatch):
    """The answer has begun by then: it must not end as if it were whole."""

    def full(_write, *_):
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/plane.db")

    monkeypatch.setattr(effect, "pack", full)
    code, _, err = cli("backup", "--key", f"{key}.pub", tmp_path / "one")
    assert code == 3
    assert "broken-off" in err
    assert "no room left on the disk" in acts(served, "backup.failed")[-1]["reason"]
    assert not (tmp_path / "one").exists()
    assert not (tmp_path / "one.partial").exists()
    quiet(served)


def test_a_full_disk_is_said_before_anything_is_begun(served, cli, key, tmp_path, monkeypatch):
    began = len(acts(served, "backup.begun"))
    monkeypatch.setattr(effect, "SPARE", 1 << 60)
    code, _, err = cli("backup", "--key", f"{key}.pub", tmp_path / "one")
    assert code == 3
    assert "is full" in err
    assert "make room" in err
    assert len(acts(served, "backup.begun")) == began
    quiet(served)
    with pytest.raises(ArchiveFault, match="is full"):
        commandline.backup(served.settings, tmp_path / "here.tar")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("here")] == []


def test_keys_that_are_none_are_refused_by_name(served):
    with served.http() as http:
        for bad in ("x", PUBLIC.replace("\n", "\r\n"), crypto.public_pem(crypto.generate_key(crypto.P384), (crypto.P384,)).decode()):
            answer = http.post("/api/v1/backup", json={"key": bad})
            found = problem(answer)
            assert (answer.status_code, found["code"], found["field"]) == (422, "backup-key-unusable", "key")


def test_a_service_account_that_may_only_this(served, cli, key, tmp_path, monkeypatch):
    """As docs/operate.md has it for a timer."""
    with served.client() as client:
        client.access.create_role(r.RoleCreate(name="backup", title="Backups only", verbs=("system.backup",)))
        client.access.create_user("nightly", service=True)
        client.access.give("nightly", "backup", "fleet")
        token = client.access.create_token("nightly", "timer", 86400).token
    monkeypatch.setenv("PENSTOCK_TOKEN", token)
    code, _, err = cli("backup", "--key", f"{key}.pub", tmp_path / "one")
    assert code == 0, err
    assert acts(served, "backup.made")[-1]["by"] == "nightly"
    assert cli("device", "list")[0] == 4


def test_a_plane_that_stops_waits_for_nobody_and_sweeps_when_it_starts(tmp_path):
    """Asked to stop while a backup goes out to somebody who takes nothing: it stops, on record; what a killed one left is gone at the next start."""
    plane = Served(tmp_path)
    push_much(plane)
    with plane.http() as http, http.stream("POST", "/api/v1/backup", json={"key": PUBLIC, "images": True}) as answer:
        pieces = answer.iter_raw()
        assert next(pieces).startswith(MAGIC)
        began = time.monotonic()
        plane.running.leave()
        plane.stop()
        assert time.monotonic() - began < 15
    left = plane.settings.data / "backup.tmp"
    assert not left.exists()
    left.mkdir()
    (left / "plane.db").write_text("left behind")
    running = open_plane(plane.settings)
    try:
        assert not left.exists()
        verbs = [one.verb for one in events.list_events(running.plane, ADMIN, limit=200)]
        assert verbs[-2:] == ["backup.begun", "backup.failed"]
        assert running.plane.db.view(faults.newest_backup_ms) == 0
    finally:
        running.close()


def test_a_full_disk_here_is_named(cli, key, tmp_path, monkeypatch):
    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = cli("backup", "--key", f"{key}.pub", tmp_path / "one")
    assert code == 1
    assert f"{tmp_path}/one.partial: No space left on device" in err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("one")]


def test_sealed_by_whoever_holds_the_data_folder(served, key, tmp_path):
    target = tmp_path / "timer.sealed"
    size = commandline.backup(served.settings, target, key=Path(f"{key}.pub"))
    assert size == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert is_sealed(target.read_bytes())
    made = acts(served, "backup.made")[-1]
    assert (made["by"], made["size"]) == ("penstock-server", str(size))
    with pytest.raises(StartFault, match="not the public half"):
        commandline.backup(served.settings, tmp_path / "more", key=key)
    with pytest.raises(ArchiveFault, match="exists already"):
        commandline.backup(served.settings, target, key=Path(f"{key}.pub"))
    again = tmp_path / "again"
    assert commandline.restored(Settings(data=again), target, served.settings.data.parent / "root.key", key)
