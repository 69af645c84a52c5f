"""The brain and its control plane: set apart, refused, sent to another epoch, with a clock that is wrong. What runs goes on in all of it."""

from __future__ import annotations

import pytest

from penstock.agent.work import Answer
from penstock.wire.types import content_digest
from tests.agent.stage import Stage, deployed, simple


@pytest.mark.parametrize("code", [b"device-quarantined", b"device-retired", b"device-replaced", b"log-forked"])
def test_a_device_set_apart_changes_nothing_and_keeps_running(code):
    stage = deployed()
    stage.plane.status = Answer(403, {}, b'{"code":"%s","detail":"two devices speak with one voice"}' % code)
    stage.run(300)
    assert len(stage.running()) == 2
    assert any("two devices" in one for one in stage.status()["alarms"])
    stage.plane.status = None
    stage.run(700)
    assert not stage.status()["quarantined"]


def test_a_session_opened_by_another_is_written_down_and_not_more_often_than_once_an_hour():
    stage = deployed()

    def written():
        return [one for one in stage.plane.bodies("event") if one.name == "session.superseded"]

    superseded = Answer(401, {}, b'{"code":"session-superseded","detail":"a newer session of this device is open"}')
    for _ in range(5):
        stage.plane.status = superseded
        stage.run(70)
        stage.plane.status = None
        stage.run(120)
    assert len(written()) == 1
    stage.run(3600)
    stage.plane.status = superseded
    stage.run(70)
    stage.plane.status = None
    stage.run(300)
    assert len(written()) == 2
    assert len(stage.running()) == 2


def test_any_answer_of_the_server_leaves_what_runs_alone():
    for status in (200, 204, 301, 400, 401, 403, 404, 410, 418, 429, 500, 503):
        for body in (b"", b"{}", b"[]", b"\xff", b'{"desired":"{}"}'):
            stage = deployed()
            did = list(stage.engine.did)
            stage.plane.status = Answer(status, {"retry-after": "7", "etag": "x", "penstock-poll": "0"}, body)
            stage.run(120)
            assert stage.engine.did == did, (status, body)
            assert len(stage.running()) == 2


def test_a_raised_epoch_voids_leaves_and_offers_the_log_again():
    stage = deployed()
    stage.want(simple("2"), leave=False)
    stage.run(100)
    stage.plane.raise_epoch()
    stage.plane.generation = 0
    stage.plane.seq, stage.plane.head, stage.plane.entries = 0, "", []
    stage.want(simple("2"))
    stage.run(300)
    assert stage.running()["line-web-1"] == "web2"
    assert stage.plane.entries[0].seq == 1
    assert [entry.seq for entry in stage.plane.entries] == list(range(1, len(stage.plane.entries) + 1))


def test_a_clock_in_1970_still_deploys_once_the_plane_has_given_the_time():
    stage = Stage()
    stage.wall_offset = -stage.mono
    stage.clock = "untrusted"
    stage.brain = stage.start()
    stage.want(simple("1"))
    stage.run(120)
    assert len(stage.running()) == 2
    assert stage.plane.receipts()[-1].started_ms > 1_700_000_000_000


def test_a_clock_in_1970_without_the_plane_changes_nothing():
    stage = deployed()
    stage.want(simple("2"), leave=False)
    stage.run(100)
    stage.plane.leave("line", content_digest(simple("2")), span_ms=10_000_000_000)
    stage.engine.down = "gone"
    stage.run(70)
    stage.plane.up = False
    stage.engine.down = ""
    stage.boot = "boot-2"
    stage.wall_offset, stage.clock = -stage.mono, "untrusted"
    stage.start()
    stage.run(600)
    assert stage.running()["line-web-1"] == "web1"
    assert "clock" in stage.app()["why"]
