"""The agent killed (SIGKILL) after every write of its ledger and after every act of the engine: every change ends once, as it would have.

One device is walked through a whole life, each agent killed at the first moment at which none died before; and many devices at a time are killed once
each, at the n-th moment of one change (a few of them, or every one with PENSTOCK_EVERY_MOMENT=1).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.house import ROOT, AgentProcess, House, eventually
from tests.engines import Engine

DYING = str(Path(__file__).with_name("dying.py"))
SOURCE = str(ROOT / "src")  # compiled once, where the zipapp would be for each start

# A writer with data that is copied before a change, and a page that never changes.
APP = """\
name: {app}
services:
  writer:
    image: {image}
    environment: {{WRITE: /data/log, EXIT_CODE: "{code}"}}
    volumes: [data:/data]
    restart: {restart}
    stop_grace_period: 2s
  page:
    image: {page}
    stop_grace_period: 1s
volumes:
  data: {{}}
x-penstock:
  soak: 1s
  deadline: 30s
  volumes: {{data: snapshot}}
"""
BAD = "3"


def publish(house: House, app: str, version: str) -> None:
    """Versions differ by the writer's image; version 3 writes to its volume and then ends by itself, again and again."""
    writer = house.plane.push(house.images.make(f"w-{version}"), f"killed/writer:{version}", house.images)
    page = house.plane.push(house.images.make("page"), "killed/page:1", house.images)
    bad = version == BAD
    house.plane.publish(app, version, APP.format(app=app, image=writer, page=page, code="1" if bad else "", restart='"no"' if bad else "unless-stopped"))


def keep_alive(agent: AgentProcess, done: Callable[[], bool], seconds: float, what: str) -> int:
    """Start the agent again whenever it has died, until `done`; how often it died."""
    deaths = 0
    looked = 0.0

    def alive() -> bool:
        nonlocal deaths, looked
        if agent.process is not None and agent.process.poll() is not None:
            assert agent.process.returncode == -signal.SIGKILL, agent.tail()
            agent.process = None
            deaths += 1
        if agent.process is None:
            agent.start()
        if time.monotonic() - looked < 0.5:
            return False
        looked = time.monotonic()
        return done()

    eventually(alive, bool, seconds, 0.02, what=f"{what}; {agent.tail(1500)}")
    return deaths


def written(engine: Engine, app: str) -> list[str]:
    return engine.cli("exec", f"{app}-writer-1", "/bin/cat", "/data/log").split()


def at_rest(house: House, device: str, app: str, receipts: int) -> Callable[[], bool]:
    return lambda: len([one for one in house.plane.receipts(device) if one["app"] == app]) >= receipts


def verdicts(house: House, device: str, app: str) -> list[tuple[str, str, str]]:
    return [(one["kind"], one.get("to_version", ""), one["verdict"]) for one in house.plane.receipts(device) if one["app"] == app]


def test_killed_at_each_moment_of_a_whole_life(home: House, box: Engine, agent_program: list[str]) -> None:
    """Install, update, an update that fails and goes back, withdrawal. Each agent dies at the first moment at which none died before."""
    plane, app, device = home.plane, "life", "killed-1"
    moments = home.folder / "moments"
    program = [*agent_program[:-1], DYING, SOURCE]
    agent = home.agent(box, device, program=program, environment={"PENSTOCK_DIE_EACH": str(moments)}, start=False)
    for version in ("1", "2", BAD):
        publish(home, app, version)

    deployment = plane.deploy(f"{app}:1", [device])["id"]
    deaths = keep_alive(agent, at_rest(home, device, app, 1), 120, "version 1 is installed")
    assert deaths >= 10
    assert written(box, app) == ["w-1"], "a container was started more than once"
    page = box.inspect(f"{app}-page-1")

    plane.redeploy(deployment, release=f"{app}:2")
    deaths = keep_alive(agent, at_rest(home, device, app, 2), 120, "version 2 is installed")
    assert deaths >= 8
    assert written(box, app) == ["w-1", "w-2"]

    plane.redeploy(deployment, release=f"{app}:{BAD}")
    deaths = keep_alive(agent, at_rest(home, device, app, 3), 180, "version 3 has failed and 2 is back")
    assert deaths >= 12
    assert written(box, app) == ["w-1", "w-2", "w-2"], "data taken back, and the earlier release started once"
    after = box.inspect(f"{app}-page-1")
    assert (after["Id"], after["State"]["StartedAt"]) == (page["Id"], page["State"]["StartedAt"]), "what did not change was restarted"
    assert box.containers() == [f"{app}-page-1", f"{app}-writer-1"]

    plane.change(f"/deployments/{deployment}", {"reason": "the test ends"}, "POST", "/withdraw")
    deaths = keep_alive(agent, at_rest(home, device, app, 4), 120, "it is removed")
    assert deaths >= 4
    assert box.containers() == []
    assert [one for one in networks(box) if one.startswith(app)] == []
    assert verdicts(home, device, app) == [("install", "1", "soaked"), ("update", "2", "soaked"), ("update", BAD, "failed-reverted"), ("uninstall", "", "done")]
    eventually(lambda: agent.status().get("log", {}), lambda log: 0 < log.get("newest", 0) == log["acknowledged"], 30, what="every entry is acknowledged")
    assert [one["kind"] for one in plane.timeline(device) if one["kind"] in ("gap", "refusal")] == []


def networks(engine: Engine) -> list[str]:
    _, found = engine.api("GET", "/networks")
    return [one["Name"] for one in found if one["Name"] not in ("bridge", "host", "none")]


EVERY = os.environ.get("PENSTOCK_EVERY_MOMENT", "") not in ("", "0")
AT_ONCE = 6  # devices on one engine


def killed_once(
    home: House, box: Engine, program: list[str], name: str, before: list[str], last: str, moments: list[int], expect: tuple[str, list[str]]
) -> int:
    """One device for each of `moments`, brought through `before`, then given `last` and killed at that moment; how many of them died."""
    plane, verdict = home.plane, expect[0]
    devices = []
    for moment in moments:
        app = device = f"{name}-{moment}"
        for version in (*before, last):
            publish(home, app, version)
        agent = home.agent(box, device, program=[*program[:-1], DYING, SOURCE], start=bool(before))
        devices.append((app, agent, plane.deploy(f"{app}:{(*before, last)[0]}", [device])["id"], moment))
    for version in before[1:]:
        for app, _, deployment, _ in devices:
            plane.wait_app(app, app, before[0])
            plane.redeploy(deployment, release=f"{app}:{version}")
    deaths = 0
    for app, agent, deployment, moment in devices:
        if before:
            plane.wait_app(app, app, before[-1])
            agent.stop()
            plane.redeploy(deployment, release=f"{app}:{last}")
        agent.environment["PENSTOCK_DIE_AT"] = str(moment)
        agent.start()
    for app, agent, _, moment in devices:
        done = at_rest(home, app, app, len(before) + 1)
        eventually(lambda agent=agent, done=done: gone(agent) or done(), bool, 60, what=f"killed at {moment}, or over")  # type: ignore[misc]
        deaths += gone(agent)
        agent.environment.pop("PENSTOCK_DIE_AT")
        if gone(agent):
            agent.process = None
            agent.start()
    for app, _, _, moment in devices:
        eventually(at_rest(home, app, app, len(before) + 1), bool, 90, what=f"{app} is over")
        assert verdicts(home, app, app)[-1][1:] == (last, verdict), f"killed at {moment}"
        assert written(box, app) == expect[1], f"killed at {moment}"
        assert [one for one in box.containers() if one.startswith(f"{app}-")] == [f"{app}-page-1", f"{app}-writer-1"]
        assert len(home.plane.receipts(app)) == len(before) + 1
    return deaths


def gone(agent: AgentProcess) -> bool:
    return agent.process is not None and agent.process.poll() is not None


@pytest.mark.parametrize(
    ("name", "before", "last", "some", "expect"),
    [
        ("install", [], "1", [9, 13, 17], ("soaked", ["w-1"])),
        ("update", ["1"], "2", [7, 11, 15], ("soaked", ["w-1", "w-2"])),
        ("failing", ["1"], BAD, [12, 20, 28], ("failed-reverted", ["w-1", "w-1"])),
    ],
)
def test_killed_once_at_the_nth_moment(
    home: House, box: Engine, agent_program: list[str], name: str, before: list[str], last: str, some: list[int], expect: tuple[str, list[str]]
) -> None:
    if not EVERY:
        assert killed_once(home, box, agent_program, name, before, last, some, expect) == len(some)
        return
    first = 1
    while killed_once(home, box, agent_program, name, before, last, list(range(first, first + AT_ONCE)), expect) == AT_ONCE:
        first += AT_ONCE
        for agent in home.agents:
            agent.kill()
        home.agents.clear()
        box.reset()
    assert first > AT_ONCE
