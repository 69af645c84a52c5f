"""A stream from a thread to a connection: in order, never far ahead, and each side learns when the other has gone."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from penstock.server.effects.feed import AHEAD, Feed, Gone


async def take(feed: Feed, most: int = 1 << 30) -> list[bytes]:
    found: list[bytes] = []
    pieces = feed.pieces()
    async for piece in pieces:
        found.append(piece)
        if len(found) >= most:
            break
    await pieces.aclose()  # type: ignore[attr-defined]
    return found


def started(feed: Feed, work) -> tuple[list[object], threading.Event]:
    """What happened in the maker's thread, and that it is over."""
    said: list[object] = []
    over = threading.Event()

    def run() -> None:
        try:
            work()
            said.append("done")
        except BaseException as fault:
            said.append(fault)
            raise

    feed.start(run, over.set)
    return said, over


def test_all_of_it_in_order():
    feed = Feed()
    wanted = [bytes((number,)) * 10 for number in range(200)]

    def work() -> None:
        for piece in wanted:
            feed.write(piece)
        feed.finish()

    said, _ = started(feed, work)
    assert asyncio.run(take(feed)) == wanted
    assert said == ["done"], "the maker is done before the taker hears the end"


def test_it_runs_ahead_only_so_far():
    feed, count = Feed(stall_s=60), []

    def work() -> None:
        while True:
            feed.write(b"x")
            count.append(1)

    said, over = started(feed, work)
    time.sleep(0.3)
    assert len(count) == AHEAD
    feed.stop(5)
    assert over.is_set()
    assert isinstance(said[0], Gone)


def test_who_takes_nothing_is_given_up():
    feed = Feed(stall_s=0.6)

    def work() -> None:
        try:
            while True:
                feed.write(b"x")
        finally:
            with pytest.raises(Gone, match="nothing of it was taken"):
                feed.write(b"what a writer says at its end")

    said, over = started(feed, work)
    assert over.wait(5)
    assert "nothing of it was taken" in str(said[0])


def test_whoever_takes_a_little_at_a_time_is_not():
    feed = Feed(stall_s=1.2)

    def work() -> None:
        for _ in range(AHEAD + 6):
            feed.write(b"x")
        feed.finish()

    said, _ = started(feed, work)

    async def slowly() -> int:
        found = 0
        async for _ in feed.pieces():
            found += 1
            await asyncio.sleep(0.1)
        return found

    assert asyncio.run(slowly()) == AHEAD + 6
    assert said == ["done"]


def test_the_maker_learns_that_the_taker_has_gone():
    feed = Feed()

    def work() -> None:
        while True:
            feed.write(b"x")

    said, over = started(feed, work)
    assert len(asyncio.run(take(feed, most=3))) == 3
    assert over.wait(5)
    assert "has gone" in str(said[0])


def test_the_end_counts_only_once_it_was_taken():
    """All of it may fit into what runs ahead; without a taker it is not done."""
    feed = Feed(stall_s=0.6)

    def work() -> None:
        feed.write(b"x")
        feed.finish()

    said, over = started(feed, work)
    assert over.wait(5)
    assert "nothing of it was taken" in str(said[0])


def test_the_taker_learns_that_it_was_not_made_to_its_end():
    feed = Feed()

    def work() -> None:
        feed.write(b"x")
        raise ValueError("a fault")

    started(feed, work)
    with pytest.raises(Gone, match="not made to its end"):
        asyncio.run(take(feed))


def test_it_does_not_last_for_ever():
    feed = Feed(longest_s=0.1)
    time.sleep(0.2)

    def work() -> None:
        while True:
            feed.write(b"x")

    said, over = started(feed, work)
    assert over.wait(5)
    assert "took too long" in str(said[0])


def test_a_stop_from_outside_is_no_end():
    """All of it, its end too, waits to be taken when it is stopped: that does not count as taken."""
    feed = Feed(stall_s=60)

    def work() -> None:
        feed.write(b"x")
        feed.finish()

    said, over = started(feed, work)
    time.sleep(0.1)
    feed.stop()
    with pytest.raises(Gone):
        asyncio.run(take(feed))
    assert over.wait(5)
    assert isinstance(said[0], Gone)
