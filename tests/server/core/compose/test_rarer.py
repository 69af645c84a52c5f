"""The rarer keys of a service, configs and secrets, copies of a service, and what services make of each other: as they come out on the wire."""

from __future__ import annotations

import base64

import pytest

from penstock.server.core.compose import ComposeError, read
from penstock.server.core.compose.faults import Faults
from penstock.server.core.compose.filling import fill_in
from penstock.wire.options import Accelerator, File, Logging, Options, Ulimit
from penstock.wire.types import Dependency, Mount, Network, NetworkUse, Pool, Port, Service, Volume
from tests.server.core.compose.test_read import filled, service, text


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("privileged: true", Options(privileged=True)),
        ("privileged: false", Options()),
        ("read_only: ${RO:-true}", Options(read_only=True)),
        ("init: true", Options(init=True)),
        ("tty: true", Options(tty=True)),
        ("stdin_open: true", Options(stdin_open=True)),
        ("network_mode: none", Options(network_mode="none")),
        ("network_mode: default", Options(network_mode="bridge")),
        ("ipc: shareable", Options(ipc="shareable")),
        ("pid: host", Options(pid="host")),
        ("uts: host", Options(uts="host")),
        ("userns_mode: host", Options(userns="host")),
        ("cgroup: private", Options(cgroup="private")),
        ("cgroup_parent: plant.slice", Options(cgroup_parent="plant.slice")),
        ("runtime: runsc", Options(runtime="runsc")),
        ("hostname: ${PENSTOCK_DEVICE}-x", Options(hostname="press-x")),
        ("domainname: plant.example", Options(domainname="plant.example")),
        ("mac_address: 02:42:AC:11:00:07", Options(mac_address="02:42:ac:11:00:07")),
        ("cap_add: [net_admin, SYS_TIME]", Options(cap_add=("NET_ADMIN", "SYS_TIME"))),
        ("cap_drop: [ALL]", Options(cap_drop=("ALL",))),
        ("security_opt: ['no-new-privileges:true', apparmor=x]", Options(security=("no-new-privileges:true", "apparmor=x"))),
        ("group_add: [video, 44]", Options(groups=("video", "44"))),
        ("device_cgroup_rules: ['c 188:* rmw']", Options(device_cgroup_rules=("c 188:* rmw",))),
        ("dns: 10.0.0.53", Options(dns=("10.0.0.53",))),
        ("dns: [10.0.0.53, 'fd00::53']", Options(dns=("10.0.0.53", "fd00::53"))),
        ("dns_search: plant.example", Options(dns_search=("plant.example",))),
        ("dns_opt: ['ndots:2']", Options(dns_options=("ndots:2",))),
        ("extra_hosts: ['plc:10.0.0.7', 'me=host-gateway']", Options(extra_hosts=("plc:10.0.0.7", "me:host-gateway"))),
        ("extra_hosts: {plc: [10.0.0.7, 'fd00::7'], x: '${X:-10.0.0.8}'}", Options(extra_hosts=("plc:10.0.0.7", "plc:fd00::7", "x:10.0.0.8"))),
        ("sysctls: {net.core.somaxconn: 1024}", Options(sysctls={"net.core.somaxconn": "1024"})),
        ("sysctls: [net.core.somaxconn=1024]", Options(sysctls={"net.core.somaxconn": "1024"})),
        ("annotations: {a.b: c}", Options(annotations={"a.b": "c"})),
        ("storage_opt: {size: 1G}", Options(storage={"size": "1G"})),
        ("ulimits: {nproc: 65535, nofile: {soft: 100, hard: unlimited}}", Options(ulimits=(Ulimit("nofile", 100, -1), Ulimit("nproc", 65535, 65535)))),
        ("logging: {driver: local, options: {max-size: 10m, max-file: 3}}", Options(logging=Logging("local", {"max-size": "10m", "max-file": "3"}))),
        ("shm_size: 128m", Options(shm_bytes=128 << 20)),
        ("oom_score_adj: -500", Options(oom_score_adj=-500)),
        ("oom_kill_disable: true", Options(oom_kill_disable=True)),
        ("mem_swappiness: 0", Options(swappiness=0)),
        ("cpu_shares: 512", Options(cpu_shares=512)),
        ("cpu_quota: 50000", Options(cpu_quota_us=50_000)),
        ("cpu_period: 20ms", Options(cpu_period_us=20_000)),
        ("cpu_rt_runtime: 950000", Options(cpu_rt_runtime_us=950_000)),
        ("cpu_rt_period: '400ms'", Options(cpu_rt_period_us=400_000)),
        ("gpus: all", Options(accelerators=(Accelerator(count=-1, capabilities=("gpu",)),))),
        ("gpus: [{driver: nvidia, count: 2}]", Options(accelerators=(Accelerator("nvidia", 2, (), ("gpu",)),))),
        (
            "deploy: {resources: {reservations: {devices: [{driver: nvidia, device_ids: ['0', '3'], capabilities: [gpu, utility], options: {virtualization: false}}]}}}",
            Options(accelerators=(Accelerator("nvidia", 0, ("0", "3"), ("gpu", "utility"), {"virtualization": "false"}),)),
        ),
    ],
)
def test_options(line, options):
    assert service(line, PENSTOCK_DEVICE="press").options == options


@pytest.mark.parametrize(
    ("line", "mount"),
    [
        ("volumes: ['/srv:/srv:ro,z,rslave']", Mount("bind", "/srv", "/srv", True, propagation="rslave", selinux="z")),
        ("volumes: ['data:/d:nocopy']", Mount("volume", "/d", "data", no_copy=True)),
        (
            "volumes: [{type: bind, source: /srv, target: /srv, bind: {propagation: shared, create_host_path: true, selinux: Z}}]",
            Mount("bind", "/srv", "/srv", propagation="shared", selinux="Z", make_source=True),
        ),
        ("volumes: [{type: volume, source: data, target: /d, volume: {nocopy: true}}]", Mount("volume", "/d", "data", no_copy=True)),
        ("volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0750}}]", Mount("tmpfs", "/t", tmpfs_bytes=1 << 20, tmpfs_mode=0o750)),
        ("tmpfs: '/t:mode=755,uid=1000,exec'", Mount("tmpfs", "/t", tmpfs_mode=0o755, tmpfs_options=("uid=1000", "exec"))),
    ],
)
def test_mounts(line, mount):
    assert service(line).mounts == (mount,)


def test_a_volume_without_a_name_gets_one_that_stays():
    template = read("services: {web: {image: web, volumes: [/var/lib/x, {type: volume, target: /y}]}}")
    services, volumes, _ = filled(template)
    names = [mount.source for mount in services[0].mounts]
    assert volumes == tuple(Volume(name) for name in names)
    assert all(name.startswith("unnamed-web-") for name in names)
    again = filled(read("services: {web: {image: web:2, volumes: [/var/lib/x]}}"))[1]
    assert again[0] == volumes[0]


def test_restart_policy():
    def of(policy):
        found = service(f"deploy: {{restart_policy: {policy}}}")
        return found.restart, found.restart_max

    assert of("{condition: any}") == of("{}") == ("always", 0)
    assert of("{condition: none}") == ("no", 0)
    assert of("{condition: on-failure, max_attempts: 3}") == ("on-failure", 3)
    with pytest.raises(ComposeError, match="says the same thing"):
        service("restart: always\ndeploy: {restart_policy: {condition: any}}")


def test_networks():
    template = read(
        text(
            """
            services:
              a:
                image: a
                networks:
                  slow: {priority: 1}
                  fast: {priority: 10, ipv4_address: 10.7.0.9, ipv6_address: 'fd00:7::9', link_local_ips: [169.254.1.1], driver_opts: {a: b}}
            networks:
              slow: {attachable: true, internal: true}
              fast:
                enable_ipv6: true
                driver_opts: {com.docker.network.driver.mtu: 1400}
                ipam:
                  driver: default
                  options: {x: y}
                  config:
                    - {subnet: 10.7.0.0/24, gateway: 10.7.0.1, ip_range: 10.7.0.128/25, aux_addresses: {plc: 10.7.0.2}}
                    - {subnet: 'fd00:7::/64'}
            """
        )
    )
    (one,), _, networks = filled(template)
    assert one.networks == (
        NetworkUse("fast", ("a",), "10.7.0.9", "fd00:7::9", ("169.254.1.1",), "", {"a": "b"}),
        NetworkUse("slow", ("a",)),
    )
    assert networks == (
        Network("slow", internal=True, attachable=True),
        Network(
            "fast",
            driver_options={"com.docker.network.driver.mtu": "1400"},
            ipv6=True,
            pools=(Pool("10.7.0.0/24", "10.7.0.1", "10.7.0.128/25", {"plc": "10.7.0.2"}), Pool("fd00:7::/64")),
            ipam_options={"x": "y"},
        ),
    )


def test_a_service_inside_another_waits_for_it_and_begins_anew_with_it():
    template = read("services: {vpn: {image: vpn}, app: {image: app, network_mode: 'service:vpn', depends_on: {vpn: {condition: service_started}}}}")
    services, _, networks = filled(template)
    assert services[1] == Service("app", "app", options=Options(network_mode="service:vpn"), depends_on=(Dependency("vpn", restart=True),))
    assert [network.name for network in networks] == ["default"]


def test_nobody_waits_for_what_is_not_there_where_it_is_not_required():
    services, _, _ = filled(read("services: {web: {image: web, depends_on: {db: {condition: service_healthy, required: false, restart: true}}}}"))
    assert services[0].depends_on == ()


def test_a_link_is_another_name_in_the_networks_both_join():
    services, _, _ = filled(read("services: {web: {image: web, links: ['db:database', mq]}, db: {image: db}, mq: {image: mq}}"))
    by_name = {one.name: one for one in services}
    assert by_name["db"].networks == (NetworkUse("default", ("db", "database")),)
    assert by_name["mq"].networks == (NetworkUse("default", ("mq",)),)
    assert by_name["web"].depends_on == (Dependency("db"), Dependency("mq"))


def test_copies_of_a_service_share_its_name_and_its_ports_are_shared_out():
    template = read(
        text(
            """
            services:
              web: {image: web, scale: 3, ports: ["127.0.0.1:8080-8083:80/udp", {target: 90, published: 9000-9002}, "70"], volumes: [/cache]}
              proxy: {image: proxy, depends_on: {web: {condition: service_healthy}}, links: ["web:upstream"]}
            x-penstock: {probes: {web: [{tcp: {port: 80}}]}}
            """
        )
    )
    services, volumes, _ = filled(template)
    assert [one.name for one in services] == ["web-1", "web-2", "web-3", "proxy"]
    assert [one.ports for one in services[:3]] == [(Port(80, 8080 + n, "127.0.0.1", "udp"), Port(90, 9000 + n), Port(70)) for n in range(3)]
    assert services[0].networks == services[2].networks == (NetworkUse("default", ("web", "upstream")),)
    assert services[3].depends_on == tuple(Dependency(f"web-{n}", "healthy") for n in (1, 2, 3))
    assert len({volume.name for volume in volumes}) == 3
    assert all(one.probes for one in services[:3])
    assert template.images == {"web-1": "web", "web-2": "web", "web-3": "web", "proxy": "proxy"}


PACKAGE = {"conf/app.conf": b"mode = press\n", "key.bin": bytes(range(256))}
FILES = text(
    """
    services:
      web:
        image: web
        configs:
          - app
          - {source: inline, target: /etc/inline.conf, uid: "1000", gid: 1000, mode: 0440}
          - {source: level, target: sub/level}
        secrets:
          - password
          - {source: key, target: /etc/key, mode: 0400}
      other: {image: other, secrets: [password], configs: [app]}
    configs:
      app: {file: ./conf/app.conf}
      inline: {content: "line = ${LINE:-7} costs $$5\\n"}
      level: {environment: LEVEL}
    secrets:
      password: {environment: DB_PASSWORD}
      key: {file: key.bin}
    """
)


def test_configs_and_secrets_are_files():
    template = read(FILES, None, PACKAGE)
    parameters = {one.name: one.secret for one in template.parameters}
    assert parameters == {"LINE": False, "LEVEL": False, "DB_PASSWORD": True}
    faults = Faults()
    made = fill_in(faults, template.places, {"LEVEL": "high"}, {"DB_PASSWORD": "4"}, template.services, template.volumes, template.networks)
    assert made is not None, faults.listed()

    def in_base64(data: bytes) -> str:
        return base64.b64encode(data).decode()

    app = File("/app", in_base64(PACKAGE["conf/app.conf"]))
    password = File("/run/secrets/password", secret="DB_PASSWORD", version="4")
    assert made[0][0].files == (
        app,
        File("/etc/inline.conf", in_base64(b"line = 7 costs $5\n"), uid=1000, gid=1000, mode=0o440),
        File("/sub/level", in_base64(b"high")),
        password,
        File("/etc/key", in_base64(PACKAGE["key.bin"]), mode=0o400),
    )
    assert set(made[0][1].files) == {app, password}


def test_files_may_not_be_larger_than_a_device_can_carry():
    with pytest.raises(ComposeError, match="more than the 262144 allowed"):
        read(FILES, None, {**PACKAGE, "key.bin": bytes(262_145)})
    big = {f"f{n}": bytes(200_000) for n in range(3)}
    source = "services: {a: {image: a, configs: [f0, f1, f2]}}\nconfigs: {f0: {file: f0}, f1: {file: f1}, f2: {file: f2}}"
    with pytest.raises(ComposeError, match="600000 bytes, more than the 524288 allowed"):
        read(source, None, big)
    with pytest.raises(ComposeError, match=r"'\.\./secret' leads out of the package"):
        read("services: {a: {image: a, configs: [f]}}\nconfigs: {f: {file: ../secret}}", None, {"secret": b""})
