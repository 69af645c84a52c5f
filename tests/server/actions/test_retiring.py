"""A device leaves the fleet: by an order that it carries out, or at once; what is on record is what was heard, and no more."""

from __future__ import annotations

import pytest

from penstock.server.actions import commands, deployments, devices, enrolments, events, joins, retiring
from penstock.server.actions.retiring import LAST_WORD_MS, ORDER_MS
from penstock.server.api.agent import AgentApi
from penstock.server.core.errors import Conflict, Invalid, Stale
from penstock.server.core.model import Target
from penstock.wire.log import CommandOutcome, Event
from tests.server.paper import PaperDevice, straight
from tests.server.planes import ADMIN, a_release, a_site, make_plane, turn, work_off


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    a_site(made)
    yield made
    made.db.close()


@pytest.fixture
def api(plane):
    made = AgentApi(plane)
    yield made
    made.close()


@pytest.fixture
def line(plane):
    return joins.create_join(plane, ADMIN, site="plant-1", uses=5, expires_s=86_400, auto_approve=True, labels={}, title="").join


@pytest.fixture
def press(plane, api, line):
    device = PaperDevice(straight(api), "press", clock=plane.clock.now_ms)
    device.ask(line)
    device.say_device()
    device.report()
    device.poll()
    return device


def view(plane, device="press"):
    return devices.get_device(plane, ADMIN, device=device)


def order(plane, press, wipe="apps"):
    retiring.retire(plane, ADMIN, device="press", revision=view(plane).device.revision, reason="scrapped", wipe=wipe)
    press.poll()
    return press.commands[-1]


def begins(press, command):
    press.write("event", Event("device.retiring", "line will be removed", data={"command": command.id, "data": "keep"}))
    press.report()


def test_the_order_is_heard_carried_out_and_ends_in_a_record(plane, press):
    command = order(plane, press, "data")
    assert (command.verb, command.arguments, command.by) == ("wipe", {"data": "wipe"}, "ada")
    assert view(plane).device.state == "active"
    begins(press, command)
    assert view(plane).retirement.heard_ms
    press.write("command-outcome", CommandOutcome(command.id, "wipe", "done", "apps removed: line; volumes removed with their data: line_data"))
    press.report()
    held = view(plane).retirement
    assert (held.outcome, bool(held.wiped_ms), view(plane).device.state) == ("ordered", True, "active")
    press.write("event", Event("device.retired", "its keys are destroyed", data={"command": command.id}))
    press.report()  # which is still answered: the last word must be heard
    found = view(plane, press.id)
    assert found.device.state == "retired"
    assert found.retirement.outcome == "wiped"
    assert found.retirement.destroyed_ms
    assert "line_data" in found.retirement.said
    assert "scrapped" in found.device.why
    assert press.poll().status == 401
    assert press.open_session().status == 403
    verbs = [one.verb for one in events.latest_events(plane, ADMIN, subject=press.id).items]
    assert verbs[:2] == ["device.retired", "device.retire-ordered"]


def test_a_signed_copy_of_the_order_is_good_for_an_hour_only(plane, press):
    command = order(plane, press)
    assert command.not_after_ms - command.issued_ms == 3_600_000
    turn(plane, 40 * 86_400_000)
    press.etag, press.token = "", ""
    press.poll()
    again = press.commands[-1]
    assert again.id == command.id
    assert again.issued_ms == plane.clock.now_ms()


def test_taken_back_before_it_was_heard_the_device_stays(plane, press):
    order(plane, press)
    retiring.cancel(plane, ADMIN, device="press", reason="it was the other one")
    press.poll()
    assert press.commands == ()
    assert view(plane).retirement.outcome == "cancelled"
    assert view(plane).device.state == "active"
    with pytest.raises(Conflict, match="not ordered"):
        retiring.cancel(plane, ADMIN, device="press")
    order(plane, press)  # and may be ordered again


def test_once_heard_it_is_too_late(plane, press):
    begins(press, order(plane, press))
    with pytest.raises(Conflict, match="has heard"):
        retiring.cancel(plane, ADMIN, device="press")


def test_one_order_at_a_time_and_one_revision(plane, press):
    revision = view(plane).device.revision
    order(plane, press)
    with pytest.raises(Stale):
        retiring.retire(plane, ADMIN, device="press", revision=revision, reason="x", wipe="nothing")
    with pytest.raises(Conflict, match="already"):
        retiring.retire(plane, ADMIN, device="press", revision=view(plane).device.revision, reason="x", wipe="apps")
    with pytest.raises(Invalid, match="nothing, apps, data"):
        retiring.retire(plane, ADMIN, device="press", revision=1, reason="x", wipe="all")


def test_at_once_says_that_nothing_was_wiped(plane, press):
    retiring.retire(plane, ADMIN, device="press", revision=1, reason="stolen")
    found = view(plane, press.id)
    assert (found.device.state, found.retirement.outcome) == ("retired", "not-wiped")
    assert "nothing was wiped" in found.retirement.said
    with pytest.raises(Conflict, match="already"):
        retiring.retire(plane, ADMIN, device=press.id, revision=2, reason="again")


def test_at_once_ends_an_order_that_was_never_heard(plane, press):
    command = order(plane, press)
    retiring.retire(plane, ADMIN, device="press", revision=view(plane).device.revision, reason="stolen after all")
    found = view(plane, press.id)
    assert found.retirement.outcome == "not-wiped"
    assert "never heard again" in found.retirement.said
    assert commands.get_command(plane, ADMIN, command=command.id).outcome == "expired"


def test_at_once_after_it_began_claims_nothing(plane, press):
    begins(press, order(plane, press))
    retiring.retire(plane, ADMIN, device="press", revision=view(plane).device.revision, reason="gone")
    assert "did not say how it ended" in view(plane, press.id).retirement.said


def test_never_heard_while_the_order_stood_it_is_retired_and_not_wiped(plane, press):
    order(plane, press)
    turn(plane, ORDER_MS - 1000)
    assert retiring.settle(plane) == 0
    turn(plane, 2000)
    assert retiring.settle(plane) == 1
    assert retiring.settle(plane) == 0
    found = view(plane, press.id)
    assert (found.device.state, found.retirement.outcome) == ("retired", "not-wiped")
    assert "never heard again" in found.retirement.said


def test_a_last_word_that_never_comes_is_not_made_up(plane, press):
    command = order(plane, press)
    begins(press, command)
    press.write("command-outcome", CommandOutcome(command.id, "wipe", "done", "apps removed: none"))
    press.report()
    turn(plane, LAST_WORD_MS + 1000)
    assert retiring.settle(plane) == 1
    found = view(plane, press.id)
    assert (found.device.state, found.retirement.outcome, found.retirement.destroyed_ms) == ("retired", "wiped", 0)
    assert "could not say" in found.retirement.said


def test_a_device_that_refuses_stays(plane, press):
    command = order(plane, press)
    press.write("command-outcome", CommandOutcome(command.id, "wipe", "refused", "it lapsed"))
    press.report()
    assert (view(plane).device.state, view(plane).retirement.outcome) == ("active", "refused")


def test_words_about_another_order_count_for_nothing(plane, press):
    order(plane, press)
    press.write("event", Event("device.retiring", "x", data={"command": "cmd_other"}))
    press.write("command-outcome", CommandOutcome("cmd_other", "wipe", "done", "x"))
    press.write("event", Event("device.retired", "x", data={"command": "cmd_other"}))
    press.report()
    held = view(plane).retirement
    assert (held.heard_ms, held.wiped_ms, view(plane).device.state) == (0, 0, "active")


def test_a_device_that_was_told_nothing_cannot_retire_itself(plane, press):
    press.write("event", Event("device.retired", "x"))
    press.report()
    assert view(plane).device.state == "active"
    assert view(plane).retirement is None


def test_what_was_assigned_is_let_go_at_the_end_and_not_before(plane, press):
    release = a_release(plane)
    made = deployments.create_deployment(plane, ADMIN, name="shop", release=release.id, target=Target((press.id,)))
    work_off(plane)
    assert [one.wanted_version for one in view(plane).apps] == ["1"]
    command = order(plane, press)
    assert [one.wanted_version for one in view(plane).apps] == ["1"]
    begins(press, command)
    press.write("command-outcome", CommandOutcome(command.id, "wipe", "done", "apps removed: shop"))
    press.write("event", Event("device.retired", "gone", data={"command": command.id}))
    press.report()
    assert [one.wanted_version for one in view(plane, press.id).apps if one.wanted_version] == []
    assert made is not None


def test_new_hardware_in_its_place_ends_the_order_and_says_so(plane, api, line, press):
    command = order(plane, press)
    PaperDevice(straight(api), "press").ask(line, replaces=True)
    asked = enrolments.list_enrolments(plane, ADMIN)[0]
    enrolments.approve(plane, ADMIN, enrolment=asked.id, replace=True)
    held = view(plane).retirement
    assert (view(plane).device.state, held.outcome) == ("active", "not-wiped")
    assert "took its place" in held.said
    assert commands.get_command(plane, ADMIN, command=command.id).outcome == "expired"
