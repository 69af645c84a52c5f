"""The built-in registry with the clients that people have: docker, podman, skopeo; both ways, and what is pinned afterwards."""

from __future__ import annotations

import json
import subprocess

import pytest

from penstock.server.actions.images import find
from penstock.server.core.images import image_from, wanted
from penstock.server.core.oci import DOCKER_INDEX
from penstock.server.effects.blobs import FileContent
from tests.engines import EngineFailed
from tests.needs import needs, which
from tests.server.api.registry_server import PASSWORD, serve


@pytest.fixture
def served(tmp_path):
    with serve(FileContent(tmp_path / "registry", min_free=0)) as made:
        yield made


def skopeo(*arguments: str) -> str:
    done = subprocess.run([str(which("skopeo")), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


TO = ("--dest-tls-verify=false", f"--dest-creds=ada:{PASSWORD}")
FROM = ("--src-tls-verify=false", f"--src-creds=ada:{PASSWORD}")


def pinned(served, name):
    documents = find(served.content, wanted(name))
    assert documents is not None
    return image_from(name, documents)


@needs("skopeo", "busybox")
def test_skopeo_in_dockers_formats(served, images):
    image = images.make("1", platforms=("linux/amd64", "linux/arm64"))
    skopeo("copy", "--all", "--format=v2s2", *TO, f"oci:{images.layout(image, '1')}:1", f"docker://{served.host}/shop/web:1")
    found = served.content.manifest("shop/web", "1")
    assert found is not None
    assert found.media_type == DOCKER_INDEX
    assert [variant.platform for variant in pinned(served, "shop/web:1").variants] == ["linux/amd64", "linux/arm64"]


@needs("skopeo", "busybox")
def test_skopeo_both_ways_keeps_every_digest(served, images, tmp_path):
    image = images.make("1", platforms=("linux/amd64", "linux/arm64", "linux/arm/v7"), payload_bytes=3_000_000)
    skopeo("copy", "--all", *TO, f"oci:{images.layout(image, '1.0')}:1.0", f"docker://{served.host}/shop/web:1.0")
    assert served.content.tags("shop/web") == ("1.0",)
    found = served.content.manifest("shop/web", "1.0")
    assert found is not None
    assert found.digest == image.digest
    made = pinned(served, "shop/web:1.0")
    assert made.index == image.digest
    assert {variant.manifest.digest for variant in made.variants} == {variant.digest for variant in image.variants}

    skopeo("copy", "--all", "--preserve-digests", *FROM, f"docker://{served.host}/shop/web:1.0", f"dir:{tmp_path / 'back'}")
    for variant in image.variants:
        for layer in variant.layers:
            name = json.loads(variant.manifest)["layers"][variant.layers.index(layer)]["digest"].removeprefix("sha256:")
            assert (tmp_path / "back" / name).read_bytes() == layer.data
    told = json.loads(skopeo("inspect", "--tls-verify=false", f"--creds=ada:{PASSWORD}", f"docker://{served.host}/shop/web:1.0"))
    assert (told["Digest"], told["RepoTags"]) == (image.digest, ["1.0"])

    # Within the registry: blobs are mounted or found there, not sent again.
    skopeo("copy", "--all", *FROM, *TO, f"docker://{served.host}/shop/web:1.0", f"docker://{served.host}/copy/web:1.0")
    assert pinned(served, "copy/web:1.0").variants == made.variants
    skopeo("delete", "--tls-verify=false", f"--creds=ada:{PASSWORD}", f"docker://{served.host}/copy/web:1.0")
    assert served.content.tags("copy/web") == ()


@needs("skopeo", "busybox")
def test_skopeo_is_told_why_not(served, images):
    layout = f"oci:{images.layout(images.make('1'), '1')}:1"
    for sign_in in ("--dest-creds=ada:wrong", f"--dest-creds=bob:{PASSWORD}"):
        done = subprocess.run(
            [str(which("skopeo")), "copy", "--dest-tls-verify=false", sign_in, layout, f"docker://{served.host}/a:1"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "unauthorized" in done.stderr or "denied" in done.stderr
    assert served.content.repositories() == ()


def test_docker_login_push_and_pull(served, docker, images, tmp_path):
    image = images.make("docker", payload_bytes=3_000_000)
    docker.load(images.archive(image, f"{served.host}/shop/web:1.0"))
    config = ("--config", str(tmp_path / "docker-config"))
    with pytest.raises(EngineFailed, match=r"(?i)not known here|unauthorized"):
        docker.cli(*config, "login", "-u", "ada", "--password-stdin", served.host, stdin=b"wrong")
    with pytest.raises(EngineFailed, match=r"sign in first|no basic auth"):
        docker.cli(*config, "push", f"{served.host}/shop/web:1.0")
    docker.cli(*config, "login", "-u", "ada", "--password-stdin", served.host, stdin=PASSWORD.encode())
    docker.cli(*config, "push", f"{served.host}/shop/web:1.0")
    made = pinned(served, "shop/web:1.0")
    (variant,) = made.variants
    assert variant.platform == "linux/amd64"
    assert variant.config.digest == image.variants[0].config_digest
    docker.cli("tag", f"{served.host}/shop/web:1.0", f"{served.host}/other/web:2.0")
    docker.cli(*config, "push", f"{served.host}/other/web:2.0")  # mounts what is there
    for name in ("shop/web:1.0", "other/web:2.0"):
        docker.cli("rmi", f"{served.host}/{name}")
    docker.cli(*config, "pull", f"{served.host}/other/web@{variant.manifest.digest}")
    assert docker.cli("run", "--rm", "--entrypoint", "cat", f"{served.host}/other/web@{variant.manifest.digest}", "/version").strip() == "docker"
    docker.cli("rmi", f"{served.host}/other/web@{variant.manifest.digest}")


def test_podman_push_and_pull(served, podman, images):
    image = images.make("podman", payload_bytes=3_000_000)
    podman.load(images.archive(image, f"{served.host}/shop/web:1.0"))
    sign_in = ("--tls-verify=false", f"--creds=ada:{PASSWORD}")
    with pytest.raises(EngineFailed, match=r"(?i)unauthorized|not known here"):
        podman.cli("push", "--tls-verify=false", "--creds=ada:wrong", f"{served.host}/shop/web:1.0")
    podman.cli("push", *sign_in, f"{served.host}/shop/web:1.0")
    (variant,) = pinned(served, "shop/web:1.0").variants
    podman.cli("rmi", f"{served.host}/shop/web:1.0")
    podman.cli("pull", *sign_in, f"{served.host}/shop/web@{variant.manifest.digest}")
    assert (
        podman.cli("run", "--rm", "--network=none", "--entrypoint", "cat", f"{served.host}/shop/web@{variant.manifest.digest}", "/version").strip() == "podman"
    )
    podman.cli("rmi", f"{served.host}/shop/web@{variant.manifest.digest}")
