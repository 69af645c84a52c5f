"""Looking at a fleet that runs releases of several ages: outdated by the list, by the count and by the device's page alike."""

from __future__ import annotations

import pytest

from penstock.server.actions import devices
from penstock.server.api.agent import AgentApi
from penstock.server.core.status import badness
from penstock.server.core.views import DeviceQuery
from penstock.server.store import status
from penstock.wire.record import replace
from tests.server.actions.test_main_path import deploy, let_in, soak
from tests.server.planes import ADMIN, a_release, make_plane, turn, work_off


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


def names(plane, **query):
    return [row.device.name for row in devices.list_devices(plane, ADMIN, query=DeviceQuery(**query)).items]


def test_outdated_is_the_same_everywhere(plane, api):
    first = a_release(plane, "1.9")
    one = let_in(plane, api, "press-1")
    deploy(plane, first)
    work_off(plane)
    one.poll()
    soak(plane, one)
    idle = let_in(plane, api, "press-2", labels={"line": "none"})
    assert names(plane, outdated=True) == []
    assert devices.count_devices(plane, ADMIN).outdated == 0
    turn(plane, 1000)
    a_release(plane, "1.10")
    assert names(plane, outdated=True) == ["press-1"]
    assert names(plane, outdated=False) == [idle.name]
    assert devices.count_devices(plane, ADMIN).outdated == 1
    listed = {row.device.name: row.runs for row in devices.list_devices(plane, ADMIN).items}
    assert [(run.app, run.version, run.newest) for run in listed["press-1"]] == [("shop", "1.9", "1.10")]
    assert listed["press-2"] == ()
    (app,) = devices.get_device(plane, ADMIN, device="press-1").apps
    assert app.outdated == "shop 1.9 runs, as its deployment orders; 1.10 has been published since"
    assert names(plane, app="shop") == ["press-1"]


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_worst_first_counts_those_nothing_is_heard_of(plane, api, limit):
    stand = {"well": (0, "current"), "failed": (80, "current"), "gone": (0, "silent"), "gone-failed": (80, "silent"), "drifted": (60, "current")}
    made = {name: let_in(plane, api, name).name for name in stand}
    ids = {row.device.name: row.device.id for row in devices.list_devices(plane, ADMIN).items}

    def work(tx):
        for name, (severity, liveness) in stand.items():
            row = replace(status.get(tx, ids[made[name]]), severity=severity, liveness=liveness)
            status.put(tx, [row])
            status.set_liveness(tx, [(row.device, liveness)])

    plane.db.update(work)
    seen, cursor = [], ""
    while True:
        page = devices.list_devices(plane, ADMIN, query=DeviceQuery(), cursor=cursor, limit=limit)
        seen += [(badness(row.status), row.device.name) for row in page.items]
        cursor = page.next
        if not cursor:
            break
    assert [grade for grade, _ in seen] == [80, 80, 65, 60, 0]
    assert [name for _, name in seen[2:]] == ["gone", "drifted", "well"]
