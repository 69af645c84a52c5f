"""News inside the process: in order, only what was asked for, and "resync" for who falls behind. And what the hot path remembers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from penstock.server.effects import live as live_module
from penstock.server.effects.fleetcache import FleetCache
from penstock.server.effects.live import BOUND, Full, Live, Note
from penstock.server.effects.tokens import SessionTokens, key_file


def test_only_what_was_asked_for_in_order_from_any_thread():
    async def main():
        hub = Live()
        hub.publish([Note("fleet", "before")])  # nobody, nowhere: no fault
        hub.start(asyncio.get_running_loop())
        one = hub.subscribe(frozenset(("fleet",)))
        thread = threading.Thread(target=lambda: hub.publish([Note("fleet", "a", 1), Note("events", "x", 1), Note("fleet", "b", 2)]))
        thread.start()
        assert [await one.next(30), await one.next(30)] == [Note("fleet", "a", 1), Note("fleet", "b", 2)]
        thread.join()
        assert await one.next(0.01) is None
        hub.stop()
        assert [note async for note in one] == []

    asyncio.run(main())


def test_who_falls_behind_is_told_to_read_anew():
    async def main():
        hub = Live()
        hub.start(asyncio.get_running_loop())
        slow = hub.subscribe(frozenset(("fleet",)))
        hub.publish([Note("fleet", str(number), number) for number in range(BOUND + 5)])
        await asyncio.sleep(0)
        first = await slow.next(30)
        assert first is not None
        assert (first.topic, first.event_number) == ("resync", BOUND)
        slow.close()

    asyncio.run(main())


def test_too_many(monkeypatch):
    monkeypatch.setattr(live_module, "MAX_SUBSCRIPTIONS", 2)

    async def main():
        hub = Live()
        hub.start(asyncio.get_running_loop())
        one = hub.subscribe(frozenset())
        hub.subscribe(frozenset())
        with pytest.raises(Full):
            hub.subscribe(frozenset())
        one.close()
        hub.subscribe(frozenset())

    asyncio.run(main())


def test_the_hot_paths_memory():
    async def main():
        cache = FleetCache()
        cache.start(asyncio.get_running_loop())
        row = ("d", "press", "s", "active", "", 1, "tag", False, 5)
        cache.refresh([row])
        await asyncio.sleep(0)
        entry = cache.entries["d"]
        assert entry.tag == b'"1.tag"'
        waiter = asyncio.get_running_loop().create_future()
        entry.waiters.append(waiter)
        cache.refresh([row])
        await asyncio.sleep(0)
        assert not waiter.done()  # nothing changed
        cache.retag([("d", "other", True), ("stranger", "x", True)])
        await asyncio.wait_for(waiter, 30)
        assert (entry.tag, entry.pending) == (b'"1.other"', True)
        cache.set_root(2)
        assert entry.tag == b'"2.other"'
        assert cache.heard() == []
        entry.heard, entry.seen_ms = True, 9
        assert cache.heard() == [("d", 9)]
        assert cache.heard() == []

    asyncio.run(main())


def test_session_tokens(tmp_path):
    key = key_file(tmp_path / "key")
    assert key_file(tmp_path / "key") == key
    tokens = SessionTokens(key)
    token = tokens.issue("dev_a", 3, 99_000)
    assert tokens.read(token) == ("dev_a", 3, 99_000)
    assert SessionTokens(b"x" * 32).read(token) is None
    for wrong in ("", "A", token[:-2], token + "AA", "é", token.swapcase(), "x" * 300):
        assert tokens.read(wrong) is None
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ValueError, match="must hold 32 bytes"):
        key_file(tmp_path / "key")
