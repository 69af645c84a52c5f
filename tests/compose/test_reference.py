"""The same containers as the reference: what Debian's docker-compose 1.29.2 makes of a file and what Penstock makes of it, compared by the engine's own
inspect, key by key, minus a written list of intended differences (`INTENDED`).

The corpus is written here (corpus/*.yaml), in the language both speak; keys newer than the reference are compared with results derived from the
specification's text, its section named beside each.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.agent.blobstore import BlobStore
from penstock.agent.runtimes import NetworkOrder, VolumeOrder
from penstock.agent.runtimes.docker import DockerRuntime
from penstock.rules.naming import container_name, network_name, volume_name
from penstock.rules.order import start_order
from penstock.rules.specs import hosts_of
from penstock.server.core.compose import read
from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.filling import fill_in
from penstock.wire.record import replace
from penstock.wire.types import AppState
from tests.conformance.bench import Bench
from tests.needs import needs, which

pytestmark = [needs("docker-compose"), pytest.mark.engine]

CORPUS = Path(__file__).parent / "corpus"

# What differs on purpose, each with its reason. Keys are dotted paths into an inspect answer; those that end in '.' stand for all below.
INTENDED = {
    "Config.Image": "images are pinned by digest, not by a tag that may move",
    "Config.Labels.": "each has labels of its own beside those of the file",
    "Config.Volumes": "the reference repeats mounts there; what is mounted is compared in Mounts",
    "Config.StopTimeout": "said always, so that an engine's other default has no say; ten seconds where the file is silent",
    "Config.AttachStdout": "nobody is attached to a container nobody sits at",
    "Config.AttachStderr": "as above",
    "Config.AttachStdin": "as above",
    "Config.StdinOnce": "as above",
    "HostConfig.Binds": "the older form of Mounts; what is mounted is compared in Mounts",
    "HostConfig.Mounts": "as above",
    "HostConfig.VolumesFrom": "the reference writes an empty list, which means nothing",
    "HostConfig.Links": "links are aliases in the networks shared: the engine's own links are of the past, and Podman has none",
    "HostConfig.NetworkMode": "of several networks the first of the file counts, not the first by name; where there is one, or none, it is compared",
    "HostConfig.Tmpfs.": "the same options, but for `rw` and the mode, which are said always (Podman would give 0000); compared apart",
}


class Making:
    """One engine with the image of the corpus under its tag, and another app's network and volume."""

    def __init__(self, engine: Any, images: Any, store: BlobStore) -> None:
        self.engine = engine
        self.bench = Bench("docker", DockerRuntime(str(engine.socket)), images, store, engine=engine)
        self.image = self.bench.ready(self.bench.image())
        held = self.bench.runtime.image(self.image.variants[0])
        assert held is not None
        self.ask("POST", f"/images/{held.id}/tag?repo=app&tag=1")
        self.ask("POST", "/networks/create", {"Name": "another-apps-network"})
        self.ask("POST", "/volumes/create", {"Name": "theirs"})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.engine.api(method, path, body)
        assert status < 300, answer
        return answer

    def compose(self, path: Path, *arguments: str) -> None:
        command = [str(which("docker-compose")), "-p", "conf", "-f", str(path), *arguments]
        environment = {"DOCKER_HOST": f"unix://{self.engine.socket}", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def state(self, source: str, files: dict[str, bytes] | None = None, **values: str) -> AppState:
        template = read(source, None, files)
        faults = Faults()
        made = fill_in(faults, template.places, values, dict.fromkeys(values, "1"), template.services, template.volumes, template.networks)
        faults.check()
        assert made is not None
        services, volumes, networks = made
        names = sorted({service.image for service in services})
        return self.bench.state(*services, images=tuple(replace(self.image, name=name) for name in names), volumes=volumes, networks=networks)

    def penstock(self, state: AppState, *, start: bool = False) -> dict[str, str]:
        """Make it as the agent's hands do; service to container id."""
        for network in state.networks:
            if not network.external:
                name = network_name(state.app, network)
                how = (network.driver, network.driver_options, network.labels, network.internal, network.attachable, network.ipv6)
                self.bench.runtime.create_network(NetworkOrder(name, *how, network.pools, network.ipam_driver, network.ipam_options))
        for volume in state.volumes:
            if not volume.external:
                self.bench.runtime.create_volume(VolumeOrder(volume_name(state.app, volume), volume.driver, volume.driver_options, volume.labels))
        made = {}
        for service in start_order(state.services):
            order = self.bench.order(state, service)
            order = replace(order, services={one.name: container_name(state.app, one) for one in hosts_of(state, service)})
            made[service.name] = self.bench.runtime.create(order)
            if start:
                self.bench.runtime.start(made[service.name])
        return made

    def inspect(self, identity: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/containers/{identity}/json")
        return found

    def remove(self, ids: dict[str, str], state: AppState) -> None:
        for identity in ids.values():
            self.bench.runtime.remove(identity)
        for network in state.networks:
            if not network.external:
                self.bench.runtime.remove_network(network_name(state.app, network))
        for volume in state.volumes:
            if not volume.external:
                self.bench.runtime.remove_volume(volume_name(state.app, volume))


@pytest.fixture(scope="module")
def making(docker, images, tmp_path_factory):
    docker.start()
    docker.reset()
    yield Making(docker, images, BlobStore(str(tmp_path_factory.mktemp("reference-blobs")), reserve_bytes=0))
    docker.reset()


def flat(plain: Any, path: str = "") -> dict[str, Any]:
    """Leaves by dotted path; nothing, an empty text, an empty list and nought all mean "not said"."""
    if isinstance(plain, dict):
        found: dict[str, Any] = {}
        for key, value in plain.items():
            found.update(flat(value, f"{path}.{key}" if path else key))
        return found
    if isinstance(plain, list) and all(isinstance(item, str) for item in plain) and path.rpartition(".")[2] not in ("Cmd", "Entrypoint", "Test"):
        plain = sorted(plain)
    return {path: plain} if plain not in (None, "", [], {}, 0, False) else {}


def shape(plain: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What is compared of a container. `names`: container id to service."""
    config, host = dict(plain["Config"]), dict(plain["HostConfig"])
    if config["Hostname"] == plain["Id"][:12]:
        config["Hostname"] = ""
    if len(plain["NetworkSettings"]["Networks"]) < 2:
        host["Network"] = host["NetworkMode"]
    host["RestartPolicy"] = {**host["RestartPolicy"], "Name": host["RestartPolicy"]["Name"] or "no"}
    mode = host["NetworkMode"]
    if mode.startswith("container:"):
        host["Network"] = "service:" + names[mode[10:]]
        config["Hostname"] = ""
    host["DeviceRequests"] = [{key: value for key, value in one.items() if value} for one in host.get("DeviceRequests") or ()]
    host["Ulimits"] = sorted(host.get("Ulimits") or (), key=lambda one: str(one["Name"]))
    if host.get("PidsLimit") in (0, -1):
        host["PidsLimit"] = None
    tmpfs = {}
    for target, options in (host.get("Tmpfs") or {}).items():
        words = dict.fromkeys((word for word in options.split(",") if word not in ("", "rw", "mode=1777")), "")
        tmpfs[target] = sorted(word.replace("size=1m", "size=1048576") for word in words)
    for mount in host.get("Mounts") or ():
        if mount["Type"] == "tmpfs":
            tmpfs[mount["Target"]] = [f"size={mount['TmpfsOptions']['SizeBytes']}"]
    mounts = {
        mount["Destination"]: {key: mount.get(key) for key in ("Type", "Name", "Source", "RW", "Propagation")}
        for mount in plain["Mounts"]
        if mount["Type"] != "tmpfs"
    }
    networks = {}
    for name, use in plain["NetworkSettings"]["Networks"].items():
        aliases = sorted(set(use.get("Aliases") or ()) - {plain["Id"][:12]})
        networks[name] = {"Aliases": aliases, "Address": {key: value for key, value in (use.get("IPAMConfig") or {}).items() if value}}
    found = flat({"Config": config, "HostConfig": host, "Mounts": mounts, "Networks": networks, "Tmpfs": tmpfs})
    return {path: value for path, value in found.items() if path not in INTENDED and not any(path.startswith(key) for key in INTENDED if key.endswith("."))}


def labels(plain: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in (plain["Labels"] or {}).items() if not key.startswith(("com.docker.compose.", "penstock."))}


def place(plain: dict[str, Any], subnets: tuple[str, ...] = ()) -> dict[str, Any]:
    """What is compared of a network or a volume. The reference makes every network attachable, which is a word of Swarm's; the file's is followed.
    Addresses count where they are asked for (`subnets`); the others the engine picks."""
    if "IPAM" in plain:
        plain = {**plain, "IPAM": {**plain["IPAM"], "Config": [one for one in plain["IPAM"]["Config"] or () if one["Subnet"] in subnets]}}
    keep = ("Name", "Driver", "Internal", "EnableIPv6", "IPAM", "Options", "Scope")
    return flat({**{key: plain.get(key) for key in keep}, "Labels": labels(plain)})


@pytest.mark.parametrize("name", sorted(path.stem for path in CORPUS.glob("*.yaml")))
def test_same_as_docker_compose(making, name):
    path = CORPUS / f"{name}.yaml"
    # The reference joins further networks, and others' namespaces, when it starts; what needs all of a machine's capabilities is only made.
    started = name != "host"
    making.compose(path, "up", *(["-d"] if started else ["--no-start"]))
    listed = making.ask("GET", '/containers/json?all=1&filters={"label":["com.docker.compose.project=conf"]}')
    theirs = {}
    for item in listed:
        service, number = item["Labels"]["com.docker.compose.service"], item["Labels"]["com.docker.compose.container-number"]
        theirs[service, number] = making.inspect(item["Id"])
    state = making.state(path.read_text())
    networks = {network.name: making.ask("GET", f"/networks/{network_name(state.app, network)}") for network in state.networks}
    volumes = {volume.name: making.ask("GET", f"/volumes/{volume_name(state.app, volume)}") for volume in state.volumes}
    making.compose(path, "down", "-v", "-t", "0")
    ids = making.penstock(state, start=started)
    try:
        ours = {service: making.inspect(identity) for service, identity in ids.items()}
        assert len(ours) == len(theirs)
        for (service, number), plain in sorted(theirs.items()):
            own = service if service in ours else f"{service}-{number}"
            expected = shape(plain, {one["Id"]: key for (key, _), one in theirs.items()})
            found = shape(ours[own], {one["Id"]: key for key, one in ours.items()})
            if own != service:  # a copy has its own name beside that of all
                found = {key: [alias for alias in value if alias != own] if key.endswith(".Aliases") else value for key, value in found.items()}
                # The reference gives every copy the whole range and lets the engine choose; here each has one of its own, the same after every restart.
                bound = "HostConfig.PortBindings.4000/tcp"
                assert found.pop(bound)[0]["HostPort"] == str(23999 + int(number))
                assert expected.pop(bound)[0]["HostPort"] == "24000-24001"
            assert found == expected, f"service {own}"
            assert labels(ours[own]["Config"]) == labels(plain["Config"])
            stop = 10 if plain["Config"].get("StopTimeout") is None else plain["Config"]["StopTimeout"]
            assert ours[own]["Config"]["StopTimeout"] == stop
        for network in state.networks:
            subnets = tuple(pool.subnet for pool in network.pools)
            made = place(making.ask("GET", f"/networks/{network_name(state.app, network)}"), subnets)
            assert made == place(networks[network.name], subnets), network.name
        for volume in state.volumes:
            assert place(making.ask("GET", f"/volumes/{volume_name(state.app, volume)}")) == place(volumes[volume.name]), volume.name
    finally:
        making.remove(ids, state)


# Keys that stand in no file of the corpus, and where they are met instead.
ELSEWHERE = {
    "annotations": "the reference and its engine do not know them; the conformance suite meets them on newer engines",
    "cgroup": "newer than the reference; the conformance suite",
    "uts": "the reference does not know it; the conformance suite",
    "storage_opt": "needs quotas in the file system below the engine; the reader's tests",
    "cpu_rt_runtime": "needs a kernel with real-time groups; the reader's tests",
    "cpu_rt_period": "as above",
    "deploy": "each part of it that is taken stands in the corpus or, `replicas` and `restart_policy`, beside `docker-compose config`",
}

NEWER = """
services:
  db:
    image: app:1
  web:
    image: app:1
    depends_on:
      db: {condition: service_started}
      cache: {condition: service_started, required: false}
    healthcheck: {test: ["CMD", "true"], interval: 5s, start_period: 10s, start_interval: 1s}
    configs:
      - {source: inline, target: /etc/inline.conf, mode: 0440, uid: "1000"}
      - packaged
    secrets: [password]
    links: ["db:database"]
    gpus: [{driver: nvidia, count: 1}]
    extra_hosts: {plc: 192.0.2.7}
    volumes:
      - {type: tmpfs, target: /t, tmpfs: {mode: 0700}}
      - {type: bind, source: FOLDER/made, target: /made, bind: {create_host_path: true}}
      - /var/lib/unnamed
configs:
  inline: {content: "line = ${LINE}"}
  packaged: {file: ./conf/app.conf}
secrets:
  password: {environment: PASSWORD}
"""


def test_the_corpus_covers_every_key_that_is_taken():
    page = (Path(__file__).parents[2] / "docs" / "compose.md").read_text()
    (row,) = re.findall(r"^\| service \| (.*) \|$", page, re.MULTILINE)
    taken = set(re.findall(r"`([a-z_]+)`", re.sub(r"\(.*?\)", "", row)))
    used = set()
    for text in (*(path.read_text() for path in CORPUS.glob("*.yaml")), NEWER):
        for service in yaml.safe_load(text)["services"].values():
            used |= set(service)
    assert len(taken) > 60
    assert taken - used - set(ELSEWHERE) == set()


def test_keys_newer_than_the_reference_follow_the_specification(making, tmp_path):
    """Each beside its section of the Compose specification (compose-spec, spec.md or the numbered page)."""
    state = making.state(NEWER.replace("FOLDER", str(tmp_path)), {"conf/app.conf": b"packaged"}, LINE="7", PASSWORD="unused")
    ids = making.penstock(replace(state, services=tuple(replace(one, files=one.files[:2]) for one in state.services)))
    try:
        plain = making.inspect(ids["web"])
        host = plain["HostConfig"]
        # 05-services.md, depends_on, long syntax: with `required: false` a missing service is no fault; the order is the others'.
        assert [service.name for service in start_order(state.services)] == ["db", "web"]
        # 05-services.md, healthcheck: `start_interval` (this engine speaks API 1.41, which has no word for it; the rest stands).
        assert plain["Config"]["Healthcheck"]["Interval"] == 5_000_000_000
        assert plain["Config"]["Healthcheck"]["StartPeriod"] == 10_000_000_000
        assert state.services[1].healthcheck.start_interval_ms == 1000
        # 05-services.md, gpus: the capability gpu is understood.
        assert host["DeviceRequests"] == [{"Driver": "nvidia", "Count": 1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}]
        # 05-services.md, extra_hosts, mapping.
        assert host["ExtraHosts"] == ["plc:192.0.2.7"]
        # 05-services.md, volumes, long syntax: tmpfs mode; bind create_host_path makes the folder.
        assert "mode=700" in host["Tmpfs"]["/t"]
        assert (tmp_path / "made").is_dir()
        # 05-services.md, volumes: without a source the volume is the engine's to make; here it has a name, so that its data stays.
        assert [mount["Name"] for mount in plain["Mounts"] if mount["Destination"] == "/var/lib/unnamed"] == [f"conf_{state.volumes[0].name}"]
        # 08-configs.md and 05-services.md, configs: inline content with interpolation, target, mode and uid; file; the default target is /NAME.
        assert making.engine.cli("cp", f"{ids['web']}:/etc/inline.conf", "-")[512:520] == "line = 7"
        assert making.engine.cli("cp", f"{ids['web']}:/packaged", "-")[512:520] == "packaged"
        head = making.engine.cli("cp", f"{ids['web']}:/etc/inline.conf", "-")[:512]
        assert (int(head[100:107], 8) & 0o7777, int(head[108:115], 8)) == (0o440, 1000)
        # 09-secrets.md: `environment` takes the value from a variable (here a parameter, which travels sealed); the default target is /run/secrets/NAME.
        secret = state.services[1].files[2]
        assert (secret.target, secret.secret, secret.content, secret.mode) == ("/run/secrets/password", "PASSWORD", "", 0o444)
        # 05-services.md, links: the other service is reached under that name.
        assert "database" in making.inspect(ids["db"])["NetworkSettings"]["Networks"]["conf_default"]["Aliases"]
    finally:
        making.remove(ids, state)
