"""The device API over real TLS: kept-alive polls, long polls that a click wakes, blobs in ranges, problems, limits, graceful ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from penstock import crypto
from penstock.server import commandline
from penstock.server.actions import commands, deployments, devices, joins, releases, retiring, sites
from penstock.server.api.agent import AgentApi
from penstock.server.core.errors import Refused
from penstock.server.core.model import Target
from penstock.wire import trust
from penstock.wire.codec import decode
from penstock.wire.log import Boot
from penstock.wire.messages import StateReply
from tests.server.api.serving import over_tls, served, settings_for
from tests.server.paper import PaperDevice
from tests.server.planes import ADMIN, COMPOSE
from tests.server.pushing import push, small_image


def join(running, settings, name="press-4", **more) -> PaperDevice:
    with contextlib.suppress(Exception):
        sites.create_site(running.plane, ADMIN, name="plant-1")
    line = joins.create_join(running.plane, ADMIN, site="plant-1", auto_approve=True, **more).join
    device = PaperDevice(over_tls(settings), name, clock=running.plane.clock.now_ms)
    assert device.ask(line).status == "approved"
    device.write("boot", Boot("0.1.0", "b", device.facts, name))
    assert device.poll().status == 200
    return device


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with served(tmp_path_factory.mktemp("plane")) as found:
        yield found


def test_a_poll_with_nothing_new(house):
    running, settings = house
    device = join(running, settings, "calm")
    assert int(device.poll().headers["penstock-wait"]) > 0, "a device that has just come has somebody's attention"
    running.plane.fleet.entries[device.id].watched_ms = 0  # and after a while no longer
    answer = device.poll()
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == device.etag
    assert {"penstock-poll", "penstock-wait"}.isdisjoint(answer.headers), "the pace at rest stands in the signed settings"
    # a long poll is not granted when nobody looks
    begun = time.monotonic()
    assert device.poll("&wait=50").status == 304
    assert time.monotonic() - begun < 30
    assert running.plane.fleet.entries[device.id].heard


def test_a_click_wakes_a_long_poll(house):
    running, settings = house
    device = join(running, settings, "watched")
    devices.watch(running.plane, ADMIN, device="watched")
    assert device.poll().headers["penstock-wait"] == "50"
    got = []
    thread = threading.Thread(target=lambda: got.append(device.poll("&wait=50")))
    thread.start()
    give_up = time.monotonic() + 60
    while not running.plane.fleet.entries[device.id].waiters:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    made = commands.order(running.plane, ADMIN, device="watched", verb="refresh")
    thread.join(40)  # less than the poll would have lasted
    assert got[0].status == 200
    assert [command.id for command in device.commands] == [made.id]
    assert got[0].headers["penstock-wait"] == "50"  # something is pending now


def test_how_current_one_is_comes_signed_and_bound_to_the_question(house):
    running, settings = house
    device = join(running, settings, "asking")
    answer = device.poll("&nonce=00112233445566778899aabbccddeeff")
    assert answer.status == 200
    assert decode(StateReply, answer.body).desired == "", "what the device holds does not travel again"
    raw = decode(StateReply, answer.body).currency.encode()
    said: Any = trust.accept_currency(device.root, device.id, "00112233445566778899aabbccddeeff", raw, crypto.verify)
    assert (said.generation, said.epoch) == (device.held.generation, 1)


def test_only_ones_own_blobs_in_ranges(house):
    running, settings = house
    plane = running.plane
    owner, other = join(running, settings, "owner", labels={"line": "paint"}), join(running, settings, "other")
    image = small_image("web")
    push(plane.blobs, "shop/web", image, "1")
    push(plane.blobs, "shop/db", small_image("db"), "1")
    stranger = small_image("secret of another app")
    push(plane.blobs, "other/app", stranger, "1")
    releases.publish(plane, ADMIN, source=COMPOSE.format(version="1").encode(), app="shop", version="1")
    deployments.create_deployment(plane, ADMIN, name="shop", release="shop:1", target=Target(selector="line=paint"))
    owner.poll()
    layer = next(found.variants[0].layers[0] for found in owner.app().images if found.name == "shop/web:1")
    headers = {"authorization": f"Bearer {owner.token}"}
    whole = owner.call("GET", f"/d/v1/blobs/{layer.digest}", headers, b"")
    assert (whole.status, len(whole.body)) == (200, layer.size)
    part = owner.call("GET", f"/d/v1/blobs/{layer.digest}", {**headers, "range": "bytes=10-"}, b"")
    assert (part.status, part.body) == (206, whole.body[10:])
    assert owner.call("HEAD", f"/d/v1/blobs/{layer.digest}", headers, b"").headers["content-length"] == str(layer.size)
    for digest in (next(iter(stranger.blobs)), "sha256:" + "0" * 64, "sha256:../../keys/director.pem"):
        refused = owner.call("GET", f"/d/v1/blobs/{digest}", headers, b"")
        assert (refused.status, json.loads(refused.body)["code"]) == (404, "blob-not-found")
    assert other.call("GET", f"/d/v1/blobs/{layer.digest}", {"authorization": f"Bearer {other.token}"}, b"").status == 404
    assert owner.call("GET", f"/d/v1/blobs/{layer.digest}", {}, b"").status == 401
    # What was its own stays so: a prune on the device may have taken what it goes back to.
    push(plane.blobs, "shop/web", small_image("another web"), "2")
    releases.publish(plane, ADMIN, source=COMPOSE.format(version="2").encode(), app="shop", version="2")
    deployments.change_deployment(plane, ADMIN, deployment="shop", revision=1, release="shop:2")
    owner.poll()
    assert layer.digest not in {one.digest for found in owner.app().images for variant in found.variants for one in variant.layers}
    assert owner.call("GET", f"/d/v1/blobs/{layer.digest}", headers, b"").status == 200
    assert other.call("GET", f"/d/v1/blobs/{layer.digest}", {"authorization": f"Bearer {other.token}"}, b"").status == 404


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "status", "code"),
    [
        ("GET", "/d/v1/state?root=1", {}, b"", 401, "session-expired"),
        ("GET", "/d/v1/state?root=1", {"authorization": "Bearer AAAA"}, b"", 401, "session-expired"),
        ("GET", "/d/v1/state?root=1", {"authorization": "Basic eDp5"}, b"", 401, "session-expired"),
        ("POST", "/d/v1/state", {}, b"", 405, ""),
        ("GET", "/d/v1/report", {}, b"", 405, ""),
        ("GET", "/d/v2/state", {}, b"", 404, "no-such-call"),
        ("POST", "/d/v1/session", {}, b"{}", 422, "session-malformed"),
        ("POST", "/d/v1/session", {}, b"\xff\x00", 422, "session-malformed"),
        ("POST", "/d/v1/enrol", {}, b"[]", 422, "enrolment-malformed"),
        ("POST", "/d/v1/enrol", {}, b"x" * 200_000, 413, "body-too-large"),
    ],
)
def test_problems(house, method, target, headers, body, status, code):
    _, settings = house
    answer = over_tls(settings)(method, target, headers, body)
    assert answer.status == status
    if code:
        assert answer.headers["content-type"] == "application/problem+json"
        assert json.loads(answer.body)["code"] == code


@pytest.mark.parametrize("query", ["&wait=x", "&nonce=zz", "&root=-1", "&nonce=" + "a" * 65])
def test_a_query_that_cannot_be_read(house, query):
    running, settings = house
    device = join(running, settings, f"q{abs(hash(query)) % 10**8}")
    devices.watch(running.plane, ADMIN, device=device.id)
    target = f"/d/v1/state?{query[1:]}" if "root" in query else f"/d/v1/state?root=1{query}"
    headers = {"authorization": f"Bearer {device.token}"}
    if "wait" in query:
        headers["if-none-match"] = device.etag
    answer = device.call("GET", target, headers, b"")
    assert (answer.status, json.loads(answer.body)["code"]) == (422, "query-malformed")


def test_a_retired_device_is_told_so_and_nothing_else(house):
    running, settings = house
    device = join(running, settings, "old")
    found = devices.get_device(running.plane, ADMIN, device="old").device
    retiring.retire(running.plane, ADMIN, device="old", revision=found.revision, reason="scrapped")
    answer = device.poll()
    assert answer.status == 401  # its key epoch rose: the session is dead
    device.token = ""
    answer = device.open_session()
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "device-retired")
    assert "scrapped" in json.loads(answer.body)["detail"]


def test_only_the_newest_session_of_a_device_polls(house):
    running, settings = house
    device = join(running, settings, "double")
    first = device.token
    assert device.open_session().status == 200
    second = device.token
    assert second != first
    device.token = first
    answer = device.poll()
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "session-superseded")
    device.token = second
    assert device.poll().status in (200, 304)


def test_the_machine_whose_place_was_taken_is_told_so(house):
    running, settings = house
    old = join(running, settings, "worn")
    own = old.key
    old.key = join(running, settings, "fresh").key  # what stands there now has another key than the plane knows for it
    answer = old.open_session()
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "device-replaced")
    assert "took its place" in json.loads(answer.body)["detail"]
    old.key = own
    assert old.open_session().status == 200


def test_many_reports_at_once_are_all_stored(house):
    running, settings = house
    fleet = [join(running, settings, f"crowd-{number}") for number in range(12)]
    threads = []
    for device in fleet:
        for number in range(20):
            device.say_app("fetching", "shop", content="", why=f"{number}")
        threads.append(threading.Thread(target=device.report))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [device.acked for device in fleet] == [21] * 12


def test_a_faulty_report_does_not_take_the_others_down(house, monkeypatch):
    running, settings = house
    good, bad = join(running, settings, "good"), join(running, settings, "bad")
    from penstock.server.actions import reports

    genuine = reports.ingest

    def ingest(plane, many):
        if any(device == bad.id for device, _ in many):
            raise RuntimeError("planted")
        return genuine(plane, many)

    monkeypatch.setattr(reports, "ingest", ingest)
    api = AgentApi(running.plane)
    import asyncio

    async def both():
        async def one(device):
            try:
                return await api._report(device.id, device.signed("report", device_report(device)))
            except Refused as fault:
                return fault

        return await asyncio.gather(one(good), one(bad), one(good))

    def device_report(device):
        from penstock.wire.messages import Report

        return Report(1, device.id, 1, device.held.generation, 0, tuple(device.log))

    first, second, third = asyncio.run(both())
    api.close()
    assert isinstance(first, bytes)
    assert isinstance(third, bytes)
    assert getattr(second, "code", "") == "report-not-stored"


@pytest.mark.slow
def test_sigterm_ends_it_gracefully_with_a_long_poll_open(tmp_path):
    settings = settings_for(tmp_path)
    with served(tmp_path, settings) as (running, _):
        device = join(running, settings)
        commands.order(running.plane, ADMIN, device="press-4", verb="refresh")
        device.poll()
    arguments = ["run", "--data", str(settings.data), "--address", settings.addresses[0], "--listen", settings.listen]
    process = subprocess.Popen([sys.executable, "-m", "penstock.server", *arguments], stderr=subprocess.PIPE, text=True, env={**os.environ})
    try:
        give_up = time.monotonic() + 90
        while True:
            try:
                assert device.poll().status == 304  # the session outlived the restart
                break
            except OSError:
                assert time.monotonic() < give_up
                time.sleep(0.2)
        got = []
        thread = threading.Thread(target=lambda: got.append(device.poll("&wait=50")))
        thread.start()
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        thread.join(60)
        assert process.returncode == 0, said
        assert "control plane is down" in said
        assert got[0].status == 304
    finally:
        if process.poll() is None:
            process.kill()
    assert len(commandline.setup_token(settings)) == 64
