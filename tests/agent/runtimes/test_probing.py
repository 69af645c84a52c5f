"""The agent's own checks over the network: which address answers, whose time-out, and many side by side."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from penstock.agent.runtimes.probing import reach, side_by_side
from penstock.wire.types import Probe

HTTP = Probe("http", port=1, path="/healthz", timeout_ms=500)
PATIENT = Probe("http", port=1, path="/healthz", timeout_ms=20_000)
TCP = Probe("tcp", port=1, timeout_ms=500)


@dataclass
class Server:
    """Answers every connection with `answer` once `together` of them are open; None: takes them and says nothing."""

    answer: bytes | None
    together: int = 1
    place: tuple[str, int] = ("", 0)
    lines: list[socket.socket] = field(default_factory=list)


@contextmanager
def server(answer: bytes | None, together: int = 1) -> Iterator[Server]:
    made = Server(answer, together)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made.place = listening.getsockname()[:2]

        def work() -> None:
            waiting: list[socket.socket] = []
            while True:
                try:
                    line, _ = listening.accept()
                except OSError:
                    return
                made.lines.append(line)
                waiting.append(line)
                if answer is not None and len(waiting) >= together:
                    for one in waiting:
                        one.recv(4096)
                        one.sendall(answer)
                        one.close()
                    waiting.clear()

        threading.Thread(target=work, daemon=True).start()
        try:
            yield made
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for line in made.lines:
                line.close()


def refused() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[:2]


OK = b"HTTP/1.1 204 No Content\r\n\r\n"
ILL = b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n"


def test_the_first_address_that_takes_the_connection_answers():
    with server(OK) as well, server(ILL) as ill:
        assert reach((refused(), well.place, ill.place), HTTP) == ""
        assert "answered 503" in reach((refused(), ill.place, well.place), HTTP)
        assert reach((refused(), ill.place), TCP) == ""
    assert "refused" in reach((refused(), refused()), HTTP)
    assert "no address" in reach((), TCP)


def test_a_service_that_takes_the_connection_and_says_nothing_is_asked_once():
    with server(None) as silent:
        why = reach((silent.place, silent.place, silent.place), HTTP)
        assert len(silent.lines) == 1
    assert why
    assert "/healthz" in why


def test_checks_are_made_side_by_side():
    with server(OK, together=4) as sociable:
        assert side_by_side([((sociable.place,), PATIENT)] * 4) == [""] * 4


def test_all_of_many_are_made_and_told_in_their_order():
    with server(OK) as well, server(ILL) as ill:
        said = side_by_side([((well.place if number % 3 else ill.place,), PATIENT) for number in range(50)])
    assert [not why for why in said] == [bool(number % 3) for number in range(50)]


def test_nobody_behind_a_router_answers_for_a_container():
    """The address of an internal network leads, by the default route, to whoever the router knows under it. 203.0.113.0/24 (RFC 5737) is nobody's."""
    why = reach((("203.0.113.9", 80),), HTTP)
    assert why == "no connection to http://203.0.113.9:80/healthz: this device has no way into that network; use a command probe there, or publish the port"
    with server(OK) as well:
        assert reach((("203.0.113.9", 80), well.place), HTTP) == ""
