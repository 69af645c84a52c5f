"""A corpus of files as people write them, against docker-compose: what it makes of a file in its own normal form, our reader must read as
the same services."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from penstock.server.core.compose import ComposeError, read
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
    "near the machine": """
services:
  a:
    image: a
    privileged: true
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    read_only: true
    init: true
    tty: true
    stdin_open: true
    ipc: host
    pid: host
    userns_mode: host
    security_opt: ["no-new-privileges:true", "seccomp:unconfined"]
    group_add: ["44", video]
    device_cgroup_rules: ["c 188:* rmw"]
    cgroup_parent: /plant
    runtime: runc
    oom_score_adj: -500
    oom_kill_disable: true
    mem_swappiness: 0
    shm_size: 128m
    ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}
    sysctls: {net.core.somaxconn: 1024}
    storage_opt: {size: 1G}
    network_mode: host
  b: {image: b, sysctls: [net.core.somaxconn=1024], network_mode: "service:a", cpu_shares: 512, cpu_quota: 50000, cpu_period: 20ms, cpu_rt_runtime: 950ms}
""",
    "names": """
services:
  a:
    image: a
    hostname: press
    domainname: plant.example
    mac_address: 02:42:ac:11:00:07
    dns: 10.0.0.53
    dns_search: [plant.example]
    dns_opt: ["ndots:2"]
    extra_hosts: ["plc:10.0.0.7"]
    links: ["b:database"]
    logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}
  b: {image: b, dns: [10.0.0.53, 10.0.0.54], dns_search: plant.example, extra_hosts: {plc: 10.0.0.7}}
""",
    "several": """
services:
  a: {image: a, scale: 2, ports: ["8080-8081:80", "70"]}
  b: {image: b, depends_on: [a], deploy: {replicas: 2, mode: replicated, restart_policy: {condition: on-failure, max_attempts: 3}}}
""",
    "accelerators": """
services:
  a:
    image: a
    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 2, capabilities: [gpu, utility]}]}}}
""",
    "addresses": """
services:
  a:
    image: a
    networks:
      front: {ipv4_address: 10.7.0.9, aliases: [x], priority: 5}
      six: {ipv6_address: "fd00:7::9", link_local_ips: [169.254.1.1]}
networks:
  front: {attachable: true, ipam: {driver: default, config: [{subnet: 10.7.0.0/24, gateway: 10.7.0.1, ip_range: 10.7.0.128/25, aux_addresses: {plc: 10.7.0.2}}]}}
  six: {enable_ipv6: true, ipam: {config: [{subnet: "fd00:7::/64"}]}}
""",
    "mounts": """
services:
  a:
    image: a
    volumes: ["/srv:/srv:ro,z", "/run/x:/x:rslave", "data:/d:nocopy", /unnamed]
  b:
    image: b
    volumes:
      - {type: bind, source: /srv, target: /srv, bind: {propagation: rshared}}
      - {type: volume, source: data, target: /d, volume: {nocopy: true}}
volumes: {data: {}}
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


# The port grammar, in which both speak the same language: an address, a range or a number of the device, as many in the container, a protocol.
first_port = st.integers(1, 60_000)
spans = st.sampled_from([0, 0, 0, 1, 3, 9])


@st.composite
def port_texts(draw: st.DrawFn) -> str:
    span, inside, host = draw(spans), draw(first_port), draw(st.none() | first_port)

    def numbers(first: int) -> str:
        return f"{first}-{first + span}" if span else str(first)

    address = draw(st.sampled_from(["", "127.0.0.1:", "10.1.2.3:"])) if host is not None else ""
    kind = draw(st.sampled_from(["", "/tcp", "/udp", "/sctp"]))
    return f"{address}{numbers(host) + ':' if host is not None else ''}{numbers(inside)}{kind}"


def test_the_grammar_of_ports_is_the_same(tmp_path):
    """Hypothesis draws the lists, one call of the reference reads them all: it takes half a second to begin."""
    drawn: list[list[str]] = []

    @settings(max_examples=200, phases=(Phase.generate,), derandomize=True, deadline=None)
    @given(st.lists(port_texts(), min_size=1, max_size=4, unique=True))
    def draw(texts):
        drawn.append(texts)

    draw()

    def fits(number, texts):
        try:
            read(f"services:\n  s{number}: {{image: a, ports: {json.dumps(texts)}}}")
        except ComposeError as refused:
            assert "published twice" in str(refused)  # the reference leaves that to the engine
            return False
        return True

    wanted = {f"s{number}": texts for number, texts in enumerate(drawn) if fits(number, texts)}
    assert len(wanted) > 100
    for chunk in (dict(list(wanted.items())[at : at + 60]) for at in range(0, len(wanted), 60)):
        # One file cannot publish a port twice, so each service of a chunk is read alone.
        source = HEAD + "services:\n" + "".join(f"  {name}: {{image: a, ports: {json.dumps(texts)}}}\n" for name, texts in chunk.items())
        path = tmp_path / "compose.yaml"
        path.write_text(source)
        done = subprocess.run([str(which("docker-compose")), "-f", str(path), "config"], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        theirs = yaml.safe_load(done.stdout)["services"]
        for name, texts in chunk.items():
            ours = meaning(f"services:\n  {name}: {{image: a, ports: {json.dumps(texts)}}}")[0][name].ports
            again = meaning(json.dumps({"services": {name: {"image": "a", "ports": theirs[name]["ports"]}}}))[0][name].ports
            assert sorted(ours, key=repr) == sorted(again, key=repr), texts


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_same_as_docker_compose(name, tmp_path):
    source = HEAD + CORPUS[name]
    path = tmp_path / "compose.yaml"
    path.write_text(source)
    done = subprocess.run([str(which("docker-compose")), "-f", str(path), "config"], capture_output=True, text=True, env=VALUES, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert meaning(source, **VALUES) == meaning(done.stdout)
