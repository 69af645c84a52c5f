"""Orders as the Docker API wants them: a CreateOrder to the body of a create call, and the like.

Owns the translation outward, complete for every field of `wire.types.Service`; the inverse is `dockerseen`. Pure: values in, JSON-able
values out. Sources: Docker Engine API 1.41 to 1.51, ContainerCreate, NetworkCreate, VolumeCreate; Podman 4.3 to 5 serve the same bodies
(what they read differently is said beside the field).
"""

from __future__ import annotations

import hashlib
import hmac

from penstock.agent.runtimes import RuntimeFault, dockeroptions
from penstock.rules.observed import LABEL_SECRETS
from penstock.rules.settings import port_text
from penstock.wire.codec import canonical, parse
from penstock.wire.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.runtimes import CreateOrder, NetworkOrder, VolumeOrder
    from penstock.rules.observed import ImageDefaults
    from penstock.wire.types import Healthcheck, Mount, NetworkUse, Pool, Service

MS = 1_000_000  # nanoseconds
HELPER_VOLUME = "penstock-volume"  # where a helper container sees the volume
HELPER_FOLDER = "penstock-folder"  # where it sees the folder the volume lies in


def secrets_label(token: str, secrets: dict[str, str]) -> str:
    """The label that later tells whether the secret variables are still the ones we set: their names, and a digest of the values
    keyed with the container's token, so that equal secrets do not show as equal."""
    keyed = hmac.new(token.encode("utf-8"), canonical(secrets), hashlib.sha256).hexdigest()
    return canonical([keyed, *sorted(secrets)]).decode("ascii")


def secret_names(label: str) -> tuple[str, tuple[str, ...]]:
    """Keyed digest and variable names out of that label; an unreadable label names nothing."""
    try:
        plain = parse(label.encode("utf-8"), 65536)
    except ValueError:
        return ("", ())
    if isinstance(plain, list) and plain and all(isinstance(item, str) for item in plain):
        return (plain[0], tuple(plain[1:]))
    return ("", ())


def container_body(order: CreateOrder, image_id: str, defaults: ImageDefaults, *, start_interval: bool) -> dict[str, Any]:
    """The body of POST /containers/create, its first network included; `further_networks` are joined after."""
    service = order.service
    environment = {**service.environment, **order.secrets}
    labels = {**service.labels, **order.labels}
    if order.secrets:
        labels[LABEL_SECRETS] = secrets_label(order.token, order.secrets)
    exposed = {port_text(text) for text in service.expose}
    exposed.update(f"{port.container}/{port.protocol}" for port in service.ports)
    body: dict[str, Any] = {
        "Image": image_id,
        "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
        "Labels": labels,
        "ExposedPorts": {text: {} for text in sorted(exposed)},
        "StopTimeout": max(0, -(-service.stop_grace_ms // 1000)),
        "HostConfig": _host_config(order),
    }
    command, entrypoint = service.command, service.entrypoint
    if command is not None and not command and entrypoint is None:
        # An empty command means "none", but engines read an empty list as "the image's": naming the entrypoint makes them drop it.
        entrypoint = defaults.entrypoint
    if command is not None:
        body["Cmd"] = list(command)
    if entrypoint is not None:
        body["Entrypoint"] = list(entrypoint)
    if service.user:
        body["User"] = service.user
    if service.working_dir:
        body["WorkingDir"] = service.working_dir
    if service.stop_signal:
        body["StopSignal"] = service.stop_signal
    body.update(dockeroptions.config(service.options))
    check = service.healthcheck
    if check is not None and not check.test and defaults.healthcheck is not None:
        check = replace(check, test=defaults.healthcheck.test)  # only the times are ours; newer Podman takes no check without its command
    if check is not None and check.test:
        body["Healthcheck"] = _healthcheck(check, start_interval=start_interval)
    if service.networks:
        first = service.networks[0]
        body["NetworkingConfig"] = {"EndpointsConfig": {_engine_network(order, first): endpoint(service, first)}}
    return body


def further_networks(order: CreateOrder) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Networks after the first, as engine name and endpoint settings: the API before 1.44 takes only one in the create call."""
    return tuple((_engine_network(order, use), endpoint(order.service, use)) for use in order.service.networks[1:])


def endpoint(service: Service, use: NetworkUse) -> dict[str, Any]:
    """How a service stands in one network: its own name is always an alias, as in Compose."""
    settings: dict[str, Any] = {"Aliases": sorted({service.name, *use.aliases})}
    addresses: dict[str, Any] = {"IPv4Address": use.ipv4, "IPv6Address": use.ipv6, "LinkLocalIPs": list(use.link_local)}
    asked = {key: value for key, value in addresses.items() if value}
    if asked:
        settings["IPAMConfig"] = asked
    if use.mac_address:
        settings["MacAddress"] = use.mac_address
    if use.driver_options:
        settings["DriverOpts"] = dict(use.driver_options)
    return settings


def _engine_network(order: CreateOrder, use: NetworkUse) -> str:
    return order.networks.get(use.network, use.network)


def _healthcheck(check: Healthcheck, *, start_interval: bool) -> dict[str, Any]:
    if check.test and check.test[0] == "NONE":
        return {"Test": ["NONE"]}
    body: dict[str, Any] = {
        "Test": list(check.test),
        "Interval": check.interval_ms * MS,
        "Timeout": check.timeout_ms * MS,
        "Retries": check.retries,
        "StartPeriod": check.start_period_ms * MS,
    }
    if check.start_interval_ms and start_interval:
        body["StartInterval"] = check.start_interval_ms * MS
    return body


def _host_config(order: CreateOrder) -> dict[str, Any]:
    service = order.service
    limits = service.resources
    ports: dict[str, list[dict[str, str]]] = {}
    for port in service.ports:
        ports.setdefault(f"{port.container}/{port.protocol}", []).append({"HostIp": port.host_ip, "HostPort": str(port.host) if port.host else ""})
    host: dict[str, Any] = {
        "PortBindings": ports,
        "Mounts": [_mount(order, mount) for mount in service.mounts if mount.kind != "tmpfs" and not _by_text(mount)],
        "RestartPolicy": {
            "Name": service.restart,
            "MaximumRetryCount": service.restart_max if service.restart == "on-failure" else 0,
        },
        "Devices": [{"PathOnHost": node.host, "PathInContainer": node.container, "CgroupPermissions": node.permissions} for node in service.devices],
        "Memory": limits.memory_bytes,
        "MemoryReservation": limits.memory_reservation_bytes,
        "MemorySwap": limits.memory_swap_bytes,
        "NanoCpus": limits.nano_cpus,
        "CpusetCpus": limits.cpuset,
    }
    if limits.pids:
        host["PidsLimit"] = limits.pids
    texts = [_bind_text(mount) for mount in service.mounts if _by_text(mount)]
    if texts:
        host["Binds"] = texts
    temporary = {mount.target: _tmpfs(mount) for mount in service.mounts if mount.kind == "tmpfs"}
    if temporary:
        host["Tmpfs"] = temporary
    if service.networks:
        host["NetworkMode"] = _engine_network(order, service.networks[0])
    host.update(dockeroptions.host_config(service.options, order.services))
    return host


def _tmpfs(mount: Mount) -> str:
    """The mode is said because Podman 4.3 otherwise makes it 0000; 1777 is Docker's own."""
    size = [f"size={mount.tmpfs_bytes}"] if mount.tmpfs_bytes else []
    return ",".join(["ro" if mount.read_only else "rw", f"mode={mount.tmpfs_mode or 0o1777:o}", *size, *mount.tmpfs_options])


def _by_text(mount: Mount) -> bool:
    """Whether a bind needs the API's older form: the newer one has no word for SELinux labels, nor (before API 1.42) for making the folder."""
    return mount.kind == "bind" and bool(mount.selinux or mount.make_source)


def _bind_text(mount: Mount) -> str:
    words = ["ro" if mount.read_only else "rw", mount.selinux, mount.propagation]
    return f"{mount.source}:{mount.target}:{','.join(word for word in words if word)}"


def _mount(order: CreateOrder, mount: Mount) -> dict[str, Any]:
    source = order.volumes.get(mount.source, mount.source) if mount.kind == "volume" else mount.source
    if not source:
        raise RuntimeFault("bad-settings", f"service {order.service.name}: the mount at {mount.target} names no source", retry=False)
    made: dict[str, Any] = {"Type": mount.kind, "Source": source, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.propagation:
        made["BindOptions"] = {"Propagation": mount.propagation}
    if mount.no_copy:
        made["VolumeOptions"] = {"NoCopy": True}
    return made


def helper_body(image_id: str, volume: str, folder: str, labels: dict[str, str]) -> dict[str, Any]:
    """A container that is never started: it lends its file system so that the archive API reaches one volume. `folder`, where known, is the
    folder of the host the volume lies in: through it the volume's own owner and mode can be set, which engines otherwise skip.
    Nothing of the image is copied into the volume."""
    mounts: list[dict[str, Any]] = [{"Type": "volume", "Source": volume, "Target": "/" + HELPER_VOLUME, "VolumeOptions": {"NoCopy": True}}]
    if folder:
        mounts.append({"Type": "bind", "Source": folder, "Target": "/" + HELPER_FOLDER})
    return {
        "Image": image_id,
        "Entrypoint": [],
        "Cmd": ["/penstock-helper-never-started"],
        "Labels": labels,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {"NetworkMode": "none", "Mounts": mounts},
    }


def network_body(order: NetworkOrder) -> dict[str, Any]:
    """The body of POST /networks/create. `CheckDuplicate`: engines before API 1.44 otherwise make a second one of the same name."""
    body: dict[str, Any] = {
        "Name": order.name,
        "CheckDuplicate": True,
        "Driver": order.driver or "bridge",
        "Internal": order.internal,
        "Options": dict(order.driver_options),
        "Labels": dict(order.labels),
    }
    if order.attachable:
        body["Attachable"] = True
    if order.ipv6:
        body["EnableIPv6"] = True
    if order.pools or order.ipam_driver or order.ipam_options:
        body["IPAM"] = {"Driver": order.ipam_driver or "default", "Config": [_pool(pool) for pool in order.pools], "Options": dict(order.ipam_options)}
    return body


def _pool(pool: Pool) -> dict[str, Any]:
    words = {"Subnet": pool.subnet, "Gateway": pool.gateway, "IPRange": pool.ip_range, "AuxiliaryAddresses": dict(pool.reserved)}
    return {key: value for key, value in words.items() if value}


def volume_body(order: VolumeOrder) -> dict[str, Any]:
    """The body of POST /volumes/create."""
    return {"Name": order.name, "Driver": order.driver or "local", "DriverOpts": dict(order.driver_options), "Labels": dict(order.labels)}
