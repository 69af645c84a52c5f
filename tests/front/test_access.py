"""People and access over HTTP: revisions, pages of lists, the record of what was refused."""

from __future__ import annotations

from tests.front.served import problem


def test_changes_name_the_revision_they_change(served):
    with served.http() as http:
        made = http.post("/api/v1/users", json={"name": "anna", "title": "Anna"})
        assert made.status_code == 201
        assert made.json()["code"]
        read = http.get("/api/v1/users/anna")
        assert (read.headers["etag"], read.json()["never_signed_up"]) == ('"r1"', True)
        assert problem(http.patch("/api/v1/users/anna", json={"title": "x"}))["code"] == "revision-required"
        changed = http.patch("/api/v1/users/anna", json={"title": "Anna Berg"}, headers={"If-Match": '"r1"'})
        assert (changed.json()["title"], changed.headers["etag"]) == ("Anna Berg", '"r2"')
        assert problem(http.patch("/api/v1/users/anna", json={"title": "x"}, headers={"If-Match": '"r1"'}))["code"] == "stale-revision"


def test_a_repeated_creation_answers_the_same(served):
    with served.http() as http:
        first, second = (http.post("/api/v1/users", json={"name": "bert"}, headers={"Idempotency-Key": "b"}) for _ in range(2))
        assert first.json() == second.json()
        assert problem(http.post("/api/v1/users", json={"name": "bert"}))["code"] == "name-taken"


def test_lists_come_in_pages(served):
    with served.http() as http:
        names, cursor = [], ""
        while True:
            found = http.get("/api/v1/users", params={"limit": 1, "cursor": cursor}).json()
            names += [one["name"] for one in found["items"]]
            cursor = found["next"]
            if not cursor:
                break
        assert names == sorted(names)
        assert {"anna", "bert", "mara"} <= set(names)


def test_what_was_refused_stands_in_the_record_once_a_minute(served):
    with served.http() as http:
        made = http.post("/api/v1/tokens", json={"label": "looks", "only": [{"role": "viewer", "on": "fleet"}]}).json()
    with served.http(made["token"]) as narrow:
        for _ in range(3):
            assert problem(narrow.post("/api/v1/sites", json={"name": "bremen"}))["code"] == "not-allowed"
        assert problem(narrow.get("/api/v1/settings"))["code"] == "not-allowed"  # a look is no act
        assert problem(narrow.post("/api/v1/tokens", json={"label": "wider"}))["code"] == "token-narrowed"
    with served.http() as http:
        found = [one for one in http.get("/api/v1/history", params={"limit": 200}).json()["items"] if one["verb"] == "access.refused"]
    assert [(one["data"]["verb"], one["data"]["path"], one["outcome"]) for one in found] == [
        ("tokens.own", "/api/v1/tokens", "refused"),
        ("sites.write", "/api/v1/sites", "refused"),
    ]


def test_the_role_in_use_says_where_to_look(served):
    with served.http() as http:
        assert http.post("/api/v1/roles", json={"name": "night", "verbs": ["devices.read"]}).status_code == 201
        given = http.post("/api/v1/bindings", json={"who": "anna", "role": "night", "on": "fleet"}).json()
        refused = problem(http.post("/api/v1/roles/night/remove", json={}))
        assert (refused["code"], "penstock access list --role night" in refused["remedy"]) == ("role-in-use", True)
        assert http.post(f"/api/v1/bindings/{given['id']}/take", json={"reason": "over"}).status_code == 200
        assert http.post("/api/v1/roles/night/remove", json={}).status_code == 200
