"""The rule that a test which cannot run is a failure in CI and a named skip elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import needs

INSTALL = Path(__file__).parent.parent / "tools" / "install-system.sh"


@pytest.fixture
def impossible(monkeypatch: pytest.MonkeyPatch) -> str:
    """A need that no machine meets."""
    monkeypatch.setitem(needs.PROBES, "impossible", lambda: "no such thing")
    monkeypatch.setattr(needs, "could_not_run", {})
    needs.missing.cache_clear()
    return "impossible"


def test_elsewhere_it_is_a_skip_that_is_remembered(impossible: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(needs, "IN_CI", False)
    with pytest.raises(pytest.skip.Exception, match="no such thing"):
        needs.require(impossible)
    assert list(needs.could_not_run) == ["impossible: no such thing"]
    assert needs.could_not_run["impossible: no such thing"][0].endswith("test_elsewhere_it_is_a_skip_that_is_remembered")


def test_in_ci_it_is_a_failure(impossible: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(needs, "IN_CI", True)
    with pytest.raises(pytest.fail.Exception, match="no such thing"):
        needs.require(impossible)


def test_a_need_nobody_knows_is_refused():
    with pytest.raises(pytest.UsageError, match="no need"):
        needs.needs("dockr")


def test_the_install_script_covers_every_program_that_is_asked_for():
    listed = subprocess.run([str(INSTALL), "--list"], capture_output=True, text=True, check=True).stdout
    for package in (
        "docker.io",
        "podman",
        "runc",
        "skopeo",
        "chromium",
        "qemu-user-static",
        "debootstrap",
        "busybox-static",
        "iproute2",
        "iptables",
        "systemd",
    ):
        assert f"{package}: " in listed


def test_static_programs_are_told_from_dynamic_ones():
    assert needs._interpreted(Path("/bin/ls").read_bytes())
    busybox = needs.which("busybox")
    if busybox is None:
        needs.cannot("busybox: not installed")
    assert not needs._interpreted(Path(busybox).read_bytes()) or needs.missing("busybox")
