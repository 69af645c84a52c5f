"""The image registry of a whole plane: its people, their tokens and rights, tokens that die with them, and real clients over its TLS."""

from __future__ import annotations

import base64
import subprocess

import httpx
import pytest

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import registry as i
from penstock.client import ClientError
from penstock.server.actions import inventory, mirrors, passwords, people, releases, tokens, upstreams
from penstock.server.core import guessing
from penstock.server.core.attached import fallback_tag
from penstock.server.core.errors import Conflict, Invalid
from penstock.server.effects.skopeo import Skopeo
from penstock.wire.types import sha256_of
from tests.attaching import attach, cosigned, put, spdx
from tests.front.served import PASSWORD, ScriptedDevice, Served
from tests.needs import needs, which
from tests.server.people import SENTENCE, person
from tests.server.planes import ADMIN, make_plane
from tests.server.pushing import push, put_blob, small_image

DATA = b"a layer"
DIGEST = sha256_of(DATA)


@pytest.fixture(scope="module")
def plane(served: Served) -> Served:
    """Two apps, "press" and "saw", each with an image; anna publishes the one, bert the other."""
    served.ready()
    served.images("1.0.0")
    put_blob(served.plane.blobs, "press/web", DATA)
    push(served.plane.blobs, "saw/web", small_image("saw"), "1")
    with served.client() as client:
        client.publish(a.Publish(app="press", version="1.0.0", compose=served.compose("1.0.0").replace("name: press-monitor", "name: press")))
        client.publish(a.Publish(app="saw", version="1", compose=f"services: {{web: {{image: '{served.host}/saw/web:1'}}}}"))
    for name, app in (("anna", "press"), ("bert", "saw")):
        person(served.plane, name, ("publisher", f"app:{app}"))
    return served


@pytest.fixture(scope="module")
def bare(plane):
    with httpx.Client(base_url=plane.url, verify=plane.tls(), timeout=30) as made:
        yield made


def token(bare, user, password, scope=""):
    return bare.get("/v2/token", params={"scope": scope} if scope else {}, auth=(user, password))


def carrying(answer):
    return {"authorization": f"Bearer {answer.json()['token']}"}


def test_each_reads_and_pushes_their_own_apps_images(plane, bare):
    """Another's is not there, word for word as what does not exist; pushing to it is refused, in so many words."""
    mine = token(bare, "anna", SENTENCE, "repository:press/web:pull,push repository:saw/web:pull,push")
    assert mine.json()["scope"] == "repository:press/web:pull,push"
    by_token, by_password = {"headers": carrying(mine)}, {"auth": ("anna", SENTENCE)}
    for way in (by_token, by_password):
        assert bare.get("/v2/press/web/manifests/1.0.0", **way).status_code == 200
        assert bare.post("/v2/press/web/blobs/uploads/", **way).status_code == 202
        theirs, nowhere = bare.get("/v2/saw/web/manifests/1", **way), bare.get("/v2/no/web/manifests/1", **way)
        assert (theirs.status_code, theirs.text.replace("saw/web", "no/web")) == (nowhere.status_code, nowhere.text) == (404, nowhere.text)
        refused = bare.post("/v2/saw/web/blobs/uploads/", **way)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "DENIED")
        mounted = bare.post(f"/v2/press/copy/blobs/uploads/?mount={DIGEST}&from=saw/web", **by_password)
        assert mounted.status_code == 202
    assert bare.get("/v2/_catalog", **by_password).json() == {"repositories": ["press/database", "press/web"]}


def test_what_a_release_needs_is_not_deleted(plane, bare):
    digest = bare.head("/v2/press/web/manifests/1.0.0", auth=("anna", SENTENCE)).headers["docker-content-digest"]
    answer = bare.delete(f"/v2/press/web/manifests/{digest}", auth=("anna", SENTENCE))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")
    with plane.client() as client, pytest.raises(ClientError, match="a release needs this image"):
        client.delete_image(i.RegistryDelete(repository="press/web", reference=digest))


def test_tokens_die_with_what_they_were_made_from(plane, bare):
    """At once: an API token revoked, a password changed, somebody shut out, a role taken."""
    clara = person(plane.plane, "clara", ("publisher", "app:press"))
    made = tokens.create_token(plane.plane, clara, name="ci")
    by_api_token = carrying(token(bare, "anything", made.secret, "repository:press/web:pull"))
    by_password = carrying(token(bare, "clara", SENTENCE, "repository:press/web:pull"))
    look = "/v2/press/web/manifests/1.0.0"
    assert [bare.get(look, headers=one).status_code for one in (by_api_token, by_password)] == [200, 200]
    tokens.revoke_token(plane.plane, clara, token=made.token.id)
    assert [bare.get(look, headers=one).status_code for one in (by_api_token, by_password)] == [401, 200]
    passwords.change_password(plane.plane, clara, old=SENTENCE, new="another long sentence")
    assert bare.get(look, headers=by_password).status_code == 401
    again = carrying(token(bare, "clara", "another long sentence", "repository:press/web:pull"))
    assert bare.get(look, headers=again).status_code == 200
    people.disable_person(plane.plane, ADMIN, user="clara")
    answer = bare.get(look, headers=again)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    people.enable_person(plane.plane, ADMIN, user="clara")
    assert bare.get(look, headers=again).status_code == 200


def test_guessing_is_slowed_down_here_too(plane, bare):
    """The same counts and the same words as on the page; who waits is told how long."""
    person(plane.plane, "dora", ("publisher", "app:press"))
    said = {token(bare, name, "wrong").text for name in ("dora", "nobody-of-this-name")}
    assert len(said) == 1
    answers = [token(bare, "dora", f"wrong {number}") for number in range(guessing.PAIR_KNOWN.free + 2)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    refused = bare.get("/v2/", auth=("dora", SENTENCE))  # the other way in is no way round
    assert refused.status_code == 429


def test_a_device_has_no_business_here(plane, bare):
    """It fetches over its own address what it is owed, and nothing with its session here."""
    with plane.client() as client:
        client.create_site("lab")
        device = ScriptedDevice(plane, client.create_join("lab", d.JoinTokenCreate(auto_approve=True)).line, "dev-1")
    assert device.enrol() == "approved"
    device.start()
    carried = {"authorization": f"Bearer {device.session}"}
    assert bare.get("/v2/press/web/manifests/1.0.0", headers=carried).status_code == 401
    assert bare.get(f"/d/v1/blobs/{DIGEST}", headers=carried).status_code == 404  # not owed
    basic = base64.b64encode(f"x:{device.session}".encode()).decode()
    assert bare.get("/v2/", headers={"authorization": f"Basic {basic}"}).status_code == 401
    device.http.close()
    registry_token = token(bare, "anna", SENTENCE).json()["token"]
    assert bare.get(f"/d/v1/blobs/{DIGEST}", headers={"authorization": f"Bearer {registry_token}"}).status_code == 401
    assert bare.get("/api/v1/me", headers={"authorization": f"Bearer {registry_token}"}).status_code == 401


def test_pushes_and_deletions_are_on_record(plane, bare):
    raw = plane.plane.blobs.manifest("press/web", "1.0.0")
    put = bare.put("/v2/press/web/manifests/again", content=raw.raw, headers={"content-type": raw.media_type}, auth=("anna", SENTENCE))
    assert put.status_code == 201
    assert bare.delete("/v2/press/web/manifests/again", auth=("anna", SENTENCE)).status_code == 202
    with plane.client() as client:
        said = [(one.verb, one.actor) for one in client.history() if one.verb.startswith("image.")]
    assert ("image.pushed", "anna") in said
    assert ("image.deleted", "anna") in said


def test_looking_and_sweeping_over_the_api(plane):
    push(plane.plane.blobs, "saw/extra", small_image("saw"), "1")  # what saw/web has, too
    with plane.client() as client:
        found = client.registry()
        by_name = {one.name: one for one in found.repositories}
        assert {"press/web", "press/database", "saw/web", "saw/extra"} <= set(by_name)
        assert (by_name["saw/web"].alone_bytes, by_name["saw/web"].bytes > 0) == (0, True)
        assert next(one for one in found.apps if one.app == "saw").bytes == by_name["saw/web"].bytes
        (image,) = client.repository("saw/web").images
        assert ([tag.tag for tag in image.tags], image.platforms, [(pin.app, pin.version) for pin in image.pins]) == (["1"], ("linux/amd64",), [("saw", "1")])
        assert client.delete_image(i.RegistryDelete(repository="saw/extra", reference="1")).said.startswith("The tag 1 is deleted")
        assert client.repository("saw/extra").images[0].tags == ()
        swept = client.sweep_registry(i.RegistrySweep(dry_run=True))
        assert (swept.dry_run, swept.blobs, swept.manifests) == (True, 0, ())  # all of it is young
        for name, code in (("nowhere", 404), ("../x", 404)):
            with pytest.raises(ClientError) as refused:
                client.repository(name)
            assert refused.value.problem.status == code


@needs("skopeo", "podman", "busybox")
def test_skopeo_and_podman_sign_in_to_a_whole_plane(plane, images, tmp_path):
    """By a person's password, over the plane's own authority; another's app is refused."""
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").write_text(plane.ca)
    auth = ("--authfile", str(tmp_path / "auth.json"), "--cert-dir", str(tmp_path / "certs"))
    run = lambda *command, told="": subprocess.run(command, input=told, capture_output=True, text=True, timeout=120, check=False)  # noqa: E731
    podman, skopeo = str(which("podman")), str(which("skopeo"))
    wrong = run(podman, "login", *auth, "-u", "anna", "--password-stdin", plane.host, told="no")
    assert wrong.returncode != 0
    assert "invalid username/password" in wrong.stderr or "unauthorized" in wrong.stderr.lower()
    signed_in = run(podman, "login", *auth, "-u", "anna", "--password-stdin", plane.host, told=SENTENCE)
    assert signed_in.returncode == 0, signed_in.stderr
    layout = f"oci:{images.layout(images.make('1', platforms=('linux/amd64', 'linux/arm64')), '1')}:1"
    to = ("--authfile", str(tmp_path / "auth.json"), "--dest-cert-dir", str(tmp_path / "certs"))
    pushed = run(skopeo, "--insecure-policy", "copy", "--all", *to, layout, f"docker://{plane.host}/press/new:1")
    assert pushed.returncode == 0, pushed.stderr
    assert plane.plane.blobs.tags("press/new") == ("1",)
    refused = run(skopeo, "--insecure-policy", "copy", "--all", *to, layout, f"docker://{plane.host}/saw/web:2")
    assert refused.returncode != 0
    assert "denied" in refused.stderr
    assert PASSWORD not in refused.stderr


@needs("skopeo")
def test_a_plane_is_another_ones_upstream_with_all_that_is_attached(plane, tmp_path):
    """By its list of referrers and its tokens, over its own authority."""
    content = plane.plane.blobs
    digest = push(content, "press/signed", small_image("signed", ("linux/amd64", "linux/arm64")), "1")
    attach(content, "press/signed", digest, spdx("pkg:npm/left-pad@1.0.0"))
    attach(content, "press/signed", digest, b"notarised", "application/vnd.cncf.notary.signature")
    put(content, "press/signed", cosigned(b"sig"), f"{fallback_tag(digest)}.sig")
    there = make_plane(tmp_path / "there")
    there.upstream = Skopeo(tmp_path / "copying")
    source = f"services: {{web: {{image: '{plane.host}/press/signed:1'}}}}".encode()
    publish = lambda: releases.publish(there, ADMIN, source=source, app="shop", version="1")  # noqa: E731
    upstreams.set_upstream(there, ADMIN, host=plane.host, user="bert", password=SENTENCE, ca=plane.ca)
    with pytest.raises(Conflict, match="images-on-their-way"):
        publish()
    mirrors.copy_next(there)
    with pytest.raises(Invalid, match="not yours to see"):
        publish()  # bert may not pull from press: the image itself is not there for him
    upstreams.set_upstream(there, ADMIN, host=plane.host, user="anna", password=SENTENCE, ca=plane.ca)
    with pytest.raises(Conflict, match="images-on-their-way"):
        publish()
    mirrors.copy_next(there)
    publish()
    (view,) = mirrors.list_mirrors(there, ADMIN)
    assert (view.mirror.attached, view.mirror.attached_why) == (3, "")
    inventory.index(there)
    (shown,) = inventory.attachments(there, ADMIN, release="shop:1")
    assert sorted((one.kind, one.packages) for one in shown.attached) == [("signature", -1), ("signature", -1), ("spdx", 1)]
    there.db.close()
    with plane.client() as client:
        (image,) = client.repository("press/signed").images
    assert ([tag.tag for tag in image.tags], sorted(one.kind for one in image.attached)) == (
        ["1"],
        ["application/spdx+json", "application/vnd.cncf.notary.signature", "signature"],
    )
