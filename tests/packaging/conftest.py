"""What is delivered, built once for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.needs import cannot, require
from tools.agentimage import build_image
from tools.agentprogram import zipapp
from tools.deb import make_deb
from tools.debs import DebsError
from tools.oci import Image


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as one executable file."""
    path = tmp_path_factory.mktemp("pyz") / "penstock-agent.pyz"
    path.write_bytes(zipapp())
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's Debian package."""
    require("dpkg")
    return make_deb(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="session")
def agent_image() -> Image:
    """The agent's container image for amd64."""
    try:
        return build_image()
    except DebsError as fault:
        cannot(f"packages for the agent's image: {fault}")
