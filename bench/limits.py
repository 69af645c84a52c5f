"""How little memory the agent's container needs: deploy, upgrade and revert inside a cgroup limit, with a cold page cache.

Owns the search: the time without a limit first, then smaller and smaller limits, each of which must be as fast five times of five. The agent's image
is the delivered one, from `make package`; the limit is Docker's --memory with no swap.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench import procs
from bench.place import NOTE, SHORT, device, log, release
from bench.results import Result
from penstock.agent.control import NotRunning, ask
from penstock.agent.places import Places
from tests.e2e.house import AgentProcess, House, eventually
from tests.engines import Engine
from tools.agentimage import build_image

KEYS = ("agent.deploy_cgroup_mib",)
IMAGE = "localhost/penstock-agent:bench"
LIMITS = (24, 20) if SHORT else (32, 28, 24, 22, 20, 18, 16, 14, 12)
TIMES = 1 if SHORT else 5
SLOWER = 1.2
PAYLOAD = 2 * 1024 * 1024
PATIENCE_S = 90.0


class ContainerAgent(AgentProcess):
    """An agent in a container, seen from outside through its data folder."""

    def run(self, mib: int) -> None:
        """Start it anew with that limit (0: none), with every page of its image out of the cache."""
        self.remove()
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
        limit = ["--memory", f"{mib}m", "--memory-swap", f"{mib}m"] if mib else []
        self.engine.cli("run", "-d", "--name", "bench-agent", *limit, *self.mounts(), IMAGE, "run", "--engine", "unix:///run/docker.sock")

    def mounts(self) -> list[str]:
        return ["--network", "host", "-v", f"{self.engine.socket}:/run/docker.sock", "-v", f"{self.data}:/var/lib/penstock-agent"]

    def remove(self) -> None:
        self.engine.cli("rm", "-f", "bench-agent", check=False)


def measure(_wanted: frozenset[str]) -> Iterator[Result]:
    with device(poll_s=10) as (house, engine):
        engine.load(build_image().write_docker_archive(house.folder / "agent.tar", IMAGE))
        agent = ContainerAgent(house.folder / "boxed", engine, [])
        agent.data.mkdir(mode=0o700)
        engine.cli("run", "--rm", *agent.mounts(), IMAGE, "enroll", house.join(), "--name", "press-7")
        try:
            yield _search(house, engine, agent)
        finally:
            agent.remove()


def _search(house: House, engine: Engine, agent: ContainerAgent) -> Result:
    free = [_cycle(house, engine, agent, 0, number) for number in range(1 if SHORT else 3)]
    allowed = statistics.median(free) * SLOWER
    log(f"without a limit: {', '.join(f'{one:.1f}' for one in free)} s")
    least, told = 0, []
    for mib in LIMITS:
        took = []
        for number in range(TIMES):
            try:
                took.append(_cycle(house, engine, agent, mib, number))
            except AssertionError:
                took.append(float("inf"))
            if took[-1] > allowed:
                break
        log(f"{mib} MiB: {', '.join(f'{one:.1f}' for one in took)} s (allowed {allowed:.1f})")
        told.append(f"{mib} MiB: {max(took):.1f} s at most")
        if max(took) > allowed or len(took) < TIMES:
            break
        least = mib
    if not least:
        raise RuntimeError(f"not even {LIMITS[0]} MiB were enough: {'; '.join(told)}")
    how = (
        f"least --memory of the agent's container (no swap, page cache dropped before each start) where start, deploy with {PAYLOAD >> 20} MiB of new layers, "
        f"upgrade and local revert took at most {SLOWER} times the {statistics.median(free):.1f} s without a limit, {TIMES} of {TIMES}; {'; '.join(told)}; {procs.busy()}.{NOTE}"
    )
    return Result("agent.deploy_cgroup_mib", least, how)


def _cycle(house: House, engine: Engine, agent: ContainerAgent, mib: int, number: int) -> float:
    """Start, deploy, upgrade, revert; how long that took. A slow container is given up (AssertionError)."""
    app = f"box{mib}x{number}"
    for version in ("1", "2"):
        release(house, version, app=app, line=version, payload=PAYLOAD)
    agent.run(mib)
    began = time.monotonic()
    deployment = house.plane.deploy(f"{app}:1", ["press-7"])["id"]
    try:
        house.plane.wait_app("press-7", app, "1", seconds=PATIENCE_S)
        house.plane.redeploy(deployment, release=f"{app}:2")
        house.plane.wait_app("press-7", app, "2", seconds=PATIENCE_S)
        eventually(lambda: _revert(agent, app), bool, PATIENCE_S, 0.2, f"{app} may be reverted")
        house.plane.wait_app("press-7", app, "1", seconds=PATIENCE_S)
        return time.monotonic() - began
    finally:
        if _killed(engine):
            log(f"{mib} MiB: the kernel ended a process of the agent for want of memory")
        agent.run(0)  # the next cycle finds nothing of this one
        house.plane.change(f"/deployments/{deployment}", {"reason": "the next measurement"}, "POST", "/withdraw")
        eventually(lambda: [name for name in engine.containers() if name.startswith(f"{app}-")], lambda left: not left, 180, 0.5, "the app is gone")


def _revert(agent: ContainerAgent, app: str) -> bool:
    try:
        return ask(Places(str(agent.data)).control, {"verb": "revert", "app": app}).ok
    except NotRunning:
        return False


def _killed(engine: Engine) -> bool:
    return bool(engine.inspect("bench-agent")["State"].get("OOMKilled"))
