"""Where measuring happens: a control plane, an engine and an agent of our own, in one temporary folder.

Owns starting them as the end-to-end tests do (tests/e2e/house.py) and the app that everything is measured with: two services, one volume.
BENCH_SHORT=1 shortens every duration and fleet, to try the scripts; such numbers are marked in their `how`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.house import ROOT, House, PlaneProcess, eventually
from tests.engines import Engine, start_docker
from tests.images import Images
from tools.oci import Image

SHORT = os.environ.get("BENCH_SHORT", "") not in ("", "0")
PYTHON = "/usr/bin/python3"
NOTE = " SHORT RUN, not a result." if SHORT else ""
FILES = 20_000

COMPOSE = """\
name: {app}
services:
  writer:
    image: {writer}
    environment: {{WRITE: /data/log, LINE: "{line}"{more}}}
    volumes: [data:/data]
    healthcheck: {{test: [CMD, /bin/app, check], interval: {interval}s, timeout: 3s, retries: 2}}
    restart: unless-stopped
    stop_grace_period: 2s
  page:
    image: {page}
    volumes: [data:/data:ro]
    depends_on: {{writer: {{condition: service_healthy}}}}
    restart: unless-stopped
    stop_grace_period: 2s
volumes: {{data: {{}}}}
x-penstock: {{soak: {soak}s, deadline: {deadline}s, volumes: {{data: snapshot}}}}
"""


def log(text: str) -> None:
    """Say how far it is."""
    print(f"  {text}", file=sys.stderr, flush=True)


def many_files() -> None:
    """Let this process and what it starts open as many files as 10 000 connections take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        raise SystemExit(f"10 000 connections need {FILES} open files, and this machine allows {hard}; raise it with: ulimit -Hn {FILES}")
    if soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


class WidePlane(PlaneProcess):
    """A control plane that is reached under another address than loopback's."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder)
        self.address = address
        self.url = f"https://{address}:{self.port}"

    def push(self, image: Image, reference: str, images: Any) -> str:
        """The registry is this machine's own; in a Compose file it has the plane's address."""
        return super().push(image, reference, images).replace("127.0.0.1", self.address, 1)

    def start(self) -> None:
        assert self.process is None
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock.server", "run", "--data", str(self.data), "--listen", f"0.0.0.0:{self.port}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
            )
        eventually(self._ready, bool, 60, what="the plane is ready")


def agent_file(folder: Path) -> Path:
    """The agent as one file, as it is delivered."""
    subprocess.run([sys.executable, "-m", "tools.package", "--only", "zipapp", "--output", str(folder)], check=True, cwd=ROOT, timeout=120, capture_output=True)
    return folder / "penstock-agent.pyz"


@contextmanager
def house(*, poll_s: int = 60, address: str = "") -> Iterator[House]:
    """A house with a running plane; the agent's program is Debian's Python, bare."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir="/var/tmp") as scratch:
        folder = Path(scratch)
        images = folder / "images"
        images.mkdir()
        made = House(folder, Images(images), [PYTHON, "-I", "-S", str(agent_file(folder))])
        if address:
            made.plane = WidePlane(folder / "plane", address)
        try:
            made.open(poll_s=poll_s)
            yield made
        finally:
            made.close()


@contextmanager
def device(*, poll_s: int = 60, address: str = "") -> Iterator[tuple[House, Engine]]:
    """A house and a Docker Engine."""
    with ExitStack() as stack:
        engine = start_docker()
        stack.callback(engine.close)
        yield stack.enter_context(house(poll_s=poll_s, address=address)), engine


def release(
    house: House,
    version: str,
    *,
    app: str = "line",
    line: str = "7",
    unhealthy: bool = False,
    deadline: int = 8,
    interval: int = 1,
    soak: int = 2,
    payload: int = 0,
) -> Any:
    """A version of the two-service app. Versions differ by the writer's environment; with `payload` bytes, by its image too."""
    mark = f"{app}-{version}" if payload else "writer"
    writer = house.plane.push(house.images.make(mark, payload_bytes=payload), f"lab/writer:{mark}", house.images)
    page = house.plane.push(house.images.make("page"), "lab/page:1", house.images)
    more = ', UNHEALTHY: "1"' if unhealthy else ""
    return house.plane.publish(
        app, version, COMPOSE.format(app=app, writer=writer, page=page, line=line, more=more, soak=soak, deadline=deadline, interval=interval)
    )
