"""What is attached to images of a real registry comes along with them: Debian's docker-registry, which has no list of referrers and so keeps it under a tag."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from penstock.server.actions import finding, inventory, mirrors, releases, upstreams
from penstock.server.core.attached import fallback_tag
from penstock.server.core.errors import Conflict
from penstock.server.core.oci import OCI_INDEX
from penstock.server.effects.skopeo import Skopeo
from penstock.server.effects.upstream import BROKEN, REFUSED, UNREACHABLE, Access, UpstreamFault
from penstock.server.effects.upstream_http import Asking
from penstock.wire.types import sha256_of
from tests.attaching import cosigned, listing, referrer, spdx
from tests.needs import needs
from tests.server.planes import ADMIN, make_plane
from tests.server.pushing import small_image
from tests.upstreams import PASSWORD, USER, other_registry

PLATFORMS = ("linux/amd64", "linux/arm64")


@pytest.fixture(scope="module", params=["clear", "guarded"])
def other(request, tmp_path_factory):
    """In clear without a password, and behind a private authority with one."""
    guarded = request.param == "guarded"
    with other_registry(tmp_path_factory.mktemp(request.param), tls=guarded, password=guarded) as found:
        yield found


@needs("skopeo", "docker-registry")
def test_it_comes_along_when_a_release_is_published_and_when_it_is_attached_later(tmp_path, other):
    plane = make_plane(tmp_path / "plane")
    plane.upstream = Skopeo(tmp_path / "copying")
    image = small_image("one", PLATFORMS)
    index = other.push("x/web", image, "2")
    arm = image.variants[1].digest
    first = referrer(index, 2, spdx("pkg:npm/left-pad@1.0.0"))
    other.attach("x/web", first)
    other.attach("x/web", (listing(first[0]), {}), fallback_tag(index), OCI_INDEX)
    other.attach("x/web", cosigned(b"sig"), f"{fallback_tag(index)}.sig")
    other.attach("x/web", cosigned(spdx("pkg:pypi/flask@2.2"), kind="text/spdx+json"), f"{fallback_tag(arm)}.sbom")
    upstreams.set_upstream(plane, ADMIN, host=other.host, user=other.user, password=other.password or None, ca=other.ca, insecure=not other.ca)
    text = f"services:\n  web:\n    image: {other.host}/x/web:2\n".encode()
    with pytest.raises(Conflict, match="images-on-their-way"):
        releases.publish(plane, ADMIN, source=text, app="shop", version="1")
    assert mirrors.copy_next(plane)
    (view,) = mirrors.list_mirrors(plane, ADMIN)
    assert (view.mirror.attached, view.mirror.attached_why) == (3, "")
    releases.publish(plane, ADMIN, source=text, app="shop", version="1")
    inventory.index(plane)
    (shown,) = inventory.attachments(plane, ADMIN, release="shop:1")
    assert sorted((one.kind, one.packages, one.platform) for one in shown.attached) == [("signature", -1, ""), ("spdx", 1, ""), ("spdx", 1, "linux/arm64")]
    for package in ("left-pad", "flask"):
        assert {place.app for place in finding.find(plane, ADMIN, package=package).places} == {"shop"}
    assert plane.blobs.manifest("127.0.0.1/x/web", f"{fallback_tag(index)}.sig").raw == cosigned(b"sig")[0], "to the byte"

    second = referrer(index, 2, b"notarised", "application/vnd.cncf.notary.signature")
    other.attach("x/web", second)
    other.attach("x/web", (listing(first[0], second[0]), {}), fallback_tag(index), OCI_INDEX)
    other.attach("x/web", cosigned(b"sig", b"another"), f"{fallback_tag(index)}.sig")
    assert mirrors.check(plane, ADMIN)[0].mirror.attached == 4
    (shown,) = inventory.attachments(plane, ADMIN, release="shop:1")
    assert [one.kind for one in shown.attached].count("signature") == 3
    assert list(plane.upstream._folder.iterdir()) == []
    plane.db.close()


@needs("docker-registry")
def test_who_is_asked_without_a_password_says_so_and_an_authority_counts(tmp_path, other):
    digest = other.push("x/db", small_image("db"), "1")
    good = Access(other.host, other.user, other.password, other.ca, insecure=not other.ca)
    asking = Asking(good, f"{other.host}/x/db:1")
    assert asking.referrers(digest) is None
    assert sha256_of(asking.manifest("1") or b"") == digest
    assert asking.manifest("2") is None
    if not other.ca:
        with pytest.raises(UpstreamFault) as fault:
            Asking(Access(other.host), f"{other.host}/x/db:1").manifest("1")
        assert fault.value.kind == UNREACHABLE, "plain HTTP only where somebody said so"
        return
    for access, kind in ((Access(other.host, USER, "wrong", other.ca), REFUSED), (Access(other.host, USER, PASSWORD), UNREACHABLE)):
        with pytest.raises(UpstreamFault) as fault:
            Asking(access, f"{other.host}/x/db:1").manifest("1")
        assert fault.value.kind == kind


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers by `answers`: path -> (status, headers, body); keeps what was asked."""

    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
    asked: list[tuple[str, str, str]] = []

    def do_GET(self):
        self.asked.append((self.headers["Host"], self.path, self.headers.get("Authorization", "")))
        status, headers, body = self.answers.get(self.path.partition("?")[0], (404, {}, b""))
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def odd():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Odd.answers, Odd.asked = {}, []
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


NONE = "sha256:" + "0" * 64
LIST = f"/v2/x/y/referrers/{NONE}"
TYPE = {"Content-Type": OCI_INDEX}


def ask(host, **more):
    return Asking(Access(host, "robot", "s3cret", insecure=True), f"{host}/x/y:1", **more)


def test_pages_are_followed_in_one_place_and_not_for_ever(odd):
    one, two = listing(b"{}"), listing(b"{ }")
    Odd.answers = {LIST: (200, {**TYPE, "Link": f'<{LIST}/more?n=1>; rel="next"'}, one), f"{LIST}/more": (200, TYPE, two)}
    assert ask(odd).referrers(NONE) == (one, two)
    Odd.answers[f"{LIST}/more"] = (200, {**TYPE, "Link": f'<{LIST}/more?n=2>; rel="next"'}, two)
    with pytest.raises(UpstreamFault, match="more than 10 pages"):
        ask(odd).referrers(NONE)
    Odd.answers[LIST] = (200, {**TYPE, "Link": '<http://elsewhere.example/v2/>; rel="next"'}, one)
    with pytest.raises(UpstreamFault, match="at another place"):
        ask(odd).referrers(NONE)
    Odd.answers[LIST] = (200, {**TYPE, "Link": '<http://[bad/v2/>; rel="next"'}, one)
    with pytest.raises(UpstreamFault, match="an address that is none"):
        ask(odd).referrers(NONE)
    Odd.answers[LIST] = (401, {"WWW-Authenticate": 'Bearer realm="http://[bad"'}, b"")
    with pytest.raises(UpstreamFault, match="an address that is none"):
        ask(odd).referrers(NONE)
    Odd.answers[LIST] = (200, {"Content-Type": "text/html"}, b"<html>")
    assert ask(odd).referrers(NONE) is None, "a page for people is no list"


def test_a_token_is_fetched_where_the_registry_says_and_the_password_goes_nowhere_else(odd):
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{odd}/token",service="odd",scope="repository:x/y:pull"'}
    Odd.answers = {"/v2/x/y/manifests/1": (401, challenge, b""), "/token": (200, {}, json.dumps({"token": "abc"}).encode())}
    with pytest.raises(UpstreamFault) as fault:
        ask(odd).manifest("1")
    assert fault.value.kind == REFUSED
    assert [sent for _, _, sent in Odd.asked] == ["", "Basic cm9ib3Q6czNjcmV0", "Bearer abc"]
    assert Odd.asked[1][1] == "/token?service=odd&scope=repository%3Ax%2Fy%3Apull"
    other = f"localhost:{odd.partition(':')[2]}"
    Odd.answers = {f"/v2/x/y/blobs/{NONE}": (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")}
    asking = ask(odd)
    with pytest.raises(UpstreamFault):
        asking.open(NONE)
    Odd.answers = {f"/v2/x/y/blobs/{NONE}": (307, {"Location": f"http://{other}/far"}, b""), "/far": (200, {}, b"bytes")}
    with asking.open(NONE) as found:
        assert found.read() == b"bytes"
    assert Odd.asked[-1] == (other, "/far", ""), "who is pointed to is not told the password"
    assert Odd.asked[-2][2].startswith("Basic ")


@pytest.mark.parametrize(("answer", "kind"), [((503, {}, b""), UNREACHABLE), ((429, {}, b""), UNREACHABLE), ((403, {}, b""), REFUSED), ((200, {}, b"x" * (4 * 1024 * 1024 + 1)), BROKEN), ((302, {"Location": "file:///etc/passwd"}, b""), BROKEN)])  # fmt: skip
def test_what_is_no_answer(odd, answer, kind):
    Odd.answers = {"/v2/x/y/manifests/1": answer}
    with pytest.raises(UpstreamFault) as fault:
        ask(odd).manifest("1")
    assert fault.value.kind == kind


def test_a_plane_that_stops_and_one_that_waits_too_long_give_it_up(odd):
    with pytest.raises(UpstreamFault, match="stopping"):
        Asking(Access(odd, insecure=True), f"{odd}/x/y:1", lambda: True).manifest("1")
    with pytest.raises(UpstreamFault, match="took too long"):
        ask(odd, whole_s=-1.0).manifest("1")
    assert Odd.asked == []
