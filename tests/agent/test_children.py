"""Children: results and faults come back, time-outs kill, nothing of the parent is held, nobody is left behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from pathlib import Path

import pytest

from penstock.agent import children as module
from penstock.agent.children import Children


def now_ms():
    return time.monotonic_ns() // 1_000_000


def run(job, timeout_ms=20_000, act=None):
    """One child to its end, the way the loop does it."""
    children = Children()
    child = children.start("test", job, timeout_ms, now_ms())
    if act:
        act(children, child)
    news = []
    while True:
        fds = list(children.watched())
        select.select(fds, [], [], 0.02)
        for watched in children.watched().values():
            children.read(watched)
        news += child.news
        child.news = []
        children.expire(now_ms())
        for ended, verdict in children.reap():
            assert ended is child
            assert len(children) == 0
            with pytest.raises(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)
            return verdict, news + child.news


def test_a_result_and_news_come_back():
    def job(send):
        for step in range(3):
            send({"step": step})
        return ["x" * 300_000, {"pid": os.getpid()}]

    ended, news = run(job)
    assert ended.ok
    assert len(ended.value[0]) == 300_000
    assert ended.value[1]["pid"] != os.getpid()
    assert news == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_a_fault_is_a_sentence():
    def job(send):
        raise ValueError("the disk is on fire")

    ended, _ = run(job)
    assert (ended.ok, ended.code, ended.why) == (False, "fault", "ValueError: the disk is on fire")


def test_a_slow_child_is_killed_and_a_killed_one_is_named():
    ended, _ = run(lambda send: time.sleep(600), timeout_ms=50)
    assert ended.code == "timeout"
    ended, _ = run(lambda send: time.sleep(600), act=lambda children, child: os.kill(child.pid, signal.SIGKILL))
    assert ended.code == "died"
    assert "short of memory" in ended.why
    ended, _ = run(lambda send: os._exit(0))
    assert ended.code == "died"


def test_what_a_child_sends_has_a_limit(monkeypatch):
    monkeypatch.setattr(module, "MAX_RESULT", 10_000)
    ended, _ = run(lambda send: "x" * 5_000_000)
    assert ended.code == "oversize"


def test_a_result_that_is_no_json_is_a_fault_not_a_hang():
    ended, _ = run(lambda send: object())
    assert (ended.ok, ended.code) == (False, "died")


def held(pid):
    """What a process's descriptors lead to; one it closes while this looks is not there."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(entry.readlink()))
    return links


def test_a_child_holds_no_socket_of_its_parent():
    near, far = socket.socketpair()
    children = Children()
    child = children.start("holder", lambda send: time.sleep(600), 60_000, now_ms())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        links = held(child.pid)
        if not any(link.startswith("socket:") for link in links):
            break
        time.sleep(0.01)
    assert links
    assert not any(link.startswith("socket:") for link in links)
    near.close()
    assert far.recv(10) == b""
    far.close()
    children.stop_all()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_child_dies_with_its_parent():
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:

        def job(send):
            time.sleep(600)

        child = Children().start("orphan", job, 600_000, now_ms())
        os.write(writing, str(child.pid).encode())
        time.sleep(600)
        os._exit(0)
    orphan = int(os.read(reading, 20))
    time.sleep(0.1)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.02)
    pytest.fail("the child outlived its parent")


def test_a_child_may_stay_for_further_orders():
    children = Children()
    child = children.start("adder", lambda _send: [0, os.getpid()], 10_000, now_ms(), again=lambda order: [order + 1, os.getpid()])

    def result():
        until = time.monotonic() + 10
        while child.result is None and time.monotonic() < until:
            select.select([child.fd], [], [], 0.2)
            children.read(child)
        found, child.result = child.result, None
        assert found is not None
        return found.value

    assert result() == [0, child.pid]
    for number in (1, 20):
        assert children.give(child, number, 10_000, now_ms())
        assert result() == [number + 1, child.pid]
    assert children.reap() == []
    children.dismiss(child)
    until = time.monotonic() + 10
    ended = children.reap()
    while not ended and time.monotonic() < until:
        ended = children.reap()
        time.sleep(0.01)
    assert [one for one, _ in ended] == [child]


def test_a_child_that_went_while_it_waited_takes_no_order():
    children = Children()
    child = children.start("adder", lambda _send: 1, 10_000, now_ms(), again=lambda order: order)
    select.select([child.fd], [], [], 10)
    children.read(child)
    children.kill(child)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    old = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        assert not children.give(child, 2, 10_000, now_ms())
    finally:
        signal.signal(signal.SIGPIPE, old)
    assert [one for one, _ in children.reap()] == [child]


@pytest.mark.parametrize("failing", ["first pipe", "second pipe", "fork"])
def test_nothing_is_left_open_where_no_process_can_be_made(monkeypatch, failing):
    real, calls = os.pipe, []

    def pipe():
        calls.append(1)
        if failing == ("first pipe", "second pipe")[len(calls) - 1]:
            raise OSError(24, "planted")
        return real()

    def fork():
        raise OSError(11, "planted")

    before = set(Path("/proc/self/fd").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", pipe)
        if failing == "fork":
            patch.setattr(os, "fork", fork)
        with pytest.raises(OSError, match="planted"):
            Children().start("test", lambda send: None, 1000, now_ms(), again=lambda order: None)
    assert set(Path("/proc/self/fd").iterdir()) == before
