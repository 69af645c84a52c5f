"""The main job on real engines: enrol, publish, deploy, observe, go back without the plane, explain."""

from __future__ import annotations

import re

from tests.e2e.house import House, eventually
from tests.e2e.recipes import release
from tests.engines import Engine


def container(engine: Engine, name: str) -> str:
    """The running container of that name."""
    return next(one for one, plain in engine.inspected().items() if one == name and plain["State"]["Running"])


def lines(engine: Engine, name: str = "line-writer-1") -> list[str]:
    """What stands in the volume."""
    return engine.cli("exec", container(engine, name), "/bin/cat", "/data/log").split()


def test_the_waiting_room_shows_the_same_fingerprint_on_both_ends(house: House, docker: Engine) -> None:
    from tests.e2e.house import AgentProcess

    agent = AgentProcess(house.folder / "agent", docker, house.agent_program)
    house.agents.append(agent)
    asking = agent.enroll(house.join(auto_approve=False), "mill-1")
    waiting = eventually(lambda: house.plane.call("GET", "/enrolments")["items"], bool, 30, what="somebody waits")[0]
    assert waiting["name"] == "mill-1"
    house.plane.call("POST", f"/enrolments/{waiting['id']}/approve", {"fingerprint": waiting["fingerprint"]})
    output, _ = asking.communicate(timeout=60)
    assert asking.returncode == 0, output
    assert waiting["fingerprint"] in output
    agent.start()
    eventually(lambda: house.plane.device("mill-1")["summary"]["liveness"], lambda word: word == "current", 30)


def test_the_main_job(house: House, engine: Engine) -> None:
    """Version 1, then 2, then 3, which writes to its volume and fails: back to 2, data included, with the plane stopped."""
    agent = house.agent(engine)
    plane = house.plane
    release(house, "1")
    deployment = plane.deploy("line:1", ["press-7"])["id"]
    plane.wait_app("press-7", "line", "1")
    assert lines(engine) == ["line-1"]
    page = container(engine, "line-page-1")

    release(house, "2")
    plane.redeploy(deployment, release="line:2")
    plane.wait_app("press-7", "line", "2")
    assert lines(engine) == ["line-1", "line-2"]
    assert container(engine, "line-page-1") == page, "a service whose specification did not change was restarted"
    way_back = plane.app("press-7", "line")["way_back"]
    assert (way_back["ok"], way_back["version"]) == (True, "1")

    release(house, "3", UNHEALTHY="1")
    plane.redeploy(deployment, release="line:3")
    begun = ("applying", "claimed", "confirmed", "reverting")
    eventually(lambda: agent.ask("status")["apps"][0], lambda app: app.get("target_version") == "3" and app["phase"] in begun, 60, what="version 3 is applied")
    plane.stop()
    status = eventually(
        lambda: agent.ask("status")["apps"][0],
        lambda app: app["version"] == "2" and app["phase"] == "failed",
        120,
        what="back on 2",
    )
    assert "3" in status["why"]
    assert lines(engine) == ["line-1", "line-2", "line-2"], "the data of the failed release was not taken back"

    story = agent.cli("log", "-n", "60").stdout
    assert re.search(r"failed-reverted", story)

    plane.start()
    agent.cli("poll")  # rather than at the end of a back-off
    receipts = eventually(lambda: plane.receipts("press-7"), lambda found: len(found) >= 3, 60, what="the receipts have come up")
    assert [(one["kind"], one["to_version"], one["verdict"]) for one in receipts] == [
        ("install", "1", "soaked"),
        ("update", "2", "soaked"),
        ("update", "3", "failed-reverted"),
    ]
    assert all(one["authorisation"] for one in receipts)
