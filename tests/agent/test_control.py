"""The control socket: answers at once, tells who asks, survives slow, rude and many clients."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from pathlib import Path

import pytest

from penstock.agent import control as module
from penstock.agent.control import Control, NotRunning, ask
from penstock.agent.work import Local, LocalReply


@pytest.fixture
def served(tmp_path):
    """A control socket moved by a thread, the way the loop moves it."""
    path = str(tmp_path / "control.sock")
    asked: list[Local] = []

    def answer(request):
        asked.append(request)
        return LocalReply(request.verb != "retry", f"about {request.app}", {"text": "ä" * (request.count * 20_000 if request.verb == "log" else 1)})

    control = Control(path, answer)
    stop = threading.Event()

    def turn():
        while not stop.is_set():
            watch = select.poll()
            for number, events in control.watched().items():
                watch.register(number, events)
            ready = {number for number, _ in watch.poll(10)}
            control.step(ready, time.monotonic_ns() // 1_000_000)

    thread = threading.Thread(target=turn)
    thread.start()
    yield path, asked, control
    stop.set()
    thread.join(10)
    control.close()
    assert not Path(path).exists()


def test_a_request_is_answered_and_the_asker_named(served):
    path, asked, _ = served
    reply = ask(path, {"verb": "why", "app": "line1", "by": "somebody else"})
    assert (reply.ok, reply.why) == (True, "about line1")
    assert asked[0] == Local("why", "line1", "root" if os.getuid() == 0 else asked[0].by)
    assert ask(path, {"verb": "retry"}).ok is False
    assert len(ask(path, {"verb": "log", "count": 10}).data["text"]) == 200_000
    assert "too long" in ask(path, {"verb": "log", "count": 100}).why


@pytest.mark.parametrize("request_", [{"verb": "explode"}, {"verb": 7}, {}, {"verb": "why", "app": None}])
def test_what_is_not_understood_is_said(served, request_):
    path, asked, _ = served
    reply = ask(path, request_)
    assert not reply.ok
    assert "not understood" in reply.why
    assert asked == []


def test_slow_rude_and_many_clients_do_not_hold_up_the_next(served, monkeypatch):
    path, _, _ = served
    monkeypatch.setattr(module, "CLIENT_MS", 200)
    rude = []
    for text in (b"", b"half a requ", b"[]\n", b"\xff\xfe\n", b"x" * 20_000):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        sock.sendall(text)
        rude.append(sock)
    for _ in range(30):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        rude.append(sock)
    assert ask(path, {"verb": "status"}).ok
    assert b"at most" in rude[4].recv(1000)
    for sock in rude:
        sock.close()


def test_nobody_listening_is_a_sentence(tmp_path):
    with pytest.raises(NotRunning, match="not running; start it with"):
        ask(str(tmp_path / "no.sock"), {"verb": "status"})
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "stale.sock"))
    stale.close()
    with pytest.raises(NotRunning, match="not running"):
        ask(str(tmp_path / "stale.sock"), {"verb": "status"})
    Control(str(tmp_path / "stale.sock"), lambda request: LocalReply(True, "", {})).close()


def test_a_long_folder_name_is_no_obstacle(tmp_path):
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    path = str(folder / "control.sock")
    control = Control(path, lambda request: LocalReply(True, "yes", {}))
    assert Path(path).stat().st_mode & 0o077 == 0
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(ask(path, {"verb": "status"}).why))
    thread.start()
    while thread.is_alive():
        watch = select.poll()
        for number, events in control.watched().items():
            watch.register(number, events)
        control.step({number for number, _ in watch.poll(10)}, 0)
    control.close()
    assert results == ["yes"]
