"""Costly work a few at a time: a full lane refuses at once and leaves the others alone."""

from __future__ import annotations

import threading
import time

import pytest

from penstock.server.effects.lanes import Lane, LaneFull


def test_no_more_at_once_than_there_are_slots_and_no_more_waiting_than_may() -> None:
    lane, go, inside, most, refused, lock = Lane(2, 1, 30), threading.Event(), [0], [0], [0], threading.Lock()

    def work():
        try:
            with lane.turn():
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                go.wait(30)
                with lock:
                    inside[0] -= 1
        except LaneFull:
            with lock:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + 20
    while (refused[0] < 5 or inside[0] < 2) and time.monotonic() < ends:
        time.sleep(0.005)
    assert (refused[0], inside[0]) == (5, 2)  # the third waits
    go.set()
    for thread in threads:
        thread.join(20)
    assert most[0] == 2
    with lane.turn():  # all places are free again
        pass


def test_nobody_waits_for_ever_and_a_fault_inside_frees_the_place() -> None:
    lane = Lane(1, 1, 0.05)
    with lane.turn(), pytest.raises(LaneFull), lane.turn():
        pass
    with pytest.raises(ValueError, match="inside"), lane.turn():
        raise ValueError("inside")
    with lane.turn():
        pass
