"""The main path at the plane: let in, deploy, report, upgrade, fail, withdraw; every state believed only from the device's own words."""

from __future__ import annotations

import pytest

from penstock import crypto
from penstock.server.actions import commands, deployments, devices, enrolments, joins, progress, releases, timeline
from penstock.server.api.agent import AgentApi
from penstock.server.core.errors import Conflict, Invalid, Stale
from penstock.server.core.model import Target
from penstock.server.core.rights import EVERYWHERE
from penstock.server.core.views import DeviceQuery
from penstock.server.store import sites
from penstock.wire.log import Boot, CommandOutcome
from penstock.wire.options import File, Options
from penstock.wire.record import replace
from penstock.wire.sealing import sealed_from_wire
from penstock.wire.types import content_digest, secret_bound_to
from tests.server.paper import FACTS, PaperDevice, straight
from tests.server.planes import ADMIN, WITH_SECRET, a_release, a_site, make_plane, turn, work_off


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


OLDER, OLDEST = "sha256:" + "2" * 64, "sha256:" + "1" * 64  # what ran before


def let_in(plane, api, name="press-4", labels=None, **more) -> PaperDevice:
    if not plane.db.view(lambda tx: sites.find(tx, EVERYWHERE, "plant-1")):
        a_site(plane)
    join = joins.create_join(plane, ADMIN, site="plant-1", auto_approve=True, labels=labels or {"line": "paint"}).join
    device = PaperDevice(straight(api), name, clock=plane.clock.now_ms, **more)
    assert device.ask(join).status == "approved"
    device.write("boot", Boot("0.1.0", "b1", device.facts, "d1"))
    device.poll()
    return device


def deploy(plane, release, name="shop", **more):
    more.setdefault("target", Target(selector="line=paint"))
    return deployments.create_deployment(plane, ADMIN, name=name, release=release.id, **more)


def newest(plane, deployment):
    return progress.list_rollouts(plane, ADMIN, deployment=deployment.id).items[0]


def soak(plane, device):
    for phase in ("claimed", "confirmed", "soaked"):
        device.say_app(phase)
    device.say_receipt("soaked")
    device.say_device()
    device.report()
    work_off(plane)
    device.poll()


def test_install_upgrade_fail_withdraw(plane, api):
    device = let_in(plane, api)
    assert device.desired.apps == ()
    assert device.poll().status == 304
    first, second = a_release(plane, "1"), a_release(plane, "2")
    made = deploy(plane, first)
    assert device.poll().status == 200
    assert device.app().version == "1"
    assert device.held.generation == 2
    assert device.leaves["shop"].content == content_digest(device.app())
    assert newest(plane, made).counts == {"ordered": 1}
    device.say_app("waiting", content="", target=content_digest(device.app()))
    device.report()
    work_off(plane)
    assert newest(plane, made).counts == {"ordered": 1}
    for phase, state in (("claimed", "claimed"), ("confirmed", "confirmed"), ("soaked", "soaked")):
        device.say_app(phase)
        device.report()
        work_off(plane)
        assert newest(plane, made).counts == {state: 1}
    assert newest(plane, made).rollout.state == "done"
    assert device.poll().status == 200
    assert device.leaves == {}
    assert device.held.generation == 2
    # an upgrade
    change = deployments.change_deployment(plane, ADMIN, deployment="shop", revision=made.revision, release="shop:2")
    device.poll()
    assert (device.app().version, device.held.generation) == ("2", 3)
    device.say_receipt("failed-reverted")
    device.say_app("failed", content="sha256:" + "1" * 64, target=content_digest(device.app()))
    device.report()
    work_off(plane)
    assert newest(plane, made).counts == {"failed": 1}
    assert "failed-reverted" in progress.members(plane, ADMIN, rollout=newest(plane, made).rollout.id).items[0].member.why
    device.poll()
    assert device.leaves == {}
    # again, by a person's word only
    turn(plane, 1000)
    assert deployments.retry(plane, ADMIN, deployment="shop") == 1
    device.poll()
    assert "shop" in device.leaves
    work_off(plane)
    assert newest(plane, made).counts == {"ordered": 1}
    soak(plane, device)
    assert newest(plane, made).counts == {"soaked": 1}
    assert second.version == "2"
    # withdrawn
    with pytest.raises(Stale):
        deployments.withdraw(plane, ADMIN, deployment="shop", revision=made.revision, reason="")
    deployments.withdraw(plane, ADMIN, deployment="shop", revision=change.revision, reason="no more")
    device.poll()
    assert device.desired.apps == ()
    assert device.leaves["shop"].content == ""
    assert newest(plane, made).counts == {"ordered": 1}
    device.say_app("removed", content="", removed=True)
    device.report()
    work_off(plane)
    assert newest(plane, made).counts == {"removed": 1}
    device.poll()
    assert device.leaves == {}
    titles = [entry.title for entry in timeline.timeline(plane, ADMIN, device=device.id, limit=100).items]
    assert titles[0] == "shop: removed"
    assert "device.approved" in titles


def test_only_devices_whose_document_changes_get_a_new_number(plane, api):
    one, two = let_in(plane, api, "one"), let_in(plane, api, "two", {"line": "press"})
    made = deploy(plane, a_release(plane))
    one.poll()
    two.poll()
    assert (one.held.generation, two.held.generation) == (2, 1)
    soak(plane, one)
    # the same values again: nothing moves
    again = deployments.change_deployment(plane, ADMIN, deployment="shop", revision=made.revision, values={"LEVEL": "info"})
    work_off(plane)
    assert (one.poll().status, one.held.generation) == (304, 2)
    # how long to soak is in the document, and restarts nothing
    third = deployments.change_deployment(plane, ADMIN, deployment="shop", revision=again.revision, soak_s=90)
    one.poll()
    assert (one.held.generation, one.app().soak_s, one.leaves) == (3, 90, {})
    # labels bring a device in, and take it out
    found = devices.get_device(plane, ADMIN, device="two").device
    devices.set_labels(plane, ADMIN, device="two", revision=found.revision, labels={"line": "paint"})
    two.poll()
    assert two.app().version == "1"
    assert "shop" in two.leaves
    devices.set_labels(plane, ADMIN, device="two", revision=found.revision + 1, labels={})
    two.poll()
    assert two.desired.apps == ()
    assert two.leaves["shop"].content == ""
    assert third.plan == 3
    assert one.poll().status == 304


def test_two_deployments_of_one_app_never_share_a_device(plane, api):
    device = let_in(plane, api)
    release = a_release(plane)
    first = deploy(plane, release, "first")
    second = deploy(plane, release, "second", values={"LEVEL": "debug"})
    device.poll()
    assert device.app().deployment == first.id
    assert "came first on press-4" in deployments.get_deployment(plane, ADMIN, deployment="second").deployment.conflict
    deployments.withdraw(plane, ADMIN, deployment="first", revision=first.revision, reason="")
    device.poll()
    assert device.app().deployment == second.id
    assert deployments.get_deployment(plane, ADMIN, deployment="second").deployment.conflict == ""


def withdrawn(plane, api, *others):
    """A device from which the app was withdrawn and removed; `others` still have it."""
    device = let_in(plane, api)
    rest = [let_in(plane, api, name) for name in others]
    made = deploy(plane, a_release(plane))
    for one in (device, *rest):
        one.poll()
        soak(plane, one)
    content = content_digest(device.app())
    made = deployments.get_deployment(plane, ADMIN, deployment=made.id).deployment
    deployments.withdraw(plane, ADMIN, deployment=made.id, revision=made.revision, reason="no more")
    device.poll()
    device.say_app("removed", content="", removed=True)
    device.say_device()
    device.report()
    work_off(plane)
    device.poll()
    assert device.leaves == {}
    return device, rest, made, content


def test_what_was_withdrawn_and_is_there_again_is_withdrawn_again(plane, api):
    """A machine set back to a day before the withdrawal has the app again, and nobody could withdraw a second time."""
    device, _, made, content = withdrawn(plane, api)
    assert newest(plane, made).rollout.state == "done"
    device.say_app("waiting", content=content)
    device.report()
    work_off(plane)
    assert newest(plane, made).counts == {"ordered": 1}
    device.poll()
    assert (device.desired.apps, device.leaves["shop"].content) == ((), "")
    device.say_app("removed", content="", removed=True)
    device.report()
    work_off(plane)
    assert (newest(plane, made).counts, newest(plane, made).rollout.state) == ({"removed": 1}, "done")
    device.poll()
    assert device.leaves == {}


def test_a_withdrawal_that_somebody_stopped_is_not_taken_up_again(plane, api):
    device, _, _, _ = withdrawn(plane, api)
    again = deploy(plane, a_release(plane, "2"), "again")
    device.poll()
    soak(plane, device)
    content = content_digest(device.app())
    deployments.withdraw(plane, ADMIN, deployment=again.id, revision=again.revision, reason="no more")
    progress.stop_rollout(plane, ADMIN, rollout=newest(plane, again).rollout.id, reason="not now")
    device.poll()
    device.say_app("waiting", content=content)
    device.report()
    work_off(plane)
    device.poll()
    assert (device.desired.apps, device.leaves) == ((), {})


def test_a_withdrawal_says_nothing_more_to_a_device_that_is_owed_the_app_anew(plane, api):
    """It still runs, because another device is away; what is ordered anew here must not be given leave to go."""
    device, _, made, _ = withdrawn(plane, api, "press-5")
    assert newest(plane, made).rollout.state == "running"
    again = deploy(plane, a_release(plane, "2"), "again", target=Target(devices=(device.id,)))
    device.poll()
    leave = device.leaves["shop"]
    assert leave.content == content_digest(device.app())
    device.say_app("applying")
    device.report()
    work_off(plane)
    device.poll(tagged=False)
    assert device.leaves["shop"] == leave
    soak(plane, device)
    assert newest(plane, again).counts == {"soaked": 1}
    assert newest(plane, made).counts == {"removed": 1, "ordered": 1}
    assert device.leaves == {}


def test_a_device_without_the_right_processor_is_left_out(plane, api):
    arm = let_in(plane, api, "arm", facts=replace(FACTS, platforms=("linux/arm/v7",)))
    made = deploy(plane, a_release(plane))
    arm.poll()
    assert arm.desired.apps == ()
    view = newest(plane, made)
    assert view.counts == {"left-out": 1}
    assert view.rollout.state == "done"
    assert "linux/arm/v7" in progress.members(plane, ADMIN, rollout=view.rollout.id).items[0].member.why


def test_leaves_are_renewed_while_it_runs_and_lapse_when_it_stops(plane, api):
    device = let_in(plane, api)
    made = deploy(plane, a_release(plane))
    device.poll()
    first = device.leaves["shop"]
    turn(plane, 40_000_000)
    work_off(plane)
    assert device.poll().status == 304
    turn(plane, 10_000_000)
    work_off(plane)
    assert device.poll().status == 200
    second = device.leaves["shop"]
    assert second.id == first.id  # the same leave for longer: a new one would be another try
    assert second.not_after_ms == plane.clock.now_ms() + 86_400_000
    progress.stop_rollout(plane, ADMIN, rollout=newest(plane, made).rollout.id, reason="wait")
    device.poll()
    assert device.leaves == {}
    assert device.app().version == "1"


def test_silence_is_never_success(plane, api):
    device = let_in(plane, api)
    made = deploy(plane, a_release(plane))
    device.poll()
    turn(plane, 30 * 86_400_000)
    work_off(plane)
    assert newest(plane, made).counts == {"ordered": 1}
    assert newest(plane, made).rollout.state == "running"


def test_a_soaked_device_that_lost_everything_gets_leave_again(plane, api):
    device = let_in(plane, api)
    made = deploy(plane, a_release(plane))
    device.poll()
    soak(plane, device)
    assert device.leaves == {}
    device.say_app("waiting", content="", target=content_digest(device.app()))
    device.report()
    work_off(plane)
    device.poll()
    assert "shop" in device.leaves
    assert newest(plane, made).counts == {"ordered": 1}


def test_a_local_revert_stays_until_the_centre_orders_something_else(plane, api):
    device = let_in(plane, api)
    made = deploy(plane, a_release(plane))
    device.poll()
    soak(plane, device)
    a_release(plane, "2")
    made = deployments.change_deployment(plane, ADMIN, deployment="shop", revision=made.revision, release="shop:2")
    device.poll()
    soak(plane, device)
    device.say_app("soaked", content="sha256:" + "2" * 64, pinned=True, why="reverted by the shift leader")
    device.report()
    work_off(plane)
    assert newest(plane, made).counts == {"pinned": 1}
    device.poll()
    assert device.leaves == {}
    assert devices.list_devices(plane, ADMIN, query=DeviceQuery()).items[0].status.pinned == 1


@pytest.mark.parametrize(
    ("kind", "verdict", "cause", "content"),
    [
        ("recreate", "done", "drift", OLDER),
        ("recreate", "failed-left", "drift", OLDER),
        ("recreate", "done", "drift", None),
        ("restart", "done", "command", OLDER),
        ("revert", "soaked", "local", OLDEST),
        ("revert", "failed-reverted", "local", OLDEST),
        ("revert", "soaked", "command", OLDEST),
    ],
)
def test_what_failed_is_tried_again_only_when_somebody_orders_it(plane, api, kind, verdict, cause, content):
    """Whatever else happens to the app meanwhile: a container repaired, a service restarted, a person going back further and forth again."""
    device = let_in(plane, api)
    made = deploy(plane, a_release(plane, "3"))
    device.poll()
    for receipt in ({"verdict": "failed-reverted"}, {"verdict": verdict, "kind": kind, "cause": cause, "content": content, "leave": ""}):
        device.say_receipt(**receipt)
        device.say_app("failed", content=OLDER, target=content_digest(device.app()))
        device.report()
        work_off(plane)
        device.poll()
        assert (newest(plane, made).counts, device.leaves) == ({"failed": 1}, {})
        turn(plane, 1000)
    assert deployments.retry(plane, ADMIN, deployment="shop") == 1
    device.poll()
    assert "shop" in device.leaves
    soak(plane, device)
    assert newest(plane, made).counts == {"soaked": 1}


def test_drift_that_cannot_be_repaired_shows_in_the_rollout(plane, api):
    device = let_in(plane, api)
    made = deploy(plane, a_release(plane))
    device.poll()
    device.say_receipt("soaked")
    soak(plane, device)
    device.say_receipt("failed-left", kind="recreate", cause="drift", leave="")
    device.say_app("failed")
    device.report()
    work_off(plane)
    assert newest(plane, made).counts == {"failed": 1}


def test_secrets_are_sealed_once_and_only_for_their_device(plane, api):
    device = let_in(plane, api)
    release = a_release(plane, "1", WITH_SECRET, "vault")
    with pytest.raises(Invalid, match="PASSWORD"):
        deploy(plane, release, "vault")
    made = deploy(plane, release, "vault", secrets={"PASSWORD": "hunter2"})
    device.poll()
    secret = device.app("vault").secrets[0]
    bound = secret_bound_to(device.id, "vault", secret.name, secret.version)
    assert crypto.open_sealed(device.seal_key, sealed_from_wire(secret.sealed), bound) == b"hunter2"
    generation = device.held.generation
    turn(plane, 60_000_000)
    changed = deployments.change_deployment(plane, ADMIN, deployment="vault", revision=made.revision, reason="nothing new")
    work_off(plane)
    device.poll()
    assert device.held.generation == generation
    assert device.app("vault").secrets[0].sealed == secret.sealed
    deployments.change_deployment(plane, ADMIN, deployment="vault", revision=changed.revision, secrets={"PASSWORD": "hunter3"})
    device.poll()
    fresh = device.app("vault").secrets[0]
    assert fresh.version != secret.version
    assert b"hunter" not in (plane.db.engine.raw_connection().cursor().execute("select group_concat(vaulted) from secrets").fetchone()[0]).encode()


NEAR_THE_HOST = """
name: vault
services:
  web:
    image: shop/web:1
    privileged: true
    configs: [{source: settings, target: /etc/app.conf}]
    secrets: [{source: pw, mode: 0400}]
configs: {settings: {content: "line = ${LINE:-7}"}}
secrets: {pw: {environment: PASSWORD}}
"""


def test_files_and_rarer_settings_travel_and_what_they_may_do_is_told(plane, api):
    device = let_in(plane, api)
    release = a_release(plane, "1", NEAR_THE_HOST, "vault")
    (told,) = releases.get_release(plane, ADMIN, release=release.id).hazards
    assert told.startswith("web runs privileged")
    assert releases.check(plane, ADMIN, source=NEAR_THE_HOST.encode()).hazards == (told,)
    with pytest.raises(Invalid, match="PASSWORD"):
        deploy(plane, release, "vault")
    deploy(plane, release, "vault", secrets={"PASSWORD": "hunter2"}, values={"LINE": "9"})
    device.poll()
    app = device.app("vault")
    assert device.desired.wire == app.wire == 2
    (service,) = app.services
    assert service.options == Options(privileged=True)
    settings, password = service.files
    assert settings == File("/etc/app.conf", "bGluZSA9IDk=")
    assert (password.target, password.secret, password.content, password.mode) == ("/run/secrets/pw", "PASSWORD", "", 0o400)
    (secret,) = app.secrets
    assert (secret.name, secret.version) == ("PASSWORD", password.version)
    bound = secret_bound_to(device.id, "vault", secret.name, secret.version)
    assert crypto.open_sealed(device.seal_key, sealed_from_wire(secret.sealed), bound) == b"hunter2"
    plain = a_release(plane, "2", WITH_SECRET, "vault")
    assert releases.get_release(plane, ADMIN, release=plain.id).hazards == ()


def test_commands_travel_once_and_end(plane, api):
    device = let_in(plane, api)
    made = commands.order(plane, ADMIN, device="press-4", verb="logs", arguments={"app": "shop", "service": "web"})
    device.poll()
    assert [command.id for command in device.commands] == [made.id]
    device.write("command-outcome", CommandOutcome(made.id, "logs", "done", "read", "line 1\n"))
    device.report()
    device.poll()
    assert device.commands == ()
    assert commands.get_command(plane, ADMIN, command=made.id).output == "line 1\n"
    late = commands.order(plane, ADMIN, device="press-4", verb="refresh", expires_s=60)
    turn(plane, 61_000)
    assert commands.expire(plane) == 1
    device.poll()
    assert device.commands == ()
    device.write("command-outcome", CommandOutcome(late.id, "refresh", "refused", "it lapsed"))
    device.report()
    assert commands.get_command(plane, ADMIN, command=late.id).outcome == "refused"
    for verb, arguments, field in (("dance", {}, "verb"), ("restart", {"app": "shop"}, "arguments.service"), ("prune", {"x": "1"}, "arguments.x")):
        with pytest.raises(Invalid) as refused:
            commands.order(plane, ADMIN, device="press-4", verb=verb, arguments=arguments)
        assert refused.value.field == field


def test_new_hardware_takes_the_place_of_the_old(plane, api):
    old = let_in(plane, api)
    deploy(plane, a_release(plane))
    old.poll()
    soak(plane, old)
    join = joins.create_join(plane, ADMIN, site="plant-1", auto_approve=True).join
    new = PaperDevice(straight(api), "press-4", clock=plane.clock.now_ms)
    assert new.ask(join).status == "waiting"
    asked = enrolments.list_enrolments(plane, ADMIN)[0]
    assert "exists already" in asked.why
    with pytest.raises(Conflict) as refused:
        enrolments.approve(plane, ADMIN, enrolment=asked.id)
    assert refused.value.code == "needs-replace"
    assert old.poll().status == 304
    enrolments.approve(plane, ADMIN, enrolment=asked.id, replace=True)
    assert new.ask(join).status == "approved"
    assert new.id == old.id
    assert old.poll().status == 401
    old.token = ""
    assert old.open_session().status == 403
    new.poll()
    assert "shop" in new.leaves
    assert new.app().version == "1"
    new.write("boot", Boot("0.1.0", "b1", new.facts, "d2"))
    soak(plane, new)
    assert new.leaves == {}
    assert old.ask(join).status == "rejected"


def test_what_a_release_changes_on_a_device(plane, api):
    one, two = a_release(plane, "1"), a_release(plane, "2")
    device = let_in(plane, api, labels={"line": "paint"})
    with pytest.raises(Invalid, match="has reported no release of shop"):
        releases.compare(plane, ADMIN, old="", new=two.id, device="press-4")
    deploy(plane, one)
    work_off(plane)
    device.poll()
    soak(plane, device)
    whole = releases.compare(plane, ADMIN, old="", new=two.id, device="press-4")
    found = whole.change
    assert (whole.old.id, whole.new.id, whole.device) == (one.id, two.id, "press-4")
    assert [part.name for part in found.services if part.restarts] == ["web"]
