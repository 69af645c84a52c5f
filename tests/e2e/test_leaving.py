"""The device side on a real engine: going back with a PIN while the plane is gone, and a device that retires, killed on the way."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.e2e.house import AgentProcess, House, eventually
from tests.engines import Engine

APP = """\
name: {app}
services:
  one:
    image: {image}
    environment: {{WRITE: /data/log, SAY: hello}}
    volumes: [data:/data]
    restart: unless-stopped
    stop_grace_period: 1s
volumes: {{data: {{}}}}
x-penstock: {{soak: 1s, deadline: 30s}}
"""
PIN = "271828"


def publish(house: House, app: str, version: str) -> None:
    image = house.plane.push(house.images.make(f"{app}-{version}"), f"leaving/{app}:{version}", house.images)
    house.plane.publish(app, version, APP.format(app=app, image=image))


def typed(agent: AgentProcess, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A local command that is told something on standard input."""
    command = agent._command(*arguments)
    assert text not in " ".join(command)
    return subprocess.run(command, input=f"{text}\n", capture_output=True, text=True, timeout=60, check=False, env=agent.environment)


def test_a_person_goes_back_with_a_pin_while_the_plane_is_gone(home: House, box: Engine) -> None:
    plane = home.plane
    publish(home, "back", "1")
    publish(home, "back", "2")
    agent = home.agent(box, "back-1")
    deployment = plane.deploy("back:1", ["back-1"])["id"]
    plane.wait_app("back-1", "back", "1")
    plane.redeploy(deployment, release="back:2")
    plane.wait_app("back-1", "back", "2")
    made = plane.call("POST", "/sites/lab/people", {"name": "Anna Ahrens", "pin": PIN})
    eventually(lambda: agent.ask("people")["people"], bool, 30, what="the device knows Anna")
    plane.stop()

    nobody = agent.cli("revert", "back", "--yes", check=False)
    assert nobody.returncode == 1, nobody
    wrong = typed(agent, "271829", "revert", "back", "--yes", "--as", "anna ahrens")
    assert (wrong.returncode, "not Anna Ahrens's" in wrong.stderr) == (1, True), wrong
    begun = time.monotonic()
    right = typed(agent, PIN, "revert", "back", "--yes", "--as", "anna ahrens", "--reason", "the press jams")
    assert right.returncode == 0, right
    asked_s = time.monotonic() - begun
    agent.wait_app("back", "1")
    assert asked_s < 5, asked_s
    act = agent.entries("local-act")[-1]
    assert (act["by"], act["person"], act["pin"]) == ("Anna Ahrens", made["id"], "by-pin")

    plane.start()
    shown = eventually(lambda: [item for item in plane.timeline("back-1") if item["kind"] == "local-act"], bool, 60, what="the plane has heard of it")[-1]
    assert (shown["by"], "the press jams" in shown["why"]) == ("Anna Ahrens, by PIN", True)
    for path in [*agent.folder.rglob("*"), *plane.folder.rglob("*")]:
        if path.is_file():
            assert f'"{PIN}"'.encode() not in path.read_bytes(), f"the PIN stands in {path}"


def leave(home: House, name: str, wipe: str) -> None:
    home.plane.change(f"/devices/{name}", {"reason": "scrapped", "wipe": wipe}, method="POST", suffix="/retire")


def retired(home: House, ident: str, seconds: float = 120) -> Any:
    return eventually(lambda: home.plane.device(ident), lambda one: one["summary"]["state"] == "retired", seconds, what=f"{ident} is retired")["retirement"]


def ended(agent: AgentProcess, seconds: float = 60) -> int:
    assert agent.process is not None
    status = agent.process.wait(seconds)
    agent.process = None
    return status


def test_a_device_retires_with_its_data_and_keys_and_stays_so(home: House, box: Engine) -> None:
    plane = home.plane
    publish(home, "gone", "1")
    agent = home.agent(box, "gone-1")
    plane.deploy("gone:1", ["gone-1"])
    plane.wait_app("gone-1", "gone", "1")
    ident = plane.device("gone-1")["summary"]["id"]
    neighbour = box.cli("inspect", "--format", "{{.Image}}", "gone-one-1").strip()
    box.cli("run", "-d", "--name", "neighbour", "-v", "theirs:/data", "-e", "SAY=I am not yours", neighbour)

    leave(home, "gone-1", "data")
    record = retired(home, ident)
    assert (record["outcome"], bool(record["destroyed_ms"])) == ("wiped", True), record
    assert "apps removed: gone" in record["said"]
    assert "gone_data" in record["said"]
    assert ended(agent) == 4
    assert box.cli("ps", "-a", "--format", "{{.Names}}").split() == ["neighbour"]
    assert box.cli("volume", "ls", "-q").split() == ["theirs"]
    left = sorted(str(path.relative_to(agent.data)) for path in agent.data.rglob("*") if path.is_file())
    assert left == ["retired.json"], left
    kinds = [item["title"] for item in plane.timeline(ident)]
    assert [kinds.index(one) for one in ("device.retiring", "command wipe: done")] == sorted(
        kinds.index(one) for one in ("device.retiring", "command wipe: done")
    )

    agent.start()  # the service starts it again: it enrols nobody by itself
    assert ended(agent) == 4
    assert "retired" in agent.cli("status", check=False).stderr
    asking = agent.enroll(home.join(), "gone-2")
    output, _ = asking.communicate(timeout=60)
    assert asking.returncode == 0, output
    assert plane.device("gone-2")["fingerprint"] != plane.device(ident)["fingerprint"]
    assert not Path(agent.data, "retired.json").exists()
    box.cli("rm", "-f", "neighbour")


def test_killed_again_and_again_on_the_way_it_still_goes_in_order(home: House, box: Engine) -> None:
    plane = home.plane
    publish(home, "hard", "1")
    agent = home.agent(box, "hard-1")
    plane.deploy("hard:1", ["hard-1"])
    plane.wait_app("hard-1", "hard", "1")
    ident = plane.device("hard-1")["summary"]["id"]
    leave(home, "hard-1", "apps")
    deaths, wait = 0, 0.3
    end = time.monotonic() + 150
    while not (agent.data / "retired.json").exists() and time.monotonic() < end:
        time.sleep(wait)
        wait += 0.2  # every moment of its way is hit sooner or later
        if agent.process is not None and agent.process.poll() is None:
            agent.kill()
            deaths += 1
        agent.process = None
        agent.start()
    assert deaths >= 3
    eventually(lambda: agent.process.poll() if agent.process else 4, lambda status: status is not None, 30, what="the agent has ended")
    assert box.cli("ps", "-a", "--format", "{{.Names}}").split() == []
    assert box.cli("volume", "ls", "-q").split() == ["hard_data"]
    assert [path.name for path in agent.data.rglob("*") if path.is_file()] == ["retired.json"]
    said = json.loads((agent.data / "retired.json").read_text())["said"]
    assert any("apps removed: hard" in one for one in said), said
    record = plane.device(ident)["retirement"]
    assert record["wiped_ms"], record
    assert "apps removed: hard" in record["said"]
    assert len([item for item in plane.timeline(ident) if item["kind"] == "command-outcome"]) == 1
