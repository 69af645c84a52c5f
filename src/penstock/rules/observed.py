"""What a device's engine shows, as values: containers, volumes, networks, images, probe results, and the question that asks for them.

Owns the observed types and nothing else. Runtimes fill them in one normal form for every engine; rules compare them with what
is desired (`rules.settings` for a container's settings). Everything here passes through `wire.codec`, because an observation
is made in a child process. Never talks to an engine, never decides.
Times are unix milliseconds by the engine's clock, 0 where the engine knows none; image ids are digests "sha256:<hex>".
"""

from __future__ import annotations

from penstock.wire.options import Options
from penstock.wire.record import record
from penstock.wire.types import DeviceNode, Healthcheck, Mount, NetworkUse, Pool, Port, Probe, Resources, Variant

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTH = ("none", "starting", "healthy", "unhealthy")

# Labels every container of ours bears. A label is a hint and never a proof: what is ours is decided by the ledger.
LABEL_DEVICE = "penstock.device"
LABEL_APP = "penstock.app"
LABEL_SERVICE = "penstock.service"
LABEL_SPEC = "penstock.spec"  # wire.types.service_digest
LABEL_TOKEN = "penstock.token"  # noqa: S105 - the intent token the ledger wrote before creating; not a secret
LABEL_SECRETS = "penstock.secrets"  # digest over the opened secret values, salted with the token
OUR_LABELS = (LABEL_DEVICE, LABEL_APP, LABEL_SERVICE, LABEL_SPEC, LABEL_TOKEN, LABEL_SECRETS)

SECRET_INTACT = "(secret)"  # noqa: S105 - stands in the place of a secret value that is the one we set
SECRET_CHANGED = "(secret, changed)"  # noqa: S105 - stands in the place of one that is not

NOT_SAID = "?"  # before an address of which the engine does not tell whether it was asked for (see Settings)

# --- the question -----------------------------------------------------------------------------------------------------


@record
class ProbeAsk:
    """Make one of a service's own checks now. `key` is the asker's name for it and comes back in the result."""

    key: str
    container: str
    probe: Probe


@record
class Ask:
    """What one observation shall cover: every container labelled with `device`, and besides those the containers of these ids and
    names (an unlabelled one may sit on a name we need), these volumes and networks by engine name, and these image variants.

    `healthchecks` are ids of containers whose own check must be run now because the engine runs none by itself
    (`EngineFacts.engine.timers` false). A name that is asked for and not there is simply missing from the answer."""

    device: str
    containers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[Variant, ...] = ()
    healthchecks: tuple[str, ...] = ()
    probes: tuple[ProbeAsk, ...] = ()


# --- the answer -------------------------------------------------------------------------------------------------------


@record
class Settings:
    """How a container is set up, in the units of `wire.types.Service` and one normal form for every engine.

    Effective values: what the image brings is merged in, as engines show it. `environment` holds SECRET_INTACT or SECRET_CHANGED
    for secret variables, never their value. `mounts` and `networks` carry engine names, aliases without the container's
    own id; an address of which the engine does not tell whether it was asked for has NOT_SAID before it, and is that alone where it shows none.
    Volumes that only the image declares are left out. Tuples whose order means nothing are sorted. In `options` another container is named as
    "container:ID"; `untold` names the options this engine does not show."""

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    networks: tuple[NetworkUse, ...] = ()
    healthcheck: Healthcheck | None = None
    restart: str = "no"
    restart_max: int = 0
    resources: Resources = Resources()
    devices: tuple[DeviceNode, ...] = ()
    user: str = ""
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    options: Options = Options()
    untold: tuple[str, ...] = ()


@record
class ImageDefaults:
    """What an image brings of its own and a service may leave as it is."""

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    expose: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    user: str = ""
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()
    known: bool = True  # False: the image is gone from the engine, so the fields above say nothing


@record
class ObservedContainer:
    """One container. `image` is the engine's id of its image: a config, manifest or index digest as the engine's store has it.
    `health` is the engine's own verdict, `health_why` the last check's output, shortened. `restarts` counts the engine's restarts
    of this container. `oom`: the kernel killed it for memory (engines that cannot tell say False). `error` is the engine's
    sentence about a start that failed. `addresses`: engine network name to IPv4 address."""

    CHOICES = {"state": STATES, "health": HEALTH}

    id: str
    name: str
    state: str
    image: str
    health: str = "none"
    health_why: str = ""
    exit_code: int = 0
    restarts: int = 0
    oom: bool = False
    error: str = ""
    created_ms: int = 0
    started_ms: int = 0
    finished_ms: int = 0
    image_name: str = ""
    labels: dict[str, str] = {}
    addresses: dict[str, str] = {}
    settings: Settings = Settings()
    defaults: ImageDefaults = ImageDefaults()


@record
class ObservedVolume:
    """One volume. Whether it holds data is a separate, costlier question (the runtime's `volume_has_data`)."""

    name: str
    driver: str
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}
    created_ms: int = 0


@record
class ObservedNetwork:
    """One network. `containers`: ids attached to it, stopped ones only where the engine tells."""

    name: str
    id: str
    driver: str
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}
    internal: bool = False
    ipv6: bool = False
    pools: tuple[Pool, ...] = ()
    containers: tuple[str, ...] = ()


@record
class ObservedImage:
    """An asked-for variant that the engine holds. `manifest` and `config` are the variant's digests, `id` the engine's own id of it, `tags` its names."""

    manifest: str
    config: str
    id: str
    tags: tuple[str, ...] = ()
    size: int = 0


@record
class ProbeResult:
    """How one asked-for check went. `why` is a sentence when it failed."""

    key: str
    container: str
    ok: bool
    why: str = ""


@record
class Observation:
    """One look at the engine. `engine_ok` False: the engine did not answer, `why` says how, and every other field says nothing: absence
    of a container here must then never be read as its absence. `disk_free_bytes` is the space left where the engine keeps its data,
    -1 where that cannot be told."""

    engine_ok: bool
    why: str = ""
    containers: tuple[ObservedContainer, ...] = ()
    volumes: tuple[ObservedVolume, ...] = ()
    networks: tuple[ObservedNetwork, ...] = ()
    images: tuple[ObservedImage, ...] = ()
    probes: tuple[ProbeResult, ...] = ()
    disk_free_bytes: int = -1


# --- reading it -------------------------------------------------------------------------------------------------------


def container_by_id(seen: Observation, identity: str) -> ObservedContainer | None:
    """The container of that id, or None."""
    for container in seen.containers:
        if container.id == identity:
            return container
    return None


def container_by_name(seen: Observation, name: str) -> ObservedContainer | None:
    """The container of that name, ours or not, or None."""
    for container in seen.containers:
        if container.name == name:
            return container
    return None


def container_by_token(seen: Observation, token: str) -> ObservedContainer | None:
    """The container made for that intent, or None. Used after a crash between creating and noting the id."""
    for container in seen.containers:
        if token and container.labels.get(LABEL_TOKEN) == token:
            return container
    return None


def is_variant(image_id: str, variant: Variant, index: str = "") -> bool:
    """Whether an engine's image id means this variant: its config digest (classic stores), its manifest digest (stores of whole
    manifests), or the digest of the index it came from."""
    return bool(image_id) and image_id in (variant.config.digest, variant.manifest.digest, index)
