"""What devices log arrives exactly once, or its loss is named: repeats, holes, forks, clones, rolled-back machines, restarts in between."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.actions import devices, events, housekeeping, timeline
from penstock.server.api.agent import AgentApi
from penstock.server.store import log
from penstock.wire.codec import decode
from penstock.wire.log import Boot, DeviceObservation, Event, Gap, Observation
from penstock.wire.messages import Engine, Report, ReportReply
from penstock.wire.record import replace
from tests.server.actions.test_main_path import let_in
from tests.server.paper import FACTS, straight
from tests.server.planes import ADMIN, make_plane

NUMBERS = itertools.count(1)


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def api(plane):
    made = AgentApi(plane)
    yield made
    made.close()


def held(plane, device):
    lines = plane.db.view(lambda tx: log.newest(tx, device.id, None, (), 10_000))
    return [(line.branch, line.seq) for line in reversed(lines)]


def talk(device, count=3):
    for number in range(count):
        device.write("event", Event(f"test.{len(device.log)}", f"event {number}"))


def test_repeats_and_overlaps_are_stored_once(plane, api):
    device = let_in(plane, api)
    talk(device, 5)
    assert device.report().expect == 7
    for first, last in ((0, 6), (0, 3), (2, 6), (5, 6)):
        answer = device.send(tuple(device.log[first:last]))
        assert decode(ReportReply, answer.body).expect == 7
    talk(device, 2)
    assert decode(ReportReply, device.send(tuple(device.log[3:])).body).expect == 9
    assert held(plane, device) == [(0, seq) for seq in range(1, 9)]


def test_a_hole_is_asked_for_and_then_named(plane, api):
    device = let_in(plane, api)
    talk(device, 6)
    first = decode(ReportReply, device.send(tuple(device.log[3:])).body)
    assert (first.expect, "1 to 3 have not arrived" in first.why) == (1, True)
    assert held(plane, device) == []
    again = decode(ReportReply, device.send(tuple(device.log[3:])).body)
    assert again.expect == 8
    assert held(plane, device) == [(0, seq) for seq in range(4, 8)]
    lost = [event for event in events.list_events(plane, ADMIN, subject=device.id) if event.verb == "log.entries-lost"]
    assert [(event.data["first"], event.data["last"]) for event in lost] == [("1", "3")]
    assert devices.get_device(plane, ADMIN, device=device.id).status.lost == 3


def test_a_gap_named_by_the_device_is_taken_at_once(plane, api):
    device = let_in(plane, api)
    talk(device, 2)
    device.report()
    device.write("gap", Gap(4, 9, "storage was damaged"), seq=10)
    talk(device, 1)
    assert device.report().expect == 12
    assert [seq for _, seq in held(plane, device)] == [1, 2, 3, 10, 11]
    lost = [event for event in events.list_events(plane, ADMIN, subject=device.id) if event.verb == "log.entries-lost"]
    assert [(event.data["first"], event.data["last"], event.reason) for event in lost] == [("4", "9", "storage was damaged")]


def test_a_clone_is_quarantined_and_a_person_decides(plane, api):
    device = let_in(plane, api)
    talk(device)
    device.report()
    twin_log, twin_acked = list(device.log), device.acked
    talk(device)
    device.report()
    mine = list(device.log)
    # the clone goes on from the same disk
    device.log, device.acked = twin_log, twin_acked
    device.write("event", Event("test.clone", "I am the other one"))
    answer = device.send(tuple(device.log[-1:]))
    assert answer.status == 403
    assert b"device-quarantined" in answer.body
    view = devices.get_device(plane, ADMIN, device=device.id)
    assert view.device.state == "quarantined"
    assert "in use twice" in view.device.why
    assert view.status.severity == 100
    assert device.poll().status == 403
    assert device.open_session().status == 403
    # a person lets it go on from there: nothing of the old branch is overwritten
    devices.release_quarantine(plane, ADMIN, device=device.id, revision=view.device.revision, reason="restored VM")
    assert device.poll().status in (200, 304)
    answer = device.send(tuple(device.log[-1:]))
    assert answer.status == 200
    assert held(plane, device)[:7] == [(0, seq) for seq in range(1, 8)]
    assert held(plane, device)[7:] == [(1, 5)]
    # and the other one is caught now
    device.log, device.acked = mine, 7
    talk(device, 1)
    assert device.send(tuple(device.log[-1:])).status in (200, 403)


def test_the_leave_to_fork_is_for_the_next_report_alone(plane, api):
    """The clone is scrapped and the original goes on: a second fork, of whatever day, is caught again."""
    device = let_in(plane, api)
    talk(device)
    device.report()
    old_log, old_acked = list(device.log), device.acked
    talk(device)
    device.report()
    mine, acked = list(device.log), device.acked
    for restarted in (False, True):
        device.log, device.acked = list(old_log), old_acked
        device.write("event", Event("test.clone", f"another one {restarted}"))
        assert device.send(tuple(device.log[-1:])).status == 403
        view = devices.get_device(plane, ADMIN, device=device.id)
        assert view.device.state == "quarantined"
        devices.release_quarantine(plane, ADMIN, device=device.id, revision=view.device.revision, reason="scrapped")
        if restarted:
            plane.released.clear()
            housekeeping.load_fleet(plane)
        device.log, device.acked = mine, acked
        talk(device, 1)
        assert device.report().expect == device.log[-1].seq + 1
        mine, acked = list(device.log), device.acked
        assert plane.released == set()
        assert not devices.get_device(plane, ADMIN, device=device.id).device.accept_fork
    assert {branch for branch, _ in held(plane, device)} == {0}


def test_a_broken_report_is_refused_and_nothing_of_it_kept(plane, api):
    device = let_in(plane, api)
    talk(device, 3)
    log_ = device.log
    assert device.send((log_[0], log_[2])).status == 422
    assert device.send((log_[1], log_[0])).status == 422
    forged = device.signed("report", Report(1, "dev_other", 1, 1, 0, tuple(log_)))
    answer = device.call("POST", "/d/v1/report", {"authorization": f"Bearer {device.token}"}, forged)
    assert (answer.status, b"report-wrong-device" in answer.body) == (422, True)
    answer = device.call("POST", "/d/v1/report", {"authorization": f"Bearer {device.token}"}, b"{}" + forged)
    assert answer.status == 422
    assert held(plane, device) == []
    assert device.report().expect == 5


def test_an_entry_nobody_understands_is_kept_and_named(plane, api):
    device = let_in(plane, api)
    device.write("event", Event("x", "y"))
    entry = device.log.pop()
    device.log.append(replace(entry, kind="receipt"))
    assert device.report().expect == 3
    assert "log.entry-unread" in [event.verb for event in events.list_events(plane, ADMIN, subject=device.id)]
    shown = timeline.timeline(plane, ADMIN, device=device.id, kinds=("receipt",)).items
    assert "another version" in shown[0].why


def test_restarted_in_mid_report(tmp_path):
    plane = make_plane(tmp_path)
    api = AgentApi(plane)
    device = let_in(plane, api)
    talk(device, 4)
    answer = device.send(tuple(device.log))  # the answer is lost on the way
    assert answer.status == 200
    token = device.token
    plane.db.close()
    api.close()
    again = make_plane(tmp_path)
    api = AgentApi(again)
    device.call = straight(api)
    device.token = token  # sessions outlive a restart
    assert device.report().expect == 6
    assert held(again, device) == [(0, seq) for seq in range(1, 6)]
    assert device.poll().status == 304
    again.db.close()
    api.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = make_plane(tmp_path_factory.mktemp("plane"))
    api = AgentApi(made)
    yield made, api
    api.close()
    made.db.close()


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8))
def test_whatever_the_order_every_number_arrives_once(shared, cuts):
    plane, api = shared
    device = let_in(plane, api, f"press-{next(NUMBERS)}")
    talk(device, 11)
    for one, other in cuts:
        first, last = sorted((one, other))
        device.send(tuple(device.log[first:last]))
    device.report()
    device.report()
    seqs = [seq for _, seq in held(plane, device)]
    lost = devices.get_device(plane, ADMIN, device=device.id).status.lost
    assert seqs == sorted(set(seqs))
    assert len(seqs) + lost == 12
    assert seqs[-1] == 12


def test_what_was_known_of_the_engine_outlives_a_start_of_the_agent(plane, api):
    def known():
        return devices.get_device(plane, ADMIN, device=device.name).device.facts

    device = let_in(plane, api)
    whole = replace(FACTS, engine=Engine("docker", "20.10.24", "1.41"), platforms=("linux/arm/v7",))
    device.write("observation", Observation(device=DeviceObservation(1, 1, facts=whole)))
    device.report()
    assert known() == whole
    fresh = replace(FACTS, engine=None, agent="0.2.0", platforms=("linux/arm64", "linux/arm/v7"))
    device.write("boot", Boot("0.2.0", "b", fresh))
    device.report()
    assert known() == replace(whole, agent="0.2.0"), "an agent that has just started has not yet asked the engine"
    device.write("observation", Observation(device=DeviceObservation(1, 1, engine_ok=False, facts=replace(fresh, cpus=2))))
    device.write("boot", Boot("0.2.0", "b", fresh))
    device.report()
    assert known() == replace(whole, agent="0.2.0")
    newer = replace(whole, engine=Engine("docker", "28.0.0", "1.48"), agent="0.2.0")
    device.write("observation", Observation(device=DeviceObservation(1, 1, facts=newer)))
    device.write("boot", Boot("0.2.0", "b", fresh))
    device.report()
    assert known() == newer


def test_a_device_nobody_has_heard_of_yet_is_not_moving(plane, api):
    let_in(plane, api)
    counts = devices.count_devices(plane, ADMIN)
    assert counts.phases == {"none": 1}
