"""Engine errors as sentences, and the small pieces of the way to the engine."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.runtimes import CODES, CreateOrder, RuntimeFault
from penstock.agent.runtimes.docker import DockerRuntime, _limits_hold
from penstock.agent.runtimes.dockerfacts import negotiate
from penstock.agent.runtimes.dockerinside import Demultiplexer
from penstock.agent.runtimes.engine import EngineError, fault_of, query, quoted
from penstock.wire.types import Blob, Resources, Service, Variant


@pytest.mark.parametrize(
    ("status", "message", "code", "retry"),
    [
        (500, "write /var/lib/docker/tmp/x: no space left on device", "no-space", True),
        (500, "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated", "port-taken", True),
        (500, "cannot listen on the TCP port: listen tcp4 :80: bind: address already in use", "port-taken", True),
        (404, "no matching manifest for linux/arm/v7 in the manifest list entries", "wrong-architecture", False),
        (500, "filesystem layer verification failed for digest sha256:0a", "blob-corrupt", True),
        (400, 'OCI runtime create failed: exec: "x": executable file not found in $PATH: unknown', "start-failed", False),
        (400, 'invalid mount config for type "bind": bind source path does not exist: /x', "bad-settings", False),
        (409, "network x id 12 has active endpoints", "in-use", True),
        (409, "remove x: volume is in use - [1234]", "in-use", True),
        (404, "No such container: x", "not-found", False),
        (400, "invalid reference format", "bad-settings", False),
        (500, "something nobody has seen before", "engine-error", True),
        (500, "", "engine-error", True),
    ],
)
def test_what_engines_say_is_understood(status, message, code, retry):
    fault = fault_of(EngineError(status, message, "doing it"))
    assert (fault.code, fault.retry) == (code, retry)
    assert fault.why.startswith("doing it failed")
    assert message[:40] in fault.why


@given(st.integers(400, 599), st.text())
def test_every_error_has_a_known_code_and_a_bounded_sentence(status, message):
    fault = fault_of(EngineError(status, message, "doing it"))
    assert fault.code in CODES
    assert len(fault.why) < 600
    assert "\n" not in fault.why


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [("1.41", "1.12", "1.41"), ("1.40", "", "1.40"), ("1.52", "1.44", "1.51"), ("1.60", "1.55", "1.55"), ("2.3", "1.44", "1.51")],
)
def test_the_api_version_is_negotiated(newest, oldest, spoken):
    assert negotiate(newest, oldest) == spoken


@pytest.mark.parametrize("newest", ["1.39", "1.24", "", "x", "1"])
def test_an_engine_too_old_is_told_so(newest):
    with pytest.raises(RuntimeFault) as caught:
        negotiate(newest, "1.12")
    assert (caught.value.code, caught.value.retry) == ("unsupported", False)


def test_queries():
    assert query() == ""
    assert query(a=None, all=True, t=0, name="a b&c=d/é", filters={"label": ["x=y"]}) == (
        "?all=true&t=0&name=a%20b%26c%3Dd/%C3%A9&filters=%7B%22label%22:%5B%22x%3Dy%22%5D%7D"
    )
    assert quoted("127.0.0.1:5000/x@sha256:a") == "127.0.0.1:5000/x@sha256:a"


def frame(kind, data):
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@given(parts=st.lists(st.binary(max_size=60), max_size=8), step=st.integers(1, 30))
def test_both_outputs_come_out_in_order_however_the_bytes_come(parts, step):
    stream = b"".join(frame(1 + number % 2, part) for number, part in enumerate(parts))
    out = Demultiplexer(10_000)
    for start in range(0, len(stream), step):
        out.feed(stream[start : start + step])
    assert out.text() == b"".join(parts).decode("utf-8", "replace")


def test_the_newest_lines_are_kept():
    out = Demultiplexer(50)
    for number in range(1000):
        out.feed(frame(1, f"line {number}\n".encode()))
    text = out.text()
    assert len(text) <= 50
    assert text.endswith("line 999\n")
    assert text.startswith("line ")


def serve(tmp_path, answers):
    """A thing that answers each request with the next of `answers`; its socket's path and its thread."""
    path = str(tmp_path / "engine.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def work():
        with listener:
            for answer in answers:
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65536)
                    body = json.dumps(answer).encode()
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    thread = threading.Thread(target=work)
    thread.start()
    return path, thread


CONTAINERD = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}


@pytest.mark.parametrize(
    ("info", "store", "cannot"),
    [
        ({}, "config", ()),
        ({"DriverStatus": [["Backing Filesystem", "extfs"]], "MemoryLimit": True}, "config", ()),
        (CONTAINERD, "manifest", ()),
        ({"MemoryLimit": False, "SwapLimit": False, "PidsLimit": True}, "config", ("memory", "swap")),
        ({"DriverStatus": "odd", "NCPU": "two"}, "config", ()),
    ],
)
def test_what_an_engine_is(tmp_path, info, store, cannot):
    path, thread = serve(tmp_path, [{"ApiVersion": "1.47", "MinAPIVersion": "1.24", "Version": "27.1", "Arch": "arm"}, {"Architecture": "aarch64", **info}])
    facts = DockerRuntime(path).facts()
    thread.join()
    assert (facts.engine.kind, facts.engine.store, facts.engine.api, facts.cannot) == ("docker", store, "1.47", cannot)
    assert facts.platforms[0] == "linux/arm/v7"


@pytest.mark.parametrize(
    ("limits", "cannot", "refused"),
    [
        (Resources(memory_bytes=1), ("memory",), True),
        (Resources(memory_bytes=1), ("swap", "cpus"), False),
        (Resources(memory_swap_bytes=1), ("swap",), True),
        (Resources(nano_cpus=1), ("cpus",), True),
        (Resources(), ("memory", "swap", "cpus", "pids", "cpuset"), False),
    ],
)
def test_a_limit_the_kernel_cannot_enforce_is_refused_not_dropped(limits, cannot, refused):
    blob = Blob("sha256:" + "a" * 64, 1)
    order = CreateOrder("c", Service("web", "app", resources=limits), Variant("linux/amd64", blob, blob, ()), "t", {})
    if not refused:
        _limits_hold(order, cannot)
        return
    with pytest.raises(RuntimeFault) as caught:
        _limits_hold(order, cannot)
    assert (caught.value.code, caught.value.retry) == ("bad-settings", False)
    assert "web" in caught.value.why
