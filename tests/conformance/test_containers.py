"""Containers: what was asked for is what the engine shows, every verb may be repeated, and every refusal says what to do."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from penstock.agent.runtimes import NetworkOrder, RuntimeFault, VolumeOrder
from penstock.rules.observed import LABEL_DEVICE, SECRET_CHANGED, SECRET_INTACT
from penstock.rules.settings import container_differences
from penstock.wire.record import replace
from penstock.wire.types import (
    DeviceNode,
    Healthcheck,
    Mount,
    Network,
    NetworkUse,
    Port,
    Resources,
    SecretUse,
    Service,
    Volume,
)
from tests.conformance.bench import DEVICE, Bench

NETWORKS = (Network("front"), Network("back"))
VOLUMES = (Volume("data"),)


def prepare(bench: Bench, state) -> None:
    for network in state.networks:
        bench.runtime.create_network(NetworkOrder(f"conf_{network.name}", labels={LABEL_DEVICE: DEVICE}))
    for volume in state.volumes:
        bench.runtime.create_volume(VolumeOrder(f"conf_{volume.name}"))


def full(free_port) -> Service:
    """Every field that decides how a container is made."""
    return Service(
        name="web",
        image="app",
        command=("serve", "--all"),
        entrypoint=("/bin/app",),
        environment={"PORT": "8080", "EMPTY": "", "SPACED": "a b = c 'd' é"},
        ports=(Port(8080, free_port(), "127.0.0.1"), Port(9000, free_port(), "", "udp"), Port(9001)),
        expose=("7777",),
        mounts=(
            Mount("volume", "/data", "data"),
            Mount("volume", "/data-ro", "data", read_only=True),
            Mount("bind", "/host", "/usr/share", read_only=True),
            Mount("tmpfs", "/scratch", tmpfs_bytes=1024 * 1024),
        ),
        networks=(NetworkUse("front", ("www",)), NetworkUse("back")),
        healthcheck=Healthcheck(("CMD", "/bin/app", "check"), 5_000, 2_000, 4, 1_000),
        restart="on-failure",
        restart_max=3,
        resources=Resources(memory_bytes=64 * 1024 * 1024, memory_reservation_bytes=32 * 1024 * 1024, nano_cpus=500_000_000, pids=100, cpuset="0"),
        devices=(DeviceNode("/dev/null", "/dev/nothing", "rw"),),
        user="1000:1000",
        working_dir="/tmp",
        labels={"vendor.line": "7"},
        stop_signal="SIGUSR1",
    )


SHAPES = {
    "bare": Service("web", "app"),
    "entrypoint-only": Service("web", "app", entrypoint=("/bin/sh", "-c", "sleep 60")),
    "command-only": Service("web", "app", command=("x",)),
    "empty-command": Service("web", "app", command=()),
    "both": Service("web", "app", entrypoint=("/bin/sh",), command=("-c", "sleep 60")),
    "check-off": Service("web", "app", healthcheck=Healthcheck(("NONE",))),
    "check-shell": Service("web", "app", healthcheck=Healthcheck(("CMD-SHELL", "exit 0"), 1_500, 700)),
    "check-times-only": Service("web", "app", healthcheck=Healthcheck((), 7_000, 3_000, 5)),
    "environment-over-image": Service("web", "app", environment={"PATH": "/bin:/sbin", "FROM_IMAGE": "changed"}),
    "no-network": Service("web", "app", ports=(Port(8080),)),
    "always": Service("web", "app", restart="always"),
    "unless-stopped": Service("web", "app", restart="unless-stopped"),
    "swap": Service("web", "app", resources=Resources(memory_bytes=32 * 1024 * 1024, memory_swap_bytes=48 * 1024 * 1024)),
    "ports-chosen-by-the-engine": Service("web", "app", ports=(Port(8080), Port(8081, 0, "127.0.0.1"), Port(53, 0, "", "udp"))),
    "named": Service("web", "app", container_name="press-line-7"),
}


def rich_image(bench: Bench):
    """An image that brings a setting of every kind an image can bring."""
    return bench.ready(
        bench.image(
            "rich",
            env={"FROM_IMAGE": "yes"},
            healthcheck={"Test": ["CMD-SHELL", "true"], "Interval": 3_000_000_000},
            config={
                "Cmd": ["default"],
                "User": "app",
                "WorkingDir": "/www",
                "Labels": {"vendor": "x"},
                "StopSignal": "SIGQUIT",
                "ExposedPorts": {"8080/tcp": {}, "5353/udp": {}},
            },
            volumes=("/anonymous",),
        )
    )


def test_every_field_comes_out_as_it_went_in(bench, free_port):
    image = bench.ready(bench.image())
    service = full(free_port)
    state = bench.state(service, images=(image,), networks=NETWORKS, volumes=VOLUMES)
    prepare(bench, state)
    order = bench.order(state, service)
    seen = bench.see(bench.runtime.create(order))
    assert container_differences(state, service, image, image.variants[0], order.labels, seen) == ()
    assert (seen.state, seen.name) == ("created", "conf-web-1")
    assert seen.labels.items() >= order.labels.items()


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_image_brings_is_no_drift(bench, shape):
    image = rich_image(bench)
    service = SHAPES[shape]
    state = bench.state(service, images=(image,))
    order = bench.order(state, service)
    identity = bench.runtime.create(order)
    assert container_differences(state, service, image, image.variants[0], order.labels, bench.see(identity)) == ()
    if shape in ("bare", "no-network", "ports-chosen-by-the-engine"):  # running shows more: ports chosen, networks joined
        bench.runtime.start(identity)
        assert container_differences(state, service, image, image.variants[0], order.labels, bench.see(identity)) == ()


CHANGES: dict[str, dict[str, Any]] = {
    "command": {"command": ("other",)},
    "entrypoint": {"entrypoint": ("/bin/app", "serve")},
    "environment.PORT": {"environment": {"PORT": "8081", "EMPTY": "", "SPACED": "a b = c 'd' é"}},
    "environment.NEW": {"environment": {"PORT": "8080", "EMPTY": "", "SPACED": "a b = c 'd' é", "NEW": "1"}},
    "environment.EMPTY": {"environment": {"PORT": "8080", "SPACED": "a b = c 'd' é"}},
    "mounts": {"mounts": (Mount("volume", "/data", "data"),)},
    "networks": {"networks": (NetworkUse("front", ("www",)),)},
    "healthcheck": {"healthcheck": Healthcheck(("CMD", "/bin/app", "check"), 6_000, 2_000, 4, 1_000)},
    "restart": {"restart": "always"},
    "resources": {"resources": Resources(memory_bytes=65 * 1024 * 1024)},
    "devices": {"devices": ()},
    "user": {"user": "0"},
    "working_dir": {"working_dir": "/"},
    "labels.vendor.line": {"labels": {"vendor.line": "8"}},
    "stop_signal": {"stop_signal": "SIGINT"},
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_container_made_otherwise_is_told_by_field(bench, free_port, field):
    image = bench.ready(bench.image())
    service = full(free_port)
    state = bench.state(service, images=(image,), networks=NETWORKS, volumes=VOLUMES)
    prepare(bench, state)
    other = replace(service, **CHANGES[field])
    order = bench.order(state, other)
    seen = bench.see(bench.runtime.create(order))
    found = container_differences(state, service, image, image.variants[0], order.labels, seen)
    fields = {item.field for item in found}
    assert field in fields
    assert fields <= {field, "restart_max"}
    assert all(item.wanted != item.seen for item in found)


def test_another_port_and_another_image_are_told(bench, free_port):
    image, newer = bench.ready(bench.image("1")), bench.ready(bench.image("2"))
    service = Service("web", "app", ports=(Port(8080, free_port()),))
    state = bench.state(service, images=(image,))
    other = replace(service, ports=(Port(8080, free_port()),))
    order = bench.order(bench.state(other, images=(newer,)), other)
    seen = bench.see(bench.runtime.create(order))
    found = {item.field for item in container_differences(state, service, image, image.variants[0], order.labels, seen)}
    assert {"image", "ports"} <= found


def test_secrets_reach_the_container_and_nobody_else(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app", environment={"MODE": "plain"}, secret_environment={"PASSWORD": SecretUse("pw", "1")})
    state = bench.state(service, images=(image,))
    order = bench.order(state, service, secrets={"PASSWORD": "hunter-2-hunter"})
    identity = bench.runtime.create(order)
    seen = bench.see(identity)
    assert seen.settings.environment["PASSWORD"] == SECRET_INTACT
    assert container_differences(state, service, image, image.variants[0], order.labels, seen) == ()
    assert "hunter" not in repr(seen)
    assert "hunter" not in repr(order)
    assert "hunter" not in bench.runtime.inspect(identity)
    assert "plain" in bench.runtime.inspect(identity)
    if bench.real:
        bench.runtime.start(identity)
        assert bench.runtime.run(identity, ("sh", "-c", 'echo "$PASSWORD"'), 20_000).output.strip() == "hunter-2-hunter"


def test_a_changed_secret_shows_and_stays_hidden(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app", secret_environment={"PASSWORD": SecretUse("pw", "1")})
    state = bench.state(service, images=(image,))
    order = bench.order(state, service)
    # Somebody made it again by hand, with our labels and another value.
    forged = replace(order, service=replace(service, secret_environment={}, environment={"PASSWORD": "let-me-in"}))
    seen = bench.see(bench.runtime.create(forged))
    found = container_differences(state, service, image, image.variants[0], order.labels, seen)
    assert [(item.field, item.wanted, item.seen) for item in found] == [("environment.PASSWORD", SECRET_INTACT, SECRET_CHANGED)]


def test_creating_twice_under_one_token_makes_one(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app", networks=(NetworkUse("front"), NetworkUse("back")))
    state = bench.state(service, images=(image,), networks=NETWORKS)
    prepare(bench, state)
    order = bench.order(state, service, token="once")
    first = bench.runtime.create(order)
    assert bench.runtime.create(order) == first
    seen = bench.see(first)
    assert {use.network for use in seen.settings.networks} == {"conf_front", "conf_back"}
    assert len(bench.look().containers) == 1


def test_a_strangers_container_is_in_the_way_and_is_left_alone(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app")
    state = bench.state(service, images=(image,))
    other = bench.stranger("conf-web-1", image)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.create(bench.order(state, service))
    assert caught.value.code == "name-taken"
    assert "conf-web-1" in caught.value.why
    found = bench.look(names=("conf-web-1",)).containers
    assert [seen.id for seen in found] == [other]
    assert LABEL_DEVICE not in found[0].labels


def test_start_stop_and_remove_may_be_repeated(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app")
    state = bench.state(service, images=(image,))
    identity = bench.runtime.create(bench.order(state, service))
    bench.runtime.start(identity)
    bench.runtime.start(identity)
    seen = bench.see(identity)
    assert seen.state == "running"
    assert seen.started_ms > 0
    if bench.real:  # the shell ignores signals until it has set its trap, as any process 1 does
        bench.wait(identity, lambda _: "starts" in bench.runtime.logs(identity, 10))
    bench.runtime.stop(identity, 10_000)
    bench.runtime.stop(identity, 10_000)
    seen = bench.see(identity)
    assert seen.state == "exited"
    assert seen.exit_code == 0
    assert seen.finished_ms >= seen.started_ms
    bench.runtime.start(identity)
    bench.runtime.restart(identity, 10_000)
    assert bench.see(identity).state == "running"
    bench.runtime.remove(identity)
    bench.runtime.remove(identity)
    assert bench.look(containers=(identity,)).containers == ()
    bench.runtime.stop(identity, 1_000)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.start(identity)
    assert caught.value.code == "not-found"


def test_one_that_ignores_the_signal_is_killed_after_its_grace(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app", environment={"IGNORE_TERM": "1"})
    state = bench.state(service, images=(image,))
    identity = bench.runtime.create(bench.order(state, service))
    bench.runtime.start(identity)
    bench.runtime.stop(identity, 1_000)
    seen = bench.see(identity)
    assert (seen.state, seen.exit_code) == ("exited", 137)


def test_the_signal_asked_for_is_the_signal_sent(real_bench):
    image = real_bench.ready(real_bench.image())
    for number, (own, given) in enumerate((("SIGUSR1", ""), ("", "SIGINT"), ("SIGUSR2", "SIGHUP"))):
        service = Service("web", "app", entrypoint=("/bin/sh", "-c"), command=(_TRAPS,), stop_signal=own, container_name=f"trap-{number}")
        identity = real_bench.runtime.create(real_bench.order(real_bench.state(service, images=(image,)), service))
        real_bench.runtime.start(identity)
        real_bench.wait(identity, lambda _, identity=identity: "ready" in real_bench.runtime.logs(identity, 10))
        real_bench.runtime.stop(identity, 20_000, given)
        assert f"got {(given or own)[3:]}" in real_bench.runtime.logs(identity, 10)


_TRAPS = 'for s in TERM INT HUP USR1 USR2; do trap "echo got $s; exit 0" $s; done; echo ready; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done'


def test_renaming(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app")
    state = bench.state(service, images=(image,))
    identity = bench.runtime.create(bench.order(state, service))
    bench.runtime.rename(identity, "conf-web-old")
    bench.runtime.rename(identity, "conf-web-old")
    assert bench.see(identity).name == "conf-web-old"
    second = bench.runtime.create(bench.order(state, service))
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.rename(second, "conf-web-old")
    assert caught.value.code == "name-taken"


def test_a_port_taken_by_another_container_names_it(bench, free_port):
    image = bench.ready(bench.image())
    port = Port(8080, free_port())
    first = Service("one", "app", ports=(port,))
    second = Service("two", "app", ports=(port,))
    state = bench.state(first, second, images=(image,))
    bench.runtime.start(bench.runtime.create(bench.order(state, first)))
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.start(bench.runtime.create(bench.order(state, second)))
    assert caught.value.code == "port-taken"
    assert caught.value.retry
    assert "conf-one-1" in caught.value.why
    assert str(port.host) in caught.value.why


def test_a_port_taken_by_a_program_says_where_to_look(real_bench):
    image = real_bench.ready(real_bench.image())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = Service("web", "app", ports=(Port(8080, port, "127.0.0.1"),))
        state = real_bench.state(service, images=(image,))
        with pytest.raises(RuntimeFault) as caught:
            real_bench.runtime.start(real_bench.runtime.create(real_bench.order(state, service)))
    assert caught.value.code == "port-taken"
    assert "ss -lntup" in caught.value.why


@pytest.mark.parametrize(
    ("service", "codes"),
    [
        (Service("web", "app", mounts=(Mount("bind", "/x", "/no/such/folder"),)), ("bad-settings",)),
        (Service("web", "app", devices=(DeviceNode("/dev/no-such-device", "/dev/x"),)), ("bad-settings", "start-failed")),
        (Service("web", "app", entrypoint=("/no/such/program",)), ("start-failed",)),
    ],
    ids=["bind", "device", "program"],
)
def test_what_cannot_start_says_so_and_is_not_tried_for_ever(bench, service, codes):
    image = bench.ready(bench.image())
    state = bench.state(service, images=(image,))
    if bench.fake is not None:
        bench.fake.fail("start", codes[0], retry=False)  # the model has no host to be wrong about
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.start(bench.runtime.create(bench.order(state, service)))
    assert caught.value.code in codes
    assert not caught.value.retry


def test_an_exit_and_its_restarts_are_seen(bench):
    image = bench.ready(bench.image())
    service = Service("job", "app", environment={"EXIT_CODE": "3"}, restart="on-failure", restart_max=2)
    state = bench.state(service, images=(image,))
    identity = bench.runtime.create(bench.order(state, service))
    bench.runtime.start(identity)
    seen = bench.wait(identity, lambda seen: seen.state == "exited" and seen.restarts == 2)
    assert seen.exit_code == 3
    assert seen.finished_ms > 0


def test_only_ours_and_the_asked_for_are_looked_at(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app")
    identity = bench.runtime.create(bench.order(bench.state(service, images=(image,)), service))
    other = bench.stranger("somebody-elses", image)
    assert [seen.id for seen in bench.look().containers] == [identity]
    assert {seen.id for seen in bench.look(containers=(other,)).containers} == {identity, other}
    assert bench.look(names=("somebody-else", identity[:8])).containers == bench.look().containers  # beginnings of names and ids are not names
