"""Releases with parts for engines at the plane: each device is ordered what its engine gets, and everything that reads a release knows all parts."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from penstock.server.actions import (
    deployments,
    enrolments,
    finding,
    images,
    joins,
    packages,
    parameters,
    releases,
    rollouts,
    states,
)
from penstock.server.api.agent import AgentApi
from penstock.server.core.errors import Conflict, Invalid, Missing
from penstock.server.core.images import digests
from penstock.server.core.model import Plan, Target
from penstock.server.core.release import load
from penstock.server.core.rights import EVERYWHERE
from penstock.server.store import devices as device_store
from penstock.wire.log import Boot
from penstock.wire.messages import Engine
from penstock.wire.record import replace
from penstock.wire.types import content_digest
from tests.server.actions.test_main_path import deploy, let_in, newest, soak
from tests.server.paper import FACTS, PaperDevice, straight
from tests.server.planes import ADMIN, a_release, make_plane, work_off
from tests.server.pushing import push, small_image

UNSAID = replace(FACTS, engine=None)
PODMAN = replace(FACTS, engine=Engine("podman", "4.3.1", "1.41"))
COMMON = """\
name: shop
services:
  web:
    image: shop/web:{version}
    environment: {{MODE: common, LEVEL: "${{LEVEL:-info}}"}}
x-penstock: {{soak: 30s, deadline: 60s}}
"""
PARTS = {
    "compose.docker.yaml": b"services: {web: {environment: {MODE: docker}}}\n",
    "compose.podman.yaml": b"services: {web: {image: 'shop/web-podman:1', environment: {MODE: podman}}, beside: {image: 'shop/beside:1'}}\n",
}
NEEDY = {**PARTS, "compose.podman.yaml": b"services: {web: {environment: {SOCKET: '${SOCKET:?the socket}', MODE: podman}}}\n"}


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    for name in ("web-podman", "beside"):
        push(made.blobs, f"shop/{name}", small_image(name), "1")
    yield made
    made.db.close()


@pytest.fixture
def api(plane):
    made = AgentApi(plane)
    yield made
    made.close()


def in_parts(plane, version="1", parts=PARTS, app="shop"):
    push(plane.blobs, "shop/web", small_image(f"web {version}"), version)
    files = {"compose.yaml": COMMON.format(version=version).replace("name: shop", f"name: {app}").encode(), **parts}
    return releases.publish(plane, ADMIN, given=releases.Given(files=files), app=app, version=version)


def mode(device) -> tuple[str, str]:
    app = device.app()
    return next(one for one in app.services if one.name == "web").environment["MODE"], app.version


def says(plane, device, facts) -> None:
    device.facts = facts
    device.say_device()
    device.report()
    work_off(plane)
    device.poll()


def one(plane, api, name, facts):
    return let_in(plane, api, name, facts=facts)


def test_each_device_gets_the_part_for_its_engine_upgraded_and_gone_back(plane, api):
    first = in_parts(plane)
    docker, podman, unsaid = (one(plane, api, name, facts) for name, facts in (("docker", FACTS), ("podman", PODMAN), ("unsaid", UNSAID)))
    made = deploy(plane, first)
    for device in (docker, podman, unsaid):
        device.poll()
    assert [mode(device) for device in (docker, podman, unsaid)] == [("docker", "1"), ("podman", "1"), ("common", "1")]
    assert {device.app().release for device in (docker, podman)} == {first.digest}
    assert {service.name for service in podman.app().services} == {"beside", "web"}
    assert all(device.leaves["shop"].content == content_digest(device.app()) for device in (docker, podman))
    for device in (docker, podman, unsaid):
        soak(plane, device)
    assert newest(plane, made).rollout.state == "done"
    in_parts(plane, "2")
    made = deployments.change_deployment(plane, ADMIN, deployment="shop", revision=made.revision, release="shop:2")
    for device in (docker, podman):
        device.poll()
    assert [mode(device) for device in (docker, podman)] == [("docker", "2"), ("podman", "2")]
    deployments.change_deployment(plane, ADMIN, deployment="shop", revision=made.revision, release="shop:1")
    for device in (docker, podman):
        device.poll()
    assert [mode(device) for device in (docker, podman)] == [("docker", "1"), ("podman", "1")]


def test_a_release_without_parts_is_the_same_on_every_engine(plane, api):
    deploy(plane, a_release(plane))
    docker, podman = one(plane, api, "docker", FACTS), one(plane, api, "podman", PODMAN)
    assert content_digest(docker.app()) == content_digest(podman.app())


def test_what_a_device_gets_follows_its_engine(plane, api):
    made = deploy(plane, in_parts(plane))
    device = one(plane, api, "press-4", UNSAID)
    assert mode(device)[0] == "common"
    soak(plane, device)
    says(plane, device, FACTS)
    assert mode(device)[0] == "docker"
    assert device.leaves["shop"].content == content_digest(device.app()), "it may change, not only fetch"
    soak(plane, device)
    # An agent that has just started knows nothing of its engine: what was known holds.
    device.write("boot", Boot("0.1.0", "b2", UNSAID, "d2"))
    device.report()
    work_off(plane)
    assert device.poll().status == 304
    assert mode(device)[0] == "docker"
    says(plane, device, PODMAN)
    assert mode(device)[0] == "podman"
    assert device.leaves["shop"].content == content_digest(device.app())
    soak(plane, device)
    assert newest(plane, made).rollout.state == "done"
    says(plane, device, replace(PODMAN, kernel="6.1"))
    assert device.leaves == {}


def test_what_stands_nowhere_in_parts_asks_nothing_more_of_reports(plane, api, monkeypatch):
    a_release(plane)
    device = one(plane, api, "press-4", FACTS)
    monkeypatch.setattr(rollouts, "revalue", lambda *_given, **_more: pytest.fail("no release has parts"))
    says(plane, device, PODMAN)


def test_other_hardware_with_another_engine_takes_the_place(plane, api):
    deploy(plane, in_parts(plane))
    old = one(plane, api, "press-4", FACTS)
    soak(plane, old)
    join = joins.create_join(plane, ADMIN, site="plant-1").join
    new = PaperDevice(straight(api), "press-4", facts=PODMAN, clock=plane.clock.now_ms)
    assert new.ask(join, replaces=True).status == "waiting"
    (asked,) = enrolments.list_enrolments(plane, ADMIN, status="waiting")
    enrolments.approve(plane, ADMIN, enrolment=asked.id, replace=True)
    assert new.ask(join, replaces=True).status == "approved"
    new.poll()
    assert mode(new)[0] == "podman"
    assert new.leaves["shop"].content == content_digest(new.app())


def test_a_part_that_cannot_stand_there_is_noted_and_nothing_is_withdrawn(plane, api):
    deploy(plane, in_parts(plane, parts=NEEDY))
    device = one(plane, api, "press-4", FACTS)
    soak(plane, device)
    before = content_digest(device.app())
    says(plane, device, PODMAN)
    assert content_digest(device.app()) == before
    parameters.change(plane, ADMIN, app="shop", level="device", part="press-4", values={"SOCKET": "/run/podman.sock"})
    device.poll()
    assert mode(device)[0] == "podman"


# --- before it is ordered ---------------------------------------------------------------------------------------------------


def test_a_value_is_asked_of_those_devices_whose_part_needs_it(plane, api):
    release = in_parts(plane, parts=NEEDY)
    docker, podman = one(plane, api, "docker", FACTS), one(plane, api, "podman", PODMAN)
    assert deployments.preview(plane, ADMIN, release=release.id, target=Target((docker.id,))).missing == ()
    asked = {"release": release.id, "target": Target(selector="line=paint")}
    assert [part.name for part in deployments.preview(plane, ADMIN, **asked).missing] == ["SOCKET"]
    with pytest.raises(Invalid, match="these parameters have no value: SOCKET"):
        deploy(plane, release)
    deploy(plane, release, values={"SOCKET": "/run/x", "LEVEL": "debug"})
    for device in (docker, podman):
        device.poll()
    assert "SOCKET" not in docker.app().services[0].environment
    assert podman.app().services[0].environment["SOCKET"] == "/run/x"
    assert {device.app().services[0].environment["LEVEL"] for device in (docker, podman)} == {"debug"}
    view = releases.get_release(plane, ADMIN, release=release.id)
    assert [(part.name, part.required) for part in view.parameters] == [("LEVEL", ""), ("SOCKET", "")]
    table = parameters.table(plane, ADMIN, app="shop", level="fleet")
    assert [row.name for row in table.rows] == ["LEVEL", "SOCKET"]


def test_a_value_of_one_part_moves_the_devices_that_have_it(plane, api):
    deploy(plane, in_parts(plane, parts=NEEDY), values={"SOCKET": "/run/x"})
    docker, podman = one(plane, api, "docker", FACTS), one(plane, api, "podman", PODMAN)
    for device in (docker, podman):
        soak(plane, device)
    seen = parameters.preview(plane, ADMIN, app="shop", level="site", part="plant-1", values={"SOCKET": "/run/y"})
    assert seen.counts == {"update": 1, "unchanged": 1}
    parameters.change(plane, ADMIN, app="shop", level="site", part="plant-1", values={"SOCKET": "/run/y"})
    assert (docker.poll().status, podman.poll().status) == (304, 200)
    assert podman.app().services[0].environment["SOCKET"] == "/run/y"


def test_a_device_is_left_out_by_what_its_own_part_lacks(plane, api):
    push(plane.blobs, "shop/arm", small_image("arm", ("linux/arm64",)), "1")
    release = in_parts(plane, parts={"compose.podman.yaml": b"services: {web: {image: 'shop/arm:1'}}"})
    docker, podman = one(plane, api, "docker", FACTS), one(plane, api, "podman", PODMAN)
    rows = {row.name: row for row in deployments.preview(plane, ADMIN, release=release.id, target=Target(selector="line=paint")).rows}
    assert (rows["docker"].what, rows["podman"].what) == ("install", "left-out")
    assert "the image shop/arm:1 exists for linux/arm64" in rows["podman"].why
    made = deploy(plane, release)
    docker.poll()
    podman.poll()
    assert podman.desired.apps == ()
    assert newest(plane, made).counts == {"ordered": 1, "left-out": 1}
    says(plane, podman, FACTS)
    assert podman.app().version == "1", "its engine is another now, and what is common for it fits"


def test_room_and_clashes_are_judged_by_the_part(plane, api):
    needs = b"x-penstock: {needs: {memory: 64G}}\nservices: {web: {ports: ['9000:9000']}}\n"
    release = in_parts(plane, parts={"compose.podman.yaml": needs})
    docker, podman = (one(plane, api, name, replace(facts, memory_bytes=1 << 30)) for name, facts in (("docker", FACTS), ("podman", PODMAN)))
    rows = {row.name: row for row in deployments.preview(plane, ADMIN, release=release.id, target=Target(selector="line=paint")).rows}
    assert (rows["docker"].what, rows["podman"].what) == ("install", "left-out")
    assert "needs 64 GiB of memory" in rows["podman"].why
    with pytest.raises(Conflict, match="on podman: shop needs 64 GiB"):
        deploy(plane, release, target=Target((docker.id, podman.id)))
    other = in_parts(plane, "3", parts={"compose.podman.yaml": b"services: {web: {ports: ['9000:9000']}}"})
    deploy(plane, other)
    beside = in_parts(plane, "4", parts={"compose.podman.yaml": b"services: {web: {ports: ['9000:80']}}"}, app="other")
    rows = {row.name: row for row in deployments.preview(plane, ADMIN, release=beside.id, target=Target(selector="line=paint")).rows}
    assert (rows["docker"].what, rows["podman"].what) == ("install", "left-out")
    assert "9000" in rows["podman"].why


# --- images -----------------------------------------------------------------------------------------------------------------


def only_podman(release) -> set[str]:
    loaded = load(release.document)
    common = {digest for image in loaded.images for digest in digests(image)}
    return {digest for image in loaded.every_image for digest in digests(image)} - common


def test_images_of_every_part_are_kept_and_told(plane, api):
    release = in_parts(plane)
    theirs = only_podman(release)
    assert theirs
    assert theirs <= plane.db.view(lambda tx: images.pins(plane, tx)).keys()
    plane.clock.turn(400 * 86_400_000)
    images.collect(plane)
    assert all(plane.blobs.blob_size(digest) for digest in theirs)
    view = releases.get_release(plane, ADMIN, release=release.id)
    assert {item.image.name: item.services for item in view.images} == {
        "shop/beside:1": ("beside",),
        "shop/web-podman:1": ("web",),
        "shop/web:1": ("web",),
    }


def test_a_device_may_fetch_its_own_part_and_no_other(plane, api):
    release = in_parts(plane)
    deploy(plane, release)
    docker, podman = one(plane, api, "docker", FACTS), one(plane, api, "podman", PODMAN)
    theirs = sorted(only_podman(release))
    assert all(states.blob_for(plane, podman.id, digest) for digest in theirs)
    for digest in theirs:
        with pytest.raises(Missing):
            states.blob_for(plane, docker.id, digest)
    soak(plane, podman)
    # Ordered once, and taken by a prune on the device: it may be fetched again, by whom it was for.
    deployments.withdraw(plane, ADMIN, deployment="shop", revision=1, reason="")
    podman.poll()
    docker.poll()
    assert podman.desired.apps == docker.desired.apps == ()
    assert all(states.blob_for(plane, podman.id, digest) for digest in theirs)
    for digest in theirs:
        with pytest.raises(Missing):
            states.blob_for(plane, docker.id, digest)


def test_what_runs_where_is_told_by_the_part(plane, api):
    release = in_parts(plane)
    deploy(plane, release)
    docker, podman = one(plane, api, "docker", FACTS), one(plane, api, "podman", PODMAN)
    for device in (docker, podman):
        soak(plane, device)
    loaded = load(release.document)
    own = {image.name: image.variants[0].manifest.digest for image in loaded.every_image}
    assert [hit.name for hit in finding.find(plane, ADMIN, digest=own["shop/web-podman:1"]).hits] == ["podman"]
    assert [hit.name for hit in finding.find(plane, ADMIN, digest=own["shop/web:1"]).hits] == ["docker"]


# --- looking ----------------------------------------------------------------------------------------------------------------


def test_what_a_release_changes_by_engine(plane, api):
    old, new = in_parts(plane), in_parts(plane, "2")
    podman = one(plane, api, "podman", PODMAN)
    deploy(plane, old)
    podman.poll()
    soak(plane, podman)
    whole = releases.compare(plane, ADMIN, old=old.id, new=new.id)
    assert (whole.engine, whole.engines) == ("", ("docker", "podman"))
    assert [part.name for part in whole.change.services if part.restarts] == ["web"]
    whole = releases.compare(plane, ADMIN, old=old.id, new=new.id, engine="podman")
    assert (whole.engine, [part.name for part in whole.change.services if part.restarts]) == ("podman", [])
    assert whole.change.fetched == {"linux/amd64": 0}
    whole = releases.compare(plane, ADMIN, old="", new=new.id, device="podman")
    assert (whole.device, whole.engine, whole.change.same) == ("podman", "podman", True)
    for asked in ({"engine": "kubernetes"}, {"engine": "podman", "device": "podman"}):
        with pytest.raises(Invalid, match="engine is"):
            releases.compare(plane, ADMIN, **{"old": old.id, "new": new.id, **asked})


def test_checking_and_showing_parts(plane):
    files = {"compose.yaml": COMMON.format(version="1").encode(), **PARTS, "compose.kubernetes.yaml": b"not: [read"}
    push(plane.blobs, "shop/web", small_image("web 1"), "1")
    seen = releases.check(plane, ADMIN, given=releases.Given(files=files))
    assert seen.faults == ()
    assert [(part.engine, bool(part.note), part.difference is not None) for part in seen.parts] == [
        ("docker", False, True),
        ("kubernetes", True, False),
        ("podman", False, True),
    ]
    made = releases.publish(plane, ADMIN, given=releases.Given(files=files), version="1")
    found = packages.get_package(plane, ADMIN, release=made.id)
    assert {one.path: found.engines.get(one.path, "") for one in found.files} == {
        "compose.yaml": "",
        "compose.docker.yaml": "docker",
        "compose.kubernetes.yaml": "kubernetes",
        "compose.podman.yaml": "podman",
    }
    assert packages.get_files(plane, ADMIN, release=made.id)[1] == files
    assert releases.publish(plane, ADMIN, given=releases.Given(files=dict(reversed(files.items()))), version="1").id == made.id
    files["compose.podman.yaml"] = b"services:\n  web:\n    image: shop/none:1\n"
    (fault,) = releases.check(plane, ADMIN, given=releases.Given(files=files)).faults
    assert (fault.file, fault.line, fault.why.startswith("for podman: ")) == ("compose.podman.yaml", 3, True)


def test_builds_of_parts_are_told_and_published(plane):
    files = {
        "compose.yaml": b"name: shop\nservices:\n  web:\n    build: ./web\n",
        "compose.podman.yaml": b"services:\n  web:\n    build: {context: web, target: podman}\n",
    }
    found, changed = releases.builds(plane, ADMIN, given=releases.Given(files=files), version="7")
    assert [(one.service, one.target, one.image.partition("/")[2]) for one in found] == [("web", "", "shop/web:7"), ("web", "podman", "shop/web/podman:7")]
    for build in found:
        name, _, tag = build.image.partition("/")[2].rpartition(":")
        push(plane.blobs, name, small_image(build.target or "common"), tag)
    made = load(releases.publish(plane, ADMIN, given=releases.Given(files={**files, **changed}), version="7").document)
    assert [one.images[0].name.partition("/")[2] for _, one in made.readings] == ["shop/web:7", "shop/web/podman:7"]


def test_parts_cost_no_query_for_each_device(plane, api):
    plain, parted = a_release(plane, "0"), in_parts(plane)
    for number in range(6):
        one(plane, api, f"press-{number}", PODMAN if number % 2 else FACTS)
    names = [device.id for device in plane.db.view(lambda tx: device_store.living(tx, EVERYWHERE))]
    counted = []
    event.listen(plane.db._writing, "before_cursor_execute", lambda *given: counted.append(given[2]))

    def queries(release: str) -> int:
        plan = Plan("dep_x", 1, release, Target(selector="line=paint"))
        for _ in range(2):  # the second time all is remembered
            counted.clear()
            plane.db.update(lambda tx: rollouts._contents(plane, tx, plan, names))
        return len(counted)

    assert queries(parted.id) == queries(plain.id) > 0
