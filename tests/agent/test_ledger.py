"""The ledger: two slots, damage at every byte, a disk that refuses, and the golden file of format 1."""

from __future__ import annotations

import pathlib

import pytest

from penstock.agent.disk import DiskFault, RealDisk
from penstock.agent.ledger import Book, CommandNote, Ledger, LogMark, Wanted, memory_of, with_memory
from penstock.agent.memorydisk import MemoryDisk, PowerCut
from penstock.rules.memory import AppMemory, Change, Good, NetworkNote, Pin, Refused, Snapshot, Unit, VolumeNote, Watch
from penstock.wire.codec import decode, encode
from penstock.wire.messages import Authorisation, Command, Endpoint
from penstock.wire.record import replace
from penstock.wire.trust import Held
from tests.agent.stage import DEVICE, digest, simple

GOLDEN = pathlib.Path(__file__).parent / "golden" / "ledger.v1.json"


def full_book() -> Book:
    """A book with something in every field, as format 1 has it. Fields added later are not set here: the golden file must go on being read."""
    change = Change(
        "chg_1", "update", "rollout", "usr_ann", digest("one"), digest("two"), digest("one"), "reverting", "1", "2", "dep_1", 1_800_000_000_000,
        "untrusted", "aut_1", "rol_1", 2, "cmd_1", True, "web", ("line_new",), ("line_net",), ("copy.tar",), ("web",),
        Watch(1, 2), Watch(3, 4), Watch(5, 6), 2, "not healthy", "bea", True, False,
    )  # fmt: skip
    memory = AppMemory(
        "line", "dep_1", digest("two"), (Good(digest("one"), "1", 5),),
        (Unit("web", "tok_1", digest("spec"), digest("two"), "c" * 64, "boot", True, 3, 2),),
        (NetworkNote("line_net", digest("net")),), (VolumeNote("line_data", True, True),),
        (Snapshot("line_data", digest("one"), "copy.tar", 12),), ("penstock.local/line/web:1",), (Refused(digest("three"), "aut_0", "it failed"),),
        Pin(digest("one"), digest("two"), "bea", 7), change, "it failed", ("web user",),
    )  # fmt: skip
    return Book(
        7, DEVICE, "ab" * 16, 1, 3, "boot", Held(1, 9, digest("desired")), 1, '"etag"', (Wanted("line", digest("two")),),
        (Endpoint("https://plane.example:8443", ("pem",), "http://proxy.example"),), signed_ms=1_800_000_000_000, apps=(memory,),
        leaves=(Authorisation(1, "aut_1", DEVICE, 1, "line", digest("two"), "rol_1", 2, 1, 2, "usr_ann"),),
        commands=(CommandNote(Command(1, "cmd_1", DEVICE, 1, "revert", 1, 2, {"app": "line"}, "usr_ann"), "begun", "chg_1"),),
        refusals=(digest("bad"),), log=LogMark(12, digest("head"), 10), next_token=5, next_change=6, quarantined="a clone",
    )  # fmt: skip


def test_the_golden_ledger_of_format_1_is_still_read():
    assert decode(Book, GOLDEN.read_bytes()) == full_book()


def test_what_is_saved_is_loaded_and_slots_alternate():
    disk = MemoryDisk()
    ledger = Ledger(disk)
    assert ledger.book is None
    for turn in range(5):
        assert ledger.save(replace(full_book(), boots=turn))
        again = Ledger(disk)
        assert again.book == replace(full_book(), boots=turn, serial=turn + 1)
        assert again.recovered == ""
    assert set(disk.files) == {"ledger.a", "ledger.b"}


@pytest.mark.parametrize("slot", ["ledger.a", "ledger.b"])
def test_cut_at_every_byte_one_of_the_last_two_saves_is_there(slot):
    disk = MemoryDisk()
    ledger = Ledger(disk)
    book = Book(0, DEVICE, "00" * 16)
    ledger.save(replace(book, boots=1))
    ledger.save(replace(book, boots=2))
    whole = disk.files[slot]
    for length in range(len(whole)):
        disk.files[slot] = whole[:length]
        again = Ledger(disk)
        assert again.book is not None
        assert again.book.boots == (2 if slot == "ledger.a" else 1)
        assert slot in again.recovered
        assert again.save(replace(again.book, boots=9))  # and it goes on from there
        assert Ledger(MemoryDisk(disk.files)).book == again.book
        disk.files[slot] = whole
        other = "ledger.b" if slot == "ledger.a" else "ledger.a"
        ledger = Ledger(MemoryDisk())
        disk.files[other] = _other(book, slot)


def _other(book: Book, slot: str) -> bytes:
    """The other slot as it was before the recovery wrote into it."""
    disk = MemoryDisk()
    ledger = Ledger(disk)
    ledger.save(replace(book, boots=1))
    ledger.save(replace(book, boots=2))
    return disk.files["ledger.b" if slot == "ledger.a" else "ledger.a"]


def test_flipped_bytes_are_noticed():
    disk = MemoryDisk()
    ledger = Ledger(disk)
    ledger.save(replace(full_book(), boots=1))
    ledger.save(replace(full_book(), boots=2))
    whole = disk.files["ledger.b"]
    for at in range(0, len(whole), 7):
        disk.files["ledger.b"] = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        again = Ledger(disk)
        assert again.book is not None
        assert again.book.boots == 1


def test_a_disk_that_refuses_is_remembered_and_forgiven():
    disk = MemoryDisk()
    ledger = Ledger(disk)
    assert ledger.save(full_book())
    disk.broken = "input/output error"
    assert not ledger.save(replace(full_book(), boots=99))
    assert "input/output error" in ledger.fault
    assert Ledger(disk).book == replace(full_book(), serial=1)
    disk.broken = ""
    assert ledger.save(replace(full_book(), boots=99))
    assert ledger.fault == ""


def test_a_power_cut_while_saving_leaves_the_old_book():
    disk = MemoryDisk()
    ledger = Ledger(disk)
    ledger.save(replace(full_book(), boots=1))
    disk.cut_after = 0
    with pytest.raises(PowerCut):
        ledger.save(replace(full_book(), boots=2))
    disk.cut_after = -1
    again = Ledger(disk)
    assert again.book is not None
    assert again.book.boots == 1


def test_a_newer_format_is_not_misread():
    disk = MemoryDisk()
    Ledger(disk).save(replace(full_book(), format=2))
    again = Ledger(disk)
    assert again.book is None
    assert "newer" in again.recovered


def test_a_damaged_release_counts_as_missing():
    disk = MemoryDisk()
    ledger = Ledger(disk)
    content = digest("content")
    assert ledger.keep_release(content, simple("1"))
    name = next(name for name in disk.files if name.startswith("releases/"))
    whole = disk.files[name]
    for length in range(0, len(whole), 11):
        disk.files[name] = whole[:length]
        assert Ledger(disk).release(content) is None
    disk.files[name] = whole
    assert Ledger(disk).release(content) == simple("1")
    ledger.drop_releases(frozenset())
    assert name not in disk.files


def test_memories_are_kept_by_app_and_forgotten_when_empty():
    book = Book(1, DEVICE, "00" * 16)
    one = AppMemory("one", running=digest("1"))
    two = AppMemory("two", running=digest("2"))
    book = with_memory(with_memory(book, one), two)
    assert memory_of(book, "one") == one
    assert memory_of(book, "three") == AppMemory("three")
    book = with_memory(book, AppMemory("one"))
    assert book.apps == (two,)


def test_the_real_disk_replaces_appends_lists_and_says_what_is_wrong(tmp_path):
    disk = RealDisk(str(tmp_path))
    assert disk.read("a") is None
    disk.write("log/a", b"1")
    disk.write("log/a", b"22")
    disk.append("log/b", b"3")
    disk.append("log/b", b"4")
    assert (disk.read("log/a"), disk.read("log/b"), disk.names("log")) == (b"22", b"34", ("a", "b"))
    assert disk.names("nothing") == ()
    disk.remove("log/a")
    disk.remove("log/a")
    assert disk.names("log") == ("b",)
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0
    assert (tmp_path / "log" / "b").stat().st_mode & 0o077 == 0
    (tmp_path / "folder").mkdir()
    with pytest.raises(DiskFault, match="folder"):
        disk.write("folder", b"x")


def test_a_full_device_is_told_apart():
    with pytest.raises(DiskFault) as caught:
        RealDisk("/dev").append("full", b"x")
    assert caught.value.full
    assert "free some space" in caught.value.why


def test_the_book_fits_the_codec_both_ways():
    assert decode(Book, encode(full_book())) == full_book()
