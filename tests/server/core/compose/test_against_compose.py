"""A corpus of files as people write them, against docker-compose: what it makes of a file in its own normal form, our reader must read as
the same services."""

from __future__ import annotations

import subprocess

import pytest

from penstock.server.core.compose import read
from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.filling import fill_in
from penstock.wire.record import replace
from tests.needs import needs, which

pytestmark = needs("docker-compose")

HEAD = 'version: "3.9"\n'
CORPUS = {
    "commands": """
services:
  a: {image: "a:1", command: "sh -c 'echo \\"$$HOME\\" && sleep 1'", entrypoint: [/bin/tini, --]}
  b: {image: b, command: [run, "--flag=a b"], entrypoint: /entry point}
""",
    "environment": """
services:
  a:
    image: a
    environment:
      TEXT: "a: b # c"
      NUMBER: 12
      QUOTED: "007"
      DOLLAR: a$$b
      MULTI: |
        two
        lines
  b: {image: b, environment: [A=1, "B=x y=z", C=]}
""",
    "interpolation": """
services:
  a:
    image: a
    command: ["${SET}", "${UNSET:-d}", "${EMPTY-x}", "$${SET}"]
    ports: ["${PORT:-8080}:80"]
    mem_limit: ${MEM:-64m}
""",
    "ports": """
services:
  a:
    image: a
    ports: ["3000", "8000:8000", "9090-9091:8080-8081", "127.0.0.1:8001:8001", "127.0.0.1:5000-5010:5000-5010", "6060:6060/udp", "12400-12500:1240-1340"]
  b:
    image: b
    ports:
      - {target: 80, published: 8090, protocol: tcp, mode: host}
    expose: ["3000", 8000]
""",
    "volumes": """
services:
  a:
    image: a
    volumes: ["data:/data", "/srv/in:/in:ro", "logs:/logs:rw"]
  b:
    image: b
    volumes:
      - {type: volume, source: data, target: /d, read_only: true}
      - {type: bind, source: /etc/x, target: /x}
      - {type: tmpfs, target: /t, tmpfs: {size: 1048576}}
volumes:
  data: {driver: local, driver_opts: {type: none, o: bind, device: /srv}, labels: [a=b]}
  logs:
""",
    "networks": """
services:
  a: {image: a, networks: [front, back]}
  b: {image: b, networks: {front: {aliases: [x, y]}, back: }}
  c: {image: c}
networks:
  front: {driver: bridge, internal: true}
  back: {external: true, name: plant}
""",
    "dependencies": """
services:
  a: {image: a, depends_on: [b]}
  b: {image: b, depends_on: {c: {condition: service_healthy}, d: {condition: service_completed_successfully}}}
  c: {image: c, healthcheck: {test: [CMD-SHELL, exit 0], interval: 1m30s, timeout: 10s, retries: 3, start_period: 40s}}
  d: {image: d, restart: "no"}
""",
    "limits": """
services:
  a: {image: a, deploy: {resources: {limits: {cpus: "0.50", memory: 50M}, reservations: {memory: 20M}}}}
  b: {image: b, mem_limit: 1g, mem_reservation: 512m, cpus: 1.5, pids_limit: 100, cpuset: "0,1"}
""",
    "the rest": """
services:
  a:
    image: reg.example:5000/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000
    restart: on-failure:5
    user: "1000:100"
    working_dir: /app
    labels: {a.b: c, empty: ""}
    stop_grace_period: 1m10s
    stop_signal: SIGUSR1
    container_name: my-app
    devices: ["/dev/ttyUSB0:/dev/ttyUSB0", "/dev/a:/dev/b:rw"]
    tmpfs: [/run, "/tmp"]
    healthcheck: {disable: true}
""",
    "anchors": """
x-logging: &common {restart: always, labels: {team: one}}
services:
  a: {<<: *common, image: a}
  b: {<<: *common, image: b, labels: {team: two}}
""",
}
VALUES = {"SET": "value", "EMPTY": ""}


def meaning(source: str, **values: str):
    template = read(source)
    faults = Faults()
    made = fill_in(faults, template.places, values, {}, template.services, template.volumes, template.networks)
    faults.check()
    assert made is not None
    services, volumes, networks = made
    return (
        # docker-compose sorts the networks of a service; their order means nothing.
        {service.name: replace(service, networks=tuple(sorted(service.networks, key=lambda use: use.network))) for service in services},
        {volume.name: volume for volume in volumes},
        {network.name: network for network in networks},
    )


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_same_as_docker_compose(name, tmp_path):
    source = HEAD + CORPUS[name]
    path = tmp_path / "compose.yaml"
    path.write_text(source)
    done = subprocess.run([str(which("docker-compose")), "-f", str(path), "config"], capture_output=True, text=True, env=VALUES, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert meaning(source, **VALUES) == meaning(done.stdout)
