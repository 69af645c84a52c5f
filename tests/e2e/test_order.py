"""In what order things start, stop and go, and what a deployment leaves behind: real containers on a real engine."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.e2e.house import House, eventually
from tests.engines import Engine

ORDER = """\
name: order
services:
  db:
    image: {db}
    environment: {{WRITE_ON_STOP: /data/stops, NAME: db, START_DELAY: "1"}}
    volumes: [data:/data]
    healthcheck: {{test: [CMD, /bin/app, check], interval: 1s, timeout: 3s, retries: 2}}
    restart: unless-stopped
    stop_grace_period: 3s
  seed:
    image: {db}
    environment: {{EXIT_CODE: "0", WRITE: /data/seeded}}
    volumes: [data:/data]
    depends_on: {{db: {{condition: service_healthy}}}}
  web:
    image: {web}
    environment: {{WRITE_ON_STOP: /data/stops, NAME: web}}
    volumes: [data:/data]
    depends_on:
      seed: {{condition: service_completed_successfully}}
      db: {{condition: service_healthy}}
    restart: unless-stopped
    stop_signal: SIGUSR1
    stop_grace_period: 3s
{more}
volumes:
  data: {{}}
x-penstock:
  soak: 1s
  deadline: 30s
"""
EXTRA = """\
  stubborn:
    image: {db}
    environment: {{IGNORE_TERM: "1"}}
    depends_on: {{web: {{condition: service_started}}}}
    stop_grace_period: 1s
"""


def content(engine: Engine, volume: str, name: str) -> list[str]:
    """The lines of a file in a volume, whatever mounts it."""
    status, found = engine.api("GET", f"/volumes/{volume}")
    assert status == 200, found
    path = Path(found["Mountpoint"], name)
    return path.read_text().splitlines() if path.exists() else []


def happened(engine: Engine, since: float, prefix: str) -> list[tuple[str, str, str]]:
    """What the engine did to containers of that name since then: (container without the prefix, action, signal)."""
    _, text = engine.api("GET", f"/events?since={int(since)}&until={int(time.time()) + 1}&filters=%7B%22type%22%3A%5B%22container%22%5D%7D")
    found = []
    for line in text.splitlines() if isinstance(text, str) else [json.dumps(text)]:
        event = json.loads(line)
        attributes = event["Actor"]["Attributes"]
        if attributes.get("name", "").startswith(prefix):
            found.append((attributes["name"].removeprefix(prefix).removesuffix("-1"), event["Action"], attributes.get("signal", "")))
    return found


def test_start_change_and_withdrawal_in_order(home: House, box: Engine) -> None:
    plane, images = home.plane, home.images
    since = time.time()
    agent = home.agent(box, "order-1")
    db = plane.push(images.make("db"), "order/db:1", images)
    web = [plane.push(images.make(f"web-{version}"), f"order/web:{version}", images) for version in (1, 2)]
    plane.publish("order", "1", ORDER.format(db=db, web=web[0], more=EXTRA.format(db=db)))
    plane.publish("order", "2", ORDER.format(db=db, web=web[1], more=""))

    deployment = plane.deploy("order:1", ["order-1"])["id"]
    plane.wait_app("order-1", "order", "1")
    began = {name: box.inspect(f"order-{name}-1")["State"]["StartedAt"] for name in ("db", "seed", "web", "stubborn")}
    assert sorted(began, key=lambda name: began[name]) == ["db", "seed", "web", "stubborn"]
    seed = box.inspect("order-seed-1")["State"]
    assert (seed["ExitCode"], seed["FinishedAt"] <= began["web"]) == (0, True), "the job had ended before its dependant began"
    first = box.inspect("order-db-1")

    plane.redeploy(deployment, release="order:2")
    plane.wait_app("order-1", "order", "2")
    assert box.containers() == ["order-db-1", "order-seed-1", "order-web-1"], "a service dropped from the release is removed"
    after = box.inspect("order-db-1")
    assert (after["Id"], after["State"]["StartedAt"]) == (first["Id"], first["State"]["StartedAt"]), "an unchanged service was restarted"
    assert content(box, "order_data", "seeded") == ["db"], "a job that ended well was repeated"
    done = happened(box, since, "order-")
    stubborn = [(action, sign) for name, action, sign in done if name == "stubborn" and action in ("kill", "die", "destroy")]
    assert [one for one in stubborn if one[0] == "kill"] == [("kill", "15"), ("kill", "9")], "asked first, ended by force after its grace"
    assert ("web", "kill", "10") in done, "the release's own stop signal"
    assert [name for name, action, _ in done if action == "die" and name != "seed"] == ["stubborn", "web"], "dependants stop first"

    plane.change(f"/deployments/{deployment}", {"reason": "order test"}, "POST", "/withdraw")
    eventually(box.containers, lambda left: left == [], 60, what="all containers are gone")
    eventually(lambda: plane.receipts("order-1"), lambda found: found[-1]["kind"] == "uninstall", 30, what="the receipt of the removal")
    assert [line.split()[0] for line in content(box, "order_data", "stops")] == ["web", "web", "db"], "stops in reverse order"
    assert content(box, "order_data", "seeded") == ["db"], "volumes are kept"
    assert plane.receipts("order-1")[-1]["verdict"] == "done"
    assert [one["Name"] for one in box.api("GET", "/networks")[1] if one["Name"].startswith("order")] == []
    assert agent.status()["apps"] == []


FIRST = """\
name: first
services:
  one:
    image: {image}
    environment: {{WRITE: /old/log}}
    volumes: [old:/old, fresh:/fresh]
    healthcheck: {{test: [CMD, /bin/app, check], interval: 1s, timeout: 3s, retries: 1}}
    stop_grace_period: 1s
  two:
    image: {image}
    depends_on: {{one: {{condition: service_healthy}}}}
volumes:
  old: {{}}
  fresh: {{}}
x-penstock: {{soak: 1s, deadline: 4s}}
"""


def test_a_first_deployment_that_fails_leaves_nothing_but_what_held_data_before(home: House, box: Engine) -> None:
    plane, images = home.plane, home.images
    box.api("POST", "/volumes/create", {"Name": "first_old"})
    Path(box.api("GET", "/volumes/first_old")[1]["Mountpoint"], "treasure").write_text("kept\n")
    box.api("POST", "/networks/create", {"Name": "neighbour"})
    before = {image["Id"] for image in box.api("GET", "/images/json?all=true")[1]}
    agent = home.agent(box, "first-1")
    image = images.make("first-bad", env={"UNHEALTHY": "1"})
    plane.publish("first", "1", FIRST.format(image=plane.push(image, "first/one:1", images)))
    plane.deploy("first:1", ["first-1"])
    receipts = eventually(lambda: plane.receipts("first-1"), bool, 60, what="the receipt of the failure")
    assert [(one["kind"], one["verdict"]) for one in receipts] == [("install", "failed-unchanged")]
    assert "not healthy" in receipts[0]["why"] or "not up" in receipts[0]["why"], receipts[0]["why"]
    assert box.containers() == []
    assert {network["Name"] for network in box.api("GET", "/networks")[1]} == {"bridge", "host", "none", "neighbour"}
    assert {image["Id"] for image in box.api("GET", "/images/json?all=true")[1]} == before
    assert [volume["Name"] for volume in box.api("GET", "/volumes")[1]["Volumes"]] == ["first_old"]
    assert content(box, "first_old", "treasure") == ["kept"]
    standing = agent.app("first")
    assert (standing["phase"], standing.get("services", [])) == ("failed", [])
    assert "not tried again" in standing["why"]
