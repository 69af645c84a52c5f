"""A container engine of a few hundred lines in memory, for tests of the brain: containers, volumes with data, networks, images.

Owns what the brain's tests need and no more (the simulated fleet has `agent.runtimes.fake`). Behaviour follows from the image: `acts` maps an image's
config digest to an Act.
"""

from __future__ import annotations

import json

from penstock.agent.runtimes import CreateOrder, EngineFacts, ExecResult, NetworkOrder, PruneResult, RuntimeFault, VolumeCopy, VolumeOrder
from penstock.rules.observed import (
    Ask,
    ImageDefaults,
    Observation,
    ObservedContainer,
    ObservedImage,
    ObservedNetwork,
    ObservedVolume,
    ProbeResult,
)
from penstock.rules.settings import wanted
from penstock.wire.messages import Engine
from penstock.wire.record import record, replace
from penstock.wire.types import AppState, Network, Variant, Volume


@record
class Act:
    """How containers of an image behave. `healthy_after_ms` -1: never (only where the service has a check). `exit_after_ms` -1: keeps running.
    `writes`: file and text put into every volume at the start."""

    healthy_after_ms: int = 0
    exit_after_ms: int = -1
    exit_code: int = 0
    writes: tuple[str, ...] = ()
    start_fails: str = ""


class Box:
    def __init__(self, number: int, order: CreateOrder, image: str) -> None:
        self.id = f"{number:064x}"
        self.order = order
        self.image = image
        self.state = "created"
        self.exit_code = 0
        self.started = 0
        self.restarts = 0
        self.starts = 0
        self.settings_changed: dict[str, object] = {}


class TinyEngine:
    def __init__(self) -> None:
        self.now = 0
        self.boxes: dict[str, Box] = {}
        self.strangers: list[ObservedContainer] = []
        self.volumes: dict[str, dict[str, str]] = {}
        self.networks: dict[str, NetworkOrder] = {}
        self.images: dict[str, tuple[Variant, set[str]]] = {}
        self.acts: dict[str, Act] = {}
        self.down = ""
        self.faults: dict[str, list[RuntimeFault]] = {}
        self.did: list[str] = []
        self.number = 0
        self.platforms = ("linux/amd64",)
        self.timers = True
        self.probe_fails: set[str] = set()  # services whose probes fail

    # --- the world moves ----------------------------------------------------------------------------------------------

    def act(self, box: Box) -> Act:
        return self.acts.get(box.order.variant.config.digest, Act())

    def tick(self, now: int) -> None:
        self.now = now
        for box in self.boxes.values():
            act = self.act(box)
            if box.state == "running" and act.exit_after_ms >= 0 and now - box.started >= act.exit_after_ms:
                box.state, box.exit_code = "exited", act.exit_code
                policy = box.order.service.restart
                if policy in ("always", "unless-stopped") or (policy == "on-failure" and act.exit_code):
                    box.restarts += 1
                    box.state, box.started = "running", now

    def reboot(self) -> None:
        for box in self.boxes.values():
            if box.state == "running":
                box.state, box.exit_code = "exited", 0

    def prune_all(self) -> None:
        used = {box.order.variant.manifest.digest for box in self.boxes.values()}
        self.images = {digest: held for digest, held in self.images.items() if digest in used}

    # --- the runtime --------------------------------------------------------------------------------------------------

    def _enter(self, verb: str, what: str = "") -> None:
        if self.down:
            raise RuntimeFault("engine-down", self.down, retry=True)
        waiting = self.faults.get(verb)
        if waiting:
            raise waiting.pop(0)
        self.did.append(f"{verb} {what}".strip())

    def facts(self) -> EngineFacts:
        return EngineFacts(Engine("fake", "1", "1.41", timers=self.timers), self.platforms)

    def observe(self, ask: Ask) -> Observation:
        if self.down:
            return Observation(engine_ok=False, why=self.down)
        containers = [self._seen(box) for box in self.boxes.values()] + self.strangers
        wanted_ones = [
            one for one in containers
            if one.labels.get("penstock.device") == ask.device or one.id in ask.containers or one.name in ask.names
        ]  # fmt: skip
        images = []
        for variant in ask.images:
            held = self.images.get(variant.manifest.digest)
            if held:
                images.append(ObservedImage(variant.manifest.digest, variant.config.digest, variant.config.digest, tags=tuple(sorted(held[1]))))
        probes = tuple(self._probe(one.key, one.container) for one in ask.probes)
        return Observation(
            engine_ok=True,
            containers=tuple(wanted_ones),
            volumes=tuple(ObservedVolume(name, "local") for name in ask.volumes if name in self.volumes),
            networks=tuple(ObservedNetwork(name, name, "bridge") for name in ask.networks if name in self.networks),
            images=tuple(images),
            probes=probes,
            disk_free_bytes=10**10,
        )

    def _probe(self, key: str, container: str) -> ProbeResult:
        box = self.boxes.get(container)
        ok = box is not None and box.state == "running" and self._healthy(box) and box.order.service.name not in self.probe_fails
        return ProbeResult(key, container, ok, "" if ok else "connection refused")

    def _healthy(self, box: Box) -> bool:
        act = self.act(box)
        return act.healthy_after_ms >= 0 and self.now - box.started >= act.healthy_after_ms

    def _seen(self, box: Box) -> ObservedContainer:
        order = box.order
        health = "none"
        if order.service.healthcheck is not None and box.state == "running":
            late = self.now - box.started >= order.service.healthcheck.interval_ms * order.service.healthcheck.retries
            health = "healthy" if self._healthy(box) else ("unhealthy" if late else "starting")
        state = AppState(
            "x", "", "", "", (),
            tuple(Volume(name, engine_name=engine) for name, engine in order.volumes.items()),
            tuple(Network(name, engine_name=engine) for name, engine in order.networks.items()),
        )  # fmt: skip
        settings = wanted(state, order.service, ImageDefaults(), order.labels)
        settings = replace(settings, **box.settings_changed)
        return ObservedContainer(
            box.id, order.name, box.state, box.image, health=health, exit_code=box.exit_code, restarts=box.restarts, started_ms=box.started,
            labels=dict(order.labels), settings=settings,
        )  # fmt: skip

    def image(self, variant: Variant) -> ObservedImage | None:
        held = self.images.get(variant.manifest.digest)
        return ObservedImage(variant.manifest.digest, variant.config.digest, variant.config.digest, tags=tuple(sorted(held[1]))) if held else None

    def pull(self, variant: Variant, blobs, tag: str) -> str:
        self._enter("pull", tag)
        for blob in (variant.manifest, variant.config, *variant.layers):
            if blobs.path(blob.digest) is None:
                raise RuntimeFault("blob-missing", f"blob {blob.digest[:19]} is missing", retry=True)
        self.images[variant.manifest.digest] = (variant, {tag})
        return variant.config.digest

    def keep(self, variant: Variant, tag: str) -> None:
        self._enter("keep", tag)
        self.images[variant.manifest.digest][1].add(tag)

    def unkeep(self, tag: str) -> None:
        self._enter("unkeep", tag)
        for digest, (_, tags) in list(self.images.items()):
            if tag in tags:
                if len(tags) == 1 and any(box.order.variant.manifest.digest == digest for box in self.boxes.values()):
                    raise RuntimeFault("in-use", f"{tag} is still used by a container", retry=True)
                tags.discard(tag)
                if not tags:
                    del self.images[digest]

    def sweep(self, device: str) -> None:
        pass

    def prune(self, keep: tuple[Variant, ...]) -> PruneResult:
        self._enter("prune")
        return PruneResult((), 0)

    def create(self, order: CreateOrder) -> str:
        for box in self.boxes.values():
            if box.order.token == order.token:
                return box.id
        self._enter("create", order.name)
        if any(box.order.name == order.name for box in self.boxes.values()) or any(one.name == order.name for one in self.strangers):
            raise RuntimeFault("name-taken", f"{order.name} is taken", retry=False)
        if order.variant.manifest.digest not in self.images:
            raise RuntimeFault("image-missing", "no such image", retry=True)
        for use in order.service.networks:
            assert order.networks[use.network] in self.networks
        for mount in order.service.mounts:
            if mount.kind == "volume":
                assert order.volumes[mount.source] in self.volumes
        self.number += 1
        box = Box(self.number, order, order.variant.config.digest)
        self.boxes[box.id] = box
        return box.id

    def _box(self, container: str) -> Box:
        if container not in self.boxes:
            raise RuntimeFault("not-found", f"no container {container[:12]}", retry=False)
        return self.boxes[container]

    def start(self, container: str) -> None:
        box = self._box(container)
        self._enter("start", box.order.name)
        act = self.act(box)
        if act.start_fails:
            raise RuntimeFault("start-failed", act.start_fails, retry=False)
        if box.state == "running":
            return
        box.state, box.started, box.exit_code = "running", self.now, 0
        box.starts += 1
        if act.writes:
            for mount in box.order.service.mounts:
                if mount.kind == "volume":
                    self.volumes[box.order.volumes[mount.source]][act.writes[0]] = act.writes[1]

    def stop(self, container: str, grace_ms: int, signal: str = "") -> None:
        box = self._box(container)
        self._enter("stop", box.order.name)
        if box.state in ("running", "paused", "restarting"):
            box.state, box.exit_code = "exited", 143

    def restart(self, container: str, grace_ms: int) -> None:
        box = self._box(container)
        self._enter("restart", box.order.name)
        box.state, box.started = "running", self.now
        box.starts += 1

    def rename(self, container: str, name: str) -> None:
        raise NotImplementedError

    def remove(self, container: str) -> None:
        box = self.boxes.get(container)
        self._enter("remove", box.order.name if box else container)
        self.boxes.pop(container, None)

    def check(self, container: str, probe) -> str:
        return ""

    def healthcheck(self, container: str) -> None:
        return

    def run(self, container: str, command: tuple[str, ...], timeout_ms: int, limit_bytes: int = 65536) -> ExecResult:
        return ExecResult(0, "")

    def logs(self, container: str, lines: int, limit_bytes: int = 65536) -> str:
        self._enter("logs")
        return "hello"

    def inspect(self, container: str, limit_bytes: int = 65536) -> str:
        return "{}"

    def usage(self, container: str) -> str:
        return '{"cpu_permille":12}'

    def create_network(self, order: NetworkOrder) -> None:
        self._enter("network", order.name)
        self.networks[order.name] = order

    def remove_network(self, name: str) -> None:
        self._enter("remove-network", name)
        self.networks.pop(name, None)

    def create_volume(self, order: VolumeOrder) -> None:
        self._enter("volume", order.name)
        self.volumes.setdefault(order.name, {})

    def volumes_of(self, device: str) -> tuple[str, ...]:
        self._enter("volumes-of", "")
        return tuple(sorted(self.volumes))

    def remove_volume(self, name: str) -> None:
        self._enter("remove-volume", name)
        self.volumes.pop(name, None)

    def volume_has_data(self, name: str, helper: Variant) -> bool:
        return bool(self.volumes.get(name))

    @staticmethod
    def _mounts(box: Box, volume: str) -> bool:
        return any(mount.kind == "volume" and box.order.volumes[mount.source] == volume for mount in box.order.service.mounts)

    def export_volume(self, name: str, helper: Variant, out, limit_bytes: int) -> VolumeCopy:
        self._enter("export", name)
        writers = [box.order.name for box in self.boxes.values() if box.state == "running" and self._mounts(box, name)]
        assert not writers, f"copied under {writers}"
        data = json.dumps(self.volumes[name]).encode()
        if len(data) > limit_bytes:
            raise RuntimeFault("no-space", f"volume {name} does not fit", retry=False)
        out.write(data)
        return VolumeCopy(len(data), "", 1)

    def import_volume(self, order: VolumeOrder, helper: Variant, source) -> None:
        self._enter("import", order.name)
        using = [box.order.name for box in self.boxes.values() if self._mounts(box, order.name)]
        assert not using, f"restored under {using}"
        self.volumes[order.name] = json.loads(source.read())

    def disk_free(self) -> int:
        return 10**10
