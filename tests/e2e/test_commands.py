"""Orders to a device: commands from the plane, and what a person types beside the machine, whatever else goes on there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.e2e.cutting import CuttingProxy
from tests.e2e.house import ROOT, AgentProcess, House, eventually
from tests.engines import Engine
from tests.needs import find_python, needs

DYING = str(Path(__file__).with_name("dying.py"))
APP = """\
name: {app}
services:
  one:
    image: {image}
    environment: {{WRITE: /data/log, SAY: hello{more}}}
    volumes: [data:/data]
    restart: unless-stopped
    stop_grace_period: {grace}s
volumes: {{data: {{}}}}
x-penstock: {{soak: 1s, deadline: {deadline}s, volumes: {{data: {policy}}}}}
"""
VALID_S = 60  # the shortest the plane takes
ordered: dict[str, Any] = {}


def publish(house: House, app: str, version: str, *, grace: int = 1, deadline: int = 30, policy: str = "snapshot", payload: int = 0, **more: str) -> None:
    image = house.plane.push(house.images.make(f"{app}-{version}", payload_bytes=payload), f"orders/{app}:{version}", house.images)
    extra = "".join(f", {name}: '{value}'" for name, value in more.items())
    house.plane.publish(app, version, APP.format(app=app, image=image, grace=grace, deadline=deadline, policy=policy, more=extra))


def deployed(house: House, device: str, app: str, version: str = "1") -> str:
    deployment = house.plane.deploy(f"{app}:{version}", [device])["id"]
    house.plane.wait_app(device, app, version)
    return str(deployment)


def written(engine: Engine, app: str) -> list[str]:
    return engine.cli("exec", f"{app}-one-1", "/bin/cat", "/data/log").split()


def outcome(house: House, command: Any, seconds: float = 60) -> Any:
    return eventually(
        lambda: house.plane.call("GET", f"/commands/{command['id']}"), lambda one: one["outcome"] != "open", seconds, what=f"{command['verb']} ended"
    )


def order(house: House, device: str, verb: str, **more: Any) -> Any:
    return house.plane.call("POST", f"/devices/{device}/commands", {"verb": verb, **more})


def test_commands_of_each_kind_also_while_away(home: House, box: Engine) -> None:
    plane = home.plane
    publish(home, "orders", "1")
    agent = home.agent(box, "orders-1")
    deployed(home, "orders-1", "orders")
    # Lapses while the device is away; looked at by the last test here.
    away = home.agent(box, "late-1", start=False)
    ordered.update(agent=away, command=order(home, "late-1", "refresh", valid_s=VALID_S), at=time.monotonic())
    home.agents.remove(away)

    logs = plane.command("orders-1", "logs", app="orders", service="one", lines=5)
    assert (logs["outcome"], "hello" in logs["output"]) == ("done", True), logs
    wrong = order(home, "orders-1", "logs", app="orders", service="nobody")
    inspect = plane.command("orders-1", "inspect", app="orders", service="one")
    assert (inspect["outcome"], "orders-one-1" in inspect["output"]) == ("done", True), inspect
    assert outcome(home, wrong)["outcome"] == "failed", "a failed one never blocks the next"
    assert plane.command("orders-1", "refresh")["outcome"] == "done"
    unused = home.images.make("unused", payload_bytes=1000)
    box.load(home.images.archive(unused, "unused:1"))
    pruned = plane.command("orders-1", "prune")
    assert pruned["outcome"] == "done", pruned
    assert box.inspect("orders-one-1")["State"]["Running"]

    agent.stop()
    waiting = [order(home, "orders-1", "restart", app="orders", service="one"), order(home, "orders-1", "logs", app="orders", service="one", lines=1)]
    before = box.inspect("orders-one-1")
    agent.start()
    assert [outcome(home, one)["outcome"] for one in waiting] == ["done", "done"]
    after = box.inspect("orders-one-1")
    assert (after["Id"], after["State"]["StartedAt"] > before["State"]["StartedAt"]) == (before["Id"], True)
    assert written(box, "orders") == ["orders-1", "orders-1"]
    assert [(one["kind"], one["cause"], one["verdict"]) for one in plane.receipts("orders-1")][1:] == [("restart", "command", "done")]


def test_a_command_is_carried_out_at_most_once_across_a_kill(home: House, box: Engine, agent_program: list[str]) -> None:
    publish(home, "once", "1")
    agent = home.agent(box, "once-1", program=[*agent_program[:-1], DYING, str(ROOT / "src")])
    deployed(home, "once-1", "once")
    agent.stop()
    for verb, moment in (("restart", "engine: once restart"), ("logs", "engine: logs")):
        agent.environment["PENSTOCK_DIE_ON"] = moment
        command = order(home, "once-1", verb, app="once", service="one")
        agent.start()
        assert agent.process is not None
        assert agent.process.wait(60) == -9, agent.tail()
        agent.process = None
        started = box.inspect("once-one-1")["State"]["StartedAt"]
        del agent.environment["PENSTOCK_DIE_ON"]
        agent.start()
        ended = outcome(home, command)
        assert box.inspect("once-one-1")["State"]["StartedAt"] == started, f"{verb} was done twice"
        if verb == "logs":
            assert ended["outcome"] == "unknown"
        agent.stop()
    assert written(box, "once") == ["once-1", "once-1"]
    assert len([one for one in home.plane.receipts("once-1") if one["kind"] == "restart"]) == 1


def words(agent: AgentProcess, app: str) -> None:
    """Everything a person may ask is answered."""
    assert agent.ask("status")["running"]
    assert app in agent.cli("why", app).stdout
    assert agent.cli("log", "-n", "3").stdout.strip()


def test_a_person_is_answered_during_a_download_a_long_stop_and_a_long_poll(home: House, box: Engine) -> None:
    cutting = CuttingProxy()
    try:
        publish(home, "busy", "1", grace=60, STOP_DELAY="30")
        publish(home, "busy", "2", payload=2 * 1024 * 1024)
        agent = home.agent(box, "busy-1", environment={"HTTPS_PROXY": cutting.url})
        deployment = deployed(home, "busy-1", "busy")
        words(agent, "busy")  # a poll held open, if anything
        cutting.stall(400_000)
        home.plane.redeploy(deployment, release="busy:2")
        eventually(cutting.stalled.is_set, bool, 60, what="the download stands still")
        words(agent, "busy")
        assert agent.app("busy")["phase"] == "fetching"
        cutting.release()
        eventually(lambda: "step.stop" in agent.tail(), bool, 60, what="the long stop has begun")
        words(agent, "busy")
        # Taken back while the old one still ends: it goes back to what was there.
        assert "went back" in agent.cli("revert", "busy", "--yes").stdout or agent.app("busy")
        assert box.inspect("busy-one-1")["State"]["Running"], "all this was answered before the stop had ended"
    finally:
        cutting.close()


@needs("python3.9")
def test_a_local_revert_without_network_is_pinned_until_the_plane_agrees(home: House, box: Engine) -> None:
    """On the oldest Python: bare, nothing but the zipapp."""
    python = find_python("3.9")
    assert python
    plane = home.plane
    publish(home, "pin", "1")
    publish(home, "pin", "2")
    agent = home.agent(box, "pin-1", program=[python, "-I", "-S", home.agent_program[-1]])
    deployment = deployed(home, "pin-1", "pin")
    plane.redeploy(deployment, release="pin:2")
    plane.wait_app("pin-1", "pin", "2")
    plane.stop()
    assert "version 1" in agent.cli("revert", "pin", "--yes").stdout
    standing = agent.wait_app("pin", "1")
    assert standing["pinned"]
    assert written(box, "pin") == ["pin-1", "pin-1"], "the data went back with the release"
    plane.start()
    agent.cli("poll")
    eventually(lambda: plane.app("pin-1", "pin"), lambda one: one["version"] == "1" and one["pinned"], 60, what="the plane is told")
    container = box.inspect("pin-one-1")["Id"]
    agent.cli("poll")
    receipts = eventually(lambda: plane.receipts("pin-1"), lambda found: len(found) >= 3, 30)
    assert [(one["kind"], one["cause"], one["verdict"]) for one in receipts][2:] == [("revert", "local", "soaked")]
    assert box.inspect("pin-one-1")["Id"] == container, "it stays where a person put it"
    assert plane.command("pin-1", "accept-pin", app="pin")["outcome"] == "done"
    eventually(lambda: agent.app("pin"), lambda one: not one.get("pinned"), 30, what="the pin is lifted")
    assert plane.device("pin-1")["summary"]["liveness"] == "current"
    assert json.loads(agent.cli("status", "--json").stdout)["observation"]["facts"]["python"].startswith("3.9.")


def test_irreversible_data_is_not_reverted_by_itself(home: House, box: Engine) -> None:
    plane = home.plane
    publish(home, "fixed", "1")
    publish(home, "fixed", "2", policy="irreversible", EXIT_CODE="1", deadline=5)
    agent = home.agent(box, "fixed-1")
    deployment = deployed(home, "fixed-1", "fixed")
    plane.redeploy(deployment, release="fixed:2")
    receipts = eventually(lambda: plane.receipts("fixed-1"), lambda found: len(found) == 2, 90, what="the receipt of the failure")
    assert receipts[1]["verdict"] == "failed-left"
    assert "irreversible" in receipts[1]["why"]
    assert agent.app("fixed")["version"] == "2"
    agent.cli("revert", "fixed", "--yes")
    agent.wait_app("fixed", "1")


def test_a_command_that_lapsed_is_not_carried_out(home: House, box: Engine) -> None:
    agent, command = ordered["agent"], ordered["command"]
    home.agents.append(agent)
    eventually(lambda: time.monotonic() - ordered["at"], lambda since: since > VALID_S + 1, VALID_S + 30, 1, what="its time is over")
    agent.start()
    eventually(lambda: home.plane.device("late-1")["summary"]["liveness"], lambda word: word == "current", 30)
    assert outcome(home, command)["outcome"] in ("expired", "refused")
    assert agent.entries("command-outcome") == [] or agent.entries("command-outcome")[0]["outcome"] == "refused"
