"""Inside containers: health, the agent's own probes, commands, logs."""

from __future__ import annotations

import json

import pytest

from penstock.agent.runtimes import RuntimeFault
from penstock.rules.observed import ProbeAsk
from penstock.wire.types import Healthcheck, Port, Probe, Service

QUICK = Healthcheck(("CMD", "/bin/app", "check"), 500, 3_000, 2)


def started(bench, **fields):
    image = bench.ready(bench.image())
    service = Service("web", "app", **fields)
    state = bench.state(service, images=(image,))
    identity = bench.runtime.create(bench.order(state, service))
    bench.runtime.start(identity)
    return identity


def reached(bench, identity):
    """Wait until the container serves; where it does not, say why."""
    whys = [""]

    def serves(_seen):
        whys[0] = bench.runtime.check(identity, Probe("http", 8080, "/healthz"))
        return whys[0] == ""

    try:
        bench.wait(identity, serves)
    except AssertionError as fault:
        pytest.fail(f"{whys[0]}; {fault}")


def test_a_healthy_service_becomes_healthy(bench):
    identity = started(bench, healthcheck=QUICK)
    bench.wait(identity, lambda seen: seen.health == "healthy")


def test_an_unhealthy_one_becomes_unhealthy_and_says_why(bench):
    identity = started(bench, healthcheck=QUICK, environment={"UNHEALTHY": "1"})
    seen = bench.wait(identity, lambda seen: seen.health == "unhealthy")
    assert "exit 1" in seen.health_why


def test_one_that_sickens_later_is_seen_to(bench):
    identity = started(bench, healthcheck=QUICK, environment={"UNHEALTHY_AFTER": "3"})
    bench.wait(identity, lambda seen: seen.health == "healthy")
    bench.wait(identity, lambda seen: seen.health == "unhealthy")


def test_without_a_check_there_is_no_verdict(bench):
    identity = started(bench)
    assert bench.see(identity).health == "none"


@pytest.mark.parametrize(
    ("probe", "good"),
    [
        (Probe("http", 8080, "/healthz"), True),
        (Probe("http", 8080, "/missing"), False),
        (Probe("http", 8099, "/"), False),
        (Probe("tcp", 8080), True),
        (Probe("tcp", 8099), False),
        (Probe("command", command=("true",)), True),
        (Probe("command", command=("false",)), False),
        (Probe("command", command=("no-such-command",)), False),
    ],
    ids=["http", "http-404", "http-closed", "tcp", "tcp-closed", "command", "command-fails", "command-missing"],
)
def test_probes(bench, probe, good):
    identity = started(bench)
    reached(bench, identity)
    why = bench.runtime.check(identity, probe)
    assert (why == "") == good, why
    result = bench.look(containers=(identity,), probes=(ProbeAsk("web/0", identity, probe),)).probes[0]
    assert (result.key, result.container, result.ok) == ("web/0", identity, good)
    assert result.ok or result.why
    if probe.path == "/missing":
        assert "404" in result.why


def test_a_probe_reaches_a_published_port_too(real_bench, free_port):
    identity = started(real_bench, ports=(Port(8080, free_port(), "127.0.0.1"),))
    reached(real_bench, identity)


def test_nothing_passes_in_a_container_that_does_not_run(bench):
    identity = started(bench)
    bench.runtime.stop(identity, 5_000)
    for probe in (Probe("http", 8080), Probe("tcp", 8080), Probe("command", command=("true",))):
        assert bench.runtime.check(identity, probe) == "the container is not running"
    gone = bench.look(probes=(ProbeAsk("k", "f" * 64, Probe("tcp", 1)),)).probes[0]
    assert not gone.ok


def test_commands_and_their_end(real_bench):
    identity = started(real_bench)
    done = real_bench.runtime.run(identity, ("sh", "-c", "echo out; echo err >&2; exit 7"), 20_000)
    assert (done.exit_code, done.timed_out) == (7, False)
    assert sorted(done.output.split()) == ["err", "out"]
    long = real_bench.runtime.run(identity, ("sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line-$i; i=$((i+1)); done"), 20_000, 1_000)
    assert len(long.output) <= 1_000
    assert long.output.endswith("line-2999\n")
    assert long.output.startswith("line-")


def test_a_command_that_does_not_end_is_ended(real_bench):
    identity = started(real_bench)
    done = real_bench.runtime.run(identity, ("sleep", "4321"), 700)
    assert done.timed_out
    real_bench.wait(identity, lambda _: "4321" not in real_bench.runtime.run(identity, ("ps",), 20_000).output)


def test_logs_are_the_newest_lines(bench):
    if bench.real:
        identity = started(bench, entrypoint=("/bin/sh", "-c"), command=("echo bad >&2; sleep 1; for i in 1 2 3 4 5; do echo line-$i; done; sleep 600",))
        bench.wait(identity, lambda _: "line-5" in bench.runtime.logs(identity, 50))
    else:
        identity = started(bench)
        bench.fake.say(identity, "bad", *(f"line-{number}" for number in range(1, 6)))
    assert bench.runtime.logs(identity, 3).split() == ["line-3", "line-4", "line-5"]
    assert "bad" in bench.runtime.logs(identity, 50)  # both outputs
    assert len(bench.runtime.logs(identity, 50, 12)) <= 12
    bench.runtime.remove(identity)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.logs(identity, 3)
    assert caught.value.code == "not-found"


def test_inspect_has_its_limit(bench):
    identity = started(bench)
    assert len(bench.runtime.inspect(identity, 500)) <= 500
    assert identity in bench.runtime.inspect(identity)


def test_what_a_container_uses(bench):
    identity = started(bench)
    found = json.loads(bench.runtime.usage(identity))
    assert found["memory_bytes"] > 0
    assert found["processes"] > 0
    assert all(type(value) is int and value >= 0 for value in found.values())
    bench.runtime.stop(identity, 5_000)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.usage(identity)
    assert caught.value.code == "not-running"
