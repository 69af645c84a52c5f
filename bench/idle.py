"""An agent at rest: memory, bytes on the wire and bytes written, all of the same process in the same half hour.

Owns the network namespace in which that agent lives, so that the interface's own counters tell what it sent, and the waiting. Memory is sampled in
the first five minutes of the window.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import procs
from bench.place import NOTE, PYTHON, SHORT, device, log, release
from bench.results import Result
from tests.e2e.house import AgentProcess
from tests.needs import which

KEYS = ("agent.pss_idle_kib", "agent.idle_wire_bytes_per_day", "agent.idle_disk_bytes_per_day")
DAY_S = 86_400
SETTLE_S = 20 if SHORT else 130  # two polls
WINDOW_S = 70 if SHORT else 1800
SAMPLE_S = 10
SAMPLES_S = 40 if SHORT else 300
# Of this run alone: two runs at once must not take each other's network away.
NAME = f"penstock-bench-{os.getpid()}"
OUTER, INNER = f"pbo{os.getpid()}", f"pbi{os.getpid()}"
HOST, PEER = f"10.250.{os.getpid() % 250}.1", f"10.250.{os.getpid() % 250}.2"


def ip(*words: str, check: bool = True) -> str:
    return subprocess.run([str(which("ip")), *words], check=check, capture_output=True, text=True).stdout


@contextmanager
def namespace() -> Iterator[None]:
    """A network of its own, joined to this one by a pair of interfaces."""
    ip("netns", "add", NAME)
    try:
        ip("link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", NAME)
        ip("addr", "add", f"{HOST}/30", "dev", OUTER)
        ip("link", "set", OUTER, "up")
        ip("-n", NAME, "addr", "add", f"{PEER}/30", "dev", INNER)
        ip("-n", NAME, "link", "set", "lo", "up")
        ip("-n", NAME, "link", "set", INNER, "up")
        yield
    finally:
        _remove()


def _remove() -> None:
    ip("link", "del", OUTER, check=False)
    ip("netns", "del", NAME, check=False)


def _wire() -> int:
    """Bytes that passed the interface, both ways, as the kernel counts them (with Ethernet headers)."""
    found = json.loads(ip("-n", NAME, "-s", "-j", "link", "show", "dev", INNER))[0]
    counters = found.get("stats64") or found["stats"]
    return int(counters["rx"]["bytes"]) + int(counters["tx"]["bytes"])


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    with namespace(), device(poll_s=60, address=HOST) as (house, engine):
        release(house, "1", interval=30, soak=2, deadline=120)
        agent = house.agent(engine)
        house.plane.deploy("line:1", ["press-7"])
        agent.wait_app("line", "1", seconds=180)
        agent.stop()  # images were fetched where the engine reaches the agent; at rest it needs only the plane
        agent.program = [str(which("ip")), "netns", "exec", NAME, *agent.program]
        agent.start()
        agent.wait_up()
        # A device that has just come, or changed, is given long polls for ten minutes; a plane that was restarted remembers no such thing.
        house.plane.stop()
        house.plane.start()
        log(f"settling for {SETTLE_S} s")
        time.sleep(SETTLE_S)
        yield from _window(agent, wanted)


def _window(agent: AgentProcess, wanted: frozenset[str]) -> Iterator[Result]:
    assert agent.process is not None
    pid = agent.process.pid
    began = time.monotonic()
    wire, disk = _wire(), procs.written_bytes(pid)
    window = WINDOW_S if wanted - {"agent.pss_idle_kib"} else SAMPLES_S
    samples: list[int] = []
    plain: list[int] = []
    while time.monotonic() - began < SAMPLES_S:
        samples.append(procs.pss_alone_kib(pid))
        plain.append(procs.pss_kib(pid))
        time.sleep(SAMPLE_S)
    if "agent.pss_idle_kib" in wanted:
        how = (
            f"median of {len(samples)} samples over {SAMPLES_S} s (least {min(samples)}, most {max(samples)}), children counted, every page of a mapped file counted "
            f"in full, which is Pss where no other process maps the interpreter or any of its libraries; plain Pss beside what else ran here: "
            f"{statistics.median(plain):.0f}; {PYTHON} -I -S penstock-agent.pyz, 60 s poll over HTTPS, two-service app deployed on Docker.{NOTE}"
        )
        yield Result("agent.pss_idle_kib", statistics.median(samples), how)
    time.sleep(max(0.0, window - (time.monotonic() - began)))
    took = time.monotonic() - began
    wire, disk = _wire() - wire, procs.written_bytes(pid) - disk
    if agent.process.poll() is not None or agent.app("line").get("phase") != "soaked":
        raise RuntimeError(f"the agent was not at rest at the end of the window: {agent.tail(1500)}")
    profile = "60 s poll over HTTPS kept alive, two-service app deployed, nobody watching"
    if "agent.idle_wire_bytes_per_day" in wanted:
        how = (
            f"{wire} bytes in {took:.0f} s on the interface of the agent's own network namespace, both ways, Ethernet headers counted, scaled; {profile}.{NOTE}"
        )
        yield Result("agent.idle_wire_bytes_per_day", wire * DAY_S / took, how)
    if "agent.idle_disk_bytes_per_day" in wanted:
        how = f"{disk} bytes in {took:.0f} s, write_bytes of /proc/PID/io with children, scaled; {profile}.{NOTE}"
        yield Result("agent.idle_disk_bytes_per_day", disk * DAY_S / took, how)
