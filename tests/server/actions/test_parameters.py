"""Values at levels at the plane: the most specific holds, only devices whose content changes are ordered anew, clearing falls back, secrets travel sealed,
clashes and lack of room are found before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import crypto
from penstock.server.actions import deployments, devices, events, groups, parameters, rooms, sites
from penstock.server.api.agent import AgentApi
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Missing
from penstock.server.core.model import Actor, Target
from penstock.server.core.rights import BUILT_IN, Binding, Part, rights_of
from penstock.server.store import rollouts as rollout_store
from penstock.wire.record import replace
from penstock.wire.sealing import sealed_from_wire
from penstock.wire.types import content_digest, secret_bound_to
from tests.server.actions.test_main_path import let_in, soak
from tests.server.paper import FACTS
from tests.server.planes import ADMIN, a_release, a_site, make_plane, work_off

SOURCE = """
services:
  web:
    image: shop/web:1
    ports: ["${PORT}:80"]
    environment: {LEVEL: "${LEVEL}", WHERE: "${WHERE:-nowhere}", KEY: "${KEY}", EVERY: "${EVERY}"}
x-penstock:
  parameters:
    PORT: {type: port, default: 8080, title: Port, group: Network}
    LEVEL: {type: choice, choices: [debug, info, warn], default: info}
    WHERE: {type: text}
    KEY: {type: secret, min_length: 4}
    EVERY: {type: duration, default: 30s, max: 1h}
"""
PLAIN = "services:\n  main:\n    image: shop/web:1\n    ports: ['${PORT:-9000}:80']\n"


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


def environment(device, name="shop"):
    return device.app(name).services[0].environment


def deployed(plane, api, *names, **more):
    found = [let_in(plane, api, name) for name in names]
    a_release(plane, "1", SOURCE)
    more.setdefault("values", {})
    deployments.create_deployment(plane, ADMIN, name="shop", release="shop:1", target=Target(selector="line=paint"), secrets={"KEY": "first"}, **more)
    for one in found:
        one.poll()
        soak(plane, one)
    return found


def put(plane, level="fleet", part="", who=ADMIN, **values):
    return parameters.change(plane, who, app="shop", level=level, part=part, values=values)


def clear(plane, *names, level="fleet", part=""):
    return parameters.change(plane, ADMIN, app="shop", level=level, part=part, clear=names)


def why_of(plane, made, device):
    """Why a device stands as it does in the deployment's newest rollout."""
    newest = deployments.get_deployment(plane, ADMIN, deployment=made.id).rollout
    assert newest is not None
    found = plane.db.view(lambda tx: rollout_store.members_of(tx, newest.rollout.id, [device.id]))
    return f"{found[0].state}: {found[0].why}"


def row(plane, name, level="fleet", part="", who=ADMIN):
    return parameters.table(plane, who, app="shop", level=level, part=part, name=name).rows[0]


def test_the_most_specific_level_holds_and_clearing_falls_back(plane, api):
    one, two = deployed(plane, api, "press-1", "press-2")
    assert environment(one)["LEVEL"] == "info"
    before = two.held.generation
    groups.create_group(plane, ADMIN, name="pilot", named=("press-1",))
    expected = []
    for level, part, value in (("fleet", "", "warn"), ("group", "pilot", "debug"), ("site", "plant-1", "info"), ("device", "press-1", "warn")):
        seen = put(plane, level, part, LEVEL=value)
        assert {line.name for line in seen.rows if line.what == "update"} <= {"press-1", "press-2"}
        one.poll()
        expected.append((level, part, value))
        assert environment(one)["LEVEL"] == value
        assert one.leaves["shop"].content == content_digest(one.app())
        soak(plane, one)
    two.poll()
    assert environment(two)["LEVEL"] == "info"  # from its site: no group, nothing of its own
    assert two.held.generation > before
    said = row(plane, "LEVEL", "device", "press-1")
    assert [(layer.level, layer.value, layer.holds) for layer in said.layers] == [
        ("device", "warn", True),
        ("site", "info", False),
        ("group", "debug", False),
        ("fleet", "warn", False),
    ]
    while expected:
        level, part, value = expected.pop()
        one.poll()
        assert environment(one)["LEVEL"] == value
        clear(plane, "LEVEL", level=level, part=part)
    one.poll()
    assert environment(one)["LEVEL"] == "info"
    assert row(plane, "LEVEL").held is None


def test_only_devices_whose_content_changes_are_touched(plane, api):
    one, two = deployed(plane, api, "press-1", "press-2")
    seen = parameters.preview(plane, ADMIN, app="shop", level="device", part="press-1", values={"PORT": "08081"})
    assert [(line.name, line.what, line.restarted) for line in seen.rows] == [("press-1", "update", ("web",))]
    assert [(c.before, c.before_level, c.after, c.after_level) for c in seen.rows[0].changes] == [("8080", "default", "8081", "device press-1")]
    assert one.poll().status == 304
    generation = two.held.generation
    put(plane, "device", "press-1", PORT="08081")
    one.poll()
    two.poll()
    assert one.app().services[0].ports[0].host == 8081
    assert two.held.generation == generation
    assert not two.leaves
    # said at the site too, the device has the same already: nothing happens there, and what the site gives is canonical
    seen = put(plane, "site", "plant-1", PORT="8081", EVERY="60m")
    assert seen.values == {"PORT": "8081", "EVERY": "1h"}
    assert {line.name: line.what for line in seen.rows} == {"press-1": "update", "press-2": "update"}
    with pytest.raises(Conflict, match="says exactly this already"):
        put(plane, "site", "plant-1", PORT="8081")
    noted = [line for line in events.latest_events(plane, ADMIN, limit=20).items if line.verb == "parameters.changed"]
    assert noted[0].data["level"] == "site plant-1"
    assert noted[0].data["set"] == "EVERY=1h, PORT=8081"


def test_facts_in_values_are_filled_in_for_each_device(plane, api):
    one, two = deployed(plane, api, "press-1", "press-2")
    put(plane, WHERE="${PENSTOCK_SITE}/${PENSTOCK_DEVICE}/${PENSTOCK_LABEL_LINE}/${PENSTOCK_ARCHITECTURE} $$ $5 $${PENSTOCK_SITE}")
    for device in (one, two):
        device.poll()
        assert environment(device)["WHERE"] == f"plant-1/{device.name}/paint/amd64 $$ $5 ${{PENSTOCK_SITE}}"
    soak(plane, one)
    # another label: the device is ordered anew, by itself
    found = devices.get_device(plane, ADMIN, device="press-1").device
    devices.set_labels(plane, ADMIN, device=found.id, revision=found.revision, labels={"line": "paint", "slot": "7"})
    put(plane, "device", "press-1", WHERE="${PENSTOCK_LABEL_SLOT}")
    one.poll()
    assert environment(one)["WHERE"] == "7"
    assert one.leaves["shop"].content == content_digest(one.app())
    # a label that a device has not is a refusal that names it
    with pytest.raises(Conflict, match=r"on press-2.*PENSTOCK_LABEL_SLOT"):
        put(plane, "device", "press-2", WHERE="${PENSTOCK_LABEL_SLOT}")
    with pytest.raises(Invalid, match="there is no PENSTOCK_FOO"):
        put(plane, WHERE="${PENSTOCK_FOO}")


def test_a_label_that_goes_takes_its_value_along(plane, api):
    (one,) = deployed(plane, api, "press-1", values={"WHERE": "${PENSTOCK_LABEL_LINE}"})
    assert environment(one)["WHERE"] == "paint"
    groups.create_group(plane, ADMIN, name="spare", selector="spare")
    put(plane, "group", "spare", LEVEL="debug")
    found = devices.get_device(plane, ADMIN, device="press-1").device
    devices.set_labels(plane, ADMIN, device=found.id, revision=found.revision, labels={"line": "paint", "spare": "yes"})
    one.poll()
    assert environment(one)["LEVEL"] == "debug"
    assert one.leaves["shop"].content == content_digest(one.app())


def test_a_secret_at_a_level_travels_sealed_and_is_never_shown(plane, api):
    (one,) = deployed(plane, api, "press-1")
    old = one.app().secrets[0].version
    seen = parameters.change(plane, ADMIN, app="shop", level="site", part="plant-1", secrets={"KEY": "hunter2"})
    assert seen.values == {"KEY": None}
    one.poll()
    (sealed,) = one.app().secrets
    assert sealed.version != old
    opened = crypto.open_sealed(one.seal_key, sealed_from_wire(sealed.sealed), secret_bound_to(one.id, "shop", "KEY", sealed.version))
    assert opened == b"hunter2"
    said = row(plane, "KEY", "device", "press-1")
    assert [(layer.level, layer.value, layer.holds) for layer in said.layers] == [("site", None, True), ("deployment", None, False)]
    assert "hunter2" not in str(said) + str(seen) + str(events.latest_events(plane, ADMIN, limit=5))
    with pytest.raises(Invalid, match="fewer than 4") as caught:
        parameters.change(plane, ADMIN, app="shop", level="fleet", secrets={"KEY": "abc"})
    assert "abc" not in str(caught.value)
    clear(plane, "KEY", level="site", part="plant-1")
    one.poll()
    assert one.app().secrets[0].version == old


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"PORT": "http"}, "'http' is no port"),
        ({"PORT": "70000"}, "is no port"),
        ({"LEVEL": "loud"}, "none of the choices"),
        ({"EVERY": "2h"}, "more than is allowed"),
        ({"KEY": "open"}, "is a secret"),
        ({"NOPE": "1"}, "no parameter 'NOPE'"),
    ],
)
def test_what_a_release_does_not_allow_is_refused_with_the_field(plane, api, values, why):
    deployed(plane, api, "press-1")
    with pytest.raises(Invalid, match=why) as caught:
        put(plane, **values)
    assert caught.value.field == f"values.{next(iter(values))}"
    assert caught.value.remedy


def test_groups_that_disagree_are_refused_naming_both(plane, api):
    one, _ = deployed(plane, api, "press-1", "press-2")
    groups.create_group(plane, ADMIN, name="blue", named=("press-1",))
    groups.create_group(plane, ADMIN, name="red", named=("press-1", "press-2"))
    put(plane, "group", "blue", LEVEL="debug")
    with pytest.raises(Conflict, match="press-1 is in the groups blue and red, and they give LEVEL different values"):
        put(plane, "group", "red", LEVEL="warn")
    put(plane, "device", "press-1", LEVEL="info")  # who says it more closely is not in doubt
    put(plane, "group", "red", LEVEL="warn")
    with pytest.raises(Conflict, match="blue and red"):
        clear(plane, "LEVEL", level="device", part="press-1")
    one.poll()
    assert environment(one)["LEVEL"] == "info"


def somebody(role, part):
    return Actor("user", "usr_x", "xeno", rights_of("usr_x", [Binding("b", "usr_x", role, part)], BUILT_IN))


def test_who_may_set_what(plane, api):
    deployed(plane, api, "press-1")
    here = devices.get_device(plane, ADMIN, device="press-1").device.site
    elsewhere = a_site(plane, "plant-2")
    owner = somebody("site-owner", Part("site", here))
    put(plane, "site", "plant-1", owner, LEVEL="warn")
    put(plane, "device", "press-1", owner, LEVEL="debug")
    with pytest.raises(Forbidden):
        put(plane, "fleet", "", owner, LEVEL="warn")
    with pytest.raises(Missing):
        put(plane, "site", elsewhere, owner, LEVEL="warn")
    with pytest.raises(Forbidden):
        put(plane, "site", "plant-1", somebody("viewer", Part("fleet")), LEVEL="info")
    assert row(plane, "LEVEL", "device", "press-1", owner).held.value == "debug"
    assert not parameters.table(plane, somebody("viewer", Part("fleet")), app="shop", level="site", part="plant-1").may


def test_a_value_at_a_level_is_asked_of_nobody_and_lets_a_left_out_device_in(plane, api):
    one = let_in(plane, api, "press-1")
    a_release(plane, "1", "services:\n  web: {image: 'shop/web:1', environment: {A: '${A}'}}\n")
    with pytest.raises(Invalid, match="these parameters have no value: A"):
        deployments.create_deployment(plane, ADMIN, name="shop", release="shop:1", target=Target(selector="line=paint"))
    a_site(plane, "plant-2")
    put(plane, "site", "plant-2", A="2")
    deployments.create_deployment(plane, ADMIN, name="shop", release="shop:1", target=Target(selector="line=paint"))
    one.poll()
    assert one.desired.apps == ()
    seen = put(plane, "site", "plant-1", A="1")
    assert seen.counts == {"install": 1}
    one.poll()
    assert environment(one) == {"A": "1"}


def test_two_apps_that_want_one_port_are_found_before_anything_is_sent(plane, api):
    (one,) = deployed(plane, api, "press-1")
    a_release(plane, "1", PLAIN, app="gate")
    asked: dict[str, Any] = {"release": "gate:1", "target": Target((one.id,))}
    for values, found in (({"PORT": "8080"}, "left-out"), ({}, "install")):
        (line,) = deployments.preview(plane, ADMIN, values=values, **asked).rows
        assert line.what == found
    with pytest.raises(Conflict, match=r"gate \(service main\) and shop \(service web\) both want port 8080/tcp of the device"):
        deployments.create_deployment(plane, ADMIN, name="gate", values={"PORT": "8080"}, **asked)
    deployments.create_deployment(plane, ADMIN, name="gate", **asked)
    one.poll()
    with pytest.raises(Conflict, match="both want port 9000/tcp"):
        put(plane, "device", "press-1", PORT="9000")
    with pytest.raises(Conflict, match="both want port 8080/tcp"):
        parameters.change(plane, ADMIN, app="gate", level="site", part="plant-1", values={"PORT": "8080"})


def test_who_was_left_out_for_a_clash_gets_the_app_when_the_other_one_has_gone(plane, api):
    (one,) = deployed(plane, api, "press-1")
    a_release(plane, "1", PLAIN, app="gate")
    made = deployments.create_deployment(plane, ADMIN, name="gate", release="gate:1", target=Target(selector="line=paint"), values={"PORT": "8080"})

    assert "both want port 8080/tcp" in why_of(plane, made, one)
    shop = deployments.get_deployment(plane, ADMIN, deployment="shop")
    deployments.withdraw(plane, ADMIN, deployment=shop.deployment.id, revision=shop.deployment.revision, reason="it goes")
    work_off(plane)
    one.poll()
    assert "both want port 8080/tcp" in why_of(plane, made, one), "it is still there"
    one.say_app("removed", content="", removed=True)
    one.say_receipt("removed", content="", kind="uninstall")
    one.report()
    work_off(plane)
    one.poll()
    assert [app.app for app in one.desired.apps] == ["gate"]
    assert not why_of(plane, made, one).startswith("left-out")


def test_an_agent_that_is_too_old_for_a_release_is_named_before_anything_is_sent_and_gets_it_when_it_is_newer(plane, api):
    one = let_in(plane, api, "press-1", facts=replace(FACTS, reads=0, agent="0.0.9"))
    a_release(plane, "1", "services:\n  main: {image: 'shop/web:1', read_only: true}\n", app="gate")
    (line,) = deployments.preview(plane, ADMIN, release="gate:1", target=Target((one.id,))).rows
    assert line.what == "left-out"
    why = r"its agent \(0.0.9\) is too old for this release: it reads version 1 of the orders and this needs 2; update the agent"
    with pytest.raises(Conflict, match=rf"on press-1: {why}"):
        deployments.create_deployment(plane, ADMIN, name="gate", release="gate:1", target=Target((one.id,)))
    made = deployments.create_deployment(plane, ADMIN, name="gate", release="gate:1", target=Target(selector="line=paint"))
    work_off(plane)
    one.poll()
    assert one.desired.apps == ()
    assert "too old for this release" in why_of(plane, made, one)
    one.facts = replace(FACTS, reads=2, agent="0.1.0")
    one.say_device()
    one.report()
    work_off(plane)
    one.poll()
    assert [app.app for app in one.desired.apps] == ["gate"]


def test_what_does_not_fit_is_refused_and_room_is_shown(plane, api):
    facts = replace(FACTS, memory_bytes=2 << 30, nodes=("/dev/nvidia0", "/dev/ttyUSB0"))
    one = let_in(plane, api, "press-1", facts=facts)
    needs = "services:\n  main: {image: 'shop/web:1'}\nx-penstock: {needs: {memory: %s, accelerators: [nvidia]}}\n"
    a_release(plane, "1", needs % "1g", app="model")
    a_release(plane, "1", needs % "1g", app="other")
    a_release(plane, "2", needs % "3g", app="other")
    deployments.create_deployment(plane, ADMIN, name="model", release="model:1", target=Target((one.id,)))
    one.poll()
    with pytest.raises(Conflict, match="both want the accelerator nvidia"):
        deployments.create_deployment(plane, ADMIN, name="other", release="other:1", target=Target((one.id,)))
    with pytest.raises(Conflict, match="other needs 3 GiB of memory: the device has 2 GiB, of which 128 MiB are the system's and 1 GiB are model's promised"):
        deployments.create_deployment(plane, ADMIN, name="other", release="other:2", target=Target((one.id,)))
    made = deployments.create_deployment(plane, ADMIN, name="other", release="other:2", target=Target(selector="line=paint"))
    work_off(plane)
    rollout = deployments.get_deployment(plane, ADMIN, deployment=made.id).rollout
    assert rollout is not None
    assert rollout.counts == {"left-out": 1}
    room = rooms.of_device(plane, ADMIN, device="press-1")
    assert room.reserve.memory_promised == {"model": 1 << 30}
    assert room.reserve.memory_left == (2 << 30) - (128 << 20) - (1 << 30)
    assert room.accelerators == {"nvidia": 1}
    assert [found.name for found in rooms.of_site(plane, ADMIN, site="plant-1")] == ["press-1"]


def test_a_label_that_a_value_needs_does_not_go_and_a_group_with_values_stays(plane, api):
    (one,) = deployed(plane, api, "press-1", values={"WHERE": "x"})
    found = devices.get_device(plane, ADMIN, device="press-1").device
    devices.set_labels(plane, ADMIN, device=found.id, revision=found.revision, labels={"line": "paint", "slot": "7"})
    put(plane, "device", "press-1", WHERE="${PENSTOCK_LABEL_SLOT}")
    found = devices.get_device(plane, ADMIN, device="press-1").device
    with pytest.raises(Conflict, match=r"on press-1, which has shop: .*PENSTOCK_LABEL_SLOT"):
        devices.set_labels(plane, ADMIN, device=found.id, revision=found.revision, labels={"line": "paint"})
    made = groups.create_group(plane, ADMIN, name="pilot", named=("press-1",))
    put(plane, "group", "pilot", LEVEL="debug")
    with pytest.raises(Conflict, match="values of app shop are set on it"):
        groups.remove_group(plane, ADMIN, group="pilot", revision=made.revision)
    # out of the group: what the group gave goes
    groups.change_group(plane, ADMIN, group="pilot", revision=made.revision, named=())
    one.poll()
    assert environment(one)["LEVEL"] == "info"
    assert one.leaves["shop"].content == content_digest(one.app())
    clear(plane, "LEVEL", level="group", part="pilot")
    groups.remove_group(plane, ADMIN, group="pilot", revision=made.revision + 1)


def test_a_site_that_is_renamed_reaches_who_asks_for_its_title(plane, api):
    (one,) = deployed(plane, api, "press-1", values={"WHERE": "${PENSTOCK_SITE_TITLE}"})
    assert environment(one)["WHERE"] == "plant-1"
    site = sites.get_site(plane, ADMIN, site="plant-1").site
    sites.change_site(plane, ADMIN, site="plant-1", revision=site.revision, title="Ulm foundry")
    one.poll()
    assert environment(one)["WHERE"] == "Ulm foundry"
    assert one.leaves["shop"].content == content_digest(one.app())
