"""A container's settings, asked for and seen, field by field.

Owns the translation of a service into the effective settings an engine should show (`wanted`) and the comparison with what it does show
(`differences`). Both sides are brought to one normal form, so that an engine's own additions are no drift. Which container is
ours, and what is done about a difference, is decided elsewhere.
"""

from __future__ import annotations

from penstock.rules.naming import network_names, volume_names
from penstock.rules.observed import LABEL_SECRETS, NOT_SAID, SECRET_CHANGED, SECRET_INTACT, ImageDefaults, ObservedContainer, Settings, is_variant
from penstock.rules.optional import differing, normal
from penstock.wire.record import fields_of, record, replace
from penstock.wire.types import AppState, DeviceNode, Healthcheck, Image, Mount, NetworkUse, Port, Resources, Service, Variant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_SHOWN = 200  # characters of a value in a sentence
PODMAN_WRITABLE = ("/run", "/tmp", "/var/tmp")  # noqa: S108 - what Podman lays over a read-only container, unasked
TMPFS_DEFAULTS = frozenset(("nodev", "nosuid", "noexec"))  # engines set them and show them as they please
NO_CHECK = Healthcheck(test=("NONE",))

# Variables Podman gives a container unasked (and Docker a process, without showing them).
ENGINE_ENVIRONMENT = frozenset(
    [
        "container",
        "HOME",
        "HOSTNAME",
        "TERM",
        "PATH",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "no_proxy",
    ]
)


@record
class Difference:
    """One setting that is not as asked for. `field` as in the service, with the key where it has keys ("environment.MODE")."""

    field: str
    wanted: str
    seen: str


# --- normal form ------------------------------------------------------------------------------------------------------


def signal_name(text: str) -> str:
    """ "9", "KILL" and "SIGKILL" are one signal; empty is the engine's own, SIGTERM. Numbers of the architectures in use here."""
    if not text:
        return "SIGTERM"
    if text.isdigit():
        return _SIGNALS.get(int(text), text)
    upper = text.upper()
    return upper if upper.startswith("SIG") else "SIG" + upper


_SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 6: "SIGABRT", 9: "SIGKILL", 10: "SIGUSR1", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM",
    15: "SIGTERM", 18: "SIGCONT", 19: "SIGSTOP", 28: "SIGWINCH", 37: "SIGRTMIN+3",
}  # fmt: skip


def port_text(text: str) -> str:
    """ "80" and "80/tcp" are one port."""
    return text if "/" in text else text + "/tcp"


def normal_port(port: Port) -> Port:
    """Every IPv4 address is the same as every address; engines show both."""
    return replace(port, host_ip="") if port.host_ip == "0.0.0.0" else port  # noqa: S104 - compared, not bound


def normal_health(check: Healthcheck | None) -> Healthcheck | None:
    """Zero means the engine's default, and a switched-off check has no times."""
    if check is None or not check.test:
        return None
    if check.test[0] == "NONE":
        return NO_CHECK
    return replace(
        check,
        interval_ms=check.interval_ms or 30_000,
        timeout_ms=check.timeout_ms or 30_000,
        retries=check.retries or 3,
    )


def normal_resources(limits: Resources) -> Resources:
    """Twice the memory as memory and swap together is what engines make of "no word about swap"."""
    swap = limits.memory_swap_bytes
    if swap in (0, -1) or (limits.memory_bytes and swap == 2 * limits.memory_bytes):
        swap = 0
    return replace(limits, memory_swap_bytes=swap, pids=max(limits.pids, 0), nano_cpus=max(limits.nano_cpus, 0))


def _sorted(items: Any) -> Any:
    return tuple(sorted(items, key=repr))


# --- what should be seen ----------------------------------------------------------------------------------------------


def wanted(state: AppState, service: Service, defaults: ImageDefaults, labels: dict[str, str]) -> Settings:
    """The effective settings a container of `service` should show, given what its image brings and our own `labels`."""
    volumes = volume_names(state)
    networks = network_names(state)
    environment = dict(defaults.environment)
    environment.update(service.environment)
    environment.update(dict.fromkeys(service.secret_environment, SECRET_INTACT))
    all_labels = dict(defaults.labels)
    all_labels.update(service.labels)
    all_labels.update(labels)
    # An overridden entrypoint makes engines drop the image's command (moby daemon/commit.go merge; OCI image-spec config.md).
    entrypoint = defaults.entrypoint if service.entrypoint is None else service.entrypoint
    command = service.command
    if command is None:
        command = () if service.entrypoint else defaults.command
    health = service.healthcheck
    if health is None:
        health = defaults.healthcheck
    elif not health.test and defaults.healthcheck is not None:
        health = replace(health, test=defaults.healthcheck.test)
    health = normal_health(health)
    exposed = {port_text(text) for text in defaults.expose + service.expose}
    exposed.update(f"{port.container}/{port.protocol}" for port in service.ports)
    return Settings(
        command=command,
        entrypoint=entrypoint,
        environment=environment,
        ports=_sorted(normal_port(port) for port in service.ports),
        expose=tuple(sorted(exposed)),
        mounts=_sorted(_mount(mount, volumes) for mount in service.mounts),
        networks=_sorted(_network(use, service, networks) for use in service.networks),
        healthcheck=health,
        restart=service.restart,
        restart_max=service.restart_max if service.restart == "on-failure" else 0,
        resources=normal_resources(_with_quota(service)),
        devices=_sorted(service.devices),
        user=service.user or defaults.user,
        working_dir=service.working_dir or defaults.working_dir or "/",
        labels=all_labels,
        stop_signal=signal_name(service.stop_signal or defaults.stop_signal),
        options=normal(service.options),
    )


def _mount(mount: Mount, volumes: dict[str, str]) -> Mount:
    """As engines show it: how its folder came to be there, they do not tell."""
    target = _path(mount.target)
    if mount.kind == "volume":
        return Mount("volume", target, volumes.get(mount.source, mount.source), mount.read_only)
    if mount.kind == "bind":
        propagation = mount.propagation if mount.propagation != "rprivate" else ""
        return Mount("bind", target, _path(mount.source), mount.read_only, propagation=propagation)
    mode = mount.tmpfs_mode if mount.tmpfs_mode != 0o1777 else 0
    return Mount("tmpfs", target, "", mount.read_only, mount.tmpfs_bytes, mode, tuple(sorted(set(mount.tmpfs_options) - TMPFS_DEFAULTS)))


def _with_quota(service: Service) -> Resources:
    """A quota of processor time for each period is the older way of saying `nano_cpus`."""
    quota, period = service.options.cpu_quota_us, service.options.cpu_period_us or 100_000
    if quota <= 0:
        return service.resources
    return replace(service.resources, nano_cpus=quota * 1_000_000_000 // period)


def _path(text: str) -> str:
    return text.rstrip("/") or "/"


def _network(use: NetworkUse, service: Service, networks: dict[str, str]) -> NetworkUse:
    # A container is reached by its own name and its host name as well, and engines do not say which of its aliases were asked for.
    aliases = {service.name, *use.aliases} - {service.container_name, service.options.hostname}
    return NetworkUse(network=networks.get(use.network, use.network), aliases=tuple(sorted(aliases)), ipv4=use.ipv4, ipv6=use.ipv6)


# --- what is seen instead ---------------------------------------------------------------------------------------------


def container_differences(
    state: AppState,
    service: Service,
    image: Image,
    variant: Variant,
    labels: dict[str, str],
    seen: ObservedContainer,
) -> tuple[Difference, ...]:
    """Everything in which one container is not what `service` asks for: image first, then field by field.

    Whether it runs at all is not compared. Where the image is gone from the engine, settings it may have brought are not compared."""
    found = []
    if not is_variant(seen.image, variant, image.index):
        found.append(Difference("image", variant.config.digest, seen.image))
    expected = wanted(state, service, seen.defaults, labels)
    found.extend(differences(expected, seen.settings, image_known=seen.defaults.known, service=service))
    return tuple(found)


def differences(expected: Settings, seen: Settings, *, image_known: bool = True, service: Service | None = None) -> tuple[Difference, ...]:
    """Field by field. `image_known` False: fields the image may have filled are compared only where `service` sets them."""
    found: list[Difference] = []
    for field in fields_of(expected):
        one = getattr(expected, field)
        other = getattr(seen, field)
        if field == "untold":
            continue
        if field == "options":
            found.extend(Difference(item.field, _show(item.wanted), _show(item.seen)) for item in differing(one, other, seen.untold))
            continue
        if field in ("environment", "labels"):
            found.extend(_keyed(field, one, other, image_known=image_known))
            continue
        if not image_known and field in _FROM_IMAGE and not (service is not None and _set_by(service, field)):
            continue
        if field == "healthcheck" and one is not None and other is not None and other.start_interval_ms == 0:
            one = replace(one, start_interval_ms=0)  # engines before API 1.44 know no start interval and show none
        if field == "expose" and expected.options.network_mode:
            continue  # it has no ports of its own, and engines list them or not
        if field == "ports":
            one = _ports_as(one, other)
        if field == "networks":
            one = _addresses_as(one, other)
        if field == "mounts" and seen.options.read_only:
            other = tuple(mount for mount in other if mount in one or mount.kind != "tmpfs" or mount.target not in PODMAN_WRITABLE)
        if field == "devices" and any(node.permissions == "" for node in other):
            one = _devices_as(one, other)
        if field == "devices" and "accelerators" in seen.untold and expected.options.accelerators:
            other = tuple(node for node in other if node in one)  # Podman shows an accelerator's nodes as nodes
        if one != other:
            found.append(Difference(field, _show(one), _show(other)))
    return tuple(found)


def _ports_as(wanted_ports: tuple[Port, ...], seen: tuple[Port, ...]) -> tuple[Port, ...]:
    """The wanted ports, those left to the engine filled in with what it chose (Podman shows the choice, Docker does not)."""
    free = [port for port in seen if port.host and port not in wanted_ports]
    filled = []
    for port in wanted_ports:
        chosen = next((other for other in free if not port.host and replace(other, host=0) == port), None)
        if chosen is not None:
            free.remove(chosen)
        filled.append(chosen or port)
    result: tuple[Port, ...] = _sorted(filled)
    return result


def _devices_as(wanted_nodes: tuple[DeviceNode, ...], seen: tuple[DeviceNode, ...]) -> tuple[DeviceNode, ...]:
    """The wanted nodes as Podman shows them: no permissions, and on the host the first name of the same number (`/dev/ttyUSB0` for one under `by-id`)."""
    hosts = {node.container: node.host for node in seen if node.permissions == ""}
    result: tuple[DeviceNode, ...] = _sorted(replace(node, host=hosts.get(node.container, node.host), permissions="") for node in wanted_nodes)
    return result


def _addresses_as(wanted_uses: tuple[NetworkUse, ...], seen: tuple[NetworkUse, ...]) -> tuple[NetworkUse, ...]:
    """The wanted networks with the address seen, where the engine does not tell whether one was asked for and nothing speaks against it."""
    four = {use.network: use.ipv4 for use in seen if use.ipv4.startswith(NOT_SAID)}
    six = {use.network: use.ipv6 for use in seen if use.ipv6.startswith(NOT_SAID)}
    return tuple(replace(use, ipv4=_address_as(use.ipv4, four.get(use.network)), ipv6=_address_as(use.ipv6, six.get(use.network))) for use in wanted_uses)


def _address_as(asked: str, shown: str | None) -> str:
    if shown is None or (asked and shown not in (NOT_SAID, NOT_SAID + asked)):
        return asked
    return shown


_FROM_IMAGE = frozenset(("command", "entrypoint", "expose", "healthcheck", "user", "working_dir", "stop_signal"))


def _set_by(service: Service, field: str) -> bool:
    if field in ("expose", "command"):
        return field == "command" and service.command is not None
    value = getattr(service, field)
    return value is not None and value != ""


def _keyed(field: str, one: dict[str, str], other: dict[str, str], *, image_known: bool) -> list[Difference]:
    found = []
    for key in sorted((set(one) | set(other)) - {LABEL_SECRETS}):  # what that label guards shows in `environment`
        if key in one and one[key] != other.get(key):
            shown = _show(other[key]) if key in other else "(absent)"
            if one[key] == SECRET_INTACT and key in other:
                shown = SECRET_CHANGED  # never a value, even where somebody took our label away
            found.append(Difference(f"{field}.{key}", _show(one[key]), shown))
        elif key not in one and image_known and not (field == "environment" and key in ENGINE_ENVIRONMENT):
            found.append(Difference(f"{field}.{key}", "(absent)", _show(other[key])))
    return found


def _show(value: Any) -> str:
    """A value as people read it, shortened."""
    return _text(value)[:MAX_SHOWN]


def _mount_words(mount: Mount) -> str:
    words = ["read-only"] if mount.read_only else []
    words += [f"size {mount.tmpfs_bytes}"] if mount.tmpfs_bytes else []
    words += [f"mode {mount.tmpfs_mode:o}"] if mount.tmpfs_mode else []
    return "".join(" " + word for word in (*words, mount.propagation, *mount.tmpfs_options) if word)


def _text(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_text(item) for item in value) or "(none)"
    if isinstance(value, (str, int)):
        return str(value) or "(empty)"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in sorted(value.items())) or "(none)"
    if isinstance(value, Port):
        address = f"{value.host_ip}:" if value.host_ip else ""
        return f"{address}{value.host or 'any'}->{value.container}/{value.protocol}"
    if isinstance(value, Mount):
        return f"{value.kind} {value.source or '-'} at {value.target}{_mount_words(value)}"
    if isinstance(value, NetworkUse):
        return f"{value.network} as {', '.join(value.aliases)}{' at ' + value.ipv4.lstrip(NOT_SAID) if value.ipv4.lstrip(NOT_SAID) else ''}"
    return ", ".join(f"{name} {_text(getattr(value, name))}" for name in fields_of(value))
