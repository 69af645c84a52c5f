"""The control plane's numbers: polls and reports by wrk, ten thousand connections by bench.swarm, a deployment changed over the whole fleet.

Owns one plane with a fleet on paper (see `paperfleet`) for all of them. Processor time is the plane's own, from /proc; the load generators run
beside it on the same machine, so rates are told by processor second and not by the clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bench import paperfleet, procs
from bench.place import NOTE, SHORT, house, log, release
from bench.results import Result
from penstock import crypto
from tests.e2e.house import ROOT, House, PlaneProcess
from tests.needs import which
from tests.server.paper import PaperDevice

KEYS = (
    "checkin.unchanged_per_s_core",
    "checkin.unchanged_p99_ms",
    "checkin.report_per_s_core",
    "plane.reconnect_10k_s",
    "plane.rss_10k_mib",
    "plane.cpu_10k_percent",
    "store.deploy_change_10k_s",
)
FLEET = 300 if SHORT else 10_000
REPORTING = 2_000  # devices whose reports are measured
CONNECTIONS = 200
SECONDS = 3 if SHORT else 20
POLL_S = 60
WATCH_S = 15 if SHORT else 300
SETTLE_S = 20 if SHORT else 90
ROUNDS = 3  # of reports; neighbours of this machine take a third of it for a while, and give it back: the best round is told, and the others beside it
REPORTS = 2_000 if SHORT else 16_000  # of one round
PROFILE = "HTTPS ended in the product, connections kept alive, two-service app deployed and at rest on each device"


def measure(wanted: frozenset[str]) -> Iterator[Result]:
    """The wanted numbers, each as soon as it is had."""
    with house(poll_s=POLL_S) as home:
        for version in ("1", "2", "3", "4"):
            release(home, version, line=version)
        home.plane.stop()
        small = all(key.startswith("checkin.") for key in wanted)  # what a check-in costs does not need all ten thousand
        fleet = paperfleet.make(home.plane.data, min(FLEET, REPORTING) if small else FLEET, "1", log)
        home.plane.start()
        home.plane.mint_token()
        lines = home.folder / "fleet.txt"
        lines.write_text(fleet.lines())
        if wanted & {"checkin.unchanged_per_s_core", "checkin.unchanged_p99_ms"}:
            yield from _unchanged(home, fleet, wanted)
        if "checkin.report_per_s_core" in wanted:
            yield _reports(home, fleet)
        if wanted & {"plane.reconnect_10k_s", "plane.rss_10k_mib", "plane.cpu_10k_percent"}:
            for one in _swarm(home, lines):
                if one.key in wanted:
                    yield one
        if "store.deploy_change_10k_s" in wanted:
            yield _change(home, fleet)


def _pid(plane: PlaneProcess) -> int:
    assert plane.process is not None
    return plane.process.pid


def _wrk(home: House, kind: str, file: Path, seconds: float, pace_ms: float = 0.0) -> dict[str, float]:
    """One run of wrk: what its script says, and the plane's processor seconds meanwhile (`cpu`)."""
    script = Path(__file__).with_name("load.lua")
    command = [str(which("wrk")), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(script), home.plane.url]
    before = procs.cpu_seconds(_pid(home.plane))
    done = subprocess.run([*command, "--", kind, str(file), f"{pace_ms:g}"], capture_output=True, text=True, check=True, timeout=seconds + 120)
    time.sleep(1)  # what was put off until after the answer counts too
    cpu = procs.cpu_seconds(_pid(home.plane)) - before
    found = dict(json.loads(done.stdout.strip().splitlines()[-1]))
    if found["wrong"] or found["broken"]:
        raise RuntimeError(f"wrk {kind}: {found['wrong']:g} answers were not the expected one, {found['broken']:g} connections failed; {home.plane.tail(1500)}")
    return {**found, "cpu": cpu}


def _unchanged(home: House, fleet: paperfleet.Fleet, wanted: frozenset[str]) -> Iterator[Result]:
    file = home.folder / "polls.txt"
    file.write_text("".join(f"{device.token} {device.etag}\n" for device in fleet.devices[:CONNECTIONS]))
    _wrk(home, "poll", file, 2)  # warm
    full = _wrk(home, "poll", file, SECONDS)
    rate = full["requests"] / full["seconds"]
    if "checkin.unchanged_per_s_core" in wanted:
        how = (
            f"wrk, {CONNECTIONS} TLS connections of as many devices, bearer token and If-None-Match, every answer 304; {full['requests']:.0f} requests in "
            f"{full['seconds']:.0f} s ({rate:.0f}/s by the clock) over {full['cpu']:.2f} processor seconds of the plane, the handshakes included; {PROFILE}; {procs.busy()}.{NOTE}"
        )
        yield Result("checkin.unchanged_per_s_core", full["requests"] / full["cpu"], how)
    if "checkin.unchanged_p99_ms" in wanted:
        pace = CONNECTIONS / (rate / 2) * 1000
        half: dict[str, float] = {}
        for _ in range(4):  # the pause of each connection is shortened until half the load really arrives
            half = _wrk(home, "poll", file, SECONDS, pace)
            got = half["requests"] / half["seconds"]
            if 0.9 <= got / (rate / 2) <= 1.1:
                break
            pace = max(0.1, pace + (2 / rate - 1 / got) * CONNECTIONS * 1000)
        how = f"99th percentile at {half['requests'] / half['seconds']:.0f}/s, about half of {rate:.0f}/s, {CONNECTIONS} TLS connections, wrk; {procs.busy()}.{NOTE}"
        yield Result("checkin.unchanged_p99_ms", half["p99_ms"], how)


def _reports(home: House, fleet: paperfleet.Fleet) -> Result:
    """Each device's reports in order; a device comes round again only long after the answer, so that its chain holds."""
    among = fleet.devices[:REPORTING]
    turns = max(1, REPORTS // len(among))
    first = home.folder / "first.txt"
    _prepare(first, among, range(1))
    rounds: list[float] = []
    signatures: list[float] = []
    sizes: list[int] = []
    with _one_core(_pid(home.plane)):
        for _ in range(2):  # warm: everybody has been heard once, also those whose first request was under way at the end
            _wrk(home, "report", first, SECONDS)
        for number in range(ROUNDS):
            file = home.folder / f"reports{number}.txt"
            sizes = _prepare(file, among, range(1 + number * turns, 1 + (number + 1) * turns))
            before = _observations(home)
            found = _wrk(home, "report", file, 120)  # it ends when all are sent
            kept = _observations(home) - before
            if kept != len(sizes):
                raise RuntimeError(f"{found['requests']:.0f} of {len(sizes)} reports were answered, and {kept} observations came into the database")
            signatures.append(_signatures_a_second())
            rounds.append(kept / found["cpu"])  # a few hundred sent once more at the end are not counted, though they cost something
            log(f"round {number + 1}: {rounds[-1]:.0f} reports a processor second")
    how = (
        f"the plane on one core; wrk, {CONNECTIONS} TLS connections, {len(among)} of {len(fleet.devices)} devices, heard once before, {len(sizes)} chained reports of "
        f"{sum(sizes) / len(sizes):.0f} bytes signed beforehand, each verified and in SQLite (WAL, synchronous=FULL) before its answer, by processor second of the plane; "
        f"the best of {len(rounds)} rounds: {', '.join(f'{rate:.0f}' for rate in rounds)}; after each of them one core checked "
        f"{', '.join(f'{rate:.0f}' for rate in signatures)} signatures a second and did nothing else; {procs.busy()}.{NOTE}"
    )
    return Result("checkin.report_per_s_core", max(rounds), how)


def _signatures_a_second() -> float:
    """How fast this machine is just now: ECDSA signatures checked by processor second. A report costs one of these, one made, and all else."""
    key = crypto.generate_key()
    verifier, signature = crypto.Verifier(crypto.public_pem(key)), crypto.sign(key, b"a report")
    before = time.process_time()
    for _ in range(5_000):
        assert verifier.verify(b"a report", signature)
    return 5_000 / (time.process_time() - before)


def _prepare(file: Path, among: list[PaperDevice], turns: range) -> list[int]:
    """Write each device's reports of these turns; their sizes in bytes."""
    sizes = []
    with file.open("w") as out:
        for turn in turns:
            for device in among:
                body = paperfleet.next_report(device, turn).decode()
                sizes.append(len(body))
                out.write(f"{device.token} {body}\n")
    return sizes


def _observations(home: House) -> int:
    with sqlite3.connect(f"file:{home.plane.data}/plane.db?mode=ro", uri=True) as database:
        return int(database.execute("select count(*) from log_entries where kind = 'observation'").fetchone()[0])


@contextlib.contextmanager
def _one_core(pid: int) -> Iterator[None]:
    """Keep all threads of a process on one core: what is told per core is measured on one. (Two threads of Python that take turns cost more on two.)"""
    were = os.sched_getaffinity(pid)

    def keep(cores: set[int]) -> None:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)

    keep({min(were)})
    try:
        yield
    finally:
        keep(were)


class _Swarm:
    """The ten thousand devices, a process of their own."""

    def __init__(self, home: House, lines: Path) -> None:
        plane = home.plane
        command = [sys.executable, "-m", "bench.swarm", "127.0.0.1", str(plane.port), str(plane.ca), str(lines), str(POLL_S)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.marks = 0

    def look(self) -> dict[str, int]:
        """The newest line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulated devices ended with {self.process.wait(10)}")
        return dict(json.loads(line))

    def mark(self) -> None:
        """From now on, who is current counts anew."""
        stdin: IO[str] | None = self.process.stdin
        assert stdin is not None
        stdin.write("mark\n")
        stdin.flush()
        self.marks += 1

    def until_current(self, seconds: float) -> float:
        """Wait until all are; how long it took."""
        began = time.monotonic()
        while True:
            seen = self.look()
            if seen["marks"] == self.marks and seen["current"] >= FLEET and seen["connected"] >= FLEET:
                return time.monotonic() - began
            if time.monotonic() - began > seconds:
                raise RuntimeError(f"not all devices are current after {seconds:.0f} s: {seen}")

    def during(self, seconds: float) -> dict[str, int]:
        """Let time pass; the last line."""
        end = time.monotonic() + seconds
        seen = self.look()
        while time.monotonic() < end:
            seen = self.look()
        return seen

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)


def _swarm(home: House, lines: Path) -> Iterator[Result]:
    plane = home.plane
    plane.stop()
    plane.start()  # without what the earlier measurements left in its memory
    swarm = _Swarm(home, lines)
    try:
        log(f"all connected after {swarm.until_current(300):.0f} s")
        before_seen = swarm.during(SETTLE_S)
        cpu, began = procs.cpu_seconds(_pid(plane)), time.monotonic()
        seen = swarm.during(WATCH_S)
        cpu, took = procs.cpu_seconds(_pid(plane)) - cpu, time.monotonic() - began
        rss = procs.rss_kib(_pid(plane))
        if seen["connected"] < FLEET or seen["wrong"]:
            raise RuntimeError(f"the fleet was not whole at the end: {seen}")
        polls = seen["polls"] - before_seen["polls"]
        what = f"{FLEET} simulated devices, each a TLS connection kept alive, a poll each {POLL_S} s ({polls} polls in {took:.0f} s, all 304); {PROFILE}"
        yield Result(
            "plane.rss_10k_mib", rss / 1024, f"VmRSS of the plane's process with {what}; most ever {procs.peak_rss_kib(_pid(plane)) / 1024:.0f} MiB.{NOTE}"
        )
        yield Result("plane.cpu_10k_percent", cpu / took * 100, f"processor time of the plane over {took:.0f} s with {what}; {procs.busy()}.{NOTE}")
        plane.stop()
        swarm.mark()
        began = time.monotonic()
        plane.start()
        up = time.monotonic() - began
        swarm.until_current(300)
        took = time.monotonic() - began
        how = (
            f"from starting the plane's process again (ready after {up:.1f} s) until each of {FLEET} devices has a new TLS connection and the answer to a "
            f"poll; each tries again after a random 0 to 2 s, doubled to at most 10 s when it fails; {procs.busy()}.{NOTE}"
        )
        yield Result("plane.reconnect_10k_s", took, how)
    finally:
        swarm.close()


def _change(home: House, fleet: paperfleet.Fleet) -> Result:
    """The same deployment, aimed at a tenth, at half, at all of the fleet, and each time moved to another release."""
    plane = home.plane
    took: dict[int, float] = {}
    for lot, version in zip(paperfleet.LOTS, ("2", "3", "4"), strict=True):
        count = lot * FLEET // paperfleet.LOTS[-1]
        _moved(plane, fleet, {"target": {"selector": f"lot-{lot}=yes"}}, "")
        _moved(plane, fleet, {"release": "line:1"}, "")
        took[count] = _moved(plane, fleet, {"release": f"line:{version}"}, version, count)
        log(f"{count} devices: {took[count]:.2f} s")
    each = ", ".join(f"{count} devices {seconds:.2f} s ({seconds / count * 1e6:.0f} us each)" for count, seconds in took.items())
    how = f"PATCH of a deployment's release until every device's new document is signed and committed and none is owed: {each}; {procs.busy()}.{NOTE}"
    return Result("store.deploy_change_10k_s", took[max(took)], how)


def _moved(plane: PlaneProcess, fleet: paperfleet.Fleet, changes: dict[str, object], version: str, count: int = 0) -> float:
    """Change the deployment and wait until nothing is owed; how long it took. With `version`, `count` documents must have risen."""
    database = sqlite3.connect(f"file:{plane.data}/plane.db?mode=ro", uri=True, timeout=30)
    try:
        (total,) = database.execute("select sum(generation) from states").fetchone()
        began = time.monotonic()
        plane.change(f"/deployments/{fleet.deployment}", changes)
        while True:
            (owed,) = database.execute("select count(*) from outbox where topic = 'state'").fetchone()
            (now,) = database.execute("select sum(generation) from states").fetchone()
            if not owed and (not version or now - total >= count):
                break
            if time.monotonic() - began > 300:
                raise RuntimeError(f"after 300 s {owed} documents are owed and {now - total} of {count} have changed")
            time.sleep(0.05)
        if version and now - total != count:
            raise RuntimeError(f"{now - total} documents rose where {count} should have")
        return time.monotonic() - began
    finally:
        database.close()
