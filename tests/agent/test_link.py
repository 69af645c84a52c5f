"""The link over real TLS on loopback: kept alive, resumed, moved, proxied, cut; and never anything but an Answer or Unreachable."""

from __future__ import annotations

import select
import socket
import ssl
import time
from pathlib import Path

import pytest

from penstock.agent import link as module
from penstock.agent.children import Children
from penstock.agent.endpoints import Book
from penstock.agent.link import Link, resolve_job
from penstock.agent.work import Answer, Call, Unreachable
from penstock.wire.messages import Endpoint
from tests.agent.servers import Authority, ConnectProxy, HttpsServer


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf()


def poll_call(path="/d/v1/state", timeout_ms=10_000, kind="poll", method="GET", body=b""):
    return Call(kind, method, path, {"Authorization": "Bearer x"}, body, timeout_ms)


class Driver:
    """A link and the small loop that moves it."""

    def __init__(self, *endpoints: Endpoint, environment=None) -> None:
        self.books: list[Book] = []
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.link = Link(Book(tuple(endpoints)), environment or {}, self.books.append, lambda event, **fields: self.lines.append((event, fields)))
        self.children = Children()

    def now(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def ask(self, call: Call | None = None) -> Answer | Unreachable:
        self.link.start(call or poll_call(), self.now())
        deadline = time.monotonic() + 30
        resolving = False
        while time.monotonic() < deadline:
            outcome = self.link.take()
            if outcome is not None:
                return outcome
            wanted = self.link.to_resolve()
            if wanted and not resolving:
                self.children.start("resolve", resolve_job(*wanted), 10_000, self.now())
                resolving = True
            self.turn()
            for child, ended in self.children.reap():
                resolving = False
                assert ended.ok
                self.link.resolved(ended.value.get("addresses"), ended.value.get("why", ""), self.now())
                assert child.fd == -1
        raise AssertionError("the link never came to an end")

    def turn(self) -> None:
        watch = select.poll()
        for number, events in self.link.watched().items():
            watch.register(number, events)
        for number in self.children.watched():
            watch.register(number, select.POLLIN)
        ready = {number for number, _ in watch.poll(20)}
        self.link.step(ready, self.now())

    def idle(self) -> None:
        for _ in range(5):
            self.turn()


@pytest.fixture
def drive():
    made: list[Driver] = []

    def make(*endpoints, environment=None):
        made.append(Driver(*endpoints, environment=environment))
        return made[-1]

    yield make
    for driver in made:
        driver.link.close()
        driver.children.stop_all()


def test_answers_of_any_status_come_back_over_one_connection(authority, leaf, drive):
    def handler(method, path, headers, body):
        return {"/d/v1/state": (304, {"ETag": "x"}, b""), "/d/v1/report": (500, {"Retry-After": "9"}, b"no " + body)}[path]

    with HttpsServer(leaf, handler) as server:
        driver = drive(Endpoint(server.url, (authority.pem,)))
        first = driver.ask()
        assert isinstance(first, Answer)
        assert (first.status, first.headers["etag"], first.body) == (304, "x", b"")
        driver.idle()
        second = driver.ask(poll_call("/d/v1/report", kind="report", method="POST", body=b"x" * 500_000))
        assert isinstance(second, Answer)
        assert (second.status, second.headers["retry-after"], len(second.body)) == (500, "9", 500_003)
        assert server.connections == 1
        assert server.requests[0][2] == {"host": f"127.0.0.1:{server.port}", "authorization": "Bearer x"}


def test_a_base_path_and_a_name_are_honoured(authority, leaf, drive):
    with HttpsServer(leaf) as server:
        driver = drive(Endpoint(f"https://localhost:{server.port}/plant/", (authority.pem,)))
        assert isinstance(driver.ask(), Answer)
        assert server.requests[0][1] == "/plant/d/v1/state"
        assert server.requests[0][2]["host"] == f"localhost:{server.port}"


def test_a_name_that_stops_resolving_is_remembered(authority, leaf, drive):
    with HttpsServer(leaf) as server:
        driver = drive(Endpoint(f"https://localhost:{server.port}", (authority.pem,)))
        assert isinstance(driver.ask(), Answer)
        server.drop()
        driver.idle()
        driver.link.start(poll_call(), driver.now())
        assert driver.link.to_resolve() == ("localhost", server.port)
        driver.link.resolved(None, "the resolver is down", driver.now())
        while (outcome := driver.link.take()) is None:
            driver.turn()
        assert isinstance(outcome, Answer)


def test_an_unknown_name_is_unreachable_with_a_sentence(drive):
    outcome = drive(Endpoint("https://plane.invalid")).ask()
    assert isinstance(outcome, Unreachable)
    assert "plane.invalid cannot be resolved" in outcome.why


def test_a_dropped_connection_is_made_again_and_the_session_resumed(authority, leaf, drive):
    with HttpsServer(leaf) as server:
        driver = drive(Endpoint(server.url, (authority.pem,)))
        driver.ask()
        driver.idle()
        server.drop()
        assert isinstance(driver.ask(), Answer)  # not even noticed before: asked on the dead line, then anew
        server.drop()
        driver.idle()
        assert driver.link.address() == ""  # noticed while idle
        assert isinstance(driver.ask(), Answer)
        assert server.connections == 3
        assert server.resumed == 2


def test_a_connection_cut_before_the_answer_is_not_asked_twice_when_new(authority, leaf, drive):
    with HttpsServer(leaf, lambda *_: None) as server:
        outcome = drive(Endpoint(server.url, (authority.pem,))).ask()
        assert isinstance(outcome, Unreachable)
        assert "the connection was cut" in outcome.why
        assert len(server.requests) == 1


def test_half_an_answer_noise_and_silence_are_unreachable(authority, leaf, drive, monkeypatch):
    answers: list[object] = [(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",), (b"SSH-2.0-x\r\n",)]
    with HttpsServer(leaf, lambda *_: answers.pop(0)) as server:
        driver = drive(Endpoint(server.url, (authority.pem,)))
        for words in ("the connection was cut", "does not speak HTTP"):
            outcome = driver.ask()
            assert isinstance(outcome, Unreachable)
            assert words in outcome.why
    with HttpsServer(leaf, lambda *_: time.sleep(1)) as server:
        outcome = drive(Endpoint(server.url, (authority.pem,))).ask(poll_call(timeout_ms=150))
        assert isinstance(outcome, Unreachable)
        assert "in time" in outcome.why
    monkeypatch.setattr(module, "MAX_ANSWER", 1000)
    with HttpsServer(leaf, lambda *_: (200, {}, b"x" * 1001)) as server:
        outcome = drive(Endpoint(server.url, (authority.pem,))).ask()
        assert isinstance(outcome, Unreachable)
        assert "longer than" in outcome.why


def test_endpoints_are_tried_in_order_and_all_named_when_none_answers(authority, leaf, drive):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
    with HttpsServer(leaf) as server:
        driver = drive(Endpoint(f"https://127.0.0.1:{closed}", (authority.pem,)), Endpoint(server.url, (authority.pem,)))
        assert isinstance(driver.ask(), Answer)
    outcome = drive(Endpoint(f"https://127.0.0.1:{closed}"), Endpoint(f"https://[::1]:{closed}")).ask()
    assert isinstance(outcome, Unreachable)
    assert f"127.0.0.1:{closed} cannot be reached" in outcome.why
    assert f"[::1]:{closed} cannot be reached" in outcome.why
    assert "Connection refused" in outcome.why


# --- trust --------------------------------------------------------------------------------------------------------------


def test_only_the_named_authority_is_trusted(authority, leaf, drive, tmp_path):
    other = Authority(tmp_path / "other")
    with HttpsServer(leaf) as server:
        for trusted in ((other.pem,), ()):
            outcome = drive(Endpoint(server.url, trusted)).ask()
            assert isinstance(outcome, Unreachable)
            assert "authority this device does not trust" in outcome.why
        assert isinstance(drive(Endpoint(server.url, (other.pem, authority.pem))).ask(), Answer)
        assert len(server.requests) == 1
        outcome = drive(Endpoint(server.url, ("-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----",))).ask()
        assert isinstance(outcome, Unreachable)
        assert "cannot be read" in outcome.why


def test_the_name_must_be_the_certificates(authority, drive):
    with HttpsServer(authority.leaf("DNS:plane.example")) as server:
        for host, words in (("localhost", "another name"), ("127.0.0.1", "another address")):
            outcome = drive(Endpoint(f"https://{host}:{server.port}", (authority.pem,))).ask()
            assert isinstance(outcome, Unreachable)
            assert words in outcome.why


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_is_refused(authority, drive):
    context = authority.leaf()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with HttpsServer(context) as server:
        outcome = drive(Endpoint(server.url, (authority.pem,))).ask()
        assert isinstance(outcome, Unreachable)
        assert server.requests == []


FLOOR = 1_800_000_000  # 2027-01-15


@pytest.mark.parametrize(
    ("begin", "end", "judge", "words"),
    [
        ("20200101000000Z", "20210101000000Z", 0, "has expired"),
        ("20380101000000Z", "20390101000000Z", 0, "not valid yet"),
        # The system clock says this test's today; the floor is given, as on a device that boots in 1970.
        ("20200101000000Z", "20210101000000Z", FLOOR, "has expired"),
        ("20380101000000Z", "20390101000000Z", FLOOR, "later than any time"),
        ("20200101000000Z", "20300101000000Z", FLOOR, ""),
        ("20270101000000Z", "20280101000000Z", FLOOR, ""),
    ],
)
def test_certificate_dates_are_judged_by_the_clock_or_the_floor(authority, drive, begin, end, judge, words):
    with HttpsServer(authority.leaf(begin=begin, end=end)) as server:
        driver = drive(Endpoint(server.url, (authority.pem,)))
        driver.link.judge_at_s = judge
        outcome = driver.ask()
        if words:
            assert isinstance(outcome, Unreachable)
            assert words in outcome.why
            assert server.requests == []
        else:
            assert isinstance(outcome, Answer)


def test_an_authority_that_has_expired_at_the_floor_is_refused(drive, tmp_path):
    old = Authority(tmp_path, begin="20200101000000Z", end="20260601000000Z")
    with HttpsServer(old.leaf(end="20400101000000Z")) as server:
        driver = drive(Endpoint(server.url, (old.pem,)))
        driver.link.judge_at_s = FLOOR
        outcome = driver.ask()
        assert isinstance(outcome, Unreachable)
        assert "has expired" in outcome.why


# --- proxies ------------------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_and_its_exceptions(authority, leaf, drive):
    with HttpsServer(leaf) as server, ConnectProxy() as proxy:
        endpoint = Endpoint(server.url, (authority.pem,))
        assert isinstance(drive(endpoint, environment={"HTTPS_PROXY": proxy.url}).ask(), Answer)
        assert proxy.asked == [f"127.0.0.1:{server.port}"]
        assert isinstance(drive(endpoint, environment={"https_proxy": proxy.url, "no_proxy": "10.0.0.1,127.0.0.0/8"}).ask(), Answer)
        assert len(proxy.asked) == 1


def test_a_proxy_of_the_signed_state_comes_before_the_environment(authority, leaf, drive):
    with HttpsServer(leaf) as server, ConnectProxy() as proxy:
        driver = drive(Endpoint(server.url, (authority.pem,), proxy.url), environment={"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "*"})
        assert isinstance(driver.ask(), Answer)
        assert len(proxy.asked) == 1


def test_a_proxy_that_opens_tls_works_when_its_authority_is_named_and_only_then(authority, leaf, drive, tmp_path):
    inspector = Authority(tmp_path / "inspector", "Plant proxy")
    with HttpsServer(leaf) as server, ConnectProxy(inspector.leaf(), authority.pem) as proxy:
        outcome = drive(Endpoint(server.url, (authority.pem,), proxy.url)).ask()
        assert isinstance(outcome, Unreachable)
        assert "--ca-file" in outcome.why
        assert isinstance(drive(Endpoint(server.url, (authority.pem, inspector.pem), proxy.url)).ask(), Answer)


def test_a_proxys_password_and_refusals(authority, leaf, drive):
    with HttpsServer(leaf) as server, ConnectProxy(password="bWU6cEBzcw==") as proxy:
        outcome = drive(Endpoint(server.url, (authority.pem,), proxy.url)).ask()
        assert isinstance(outcome, Unreachable)
        assert "wants a user name and password" in outcome.why
        outcome = drive(Endpoint(server.url, (authority.pem,), f"http://me:wrong@127.0.0.1:{proxy.port}")).ask()
        assert isinstance(outcome, Unreachable)
        assert "does not accept this user name" in outcome.why
        assert isinstance(drive(Endpoint(server.url, (authority.pem,), f"http://me:p%40ss@127.0.0.1:{proxy.port}")).ask(), Answer)
    with ConnectProxy() as proxy:
        outcome = drive(Endpoint("https://127.0.0.1:1", (), proxy.url)).ask()
        assert isinstance(outcome, Unreachable)
        assert "refused the connection (502" in outcome.why


# --- moving house -------------------------------------------------------------------------------------------------------


def test_a_new_address_takes_over_only_after_a_check_in(authority, leaf, drive):
    with HttpsServer(leaf) as old, HttpsServer(leaf) as new:
        before, after = Endpoint(old.url, (authority.pem,)), Endpoint(new.url, (authority.pem,))
        driver = drive(before)
        driver.ask()
        driver.link.offer((after,), "1.2")
        assert driver.books[-1] == Book((before,), (), (after,), "1.2")
        assert isinstance(driver.ask(), Answer)
        assert driver.books[-1] == Book((after,), (before,), (), "1.2", "1.2")
        assert driver.link.address() == new.url
        driver.link.offer((after,), "1.3")
        assert driver.books[-1] == Book((after,), (), (), "1.3", "1.2")


def test_a_new_address_that_is_wrong_costs_nothing_but_a_try(authority, leaf, drive, tmp_path):
    stranger = Authority(tmp_path)

    def page(*_):
        return (404, {}, b"an intranet page")

    with HttpsServer(leaf) as old, HttpsServer(leaf, page) as other, HttpsServer(stranger.leaf()) as false:
        before = Endpoint(old.url, (authority.pem,))
        for server in (other, false):
            driver = drive(before)
            driver.ask()
            driver.link.offer((Endpoint(server.url, (authority.pem,)),), "1.2")
            asked = len(old.requests)
            outcome = driver.ask()
            assert isinstance(outcome, Answer)
            assert outcome.status == 200
            assert len(old.requests) == asked + 1  # the same call went to the old address at once
            assert isinstance(driver.ask(), Answer)  # and the next one does not even try
            assert [event for event, _ in driver.lines].count("link.trial-failed") == 1
            assert driver.books[-1].current == (before,)
        assert old.connections == 2


def test_a_new_address_may_ask_for_a_new_session_first(authority, leaf, drive):
    answers: list[tuple[int, dict[str, str], bytes]] = [(401, {}, b""), (200, {}, b"session"), (200, {}, b"state")]
    with HttpsServer(leaf) as old, HttpsServer(leaf, lambda *_: answers.pop(0)) as new:
        driver = drive(Endpoint(old.url, (authority.pem,)))
        driver.ask()
        driver.link.offer((Endpoint(new.url, (authority.pem,)),), "1.2")
        first = driver.ask()
        assert isinstance(first, Answer)
        assert first.status == 401
        driver.ask(poll_call("/d/v1/session", kind="session", method="POST", body=b"{}"))
        assert driver.books[-1].wanted  # a session alone proves nothing
        driver.ask()
        assert driver.books[-1].current[0].url == new.url
        assert len(old.requests) == 1


def test_when_the_old_address_is_gone_the_unproven_one_is_tried_whatever_the_wait(authority, leaf, drive):
    answers: list[tuple[int, dict[str, str], bytes]] = [(503, {}, b""), (200, {}, b"state")]
    with HttpsServer(leaf) as old, HttpsServer(leaf, lambda *_: answers.pop(0)) as new:
        driver = drive(Endpoint(old.url, (authority.pem,)))
        driver.link.offer((Endpoint(new.url, (authority.pem,)),), "1.2")
        driver.ask()
        assert driver.link.address() == old.url
        old.stop()
        driver.idle()
        assert isinstance(driver.ask(), Answer)
        assert driver.books[-1].current[0].url == new.url


def test_no_descriptor_is_left_behind(authority, leaf, drive):
    with HttpsServer(leaf) as server:
        driver = drive(Endpoint(server.url, (authority.pem,)), Endpoint("https://127.0.0.1:1"))
        driver.ask()
        driver.link.close()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            driver.ask()
            driver.link.close()
        server.drop()
        time.sleep(0.05)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 20  # the server's own ends may still be open
        assert driver.link.watched() == {}
