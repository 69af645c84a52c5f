"""The Debian package in a bare Debian: installed, used, upgraded, removed and purged by dpkg itself, in a chroot."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import cannot, needs, require
from tools.debs import CACHE, DebsError, mirror

pytestmark = [pytest.mark.slow, needs("debootstrap", "dpkg", "namespaces")]
RELEASE = "bookworm"
NOT_ENROLLED = 4


def bare_debian() -> Path:
    """A tar of a minimal Debian with Python, made once for each machine."""
    kept = CACHE / f"{RELEASE}-minbase-python3.tar"
    if kept.exists():
        return kept
    CACHE.mkdir(parents=True, exist_ok=True)
    work = CACHE / f"{RELEASE}-minbase.{os.getpid()}"
    try:
        command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", RELEASE, str(work), mirror()]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode != 0:
            raise DebsError(f"debootstrap: {done.stdout.strip()[-300:]} {done.stderr.strip()[-300:]}")
        for folder in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(work / folder, ignore_errors=True)
        subprocess.run(["tar", "-C", str(work), "-cf", f"{kept}.{os.getpid()}", "."], check=True)
        Path(f"{kept}.{os.getpid()}").rename(kept)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return kept


class Chroot:
    """A root folder; commands run in mount and process namespaces of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        inside = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && root="$0" && exec chroot "$root" "$@"'
        return subprocess.run(
            ["unshare", "-m", "-p", "--fork", "--kill-child", "sh", "-c", inside, str(self.root), *command],
            capture_output=True,
            text=True,
            check=check,
            timeout=120,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )


@pytest.fixture(scope="module")
def chroot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chroot]:
    require("debootstrap")
    try:
        base = bare_debian()
    except DebsError as fault:
        cannot(f"a bare Debian: {fault}")
    root = tmp_path_factory.mktemp("chroot")
    subprocess.run(["tar", "-C", str(root), "-xf", str(base)], check=True)
    yield Chroot(root)
    shutil.rmtree(root, ignore_errors=True)


def test_the_life_of_the_package(chroot: Chroot, deb: Path, tmp_path: Path):
    # Installed: every dependency is met by a bare Debian with Python.
    shutil.copy(deb, chroot.root / "agent.deb")
    said = chroot.run("dpkg", "-i", "/agent.deb")
    assert "enrol this device with" in said.stdout
    shown = chroot.run("penstock-agent", "--help").stdout
    assert "enroll" in shown

    wanted = chroot.root / "etc/systemd/system/multi-user.target.wants"
    assert {path.name for path in wanted.iterdir()} >= {"penstock-agent.service", "penstock-agent.path"}

    # Used: the program goes into its first slot, compiled; nothing is enrolled yet.
    done = chroot.run("penstock-agent", "run", check=False)
    assert done.returncode == NOT_ENROLLED, done.stderr
    slots = chroot.root / "var/lib/penstock-agent/slots"
    assert (slots / "current").read_text().strip() == "a"
    assert (slots / "a/lib/start.pyc").exists()
    assert chroot.run("penstock-agent", "version").stdout.strip()

    # Settings that a person made survive an upgrade; the new program goes beside the old one.
    settings = chroot.root / "etc/default/penstock-agent"
    settings.write_text("PENSTOCK_ENGINE=/run/other.sock\n")
    (slots / "confirmed").write_text("a\n")
    newer = repack(deb, tmp_path)
    shutil.copy(newer, chroot.root / "newer.deb")
    chroot.run("dpkg", "-i", "--force-confold", "/newer.deb")
    assert settings.read_text() == "PENSTOCK_ENGINE=/run/other.sock\n"
    chroot.run("penstock-agent", "run", check=False)
    assert (slots / "current").read_text().strip() == "b"
    assert (slots / "a/penstock-agent.pyz").read_bytes() != (slots / "b/penstock-agent.pyz").read_bytes()

    # Removed: the state stays. Purged: it goes, and so does every file of ours.
    chroot.run("dpkg", "-r", "penstock-agent")
    assert slots.exists()
    assert not (chroot.root / "usr/bin/penstock-agent").exists()
    assert settings.exists()
    chroot.run("dpkg", "-P", "penstock-agent")
    left = [str(path) for path in chroot.root.rglob("*penstock*") if path.suffix != ".deb"]
    assert left == []


def repack(deb: Path, work: Path) -> Path:
    """The same package as a later version, whose program differs."""
    tree = work / "tree"
    subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: ", "Version: 1000."))
    program = tree / "usr/lib/penstock-agent/penstock-agent.pyz"
    program.write_bytes(program.read_bytes().replace(b"#!/usr/bin/env -S python3 -I -S\n", b"#!/usr/bin/env -S python3 -I -S \n", 1))
    made = work / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(made)], check=True, capture_output=True)
    return made
