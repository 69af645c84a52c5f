"""From a click to a running container, and from a failed health check to the way back: the device's numbers on a real Docker Engine.

Owns both measurements on one agent. Times are taken from outside: the engine's own events and the agent's control socket.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

from bench import procs
from bench.place import NOTE, SHORT, device, log, release
from bench.results import Result
from tests.e2e.house import AgentProcess, House, eventually
from tests.engines import Engine

KEYS = ("deploy.click_to_running_s", "revert.deadline_to_confirmed_s")
TIMES = 1 if SHORT else 5
DEADLINE_S = 8


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    with device(poll_s=60) as (house, engine):
        release(house, "1", line="1")
        agent = house.agent(engine)
        deployment = house.plane.deploy("line:1", ["press-7"])["id"]
        agent.wait_app("line", "1", seconds=120)
        if "deploy.click_to_running_s" in wanted:
            yield _click(house, engine, agent, deployment)
        if "revert.deadline_to_confirmed_s" in wanted:
            yield _revert(house, engine, agent, deployment)


def _writer(engine: Engine, line: str) -> bool:
    """Whether the writer of that version runs."""
    status, found = engine.api("GET", "/containers/line-writer-1/json")
    return status == 200 and found["State"]["Running"] and f"LINE={line}" in found["Config"]["Env"]


def _click(house: House, engine: Engine, agent: AgentProcess, deployment: str) -> Result:
    took = []
    for turn in range(TIMES):
        version = f"1.{turn + 1}"
        release(house, version, line=version)
        time.sleep(2)
        began = time.monotonic()
        house.plane.redeploy(deployment, release=f"line:{version}")
        eventually(lambda line=version: _writer(engine, line), bool, 60, 0.02, f"the writer of {version} runs")  # type: ignore[misc]
        took.append(time.monotonic() - began)
        log(f"click to running: {took[-1]:.2f} s")
        agent.wait_app("line", version, seconds=90)
    how = (
        f"median of {TIMES} ({', '.join(f'{one:.2f}' for one in took)}): PATCH of the deployment sent until Docker says that the changed service's new "
        f"container runs; same image, other environment; long poll granted; the old container's stop and the volume's snapshot included; {procs.busy()}.{NOTE}"
    )
    return Result("deploy.click_to_running_s", statistics.median(took), how)


def _revert(house: House, engine: Engine, agent: AgentProcess, deployment: str) -> Result:
    took = []
    begun = ("claimed", "confirmed", "applying")
    for turn in range(TIMES):
        good = agent.app("line")["version"]
        version = f"9.{turn + 1}"
        release(house, version, line=version, unhealthy=True, deadline=DEADLINE_S)
        house.plane.redeploy(deployment, release=f"line:{version}")
        eventually(lambda: agent.app("line"), lambda one, to=version: one.get("target_version") == to and one["phase"] in begun, 60, 0.02)  # type: ignore[misc]
        house.plane.stop()
        since = time.time()
        eventually(lambda: agent.app("line").get("phase"), lambda word: word in ("reverting", "failed"), 90, 0.02, "it goes back")
        decided = time.time()
        eventually(lambda: agent.app("line"), lambda one, to=good: one.get("phase") == "failed" and one["version"] == to, 120, 0.02, "it is back")  # type: ignore[misc]
        confirmed = time.time()
        events = _events(engine, since - 60, confirmed)
        begun_at = max(at for at, _, what, name in events if what == "start" and name == "line-writer-1" and at < decided)
        deadline = min(decided, begun_at + DEADLINE_S)
        app_s = _app_seconds([event for event in events if event[0] >= deadline])
        took.append(confirmed - deadline - app_s)
        log(
            f"revert: {confirmed - deadline:.2f} s, of which {app_s:.2f} s are the app's own; decided {decided - begun_at - DEADLINE_S:+.2f} s from the deadline"
        )
        house.plane.start()
    how = (
        f"median of {TIMES} ({', '.join(f'{one:.2f}' for one in took)}), the plane stopped: from the health deadline ({DEADLINE_S} s after Docker started the bad container, or the agent's decision if earlier) until the agent  "
        f"says that the previous version is confirmed (phase 'failed', previous version), volume restored; without the time from signal to end of the bad "
        f"containers and from start to healthy of the previous ones, as Docker's events tell them; {procs.busy()}.{NOTE}"
    )
    return Result("revert.deadline_to_confirmed_s", statistics.median(took), how)


def _events(engine: Engine, since: float, until: float) -> list[tuple[float, str, str, str]]:
    """What Docker did with containers: (when, which, what, its name)."""
    lines = engine.cli("events", "--since", f"{since:.3f}", "--until", f"{until:.3f}", "--filter", "type=container", "--format", "{{json .}}").splitlines()
    found = [dict(json.loads(line)) for line in lines]
    return [(one["timeNano"] / 1e9, str(one["Actor"]["ID"]), str(one["Action"]), str(one["Actor"]["Attributes"].get("name", ""))) for one in found]


def _app_seconds(events: list[tuple[float, str, str, str]]) -> float:
    """How long the app's own processes took to end after the signal, and to become healthy after the start."""
    asked: dict[str, float] = {}
    begun: dict[str, float] = {}
    spans: list[tuple[float, float]] = []
    for at, who, what, _ in events:
        if what == "kill":
            asked.setdefault(who, at)
        elif what == "die" and who in asked:
            spans.append((asked.pop(who), at))
        elif what == "start":
            begun[who] = at
        elif what == "health_status: healthy" and who in begun:
            spans.append((begun.pop(who), at))
    return _covered(spans)


def _covered(spans: list[tuple[float, float]]) -> float:
    """The length of the union of the spans: what overlaps counts once."""
    total, end = 0.0, 0.0
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total
