"""The brain's life of a change, end to end on the stage: every bullet of going back, drift, order, commands, storage."""

from __future__ import annotations

import pytest

from penstock.agent.memorydisk import PowerCut
from penstock.agent.work import FetchDone, Local
from penstock.rules.observed import ObservedContainer
from penstock.wire.options import Options
from penstock.wire.types import Dependency, Network, NetworkUse, content_digest
from tests.agent.stage import DEVICE, Stage, app, checked, config_of, deployed, simple
from tests.agent.tinyengine import Act


def test_a_first_deployment_is_fetched_applied_seen_and_soaked():
    stage = deployed()
    assert stage.running() == {"line-db-1": "db", "line-web-1": "web1"}
    assert [one.verdict for one in stage.plane.receipts()] == ["soaked"]
    assert stage.app()["phase"] == "soaked"
    assert stage.app()["version"] == "1"


def test_at_rest_nothing_is_written_and_nothing_restarted():
    stage = deployed()
    stage.run(60)
    writes, did = stage.disk.changes, list(stage.engine.did)
    stage.run(4 * 3600)
    assert stage.disk.changes == writes
    assert stage.engine.did == did


def test_an_update_leaves_unchanged_services_alone():
    stage = deployed()
    before = next(box for box in stage.engine.boxes.values() if box.order.service.name == "db")
    stage.want(simple("2"))
    stage.run(120)
    assert stage.running() == {"line-db-1": "db", "line-web-1": "web2"}
    assert before.starts == 1
    assert before.id in stage.engine.boxes
    assert [one.verdict for one in stage.plane.receipts()] == ["soaked", "soaked"]
    back = stage.app()["way_back"]
    assert back["ok"]
    assert back["version"] == "1"


def test_a_device_node_that_is_plugged_in_is_told_and_one_that_flickers_not_each_time():
    stage = deployed()

    def told():
        return [one.device.facts.nodes for one in stage.plane.bodies("observation") if one.device is not None]

    assert set(told()) == {None}, "what cannot be told is not told"
    stage.nodes = ("/dev/ttyUSB0",)
    stage.run(600)
    stage.nodes = ("/dev/ttyUSB0", "/dev/video0")
    stage.run(600)
    assert [one for one in told() if one is not None] == [("/dev/ttyUSB0",), ("/dev/ttyUSB0", "/dev/video0")]
    before = len(told())
    for turn in range(20):
        stage.nodes = ("/dev/ttyUSB0",) * (turn % 2)
        stage.brain.local(Local("poll"), stage.now())
        stage.run(2)
    assert len(told()) - before <= 2
    stage.nodes = ("/dev/ttyUSB0",)
    stage.run(600)
    assert told()[-1] == ("/dev/ttyUSB0",), "what it is in the end is told"


def inside(version: str):
    """The app in which web stays the same and lives in the namespaces of db, whose image follows the version."""
    return app(
        version,
        checked("db", f"db{version}", networks=(NetworkUse("net"),)),
        checked("web", "web", options=Options(network_mode="service:db"), depends_on=(Dependency("db", restart=True),)),
        networks=(Network("net"),),
    )


def test_a_service_inside_another_is_made_anew_with_it():
    stage = Stage()
    stage.want(inside("1"))
    stage.run(120)
    assert stage.app()["phase"] == "soaked"
    assert not stage.app().get("drift")
    first = {box.order.service.name: box for box in stage.engine.boxes.values()}
    assert first["web"].order.services == {"db": "line-db-1"}
    stage.want(inside("2"))
    stage.run(120)
    assert stage.app()["phase"] == "soaked"
    second = {box.order.service.name: box for box in stage.engine.boxes.values()}
    assert {name for name in second if second[name].id == first[name].id} == set(), "web too, though nothing in it changed"
    assert stage.running() == {"line-db-1": "db2", "line-web-1": "web"}


def test_a_release_that_never_gets_healthy_goes_back_by_itself_with_its_data_and_without_the_plane():
    stage = deployed("1", policy="snapshot")
    stage.engine.volumes["line_data"]["file"] = "kept"
    stage.engine.acts[config_of("web2")] = Act(healthy_after_ms=-1, writes=("file", "spoiled"))
    stage.want(simple("2", policy="snapshot"))
    stage.run(3)
    stage.plane.up = False
    stage.run(10)
    assert stage.engine.volumes["line_data"]["file"] == "spoiled"
    stage.run(60)
    assert stage.running() == {"line-db-1": "db", "line-web-1": "web1"}
    assert stage.engine.volumes["line_data"]["file"] == "kept"
    assert stage.app()["phase"] == "failed"
    stage.plane.up = True
    stage.run(900)
    last = stage.plane.receipts()[-1]
    assert last.verdict == "failed-reverted"
    assert "not healthy within 20 s" in last.why
    assert stage.running()["line-web-1"] == "web1"  # not tried again under the same leave


def test_a_refused_release_is_tried_again_under_another_leave():
    stage = deployed()
    stage.engine.acts[config_of("web2")] = Act(healthy_after_ms=-1)
    stage.want(simple("2"))
    stage.run(120)
    assert stage.running()["line-web-1"] == "web1"
    stage.engine.acts.clear()
    stage.want(simple("2"))
    stage.run(120)
    assert stage.running()["line-web-1"] == "web2"
    assert stage.plane.receipts()[-1].verdict == "soaked"


def test_a_first_installation_that_fails_leaves_nothing_but_volumes_that_held_data():
    stage = Stage()
    stage.engine.volumes["line_data"] = {"old": "data"}
    stage.engine.acts[config_of("web1")] = Act(healthy_after_ms=-1)
    stage.want(simple("1", policy="compatible"))
    stage.run(120)
    assert stage.engine.boxes == {}
    assert stage.engine.networks == {}
    assert stage.engine.images == {}
    assert stage.engine.volumes == {"line_data": {"old": "data"}}
    assert stage.plane.receipts()[-1].verdict == "failed-unchanged"


def test_a_first_installation_that_fails_removes_the_volumes_it_made():
    stage = Stage()
    stage.engine.acts[config_of("web1")] = Act(healthy_after_ms=-1, writes=("a", "b"))
    stage.want(simple("1", policy="compatible"))
    stage.run(120)
    assert stage.engine.volumes == {}


def test_a_container_that_cannot_start_fails_the_change_at_once():
    stage = deployed()
    stage.engine.acts[config_of("web2")] = Act(start_fails="no such command")
    stage.want(simple("2"))
    stage.run(15)
    assert stage.running()["line-web-1"] == "web1"
    assert "no such command" in stage.plane.receipts()[-1].why


def test_a_crash_after_the_start_goes_back_after_a_few_tries():
    stage = deployed()
    stage.engine.acts[config_of("web2")] = Act(exit_after_ms=100, exit_code=3)
    stage.want(simple("2"))
    stage.run(60)
    assert stage.running()["line-web-1"] == "web1"
    assert "exit code 3" in stage.plane.receipts()[-1].why


def test_without_leave_it_fetches_and_does_not_apply():
    stage = deployed()
    stage.want(simple("2"), leave=False)
    stage.run(300)
    assert stage.running()["line-web-1"] == "web1"
    assert stage.app()["phase"] == "waiting"
    assert "leave" in stage.app()["why"]
    assert any("web2" in tag for _, tags in stage.engine.images.values() for tag in tags)


def test_a_leave_that_lapses_while_the_device_is_dark_opens_nothing():
    stage = deployed()
    stage.want(simple("2"), leave=False)
    stage.plane.leave("line", content_digest(simple("2")), span_ms=30_000)
    stage.engine.down = "the socket is gone"
    stage.run(20)
    stage.plane.up = False
    stage.run(100)
    stage.engine.down = ""
    stage.run(600)
    assert stage.running()["line-web-1"] == "web1"
    assert stage.app()["phase"] in ("waiting", "fetching")


def test_a_person_goes_back_and_it_stays_so_until_the_plane_agrees():
    stage = deployed()
    stage.want(simple("2"))
    stage.run(120)
    stage.plane.up = False
    reply = stage.brain.local(Local("revert", "line", by="bea"), stage.now())
    assert reply.ok, reply.why
    stage.run(60)
    assert stage.running()["line-web-1"] == "web1"
    stage.plane.up = True
    stage.want(simple("2"))  # a fresh leave does not overrule the person
    stage.run(900)
    assert stage.running()["line-web-1"] == "web1"
    assert stage.app().get("pinned")
    last = stage.plane.receipts()[-1]
    assert (last.kind, last.cause, last.by, last.verdict) == ("revert", "local", "bea", "soaked")
    stage.plane.order("accept-pin", app="line")
    stage.run(200)
    assert not stage.app().get("pinned")
    assert stage.plane.bodies("command-outcome")[-1].outcome == "done"


def test_what_the_engine_started_again_between_two_looks_soaks_anew():
    stage = deployed()
    stage.want(simple("2", soak_s=60))
    while stage.app()["phase"] != "confirmed":
        stage.run(1)
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    for _ in range(2):
        stage.run(45)
        assert stage.app()["phase"] == "confirmed"
        box.restarts += 1  # it ended and runs again, and nobody looked in between
        stage.run(2)
    assert len(stage.plane.receipts()) == 1
    stage.run(50)
    assert stage.app()["phase"] == "confirmed"
    stage.run(30)
    assert stage.plane.receipts()[-1].verdict == "soaked"


def test_what_ends_again_and_again_never_soaks():
    stage = deployed(policy="compatible")
    stage.want(simple("2", policy="compatible", soak_s=60))
    while stage.app()["phase"] != "confirmed":
        stage.run(1)
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    for _ in range(3):
        stage.run(40)
        box.restarts += 1
    stage.run(60)
    assert stage.plane.receipts()[-1].verdict == "failed-reverted"
    assert "keeps ending" in stage.plane.receipts()[-1].why


def test_a_person_takes_back_a_change_that_is_still_soaking():
    stage = deployed("1", policy="snapshot")
    stage.engine.volumes["line_data"]["file"] = "kept"
    stage.engine.acts[config_of("web2")] = Act(writes=("file", "new"))
    stage.want(simple("2", policy="snapshot", soak_s=1000))
    stage.run(30)
    assert stage.app()["phase"] == "confirmed"
    reply = stage.brain.local(Local("revert", "line", by="bea"), stage.now())
    assert reply.ok
    stage.run(60)
    assert stage.running()["line-web-1"] == "web1"
    assert stage.engine.volumes["line_data"]["file"] == "kept"
    assert stage.app().get("pinned")
    assert stage.plane.receipts()[-1].by == "bea"


def test_going_back_after_the_soak_restores_the_copy_and_can_itself_go_back():
    stage = deployed("1", policy="snapshot")
    stage.engine.volumes["line_data"]["file"] = "one"
    stage.engine.acts[config_of("web2")] = Act(writes=("file", "two"))
    stage.want(simple("2", policy="snapshot"))
    stage.run(120)
    assert stage.engine.volumes["line_data"]["file"] == "two"
    stage.engine.acts[config_of("web1")] = Act(healthy_after_ms=-1)
    stage.brain.local(Local("revert", "line", by="bea"), stage.now())
    stage.run(10)
    assert stage.engine.volumes["line_data"]["file"] == "one"
    stage.run(120)
    assert stage.running()["line-web-1"] == "web2"
    assert stage.engine.volumes["line_data"]["file"] == "two"


def test_a_newer_release_before_the_soak_does_not_become_the_way_back():
    stage = deployed("1", policy="snapshot")
    stage.engine.volumes["line_data"]["file"] = "one"
    stage.engine.acts[config_of("web2")] = Act(writes=("file", "two"))
    stage.want(simple("2", policy="snapshot", soak_s=5000))
    stage.run(60)
    stage.engine.acts[config_of("web3")] = Act(healthy_after_ms=-1, writes=("file", "three"))
    stage.want(simple("3", policy="snapshot"))
    stage.run(120)
    assert stage.running()["line-web-1"] == "web1"
    assert stage.engine.volumes["line_data"]["file"] == "one"
    assert [one.verdict for one in stage.plane.receipts()] == ["soaked", "superseded", "failed-reverted"]


def test_irreversible_data_is_never_taken_back_by_the_machine():
    stage = deployed("1", policy="irreversible")
    stage.engine.acts[config_of("web2")] = Act(healthy_after_ms=-1)
    stage.want(simple("2", policy="irreversible"))
    stage.run(120)
    assert stage.running()["line-web-1"] == "web2"
    assert stage.plane.receipts()[-1].verdict == "failed-left"
    assert "irreversible" in stage.plane.receipts()[-1].why


def test_what_was_pruned_is_brought_back_from_the_own_copies():
    stage = deployed()
    stage.engine.acts[config_of("web2")] = Act(healthy_after_ms=-1)
    stage.want(simple("2"))
    stage.run(4)
    stage.plane.up = False
    stage.engine.prune_all()
    stage.run(90)
    assert stage.running()["line-web-1"] == "web1"


def test_a_correction_whose_image_nobody_has_waits_and_is_not_begun_again_and_again():
    stage = deployed()
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    box.settings_changed = {"user": "root"}
    stage.engine.images.clear()
    stage.blobs.blobs.clear()
    stage.plane.have_blobs = False
    written, told = stage.disk.changes, len(stage.plane.receipts())
    stage.run(600)
    assert stage.disk.changes - written < 60
    assert len(stage.plane.receipts()) == told, "no change was begun in vain"
    assert "publish version 1 again" in stage.app()["why"], stage.app()
    assert box.id in stage.engine.boxes, "nothing was taken down for it"
    stage.plane.have_blobs = True
    stage.run(4000)
    assert stage.plane.receipts()[-1].kind == "recreate"
    assert box.id not in stage.engine.boxes


def test_no_way_back_is_said_and_the_change_refused():
    stage = deployed()
    stage.want(simple("2"))
    stage.run(120)
    stage.blobs.blobs.clear()
    stage.engine.prune_all()
    stage.plane.have_blobs = False
    stage.run(120)
    assert not stage.app()["way_back"]["ok"]
    reply = stage.brain.local(Local("revert", "line", by="bea"), stage.now())
    assert not reply.ok
    assert "no way back" in reply.why


def test_a_stopped_container_is_started_again():
    stage = deployed()
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    box.state, box.exit_code = "exited", 137
    stage.run(90)
    assert "line-web-1" in stage.running()
    assert len(stage.plane.receipts()) == 1  # starting is no change


def test_a_stopped_container_is_only_reported_where_the_deployment_says_so():
    stage = deployed("1", drift="report")
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    box.state, box.exit_code = "exited", 137
    stage.run(200)
    assert "line-web-1" not in stage.running()
    assert stage.app()["drift"]


def test_a_removed_container_is_made_again():
    stage = deployed()
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    del stage.engine.boxes[box.id]
    stage.run(90)
    assert "line-web-1" in stage.running()
    stage.hear()
    told = [item for one in stage.plane.bodies("observation") if one.app is not None for item in one.app.drift]
    assert [(item.service, item.field, item.seen) for item in told] == [("web", "container", "(missing)")], "told although it was put right at once"


def test_other_settings_are_explained_and_corrected_with_a_receipt():
    stage = deployed()
    box = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    box.settings_changed = {"user": "root"}
    stage.run(120)
    receipt = stage.plane.receipts()[-1]
    assert (receipt.kind, receipt.cause, receipt.verdict) == ("recreate", "drift", "done")
    told = [item for one in stage.plane.bodies("observation") if one.app is not None for item in one.app.drift]
    assert [(item.field, item.seen) for item in told] == [("user", "root")]
    assert "user" in stage.plane.bodies("event")[-1].why or any("web user" in one.why for one in stage.plane.bodies("event"))
    fresh = next(box for box in stage.engine.boxes.values() if box.order.service.name == "web")
    assert fresh.id != box.id


def test_an_engine_that_shows_a_setting_otherwise_from_the_start_is_not_worked_against_for_ever():
    stage = deployed()
    create = stage.engine.create

    def crooked(order):
        made = create(order)
        if order.service.name == "web":
            stage.engine.boxes[made].settings_changed = {"user": "root"}
        return made

    stage.engine.create = crooked  # type: ignore[method-assign]
    stage.engine.boxes[next(box.id for box in stage.engine.boxes.values() if box.order.service.name == "web")].settings_changed = {"user": "root"}
    before = stage.engine.number
    stage.run(600)
    assert "line-web-1" in stage.running()
    assert stage.engine.number - before == 2, "made anew, and once more in case the first was cut short"
    assert any("reported only" in item["action"] for item in stage.app()["drift"])


def test_strangers_with_our_labels_are_named_and_left_alone():
    stage = deployed()
    stage.engine.strangers.append(ObservedContainer("f" * 64, "copycat", "running", "sha256:0", labels={"penstock.device": DEVICE, "penstock.app": "line"}))
    stage.run(120)
    assert "copycat" in stage.status()["observation"]["strangers"][0]
    assert any("copycat" in item["seen"] for item in stage.app()["drift"])
    assert len(stage.plane.receipts()) == 1


def test_a_name_that_is_taken_is_said_and_left_alone():
    stage = Stage()
    stage.engine.strangers.append(ObservedContainer("f" * 64, "line-web-1", "running", "sha256:0"))
    stage.want(simple("1"))
    stage.run(120)
    assert stage.engine.boxes == {}
    assert "line-web-1" in stage.plane.receipts()[-1].why


def test_after_a_reboot_without_network_everything_starts_again():
    stage = deployed()
    stage.plane.up = False
    stage.reboot()
    stage.run(60)
    assert stage.running() == {"line-db-1": "db", "line-web-1": "web1"}


def test_commands_are_done_once_with_an_outcome():
    stage = deployed()
    stage.plane.order("restart", app="line", service="web")
    stage.plane.order("logs", app="line", service="web")
    stage.plane.order("inspect", app="line", service="nope")
    stage.plane.order("refresh")
    stage.run(200)
    outcomes = {one.verb: one for one in stage.plane.bodies("command-outcome")}
    assert {verb: one.outcome for verb, one in outcomes.items()} == {"restart": "done", "logs": "done", "inspect": "failed", "refresh": "done"}
    assert outcomes["logs"].output == "hello"
    assert stage.engine.did.count("restart line-web-1") == 1
    stage.run(900)
    assert len(stage.plane.bodies("command-outcome")) == 4


def test_a_command_from_afar_goes_back():
    stage = deployed()
    stage.want(simple("2"))
    stage.run(120)
    stage.plane.order("revert", app="line")
    stage.run(120)
    assert stage.running()["line-web-1"] == "web1"
    assert stage.plane.bodies("command-outcome")[-1].outcome == "done"
    assert not stage.app().get("pinned")


def test_a_command_that_lapsed_is_refused():
    stage = deployed()
    stage.plane.up = False
    stage.plane.order("restart", span_ms=10_000, app="line", service="web")
    stage.run(100)
    stage.plane.up = True
    stage.run(900)
    assert stage.plane.bodies("command-outcome")[-1].outcome == "refused"
    assert "restart line-web-1" not in stage.engine.did


def test_unwritable_storage_stops_changes_and_nothing_else():
    stage = deployed()
    stage.disk.broken = "input/output error"
    stage.want(simple("2"))
    stage.run(300)
    assert stage.running()["line-web-1"] == "web1"
    assert any("storage" in one for one in stage.status()["alarms"])
    stage.disk.broken = ""
    stage.run(300)
    assert stage.running()["line-web-1"] == "web2"


def test_after_a_reboot_on_an_unwritable_disk_what_should_run_is_started():
    stage = deployed()
    stage.disk.broken = "read-only file system"
    stage.reboot()
    stage.run(120)
    assert stage.running() == {"line-db-1": "db", "line-web-1": "web1"}


@pytest.mark.parametrize("mended", ["the plane has them", "they are not wanted"])
def test_the_alarm_about_a_fetch_ends_with_its_reason(mended):
    stage = deployed()
    stage.plane.have_blobs = False
    stage.want(simple("2"))
    stage.run(60)
    assert any("not there" in alarm for alarm in stage.status()["alarms"])
    stage.plane.have_blobs = mended == "the plane has them"
    stage.want(simple("2" if stage.plane.have_blobs else "1"))
    stage.run(4_000)
    assert stage.status()["alarms"] == []


def test_what_was_fetched_is_not_fetched_again_while_a_long_step_keeps_the_next_look_waiting():
    stage = deployed()
    stage.engine.images.clear()
    stage.blobs.blobs.clear()
    stage.want(simple("2"))
    fetch = None
    while fetch is None:
        call = stage.brain.link_work(stage.now())
        if call is not None:
            stage.brain.done(call, stage.plane.answer(call), stage.now())
        look = stage.brain.engine_work(stage.now())
        if look is not None:
            stage.brain.done(look, stage.hands.perform(look), stage.now())
        stage.mono += 100
        fetch = stage.brain.fetch_work(stage.now())
    stage.brain.done(fetch, FetchDone(True, fetched=()), stage.now())
    assert stage.brain.fetch_work(stage.now()) is None


@pytest.mark.parametrize(("away_s", "runs", "verdict"), [(5, "web2", "soaked"), (600, "web1", "failed-reverted")])
def test_half_a_change_waits_a_little_for_the_time_from_the_plane(away_s, runs, verdict):
    """Interrupted on a device whose clock nobody keeps: whether the leave still holds is for the plane's word; without it, it goes back."""
    stage = deployed()
    stage.clock = "untrusted"
    stage.want(simple("2"))
    stage.kill_after = stage.performed + 6
    with pytest.raises(PowerCut):
        stage.run(60)
    assert "line-web-1" not in stage.running()
    stage.kill_after = -1
    stage.plane.up = False
    stage.start()
    stage.run(away_s)
    stage.plane.up = True
    stage.hear()
    stage.run(120)
    stage.hear()
    stage.run(5)
    assert stage.running()["line-web-1"] == runs
    receipt = stage.plane.receipts()[-1]
    assert (receipt.to_version, receipt.verdict) == ("2", verdict)


def test_an_engine_that_does_not_answer_is_waited_for():
    stage = deployed()
    stage.engine.down = "connection refused"
    stage.run(600)
    assert stage.disk.changes < 100
    assert any("connection refused" in one for one in stage.status()["alarms"])
    stage.engine.down = ""
    stage.run(120)
    assert stage.app()["phase"] == "soaked"
    assert len(stage.plane.receipts()) == 1
