"""The registry's door, over real HTTP: who comes in, with what, and what they may."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.server.api.registry_server import DATA, DIGEST, PASSWORD, code
from tests.server.pushing import push, put_blob, small_image


def test_both_ways_in(served, client):
    answer = served.stranger.get("/v2/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="{served.url}/v2/token",service="{served.host}"'
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    assert code(answer) == "UNAUTHORIZED"
    assert client.get("/v2/").status_code == client.get("/v2").status_code == 200  # Basic, unasked
    assert served.stranger.get("/v2/", headers={"authorization": f"Bearer {PASSWORD}"}).status_code == 200  # an API token itself
    wrong = served.stranger.get("/v2/", auth=("ada", "wrong"))
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, answer.headers["www-authenticate"])
    assert served.signed_in == 3  # the second of `client` was remembered


def test_a_host_that_is_none_is_asked_for_basic(served):
    """What came in the request goes into the challenge: only what can be a host's name."""
    answer = served.stranger.get("/v2/", headers={"host": 'x",service="evil'})
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


# --- tokens -----------------------------------------------------------------------------------------------------------


def ask(served, user="ada", password=PASSWORD, **query):
    return served.stranger.get("/v2/token", params={"service": served.host, **query}, auth=(user, password))


def carrying(answer):
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def test_the_way_a_client_goes(served):
    """Asked for a token for what it wants to do, it gets one for that, and no more."""
    push(served.content, "a/b", small_image(), "1")
    push(served.content, "other", small_image(), "1")
    first = served.stranger.get("/v2/a/b/manifests/1")
    assert first.headers["www-authenticate"].endswith(',scope="repository:a/b:pull"')
    made = ask(served, scope="repository:a/b:pull")
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    assert made.json()["token"] == made.json()["access_token"]
    assert (made.json()["expires_in"], made.json()["scope"]) == (300, "repository:a/b:pull")
    assert made.json()["issued_at"].endswith("Z")
    assert served.stranger.get("/v2/a/b/manifests/1", headers=carrying(made)).status_code == 200
    for method, path, scope in (
        ("POST", "a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("DELETE", "a/b/manifests/1", "repository:a/b:pull,push,delete"),
        ("GET", "other/manifests/1", "repository:other:pull"),
    ):
        answer = served.stranger.request(method, f"/v2/{path}", headers=carrying(made))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].endswith(f',scope="{scope}",error="insufficient_scope"')
        assert served.stranger.request(method, f"/v2/{path}", headers=carrying(ask(served, scope=scope))).status_code in (200, 202)


def test_a_token_is_for_what_its_owner_may(served):
    """What is asked for beyond that is left out, and the refusal says why."""
    push(served.content, "a/b", small_image(), "1")
    made = ask(served, "bob", scope="repository:a/b:pull,push repository:hidden/x:pull registry:catalog:* nonsense")
    assert made.json()["scope"] == "repository:a/b:pull"
    answer = served.stranger.post("/v2/a/b/blobs/uploads/", headers=carrying(made))
    assert (answer.status_code, code(answer)) == (403, "DENIED")
    assert "bob may only pull" in answer.text


def test_a_mount_needs_a_token_for_both(served):
    put_blob(served.content, "a/b", DATA)
    one = ask(served, scope="repository:c:pull,push")
    both = served.stranger.get("/v2/token", params=[("scope", "repository:c:pull,push"), ("scope", "repository:a/b:pull")], auth=("ada", PASSWORD))
    for made, status in ((one, 202), (both, 201)):
        assert served.stranger.post(f"/v2/c/blobs/uploads/?mount={DIGEST}&from=a/b", headers=carrying(made)).status_code == status


def test_tokens_by_post(served):
    """OAuth 2, as containerd asks, and as docker does for an identity token."""
    form = {
        "grant_type": "password",
        "service": served.host,
        "client_id": "containerd",
        "username": "ada",
        "password": PASSWORD,
        "scope": "repository:a:pull,push",
    }
    made = served.stranger.post("/v2/token", data=form)
    assert (made.status_code, made.json()["scope"]) == (200, "repository:a:pull,push")
    assert "token" not in made.json()
    assert served.stranger.post("/v2/token", data={"grant_type": "refresh_token", "refresh_token": PASSWORD, "scope": "repository:a:pull"}).status_code == 200
    for bad, status in (({"grant_type": "password", "username": "ada", "password": "no"}, 401), ({"grant_type": "magic"}, 400), ({}, 400)):
        assert served.stranger.post("/v2/token", data=bad).status_code == status


def test_tokens_that_are_refused(served):
    assert served.stranger.get("/v2/token").status_code == 401
    wrong = ask(served, "ada", "wrong")
    assert (wrong.status_code, code(wrong)) == (401, "UNAUTHORIZED")
    assert wrong.headers["www-authenticate"].startswith("Basic ")
    slow = ask(served, "slow")
    assert (slow.status_code, slow.headers["retry-after"], code(slow)) == (429, "7", "TOOMANYREQUESTS")
    good = ask(served).json()["access_token"]
    for token in ("-", good[:-1], good + "x", "x" + good, "." + good, "a.b", "é", "x" * 9000):
        answer = served.stranger.get("/v2/", headers={"authorization": f"Bearer {token}".encode()})
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["", "Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Digest x", "Bearer", "Basic /w=="])
def test_headers_that_sign_nobody_in(served, given):
    answer = served.stranger.get("/v2/", headers={"authorization": given})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_refusals_of_the_sign_in_come_through(served):
    answer = served.stranger.get("/v2/", auth=("slow", "x"))
    assert (answer.status_code, answer.headers["retry-after"], code(answer)) == (429, "7", "TOOMANYREQUESTS")


def test_every_address_asks_for_the_right(served, client):
    push(served.content, "a/b", small_image(), "1")
    put_blob(served.content, "a/b", DATA)
    served.asked.clear()
    with httpx.Client(base_url=served.url, auth=("bob", PASSWORD)) as bob:
        for method, path, verb in (
            ("GET", "manifests/1", "pull"),
            ("HEAD", "manifests/1", "pull"),
            ("GET", f"blobs/{DIGEST}", "pull"),
            ("GET", "tags/list", "pull"),
            ("GET", f"referrers/{DIGEST}", "pull"),
            ("PUT", "manifests/1", "push"),
            ("POST", "blobs/uploads/", "push"),
            ("GET", "blobs/uploads/1", "push"),
            ("PATCH", "blobs/uploads/1", "push"),
            ("PUT", f"blobs/uploads/1?digest={DIGEST}", "push"),
            ("DELETE", "blobs/uploads/1", "push"),
            ("DELETE", "manifests/1", "delete"),
            ("DELETE", f"blobs/{DIGEST}", "delete"),
        ):
            answer = bob.request(method, f"/v2/a/b/{path}")
            assert answer.status_code == (200 if verb == "pull" else 403), (method, path)
            assert served.asked.pop() == ("bob", "a/b", verb)


def test_what_one_may_not_read_is_not_there(served, client):
    """Word for word as if it did not exist, and judged before anything is looked up."""
    push(served.content, "hidden/x", small_image(), "1")
    blob = put_blob(served.content, "hidden/x", DATA)
    for path in ("manifests/1", f"blobs/{blob}", "tags/list", f"referrers/{blob}"):
        here, gone = client.get(f"/v2/hidden/x/{path}"), client.get(f"/v2/hidden/y/{path}")
        assert (here.status_code, code(here)) == (gone.status_code, code(gone)) == (404, "NAME_UNKNOWN")
        assert here.text.replace("hidden/x", "hidden/y") == gone.text
    assert (client.post("/v2/hidden/x/blobs/uploads/").status_code, client.post("/v2/hidden/y/blobs/uploads/").status_code) == (403, 403)


def test_the_catalogue_shows_what_one_may_pull(served, client):
    for name in ("a", "b/c", "hidden/x"):
        put_blob(served.content, name, DATA)
    assert client.get("/v2/_catalog").json() == {"repositories": ["a", "b/c"]}
