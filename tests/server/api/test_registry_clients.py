"""The built-in registry with the clients that people have: docker, podman, skopeo, buildah and containerd's ctr; both ways, and what is pinned afterwards.

Each signs in with a name and password, follows the challenge and trades them for a token, as it does anywhere else."""

from __future__ import annotations

import json
import subprocess
import tarfile

import pytest

from penstock.server.actions.images import find
from penstock.server.core.images import image_from, wanted
from penstock.server.core.oci import DOCKER_INDEX
from penstock.server.effects.blobs import FileContent
from tests.needs import needs, which
from tests.server.api.registry_server import PASSWORD, serve
from tests.slots import EngineFailed


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve(FileContent(tmp_path_factory.mktemp("none"), min_free=0)) as made:
        yield made


@pytest.fixture
def served(server, tmp_path):
    server.begin_anew(FileContent(tmp_path / "registry", min_free=0))
    return server


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
    with pytest.raises(EngineFailed, match=r"give a name and password|no basic auth|sign in first"):
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


@needs("buildah", "busybox")
def test_buildah_push_and_pull(served, images, tmp_path):
    """With a store of its own; a list of platforms goes as a whole."""
    image = images.make("buildah", platforms=("linux/amd64", "linux/arm64"))
    store = ("--root", str(tmp_path / "store"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs")
    (tmp_path / "registries.conf").write_text("unqualified-search-registries = []\n")

    def buildah(*arguments: str) -> str:
        done = subprocess.run(
            [str(which("buildah")), *store, "--registries-conf", str(tmp_path / "registries.conf"), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    sign_in = ("--tls-verify=false", f"--creds=ada:{PASSWORD}")
    found = buildah("pull", "--quiet", f"oci:{images.layout(image, '1')}:1").split()[-1]
    buildah("push", *sign_in, found, f"docker://{served.host}/shop/web:1.0")
    (variant,) = pinned(served, "shop/web:1.0").variants
    assert (variant.platform, variant.config.digest) == ("linux/amd64", image.variants[0].config_digest)
    buildah("manifest", "create", "both")
    # Not another layer of the same content, of which buildah's push above told skopeo.
    skopeo("copy", "--all", "--preserve-digests", *TO, f"oci:{images.layout(image, '1')}:1", f"docker://{served.host}/parts/web:1")
    for digest in (one.digest for one in image.variants):
        buildah("manifest", "add", *sign_in, "both", f"docker://{served.host}/parts/web@{digest}")
    buildah("manifest", "push", "--all", *sign_in, "both", f"docker://{served.host}/shop/both:1")
    assert {one.platform for one in pinned(served, "shop/both:1").variants} == {"linux/amd64", "linux/arm64"}
    buildah("rmi", "--all", "--force")
    again = buildah("pull", "--quiet", *sign_in, f"docker://{served.host}/shop/web@{variant.manifest.digest}").split()[-1]
    assert again == found


@needs("ctr")
def test_ctr_push_and_pull(served, docker, images, tmp_path):
    """With the containerd that our dockerd runs beside itself, in a namespace of its own. A token by POST, for each image one."""
    image = images.make("ctr", platforms=("linux/amd64", "linux/arm64"), payload_bytes=30_000_000)
    layout = images.layout(image, "1.0")
    archive = tmp_path / "layout.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(layout, ".")
    place = [str(which("ctr")), "--address", str(docker.slot.path / "exec" / "containerd" / "containerd.sock"), "--namespace", "registry-test"]

    def ctr(*arguments: str) -> str:
        done = subprocess.run([*place, "images", *arguments], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    name = f"{served.host}/shop/web:1.0"
    sign_in = ("--plain-http", "--user", f"ada:{PASSWORD}")
    ctr("import", "--all-platforms", "--no-unpack", "--base-name", f"{served.host}/shop/web", str(archive))
    ctr("push", *sign_in, name)
    made = pinned(served, "shop/web:1.0")
    assert (made.index, {one.platform for one in made.variants}) == (image.digest, {"linux/amd64", "linux/arm64"})
    ctr("push", *sign_in, f"{served.host}/other/web:2.0", name)  # blobs are mounted or found
    assert served.content.tags("other/web") == ("2.0",)
    ctr("rm", "--sync", name)
    ctr("pull", "--all-platforms", *sign_in, f"{served.host}/shop/web@{image.digest}")
    ctr("pull", "--all-platforms", *sign_in, name)
    assert image.digest in ctr("ls")
    wrong = subprocess.run([*place, "images", "pull", "--plain-http", "--user", "ada:wrong", name], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode != 0
    assert "401" in wrong.stderr or "authorization failed" in wrong.stderr
    for one in ctr("ls", "-q").split():
        ctr("rm", one)
