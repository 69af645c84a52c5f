"""What the reader makes of a Compose file, key by key, and what it refuses: by path, line and column, all at once."""

from __future__ import annotations

from textwrap import dedent

import pytest

from penstock.server.core.compose import ComposeError, Fault, Template, read
from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.filling import fill_in
from penstock.wire.types import Dependency, DeviceNode, Healthcheck, Mount, Network, NetworkUse, Port, Probe, Resources, Service, Volume


def text(body: str) -> str:
    return dedent(body).lstrip("\n")


def filled(template: Template, **values: str):
    faults = Faults()
    made = fill_in(faults, template.places, values, dict.fromkeys("AB", "1"), template.services, template.volumes, template.networks)
    faults.check()
    assert made is not None
    return made


def service(body: str, **values: str) -> Service:
    """The one service of a file whose lines below the service are given."""
    lines = "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
    top = "volumes: {data: {}, logs: {}}\nnetworks: {front: {}, plant: {external: true}}\n"
    return filled(read(f"services:\n  web:\n    image: web:1\n{lines}{top}"), **values)[0][0]


def refused(body: str) -> tuple[Fault, ...]:
    with pytest.raises(ComposeError) as caught:
        read(text(body))
    return caught.value.faults


def refused_service(body: str):
    """The one fault of a service, without the place of the file around it."""
    with pytest.raises(ComposeError) as caught:
        service(body)
    assert len(caught.value.faults) == 1, str(caught.value)
    return caught.value.faults[0]


WHOLE = text(
    """
    name: shop
    x-base: &base
      restart: unless-stopped
      environment: {TZ: Europe/Berlin}
    services:
      web:
        <<: *base
        image: shop/web:1.0
        entrypoint: ["/entry", "--x"]
        command: serve --title 'two words'
        ports: ["8080:80", "127.0.0.1:8443:443/tcp", "9000-9001:9000-9001/udp"]
        expose: [7000, "7001/udp"]
        volumes:
          - data:/data
          - /srv/in:/in:ro
          - {type: tmpfs, target: /tmp, tmpfs: {size: 64m}}
        networks:
          front: {aliases: [shop]}
          plant: {ipv4_address: 10.1.2.3}
        depends_on:
          db: {condition: service_healthy, restart: true}
          job: {condition: service_completed_successfully, required: false}
        healthcheck: {test: [CMD, curl, localhost], interval: 1m30s, timeout: 500ms, retries: 5, start_period: 10s, start_interval: 1s}
        deploy: {resources: {limits: {memory: 128m, cpus: "0.5", pids: 100}, reservations: {memory: 64m}}}
        cpuset: 0-1
        devices: ["/dev/ttyS0", "/dev/a:/dev/b:rw"]
        user: "1000:1000"
        working_dir: /app
        labels: [team=line-3]
        stop_grace_period: 20s
        stop_signal: int
        container_name: shop-web
        platform: linux/arm64/v8
      db:
        image: db:2
        restart: on-failure:3
        networks: [front]
        environment: ["PASSWORD=${A:?a password}", EMPTY=]
        healthcheck: {disable: true}
      job:
        image: job:1
    volumes:
      data: {name: shop-data, labels: {keep: "yes"}}
    networks:
      front: {driver: bridge, internal: true, driver_opts: {x: 1}}
      plant: {external: true}
    x-penstock:
      secrets: [A]
      soak: 90s
      deadline: 3m
      drift: report
      keep: 3
      volumes: {data: snapshot}
      probes:
        db: [{tcp: {port: 5432}, interval: 2s}, {command: pg_isready -q}]
        web: [{http: {port: 80, path: /healthz}}]
    """
)


def test_a_whole_file_becomes_services_volumes_and_networks():
    template = read(WHOLE)
    services, volumes, networks = filled(template)
    web, db, job = services
    assert web == Service(
        name="web",
        image="shop/web:1.0",
        entrypoint=("/entry", "--x"),
        command=("serve", "--title", "two words"),
        environment={"TZ": "Europe/Berlin"},
        ports=(Port(80, 8080), Port(443, 8443, "127.0.0.1"), Port(9000, 9000, protocol="udp"), Port(9001, 9001, protocol="udp")),
        expose=("7000/tcp", "7001/udp"),
        mounts=(
            Mount("volume", "/data", "data"),
            Mount("bind", "/in", "/srv/in", read_only=True),
            Mount("tmpfs", "/tmp", tmpfs_bytes=64 << 20),
        ),
        networks=(NetworkUse("front", ("web", "shop")), NetworkUse("plant", ("web",), "10.1.2.3")),
        depends_on=(Dependency("db", "healthy", restart=True), Dependency("job", "completed", required=False)),
        healthcheck=Healthcheck(("CMD", "curl", "localhost"), 90_000, 500, 5, 10_000, 1_000),
        probes=(Probe("http", port=80, path="/healthz"),),
        restart="unless-stopped",
        resources=Resources(memory_bytes=128 << 20, memory_reservation_bytes=64 << 20, nano_cpus=500_000_000, pids=100, cpuset="0-1"),
        devices=(DeviceNode("/dev/ttyS0", "/dev/ttyS0"), DeviceNode("/dev/a", "/dev/b", "rw")),
        user="1000:1000",
        working_dir="/app",
        labels={"team": "line-3"},
        stop_grace_ms=20_000,
        stop_signal="SIGINT",
        container_name="shop-web",
        platform="linux/arm64",
    )
    assert db.secret_environment["PASSWORD"].secret == "A"
    assert db.environment == {"EMPTY": ""}
    assert (db.restart, db.restart_max) == ("on-failure", 3)
    assert db.healthcheck == Healthcheck(("NONE",))
    assert db.probes == (Probe("tcp", port=5432, interval_ms=2000), Probe("command", command=("pg_isready", "-q")))
    assert job.networks == (NetworkUse("default", ("job",)),)
    assert volumes == (Volume("data", engine_name="shop-data", labels={"keep": "yes"}, policy="snapshot"),)
    assert networks == (
        Network("front", driver="bridge", internal=True, driver_options={"x": "1"}),
        Network("plant", external=True),
        Network("default"),
    )
    settings = template.settings
    assert (template.name, settings.soak_s, settings.deadline_s, settings.drift, settings.keep) == ("shop", 90, 180, "report", 3)
    assert template.images == {"web": "shop/web:1.0", "db": "db:2", "job": "job:1"}


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("command: null", "command", None),
        ("command: []", "command", ()),
        ("entrypoint: ''", "entrypoint", ()),
        ("command: [a, 1, true]", "command", ("a", "1", "true")),
        ("ports: [80]", "ports", (Port(80),)),
        ("ports: ['127.0.0.1::80']", "ports", (Port(80, 0, "127.0.0.1"),)),
        ("ports: ['[::1]:8080:80']", "ports", (Port(80, 8080, "::1"),)),
        ("ports: [22:22]", "ports", (Port(22, 22),)),  # sexagesimal in YAML 1.1
        ("ports: [{target: 80, published: 8080, protocol: udp, mode: host}]", "ports", (Port(80, 8080, protocol="udp"),)),
        ("expose: ['3000-3002']", "expose", ("3000/tcp", "3001/tcp", "3002/tcp")),
        ("environment: {A: 1.10, B: yes, C: 0x10, D: true, E: 010}", "environment", {"A": "1.10", "B": "yes", "C": "0x10", "D": "true", "E": "010"}),
        ("environment: ['A=b=c', 'B=$$x']", "environment", {"A": "b=c", "B": "$x"}),
        ("tmpfs: /run", "mounts", (Mount("tmpfs", "/run"),)),
        ("tmpfs: ['/run:size=1m']", "mounts", (Mount("tmpfs", "/run", tmpfs_bytes=1 << 20),)),
        ("volumes: [{type: bind, source: /a, target: /b, read_only: true}]", "mounts", (Mount("bind", "/b", "/a", read_only=True),)),
        ("volumes: [{type: volume, source: data, target: /b}]", "mounts", (Mount("volume", "/b", "data"),)),
        ("restart: no", "restart", "no"),
        ("restart: 'no'", "restart", "no"),
        ("mem_limit: 1g", "resources", Resources(memory_bytes=1 << 30)),
        ("mem_limit: 67108864", "resources", Resources(memory_bytes=64 << 20)),
        ("{mem_limit: 64m, memswap_limit: -1}", "resources", Resources(memory_bytes=64 << 20, memory_swap_bytes=-1)),
        ("pids_limit: -1", "resources", Resources()),
        ("cpus: 1.5", "resources", Resources(nano_cpus=1_500_000_000)),
        ("healthcheck: {test: exit 0}", "healthcheck", Healthcheck(("CMD-SHELL", "exit 0"))),
        ("healthcheck: {test: [NONE]}", "healthcheck", Healthcheck(("NONE",))),
        ("healthcheck: {interval: 5s}", "healthcheck", Healthcheck((), 5000, 0, 0)),
        ("stop_signal: 9", "stop_signal", "9"),
        ("stop_grace_period: 1m0.5s", "stop_grace_ms", 60_500),
        ("devices: [{source: /dev/a, target: /dev/b, permissions: wr}]", "devices", (DeviceNode("/dev/a", "/dev/b", "rw"),)),
        ("devices: ['/dev/a:r']", "devices", (DeviceNode("/dev/a", "/dev/a", "r"),)),
        ("deploy: {replicas: 1}", "resources", Resources()),
        ("x-note: anything", "labels", {}),
    ],
)
def test_forms(line, field, value):
    body = "\n".join(line.strip("{}").split(", ")) if line.startswith("{") else line
    assert getattr(service(body), field) == value


@pytest.mark.parametrize(
    ("line", "path", "column", "why"),
    [
        ("attach: true", "attach", 5, "not supported"),
        ("network_mode: front", "network_mode", 19, "`front` is not supported here"),
        ("network_mode: 'container:x'", "network_mode", 19, "`container:x` is not supported here"),
        ("network_mode: 'service:db'", "network_mode", 5, "no service 'db'"),
        ("{network_mode: host, networks: [front]}", "network_mode", 5, "exclude each other"),
        ("{network_mode: host, ports: ['80:80']}", "ports", 5, "no port can be published"),
        ("{uts: host, hostname: x}", "uts", 5, "has the device's name"),
        ("{cpus: 1, cpu_quota: 50000}", "cpu_quota", 5, "says the same"),
        ("cap_add: [net admin]", "cap_add[0]", 15, "no capability"),
        ("security_opt: ['seccomp:./x.json']", "security_opt[0]", 20, "names a file"),
        ("ulimits: {files: 3}", "ulimits.files", 15, "no limit of the kernel"),
        ("ulimits: {nofile: {soft: 3}}", "ulimits.nofile", 15, "both have to be there"),
        ("extra_hosts: [plc]", "extra_hosts[0]", 19, "no name with an address"),
        ("mac_address: 02:42", "mac_address", 18, "no MAC address"),
        ("oom_score_adj: 1001", "oom_score_adj", 20, "no score"),
        ("device_cgroup_rules: [c 1]", "device_cgroup_rules[0]", 27, "no rule for devices"),
        ("links: [db]", "links", 5, "no service 'db'"),
        ("gpus: 2", "gpus", 11, "no list of devices"),
        ("deploy: {resources: {reservations: {devices: [{count: 1}]}}}", "deploy.resources.reservations.devices[0]", 51, "`capabilities` is missing"),
        ("deploy: {restart_policy: {delay: 5s}}", "deploy.restart_policy.delay", 31, "not supported"),
        ("deploy: {mode: global}", "deploy.mode", 20, "not supported here"),
        ("scale: 0", "scale", 12, "no number of containers"),
        ("{scale: 2, deploy: {replicas: 3}}", "deploy.replicas", 24, "differs"),
        ("{scale: 2, ports: ['80:80']}", "ports", 5, "cannot share port 80"),
        ("{scale: 3, ports: ['80-81:80']}", "ports", 5, "2 ports of the device for 3 containers"),
        ("{scale: 2, container_name: xx}", "container_name", 5, "cannot have one name"),
        ("configs: [a]", "configs[0]", 15, "no config 'a'"),
        ("secrets: [{target: a}]", "secrets[0]", 15, "`source` is missing"),
        ("commnd: x", "commnd", 5, "no key of a service"),
        ("x-penstock: {}", "x-penstock", 5, "does not stand here"),
        ("command: {a: b}", "command", 14, "must be one value"),
        ("command: ['a', [b]]", "command[1]", 20, "must be one value, is a list"),
        ('command: "it\'s"', "command", 14, "cannot be split"),
        ("environment: {A: }", "environment.A", 19, "has no value"),
        ("environment: [A]", "environment[0]", 19, "has no value"),
        ("environment: ['${A}=x']", "environment[0]", 19, "no variable"),
        ("environment: [A=1, A=2]", "environment[1]", 24, "stands twice"),
        ("ports: ['80:80:80:80']", "ports[0]", 13, "no IP address"),
        ("ports: ['70000']", "ports[0]", 13, "no port"),
        ("ports: ['8000-8001:80']", "ports[0]", 13, "2 ports of the device for 1"),
        ("ports: ['80/icmp']", "ports[0]", 13, "no protocol"),
        ("ports: [{published: 80}]", "ports[0]", 13, "`target` is missing"),
        ("ports: [{target: 80, published: 80-90}]", "ports[0].published", 26, "11 ports of the device for 1"),
        ("ports: 80", "ports", 12, "must be a list"),
        ("volumes: [data]", "volumes[0]", 15, "no name"),
        ("volumes: ['./conf:/conf']", "volumes[0]", 15, "relative"),
        ("volumes: ['data:/data:z']", "volumes[0]", 15, "'z' is not supported"),
        ("volumes: ['data:relative']", "volumes[0]", 15, "no absolute path"),
        ("volumes: ['/a/../b:/b']", "volumes[0]", 15, "climbs"),
        ("volumes: ['other:/x']", "volumes", 5, "no volume 'other'"),
        ("volumes: ['data:/x', 'logs:/x/']", "volumes", 5, "mounted at /x"),
        ("volumes: [{type: bind, source: /a, target: /b, bind: {recursive: x}}]", "volumes[0].bind.recursive", 59, "not supported"),
        ("volumes: [{type: volume, source: data, target: /b, volume: {subpath: x}}]", "volumes[0].volume.subpath", 65, "not supported"),
        ("networks: [back]", "networks.back", 16, "no network 'back'"),
        ("networks: {front: {ipv4_address: 10.0.0.2}}", "networks.front", 16, "fixed address"),
        ("depends_on: [db]", "depends_on.db", 18, "no service 'db'"),
        ("depends_on: [web]", "depends_on.web", 18, "wait for itself"),
        ("healthcheck: {test: [curl, x]}", "healthcheck.test[0]", 26, "not supported here"),
        ("healthcheck: {test: []}", "healthcheck.test", 25, "is no test"),
        ("healthcheck: {test: x, interval: 0s}", "healthcheck.interval", 38, "is zero"),
        ("healthcheck: {disable: true, test: x}", "healthcheck", 18, "disabled and described"),
        ("restart: sometimes", "restart", 14, "no way to restart"),
        ("restart: always:3", "restart", 14, "no way to restart"),
        ("mem_limit: lots", "mem_limit", 16, "is no size"),
        ("mem_limit: 512", "mem_limit", 16, "less than the 6m"),
        ("memswap_limit: 1g", "memswap_limit", 5, "no `mem_limit`"),
        ("cpus: many", "cpus", 11, "no number of processors"),
        ("deploy: {resources: {reservations: {cpus: 1}}}", "deploy.resources.reservations.cpus", 41, "not supported"),
        ("stop_grace_period: 10", "stop_grace_period", 24, "no span of time"),
        ("stop_signal: SIGNOTHING", "stop_signal", 18, "no signal"),
        ("labels: {penstock.app: x}", "labels.penstock.app", 14, "are ours"),
        ("platform: windows/amd64", "platform", 15, "no platform"),
        ("working_dir: app", "working_dir", 18, "no absolute path"),
        ("container_name: -x", "container_name", 21, "no name for a container"),
        ("user: 'a b'", "user", 11, "no user"),
        ("devices: [vendor.com/gpu=all]", "devices[0]", 15, "CDI"),
        ("build: .", "build", 5, "not supported"),
        ("command: echo $", "command", 14, "begins no name"),
        ("command: echo ${}", "command", 14, "not followed by a name"),
        ("command: echo ${A", "command", 14, "not closed"),
        ("command: echo ${A!x}", "command", 14, "no operator"),
        ("restart: ${R}", "restart", 14, "no parameter may stand here"),
        ("command: echo ${PENSTOCK_COLOUR}", "command", 14, "PENSTOCK_"),
        ("ports: ['${P:-http}:80']", "ports[0]", 13, "with its defaults filled in"),
    ],
)
def test_refusals_name_key_line_and_column(line, path, column, why):
    together = "\n".join(line[1:-1].split(", ", 1)) if line.startswith("{") else line
    fault = refused_service(together)
    assert fault.path == f"services.web.{path}"
    assert (fault.line - together.count("\n"), fault.column) in ((4, column), (3, column))
    assert why in fault.why
    assert fault.remedy


def test_every_key_of_the_table_of_refusals_has_a_remedy_and_is_refused():
    from penstock.server.core.compose import refused as table

    for key in table.SERVICE:
        fault = refused_service(f"{key}: x")
        assert fault.path == f"services.web.{key}"
        assert fault.remedy == table.SERVICE[key]
    for key in table.TOP:
        (fault,) = refused(f"services: {{a: {{image: a}}}}\n{key}: {{}}")
        assert (fault.path, fault.line, fault.column) == (key, 2, 1)


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    faults = refused(
        """
        services:
          web:
            image: web:1
            attach: true
            ports: ["99999"]
          db:
            volumes: [nowhere:/x]
        volumes:
          data: {driver_config: {}}
        models: {}
        """
    )
    assert [(fault.line, fault.path) for fault in faults] == [
        (4, "services.web.attach"),
        (5, "services.web.ports[0]"),
        (7, "services.db"),
        (9, "volumes.data.driver_config"),
        (10, "models"),
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "no mapping"),
        ("[]", "no mapping"),
        ("{}", "`services` is missing"),
        ("services: {}", "no service"),
        ("services: {Web: {image: a}}", "no name for a service"),
        ("services: {web: }", "must be a mapping"),
        ("services: {web: {}}", "`image` is missing"),
        ("services: {a: {image: a}, a: {image: b}}", "stands twice"),
        ("services: {a: {image: a, <<: 3}}", "'<<' takes a mapping"),
        ("services: {a: {image: *no}}", "no anchor &no"),
        ("services: &a {a: *a}", "stands inside what it names"),
        ("services: {a: {image: !secret a}}", "the tag !secret"),
        ("services: {a: {image: a}}\n---\nb: 1", "several YAML documents"),
        ("services:\n\ta: b", "not YAML"),
        ("services: {a: {image: 'a}}", "not YAML"),
        ("services: {a: {image: a, ? [b] : c}}", "a key must be text"),
        ('services: {a: {image: "a\\0"}}', "U+0000"),
        ("services: {a: {image: a}}\x07", "U+0007"),
        ("services: {a: {image: a}}\nname: Shop", "no name for an app"),
        ("services: {a: {image: a}}\nx-penstock: {sok: 3s}", "no key of x-penstock"),
        ("services: {a: {image: a}}\nx-penstock: {soak: '${S}'}", "no parameter may stand here"),
        ("services: {a: {image: a}}\nx-penstock: {volumes: {b: snapshot}}", "no volume 'b'"),
        ("services: {a: {image: a}}\nx-penstock: {probes: {b: []}}", "no service 'b'"),
        ("services: {a: {image: a}}\nx-penstock: {probes: {a: [{}]}}", "one kind, this has 0"),
        ("services: {a: {image: a}}\nx-penstock: {secrets: [B]}", "used nowhere"),
        ("services: {a: {image: a}}\nvolumes: {b: {external: true}}\nx-penstock: {volumes: {b: snapshot}}", "not ours to put back"),
        ("services: {a: {image: a}}\nvolumes: {b: {external: true, driver: local}}", "would have no effect"),
        ("services: {a: {image: a}}\nnetworks: {b: {enable_ipv4: true}}", "not supported for a network"),
        ("services: {a: {image: a}}\nnetworks: {b: {ipam: {config: [{gateway: 10.1.0.1}]}}}", "`subnet` is missing"),
        ("services: {a: {image: a, configs: [b]}}\nconfigs: {b: {external: true}}", "not supported for a config"),
        ("services: {a: {image: a, configs: [b]}}\nconfigs: {b: {file: ./b}}", "no file 'b' in the package"),
        ("services: {a: {image: a, configs: [b]}}\nconfigs: {b: {file: a, content: b}}", "there is no file"),
        ("services: {a: {image: a, configs: [{source: b, target: /t/x}], tmpfs: /t}}\nconfigs: {b: {content: x}}", "lies under the tmpfs"),
        ("services: {a: {image: a, configs: [b, b]}}\nconfigs: {b: {content: x}}", "two files are put at /b"),
        ("services: {a: {image: a, secrets: [{source: b, mode: 440}]}}\nsecrets: {b: {environment: B}}", "no mode of a file"),
        ("services: {a: {image: a, scale: 2}, a-1: {image: a}}", "like another service"),
        ("services: {a: {image: a, scale: 2}, b: {image: b, network_mode: 'service:a'}}", "a is 2 containers"),
        ("services: {a: {image: a, network_mode: 'service:b', dns: 1.1.1.1}, b: {image: b}}", "lives in the network of b"),
        ("services: {a: {image: a, network_mode: 'service:b'}, b: {image: b, pid: 'service:a'}}", "in a circle"),
        ("services: {a: {image: a, links: [b], networks: [x]}, b: {image: b}}\nnetworks: {x: {}}", "share no network"),
        ("services: {a: {image: a, links: ['b:a']}, b: {image: b}}", "is a service of this file"),
        ("services: {a: {image: a, ports: ['80:80']}, b: {image: a, ports: ['127.0.0.1:80:81']}}", "published twice"),
        ("services: {a: {image: a, container_name: xx}, b: {image: a, container_name: xx}}", "also the container of a"),
        ("services: {a: {image: a, depends_on: [b]}, b: {image: a, depends_on: [c]}, c: {image: a, depends_on: [b]}}", "in a circle: b -> c -> b"),
        (
            "services: {a: {image: a, depends_on: {b: {condition: service_completed_successfully}}}, b: {image: b, restart: always}}",
            "never completes",
        ),
        ("services: {a: {image: a, depends_on: {b: {condition: service_healthy}}}, b: {image: b, healthcheck: {disable: true}}}", "never becomes healthy"),
        ("services: {a: {image: a, depends_on: {b: {condition: healthy}}}, b: {image: b}}", "'healthy' is not supported here"),
        ("services: {a: {image: 'a:${TAG}'}}", "TAG has no value"),
        ("services: {a: {image: 'a:${TAG:?which}'}}", "TAG has no value: which"),
        ("services: {a: {image: 'a:${S:-1}'}}\nx-penstock: {secrets: [S]}", "secret"),
        ("services: {a: {image: a, command: '${S}'}}\nx-penstock: {secrets: [S]}", "may only be the whole value"),
        ("services: {a: {image: a, environment: {A: 'x${S}'}}}\nx-penstock: {secrets: [S]}", "may only be the whole value"),
        ("services: {a: {image: a, environment: {A: '${S:-pw}'}}}\nx-penstock: {secrets: [S]}", "may only be the whole value"),
    ],
)
def test_faults_of_the_whole(body, why):
    with pytest.raises(ComposeError) as caught:
        read(body)
    assert any(why in fault.why for fault in caught.value.faults), str(caught.value)
    assert all(fault.why and not fault.why.endswith(".") for fault in caught.value.faults)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ComposeError, match="not UTF-8"):
        read(b"services: \xff")
    with pytest.raises(ComposeError, match="not UTF-8"):
        read("services: \ud800")
    assert read(b"\xef\xbb\xbfservices: {a: {image: a}}").images == {"a": "a"}


def test_a_file_made_to_explode_is_refused_quickly():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(ComposeError, match="more than 20000 values"):
        read(bomb)
    with pytest.raises(ComposeError, match="nested more than 32 deep"):
        read("a: " + "[" * 100_000)
    with pytest.raises(ComposeError, match="bytes, more than"):
        read("a: " + "x" * 300_000)
    chain = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{in: *a{n - 1}}}\n" for n in range(1, 60))
    with pytest.raises(ComposeError, match="nested more than 32 deep"):
        read(chain)


def test_merge_keys_own_key_first_then_the_earlier_one():
    template = read(
        text(
            """
            x-a: &a {user: first, working_dir: /a}
            x-b: &b {user: second, stop_signal: SIGINT}
            services:
              web:
                image: web
                <<: [*a, *b]
                working_dir: /own
            """
        )
    )
    web = filled(template)[0][0]
    assert (web.user, web.working_dir, web.stop_signal) == ("first", "/own", "SIGINT")


def test_a_fault_in_an_anchor_is_told_once():
    faults = refused(
        """
        x-a: &a {attach: true}
        services:
          web: {image: web, <<: *a}
          two: {image: web, <<: *a}
        """
    )
    assert [(fault.line, fault.path) for fault in faults] == [(1, "services.web.attach"), (1, "services.two.attach")]


def test_parameters_of_a_file():
    template = read(
        text(
            """
            services:
              web:
                image: shop/web:${TAG:-1.0}
                command: [run, "${MODE:?say the mode}", "${LEVEL:-${BASE:-info}}", "${EXTRA+yes}"]
                environment: {PORT: "${PORT}", AGAIN: "${PORT:-80}", TAG: "${TAG:-2.0}", WHERE: "${PENSTOCK_SITE}"}
            """
        )
    )
    found = {item.name: (item.default, item.required, item.message) for item in template.parameters}
    assert found == {
        "MODE": (None, True, "say the mode"),
        "LEVEL": ("${BASE:-info}", False, ""),
        "BASE": ("info", False, ""),
        "EXTRA": (None, False, ""),
        "PORT": (None, True, ""),
    }
    assert template.images == {"web": "shop/web:1.0"}
    assert read("services: {a: {image: 'a:${T}', user: '${T}', labels: {l: '${U}'}}}", {"T": "7"}).images == {"a": "a:7"}


def test_values_are_read_when_they_are_known():
    template = read("services: {web: {image: web, ports: ['${P}:80'], volumes: ['${V}:/d'], mem_limit: '${M:-64m}'}}\nvolumes: {data: {}}")
    web = filled(template, P="8000", V="data")[0][0]
    assert web.ports == (Port(80, 8000),)
    assert web.mounts == (Mount("volume", "/d", "data"),)
    assert web.resources.memory_bytes == 64 << 20
    with pytest.raises(ComposeError) as caught:
        filled(template, P="eighty", V="elsewhere", M="1")
    assert {(fault.path, fault.line) for fault in caught.value.faults} == {
        ("services.web.ports[0]", 1),
        ("services.web.volumes", 1),
        ("services.web.mem_limit", 1),
    }
