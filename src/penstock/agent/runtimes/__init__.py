"""What the agent asks of a container engine: one small protocol of verbs, its orders and its faults.

Owns the protocol, the order records that go in and the small answers that come out; what an engine shows comes out as
`rules.observed`. One file per runtime beside this one implements it (`docker` for Docker and Podman's compatible API, `fake` for the
simulated fleet). Verbs do what they are told, once: order, gates, retries and going back are the planner's affair.

Every verb is synchronous and meant for a child process, bounded by a time-out of its own, and idempotent: what is already as asked for
is not a failure (starting what runs, removing what is gone, creating what stands there with the same token). Every verb but
`observe` raises RuntimeFault, and nothing else, when it cannot do what it was asked.
"""

from __future__ import annotations

from penstock.wire.messages import Engine
from penstock.wire.record import record
from penstock.wire.types import Pool, Service, Variant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Protocol

    from penstock.rules.observed import Ask, Observation, ObservedImage
    from penstock.wire.types import Probe
else:
    Protocol = object

# Codes of RuntimeFault, stable, for code to decide on; sentences are for people.
CODES = (
    "engine-down",  # no socket, nobody listening, connection broken off
    "engine-permission",  # the socket is there and refuses us
    "engine-timeout",  # it listens and does not answer in time
    "engine-error",  # it answered with an error we know nothing better about
    "no-space",  # the device has no room
    "wrong-architecture",  # the image is for another processor or system
    "image-missing",  # the engine does not hold the image
    "blob-missing",  # our own store lacks a blob the pull needs
    "blob-corrupt",  # bytes do not match their digest
    "port-taken",  # a published port is in use
    "name-taken",  # somebody else's container, network or volume bears the name
    "in-use",  # a volume, network or image cannot go while something uses it
    "not-found",  # the container, network or volume is not there
    "bad-settings",  # the engine refuses the settings as such; trying again cannot help
    "start-failed",  # the container was made but its process cannot start (no such command, no such device ...)
    "too-large",  # an answer or a snapshot passes its limit
    "not-restorable",  # this volume cannot be put back as it was, so no snapshot of it is a way back
    "unsupported",  # this engine cannot do it at all
)


class RuntimeFault(Exception):
    """A verb that failed. `why` is a sentence an operator can act on; `retry`: the same order may succeed later, unchanged."""

    def __init__(self, code: str, why: str, *, retry: bool) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.retry = retry


# --- orders -----------------------------------------------------------------------------------------------------------


@record
class CreateOrder:
    """One container to make. `volumes` and `networks` map the app's names to engine names. `secrets` are environment variables with
    their opened values, `secret_files` paths with theirs; they go to the engine and nowhere else. `services` maps the app's services to container
    names, for those whose namespaces are shared. `labels` are ours (`rules.observed.OUR_LABELS` without the secrets
    digest, which the runtime adds); `token` stands among them and makes creating idempotent."""

    name: str
    service: Service
    variant: Variant
    token: str
    labels: dict[str, str]
    index: str = ""
    volumes: dict[str, str] = {}
    networks: dict[str, str] = {}
    secrets: dict[str, str] = {}
    secret_files: dict[str, bytes] = {}
    services: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"CreateOrder(name={self.name!r}, service={self.service.name!r}, secrets={len(self.secrets)})"


@record
class VolumeOrder:
    """One volume to make, by engine name."""

    name: str
    driver: str = ""
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}


@record
class NetworkOrder:
    """One network to make, by engine name."""

    name: str
    driver: str = ""
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False
    pools: tuple[Pool, ...] = ()
    ipam_driver: str = ""
    ipam_options: dict[str, str] = {}


# --- answers ----------------------------------------------------------------------------------------------------------


@record
class EngineFacts:
    """What was found by asking the engine. `platforms`: what it runs, best first. `root`: where it keeps its data (a path of the
    host's). `start_interval`: it knows a health check's start interval. `bridge`: name of its default network. `cannot`: limits this kernel cannot enforce, out of
    "memory", "swap", "cpus", "pids", "cpuset"."""

    engine: Engine
    platforms: tuple[str, ...]
    root: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    start_interval: bool = False
    bridge: str = "bridge"
    cannot: tuple[str, ...] = ()


@record
class ExecResult:
    """A command run inside a container. `timed_out`: it was still running when we stopped waiting; `exit_code` is then -1."""

    exit_code: int
    output: str
    timed_out: bool = False


@record
class VolumeCopy:
    """A volume's data as written to a file: tar, uncompressed."""

    bytes: int
    sha256: str
    entries: int


@record
class PruneResult:
    """What cleaning up took away."""

    images: tuple[str, ...]
    freed_bytes: int


class BlobSource(Protocol):
    """Where a pull's bytes come from: the agent's own store of verified blobs."""

    def path(self, digest: str) -> str | None:
        """The file that holds the complete, verified blob, or None."""


class Runtime(Protocol):
    """The verbs. Container arguments are engine ids."""

    def facts(self) -> EngineFacts:
        """What this engine is."""

    def observe(self, ask: Ask) -> Observation:
        """One look. Never raises RuntimeFault: an engine that does not answer is `Observation(engine_ok=False, why=...)`."""

    # images
    def image(self, variant: Variant) -> ObservedImage | None:
        """The variant as the engine holds it, or None."""

    def pull(self, variant: Variant, blobs: BlobSource, tag: str) -> str:
        """Bring the variant into the engine out of `blobs`, with no network, under the local name `tag`; the engine's id of it."""

    def keep(self, variant: Variant, tag: str) -> None:
        """Give the variant the local name `tag`, so that it does not dangle."""

    def unkeep(self, tag: str) -> None:
        """Take the local name away. The image itself goes when nothing else names or uses it."""

    def prune(self, keep: tuple[Variant, ...]) -> PruneResult:
        """Remove images that no container uses and that are not among `keep`, and what earlier snapshots left behind."""

    def sweep(self, device: str) -> None:
        """Remove what a crash left of files that were put beside a container of this device's."""

    # containers
    def create(self, order: CreateOrder) -> str:
        """Make the container, attached to all its networks, not started; its id. One with the same token is taken as it is and its
        networks completed; any other container of that name is "name-taken"."""

    def start(self, container: str) -> None:
        """Start it."""

    def stop(self, container: str, grace_ms: int, signal: str = "") -> None:
        """Ask it to end with `signal` (empty: its own stop signal), and kill it after the grace."""

    def restart(self, container: str, grace_ms: int) -> None:
        """Stop and start it."""

    def rename(self, container: str, name: str) -> None:
        """Give it another name."""

    def remove(self, container: str) -> None:
        """Remove it, running or not, with the anonymous volumes only its image declared. Named volumes stay."""

    def check(self, container: str, probe: Probe) -> str:
        """Make one probe now. Empty: it passed; else the reason, as a sentence. Raises only where the engine itself fails."""

    def healthcheck(self, container: str) -> None:
        """Run the container's own health check once, for engines without timers; the verdict shows in the next observation."""

    def run(self, container: str, command: tuple[str, ...], timeout_ms: int, limit_bytes: int = 65536) -> ExecResult:
        """Run a command inside a running container."""

    def logs(self, container: str, lines: int, limit_bytes: int = 65536) -> str:
        """The last lines it wrote, both streams in the engine's order; the newest bytes when they pass the limit."""

    def inspect(self, container: str, limit_bytes: int = 65536) -> str:
        """What the engine says of it, as JSON text, secret values blanked."""

    def usage(self, container: str) -> str:
        """What it uses now (processor, memory, network; see `dockerusage.figures`), as JSON text. RuntimeFault "not-running" where it does not run."""

    # networks and volumes
    def create_network(self, order: NetworkOrder) -> None:
        """Make the network; one with our label and the same settings is taken as it is, a stranger's is "name-taken"."""

    def remove_network(self, name: str) -> None:
        """Remove it. "in-use" while containers are attached."""

    def create_volume(self, order: VolumeOrder) -> None:
        """Make the volume; an existing one is taken as it is, data and all."""

    def volumes_of(self, device: str) -> tuple[str, ...]:
        """The volumes that bear this device's label, by name."""

    def remove_volume(self, name: str) -> None:
        """Remove it with its data. "in-use" while a container has it."""

    def volume_has_data(self, name: str, helper: Variant) -> bool:
        """Whether anything lies in it. False where there is no such volume. `helper`: any image the engine holds; a container is made of it,
        never started, and removed again."""

    def export_volume(self, name: str, helper: Variant, out: BinaryIO, limit_bytes: int) -> VolumeCopy:
        """Write its data as tar to `out`: owners, modes, times, links kept. Not flushed to disk; that is the caller's."""

    def import_volume(self, order: VolumeOrder, helper: Variant, source: BinaryIO) -> None:
        """Make the volume anew (what is in it now is lost) and fill it from an exported tar. Containers using it must be gone."""

    def disk_free(self) -> int:
        """Bytes left where the engine keeps its data; -1 where that cannot be told from here."""
