"""The agent as a program, whole: enrol, adopt, fetch, apply on a real engine, soak, report, explain, go back, restart.

One process tree: the real agent under a bare interpreter, the in-test plane over TLS, a real Docker Engine.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from penstock.agent.control import ask
from penstock.wire.messages import Endpoint
from penstock.wire.types import AppState, Healthcheck, Mount, Service, Volume
from tests.agent.device import Device
from tests.agent.plane import Plane
from tests.agent.servers import Authority, HttpsServer
from tests.needs import needs

pytestmark = [pytest.mark.engine, needs("docker", "busybox")]

CHECK = Healthcheck(("CMD", "/bin/app", "check"), interval_ms=500, timeout_ms=2_000, retries=2)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def plane():
    return Plane()


@pytest.fixture
def server(plane, authority):
    with HttpsServer(authority.leaf(), plane) as server:
        yield server


@pytest.fixture
def device(tmp_path, docker):
    docker.start()
    docker.reset()
    device = Device(tmp_path, f"unix://{docker.socket}")
    yield device
    device.close()
    docker.start()
    docker.reset()


def app_of(image, version, soak_s=2, env=None, **more):
    volume = Mount("volume", "/data", "store")
    service = Service("web", "app", environment=env or {}, mounts=(volume,), healthcheck=CHECK, stop_grace_ms=2_000, **more)
    return AppState(
        "line1", "dep_1", "sha256:" + version * 64, version, (service,), (Volume("store", policy="snapshot"),), (), (image,), soak_s=soak_s, deadline_s=15
    )


def running(docker):
    return docker.inspected()


def test_the_whole_way(plane, server, authority, device, docker, images):
    out = device.do("enroll", plane.join(server.url, authority.pem), "--name", "press-3")
    assert "enrolled as press-3" in out
    device.start()
    device.wait_up()
    plane.until(lambda: plane.bodies("boot"), what="the boot entry arrives")

    first = plane.publish(images.make("1", payload_bytes=400_000), "app")
    plane.blob_cuts = [300, 0, 120_000, 7, 60_000]  # the connection is cut five times
    plane.wait_s = 30
    plane.deploy(app_of(first, "1", env={"WRITE": "/data/seen"}))
    plane.until(lambda: plane.bodies("receipt"), what="a receipt")
    receipt = plane.bodies("receipt")[0]
    assert (receipt.verdict, receipt.kind, receipt.to_version) == ("soaked", "install", "1"), receipt
    assert plane.blob_cuts == []
    assert set(running(docker)) == {"line1-web-1"}
    status = device.json("status")
    assert status["name"] == "press-3"
    assert status["apps"][0]["version"] == "1"
    assert status["apps"][0]["phase"] == "soaked"

    # killed at any instant and started again: nothing is repeated
    before = running(docker)["line1-web-1"]["Id"]
    device.stop(signal.SIGKILL)
    assert "not running" in device.do("status")
    device.start()
    device.wait_up()

    # version 2 soaks, version 3 writes to its volume and fails; the device goes back by itself with the plane away
    second = plane.publish(images.make("2"), "app")
    plane.deploy(app_of(second, "2", env={"WRITE": "/data/seen"}))
    plane.until(lambda: len(plane.bodies("receipt")) == 2, what="the second receipt")
    assert plane.bodies("receipt")[1].verdict == "soaked"
    assert running(docker)["line1-web-1"]["Id"] != before
    third = plane.publish(images.make("3"), "app")
    plane.deploy(app_of(third, "3", env={"WRITE": "/data/seen", "UNHEALTHY": "1"}))
    plane.until(lambda: (seen := plane.observed("line1")) and seen.phase in ("applying", "claimed", "confirmed"), what="version 3 is being applied")
    server.stop()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = device.json("status")
        if status["apps"][0]["phase"] == "failed" or (status["apps"][0].get("version") == "2" and "3" not in status["apps"][0].get("target_version", "")):
            break
        time.sleep(0.3)
    web = running(docker)["line1-web-1"]
    assert web["State"]["Running"]
    seen = docker.cli("exec", "line1-web-1", "cat", "/data/seen").split()
    assert "3" not in seen
    assert seen[0] == "1"
    why = device.do("why", "line1")
    assert "2" in why
    log = [json.loads(line) for line in device.do("log", "-n", "50", "--json").splitlines()]
    receipts = [json.loads(one["body"]) for one in log if one["kind"] == "receipt"]
    assert receipts[-1]["verdict"] == "failed-reverted", device.tail()
    assert [one["seq"] for one in log] == list(range(log[0]["seq"], log[0]["seq"] + len(log)))

    # the plane is back: every entry arrives exactly once
    with HttpsServer(authority.leaf(), plane, port=server.port):
        device.do("poll")
        plane.until(lambda: any(one.verdict == "failed-reverted" for one in plane.bodies("receipt")), what="the receipt of going back")
        assert plane.faults == []
        assert [entry.seq for entry in plane.entries] == list(range(1, len(plane.entries) + 1))
    assert device.stop() == 0


def test_a_plane_that_moved_while_the_device_was_away_strands_nobody(plane, server, authority, device, tmp_path):
    """New address, new authority: told by signed state over the old address, proven, then used; the old one goes only later."""
    device.do("enroll", plane.join(server.url, authority.pem), "--name", "press-3")
    elsewhere = Authority(tmp_path / "new-ca", "New CA")
    with HttpsServer(elsewhere.leaf(), plane) as moved:
        after = Endpoint(moved.url, (elsewhere.pem,))
        plane.deploy(endpoints=(after,))
        device.start()
        device.wait_up()
        plane.until(lambda: any(path.startswith("/d/v1/state") for _, path, _, _ in moved.requests), what="a poll at the new address")

        def book() -> dict[str, list[str]]:
            stored = json.loads((device.data / "endpoints.json").read_bytes())
            return {kind: [one["url"] for one in stored.get(kind, ())] for kind in ("current", "previous", "wanted")}

        plane.until(lambda: book()["current"] == [moved.url], what="the new address is in use")
        assert book() == {"current": [moved.url], "previous": [server.url], "wanted": []}
        server.stop()
        device.stop()
        plane.deploy(endpoints=(after,))
        device.start()
        device.wait_up()
        plane.until(lambda: not book()["previous"], what="the old address is let go")
        assert device.json("status")["link"]["ok"]


def test_polls_do_not_make_the_agent_grow(plane, server, authority, device):
    """Two hundred polls, each with a look at an engine: what is written to in memory stays where it was."""
    device.do("enroll", plane.join(server.url, authority.pem), "--name", "press-3")
    device.start()
    device.wait_up()
    assert device.process is not None
    pid = device.process.pid

    def written_kib() -> int:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

    def poll(times: int) -> None:
        for _ in range(times):
            before = plane.polls
            assert ask(str(device.data / "run" / "control.sock"), {"verb": "poll"}).ok
            plane.until(lambda before=before: plane.polls > before, what="a poll")

    poll(80)
    begun = written_kib()
    poll(200)
    assert written_kib() - begun < 500, "more than 2.5 KiB a poll"


def test_local_commands_without_an_agent_say_what_to_do(plane, server, authority, device):
    every: tuple[tuple[str, ...], ...] = (("status",), ("why",), ("log",), ("revert", "x", "--yes"), ("retry", "x"), ("poll",))
    for words in every:
        assert "penstock-agent enroll" in device.do(*words, status=4)
    plane.auto_approve = False
    out = device.do("enroll", plane.join(server.url, authority.pem), "--no-wait", "--name", "a", status=1)
    assert "fingerprint" in out
    assert "waits to be let in" in device.do("status", status=4)
    plane.auto_approve = True
    device.do("enroll")
    assert "not running" in device.do("status")
    assert "systemctl start" in device.do("revert", "x", "--yes", status=3)
    assert "enrolled already" in device.do("enroll", status=1)
    assert device.do("version").startswith("0.")
    wrong: tuple[tuple[str, ...], ...] = (("explode",), ("status", "x"), ("log", "-n", "many"), ("revert",), ("status", "--nonsense"))
    for words in wrong:
        assert "see: penstock-agent" in device.do(*words, status=2)
    for name in ("enroll", "run", "status", "why", "revert", "retry", "log", "poll", "uninstall", "version"):
        assert device.do(name, "--help").startswith("usage:")
    device.start()
    device.wait_up()
    assert "running; stop it first" in device.do("uninstall", "--yes", status=1)
    second = Device(device.data.parent, device.engine)
    second.start()
    assert second.process is not None
    assert second.process.wait(30) == 1
    assert "another penstock-agent already uses" in second.tail()
    second.process = None
    assert device.stop() == 0
    device.do("uninstall", "--yes", "--purge-data")
    assert not device.data.exists()


def test_run_enrols_by_itself_where_it_is_told_to(plane, server, authority, device):
    plane.auto_approve = False
    device.start("--join", plane.join(server.url, authority.pem), "--name", "press-9")
    plane.until(lambda: plane.requests, what="the device asks")
    plane.auto_approve = True
    plane.until(lambda: plane.bodies("boot"), what="it is up")
    assert device.json("status")["name"] == "press-9"
    assert device.process is not None
    os.kill(device.process.pid, signal.SIGHUP)
    assert device.stop() == 0


def test_the_sparing_mode_ends_between_polls(plane, server, authority, device, docker, images):
    device.do("enroll", plane.join(server.url, authority.pem), "--name", "press-3")
    device.start("--sparing")
    assert device.process is not None
    assert device.process.wait(60) == 0
    assert plane.polls >= 1
    device.process = None
    plane.deploy(app_of(plane.publish(images.make("1"), "app"), "1"))
    device.start("--sparing")
    assert device.process is not None
    assert device.process.wait(90) == 0, device.tail()
    device.process = None
    assert set(running(docker)) == {"line1-web-1"}
    device.start("--sparing")
    assert device.process is not None
    assert device.process.wait(60) == 0
    assert plane.bodies("receipt")[-1].verdict == "soaked"
    assert len(plane.bodies("boot")) == 1
