"""The HTTP/1.1 of the agent: fed byte by byte and at once it says the same; what is ambiguous is refused; nothing but HttpError."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.http1 import MAX_HEAD, Connection, HttpError, Parser, request_head


def run(raw: bytes, cuts: list[int] | None = None, method: str = "GET", eof: bool = True) -> tuple[Parser, bytes]:
    parser = Parser(method)
    body = bytearray()
    edges = [0, *sorted({cut for cut in cuts or [] if 0 < cut < len(raw)}), len(raw)]
    for start, end in zip(edges, edges[1:]):
        body += parser.feed(raw[start:end])
    if eof:
        parser.eof()
    return parser, bytes(body)


ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello", b"hello", True),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", True),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n02 \r\nde\r\n0\r\nT: 1\r\n\r\n", b"abcde", True),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nall of it", b"all of it", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "closing": (b"HTTP/1.1 500 Oh no\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\n1", b"1", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: x\r\n\r\n", b"", True),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_reads_the_same_however_it_is_cut(name):
    raw, body, keep = ANSWERS[name]
    for cuts in ([], list(range(len(raw))), [len(raw) // 2]):
        parser, got = run(raw, cuts)
        assert got == body
        assert parser.done
        assert parser.head is not None
        assert parser.head.keep_alive is keep
    if name == "length":
        assert parser.head is not None
        assert parser.head.headers["x-a"] == "1, 2"


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 200)), st.binary(max_size=20))
def test_what_follows_an_answer_is_kept_for_the_next(name, cuts, after):
    raw, body, keep = ANSWERS[name]
    if not keep:
        return
    if name in ("old", "closing"):
        return
    parser, got = run(raw + after, cuts)
    assert (got, parser.rest) == (body, after)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
        (b"HTTP/2 200\r\n\r\n", "malformed"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "malformed"),
        (b"HTTP/1.1 999 OK\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\na", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 3000, "oversize"),
        (b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "oversize"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * (MAX_HEAD + 10), "oversize"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "malformed"),
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "closed"),
        (b"HTTP/1.1 200 OK\r\nConte", "closed"),
    ],
)
def test_what_is_not_one_clear_answer_is_refused(raw, kind):
    for cuts in ([], list(range(len(raw)))):
        with pytest.raises(HttpError) as fault:
            run(raw, cuts)
        assert fault.value.kind == kind
        assert fault.value.why


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)), st.sampled_from(["GET", "HEAD", "CONNECT"]))
def test_noise_raises_only_declared_errors(noise, cuts, method):
    for raw in (noise, b"HTTP/1.1 200 OK\r\n" + noise, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + noise):
        with contextlib.suppress(HttpError):
            run(raw, cuts, method)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 400)))
def test_chunks_come_out_as_they_went_in(pieces, cuts):
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    _, body = run(raw, cuts)
    assert body == b"".join(pieces)


def test_answers_to_head_and_connect_have_no_body():
    parser, body = run(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", method="HEAD")
    assert (parser.done, body) == (True, b"")
    parser, body = run(b"HTTP/1.1 200 Connection established\r\n\r\n\x16\x03", method="CONNECT")
    assert (parser.done, parser.rest) == (True, b"\x16\x03")
    parser, body = run(b"HTTP/1.1 407 Who?\r\nContent-Length: 2\r\n\r\nno", method="CONNECT")
    assert body == b"no"


def test_request_heads_cannot_be_broken_out_of():
    assert request_head("GET", "/x", "h", {"A": "b"}) == b"GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"
    assert b"Content-Length: 0\r\n" in request_head("POST", "/x", "h", {})
    assert b"Transfer-Encoding: chunked\r\n" in request_head("PUT", "/x", "h", {}, None)
    for target, headers in (("/x\r\nEvil: 1", {}), ("/a b", {}), ("", {}), ("/x", {"A": "b\r\nEvil: 1"}), ("/x", {"A\n": "b"})):
        with pytest.raises(ValueError, match=r"control character|request target"):
            request_head("GET", target, "h", headers)


# --- the synchronous client -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def other_side(*acts):
    """A socket pair whose far end does `acts` one after the other in a thread: bytes are sent, an int means that many bytes are read,
    a callable gets the socket, None closes."""
    near, far = socket.socketpair()
    seen = bytearray()

    def work():
        with far:
            for act in acts:
                if isinstance(act, bytes):
                    far.sendall(act)
                elif isinstance(act, int):
                    while len(seen) < act:
                        seen.extend(far.recv(4096) or b"!" * act)
                elif act is None:
                    return
                else:
                    act(far, seen)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield near, seen
    finally:
        near.close()
        thread.join(10)
        assert not thread.is_alive()


def until_blank(far, seen):
    seen.clear()
    while not seen.endswith(b"\r\n\r\n"):
        seen.extend(far.recv(1))


def test_two_requests_share_one_connection():
    with other_side(
        until_blank,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
        until_blank,
        b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n",
    ) as (
        near,
        seen,
    ):
        exchange = Connection(near, "host")
        answer = exchange.request("GET", "/one")
        assert (answer.status, answer.read()) == (200, b"one")
        assert exchange.usable
        answer = exchange.request("GET", "/two", {"X": "y"})
        assert (answer.status, answer.read()) == (404, b"two")
        assert bytes(seen).startswith(b"GET /two HTTP/1.1\r\nHost: host\r\nX: y\r\n")


def test_a_body_is_sent_whole_in_pieces_and_with_a_length():
    def collect(far, seen):
        while b"END" not in seen:
            seen.extend(far.recv(100))

    for body, length, expected in (
        (b"abEND", None, b"\r\nContent-Length: 5\r\n\r\nabEND"),
        ([b"ab", b"", b"END"], None, b"chunked\r\n\r\n2\r\nab\r\n3\r\nEND"),
        ([b"ab", b"END"], 5, b"Content-Length: 5\r\n\r\nabEND"),
    ):
        with other_side(collect, b"HTTP/1.1 204 Done\r\n\r\n") as (near, seen):
            answer = Connection(near, "h").request("POST", "/", body=body, length=length)
            assert answer.status == 204
            assert expected in bytes(seen)


def test_a_slow_or_cut_answer_is_named():
    with other_side(until_blank, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no", lambda far, seen: far.recv(1)) as (near, _):
        answer = Connection(near, "h", idle_s=0.05).request("GET", "/")
        with pytest.raises(HttpError) as fault:
            answer.read()
        assert fault.value.kind == "timeout"
    with other_side(until_blank, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no", None) as (near, _):
        answer = Connection(near, "h").request("GET", "/")
        with pytest.raises(HttpError) as fault:
            answer.read()
        assert fault.value.kind == "closed"
    with other_side(until_blank, b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"o" * 3000) as (near, _):
        with pytest.raises(HttpError) as fault:
            Connection(near, "h").request("GET", "/").read(limit=100)
        assert fault.value.kind == "oversize"


def test_an_early_refusal_of_a_long_body_is_read():
    def refuse(far, seen):
        far.recv(100)
        far.sendall(b"HTTP/1.1 413 Too much\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        far.shutdown(socket.SHUT_RD)

    with other_side(refuse) as (near, _):
        exchange = Connection(near, "h")
        answer = exchange.request("POST", "/", body=[b"x" * 60000] * 100)
        assert (answer.status, answer.read()) == (413, b"no")
        assert not exchange.usable


def test_a_body_shorter_than_announced_is_never_passed_off_as_whole():
    with other_side(until_blank, lambda far, seen: far.recv(1000)) as (near, _), pytest.raises(HttpError, match="announced"):
        Connection(near, "h").request("POST", "/", body=[b"abc"], length=5)
