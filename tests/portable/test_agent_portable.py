"""The agent's own plumbing with nothing but an interpreter: HTTP, JSON text, join strings, children, the control socket, the native names.

Runs under pytest and under tests/portable/run.py, on every Python and processor the agent is built for.
"""

from __future__ import annotations

import os
import select
import shutil
import tempfile
import time

from penstock.agent import tls
from penstock.agent.children import Children
from penstock.agent.clock import Clock
from penstock.agent.control import Control
from penstock.agent.facts import facts
from penstock.agent.http1 import HttpError, Parser, request_head
from penstock.agent.proxy import packed
from penstock.agent.rest import give_back
from penstock.agent.work import LocalReply
from penstock.wire import jsontext
from penstock.wire.join import Join, format_join, parse_join

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def now_ms():
    return time.monotonic_ns() // 1_000_000


def test_an_answer_is_read_byte_by_byte():
    parser, body = Parser(), b""
    for at in range(len(CHUNKED)):
        body += parser.feed(CHUNKED[at : at + 1])
    assert parser.done
    assert body == b"abcde"
    try:
        Parser().feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
    except HttpError as fault:
        assert fault.kind == "malformed"
    else:
        raise AssertionError("two lengths were accepted")
    assert request_head("GET", "/", "h", {}).endswith(b"\r\n\r\n")


def test_json_text_comes_back():
    value = {"b": [1, 2.5, 'ä"\n', None, True], "a": 2**53 - 1}
    assert jsontext.loads(jsontext.dumps(value)) == value
    assert jsontext.writer(sort_keys=True)(value).startswith('{"a":9007199254740991,')


def test_a_join_string_comes_back():
    join = Join(("https://[2001:db8::1]:8443",), "t", "sha256:" + "a" * 64)
    assert parse_join(format_join(join)) == join
    assert packed("2001:db8::1") == b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"


def run_child(job):
    children = Children()
    children.start("job", job, 60_000, now_ms())
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for number, child in children.watched().items():
            select.select([number], [], [], 0.05)
            children.read(child)
        for _, ended in children.reap():
            return ended
        time.sleep(0.005)
    raise AssertionError("the child never ended")


def test_children_bring_results_and_faults():
    ended = run_child(lambda send: {"pid": os.getpid(), "text": "x" * 100_000})
    assert ended.ok
    assert ended.value["pid"] != os.getpid()
    ended = run_child(lambda send: 1 // 0)
    assert ended.code == "fault"
    ended = run_child(lambda send: os._exit(1))
    assert ended.code == "died"


def test_the_control_socket_answers_a_child():
    folder = tempfile.mkdtemp()
    path = f"{folder}/control.sock"
    control = Control(path, lambda request: LocalReply(True, f"{request.verb} by {request.by}", {}))

    def person(_send):
        from penstock.agent.control import ask

        return ask(path, {"verb": "status"}).why

    children = Children()
    children.start("person", person, 60_000, now_ms())
    answers: list[str] = []
    until = time.monotonic() + 60
    while not answers and time.monotonic() < until:
        watch = select.poll()
        for number, events in control.watched().items():
            watch.register(number, events)
        control.step({number for number, _ in watch.poll(20)}, now_ms())
        for child in children.watched().values():
            children.read(child)
        answers = [ended.value for _, ended in children.reap()]
    control.close()
    shutil.rmtree(folder)
    assert answers
    assert answers[0].startswith("status by ")


def test_tls_contexts_can_be_made_and_dates_read():
    tls.Context(())
    tls.Context((), at_s=1_800_000_000)
    assert tls.seconds_of("Jan 19 03:14:08 2038 GMT") == 2**31  # one second past what 32 bits hold


def test_clock_facts_and_rest():
    moment = Clock().now()
    assert moment.wall_ms > 0
    assert moment.mono_ms >= 0
    assert facts("/").platforms
    assert give_back() >= 0
