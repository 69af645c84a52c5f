"""The distribution specification (v1.1) case by case, over real HTTP on both storages: pulling, errors, addresses. Each test names its section."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.api.registry_server import DATA, DIGEST, NONE, code
from tests.server.pushing import put_blob


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, None),
        ("bytes=-5", 206, -5, None),
        ("bytes=10-999999999", 206, 10, None),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=0-1,5-6", 200, 0, None),
        ("lines=1-2", 200, 0, None),
        ("bytes=9-3", 200, 0, None),
        ("bytes=-", 200, 0, None),
        (f"bytes={len(DATA)}-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
def test_ranges(served, client, asked, status, start, end):
    """Pulling blobs (end-2): Range by RFC 9110, section 14."""
    put_blob(served.content, "a", DATA)
    answer = client.get(f"/v2/a/blobs/{DIGEST}", headers={"range": asked})
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
        return
    assert answer.content == DATA[start:end]
    if status == 206:
        first = start if start >= 0 else len(DATA) + start
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(DATA)}"


def test_ranges_under_a_condition_and_what_is_there_already(served, client):
    """Pulling blobs (end-2): conditions by RFC 9110, section 13."""
    put_blob(served.content, "a", DATA)
    url = f"/v2/a/blobs/{DIGEST}"
    assert client.get(url, headers={"range": "bytes=0-1", "if-range": f'"{DIGEST}"'}).status_code == 206
    assert client.get(url, headers={"range": "bytes=0-1", "if-range": '"other"'}).status_code == 200
    answer = client.get(url, headers={"if-none-match": f'"{DIGEST}"'})
    assert (answer.status_code, answer.content) == (304, b"")
    empty = put_blob(served.content, "a", b"")
    assert client.get(f"/v2/a/blobs/{empty}").content == b""


def test_blobs_that_are_not_there(served, client):
    """Pulling blobs, Checking if content exists (end-2)."""
    put_blob(served.content, "a", DATA)
    for path, status, word in ((f"/v2/b/blobs/{DIGEST}", 404, "BLOB_UNKNOWN"), ("/v2/a/blobs/sha256:1", 400, "DIGEST_INVALID")):
        answer = client.get(path)
        assert (answer.status_code, code(answer)) == (status, word)
    head = client.head(f"/v2/b/blobs/{DIGEST}")
    assert (head.status_code, head.content) == (404, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/a", 404),
        ("GET", "/v2/a/b/c", 404),
        ("GET", "/v2/A/tags/list", 400),
        ("GET", "/v2/a..b/tags/list", 400),
        ("GET", "/v2/%2e%2e/tags/list", 400),
        ("GET", "/v2/" + "a" * 250 + "/tags/list", 400),
        ("GET", "/v2/a/manifests/-x", 400),
        ("POST", "/v2/a/manifests/x", 405),
        ("PUT", "/v2/", 405),
        ("PATCH", f"/v2/a/blobs/{NONE}", 405),
        ("GET", "/v2/a/blobs/uploads/", 405),
    ],
)
def test_odd_addresses(client, method, path, status):
    """Endpoints: what is no address, or takes no such method."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert code(answer)
    assert (status == 405) == ("allow" in answer.headers)


@pytest.mark.parametrize("method", ["get", "head"])
def test_content_of_another_algorithm_is_not_here(client, method):
    """Pulling manifests, Pulling blobs (end-2, end-3): 404 for a good digest that nothing here can have."""
    for kind in ("blobs", "manifests"):
        assert getattr(client, method)(f"/v2/a/{kind}/sha512:{'0' * 128}").status_code == 404


def test_determining_support(client):
    """Determining Support (end-1)."""
    for path in ("/v2/", "/v2"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["docker-distribution-api-version"]) == (200, "registry/2.0")


SPECIFIED = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]),
    name=st.sampled_from(["a", "a/b", "A", "a//b", "", "hidden/x", "a" * 250]),
    rest=st.sampled_from(
        ["manifests/1", "manifests/-", f"manifests/{NONE}", "blobs/1", f"blobs/{NONE}", "blobs/uploads/", "blobs/uploads/1", "tags/list", "x"]
    ),
    query=st.sampled_from(
        ["", "?n=-1", "?n=x", "?digest=x", f"?digest={NONE}", "?mount=1", "?tag=-", "?digest-algorithm=md5", "?" + "&".join("a=1" for _ in range(100))]
    ),
    body=st.sampled_from([b"", b"{}", b"[]", b"\xff", b"x" * 100]),
    range_=st.sampled_from(["", "0-0", "1-2", "x"]),
)
def test_every_error_is_in_the_form_and_has_a_code_of_the_list(client, method, name, rest, query, body, range_):
    """Error Codes: whatever is asked, a 4xx has a JSON body of the specified form and one of its codes, and nothing is a 5xx."""
    answer = client.request(method, f"/v2/{name}/{rest}{query}", content=body, headers={"content-range": range_} if range_ else {})
    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "HEAD":
        assert code(answer) in SPECIFIED
