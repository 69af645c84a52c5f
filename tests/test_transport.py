"""How a request of the client travels: what is tried again, what is never sent twice, through which proxy, and what is told of it."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from types import SimpleNamespace

import httpx
import pytest

from penstock import transport
from penstock.apiv1.common import Outcome
from penstock.client import Client, ClientError, Switch, Way
from penstock.transport import Transport


@pytest.fixture(autouse=True)
def paused(monkeypatch):
    """The pauses that were made, none of which takes its time."""
    found: list[float] = []
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=time.monotonic, sleep=found.append))
    return found


def plane(*answers, way=None):
    """A transport whose plane gives these answers in turn; what it was asked."""
    asked, left = [], list(answers)

    def answer(request):
        asked.append(request)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    client = httpx.Client(base_url="https://plane.example", transport=httpx.MockTransport(answer), headers={"Authorization": "Bearer pst_secret"})
    return Transport("https://plane.example", "pst_secret", way, client), asked


def fine():
    return httpx.Response(200, json={"said": "done"})


def problem(status, code="busy", headers=None):
    return httpx.Response(status, json={"title": "No", "status": status, "code": code, "detail": "it cannot be now"}, headers=headers or {})


def code_of(caught):
    return caught.value.problem.code


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_what_the_plane_puts_off_is_asked_again_when_it_says(status, method, paused):
    told: list[str] = []
    way, asked = plane(problem(status, headers={"Retry-After": "7"}), fine(), way=Way(told=told.append))
    assert way.ask(method, "/x", Outcome, {} if method != "GET" else None).said == "done"
    assert len(asked) == 2
    assert paused == [7.0]
    assert told == ["it cannot be now; trying again in 7 s"]


def test_no_longer_than_a_minute_is_waited_and_without_a_time_not_at_all():
    way, asked = plane(problem(503, headers={"Retry-After": "61"}))
    with pytest.raises(ClientError):
        way.ask("GET", "/x", Outcome)
    way, asked = plane(problem(503))
    with pytest.raises(ClientError):
        way.ask("GET", "/x", Outcome)
    assert len(asked) == 1


def test_a_date_to_try_again_at_is_understood_as_soon(paused):
    way, _ = plane(problem(503, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), fine())
    way.ask("GET", "/x", Outcome)
    assert paused == [5.0]


def test_what_creates_is_tried_again_with_one_key():
    way, asked = plane(httpx.ConnectError("reset"), httpx.Response(502, text="a proxy's page"), problem(409, "idempotency-in-progress"), fine())
    assert way.ask("POST", "/x", Outcome, {}, creates=True).said == "done"
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1


@pytest.mark.parametrize("fault", [httpx.ReadError("reset"), httpx.Response(502, text=""), httpx.Response(504, text="")])
def test_a_change_that_may_have_been_made_is_not_sent_twice(fault):
    way, asked = plane(fault)
    with pytest.raises(ClientError):
        way.ask("PATCH", "/x", Outcome, {}, revision=3)
    assert len(asked) == 1
    assert asked[0].headers["If-Match"] == '"r3"'


def test_a_time_out_is_waited_for_once_and_says_what_to_do():
    way, asked = plane(httpx.ReadTimeout("slow"))
    with pytest.raises(ClientError) as caught:
        way.ask("GET", "/x", Outcome)
    assert len(asked) == 1
    assert "--timeout" in caught.value.problem.remedy


def test_a_trace_tells_the_way_and_no_secret():
    lines: list[str] = []
    way, _ = plane(fine(), httpx.ReadError("x"), way=Way(trace=lines.append))
    way.ask("POST", "/tokens", Outcome, {"label": "hidden"}, query={"text": "hidden"}, creates=True)
    with pytest.raises(ClientError):
        way.ask("DELETE", "/tokens/tok_1", Outcome)
    assert [line.rsplit(" ", 2)[0] for line in lines] == ["POST /api/v1/tokens 200", "DELETE /api/v1/tokens/tok_1 ReadError"]
    assert "pst_" not in "".join(lines)
    assert "hidden" not in "".join(lines)


def test_what_is_no_answer_of_a_plane_is_a_problem():
    way, _ = plane(httpx.Response(404, text="<html>"), httpx.Response(200, text="<html>"))
    with pytest.raises(ClientError) as caught:
        way.ask("GET", "/x", Outcome)
    assert code_of(caught) == "not-penstock"
    with pytest.raises(ClientError) as caught:
        way.ask("GET", "/x", Outcome)
    assert code_of(caught) == "not-understood"


# --- streams -----------------------------------------------------------------------------------------------------------------


def said(*parts):
    return httpx.Response(200, text="".join(parts), headers={"Content-Type": "text/event-stream"})


def act(number):
    body = {"number": number, "at_ms": 1, "actor_kind": "user", "actor": "m", "site": "", "verb": "v", "subject": "s", "outcome": "done"}
    return f"id: {number}\nevent: act\ndata: {json.dumps({**body, 'reason': '', 'data': {}})}\n\n"


def client_of(*answers):
    way, asked = plane(*answers)
    client = Client("https://plane.example", http=way._http)
    return client, asked


def test_a_stream_goes_on_after_the_last_number_it_said(monkeypatch):
    monkeypatch.setattr(Switch, "waited", lambda _self, _seconds: False)
    bye = "event: bye\ndata: {}\n\n"
    client, asked = client_of(
        said("retry: 3000\n\n", "id: 4\n\n", bye), httpx.ReadError("x"), problem(503), said(act(5), ": still here\n\n", act(6)), said(act(7))
    )
    stream = client.events()
    assert [next(stream).number for _ in range(3)] == [5, 6, 7]
    assert [request.headers.get("Last-Event-ID") for request in asked] == [None, "4", "4", "4", "6"], "what happened before the first act is not lost"


def test_a_stream_that_is_refused_ends():
    client, _ = client_of(problem(403, "forbidden"))
    with pytest.raises(ClientError):
        next(client.events())


def test_changes_say_where_some_may_have_been_missed(monkeypatch):
    monkeypatch.setattr(Switch, "waited", lambda _self, _seconds: False)
    changed = 'event: changed\ndata: {"topic": "fleet", "key": "dev_1"}\n\n'
    client, asked = client_of(said(changed), said(changed))
    stream = client.changes(("fleet", "device/dev_1"))
    assert [next(stream) for _ in range(3)] == ["fleet", "resync", "fleet"]
    assert asked[0].url.params["topics"] == "fleet,device/dev_1"


# --- proxies -----------------------------------------------------------------------------------------------------------------


class Proxy:
    """A real HTTP proxy on loopback that knows CONNECT only; which hosts it was asked for, and with what authorisation."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.asked, self.heads = [], []
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(near,), daemon=True).start()

    def carry(self, near):
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(4096)
        host, _, port = head.split()[1].decode().rpartition(":")
        self.asked.append(f"{host}:{port}")
        self.heads.append(head.decode())
        with near, socket.create_connection((host, int(port))) as far:
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                for one in select.select([near, far], [], [], 20)[0]:
                    part = one.recv(65536)
                    if not part:
                        return
                    (far if one is near else near).sendall(part)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from tests.front.served import Served

    found = Served(tmp_path_factory.mktemp("plane"))
    found.ready()
    yield found
    found.stop()


@pytest.fixture
def proxy(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Proxy() as found:
        yield found


def test_a_proxy_that_is_named_is_gone_through_by_requests_and_streams(served, proxy):
    switch = Switch()
    with Client(served.url, served.token, way=Way(ca=served.ca, proxy=proxy.url)) as client:
        assert client.me().name
        assert proxy.asked == [served.host]
        client.create_site("by-proxy")
        assert next(client.events(0)).number
        switch.off()
        assert list(client.changes(("fleet",), switch)) == []


def test_the_environment_names_proxies_and_exceptions(served, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with Client(served.url, served.token, ca=served.ca) as client:
        client.me()
    assert proxy.asked == [served.host]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Client(served.url, served.token, ca=served.ca) as client:
        client.me()
    assert proxy.asked == [served.host], "NO_PROXY goes past it"


def test_a_fingerprint_is_fetched_through_the_proxy_too(served, proxy):
    with served.http("") as http:
        fingerprint = http.get("/api/v1/ca").json()["fingerprints"][0]
    assert transport.pinned_ca(served.url, fingerprint, proxy=proxy.url)
    assert proxy.asked == [served.host]


def test_a_proxy_that_is_not_there_is_told(served):
    with Client(served.url, served.token, way=Way(ca=served.ca, proxy="http://127.0.0.1:9")) as client, pytest.raises(ClientError) as caught:
        client.me()
    assert code_of(caught) == "unreachable"


def test_a_stream_that_waits_is_ended_from_another_thread(served):
    switch = Switch()
    heard: list[str] = []
    with Client(served.url, served.token, ca=served.ca) as client:
        thread = threading.Thread(target=lambda: heard.extend(client.changes(("fleet",), switch)))
        thread.start()
        client.create_site("heard")
        switch.off()
        thread.join(5)
        assert not thread.is_alive()
        assert client.me().name, "the client goes on"
