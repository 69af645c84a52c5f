"""The nouns both sides share: what runs on a device, normalised so far that the agent needs no opinion of its own.

Owns services, volumes, networks, images, the state of one app on one device, and the digest that names it. A Compose
file never reaches a device; the plane turns it into these. Never holds messages (see `messages`) or rules.
Spans are milliseconds (`_ms`) or seconds (`_s`), sizes bytes, digests "sha256:" and 64 hex digits.
"""

from __future__ import annotations

import hashlib

from penstock.wire.codec import canonical, encode, to_plain
from penstock.wire.options import MAX_FILES, File, Options, size_of
from penstock.wire.record import record, replace

NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
HEX = frozenset("0123456789abcdef")


def name_fault(text: str) -> str | None:
    """Why `text` is no name for an app, service, volume, network, site or device; None when it is one."""
    if not 1 <= len(text) <= 63:
        return "a name has 1 to 63 characters"
    if not set(text) <= NAME_LETTERS:
        return "a name has only a-z, 0-9, '-', '_' and '.'"
    if not (text[0].isalnum() and text[-1].isalnum()):
        return "a name begins and ends with a letter or digit"
    return None


def digest_fault(text: str) -> str | None:
    """Why `text` is no SHA-256 digest in OCI form; None when it is one (OCI image-spec, descriptor.md, digests)."""
    if text.startswith("sha256:") and len(text) == 71 and set(text[7:]) <= HEX:
        return None
    return "a digest is 'sha256:' and 64 lower-case hex digits"


def sha256_of(data: bytes) -> str:
    """The digest of `data` in OCI form."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


# --- services ---------------------------------------------------------------------------------------------------------


@record
class Healthcheck:
    """The container's own check, as the engine knows it. `test` is the OCI form: ["CMD", ...] or ["CMD-SHELL", text]; ("NONE",) switches the image's own off."""

    test: tuple[str, ...]
    interval_ms: int = 30_000
    timeout_ms: int = 30_000
    retries: int = 3
    start_period_ms: int = 0
    start_interval_ms: int = 0


@record
class Probe:
    """A check the agent makes itself. `http` wants status 200-399 at `path`; `tcp` a connection; `command` exit status 0 inside the container."""

    CHOICES = {"kind": ("http", "tcp", "command")}

    kind: str
    port: int = 0
    path: str = "/"
    command: tuple[str, ...] = ()
    interval_ms: int = 10_000
    timeout_ms: int = 5_000
    retries: int = 3
    start_period_ms: int = 0


@record
class Port:
    """A published port. `host` 0 lets the engine choose; `host_ip` empty means every address."""

    CHOICES = {"protocol": ("tcp", "udp", "sctp")}

    container: int
    host: int = 0
    host_ip: str = ""
    protocol: str = "tcp"


@record
class Mount:
    """`source` is a volume's name in this app, or a host path for a bind; empty for tmpfs. A bind may bring its `propagation` and SELinux label
    (`selinux`: z or Z), and have its folder made where there is none (`make_source`); `no_copy` leaves a new volume empty; a tmpfs may bring a mode (0: 1777) and
    further options as mount(8) takes them."""

    CHOICES = {
        "kind": ("volume", "bind", "tmpfs"),
        "propagation": ("", "private", "rprivate", "shared", "rshared", "slave", "rslave"),
        "selinux": ("", "z", "Z"),
    }

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    tmpfs_bytes: int = 0
    tmpfs_mode: int = 0
    tmpfs_options: tuple[str, ...] = ()
    propagation: str = ""
    selinux: str = ""
    make_source: bool = False
    no_copy: bool = False


@record
class NetworkUse:
    """A network of this app that a service joins."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    link_local: tuple[str, ...] = ()
    mac_address: str = ""
    driver_options: dict[str, str] = {}


@record
class Dependency:
    """Another service of this app that must have reached `condition` first."""

    CHOICES = {"condition": ("started", "healthy", "completed")}

    service: str
    condition: str = "started"
    required: bool = True
    restart: bool = False


@record
class Resources:
    """Limits; 0 means none. `nano_cpus` is thousand-millionths of a processor."""

    memory_bytes: int = 0
    memory_reservation_bytes: int = 0
    memory_swap_bytes: int = 0
    nano_cpus: int = 0
    pids: int = 0
    cpuset: str = ""


@record
class DeviceNode:
    """A device node of the host given to the container."""

    host: str
    container: str
    permissions: str = "rwm"


@record
class SecretUse:
    """An environment variable whose value travels sealed. `version` changes when the value does, so that the container is re-created."""

    secret: str
    version: str


@record
class Service:
    """One container, completely described. `image` names an entry of the app's `images`. None for command or entrypoint keeps the image's own."""

    CHOICES = {"restart": ("no", "always", "on-failure", "unless-stopped")}

    name: str
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    secret_environment: dict[str, SecretUse] = {}
    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    networks: tuple[NetworkUse, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    healthcheck: Healthcheck | None = None
    probes: tuple[Probe, ...] = ()
    restart: str = "no"
    restart_max: int = 0
    resources: Resources = Resources()
    devices: tuple[DeviceNode, ...] = ()
    user: str = ""
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_grace_ms: int = 10_000
    stop_signal: str = ""
    container_name: str = ""
    platform: str = ""
    options: Options = Options()
    files: tuple[File, ...] = ()

    def check(self) -> tuple[str, str] | None:
        fault = name_fault(self.name)
        return ("name", fault) if fault else None


@record
class Volume:
    """A named volume. `engine_name` empty means "<app>_<name>". `external`: it must exist and is never removed.
    `policy` says what a change does to its data (design section 6a)."""

    CHOICES = {"policy": ("compatible", "snapshot", "irreversible")}

    name: str
    engine_name: str = ""
    driver: str = ""
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}
    external: bool = False
    policy: str = "compatible"

    def check(self) -> tuple[str, str] | None:
        fault = name_fault(self.name)
        return ("name", fault) if fault else None


@record
class Pool:
    """A range of addresses a network hands out; `reserved` maps names to addresses it does not."""

    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    reserved: dict[str, str] = {}


@record
class Network:
    """A network of the app. `engine_name` empty means "<app>_<name>". `external`: it must exist and is never removed. No `pools`: the engine
    picks addresses."""

    name: str
    engine_name: str = ""
    driver: str = ""
    driver_options: dict[str, str] = {}
    labels: dict[str, str] = {}
    internal: bool = False
    external: bool = False
    attachable: bool = False
    ipv6: bool = False
    pools: tuple[Pool, ...] = ()
    ipam_driver: str = ""
    ipam_options: dict[str, str] = {}

    def check(self) -> tuple[str, str] | None:
        fault = name_fault(self.name)
        return ("name", fault) if fault else None


# --- images -----------------------------------------------------------------------------------------------------------


@record
class Blob:
    """Bytes named by their digest."""

    digest: str
    size: int
    media_type: str = ""

    def check(self) -> tuple[str, str] | None:
        fault = digest_fault(self.digest)
        return ("digest", fault) if fault else None


@record
class Variant:
    """One platform of an image. `platform` is "os/architecture[/variant]" as in the OCI image index; `config` is the identity
    classic engines give the image, `manifest` the one that stores of whole manifests give it. `layers` in the manifest's order."""

    platform: str
    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]


@record
class Image:
    """An image pinned by digest. `name` is how the release speaks of it; `index` is the digest of its index, empty where the
    image has one manifest only."""

    name: str
    variants: tuple[Variant, ...]
    index: str = ""


@record
class Sealed:
    """A secret only one device can open: ECDH on P-256, HKDF-SHA256, AES-256-GCM. Fields are base64; `epk` is the ephemeral
    public key as an uncompressed point."""

    CHOICES = {"alg": ("ECDH-P256+HKDF-SHA256+A256GCM",)}

    epk: str
    iv: str
    ciphertext: str
    tag: str
    alg: str = "ECDH-P256+HKDF-SHA256+A256GCM"


def secret_bound_to(device: str, app: str, name: str, version: str) -> bytes:
    """What a sealed value is bound to (the additional data of its AES-GCM): it opens only on this device, for this app, under this name."""
    return b"penstock secret v1\n" + f"{device}\n{app}\n{name}\n{version}".encode()


@record
class Secret:
    """A named, versioned value sealed for this device."""

    name: str
    version: str
    sealed: Sealed


# --- one app on one device --------------------------------------------------------------------------------------------


@record
class AppState:
    """What one deployment asks of one device: a release with its parameters filled in.

    `release` is the digest of the published release, `version` its name for people. `drift` says whether drift is corrected or
    only reported. `wire` is the wire version whose words it uses (see `wire_needed`). `soak_s`: how long it must be healthy before it counts. `deadline_s`: how long after its start it may take to
    become healthy. `keep`: releases kept to go back to, the present one included."""

    CHOICES = {"drift": ("correct", "report")}

    app: str
    deployment: str
    release: str
    version: str
    services: tuple[Service, ...]
    volumes: tuple[Volume, ...] = ()
    networks: tuple[Network, ...] = ()
    images: tuple[Image, ...] = ()
    secrets: tuple[Secret, ...] = ()
    drift: str = "correct"
    soak_s: int = 60
    deadline_s: int = 120
    keep: int = 2
    wire: int = 1

    def check(self) -> tuple[str, str] | None:
        fault = name_fault(self.app)
        if fault:
            return ("app", fault)
        names = [service.name for service in self.services]
        if len(names) != len(set(names)):
            return ("services", "a service name stands twice")
        images = {image.name for image in self.images}
        for index, service in enumerate(self.services):
            if service.image not in images:
                return (f"services[{index}].image", f"{service.image!r} is not among the app's images")
        if sum(size_of(file.content) for service in self.services for file in service.files) > MAX_FILES:
            return ("services", f"the files put into containers have more than {MAX_FILES} bytes together")
        return None


def content_digest(state: AppState) -> str:
    """What authorisations name and receipts record: the digest of all that decides what runs.

    Secrets count by name and version, never by ciphertext (sealing the same value twice gives other bytes); how long to soak
    or how to treat drift does not count, since changing it restarts nothing."""
    bare = replace(state, secrets=(), drift="correct", soak_s=60, deadline_s=120, keep=2, deployment="")
    plain = to_plain(bare)
    plain["secrets"] = sorted(f"{secret.name}@{secret.version}" for secret in state.secrets)
    return sha256_of(canonical(plain))


def service_digest(service: Service, image: Image | None = None, platform: str = "") -> str:
    """What a container is labelled with: the digest of one service's specification and of the image it resolves to.

    Two releases whose service has the same digest need no restart. Order of starting (`depends_on`), the way a stop is
    asked for and the agent's own probes do not make another container."""
    bare = replace(service, depends_on=(), probes=(), stop_grace_ms=10_000, image="")
    plain = to_plain(bare)
    if image is not None:
        chosen = [variant.config.digest for variant in image.variants if not platform or variant.platform == platform]
        plain["image"] = chosen or image.index
    return sha256_of(canonical(plain))


def wire_needed(state: AppState) -> int:
    """The first wire version whose programs know every word of `state`. An older one would pass over what it does not know, so it must not
    be given such a state at all."""
    for service in state.services:
        if service.options != Options() or service.files:
            return 2
        if any(replace(use, ipv6="", link_local=(), mac_address="", driver_options={}) != use for use in service.networks):
            return 2
        if any(_plain_mount(mount) != mount for mount in service.mounts):
            return 2
    for network in state.networks:
        if replace(network, attachable=False, ipv6=False, pools=(), ipam_driver="", ipam_options={}) != network:
            return 2
    return 1


def _plain_mount(mount: Mount) -> Mount:
    """A mount as version 1 knew it."""
    return Mount(mount.kind, mount.target, mount.source, mount.read_only, mount.tmpfs_bytes)


def same(one: object, other: object) -> bool:
    """Whether two records are the same on the wire."""
    return type(one) is type(other) and encode(one) == encode(other)
