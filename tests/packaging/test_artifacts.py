"""What is delivered: the same input gives the same bytes, it holds what it should and nothing else, and it runs."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines import Engine
from tests.needs import find_python, needs, require
from tools.agentimage import build_image
from tools.agentprogram import built_ms, files, zipapp
from tools.deb import make_deb
from tools.oci import Image

PACKAGING = Path(__file__).parent.parent.parent / "packaging"
NOT_ENROLLED = 4


def twice(make: Callable[[], object]) -> tuple[object, object]:
    """Two results from the same sources, even while somebody edits them."""
    for _ in range(5):
        sources = files()
        made = make(), make()
        if files() == sources:
            return made
    raise AssertionError("the sources never stood still")


def test_the_zipapp_is_the_same_each_time():
    one, two = twice(zipapp)
    assert one == two


def test_the_zipapp_holds_the_agent_and_nothing_of_the_plane(pyz: Path):
    with zipfile.ZipFile(pyz) as archive:
        names = archive.namelist()
        assert f"BUILT_MS = {built_ms()}" in archive.read("penstock/agent/built.py").decode()
    assert {name.split("/")[1].removesuffix(".py") for name in names if "/" in name} == {"__init__", "wire", "rules", "crypto", "agent"}
    assert "penstock/agent/resident.py" in names


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.13", "debian"])
def test_the_zipapp_runs_with_nothing_installed(pyz: Path, version: str, tmp_path: Path):
    require("debian-python" if version == "debian" else f"python{version}")
    python = "/usr/bin/python3" if version == "debian" else str(find_python(version))
    shown = subprocess.run([python, "-I", "-S", str(pyz), "--help"], capture_output=True, text=True, check=True)
    assert "enroll" in shown.stdout
    done = subprocess.run([python, "-I", "-S", str(pyz), "run", "--data-dir", str(tmp_path / "data")], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == NOT_ENROLLED, done.stderr
    assert "penstock-agent enroll" in done.stderr


def test_the_zipapp_starts_by_its_own_first_line(pyz: Path):
    assert "enroll" in subprocess.run([str(pyz), "--help"], capture_output=True, text=True, check=True).stdout


@needs("dpkg")
def test_the_package_is_the_same_each_time(tmp_path: Path):
    one, two = twice(lambda: make_deb(tmp_path).read_bytes())
    assert one == two


@needs("dpkg")
def test_the_package_belongs_to_root_and_names_its_needs(deb: Path):
    listing = subprocess.run(["dpkg-deb", "-c", str(deb)], capture_output=True, text=True, check=True).stdout
    assert all(" root/root " in line for line in listing.splitlines())
    assert re.search(r"^-rwxr-xr-x .* \./usr/bin/penstock-agent$", listing, re.MULTILINE)
    depends = subprocess.run(["dpkg-deb", "-f", str(deb), "Depends"], capture_output=True, text=True, check=True).stdout
    assert "python3 (>= 3.9)" in depends


@needs("systemd-analyze")
def test_the_unit_is_valid_and_tight(tmp_path: Path):
    # The program is not installed on the machine that tests; everything else in the unit must be known and well formed.
    unit = tmp_path / "penstock-agent.service"
    unit.write_text((PACKAGING / "penstock-agent.service").read_text().replace("/usr/bin/penstock-agent", "/bin/true"))
    (tmp_path / "penstock-agent.path").write_text((PACKAGING / "penstock-agent.path").read_text())
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert "penstock-agent" not in checked.stderr, checked.stderr
    shown = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=28", str(unit)], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stdout[-400:]


def test_every_relaxation_of_the_unit_says_why():
    text = (PACKAGING / "penstock-agent.service").read_text()
    for name in ("ProcSubset", "PrivateNetwork", "PrivateUsers", "User", "MemoryDenyWriteExecute"):
        assert re.search(rf"^# .*{name}.* (is|are) not set: ", text, re.MULTILINE), name


def unpack_layers(image: Image, target: Path, platform: str = "linux/amd64") -> None:
    for layer in image.variant(platform).layers:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer.data))) as tar:
            tar.extractall(target, filter="fully_trusted")


@pytest.mark.slow
@needs("dpkg")
def test_the_image_is_the_same_each_time_and_small(agent_image: Image):
    one, two = twice(lambda: build_image().digest)
    assert one == two
    assert sum(len(layer.data) for layer in agent_image.variants[0].layers) < 12 * 1024 * 1024


@needs("dpkg")
def test_the_image_holds_no_source_no_shell_and_nothing_of_the_plane(agent_image: Image, tmp_path: Path):
    unpack_layers(agent_image, tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert not [name for name in names if name.endswith(".py") or name.rpartition("/")[2] in ("sh", "bash", "dash", "busybox", "dpkg", "apt")]
    assert not [name for name in names if "/penstock/server" in name or "/penstock/cli" in name]
    assert "usr/lib/penstock-agent/lib/penstock/agent/resident.pyc" in names
    config = json.loads(agent_image.variants[0].config)
    assert config["config"]["Labels"]["com.penstock.packages"].count("_amd64") >= 3


@needs("dpkg")
def test_the_image_runs_beside_its_engine(engine: Engine, agent_image: Image, tmp_path: Path):
    engine.cli("load", "-i", str(agent_image.write_docker_archive(tmp_path / "agent.tar", "localhost/penstock-agent:test")))
    run = ["run", "--rm", "--network", "host", "-v", f"{engine.socket}:/run/docker.sock"]
    assert "enroll" in engine.cli(*run, "localhost/penstock-agent:test", "--help")
    done = subprocess.run(
        [*engine.cli_command, *run, "localhost/penstock-agent:test"], capture_output=True, text=True, env=engine.environment, check=False, timeout=120
    )
    assert done.returncode == NOT_ENROLLED, done.stderr
    code = (
        "import sys; sys.path.insert(0, '/usr/lib/penstock-agent/lib'); from penstock.agent.runtimes.docker import DockerRuntime; from penstock import crypto"
    )
    code += "; print(DockerRuntime('/run/docker.sock').facts().engine.version); print(crypto.self_check())"
    shown = engine.cli(*run, "--entrypoint", "/usr/bin/python3.11", "localhost/penstock-agent:test", "-I", "-S", "-c", code).splitlines()
    assert shown[0] in json.dumps(engine.api("GET", "/version")[1])
    assert shown[1] == "()"


def test_the_capabilities_the_unit_leaves_are_enough(engine: Engine, pyz: Path, tmp_path: Path):
    # What systemd would do, as far as it can be done without it: root, the unit's capabilities, no new privileges.
    text = (PACKAGING / "penstock-agent.service").read_text()
    left = next(line for line in text.splitlines() if line.startswith("CapabilityBoundingSet=")).partition("=")[2].split()
    bounding = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in left)])
    others = tmp_path / "others"
    others.write_text("a volume's file of another user")
    others.chmod(0o600)
    os.chown(others, 12345, 12345)
    code = f"import sys; sys.path.insert(0, {str(pyz)!r}); from penstock.agent.runtimes.docker import DockerRuntime"
    code += f"; print(DockerRuntime({str(engine.socket)!r}).facts().engine.version); print(open({str(others)!r}).read()); open({str(others)!r}, 'a')"
    command = ["setpriv", "--bounding-set", bounding, "--inh-caps", "-all", "--no-new-privs", "--", sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    shown = done.stdout.splitlines()
    assert shown[0] in json.dumps(engine.api("GET", "/version")[1]), done.stderr
    assert shown[1] == "a volume's file of another user"
    assert "PermissionError" in done.stderr  # reading is all that is left
