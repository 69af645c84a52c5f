"""docker, podman, skopeo, buildah and containerd's ctr against a whole plane's own TLS, each told of its authority as docs/registry.md says.

The plane listens on an address outside 127.0.0.0/8, for which docker would look at no certificate at all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.front.served import Served
from tests.needs import needs, which
from tests.server.people import SENTENCE, person
from tests.slots import EngineFailed

UNKNOWN = r"(?i)x509|unknown authority|certificate signed by"


@pytest.fixture(scope="module")
def plane(docker, tmp_path_factory) -> Iterator[Served]:
    """On the address of our dockerd's bridge; anna publishes the app press."""
    found = Served(tmp_path_factory.mktemp("plane"), f"{docker.slot.subnet}.0.1")
    try:
        found.ready()
        person(found.plane, "anna", ("publisher", "app:press"))
        yield found
    finally:
        found.stop()


@contextmanager
def told(place: Path, plane: Served) -> Iterator[None]:
    """The plane's authority where a client of this machine looks for it, for this plane's address alone."""
    folder = place / plane.host
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True)
    try:
        (folder / "ca.crt").write_text(plane.ca)
        yield
    finally:
        shutil.rmtree(folder)
        for one in made[1:]:
            one.rmdir()


def run(*command: str, stdin: str = "", fails: str = "") -> str:
    """What a client says; `fails`: it has to refuse, in such words."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
    if fails:
        assert done.returncode != 0
        assert fails in done.stderr + done.stdout
        return done.stderr
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def digest(plane, repository, tag="1"):
    found = plane.plane.blobs.manifest(repository, tag)
    assert found is not None
    return found.digest


def test_docker(plane, docker, images, tmp_path):
    """/etc/docker/certs.d/HOST:PORT/ca.crt on the engine's machine; no restart."""
    name = f"{plane.host}/press/docker:1"
    docker.load(images.archive(images.make("docker"), name))
    config = ("--config", str(tmp_path / "config"))
    with pytest.raises(EngineFailed, match=UNKNOWN):
        docker.cli(*config, "login", "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE.encode())
    with told(Path("/etc/docker/certs.d"), plane):
        docker.cli(*config, "login", "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE.encode())
        docker.cli(*config, "push", name)
        docker.cli("rmi", name)
        pinned = f"{plane.host}/press/docker@{digest(plane, 'press/docker')}"
        docker.cli(*config, "pull", pinned)
        assert docker.cli("run", "--rm", "--entrypoint", "cat", pinned, "/version").strip() == "docker"
        docker.cli("tag", pinned, f"{plane.host}/saw/web:1")
        with pytest.raises(EngineFailed, match=r"(?i)denied"):
            docker.cli(*config, "push", f"{plane.host}/saw/web:1")
        docker.cli("rmi", pinned, f"{plane.host}/saw/web:1")
    with pytest.raises(EngineFailed, match=UNKNOWN):
        docker.cli(*config, "pull", pinned)


def test_podman(plane, podman, images, tmp_path):
    """--cert-dir, for login, push and pull."""
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").write_text(plane.ca)
    name = f"{plane.host}/press/podman:1"
    podman.load(images.archive(images.make("podman"), name))
    auth = ("--authfile", str(tmp_path / "auth.json"))
    with pytest.raises(EngineFailed, match=UNKNOWN):
        podman.cli("login", *auth, "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE.encode())
    trust = (*auth, "--cert-dir", str(tmp_path / "certs"))
    podman.cli("login", *trust, "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE.encode())
    podman.cli("push", *trust, name)
    podman.cli("rmi", name)
    pinned = f"{plane.host}/press/podman@{digest(plane, 'press/podman')}"
    podman.cli("pull", *trust, pinned)
    assert podman.cli("run", "--rm", "--network=none", "--entrypoint", "cat", pinned, "/version").strip() == "podman"
    podman.cli("rmi", pinned)


@needs("skopeo", "busybox")
@pytest.mark.parametrize("by", ["option", "folder"])
def test_skopeo(plane, images, tmp_path, by):
    """--cert-dir for login and inspect, --dest-cert-dir and --src-cert-dir for copy; or /etc/containers/certs.d/HOST:PORT/ca.crt and nothing else."""
    skopeo, image = [str(which("skopeo")), "--insecure-policy"], images.make("skopeo", platforms=("linux/amd64", "linux/arm64"))
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").write_text(plane.ca)
    auth = ("--authfile", str(tmp_path / "auth.json"))
    run(*skopeo, "login", *auth, "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE, fails="x509")

    def all_of(prefix: str) -> tuple[str, ...]:
        return (*auth, f"--{prefix}cert-dir", str(tmp_path / "certs")) if by == "option" else auth

    def both_ways() -> None:
        name = f"docker://{plane.host}/press/skopeo:{by}"
        run(*skopeo, "login", *all_of(""), "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE)
        run(*skopeo, "copy", "--all", *all_of("dest-"), f"oci:{images.layout(image, '1')}:1", name)
        run(*skopeo, "copy", "--all", "--preserve-digests", *all_of("src-"), name, f"dir:{tmp_path / 'back'}")
        assert json.loads(run(*skopeo, "inspect", *all_of(""), name))["Digest"] == image.digest == digest(plane, "press/skopeo", by)

    if by == "option":
        both_ways()
        return
    with told(Path("/etc/containers/certs.d"), plane):
        both_ways()


@needs("buildah", "busybox")
def test_buildah(plane, images, tmp_path):
    """--cert-dir, for login, push and pull."""
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").write_text(plane.ca)
    (tmp_path / "registries.conf").write_text("unqualified-search-registries = []\n")
    store = ("--root", str(tmp_path / "store"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs")
    buildah = (str(which("buildah")), *store, "--registries-conf", str(tmp_path / "registries.conf"))
    auth = ("--authfile", str(tmp_path / "auth.json"))
    trust = (*auth, "--cert-dir", str(tmp_path / "certs"))
    found = run(*buildah, "pull", "--quiet", f"oci:{images.layout(images.make('buildah'), '1')}:1").split()[-1]
    run(*buildah, "login", *auth, "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE, fails="x509")
    run(*buildah, "login", *trust, "-u", "anna", "--password-stdin", plane.host, stdin=SENTENCE)
    run(*buildah, "push", *trust, found, f"docker://{plane.host}/press/buildah:1")
    run(*buildah, "rmi", "--all", "--force")
    pinned = f"docker://{plane.host}/press/buildah@{digest(plane, 'press/buildah')}"
    assert run(*buildah, "pull", "--quiet", *trust, pinned).split()[-1] == found
    run(*buildah, "rmi", "--all", "--force")


@needs("ctr", "busybox")
@pytest.mark.parametrize("by", ["tlscacert", "hosts.toml"])
def test_ctr(plane, docker, images, tmp_path, by):
    """With the containerd of our dockerd; --tlscacert, or --hosts-dir with HOST:PORT/hosts.toml."""
    image = images.make(f"ctr {by}", platforms=("linux/amd64", "linux/arm64"))
    archive = tmp_path / "layout.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(images.layout(image, "1"), ".")
    ctr = (str(which("ctr")), "--address", str(docker.slot.path / "exec" / "containerd" / "containerd.sock"), "--namespace", "registry-tls", "images")
    name = f"{plane.host}/press/ctr:1"
    run(*ctr, "import", "--all-platforms", "--no-unpack", "--base-name", name.rpartition(":")[0], str(archive))
    (tmp_path / "ca.crt").write_text(plane.ca)
    if by == "tlscacert":
        trust = ("--tlscacert", str(tmp_path / "ca.crt"))
    else:
        folder = tmp_path / "certs.d" / plane.host
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text(f'server = "https://{plane.host}"\n\n[host."https://{plane.host}"]\n  ca = "{tmp_path / "ca.crt"}"\n')
        trust = ("--hosts-dir", str(tmp_path / "certs.d"))
    sign_in = ("--user", f"anna:{SENTENCE}")
    run(*ctr, "push", *sign_in, name, fails="x509")
    run(*ctr, "push", *trust, *sign_in, name)
    assert digest(plane, "press/ctr") == image.digest
    run(*ctr, "rm", "--sync", name)
    run(*ctr, "pull", "--all-platforms", *trust, *sign_in, f"{plane.host}/press/ctr@{image.digest}")
    assert image.digest in run(*ctr, "ls")
    for one in run(*ctr, "ls", "-q").split():
        run(*ctr, "rm", one)
