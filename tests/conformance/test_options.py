"""The rarer settings: each comes out of every engine as it went in, a change by hand of what matters is seen, and files stand where they should.

Few containers with many settings each: an engine takes seconds for every one.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from penstock.agent.runtimes import NetworkOrder, RuntimeFault
from penstock.agent.runtimes.docker import DockerRuntime
from penstock.agent.runtimes.dockershelf import Shelf
from penstock.agent.runtimes.engine import EngineClient
from penstock.rules.observed import LABEL_DEVICE, LABEL_SERVICE
from penstock.rules.optional import within
from penstock.rules.settings import container_differences
from penstock.wire.options import Accelerator, File, Logging, Options, Ulimit
from penstock.wire.record import replace
from penstock.wire.types import Mount, Network, NetworkUse, Pool, Resources, Service, Volume
from tests.accelerators import accelerate, accelerated
from tests.conformance.bench import DEVICE, Bench
from tests.conformance.test_containers import prepare

MANY = Options(
    read_only=True,
    init=True,
    tty=True,
    stdin_open=True,
    hostname="press-7",
    cap_add=("NET_ADMIN", "CAP_SYS_NICE"),
    cap_drop=("MKNOD", "CHOWN"),
    security=("no-new-privileges:true", "seccomp=unconfined"),
    groups=("20", "44"),
    dns=("192.0.2.53", "192.0.2.54"),
    dns_search=("plant.example",),
    dns_options=("ndots:2",),
    extra_hosts=("plc:192.0.2.7", "scada:2001:db8::7"),
    sysctls={"net.ipv4.ip_forward": "1", "net.core.somaxconn": "256"},
    ulimits=(Ulimit("nofile", 1024, 2048), Ulimit("nproc", 512, 512)),
    logging=Logging("json-file", {"max-size": "1m"}),
    shm_bytes=32 * 1024 * 1024,
    ipc="shareable",
    cpu_shares=512,
    cpu_quota_us=50_000,
    cpu_period_us=100_000,
)
NEAR_THE_HOST = Options(privileged=True, network_mode="host", pid="host", ipc="host", uts="host", userns="host", cgroup="host", cap_drop=("ALL",))
BARE = Options(network_mode="none", cap_drop=("ALL",), cap_add=("NET_BIND_SERVICE",), oom_score_adj=500, domainname="plant.example")
MOUNTS = (
    Mount("tmpfs", "/scratch", tmpfs_bytes=1 << 20, tmpfs_mode=0o700, tmpfs_options=("exec",)),
    Mount("bind", "/shared", "/usr/share", read_only=True, propagation="private"),
    Mount("bind", "/labelled", "/usr/share", read_only=True, selinux="z"),
    Mount("volume", "/data", "data", no_copy=True),
)


def made(bench: Bench, *services: Service, **more):
    image = bench.ready(bench.image())
    state = bench.state(*services, images=(image,), **more)
    return image, state


def left(bench: Bench, state, image, service, order, identity):
    found = container_differences(state, service, image, image.variants[0], order.labels, bench.see(identity))
    return "\n".join(f"{item.field}: {item.wanted} | {item.seen}" for item in found)


def test_every_option_comes_out_as_it_went_in(bench):
    many = Service("many", "app", options=MANY, mounts=MOUNTS, networks=(NetworkUse("front"),), resources=Resources(memory_bytes=64 << 20))
    near = Service("near", "app", options=NEAR_THE_HOST)
    bare = Service("bare", "app", options=BARE)
    if bench.kind == "podman":  # 4.3 would drop it, and so refuses it (see below)
        near = replace(near, options=replace(near.options, ipc=""))
    image, state = made(bench, many, near, bare, networks=(Network("front"),), volumes=(Volume("data"),))
    prepare(bench, state)
    ids = {}
    for service in state.services:
        order = bench.order(state, service)
        identity = bench.runtime.create(order)
        assert left(bench, state, image, service, order, identity) == ""
        ids[service.name] = identity
        if service.options.privileged:
            continue  # that needs every capability of the machine the tests run on
        bench.runtime.start(identity)
        bench.wait(identity, lambda seen: seen.state == "running")
        assert left(bench, state, image, service, order, identity) == "", "after its start"
    if bench.real:
        inside = bench.runtime.run(
            ids["many"],
            ("sh", "-c", "hostname; cat /etc/resolv.conf /etc/hosts; cat /proc/sys/net/core/somaxconn; grep -i 'open files' /proc/1/limits | tr -s ' '"),
            20_000,
        )
        for word in ("press-7", "ndots:2", "plant.example", "192.0.2.7", "256", "files 1024 2048"):
            assert word in inside.output


FILES = (
    File("/etc/app.conf", base64.b64encode(b"mode = press\n").decode()),
    File("/run/secrets/password", secret="PASSWORD", version="3", uid=1000, gid=1000, mode=0o400),
    File("/srv/deep/er/\u00e4.bin", base64.b64encode(bytes(range(256)) * 5).decode(), mode=0o755),
    File("/data/settings.js", base64.b64encode(b"js\n").decode()),
)


def test_files_stand_in_the_container_before_it_starts_and_a_repeated_create_writes_them_too(bench):
    service = Service("web", "app", files=FILES, mounts=(Mount("volume", "/data", "data"),))
    image, state = made(bench, service, volumes=(Volume("data"),))
    prepare(bench, state)
    order = replace(bench.order(state, service, token="once"), secret_files={"/run/secrets/password": b"hunter-2-hunter\n"})
    bare = replace(order, service=replace(service, files=()))
    identity = bench.runtime.create(bare)  # as if the agent died between making the container and writing
    assert bench.runtime.create(order) == identity
    assert "hunter" not in repr(order)
    assert left(bench, state, image, service, order, identity) == ""
    if bench.fake is not None:
        return
    bench.runtime.start(identity)
    look = "cat /etc/app.conf /run/secrets/password /data/settings.js; ls -ldn /run/secrets /srv/deep/er /run/secrets/password /srv/deep/er/*; wc -c /srv/deep/er/*"
    output = bench.runtime.run(identity, ("sh", "-c", look), 20_000).output
    assert "mode = press\nhunter-2-hunter\njs\n" in output
    modes = {line.split()[-1]: (line.split()[0].rstrip("."), line.split()[2]) for line in output.splitlines() if line[:2] in ("dr", "-r")}
    assert modes["/run/secrets"] == modes["/srv/deep/er"] == ("drwxr-xr-x", "0")
    assert modes["/run/secrets/password"] == ("-r--------", "1000")
    assert ("-rwxr-xr-x", "0") in modes.values()
    assert "1280" in output
    assert "hunter" not in bench.runtime.inspect(identity)


def test_files_of_a_container_that_is_read_only(bench):
    """They stand at their places and may not be written; and go with the container, or with whatever a crash left of its making."""
    files = (*FILES[:3], File("/top.conf", base64.b64encode(b"top\n").decode()))
    service = Service("web", "app", files=files, options=Options(read_only=True), user="1000")
    image, state = made(bench, service)
    prepare(bench, state)
    order = replace(bench.order(state, service, token="once"), secret_files={"/run/secrets/password": b"hunter-2-hunter\n"})
    identity = bench.runtime.create(order)
    assert bench.runtime.create(order) == identity
    assert left(bench, state, image, service, order, identity) == ""
    if bench.fake is not None:
        return

    def volumes():
        return [one["Name"] for one in bench.engine.api("GET", "/volumes")[1]["Volumes"] or ()]

    bench.runtime.sweep(DEVICE)
    bench.runtime.start(identity)
    look = "cat /etc/app.conf /run/secrets/password /top.conf; ls -ln /run/secrets/password /srv/deep/er/*; wc -c /srv/deep/er/*; touch /x; echo y > /top.conf"
    for again in (False, True):
        if again:
            bench.runtime.restart(identity, 1000)
            bench.wait(identity, lambda seen: seen.state == "running")
        output = bench.runtime.run(identity, ("sh", "-c", look), 20_000).output
        assert "mode = press\nhunter-2-hunter\ntop\n" in output
        assert [line.split()[:3:2] for line in output.splitlines() if line.startswith("-r")] == [["-r--------", "1000"], ["-rwxr-xr-x", "0"]]
        assert "1280" in output
        assert output.count("Read-only file system") + output.count("Permission denied") == 2
    assert left(bench, state, image, service, order, identity) == ""
    assert "hunter" not in bench.runtime.inspect(identity)
    bench.runtime.sweep(DEVICE)
    assert len(volumes()) == (1 if bench.kind.startswith("docker") else 0), "what is used stays"
    bench.runtime.remove(identity)
    assert volumes() == []


def test_what_a_crash_leaves_of_files_beside_a_container_is_swept(docker, images, conformance_store):
    bench = Bench("docker", DockerRuntime(str(docker.socket)), images, conformance_store, engine=docker)
    service = Service("web", "app", files=FILES[:2], options=Options(read_only=True))
    _, state = made(bench, service)
    order = replace(bench.order(state, service, token="once"), secret_files={"/run/secrets/password": b"hunter-2-hunter\n"})
    volume = docker.slot.path / "data" / "volumes"

    def secrets_there():
        return [path for path in volume.glob("penstock-files-*/_data/*") if b"hunter" in path.read_bytes()]

    held = bench.runtime.image(bench.image().variants[0])
    assert held is not None
    shelf = Shelf(EngineClient(str(docker.socket)), "", held.id, order)
    shelf.__enter__()  # and the agent dies: before the container is made
    assert len(secrets_there()) == 1
    bench.runtime.sweep("dev_another")
    assert len(secrets_there()) == 1
    bench.runtime.sweep(DEVICE)
    assert secrets_there() == []
    shelf.__enter__()
    identity = bench.runtime.create(order)  # it comes back and makes it
    assert left(bench, state, bench.image(), service, order, identity) == ""
    docker.api("DELETE", f"/containers/{identity}?force=true&v=true")  # and dies between removing the container and its files
    assert len(secrets_there()) == 1
    bench.runtime.sweep(DEVICE)
    assert secrets_there() == []
    with pytest.raises(RuntimeFault, match="not there"):
        bench.runtime.create(replace(order, service=replace(service, mounts=(Mount("bind", "/x", "/no/such/folder"),))))
    assert secrets_there() == [], "a container that could not be made leaves none"
    assert not [name for name in docker.containers() if name.startswith("penstock-files-")]
    docker.reset()


def test_a_service_inside_another_is_told_from_one_inside_a_stranger(bench):
    host = Service("vpn", "app")
    guest = Service("app", "app", options=Options(network_mode="service:vpn", pid="service:vpn"))
    image, state = made(bench, host, guest)
    first = bench.runtime.create(bench.order(state, host))
    bench.runtime.start(first)
    order = replace(bench.order(state, guest), services={"vpn": "conf-vpn-1"})
    identity = bench.runtime.create(order)
    bench.runtime.start(identity)
    seen = bench.see(identity)
    ours = within(seen, {one.id: one.labels[LABEL_SERVICE] for one in bench.look().containers})
    assert container_differences(state, guest, image, image.variants[0], order.labels, ours) == ()
    stranger = within(seen, {})
    assert {item.field for item in container_differences(state, guest, image, image.variants[0], order.labels, stranger)} == {"network_mode", "pid"}
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.create(replace(order, name="conf-app-2", token="x", services={"vpn": "conf-nothing-1"}))
    assert caught.value.code == "not-found"
    assert caught.value.retry


CHANGED: dict[str, dict[str, Any]] = {
    "privileged": {"privileged": True},
    "cap_add": {"cap_add": ("NET_ADMIN",)},
    "cap_drop": {"cap_drop": ()},
    "read_only": {"read_only": False},
    "dns": {"dns": ("192.0.2.99",)},
    "extra_hosts": {"extra_hosts": ()},
    "security": {"security": ()},
    "ulimits": {"ulimits": (Ulimit("nofile", 4096, 4096),)},
    "shm_bytes": {"shm_bytes": 0},
    "groups": {"groups": ()},
    "hostname": {"hostname": "other"},
    "tty": {"tty": False},
    "resources": {"cpu_quota_us": 25_000},
}


def test_what_was_changed_by_hand_is_seen(bench):
    """One container that is wrong in everything; each is told."""
    wanted = Service("many", "app", options=replace(MANY, ipc=""), networks=(NetworkUse("front"),))
    image, state = made(bench, wanted, networks=(Network("front"),))
    prepare(bench, state)
    changes = {key: value for one in CHANGED.values() for key, value in one.items()}
    other = replace(wanted, options=replace(wanted.options, **changes))
    order = bench.order(state, other)
    seen = bench.see(bench.runtime.create(order))
    found = {item.field for item in container_differences(state, wanted, image, image.variants[0], order.labels, seen)}
    assert found >= set(CHANGED) - {"cap_add", "cap_drop"}
    plain = replace(other, options=replace(other.options, privileged=False), name="plain")
    order = bench.order(bench.state(plain, images=(image,), networks=(Network("front"),)), plain)
    seen = bench.see(bench.runtime.create(order))
    found = {item.field for item in container_differences(state, wanted, image, image.variants[0], order.labels, seen)}
    assert {"cap_add", "cap_drop"} <= found
    assert "network_mode" in {
        item.field
        for item in container_differences(
            state, replace(wanted, options=replace(wanted.options, network_mode="host"), networks=()), image, image.variants[0], order.labels, seen
        )
    }


def test_networks_with_addresses_of_their_own(bench):
    pools = (Pool("10.213.7.0/24", "10.213.7.1", "10.213.7.128/25", {"plc": "10.213.7.9"}),)
    order = NetworkOrder("conf_own", labels={LABEL_DEVICE: DEVICE}, pools=pools, driver_options={"com.docker.network.driver.mtu": "1400"}, attachable=True)
    bench.runtime.create_network(order)
    bench.runtime.create_network(order)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.create_network(replace(order, pools=(Pool("10.213.8.0/24"),)))
    assert caught.value.code == "name-taken"
    service = Service("web", "app", networks=(NetworkUse("own", ipv4="10.213.7.200"),))
    image, state = made(bench, service, networks=(Network("own", pools=pools),))
    created = bench.order(state, service)
    identity = bench.runtime.create(created)
    assert left(bench, state, image, service, created, identity) == ""
    bench.runtime.start(identity)
    assert bench.see(identity).addresses["conf_own"] in ("10.213.7.200", "192.0.2.1")
    assert left(bench, state, image, service, created, identity) == ""


def test_an_engine_that_would_lose_a_setting_refuses_it(real_bench):
    """Annotations and sharing the host's ipc are known to newer engines only."""
    newer = Service("newer", "app", options=Options(annotations={"plant.line": "7"}, ipc="host"))
    image, state = made(real_bench, newer)
    if real_bench.kind.endswith("_new"):
        order = real_bench.order(state, newer)
        assert left(real_bench, state, image, newer, order, real_bench.runtime.create(order)) == ""
    else:
        with pytest.raises(RuntimeFault) as caught:
            real_bench.runtime.create(real_bench.order(state, newer))
        assert "annotations" in caught.value.why
        assert ("ipc" in caught.value.why) is real_bench.kind.startswith("podman")


def test_accelerators_are_given_as_reserved_and_what_is_not_there_is_said(real_bench):
    """Docker's own driver for them, with a hook of ours in place of NVIDIA's; Podman's Container Device Interface."""
    accelerate(real_bench.engine, 2)
    image = real_bench.ready(real_bench.image())

    def run(name: str, *asked: Accelerator) -> str:
        service = Service(name, "app", options=Options(accelerators=asked))
        state = real_bench.state(service, images=(image,))
        order = real_bench.order(state, service)
        identity = real_bench.runtime.create(order)
        real_bench.runtime.start(identity)
        assert left(real_bench, state, image, service, order, identity) == ""
        return str(real_bench.runtime.run(identity, ("sh", "-c", "cd /dev; for one in nvidia*; do echo x > $one && echo $one; done"), 20_000).output)

    if real_bench.kind == "podman":  # its compatible API would drop them without a word before 5.4
        with pytest.raises(RuntimeFault, match=r"asks for accelerators, .* Podman 5\.4 or later, or give the accelerator's device nodes") as caught:
            run("llm", Accelerator("nvidia", 1, (), ("gpu",)))
        assert caught.value.code == "bad-settings"
        return
    assert run("one", Accelerator("nvidia", 1, (), ("gpu",))) == "nvidia0\n"
    assert run("named", Accelerator("", 0, ("1",), ("gpu",))) == "nvidia1\n"
    assert run("all", Accelerator("", -1, (), ("gpu",))) == "nvidia0\nnvidia1\n"
    if real_bench.kind.startswith("docker"):
        assert [(one["verb"], one["asked"]) for one in accelerated(real_bench.engine)] == [("prestart", "0"), ("prestart", "1"), ("prestart", "all")]
    for name, lacking in (("many", Accelerator("nvidia", 3, (), ("gpu",))), ("other", Accelerator("hailo", 1, (), ("npu",)))):
        with pytest.raises(RuntimeFault, match=r"no such accelerator|only drivers nvidia") as caught:
            run(name, lacking)
        assert not caught.value.retry
