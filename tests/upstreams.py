"""Debian's `docker-registry` on loopback, as some other registry: in clear or with TLS by a private authority, with or without a password.

Owns starting and stopping it, and pushing to it over plain HTTP calls. Knows nothing of the plane.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from penstock.server.core.oci import OCI_MANIFEST
from penstock.wire.types import sha256_of
from tools.oci import Image

USER, PASSWORD = "robot", "s3cret"
HASHED = "$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK"  # bcrypt of PASSWORD, the only kind it reads


@dataclass
class Other:
    """A registry that runs. `ca` is empty in clear."""

    host: str
    ca: str = ""
    user: str = ""
    password: str = ""
    log: Path = field(default_factory=Path)

    def client(self) -> httpx.Client:
        context = ssl.create_default_context(cadata=self.ca) if self.ca else True
        return httpx.Client(
            base_url=f"{'https' if self.ca else 'http'}://{self.host}", verify=context, auth=(self.user, self.password) if self.user else None, trust_env=False
        )

    def push(self, repository: str, image: Image, tag: str) -> str:
        """An image under a tag; its digest."""
        with self.client() as client:
            manifests = {variant.digest: (variant.manifest, variant.manifest_type) for variant in image.variants}
            for digest, data in image.blobs.items():
                if digest not in manifests and digest != image.digest:
                    place = client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status().headers["location"]
                    client.put(place, params={"digest": digest, **dict(httpx.URL(place).params)}, content=data).raise_for_status()
            for digest, (raw, kind) in manifests.items():
                client.put(f"/v2/{repository}/manifests/{digest}", content=raw, headers={"content-type": kind}).raise_for_status()
            top, kind = (image.index, image.index_type) if image.index is not None else manifests[image.digest]
            client.put(f"/v2/{repository}/manifests/{tag}", content=top, headers={"content-type": kind}).raise_for_status()
            return sha256_of(top)

    def attach(self, repository: str, made: tuple[bytes, dict[str, bytes]], reference: str = "", kind: str = OCI_MANIFEST) -> str:
        """One manifest with its blobs, under a tag or its digest alone; its digest."""
        with self.client() as client:
            for digest, data in made[1].items():
                place = client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status().headers["location"]
                client.put(place, params={"digest": digest, **dict(httpx.URL(place).params)}, content=data).raise_for_status()
            digest = sha256_of(made[0])
            client.put(f"/v2/{repository}/manifests/{reference or digest}", content=made[0], headers={"content-type": kind}).raise_for_status()
            return digest

    def untag(self, repository: str, tag: str) -> None:
        """The tag goes, and what it named."""
        with self.client() as client:
            kinds = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
            digest = client.get(f"/v2/{repository}/manifests/{tag}", headers={"accept": kinds}).raise_for_status().headers["docker-content-digest"]
            client.delete(f"/v2/{repository}/manifests/{digest}").raise_for_status()


def _certificate(folder: Path) -> str:
    """A certificate for 127.0.0.1 by an authority of its own; the authority's PEM text."""
    ca, key, request = folder / "ca.pem", folder / "ca.key", folder / "server.csr"
    run = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)  # noqa: E731
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *new, "-keyout", key, "-out", ca, "-days", 2, "-subj", "/CN=Some other authority")
    run("req", *new, "-keyout", folder / "server.key", "-out", request, "-subj", "/CN=127.0.0.1")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("x509", "-req", "-in", request, "-CA", ca, "-CAkey", key, "-CAcreateserial", "-days", 2, "-extfile", folder / "ext", "-out", folder / "server.pem")
    return ca.read_text()


@contextmanager
def other_registry(folder: Path, *, tls: bool = False, password: bool = False) -> Iterator[Other]:
    """One, until it is left. Its host is "127.0.0.1:PORT"."""
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("docker-registry")
    assert program is not None, "install the Debian package docker-registry"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = f"version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n"
    ca = ""
    if tls:
        ca = _certificate(folder)
        text += f"  tls: {{certificate: {folder / 'server.pem'}, key: {folder / 'server.key'}}}\n"
    if password:
        (folder / "htpasswd").write_text(f"{USER}:{HASHED}\n")
        text += f"auth: {{htpasswd: {{realm: other, path: {folder / 'htpasswd'}}}}}\n"
    (folder / "config.yml").write_text(text)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _await(port, folder / "log")
        yield Other(f"127.0.0.1:{port}", ca, USER if password else "", PASSWORD if password else "", folder / "log")
    finally:
        process.kill()
        process.wait(10)


def _await(port: int, log: Path) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the other registry does not listen: {log.read_text()[-500:]}")
