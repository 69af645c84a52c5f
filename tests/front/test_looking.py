"""Looking at the fleet, as each person may: views of one's own, two side by side, the map, the first page that is theirs, buttons only for who may."""

from __future__ import annotations

import json

import pytest

from penstock.server.api import auth
from penstock.server.core.rights import Part
from tests.front.halves import World
from tests.server.planes import make_plane

V = "/api/v1"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    plane = make_plane(tmp_path_factory.mktemp("looking"))
    made = World(plane)
    yield made
    made.close()
    plane.db.close()


@pytest.fixture(scope="module")
def ann(world):
    return world.asker("ann", (("administrator", Part("fleet")),))


def on_amber(world, role):
    return next(one for one in world.askers if one.label == f"{role} on amber's site")


# --- saved views ----------------------------------------------------------------------------------------------------------


def test_a_view_is_ones_own(world, ann):
    bob = world.asker("bob", (("viewer", Part("fleet")),))
    made = world.ask(ann, "POST", f"{V}/views", body={"name": "Drifted", "query": "?show=drifted&site="})
    assert made.status == 201
    view = json.loads(made.text)
    assert view["query"] == "show=drifted"
    assert view["filters"] == {"drift": "true"}  # as a query of devices
    assert [one["name"] for one in json.loads(world.ask(ann, "GET", f"{V}/views").text)["items"]] == ["Drifted"]
    assert json.loads(world.ask(bob, "GET", f"{V}/views").text)["items"] == []
    assert world.ask(bob, "DELETE", f"{V}/views/{view['id']}").status == 404
    assert world.ask(ann, "POST", f"{V}/views", body={"name": "drifted", "query": ""}).status == 409
    assert world.ask(ann, "POST", f"{V}/views", body={"name": "x", "query": "cursor=1"}).status == 422
    assert "Drifted" in world.ask(ann, "GET", "/?show=drifted").text
    gone = world.ask(ann, "POST", f"/views/{view['id']}/drop", form={})
    assert (gone.status, gone.headers["location"]) == (303, "/?show=drifted")
    assert json.loads(world.ask(ann, "GET", f"{V}/views").text)["items"] == []


def test_a_view_refused_keeps_its_name_and_its_filters(world, ann):
    assert world.ask(ann, "POST", "/views", form={"name": "Twice", "query": "q=amber"}).status == 303
    again = world.ask(ann, "POST", "/views", form={"name": "Twice", "query": "q=basalt"})
    assert again.status == 422
    assert 'value="Twice"' in again.text
    assert 'value="q=basalt"' in again.text
    assert "you have a view named Twice already" in again.text.replace("You", "you")


# --- side by side ---------------------------------------------------------------------------------------------------------


def test_two_devices_side_by_side(world, ann):
    found = world.ask(ann, "GET", f"{V}/compare/devices?a=amber-press&b={world.basalt.ids['device']}")
    rows = {(row["part"], row["name"]): row for row in json.loads(found.text)["rows"]}
    assert (rows["device", "site"]["a"], rows["device", "site"]["b"], rows["device", "site"]["same"]) == ("amber-site", "basalt-site", False)
    assert rows["device", "platforms"]["same"]
    assert (rows["labels", "half"]["a"], rows["labels", "half"]["b"]) == ("amber", "basalt")


def test_two_sites_side_by_side(world, ann):
    found = world.ask(ann, "GET", f"{V}/compare/sites?a=amber-site&b=basalt-site")
    rows = {(row["part"], row["name"]): row for row in json.loads(found.text)["rows"]}
    assert (rows["site", "devices"]["a"], rows["site", "devices"]["b"]) == ("1", "1")
    assert (rows["labels", "half=basalt"]["a"], rows["labels", "half=basalt"]["b"]) == ("", "on 1")


@pytest.mark.parametrize("role", ["viewer", "site-owner", "engineer", "auditor"])
def test_what_may_not_be_seen_is_not_there_to_compare(world, role):
    asker = on_amber(world, role)
    for path in (f"{V}/compare/devices?a=amber-press&b=basalt-press", f"{V}/compare/sites?a=amber-site&b=basalt-site"):
        found = world.ask(asker, "GET", path)
        assert found.status == 404, found.text
        assert world.basalt.ids["device"] not in found.text
        nowhere = world.ask(asker, "GET", path.replace("basalt", "nobody"))
        assert found.text.replace("basalt", "nobody") == nowhere.text
        assert world.ask(asker, "GET", path.replace("basalt", "amber")).status == 200
    page = world.ask(asker, "GET", "/compare?a=amber-press&b=basalt-press")
    assert page.status == 404
    assert "basalt-site" not in page.text


# --- places ---------------------------------------------------------------------------------------------------------------


def test_a_site_gets_a_place_and_loses_it(world, ann):
    path = f"{V}/sites/amber-site"
    revision = json.loads(world.ask(ann, "GET", path).text)["revision"]

    def change(body):
        nonlocal revision
        got = world.ask(ann, "PATCH", path, body=body, headers={"if-match": f'"r{revision}"'})
        if got.status == 200:
            revision = json.loads(got.text)["revision"]
        return got

    for wrong, field in (({"latitude": 53.5}, "longitude"), ({"latitude": 91, "longitude": 0}, "latitude"), ({"latitude": 1, "longitude": None}, "longitude")):
        refused = change(wrong)
        assert refused.status == 422, refused.text
        assert json.loads(refused.text)["field"].endswith(field)
    placed = json.loads(change({"latitude": 53.5, "longitude": -10.25}).text)
    assert (placed["latitude"], placed["longitude"]) == (53.5, -10.25)
    assert json.loads(change({"title": "Amber"}).text)["latitude"] == 53.5
    assert "<svg class=" in world.ask(ann, "GET", "/sites").text
    away = json.loads(change({"latitude": None, "longitude": None}).text)
    assert (away["latitude"], away["longitude"], away["title"]) == (None, None, "Amber")
    assert 'class="map' not in world.ask(ann, "GET", "/sites").text


def test_a_sites_page_shows_what_is_of_it_only(world):
    page = world.ask(on_amber(world, "site-owner"), "GET", "/sites/amber-site")
    assert page.status == 200
    assert "amber-press" in page.text
    assert "basalt" not in page.text
    assert world.ask(on_amber(world, "site-owner"), "GET", "/sites/basalt-site").status == 404
    past = world.ask(on_amber(world, "auditor"), "GET", f"{V}/sites/amber-site/history")
    assert json.loads(past.text)["items"]
    assert "basalt" not in past.text


def test_a_place_that_is_no_number_comes_back_as_it_was_typed(world, ann):
    revision = json.loads(world.ask(ann, "GET", f"{V}/sites/amber-site").text)["revision"]
    form = {"title": "Amber", "time_zone": "UTC", "latitude": "north", "longitude": "9.99", "revision": str(revision)}
    page = world.ask(ann, "POST", "/sites/amber-site", form=form)
    assert page.status == 422
    assert 'value="north"' in page.text
    assert 'value="9.99"' in page.text


# --- who sees what --------------------------------------------------------------------------------------------------------


def test_the_first_page_is_one_of_theirs(world):
    for label, to in (("publisher on the fleet", "/apps"), ("publisher on amber's app", "/apps")):
        asker = next(one for one in world.askers if one.label == label)
        got = world.ask(asker, "GET", "/")
        assert (got.status, got.headers.get("location")) == (303, to)
        assert world.ask(asker, "GET", to).status == 200


@pytest.mark.parametrize(
    ("role", "there", "absent"),
    [
        ("viewer", (), ("Deploy here", "Edit labels", "Look again now", "Measure now")),
        ("site-operator", ("Look again now",), ("Deploy here", "Edit labels")),
        ("site-owner", ("Look again now", "Edit labels"), ("Deploy here",)),
        ("engineer", ("Look again now", "Edit labels", "Deploy here"), ()),
    ],
)
def test_buttons_are_for_who_may(world, role, there, absent):
    page = world.ask(on_amber(world, role), "GET", f"/devices/{world.amber.ids['device']}").text
    assert not [word for word in there if word not in page]
    assert not [word for word in absent if word in page]


@pytest.mark.parametrize("role", ["viewer", "site-operator", "approver", "auditor"])
def test_the_fleet_offers_nothing_that_is_refused(world, role):
    page = world.ask(on_amber(world, role), "GET", "/").text
    assert 'href="/deploy"' not in page
    assert ">Add a device<" not in page
    assert "Name a site" not in page


# --- taking back ----------------------------------------------------------------------------------------------------------


def test_labels_changed_in_place_can_be_taken_back_once(world, ann):
    path = f"/devices/{world.amber.ids['device']}"

    def now():
        return json.loads(world.ask(ann, "GET", f"{V}{path}").text)["summary"]

    before = now()
    saved = world.ask(ann, "POST", f"{path}/labels", form={"labels": "half=amber, line=7", "revision": str(before["revision"])})
    assert saved.status == 303
    assert now()["labels"] == {"half": "amber", "line": "7"}
    said = saved.headers["set-cookie"].split(";")[0]
    page = world.ask(ann, "GET", path, headers={"cookie": f"{auth.COOKIE}={ann.secret}; {said}"}).text
    assert "Undo</button>" in page
    undo = {"labels": "half=amber", "revision": str(now()["revision"])}
    assert f'value="{undo["revision"]}"' in page
    assert world.ask(ann, "POST", f"{path}/labels", form=undo).status == 303
    assert now()["labels"] == before["labels"]
    late = world.ask(ann, "POST", f"{path}/labels", form={**undo, "labels": "half=amber, mine=yes"})
    assert late.status == 422
    assert 'value="half=amber, mine=yes"' in late.text
    assert "Somebody changed this meanwhile" in late.text


def test_a_withdrawal_can_be_taken_back(world, ann):
    path = f"{V}/deployments/{world.amber.ids['deployment']}"

    def now():
        return json.loads(world.ask(ann, "GET", path).text)

    before = now()
    assert world.ask(ann, "POST", f"{path}/stand-again", body={}, headers={"if-match": f'"r{before["revision"]}"'}).status == 409
    assert world.ask(ann, "POST", f"{path}/withdraw", body={}, headers={"if-match": f'"r{before["revision"]}"'}).status == 200
    gone = now()
    assert gone["state"] == "withdrawn"
    assert world.ask(ann, "POST", f"{path}/stand-again", body={}, headers={"if-match": f'"r{before["revision"]}"'}).status == 412
    assert world.ask(ann, "POST", f"{path}/stand-again", body={}, headers={"if-match": f'"r{gone["revision"]}"'}).status == 200
    again = now()
    assert (again["state"], again["version"], again["values"], again["target"], again["devices"]) == (
        "standing",
        before["version"],
        before["values"],
        before["target"],
        before["devices"],
    )
