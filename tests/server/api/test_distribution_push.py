"""The distribution specification (v1.1) case by case, over real HTTP on both storages: pushing blobs. Each test names its section."""

from __future__ import annotations

import base64
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from penstock.wire.types import sha256_of
from tests.server.api.registry_server import DATA, DIGEST, NONE, PASSWORD, begin, code
from tests.server.pushing import put_blob


def test_monolithic_post(client):
    """Single POST (end-4b)."""
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
    """POST then PUT (end-4a, end-6)."""
    place = begin(client)
    assert client.put(f"{place}?digest={DIGEST}", content=DATA).status_code == 201
    assert client.get(f"/v2/a/b/blobs/{DIGEST}").content == DATA
    assert client.get(place).status_code == 404


def test_a_large_blob_streamed_without_a_length(client):
    """Pushing a blob in chunks (end-5): a PATCH that says neither its range nor its length is the whole stream."""
    place = begin(client)
    big = DATA * 30  # three writes of a megabyte
    answer = client.patch(place, content=(big[at : at + 70_000] for at in range(0, len(big), 70_000)))
    assert (answer.status_code, answer.headers["range"]) == (202, f"0-{len(big) - 1}")
    assert client.put(f"{place}?digest={sha256_of(big)}").status_code == 201
    assert client.get(f"/v2/a/b/blobs/{sha256_of(big)}").content == big


def test_chunks_in_order_and_out_of_order(client):
    """Pushing a blob in chunks (end-5, end-6, end-13)."""
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
    """Pushing a blob in chunks (end-13): a client whose connection was cut asks how far it was, and goes on there."""
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
    """Pushing blobs: an invalid digest, or one of another algorithm, is 400."""
    place = begin(client)
    answer = client.put(f"{place}?digest={NONE}", content=DATA)
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    assert client.get(place).status_code == 404
    for bad in ("", "?digest=md5:1", "?digest=sha512:" + "0" * 128):
        answer = client.put(begin(client) + bad)
        assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")


def test_an_upload_cancelled(client):
    """Cancel a blob upload (end-14)."""
    place = begin(client)
    assert client.delete(place).status_code == 204
    answer = client.patch(place, content=b"x")
    assert (answer.status_code, code(answer)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert client.get(place.replace("/a/b/", "/other/")).status_code == 404


def test_mounting_from_another_repository(served, client):
    """Mounting a blob from another repository (end-11)."""
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


def test_a_single_post_with_other_bytes_leaves_nothing(served, client):
    """Single POST (end-4b): the digest must match."""
    answer = client.post(f"/v2/a/b/blobs/uploads/?digest={NONE}", content=DATA)
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    assert client.head(f"/v2/a/b/blobs/{DIGEST}").status_code == client.head(f"/v2/a/b/blobs/{NONE}").status_code == 404


def test_the_algorithm_of_digests(client):
    """Pushing a blob in chunks (end-4c): SHA-256 is what is kept here, another one is refused before anything is sent."""
    assert client.post("/v2/a/b/blobs/uploads/?digest-algorithm=sha256").status_code == 202
    answer = client.post("/v2/a/b/blobs/uploads/?digest-algorithm=sha512")
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    assert "sha256" in answer.text


def test_any_size_of_piece(client):
    """Pushing a blob in chunks (end-5): no OCI-Chunk-Min-Length is asked for, so pieces of one byte are good."""
    answer = client.post("/v2/a/b/blobs/uploads/")
    assert "oci-chunk-min-length" not in answer.headers
    place = answer.headers["location"]
    for at in range(3):
        answer = client.patch(place, content=DATA[at : at + 1], headers={"content-range": f"{at}-{at}"})
        assert (answer.status_code, answer.headers["range"]) == (202, f"0-{at}")
        place = answer.headers["location"]
    status = client.get(place)
    assert (status.status_code, status.headers["range"], status.headers["location"]) == (204, "0-2", place)
    assert client.put(f"{place}?digest={sha256_of(DATA[:3])}").status_code == 201
    assert client.get(f"/v2/a/b/blobs/{sha256_of(DATA[:3])}").content == DATA[:3]


@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_piece_that_does_not_follow(client, method):
    """Pushing a blob in chunks (end-5, end-6): out of order is 416, also for the last piece, and the upload goes on where it was."""
    place = begin(client)
    send = getattr(client, method)
    target = f"{place}?digest={DIGEST}" if method == "put" else place
    assert send(target, content=DATA[10:], headers={"content-range": f"10-{len(DATA) - 1}"}).status_code == 416
    assert client.patch(place, content=DATA[:10], headers={"content-range": "0-9"}).status_code == 202
    answer = send(target, content=DATA[20:], headers={"content-range": f"20-{len(DATA) - 1}"})
    assert (answer.status_code, answer.headers["range"]) == (416, "0-9")
    answer = client.put(f"{place}?digest={DIGEST}", content=DATA[10:], headers={"content-range": f"10-{len(DATA) - 1}"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("said", "word"), [("0-99", "SIZE_INVALID"), ("0-", "BLOB_UPLOAD_INVALID"), ("a-b", "BLOB_UPLOAD_INVALID"), ("5", "BLOB_UPLOAD_INVALID")]
)
def test_a_range_that_is_none(client, said, word):
    """Pushing a blob in chunks (end-5): the range is inclusive on both ends and of Content-Length bytes."""
    place = begin(client)
    answer = client.patch(place, content=DATA, headers={"content-range": said})
    assert (answer.status_code, code(answer)) == (400, word)
    assert client.put(f"{place}?digest={DIGEST}", content=DATA).status_code == 201


def test_mounting_without_saying_from_where(served, client):
    """Mounting a blob from another repository (end-11): `from` is optional; what one may not read is not found."""
    put_blob(served.content, "a/b", DATA)
    put_blob(served.content, "hidden/x", b"secret")
    answer = client.post(f"/v2/c/blobs/uploads/?mount={DIGEST}")
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v2/c/blobs/{DIGEST}")
    assert client.get(f"/v2/c/blobs/{DIGEST}").content == DATA
    assert client.post(f"/v2/c/blobs/uploads/?mount={sha256_of(b'secret')}").status_code == 202
    unknown = client.post(f"/v2/c/blobs/uploads/?mount={NONE}")
    assert unknown.status_code == 202  # an upload, with which the client goes on
    assert client.put(f"{unknown.headers['location']}?digest={sha256_of(b'x')}", content=b"x").status_code == 201


def test_the_empty_blob(client):
    """POST then PUT (end-4a, end-6): nothing is content, too."""
    empty = sha256_of(b"")
    assert client.put(f"{begin(client)}?digest={empty}").status_code == 201
    found = client.get(f"/v2/a/b/blobs/{empty}")
    assert (found.status_code, found.content, found.headers["content-length"]) == (200, b"", "0")


def test_the_same_blob_from_many_at_once(served, client):
    """Layer Upload De-duplication: all go on, and one copy is kept."""
    big = DATA * 20
    digest = sha256_of(big)

    def push_it(name: str) -> int:
        with httpx.Client(base_url=served.url, auth=("ada", PASSWORD), timeout=60) as mine:
            place = begin(mine, name)
            for at in range(0, len(big), 700_000):
                assert mine.patch(place, content=big[at : at + 700_000]).status_code == 202
            return mine.put(f"{place}?digest={digest}").status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(push_it, ["a", "a", "a", "b", "b", "c"])) == {201}
    assert [client.get(f"/v2/{name}/blobs/{digest}").content == big for name in "abc"] == [True] * 3


@pytest.mark.parametrize("served", ["files"], indirect=True)
def test_a_disk_that_fills_up(served, client):
    """507 with the reason; the upload goes on where it was once there is room."""
    place = begin(client)
    assert client.patch(place, content=DATA[:1000]).status_code == 202
    served.content.min_free = 2**60
    answer = client.patch(place, content=DATA[1000:])
    assert (answer.status_code, answer.headers["retry-after"]) == (507, "60")
    assert "disk" in answer.json()["errors"][0]["message"]
    assert client.post("/v2/a/b/blobs/uploads/").status_code == 507
    served.content.min_free = 0
    assert client.get(place).headers["range"] == "0-999"
    assert client.put(f"{place}?digest={DIGEST}", content=DATA[1000:], headers={"content-range": f"1000-{len(DATA) - 1}"}).status_code == 201
