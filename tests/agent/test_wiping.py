"""A device that is ordered to retire: what it says first, what goes in which order, what stops it, and that a kill at any moment changes nothing."""

from __future__ import annotations

import pytest

from penstock.agent.work import Local
from tests.agent.stage import Stage, deployed, simple


def ordered(stage: Stage, data: str = "keep") -> str:
    identity = stage.plane.order("wipe", data=data)
    stage.hear()
    return identity


def story(stage: Stage) -> list[str]:
    """What the plane heard of it, in order."""
    found = []
    for entry in stage.plane.entries:
        if entry.kind == "command-outcome":
            found.append("outcome")
        elif entry.kind == "receipt" and '"uninstall"' in entry.body:
            found.append("receipt")
        elif "device.retiring" in entry.body:
            found.append("retiring")
    return found


def outcome(stage: Stage):
    return stage.plane.bodies("command-outcome")[-1]


def test_it_says_what_it_will_do_then_does_it_then_says_what_it_did():
    stage = deployed("1", policy="compatible")
    before = list(stage.running())
    ordered(stage)
    stage.run(120)
    assert before
    assert stage.running() == {}
    assert stage.engine.boxes == {}
    assert story(stage) == ["retiring", "receipt", "outcome"]
    assert outcome(stage).outcome == "done"
    assert "apps removed: line" in outcome(stage).why
    assert "volumes were kept" in outcome(stage).why
    assert stage.engine.volumes
    assert stage.engine.networks == {}
    wipe = stage.brain.parting()
    assert wipe is not None
    assert (wipe.data, wipe.by) == ("keep", "usr_ann")
    call = stage.brain.farewell(stage.now())
    assert call is not None
    stage.plane.answer(call)
    assert stage.plane.bodies("event")[-1].name == "device.retired"


def test_data_goes_only_where_that_was_ordered():
    stage = deployed("1", policy="compatible")
    ordered(stage, "wipe")
    stage.run(120)
    assert stage.engine.volumes == {}
    assert "volumes removed with their data: line_data" in outcome(stage).why
    assert stage.blobs.blobs == set()


def test_nothing_is_done_before_the_plane_has_it_in_writing():
    stage = deployed("1")
    stage.plane.lost_acks = 1_000_000
    ordered(stage)
    stage.run(600)
    assert story(stage) == ["retiring"]
    assert stage.running()
    assert stage.brain.parting() is None
    stage.plane.lost_acks = 0
    stage.run(900)
    assert stage.running() == {}


def test_taken_back_in_time_it_stays():
    stage = deployed("1")
    stage.plane.lost_acks = 1_000_000
    ordered(stage)
    stage.run(30)
    stage.plane.commands = []
    stage.plane.edition += 1
    stage.plane.lost_acks = 0
    stage.hear()
    stage.run(600)
    assert stage.running()
    assert outcome(stage).outcome == "refused"
    assert "taken back" in outcome(stage).why
    assert stage.brain.parting() is None


def test_the_plane_going_away_after_the_deed_keeps_the_key_until_it_has_heard():
    stage = deployed("1")
    ordered(stage)
    while stage.running():
        stage.mono += 0 if stage.beat() else 10
    stage.plane.up = False
    stage.run(3600)
    assert stage.brain.parting() is None
    stage.plane.up = True
    stage.run(1200)
    assert stage.brain.parting() is not None


def test_meanwhile_nobody_changes_anything_else():
    stage = deployed("1")
    stage.want(simple("2"))
    stage.run(60)
    ordered(stage)
    while stage.status()["apps"] and stage.app().get("phase") != "removing":
        stage.run(0.05)
    assert "retired" in stage.brain.local(Local("revert", "line"), stage.now()).why
    restart = stage.plane.order("restart", app="line", service="web")
    stage.plane.want(simple("3"))
    stage.hear()
    stage.run(200)
    assert stage.running() == {}
    assert restart not in [one.command for one in stage.plane.bodies("command-outcome")]
    assert stage.brain.parting() is not None


def test_an_app_in_the_middle_of_a_change_goes_too():
    stage = deployed("1")
    stage.plane.want(simple("2"))
    stage.hear()
    stage.run(2)
    ordered(stage)
    stage.run(300)
    assert stage.engine.boxes == {}
    assert stage.brain.parting() is not None


def test_an_order_without_a_word_about_data_is_refused():
    stage = deployed("1")
    stage.plane.order("wipe", data="perhaps")
    stage.hear()
    stage.run(60)
    assert stage.running()
    assert outcome(stage).outcome == "refused"


def test_a_lapsed_order_wipes_nothing():
    stage = deployed("1")
    stage.plane.up = False
    stage.plane.order("wipe", span_ms=60_000, data="wipe")
    stage.run(600)
    stage.plane.up = True
    stage.hear()
    stage.run(120)
    assert stage.running()
    assert outcome(stage).outcome == "refused"


def test_an_image_that_somebody_else_uses_is_left_to_them():
    from penstock.agent.runtimes import RuntimeFault

    stage = deployed("1")

    def used(tag: str) -> None:
        raise RuntimeFault("in-use", f"{tag} is still used by a container", retry=True)

    stage.engine.unkeep = used  # type: ignore[method-assign]
    ordered(stage)
    stage.run(120)
    assert outcome(stage).outcome == "done"
    assert stage.brain.parting() is not None


def test_a_container_that_will_not_go_is_owned_up_to():
    from penstock.agent.runtimes import RuntimeFault

    stage = deployed("1", policy="compatible")

    def stuck(container: str) -> None:
        raise RuntimeFault("engine-error", "the engine says no", retry=True)

    stage.engine.remove = stuck  # type: ignore[method-assign]
    ordered(stage, "wipe")
    while not stage.plane.bodies("command-outcome"):
        assert stage.mono < 4 * 3_600_000
        stage.run(300)
    looked = stage.performed
    stage.run(3600)  # the resident agent ends by then; where the plane does not answer it waits, and does not look all the time
    assert stage.performed - looked < 200
    assert outcome(stage).outcome == "failed"
    assert "could not be removed whole: line" in outcome(stage).why
    assert "the engine says no" in outcome(stage).why
    assert len(stage.plane.receipts()) < 20
    assert stage.brain.parting() is not None


def test_an_engine_that_will_not_is_tried_again_and_then_owned_up_to():
    stage = deployed("1", policy="compatible")
    from penstock.agent.runtimes import RuntimeFault

    def stuck(name: str) -> None:
        raise RuntimeFault("engine-error", "the engine says no", retry=True)

    stage.engine.remove_volume = stuck  # type: ignore[method-assign]
    ordered(stage, "wipe")
    stage.run(4 * 3600)
    assert outcome(stage).outcome == "failed"
    assert "may be left: the engine says no" in outcome(stage).why
    assert stage.brain.parting() is not None


@pytest.mark.parametrize("kill", ["kill_before", "kill_after"])
def test_killed_at_every_work_it_goes_on_and_says_it_once(kill):
    whole = deployed("1", policy="compatible")
    first = whole.performed
    ordered(whole, "wipe")
    whole.run(200)
    for number in range(first + 1, whole.performed + 1):
        stage = deployed("1", policy="compatible")
        setattr(stage, kill, number)
        ordered(stage, "wipe")
        cuts = stage.run_through(300)
        assert cuts <= 1
        assert stage.engine.boxes == {}
        assert stage.engine.volumes == {}
        assert story(stage).count("outcome") == 1, number
        assert stage.brain.parting() is not None, number


def test_power_cut_at_every_write_it_goes_on():
    whole = deployed("1", policy="compatible")
    first = whole.disk.changes
    ordered(whole, "wipe")
    whole.run(200)
    for number in range(whole.disk.changes - first):
        stage = deployed("1", policy="compatible")
        stage.disk.cut_after = number
        ordered(stage, "wipe")
        stage.run_through(400, reboot=True)
        assert stage.engine.boxes == {}, number
        assert stage.engine.volumes == {}, number
        assert stage.brain.parting() is not None, number
        assert story(stage)[-1] == "outcome"
