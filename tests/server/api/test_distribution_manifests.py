"""The distribution specification (v1.1) case by case, over real HTTP on both storages: manifests, referrers, tags, deletion. Each test names its section."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from penstock.server.core.oci import DOCKER_INDEX, DOCKER_MANIFEST, MAX_MANIFEST, OCI_INDEX, OCI_MANIFEST
from penstock.wire.types import sha256_of
from tests.server.api.registry_server import NONE, PASSWORD, code
from tests.server.pushing import push, put_blob, small_image


def put_parts(served, name="a/b", docker_types=False):
    image = small_image(docker_types=docker_types)
    put_blob(served.content, name, image.variants[0].config)
    put_blob(served.content, name, image.variants[0].layers[0].data)
    return image.variants[0]


@pytest.mark.parametrize("docker_types", [False, True])
def test_a_manifest_is_kept_to_the_byte(served, client, docker_types):
    """Pushing Manifests (end-7a), Pulling manifests (end-3)."""
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
    """Pushing Manifests (end-7a): what is refused, with which code."""
    variant = put_parts(served)
    assert code(put(client, "1", b"not json", name="a/b")) == "MANIFEST_INVALID"
    assert code(put(client, "1", variant.manifest, DOCKER_MANIFEST, "a/b")) == "MANIFEST_INVALID"
    answer = put(client, NONE, variant.manifest, name="a/b")
    assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    answer = client.put("/v2/other/manifests/1", content=variant.manifest, headers={"content-type": OCI_MANIFEST})
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_BLOB_UNKNOWN")
    answer = put(client, "1", b"{" + b" " * MAX_MANIFEST, name="a/b")
    assert (answer.status_code, code(answer)) == (413, "SIZE_INVALID")
    answer = client.put("/v2/a/b/manifests/1", content=(b" " * 100_000 for _ in range(50)), headers={"content-type": OCI_MANIFEST})
    assert answer.status_code == 413
    answer = client.get("/v2/a/b/manifests/1")
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_UNKNOWN")


def test_deleting(served, client):
    """Content Management (end-9, end-10); what a release needs stays."""
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
    """Listing Referrers (end-12a, end-12b), Pushing Manifests with Subject."""
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


def test_tags_by_pages(served, client):
    """Listing Tags (end-8a, end-8b)."""
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
    assert code(client.get("/v2/a/b/tags/list?n=x")) == "UNSUPPORTED"
    assert code(client.get("/v2/nowhere/tags/list")) == "NAME_UNKNOWN"


def json_manifest(served, name="a", **more):
    """An artifact as ORAS and cosign make them: an empty config, layers of any type."""
    put_blob(served.content, name, b"{}")
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256_of(b"{}"), "size": 2}
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": [empty], **more}


def put(client, reference, manifest, kind=OCI_MANIFEST, name="a"):
    raw = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return client.put(f"/v2/{name}/manifests/{reference}", content=raw, headers={"content-type": kind})


def test_what_a_manifest_may_be(served, client):
    """Pushing Manifests (end-7a): artifacts with an artifactType, layers of types nobody heard of, an empty config, no layers, Docker's and OCI's lists."""
    found = json_manifest(served, artifactType="application/x.wasm")
    found["layers"][0] = {**found["layers"][0], "mediaType": "application/x.made.up+zstd"}
    for reference, manifest in (
        ("typed", found),
        ("bare", {**found, "layers": []}),
        ("untold", {key: value for key, value in found.items() if key != "mediaType"}),
    ):
        answer = put(client, reference, manifest, f"{OCI_MANIFEST}; charset=utf-8")
        assert answer.status_code == 201
        back = client.get(f"/v2/a/manifests/{reference}")
        assert (back.content, back.headers["content-type"]) == (json.dumps(manifest).encode(), OCI_MANIFEST)
    typed = client.head("/v2/a/manifests/typed")
    child = {"mediaType": OCI_MANIFEST, "digest": typed.headers["docker-content-digest"], "size": int(typed.headers["content-length"])}
    for kind, number in ((OCI_INDEX, 1), (DOCKER_INDEX, 2)):
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": [child] * number}
        assert put(client, f"list{number}", index, kind).status_code == 201
        assert client.get(f"/v2/a/manifests/list{number}", headers={"accept": kind}).headers["content-type"] == kind
    nested = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{**child, "mediaType": OCI_INDEX, "digest": NONE}]}
    answer = put(client, "nested", nested, OCI_INDEX)
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_BLOB_UNKNOWN")
    answer = put(client, "old", {"schemaVersion": 1}, "application/vnd.docker.distribution.manifest.v1+json")
    assert (answer.status_code, code(answer)) == (400, "MANIFEST_INVALID")


def test_several_tags_at_once(served, client):
    """Pushing Manifests (end-7b): by digest, with tags beside it."""
    raw = json.dumps(json_manifest(served)).encode()
    wanted = [f"1.{number}" for number in range(12)]
    answer = put(client, sha256_of(raw) + "?" + "&".join(f"tag={tag}" for tag in wanted), raw)
    assert answer.status_code == 201
    assert [value for key, value in answer.headers.multi_items() if key == "oci-tag"] == wanted
    assert client.get("/v2/a/tags/list").json()["tags"] == sorted(wanted)
    assert put(client, sha256_of(raw) + "?" + "&".join(f"tag=x{number}" for number in range(40)), raw).status_code == 414
    assert put(client, sha256_of(raw) + "?" + "&".join(f"tag=x{number}" for number in range(200)), raw).status_code == 414
    assert put(client, sha256_of(raw) + "?tag=ok&tag=-no", raw).status_code == 400
    assert client.get("/v2/a/manifests/ok").status_code == 404


def test_the_largest_manifest(served, client):
    """Pushing Manifests (end-7a): at least 4 megabytes are taken; what is over the limit is 413."""
    found = json_manifest(served)
    bare = len(json.dumps({**found, "annotations": {"a": ""}}))
    found["annotations"] = {"a": "x" * (MAX_MANIFEST - bare)}
    assert len(json.dumps(found)) == MAX_MANIFEST
    assert put(client, "large", found).status_code == 201
    assert len(client.get("/v2/a/manifests/large").content) == MAX_MANIFEST
    found["annotations"]["a"] += "x"
    answer = put(client, "larger", found)
    assert (answer.status_code, code(answer)) == (413, "SIZE_INVALID")


def test_a_manifest_one_has_already(served, client):
    """Pulling manifests (end-3): the digest is the ETag (RFC 9110, section 13)."""
    answer = put(client, "1", json_manifest(served))
    digest = answer.headers["docker-content-digest"]
    assert client.get("/v2/a/manifests/1").headers["etag"] == f'"{digest}"'
    again = client.get("/v2/a/manifests/1", headers={"if-none-match": f'"{digest}"'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/v2/a/manifests/1", headers={"if-none-match": '"other"'}).status_code == 200


def test_referrers_of_every_kind(served, client):
    """Listing Referrers (end-12a): the artifactType of the manifest, else its config's type, for an index only its own; the subject may come later."""
    subject = {"mediaType": OCI_MANIFEST, "digest": NONE, "size": 3}
    own = json_manifest(served, subject=subject, artifactType="application/x.sbom")
    by_config = json_manifest(served, subject=subject)
    by_config["config"]["mediaType"] = "application/x.config"
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject, "annotations": {"who": "ci"}}
    typed = {**index, "artifactType": "application/x.bundle"}
    made = {}
    for name, manifest, kind in (("own", own, OCI_MANIFEST), ("config", by_config, OCI_MANIFEST), ("index", index, OCI_INDEX), ("typed", typed, OCI_INDEX)):
        answer = put(client, f"t-{name}", manifest, kind)
        assert (answer.status_code, answer.headers["oci-subject"]) == (201, NONE)
        made[answer.headers["docker-content-digest"]] = name
    listed = client.get(f"/v2/a/referrers/{NONE}").json()
    assert (listed["schemaVersion"], listed["mediaType"]) == (2, OCI_INDEX)
    kinds = {made[entry["digest"]]: entry.get("artifactType") for entry in listed["manifests"]}
    assert kinds == {"own": "application/x.sbom", "config": "application/x.config", "index": None, "typed": "application/x.bundle"}
    assert {made[entry["digest"]]: entry.get("annotations") for entry in listed["manifests"]}["index"] == {"who": "ci"}
    filtered = client.get(f"/v2/a/referrers/{NONE}", params={"artifactType": "application/x.config"})
    assert [made[entry["digest"]] for entry in filtered.json()["manifests"]] == ["config"]
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    for digest, name in made.items():
        if name != "own":
            assert client.delete(f"/v2/a/manifests/{digest}").status_code == 202
    assert [made[entry["digest"]] for entry in client.get(f"/v2/a/referrers/{NONE}").json()["manifests"]] == ["own"]


def test_referrers_pushed_with_the_tag_of_older_clients(served, client):
    """Enabling the Referrers API, Referrers Tag Schema: what a client lists under `sha256-...` is listed here too, once; the tag stays what it was."""
    image = put(client, "1", json_manifest(served)).headers["docker-content-digest"]
    subject = {"mediaType": OCI_MANIFEST, "digest": image, "size": 3}
    made = put(client, "x", json_manifest(served, subject=subject, artifactType="application/x.signature"))
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": made.headers["docker-content-digest"],
        "size": int(client.head("/v2/a/manifests/x").headers["content-length"]),
    }
    tag, index = image.replace(":", "-"), {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{**entry, "artifactType": "application/x.signature"}]}
    assert put(client, tag, index, OCI_INDEX).status_code == 201
    assert client.get(f"/v2/a/manifests/{tag}").json() == index
    assert [one["digest"] for one in client.get(f"/v2/a/referrers/{image}").json()["manifests"]] == [entry["digest"]]


def test_more_referrers_than_one_manifest_holds(served, client):
    """Listing Referrers (end-12a): a Link to the next part, each an index of its own."""
    made = set()
    for number in range(3):
        found = json_manifest(served, subject={"mediaType": OCI_MANIFEST, "digest": NONE, "size": 3}, annotations={"a": str(number) * 2_500_000})
        made.add(put(client, f"t{number}", found).headers["docker-content-digest"])
    seen, url = [], f"/v2/a/referrers/{NONE}"
    while url:
        answer = client.get(url)
        assert len(answer.content) <= MAX_MANIFEST
        seen += [entry["digest"] for entry in answer.json()["manifests"]]
        url = answer.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert sorted(seen) == sorted(made)


def test_referrers_of_what_is_no_digest_here(client):
    """Listing Referrers (end-12a): 400 for what is no digest, an empty list for a digest nothing here can have, never 404."""
    for text in ("sha256:1", "latest", "sha512:12"):
        answer = client.get(f"/v2/a/referrers/{text}")
        assert (answer.status_code, code(answer)) == (400, "DIGEST_INVALID")
    for text in (NONE, "sha512:" + "0" * 128):
        answer = client.get(f"/v2/a/referrers/{text}")
        assert (answer.status_code, answer.json()["manifests"]) == (200, [])


def test_a_tag_that_moves_and_one_that_goes(served, client):
    """Deleting tags (end-9), Deleting Manifests (end-9): a tag goes alone; a manifest takes its tags along."""
    one, two = (put(client, "latest", json_manifest(served, annotations={"n": number})).headers["docker-content-digest"] for number in "12")
    assert client.head("/v2/a/manifests/latest").headers["docker-content-digest"] == two
    assert client.get(f"/v2/a/manifests/{one}").status_code == 200
    put(client, "2", client.get(f"/v2/a/manifests/{two}").content)
    assert client.delete("/v2/a/manifests/latest").status_code == 202
    assert client.get("/v2/a/tags/list").json()["tags"] == ["2"]
    assert client.delete(f"/v2/a/manifests/{two}").status_code == 202
    answer = client.get("/v2/a/manifests/2")
    assert (answer.status_code, code(answer)) == (404, "MANIFEST_UNKNOWN")
    for path in ("/v2/a/manifests/2", f"/v2/nowhere/manifests/{one}", "/v2/a/manifests/sha512:" + "0" * 128):
        assert client.delete(path).status_code == 404


def test_one_tag_from_many_at_once(served, client):
    """Pushing Manifests (end-7a): the tag names one of them, and each is there by its digest."""
    manifests = [json.dumps(json_manifest(served, annotations={"n": str(number)})).encode() for number in range(8)]

    def push_it(raw: bytes) -> str:
        with httpx.Client(base_url=served.url, auth=("ada", PASSWORD), timeout=60) as mine:
            return put(mine, "latest", raw).headers["docker-content-digest"]

    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(push_it, manifests))
    assert client.get("/v2/a/manifests/latest").content in manifests
    assert [client.get(f"/v2/a/manifests/{digest}").content for digest in digests] == manifests
