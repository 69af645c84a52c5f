"""The runtime for Docker Engine (API 1.40 and later, as negotiated) and for Podman's compatible API.

Owns the verbs and what differs between the engines, which is found by asking, never by configuration. Translations stand in
`dockerorders` (out) and `dockerseen` (in), pulls in `dockerpull`, volume data in `dockervolumes`, transport in `engine`.
"""

from __future__ import annotations

import os
import time

from penstock.agent.runtimes import (
    CreateOrder,
    EngineFacts,
    ExecResult,
    NetworkOrder,
    PruneResult,
    RuntimeFault,
    VolumeCopy,
    VolumeOrder,
    dockerfacts,
    dockerfiles,
    dockerinside,
    dockeroptions,
    dockerorders,
    dockerpull,
    dockerseen,
    dockershelf,
    dockerusage,
    dockervolumes,
)
from penstock.agent.runtimes.engine import EngineClient, EngineError, fault_of, query, quoted
from penstock.agent.runtimes.probing import places, reach, side_by_side
from penstock.rules.engines import for_podman
from penstock.rules.observed import (
    LABEL_DEVICE,
    LABEL_TOKEN,
    Ask,
    ImageDefaults,
    Observation,
    ObservedContainer,
    ObservedImage,
    ObservedNetwork,
    ProbeResult,
)
from penstock.rules.platforms import excluded, normal
from penstock.wire.record import replace
from penstock.wire.types import Probe, Variant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from penstock.agent.runtimes import BlobSource
    from penstock.rules.observed import ProbeAsk

SLOW_S = 120.0  # for calls that make or remove things on slow flash
STOP_EXTRA_S = 60.0  # beyond the grace, for killing and cleaning up


class DockerRuntime:
    """One engine behind one socket. `facts` may carry what an earlier instance found, to spare asking again."""

    def __init__(self, socket_path: str, facts: EngineFacts | None = None) -> None:
        self._client = EngineClient(socket_path)
        self._facts = facts

    # --- what it is ---------------------------------------------------------------------------------------------------

    def facts(self) -> EngineFacts:
        """What this engine is; asked once per instance."""
        if self._facts is None:
            self._facts = dockerfacts.ask(self._client)
        return self._facts

    @property
    def _podman(self) -> bool:
        return self.facts().engine.kind == "podman"

    def _v(self, rest: str) -> str:
        return f"/v{self.facts().engine.api}{rest}"

    def _call(self, method: str, target: str, doing: str, *, body: Any = None, timeout_s: float | None = None) -> Any:
        try:
            return self._client.call(method, target, doing, body=body, timeout_s=timeout_s)
        except EngineError as error:
            raise fault_of(error) from None

    def disk_free(self) -> int:
        """Bytes left where the engine keeps its data; -1 where that folder cannot be seen from here (an agent in a container)."""
        try:
            disk = os.statvfs(self.facts().root)
        except OSError:
            return -1
        return disk.f_bavail * disk.f_frsize

    # --- looking ------------------------------------------------------------------------------------------------------

    def observe(self, ask: Ask) -> Observation:
        """One look; an engine that does not answer is a value, not a fault."""
        try:
            return self._observe(ask)
        except RuntimeFault as fault:
            return Observation(engine_ok=False, why=fault.why)

    def _observe(self, ask: Ask) -> Observation:
        for identity in ask.healthchecks:
            self._healthcheck_if_there(identity)
        images: dict[str, ImageDefaults] = {}
        containers: dict[str, ObservedContainer] = {}
        listed = self._call("GET", self._v(f"/containers/json{query(all=True, filters={'label': [f'{LABEL_DEVICE}={ask.device}']})}"), "listing containers")
        wanted = [str(item.get("Id")) for item in listed or () if isinstance(item, dict)]
        for reference in (*wanted, *ask.containers, *ask.names):
            if reference in containers:
                continue
            plain = self._inspect(reference)
            if plain is not None and _is(reference, plain):
                seen = dockerseen.container(plain, self._defaults(str(plain.get("Image", "")), images), podman=self._podman)
                containers[seen.id] = seen
        return Observation(
            engine_ok=True,
            containers=tuple(sorted(containers.values(), key=lambda seen: (seen.name, seen.id))),
            volumes=tuple(dockerseen.volume(plain) for name in ask.volumes if (plain := self._volume(name)) is not None),
            networks=tuple(dockerseen.network(plain) for name in ask.networks if (plain := self._network(name)) is not None),
            images=tuple(image for variant in ask.images if (image := self.image(variant)) is not None),
            probes=self._probes(ask.probes, containers),
            disk_free_bytes=self.disk_free(),
        )

    def _healthcheck_if_there(self, identity: str) -> None:
        try:
            self.healthcheck(identity)
        except RuntimeFault as fault:
            if fault.code in ("engine-down", "engine-timeout", "engine-permission"):
                raise  # the rest means the container went or stopped: the look that follows shows it

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        plain = self._client.find(self._v(f"/containers/{quoted(reference)}/json"), f"looking at container {reference}")
        return plain if isinstance(plain, dict) else None

    def _defaults(self, identity: str, known: dict[str, ImageDefaults]) -> ImageDefaults:
        if identity not in known:
            plain = self._client.find(self._v(f"/images/{quoted(identity)}/json"), "looking at an image") if identity else None
            if plain is None:
                known[identity] = ImageDefaults(known=False)
            else:
                known[identity] = dockerseen.defaults(plain, self._podman_health(identity) if self._podman else None)
        return known[identity]

    def _podman_health(self, identity: str) -> Any:
        plain = self._client.find(f"/v4.0.0/libpod/images/{quoted(identity)}/json", "looking at an image")
        return plain.get("HealthCheck") or plain.get("Healthcheck") if isinstance(plain, dict) else None

    def _volume(self, name: str) -> dict[str, Any] | None:
        plain = self._client.find(dockervolumes.volume_target(self._v(""), name), f"looking at volume {name}")
        return plain if isinstance(plain, dict) and plain.get("Name") == name else None

    def _network(self, name: str) -> dict[str, Any] | None:
        plain = self._client.find(self._v(f"/networks/{quoted(name)}"), f"looking at network {name}")
        return plain if isinstance(plain, dict) and plain.get("Name") == name else None  # engines also match the beginning of an id

    def _probes(self, asked: tuple[ProbeAsk, ...], containers: dict[str, ObservedContainer]) -> tuple[ProbeResult, ...]:
        """Commands one after another, as they share the engine's connection; the rest side by side."""
        said: dict[str, str] = {}
        later: dict[str, tuple[tuple[tuple[str, int], ...], Probe]] = {}
        for item in asked:
            seen = containers.get(item.container)
            if seen is None or seen.state != "running":
                said[item.key] = "the container is not running"
            elif item.probe.kind == "command":
                said[item.key] = self._command(seen, item.probe)
            else:
                later[item.key] = (places(seen, item.probe), item.probe)
        said.update(zip(later, side_by_side(tuple(later.values()))))
        return tuple(ProbeResult(item.key, item.container, ok=not said[item.key], why=said[item.key][:1000]) for item in asked)

    def _command(self, seen: ObservedContainer, probe: Probe) -> str:
        try:
            return self._check(seen, probe)
        except RuntimeFault as fault:
            if fault.code in ("engine-down", "engine-permission"):
                raise
            return fault.why

    # --- images -------------------------------------------------------------------------------------------------------

    def image(self, variant: Variant) -> ObservedImage | None:
        """The variant as the engine holds it, or None."""
        plain = dockerpull.find(self._client, self._v(""), variant)
        return dockerpull.observed(plain, variant) if plain is not None else None

    def pull(self, variant: Variant, blobs: BlobSource, tag: str) -> str:
        """Bring the variant in out of `blobs`; the engine's id of it."""
        facts = self.facts()
        if excluded(variant.platform, facts.platforms):
            raise RuntimeFault("wrong-architecture", f"the image is made for {variant.platform}; this device runs {', '.join(facts.platforms)}", retry=False)
        foreign = normal(variant.platform) != normal(facts.platforms[0])
        platform = variant.platform if foreign else None
        return dockerpull.pull(self._client, self._v(""), variant, blobs, tag, podman=self._podman, platform=platform)

    def keep(self, variant: Variant, tag: str) -> None:
        """Name the variant `tag`."""
        dockerpull.keep(self._client, self._v(""), self._image_id(variant, tag), tag)

    def unkeep(self, tag: str) -> None:
        """Take that name away."""
        dockerpull.untag(self._client, self._v(""), tag)

    def prune(self, keep: tuple[Variant, ...]) -> PruneResult:
        """Remove images of ours that nothing uses and nobody wants kept, and helper containers a crash left behind."""
        left = self._call("GET", self._v(f"/containers/json{query(all=True, filters={'label': [dockervolumes.LABEL_HELPER]})}"), "listing containers")
        for item in left or ():
            self.remove(str(item.get("Id")))
        return dockerpull.prune(self._client, self._v(""), keep)

    def sweep(self, device: str) -> None:
        """Remove what a crash left of files that were put beside a container of ours."""
        if not self._podman:
            dockershelf.sweep(self._client, self._v(""), device)

    def _image_id(self, variant: Variant, what: str) -> str:
        found = dockerpull.find(self._client, self._v(""), variant)
        if found is None:
            raise RuntimeFault("image-missing", f"the engine does not hold the image for {what}; it has to be brought in again", retry=True)
        return dockerseen.image_id(found.get("Id"))

    # --- containers ---------------------------------------------------------------------------------------------------

    def create(self, order: CreateOrder) -> str:
        """Make the container with all its networks, not started; its id."""
        identity = self._image_id(order.variant, order.service.name)
        _limits_hold(order, self.facts().cannot)
        dockeroptions.must_take(order.service.name, order.service.options, self.facts())
        order = replace(order, services={service: self._identity(name, order) for service, name in order.services.items()})
        if self._podman:
            self._binds_are_there(order)
            order = replace(order, service=replace(order.service, options=for_podman(order.service.options)))
        body = dockerorders.container_body(order, identity, self._defaults(identity, {}), start_interval=self.facts().start_interval)
        doing = f"creating container {order.name}"
        platform = None
        if not self._podman and normal(order.variant.platform) != normal(self.facts().platforms[0]):
            platform = order.variant.platform
        target = self._v(f"/containers/create{query(name=order.name, platform=platform)}")
        shelved = bool(order.service.files) and order.service.options.read_only and not self._podman
        try:
            if not shelved:
                container = str(self._client.call("POST", target, doing, body=body, timeout_s=SLOW_S)["Id"])
            elif self._inspect(order.name) is not None:
                container = self._same_token(order, EngineError(409, order.name, doing))
            else:
                with dockershelf.Shelf(self._client, self._v(""), identity, order) as shelf:
                    body["HostConfig"]["Mounts"] += shelf.mounts()
                    container = str(self._client.call("POST", target, doing, body=body, timeout_s=SLOW_S)["Id"])
        except EngineError as error:
            container = self._same_token(order, error)
        for network, endpoint in dockerorders.further_networks(order):
            self._join(container, network, endpoint, doing)
        if order.service.files and not shelved:
            dockerfiles.put(self._client, self._v(""), container, order.service, order.secret_files)
        return container

    def _identity(self, name: str, order: CreateOrder) -> str:
        """The id of the container in whose namespaces another shall live: engines keep what they are told, and an id says which one was meant."""
        plain = self._inspect(name)
        if plain is None or not _is(name, plain):
            raise RuntimeFault("not-found", f"service {order.service.name} lives inside container {name}, which is not there yet", retry=True)
        return str(plain["Id"])

    def _binds_are_there(self, order: CreateOrder) -> None:
        """Docker refuses to bind a folder of the host that is not there; Podman's compatible API makes an empty one, which hides a mistyped
        path. So it is looked for here, wherever this process sees the host's files (it then sees the engine's folder)."""
        if not os.path.isdir(self.facts().root):
            return
        for mount in order.service.mounts:
            if mount.kind == "bind" and not mount.make_source and not os.path.exists(mount.source):
                raise RuntimeFault("bad-settings", f"service {order.service.name}: there is no {mount.source} on this device to bind; make it", retry=False)

    def _same_token(self, order: CreateOrder, error: EngineError) -> str:
        """After a failed create: the id of the container we made earlier under the same token, or the fault."""
        plain = self._inspect(order.name)
        if plain is None or not _is(order.name, plain):
            raise self._port_hint(fault_of(error), order)
        labels = (plain.get("Config") or {}).get("Labels") or {}
        if order.token and labels.get(LABEL_TOKEN) == order.token:
            return str(plain["Id"])
        raise RuntimeFault(
            "name-taken",
            f"a container named {order.name} that Penstock did not make is in the way; rename or remove it (docker rename {order.name} ...)",
            retry=True,
        )

    def _join(self, container: str, network: str, endpoint: dict[str, Any], doing: str) -> None:
        plain = self._inspect(container) or {}
        if network in ((plain.get("NetworkSettings") or {}).get("Networks") or {}):
            return
        body = {"Container": container, "EndpointConfig": endpoint}
        self._call("POST", self._v(f"/networks/{quoted(network)}/connect"), f"{doing}: joining network {network}", body=body, timeout_s=SLOW_S)

    def start(self, container: str) -> None:
        """Start it; a running one is left alone."""
        try:
            self._client.call("POST", self._v(f"/containers/{container}/start"), "starting a container", timeout_s=SLOW_S)
        except EngineError as error:
            raise self._port_hint(fault_of(error), None, container) from None

    def _port_hint(self, fault: RuntimeFault, order: CreateOrder | None, container: str = "") -> RuntimeFault:
        """Where a port is taken, say by which container, if it is one."""
        if fault.code != "port-taken":
            return fault
        if order is not None:
            asked = {(port.host, port.protocol) for port in order.service.ports if port.host}
        else:
            plain = self._inspect(container)
            seen = dockerseen.container(plain, ImageDefaults(known=False), podman=self._podman) if plain else None
            asked = {(port.host, port.protocol) for port in seen.settings.ports if port.host} if seen else set()
        for item in self._call("GET", self._v("/containers/json"), "listing containers") or ():
            for use in item.get("Ports") or ():
                key = (use.get("PublicPort"), use.get("Type"))
                if key in asked and str(item.get("Id")) != container:
                    name = str((item.get("Names") or ["?"])[0]).lstrip("/")
                    return RuntimeFault("port-taken", f"port {key[0]}/{key[1]} is taken by container {name}; {fault.why}", retry=True)
        ports = ", ".join(f"{number}/{protocol}" for number, protocol in sorted(asked)) or "it publishes"
        return RuntimeFault("port-taken", f"port {ports} is taken by a program outside the containers (see: ss -lntup); {fault.why}", retry=True)

    def stop(self, container: str, grace_ms: int, signal: str = "") -> None:
        """Ask it to end, and kill it after the grace; a stopped or vanished one is left alone."""
        grace_s = max(0, -(-grace_ms // 1000))
        if signal and not self._signal_and_wait(container, grace_ms, signal):
            grace_s = 0
        try:
            self._client.call("POST", self._v(f"/containers/{container}/stop{query(t=grace_s)}"), "stopping a container", timeout_s=grace_s + STOP_EXTRA_S)
        except EngineError as error:
            if error.status != 404:
                raise fault_of(error) from None

    def _signal_and_wait(self, container: str, grace_ms: int, signal: str) -> bool:
        """Another signal than the container's own, which the stop call of API 1.41 cannot send. True: it has ended (or had)."""
        try:
            self._client.call("POST", self._v(f"/containers/{container}/kill{query(signal=signal)}"), "stopping a container")
        except EngineError as error:
            if error.status in (404, 409):
                return True
            raise fault_of(error) from None
        until = time.monotonic() + grace_ms / 1000
        while time.monotonic() < until:
            plain = self._inspect(container)
            if plain is None or not (plain.get("State") or {}).get("Running"):
                return True
            time.sleep(0.1)
        return False

    def restart(self, container: str, grace_ms: int) -> None:
        """Stop and start it."""
        grace_s = max(0, -(-grace_ms // 1000))
        try:
            self._client.call("POST", self._v(f"/containers/{container}/restart{query(t=grace_s)}"), "restarting a container", timeout_s=grace_s + SLOW_S)
        except EngineError as error:
            raise self._port_hint(fault_of(error), None, container) from None

    def rename(self, container: str, name: str) -> None:
        """Give it another name; one it already has is no fault."""
        plain = self._inspect(container)
        if plain is not None and str(plain.get("Name", "")).lstrip("/") == name:
            return
        try:
            self._client.call("POST", self._v(f"/containers/{container}/rename{query(name=name)}"), "renaming a container")
        except EngineError as error:
            if self._inspect(name) is not None:
                raise RuntimeFault("name-taken", f"another container is already named {name}", retry=True) from None
            raise fault_of(error) from None

    def remove(self, container: str) -> None:
        """Remove it, running or not, with its anonymous volumes and its files; waits where a removal is already under way."""
        shelf = "" if self._podman else dockershelf.of(self._inspect(container) or {})[0]
        self._remove(container)
        if shelf:
            dockershelf.remove(self._client, self._v(""), shelf)

    def _remove(self, container: str) -> None:
        until = time.monotonic() + SLOW_S
        while True:
            try:
                self._client.call("DELETE", self._v(f"/containers/{container}{query(force=True, v=True)}"), "removing a container", timeout_s=SLOW_S)
                return
            except EngineError as error:
                if error.status == 404:
                    return
                if error.status != 409 or "in progress" not in error.message or time.monotonic() > until:
                    raise fault_of(error) from None
            time.sleep(0.2)

    # --- checks, commands, logs ---------------------------------------------------------------------------------------

    def check(self, container: str, probe: Probe) -> str:
        """Make one probe now; empty when it passed, else the reason."""
        plain = self._inspect(container)
        seen = dockerseen.container(plain, ImageDefaults(known=False), podman=self._podman) if plain else None
        if seen is None or seen.state != "running":
            return "the container is not running"
        return self._check(seen, probe)

    def _check(self, seen: ObservedContainer, probe: Probe) -> str:
        if probe.kind == "command":
            result = self.run(seen.id, probe.command, probe.timeout_ms, 4096)
            if result.timed_out:
                return f"the command did not end within {probe.timeout_ms} ms"
            output = " ".join(result.output.split())[:200]
            return "" if result.exit_code == 0 else f"the command ended with {result.exit_code}{': ' + output if output else ''}"
        return reach(places(seen, probe), probe)

    def healthcheck(self, container: str) -> None:
        """Run the container's own check once. Only Podman's API can; Docker always has timers of its own."""
        if not self._podman:
            raise RuntimeFault("unsupported", "this engine runs health checks by itself", retry=False)
        self._call("GET", f"/v4.0.0/libpod/containers/{container}/healthcheck", "running a health check", timeout_s=SLOW_S)

    def run(self, container: str, command: tuple[str, ...], timeout_ms: int, limit_bytes: int = 65536) -> ExecResult:
        """Run a command inside; one that does not end in time is killed where its process can be told for certain."""
        return dockerinside.run(self._client, self._v(""), container, command, timeout_ms, limit_bytes)

    def logs(self, container: str, lines: int, limit_bytes: int = 65536) -> str:
        """The last lines it wrote."""
        return dockerinside.logs(self._client, self._v(""), container, lines, limit_bytes)

    def inspect(self, container: str, limit_bytes: int = 65536) -> str:
        """What the engine says of it, as JSON text. Secret values are blanked; where our label of them is gone, every value is."""
        plain = self._inspect(container)
        if plain is None:
            raise RuntimeFault("not-found", "there is no such container", retry=False)
        return dockerinside.shown(plain, limit_bytes)

    def usage(self, container: str) -> str:
        """What it uses now, as JSON text."""
        return dockerusage.usage(self._client, self._v(""), container)

    # --- networks and volumes -----------------------------------------------------------------------------------------

    def create_network(self, order: NetworkOrder) -> None:
        """Make the network; our own of that name with the same settings is taken as it is."""
        plain = self._network(order.name)
        if plain is None:
            try:
                self._client.call(
                    "POST", self._v("/networks/create"), f"creating network {order.name}", body=dockerorders.network_body(order), timeout_s=SLOW_S
                )
                return
            except EngineError as error:
                if error.status != 409:
                    raise fault_of(error) from None
            plain = self._network(order.name)
        if plain is None:
            raise RuntimeFault("engine-error", f"network {order.name} comes and goes", retry=True)
        seen = dockerseen.network(plain)
        if seen.labels.get(LABEL_DEVICE) != order.labels.get(LABEL_DEVICE):
            raise RuntimeFault("name-taken", f"a network named {order.name} that Penstock did not make is in the way; remove or rename it", retry=True)
        if seen.driver != (order.driver or "bridge") or seen.internal != order.internal or seen.ipv6 != order.ipv6 or not _pools_fit(order, seen):
            raise RuntimeFault("name-taken", f"network {order.name} is there with other settings; it must be removed first", retry=True)

    def remove_network(self, name: str) -> None:
        """Remove it; one that is not there is no fault."""
        if self._network(name) is None:
            return
        try:
            # By name: Podman 4.3 asked by id removes a network that is in use.
            self._client.call("DELETE", self._v(f"/networks/{quoted(name)}"), f"removing network {name}", timeout_s=SLOW_S)
        except EngineError as error:
            if error.status == 404:
                return
            fault = fault_of(error)
            if error.status in (403, 409):
                fault = RuntimeFault("in-use", f"network {name} cannot go: a container is still attached ({' '.join(error.message.split())[:200]})", retry=True)
            raise fault from None

    def create_volume(self, order: VolumeOrder) -> None:
        """Make the volume; an existing one is taken as it is."""
        if self._volume(order.name) is None:
            self._call("POST", self._v("/volumes/create"), f"creating volume {order.name}", body=dockerorders.volume_body(order), timeout_s=SLOW_S)

    def volumes_of(self, device: str) -> tuple[str, ...]:
        """Those with our device's label."""
        found = self._call("GET", self._v(f"/volumes{query(filters={'label': [f'{LABEL_DEVICE}={device}']})}"), "listing volumes", timeout_s=SLOW_S)
        return tuple(sorted(str(one.get("Name")) for one in (found or {}).get("Volumes") or ()))

    def remove_volume(self, name: str) -> None:
        """Remove it with its data; one that is not there is no fault."""
        try:
            self._client.call("DELETE", dockervolumes.volume_target(self._v(""), name), f"removing volume {name}", timeout_s=SLOW_S)
        except EngineError as error:
            if error.status == 404:
                return
            if error.status == 409:
                raise RuntimeFault("in-use", f"volume {name} cannot go: a container still has it", retry=True) from None
            raise fault_of(error) from None

    def volume_has_data(self, name: str, helper: Variant) -> bool:
        """Whether anything lies in it."""
        plain = self._volume(name)
        if plain is None:
            return False
        with self._helper(plain, helper) as lent:
            return dockervolumes.has_data(lent)

    def export_volume(self, name: str, helper: Variant, out: BinaryIO, limit_bytes: int) -> VolumeCopy:
        """Write its data as tar to `out`. Only what could be put back is copied."""
        plain = self._volume(name)
        if plain is None:
            raise RuntimeFault("not-found", f"there is no volume {name}", retry=False)
        self._restorable(name, plain)
        sink = dockervolumes.Sink(name, out, limit_bytes)
        if self._podman:
            return dockervolumes.export_folder(name, str(plain.get("Mountpoint", "")), sink)
        with self._helper(plain, helper) as lent:
            return dockervolumes.export(lent, sink)

    def import_volume(self, order: VolumeOrder, helper: Variant, source: BinaryIO) -> None:
        """Make the volume anew and fill it from an exported tar."""
        dockervolumes.must_be_whole(source)
        plain = self._volume(order.name)
        if plain is not None:
            self._restorable(order.name, plain)
            self.remove_volume(order.name)
        self.create_volume(order)
        with self._helper(self._volume(order.name) or {"Name": order.name}, helper) as lent:
            dockervolumes.fill(lent, source, podman=self._podman)

    @staticmethod
    def _restorable(name: str, plain: dict[str, Any]) -> None:
        """A volume is put back by making it anew, so it must begin empty: another driver, or a folder of the host behind it, does not."""
        seen = dockerseen.volume(plain)
        if seen.driver != "local" or seen.driver_options:
            raise RuntimeFault(
                "not-restorable",
                f"volume {name} lies outside the engine (driver {seen.driver}, with options); it cannot be put back by making it anew",
                retry=False,
            )

    def _helper(self, plain: dict[str, Any], helper: Variant) -> dockervolumes.Helper:
        name = str(plain["Name"])
        image = self._image_id(helper, f"reaching into volume {name}")
        return dockervolumes.Helper(self._client, self._v(""), image, name, str(plain.get("Mountpoint", "")))


# --- small things ---------------------------------------------------------------------------------------------------------


def _is(reference: str, plain: dict[str, Any]) -> bool:
    """Whether an inspect answer is really about `reference`: engines also match the beginning of an id."""
    return reference in (plain.get("Id"), str(plain.get("Name", "")).lstrip("/"))


def _pools_fit(order: NetworkOrder, seen: ObservedNetwork) -> bool:
    """Whether a network hands out the addresses asked for; engines name a gateway where nobody did, and Podman shows a range in its own way."""
    gateways = {pool.subnet: pool.gateway for pool in seen.pools}
    return all(not pool.subnet or gateways.get(pool.subnet, "?") in ("", pool.gateway or gateways.get(pool.subnet)) for pool in order.pools)


def _limits_hold(order: CreateOrder, cannot: tuple[str, ...]) -> None:
    """Engines drop a limit the kernel cannot enforce, with a warning nobody reads: a service that asks for one is refused instead."""
    limits = order.service.resources
    asked = {
        "memory": limits.memory_bytes or limits.memory_reservation_bytes,
        "swap": limits.memory_swap_bytes,
        "cpus": limits.nano_cpus,
        "pids": limits.pids,
        "cpuset": limits.cpuset,
    }
    for name in cannot:
        if asked.get(name):
            raise RuntimeFault(
                "bad-settings",
                f"service {order.service.name} asks for a limit on {name}, which this device's kernel cannot enforce; switch that control group on "
                "(for memory: cgroup_enable=memory swapaccount=1 on the kernel's command line), or take the limit out of the release",
                retry=False,
            )
