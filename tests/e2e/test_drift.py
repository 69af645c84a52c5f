"""What somebody does to containers behind the agent's back: seen within a poll, explained field by field, corrected or only reported."""

from __future__ import annotations

from typing import Any

from tests.e2e.house import House, eventually
from tests.engines import Engine
from tests.slots import EngineFailed

APP = """\
name: {app}
services:
  web:
    image: {image}
    environment: {{MODE: fast}}
    mem_limit: 64m
    stop_grace_period: 1s
    restart: unless-stopped
  aside:
    image: {image}
    stop_grace_period: 1s
x-penstock: {{soak: 1s, deadline: 20s, drift: {drift}}}
"""
PROBLEM_S = 20  # a look each 5 s, a busy machine, and the acts themselves


def observed_drift(house: House, device: str, app: str) -> list[tuple[str, str, str, str, str]]:
    """Every difference the device ever told the plane of."""
    import json

    found = []
    for item in house.plane.timeline(device):
        if item["kind"] == "observation":
            body = json.loads(item["body"]).get("app") or {}
            if body.get("app") == app:
                found += [(one.get("service", ""), one["field"], one["wanted"], one["seen"], one.get("action", "")) for one in body.get("drift", [])]
    return found


def ready(house: House, engine: Engine, app: str, drift: str) -> Any:
    plane = house.plane
    agent = house.agent(engine, f"{app}-1")
    image = plane.push(house.images.make("drift"), "drift/web:1", house.images)
    plane.publish(app, "1", APP.format(app=app, image=image, drift=drift))
    plane.deploy(f"{app}:1", [f"{app}-1"])
    plane.wait_app(f"{app}-1", app, "1")
    return agent


def again_with(engine: Engine, name: str, environment: list[str]) -> str:
    """Put a container like `name` with other variables in its place, as a person with another tool would; its id.

    The new one is there before the old one goes: a look in between would otherwise find none, and rightly take the new one for a stranger's."""
    made = beside(engine, name, f"{name}-new", environment)
    engine.api("DELETE", f"/containers/{name}?force=true")
    status, said = engine.api("POST", f"/containers/{made}/rename?name={name}")
    assert status == 204, said
    return made


def beside(engine: Engine, name: str, new: str, environment: list[str], labels: dict[str, str] | None = None) -> str:
    """Start a container like `name` with other variables under a name of its own; its id."""
    old = engine.inspect(name)
    config = {**old["Config"], "Env": environment, "HostConfig": old["HostConfig"], "Labels": {**old["Config"]["Labels"], **(labels or {})}}
    config.pop("Hostname", None)
    status, made = engine.api("POST", f"/containers/create?name={new}", config)
    assert status == 201, made
    engine.api("POST", f"/containers/{made['Id']}/start")
    return str(made["Id"])


def test_drift_is_explained_and_corrected(home: House, box: Engine) -> None:
    ready(home, box, "mend", "correct")
    plane, device = home.plane, "mend-1"
    neighbour = box.cli("run", "-d", "--name", "neighbour", "--label", "penstock.app=mend", box.inspect("mend-web-1")["Image"]).strip()

    def right() -> bool:
        try:
            web, aside = box.inspect("mend-web-1"), box.inspect("mend-aside-1")
        except EngineFailed:  # it is not there, or goes while we look
            return False
        return bool(web["State"]["Running"] and aside["State"]["Running"] and "MODE=fast" in web["Config"]["Env"])

    def seen(field: str, value: str) -> bool:
        return any(one[1] == field and value in one[3] for one in observed_drift(home, device, "mend"))

    web = box.inspect("mend-web-1")["Id"]
    box.cli("stop", "-t", "0", "mend-web-1")
    eventually(right, bool, PROBLEM_S, what="what was stopped is started again")
    assert box.inspect("mend-web-1")["Id"] == web
    eventually(lambda: seen("state", "exited"), bool, 30, what="the stop was told")

    box.cli("rm", "-f", "mend-aside-1")
    eventually(right, bool, PROBLEM_S, what="what was removed is made again")
    eventually(lambda: seen("container", "(missing)"), bool, 30, what="the removal was told")

    again_with(box, "mend-web-1", ["PATH=/bin", "MODE=slow", "EXTRA=1"])
    eventually(right, bool, PROBLEM_S, what="other settings are corrected")
    eventually(lambda: seen("environment.MODE", "slow") and seen("environment.EXTRA", "1"), bool, 30, what="the settings were told field by field")
    assert any(one[:3] == ("web", "environment.MODE", "fast") and "correct" in one[4] for one in observed_drift(home, device, "mend"))
    last = eventually(lambda: plane.receipts(device)[-1], lambda one: one["kind"] == "recreate", 30, what="a receipt of the correction")
    assert (last["cause"], last["verdict"]) == ("drift", "done")

    stranger = beside(box, "mend-web-1", "stranger", ["PATH=/bin"], labels={"penstock.token": "00"})
    eventually(
        lambda: any("left alone" in one[4] and stranger[:12] in one[3] for one in observed_drift(home, device, "mend")),
        bool,
        PROBLEM_S,
        what="the stranger is named",
    )
    told = eventually(lambda: plane.device(device), lambda found: stranger[:12] in str(found), 20, what="the plane shows the stranger")
    assert told
    assert box.inspect(stranger)["State"]["Running"]
    assert box.inspect(neighbour)["State"]["Running"]
    assert [(one["kind"], one["cause"]) for one in plane.receipts(device)] == [("install", "rollout"), ("recreate", "drift")]


def test_drift_is_only_reported_where_the_deployment_says_so(home: House, box: Engine) -> None:
    agent = ready(home, box, "watch", "report")
    other = again_with(box, "watch-web-1", ["PATH=/bin", "MODE=slow"])
    box.cli("stop", "-t", "0", "watch-aside-1")
    seen = eventually(
        lambda: {(one["service"], one["field"]) for one in agent.app("watch").get("drift", [])},
        lambda found: {("web", "environment.MODE"), ("aside", "state")} <= found,
        PROBLEM_S,
        what="both are seen",
    )
    assert seen
    eventually(lambda: {one[1] for one in observed_drift(home, "watch-1", "watch")}, lambda found: {"environment.MODE", "state"} <= found, 30)
    agent.cli("poll")
    assert box.inspect("watch-web-1")["Id"] == other
    assert not box.inspect("watch-aside-1")["State"]["Running"]
    assert "environment.MODE should be fast, is slow (reported only" in agent.cli("why", "watch").stdout
    assert len(home.plane.receipts("watch-1")) == 1
