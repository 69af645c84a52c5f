"""The device when its surroundings fail: cut connections, a full disk, an engine that goes away, pruned images, wrong clocks, a reboot without network."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cutting import CuttingProxy
from tests.e2e.house import House, eventually
from tests.e2e.recipes import release
from tests.engines import Engine
from tests.needs import needs

SIMPLE = """\
name: {app}
services:
  one:
    image: {image}
    environment: {{WRITE: /data/log{more}}}
    volumes: [data:/data]
    restart: {restart}
    stop_grace_period: 1s
volumes: {{data: {{}}}}
x-penstock: {{soak: {soak}s, deadline: 30s, volumes: {{data: {policy}}}}}
"""
MB = 1024 * 1024


def simple(
    house: House, app: str, version: str, *, soak: int = 1, payload: int = 0, policy: str = "snapshot", restart: str = "unless-stopped", **more: str
) -> None:
    image = house.plane.push(house.images.make(f"{app}-{version}", payload_bytes=payload), f"faults/{app}:{version}", house.images)
    extra = "".join(f", {name}: '{value}'" for name, value in more.items())
    house.plane.publish(app, version, SIMPLE.format(app=app, image=image, soak=soak, policy=policy, restart=restart, more=extra))


def written(engine: Engine, app: str, service: str = "one") -> list[str]:
    return engine.cli("exec", f"{app}-{service}-1", "/bin/cat", "/data/log").split()


def volume_lines(engine: Engine, volume: str) -> list[str]:
    """What stands in the log of a volume, whatever mounts it."""
    status, found = engine.api("GET", f"/volumes/{volume}")
    path = Path(found["Mountpoint"], "log") if status == 200 else Path("/nonexistent")
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def cutting() -> Iterator[CuttingProxy]:
    proxy = CuttingProxy()
    yield proxy
    proxy.close()


def test_a_download_cut_five_times_goes_on_where_it_was(home: House, box: Engine, cutting: CuttingProxy) -> None:
    """Five cuts and a restart of the agent in the middle; over an HTTP proxy, as plants have them."""
    simple(home, "cut", "1", payload=4 * MB)
    agent = home.agent(box, "cut-1", environment={"HTTPS_PROXY": cutting.url})
    agent.wait_up()
    cutting.cut_after = [600_000] * 3
    home.plane.deploy("cut:1", ["cut-1"])
    eventually(lambda: cutting.cuts, lambda count: count >= 3, 60, what="three cuts")
    cutting.stall(300_000)
    eventually(cutting.stalled.is_set, bool, 60, what="the download stands still")
    assert agent.app("cut")["phase"] == "fetching", "the agent answers while a download hangs"
    agent.kill()
    cutting.release()
    cutting.cut_after = [500_000] * 2
    agent.start()
    home.plane.wait_app("cut-1", "cut", "1")
    assert cutting.cuts == 5
    # Begun anew after each cut it would have been 4 MB and more than 2.5 MB again.
    assert cutting.down < 6 * MB, cutting.down
    assert written(box, "cut") == ["cut-1"]


@needs("mkfs")
def test_a_full_disk_changes_nothing_and_mends_itself(home: House, box: Engine) -> None:
    agent = home.agent(box, "full-1", enrol=False, start=False)
    agent.data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=112m,mode=700", "penstock-test", str(agent.data)], check=True)
    try:
        asking = agent.enroll(home.join(), "full-1")
        assert asking.wait(60) == 0
        agent.start()
        simple(home, "full", "1")
        simple(home, "full", "2")
        deployment = home.plane.deploy("full:1", ["full-1"])["id"]
        home.plane.wait_app("full-1", "full", "1")
        before = box.inspect("full-one-1")
        filler = agent.data / "filler"
        with filler.open("wb", buffering=0) as out:
            with contextlib.suppress(OSError):
                while True:
                    out.write(b"\0" * 65536)
            with contextlib.suppress(OSError):
                while True:
                    out.write(b"\0")
        home.plane.redeploy(deployment, release="full:2")
        said = eventually(agent.status, lambda status: any("storage cannot be written" in one for one in status["alarms"]), 30)
        assert "no space left" in str(said["alarms"])
        assert "storage cannot be written" in agent.cli("why").stdout
        assert agent.cli("revert", "full", "--yes", check=False).returncode == 1
        box.cli("stop", "-t", "0", "full-one-1")
        eventually(lambda: box.inspect("full-one-1")["State"]["Running"], bool, 30, what="what should be running is started, disk or no disk")
        assert box.inspect("full-one-1")["Id"] == before["Id"]
        filler.unlink()
        home.plane.wait_app("full-1", "full", "2")
        assert agent.status()["alarms"] == []
        assert [(one.get("to_version", ""), one["verdict"]) for one in home.plane.receipts("full-1")] == [("1", "soaked"), ("2", "soaked")]
        agent.stop()
    finally:
        agent.kill()
        subprocess.run(["umount", "-l", str(agent.data)], check=False)


def test_the_engine_goes_and_comes_back_under_the_agent(home: House, box: Engine) -> None:
    """Engine restarted, and down while the agent starts; with services that no restart policy of the engine brings back."""
    simple(home, "gone", "1", restart='"no"')
    agent = home.agent(box, "gone-1")
    home.plane.deploy("gone:1", ["gone-1"])
    home.plane.wait_app("gone-1", "gone", "1")
    container = box.inspect("gone-one-1")["Id"]
    box.restart()
    eventually(lambda: box.inspect("gone-one-1")["State"]["Running"], bool, 30, what="it runs again")
    assert box.inspect("gone-one-1")["Id"] == container

    agent.stop()
    box.stop()
    agent.start()
    agent.wait_up()
    said = eventually(agent.status, lambda status: any("engine does not answer" in one for one in status["alarms"]), 30)
    assert "engine does not answer" in said["apps"][0]["why"]
    box.start()
    eventually(lambda: box.inspect("gone-one-1")["State"]["Running"], bool, 60, what="it runs again")
    eventually(lambda: agent.status()["alarms"], lambda alarms: not alarms, 60, what="the alarm is over")
    assert box.inspect("gone-one-1")["Id"] == container
    assert written(box, "gone") == ["gone-1"] * 3
    assert len(home.plane.receipts("gone-1")) == 1


def test_images_pruned_between_apply_and_revert_and_at_rest(home: House, box: Engine) -> None:
    """The way back is made of the agent's own copies; with those gone too, that is said at once."""
    plane = home.plane
    agent = home.agent(box, "prune-1")
    release(home, "1", app="prune", soak=1)
    release(home, "2", app="prune", soak=1)
    release(home, "3", app="prune", soak=1, UNHEALTHY="1")
    deployment = plane.deploy("prune:1", ["prune-1"])["id"]
    plane.wait_app("prune-1", "prune", "1")
    plane.redeploy(deployment, release="prune:2")
    plane.wait_app("prune-1", "prune", "2")
    plane.redeploy(deployment, release="prune:3")
    eventually(lambda: volume_lines(box, "prune_data"), lambda lines: "prune-3" in lines, 60, what="version 3 has spoilt its volume")
    plane.stop()
    box.cli("system", "prune", "-af")
    back = agent.wait_app("prune", "2", "failed", 90)
    assert "3" in back["why"]
    assert written(box, "prune", "writer") == ["prune-1", "prune-2", "prune-2"]

    box.cli("system", "prune", "-af")
    agent.cli("poll")
    agent.stop()
    agent.start()
    eventually(
        lambda: agent.app("prune").get("way_back", {}), lambda back: back.get("ok") is True and back["version"] == "1", 30, what="a way back without images"
    )
    for blob in sorted((agent.data / "blobs").rglob("*")):
        if blob.is_file():
            blob.unlink()
    gone = eventually(lambda: agent.app("prune")["way_back"], lambda back: not back.get("ok"), 30, what="no way back")
    assert "neither in the engine nor in the agent's own store" in gone["why"]
    refused = agent.cli("revert", "prune", "--yes", check=False)
    assert (refused.returncode, "no way back" in refused.stderr) == (1, True), refused
    plane.start()
    agent.cli("poll")
    plane.redeploy(deployment, release="prune:1")
    plane.wait_app("prune-1", "prune", "1")
    assert agent.app("prune")["way_back"]["ok"] is False or agent.app("prune")["way_back"]["version"] == "2"


FAKETIME = next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")


def at_clock(text: str) -> dict[str, str]:
    """The environment of a process whose wall clock is wrong, as faketime(1) says it; its monotonic clock is right."""
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": text, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@needs("faketime")
def test_wrong_clocks(home: House, box: Engine) -> None:
    """At 1970 and a year back enrolment and TLS work and changes go by the plane's signed time; what was done unsure of the time is marked."""
    plane = home.plane
    simple(home, "clock", "1")
    simple(home, "clock", "2")
    agent = home.agent(box, "clock-1", environment=at_clock("@1970-01-02 00:00:00"))
    deployment = plane.deploy("clock:1", ["clock-1"])["id"]
    plane.wait_app("clock-1", "clock", "1")
    agent.stop()
    agent.environment.update(at_clock("-365d"))
    agent.start()
    plane.redeploy(deployment, release="clock:2")
    plane.wait_app("clock-1", "clock", "2")
    said = agent.status()
    assert (said["clock"], "system's clock is off" in str(said["alarms"])) == ("trusted", True), said
    floor = plane.receipts("clock-1")[-1]["ended_ms"]

    agent.stop()
    plane.stop()
    agent.environment.update(at_clock("@1970-01-02 00:00:00"))
    agent.start()
    agent.wait_up()
    said = agent.status()
    assert said["clock"] == "untrusted"
    assert "clock cannot be trusted" in str(said["alarms"])
    assert said["time_ms"] >= floor - 60_000, "the newest signed time is the floor"
    eventually(lambda: agent.app("clock").get("way_back", {}).get("ok"), bool, 30)
    agent.cli("revert", "clock", "--yes")
    agent.wait_app("clock", "1")
    plane.start()
    agent.cli("poll")
    receipts = eventually(lambda: plane.receipts("clock-1"), lambda found: len(found) == 3, 60, what="the receipt of going back")
    assert [(one["kind"], one["verdict"], one.get("clock", "trusted")) for one in receipts] == [
        ("install", "soaked", "trusted"),
        ("update", "soaked", "trusted"),
        ("revert", "soaked", "untrusted"),
    ]
    assert all(one["started_ms"] <= one["ended_ms"] for one in receipts)


def test_a_reboot_without_network(home: House, box: Engine) -> None:
    """Half an update, a removed app, one at rest: after a power cut without network all end as they should."""
    plane = home.plane
    simple(home, "rest", "1", restart='"no"')
    simple(home, "away", "1")
    simple(home, "half", "1")
    simple(home, "half", "2", START_DELAY="1")
    agent = home.agent(box, "boot-1")
    plane.deploy("rest:1", ["boot-1"])
    away = plane.deploy("away:1", ["boot-1"])["id"]
    half = plane.deploy("half:1", ["boot-1"])["id"]
    for app in ("rest", "away", "half"):
        plane.wait_app("boot-1", app, "1")
    plane.change(f"/deployments/{away}", {"reason": "gone for good"}, "POST", "/withdraw")
    eventually(lambda: plane.receipts("boot-1")[-1]["kind"], lambda kind: kind == "uninstall", 60, what="one app is removed")
    plane.redeploy(half, release="half:2")
    eventually(lambda: agent.app("half").get("phase"), lambda phase: phase == "applying", 60, 0.05, what="an update is under way")
    agent.kill()
    plane.stop()
    box.restart()
    assert not box.inspect("rest-one-1")["State"]["Running"]
    agent.start()
    # Where somebody keeps the clock it goes on; where nobody does, whether its leave still holds cannot be told, and it goes back.
    half_is = eventually(lambda: agent.app("half"), lambda one: one.get("phase") in ("soaked", "failed"), 90, what="the half-done update has an end")
    assert (half_is["version"], half_is["phase"]) in (("2", "soaked"), ("1", "failed")), half_is
    done = half_is["version"] == "2"
    eventually(lambda: box.inspect("rest-one-1")["State"]["Running"], bool, 30, what="what was at rest runs again")
    assert box.containers() == ["half-one-1", "rest-one-1"]
    assert written(box, "half")[-1] == f"half-{half_is['version']}"
    assert [one["app"] for one in agent.status()["apps"]] == ["half", "rest"]
    plane.start()
    agent.cli("poll")
    receipts = eventually(lambda: plane.receipts("boot-1"), lambda found: len(found) == 5, 60, what="the last receipt")
    assert [(one["app"], one.get("to_version", ""), one["verdict"]) for one in receipts][3] == ("away", "", "done")
    assert receipts[4]["verdict"] in (("soaked",) if done else ("failed-unchanged", "failed-reverted")), receipts[4]
