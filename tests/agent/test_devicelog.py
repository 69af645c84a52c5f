"""The device log: numbers without holes, damage named, quotas, acknowledgements, and a disk that fails in between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.agent.devicelog import DeviceLog
from penstock.agent.memorydisk import MemoryDisk, PowerCut
from penstock.wire.log import DeviceObservation, Event, Gap, LocalAct, Observation, body_of, chain_fault, entry_digest
from penstock.wire.messages import LogEntry

T = 1_800_000_000_000


def made(disk: MemoryDisk, count: int, **fields) -> DeviceLog:
    log = DeviceLog(disk, 1, 0, "", 0, **fields)
    for number in range(count):
        log.add("event", Event("test", f"number {number}"), T + number, "trusted")
        assert log.flush(T, "trusted")
    return log


def everything(log: DeviceLog) -> list[LogEntry]:
    found: list[LogEntry] = []
    after = 0
    while True:
        batch = log.entries_after(after)
        if not batch:
            return found
        found.extend(batch)
        after = batch[-1].seq


def test_entries_are_numbered_chained_and_found_again():
    disk = MemoryDisk()
    log = made(disk, 40)
    entries = everything(log)
    assert [entry.seq for entry in entries] == list(range(1, 41))
    assert chain_fault(tuple(entries), 0, "") is None
    again = DeviceLog(disk, 2, log.seq, log.head, 0)
    assert (again.seq, again.head) == (log.seq, log.head)
    assert [entry.seq for entry in again.tail(3)] == [38, 39, 40]
    assert again.tail(0) == ()


def test_cut_at_every_byte_the_loss_is_named_and_nothing_is_numbered_twice():
    disk = MemoryDisk()
    log = made(disk, 6)
    name = next(iter(disk.files))
    whole = disk.files[name]
    for length in range(len(whole)):
        hurt = MemoryDisk({name: whole[:length]})
        again = DeviceLog(hurt, 2, log.seq, log.head, 0)
        again.add("event", Event("after", "the damage"), T, "trusted")
        assert again.flush(T, "trusted")
        entries = everything(again)
        left = [entry for entry in entries if entry.seq <= 6]
        gaps = [body_of(entry) for entry in entries if entry.kind == "gap"]
        assert [(gap.first, gap.last) for gap in gaps] == [(len(left) + 1, 6)]
        fresh = [entry for entry in entries if entry.seq > 6]
        assert [entry.seq for entry in fresh] == [7, 8]
        assert fresh[0].prev == log.head
        third = DeviceLog(hurt, 3, again.seq, again.head, 0)
        assert (third.seq, third.head) == (again.seq, again.head)
        third.add("event", Event("later", "again"), T, "trusted")
        assert third.flush(T, "trusted")
        assert sum(1 for entry in everything(third) if entry.kind == "gap") <= 2  # a hole is named anew at most once a start


def test_a_lost_tail_that_was_acknowledged_is_no_loss():
    disk = MemoryDisk()
    log = made(disk, 6)
    disk.files.clear()
    again = DeviceLog(disk, 2, log.seq, log.head, 6)
    again.add("event", Event("after", "all"), T, "trusted")
    again.flush(T, "trusted")
    entries = everything(again)
    assert [(entry.seq, entry.kind) for entry in entries] == [(7, "event")]
    assert entries[0].prev == log.head


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_cut_off_whichever_segment_the_chain_goes_on(data):
    disk = MemoryDisk()
    log = DeviceLog(disk, 1, 0, "", 0)
    for number in range(60):
        log.add("event", Event("test", f"number {number} " + "x" * 9000), T, "trusted")
        log.flush(T, "trusted")
    names = sorted(disk.files)
    assert len(names) > 2
    name = data.draw(st.sampled_from(names))
    disk.files[name] = disk.files[name][: data.draw(st.integers(0, len(disk.files[name])))]
    again = DeviceLog(disk, 2, log.seq, log.head, 0)
    again.add("event", Event("after", "the damage"), T, "trusted")
    assert again.flush(T, "trusted")
    entries = everything(again)
    numbers = [entry.seq for entry in entries]
    assert numbers == sorted(set(numbers))
    named: set[int] = set()
    for entry in entries:
        if entry.kind == "gap":
            gap = body_of(entry)
            named |= set(range(gap.first, gap.last + 1))
    assert named == set(range(1, numbers[-1] + 1)) - set(numbers)
    batch = again.entries_after(0)
    assert [entry.seq for entry in batch] == list(range(batch[0].seq, batch[0].seq + len(batch)))


def _say_eight(log: DeviceLog) -> None:
    for number in range(8):
        log.add("event", Event("test", str(number)), T, "trusted")
        log.flush(T, "trusted")


@pytest.mark.parametrize("torn", [False, True])
def test_a_power_cut_at_every_append_keeps_numbers_unique(torn):
    for at in range(6):
        disk = MemoryDisk()
        log = DeviceLog(disk, 1, 0, "", 0)
        disk.cut_after, disk.torn = at, torn
        with pytest.raises(PowerCut):
            _say_eight(log)
        disk.cut_after = -1
        again = DeviceLog(disk, 2, 0, "", 0)
        again.add("event", Event("after", "the cut"), T, "trusted")
        assert again.flush(T, "trusted")
        entries = everything(again)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert chain_fault(tuple(entries), 0, "") is None


def test_a_disk_that_refuses_loses_nothing_that_was_said():
    disk = MemoryDisk()
    log = made(disk, 2)
    disk.broken = "input/output error"
    for number in range(3):
        log.add("event", Event("test", f"meanwhile {number}"), T, "trusted")
        assert not log.flush(T, "trusted")
    assert "input/output error" in log.fault
    disk.broken = ""
    assert log.flush(T, "trusted")
    assert log.fault == ""
    entries = everything(log)
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert chain_fault(tuple(entries), 0, "") is None
    again = DeviceLog(disk, 2, log.seq, log.head, 0)
    assert (again.seq, again.head) == (log.seq, log.head)


def test_a_batch_written_in_part_before_the_fault_is_not_doubled():
    disk = MemoryDisk()
    log = made(disk, 2)
    real = disk.append

    def half(name: str, data: bytes) -> None:
        real(name, data)  # all of it reaches the disk, and then the flush fails
        disk.broken = "input/output error"
        real(name, b"")

    disk.append = half  # type: ignore[method-assign]
    log.add("event", Event("test", "three"), T, "trusted")
    assert not log.flush(T, "trusted")
    disk.append, disk.broken = real, ""  # type: ignore[method-assign]
    log.add("event", Event("test", "four"), T, "trusted")
    assert log.flush(T, "trusted")
    again = DeviceLog(disk, 2, log.seq, log.head, 0)
    entries = everything(again)
    assert [entry.seq for entry in dict.fromkeys(entries)] == [1, 2, 3, 4]
    assert (again.seq, again.head) == (log.seq, log.head)


def test_a_full_backlog_holds_observations_back_and_never_a_receipt():
    disk = MemoryDisk()
    log = DeviceLog(disk, 1, 0, "", 0, quota_bytes=1024 * 1024)
    seen = Observation(device=DeviceObservation(1, 1, alarms=("x" * 900,)))
    while log.room_for("observation"):
        log.add("observation", seen, T, "trusted")
        log.flush(T, "trusted")
    before = log.seq
    log.add("observation", seen, T, "trusted")
    log.flush(T, "trusted")
    assert log.seq == before
    for _ in range(50):
        log.add("local-act", LocalAct("revert", "bea", "x" * 900), T, "trusted")
    log.flush(T, "trusted")
    assert [entry.kind for entry in log.tail(51)].count("local-act") == 50
    while log.room_for("event"):
        log.add("event", Event("test", "x" * 900), T, "trusted")
        log.flush(T, "trusted")
    assert sum(len(data) for data in disk.files.values()) < 2 * 1024 * 1024
    for _ in range(3):
        log.add("event", Event("test", "no room"), T, "trusted")
        log.flush(T, "trusted")
    count = log.seq
    log.ack(log.seq)
    assert log.room_for("observation")
    log.add("event", Event("test", "room again"), T, "trusted")
    log.flush(T, "trusted")
    assert log.seq == count + 2
    assert body_of(log.tail(1)[0]).data == {"count": "3"}  # how many were left out is said


def test_only_a_fitting_acknowledgement_lets_go_and_a_tail_stays():
    disk = MemoryDisk()
    log = DeviceLog(disk, 1, 0, "", 0, quota_bytes=1024 * 1024)
    for number in range(600):
        log.add("local-act", LocalAct("revert", "bea", f"{number} " + "x" * 900), T, "trusted")
        log.flush(T, "trusted")
    entry = log.entries_after(299, most=1)[0]
    assert log.ack_fault(300, entry_digest(entry)) is None
    assert log.ack_fault(300, entry.prev) is not None
    assert "future" in (log.ack_fault(601, log.head) or "")
    assert log.ack_fault(600, log.head) is None
    assert log.acked == 0
    files = len(disk.files)
    log.ack(600)
    assert not log.waiting()
    assert len(disk.files) < files
    assert log.oldest() > 1
    kept = sum(len(data) for data in disk.files.values())
    assert 128 * 1024 < kept <= 1024 * 1024 // 4 + 128 * 1024
    log.rewind(0)
    assert log.acked == log.oldest() - 1
    assert log.entries_after(log.acked)[0].seq == log.oldest()


def test_a_gap_names_every_number_once():
    log = DeviceLog(MemoryDisk(), 1, 9, "sha256:" + "0" * 64, 4)
    log.add("event", Event("test", "x"), T, "trusted")
    log.flush(T, "trusted")
    gap = body_of(log.entries_after(0)[0])
    assert isinstance(gap, Gap)
    assert (gap.first, gap.last) == (5, 9)  # up to 4 the plane has them
