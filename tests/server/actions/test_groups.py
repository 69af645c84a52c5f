"""Groups at the plane: members are right after every act, deployments follow them, and nobody gets rights by bringing a device into one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from penstock.server.actions import deployments, devices, enrolments, events, groups, joins, retiring, sites
from penstock.server.api.agent import AgentApi
from penstock.server.core import rights
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Missing, Stale
from penstock.server.core.groups import memberships
from penstock.server.core.model import ACTIVE, Actor, ApiToken, Device, DeviceId, DeviceStatus, Target, User, UserId
from penstock.server.core.rights import BUILT_IN, EVERYWHERE, Binding, Part, Role, rights_of
from penstock.server.core.views import DeviceQuery
from penstock.server.store import access, api_tokens, status, users
from penstock.server.store import devices as device_store
from penstock.server.store import groups as group_store
from penstock.server.store import rollouts as rollout_store
from tests.server.paper import FACTS, PaperDevice, straight
from tests.server.planes import ADMIN, a_release, a_site, make_plane, turn, work_off

ROLES = {
    **BUILT_IN,
    "labeller": Role("labeller", "Labels", frozenset({"devices.read", "devices.write", "groups.read"})),
    "grouper": Role("grouper", "Groups", frozenset({"devices.read", "groups.read", "groups.write"})),
    "giver": Role("giver", "Gives", frozenset({"devices.read", "groups.read", "groups.write", "access.read", "access.write"})),
}


@pytest.fixture
def plane(tmp_path):
    made = make_plane(tmp_path)
    a_site(made)
    yield made
    made.db.close()


@pytest.fixture
def api(plane):
    made = AgentApi(plane)
    yield made
    made.close()


def somebody(name, *bound):
    """A person with (role, part) each."""
    ident = f"usr_{name}"
    return Actor("user", ident, name, rights_of(ident, [Binding(f"bnd_{n}", ident, role, part) for n, (role, part) in enumerate(bound)], ROLES))


FLEET = Part("fleet")


def put(plane, name, labels=None, site="plant-1"):
    """A device that is let in, without the ceremony; its id."""

    def work(tx):
        found = sites.find(tx, ADMIN, site)
        key = f"key {name}"
        device = Device(DeviceId(f"dev_{name}"), name, found.id, {}, ACTIVE, "", key, "print", "sign", "seal", 1, FACTS, 1)
        device_store.add(tx, device)
        status.put(tx, [DeviceStatus(device.id, severity=20)])
        return device.id

    ident = plane.db.update(work)
    label(plane, ident, labels or {})
    return ident


def label(plane, device, labels, actor=ADMIN):
    found = devices.get_device(plane, ADMIN, device=device).device
    return devices.set_labels(plane, actor, device=device, revision=found.revision, labels=labels)


def make(plane, name="presses", actor=ADMIN, **more):
    return groups.create_group(plane, actor, name=name, **more)


def change(plane, group, actor=ADMIN, **more):
    revision = groups.get_group(plane, ADMIN, group=group).group.revision
    return groups.change_group(plane, actor, group=group, revision=revision, **more)


def who(plane, group, actor=ADMIN):
    return [(one.row.device.name, one.ways) for one in groups.list_members(plane, actor, group=group).items]


def bind(plane, group, role="viewer", subject="usr_red"):
    plane.db.update(lambda tx: access.bind(tx, Binding(plane.ids.new("bnd"), subject, role, Part("group", group.id))))


# --- making, reading, changing, removing --------------------------------------------------------------------------------


def test_a_life(plane):
    for name, labels in (("a", {"line": "3"}), ("b", {"line": "3", "spare": "yes"}), ("c", {})):
        put(plane, name, labels)
    made = make(plane, title="All presses", selector=" line=3, !spare ", named=["c", "dev_a"], reason="for the night shift")
    assert (made.selector, made.devices) == ("line=3, !spare", ("dev_a", "dev_c"))
    assert who(plane, "presses") == [("a", ("named", "labels")), ("c", ("named",))]
    assert [one.name for one in devices.get_device(plane, ADMIN, device="a").groups] == ["presses"]
    assert devices.get_device(plane, ADMIN, device="b").groups == ()
    found = groups.get_group(plane, ADMIN, group="presses")
    assert found.counts is not None
    assert (found.devices, found.named, found.gives_rights, found.counts.devices) == (2, ("dev_a", "dev_c"), False, 2)
    assert [row.device.name for row in devices.list_devices(plane, ADMIN, query=DeviceQuery(group="presses", sort="name")).items] == ["a", "c"]
    fresh = groups.change_group(plane, ADMIN, group="presses", revision=1, selector="", named=["b"])
    assert (fresh.title, fresh.revision, who(plane, made.id)) == ("All presses", 2, [("b", ("named",))])
    with pytest.raises(Stale):
        groups.change_group(plane, ADMIN, group="presses", revision=1, title="Others")
    with pytest.raises(Stale):
        groups.remove_group(plane, ADMIN, group="presses", revision=1)
    groups.remove_group(plane, ADMIN, group="presses", revision=2)
    assert groups.list_groups(plane, ADMIN) == ()
    assert devices.get_device(plane, ADMIN, device="b").groups == ()
    said = {one.verb: one.data for one in events.latest_events(plane, ADMIN, limit=50).items if one.verb.startswith("group.")}
    assert said["group.created"]["devices"] == "a, c"
    assert (said["group.changed"]["came"], said["group.changed"]["went"]) == ("b", "a, c")
    assert said["group.removed"]["name"] == "presses"


def test_what_is_refused(plane):
    put(plane, "a")
    make(plane)
    for more, kind, field in (
        ({"name": "presses"}, Conflict, "name"),
        ({"name": "Press es"}, Invalid, "name"),
        ({"selector": "line="}, Invalid, "selector"),
        ({"named": ["nobody"]}, Missing, "devices"),
        ({"title": "x" * 201}, Invalid, "title"),
    ):
        with pytest.raises(kind) as refused:
            make(plane, **{"name": "other", **more})
        assert refused.value.field == field
    with pytest.raises(Missing):
        groups.get_group(plane, ADMIN, group="other")
    with pytest.raises(Missing):
        devices.list_devices(plane, ADMIN, query=DeviceQuery(group="other"))


# --- who sees what ------------------------------------------------------------------------------------------------------


def test_who_sees_a_group_and_whom_in_it(plane):
    a_site(plane, "plant-2")
    put(plane, "a", {"line": "3"})
    put(plane, "b", {"line": "3"}, site="plant-2")
    group = make(plane, selector="line", named=["a", "b"])
    here = plane.db.view(lambda tx: sites.find(tx, ADMIN, "plant-2").id)
    local = somebody("local", ("engineer", Part("site", here)))
    assert groups.list_groups(plane, local) == ()
    with pytest.raises(Missing):
        groups.get_group(plane, local, group="presses")
    with pytest.raises(Missing):
        devices.list_devices(plane, local, query=DeviceQuery(group="presses"))
    assert devices.get_device(plane, local, device="b").groups == ()
    reader = Role("reader", "Reads groups", frozenset({"groups.read"}))
    partly = Actor(
        "user",
        "usr_p",
        "p",
        rights_of("usr_p", [Binding("1", "usr_p", "reader", FLEET), Binding("2", "usr_p", "engineer", Part("site", here))], {**ROLES, "reader": reader}),
    )
    found = groups.get_group(plane, partly, group="presses")
    assert (found.devices, found.named, who(plane, "presses", partly)) == (1, ("dev_b",), [("b", ("named", "labels"))])
    assert groups.list_groups(plane, partly)[0].devices == 1
    member = somebody("member", ("viewer", Part("group", group.id)))
    assert [one.group.name for one in groups.list_groups(plane, member)] == ["presses"]
    assert [name for name, _ in who(plane, "presses", member)] == ["a", "b"]
    label(plane, "dev_a", {})
    change(plane, "presses", named=[])
    assert [name for name, _ in who(plane, "presses", member)] == ["b"]
    with pytest.raises(Missing):
        devices.get_device(plane, member, device="a")


def test_a_list_changed_by_somebody_who_sees_a_part_keeps_the_rest(plane):
    a_site(plane, "plant-2")
    for name, site in (("a", "plant-1"), ("b", "plant-2"), ("c", "plant-2")):
        put(plane, name, site=site)
    make(plane, named=["a", "b"])
    here = plane.db.view(lambda tx: sites.find(tx, ADMIN, "plant-2").id)
    only = {**ROLES, "groups": Role("groups", "Groups", frozenset({"groups.read", "groups.write"}))}
    bound = [Binding("1", "usr_p", "groups", FLEET), Binding("2", "usr_p", "engineer", Part("site", here))]
    partly = Actor("user", "usr_p", "p", rights_of("usr_p", bound, only))
    change(plane, "presses", partly, named=["c"])
    assert [name for name, _ in who(plane, "presses")] == ["a", "c"]
    with pytest.raises(Missing):
        change(plane, "presses", partly, named=["a"])


# --- rights hang on it --------------------------------------------------------------------------------------------------


def test_labels_do_not_bring_a_device_into_a_group_that_roles_are_given_on(plane):
    put(plane, "a", {"line": "3"})
    put(plane, "b")
    group = make(plane, selector="line=3", named=["b"])
    labeller = somebody("lab", ("labeller", FLEET))
    label(plane, "dev_b", {"line": "3"}, labeller)  # nothing hangs on it yet
    label(plane, "dev_b", {}, labeller)
    bind(plane, group)
    assert groups.get_group(plane, ADMIN, group="presses").gives_rights
    with pytest.raises(Forbidden) as refused:
        label(plane, "dev_a", {"line": "4"}, labeller)  # out
    assert "presses" in refused.value.why
    assert refused.value.field == "labels"
    put(plane, "c")
    with pytest.raises(Forbidden):
        label(plane, "dev_c", {"line": "3"}, labeller)  # in
    label(plane, "dev_c", {"line": "4"}, labeller)  # neither
    label(plane, "dev_b", {"line": "3"}, labeller)  # it is in by name already
    blind = Actor("user", "usr_x", "x", rights_of("usr_x", [Binding("1", "usr_x", "site-owner", Part("device", "dev_c"))], BUILT_IN))
    with pytest.raises(Forbidden) as refused:
        label(plane, "dev_c", {"line": "3"}, blind)
    assert "presses" not in refused.value.why
    assert who(plane, "presses") == [("a", ("labels",)), ("b", ("named", "labels"))]
    label(plane, "dev_c", {"line": "3"})
    assert "c" in [name for name, _ in who(plane, "presses")]


def test_a_group_that_roles_are_given_on_is_changed_by_who_may_give_them_and_has_them(plane):
    put(plane, "a")
    group = make(plane)
    inside = somebody("in", ("engineer", Part("group", group.id)))
    grouper, giver = somebody("gro", ("grouper", FLEET)), somebody("giv", ("giver", FLEET))
    change(plane, "presses", grouper, named=["a"])
    change(plane, "presses", grouper, named=[])
    bind(plane, group, "engineer")
    for actor, more in ((inside, {"selector": "line"}), (grouper, {"named": ["a"]}), (grouper, {"selector": "!x"}), (giver, {"named": ["a"]})):
        with pytest.raises((Forbidden, Missing)):
            change(plane, "presses", actor, **more)
        assert who(plane, "presses") == []
    change(plane, "presses", grouper, title="Other words")
    both = somebody("both", ("giver", FLEET), ("engineer", FLEET))
    change(plane, "presses", both, named=["a"])
    assert who(plane, "presses") == [("a", ("named",))]


def test_a_token_narrowed_to_a_group_does_not_widen_itself(plane):
    put(plane, "a")
    group = make(plane)

    def work(tx):
        users.add(tx, User(UserId("usr_anna"), "anna", "x", 1))
        api_tokens.add(tx, ApiToken("tok_1", "usr_anna", "deployer", "h", 1, plane.clock.now_ms() + 1000, only=(("engineer", "group", group.id),)))

    plane.db.update(work)
    narrowed = rights_of("tok_1", [Binding("tok_1/0", "tok_1", "engineer", Part("group", group.id))], BUILT_IN, within=ADMIN.rights)
    with pytest.raises(Forbidden):
        change(plane, "presses", Actor("token", "usr_anna", "anna (deployer)", narrowed), selector="!nothing")
    with pytest.raises(Conflict, match="token deployer"):
        groups.remove_group(plane, ADMIN, group="presses", revision=1)
    turn(plane, 1000)
    groups.remove_group(plane, ADMIN, group="presses", revision=1)


def ask_in(plane, api, name, line):
    device = PaperDevice(straight(api), name, clock=plane.clock.now_ms)
    return device, device.ask(line).status


def test_a_join_line_brings_nobody_into_a_group_that_roles_are_given_on_unless_its_maker_may(plane, api):
    owner = somebody("own", ("engineer", FLEET))
    early = joins.create_join(plane, owner, site="plant-1", auto_approve=True, uses=9, labels={"line": "3"}).join
    assert ask_in(plane, api, "one", early)[1] == "approved"
    group = make(plane, selector="line=3")
    bind(plane, group)
    with pytest.raises(Forbidden):
        joins.create_join(plane, owner, site="plant-1", labels={"line": "3"})
    assert ask_in(plane, api, "two", early)[1] == "waiting"
    (asked,) = enrolments.list_enrolments(plane, owner)
    assert "roles are given on" in asked.why
    with pytest.raises(Forbidden):
        enrolments.approve(plane, owner, enrolment=asked.id)
    with pytest.raises(Forbidden):
        enrolments.approve(plane, owner, enrolment=asked.id, labels={"line": "3", "more": "x"})
    enrolments.approve(plane, owner, enrolment=asked.id, labels={})
    allowed = joins.create_join(plane, ADMIN, site="plant-1", uses=9, labels={"line": "3"}).join
    assert ask_in(plane, api, "three", allowed)[1] == "waiting"
    (asked,) = enrolments.list_enrolments(plane, owner)
    enrolments.approve(plane, owner, enrolment=asked.id)  # whoever made its line was allowed to
    assert ask_in(plane, api, "four", joins.create_join(plane, ADMIN, site="plant-1", auto_approve=True, labels={"line": "3"}).join)[1] == "approved"
    assert [name for name, _ in who(plane, "presses")] == ["four", "one", "three"]


def test_replaced_hardware_stays_where_it_is_and_its_labels_are_asked_about(plane, api):
    line = joins.create_join(plane, ADMIN, site="plant-1", auto_approve=True, uses=9, labels={"line": "3"}).join
    ask_in(plane, api, "one", line)
    group = make(plane, selector="line=3")
    bind(plane, group)
    owner = somebody("own", ("engineer", FLEET))
    PaperDevice(straight(api), "one", clock=plane.clock.now_ms).ask(line, replaces=True)
    (asked,) = enrolments.list_enrolments(plane, owner)
    with pytest.raises(Forbidden):
        enrolments.approve(plane, owner, enrolment=asked.id, replace=True, labels={})
    enrolments.approve(plane, owner, enrolment=asked.id, replace=True)
    assert who(plane, "presses") == [("one", ("labels",))]
    PaperDevice(straight(api), "one", clock=plane.clock.now_ms).ask(line, replaces=True)
    (asked,) = enrolments.list_enrolments(plane, owner)
    enrolments.approve(plane, ADMIN, enrolment=asked.id, replace=True, labels={})
    assert who(plane, "presses") == []


# --- what is deployed to it ---------------------------------------------------------------------------------------------


def assigned(plane, deployment):
    return plane.db.view(lambda tx: sorted(rollout_store.assigned_of(tx, deployment.id)))


def deploy(plane, actor=ADMIN, name="shop", **more):
    more.setdefault("target", Target(group="presses"))
    return deployments.create_deployment(plane, actor, name=name, release="shop:1", **more)


def test_a_deployment_follows_a_group(plane):
    a_release(plane)
    put(plane, "a", {"line": "3"})
    put(plane, "b")
    make(plane, selector="line=3")
    looked = deployments.preview(plane, ADMIN, release="shop:1", target=Target(group="presses"))
    assert [(row.name, row.what) for row in looked.rows] == [("a", "install")]
    made = deploy(plane)
    work_off(plane)
    assert assigned(plane, made) == ["dev_a"]
    assert deployments.get_deployment(plane, ADMIN, deployment="shop").group == "presses"
    assert [one.name for one in groups.get_group(plane, ADMIN, group="presses").deployments] == ["shop"]
    label(plane, "dev_b", {"line": "3"})  # comes by label
    work_off(plane)
    assert assigned(plane, made) == ["dev_a", "dev_b"]
    put(plane, "c")
    change(plane, "presses", named=["c"])  # comes by name
    work_off(plane)
    assert assigned(plane, made) == ["dev_a", "dev_b", "dev_c"]
    label(plane, "dev_a", {})
    change(plane, "presses", selector="nobody")
    work_off(plane)
    assert assigned(plane, made) == ["dev_c"]
    with pytest.raises(Conflict, match="deployment shop is for it"):
        groups.remove_group(plane, ADMIN, group="presses", revision=3)
    found = deployments.get_deployment(plane, ADMIN, deployment="shop").deployment
    deployments.withdraw(plane, ADMIN, deployment="shop", revision=found.revision, reason="")
    groups.remove_group(plane, ADMIN, group="presses", revision=3)
    assert deployments.get_deployment(plane, ADMIN, deployment="shop").group == ""
    with pytest.raises(Missing):
        deploy(plane, name="again")


def test_deploying_to_a_group_needs_the_right_on_it_on_the_app_or_on_the_fleet(plane):
    a_release(plane)
    put(plane, "a", {"line": "3"})
    put(plane, "b")
    group = make(plane, selector="line=3")
    publisher = ("publisher", FLEET)
    member = somebody("mem", publisher, ("engineer", Part("group", group.id)))
    each = somebody("dev", publisher, ("engineer", Part("device", "dev_a")), ("viewer", FLEET))
    with pytest.raises(Forbidden):
        deploy(plane, each)
    made = deploy(plane, member)
    other = somebody("oth", publisher, ("engineer", Part("group", "grp_other")))
    with pytest.raises(Missing):
        deployments.change_deployment(plane, other, deployment=made.id, revision=1, target=Target(group="presses"))
    with pytest.raises(Forbidden):
        deployments.change_deployment(plane, member, deployment=made.id, revision=1, target=Target(selector="line=3"))
    deployments.change_deployment(
        plane, somebody("app", ("viewer", FLEET), ("ci", Part("app", "shop"))), deployment=made.id, revision=1, target=Target(("dev_b",))
    )
    found = deployments.get_deployment(plane, ADMIN, deployment=made.id).deployment
    with pytest.raises(Forbidden):  # taking it off b, which is not in the group
        deployments.change_deployment(plane, member, deployment=made.id, revision=found.revision, target=Target(group="presses"))


def test_who_changes_a_group_that_something_is_deployed_to_must_be_allowed_to_deploy_it_there(plane):
    a_release(plane)
    put(plane, "a")
    make(plane)
    deploy(plane)
    grouper = somebody("gro", ("grouper", FLEET))
    for more in ({"named": ["a"]}, {"selector": "line"}):
        with pytest.raises(Forbidden):
            change(plane, "presses", grouper, **more)
    change(plane, "presses", somebody("both", ("grouper", FLEET), ("ci", Part("device", "dev_a"))), named=["a"])
    with pytest.raises(Forbidden, match="selector"):
        change(plane, "presses", somebody("both", ("grouper", FLEET), ("ci", Part("device", "dev_a"))), selector="line")
    change(plane, "presses", somebody("both", ("grouper", FLEET), ("ci", Part("app", "shop"))), selector="line")


def test_who_sees_a_deployment_that_is_for_a_group(plane):
    a_release(plane)
    put(plane, "a")
    group = make(plane, named=["a"])
    empty = make(plane, "empty")
    made, waits = deploy(plane), deploy(plane, name="waits", target=Target(group=empty.id))
    work_off(plane)
    here = plane.db.view(lambda tx: sites.find(tx, ADMIN, "plant-1").id)
    local = somebody("loc", ("viewer", Part("site", here)))
    (seen,) = deployments.list_deployments(plane, local)
    assert (seen.deployment.id, seen.group, seen.plan.target.group) == (made.id, "", "")
    member = somebody("mem", ("viewer", Part("group", empty.id)))
    (seen,) = deployments.list_deployments(plane, member)
    assert (seen.deployment.id, seen.group) == (waits.id, "empty")
    assert group.id != empty.id


# --- the members are always right ---------------------------------------------------------------------------------------

LABELS = st.dictionaries(st.sampled_from(["line", "spare"]), st.sampled_from(["1", "2"]), max_size=2)
SELECTORS = st.sampled_from(["", "line", "line=1", "!spare", "line in (1, 2), spare=1"])
NUMBERS = st.integers(0, 3)


def test_the_members_kept_are_those_worked_out_from_scratch(tmp_path):
    count = 0

    class Fleet(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            nonlocal count
            count += 1
            self.plane = make_plane(tmp_path / str(count))
            a_site(self.plane)
            self.made, self.gone = [], 0

        def device(self, number):
            return f"dev_d{number}" if f"dev_d{number}" in self.made else None

        @rule(number=NUMBERS, labels=LABELS)
        def come(self, number, labels):
            if f"dev_d{number}" not in self.made:
                self.made.append(put(self.plane, f"d{number}", labels))

        @rule(number=NUMBERS, labels=LABELS)
        def relabel(self, number, labels):
            if device := self.device(number):
                label(self.plane, device, labels)

        @rule(number=NUMBERS)
        def retire(self, number):
            if (device := self.device(number)) and (found := devices.get_device(self.plane, ADMIN, device=device).device).state == ACTIVE:
                retiring.retire(self.plane, ADMIN, device=device, revision=found.revision, reason="gone")

        @rule(number=NUMBERS, selector=SELECTORS, named=st.lists(NUMBERS, max_size=3))
        def group(self, number, selector, named):
            here = [one.device.id for one in devices.list_devices(self.plane, ADMIN).items]
            wanted = [f"dev_d{one}" for one in named if f"dev_d{one}" in here]
            if any(one.group.name == f"g{number}" for one in groups.list_groups(self.plane, ADMIN)):
                change(self.plane, f"g{number}", selector=selector, named=wanted)
            else:
                make(self.plane, f"g{number}", selector=selector, named=wanted)

        @rule(number=NUMBERS)
        def remove(self, number):
            for one in groups.list_groups(self.plane, ADMIN):
                if one.group.name == f"g{number}":
                    groups.remove_group(self.plane, ADMIN, group=one.group.id, revision=one.group.revision)

        @invariant()
        def kept_is_worked_out(self):
            def look(tx):
                labelled = [(device, labels) for device, _, _, labels in device_store.labels(tx, EVERYWHERE)]
                wanted = memberships(group_store.all_in(tx, EVERYWHERE), labelled)
                kept = {device: group_store.groups_of(tx, device) for device in self.made}
                return {device: found for device, found in wanted.items() if found}, {device: found for device, found in kept.items() if found}

            if hasattr(self, "plane"):
                wanted, kept = self.plane.db.view(look)
                assert kept == wanted

        def teardown(self):
            if hasattr(self, "plane"):
                self.plane.db.close()

    run_state_machine_as_test(
        Fleet, settings=settings(max_examples=12, stateful_step_count=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    )


def test_rights_follow_the_members(plane):
    put(plane, "a", {"line": "3"})
    group = make(plane, selector="line=3")
    member = somebody("mem", ("site-operator", Part("group", group.id)))
    target = plane.db.view(lambda tx: rights.Target(device="dev_a", groups=group_store.groups_of(tx, "dev_a")))
    assert isinstance(rights.may(member.rights, "devices.command", target), rights.Allow)
    assert [row.device.name for row in devices.list_devices(plane, member).items] == ["a"]
    label(plane, "dev_a", {"line": "4"})
    assert devices.list_devices(plane, member).items == ()
