"""The hands: carry out one engine work, then look. Runs in a short-lived child, or inside the simulated fleet.

Owns the translation of steps into a runtime's verbs, the snapshot files, and the opening of secrets at the very moment a container is made (they are
never stored or logged). Never decides; a fault becomes an outcome.
"""

from __future__ import annotations

import os

from penstock.agent.blobstore import BlobFault
from penstock.agent.runtimes import CreateOrder, NetworkOrder, RuntimeFault, VolumeOrder
from penstock.agent.work import ApplyStep, EngineDone, Observe, RunCommand
from penstock.rules.look import Look
from penstock.rules.naming import container_name, network_name, network_names, volume_name, volume_names
from penstock.rules.observed import LABEL_APP, LABEL_DEVICE, Observation
from penstock.rules.ours import labels_for
from penstock.rules.specs import hosts_of, spec_of
from penstock.wire.types import secret_bound_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, Protocol

    from penstock.agent.blobstore import BlobStore
    from penstock.agent.runtimes import Runtime
    from penstock.agent.work import EngineWork
    from penstock.wire.messages import Engine
    from penstock.wire.types import Sealed, Service

    OpenSecret = Callable[[Sealed, bytes], bytes]
    Nodes = Callable[[], tuple[str, ...] | None]
else:
    Protocol = object

RESERVE_BYTES = 32 * 1024 * 1024  # left free beside a snapshot


class Snapshots(Protocol):
    """Where copies of volumes lie."""

    def names(self) -> tuple[str, ...]:
        """Complete copies."""

    def writer(self, name: str) -> BinaryIO:
        """A file that becomes the copy `name` on `commit`, and nothing when it is not."""

    def commit(self, name: str) -> None:
        """The written file is whole: make it durable under its name."""

    def reader(self, name: str) -> BinaryIO:
        """A complete copy, for reading."""

    def remove(self, name: str) -> None:
        """Remove a copy, complete or not."""

    def free_bytes(self) -> int:
        """Space left, -1 where that cannot be told."""


class SnapshotFolder:
    """Copies of volumes as files of one folder."""

    def __init__(self, root: str) -> None:
        self._root = root

    def names(self) -> tuple[str, ...]:
        """Complete copies."""
        try:
            return tuple(sorted(name for name in os.listdir(self._root) if not name.endswith(".part")))
        except FileNotFoundError:
            return ()

    def writer(self, name: str) -> BinaryIO:
        """A file beside, not yet the copy."""
        os.makedirs(self._root, 0o700, exist_ok=True)
        for left in os.listdir(self._root):
            if left.endswith(".part"):  # of a copy that was cut short; only one is ever made at a time
                os.unlink(f"{self._root}/{left}")
        number = os.open(f"{self._root}/{name}.part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        return os.fdopen(number, "wb")

    def commit(self, name: str) -> None:
        """Flush the file and the folder, and give it its name."""
        for path, flag in ((f"{self._root}/{name}.part", 0), (self._root, os.O_DIRECTORY)):
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flag)
            try:
                os.fsync(number)
            finally:
                os.close(number)
            if not flag:
                os.rename(path, f"{self._root}/{name}")

    def reader(self, name: str) -> BinaryIO:
        """A complete copy."""
        return open(f"{self._root}/{name}", "rb")

    def remove(self, name: str) -> None:
        """Remove a copy, complete or not; one that is not there is no fault."""
        for path in (f"{self._root}/{name}", f"{self._root}/{name}.part"):
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue

    def free_bytes(self) -> int:
        """What the file system has left for us."""
        try:
            disk = os.statvfs(self._root)
        except OSError:
            return -1
        return disk.f_bavail * disk.f_frsize


class Hands:
    """One pair of hands around one runtime and the agent's own stores."""

    def __init__(self, runtime: Runtime, blobs: BlobStore, snapshots: Snapshots, open_secret: OpenSecret, nodes: Nodes | None = None) -> None:
        self._nodes = nodes
        self._runtime = runtime
        self._blobs = blobs
        self._snapshots = snapshots
        self._open_secret = open_secret

    def perform(self, work: EngineWork) -> EngineDone:
        """Carry out one work. Never raises for what an engine, a disk or a blob does."""
        if isinstance(work, Observe):
            return EngineDone(ok=True, look=self._look(work))
        try:
            done = self._step(work) if isinstance(work, ApplyStep) else self._command(work)
        except RuntimeFault as fault:
            done = EngineDone(ok=False, why=fault.why, code=fault.code, retry=fault.retry)
        except BlobFault as fault:
            done = EngineDone(ok=False, why=fault.why, code=fault.code, retry=True)
        except OSError as fault:
            done = EngineDone(ok=False, why=f"the agent's own storage: {fault.strerror or fault}", code="storage", retry=True)
        return EngineDone(done.ok, done.why, done.code, done.retry, done.identity, done.had_data, done.bytes, done.output, self._look(work.look))

    # --- looking ----------------------------------------------------------------------------------------------------------

    def _look(self, work: Observe) -> Look:
        for name in work.drop_snapshots:
            self._snapshots.remove(name)
        if work.keep_blobs is not None:
            self._blobs.sweep(set(work.keep_blobs))
        seen = self._runtime.observe(work.ask)
        engine: Engine | None = None
        platforms: tuple[str, ...] = ()
        if seen.engine_ok:
            try:
                facts = self._runtime.facts()
                engine, platforms = facts.engine, facts.platforms
            except RuntimeFault as fault:
                seen = Observation(engine_ok=False, why=fault.why)
            if work.keep_blobs is not None:
                self._swept(work.ask.device)
        present = tuple(digest for digest in work.blobs if self._blobs.path(digest) is not None)
        return Look(seen, present, self._snapshots.names(), self._snapshots.free_bytes(), platforms, engine, self._nodes() if self._nodes else None)

    def _swept(self, device: str) -> None:
        try:
            self._runtime.sweep(device)
        except RuntimeFault:
            return  # the next look that sweeps does it

    # --- steps ------------------------------------------------------------------------------------------------------------

    def _step(self, work: ApplyStep) -> EngineDone:
        step, runtime = work.step, self._runtime
        if step.kind == "image":
            return self._image(work)
        if step.kind == "stop":
            runtime.stop(step.container, step.grace_ms, step.signal)
        elif step.kind == "remove":
            runtime.remove(step.container)
        elif step.kind == "start":
            runtime.start(step.container)
        elif step.kind == "restart":
            runtime.restart(step.container, step.grace_ms)
        elif step.kind == "create":
            return EngineDone(ok=True, identity=runtime.create(self._order(work)))
        elif step.kind == "network":
            runtime.create_network(self._network(work))
        elif step.kind == "remove-network":
            runtime.remove_network(step.name)
        elif step.kind == "volume":
            return self._volume(work)
        elif step.kind == "remove-volume":
            runtime.remove_volume(step.name)
        elif step.kind == "remove-image":
            runtime.unkeep(step.name)
        elif step.kind == "snapshot":
            return self._snapshot(work)
        elif step.kind == "restore":
            return self._restore(work)
        else:
            return EngineDone(ok=False, why=f"this agent does not know the step {step.kind!r}", code="unsupported", retry=False)
        return EngineDone(ok=True)

    def _image(self, work: ApplyStep) -> EngineDone:
        variant = work.variant
        if variant is None:
            return EngineDone(ok=False, why="there is no variant of the image for this device", code="wrong-architecture", retry=False)
        if self._runtime.image(variant) is not None:
            self._runtime.keep(variant, work.step.name)
            return EngineDone(ok=True)
        try:
            return EngineDone(ok=True, identity=self._runtime.pull(variant, self._blobs, work.step.name))
        except RuntimeFault as fault:
            if fault.code == "blob-corrupt":  # what does not verify is fetched again
                for blob in (variant.manifest, variant.config, *variant.layers):
                    if not self._blobs.verify(blob):
                        self._blobs.remove(blob.digest)
                raise RuntimeFault(fault.code, fault.why, retry=True) from None
            raise

    def _order(self, work: ApplyStep) -> CreateOrder:
        state, step = work.state, work.step
        service = _service(work)
        if work.variant is None:
            raise RuntimeFault("wrong-architecture", f"there is no variant of image {service.image} for this device", retry=False)
        spec = spec_of(state, service, (work.variant.platform,))
        return CreateOrder(
            name=container_name(state.app, service),
            service=service,
            variant=work.variant,
            token=step.token,
            labels=labels_for(work.device, state.app, service.name, spec, step.token),
            index=work.index,
            volumes=volume_names(state),
            networks=network_names(state),
            secrets=self._secrets(work, service),
            secret_files={file.target: self._opened(work, service, file.secret, file.version) for file in service.files if file.secret},
            services={one.name: container_name(state.app, one) for one in hosts_of(state, service)},
        )

    def _secrets(self, work: ApplyStep, service: Service) -> dict[str, str]:
        opened = {}
        for variable, use in service.secret_environment.items():
            try:
                opened[variable] = self._opened(work, service, use.secret, use.version).decode("utf-8")
            except UnicodeDecodeError:
                raise RuntimeFault("bad-settings", f"secret {use.secret} is no text, so it cannot be a variable", retry=False) from None
        return opened

    def _opened(self, work: ApplyStep, service: Service, name: str, version: str) -> bytes:
        """The value of a secret of this release. Raises RuntimeFault."""
        for secret in work.state.secrets:
            if secret.name == name and secret.version == version:
                bound = secret_bound_to(work.device, work.state.app, secret.name, secret.version)
                try:
                    return self._open_secret(secret.sealed, bound)
                except ValueError:
                    raise RuntimeFault("bad-settings", f"secret {secret.name} cannot be opened with this device's key; set it again", retry=False) from None
        raise RuntimeFault("bad-settings", f"secret {name} of service {service.name} did not come with the release", retry=False)

    def _network(self, work: ApplyStep) -> NetworkOrder:
        for network in work.state.networks:
            if network_name(work.state.app, network) == work.step.name:
                labels = {**network.labels, LABEL_DEVICE: work.device, LABEL_APP: work.state.app}
                return NetworkOrder(
                    work.step.name,
                    network.driver,
                    network.driver_options,
                    labels,
                    network.internal,
                    network.attachable,
                    network.ipv6,
                    network.pools,
                    network.ipam_driver,
                    network.ipam_options,
                )
        raise RuntimeFault("bad-settings", f"the release has no network {work.step.name}", retry=False)

    def _volume_order(self, work: ApplyStep) -> VolumeOrder:
        for volume in work.state.volumes:
            if volume_name(work.state.app, volume) == work.step.name:
                labels = {**volume.labels, LABEL_DEVICE: work.device, LABEL_APP: work.state.app}
                return VolumeOrder(work.step.name, volume.driver, volume.driver_options, labels)
        raise RuntimeFault("bad-settings", f"the release has no volume {work.step.name}", retry=False)

    def _volume(self, work: ApplyStep) -> EngineDone:
        order = self._volume_order(work)
        had = False
        if work.helper is not None:
            had = self._runtime.volume_has_data(order.name, work.helper)
        self._runtime.create_volume(order)
        return EngineDone(ok=True, had_data=had)

    def _snapshot(self, work: ApplyStep) -> EngineDone:
        if work.helper is None:
            raise RuntimeFault("image-missing", "no image of the app is in the engine, so its volumes cannot be read", retry=True)
        free = self._snapshots.free_bytes()
        limit = max(free - RESERVE_BYTES, 0) if free >= 0 else work.limit_bytes
        name = work.step.snapshot
        try:
            with self._snapshots.writer(name) as out:
                copy = self._runtime.export_volume(work.step.name, work.helper, out, limit)
            self._snapshots.commit(name)
        except RuntimeFault:
            self._snapshots.remove(name)
            raise
        except OSError as fault:
            self._snapshots.remove(name)
            raise RuntimeFault("no-space", f"the copy of volume {work.step.name} cannot be written: {fault.strerror or fault}", retry=False) from None
        return EngineDone(ok=True, bytes=copy.bytes)

    def _restore(self, work: ApplyStep) -> EngineDone:
        if work.helper is None:
            raise RuntimeFault("image-missing", "no image of the app is in the engine, so its volumes cannot be written", retry=True)
        with self._snapshots.reader(work.step.snapshot) as source:
            self._runtime.import_volume(self._volume_order(work), work.helper, source)
        return EngineDone(ok=True)

    # --- commands ---------------------------------------------------------------------------------------------------------

    def _command(self, work: RunCommand) -> EngineDone:
        if work.verb == "logs":
            return EngineDone(ok=True, output=self._runtime.logs(work.container, work.lines))
        if work.verb == "inspect":
            return EngineDone(ok=True, output=self._runtime.inspect(work.container))
        if work.verb == "wipe":
            return EngineDone(ok=True, output=self._wipe(work))
        if work.verb == "usage":
            return EngineDone(ok=True, output=self._runtime.usage(work.container))
        result = self._runtime.prune(work.keep)
        return EngineDone(ok=True, why=f"{len(result.images)} images removed, {result.freed_bytes} bytes freed")

    def _wipe(self, work: RunCommand) -> str:
        """Volumes where asked, images we brought, copies and blobs; what was done, a sentence a line. Done again it does the rest."""
        gone, left = [], []
        for name in sorted({*work.volumes, *self._runtime.volumes_of(work.device)}) if work.data else ():
            try:
                self._runtime.remove_volume(name)
                gone.append(name)
            except RuntimeFault as fault:
                if fault.code != "in-use":
                    raise
                left.append(name)  # a container that is not ours has it
        for name in self._snapshots.names():
            self._snapshots.remove(name)
        images = self._runtime.prune(()).images
        self._blobs.sweep(set())
        said = [f"volumes removed with their data: {', '.join(gone) or 'none'}" if work.data else "volumes were kept with their data, as ordered"]
        said += [f"volumes left, because containers that are not ours use them: {', '.join(left)}"] if left else []
        return "\n".join([*said, f"images removed: {len(images)}"])


def _service(work: ApplyStep) -> Service:
    for service in work.state.services:
        if service.name == work.step.service:
            return service
    raise RuntimeFault("bad-settings", f"the release has no service {work.step.service}", retry=False)
