"""Secrets that only the container sees; the agent that ends between polls; the agent in a container of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.e2e.house import AgentProcess, House, eventually
from tests.e2e.recipes import release
from tests.engines import Engine
from tests.needs import cannot, needs
from tools.agentimage import build_image
from tools.debs import DebsError

SECRET = "hunter2-Schluessel-4711"
OTHER = "hunter3-Schluessel-4712"
WITH_SECRET = """\
name: vault
services:
  one:
    image: {image}
    environment:
      PASSWORD: "${{PASSWORD}}"
      PLAIN: visible
    healthcheck: {{test: [CMD, /bin/app, check], interval: 1s, timeout: 3s, retries: 2}}
    stop_grace_period: 1s
x-penstock: {{soak: 1s, deadline: 20s, secrets: [PASSWORD]}}
"""


def holding(folder: Path, *words: str) -> list[str]:
    """Files in which one of the words stands in clear."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [f"{path}: {word}" for word in words if word.encode() in data]
    return found


def test_a_secret_reaches_the_container_and_nobody_else(home: House, box: Engine) -> None:
    plane = home.plane
    agent = home.agent(box, "vault-1")
    image = plane.push(home.images.make("vault"), "vault/one:1", home.images)
    plane.publish("vault", "1", WITH_SECRET.format(image=image))
    deployment = plane.deploy("vault:1", ["vault-1"], secrets={"PASSWORD": SECRET})["id"]
    plane.wait_app("vault-1", "vault", "1")
    first = box.inspect("vault-one-1")
    assert {f"PASSWORD={SECRET}", "PLAIN=visible"} <= set(first["Config"]["Env"])

    looked = plane.command("vault-1", "inspect", app="vault", service="one")
    assert looked["outcome"] == "done"
    assert "visible" in looked["output"]
    said = [looked, plane.device("vault-1"), plane.timeline("vault-1"), plane.call("GET", f"/deployments/{deployment}"), plane.call("GET", "/releases/vault:1")]
    said += [plane.call("GET", "/history"), agent.status(), agent.cli("log", "-n", "200", "--json").stdout, agent.cli("why").stdout]

    plane.redeploy(deployment, secrets={"PASSWORD": OTHER})
    eventually(
        lambda: f"PASSWORD={OTHER}" in box.inspect("vault-one-1")["Config"]["Env"] if "vault-one-1" in box.containers() else False,
        bool,
        60,
        what="the new value",
    )
    plane.wait_app("vault-1", "vault", "1")
    assert box.inspect("vault-one-1")["Id"] != first["Id"]
    said += [
        plane.device("vault-1"),
        plane.timeline("vault-1"),
        plane.call("GET", f"/deployments/{deployment}"),
        plane.command("vault-1", "logs", app="vault", service="one"),
    ]
    text = json.dumps(said)
    assert (SECRET in text, OTHER in text) == (False, False)
    # Databases, journals, ledgers, device log, and what both programs printed.
    assert holding(plane.folder, SECRET, OTHER) == []
    assert holding(agent.folder, SECRET, OTHER) == []


def test_the_sparing_mode_stays_while_there_is_work_and_ends_otherwise(home: House, box: Engine) -> None:
    plane = home.plane
    agent = home.agent(box, "sparing-1", start=False)
    release(home, "1", app="spare", soak=2)

    def once() -> int:
        agent.start("--sparing")
        assert agent.process is not None
        code = agent.process.wait(90)
        agent.process = None
        return code

    assert once() == 0
    assert agent.cli("status").returncode == 0, "status answers from what was last written down"
    known = plane.device("sparing-1")
    assert (known["summary"]["status"], known["facts"]["engine"]) == ("Idle", "docker"), "it said how it stands before it ended"
    plane.deploy("spare:1", ["sparing-1"])
    assert once() == 0
    told = json.loads(agent.cli("status", "--json").stdout)
    assert [(one["app"], one["version"]) for one in told["apps"]] == [("spare", "1")]
    assert box.containers() == ["spare-page-1", "spare-writer-1"]
    assert plane.app("sparing-1", "spare")["phase"] == "soaked", "it stayed until the change had soaked, and said so before it ended"
    assert [one["verdict"] for one in plane.receipts("sparing-1")] == ["soaked"]
    before = len(plane.timeline("sparing-1"))
    assert once() == 0
    assert len(plane.timeline("sparing-1")) <= before + 1, "a waking that finds nothing new is not worth an entry"


class Contained(AgentProcess):
    """An agent in a container with host networking, beside the containers it looks after."""

    IMAGE = "localhost/penstock-agent:e2e"

    def __init__(self, folder: Path, engine: Engine) -> None:
        options = ["--network", "host", "-v", f"{engine.socket}:/run/docker.sock", "-v", f"{folder / 'agent'}:{folder / 'agent'}"]
        super().__init__(folder, engine, [*engine.cli_command, "run", "--rm", "--name", "penstock-agent", *options, self.IMAGE], environment=engine.environment)
        self.data.mkdir()

    def start(self, *more: str) -> None:
        assert self.process is None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command("run", *more), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)


@needs("dpkg")
def test_the_agent_in_a_container_looks_after_the_engine_it_stands_on(home: House, box: Engine, tmp_path: Path) -> None:
    try:
        image = build_image()
    except DebsError as fault:
        cannot(f"packages for the agent's image: {fault}")
    box.cli("load", "-i", str(image.write_docker_archive(tmp_path / "agent.tar", Contained.IMAGE)))
    plane = home.plane
    agent = Contained(home.folder / "agent-inside", box)
    home.agents.append(agent)
    said, _ = (asking := agent.enroll(home.join(), "inside-1")).communicate(timeout=60)
    assert asking.returncode == 0, said
    release(home, "1", app="inside", soak=1)
    release(home, "2", app="inside", soak=1, UNHEALTHY="1")
    agent.start()
    deployment = plane.deploy("inside:1", ["inside-1"])["id"]
    plane.wait_app("inside-1", "inside", "1")
    assert box.containers() == ["inside-page-1", "inside-writer-1", "penstock-agent"]
    plane.redeploy(deployment, release="inside:2")
    receipts = eventually(lambda: plane.receipts("inside-1"), lambda found: len(found) == 2, 90, what="the failed update has gone back")
    assert [(one["to_version"], one["verdict"]) for one in receipts] == [("1", "soaked"), ("2", "failed-reverted")]
    assert box.cli("exec", "inside-writer-1", "/bin/cat", "/data/log").split() == ["inside-1", "inside-1"]
    assert plane.device("inside-1")["strangers"] == []
    before = box.inspect("inside-writer-1")["State"]["StartedAt"]
    box.cli("stop", "-t", "5", "penstock-agent")
    agent.end()
    agent.start()
    eventually(agent.status, lambda status: bool(status) and [one["app"] for one in status["apps"]] == ["inside"], 60, what="the agent is back")
    assert box.inspect("inside-writer-1")["State"]["StartedAt"] == before
