"""`penstock registry` against a served plane: what is in it, what it costs, deleting, sweeping."""

from __future__ import annotations

import json
import os

from penstock.apiv1 import apps as a
from tests.cli.test_cli import home, mara, said, served
from tests.server.pushing import push, small_image

__all__ = ["home", "mara", "served"]  # fixtures


def test_what_is_in_it_and_what_goes(mara, served, capsys):
    assert "None yet" in said(capsys, "registry", "list")
    assert "Nothing is in it" in said(capsys, "registry", "usage")
    served.images("1.0.0")
    content = served.plane.blobs
    loose = small_image("loose", ("linux/amd64", "linux/arm64"))
    push(content, "press/web", loose, "nightly", "old")
    with served.client() as client:
        client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=served.compose("1.0.0")))
    rows = json.loads(said(capsys, "registry", "list", "--json"))
    assert [(one["name"], one["app"], one["tags"]) for one in rows] == [("press/database", "press", 1), ("press/web", "press", 3)]
    usage = json.loads(said(capsys, "registry", "usage", "--json"))
    assert usage["bytes"] == usage["apps"][0]["bytes"] == sum(one["bytes"] for one in rows)
    assert "kB in all" in said(capsys, "registry", "usage")

    shown = said(capsys, "registry", "show", "press/web")
    assert "linux/amd64, linux/arm64" in shown
    assert "press-monitor 1.0.0" in shown
    digest = json.loads(said(capsys, "registry", "show", "press/web", "--json"))["images"]
    pinned = next(one["digest"] for one in digest if one["pins"])
    assert "a release needs this image" in said(capsys, "registry", "delete", f"press/web@{pinned}", code=7).lower()
    assert "The tag old is deleted" in said(capsys, "registry", "delete", "press/web:old", "--reason", "not needed")
    assert "write REPOSITORY:TAG" in said(capsys, "registry", "delete", "press", code=2)
    said(capsys, "registry", "delete", "press/web:old", code=5)
    said(capsys, "registry", "show", "press/none", code=5)

    said(capsys, "registry", "delete", f"press/web@{loose.digest}")
    for path in (served.settings.data / "registry").rglob("*"):
        os.utime(path, (0, 0))
    would = json.loads(said(capsys, "registry", "gc", "--dry-run", "--json"))
    assert (would["dry_run"], {one["digest"] for one in would["manifests"]}) == (True, {one.digest for one in loose.variants})
    assert "would go: 2 manifests" in said(capsys, "registry", "gc", "--dry-run")
    assert content.blob_size(loose.digest) is not None
    assert f"{would['blobs']} blobs" in said(capsys, "registry", "gc", "--reason", "the disk fills")
    assert content.blob_size(loose.digest) is None
    assert "0 B went" in said(capsys, "registry", "gc")
    assert content.manifest("press/web", "1.0.0") is not None
