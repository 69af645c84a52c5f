"""The loopback registry, spoken to as engines speak and as they never would."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
import time
from pathlib import Path

import pytest

from penstock.agent.blobregistry import PullRegistry
from penstock.agent.blobstore import BlobStore
from penstock.wire.types import Blob, Variant

LAYER = bytes(range(256)) * 4096  # 1 MiB
MEDIA = "application/vnd.oci.image.manifest.v1+json"


def put(store, data, media=""):
    blob = Blob("sha256:" + hashlib.sha256(data).hexdigest(), len(data), media)
    store.put(blob, data)
    return blob


@pytest.fixture
def served(tmp_path):
    """A registry serving in a thread; yields (registry, variant, store)."""
    store = BlobStore(str(tmp_path), reserve_bytes=0)
    store.put(Blob("sha256:" + hashlib.sha256(b"other").hexdigest(), 5), b"other")
    variant = Variant("linux/amd64", put(store, b'{"m":1}', MEDIA), put(store, b"{}"), (put(store, LAYER),))
    ours, theirs = socket.socketpair()
    with PullRegistry(variant, store) as registry, ours, theirs:
        outcome = []

        def ready():
            return ours.recv(10) == b"stop"

        thread = threading.Thread(target=lambda: outcome.append(registry.serve(ours, ready, time.monotonic() + 60, 60)))
        thread.start()
        yield registry, variant, store
        theirs.sendall(b"stop")
        thread.join()
        assert outcome == ["done"]


def ask(registry, path, method="GET", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=20)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_what_a_pull_asks_for(served):
    registry, variant, _ = served
    base = f"/v2/{registry.repository}"
    assert ask(registry, "/v2/")[0] == 200
    status, headers, body = ask(registry, f"{base}/manifests/{variant.manifest.digest}")
    assert (status, headers["Content-Type"], headers["Docker-Content-Digest"], body) == (200, MEDIA, variant.manifest.digest, b'{"m":1}')
    status, headers, body = ask(registry, f"{base}/manifests/{variant.manifest.digest}", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "7", b"")
    assert ask(registry, f"{base}/blobs/{variant.layers[0].digest}")[2] == LAYER
    assert ask(registry, f"{base}/blobs/{variant.config.digest}")[2] == b"{}"
    assert registry.reference == f"127.0.0.1:{registry.port}/{registry.repository}@{variant.manifest.digest}"


@pytest.mark.parametrize(
    ("wanted", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=100-", 206, 100, len(LAYER) - 1),
        ("bytes=100-199", 206, 100, 199),
        ("bytes=-10", 206, len(LAYER) - 10, len(LAYER) - 1),
        (f"bytes={len(LAYER) - 1}-{len(LAYER) + 500}", 206, len(LAYER) - 1, len(LAYER) - 1),
        ("bytes=0-", 200, 0, len(LAYER) - 1),
        ("bytes=1-2,5-6", 200, 0, len(LAYER) - 1),
        ("lines=1-2", 200, 0, len(LAYER) - 1),
    ],
)
def test_ranges(served, wanted, status, first, last):
    registry, variant, _ = served
    got, headers, body = ask(registry, f"/v2/{registry.repository}/blobs/{variant.layers[0].digest}", headers={"Range": wanted})
    assert got == status
    assert body == LAYER[first : last + 1]
    if status == 206:
        assert headers["Content-Range"] == f"bytes {first}-{last}/{len(LAYER)}"


@pytest.mark.parametrize("wanted", [f"bytes={len(LAYER)}-", "bytes=9-3", "bytes=-0"])
def test_ranges_that_cannot_be_met(served, wanted):
    registry, variant, _ = served
    status, headers, _ = ask(registry, f"/v2/{registry.repository}/blobs/{variant.layers[0].digest}", headers={"Range": wanted})
    assert status == 416
    assert headers["Content-Range"] == f"bytes */{len(LAYER)}"


def test_nothing_else_is_served(served):
    registry, variant, store = served
    other = next(blob.digest for blob in store.list() if blob.size == 5)
    base = f"/v2/{registry.repository}"
    for path in (
        f"{base}/blobs/{other}",  # in the store, not of this variant
        f"{base}/manifests/latest",
        f"{base}/blobs/{variant.manifest.digest}",
        f"{base}/manifests/{variant.config.digest}",
        f"/v2/{'0' * 32}/x/manifests/{variant.manifest.digest}",
        f"{base}/tags/list",
        f"{base}/blobs/../../etc/passwd",
        "/v2/_catalog",
        "/",
    ):
        assert ask(registry, path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert ask(registry, f"{base}/manifests/{variant.manifest.digest}", method)[0] in (400, 405)
    assert registry.missing == []


def test_a_blob_gone_missing_is_remembered(served):
    registry, variant, store = served
    store.remove(variant.layers[0].digest)
    assert ask(registry, f"/v2/{registry.repository}/blobs/{variant.layers[0].digest}")[0] == 404
    assert registry.missing == [variant.layers[0].digest]


def test_many_requests_on_one_connection_and_in_one_packet(served):
    registry, variant, _ = served
    line = f"GET /v2/{registry.repository}/blobs/{variant.config.digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", registry.port), timeout=20) as sock:
        sock.sendall(line * 3 + b"GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n")
        data = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            data += piece
    assert data.count(b"HTTP/1.1 200 OK") == 4
    assert data.count(b"{}") == 4


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00\x01", b"G" * 20_000, b"GET /v2/\r\n\r\n", b"GET /v2/ SPDY/3\r\n\r\n", b"GET /v2/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"],
    ids=["tls", "endless", "no-version", "other-protocol", "body"],
)
def test_what_is_no_request_is_answered_and_cut(served, sent):
    registry, _, _ = served
    with socket.create_connection(("127.0.0.1", registry.port), timeout=20) as sock:
        sock.sendall(sent)
        data = b""
        while True:
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            data += piece
    assert data.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert ask(registry, "/v2/")[0] == 200  # the others are served on


def test_slow_readers_do_not_stop_the_others(served):
    registry, variant, _ = served
    slow = [socket.create_connection(("127.0.0.1", registry.port), timeout=20) for _ in range(5)]
    for sock in slow:
        sock.sendall(f"GET /v2/{registry.repository}/blobs/{variant.layers[0].digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert ask(registry, f"/v2/{registry.repository}/blobs/{variant.layers[0].digest}")[2] == LAYER
    for sock in slow:
        sock.close()


def test_serving_ends_when_nothing_moves_and_when_time_is_up(tmp_path):
    store = BlobStore(str(tmp_path), reserve_bytes=0)
    variant = Variant("linux/amd64", put(store, b"{}"), put(store, b"{ }"), ())
    ours, theirs = socket.socketpair()
    with ours, theirs, PullRegistry(variant, store) as registry:
        assert registry.serve(ours, lambda: True, time.monotonic() + 60, 0.05) == "stalled"
        assert registry.serve(ours, lambda: True, time.monotonic() + 0.05, 60) == "deadline"


def test_wrong_bytes_are_never_handed_out(served):
    registry, variant, store = served
    digest = variant.layers[0].digest
    path = Path(store.path(digest))
    path.write_bytes(LAYER[:-1] + b"!")
    assert ask(registry, f"/v2/{registry.repository}/blobs/{digest}")[0] == 404
    assert registry.corrupt == [digest]
    path.write_bytes(LAYER)
    assert ask(registry, f"/v2/{registry.repository}/blobs/{digest}")[2] == LAYER


def test_a_connection_cut_while_its_blob_is_checked(served):
    registry, variant, _ = served
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", registry.port), timeout=20) as sock:
            sock.sendall(f"GET /v2/{registry.repository}/blobs/{variant.layers[0].digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert ask(registry, f"/v2/{registry.repository}/blobs/{variant.layers[0].digest}")[2] == LAYER
