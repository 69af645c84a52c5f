"""A value set at a site reaches the container on a real device, with the device's facts in it, and goes when it is cleared."""

from __future__ import annotations

from tests.e2e.house import House, eventually
from tests.e2e.recipes import release
from tests.e2e.test_main_job import container
from tests.engines import Engine


def line_of(engine: Engine) -> str:
    """The value of LINE in the running writer."""
    found = eventually(lambda: engine.inspected().get("line-writer-1"), bool, 60, what="the writer stands")
    assert found is not None
    environment = dict(one.split("=", 1) for one in found["Config"]["Env"])
    return environment["LINE"]


def test_a_value_set_at_a_site_reaches_the_container_and_clearing_takes_it_back(home: House, box: Engine) -> None:
    home.agent(box)
    plane, device = home.plane, "press-7"
    release(home, "1")
    deployment = plane.deploy("line:1", [device])["id"]
    plane.wait_app(device, "line", "1")
    assert line_of(box) == "7"
    page = container(box, "line-page-1")
    site = plane.device(device)["summary"]["site"]
    asked = {"app": "line", "level": "site", "part": site}

    seen = plane.call("POST", "/parameters", {**asked, "values": {"LINE": "${PENSTOCK_DEVICE} of ${PENSTOCK_SITE}"}, "reason": "told apart"})
    assert seen["counts"] == {"update": 1}
    assert seen["devices"][0]["restarted"][0] == "writer"
    eventually(lambda: line_of(box), lambda line: line == f"{device} of {site}", 90, what="the value is in the container")
    eventually(lambda: plane.call("GET", f"/deployments/{deployment}")["rollout"]["state"], lambda state: state == "done", 60, what="it is soaked")
    assert container(box, "line-page-1") == page, "a service whose specification did not change was restarted"
    row = plane.call("GET", "/parameters", **{**asked, "level": "device", "part": device, "name": "LINE"})["parameters"][0]
    assert row["origin"] == f"site {site}"
    room = plane.call("GET", f"/devices/{device}/room")
    assert room["memory_bytes"] > 0
    assert "line" in room["memory_promised"]

    plane.call("POST", "/parameters", {**asked, "clear": ["LINE"]})
    eventually(lambda: line_of(box), lambda line: line == "7", 90, what="the release's own value is back")
