"""A container engine in memory: for the simulated fleet and for tests.

Owns every verb of the Runtime protocol over a `fakeworld.FakeWorld`. It keeps the promises real engines keep (the conformance suite runs
over it). Reads no clock, draws nothing at random, waits for nothing.
"""

from __future__ import annotations

import binascii
import json
import os

from penstock.agent.runtimes import (
    CreateOrder,
    EngineFacts,
    ExecResult,
    NetworkOrder,
    PruneResult,
    RuntimeFault,
    VolumeCopy,
    VolumeOrder,
)
from penstock.agent.runtimes.fakelife import FakeContainer, FakeImage, FakeVolume
from penstock.agent.runtimes.fakemade import make_container
from penstock.agent.runtimes.fakeworld import FakeWorld
from penstock.rules.naming import KEEP_REPOSITORY
from penstock.rules.observed import (
    LABEL_DEVICE,
    Ask,
    ImageDefaults,
    Observation,
    ObservedContainer,
    ObservedImage,
    ObservedNetwork,
    ObservedVolume,
    ProbeResult,
)
from penstock.rules.platforms import excluded
from penstock.wire.codec import canonical
from penstock.wire.messages import Engine
from penstock.wire.record import replace
from penstock.wire.types import Probe, Variant, sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from penstock.agent.runtimes import BlobSource

    Trouble = Callable[[str, str], "RuntimeFault | None"]


class FakeRuntime:
    """The verbs over one world."""

    def __init__(self, world: FakeWorld) -> None:
        self.world = world

    # --- what it is ---------------------------------------------------------------------------------------------------

    def facts(self) -> EngineFacts:
        """What this engine is."""
        self.world.enter("facts")
        engine = Engine(kind="fake", version="1", api="1.41", store=self.world.store, timers=self.world.timers)
        return EngineFacts(engine, self.world.platforms, "/var/lib/fake", cpus=2, memory_bytes=2 * 1024**3)

    def disk_free(self) -> int:
        """Bytes left."""
        self.world.enter("disk_free")
        return self.world.free_bytes

    # --- looking ------------------------------------------------------------------------------------------------------

    def observe(self, ask: Ask) -> Observation:
        """One look; never raises RuntimeFault."""
        try:
            self.world.enter("observe")
        except RuntimeFault as fault:
            return Observation(engine_ok=False, why=fault.why)
        now = self.world.settle()
        for identity in ask.healthchecks:
            if identity in self.world.containers and self.world.containers[identity].state == "running":
                self.world.containers[identity].check_by_hand(now, self.world.volumes)
        seen = [
            self._seen(container, now)
            for container in self.world.containers.values()
            if container.labels.get(LABEL_DEVICE) == ask.device or container.id in ask.containers or container.name in ask.names
        ]
        return Observation(
            engine_ok=True,
            containers=tuple(sorted(seen, key=lambda one: (one.name, one.id))),
            volumes=tuple(
                ObservedVolume(found.name, found.driver, found.options, found.labels, found.created_ms)
                for name in ask.volumes
                if (found := self.world.volumes.get(name)) is not None
            ),
            networks=tuple(self._network(name) for name in ask.networks if name in self.world.networks),
            images=tuple(held for variant in ask.images if (held := self._held(variant)) is not None),
            probes=tuple(self._probed(item.key, item.container, item.probe, now) for item in ask.probes),
            disk_free_bytes=self.world.free_bytes,
        )

    def _seen(self, container: FakeContainer, now: int) -> ObservedContainer:
        health = container.health(now, self.world.volumes, timers=self.world.timers)
        held = any(self.world.identity(image.variant) == container.image for image in self.world.images.values())
        return ObservedContainer(
            id=container.id,
            name=container.name,
            state=container.state,
            image=container.image,
            health=health,
            health_why="exit 1: not well" if health == "unhealthy" else "",
            exit_code=container.exit_code if container.state != "running" else 0,
            restarts=container.restarts,
            oom=container.oom,
            error=container.error,
            created_ms=container.created_ms,
            started_ms=container.started_ms,
            finished_ms=container.finished_ms,
            labels=container.labels,
            addresses={use.network: "192.0.2.1" for use in container.settings.networks} if container.state == "running" else {},
            settings=container.settings,
            defaults=container.defaults if held else ImageDefaults(known=False),
        )

    def _network(self, name: str) -> ObservedNetwork:
        order, attached = self.world.networks[name]
        live = {identity for identity in attached if identity in self.world.containers and self.world.containers[identity].state == "running"}
        return ObservedNetwork(
            name,
            sha256_of(name.encode())[7:],
            order.driver or "bridge",
            order.driver_options,
            order.labels,
            order.internal,
            order.ipv6,
            order.pools,
            tuple(sorted(live)),
        )

    def _probed(self, key: str, identity: str, probe: Probe, now: int) -> ProbeResult:
        container = self.world.containers.get(identity)
        why = self._check(container, probe, now) if container is not None else "the container is not running"
        return ProbeResult(key, identity, ok=not why, why=why)

    def _check(self, container: FakeContainer, probe: Probe, now: int) -> str:
        if container.state != "running":
            return "the container is not running"
        if probe.kind == "command":
            result = self._run(container, probe.command, now)
            return "" if result.exit_code == 0 else f"the command ended with {result.exit_code}: {result.output}"
        port = int(container.environment.get("PORT") or 8080)
        if probe.port != port or not container.serving(now):
            return f"no connection to port {probe.port}"
        if probe.kind == "tcp" or probe.path == "/" or (probe.path == "/healthz" and container.well(now, self.world.volumes)):
            return ""
        return f"{probe.path} answered 404; 200 to 399 was wanted"

    # --- images -------------------------------------------------------------------------------------------------------

    def _held(self, variant: Variant) -> ObservedImage | None:
        image = self.world.images.get(variant.manifest.digest)
        if image is None:
            return None
        return ObservedImage(variant.manifest.digest, variant.config.digest, self.world.identity(variant), tuple(sorted(image.names)), image.size)

    def image(self, variant: Variant) -> ObservedImage | None:
        """The variant as held, or None."""
        self.world.enter("image")
        return self._held(variant)

    def pull(self, variant: Variant, blobs: BlobSource, tag: str) -> str:
        """Take the variant out of `blobs`; every blob must be there."""
        self.world.enter("pull")
        if excluded(variant.platform, self.world.platforms):
            raise RuntimeFault(
                "wrong-architecture", f"the image is made for {variant.platform}; this device runs {', '.join(self.world.platforms)}", retry=False
            )
        if variant.manifest.digest not in self.world.images:
            self._take_in(variant, blobs)
        self.world.images[variant.manifest.digest].names.add(tag)
        self.world.enter("pull", "after")
        return self.world.identity(variant)

    def _take_in(self, variant: Variant, blobs: BlobSource) -> None:
        for blob in (variant.manifest, variant.config, *variant.layers):
            path = blobs.path(blob.digest)
            if path is None:
                raise RuntimeFault("blob-missing", f"the image needs {blob.digest}, which is not on the device", retry=True)
            if os.path.isfile(path) and _digest_of(path) != blob.digest:
                raise RuntimeFault("blob-corrupt", f"the bytes of {blob.digest} are not what it names; they have to be fetched again", retry=True)
        image = FakeImage(variant, *self.world.learned(variant, blobs))
        if image.size > self.world.free_bytes:
            raise RuntimeFault("no-space", "the device has no room left for the image; free some space", retry=True)
        self.world.free_bytes -= image.size
        self.world.spent_ms += image.size * 1000 // self.world.bytes_per_s
        self.world.images[variant.manifest.digest] = image

    def keep(self, variant: Variant, tag: str) -> None:
        """Name the variant."""
        self.world.enter("keep")
        if variant.manifest.digest not in self.world.images:
            raise RuntimeFault("image-missing", f"the engine no longer holds the image for {tag}", retry=True)
        self.world.images[variant.manifest.digest].names.add(tag)

    def unkeep(self, tag: str) -> None:
        """Take a name away; the image goes with its last."""
        self.world.enter("unkeep")
        for image in list(self.world.images.values()):
            if tag in image.names:
                if len(image.names) == 1 and self.world.used(image):
                    raise RuntimeFault("in-use", f"the image {tag} is still used by a container", retry=True)
                image.names.discard(tag)
                self.world.drop_nameless(image)

    def sweep(self, device: str) -> None:
        """Nothing: files are in its containers."""

    def prune(self, keep: tuple[Variant, ...]) -> PruneResult:
        """Remove images of ours that nothing uses and nobody wants kept."""
        self.world.enter("prune")
        spared = {variant.manifest.digest for variant in keep}
        gone = []
        for digest, image in list(self.world.images.items()):
            if digest in spared or self.world.used(image):
                continue
            image.names = {name for name in image.names if not name.startswith(KEEP_REPOSITORY + "/")}
            if self.world.drop_nameless(image):
                gone.append(image)
        return PruneResult(tuple(sorted(self.world.identity(image.variant) for image in gone)), sum(image.size for image in gone))

    # --- containers ---------------------------------------------------------------------------------------------------

    def create(self, order: CreateOrder) -> str:
        """Make a container, or find the one made under the same token."""
        self.world.enter("create")
        image = self.world.images.get(order.variant.manifest.digest)
        if image is None:
            raise RuntimeFault("image-missing", f"the engine does not hold the image for {order.service.name}; it has to be brought in again", retry=True)
        for other in self.world.containers.values():
            if other.name == order.name:
                if order.token and other.token == order.token:
                    return other.id
                raise RuntimeFault("name-taken", f"a container named {order.name} that Penstock did not make is in the way; rename or remove it", retry=True)
        for use in order.service.networks:
            if order.networks.get(use.network, use.network) not in self.world.networks:
                raise RuntimeFault("not-found", f"there is no network {use.network}", retry=False)
        inside = {service: self._identity(name, order) for service, name in order.services.items()}
        self.world.made += 1
        container = make_container(replace(order, services=inside), image, self.world.identity(order.variant), self.world.made, self.world.clock())
        self.world.containers[container.id] = container
        for mount in container.settings.mounts:
            if mount.kind == "volume" and mount.source not in self.world.volumes:
                self.world.volumes[mount.source] = FakeVolume(mount.source, "local", {}, {}, self.world.clock())
        for use in container.settings.networks:
            self.world.networks[use.network][1].add(container.id)
        self.world.enter("create", "after")
        return container.id

    def _identity(self, name: str, order: CreateOrder) -> str:
        for other in self.world.containers.values():
            if other.name == name:
                return other.id
        raise RuntimeFault("not-found", f"service {order.service.name} lives inside container {name}, which is not there yet", retry=True)

    def start(self, container: str) -> None:
        """Start it; "port-taken" names who has the port."""
        self.world.enter("start")
        found = self.world.find(container)
        if found.state == "running":
            return
        for port in sorted(found.ports):
            holder = next((one.name for one in self.world.containers.values() if one is not found and one.state == "running" and port in one.ports), "")
            if holder:
                raise RuntimeFault("port-taken", f"port {port[0]}/{port[1]} is taken by container {holder}", retry=True)
            if port in self.world.taken_ports:
                raise RuntimeFault("port-taken", f"port {port[0]}/{port[1]} is taken by a program outside the containers (see: ss -lntup)", retry=True)
        found.restarts = 0
        found.begin(self.world.clock(), self.world.volumes)
        self.world.enter("start", "after")

    def stop(self, container: str, grace_ms: int, signal: str = "") -> None:
        """Ask it to end; one that ignores the asking is killed."""
        self.world.enter("stop")
        self.world.settle()
        found = self.world.containers.get(container)
        if found is None or found.state not in ("running", "restarting"):
            if found is not None:
                found.by_hand = True
            return
        stubborn = signal != "SIGKILL" and (found.ignores_term or found.stop_ms > grace_ms)
        self.world.spent_ms += grace_ms if stubborn else found.stop_ms
        found.halt(self.world.clock(), 137 if stubborn or signal == "SIGKILL" else 0)
        self.world.enter("stop", "after")

    def restart(self, container: str, grace_ms: int) -> None:
        """Stop and start it."""
        self.world.find(container)
        self.stop(container, grace_ms)
        self.start(container)

    def rename(self, container: str, name: str) -> None:
        """Give it another name."""
        self.world.enter("rename")
        found = self.world.find(container)
        if any(other.name == name and other is not found for other in self.world.containers.values()):
            raise RuntimeFault("name-taken", f"another container is already named {name}", retry=True)
        found.name = name

    def remove(self, container: str) -> None:
        """Remove it, running or not."""
        self.world.enter("remove")
        self.world.vanish(container)
        self.world.enter("remove", "after")

    def check(self, container: str, probe: Probe) -> str:
        """One probe; empty when it passed."""
        self.world.enter("check")
        now = self.world.settle()
        found = self.world.containers.get(container)
        return self._check(found, probe, now) if found is not None else "the container is not running"

    def healthcheck(self, container: str) -> None:
        """One health check by hand."""
        self.world.enter("healthcheck")
        if self.world.timers:
            raise RuntimeFault("unsupported", "this engine runs health checks by itself", retry=False)
        self.world.find(container).check_by_hand(self.world.clock(), self.world.volumes)

    def run(self, container: str, command: tuple[str, ...], timeout_ms: int, limit_bytes: int = 65536) -> ExecResult:
        """Run a command: the few the model knows. None of them takes time, so `timeout_ms` never passes."""
        self.world.enter("run")
        assert timeout_ms > 0
        found = self.world.find(container)
        if found.state != "running":
            raise RuntimeFault("engine-error", "the container is not running", retry=True)
        result = self._run(found, command, self.world.clock())
        return replace(result, output=result.output[-limit_bytes:])

    def _run(self, container: FakeContainer, command: tuple[str, ...], now: int) -> ExecResult:
        if command[:1] == ("true",):
            return ExecResult(0, "")
        if command[:1] == ("false",):
            return ExecResult(1, "")
        if command == ("/bin/app", "check"):
            return ExecResult(0 if container.well(now, self.world.volumes) else 1, "")
        return ExecResult(127, f"{command[0] if command else ''}: not found")

    def logs(self, container: str, lines: int, limit_bytes: int = 65536) -> str:
        """The last lines."""
        self.world.enter("logs")
        text = "".join(line + "\n" for line in self.world.find(container).log[-lines:])
        return text[-limit_bytes:]

    def inspect(self, container: str, limit_bytes: int = 65536) -> str:
        """The container as JSON text."""
        self.world.enter("inspect")
        found = self.world.find(container)
        shown = {"Id": found.id, "Name": found.name, "State": found.state, "Env": found.settings.environment, "Labels": found.labels}
        return json.dumps(shown, indent=1, sort_keys=True)[:limit_bytes]

    def usage(self, container: str) -> str:
        """Figures that stand still; none of a container that does not run."""
        self.world.enter("usage")
        found = self.world.find(container)
        if found.state != "running":
            raise RuntimeFault("not-running", "the container does not run, so it uses nothing", retry=False)
        return '{"cpu_permille":12,"memory_bytes":8388608,"memory_limit_bytes":0,"processes":1,"received_bytes":0,"sent_bytes":0}'

    # --- networks and volumes -----------------------------------------------------------------------------------------

    def create_network(self, order: NetworkOrder) -> None:
        """Make the network, or find our own."""
        self.world.enter("create_network")
        held = self.world.networks.get(order.name)
        if held is None:
            self.world.networks[order.name] = (order, set())
        elif held[0].labels.get(LABEL_DEVICE) != order.labels.get(LABEL_DEVICE):
            raise RuntimeFault("name-taken", f"a network named {order.name} that Penstock did not make is in the way; remove or rename it", retry=True)
        elif (held[0].driver or "bridge") != (order.driver or "bridge") or held[0].internal != order.internal or held[0].pools != order.pools:
            raise RuntimeFault("name-taken", f"network {order.name} is there with other settings; it must be removed first", retry=True)
        self.world.enter("create_network", "after")

    def remove_network(self, name: str) -> None:
        """Remove it."""
        self.world.enter("remove_network")
        if name in self.world.networks:
            self.world.settle()
            if self._network(name).containers:
                raise RuntimeFault("in-use", f"network {name} cannot go: a container is still attached", retry=True)
            del self.world.networks[name]
        self.world.enter("remove_network", "after")

    def create_volume(self, order: VolumeOrder) -> None:
        """Make the volume, or find it."""
        self.world.enter("create_volume")
        if order.name not in self.world.volumes:
            self.world.volumes[order.name] = FakeVolume(order.name, order.driver or "local", dict(order.driver_options), dict(order.labels), self.world.clock())
        self.world.enter("create_volume", "after")

    def volumes_of(self, device: str) -> tuple[str, ...]:
        """Those with that device's label."""
        self.world.enter("volumes_of")
        return tuple(sorted(name for name, one in self.world.volumes.items() if one.labels.get(LABEL_DEVICE) == device))

    def remove_volume(self, name: str) -> None:
        """Remove it with its data."""
        self.world.enter("remove_volume")
        for container in self.world.containers.values():
            if any(mount.kind == "volume" and mount.source == name for mount in container.settings.mounts):
                raise RuntimeFault("in-use", f"volume {name} cannot go: a container still has it", retry=True)
        self.world.volumes.pop(name, None)
        self.world.enter("remove_volume", "after")

    def _need(self, helper: Variant, what: str) -> None:
        if helper.manifest.digest not in self.world.images:
            raise RuntimeFault("image-missing", f"the engine does not hold the image for {what}; it has to be brought in again", retry=True)

    def volume_has_data(self, name: str, helper: Variant) -> bool:
        """Whether anything lies in it."""
        self.world.enter("volume_has_data")
        if name not in self.world.volumes:
            return False
        self._need(helper, f"reaching into volume {name}")
        return bool(self.world.volumes[name].files)

    def export_volume(self, name: str, helper: Variant, out: BinaryIO, limit_bytes: int) -> VolumeCopy:
        """Write its files to `out`, in a form of the model's own."""
        self.world.enter("export_volume")
        volume = self.world.volumes.get(name)
        if volume is None:
            raise RuntimeFault("not-found", f"there is no volume {name}", retry=False)
        self._restorable(volume)
        self._need(helper, f"reaching into volume {name}")
        files = {key: binascii.hexlify(data).decode() for key, data in sorted(volume.files.items())}
        raw = canonical(files) + b"\nwhole\n"
        if len(raw) > limit_bytes:
            raise RuntimeFault("too-large", f"the copy of volume {name} passes the {limit_bytes} bytes set aside for it", retry=False)
        try:
            out.write(raw)
        except OSError as fault:
            raise RuntimeFault("no-space", f"the copy of volume {name} cannot be written: {fault}", retry=True) from None
        self.world.spent_ms += len(raw) * 1000 // self.world.bytes_per_s
        return VolumeCopy(len(raw), sha256_of(raw), len(files))

    def import_volume(self, order: VolumeOrder, helper: Variant, source: BinaryIO) -> None:
        """Make the volume anew out of a copy."""
        self.world.enter("import_volume")
        text, _, rest = source.read().partition(b"\n")
        if rest != b"whole\n":
            raise RuntimeFault("not-restorable", "the kept copy of the volume is not whole", retry=False)
        if order.name in self.world.volumes:
            self._restorable(self.world.volumes[order.name])
        self.remove_volume(order.name)
        self.create_volume(order)
        self._need(helper, f"reaching into volume {order.name}")
        self.world.enter("import_volume", "middle")
        self.world.volumes[order.name].files = {key: binascii.unhexlify(data) for key, data in json.loads(text).items()}
        self.world.enter("import_volume", "after")

    @staticmethod
    def _restorable(volume: FakeVolume) -> None:
        if volume.driver != "local" or volume.options:
            raise RuntimeFault("not-restorable", f"volume {volume.name} lies outside the engine; it cannot be put back by making it anew", retry=False)


def _digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return sha256_of(file.read())
