"""Local people on a device: going back has a name and a PIN with the plane away, wrong PINs wait over restarts, root may without one, on record."""

from __future__ import annotations

import hashlib

import pytest

from penstock.agent.work import Local
from penstock.rules.pins import verifier_of
from penstock.wire.log import LocalAct
from penstock.wire.messages import LocalPerson
from tests.agent.stage import Stage, deployed, simple

SALT = "0f" * 16


def proof(pin: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", pin.encode(), bytes.fromhex(SALT), 1000, 32).hex()


def person(name: str, pin: str, *may: str) -> LocalPerson:
    return LocalPerson(f"per_{name.split(maxsplit=1)[0].lower()}", name, SALT, 1000, verifier_of(bytes.fromhex(proof(pin))), may)


ANNA, BERT = person("Anna Ahrens", "271828", "revert", "let-go"), person("Bert Brandt", "314159", "let-go")


def staffed(*people: LocalPerson) -> Stage:
    """Version 2 soaked here over version 1, the site has these people, and the plane is away."""
    stage = deployed("1")
    stage.plane.people = people
    stage.want(simple("2"))
    stage.run(60)
    assert stage.app()["version"] == "2"
    stage.plane.up = False
    return stage


def revert(stage: Stage, **fields):
    return stage.brain.local(Local("revert", "line", "root", **fields), stage.now())


def acts(stage: Stage) -> list[LocalAct]:
    stage.plane.up = True
    stage.hear()
    stage.run(30)
    return stage.plane.bodies("local-act")


def test_going_back_with_a_pin_has_a_name_with_the_plane_away():
    stage = staffed(ANNA, BERT)
    reply = revert(stage, person="anna ahrens", proof=proof("271828"), reason="the press jams")
    assert reply.ok, reply.why
    stage.run(60)
    assert stage.app()["version"] == "1"
    (act,) = acts(stage)
    assert (act.verb, act.by, act.person, act.pin, act.app) == ("revert", "Anna Ahrens", "per_anna", "by-pin", "line")
    assert "the press jams" in act.why
    assert stage.plane.receipts()[-1].by == "Anna Ahrens"


def test_without_local_people_the_machines_user_goes_back_as_ever():
    stage = staffed()
    assert revert(stage).ok
    stage.run(60)
    (act,) = acts(stage)
    assert (act.by, act.person, act.pin) == ("root", "", "")


def test_nobody_named_is_told_who_may():
    stage = staffed(ANNA, BERT)
    reply = revert(stage)
    assert not reply.ok
    assert reply.data == {"needs": "pin"}
    assert "Anna Ahrens" in reply.why
    assert "Bert" not in reply.why
    assert "--without-pin" in reply.why


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"person": "Carla", "proof": proof("271828")}, "there is: Anna Ahrens, Bert Brandt"),
        ({"person": "Bert Brandt", "proof": proof("314159")}, "may not go back"),
        ({"person": "Anna Ahrens", "proof": proof("271829")}, "not Anna Ahrens's"),
        ({"person": "Anna Ahrens", "proof": ""}, "not Anna Ahrens's"),
        ({"without_pin": True}, "needs a reason"),
        ({"without_pin": True, "reason": "   "}, "needs a reason"),
    ],
)
def test_what_is_not_enough_changes_nothing(fields, said):
    stage = staffed(ANNA, BERT)
    reply = revert(stage, **fields)
    assert not reply.ok
    assert said in reply.why
    stage.run(30)
    assert stage.app()["version"] == "2"


def test_letting_go_needs_its_own_right():
    stage = staffed(ANNA, BERT)
    assert revert(stage, person="per_anna", proof=proof("271828")).ok
    stage.run(60)
    ask = Local("retry", "line", "root", person="Bert Brandt", proof=proof("314159"))
    assert stage.brain.local(ask, stage.now()).ok
    assert [act.by for act in acts(stage)] == ["Anna Ahrens", "Bert Brandt"]


def test_root_without_a_pin_goes_back_and_it_is_said_everywhere():
    stage = staffed(ANNA)
    assert revert(stage, without_pin=True, reason="Anna is off and the press jams").ok
    stage.run(60)
    assert stage.app()["version"] == "1"
    (act,) = acts(stage)
    assert (act.by, act.person, act.pin) == ("root without a PIN", "", "without-pin")
    assert "Anna is off" in act.why
    assert stage.plane.receipts()[-1].by == "root without a PIN"


def test_a_lapsed_root_of_trust_does_not_stop_a_pin():
    stage = staffed(ANNA)
    stage.wall_offset += 80 * 365 * 86_400_000  # past the root's end
    assert revert(stage, person="per_anna", proof=proof("271828")).ok
    stage.run(60)
    assert stage.app()["version"] == "1"


def test_wrong_pins_wait_longer_and_longer_over_restarts_and_reboots():
    stage = staffed(ANNA)
    good, bad = {"person": "per_anna", "proof": proof("271828")}, {"person": "per_anna", "proof": proof("000000")}
    waits = [revert(stage, **bad).data["wait_s"] for _ in range(3)]
    assert waits == [0, 0, 10]
    assert not revert(stage, **good).ok  # the right one has to wait too
    stage.start()  # the agent alone
    stage.run(0.1)
    assert "10 s" in revert(stage, **good).why
    stage.run(4)
    stage.reboot()  # nobody knows how long it was off: the wait begins anew
    stage.run(0.1)
    assert "10 s" in revert(stage, **good).why
    stage.run(11)
    assert revert(stage, **bad).data["wait_s"] == 20
    stage.run(21)
    assert revert(stage, **good).ok
    assert stage.brain.local(Local("people"), stage.now()).data["people"][0]["wait_s"] == 0
    stage.plane.up = True
    stage.hear()
    stage.run(60)
    wrong = [one for one in stage.plane.bodies("event") if one.name == "local.wrong-pin"]
    assert len(wrong) == 4
    assert not [entry for entry in stage.plane.entries if proof("271828") in entry.body or "271828" in entry.body]


def test_waits_of_one_person_hold_nobody_else_up_and_root_never():
    stage = staffed(ANNA, person("Dora Diehl", "161803", "revert"))
    for _ in range(5):
        revert(stage, person="per_anna", proof="")
    assert revert(stage, person="per_dora", proof=proof("161803")).ok


def test_another_pin_begins_anew():
    stage = staffed(ANNA)
    for _ in range(5):
        revert(stage, person="per_anna", proof="")
    stage.plane.up = True
    stage.plane.people = (person("Anna Ahrens", "141421", "revert"),)
    stage.want(simple("2"))
    stage.run(30)
    assert revert(stage, person="per_anna", proof=proof("141421")).ok


def test_a_wrong_pin_that_cannot_be_counted_is_not_judged():
    stage = staffed(ANNA)
    stage.disk.broken = "no space left"
    reply = revert(stage, person="per_anna", proof=proof("000000"))
    assert not reply.ok
    assert "storage" in reply.why


def test_people_shows_names_and_rights_and_no_verifier():
    stage = staffed(ANNA, BERT)
    reply = stage.brain.local(Local("people"), stage.now())
    assert [(one["name"], one["may"]) for one in reply.data["people"]] == [("Anna Ahrens", ["revert", "let-go"]), ("Bert Brandt", ["let-go"])]
    assert ANNA.verifier not in str(reply.data)
    assert "no local people" in staffed().brain.local(Local("people"), stage.now()).why
