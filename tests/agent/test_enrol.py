"""Enrolment against the in-test plane: waiting, approval, rejection, interruption, the wrong plane; and what lies on disk afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.agent import enrol, identity
from penstock.agent.enrol import EnrolError
from penstock.agent.places import PlaceError, Places
from penstock.wire.codec import decode
from penstock.wire.envelope import open_unverified, payload_type, seal
from penstock.wire.messages import Admission
from penstock.wire.trust import fingerprint
from tests.agent.plane import Plane, Signing
from tests.agent.servers import Authority, ConnectProxy, HttpsServer


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf()


@pytest.fixture
def plane():
    return Plane()


@pytest.fixture
def served(plane, leaf):
    with HttpsServer(leaf, plane) as server:
        yield server


@pytest.fixture
def places(tmp_path):
    return Places(str(tmp_path / "data"))


def ask(places, pending):
    return enrol.ask(places, pending, {})


def test_a_device_is_let_in_and_everything_is_kept(plane, served, authority, places):
    pending = enrol.prepare(places, plane.join(served.url, authority.pem), "press-3")
    standing = ask(places, pending)
    assert (standing.status, standing.name, standing.site, standing.device) == ("approved", "press-3", "plant-a", plane.device)
    member = identity.read_member(places)
    assert member is not None
    assert member.admission.device == plane.device
    assert member.root.version == 1
    assert member.keys.keyid() == plane.keyid
    assert identity.read_pending(places) is None
    book = enrol.read_book(places)
    assert book is not None
    assert book.current[0].url == served.url
    for path in Path(places.data).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    request = plane.requests[0]
    assert request.facts.platforms
    assert request.facts.memory_bytes > 0
    assert "PRIVATE" not in request.sign_key + request.seal_key


def test_the_waiting_room_shows_the_same_fingerprint_and_survives_interruption(plane, served, authority, places):
    plane.auto_approve = False
    join = plane.join(served.url, authority.pem)
    pending = enrol.prepare(places, join, "press-3")
    standing = ask(places, pending)
    keys = identity.read_keys(places)
    assert keys is not None
    assert standing.status == "waiting"
    assert standing.fingerprint == fingerprint(keys.sign_public)
    again = identity.read_pending(places)
    assert again == pending
    assert enrol.prepare(places, join, "press-3") == pending  # given again: the same asking
    assert ask(places, pending).status == "waiting"
    assert len({request.nonce for request in plane.requests}) == 1
    assert len({request.sign_key for request in plane.requests}) == 1
    plane.auto_approve = True
    heard: list[object] = []
    rests: list[float] = []
    assert enrol.wait(places, pending, {}, heard.append, sleep=rests.append).status == "approved"


def test_waiting_goes_on_through_faults_and_ends_at_its_time(plane, served, authority, places):
    plane.auto_approve = False
    pending = enrol.prepare(places, plane.join(served.url, authority.pem), "press-3")
    heard: list[object] = []

    def rest(seconds):
        assert seconds >= 2
        if len(heard) == 1:
            plane.broken = True
        if len(heard) == 3:
            plane.broken, plane.auto_approve = False, True

    standing = enrol.wait(places, pending, {}, heard.append, sleep=rest)
    assert standing.status == "approved"
    assert [type(one).__name__ for one in heard] == ["Standing", "EnrolError", "EnrolError", "Standing"]
    other = Places(places.data + "2")
    plane.auto_approve = False
    pending = enrol.prepare(other, plane.join(served.url, authority.pem), "press-4")
    with pytest.raises(EnrolError, match="not approved yet"):
        enrol.wait(other, pending, {}, heard.append, until_s=0, sleep=rest)
    assert identity.read_pending(other) == pending
    plane.broken = True
    with pytest.raises(EnrolError, match=r"not reached: .*when that is mended run: penstock-agent enroll"):
        enrol.wait(other, pending, {}, heard.append, until_s=0, sleep=rest)


@pytest.mark.parametrize("proxy", ["ftp://10.0.0.1", "10.0.0.1:3128", "http://"])
def test_a_proxy_that_is_none_is_refused_before_anything_is_made(plane, served, authority, places, proxy):
    with pytest.raises(EnrolError, match="--proxy") as refused:
        enrol.prepare(places, plane.join(served.url, authority.pem), "press-3", proxy=proxy)
    assert refused.value.final
    assert identity.read_pending(places) is None


def test_a_rejection_is_final_and_forgets_the_token(plane, served, authority, places):
    plane.rejected = "not ours"
    pending = enrol.prepare(places, plane.join(served.url, authority.pem), "press-3")
    with pytest.raises(EnrolError, match="not ours") as fault:
        ask(places, pending)
    assert fault.value.final
    assert identity.read_pending(places) is None
    assert identity.read_keys(places) is not None


def test_a_refused_token_is_the_planes_own_sentence(plane, served, authority, places):
    plane.token = "another"
    join = plane.join(served.url, authority.pem)
    plane.token = "join-token"
    with pytest.raises(EnrolError, match="join token is not known") as fault:
        ask(places, enrol.prepare(places, join, "press-3"))
    assert fault.value.final


def test_another_plane_is_not_believed(plane, served, authority, places):
    false = Plane()
    pending = enrol.prepare(places, false.join(served.url, authority.pem), "press-3")
    with pytest.raises(EnrolError, match="root-not-pinned"):
        ask(places, pending)
    assert identity.read_member(places) is None


def test_an_admission_by_another_key_or_for_another_device_is_not_believed(plane, served, authority, places):
    pending = enrol.prepare(places, plane.join(served.url, authority.pem), "press-3")
    thief, real = Signing(), plane.director
    plane.director = thief
    with pytest.raises(EnrolError, match="admission is not acceptable"):
        ask(places, pending)
    plane.director = real
    signed = plane._signed

    def for_another(kind, value):
        return signed(kind, Admission(1, value.device, value.name, value.site, "0" * 64, value.at_ms) if kind == "admission" else value)

    plane._signed = for_another
    with pytest.raises(EnrolError, match="admission is not acceptable"):
        ask(places, pending)
    assert identity.read_member(places) is None


def test_a_device_enrolled_after_root_changes_follows_the_chain(plane, served, authority, places):
    join = plane.join(served.url, authority.pem)
    plane.raise_epoch()
    plane.raise_epoch()
    assert ask(places, enrol.prepare(places, join, "press-3")).status == "approved"
    member = identity.read_member(places)
    assert member is not None
    assert (member.root.version, member.root.epoch) == (3, 3)
    (Path(places.trust) / "root.3.json").write_bytes(b"rotten")
    member = identity.read_member(places)
    assert member is not None
    assert member.root.version == 2


def test_an_authority_given_by_hand_opens_the_way_through_an_inspecting_proxy(plane, served, authority, places, tmp_path):
    inspector = Authority(tmp_path / "inspector")
    with ConnectProxy(inspector.leaf(), authority.pem) as proxy:
        join = plane.join(served.url, authority.pem)
        with pytest.raises(EnrolError, match="--ca-file"):
            ask(places, enrol.prepare(places, join, "press-3", proxy=proxy.url))
        assert ask(places, enrol.prepare(places, join, "press-3", proxy=proxy.url, ca=(inspector.pem,))).status == "approved"
        book = enrol.read_book(places)
        assert book is not None
        assert book.current[0].proxy == proxy.url


def test_something_that_is_no_plane_is_not_final(leaf, authority, places, plane):
    answers: list[Any] = [(200, {}, b"<html>"), (404, {}, b"nothing"), None]
    for answer in answers:
        with HttpsServer(leaf, lambda *_, answer=answer: answer) as server, pytest.raises(EnrolError) as fault:
            ask(places, enrol.prepare(places, plane.join(server.url, authority.pem), "press-3"))
        assert not fault.value.final


def test_nonsense_is_refused_before_anything_is_made(places, plane, authority):
    for join, name in (("pst-join:xx", "a"), (plane.join("https://x", authority.pem), "No Name!")):
        with pytest.raises(EnrolError):
            enrol.prepare(places, join, name)
    assert not places.exists()


def test_open_or_damaged_keys_are_refused_with_the_remedy(places, plane, authority):
    enrol.prepare(places, plane.join("https://x", authority.pem), "a")
    key = Path(places.identity) / identity.SIGN
    key.chmod(0o644)
    with pytest.raises(PlaceError, match="chmod 600"):
        identity.read_keys(places)
    key.chmod(0o600)
    key.write_bytes(b"rotten")
    with pytest.raises(PlaceError, match="damaged"):
        identity.read_keys(places)


def test_a_stored_admission_that_was_changed_is_refused_and_one_by_a_retired_director_stays(plane, served, authority, places):
    ask(places, enrol.prepare(places, plane.join(served.url, authority.pem), "press-3"))
    path = Path(places.identity) / identity.ADMISSION
    good = path.read_bytes()
    envelope, payload = open_unverified(good, 65536)
    changed = decode(Admission, payload)
    assert changed.device == plane.device
    forged = json.loads(good)
    forged["payload"] = json.loads(seal(payload_type("admission"), payload.replace(b"press-3", b"press-4"), (plane.director.signer(),)))["payload"]
    path.write_text(json.dumps(forged))
    with pytest.raises(PlaceError, match="not acceptable"):
        identity.read_member(places)
    assert envelope.signatures
