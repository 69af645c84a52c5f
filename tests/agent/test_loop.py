"""The loop with a scripted brain: lanes run side by side, people are answered meanwhile, signals end it, nothing blocks."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from penstock.agent.children import Children
from penstock.agent.clock import Clock
from penstock.agent.control import Control, ask
from penstock.agent.endpoints import Book
from penstock.agent.ledger import Wipe
from penstock.agent.link import Link
from penstock.agent.loop import Loop, Options
from penstock.agent.work import Answer, Call, EngineDone, Fetch, FetchDone, LocalReply, Observe, Unreachable
from penstock.rules.observed import Ask
from penstock.wire.codec import to_plain
from penstock.wire.messages import Endpoint
from penstock.wire.types import Blob
from tests.agent.servers import Authority, HttpsServer

LOOK = Observe(Ask("dev_x"), timeout_ms=20_000)
POLL = Call("poll", "GET", "/d/v1/state", {}, timeout_ms=20_000)
BLOBS = (Blob("sha256:" + "0" * 64, 10),)


class Script:
    """A brain that hands out what it was given and notes what it hears. `at_end` is called with each (work, outcome)."""

    def __init__(self, engine=(), fetch=(), calls=(), at_end=None) -> None:
        self.engine, self.fetch, self.calls = list(engine), list(fetch), list(calls)
        self.ends: list[tuple[Any, Any]] = []
        self.asked: list[Any] = []
        self.told: list[int] = []
        self.at_end = at_end or (lambda work, outcome: None)
        self.is_busy = False
        self.has_unsaid = False
        self.wants_interrupt = False
        self.drops = 0
        self.device_ms = 0
        self.wanted: tuple[Endpoint, ...] = ()
        self.wipe: Wipe | None = None
        self.farewells = 0

    def parting(self):
        return self.wipe

    def farewell(self, now):
        self.farewells += 1
        return Call("report", "POST", "/d/v1/report", {}, b"the last word")

    def engine_work(self, now):
        return self.engine.pop(0) if self.engine else None

    def fetch_work(self, now):
        return self.fetch.pop(0) if self.fetch else None

    def link_work(self, now):
        return self.calls.pop(0) if self.calls else None

    def done(self, work, outcome, now):
        self.ends.append((work, outcome))
        self.at_end(work, outcome)

    def progress(self, work, done_bytes, now):
        self.told.append(done_bytes)

    def wake_at(self, now):
        return now.mono_ms + 50

    def local(self, request, now):
        self.asked.append(request)
        return LocalReply(True, "as scripted", {"verb": request.verb})

    def endpoints(self):
        return self.wanted

    def generation(self):
        return (1, 1)

    def device_time(self, now):
        return self.device_ms or now.wall_ms, "trusted"

    def interrupt(self, now):
        return self.wants_interrupt

    def dropped(self, now):
        self.wants_interrupt = False
        self.drops += 1

    def busy(self):
        return self.is_busy

    def unsaid(self):
        return self.has_unsaid


def loop_of(brain, *endpoints, engine=None, fetch=None, options=Options()):  # noqa: B008 - a frozen value
    link = Link(Book(tuple(endpoints)), {}, lambda book: None, lambda event, **fields: None)
    looked = to_plain(EngineDone(ok=True, why="looked"))
    brought = to_plain(FetchDone(ok=True))
    return Loop(brain, link, Children(), Clock(), engine or (lambda work: lambda send: looked), fetch or (lambda work, at: lambda send: brought), options)


def end(*_):
    os.kill(os.getpid(), signal.SIGTERM)


def run(loop):
    """Run in this thread (signals need it) with a watchdog."""
    watchdog = threading.Timer(40, lambda: os._exit(3))
    watchdog.start()
    try:
        return loop.run()
    finally:
        watchdog.cancel()


def test_engine_works_are_carried_out_one_after_the_other():
    works = [LOOK, Observe(Ask("dev_y"))]
    brain: Script = Script(engine=works, at_end=lambda *_: end() if len(brain.ends) == 2 else None)
    assert run(loop_of(brain)) == 0
    assert [work.ask.device for work, _ in brain.ends] == ["dev_x", "dev_y"]
    assert all(outcome == EngineDone(ok=True, why="looked") for _, outcome in brain.ends)


@pytest.mark.parametrize(
    ("job", "code", "words"),
    [
        (lambda send: os._exit(1), "died", "without a result"),
        (lambda send: 1 / 0, "died", "ZeroDivisionError"),
        (lambda send: {"ok": "maybe"}, "died", "no usable result"),
    ],
)
def test_a_child_that_fails_is_an_outcome(job, code, words):
    brain: Script = Script(engine=[LOOK], fetch=[Fetch(BLOBS, "t")], at_end=lambda *_: end() if len(brain.ends) == 2 else None)
    run(loop_of(brain, engine=lambda work: job, fetch=lambda work, at: job))
    for _, outcome in brain.ends:
        assert isinstance(outcome, (EngineDone, FetchDone))
        assert (outcome.ok, outcome.code) == (False, code)
        assert words in outcome.why


def test_work_past_its_time_is_ended(monkeypatch):
    monkeypatch.setattr("penstock.agent.loop.MARGIN_MS", 0)
    brain = Script(engine=[Observe(Ask("d"), timeout_ms=100)], at_end=end)
    run(loop_of(brain, engine=lambda work: lambda send: time.sleep(600)))
    outcome = brain.ends[0][1]
    assert isinstance(outcome, EngineDone)
    assert outcome.code == "timeout"


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("ca"))
    hold = threading.Event()

    def handler(method, path, headers, body):
        if "wait" in path:
            hold.wait(20)
        return 200, {"ETag": "e"}, b"{}"

    with HttpsServer(authority.leaf(), handler) as server:
        server.hold = hold
        yield server, authority
        hold.set()


def test_people_are_answered_while_all_three_lanes_are_busy(plane, tmp_path):
    server, authority = plane
    server.hold.clear()
    path = str(tmp_path / "control.sock")
    brain = Script([LOOK], [Fetch(BLOBS, "t")], [Call("poll", "GET", "/d/v1/state?wait=30", {}, timeout_ms=60_000)])

    def slow_fetch(send):
        send(7)
        time.sleep(600)

    loop = loop_of(brain, Endpoint(server.url, (authority.pem,)), engine=lambda work: lambda send: time.sleep(600), fetch=lambda work, at: slow_fetch)
    loop.control = Control(path, loop.answer)
    answers: list[Any] = []

    def person():
        while not server.requests:
            time.sleep(0.02)
        answers.extend(ask(path, {"verb": "status"}).data for _ in range(10))
        os.kill(os.getpid(), signal.SIGHUP)
        while not any(request.verb == "poll" for request in brain.asked):
            time.sleep(0.02)
        end()

    thread = threading.Thread(target=person)
    thread.start()
    monkey = pytest.MonkeyPatch()
    monkey.setattr("penstock.agent.loop.ENDING_MS", 200)
    run(loop)
    monkey.undo()
    thread.join(10)
    server.hold.set()
    assert [one["children"] for one in answers] == [2] * 10  # both children and the poll were still at it each time
    assert {one["address"] for one in answers} == {server.url}
    assert brain.told == [7]
    assert not os.path.exists(path)  # noqa: PTH110


def test_a_step_under_way_may_end_before_the_agent_does():
    brain = Script(engine=[LOOK, LOOK])

    def job(send):
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(0.3)
        return to_plain(EngineDone(ok=True, why="in time"))

    run(loop_of(brain, engine=lambda work: job))
    assert [outcome.why for _, outcome in brain.ends] == ["in time"]
    assert len(brain.engine) == 1  # and nothing new was begun


def test_answers_and_their_absence_reach_the_brain(plane):
    server, authority = plane
    server.hold.set()
    confirmed: list[int] = []
    brain: Script = Script(calls=[POLL, Call("report", "POST", "/d/v1/report", {}, b"x")], at_end=lambda *_: end() if len(brain.ends) == 2 else None)
    loop = loop_of(brain, Endpoint(server.url, (authority.pem,)))
    loop.checked_in = lambda: confirmed.append(1)
    run(loop)
    assert [type(outcome) for _, outcome in brain.ends] == [Answer, Answer]
    assert confirmed == [1]
    brain = Script(calls=[POLL], at_end=end)
    run(loop_of(brain, Endpoint("https://plane.invalid")))
    assert isinstance(brain.ends[0][1], Unreachable)
    assert "cannot be resolved" in brain.ends[0][1].why


def test_a_held_poll_is_given_up_when_there_is_something_to_say(plane):
    server, authority = plane
    server.hold.clear()
    server.requests.clear()
    held = Call("poll", "GET", "/d/v1/state?wait=30", {}, timeout_ms=60_000)
    brain = Script(calls=[held, Call("report", "POST", "/d/v1/report", {}, b"x")], at_end=end)

    def say_something():
        while not server.requests:
            time.sleep(0.01)
        brain.wants_interrupt = True

    threading.Thread(target=say_something).start()
    run(loop_of(brain, Endpoint(server.url, (authority.pem,))))
    server.hold.set()
    assert brain.drops == 1
    assert [(work.kind, outcome.status) for work, outcome in brain.ends] == [("report", 200)]


def test_certificates_are_judged_at_the_devices_own_time_when_the_clock_is_off(plane):
    server, authority = plane
    server.hold.set()
    brain = Script(calls=[POLL], at_end=end)
    brain.device_ms = 2_300_000_000_000  # 2042: past the end of the test's certificate
    run(loop_of(brain, Endpoint(server.url, (authority.pem,))))
    outcome = brain.ends[0][1]
    assert isinstance(outcome, Unreachable)
    assert "expired" in outcome.why


@pytest.mark.parametrize("reachable", [True, False])
def test_the_sparing_mode_ends_when_the_poll_is_done_and_nothing_is_under_way(plane, reachable):
    server, authority = plane
    server.hold.set()
    brain = Script(engine=[LOOK], calls=[POLL])
    endpoint = Endpoint(server.url, (authority.pem,)) if reachable else Endpoint("https://127.0.0.1:1")
    assert run(loop_of(brain, endpoint, options=Options(sparing=True))) == 0
    assert len(brain.ends) == 2


@pytest.mark.parametrize("reason", ["is_busy", "has_unsaid"])
def test_the_sparing_mode_stays_while_a_change_is_under_way_or_something_is_unsaid(plane, reason):
    server, authority = plane
    server.hold.set()
    brain = Script(calls=[POLL])
    setattr(brain, reason, True)
    rounds = []

    def wake_at(now):
        rounds.append(1)
        if len(rounds) > 20:
            setattr(brain, reason, False)
        return now.mono_ms + 10

    brain.wake_at = wake_at  # type: ignore[method-assign]
    assert run(loop_of(brain, Endpoint(server.url, (authority.pem,)), options=Options(sparing=True))) == 0
    assert len(rounds) > 20


def parted(brain, loop):
    brain.wipe = Wipe("cmd_1", "ada", "keep", "last", 7)
    order: list[str] = []
    say = loop._say_last

    def said(call):
        order.append("said")
        return say(call)

    loop._say_last = said
    loop.bury = lambda wipe: order.append(f"buried {wipe.command}")
    return order


def test_a_retired_device_loses_its_keys_and_then_says_its_last_word(plane):
    server, authority = plane
    server.hold.set()
    brain = Script(engine=[LOOK], calls=[POLL])
    loop = loop_of(brain, Endpoint(server.url, (authority.pem,)))
    order = parted(brain, loop)
    assert run(loop) == 4  # no fleet any more: the service is not started again
    assert order == ["buried cmd_1", "said"]
    assert (brain.farewells, brain.ends) == (1, [])  # nobody is told of an answer: there is nobody left


def test_a_last_word_that_reaches_nobody_is_tried_a_few_times_and_no_more():
    brain = Script()
    loop = loop_of(brain, Endpoint("https://127.0.0.1:1"))
    order = parted(brain, loop)
    assert run(loop) == 4
    assert order == ["buried cmd_1", "said", "said", "said"]


def test_what_cannot_be_destroyed_is_no_end():
    brain = Script()
    loop = loop_of(brain)
    order = parted(brain, loop)

    def stuck(wipe):
        raise OSError(30, "read-only file system")

    loop.bury = stuck
    assert run(loop) == 1  # the service starts it again, and it goes on
    assert order == []
