"""The driver: one activation at a time, pokes are never lost, a failing loop stops nobody and is tried again."""

from __future__ import annotations

import threading

from penstock.server.reconcilers.driver import Driver, Reconciler


def until(event: threading.Event) -> None:
    assert event.wait(60)


def test_a_poke_during_a_step_is_another_step():
    inside, go, twice = threading.Event(), threading.Event(), threading.Event()
    runs = []

    def act():
        runs.append(1)
        if len(runs) == 1:
            inside.set()
            until(go)
        else:
            twice.set()
        return False

    driver = Driver((Reconciler("one", act, 3600.0, ("news",)),), lambda *_: None)
    driver.start()
    until(inside)
    driver.poke("other")
    driver.poke("news")
    assert driver.status["one"].busy
    go.set()
    until(twice)
    assert driver.stop()
    assert len(runs) == 2


def test_more_to_do_is_done_at_once():
    left, done = [5], threading.Event()

    def act():
        left[0] -= 1
        if not left[0]:
            done.set()
        return left[0] > 0

    driver = Driver((Reconciler("one", act, 3600.0),), lambda *_: None)
    driver.start()
    until(done)
    assert driver.stop()
    assert driver.status["one"].failures == 0


def test_one_that_fails_is_told_tried_again_and_stops_nobody():
    failed_twice, fine = threading.Event(), threading.Event()
    told = []

    def bad():
        raise RuntimeError("planted")

    def complain(what, fault):
        told.append((what, str(fault)))
        if len(told) == 2:
            failed_twice.set()

    def good():
        fine.set()
        return False

    driver = Driver((Reconciler("bad", bad, 0.01), Reconciler("good", good, 3600.0)), complain)
    driver.start()
    until(fine)
    until(failed_twice)
    assert driver.stop()
    assert told[0] == ("reconciler bad", "planted")
    assert driver.status["bad"].failures >= 2
    assert driver.status["bad"].last_fault == "RuntimeError: planted"
    assert driver.status["good"].failures == 0
