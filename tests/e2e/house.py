"""The whole product as processes, for end-to-end tests: a control plane, an agent, and what a person would type.

Owns starting, stopping, killing and asking; the engines are tests/engines.py, the images tests/images.py. Everything listens on loopback,
lives in one temporary folder and ends with the test, by process id. Never looks into a process: what a test knows, it asks over the API or the
agent's own command line.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from penstock.agent.control import NotRunning, ask
from penstock.agent.places import Places
from penstock.apiv1.archives import pack
from tests.engines import Engine
from tests.needs import which
from tools.oci import Image

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
PLAIN_ENVIRONMENT = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(ask: Callable[[], T], good: Callable[[T], bool], seconds: float = 60, every: float = 0.2, what: str = "") -> T:
    """Ask until the answer is good; the last answer stands in the failure."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if good(answer):
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what or 'the condition'}; last answer: {str(answer)[:3000]}")
        time.sleep(every)


class Refused(AssertionError):
    """The plane answered with a problem (RFC 9457)."""

    def __init__(self, status: int, problem: Any) -> None:
        super().__init__(f"{status}: {problem}")
        self.status = status
        self.problem = problem


class PlaneProcess:
    """A control plane with its data under `folder`, as an operator would start it."""

    def __init__(self, folder: Path, *, port: int = 0, names: Sequence[str] = ("127.0.0.1",)) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.root_key = folder / "safe" / "root.key"
        self.port = port or free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "plane.log"
        self.names = names
        self.token = ""
        folder.mkdir(parents=True, exist_ok=True)

    def server(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`penstock-server ...` run to its end."""
        done = subprocess.run([sys.executable, "-m", "penstock.server", *arguments], capture_output=True, text=True, timeout=120, check=False, cwd=self.folder)
        if check and done.returncode:
            raise AssertionError(f"penstock-server {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def init(self) -> str:
        self.root_key.parent.mkdir(exist_ok=True)
        told = self.server("init", "--data", str(self.data), "--root-key", str(self.root_key), "--address", self.url).stdout
        self.ca.write_text(self.server("authority", "--data", str(self.data)).stdout)
        return told

    def mint_token(self, name: str = "tests") -> str:
        """An API token made by whoever holds the data folder."""
        self.token = self.server("service-token", "--data", str(self.data), "--name", name).stdout.strip().splitlines()[-1].strip()
        return self.token

    def start(self) -> None:
        assert self.process is None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock.server", "run", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        eventually(self._ready, bool, 60, what="the plane is ready")

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the plane ended with {self.process.returncode}:\n{self.tail()}")
        try:
            return self.http().get("/readyz").status_code == 200
        except (httpx.HTTPError, OSError):
            return False

    def tail(self, size: int = 6000) -> str:
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(sign)
        return process.wait(60)

    def stop(self) -> None:
        self.end()

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def http(self, token: str = "") -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.ca))
        headers = {"Authorization": f"Bearer {token or self.token}"} if token or self.token else {}
        return httpx.Client(base_url=self.url, verify=context, headers=headers, timeout=30, trust_env=False)

    def call(self, method: str, path: str, body: Any = None, *, etag: str = "", **query: Any) -> Any:
        """One API call; the decoded answer. Raises Refused."""
        headers = {"If-Match": etag} if etag else {}
        with self.http() as http:
            answer = http.request(method, f"/api/v1{path}", json=body, params=query or None, headers=headers)
        if answer.status_code >= 400:
            raise Refused(answer.status_code, answer.json() if answer.headers.get("content-type", "").startswith("application/") else answer.text)
        return answer.json() if answer.content else None

    def change(self, path: str, body: Any = None, method: str = "PATCH", suffix: str = "") -> Any:
        """A conditional change: reads the ETag first."""
        with self.http() as http:
            etag = http.get(f"/api/v1{path}").headers.get("etag", "")
        return self.call(method, path + suffix, body, etag=etag)

    # --- what a person does ---------------------------------------------------------------------------------------

    def push(self, image: Image, reference: str, images: Any) -> str:
        """Put an image into the built-in registry; how a Compose file names it."""
        layout = images.layout(image)
        name = f"127.0.0.1:{self.port}/{reference}"
        skopeo = which("skopeo")
        assert skopeo
        subprocess.run(
            [
                skopeo,
                "--insecure-policy",
                "copy",
                "--all",
                "--quiet",
                "--dest-tls-verify=false",
                f"--dest-creds=tests:{self.token}",
                f"oci:{layout}:latest",
                f"docker://{name}",
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return f"{self.url.partition('://')[2]}/{reference}"

    def publish(self, app: str, version: str, compose: str) -> Any:
        return self.call("POST", "/releases", {"app": app, "version": version, "compose": compose})

    def publish_package(self, app: str, version: str, files: Mapping[str, str]) -> Any:
        archive = pack({name: text.encode() for name, text in files.items()})
        return self.call("POST", "/releases", {"app": app, "version": version, "archive": base64.b64encode(archive).decode()})

    def deploy(self, release: str, devices: Sequence[str], **more: Any) -> Any:
        return self.call("POST", "/deployments", {"release": release, "target": {"devices": list(devices)}, **more})

    def redeploy(self, deployment: str, **changes: Any) -> Any:
        return self.change(f"/deployments/{deployment}", changes)

    def device(self, device: str) -> Any:
        return self.call("GET", f"/devices/{device}")

    def app(self, device: str, app: str) -> Any:
        return next((one for one in self.device(device)["apps"] if one["app"] == app), None)

    def timeline(self, device: str) -> list[Any]:
        """Everything the plane knows of a device's life, oldest first."""
        found: list[Any] = []
        cursor = ""
        while True:
            page = self.call("GET", f"/devices/{device}/timeline", limit=200, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page.get("next") or ""
            if not cursor:
                return found[::-1]

    def receipts(self, device: str) -> list[Any]:
        return [json.loads(item["body"]) for item in self.timeline(device) if item["kind"] == "receipt"]

    def wait_app(self, device: str, app: str, version: str, phase: str = "soaked", seconds: float = 90) -> Any:
        return eventually(
            lambda: self.app(device, app),
            lambda one: one is not None and one["version"] == version and one["phase"] == phase,
            seconds,
            what=f"{app} {version} is {phase} on {device}",
        )

    def command(self, device: str, verb: str, seconds: float = 60, **arguments: Any) -> Any:
        made = self.call("POST", f"/devices/{device}/commands", {"verb": verb, **arguments})
        return eventually(lambda: self.call("GET", f"/commands/{made['id']}"), lambda one: one["outcome"] != "open", seconds, what=f"{verb} has ended")


class AgentProcess:
    """An agent with its data under `folder`. `program` is how it is started: the zipapp in a bare interpreter unless told otherwise."""

    def __init__(self, folder: Path, engine: Engine, program: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "agent"
        self.engine = engine
        self.program = list(program)
        self.environment = {**PLAIN_ENVIRONMENT, **(environment or {})}
        self.log = folder / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def _command(self, *arguments: str) -> list[str]:
        return [*self.program, *arguments, "--data-dir", str(self.data)]

    def cli(self, *arguments: str, check: bool = True, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, timeout=seconds, check=False, env=self.environment)
        if check and done.returncode:
            raise AssertionError(f"penstock-agent {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.tail()}")
        return done

    def ask(self, *arguments: str, seconds: float = 60) -> Any:
        return json.loads(self.cli(*arguments, "--json", seconds=seconds).stdout)

    def enroll(self, join: str, name: str, *more: str) -> subprocess.Popen[str]:
        """Begins to enrol; ends when it has been let in."""
        return subprocess.Popen(
            self._command("enroll", join, "--name", name, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )

    def start(self, *more: str) -> None:
        assert self.process is None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command("run", "--engine", f"unix://{self.engine.socket}", *more), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )

    def status(self) -> Any:
        """What `status --json` of the running agent answers, without the cost of a new interpreter; {} while it does not answer."""
        try:
            reply = ask(Places(str(self.data)).control, {"verb": "status"})
        except NotRunning:
            return {}
        assert reply.ok, reply.why
        return reply.data

    def app(self, app: str) -> Any:
        """How an app stands, as the running agent says; {} where it knows none of that name."""
        return next((one for one in self.status().get("apps", []) if one["app"] == app), {})

    def wait_app(self, app: str, version: str, phase: str = "soaked", seconds: float = 60) -> Any:
        return eventually(
            lambda: self.app(app),
            lambda one: one.get("version") == version and one.get("phase") == phase,
            seconds,
            what=f"{app} {version} is {phase}, as the device says",
        )

    def wait_up(self, seconds: float = 30) -> None:
        """Until the running agent itself answers."""
        eventually(self.status, bool, seconds, what="the agent answers")

    def entries(self, kind: str = "", count: int = 200) -> list[Any]:
        """The newest entries of the device log, as the device shows them: their bodies, of one kind."""
        shown = [json.loads(line) for line in self.cli("log", "-n", str(count), "--json").stdout.splitlines()]
        return [json.loads(one["body"]) for one in shown if not kind or one["kind"] == kind]

    def tail(self, size: int = 6000) -> str:
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(sign)
        return process.wait(60)

    def stop(self) -> None:
        self.end()

    def kill(self) -> None:
        self.end(signal.SIGKILL)


class House:
    """A plane, its agents, and the fixtures' images; closed as a whole."""

    def __init__(self, folder: Path, images: Any, agent_program: Sequence[str]) -> None:
        self.folder = folder
        self.images = images
        self.agent_program = list(agent_program)
        self.plane = PlaneProcess(folder / "plane")
        self.agents: list[AgentProcess] = []

    def open(self, *, poll_s: int = 5) -> None:
        self.plane.init()
        self.plane.start()
        self.plane.mint_token()
        self.plane.call("POST", "/sites", {"name": "lab"})
        self.plane.change("/settings", {"poll_s": poll_s})

    def join(self, **more: Any) -> str:
        made = self.plane.call("POST", "/sites/lab/join-tokens", {"auto_approve": True, **more})
        return str(made["join"])

    def agent(
        self,
        engine: Engine,
        name: str = "press-7",
        *,
        program: Sequence[str] = (),
        run: Sequence[str] = (),
        enrol: bool = True,
        start: bool = True,
        **more: Any,
    ) -> AgentProcess:
        """An enrolled, running agent on `engine`."""
        agent = AgentProcess(self.folder / f"agent-{name}", engine, program or self.agent_program, **more)
        self.agents.append(agent)
        if enrol:
            asking = agent.enroll(self.join(), name)
            output, _ = asking.communicate(timeout=60)
            assert asking.returncode == 0, output
        if start:
            agent.start(*run)
        return agent

    def close(self) -> None:
        for agent in self.agents:
            agent.end(signal.SIGKILL)
        self.plane.end(signal.SIGKILL)


@contextmanager
def house_in(folder: Path, images: Any, program: Sequence[str]) -> Iterator[House]:
    house = House(folder, images, program)
    try:
        house.open()
        yield house
    finally:
        house.close()
