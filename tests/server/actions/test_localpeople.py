"""Local people of a site: what a PIN becomes, who is told, and that only that site's documents change."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.crypto import pbkdf2
from penstock.rules.pins import fits
from penstock.server.actions import devices, events, joins, localpeople
from penstock.server.api.agent import AgentApi
from penstock.server.core.document import content_of, place, shared, text_of
from penstock.server.core.errors import Conflict, Forbidden, Invalid, Missing, Stale
from penstock.server.core.model import Actor
from penstock.server.core.rights import BUILT_IN, Binding, Part, rights_of
from penstock.server.store import states as state_store
from penstock.wire.codec import encode
from penstock.wire.messages import Desired, LocalPerson, Settings
from penstock.wire.version import WIRE
from tests.server.paper import PaperDevice, straight
from tests.server.planes import ADMIN, a_site, make_plane

BOTH = ("let-go", "revert")


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


def join(plane, api, site, name):
    line = joins.create_join(plane, ADMIN, site=site, uses=5, expires_s=3600, auto_approve=True, labels={}, title="").join
    device = PaperDevice(straight(api), name)
    device.ask(line)
    device.poll()
    return device


def test_a_pin_reaches_the_devices_of_its_site_as_a_verifier_and_no_other_document_changes(plane, api):
    here, there = a_site(plane), a_site(plane, "plant-2")
    mine, other = join(plane, api, here, "press"), join(plane, api, there, "mill")
    before = mine.held.generation
    anna = localpeople.add_person(plane, ADMIN, site="plant-1", name="  Anna   Ahrens ", may=BOTH, pin="271828")
    mine.poll()
    assert other.poll().status == 304
    assert mine.held.generation == before + 1
    (told,) = mine.desired.people
    assert (told.id, told.name, told.may) == (anna.id, "Anna Ahrens", BOTH)
    assert fits(told, pbkdf2(b"271828", bytes.fromhex(told.salt), told.rounds, 32).hex())
    assert not fits(told, pbkdf2(b"271829", bytes.fromhex(told.salt), told.rounds, 32).hex())
    assert b"271828" not in plane.db.view(lambda tx: state_store.get(tx, mine.id)).envelope
    assert "271828" not in json.dumps([one.data for one in events.latest_events(plane, ADMIN).items])


def test_who_has_no_pin_is_told_to_nobody_until_one_is_set(plane, api):
    device = join(plane, api, a_site(plane), "press")
    bert = localpeople.add_person(plane, ADMIN, site="plant-1", name="Bert", may=("revert",))
    assert device.poll().status == 304
    localpeople.set_pin(plane, ADMIN, site="plant-1", person="bert", pin="314159")
    device.poll()
    first = device.desired.people[0]
    localpeople.set_pin(plane, ADMIN, site="plant-1", person=bert.id, pin="314159")
    device.poll()
    assert device.desired.people[0].salt != first.salt  # the same PIN looks like another
    localpeople.remove_person(plane, ADMIN, site="plant-1", person=bert.id)
    device.poll()
    assert device.desired.people == ()


def test_without_local_people_the_document_says_nothing_of_them(plane, api):
    device = join(plane, api, a_site(plane), "press")
    assert b"people" not in encode(device.desired)
    assert b"site" not in encode(device.desired)


def test_names_and_rights_change_under_compare_and_set(plane):
    a_site(plane)
    made = localpeople.add_person(plane, ADMIN, site="plant-1", name="Anna", may=BOTH, pin="271828")
    changed = localpeople.change_person(plane, ADMIN, site="plant-1", person=made.id, revision=made.revision, may=("revert",))
    assert (changed.may, changed.verifier) == (("revert",), made.verifier)
    with pytest.raises(Stale):
        localpeople.change_person(plane, ADMIN, site="plant-1", person=made.id, revision=made.revision, name="Anne")
    localpeople.add_person(plane, ADMIN, site="plant-1", name="Bert", may=BOTH)
    with pytest.raises(Conflict, match="Anna"):
        localpeople.change_person(plane, ADMIN, site="plant-1", person="Bert", revision=1, name="ANNA")


@pytest.mark.parametrize("pin", ["12345", "1234567890123", "abcdef", "000000", "123456", "27182\u0668"])
def test_a_pin_that_is_none_is_refused_and_not_repeated(plane, pin):
    a_site(plane)
    with pytest.raises(Invalid) as refused:
        localpeople.add_person(plane, ADMIN, site="plant-1", name="Anna", may=BOTH, pin=pin)
    assert refused.value.field == "pin"
    assert pin not in refused.value.why
    assert localpeople.list_people(plane, ADMIN, site="plant-1") == ()


def test_rights_that_are_none_and_people_who_are_not_there(plane):
    a_site(plane)
    a_site(plane, "plant-2")
    with pytest.raises(Invalid, match="let-go, revert"):
        localpeople.add_person(plane, ADMIN, site="plant-1", name="Anna", may=("everything",))
    with pytest.raises(Invalid):
        localpeople.add_person(plane, ADMIN, site="plant-1", name="Anna", may=())
    made = localpeople.add_person(plane, ADMIN, site="plant-1", name="Anna", may=BOTH)
    with pytest.raises(Missing):
        localpeople.set_pin(plane, ADMIN, site="plant-2", person=made.id, pin="271828")


def test_a_moved_device_learns_of_the_other_sites_people_and_of_its_name(plane, api):
    a_site(plane)
    a_site(plane, "plant-2")
    localpeople.add_person(plane, ADMIN, site="plant-1", name="Anna", may=BOTH, pin="271828")
    localpeople.add_person(plane, ADMIN, site="plant-2", name="Bert", may=BOTH, pin="314159")
    device = join(plane, api, "plant-1", "press")
    assert [one.name for one in device.desired.people] == ["Anna"]
    found = devices.get_device(plane, ADMIN, device="press").device
    device.say_device()
    device.report()
    moved = devices.move(plane, ADMIN, device="press", revision=found.revision, site="plant-2", reason="line 3 moved")
    device.poll()
    assert [one.name for one in device.desired.people] == ["Bert"]
    assert device.desired.site == "plant-2"
    assert plane.fleet.entries[moved.id].site == moved.site
    noted = [one for one in events.latest_events(plane, ADMIN).items if one.verb == "device.moved"]
    assert {one.site for one in noted} == {found.site, moved.site}
    assert noted[0].data == {"name": "press", "from": "plant-1", "to": "plant-2"}
    assert devices.get_device(plane, ADMIN, device="press").log_seq == 1
    with pytest.raises(Conflict, match="already"):
        devices.move(plane, ADMIN, device="press", revision=moved.revision, site="plant-2")
    with pytest.raises(Missing):
        devices.move(plane, ADMIN, device="press", revision=moved.revision, site="nowhere")
    with pytest.raises(Stale):
        devices.move(plane, ADMIN, device="press", revision=found.revision, site="plant-1")


people = st.lists(
    st.builds(
        LocalPerson,
        id=st.uuids().map(str),
        name=st.text(min_size=1, max_size=20),
        salt=st.just("ab" * 16),
        rounds=st.integers(1000, 2000),
        verifier=st.just("sha256:" + "0" * 64),
        may=st.sampled_from(((), ("revert",), BOTH)),
        revision=st.integers(1, 3),
    ),
    max_size=3,
    unique_by=lambda one: one.id,
)


@given(people, st.sampled_from(("", "hamburg")))
def test_the_text_put_together_is_the_one_the_codec_writes(many, site):
    same = shared((), Settings())
    text = text_of([], "dev_a", 1, 2, 3, same, place(many, site))
    assert text == encode(Desired(WIRE, "dev_a", 1, 2, 3, people=tuple(many), site=site))
    assert (content_of([], "dev_a", 1, same, place(many, site)) == content_of([], "dev_a", 1, same)) is (not many and not site)


def somebody(role: str, part: Part) -> Actor:
    return Actor("user", "usr_x", "eve", rights_of("usr_x", (Binding("bnd_1", "usr_x", role, part),), BUILT_IN))


def test_who_looks_after_another_site_sees_nobody_and_who_only_looks_changes_nobody(plane):
    mine, theirs = a_site(plane), a_site(plane, "plant-2")
    made = localpeople.add_person(plane, ADMIN, site=theirs, name="Bert", may=BOTH, pin="314159")
    owner, viewer = somebody("site-owner", Part("site", mine)), somebody("viewer", Part("site", theirs))
    for act in (
        lambda actor: localpeople.add_person(plane, actor, site=theirs, name="Eve", may=BOTH, pin="271828"),
        lambda actor: localpeople.change_person(plane, actor, site=theirs, person=made.id, revision=made.revision, name="Eve"),
        lambda actor: localpeople.set_pin(plane, actor, site=theirs, person=made.id, pin="271828"),
        lambda actor: localpeople.remove_person(plane, actor, site=theirs, person=made.id),
    ):
        with pytest.raises(Missing):
            act(owner)
        with pytest.raises(Forbidden):
            act(viewer)
    with pytest.raises(Missing):
        localpeople.list_people(plane, owner, site=theirs)
    assert localpeople.list_people(plane, viewer, site=theirs) == localpeople.list_people(plane, ADMIN, site=theirs) == (made,)
    with pytest.raises(Missing):  # the right site does not lead to another one's people
        localpeople.remove_person(plane, owner, site=mine, person=made.id)


def test_moving_takes_the_right_at_both_sites(plane, api):
    here, there = a_site(plane), a_site(plane, "plant-2")
    join(plane, api, here, "press")
    revision = devices.get_device(plane, ADMIN, device="press").device.revision
    with pytest.raises(Missing):
        devices.move(plane, somebody("site-owner", Part("site", here)), device="press", revision=revision, site=there)
    both = Actor(
        "user", "usr_x", "eve",
        rights_of("usr_x", (Binding("b1", "usr_x", "site-owner", Part("site", here)), Binding("b2", "usr_x", "viewer", Part("site", there))), BUILT_IN),
    )  # fmt: skip
    with pytest.raises(Forbidden):
        devices.move(plane, both, device="press", revision=revision, site=there)
    assert devices.get_device(plane, ADMIN, device="press").device.site == here
