"""The control plane killed with -9 in the middle of pushes: clients go on where they were, and nothing half is ever served."""

from __future__ import annotations

import os
import subprocess
import time

import httpx
import pytest

from penstock.wire.types import sha256_of
from tests.e2e.house import PlaneProcess
from tests.needs import needs, which
from tools.oci import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, canonical, digest

SIZE = 120_000_000


@pytest.fixture
def plane(tmp_path):
    made = PlaneProcess(tmp_path / "plane")
    made.init()
    made.start()
    made.mint_token()
    yield made
    made.stop()


def layout(folder):
    """One large layer that does not compress and is no archive: nobody looks inside."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data, kind):
        (blobs / digest(data)[7:]).write_bytes(data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    layer = put(b"\x1f\x8b\x08" + os.urandom(SIZE - 3), OCI_LAYER)
    config = put(canonical({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}), OCI_CONFIG)
    manifest = put(canonical({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}), OCI_MANIFEST)
    (folder / "index.json").write_bytes(canonical({"schemaVersion": 2, "manifests": [{**manifest, "annotations": {"org.opencontainers.image.ref.name": "1"}}]}))
    (folder / "oci-layout").write_bytes(canonical({"imageLayoutVersion": "1.0.0"}))
    return layer["digest"], manifest["digest"]


@needs("skopeo")
def test_killed_while_images_come_in(plane, tmp_path):
    # By pieces: what was answered for is there after the kill, and the client goes on from the status.
    data = os.urandom(5_000_000)
    with plane.http() as http:
        place = http.post("/v2/shop/web/blobs/uploads/").headers["location"]
        assert http.patch(place, content=data[:3_000_000]).headers["range"] == "0-2999999"
    plane.kill()
    plane.start()
    with plane.http() as http:
        status = http.get(place)
        assert (status.status_code, status.headers["range"]) == (204, "0-2999999")
        last = {"content-range": f"3000000-{len(data) - 1}"}
        done = http.put(f"{status.headers['location']}?digest={sha256_of(data)}", content=data[3_000_000:], headers=last)
        assert done.status_code == 201
        assert http.get(f"/v2/shop/web/blobs/{sha256_of(data)}").content == data

    # By a real client, killed while its layer streams in.
    layer, manifest = layout(tmp_path / "layout")
    command = [str(which("skopeo")), "--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false", f"--dest-creds=tests:{plane.token}"]
    command += [f"oci:{tmp_path / 'layout'}:1", f"docker://127.0.0.1:{plane.port}/shop/large:1"]
    uploads = plane.data / "registry" / "uploads"
    pushing = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while not any(1_000_000 < path.stat().st_size < SIZE for path in uploads.glob("*/data")):
        assert time.monotonic() < give_up
        assert pushing.poll() is None
        time.sleep(0.002)
    plane.kill()
    assert pushing.wait(120) != 0
    plane.start()
    with plane.http() as http:
        assert http.head(f"/v2/shop/large/blobs/{layer}").status_code == 404
        assert http.get("/v2/shop/large/manifests/1").status_code == 404
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        assert http.head("/v2/shop/large/manifests/1").headers["docker-content-digest"] == manifest
        assert sha256_of(http.get(f"/v2/shop/large/blobs/{layer}", timeout=httpx.Timeout(60)).content) == layer
