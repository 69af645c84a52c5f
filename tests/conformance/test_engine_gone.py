"""The engine stops under the agent, hangs, or was never there: said, never mistaken for "nothing runs here"."""

from __future__ import annotations

import socket
import threading

import pytest

from penstock.agent.runtimes import RuntimeFault
from penstock.agent.runtimes.docker import DockerRuntime
from penstock.agent.runtimes.fakelife import FakeContainer
from penstock.rules.observed import Ask, container_by_id
from penstock.wire.types import Service
from tests.conformance.bench import DEVICE


def test_a_stopped_engine_is_not_an_empty_one(bench):
    image = bench.ready(bench.image())
    service = Service("web", "app")
    identity = bench.runtime.create(bench.order(bench.state(service, images=(image,)), service))
    if bench.fake is not None:
        bench.fake.down = "the container engine is not running; start it"
    else:
        bench.engine.stop()
    try:
        seen = bench.look()
        assert not seen.engine_ok
        assert seen.containers == ()
        assert "start" in seen.why
        with pytest.raises(RuntimeFault) as caught:
            bench.runtime.start(identity)
        assert (caught.value.code, caught.value.retry) == ("engine-down", True)
    finally:
        if bench.fake is not None:
            bench.fake.down = ""
        else:
            bench.engine.start()
    assert container_by_id(bench.look(), identity) is not None


def test_after_an_engines_restart_policies_hold(bench):
    image = bench.ready(bench.image())
    keeps, stays = Service("keeps", "app", restart="unless-stopped"), Service("stays", "app", restart="unless-stopped")
    state = bench.state(keeps, stays, images=(image,))
    first, second = (bench.runtime.create(bench.order(state, service)) for service in (keeps, stays))
    bench.runtime.start(first)
    bench.runtime.start(second)
    bench.runtime.stop(second, 10_000)
    if bench.fake is not None:
        bench.fake.restart_engine()
    else:
        bench.engine.restart()
    assert bench.wait(first, lambda seen: seen.state == "running").name == "conf-keeps-1"
    assert bench.see(second).state == "exited"


def test_a_missing_socket_says_what_to_do(tmp_path):
    runtime = DockerRuntime(str(tmp_path / "none.sock"))
    seen = runtime.observe(Ask(device=DEVICE))
    assert not seen.engine_ok
    assert "none.sock" in seen.why
    assert "start the container engine" in seen.why
    with pytest.raises(RuntimeFault) as caught:
        runtime.facts()
    assert caught.value.code == "engine-down"


def test_a_socket_nobody_listens_on_says_what_to_do(tmp_path):
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(RuntimeFault) as caught:
        DockerRuntime(path).facts()
    assert caught.value.code == "engine-down"
    assert "not running" in caught.value.why


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "unsupported"),
        (b"SSH-2.0-OpenSSH\r\n", "engine-down"),
        (b"", "engine-down"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"ApiVersion":"1.24"}', "unsupported"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "engine-down"),
        (b'HTTP/1.1 500 Oops\r\nContent-Length: 18\r\n\r\n{"message":"oops"}', "engine-error"),
    ],
    ids=["something-else", "not-http", "hangs-up", "too-old", "cut-short", "error"],
)
def test_what_answers_oddly_is_named(tmp_path, answer, code):
    path = str(tmp_path / "odd.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve():
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(RuntimeFault) as caught:
            DockerRuntime(path).facts()
        server.join()
    assert caught.value.code == code, caught.value
    assert caught.value.why


def test_the_model_lives_by_the_clock_alone():
    """A crash loop over a day comes out the same whether looked at often or once."""

    def live(*looks):
        from penstock.rules.observed import ImageDefaults, Settings

        container = FakeContainer("a", "a", "sha256:x", "1", Settings(restart="always"), {}, ImageDefaults())
        container.environment = {"CRASH_AFTER": "5"}
        container.begin(0, {})
        for now in looks:
            container.settle(now, {})
        return (container.state, container.restarts, container.started_ms)

    assert live(*range(0, 600_001, 777), 600_000) == live(600_000)
    assert live(600_000)[1] > 10
