"""Images of a release built on this machine and pushed to the control plane's registry, before the release is published.

Owns the choice of the engine (docker, podman or buildah), its arguments, and that contexts stay inside the folder of the package or the Compose file. What is to be built
is read by the control plane, which also says what the files are with the images in place. The token goes to the engine in a file of its own, gone at once.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli import contexts, out
from penstock.cli.common import Usage

if TYPE_CHECKING:
    from penstock.apiv1 import apps as a
    from penstock.client import Client

BUILDERS = ("buildah", "podman", "docker")
LONGEST_S = 4 * 3600.0


def built(client: Client, context: str, asked: a.BuildsAsk, folder: Path, builder: str = "") -> dict[str, str]:
    """Every `build:` of what lies in `folder` built and pushed: the Compose files to publish, with images in place, by path. Raises Usage, ClientError."""
    found = client.builds(asked)
    if not found.builds:
        out.aside("Nothing to build: no service has `build`.")
        return found.changed
    engine = chosen(builder)
    for one in found.builds:
        _check(one, folder)
    with signed_in(context, found.builds[0].image.partition("/")[0]) as (auth, certificates):
        for one in found.builds:
            out.aside(f"Building {one.service} with {engine}, from {one.context}")
            _run(build_line(engine, one, folder), one, auth)
        for one in found.builds:
            out.aside(f"Pushing {one.image}")
            _run(push_line(engine, one, auth, certificates), one, auth)
    return found.changed


def chosen(builder: str) -> str:
    """The engine to build with: the one asked for, else the first there is. Raises Usage."""
    if builder and builder not in BUILDERS:
        raise Usage(f"{builder} is no builder known here; it is one of {', '.join(BUILDERS)}")
    for name in (builder,) if builder else BUILDERS:
        if shutil.which(name):
            return name
    raise Usage(f"{builder or 'none of ' + ', '.join(BUILDERS)} is installed on this machine; install one, or build and push the images elsewhere")


def _check(build: a.Build, folder: Path) -> None:
    root = folder.resolve()
    context = (root / build.context).resolve()
    where = f"services.{build.service}.build"
    if not context.is_relative_to(root):
        raise Usage(f"{where}: {build.context} lies outside of {folder}; a build takes what stands beside its Compose file, or in its package")
    if not context.is_dir():
        raise Usage(f"{where}: there is no folder {context}")
    if not _dockerfile(build, context).is_relative_to(context):
        raise Usage(f"{where}.dockerfile: {build.dockerfile} lies outside of the context {build.context}")
    if not _dockerfile(build, context).is_file():
        raise Usage(f"{where}: there is no file {_dockerfile(build, context)}")


def _dockerfile(build: a.Build, context: Path) -> Path:
    if build.dockerfile:
        return (context / build.dockerfile).resolve()
    return (context / ("Containerfile" if not (context / "Dockerfile").exists() and (context / "Containerfile").exists() else "Dockerfile")).resolve()


def build_line(engine: str, build: a.Build, folder: Path) -> list[str]:
    """The command that builds one image. Raises Usage for what the engine cannot."""
    context = (folder.resolve() / build.context).resolve()
    words = [engine, "build", "--file", str(_dockerfile(build, context))]
    if len(build.platforms) > 1:
        if engine == "docker":
            raise Usage(f"services.{build.service}.build.platforms: docker builds one platform here; use --builder podman or buildah")
        words += ["--platform", ",".join(build.platforms), "--manifest", build.image]
    else:
        words += [word for platform in build.platforms for word in ("--platform", platform)] + ["--tag", build.image]
    if engine != "docker":
        words += ["--format", "oci"]
    for name, value in build.args.items():
        words += ["--build-arg", f"{name}={value}"]
    if build.target:
        words += ["--target", build.target]
    return [*words, str(context)]


def push_line(engine: str, build: a.Build, auth: Path, certificates: Path) -> list[str]:
    """The command that pushes it."""
    if engine == "docker":
        return [engine, "--config", str(auth.parent), "push", build.image]
    options = ["--authfile", str(auth), "--cert-dir", str(certificates)]
    if len(build.platforms) > 1:
        return [engine, "manifest", "push", "--all", *options, build.image, f"docker://{build.image}"]
    return [engine, "push", *options, build.image, f"docker://{build.image}"]


@contextmanager
def signed_in(context: str, host: str) -> Iterator[tuple[Path, Path]]:
    """A file with this command's own sign-in for engines (0600, in a folder 0700) and a folder with the authority to trust; both gone afterwards."""
    found = contexts.chosen(context)
    with tempfile.TemporaryDirectory(prefix="penstock-push-") as folder:
        auth, certificates = Path(folder) / "config.json", Path(folder) / "certs"
        certificates.mkdir()
        if found.ca:
            (certificates / "ca.crt").write_text(found.ca)
        told = base64.b64encode(f"{found.user or 'token'}:{found.token}".encode()).decode()
        fd = os.open(auth, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump({"auths": {host: {"auth": told}}}, file)
        yield auth, certificates


def _run(line: list[str], build: a.Build, auth: Path) -> None:
    """Run the engine, its words to standard error. Raises Usage."""
    environment = {**os.environ, "REGISTRY_AUTH_FILE": str(auth)} if line[0] != "docker" else None
    try:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=2, env=environment, timeout=LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        raise Usage(f"{build.service}: {line[0]} did not end within {LONGEST_S / 3600:.0f} hours") from None
    if done.returncode != 0:
        what = "push" if "push" in line else "build"
        raise Usage(f"{build.service}: {line[0]} could not {what} it (exit code {done.returncode}); what it said stands above. Nothing is published")
