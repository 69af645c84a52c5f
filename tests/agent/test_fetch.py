"""Fetching over real TLS: resumed at any byte, verified, capped, cut again and again, and honest about how far it came."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from penstock.agent.blobstore import BlobStore
from penstock.agent.fetch import Fetcher, Pace, Way, fetch
from penstock.agent.work import Fetch
from penstock.wire.messages import Endpoint
from penstock.wire.types import Blob
from tests.agent.servers import Authority, HttpsServer


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf()


def blob_of(data: bytes) -> Blob:
    return Blob("sha256:" + hashlib.sha256(data).hexdigest(), len(data))


class Shelf:
    """A plane's blobs with faults to plan: `cuts` are numbers of body bytes after which the next answers are cut."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {blob_of(data).digest: data for data in contents}
        self.cuts: list[int] = []
        self.ranges: list[str] = []
        self.tokens: set[str] = set()
        self.ignore_range = False
        self.answers: list[tuple[int, dict[str, str], bytes]] = []

    def __call__(self, method, path, headers, body):
        self.ranges.append(headers.get("range", ""))
        self.tokens.add(headers.get("authorization", ""))
        if self.answers:
            return self.answers.pop(0)
        data = self.contents.get(path.removeprefix("/d/v1/blobs/"))
        if data is None:
            return 404, {}, b"{}"
        begin = int(headers["range"][6:-1]) if "range" in headers and not self.ignore_range else 0
        rest = data[begin:]
        status, extra = (206, {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}) if begin else (200, {})
        if self.cuts:
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(rest)}", *(f"{name}: {value}" for name, value in extra.items())]
            return ("\r\n".join(lines).encode() + b"\r\n\r\n" + rest[: self.cuts.pop(0)],)
        return status, extra, rest


def run(server, authority, folder, work, rests=None):
    told: list[int] = []
    way = Way((Endpoint(server.url, (authority.pem,)),), {})
    sleeps = [] if rests is None else rests
    outcome = Fetcher(work, way, BlobStore(str(folder), reserve_bytes=0), told.append, sleeps.append).run()
    return outcome, told


def test_blobs_come_in_order_over_one_connection_and_only_once(authority, leaf, tmp_path):
    one, two = os.urandom(300_000), b"small"
    shelf = Shelf(one, two, b"")
    with HttpsServer(leaf, shelf) as server:
        work = Fetch((blob_of(one), blob_of(two), blob_of(one), blob_of(b"")), "tok")
        outcome, told = run(server, authority, tmp_path, work)
        assert outcome.ok
        assert outcome.fetched == (blob_of(one).digest, blob_of(two).digest, blob_of(b"").digest)
        assert server.connections == 1
        assert shelf.tokens == {"Bearer tok"}
        assert told[-1] >= 300_005
        again, _ = run(server, authority, tmp_path, work)
        assert (again.ok, again.fetched) == (True, ())
        assert len(shelf.ranges) == 3
    assert Path(BlobStore(str(tmp_path)).path(blob_of(one).digest) or "").read_bytes() == one


def test_a_connection_cut_five_times_costs_no_byte_twice(authority, leaf, tmp_path):
    data = os.urandom(500_000)
    shelf = Shelf(data)
    shelf.cuts = [100_000, 50_000, 70_000, 1, 0]
    with HttpsServer(leaf, shelf) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(data),), "t"))
    assert outcome.ok
    assert shelf.ranges == ["", "bytes=100000-", "bytes=150000-", "bytes=220000-", "bytes=220001-", "bytes=220001-"]


def test_a_line_that_only_breaks_ends_the_work_and_the_next_work_goes_on(authority, leaf, tmp_path):
    data = os.urandom(10_000)
    shelf = Shelf(data)
    shelf.cuts = [4_000, 0, 0, 0, 0, 0]
    with HttpsServer(leaf, shelf) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(data),), "t"))
        assert (outcome.ok, outcome.code) == (False, "link")
        assert outcome.why
        shelf.ranges.clear()
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(data),), "t"))
        assert outcome.ok
        assert shelf.ranges == ["bytes=4000-"]


def test_a_plane_that_knows_no_ranges_is_read_from_the_beginning(authority, leaf, tmp_path):
    data = os.urandom(10_000)
    shelf = Shelf(data)
    shelf.cuts, shelf.ignore_range = [4_000], True
    with HttpsServer(leaf, shelf) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(data),), "t"))
    assert outcome.ok
    assert shelf.ranges == ["", "bytes=4000-", ""]


def test_wrong_bytes_are_never_kept(authority, leaf, tmp_path):
    data = os.urandom(10_000)
    blob = blob_of(data)
    for wrong in (data[:-1] + bytes([data[-1] ^ 1]), data + b"x"):
        shelf = Shelf()
        shelf.contents[blob.digest] = wrong
        with HttpsServer(leaf, shelf) as server:
            outcome, _ = run(server, authority, tmp_path, Fetch((blob,), "t"))
        assert (outcome.ok, outcome.code) == (False, "blob-corrupt")
        assert BlobStore(str(tmp_path)).path(blob.digest) is None


def test_a_damaged_part_on_our_own_disk_is_fetched_anew(authority, leaf, tmp_path):
    data = os.urandom(10_000)
    blob = blob_of(data)
    with BlobStore(str(tmp_path)).begin(blob) as partial:
        partial.write(b"rotten" * 100)
    with HttpsServer(leaf, Shelf(data)) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob,), "t"))
    assert outcome.ok


def test_missing_blobs_are_named_and_the_rest_still_comes(authority, leaf, tmp_path):
    data = b"there"
    with HttpsServer(leaf, Shelf(data)) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(b"not there"), blob_of(data)), "t"))
    assert (outcome.ok, outcome.missing, outcome.fetched) == (False, (blob_of(b"not there").digest,), (blob_of(data).digest,))


@pytest.mark.parametrize(
    ("answer", "code", "expired", "retry_s"),
    [
        ((401, {}, b"{}"), "session", True, 0),
        ((503, {"Retry-After": "7"}, b"later"), "busy", False, 7),
        ((429, {"Retry-After": "99999999"}, b"later"), "busy", False, 3600),
        ((403, {"Retry-After": "soon"}, b"no"), "refused", False, 0),
        ((503, {"Retry-After": "\xb2"}, b"no"), "busy", False, 0),
    ],
)
def test_refusals_end_the_work_with_what_to_do_next(authority, leaf, tmp_path, answer, code, expired, retry_s):
    shelf = Shelf(b"x")
    shelf.answers = [answer]
    with HttpsServer(leaf, shelf) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(b"x"),), "t"))
    assert (outcome.ok, outcome.code, outcome.session_expired, outcome.retry_s) == (False, code, expired, retry_s)


def test_another_range_than_asked_is_not_believed(authority, leaf, tmp_path):
    data = os.urandom(1000)
    shelf = Shelf(data)
    shelf.cuts = [500]

    def handler(method, path, headers, body):
        status, extra, content = (*shelf(method, path, headers, body), None, None)[:3]
        if isinstance(status, bytes):
            return (status,)
        return status, {"Content-Range": "bytes 1-999/1000"} if status == 206 else extra, content

    with HttpsServer(leaf, handler) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(data),), "t"))
    assert (outcome.ok, outcome.code) == (False, "link")


def test_the_rate_is_kept(authority, leaf, tmp_path):
    pace = Pace(1000, 0.0)
    assert pace.take(1000, 0.0) == 0.0  # a second's worth may burst
    assert pace.take(500, 0.0) == pytest.approx(0.5)
    assert pace.take(500, 0.5) == pytest.approx(0.5)
    assert Pace(0, 0.0).take(10**9, 0.0) == 0.0
    rests: list[float] = []
    data = os.urandom(200_000)
    with HttpsServer(leaf, Shelf(data)) as server:
        outcome, _ = run(server, authority, tmp_path, Fetch((blob_of(data),), "t", 10_000), rests)
    assert outcome.ok
    assert max(rests) > 15  # the sleeps are noted, not slept: about 19 seconds in all are owed at the end


def test_no_plane_at_all_is_an_outcome(tmp_path, authority):
    rests: list[float] = []
    outcome = Fetcher(Fetch((blob_of(b"x"),), "t"), Way((), {}), BlobStore(str(tmp_path)), lambda count: None, rests.append).run()
    assert rests == [1.0, 2.0, 4.0, 8.0]
    assert (outcome.ok, outcome.code) == (False, "link")
    outcome = fetch(Fetch((blob_of(b"x"),), "t"), Way((), {}), "/proc/nothing", lambda count: None)
    assert (outcome.ok, outcome.code) == (False, "storage")
