"""Fixtures of the end-to-end tests: the agent as it ships, and a house with everything in it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import ROOT, House, house_in
from tests.engines import Engine
from tests.images import Images
from tests.needs import require

DEBIAN_PYTHON = "/usr/bin/python3"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(ROOT / "tests" / "e2e"):
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def agent_pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as one file, built as `make package` builds it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "tools.package", "--only", "zipapp", "--output", str(folder)], check=True, cwd=ROOT, timeout=120)
    return folder / "penstock-agent.pyz"


@pytest.fixture(scope="session")
def agent_program(agent_pyz: Path) -> list[str]:
    """The agent in a bare interpreter: no site, no environment."""
    python = DEBIAN_PYTHON if Path(DEBIAN_PYTHON).exists() else sys.executable
    return [python, "-I", "-S", str(agent_pyz)]


@pytest.fixture
def house(tmp_path: Path, images: Images, agent_program: list[str]) -> Iterator[House]:
    require("skopeo")
    with house_in(tmp_path, images, agent_program) as opened:
        yield opened


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory, images: Images, agent_program: list[str]) -> Iterator[House]:
    require("skopeo")
    with house_in(tmp_path_factory.mktemp("house"), images, agent_program) as opened:
        yield opened


@pytest.fixture
def box(docker: Engine) -> Iterator[Engine]:
    """Docker, running, and empty of containers, volumes and networks before and after the test; images stay."""
    docker.start()
    docker.reset()
    yield docker
    docker.start()
    docker.reset()


@pytest.fixture
def home(_shared: House, box: Engine) -> Iterator[House]:
    """A house whose control plane the tests of a module share, each with devices and apps of its own names. Afterwards the plane runs and the
    agents do not; they end before `box` is emptied, or they would put things right."""
    assert box.running()
    yield _shared
    for agent in _shared.agents:
        agent.end(signal.SIGKILL)
    _shared.agents.clear()
    if _shared.plane.process is None or _shared.plane.process.poll() is not None:
        _shared.plane.process = None
        _shared.plane.start()
