"""From what is to what shall be, one step at a time.

Owns the derivation of the next step that brings one app's containers, networks and volumes to a goal: stop what does not belong (dependants
first), copy data, remove, restore data, make, start in order. It reads only memory and a look, so it can be asked again after any crash and goes
on from what is there. Never decides which goal, or whether it may (`plan` and `gates` do).
"""

from __future__ import annotations

from penstock.rules.answers import Act, Broken, Circumstances, Reached, Wait
from penstock.rules.health import Verdict, condition_met, fitting_unit, is_job, verdicts
from penstock.rules.look import Look
from penstock.rules.memory import AppMemory, NetworkNote, Snapshot, Unit, VolumeNote, snapshots_of, with_unit, without_unit
from penstock.rules.naming import keep_tag, network_name, volume_name
from penstock.rules.order import OrderFault, start_order, stop_order
from penstock.rules.ours import name_taken, owned
from penstock.rules.soak import CRASHES_IN_CHANGE, backoff_ms
from penstock.rules.specs import network_spec, specs_of
from penstock.rules.step import Step
from penstock.rules.variants import image_of, platform_fault, variants_of
from penstock.rules.wayback import held_image, lacking
from penstock.wire.record import replace
from penstock.wire.types import AppState, Service, content_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.rules.answers import Toward
    from penstock.rules.observed import ObservedContainer

RUNS = ("running", "restarting", "paused")  # states that a stop ends
PHASES = {"uninstall": "removing"}


class Way:
    """One question: the goal, what is ours, which units fit it and which do not. Lives for the length of one decision."""

    def __init__(self, memory: AppMemory, goal: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances, unfit: frozenset[str]) -> None:
        self.memory = memory
        self.goal = goal
        self.releases = releases
        self.look = look
        self.c = c
        self.mine = owned(memory, look.seen, c.device)
        self.specs = specs_of(goal, look.platforms) if goal else {}
        self.content = content_digest(goal) if goal else ""
        stale = self._stale_networks()
        self.chosen: dict[str, Unit] = {}
        for service in goal.services if goal else ():
            joined = {use.network for use in service.networks}
            unit = fitting_unit(memory, service.name, self.mine, self.specs[service.name])
            if unit is not None and unit.token not in unfit and not joined & stale and not self._must_be_made_anew(service):
                self.chosen[service.name] = unit
        kept = {unit.token for unit in self.chosen.values()}
        self.misfits = [unit for unit in memory.units if unit.token not in kept]

    def _stale_networks(self) -> set[str]:
        """Networks (by their name in the app) that we made from another description than the goal's."""
        notes = {note.name: note.spec for note in self.memory.networks}
        stale = set()
        for network in self.goal.networks if self.goal else ():
            name = network_name(self.memory.app, network)
            if not network.external and name in notes and notes[name] != network_spec(network):
                stale.add(network.name)
        return stale

    def _must_be_made_anew(self, service: Service) -> bool:
        """A volume is only restored while no container holds it."""
        volumes = {copy.volume for copy in self.to_restore()}
        return bool(volumes & self.volumes_of(self.goal, service.name))

    def volumes_of(self, state: AppState | None, service: str) -> set[str]:
        """Engine names of the volumes a service of a release mounts."""
        if state is None:
            return set()
        by_name = {volume.name: volume_name(self.memory.app, volume) for volume in state.volumes}
        for one in state.services:
            if one.name == service:
                return {by_name[mount.source] for mount in one.mounts if mount.kind == "volume" and mount.source in by_name}
        return set()

    def release_of(self, unit: Unit) -> AppState | None:
        return self.releases.get(unit.content) or self.goal

    # --- data -------------------------------------------------------------------------------------------------------------

    def to_copy(self) -> list[str]:
        """Volumes whose data must be copied before anything that mounts them is replaced."""
        change = self.memory.change
        if change is None or change.stage != "applying" or change.kind not in ("update", "revert") or not change.back:
            return []
        source = self.releases.get(change.source)
        copied = {copy.volume for copy in snapshots_of(self.memory, change.back)}
        there = {volume.name for volume in self.look.seen.volumes}
        moved = {unit.service for unit in self.misfits} | ({service.name for service in self.goal.services} if self.goal else set()) - set(self.chosen)
        touched: set[str] = set()
        for name in moved:
            touched |= self.volumes_of(source, name) | self.volumes_of(self.goal, name)
        wanted = set()
        for state in (source, self.goal):
            volumes = state.volumes if state else ()
            wanted |= {volume_name(self.memory.app, volume) for volume in volumes if volume.policy == "snapshot" and not volume.external}
        return sorted((wanted & touched & there) - copied)

    def to_restore(self) -> list[Snapshot]:
        """Copies that belong to the goal and have not been put back by this change."""
        change = self.memory.change
        if change is None or self.goal is None:
            return []
        back = change.stage == "reverting"
        if not back and not (change.stage == "applying" and change.kind == "revert"):
            return []
        copies = [copy for copy in snapshots_of(self.memory, self.content) if copy.name not in change.restored]
        if not back:
            return copies
        used: set[str] = set()
        for name in change.replaced:
            used |= self.volumes_of(self.releases.get(change.target), name) | self.volumes_of(self.goal, name)
        return [copy for copy in copies if copy.volume in used]

    # --- steps ------------------------------------------------------------------------------------------------------------

    def step(self, kind: str, why: str, service: str = "", **fields: object) -> Step:
        change = self.memory.change
        values: dict[str, object] = {"content": self.content, "change": change.id if change else ""}
        values.update(fields)
        return Step(kind=kind, app=self.memory.app, why=why, service=service, **values)  # type: ignore[arg-type]

    def wait(self, why: str, wake_ms: int = -1, reason: str = "") -> Wait:
        change = self.memory.change
        phase = "applying"
        if change is not None and change.stage in ("reverting", "undoing"):
            phase = "reverting"
        elif change is not None:
            phase = PHASES.get(change.kind, "applying")
        return Wait(self.memory, why, phase, wake_ms=wake_ms, reason=reason)

    def next(self) -> Toward:
        if self.goal is not None:
            fault = platform_fault(self.goal, self.look.platforms)
            if fault:
                return Broken(self.memory, fault)
        return self._images() or self._stop() or self._copy() or self._remove() or self._restore() or self._make() or self._start() or self._clean()

    def _images(self) -> Toward | None:
        """Every image in the engine before anything is stopped."""
        if self.goal is None:
            return None
        variants = variants_of(self.goal, self.look.platforms)
        needed = [service for service in self.goal.services if service.name not in self.chosen or self.chosen[service.name].token not in self.mine]
        needed = [service for service in needed if not (service.name in self.chosen and self.chosen[service.name].finished)]
        lacks = {blob.digest: blob for blob in lacking(self.goal, self.look)}
        for service in needed:
            variant = variants[service.name]
            image = held_image(variant, self.look)
            tag = keep_tag(self.memory.app, image_of(self.goal, service).name, variant)
            if image is not None and (tag in image.tags or tag in self.memory.images):  # another app's name for it goes with that app
                continue
            mine = [lacks[blob.digest] for blob in (variant.manifest, variant.config, *variant.layers) if blob.digest in lacks]
            if image is None and mine:
                return replace(self.wait(f"the image of service {service.name} has to be fetched first"), phase="fetching", needs=tuple(mine))
            return self.image_step(service.name)
        return None

    def image_step(self, service: str) -> Act:
        assert self.goal is not None
        variant = variants_of(self.goal, self.look.platforms)[service]
        image = next(image_of(self.goal, one) for one in self.goal.services if one.name == service)
        tag = keep_tag(self.memory.app, image.name, variant)
        memory = self.memory if tag in self.memory.images else replace(self.memory, images=(*self.memory.images, tag))
        why = f"bring the image of service {service} into the engine"
        return Act(replace(self.step("image", why, service, image=image.name, name=tag), change=""), memory, why)

    def _stop(self) -> Act | None:
        """Stop what does not belong and what holds data that is to be copied, dependants first."""
        copying = set(self.to_copy())
        stopping = [unit for unit in self.misfits if self._in_state(unit, RUNS)]
        stopping += [unit for unit in self.chosen.values() if self._in_state(unit, RUNS) and copying & self.volumes_of(self.release_of(unit), unit.service)]
        if self.memory.change is not None:
            stopping += [unit for unit in self.chosen.values() if unit not in stopping and self._in_state(unit, RUNS) and self._leans_on_moved(unit.service)]
        if not stopping:
            return None
        unit = min(stopping, key=self._stop_rank)
        container = self.mine[unit.token]
        grace, signal = 10_000, ""
        state = self.release_of(unit)
        for service in state.services if state else ():
            if service.name == unit.service:
                grace, signal = service.stop_grace_ms, service.stop_signal
        why = f"stop service {unit.service}"
        memory = with_unit(self.memory, replace(unit, booted="", crashes=0))
        memory = self._forget_copies(memory, unit)
        return Act(self.step("stop", why, unit.service, container=container.id, token=unit.token, grace_ms=grace, signal=signal), memory, why)

    def _leans_on_moved(self, name: str) -> bool:
        """Whether a service asks to be restarted with one it depends on, and that one is about to be made anew."""
        for service in self.goal.services if self.goal else ():
            if service.name == name:
                return any(need.restart and need.service not in self.chosen for need in service.depends_on)
        return False

    def _forget_copies(self, memory: AppMemory, unit: Unit) -> AppMemory:
        """A copy made in this change is worth nothing once its writer ran again (a reboot in the middle): it is made anew."""
        change = memory.change
        if change is None or change.stage != "applying" or change.source != change.back or unit.content != change.source:
            return memory
        volumes = self.volumes_of(self.release_of(unit), unit.service)
        return replace(memory, snapshots=tuple(copy for copy in memory.snapshots if copy.content != change.back or copy.volume not in volumes))

    def _in_state(self, unit: Unit, states: tuple[str, ...]) -> bool:
        container = self.mine.get(unit.token)
        return container is not None and container.state in states

    def _stop_rank(self, unit: Unit) -> tuple[int, str, str]:
        state = self.release_of(unit)
        names = [service.name for service in stop_order(state.services)] if state else []
        return (names.index(unit.service) if unit.service in names else -1, unit.service, unit.token)

    def _copy(self) -> Act | None:
        change = self.memory.change
        for volume in self.to_copy():
            assert change is not None
            why = f"copy the data of volume {volume} before the change"
            return Act(self.step("snapshot", why, name=volume, snapshot=f"{change.id}.{volume}.tar", content=change.source), self.memory, why)
        return None

    def _remove(self) -> Act | None:
        there = [unit for unit in self.misfits if unit.token in self.mine]
        if not there:
            return None
        unit = min(there, key=self._stop_rank)
        why = f"remove the container of service {unit.service}"
        return Act(self.step("remove", why, unit.service, container=self.mine[unit.token].id, token=unit.token), self.memory, why)

    def _restore(self) -> Act | None:
        for copy in self.to_restore():
            if copy.name not in self.look.snapshots:
                continue  # said as "no way back" long before; starting without it is better than not at all
            why = f"put the data of volume {copy.volume} back as it was"
            return Act(self.step("restore", why, name=copy.volume, snapshot=copy.name), self.memory, why)
        return None

    def _make(self) -> Toward | None:
        """Networks and volumes."""
        if self.goal is None:
            return None
        networks = {network.name for network in self.look.seen.networks}
        notes = {note.name: note.spec for note in self.memory.networks}
        for network in self.goal.networks:
            name = network_name(self.memory.app, network)
            if network.external:
                if name not in networks:
                    return Broken(self.memory, f"the release expects network {name} to exist on this device, and it does not; make it or change the release")
                continue
            spec = network_spec(network)
            if name in networks and name in notes and notes[name] != spec:
                why = f"remove network {name}, which changes"
                return Act(self.step("remove-network", why, name=name), self.memory, why)
            if name not in networks or name not in notes:
                why = f"make network {name}"
                return Act(self.step("network", why, name=name), self._noting_network(name, spec), why)
        return self._make_volumes()

    def _noting_network(self, name: str, spec: str) -> AppMemory:
        notes = (*(note for note in self.memory.networks if note.name != name), NetworkNote(name, spec))
        memory = replace(self.memory, networks=notes)
        change = memory.change
        if change is not None and name not in change.made_networks:
            memory = replace(memory, change=replace(change, made_networks=(*change.made_networks, name)))
        return memory

    def _make_volumes(self) -> Toward | None:
        assert self.goal is not None
        volumes = {volume.name for volume in self.look.seen.volumes}
        notes = {note.name for note in self.memory.volumes}
        for volume in self.goal.volumes:
            name = volume_name(self.memory.app, volume)
            if volume.external:
                if name not in volumes:
                    return Broken(self.memory, f"the release expects volume {name} to exist on this device, and it does not; make it or change the release")
                continue
            if name in volumes and name in notes:
                continue
            memory = self.memory
            if name not in volumes:
                had = any(note.had_data for note in memory.volumes if note.name == name)
                memory = replace(memory, volumes=(*(note for note in memory.volumes if note.name != name), VolumeNote(name, True, had)))
                change = memory.change
                if change is not None and name not in change.made_volumes:
                    memory = replace(memory, change=replace(change, made_volumes=(*change.made_volumes, name)))
            why = f"make volume {name}" if name not in volumes else f"look what volume {name} holds"
            return Act(self.step("volume", why, name=name), memory, why)
        return None

    def _start(self) -> Toward | None:
        """Make and start in order; the first service that cannot go on decides, unless a later one can."""
        if self.goal is None:
            return None
        try:
            order = start_order(self.goal.services)
        except OrderFault as fault:
            return Broken(self.memory, str(fault))
        found = verdicts(self.goal, self.memory, self.look.seen, self.c.device, self.c.probes)
        waiting: Wait | None = None
        for service in order:
            answer = self._service(service, found)
            if isinstance(answer, (Act, Broken)):
                return answer
            if isinstance(answer, Wait) and waiting is None:
                waiting = answer
        return waiting

    def _service(self, service: Service, found: dict[str, Verdict]) -> Toward | None:
        unit = self.chosen.get(service.name)
        container = self.mine.get(unit.token) if unit else None
        if unit is not None and unit.finished:
            return None
        if container is not None and container.state == "running":
            return None
        ended = container is not None and unit is not None and container.state == "exited" and container.exit_code == 0 and unit.booted != ""
        if ended and self.goal is not None and is_job(self.goal, service):
            return None
        if container is not None and container.state == "restarting":
            return self.wait(f"service {service.name}: the engine is restarting it ({container.restarts} times so far)")
        for need in service.depends_on:
            other = found.get(need.service)
            if (need.required or other is not None) and not condition_met(need.condition, other):
                detail = other.why if other is not None and other.why else "not there yet"
                return self.wait(f"service {service.name} waits until {need.service} is {need.condition}: {detail}", reason="condition")
        if container is None:
            return self._create(service, unit)
        assert unit is not None
        return self._begin(service, unit, container)

    def _create(self, service: Service, unit: Unit | None) -> Toward:
        assert self.goal is not None
        taken = name_taken(self.goal, service.name, self.memory, self.look.seen, self.c.device)
        if taken:
            return Broken(self.memory, taken)
        if unit is None:
            unit = Unit(service.name, self.c.token, self.specs[service.name], self.content)
        why = f"make the container of service {service.name}"
        memory, change = with_unit(self.memory, unit), self.memory.change
        if change is not None and change.kind == "recreate" and change.made.count(service.name) < 2:
            memory = replace(memory, change=replace(change, made=(*change.made, service.name)))
        return Act(self.step("create", why, service.name, token=unit.token, image=service.image), memory, why)

    def _begin(self, service: Service, unit: Unit, container: ObservedContainer) -> Toward:
        """Start a container that stands still; one that fell over waits for its back-off first."""
        crashes = unit.crashes
        fell = container.state != "created" and unit.booted == self.c.boot
        if fell:
            if self.memory.change is not None and crashes + 1 >= CRASHES_IN_CHANGE:
                return Broken(
                    self.memory, f"service {service.name} ended {crashes + 1} times with exit code {container.exit_code} after its start" + _last(container)
                )
            since = self.c.down_since.get(unit.token, self.c.mono_ms)
            due = since + backoff_ms(crashes + 1)
            if self.c.mono_ms < due:
                return self.wait(
                    f"service {service.name} ended with exit code {container.exit_code}; it is started again after a pause that grows with every try", due
                )
            crashes += 1
        why = f"start service {service.name}" + (" again" if fell else "")
        memory = with_unit(self.memory, replace(unit, booted=self.c.boot, crashes=crashes, restarts=container.restarts))
        change = memory.change
        if change is not None and change.stage == "applying" and service.name not in change.replaced:
            memory = replace(memory, change=replace(change, replaced=(*change.replaced, service.name)))
        return Act(self.step("start", why, service.name, container=container.id, token=unit.token), memory, why)

    def _clean(self) -> Toward:
        """What the goal does not name any more: networks of ours, and what a failed change made."""
        memory, change = self.memory, self.memory.change
        there = {network.name for network in self.look.seen.networks}
        wanted = {network_name(memory.app, network) for network in self.goal.networks} if self.goal else set()
        for note in memory.networks:
            if note.name not in wanted and note.name in there:
                why = f"remove network {note.name}"
                return Act(self.step("remove-network", why, name=note.name), memory, why)
        if change is not None and change.stage in ("reverting", "undoing"):
            keep = {volume_name(memory.app, volume) for volume in self.goal.volumes} if self.goal else set()
            volumes = {volume.name for volume in self.look.seen.volumes}
            for name in change.made_volumes:
                fresh = any(one.name == name and one.ours and not one.had_data for one in memory.volumes)
                if fresh and name not in keep and name in volumes:
                    why = f"remove volume {name}, which the failed change made"
                    return Act(self.step("remove-volume", why, name=name), memory, why)
        if self.goal is None and memory.images:
            why = f"let go of image {memory.images[0]}"
            return Act(self.step("remove-image", why, name=memory.images[0]), memory, why)
        gone = {note.name for note in memory.networks} - wanted
        if gone:
            memory = replace(memory, networks=tuple(note for note in memory.networks if note.name not in gone))
        for unit in self.misfits:  # intents that never became a container
            memory = without_unit(memory, unit.token)
        return Reached(memory)


def _last(container: ObservedContainer) -> str:
    if container.oom:
        return " (killed for using too much memory)"
    return f" ({container.error})" if container.error else ""


def toward(
    memory: AppMemory, goal: AppState | None, releases: dict[str, AppState], look: Look, c: Circumstances, unfit: frozenset[str] = frozenset()
) -> Toward:
    """The next step towards `goal` (None: nothing of the app is left but its volumes). `unfit`: tokens of containers that must be made anew although
    their specification fits."""
    return Way(memory, goal, releases, look, c, unfit).next()
