"""What to look at, and what the looks add up to over time: probes, and since when a container is up or down.

Owns the question of each observation and the state of the agent's own probes, in memory only: after a start nothing is known until it is seen
again. Never looks itself and never judges an app.
"""

from __future__ import annotations

from penstock.rules.answers import ProbeView
from penstock.rules.health import probe_after, probe_key
from penstock.rules.memory import AppMemory, contents_needed
from penstock.rules.naming import container_name, network_names, volume_names
from penstock.rules.observed import Ask, ProbeAsk
from penstock.rules.ours import owned
from penstock.rules.variants import variants_of
from penstock.rules.wayback import blobs_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.rules.look import Look
    from penstock.wire.types import AppState, Service, Variant

IDLE_PROBE_MS = 30_000  # at rest, a service's own probes are made no more often than this


class Watching:
    """`probes`, `up_since`, `down_since` are what `answers.Circumstances` takes."""

    def __init__(self) -> None:
        self.probes: dict[str, ProbeView] = {}
        self.up_since: dict[str, int] = {}
        self.down_since: dict[str, int] = {}
        self._first_up: dict[str, int] = {}
        self._asked_ms: dict[str, int] = {}
        self._asked: dict[str, tuple[Service, int]] = {}

    def ask(self, device: str, apps: list[tuple[AppMemory, dict[str, AppState]]], look: Look, mono_ms: int) -> Ask:
        """The question for the next look: every app's memory with every release it may need, by content."""
        ids: list[str] = []
        names: set[str] = set()
        volumes: set[str] = set()
        networks: set[str] = set()
        images: dict[str, Variant] = {}
        checks: list[str] = []
        probes: list[ProbeAsk] = []
        for memory, states in apps:
            ids.extend(unit.container for unit in memory.units if unit.container)
            networks.update(note.name for note in memory.networks)
            volumes.update(note.name for note in memory.volumes)
            for state in states.values():
                names.update(container_name(memory.app, service) for service in state.services)
                volumes.update(volume_names(state).values())
                networks.update(network_names(state).values())
                for variant in variants_of(state, look.platforms).values():
                    images.setdefault(variant.manifest.digest, variant)
            self._checks(memory, states, look, device, mono_ms, checks, probes)
        return Ask(
            device,
            tuple(ids),
            tuple(sorted(names)),
            tuple(sorted(volumes)),
            tuple(sorted(networks)),
            tuple(images.values()),
            tuple(checks),
            tuple(probes),
        )

    def _checks(
        self,
        memory: AppMemory,
        states: dict[str, AppState],
        look: Look,
        device: str,
        mono_ms: int,
        checks: list[str],
        probes: list[ProbeAsk],
    ) -> None:
        """Which checks are due: the container's own where the engine runs no timers, and the release's probes."""
        services = _services(memory, states)
        timers = look.engine is None or look.engine.timers
        slow = memory.change is None
        for token, container in owned(memory, look.seen, device).items():
            service = services.get(token)
            if service is None or container.state != "running":
                continue
            if not timers and container.health != "none":
                check = container.settings.healthcheck
                interval = check.interval_ms if check is not None else 30_000
                if self._due(f"{token}:health", interval, mono_ms, slow=slow and container.health != "starting"):
                    checks.append(container.id)
            for index, probe in enumerate(service.probes):
                key = probe_key(token, index)
                settled = slow and self.probes.get(key, ProbeView()).ok
                if self._due(key, probe.interval_ms, mono_ms, slow=settled):
                    probes.append(ProbeAsk(key, container.id, probe))
                    self._asked[key] = (service, index)

    def _due(self, key: str, interval_ms: int, mono_ms: int, *, slow: bool) -> bool:
        interval = max(interval_ms, 1_000)
        if slow:
            interval = max(interval, IDLE_PROBE_MS)
        last = self._asked_ms.get(key)
        # A little early is better than a whole look too late.
        return last is None or mono_ms - last >= interval - 500

    def seen(self, device: str, memories: tuple[AppMemory, ...], look: Look, ask: Ask, mono_ms: int) -> None:
        """Take in a look that answers `ask`."""
        if not look.seen.engine_ok:
            return
        alive: set[str] = set()
        for memory in memories:
            for token, container in owned(memory, look.seen, device).items():
                alive.add(token)
                if container.state == "running":
                    self._first_up.setdefault(token, mono_ms)
                    self.up_since.setdefault(token, mono_ms)
                    self.down_since.pop(token, None)
                else:
                    self.up_since.pop(token, None)
                    self.down_since.setdefault(token, mono_ms)
                    self._forget(token, stopped=True)
        for result in look.seen.probes:
            asked = self._asked.get(result.key)
            token = result.key.rpartition(":")[0]
            if asked is not None and token in self._first_up:
                probe = asked[0].probes[asked[1]]
                age = mono_ms - self._first_up[token]
                view = self.probes.get(result.key, ProbeView())
                self.probes[result.key] = probe_after(view, passed=result.ok, why=result.why[:400], probe=probe, age_ms=age)
        for key in [one.key for one in ask.probes] + [f"{token}:health" for token in alive if self._container(memories, token) in ask.healthchecks]:
            self._asked_ms[key] = mono_ms
        for token in {*self._first_up, *self.down_since} - alive:
            self._forget(token, stopped=False)

    @staticmethod
    def _container(memories: tuple[AppMemory, ...], token: str) -> str:
        return next((unit.container for memory in memories for unit in memory.units if unit.token == token), "")

    def _forget(self, token: str, *, stopped: bool) -> None:
        """A stopped container is judged anew when it runs again; one that is gone is forgotten whole."""
        self._first_up.pop(token, None)
        for key in [one for one in {*self.probes, *self._asked_ms} if one.startswith(token + ":")]:
            self.probes.pop(key, None)
            self._asked_ms.pop(key, None)
        if not stopped:
            self.up_since.pop(token, None)
            self.down_since.pop(token, None)
            for key in [one for one in self._asked if one.startswith(token + ":")]:
                del self._asked[key]

    def next_check_ms(self, memories: tuple[AppMemory, ...], mono_ms: int) -> int:
        """When the next probe of an app under change is due; -1 when none is."""
        due = -1
        under = {unit.token for memory in memories if memory.change is not None for unit in memory.units}
        for key, (service, index) in self._asked.items():
            if key.rpartition(":")[0] in under and key in self._asked_ms:
                at = max(self._asked_ms[key] + max(service.probes[index].interval_ms, 1_000), mono_ms)
                due = at if due < 0 else min(due, at)
        return due


def _services(memory: AppMemory, states: dict[str, AppState]) -> dict[str, Service]:
    """Token of each unit to the description of its service in the release it was made from."""
    found = {}
    for unit in memory.units:
        state = states.get(unit.content)
        for service in state.services if state is not None else ():
            if service.name == unit.service:
                found[unit.token] = service
    return found


def needed_blobs(states: tuple[AppState, ...], platforms: tuple[str, ...]) -> tuple[str, ...]:
    """The digests of all bytes these releases are made of on this device."""
    found = {blob.digest for state in states for variant in variants_of(state, platforms).values() for blob in blobs_of(variant)}
    return tuple(sorted(found))


def needed_contents(memories: tuple[AppMemory, ...], wanted: tuple[str, ...]) -> frozenset[str]:
    """The releases that must stay on disk."""
    needed = set(wanted)
    for memory in memories:
        needed |= contents_needed(memory)
    return frozenset(needed)
