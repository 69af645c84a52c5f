"""The engine fixtures themselves: every engine runs the test images, publishes ports, resolves names, survives its own restart."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request

import pytest

from tests.engines import Engine, start_podman
from tests.images import HEALTHCHECK, Images
from tests.needs import needs, which
from tools.oci import digest


def fetch(url: str, seconds: float = 20) -> str:
    """The answer of a container that may still be starting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode().strip()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def until(condition, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.1)
    return found


def create(engine: Engine, name: str, image: str, **more) -> str:
    status, made = engine.api("POST", f"/containers/create?name={name}", {"Image": image, **more})
    assert status == 201, made
    status, said = engine.api("POST", f"/containers/{made['Id']}/start")
    assert status == 204, said
    return made["Id"]


@pytest.mark.parametrize("docker_types", [False, True])
def test_loads_and_serves(engine: Engine, images: Images, docker_types: bool, free_port):
    image = images.make("7", docker_types=docker_types)
    engine.load(images.archive(image, "localhost/penstock/app:7"))
    port = free_port()
    create(
        engine,
        "web",
        "localhost/penstock/app:7",
        ExposedPorts={"8080/tcp": {}},
        HostConfig={"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}, "Memory": 32 << 20},
    )
    assert fetch(f"http://127.0.0.1:{port}/") == "7"
    assert fetch(f"http://127.0.0.1:{port}/healthz") == "ok"
    assert engine.inspect("web")["HostConfig"]["Memory"] == 32 << 20


def test_containers_find_each_other_by_name(engine: Engine, images: Images):
    engine.load(images.archive(images.make("7"), "localhost/penstock/app:7"))
    status, said = engine.api("POST", "/networks/create", {"Name": "plant", "CheckDuplicate": True})
    assert status == 201, said
    attached = {"HostConfig": {"NetworkMode": "plant"}, "NetworkingConfig": {"EndpointsConfig": {"plant": {"Aliases": ["historian"]}}}}
    create(engine, "server", "localhost/penstock/app:7", **attached)
    create(engine, "client", "localhost/penstock/app:7", HostConfig={"NetworkMode": "plant"})
    for target in ("server", "historian"):
        until(lambda target=target: engine.cli("exec", "client", "timeout", "2", "wget", "-q", "-O", "-", f"http://{target}:8080/", check=False).strip() == "7")


def test_restart_keeps_data(engine: Engine, images: Images):
    engine.load(images.archive(images.make("7"), "localhost/penstock/app:7"))
    assert engine.api("POST", "/volumes/create", {"Name": "kept"})[0] == 201
    create(engine, "writer", "localhost/penstock/app:7", Env=["WRITE=/data/log"], HostConfig={"Binds": ["kept:/data"]})
    until(lambda: engine.cli("exec", "writer", "cat", "/data/log", check=False) == "7\n")
    engine.restart()
    assert engine.containers() == ["writer"]
    engine.kill()
    assert not engine.running()
    engine.start()
    engine.api("POST", "/containers/writer/restart?t=1")
    assert until(lambda: engine.cli("exec", "writer", "cat", "/data/log", check=False).startswith("7\n7\n"))


def test_behaviours(engine: Engine, images: Images):
    engine.load(images.archive(images.make("7", healthcheck=HEALTHCHECK), "localhost/penstock/app:7"))
    create(engine, "job", "localhost/penstock/app:7", Env=["EXIT_CODE=9"])
    create(engine, "crash", "localhost/penstock/app:7", Env=["CRASH_AFTER=1"])
    create(engine, "sick", "localhost/penstock/app:7", Env=["UNHEALTHY=1"])
    create(engine, "well", "localhost/penstock/app:7")
    create(engine, "stubborn", "localhost/penstock/app:7", Env=["IGNORE_TERM=1"])
    until(lambda: engine.inspect("job")["State"]["ExitCode"] == 9 and not engine.inspect("job")["State"]["Running"])
    until(lambda: engine.inspect("crash")["State"]["ExitCode"] == 1 and not engine.inspect("crash")["State"]["Running"])
    if engine.health_timers:
        until(lambda: engine.inspect("sick")["State"]["Health"]["Status"] == "unhealthy")
        until(lambda: engine.inspect("well")["State"]["Health"]["Status"] == "healthy")
    for name, code in (("well", 0), ("stubborn", 137)):
        engine.api("POST", f"/containers/{name}/stop?t=1")
        assert engine.inspect(name)["State"]["ExitCode"] == code


def test_two_dockers_side_by_side(docker: Engine, images: Images, free_port):
    from tests.engines import start_docker

    archive = images.archive(images.make("7"), "localhost/penstock/app:7")
    other = start_docker(name="second")
    with contextlib.closing(other):
        for engine in (docker, other):
            engine.load(archive)
        ports = []
        for engine in (docker, other):
            ports.append(free_port())
            bind = {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(ports[-1])}]}}
            create(engine, "web", "localhost/penstock/app:7", ExposedPorts={"8080/tcp": {}}, HostConfig=bind)
        for port in ports:
            assert fetch(f"http://127.0.0.1:{port}/") == "7"
        docker.reset()
    assert not other.data.exists()


@needs("skopeo")
def test_layout_is_what_skopeo_reads(images: Images, tmp_path):
    import subprocess

    image = images.make("7", platforms=("linux/amd64", "linux/arm/v7"))
    layout = images.layout(image)
    shown = subprocess.run(["skopeo", "inspect", "--raw", f"oci:{layout}:latest"], capture_output=True, check=True).stdout
    assert digest(shown) == image.digest
    assert [each["platform"] for each in json.loads(shown)["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
    ]
    subprocess.run(["skopeo", "copy", "--all", f"oci:{layout}:latest", f"oci:{tmp_path}/copy:latest"], capture_output=True, check=True)
    assert (tmp_path / "copy/blobs/sha256" / image.digest[7:]).read_bytes() == image.index


def test_same_input_same_bytes(images: Images, tmp_path):
    one, two = Images(tmp_path).make("7", payload_bytes=1000), images.make("7", payload_bytes=1000)
    assert one.digest == two.digest
    assert images.make("8").digest != images.make("7").digest


@needs("podman")
def test_an_engine_that_died_with_its_containers_leaves_no_published_port(images: Images, free_port):
    """A run that is cut off cannot take its containers back; whoever takes the slot next does, so that nobody is caught by their ports."""
    engine = start_podman()
    port = free_port()
    engine.load(images.archive(images.make("7"), "localhost/penstock/app:7"))
    published = {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}
    create(engine, "web", "localhost/penstock/app:7", ExposedPorts={"8080/tcp": {}}, HostConfig=published)
    assert fetch(f"http://127.0.0.1:{port}/") == "7"
    engine.kill()
    for each in reversed(engine.cleanup):
        each()
    told = [str(which("iptables")), "-w", "10", "-t", "nat", "-S"]
    assert f"--dport {port} " in subprocess.run(told, capture_output=True, text=True, check=True).stdout
    engine.slot.release()
    left = subprocess.run(told, capture_output=True, text=True, check=True).stdout
    assert f" {port}" not in left
    assert f" {engine.slot.subnet}." not in left
