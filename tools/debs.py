"""Packages of another Debian (a later release, another architecture), unpacked into a folder without installing anything.

Owns downloading a closure of packages with apt in a state folder of its own and unpacking it with dpkg-deb; the result is cached under
~/.cache/penstock by release, architecture and package list. Runs no maintainer script and changes nothing of this system: neither its
packages nor apt's lists. Which mirror serves the packages is read from this machine's apt settings.

    python -m tools.debs trixie amd64 docker.io docker-cli      prints the folder
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "penstock"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class DebsError(RuntimeError):
    """The packages could not be had; the message says why and what to do."""


def mirror(label: str = "Debian") -> str:
    """The address this machine takes Debian's main packages ("Debian") or security updates ("Debian-Security") from; "" for none of these."""
    shown = _run("apt-get", "indextargets", "--format", "$(SITE)|$(ORIGIN)|$(LABEL)|$(CREATED_BY)").stdout
    for line in shown.splitlines():
        site, origin, said, kind = [*line.split("|"), "", "", ""][:4]
        if origin == "Debian" and said == label and kind == "Packages":
            return site
    if label == "Debian":
        raise DebsError("this machine's apt names no Debian mirror: run apt-get update, or use a Debian machine")
    return ""


def _run(*command: str, timeout: float = 900, check: bool = True) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DebsError(f"{command[0]}: {error}") from error
    if check and done.returncode != 0:
        raise DebsError(f"{' '.join(command[:3])} ...: {done.stderr.strip()[-800:]}")
    return done


def _folder(release: str, architecture: str, packages: tuple[str, ...], *, security: bool) -> Path:
    key = hashlib.sha256(" ".join([*sorted(packages), "security" if security else ""]).encode()).hexdigest()[:12]
    return CACHE / "debs" / f"{release}-{architecture}-{key}"


def unpack(release: str, architecture: str, *packages: str, security: bool = False) -> Path:
    """Download `packages` with everything they depend on and unpack them; the folder. Raises DebsError.

    `security`: with that release's security updates, where this machine's apt knows an address for them.
    """
    folder = _folder(release, architecture, packages, security=security)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released with the file; bounded by the time-outs of the downloads below
        if (folder / ".complete").exists():
            return folder
        if not KEYRING.exists():
            raise DebsError(f"{KEYRING} is missing: install debian-archive-keyring")
        shutil.rmtree(folder, ignore_errors=True)
        options = _apt(release, architecture, security=security)
        _run("apt-get", *options, "update")
        _run("apt-get", *options, "install", "--download-only", "--no-install-recommends", "-y", *packages)
        state = _state(release, architecture, security=security)
        # usr-merged, as every release since bookworm: the links first, so that packages which still say /lib land behind them.
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / "usr" / name).mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(f"usr/{name}")
        for archive in sorted((state / "cache" / "archives").glob("*.deb")):
            _unpack_one(archive, folder)
        shutil.rmtree(state / "cache" / "archives", ignore_errors=True)
        (folder / ".complete").write_text("\n".join(packages) + "\n")
    return folder


def _unpack_one(archive: Path, folder: Path) -> None:
    """dpkg-deb -x would replace our links by folders; tar keeps them."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as source:
        done = subprocess.run(
            ["tar", "-x", "-C", str(folder), "--keep-directory-symlink", "--no-same-owner"], stdin=source.stdout, capture_output=True, text=True, check=False
        )
    if done.returncode != 0 or source.returncode != 0:
        raise DebsError(f"{archive.name}: {done.stderr.strip()[-400:]}")
    with (folder / ".packages").open("a") as listing:
        listing.write(f"{archive.stem}\n")


def _state(release: str, architecture: str, *, security: bool) -> Path:
    return CACHE / "apt" / f"{release}{'-security' if security else ''}-{architecture}"


def _apt(release: str, architecture: str, *, security: bool) -> list[str]:
    state = _state(release, architecture, security=security)
    for each in ("lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/apt.conf.d"):
        (state / each).mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")
    lines = [f"deb [signed-by={KEYRING}] {mirror()} {release} main"]
    updates = mirror("Debian-Security") if security else ""
    if updates:
        lines.append(f"deb [signed-by={KEYRING}] {updates} {release}-security main")
    (state / "etc" / "sources.list").write_text("\n".join(lines) + "\n")
    return [
        "-qq",
        f"-oAPT::Architecture={architecture}",
        f"-oAPT::Architectures={architecture}",
        f"-oDir::State={state}",
        f"-oDir::State::lists={state}/lists",
        f"-oDir::State::status={state}/status",
        f"-oDir::Cache={state}/cache",
        f"-oDir::Etc={state}/etc",
        f"-oDir::Etc::sourcelist={state}/etc/sources.list",
        "-oDir::Etc::sourceparts=-",
        "-oAPT::Sandbox::User=root",
        "-oAcquire::Languages=none",
        "-oAcquire::Retries=3",
        "-oAcquire::http::Timeout=30",
        "-oDebug::NoLocking=true",
    ]


if __name__ == "__main__":
    try:
        print(unpack(sys.argv[1], sys.argv[2], *sys.argv[3:]))
    except DebsError as error:
        sys.exit(str(error))
