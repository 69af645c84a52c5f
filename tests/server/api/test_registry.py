"""The registry by the distribution specification, request by request, over real HTTP on both storages."""

from __future__ import annotations

import base64
import socket
import time

import httpx
import pytest

from penstock.server.core.oci import DOCKER_MANIFEST, MAX_MANIFEST, OCI_INDEX, OCI_MANIFEST
from penstock.server.effects.blobs import FileContent
from penstock.server.effects.blobs_memory import MemoryContent
from penstock.wire.types import sha256_of
from tests.server.api.registry_server import PASSWORD, serve
from tests.server.pushing import push, put_blob, small_image

DATA = bytes(range(256)) * 400
DIGEST = sha256_of(DATA)
NONE = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def server():
    with serve(MemoryContent()) as made:
        yield made


@pytest.fixture(params=["files", "memory"])
def served(request, tmp_path, server):
    server.begin_anew(FileContent(tmp_path, min_free=0) if request.param == "files" else MemoryContent())
    return server


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url, auth=("ada", PASSWORD), timeout=20) as made:
        yield made


def code(answer) -> str:
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json()["errors"]
    assert error["message"]
    return error["code"]


def begin(client, name="a/b") -> str:
    answer = client.post(f"/v2/{name}/blobs/uploads/")
    assert answer.status_code == 202
    assert answer.headers["range"] == "0-0"
    assert answer.headers["docker-upload-uuid"] in answer.headers["location"]
    return answer.headers["location"]


# --- who --------------------------------------------------------------------------------------------------------------


def test_sign_in_as_docker_login_does(served, client):
    answer = httpx.get(f"{served.url}/v2/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    assert code(answer) == "UNAUTHORIZED"
    assert client.get("/v2/").status_code == client.get("/v2").status_code == 200
    assert httpx.get(f"{served.url}/v2/", headers={"authorization": f"Bearer {PASSWORD}"}).status_code == 200
    assert httpx.get(f"{served.url}/v2/", auth=("ada", "wrong")).status_code == 401
    assert served.signed_in == 3  # the second and third of `client` were remembered


@pytest.mark.parametrize("given", ["", "Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Digest x", "Bearer", "Basic /w=="])
def test_headers_that_sign_nobody_in(served, given):
    answer = httpx.get(f"{served.url}/v2/", headers={"authorization": given})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_refusals_of_the_sign_in_come_through(served):
    answer = httpx.get(f"{served.url}/v2/", auth=("slow", "x"))
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
        assert bob.get("/v2/hidden/x/tags/list").status_code == 403


# --- blobs ------------------------------------------------------------------------------------------------------------


def test_monolithic_post(client):
    answer = client.post(f"/v2/a/b/blobs/uploads/?digest={DIGEST}", content=DATA)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v2/a/b/blobs/{DIGEST}"
    assert answer.headers["docker-content-digest"] == DIGEST
    found = client.get(answer.headers["location"])
    assert (found.status_code, found.content) == (200, DATA)
    assert found.headers["docker-content-digest"] == DIGEST
    head = client.head(f"/v2/a/b/blobs/{DIGEST}")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(DATA)), b"")


def test_post_then_put(client):
    place = begin(client)
    assert client.put(f"{place}?digest={DIGEST}", content=DATA).status_code == 201
    assert client.get(f"/v2/a/b/blobs/{DIGEST}").content == DATA
    assert client.get(place).status_code == 404


def test_a_large_blob_streamed_without_a_length(client):
    place = begin(client)
    big = DATA * 30  # three writes of a megabyte
    answer = client.patch(place, content=(big[at : at + 70_000] for at in range(0, len(big), 70_000)))
    assert (answer.status_code, answer.headers["range"]) == (202, f"0-{len(big) - 1}")
    assert client.put(f"{place}?digest={sha256_of(big)}").status_code == 201
    assert client.get(f"/v2/a/b/blobs/{sha256_of(big)}").content == big


def test_chunks_in_order_and_out_of_order(client):
    place = begin(client)
    first = client.patch(place, content=DATA[:1000], headers={"content-range": "0-999"})
    assert (first.status_code, first.headers["range"]) == (202, "0-999")
    wrong = client.patch(place, content=DATA[:1000], headers={"content-range": "0-999"})
    assert (wrong.status_code, wrong.headers["range"], code(wrong)) == (416, "0-999", "BLOB_UPLOAD_INVALID")
    assert wrong.headers["location"] == place
    assert client.patch(place, content=b"x", headers={"content-range": "some"}).status_code == 400
    status = client.get(place)
    assert (status.status_code, status.headers["range"]) == (204, "0-999")
    last = client.put(f"{place}?digest={DIGEST}", content=DATA[1000:], headers={"content-range": f"1000-{len(DATA) - 1}"})
    assert last.status_code == 201


def test_a_cut_upload_is_resumed(served, client):
    place = begin(client)
    big = DATA * 20
    host, port = served.host.split(":")
    sign_in = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    with socket.create_connection((host, int(port)), 10) as link:
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {sign_in}\r\nContent-Length: {len(big)}\r\n\r\n"
        link.sendall(head.encode() + big[:1_500_000])
        until = time.monotonic() + 20
        while client.get(place).headers["range"] == "0-0":  # a megabyte is gathered before it is written
            assert time.monotonic() < until
            time.sleep(0.01)
    # The rest of what came is put away while we go on: whoever is told another place goes on there, as clients do.
    answer = client.get(place)
    for _ in range(5):
        end = int(answer.headers["range"].split("-")[1]) + 1
        assert end >= 1024 * 1024
        answer = client.put(f"{place}?digest={sha256_of(big)}", content=big[end:], headers={"content-range": f"{end}-{len(big) - 1}"})
        if answer.status_code != 416:
            break
    assert answer.status_code == 201
    assert client.get(f"/v2/a/b/blobs/{sha256_of(big)}").content == big


def test_the_wrong_digest(client):
    place = begin(client)
    answer = client.put(f"{place}?digest={NONE}", content=DATA)
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    assert client.get(place).status_code == 404
    for bad in ("", "?digest=md5:1", "?digest=sha512:" + "0" * 128):
        answer = client.put(begin(client) + bad)
        assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")


def test_an_upload_cancelled(client):
    place = begin(client)
    assert client.delete(place).status_code == 204
    answer = client.patch(place, content=b"x")
    assert (answer.status_code, code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert client.get(place.replace("/a/b/", "/other/")).status_code == 404


def test_mounting_from_another_repository(served, client):
    put_blob(served.content, "a/b", DATA)
    put_blob(served.content, "hidden/x", b"secret")
    answer = client.post(f"/v2/c/blobs/uploads/?mount={DIGEST}&from=a/b")
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v2/c/blobs/{DIGEST}")
    assert client.get(f"/v2/c/blobs/{DIGEST}").content == DATA
    hidden = client.post(f"/v2/c/blobs/uploads/?mount={sha256_of(b'secret')}&from=hidden/x")
    assert hidden.status_code == 202  # as if it were not there
    assert client.post(f"/v2/c/blobs/uploads/?mount={NONE}&from=a/b").status_code == 202
    assert client.post(f"/v2/c/blobs/uploads/?mount={DIGEST}&from=../x").status_code == 202
    assert client.post("/v2/c/blobs/uploads/?mount=md5:1&from=a/b").status_code == 400


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
    put_blob(served.content, "a", DATA)
    url = f"/v2/a/blobs/{DIGEST}"
    assert client.get(url, headers={"range": "bytes=0-1", "if-range": f'"{DIGEST}"'}).status_code == 206
    assert client.get(url, headers={"range": "bytes=0-1", "if-range": '"other"'}).status_code == 200
    answer = client.get(url, headers={"if-none-match": f'"{DIGEST}"'})
    assert (answer.status_code, answer.content) == (304, b"")
    empty = put_blob(served.content, "a", b"")
    assert client.get(f"/v2/a/blobs/{empty}").content == b""


def test_blobs_that_are_not_there(served, client):
    put_blob(served.content, "a", DATA)
    for path, status, word in ((f"/v2/b/blobs/{DIGEST}", 404, "BLOB_UNKNOWN"), ("/v2/a/blobs/sha256:1", 400, "DIGEST_INVALID")):
        answer = client.get(path)
        assert (answer.status_code, code(answer)) == (status, word)
    head = client.head(f"/v2/b/blobs/{DIGEST}")
    assert (head.status_code, head.content) == (404, b"")


# --- manifests --------------------------------------------------------------------------------------------------------


def put_parts(served, name="a/b", docker_types=False):
    image = small_image(docker_types=docker_types)
    put_blob(served.content, name, image.variants[0].config)
    put_blob(served.content, name, image.variants[0].layers[0].data)
    return image.variants[0]


@pytest.mark.parametrize("docker_types", [False, True])
def test_a_manifest_is_kept_to_the_byte(served, client, docker_types):
    variant = put_parts(served, docker_types=docker_types)
    kind = DOCKER_MANIFEST if docker_types else OCI_MANIFEST
    raw = variant.manifest + b"\n"
    answer = client.put("/v2/a/b/manifests/1.0", content=raw, headers={"content-type": kind})
    assert answer.status_code == 201
    assert answer.headers["docker-content-digest"] == sha256_of(raw)
    for reference in ("1.0", sha256_of(raw)):
        found = client.get(f"/v2/a/b/manifests/{reference}")
        assert (found.content, found.headers["content-type"], found.headers["docker-content-digest"]) == (raw, kind, sha256_of(raw))
        head = client.head(f"/v2/a/b/manifests/{reference}")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(raw)), b"")


def test_manifests_that_are_refused(served, client):
    variant = put_parts(served)
    put = lambda path, raw, kind=OCI_MANIFEST: client.put(f"/v2/a/b/manifests/{path}", content=raw, headers={"content-type": kind})  # noqa: E731
    assert code(put("1", b"not json")) == "MANIFEST_INVALID"
    assert code(put("1", variant.manifest, DOCKER_MANIFEST)) == "MANIFEST_INVALID"
    answer = put(NONE, variant.manifest)
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    answer = client.put("/v2/other/manifests/1", content=variant.manifest, headers={"content-type": OCI_MANIFEST})
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_BLOB_UNKNOWN")
    answer = put("1", b"{" + b" " * MAX_MANIFEST)
    assert (answer.status_code, code(answer)) == (413, "SIZE_INVALID")
    answer = client.put("/v2/a/b/manifests/1", content=(b" " * 100_000 for _ in range(50)), headers={"content-type": OCI_MANIFEST})
    assert answer.status_code == 413
    answer = client.get("/v2/a/b/manifests/1")
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_UNKNOWN")


def test_deleting(served, client):
    image = small_image()
    digest = push(served.content, "a", image, "1")
    served.held[digest] = "release 1.0 of shop uses it"
    answer = client.delete(f"/v2/a/manifests/{digest}")
    assert (answer.status_code, code(answer)) == (403, "DENIED")
    assert "release 1.0 of shop" in answer.text
    assert client.delete("/v2/a/manifests/1").status_code == 202  # the tag may go, what it named stays
    assert client.get("/v2/a/manifests/1").status_code == 404
    assert client.get(f"/v2/a/manifests/{digest}").status_code == 200
    served.held.clear()
    assert client.delete(f"/v2/a/manifests/{digest}").status_code == 202
    assert client.delete(f"/v2/a/manifests/{digest}").status_code == 404
    layer = sha256_of(image.variants[0].layers[0].data)
    assert client.delete(f"/v2/a/blobs/{layer}").status_code == 202
    assert client.delete(f"/v2/a/blobs/{layer}").status_code == 404


def test_referrers(served, client):
    digest = push(served.content, "a", small_image(), "1")
    empty = put_blob(served.content, "a", b"{}")
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2}
    subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": 3}
    artifact = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x.sbom", "config": config, "layers": [], "subject": subject}
    answer = client.put("/v2/a/manifests/sbom", json=artifact | {"annotations": {"a": "b"}}, headers={"content-type": OCI_MANIFEST})
    assert (answer.status_code, answer.headers["oci-subject"]) == (201, digest)
    listed = client.get(f"/v2/a/referrers/{digest}")
    assert listed.headers["content-type"] == OCI_INDEX
    (entry,) = listed.json()["manifests"]
    assert (entry["artifactType"], entry["annotations"], entry["digest"]) == ("application/x.sbom", {"a": "b"}, answer.headers["docker-content-digest"])
    filtered = client.get(f"/v2/a/referrers/{digest}?artifactType=application/other")
    assert (filtered.json()["manifests"], filtered.headers["oci-filters-applied"]) == ([], "artifactType")
    assert client.get(f"/v2/nowhere/referrers/{NONE}").json()["manifests"] == []


# --- lists and odd addresses ------------------------------------------------------------------------------------------


def test_tags_by_pages(served, client):
    image = small_image()
    for tag in ("a", "b", "c", "d", "e"):
        push(served.content, "a/b", image, tag)
    assert client.get("/v2/a/b/tags/list").json() == {"name": "a/b", "tags": ["a", "b", "c", "d", "e"]}
    seen, url = [], "/v2/a/b/tags/list?n=2"
    while url:
        answer = client.get(url)
        seen.append(answer.json()["tags"])
        link = answer.headers.get("link", "")
        url = link.partition("<")[2].partition(">")[0]
        assert not link or link.endswith('rel="next"')
    assert seen == [["a", "b"], ["c", "d"], ["e"]]
    assert client.get("/v2/a/b/tags/list?n=0").json()["tags"] == []
    assert code(client.get("/v2/a/b/tags/list?n=x")) == "PAGINATION_NUMBER_INVALID"
    assert code(client.get("/v2/nowhere/tags/list")) == "NAME_UNKNOWN"


def test_the_catalogue_shows_what_one_may_pull(served, client):
    for name in ("a", "b/c", "hidden/x"):
        put_blob(served.content, name, DATA)
    assert client.get("/v2/_catalog").json() == {"repositories": ["a", "b/c"]}


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
    answer = client.request(method, path)
    assert answer.status_code == status
    assert code(answer)
    assert (status == 405) == ("allow" in answer.headers)
