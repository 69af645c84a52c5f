"""Inside a container, through the engine: running a command, reading what it wrote, showing how it is made.

Owns the engine's stream format and the hiding of secret values. Decides nothing about what the output means.
"""

from __future__ import annotations

import json
import os

from penstock.agent.http1 import HttpError
from penstock.agent.runtimes import ExecResult, RuntimeFault
from penstock.agent.runtimes.dockerorders import secret_names
from penstock.agent.runtimes.engine import EngineError, fault_of, query
from penstock.rules.observed import LABEL_SECRETS, LABEL_TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.runtimes.engine import EngineClient


def run(client: EngineClient, version: str, container: str, command: tuple[str, ...], timeout_ms: int, limit_bytes: int) -> ExecResult:
    """Run a command inside a running container; one that does not end in time is killed where its process can be told for certain."""
    doing = "running a command in a container"
    output, timed_out = Demultiplexer(limit_bytes), False
    try:
        body = {"AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": list(command)}
        session = str(client.call("POST", f"{version}/containers/{container}/exec", doing, body=body)["Id"])
        try:
            _attend(client, f"{version}/exec/{session}/start", doing, timeout_ms / 1000, output)
        except RuntimeFault as fault:
            if fault.code != "engine-timeout":
                raise
            timed_out = True
        state = client.call("GET", f"{version}/exec/{session}/json", doing)
    except EngineError as error:
        raise fault_of(error) from None
    state = state if isinstance(state, dict) else {}
    code, pid = state.get("ExitCode"), state.get("Pid")
    if timed_out:
        _kill_inside(container, pid if isinstance(pid, int) else 0)
        return ExecResult(-1, output.text(), timed_out=True)
    return ExecResult(code if isinstance(code, int) else -1, output.text())


def _attend(client: EngineClient, target: str, doing: str, timeout_s: float, output: Demultiplexer) -> None:
    with client.connect() as connection:
        try:
            answer = client.send(
                connection,
                "POST",
                target,
                doing,
                body=b'{"Detach":false,"Tty":false}',
                headers={"Content-Type": "application/json"},
                timeout_s=timeout_s,
            )
            for piece in answer.chunks():
                output.feed(piece)
        except HttpError as fault:
            raise client.broken(fault, doing) from None


def logs(client: EngineClient, version: str, container: str, lines: int, limit_bytes: int) -> str:
    """The last lines a container wrote, both outputs in the engine's order."""
    doing = "reading a container's log"
    output = Demultiplexer(limit_bytes)
    target = f"{version}/containers/{container}/logs{query(stdout=True, stderr=True, follow=False, tail=max(1, lines))}"
    with client.connect() as connection:
        try:
            for piece in client.send(connection, "GET", target, doing).chunks():
                output.feed(piece)
        except EngineError as error:
            raise fault_of(error) from None
        except HttpError as fault:
            raise client.broken(fault, doing) from None
    return output.text()


def shown(plain: dict[str, Any], limit_bytes: int) -> str:
    """An inspect answer as JSON text without secret values. Where neither label of ours is left, every variable's value is hidden, since
    nothing then tells which were secret."""
    config = plain.get("Config") or {}
    labels = config.get("Labels") or {}
    names = secret_names(str(labels.get(LABEL_SECRETS, "")))[1]
    ours = LABEL_TOKEN in labels
    lines = []
    for line in config.get("Env") or ():
        name, _, value = str(line).partition("=")
        lines.append(f"{name}={'(hidden)' if name in names or not ours else value}")
    text = json.dumps({**plain, "Config": {**config, "Env": lines}}, indent=1, sort_keys=True)
    return text if len(text) <= limit_bytes else text[: limit_bytes - 16] + "\n... (cut)"


def _kill_inside(container: str, pid: int) -> None:
    """End a command that did not. Its process id is the host's; from another pid namespace it would name somebody else, so it is
    used only where the kernel says that process belongs to the container."""
    if pid <= 1:
        return
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii", errors="replace") as file:
            if container not in file.read(65536):
                return
        os.kill(pid, 9)
    except OSError:
        return  # it ended by itself


class Demultiplexer:
    """The engine's stream of two outputs in frames (API, ContainerAttach, "Stream format"): keeps the newest `limit` bytes of both."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self._left = 0
        self._kept = bytearray()

    def feed(self, data: bytes) -> None:
        """The next bytes of the stream."""
        view = memoryview(data)
        while view:
            if self._left:
                part = view[: self._left]
                self._kept += part
                self._left -= len(part)
                view = view[len(part) :]
                if len(self._kept) > 2 * self._limit:
                    del self._kept[: -self._limit]
                continue
            part = view[: 8 - len(self._head)]
            self._head += part
            view = view[len(part) :]
            if len(self._head) == 8:
                self._left = int.from_bytes(self._head[4:8], "big")
                self._head.clear()

    def text(self) -> str:
        """What was kept, as text; a line cut at the front is dropped."""
        kept = bytes(self._kept)
        if len(kept) > self._limit:
            kept = kept[-self._limit :]
            kept = kept[kept.find(b"\n") + 1 :]
        return kept.decode("utf-8", "replace")
