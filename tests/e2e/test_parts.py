"""One release with a part for Docker and one for Podman, on a real device of each: each gets its own, upgraded and gone back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import pytest

from penstock.apiv1 import archives
from tests.e2e.house import House, eventually
from tests.e2e.test_main_job import container
from tests.engines import Engine

COMMON = """\
name: line
services:
  writer:
    image: {common}
    environment: {{PART: common}}
    volumes: [data:/data]
    healthcheck: {{test: [CMD, /bin/app, check], interval: 1s, timeout: 3s, retries: 2}}
    restart: unless-stopped
    stop_grace_period: 2s
volumes: {{data: {{}}}}
x-penstock: {{soak: 2s, deadline: 8s, volumes: {{data: snapshot}}}}
"""
DOCKER = "services: {{writer: {{image: {docker}, environment: {{PART: docker}}}}}}\n"
PODMAN = """\
services:
  writer: {{image: {podman}, environment: {{PART: podman, WRITE: /data/log{ill}}}}}
  beside: {{image: {podman}, restart: unless-stopped, stop_grace_period: 2s}}
"""


def published(house: House, version: str, ill: str = "") -> None:
    """Version `version`, whose three readings have an image each; with `ill` the part for Podman is never well."""
    names = {
        part: house.plane.push(house.images.make(f"parts-{part}-{version}", env={"BUILT": f"{part}-{version}"}), f"line/{part}:{version}", house.images)
        for part in ("common", "docker", "podman")
    }
    files = {"compose.yaml": COMMON, "compose.docker.yaml": DOCKER, "compose.podman.yaml": PODMAN}
    made = archives.pack({path: text.format(**names, ill=ill).encode() for path, text in files.items()})
    found = house.plane.call("POST", "/releases", {"version": version, "archive": b64encode(made).decode()})
    assert [part["engine"] for part in found["parts"]] == ["docker", "podman"]


def known(house: House, name: str, kind: str) -> None:
    eventually(lambda: str(house.plane.device(name)["facts"]["engine"]).lower(), lambda said: kind in said, 60, what=f"the engine of {name} is known")


def running(engine: Engine) -> list[str]:
    found = engine.inspected().values()
    return [one["Name"].lstrip("/") for one in found if one["State"]["Running"]]


def runs(engine: Engine) -> tuple[str, str, list[str]]:
    """What the running writer was built as and given, and which services stand there."""
    plain = engine.inspect(container(engine, "line-writer-1"))
    environment = dict(one.split("=", 1) for one in plain["Config"]["Env"])
    there = engine.containers()
    return environment["BUILT"], environment["PART"], there


@pytest.fixture
def both(house: House, docker: Engine, podman: Engine) -> Iterator[tuple[Engine, Engine]]:
    for engine in (docker, podman):
        engine.start()
        engine.reset()
    yield docker, podman
    for agent in house.agents:
        agent.end()
    for engine in (docker, podman):
        engine.reset()


def test_a_part_for_each_engine(house: House, both: tuple[Engine, Engine]) -> None:
    docker, podman = both
    house.agent(docker, "docker-1")
    house.agent(podman, "podman-1")
    plane = house.plane
    for name, kind in (("docker-1", "docker"), ("podman-1", "podman")):
        known(house, name, kind)
    published(house, "1")
    made = plane.deploy("line:1", ["docker-1", "podman-1"])["id"]
    for name in ("docker-1", "podman-1"):
        plane.wait_app(name, "line", "1")
    assert runs(docker) == ("docker-1", "docker", ["line-writer-1"])
    assert runs(podman) == ("podman-1", "podman", ["line-beside-1", "line-writer-1"])

    published(house, "2")
    plane.redeploy(made, release="line:2")
    for name in ("docker-1", "podman-1"):
        plane.wait_app(name, "line", "2")
    assert runs(docker)[:2] == ("docker-2", "docker")
    assert runs(podman)[:2] == ("podman-2", "podman")

    # The third is ill on Podman alone: that device goes back to its own part of the second, by itself.
    published(house, "3", ill=', UNHEALTHY: "1"')
    plane.redeploy(made, release="line:3")
    plane.wait_app("docker-1", "line", "3")
    plane.wait_app("podman-1", "line", "2", "failed", 120)
    eventually(lambda: runs(podman)[:2], lambda now: now == ("podman-2", "podman"), 60, what="Podman runs its part of 2 again")
    assert runs(docker)[:2] == ("docker-3", "docker")

    # And back for both, from the centre.
    plane.redeploy(made, release="line:1")
    for name in ("docker-1", "podman-1"):
        plane.wait_app(name, "line", "1")
    assert runs(docker) == ("docker-1", "docker", ["line-writer-1"])
    assert runs(podman) == ("podman-1", "podman", ["line-beside-1", "line-writer-1"])
    for engine in (docker, podman):
        assert not [one for one, plain in engine.inspected().items() if "common" in plain["Config"]["Image"]]


def test_a_device_that_comes_back_with_another_engine_gets_its_part(house: House, both: tuple[Engine, Engine]) -> None:
    docker, podman = both
    agent = house.agent(docker, "press-7")
    known(house, "press-7", "docker")
    published(house, "1")
    house.plane.deploy("line:1", ["press-7"])
    house.plane.wait_app("press-7", "line", "1")
    assert runs(docker)[:2] == ("docker-1", "docker")
    agent.stop()
    agent.engine = podman
    agent.start()
    known(house, "press-7", "podman")
    eventually(
        lambda: runs(podman)[:2] if "line-writer-1" in running(podman) else (), lambda now: now == ("podman-1", "podman"), 120, what="Podman runs its part"
    )
    house.plane.wait_app("press-7", "line", "1")
    assert runs(podman)[2] == ["line-beside-1", "line-writer-1"]
