"""Ten apps of several services, as vendors write them, on one device: deployed, upgraded and gone back from, on real Docker and Podman.

Each app is asked what it does, over its own HTTP faces, not only whether it runs: values go from a controller over a broker of another app into
a database, pages are signed with a key only this device has, a service that may write nothing tries to. The apps are tests/plant.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penstock.rules.observed import LABEL_APP
from tests.accelerators import accelerate, accelerated, plug_in
from tests.e2e.house import House, Refused, eventually, free_port, house_in
from tests.engines import Engine
from tests.images import Images
from tests.needs import require
from tests.plant.works import APPS, Works

DEVICE = "cell-1"
PAGER_KEY = "only this device knows"
CHAT_TOKEN = "the word of the site"

# What version 2 of each app changes: parameters of its Compose file, which name the versions of its programs.
UPGRADES: dict[str, dict[str, str]] = {
    "line-scada": {"DB": "2", "FLOW": "2"},
    "meter": {"METER": "2"},
    "tiny-llm": {"MODEL": "2"},
    "recipes": {"MIGRATE": "2", "RECIPES": "2", "SHAPE": "2"},
    "alarm-desk": {"ALARM": "2"},
    "camera": {"INSPECTOR": "2"},
    "labels": {"PRINTER": "2"},
    "gateway": {"GATEWAY": "2"},
    "log-keeper": {"TALKER": "2"},
    "tunnel": {"INSIDE": "2"},
}
OVERLAID = "files: [compose.yaml, nodes.yaml]\n"
IMAGE = re.compile(r"image: works/([a-z]+):(?:\$\{[A-Z]+:-)?(\w+)\}?")


def compose(app: str, **settled: str) -> str:
    """The app's Compose file, with the defaults of some parameters changed."""
    text = (APPS / app / "compose.yaml").read_text()
    for name, value in settled.items():
        text, count = re.subn(rf"\$\{{{name}:-[^}}]*\}}", f"${{{name}:-{value}}}", text)
        assert count, f"{app} has no parameter {name}"
    return text


@dataclass
class Plant:
    """One device on one engine, and the apps on it."""

    house: House
    engine: Engine
    works: Works
    logs: Path
    port: int = field(default_factory=free_port)
    host_port: int = field(default_factory=free_port)
    deployments: dict[str, str] = field(default_factory=dict)
    pushed: set[tuple[str, str]] = field(default_factory=set)

    def publish(self, app: str, version: str, **settled: str) -> None:
        text = compose(app, **settled)
        for program, image in IMAGE.findall(text):
            if (program, image) not in self.pushed:
                self.house.plane.push(self.works.image(program, image, broken=image == "bad"), f"works/{program}:{image}", self.house.images)
                self.pushed.add((program, image))
        overlay = APPS / app / "nodes.yaml"
        if self.engine.kind == "podman" and overlay.exists():
            self.house.plane.publish_package(app, version, {"compose.yaml": text, "nodes.yaml": overlay.read_text(), "penstock.yaml": OVERLAID})
        else:
            self.house.plane.publish(app, version, text)

    @property
    def accelerator(self) -> Path:
        return self.engine.slot.accelerators / "nvidia0"

    def values(self, app: str) -> dict[str, Any]:
        given: dict[str, dict[str, Any]] = {
            "line-scada": {"values": {"LINE": "7", "PORT": str(self.port)}},
            "meter": {"values": {"FIELD": f"{self.engine.slot.subnet}.77"}},
            "tiny-llm": {
                "secrets": {"CHAT_TOKEN": CHAT_TOKEN},
                "values": {"ACCELERATOR": str(self.accelerator)} if self.engine.kind == "podman" else {},
            },
            "alarm-desk": {"values": {"OVEN_LIMIT": "200"}, "secrets": {"PAGER_KEY": PAGER_KEY}},
            "gateway": {"values": {"PORT": str(self.host_port)}},
            "log-keeper": {"values": {"LOGS": str(self.logs)}},
        }
        return given.get(app, {})

    def deploy(self, app: str, version: str) -> None:
        if app in self.deployments:
            self.house.plane.redeploy(self.deployments[app], release=f"{app}:{version}")
        else:
            self.deployments[app] = self.house.plane.deploy(f"{app}:{version}", [DEVICE], **self.values(app))["id"]

    def settled(self, versions: dict[str, str]) -> None:
        """Until every app runs and has soaked in the version named."""

        def look() -> dict[str, str]:
            found = {one["app"]: one for one in self.house.plane.device(DEVICE)["apps"]}
            failed = [f"{app} {version}: {found[app].get('why')}" for app, version in versions.items() if app in found and found[app]["phase"] == "failed"]
            assert not failed, failed
            return {app: f"{found[app]['version']} {found[app]['phase']} {found[app].get('why', '')}" if app in found else "unknown" for app in versions}

        eventually(look, lambda now: all(now[app].startswith(f"{version} soaked") for app, version in versions.items()), 240, 0.5, f"all of {versions}")

    def container(self, app: str, service: str, number: int = 1) -> str:
        """The running container of a service; replicas are numbered."""
        for name, plain in self.engine.inspected().items():
            labels = plain["Config"]["Labels"] or {}
            if (
                plain["State"]["Running"]
                and labels.get(LABEL_APP) == app
                and name.startswith((f"{app}-{service}-", f"label-{service}"))
                and name.endswith((f"-{number}", f"-{number}-1", "-queue"))
            ):
                return name
        raise AssertionError(f"no container of {app} {service} {number}: {self.engine.containers()}")

    def id(self, app: str, service: str) -> str:
        return str(self.engine.inspect(self.container(app, service))["Id"])

    def ask(self, app: str, service: str, path: str, body: Any = None, *, port: int = 8080, number: int = 1) -> Any:
        """One HTTP request inside a service's own container."""
        more = [] if body is None else ["--post-data", json.dumps(body)]
        container = self.container(app, service, number)
        return json.loads(self.engine.cli("exec", container, "wget", "-q", "-O", "-", *more, f"http://127.0.0.1:{port}{path}"))

    def version(self, app: str, service: str, **more: Any) -> str:
        return str(self.ask(app, service, "/version", **more)["version"])


# --- what each app is for, asked of the app -----------------------------------------------------------------------------


def line_scada(plant: Plant) -> None:
    plant.engine.cli("exec", plant.container("line-scada", "flow"), "python3", "-c", "import small; small.say('mqtt:1883', 'line/press/bar', 7)")
    shown = eventually(lambda: plant.ask("line-scada", "dashboard", "/"), lambda page: page["values"]["last"].get("line/press/high") == "True", 20)
    assert shown["title"] == "Line 7"
    assert shown["topics"]["line/press/kpa"] == 700


def meter(plant: Plant) -> None:
    seen = eventually(lambda: plant.ask("meter", "meter", "/seen"), lambda seen: seen.get("sensor") == 2, 20)
    assert seen["next"] == seen["register"] + 1
    what = "the second app's values arrive in the first one's broker"
    eventually(lambda: plant.ask("line-scada", "broker", "/topics"), lambda topics: topics.get("line/meter/sensor") == 2, 20, what=what)


def tiny_llm(plant: Plant) -> None:
    said = plant.ask("tiny-llm", "chat", "/chat", {"say": "part", "token": CHAT_TOKEN})
    assert said["said"].startswith("and the press waits")
    assert "why" in plant.ask("tiny-llm", "chat", "/chat", {"say": "part", "token": "guess"})
    assert plant.ask("tiny-llm", "model", "/on")["accelerators"] == ["/dev/nvidia0"]
    if plant.engine.kind == "docker":  # by its own driver for them, before the container started
        assert [(one["verb"], one["given"]) for one in accelerated(plant.engine) if one["container"] == plant.id("tiny-llm", "model")] == [("prestart", ["0"])]


def recipes(plant: Plant) -> None:
    plant.ask("recipes", "recipes", "/recipes", {"name": "bread", "steps": ["mix", "bake"]})
    assert plant.ask("recipes", "recipes", "/recipes")["recipes"]["bread"] == ["mix", "bake"]
    bounds = plant.ask("recipes", "recipes", "/bounds")
    assert (bounds["uid"], bounds["root"], bounds["tmp"], bounds["capabilities"]) == (1000, "Read-only file system", "writable", 0)
    assert bounds["no_new_privileges"] == "1"
    assert plant.engine.cli("exec", plant.container("recipes", "recipes"), "cat", "/etc/recipes/units.conf").strip() == "mass = kg"
    for volume in plant.engine.api("GET", "/volumes")[1]["Volumes"] if plant.engine.kind == "docker" else ():
        if volume["Name"].startswith("penstock-files-"):  # what holds the files of a container that is read-only goes with it
            assert plant.engine.cli("ps", "--all", "--quiet", "--filter", f"volume={volume['Name']}")


def alarm_desk(plant: Plant) -> None:
    plant.engine.cli("exec", plant.container("alarm-desk", "alarm"), "python3", "-c", "import small; small.say('events:1883', 'oven/c', 250)")
    pages = eventually(lambda: plant.ask("alarm-desk", "pager", "/pages"), bool, 20)
    assert pages[0]["text"] == "lab: oven/c is 250"
    assert pages[0]["signature"] == hmac.new(PAGER_KEY.encode(), pages[0]["text"].encode(), hashlib.sha256).hexdigest()


def camera(plant: Plant) -> None:
    assert plant.ask("camera", "grabber", "/shape")["shm_bytes"] == 16 * 1024 * 1024
    looks = [plant.ask("camera", "inspector", "/look", number=number) for number in (1, 2)]
    assert looks[0]["who"] != looks[1]["who"]
    assert [(look["files"], look["first"]) for look in looks] == [(300, False)] * 2, "the limit of files, and an init in front"
    assert "look" in plant.ask("camera", "board", "/")


def labels(plant: Plant) -> None:
    plant.ask("labels", "queue", "/put", {"text": "EAN 4711"})
    printed = eventually(lambda: plant.ask("labels", "queue", "/printed"), bool, 20)
    assert printed[0] == {"text": "EAN 4711", "by": "printer-a", "erp": "10.9.8.7"}


def gateway(plant: Plant) -> None:
    where = plant.ask("gateway", "gateway", "/where", port=plant.host_port)
    assert any(name.startswith(("pnk", "veth", "br-", "cni", "eth", "ens")) for name in where["interfaces"])
    assert len(plant.ask("gateway", "watcher", "/where")["interfaces"]) < len(where["interfaces"])


def log_keeper(plant: Plant) -> None:
    kept = eventually(lambda: plant.ask("log-keeper", "keeper", "/kept"), lambda kept: kept["rotated"] > 0, 30)
    assert kept["lines"] >= 0
    assert " line " in (plant.logs / "app.log.1").read_text()


def tunnel(plant: Plant) -> None:
    near = plant.ask("tunnel", "inside", "/near", port=8090)
    assert (near["tunnel"]["net_admin"], near["tunnel"]["forward"]) == (True, "1")
    assert "far.example" in near["tunnel"]["resolver"]


CHECKS: dict[str, Callable[[Plant], None]] = {
    "line-scada": line_scada,
    "meter": meter,
    "tiny-llm": tiny_llm,
    "recipes": recipes,
    "alarm-desk": alarm_desk,
    "camera": camera,
    "labels": labels,
    "gateway": gateway,
    "log-keeper": log_keeper,
    "tunnel": tunnel,
}
# A service whose version tells which release runs, and where it listens.
TELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "line-scada": ("database", {}),
    "meter": ("meter", {}),
    "tiny-llm": ("model", {}),
    "recipes": ("recipes", {}),
    "alarm-desk": ("alarm", {}),
    "camera": ("inspector", {}),
    "labels": ("printer", {}),
    "log-keeper": ("talker", {}),
    "tunnel": ("inside", {"port": 8090}),
}
# A service that no upgrade touches, whose container must stay the same one.
UNTOUCHED = {"line-scada": "broker", "meter": "plc", "tiny-llm": "chat", "alarm-desk": "pager", "labels": "queue", "gateway": "watcher", "tunnel": "tunnel"}


@pytest.fixture(scope="module", params=["docker", "podman"])
def plant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, images: Images, agent_program: list[str]) -> Iterator[Plant]:
    require("skopeo")
    engine: Engine = request.getfixturevalue(request.param)
    engine.start()
    engine.reset()
    folder = tmp_path_factory.mktemp("plant")
    logs = folder / "logs"
    logs.mkdir()
    with house_in(folder, images, agent_program) as house:
        accelerate(engine, 1)
        house.agent(engine, DEVICE, environment={"PENSTOCK_DEV": str(engine.slot.accelerators)})
        yield Plant(house, engine, Works(), logs)
    engine.reset()


def test_ten_apps_are_deployed_upgraded_and_gone_back_from(plant: Plant) -> None:
    for app in CHECKS:
        plant.publish(app, "1")
        plant.deploy(app, "1")
    plant.settled(dict.fromkeys(CHECKS, "1"))
    for check in CHECKS.values():
        check(plant)
    stay = {app: plant.container(app, service) for app, service in UNTOUCHED.items()}
    ids = {app: plant.engine.inspect(name)["Id"] for app, name in stay.items()}

    for app, settled in UPGRADES.items():
        plant.publish(app, "2", **settled)
        plant.deploy(app, "2")
    plant.settled(dict.fromkeys(CHECKS, "2"))
    for app, (service, more) in TELLS.items():
        assert plant.version(app, service, **more).endswith("-2"), app
    for app in ("line-scada", "recipes", "camera", "tunnel"):
        CHECKS[app](plant)
    assert "quality" in plant.ask("line-scada", "database", "/last")["columns"]
    assert {app: plant.engine.inspect(plant.container(app, service))["Id"] for app, service in UNTOUCHED.items()} == ids, "what no upgrade touches goes on"

    # Back: by a person for nine of them; the tenth gets a release that is never healthy, and goes back by itself.
    agent = plant.house.agents[0]
    for app in UPGRADES:
        if app != "recipes":
            agent.cli("revert", app, "--without-pin", "--yes", "--reason", "the test goes back")
    for app in UPGRADES:
        if app != "recipes":
            agent.wait_app(app, "1", seconds=240)
    plant.publish("recipes", "3", RECIPES="bad", SHAPE="3")
    plant.deploy("recipes", "3")
    eventually(lambda: agent.app("recipes"), lambda one: one.get("version") == "2" and one.get("phase") == "failed", 120, what="recipes went back")
    for app, (service, more) in TELLS.items():
        assert plant.version(app, service, **more).endswith("-2" if app == "recipes" else "-1"), app
    assert "quality" not in plant.ask("line-scada", "database", "/last")["columns"], "the database's volume is as it was before version 2"
    assert plant.ask("recipes", "recipes", "/recipes")["shape"] == 2
    assert plant.ask("recipes", "recipes", "/recipes")["recipes"] == {"bread": ["mix", "bake"]}


VISION = """\
services:
  vision: {{image: "{image}", environment: {{STAYS: "1"}}}}
x-penstock: {{soak: 1s, deadline: 30s, needs: {{accelerators: [{{kind: nvidia, count: {count}}}]}}}}
"""


def test_an_accelerator_that_is_taken_or_not_there_is_refused_before_anything_is_sent(plant: Plant) -> None:
    """Until somebody puts another one into the machine, which the running agent sees by itself."""
    plane = plant.house.plane
    if "tiny-llm" not in plant.deployments:
        plant.publish("tiny-llm", "1")
        plant.deploy("tiny-llm", "1")
        plant.settled({"tiny-llm": "1"})
    image = plane.push(plant.house.images.make("1"), "works/vision:1", plant.house.images)
    for app, count in (("vision", 1), ("farm", 2)):
        plane.publish(app, "1", VISION.format(image=image, count=count))
    before = plane.device(DEVICE)["owed_generation"]
    with pytest.raises(Refused, match="tiny-llm and vision both want the accelerator nvidia: put them on different devices"):
        plane.deploy("vision:1", [DEVICE])
    with pytest.raises(Refused, match="farm needs 2 of the accelerator nvidia, and the device shows 1"):
        plane.deploy("farm:1", [DEVICE])
    row = plane.call("POST", "/deployments/preview", {"release": "vision:1", "target": {"devices": [DEVICE]}})["devices"][0]
    assert (row["what"], "both want the accelerator nvidia" in row["why"]) == ("left-out", True)
    assert plane.device(DEVICE)["owed_generation"] == before, "nothing was sent"

    plug_in(plant.engine, 1)
    eventually(lambda: plane.call("GET", f"/devices/{DEVICE}/room"), lambda room: room["accelerators"] == {"nvidia": 2}, 60)
    plane.deploy("vision:1", [DEVICE])
    plane.wait_app(DEVICE, "vision", "1")
    with pytest.raises(Refused, match="both want the accelerator nvidia"):
        plane.deploy("farm:1", [DEVICE])
