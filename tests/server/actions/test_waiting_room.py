"""Join tokens and the waiting room: bound to a site, counted, expiring, idempotent by key; people decide."""

from __future__ import annotations

import pytest

from penstock.server.actions import enrolments, joins, retiring, settings
from penstock.server.api import present
from penstock.server.api.agent import AgentApi
from penstock.server.core.errors import Conflict, Invalid, Missing
from penstock.server.core.model import JoinId, JoinToken
from penstock.wire.join import parse_join
from penstock.wire.messages import Endpoint
from tests.server.paper import PaperDevice, straight
from tests.server.planes import ADDRESS, ADMIN, a_site, make_plane, turn


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


def join(plane, **more):
    return joins.create_join(plane, ADMIN, site="plant-1", **more)


def test_waiting_then_let_in(plane, api):
    made = join(plane, labels={"line": "paint"})
    told = parse_join(made.join)
    assert (told.urls, told.root) == ((ADDRESS,), plane.roots.digest)
    assert made.line == f"sudo penstock-agent enroll '{made.join}'"
    device = PaperDevice(straight(api))
    first = device.ask(made.join)
    assert (first.status, first.retry_s) == ("waiting", 5)
    assert device.ask(made.join) == first  # asking again is the same asking
    waiting = enrolments.list_enrolments(plane, ADMIN)
    assert [one.fingerprint for one in waiting] == [first.fingerprint]
    let_in = enrolments.approve(plane, ADMIN, enrolment=waiting[0].id, name="press-5")
    assert (let_in.name, let_in.labels) == ("press-5", {"line": "paint"})
    assert device.ask(made.join).status == "approved"
    assert device.id == let_in.id
    assert device.poll().status == 200
    with pytest.raises(Conflict, match="already approved"):
        enrolments.reject(plane, ADMIN, enrolment=waiting[0].id, reason="")


def test_a_token_is_counted_expires_and_can_be_revoked(plane, api):
    once = join(plane)
    assert PaperDevice(straight(api), "a").ask(once.join).status == "waiting"
    used = PaperDevice(straight(api), "b").ask(once.join)
    assert (used.status, "as often as it may" in used.why) == ("rejected", True)
    late = join(plane, expires_s=60)
    turn(plane, 60_000)
    assert "expired" in PaperDevice(straight(api), "c").ask(late.join).why
    gone = join(plane)
    joins.revoke_join(plane, ADMIN, join=gone.token.id)
    assert "revoked" in PaperDevice(straight(api), "d").ask(gone.join).why
    assert [one.id for one in enrolments.list_enrolments(plane, ADMIN)] != []
    for more, field in (({"uses": 0}, "uses"), ({"expires_s": 1}, "expires_s"), ({"labels": {"a b": "c"}}, "labels.a b")):
        with pytest.raises(Invalid) as refused:
            join(plane, **more)
        assert refused.value.field == field
    with pytest.raises(Missing):
        joins.create_join(plane, ADMIN, site="nowhere")


def test_rejected_and_asking_anew(plane, api):
    first = join(plane)
    device = PaperDevice(straight(api))
    device.ask(first.join)
    asked = enrolments.list_enrolments(plane, ADMIN)[0]
    enrolments.reject(plane, ADMIN, enrolment=asked.id, reason="not ours")
    answer = device.ask(first.join)
    assert (answer.status, "not ours" in answer.why) == ("rejected", True)
    assert device.ask(join(plane).join).status == "waiting"


def test_replacing_is_never_automatic(plane, api):
    line = join(plane, uses=5, auto_approve=True).join
    old = PaperDevice(straight(api), "press")
    assert old.ask(line).status == "approved"
    new = PaperDevice(straight(api), "press")
    assert new.ask(line, replaces=True).status == "waiting"
    asked = enrolments.list_enrolments(plane, ADMIN)[0]
    assert asked.replaces == old.id
    # let in beside the old one, under another name
    assert enrolments.approve(plane, ADMIN, enrolment=asked.id, name="press-b").id != old.id
    assert old.poll().status == 200
    with pytest.raises(Invalid):
        enrolments.approve(plane, ADMIN, enrolment=_another(plane, api, line), name="ghost", replace=True)


def _another(plane, api, line):
    PaperDevice(straight(api), "press").ask(line)
    return enrolments.list_enrolments(plane, ADMIN)[0].id


def test_a_retired_name_is_free_again_and_its_key_never(plane, api):
    line = join(plane, uses=5, auto_approve=True).join
    device = PaperDevice(straight(api), "press")
    device.ask(line)
    retiring.retire(plane, ADMIN, device="press", revision=1, reason="scrapped")
    answer = device.ask(line)
    assert (answer.status, "scrapped" in answer.why) == ("rejected", True)
    assert device.open_session().status == 403
    assert PaperDevice(straight(api), "press").ask(line).status == "approved"


def test_endpoints_of_the_settings_stand_in_join_lines_and_documents(plane, api):
    device = PaperDevice(straight(api), "press")
    device.ask(join(plane, auto_approve=True).join)
    device.poll()
    before = device.held.generation
    assert device.desired.endpoints == (Endpoint(ADDRESS),)
    found = settings.get_settings(plane, ADMIN)
    wanted = (Endpoint("https://new.example:8443"), Endpoint(ADDRESS))
    settings.change_settings(plane, ADMIN, revision=found.revision, endpoints=wanted, poll_s=30)
    device.poll()
    assert (device.desired.endpoints, device.desired.settings.poll_s, device.held.generation) == (wanted, 30, before + 1)
    assert parse_join(join(plane).join).urls == ("https://new.example:8443", ADDRESS)
    for wrong, field in (({"poll_s": 1}, "poll_s"), ({"endpoints": (Endpoint("http://x"),)}, "endpoints[0].url")):
        with pytest.raises(Invalid) as refused:
            settings.change_settings(plane, ADMIN, revision=found.revision + 1, **wrong)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("used", "revoked_ms", "now_ms", "good"), [(0, 0, 99, True), (1, 0, 99, True), (2, 0, 99, False), (0, 5, 99, False), (0, 0, 100, False)]
)
def test_a_join_line_is_good_while_it_lets_somebody_in(used, revoked_ms, now_ms, good):
    token = JoinToken(
        JoinId("join_1"), "sit_1", "", "0" * 64, 2, used, 100, auto_approve=False, labels={}, created_ms=0, created_by="mara", revoked_ms=revoked_ms
    )
    assert present.join(token, "plant-1", now_ms).good is good
