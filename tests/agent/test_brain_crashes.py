"""Killed at every change of a file and around every engine work, the agent ends where it would have ended, and loses and repeats nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.agent.work import Local
from tests.agent.stage import Stage, config_of, simple
from tests.agent.tinyengine import Act

if TYPE_CHECKING:
    from collections.abc import Callable


def _install(stage: Stage) -> None:
    stage.want(simple("1", policy="snapshot"))


def _update(stage: Stage) -> None:
    stage.want(simple("2", policy="snapshot"))


def _failing(stage: Stage) -> None:
    stage.engine.acts[config_of("web2")] = Act(healthy_after_ms=-1, writes=("file", "spoiled"))
    stage.want(simple("2", policy="snapshot"))


def _revert(stage: Stage) -> None:
    stage.brain.local(Local("revert", "line", by="bea"), stage.now())


def _withdraw(stage: Stage) -> None:
    stage.want()


def ready(version: str) -> Stage:
    stage = Stage()
    if version:
        stage.want(simple("1", policy="snapshot"))
        stage.run(30)
        stage.engine.volumes["line_data"]["file"] = "kept"
    if version == "2":
        stage.want(simple("2", policy="snapshot"))
        stage.run(40)
        stage.engine.volumes["line_data"]["file"] = "newer"
    stage.run(5)
    return stage


# name -> (what runs before, what happens, images at the end, data at the end)
SCENES: dict[str, tuple[str, Callable[[Stage], None], dict[str, str], str]] = {
    "install": ("", _install, {"line-db-1": "db", "line-web-1": "web1"}, ""),
    "update": ("1", _update, {"line-db-1": "db", "line-web-1": "web2"}, "kept"),
    "failing": ("1", _failing, {"line-db-1": "db", "line-web-1": "web1"}, "kept"),
    "revert": ("2", _revert, {"line-db-1": "db", "line-web-1": "web1"}, "kept"),
    "withdraw": ("1", _withdraw, {}, "kept"),
}


def judge(stage: Stage, name: str, receipts_before: int, where: str) -> None:
    _, _, images, data = SCENES[name]
    assert stage.running() == images, where
    assert stage.engine.volumes.get("line_data", {}).get("file", "") == data, where
    assert len(stage.engine.boxes) == len(images), where
    stage.hear()
    stage.run(5)
    fresh = stage.plane.receipts()[receipts_before:]
    assert len({one.change for one in fresh}) == len(fresh) == 1, (where, fresh)
    assert [entry.seq for entry in stage.plane.entries] == list(range(1, len(stage.plane.entries) + 1)), where
    assert not stage.plane.bodies("gap"), where


def scene(name: str) -> tuple[Stage, int]:
    before, happens, _, _ = SCENES[name]
    stage = ready(before)
    count = len(stage.plane.receipts())
    happens(stage)
    return stage, count


def spans(name: str) -> tuple[int, int]:
    """How many file changes and engine works the undisturbed scene takes."""
    stage, count = scene(name)
    changes, works = stage.disk.changes, stage.performed
    stage.run(100)
    judge(stage, name, count, "undisturbed")
    return stage.disk.changes - changes, stage.performed - works


@pytest.mark.slow
@pytest.mark.parametrize(("torn", "reboot"), [(False, False), (True, True)], ids=["clean-killed", "torn-rebooted"])
@pytest.mark.parametrize("name", SCENES)
def test_cut_at_every_change_of_a_file(name, torn, reboot):
    changes, _ = spans(name)
    for at in range(changes):
        stage, count = scene(name)
        db = [box.id for box in stage.engine.boxes.values() if box.order.service.name == "db"]
        stage.disk.cut_after, stage.disk.torn = at, torn
        cuts = stage.run_through(150, reboot=reboot)
        assert cuts == 1
        if name == "revert" and stage.running().get("line-web-1") == "web2":
            assert at == 0 or not stage.plane.receipts()[count:]  # cut before it was noted: the person had no answer yet
            continue
        judge(stage, name, count, f"{name} cut after {at}")
        if db and name != "withdraw":
            same = stage.engine.boxes[db[0]]
            assert same.starts == (2 if reboot else 1), f"{name} cut after {at}: the unchanged service was restarted"


@pytest.mark.slow
@pytest.mark.parametrize(("side", "reboot"), [("kill_before", True), ("kill_after", False), ("kill_after", True)])
@pytest.mark.parametrize("name", SCENES)
def test_killed_around_every_engine_work(name, side, reboot):
    _, works = spans(name)
    for at in range(1, works + 1):
        stage, count = scene(name)
        setattr(stage, side, stage.performed + at)
        stage.run_through(150, reboot=reboot)
        judge(stage, name, count, f"{name} {side} {at}")
