"""Real container engines for the tests: started here, on data of their own, stopped and wiped here.

Owns the fixtures ``docker``, ``podman``, ``docker_new``, ``podman_new`` (one engine each, for the whole run) and ``engine`` (each of them in
turn). Each is an `Engine`: a socket, a command line, and start, stop, kill, restart under the test's control on the same data. Never
touches an engine that it did not start, and ends processes by id only.

How it works, and why so
- Several runs may go on at once on one machine, so each engine takes a *slot* (`slots`): a number that fixes its folder, bridge names and address
  range (10.<128+slot>.0.0/16).
- ``dockerd``: own data root, exec root, socket, pid file and bridge. It runs with ``--iptables=false``, because every dockerd rewrites the
  same chains (and sets the host's FORWARD policy), so a second one would cut off the first. What that leaves: containers reach each other on
  a network and find each other by name; ports published on any address of the host work through the userland proxy (docker-proxy), from the
  host itself too; containers have no way out to other networks, which tests must not need.
- ``podman system service`` runs in a mount namespace of its own, because several of its paths cannot be set: /var/lib/cni,
  /run/containers, /run/netns, and the lock table in /dev/shm, which a second instance would reset. The namespace outlives the service, so that
  a restarted service finds its containers. iptables works here (nf_tables); CNI's portmap and bridge plugins use it, with chains named after the
  container, and removing the containers at the end removes them. CNI's firewall plugin is left out: it needs nothing here.
- Containers settings (runc, cgroupfs, limits with soft equal to hard): without CAP_SYS_RESOURCE the built-in limits are refused, and
  Podman 4.3's Docker-compatible create call swaps soft and hard. Podman runs no health-check timers without systemd.
- The engines die with the run (setpriv --pdeathsig), even when it is killed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.needs import SEARCH_PATH, needs, require, which
from tests.slots import EngineFailed, Slot, mentions, take_slot

ACCELERATORS = Path(__file__).resolve().parent / "accelerators"  # the driver's hook, in dockerd's PATH
START_SECONDS = 60.0
STOP_SECONDS = 40.0


@dataclass
class Engine:
    """One running engine. `socket` speaks the Docker API; `cli` is its own command line."""

    name: str  # "docker", "podman", "docker_new", "podman_new"
    kind: str  # "docker" or "podman"
    slot: Slot
    socket: Path
    command: list[str]  # the server's
    environment: dict[str, str]
    cli_command: list[str]
    pull_plain_http: bool  # pulls over plain HTTP from 127.0.0.0/8 without being asked to
    health_timers: bool  # runs health checks by itself
    kills_containers: bool  # stopping the engine stops its containers
    cleanup: list[Callable[[], None]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.slot.path

    @property
    def log(self) -> Path:
        return self.slot.path / "engine.log"

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start and wait until the API answers. Idempotent."""
        if self.running():
            return
        self.socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(which("setpriv")), "--pdeathsig", "TERM", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.api("GET", "/_ping")[0] == 200:
                    return
            if self.process.poll() is not None:
                raise EngineFailed(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise EngineFailed(f"{self.name} did not answer within {START_SECONDS:.0f} s: {self.tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it politely (SIGTERM), wait; by force after a while."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; containers that outlive the engine go on."""
        self._end(signal.SIGKILL)
        # dockerd's containerd dies with it, but stays a zombie until the machine's first process reaps it, and the next dockerd would take the
        # process id in this file for a living one and wait in vain.
        for pid_file in (self.slot.path / "exec" / "containerd").glob("*.pid"):
            pid_file.unlink()

    def _end(self, sign: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(sign)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_SECONDS)
        self.process = None
        self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def tail(self) -> str:
        return self.log.read_bytes()[-2000:].decode(errors="replace") if self.log.exists() else ""

    def cli(self, *arguments: str, stdin: bytes | None = None, check: bool = True, timeout: float = 120) -> str:
        """Run the engine's own command line; its standard output. Raises EngineFailed with what it said on the other stream."""
        done = subprocess.run([*self.cli_command, *arguments], input=stdin, capture_output=True, timeout=timeout, env=self.environment, check=False)
        if check and done.returncode != 0:
            raise EngineFailed(f"{self.kind} {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="replace")

    def api(self, method: str, path: str, body: Any = None, timeout: float = 60) -> tuple[int, Any]:
        """One call of the Docker API: (status, decoded JSON, or text where the answer is none)."""
        connection = _UnixConnection(str(self.socket), timeout)
        try:
            raw = None if body is None else json.dumps(body).encode()
            connection.request(method, path, raw, {"Host": "engine", "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def inspect(self, container: str) -> dict[str, Any]:
        status, found = self.api("GET", f"/containers/{container}/json")
        if status != 200 or not isinstance(found, dict):
            raise EngineFailed(f"inspect {container}: {status} {found}")
        return found

    def containers(self) -> list[str]:
        """Names of all containers, running or not, sorted."""
        _, found = self.api("GET", "/containers/json?all=true")
        return sorted(name.lstrip("/") for each in found for name in each["Names"])

    def inspected(self) -> dict[str, dict[str, Any]]:
        """All containers by name; one that goes while they are asked for is not among them."""
        found = {}
        for name in self.containers():
            status, plain = self.api("GET", f"/containers/{name}/json")
            if status == 200 and isinstance(plain, dict):
                found[name] = plain
        return found

    def load(self, archive: Path) -> None:
        """Load a docker-archive or OCI archive by the engine's own command line."""
        self.cli("load", "-i", str(archive))

    def reset(self) -> None:
        """Remove every container, volume and network that tests made; images stay."""
        _, containers = self.api("GET", "/containers/json?all=true")
        for each in containers or []:
            self.api("DELETE", f"/containers/{each['Id']}?force=true&v=true")
        _, volumes = self.api("GET", "/volumes")
        for each in (volumes or {}).get("Volumes") or []:
            self.api("DELETE", f"/volumes/{each['Name']}?force=true")
        _, networks = self.api("GET", "/networks")
        for each in networks or []:
            if each["Name"] not in ("bridge", "host", "none", "podman") and not each["Name"].startswith(RESERVED):
                self.api("DELETE", f"/networks/{each['Name']}")

    def close(self) -> None:
        """Leave nothing behind: containers, process, links, data."""
        try:
            if not self.running():
                with contextlib.suppress(EngineFailed):
                    self.start()
            if self.running():
                self.reset()
        finally:
            self.stop()
            for each in reversed(self.cleanup):
                each()
            self.slot.release()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _environment(**more: str) -> dict[str, str]:
    """No proxies, no settings of the person who runs the tests."""
    return {"PATH": SEARCH_PATH, "HOME": "/root", "LANG": "C.UTF-8", **more}


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineFailed(f"{' '.join(command)}: {done.stderr.strip()}")


def start_docker(*, name: str = "docker", usr: Path | None = None, features: dict[str, bool] | None = None) -> Engine:
    """A dockerd of our own. `usr`: the /usr of another Debian (tests/newer.py), with which it runs instead of the system's."""
    slot = take_slot()
    try:
        ip = str(which("ip"))
        _run(ip, "link", "add", "name", slot.bridge, "type", "bridge")
        _run(ip, "addr", "add", f"{slot.subnet}.0.1/24", "dev", slot.bridge)
        _run(ip, "link", "set", slot.bridge, "up")
        settings: dict[str, Any] = {
            "data-root": str(slot.path / "data"),
            "exec-root": str(slot.path / "exec"),
            "pidfile": str(slot.path / "docker.pid"),
            "hosts": [f"unix://{slot.path}/engine.sock"],
            "group": "root",
            "bridge": slot.bridge,
            "default-address-pools": [{"base": f"{slot.subnet}.128.0/17", "size": 24}],
            "iptables": False,
            "ip6tables": False,
            "userland-proxy": True,
            "log-level": "warn",
            "shutdown-timeout": 10,
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
        }
        if features:
            settings["features"] = features
        (slot.path / "daemon.json").write_text(json.dumps(settings))
        inside: list[str] = []
        cleanup: list[Callable[[], None]] = []
        if usr is not None:
            holder = _private_mounts(slot, (), usr)
            cleanup.append(_ender(holder))
            inside = _enter(holder)
        # Debian's own client, of the same release as dockerd: a newer one in /usr/local may refuse an older engine.
        client = "/usr/bin/docker" if usr is not None or Path("/usr/bin/docker").exists() else "docker"
        engine = Engine(
            name=name,
            kind="docker",
            slot=slot,
            socket=slot.path / "engine.sock",
            command=[*inside, "dockerd", "--config-file", str(slot.path / "daemon.json")],
            environment=_environment(
                PATH=f"{ACCELERATORS}:{SEARCH_PATH}",
                DOCKER_CONFIG=str(slot.path / "client"),
                PENSTOCK_TEST_ACCELERATORS=str(slot.accelerators),
                PENSTOCK_TEST_PROCESS=str(os.getpid()),
            ),
            cli_command=[*inside, client, "-H", f"unix://{slot.path}/engine.sock"],
            pull_plain_http=True,
            health_timers=True,
            kills_containers=True,
            cleanup=cleanup,
        )
        engine.start()
    except BaseException:
        slot.release()
        raise
    return engine


CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
cdi_spec_dirs = ["{cdi}"]
[network]
network_backend = "{backend}"
default_subnet = "{subnet}.0.0/24"
default_subnet_pools = [{{"base" = "{subnet}.128.0/17", "size" = 24}}]
cni_plugin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
"""

# The bridge's name is ours; ipMasq off, as the tests need no way out.
CNI_DEFAULT = {
    "cniVersion": "0.4.0",
    "name": "podman",
    "plugins": [
        {
            "type": "bridge",
            "isGateway": True,
            "ipMasq": False,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "tuning"},
    ],
}

# Podman names the bridge of a new network after the lowest number that neither its own networks nor living links have. Another instance's
# network without a running container has no link, so two instances would take the same name. Each slot has numbers of its own: the
# lower ones are taken by networks that nobody uses.
BRIDGES_EACH = 5
RESERVED = "reserved-for-others-"


def _reserve_bridges(slot: Slot, backend: str) -> None:
    for number in range(1, slot.number * BRIDGES_EACH + 1):
        name = f"{RESERVED}{number}"
        if backend == "cni":
            bridge = {"type": "bridge", "bridge": f"cni-podman{number}", "ipam": {}}
            (slot.path / "net" / f"{name}.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": name, "plugins": [bridge]}))
        else:
            network = {"name": name, "id": f"{number:064x}", "driver": "bridge", "network_interface": f"podman{number}", "ipam_options": {"driver": "none"}}
            (slot.path / "net" / f"{name}.json").write_text(json.dumps({**network, "created": "2026-01-01T00:00:00Z"}))


# Folders of the host that Podman and CNI insist on; each becomes one of the slot's inside the engine's mount namespace.
PODMAN_PRIVATE = ("/var/lib/cni", "/var/lib/containers", "/run/containers", "/run/netns", "/run/libpod", "/run/crun", "/run/runc", "/dev/shm")


def _private_mounts(slot: Slot, paths: tuple[str, ...], usr: Path | None) -> subprocess.Popen[bytes]:
    """A process that holds a mount namespace in which `paths` are the slot's own and, if given, `usr` stands in for /usr.

    It lives until it is killed, or the run dies.
    """
    lines = ["set -e"]
    for path in paths:
        own = slot.path / "private" / path.strip("/").replace("/", "-")
        own.mkdir(parents=True)
        Path(path).mkdir(parents=True, exist_ok=True)
        lines += [f"mount --bind {own} {path}", f"mount --make-shared {path}"]
    if usr is not None:
        lines.append(f"mount --bind {usr} /usr")
    lines.append(f"exec cat {slot.path}/hold")
    os.mkfifo(slot.path / "hold")
    holder = subprocess.Popen(
        [str(which("setpriv")), "--pdeathsig", "KILL", "--", str(which("unshare")), "-m", "--propagation", "private", "sh", "-c", "\n".join(lines)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(),
        cwd="/",
        start_new_session=True,
    )
    deadline = time.monotonic() + START_SECONDS
    while not mentions(str(holder.pid), f"cat\0{slot.path}/hold".encode()):
        if holder.poll() is not None or time.monotonic() > deadline:
            holder.kill()
            said = holder.stderr.read().decode(errors="replace") if holder.stderr else ""
            raise EngineFailed(f"no mount namespace for an engine: {said}")
        time.sleep(0.02)
    return holder


def _enter(holder: subprocess.Popen[bytes]) -> list[str]:
    return [str(which("nsenter")), f"--mount=/proc/{holder.pid}/ns/mnt", "--"]


def _ender(holder: subprocess.Popen[bytes]) -> Callable[[], None]:
    def end() -> None:
        holder.kill()
        holder.wait(STOP_SECONDS)
        if holder.stderr is not None:
            holder.stderr.close()

    return end


def start_podman(*, name: str = "podman", usr: Path | None = None, backend: str = "cni") -> Engine:
    """A `podman system service` of our own, see the head of this file. `usr` as for start_docker."""
    slot = take_slot()
    try:
        for folder in ("tmp", "net"):
            (slot.path / folder).mkdir()
        if backend == "cni":
            default = json.loads(json.dumps(CNI_DEFAULT))
            default["plugins"][0]["bridge"] = slot.bridge
            default["plugins"][0]["ipam"]["ranges"] = [[{"subnet": f"{slot.subnet}.0.0/24", "gateway": f"{slot.subnet}.0.1"}]]
            (slot.path / "net" / "87-podman.conflist").write_text(json.dumps(default))
        else:  # the default network's bridge too: whichever instance ended its last container would take "podman0" from all others
            subnets = [{"subnet": f"{slot.subnet}.0.0/24", "gateway": f"{slot.subnet}.0.1"}]
            network = {"name": "podman", "id": "0" * 63 + "f", "driver": "bridge", "network_interface": slot.bridge, "subnets": subnets}
            more = {"ipv6_enabled": False, "internal": False, "dns_enabled": False, "ipam_options": {"driver": "host-local"}}
            (slot.path / "net" / "podman.json").write_text(json.dumps({**network, **more, "created": "2026-01-01T00:00:00Z"}))
        _reserve_bridges(slot, backend)
        (slot.path / "containers.conf").write_text(CONTAINERS_CONF.format(subnet=slot.subnet, backend=backend, cdi=slot.accelerators))
        # No registry may ever be asked for a short name.
        (slot.path / "registries.conf").write_text("unqualified-search-registries = []\n")
        holder = _private_mounts(slot, PODMAN_PRIVATE, usr)
        inside = _enter(holder)
        own = ["--root", str(slot.path / "root"), "--runroot", str(slot.path / "run"), "--tmpdir", str(slot.path / "libpod")]
        local = [*inside, "podman", *own, "--network-config-dir", str(slot.path / "net")]
        engine = Engine(
            name=name,
            kind="podman",
            slot=slot,
            socket=slot.path / "engine.sock",
            command=[*local, "system", "service", "--time=0", f"unix://{slot.path}/engine.sock"],
            environment=_environment(
                CONTAINERS_CONF=str(slot.path / "containers.conf"),
                CONTAINERS_REGISTRIES_CONF=str(slot.path / "registries.conf"),
                TMPDIR=str(slot.path / "tmp"),
                PODMAN_IGNORE_CGROUPSV1_WARNING="1",
            ),
            cli_command=local,
            pull_plain_http=False,
            health_timers=False,
            kills_containers=False,
            cleanup=[_ender(holder)],
        )
        engine.start()
    except BaseException:
        slot.release()
        raise
    return engine


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """The Docker Engine of this system."""
    require("docker", "busybox")
    engine = start_docker()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def podman() -> Iterator[Engine]:
    """The Podman of this system, as a service."""
    require("podman", "busybox")
    engine = start_podman()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def docker_new() -> Iterator[Engine]:
    """A Docker Engine of a later Debian, with the containerd image store."""
    require("docker-new", "busybox")
    from tests.newer import start_newer_docker

    engine = start_newer_docker()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def podman_new() -> Iterator[Engine]:
    """A Podman of a later Debian, with netavark."""
    require("podman-new", "busybox")
    from tests.newer import start_newer_podman

    engine = start_newer_podman()
    yield engine
    engine.close()


@pytest.fixture(
    params=[
        pytest.param("docker", marks=needs("docker", "busybox")),
        pytest.param("podman", marks=needs("podman", "busybox")),
        # What differs between versions of an engine is its API, and the conformance tests hold newer ones to it.
        pytest.param("docker_new", marks=[needs("docker-new", "busybox"), pytest.mark.soak]),
        pytest.param("podman_new", marks=[needs("podman-new", "busybox"), pytest.mark.soak]),
    ]
)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn, running, and emptied of containers, volumes and networks after the test."""
    found: Engine = request.getfixturevalue(request.param)
    found.start()
    yield found
    found.start()
    found.reset()
