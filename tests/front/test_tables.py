"""What the tables of routes promise: a permission on every line, a document that matches, nothing registered beside them."""

from __future__ import annotations

import json
from pathlib import Path

from penstock.server import front
from penstock.server.api import livepage, openapi
from penstock.server.api.frame import PUBLIC, SIGNED_IN
from penstock.server.api.routes import ROUTES
from penstock.server.core.rights import VERBS
from penstock.server.web.routes import PAGES

KNOWN = VERBS | {PUBLIC, SIGNED_IN}
ROOT = Path(__file__).parents[2]

# Whoever adds a line here has thought about why nobody needs to be known for it.
OPEN = {
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/ca"),
    ("GET", "/api/v1/setup"),
    ("POST", "/api/v1/setup"),
    ("POST", "/api/v1/login"),
    ("GET", "/setup"),
    ("POST", "/setup"),
    ("POST", "/api/v1/invitation"),
    ("GET", "/invitation"),
    ("POST", "/invitation"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/language"),  # sets a cookie that says which language this browser reads; /login needs it too
    ("GET", "/static/{path:path}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
}


def lines():
    yield from ((route.method, route.path, route.permission, route.doc) for route in ROUTES)
    yield from ((page.method, page.path, page.permission, page.doc) for page in PAGES)
    yield from front.PLAIN


def test_every_route_declares_a_permission_and_says_what_it_is_for():
    for method, path, permission, doc in lines():
        assert permission in KNOWN, f"{method} {path} declares {permission!r}, which is no permission"
        assert doc.endswith("."), f"{method} {path} says nothing of itself"


def test_nothing_is_open_but_what_is_listed_here():
    assert {(method, path) for method, path, permission, _ in lines() if permission == PUBLIC} == OPEN


def test_no_route_stands_twice_and_changes_are_no_gets():
    named = [(method, path) for method, path, _, _ in lines()]
    assert len(named) == len(set(named))
    writing = {
        "sites.write",
        "sites.people",
        "joins.write",
        "enrolments.decide",
        "devices.write",
        "devices.command",
        "devices.retire",
        "devices.quarantine",
        "deployments.write",
        "settings.write",
        "users.write",
        "access.write",
    }
    forms = {("GET", "/deploy")}
    asked_by_givers = {("GET", "/api/v1/users/{user}/tokens"), ("GET", "/api/v1/access/parts")}  # read, by whoever makes tokens and gives roles
    assert [
        (method, path) for method, path, permission, _ in lines() if method == "GET" and permission in writing and (method, path) not in forms | asked_by_givers
    ] == []


def test_the_application_serves_exactly_the_tables():
    app = front.build_front(None)  # type: ignore[arg-type]  # nothing is asked of it
    served = {(method, route.path_format) for route in app.framework.routes for method in route.methods - {"OPTIONS", "HEAD"}} | {("GET", livepage.PATH)}
    wanted = {(method, path.replace("{path:path}", "{path}")) for method, path, _, _ in lines()}
    assert served == wanted


def test_the_checked_in_document_is_the_one_served():
    assert (ROOT / "docs/openapi.json").read_bytes() == openapi.text(), "the API changed: run tools/write_openapi.py and look at the difference"


def test_the_document_describes_every_route_with_its_problems():
    document = json.loads(openapi.text())
    assert document["openapi"] == "3.1.0"
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["x-permission"] == route.permission
        assert str(route.status) in operation["responses"]
        if route.permission != PUBLIC:
            assert "401" in operation["responses"]
        if route.permission not in (PUBLIC, SIGNED_IN):
            assert "403" in operation["responses"]
        assert {"400", "413", "415"} & set(operation["responses"]) == ({"400", "413", "415"} if route.body is not None else set())
        if route.conditional:
            assert {"412", "428"} <= set(operation["responses"])
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


# Whoever adds a line here has thought about why a repeated request does no harm, or why nobody may be given the answer of another.
NO_KEY = {
    ("POST", "/api/v1/setup"): "nobody is known yet, so that a key would be everybody's; it works once",
    ("POST", "/api/v1/login"): "nobody is known yet, so that a key would be everybody's",
    ("POST", "/api/v1/me/second-factor"): "a second secret takes the place of the first; a kept answer would keep the secret",
}
# What may be taken away without saying which revision one has read.
NO_REVISION = {
    "/api/v1/me/sessions": "a session does not change",
    "/api/v1/me/sessions/{session}": "a session does not change",
    "/api/v1/users/{user}/sessions": "a session does not change",
    "/api/v1/users/{user}/sessions/{session}": "a session does not change",
    "/api/v1/tokens/{token}": "what revokes a token must not be held up",
    "/api/v1/users/{user}/tokens/{token}": "what revokes a token must not be held up",
    "/api/v1/join-tokens/{join}": "what revokes a join line must not be held up",
    "/api/v1/views/{view}": "only oneself can change it",
    "/api/v1/upstreams/{host}": "what takes a password's power away must not be held up",
    "/api/v1/mirrors/{mirror}": "nobody changes one by hand",
    "/api/v1/vulnerability-lists/{list}": "it goes as a whole",
    "/api/v1/templates/{app}": "it goes as a whole",
    "/api/v1/sites/{site}/people/{person}": "what takes a PIN's power away must not be held up",
}


def test_what_makes_a_thing_takes_a_key():
    assert {(route.method, route.path) for route in ROUTES if route.status == 201 and not route.creates} == set(NO_KEY)


def test_what_changes_a_thing_names_its_revision():
    assert [route.path for route in ROUTES if route.method in ("PATCH", "PUT") and not route.conditional] == []
    assert {route.path for route in ROUTES if route.method == "DELETE" and not route.conditional} == set(NO_REVISION)
