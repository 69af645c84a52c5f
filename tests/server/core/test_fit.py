"""Does it fit: what is certain refuses, what is likely or unknown is said, and asking for less never fits worse."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from penstock.server.core.fit import MIB, Capacity, Room, fits, reserve, room_of
from penstock.server.core.needs import Needs
from penstock.wire.options import Accelerator, Options
from penstock.wire.record import replace as replace_record
from penstock.wire.types import AppState, Blob, DeviceNode, Image, Resources, Service, Variant

GIB = 1 << 30
PI = Capacity(4 * GIB, 32 * GIB, 8 * GIB, ("linux/arm64", "linux/arm/v7"), ("/dev/ttyUSB0", "/dev/hailo0"))
SIZES = st.integers(0, 8 * GIB)
ROOMS = st.builds(Room, st.sampled_from("abc"), SIZES, SIZES, disk=SIZES, blobs=st.dictionaries(st.sampled_from("xyz"), SIZES))
HAS = st.builds(Capacity, SIZES, SIZES, SIZES)


def test_what_is_certain_refuses_in_a_sentence():
    others = [Room("broker", firm=1 * GIB)]
    assert fits(PI, Room("model", firm=3 * GIB), others).refusals == (
        "model needs 3 GiB of memory: the device has 4 GiB, of which 204.8 MiB are the system's and 1 GiB are broker's promised",
    )
    assert fits(PI, Room("model", disk=9 * GIB, blobs={"x": GIB}), others).refusals == (
        "model brings 1 GiB of images and 9 GiB of data: 8 GiB are free, of which 1.6 GiB stay so",
    )
    assert fits(PI, Room("model", architectures=("amd64",)), ()).refusals == ("model needs a processor of amd64, and this device runs arm, arm64",)
    assert fits(PI, Room("model", accelerators={"hailo": 2}), ()).refusals == ("model needs 2 of the accelerator hailo, and the device shows 1",)
    assert not fits(PI, Room("model", firm=2 * GIB, architectures=("arm",), accelerators={"hailo": 1}), others).refusals


def test_accelerators_of_several_apps_add_up():
    """Two of two that clash are told by `clashes`; three that want one each of two are not a clash of any pair."""
    has = replace(PI, nodes=("/dev/hailo0", "/dev/hailo1"))
    one = Room("a", accelerators={"hailo": 1}, alone=frozenset({"hailo"}))
    wants = replace(one, app="c")
    assert fits(has, wants, [one]).refusals == ()
    assert fits(has, wants, [one, replace(one, app="b")]).refusals == ("c needs 1 of the accelerator hailo: the device shows 2, of which a has 1, b has 1",)
    assert fits(has, wants, [one, replace(one, app="b")], before=wants).refusals == ()
    assert fits(has, replace(wants, alone=frozenset()), [one, replace(one, app="b")]).refusals == (), "it shares"
    reserving = Service("one", "x", options=Options(accelerators=(Accelerator("nvidia", 2),)))
    state = AppState("a", "d", "r", "1", (reserving, replace_record(reserving, name="two", options=Options(accelerators=(Accelerator("nvidia", 1),)))))
    assert room_of(state, Needs(), ()).reserved == {"nvidia": 2}, "an engine gives the same to several"


def test_a_small_disk_keeps_a_quarter_free_and_no_more():
    assert Capacity(disk_bytes=120 * MIB, disk_free_bytes=1).disk_reserve == 30 * MIB
    assert Capacity(disk_bytes=4 * GIB, disk_free_bytes=1).disk_reserve == 512 * MIB
    assert Capacity(disk_bytes=0, disk_free_bytes=1).disk_reserve == 512 * MIB
    assert not fits(Capacity(disk_bytes=120 * MIB, disk_free_bytes=100 * MIB), Room("model", blobs={"x": 70 * MIB}), ()).refusals
    assert fits(Capacity(disk_bytes=120 * MIB, disk_free_bytes=100 * MIB), Room("model", blobs={"x": 71 * MIB}), ()).refusals


def test_what_is_likely_or_unknown_is_said():
    assert "more memory would be promised" in fits(PI, Room("model", limit=4 * GIB), ()).warnings[0]
    assert "unpacked perhaps 9 GiB" in fits(PI, Room("model", blobs={"x": 3 * GIB}), ()).warnings[0]
    assert "does not show" in fits(PI, Room("model", nodes=("/dev/video0",)), ()).warnings[0]
    silent = fits(Capacity(), Room("model", firm=GIB, disk=GIB, nodes=("/dev/video0",)), ())
    assert silent.refusals == ()
    assert len(silent.warnings) == 3
    assert "may take any memory" in fits(PI, Room("model", unlimited=("main",)), ()).warnings[0]


@given(HAS, ROOMS, st.lists(ROOMS, max_size=3), ROOMS)
def test_an_app_that_takes_no_more_than_before_is_never_refused(has, wants, others, before):
    same = replace(before, app=wants.app)
    less = replace(
        wants, firm=min(wants.firm, same.firm), disk=min(wants.disk, same.disk), blobs={name: size for name, size in wants.blobs.items() if name in same.blobs}
    )
    assert fits(has, less, others, same).refusals == ()


@given(HAS, ROOMS, st.lists(ROOMS, max_size=3), ROOMS)
def test_more_beside_it_never_makes_it_fit(has, wants, others, more):
    if more.app != wants.app and not more.blobs and fits(has, wants, others).refusals:
        assert fits(has, wants, [*others, more]).refusals


@given(HAS, ROOMS, st.permutations([Room("x", firm=GIB), Room("y", limit=GIB), Room("z")]))
def test_the_order_of_the_others_says_nothing(has, wants, others):
    assert fits(has, wants, others) == fits(has, wants, sorted(others, key=lambda one: one.app))
    assert reserve(has, others) == reserve(has, sorted(others, key=lambda one: one.app))


@given(HAS, st.lists(ROOMS, max_size=3, unique_by=lambda one: one.app))
def test_the_reserve_adds_up(has, rooms):
    found = reserve(has, rooms)
    if has.memory_bytes:
        assert found.memory_left + found.memory_system + sum(found.memory_promised.values()) == has.memory_bytes
        assert found.memory_system >= 128 * MIB
    else:
        assert found.memory_left == 0


def test_the_room_of_an_app():
    blob = {name: Blob("sha256:" + name * 64, size) for name, size in (("a", 1), ("b", 10), ("c", 100), ("d", 1000))}
    image = Image("i", (Variant("linux/amd64", blob["a"], blob["b"], (blob["c"],)), Variant("linux/arm64", blob["a"], blob["b"], (blob["d"],))))
    services = (
        Service("one", "i", resources=Resources(memory_bytes=64 * MIB, memory_reservation_bytes=32 * MIB), devices=(DeviceNode("/dev/x", "/dev/y"),)),
        Service("two", "i"),
    )
    state = AppState("shop", "dep", "r", "1", services, images=(image,))
    room = room_of(state, Needs(), ("linux/arm64",))
    assert (room.firm, room.limit, room.unlimited, room.nodes) == (32 * MIB, 64 * MIB, ("two",), ("/dev/x",))
    assert sum(room.blobs.values()) == 1011
    assert room_of(state, Needs(memory_bytes=GIB), ("linux/arm64",)).promised == GIB
