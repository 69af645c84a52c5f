"""The plane when it dies, is started twice, or comes back from a backup; real processes, a real engine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.e2e.elsewhere import Plane, poke, settle
from tests.e2e.house import House, PlaneProcess, Refused, eventually
from tests.e2e.recipes import release
from tests.engines import Engine


def chain(plane: PlaneProcess, device: str) -> list[int]:
    """The numbers of the device's own entries, as the plane holds them."""
    return [int(one["key"].rpartition("-")[2]) for one in plane.timeline(device) if one["source"] == "device"]


def done(plane: PlaneProcess, command: str) -> bool:
    return bool(plane.call("GET", f"/commands/{command}")["outcome"] == "done")


def restarted(plane: PlaneProcess) -> None:
    plane.kill()
    plane.start()


def test_killed_while_a_deployment_and_reports_are_under_way(home: House, box: Engine) -> None:
    """Nothing is lost, nothing comes twice, nothing is started twice; and no second process takes the same data."""
    plane = home.plane
    release(home, "1", app="alive", soak=1)
    release(home, "2", app="alive", soak=1)
    agent = home.agent(box, "alive-1")
    deployment = plane.deploy("alive:1", ["alive-1"])["id"]
    eventually(lambda: agent.app("alive").get("phase"), lambda phase: phase in ("fetching", "applying"), 60, 0.02, what="the deployment is under way")
    restarted(plane)
    poke(agent)
    plane.wait_app("alive-1", "alive", "1")
    plane.redeploy(deployment, release="alive:2")
    eventually(lambda: agent.app("alive").get("phase"), lambda phase: phase in ("applying", "claimed"), 60, 0.02, what="the update is under way")
    restarted(plane)
    poke(agent)
    plane.wait_app("alive-1", "alive", "2")
    assert box.cli("exec", "alive-writer-1", "/bin/cat", "/data/log").split() == ["alive-1", "alive-2"]
    assert [(one["to_version"], one["verdict"]) for one in plane.receipts("alive-1")] == [("1", "soaked"), ("2", "soaked")]

    second = subprocess.run(
        [sys.executable, "-m", "penstock.server", "run", "--data", str(plane.data), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "already serves" in second.stderr, second.stderr

    # Killed again and again while the outcomes of commands stream in.
    ordered: list[str] = []
    for _ in range(3):
        ordered += [plane.call("POST", "/devices/alive-1/commands", {"verb": "inspect", "app": "alive", "service": "page"})["id"] for _ in range(6)]
        poke(agent)
        eventually(partial(done, plane, ordered[-6]), bool, 60, 0.02, what="outcomes come in")
        restarted(plane)
    for command in ordered:
        settle(agent, partial(done, plane, command), "every command has ended")
    newest = agent.status()["log"]["newest"]
    eventually(lambda: chain(plane, "alive-1"), lambda found: found[-1] >= newest, 60, what="the whole log is up")
    held = chain(plane, "alive-1")
    assert held == list(range(1, len(held) + 1)), "an entry is lost or stands twice"
    outcomes = [json.loads(one["body"])["command"] for one in plane.timeline("alive-1") if one["kind"] == "command-outcome"]
    assert sorted(outcomes) == sorted(ordered)


def test_yesterdays_backup_is_restored(house: House, box: Engine, tmp_path: Path) -> None:
    """Devices neither refuse the restored plane for ever nor obey it blindly; what was lost is named; a person accepts, and it goes on."""
    plane = house.plane
    release(house, "1", app="drill", soak=1)
    release(house, "2", app="drill", soak=1)
    agent = house.agent(box, "drill-1")
    deployment = plane.deploy("drill:1", ["drill-1"])["id"]
    plane.wait_app("drill-1", "drill", "1")
    archive = tmp_path / "backup.tar"
    plane.server("backup", str(archive), "--data", str(plane.data), "--images")  # while it runs

    release(house, "3", app="drill", soak=1)
    plane.redeploy(deployment, release="drill:3")
    plane.wait_app("drill-1", "drill", "3")
    running = box.inspect("drill-writer-1")
    log = [one["key"] for one in plane.timeline("drill-1") if one["source"] == "device"]
    epoch = agent.status()["epoch"]
    plane.stop()

    other = PlaneProcess(tmp_path / "other")
    other.init()
    again = Plane(tmp_path / "again", port=plane.port)
    again.token = plane.token
    wrong = again.server("restore", str(archive), "--data", str(again.data), "--root-key", str(other.root_key), check=False)
    assert wrong.returncode == 1, wrong.stdout
    assert "root" in wrong.stderr
    assert not again.data.exists()
    said = again.server("restore", str(archive), "--data", str(again.data), "--root-key", str(plane.root_key), "--address", plane.url).stdout
    assert f"epoch {epoch + 1} has begun; 1 devices are known" in said
    assert "what happened after the backup is lost here" in said
    again.ca.write_text(again.server("authority", "--data", str(again.data)).stdout)
    again.start()
    house.plane = again
    try:
        settle(agent, lambda: agent.status()["epoch"] == epoch + 1, "the device has followed into the new epoch")
        settle(agent, lambda: "does not know" in again.device("drill-1")["review"], "the plane names what it does not know")
        assert agent.app("drill")["version"] == "3"
        assert "leave" in agent.app("drill")["why"] or "authoris" in agent.app("drill")["why"], agent.app("drill")
        after = box.inspect("drill-writer-1")
        assert (after["Id"], after["State"]["StartedAt"]) == (running["Id"], running["State"]["StartedAt"]), "it obeyed blindly"
        # What the device still held came up again: the log is whole, the receipt of what was forgotten included.
        held = [one["key"] for one in again.timeline("drill-1") if one["source"] == "device"]
        assert held[: len(log)] == log
        assert [one["to_version"] for one in again.receipts("drill-1")] == ["1", "3"]
        verbs = [one["verb"] for one in again.call("GET", "/history")["items"]]
        assert "plane.restored" in verbs
        assert "device.review" in verbs
        try:
            again.call("GET", "/releases/drill:3")
            raise AssertionError("the release came back from nowhere")
        except Refused as refused:
            assert refused.status == 404

        again.change("/devices/drill-1", {"reason": "looked at it"}, "POST", "/accept-review")
        settle(agent, lambda: agent.app("drill").get("version") == "1" and agent.app("drill")["phase"] == "soaked", "it does what the restored plane orders")
        assert again.device("drill-1")["review"] == ""
        again.redeploy(deployment, release="drill:2")
        again.wait_app("drill-1", "drill", "2")
    finally:
        again.end(signal.SIGKILL)
