"""What stands on the engine in the end, read from the engine's own inspect, against what the Compose file asked for: every key there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.house import House, free_port
from tests.engines import Engine

SECOND = 1_000_000_000
MIB = 1024 * 1024

COMPOSE = """\
name: whole
services:
  web:
    image: {image}
    entrypoint: ["/bin/app"]
    command: [serve, "two words", "$$literal"]
    environment:
      GREETING: "good ${{WHEN:-morning}}, plant"
      EMPTY: ""
      PORT: "8080"
      WRITE: /data/log
    ports:
      - "127.0.0.1:{tcp}:8080"
      - "127.0.0.1:{udp}:5353/udp"
      - "127.0.0.1::9000"
    expose: ["7000", "7001/udp"]
    volumes:
      - data:/data
      - {folder}:/given:ro
      - {{type: tmpfs, target: /scratch, tmpfs: {{size: 1m}}}}
      - shared:/shared:ro
    networks:
      inner: {{aliases: [www, site]}}
      plant: {{ipv4_address: {subnet}.9}}
    depends_on:
      db: {{condition: service_healthy}}
      job: {{condition: service_completed_successfully}}
    healthcheck: {{test: [CMD, /bin/app, check], interval: 2s, timeout: 3s, retries: 4, start_period: 1s}}
    restart: unless-stopped
    deploy: {{resources: {{limits: {{memory: 64m, cpus: "0.5", pids: 90}}, reservations: {{memory: 32m}}}}}}
    memswap_limit: 96m
    cpuset: "0"
    devices: ["/dev/null:/dev/nothing:rw"]
    user: "0:0"
    working_dir: /tmp
    labels: {{vendor.line: "7"}}
    stop_grace_period: 3s
    stop_signal: SIGUSR1
    container_name: press-line
    platform: linux/amd64
  db:
    image: {image}
    environment: [WWW=/tmp/www]
    networks: [inner]
    tmpfs: /tmp
    healthcheck: {{test: "/bin/app check", interval: 1s, timeout: 3s, retries: 2}}
    restart: always
    stop_grace_period: 1s
  job:
    image: {image}
    environment: {{EXIT_CODE: "0"}}
    restart: on-failure:3
volumes:
  data: {{labels: {{kept: "yes"}}}}
  shared: {{external: true, name: plant-shared}}
networks:
  inner: {{internal: true, labels: {{zone: inner}}}}
  plant: {{external: true, name: plant-floor}}
x-penstock: {{soak: 1s, deadline: 40s, volumes: {{data: compatible}}}}
"""


@pytest.fixture(params=["docker", "podman"])
def each(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine: Engine = request.getfixturevalue(request.param)
    engine.start()
    yield engine
    engine.start()
    engine.reset()


def environment(inspected: dict[str, Any]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in inspected["Config"]["Env"])


def test_the_engines_own_inspect_says_what_the_compose_file_asked_for(home: House, each: Engine) -> None:
    plane, name = home.plane, f"asked-{each.name}"
    subnet = f"{each.slot.subnet}.120"
    ipam = {"Driver": "default", "Config": [{"Subnet": f"{subnet}.0/24", "Gateway": f"{subnet}.1"}]}
    assert each.api("POST", "/networks/create", {"Name": "plant-floor", "Driver": "bridge", "IPAM": ipam})[0] == 201
    assert each.api("POST", "/volumes/create", {"Name": "plant-shared"})[0] == 201
    folder = home.folder / "given"
    folder.mkdir(exist_ok=True)
    (folder / "recipe").write_text("steel\n")
    tcp, udp = free_port(), free_port()
    image = plane.push(home.images.make("whole"), "asked/whole:1", home.images)
    compose = COMPOSE.format(image=image, tcp=tcp, udp=udp, folder=folder, subnet=subnet)
    if name not in [one["name"] for one in plane.call("GET", "/devices")["items"]]:
        home.agent(each, name)
    version = each.name
    plane.publish("whole", version, compose)
    plane.deploy(f"whole:{version}", [name], values={"WHEN": "evening"})
    plane.wait_app(name, "whole", version)

    web, db, job = (each.inspect(one) for one in ("press-line", "whole-db-1", "whole-job-1"))
    assert each.containers() == ["press-line", "whole-db-1", "whole-job-1"]

    config, host = web["Config"], web["HostConfig"]
    entrypoint = config["Entrypoint"]
    assert ([entrypoint] if isinstance(entrypoint, str) else entrypoint) == ["/bin/app"]
    assert config["Cmd"] == ["serve", "two words", "$literal"]
    said = environment(web)
    assert {key: said[key] for key in ("GREETING", "EMPTY", "PORT", "WRITE", "PATH")} == {
        "GREETING": "good evening, plant",
        "EMPTY": "",
        "PORT": "8080",
        "WRITE": "/data/log",
        "PATH": "/bin",
    }
    assert set(said) - {"container", "TERM", "HOME", "HOSTNAME"} == {"GREETING", "EMPTY", "PORT", "WRITE", "PATH"}
    assert config["Labels"]["vendor.line"] == "7"
    assert config["WorkingDir"] == "/tmp"
    assert config["User"] == "0:0"
    assert config["StopSignal"] in ("SIGUSR1", "10")  # Podman says the number
    assert config["StopTimeout"] == 3
    check = config["Healthcheck"]
    assert (check["Test"], check["Interval"], check["Timeout"], check["Retries"], check["StartPeriod"]) == (
        ["CMD", "/bin/app", "check"],
        2 * SECOND,
        3 * SECOND,
        4,
        SECOND,
    )

    # Ports: as asked, bound on loopback, one chosen by the engine.
    bound = {port: [(one["HostIp"], one["HostPort"]) for one in places] for port, places in web["NetworkSettings"]["Ports"].items() if places}
    assert bound["8080/tcp"] == [("127.0.0.1", str(tcp))]
    assert bound["5353/udp"] == [("127.0.0.1", str(udp))]
    ((address, chosen),) = bound["9000/tcp"]
    assert (address, int(chosen) > 0) == ("127.0.0.1", True)
    assert set(bound) == {"8080/tcp", "5353/udp", "9000/tcp"}
    assert set(config["ExposedPorts"]) == {"8080/tcp", "5353/udp", "9000/tcp", "7000/tcp", "7001/udp"}

    mounts = {one["Destination"]: one for one in web["Mounts"] if one["Type"] != "tmpfs"}
    assert set(mounts) == {"/data", "/given", "/shared"}
    assert (mounts["/data"]["Type"], mounts["/data"]["Name"], mounts["/data"]["RW"]) == ("volume", "whole_data", True)
    assert (mounts["/given"]["Type"], mounts["/given"]["Source"], mounts["/given"]["RW"]) == ("bind", str(folder), False)
    assert (mounts["/shared"]["Name"], mounts["/shared"]["RW"]) == ("plant-shared", False)
    assert "size=1048576" in host["Tmpfs"]["/scratch"]
    assert each.cli("exec", "press-line", "/bin/cat", "/given/recipe").strip() == "steel"
    assert each.cli("exec", "press-line", "/bin/cat", "/data/log").split() == ["whole"]
    assert int(each.cli("exec", "press-line", "/bin/df", "-k", "/scratch").splitlines()[-1].split()[1]) == 1024

    assert (host["RestartPolicy"]["Name"], db["HostConfig"]["RestartPolicy"]["Name"]) == ("unless-stopped", "always")
    assert (job["HostConfig"]["RestartPolicy"]["Name"], job["HostConfig"]["RestartPolicy"]["MaximumRetryCount"]) == ("on-failure", 3)
    assert (host["Memory"], host["MemoryReservation"], host["MemorySwap"]) == (64 * MIB, 32 * MIB, 96 * MIB)
    assert (host["NanoCpus"], host["CpusetCpus"], host["PidsLimit"]) == (SECOND // 2, "0", 90)
    assert not host["Privileged"]
    devices = [(one["PathOnHost"], one["PathInContainer"]) for one in host["Devices"]]
    assert devices == [("/dev/null", "/dev/nothing")]
    assert each.cli("exec", "press-line", "/bin/ls", "-l", "/dev/nothing").startswith("c")

    networks = web["NetworkSettings"]["Networks"]
    assert set(networks) == {"whole_inner", "plant-floor"}
    assert {"web", "www", "site"} <= set(networks["whole_inner"]["Aliases"])
    assert networks["plant-floor"]["IPAddress"] == f"{subnet}.9"
    status, inner = each.api("GET", "/networks/whole_inner")
    assert (status, inner["Internal"], inner["Labels"]["zone"]) == (200, True, "inner")
    assert set(db["NetworkSettings"]["Networks"]) == {"whole_inner"}
    assert set(job["NetworkSettings"]["Networks"]) == {"whole_default"}
    if each.kind == "docker":  # Podman with CNI serves no names on internal networks
        assert each.cli("exec", "whole-db-1", "/bin/wget", "-q", "-O", "-", "http://www:8080/").strip() == "whole"
    _, volume = each.api("GET", "/volumes/whole_data")
    assert volume["Labels"]["kept"] == "yes"

    # The order that was asked for.
    assert db["State"]["StartedAt"] < web["State"]["StartedAt"]
    assert (job["State"]["ExitCode"], job["State"]["FinishedAt"] <= web["State"]["StartedAt"]) == (0, True)
    assert db["Config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "/bin/app check"]
    assert "/tmp" in db["HostConfig"]["Tmpfs"]

    # And the device itself finds nothing that differs.
    told = plane.app(name, "whole")
    assert (told["drift"], told["why"] != "") == ([], True)
    assert {one["service"]: one["health"] for one in told["services"]}["web"] == "healthy"
    assert plane.device(name)["strangers"] == []
