"""Whether a service is well, from the engine's word, the container's own check and the agent's probes.

Owns the verdict per service, the condition one service waits for in another, and how a probe's results add up. Never decides what follows
from an illness (`plan` does).
"""

from __future__ import annotations

from penstock.rules.answers import ProbeView
from penstock.rules.memory import AppMemory, Unit
from penstock.rules.observed import Observation, ObservedContainer
from penstock.rules.ours import owned
from penstock.wire.log import ServiceStatus
from penstock.wire.record import record
from penstock.wire.types import AppState, Probe, Service

VERDICTS = (
    "well",  # running, and every check passes
    "starting",  # not judged yet
    "ill",  # running, and a check fails
    "down",  # made, and not running
    "finished",  # a job that ended well
    "missing",  # no container
)
ENDED_WELL = "it ended well"  # how `why` of a job that ended well begins


@record
class Verdict:
    """How one service is. `rule`: there is a check that can say so; without one, running counts as well.
    `running`: its process runs."""

    CHOICES = {"verdict": VERDICTS}

    service: str
    verdict: str
    why: str = ""
    rule: bool = True
    container: str = ""
    running: bool = False


def is_job(state: AppState, service: Service) -> bool:
    """Whether this service is meant to end: another waits for its completion, or it is restarted only on failure and nothing about it looks
    like a server (no published port, no check). A server that ends well on a shutdown must come back, so doubt means: not a job."""
    if service.restart in ("always", "unless-stopped"):
        return False
    if service.restart == "on-failure" and not (service.ports or service.probes or service.healthcheck):
        return True
    return any(need.service == service.name and need.condition == "completed" for other in state.services for need in other.depends_on)


def has_rule(state: AppState) -> bool:
    """Whether any service of the release can say by a check of its own that it is well. What an image brings is not known before it runs."""
    return any(service.probes or (service.healthcheck is not None and service.healthcheck.test[:1] != ("NONE",)) for service in state.services)


def probe_key(token: str, index: int) -> str:
    """The name of a probe: the container's intent token and its place in the service's list."""
    return f"{token}:{index}"


def probe_after(view: ProbeView, *, passed: bool, why: str, probe: Probe, age_ms: int) -> ProbeView:
    """How a probe stands after one more result; failures within the start period do not count until it has passed once."""
    if passed:
        return ProbeView(ok=True, fails=0, asked=True)
    if age_ms < probe.start_period_ms and not view.ok and view.fails == 0:
        return ProbeView(ok=False, fails=0, asked=True, why=why)
    fails = view.fails + 1
    return ProbeView(ok=view.ok and fails < max(probe.retries, 1), fails=fails, asked=True, why=why)


def verdict(state: AppState, service: Service, unit: Unit | None, container: ObservedContainer | None, probes: dict[str, ProbeView]) -> Verdict:
    """How one service is."""
    name = service.name
    if unit is not None and unit.finished:
        return Verdict(name, "finished", "it ended well and is not repeated", container=container.id if container else "")
    if unit is None or container is None:
        return Verdict(name, "missing", "there is no container for it")
    if container.state == "created":
        return Verdict(name, "starting", "made, not started yet" if not container.error else container.error, container=container.id)
    if container.state == "exited" and container.exit_code == 0 and is_job(state, service):
        return Verdict(name, "finished", ENDED_WELL, container=container.id)
    if container.state == "restarting":
        return Verdict(
            name, "down", f"the engine is restarting it after exit code {container.exit_code} ({container.restarts} times so far)", container=container.id
        )
    if container.state != "running":
        reason = "it was killed for using too much memory" if container.oom else f"it ended with exit code {container.exit_code}"
        if container.state == "paused":
            reason = "somebody paused it"
        if container.error:
            reason += f": {container.error}"
        return Verdict(name, "down", reason, container=container.id)
    return _running(service, unit, container, probes)


def _running(service: Service, unit: Unit, container: ObservedContainer, probes: dict[str, ProbeView]) -> Verdict:
    name, identity = service.name, container.id
    rule = bool(service.probes) or container.health != "none"
    if container.health == "unhealthy":
        return Verdict(name, "ill", "its health check fails" + (f": {container.health_why}" if container.health_why else ""), container=identity, running=True)
    waiting = "its health check has not passed yet" if container.health == "starting" else ""
    for index, probe in enumerate(service.probes):
        view = probes.get(probe_key(unit.token, index), ProbeView())
        if view.ok:
            continue
        if view.asked and view.fails >= max(probe.retries, 1):
            return Verdict(name, "ill", f"its {probe.kind} probe fails: {view.why}", container=identity, running=True)
        waiting = waiting or f"its {probe.kind} probe has not passed yet" + (f": {view.why}" if view.why else "")
    if waiting:
        return Verdict(name, "starting", waiting, container=identity, running=True)
    return Verdict(name, "well", "" if rule else "it runs; no health rule says more", rule, identity, running=True)


def verdicts(state: AppState, memory: AppMemory, seen: Observation, device: str, probes: dict[str, ProbeView]) -> dict[str, Verdict]:
    """Every service of the release to how it is."""
    mine = owned(memory, seen, device)
    found = {}
    for service in state.services:
        unit = fitting_unit(memory, service.name, mine)
        found[service.name] = verdict(state, service, unit, mine.get(unit.token) if unit else None, probes)
    return found


def fitting_unit(memory: AppMemory, service: str, mine: dict[str, ObservedContainer], spec: str = "") -> Unit | None:
    """The unit that stands for a service: one with a container before one without, running before stopped, newest last made."""
    best: tuple[int, int] | None = None
    chosen = None
    for index, unit in enumerate(memory.units):
        if unit.service != service or (spec and unit.spec != spec):
            continue
        container = mine.get(unit.token)
        rank = 0 if container is None else (2 if container.state == "running" else 1)
        if unit.finished:
            rank = max(rank, 1)
        if best is None or (rank, index) > best:
            best, chosen = (rank, index), unit
    return chosen


def all_well(found: dict[str, Verdict]) -> bool:
    """Whether every service is well, or a job that ended well."""
    return all(one.verdict in ("well", "finished") for one in found.values())


def first_trouble(found: dict[str, Verdict]) -> str:
    """A sentence about the worst-off service; empty when there is none."""
    for kind in ("down", "missing", "ill", "starting"):
        for name in sorted(found):
            if found[name].verdict == kind:
                return f"service {name}: {found[name].why}"
    return ""


def condition_met(condition: str, found: Verdict | None) -> bool:
    """Whether a dependency has reached `started`, `healthy` or `completed`."""
    if found is None:
        return False
    if condition == "completed":
        return found.verdict == "finished"
    if condition == "healthy":
        return found.verdict == "well"
    return found.running or found.verdict == "finished"


def status_of(found: Verdict, container: ObservedContainer | None) -> ServiceStatus:
    """One service as the device log tells it."""
    health = {"well": "healthy", "ill": "unhealthy", "starting": "starting"}.get(found.verdict, "none")
    if found.verdict == "well" and not found.rule:
        health = "none"
    if container is None:
        return ServiceStatus(found.service, "exited" if found.verdict == "finished" else "missing", health, why=found.why)
    return ServiceStatus(found.service, container.state, health, container.image, container.id, container.restarts, container.exit_code, found.why[:1000])
