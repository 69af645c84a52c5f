"""The restore drill: yesterday's backup, a new epoch, devices that neither refuse the plane for ever nor obey it blindly."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.server import commandline
from penstock.server.actions import deployments, devices, events, joins, progress, releases, sites
from penstock.server.app import Running, StartFault, open_plane
from penstock.server.core.model import Target
from penstock.server.effects.archive import ArchiveFault
from penstock.server.effects.private_files import FileFault
from penstock.server.settings import Settings, read
from penstock.server.store.db import Busy
from penstock.wire import trust
from penstock.wire.log import Boot, Event
from penstock.wire.types import content_digest
from tests.server.paper import PaperDevice, straight
from tests.server.planes import ADMIN, COMPOSE, work_off
from tests.server.pushing import push, small_image

ADDRESS = "https://127.0.0.1:8443"


def publish(running: Running, version: str) -> None:
    push(running.plane.blobs, "shop/web", small_image(f"web {version}"), version)
    push(running.plane.blobs, "shop/db", small_image("db"), "1")
    releases.publish(running.plane, ADMIN, source=COMPOSE.format(version=version).encode(), app="shop", version=version)


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Running]:
    running = open_plane(settings)
    try:
        yield running
    finally:
        running.close()


def soak(plane, device: PaperDevice) -> None:
    device.say_app("soaked")
    device.say_receipt("soaked")
    device.say_device()
    device.report()
    work_off(plane)
    device.poll()


@pytest.fixture
def house(tmp_path):
    settings = Settings(data=tmp_path / "data", addresses=(ADDRESS,))
    token = commandline.init(settings, tmp_path / "root.pem")
    assert len(token) == 64
    return settings


def join(running: Running, name: str) -> PaperDevice:
    line = joins.create_join(running.plane, ADMIN, site="plant-1", auto_approve=True, labels={"line": "paint"}).join
    device = PaperDevice(straight(running.agent), name, clock=running.plane.clock.now_ms)
    assert device.ask(line).status == "approved"
    device.write("boot", Boot("0.1.0", "b", device.facts, name))
    device.poll()
    device.report()
    return device


def test_yesterdays_backup(house, tmp_path):
    archive = tmp_path / "backup.tar"
    with opened(house) as running:
        plane = running.plane
        sites.create_site(plane, ADMIN, name="plant-1")
        quiet, busy, ill = join(running, "quiet"), join(running, "busy"), join(running, "ill")
        publish(running, "1")
        made = deployments.create_deployment(plane, ADMIN, name="shop", release="shop:1", target=Target(selector="line=paint"))
        for device in (quiet, busy):
            device.poll()
            soak(plane, device)
        ill.poll()
        ill.say_receipt("failed-reverted")
        ill.say_app("failed", content="sha256:" + "0" * 64, target=content_digest(ill.app()))
        ill.report()
        work_off(plane)
        ill.poll()
        assert ill.leaves == {}
        kept = quiet.log[-1].seq
        commandline.backup(house, archive)  # while it runs
        # what happens afterwards is not in the backup
        publish(running, "2")
        deployments.change_deployment(plane, ADMIN, deployment="shop", revision=made.revision, release="shop:2", target=Target((busy.id,)))
        busy.poll()
        soak(plane, busy)
        assert (busy.app().version, busy.held.generation) == ("2", 3)
        late = join(running, "late")
        quiet.write("event", Event("after.backup", "something happened"))
        quiet.report()
    said = commandline.restored(Settings(data=tmp_path / "again"), archive, tmp_path / "root.pem")
    fresh = read(None, {}, {"data": str(tmp_path / "again")})
    assert fresh.addresses == (ADDRESS,), "devices look for it where it was"
    assert any(ADDRESS in line for line in said), said
    assert any("epoch 2" in line for line in said), said
    assert any("image blobs were not in the backup" in line for line in said), said
    with opened(fresh) as running:
        plane = running.plane
        assert plane.epoch == 2
        work_off(plane)
        for device in (quiet, busy):
            device.call, device.token = straight(running.agent), ""
            # the old state is not believed in the new epoch; the new one is
            assert device.poll().status == 200
            assert (device.root.epoch, device.held.epoch, device.leaves) == (2, 2, {})
        # a device the backup does not know is told so, and loses nothing
        late.call, late.token = straight(running.agent), ""
        assert late.poll().status == 401
        # busy runs what this plane has never made: nothing is ordered until a person has looked
        assert busy.app().version == "1"
        running_now = "sha256:" + "2" * 64
        busy.say_app("soaked", content=running_now)
        busy.say_device()
        busy.log = busy.log[-3:]  # what the lost plane had acknowledged is gone from the device
        busy.acked = busy.log[0].seq - 1
        held = devices.get_device(plane, ADMIN, device="busy").log_seq
        assert busy.report().expect == held + 1 < busy.log[0].seq
        assert busy.report().expect == busy.log[-1].seq + 1
        assert devices.get_device(plane, ADMIN, device="busy").status.lost == busy.log[0].seq - 1 - held
        work_off(plane)
        busy.poll()
        assert busy.leaves == {}
        view = devices.get_device(plane, ADMIN, device="busy")
        assert "does not know" in view.device.review
        # quiet runs what is known: it goes on by itself, and its log is whole again
        quiet.say_app("soaked")
        quiet.say_device()
        quiet.report()
        work_off(plane)
        assert devices.get_device(plane, ADMIN, device="quiet").device.review == ""
        assert devices.get_device(plane, ADMIN, device="quiet").log_seq == quiet.log[-1].seq > kept
        assert devices.get_device(plane, ADMIN, device="quiet").status.lost == 0
        quiet.poll()
        assert quiet.leaves == {}
        # what failed before the backup was made is not tried again because of the restore
        ill.call, ill.token = straight(running.agent), ""
        ill.poll()
        ill.say_app("failed", content="sha256:" + "0" * 64, target=content_digest(ill.app()))
        ill.say_device()
        ill.report()
        for _ in range(3):
            work_off(plane)
            ill.poll()
            assert ill.leaves == {}
        (rollout,) = progress.list_rollouts(plane, ADMIN, deployment="shop").items
        states = {row.member.device: row.member.state for row in progress.members(plane, ADMIN, rollout=rollout.rollout.id).items}
        assert states[ill.id] == "failed"
        # a person accepts, and busy is brought to what the plane wants, by leave
        devices.accept_review(plane, ADMIN, device="busy", revision=view.device.revision, reason="looked")
        work_off(plane)
        busy.poll()
        assert "shop" in busy.leaves
        assert busy.leaves["shop"].epoch == 2
        verbs = [event.verb for event in events.list_events(plane, ADMIN, limit=200)]
        assert "plane.restored" in verbs
        assert "device.review" in verbs
        # an old authorisation is worth nothing
        assert isinstance(trust.accept_authorisation(busy.root, busy.id, b"{}", lambda *_: True), trust.Refusal)
        assert progress.list_rollouts(plane, ADMIN, deployment="shop").items[0].rollout.state == "running"


def test_roots_made_after_the_backup_are_followed(house, tmp_path):
    archive, root_key = tmp_path / "backup.tar", tmp_path / "root.pem"
    commandline.backup(house, archive)
    once = Settings(data=tmp_path / "once", addresses=(ADDRESS,))
    commandline.restored(once, archive, root_key)
    twice = Settings(data=tmp_path / "twice", addresses=(ADDRESS,))
    said = commandline.restored(twice, archive, root_key)
    assert any("1 root documents were made after the backup" in line for line in said)
    with opened(twice) as running:
        assert (running.plane.epoch, running.plane.roots.root.version) == (3, 3)


def test_what_a_restore_refuses(house, tmp_path):
    archive = tmp_path / "backup.tar"
    commandline.backup(house, archive, images=True)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with pytest.raises(ArchiveFault, match="exists already"):
        commandline.backup(house, archive)
    with pytest.raises(StartFault, match="not empty"):
        commandline.restored(house, archive, tmp_path / "root.pem")
    assert (house.data / "plane.db").exists()
    other = Settings(data=tmp_path / "other", addresses=(ADDRESS,))
    with pytest.raises(FileFault):
        commandline.restored(other, archive, tmp_path / "nokey.pem")
    assert not other.data.exists()
    (tmp_path / "junk.tar").write_bytes(b"junk")
    with pytest.raises(ArchiveFault, match="cannot be unpacked"):
        commandline.restored(other, tmp_path / "junk.tar", tmp_path / "root.pem")
    assert not other.data.exists()


def test_the_root_key_stays_outside(tmp_path):
    settings = Settings(data=tmp_path / "data", addresses=(ADDRESS,))
    with pytest.raises(FileFault, match="may not lie in the data folder"):
        commandline.init(settings, tmp_path / "data" / "root.pem")
    commandline.init(settings, tmp_path / "root.pem")
    with pytest.raises(StartFault, match="already"):
        commandline.init(settings, tmp_path / "root.pem")


def test_a_second_process_is_refused(house):
    script = (
        "import sys\nfrom pathlib import Path\nfrom penstock.server.app import open_plane\nfrom penstock.server.settings import Settings\n"
        "from penstock.server.store.db import Busy\n"
        "try:\n    open_plane(Settings(data=Path(sys.argv[1]), addresses=('https://127.0.0.1:8443',)))\nexcept Busy as fault:\n    print(fault)\n    sys.exit(7)\n"
    )
    with opened(house):
        with pytest.raises(Busy):
            open_plane(house)
        second = subprocess.run([sys.executable, "-c", script, str(house.data)], capture_output=True, text=True, timeout=120, check=False)
        assert second.returncode == 7, second.stderr
        assert f"process {os.getpid()} already serves" in second.stdout
        assert len(commandline.setup_token(house)) == 64  # beside the running plane


def test_an_address_that_is_taken_is_said_and_the_plane_is_not_up(house):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "penstock.server", "run", "--data", str(house.data), "--listen", f"127.0.0.1:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert f"nothing can listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    with opened(house):
        pass  # and it holds nothing back


def test_nothing_secret_is_readable_by_others(house):
    for path in Path(house.data).rglob("*"):
        if path.parent.name in ("keys", "tls"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(house.data.stat().st_mode) == 0o700
