"""The registry on loopback, fresh for each test, on both storages: on files and in memory."""

from __future__ import annotations

import httpx
import pytest

from penstock.server.effects.blobs import FileContent
from penstock.server.effects.blobs_memory import MemoryContent
from tests.server.api.registry_server import PASSWORD, serve


@pytest.fixture(scope="module")
def server():
    with serve(MemoryContent()) as made:
        yield made


@pytest.fixture(params=["files", "memory"])
def served(request, tmp_path, server):
    server.begin_anew(FileContent(tmp_path, min_free=0) if request.param == "files" else MemoryContent())
    return server


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url, auth=("ada", PASSWORD), timeout=20) as made:
        yield made
