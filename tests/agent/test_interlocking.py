"""Looking at the machine: HTTP, TLS, TCP, files and commands, each honest, absent, late, too large and hostile; time is kept in every case."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.agent.children import Children
from penstock.agent.interlocking import MAX_BODY, ask, look, round_ms
from penstock.agent.onhost import MAX_FILE, MAX_OUTPUT
from penstock.rules.interlocks import Round, joined, judge, judge_condition
from penstock.wire.codec import decode, encode, from_plain, to_plain
from penstock.wire.comparing import Compare
from penstock.wire.interlocks import CommandCheck, Condition, FileCheck, HttpCheck, Interlock, ModbusCheck, TcpCheck
from penstock.wire.record import replace
from tests.agent.servers import Authority
from tests.needs import find_python, needs

HANGS_S = 20  # a busy machine is slow; what hangs is slower
ME = "root" if os.geteuid() == 0 else os.environ.get("USER", "root")
Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that answers every connection with these bytes, one piece at a time; gives its port. `asked` gathers what it was sent."""
    listeners: list[socket.socket] = []
    stop = threading.Event()
    workers: list[threading.Thread] = []

    def start(*pieces: bytes, pause: float = 0.0, hold: bool = False, asked: list[bytes] | None = None, tls=None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def work() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), peer:
                    channel: Any = tls.wrap_socket(peer, server_side=True) if tls else peer
                    data = channel.recv(65536)
                    if asked is not None:
                        asked.append(data)
                    for piece in pieces:
                        channel.sendall(piece)
                        if stop.wait(pause):
                            break
                    if hold:
                        stop.wait(5)
                    if tls:
                        channel.unwrap()

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        workers.append(worker)
        return int(listener.getsockname()[1])

    yield start
    stop.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for worker in workers:
        worker.join(5)


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def http(port: int, path: str = "/state", timeout_ms: int = 2000, **fields) -> Condition:
    made = Condition("c", "http", timeout_ms, http=HttpCheck(f"http://127.0.0.1:{port}{path}", **fields))
    return from_plain(Condition, to_plain(made))


AUTO: dict[str, Any] = {"pointer": "/mode", "compare": Compare("==", "AUTO", type="text")}


def held(condition: Condition) -> tuple[bool, str]:
    finding = judge_condition(condition, ask(condition))
    return finding.holds, finding.why


# --- HTTP ---------------------------------------------------------------------------------------------------------------


def test_a_value_of_a_page_is_compared(serve: Serve):
    asked: list[bytes] = []
    port = serve(reply(b'{"mode": "AUTO", "speed": 0.0}'), asked=asked)
    assert held(http(port, "/state?line=3", **AUTO)) == (True, "")
    assert asked[0].startswith(b"GET /state?line=3 HTTP/1.1\r\n")
    assert held(http(port, pointer="/speed", compare=Compare("<=", "0"))) == (True, "")
    assert held(http(port, pointer="/speed", compare=Compare("==", "0"))) == (True, "")
    assert "must be 'HAND'" in held(http(port, pointer="/mode", compare=Compare("==", "HAND", type="text")))[1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(b'{"mode": "AUTO"}', "302 Found", "Location: http://127.0.0.1/"), "status 302"),
        (reply(b'{"mode": "AUTO"}', "500 Oh"), "status 500"),
        (reply(b'{"mode": "HAND"}'), "'HAND'"),
        (reply(b'{"mode": 1}'), "it is a number"),
        (reply(b'{"mode": null}'), "it is null"),
        (reply(b'{"mode": ["AUTO"]}'), "it is a list"),
        (reply(b'{"state": "AUTO"}'), "the value is not there"),
        (reply(b'{"mode": "AUTO", "mode": "HAND"}'), "stands twice"),
        (reply(b"<html>AUTO</html>"), "not JSON"),
        (reply(b'{"mode": "AUTO"}', "200 OK", "Content-Encoding: gzip"), "encoded"),
        (reply(b'{"mode": "AUTO"}' + b" " * MAX_BODY), "more than is read"),
        (reply(b'{"mode": "AUTO"}')[:-3], "closed the connection"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b'{"mode": "AU', "not JSON"),
        (b"", "closed the connection"),
        (b"SSH-2.0-x\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", "twice"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000, "more than is read"),
    ],
)
def test_what_is_not_plainly_right_is_not_satisfied(serve: Serve, answer, said):
    holds, why = held(http(serve(answer), **AUTO))
    assert not holds
    assert said in why


def test_status_alone_needs_no_body(serve: Serve):
    said = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert held(http(serve(said, hold=True))) == (True, "")
    assert "200 was wanted" in held(http(serve(said, hold=True), status_low=200, status_high=200))[1]


@pytest.mark.parametrize(
    "pieces", [(reply(b'{"mode": "AUTO"}')[:20],), tuple(bytes([one]) for one in reply(b'{"mode": "AUTO"}')), (b"HTTP/1.1 100 Continue\r\n\r\n",) * 9]
)
def test_late_and_dripping_answers_cost_the_time_allowed_and_no_more(serve: Serve, pieces):
    port = serve(*pieces, pause=0.05, hold=True)
    started = time.monotonic()
    holds, why = held(http(port, timeout_ms=400, **AUTO))
    assert not holds
    assert "did not answer in time" in why or "makes no sense" in why
    assert time.monotonic() - started < HANGS_S


def test_tls_is_verified(serve: Serve, tmp_path: Path):
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs", "Other")
    port = serve(reply(b'{"mode": "AUTO"}'), tls=ours.leaf())

    def secure(ca: str) -> Condition:
        return Condition("c", "http", 3000, http=HttpCheck(f"https://127.0.0.1:{port}/", ca=(ca,), **AUTO))

    assert held(secure(ours.pem)) == (True, "")
    holds, why = held(secure(theirs.pem))
    assert not holds
    assert "does not trust" in why
    port = serve(reply(b"{}"))
    assert not held(secure(ours.pem))[0]


# --- TCP ----------------------------------------------------------------------------------------------------------------


def test_tcp(serve: Serve):
    port = serve()
    assert held(Condition("c", "tcp", tcp=TcpCheck("127.0.0.1", port))) == (True, "")
    assert held(Condition("c", "tcp", tcp=TcpCheck("localhost", port))) == (True, "")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert "could not be reached" in held(Condition("c", "tcp", tcp=TcpCheck("127.0.0.1", free.getsockname()[1])))[1]


def test_a_name_server_that_never_answers_costs_the_time_allowed(monkeypatch):
    real = socket.getaddrinfo

    def slow(*words):
        if words[-1] != socket.AI_NUMERICHOST:
            time.sleep(8)
        return real(*words)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.monotonic()
    seen = ask(Condition("c", "tcp", 300, tcp=TcpCheck("plc.line", 502)))
    assert seen.code == "timeout"
    assert "plc.line" in seen.why
    assert time.monotonic() - started < HANGS_S


# --- files --------------------------------------------------------------------------------------------------------------


def file(path: Path | str, state: str = "exists", op: str = "==", value: str = "", kind: str = "text", high: str = "") -> Condition:
    return Condition("c", "file", file=FileCheck(str(path), state, Compare(op, value, high, kind) if state == "content" else None))


def test_files(tmp_path: Path):
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.write_text("21.5\n")
    assert held(file(there)) == (True, "")
    assert held(file(gone, "absent")) == (True, "")
    assert "must be" in held(file(gone))[1]
    assert "must not be" in held(file(there, "absent"))[1]
    assert held(file(there, "content", "in", "20", "number", "22")) == (True, "")
    assert held(file(there, "content", "==", "21.5")) == (True, "")
    assert "no content" in held(file(gone, "content", "!=", "x"))[1]
    there.write_text("true")
    assert held(file(there, "content", "==", "true", "truth")) == (True, "")
    there.write_bytes(b"\xff\xfe")
    assert "not text in UTF-8" in held(file(there, "content", "!=", "x"))[1]
    there.write_text("x" * (MAX_FILE + 1))
    assert "more than" in held(file(there, "content", "!=", "y"))[1]


def test_absent_needs_its_folder(tmp_path: Path):
    holds, why = held(file(tmp_path / "share" / "running", "absent"))
    assert not holds
    assert "mounted" in why
    link = tmp_path / "dangling"
    link.symlink_to(tmp_path / "nowhere")
    assert not held(file(link, "absent"))[0]  # something has this name
    assert not held(file(link))[0]


@pytest.mark.parametrize("state", ["exists", "content"])
def test_pipes_devices_folders_and_sockets_are_never_opened(tmp_path: Path, state: str):
    pipe, sock = tmp_path / "pipe", tmp_path / "sock"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sock))
        for path, word in ((pipe, "a pipe"), (sock, "a socket"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
            started = time.monotonic()
            holds, why = held(file(path, state, "!=", "x"))
            assert not holds
            assert word in why
            assert time.monotonic() - started < HANGS_S


def test_a_file_system_that_hangs_costs_the_time_allowed(monkeypatch):
    monkeypatch.setattr("penstock.agent.interlocking.look_at_file", lambda check: time.sleep(8))
    started = time.monotonic()
    seen = ask(replace(file("/mnt/share/state"), timeout_ms=200))
    assert seen.code == "timeout"
    assert "hang" in seen.why
    assert time.monotonic() - started < HANGS_S


# --- commands -----------------------------------------------------------------------------------------------------------


def command(*argv: str, code: int = 0, timeout_ms: int = 5000, user: str = ME, **environment: str) -> Condition:
    return from_plain(Condition, to_plain(Condition("c", "command", timeout_ms, command=CommandCheck(argv, user, code, environment))))


def test_an_exit_code_is_compared_and_what_it_printed_is_kept():
    one = command("/bin/sh", "-c", "echo stands; exit 3", code=3)
    seen = ask(one)
    assert (seen.exit, seen.text) == (3, "stands")
    assert judge_condition(one, seen).holds
    assert "exit code 3; exit code 0 was wanted" in " ".join(held(command("/bin/sh", "-c", "exit 3"))[1].split())
    assert "ended by signal 9" in held(command("/bin/sh", "-c", "kill -9 $$"))[1]
    assert "cannot be run" in held(command("/nonexistent/program"))[1]
    assert "no user" in held(command("/bin/true", user="nobody-of-that-name"))[1]


def test_nothing_of_the_agent_reaches_it(monkeypatch):
    monkeypatch.setenv("PENSTOCK_SECRET", "x")
    held_open = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(held_open, True)
    try:
        seen = ask(command("/bin/sh", "-c", 'env | sort; pwd; ls /proc/self/fd | tr "\\n" " "; cat', LINE="3"))
    finally:
        os.close(held_open)
    lines = seen.text.splitlines()
    assert "LINE=3" in lines
    assert "/" in lines
    assert not any("PENSTOCK" in line or "HOME=" in line for line in lines)
    assert str(held_open) not in lines[-1].split() or held_open <= 3
    assert seen.exit == 0


@needs("root")
def test_it_runs_as_whom_it_says():
    assert ask(command("/bin/sh", "-c", "id -un; id -G", user="nobody")).text.split()[0] == "nobody"
    seen = ask(command("/usr/bin/id", "-G", user="nobody"))
    assert len(seen.text.split()) == 1


def left(mark: str) -> bool:
    """Whether a process with these words stays; what was killed may take a moment to be gone."""

    def there() -> bool:
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"):
                    return True
        return False

    end = time.monotonic() + HANGS_S
    while there():
        if time.monotonic() > end:
            return True
        time.sleep(0.02)
    return False


def test_a_command_that_does_not_end_is_killed_with_all_it_started():
    mark = "sleep 86.40271"
    started = time.monotonic()
    holds, why = held(command("/bin/sh", "-c", f"{mark} & {mark} & wait", timeout_ms=400))
    assert not holds
    assert "was stopped" in why
    assert time.monotonic() - started < HANGS_S
    assert not left(mark)


def test_what_it_leaves_in_the_background_neither_delays_nor_survives_it():
    mark = "sleep 86.40272"
    started = time.monotonic()
    assert held(command("/bin/sh", "-c", f"{mark} & exit 0")) == (True, "")
    assert time.monotonic() - started < HANGS_S
    assert not left(mark)


def test_output_without_end_is_cut():
    started = time.monotonic()
    seen = ask(command("/bin/sh", "-c", "yes"))
    assert seen.code == "oversize"
    assert str(MAX_OUTPUT) in seen.why
    assert time.monotonic() - started < HANGS_S


# --- rounds -------------------------------------------------------------------------------------------------------------


def test_a_round_asks_everything_side_by_side_and_survives_what_is_unknown(serve: Serve, tmp_path: Path):
    slow = serve(hold=True)
    deaf = [http(slow, timeout_ms=600) for _ in range(5)]
    lock = Interlock("x", (*deaf, file(tmp_path / "no"), Condition("later", "opc-ua"), command("/bin/true")), origin="site")
    started = time.monotonic()
    found = look(lock, "boot")
    assert time.monotonic() - started < HANGS_S
    assert [seen.code for seen in found.seen] == ["timeout"] * 5 + ["seen", "fault", "seen"]
    assert found.took_ms >= 600
    verdict = judge(lock, found, int(time.monotonic() * 1000), "boot")
    assert [one.holds for one in verdict.findings] == [False] * 7 + [True]


def test_the_centre_neither_runs_programs_nor_reads_files(tmp_path: Path):
    """A stolen director key must not run or read anything through an interlock: rounds are made before any gate is open."""
    secret, ran = tmp_path / "key", tmp_path / "ran"
    secret.write_text("top secret")
    conditions = (command("/bin/sh", "-c", f"touch {ran}"), replace(file(secret, "content", "!=", "x"), name="d"), replace(file(secret), name="e"))
    (lock,) = joined((), (Interlock("x", conditions),))
    found = look(lock, "boot")
    assert not ran.exists()
    assert b"secret" not in encode(found)
    assert [seen.code for seen in found.seen] == ["denied", "denied", "seen"]
    verdict = judge(lock, found, int(time.monotonic() * 1000), "boot")
    assert [(one.holds, one.observed) for one in verdict.findings] == [(False, ""), (False, ""), (True, "there")]
    (mine,) = joined((Interlock("x", conditions),), ())
    assert judge(mine, look(mine, "boot"), int(time.monotonic() * 1000), "boot").holds
    assert ran.exists()
    claimed = replace(found, seen=tuple(replace(seen, code="seen", exit=0, type="text", text="y") for seen in found.seen))
    assert not judge(lock, claimed, int(time.monotonic() * 1000), "boot").holds


def test_a_fault_of_ours_opens_nothing(monkeypatch):
    monkeypatch.setattr("penstock.agent.interlocking.look_at_file", lambda check: 1 / 0)
    seen = ask(file("/etc/hostname"))
    assert seen.code == "fault"
    assert "ZeroDivisionError" in seen.why


def test_a_round_comes_out_of_a_child_and_a_killed_child_found_nothing(tmp_path: Path):
    lock = Interlock(
        "x",
        (file(tmp_path), command("/bin/true"), Condition("m", "modbus", 300, modbus=ModbusCheck("127.0.0.1", "coil", 0, Compare("bit-set"), port=1))),
        origin="site",
    )
    children = Children()

    def run(job: Callable[[object], object], timeout_ms: int):
        children.start("interlock", job, timeout_ms, int(time.monotonic() * 1000))
        while True:
            children.expire(int(time.monotonic() * 1000))
            for child in children.watched().values():
                children.read(child)
            for _, ended in children.reap():
                return ended
            time.sleep(0.01)

    ended = run(lambda send: to_plain(look(lock, "boot")), round_ms(lock))
    assert ended.ok, ended
    found = from_plain(Round, ended.value)
    assert [seen.code for seen in found.seen] == ["malformed", "seen", "unreachable"]
    mark = "sleep 3.40273"
    ended = run(lambda send: to_plain(look(Interlock("y", (command("/bin/sh", "-c", f"{mark}; {mark}", timeout_ms=9000),), origin="site"), "boot")), 300)
    assert (ended.ok, ended.code) == (False, "timeout")
    assert not judge(lock, None, 0, "boot").holds
    time.sleep(0.1)
    assert not left(f"/bin/sh -c {mark}")  # its leader dies with the child that watched it


@needs("python3.9")
def test_it_looks_on_the_oldest_python(tmp_path: Path):
    (tmp_path / "there").write_text("5")
    code = """
import sys
from penstock.agent.interlocking import look
from penstock.wire.codec import decode, encode
from penstock.wire.interlocks import Interlock
sys.stdout.write(encode(look(decode(Interlock, sys.stdin.buffer.read()), "boot")).decode())
"""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        bus = Condition("", "modbus", 300, modbus=ModbusCheck("127.0.0.1", "coil", 0, Compare("bit-set"), port=port))
        four = (file(tmp_path / "there"), command("/bin/sh", "-c", "exit 4"), bus, http(port, timeout_ms=300))
        lock = Interlock("x", tuple(replace(one, name=f"c{number}") for number, one in enumerate(four)), origin="site")
        source = Path(__file__).parents[2] / "src"
        done = subprocess.run(
            [str(find_python("3.9")), "-S", "-c", code],
            input=encode(lock),
            capture_output=True,
            env={"PYTHONPATH": str(source), "PATH": os.environ["PATH"]},
            timeout=30,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    seen = decode(Round, done.stdout).seen
    assert [one.code for one in seen] == ["seen", "seen", "timeout", "timeout"]
    assert seen[1].exit == 4
