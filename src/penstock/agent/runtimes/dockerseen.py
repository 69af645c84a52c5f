"""What the Docker API says, in the normal form of `rules.observed`: containers, images, volumes, networks, engine.

Owns the translation inward, for Docker and for Podman's compatible API, whose habits differ (each is named where it is met). Pure:
parsed JSON in, records out; a field an engine leaves out reads as its default, and nothing here raises on odd input.
"""

from __future__ import annotations

from penstock.agent.runtimes import dockeroptions, dockershelf
from penstock.agent.runtimes.dockerorders import MS, secret_names, secrets_label
from penstock.rules.observed import (
    HEALTH,
    LABEL_SECRETS,
    LABEL_TOKEN,
    NOT_SAID,
    SECRET_CHANGED,
    SECRET_INTACT,
    STATES,
    ImageDefaults,
    ObservedContainer,
    ObservedNetwork,
    ObservedVolume,
    Settings,
)
from penstock.rules.settings import TMPFS_DEFAULTS, normal_health, normal_port, normal_resources, port_text, signal_name
from penstock.wire.types import DeviceNode, Healthcheck, Mount, NetworkUse, Pool, Port, Resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_VALUE = 4096  # characters of a label or variable carried in an observation; a longer one is cut and so never equal
MAX_WHY = 300
PODMAN_PIDS = 2048  # what Podman limits a container to when nobody asks


# --- reading JSON that may be anything ----------------------------------------------------------------------------------


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else 0


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)  # API clients before 1.20 could store a plain string
    return tuple(str(item) for item in _list(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "(cut)"


def _texts(value: Any) -> dict[str, str]:
    return {str(key): _cut(_text(item)) for key, item in _dict(value).items()}


def _path(text: str) -> str:
    return text.rstrip("/") or "/"


def moment_ms(text: Any) -> int:
    """An RFC 3339 time as unix milliseconds; 0 for engines' "never" (year 1) and anything unreadable. Nanoseconds are cut."""
    stamp = _text(text)
    if len(stamp) < 20 or stamp.startswith("0001-") or stamp[10] not in "Tt ":
        return 0
    try:
        year, month, day = int(stamp[0:4]), int(stamp[5:7]), int(stamp[8:10])
        hour, minute, second = int(stamp[11:13]), int(stamp[14:16]), int(stamp[17:19])
        rest = stamp[19:]
        fraction = 0
        if rest.startswith("."):
            digits = rest[1:]
            end = 0
            while end < len(digits) and digits[end].isdigit():
                end += 1
            fraction = int((digits[:end] + "000")[:3])
            rest = digits[end:]
        offset = 0
        if rest[:1] in ("+", "-"):
            offset = (int(rest[1:3]) * 60 + int(rest[4:6])) * 60 * (1 if rest[0] == "+" else -1)
    except ValueError:
        return 0
    # Days from civil, Howard Hinnant's well-known arithmetic for the proleptic Gregorian calendar.
    shifted = year - (month <= 2)
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
    return max(seconds * 1000 + fraction, 0)


# --- images -------------------------------------------------------------------------------------------------------------


def image_id(text: Any) -> str:
    """An engine's image id as a digest; Podman's own API leaves "sha256:" out."""
    plain = _text(text)
    return f"sha256:{plain}" if plain and ":" not in plain and len(plain) == 64 else plain


def defaults(image: Any, health: Any = None) -> ImageDefaults:
    """An image's own settings, from GET /images/{id}/json. `health`: Podman tells it only in its own API, as "HealthCheck"."""
    config = _dict(_dict(image).get("Config"))
    return ImageDefaults(
        command=_words(config.get("Cmd")),
        entrypoint=_words(config.get("Entrypoint")),
        environment=_environment(config.get("Env")),
        expose=tuple(sorted(port_text(str(port)) for port in _dict(config.get("ExposedPorts")))),
        healthcheck=normal_health(_healthcheck(config.get("Healthcheck") or health)),
        user=_text(config.get("User")),
        working_dir=_text(config.get("WorkingDir")),
        labels=_texts(config.get("Labels")),
        stop_signal=_text(config.get("StopSignal")),
        volumes=tuple(sorted(_path(str(path)) for path in _dict(config.get("Volumes")))),
    )


def _environment(lines: Any) -> dict[str, str]:
    found = {}
    for line in _list(lines):
        name, _, value = str(line).partition("=")
        found[name] = value
    return found


def _healthcheck(plain: Any) -> Healthcheck | None:
    check = _dict(plain)
    test = _words(check.get("Test"))
    if not test:
        return None
    return Healthcheck(
        test=test,
        interval_ms=_int(check.get("Interval")) // MS,
        timeout_ms=_int(check.get("Timeout")) // MS,
        retries=_int(check.get("Retries")),
        start_period_ms=_int(check.get("StartPeriod")) // MS,
        start_interval_ms=_int(check.get("StartInterval")) // MS,
    )


# --- containers ---------------------------------------------------------------------------------------------------------


def container(inspect: Any, image: ImageDefaults, *, podman: bool) -> ObservedContainer:
    """GET /containers/{id}/json as a record. `image`: what the container's image brings."""
    plain = _dict(inspect)
    state = _dict(plain.get("State"))
    config = _dict(plain.get("Config"))
    word = _text(state.get("Status")).lower()
    word = {"stopped": "exited", "configured": "created", "stopping": "running", "initialized": "created", "unknown": "dead"}.get(word, word)
    health = _dict(state.get("Health"))
    checked = _healthcheck(config.get("Healthcheck"))
    verdict = _text(health.get("Status")).lower()
    if checked is None or checked.test[0] == "NONE":
        verdict = "none"
    elif verdict not in HEALTH or verdict == "none":
        verdict = "starting"  # Podman says "" before the first check
    networks = _dict(_dict(plain.get("NetworkSettings")).get("Networks"))
    return ObservedContainer(
        id=_text(plain.get("Id")),
        name=_text(plain.get("Name")).lstrip("/"),
        state=word if word in STATES else "dead",
        image=image_id(plain.get("Image")),
        health=verdict,
        health_why=_last_check(health),
        exit_code=_int(state.get("ExitCode")),
        restarts=_int(plain.get("RestartCount")),
        oom=state.get("OOMKilled") is True,
        error=_text(state.get("Error"))[:MAX_WHY],
        created_ms=moment_ms(plain.get("Created")),
        started_ms=moment_ms(state.get("StartedAt")),
        finished_ms=moment_ms(state.get("FinishedAt")),
        image_name=_text(config.get("Image")),
        labels=_texts(config.get("Labels")),
        addresses={name: address for name in sorted(networks) if (address := _text(_dict(networks[name]).get("IPAddress")))},
        settings=_settings(plain, image, podman=podman),
        defaults=image,
    )


def _last_check(health: dict[str, Any]) -> str:
    entries = _list(health.get("Log"))
    if not entries:
        return ""
    last = _dict(entries[-1])
    output = " ".join(_text(last.get("Output")).split())[:MAX_WHY]
    return f"exit {_int(last.get('ExitCode'))}: {output}" if output else f"exit {_int(last.get('ExitCode'))}"


def _settings(plain: dict[str, Any], image: ImageDefaults, *, podman: bool) -> Settings:
    config = _dict(plain.get("Config"))
    host = _dict(plain.get("HostConfig"))
    labels = _texts(config.get("Labels"))
    policy = _dict(host.get("RestartPolicy"))
    restart = _text(policy.get("Name")) or "no"
    return Settings(
        command=_words(config.get("Cmd")),
        entrypoint=_words(config.get("Entrypoint")),
        environment=_guarded(_environment(config.get("Env")), labels),
        ports=_ports(host.get("PortBindings")),
        expose=tuple(sorted(port_text(str(port)) for port in _dict(config.get("ExposedPorts")))),
        mounts=_mounts(plain, host, image),
        networks=_networks(plain, podman=podman),
        healthcheck=normal_health(_healthcheck(config.get("Healthcheck"))),
        restart=restart,
        restart_max=_int(policy.get("MaximumRetryCount")) if restart == "on-failure" else 0,
        resources=_resources(host, podman=podman),
        devices=_devices(host.get("Devices")),
        user=_text(config.get("User")),
        working_dir=_text(config.get("WorkingDir")) or "/",
        labels=labels,
        stop_signal=signal_name(_text(config.get("StopSignal"))),
        options=dockeroptions.seen(plain, podman=podman),
        untold=dockeroptions.PODMAN_UNTOLD if podman else (),
    )


def _guarded(environment: dict[str, str], labels: dict[str, str]) -> dict[str, str]:
    """The environment with secret values replaced: no value of a secret leaves the child process that looked."""
    label = labels.get(LABEL_SECRETS, "")
    shown = {name: _cut(value) for name, value in environment.items()}
    if not label:
        return shown
    digest, names = secret_names(label)
    held = {name: environment[name] for name in names if name in environment}
    intact = bool(digest) and secrets_label(labels.get(LABEL_TOKEN, ""), held) == label
    shown.update(dict.fromkeys(held, SECRET_INTACT if intact else SECRET_CHANGED))
    return shown


def _ports(bindings: Any) -> tuple[Port, ...]:
    found = []
    for key, uses in _dict(bindings).items():
        number, _, protocol = str(key).partition("/")
        for use in _list(uses):
            entry = _dict(use)
            text = _text(entry.get("HostPort"))
            port = Port(
                container=int(number) if number.isdigit() else 0,
                host=int(text) if text.isdigit() else 0,
                host_ip=_text(entry.get("HostIp")),
                protocol=protocol or "tcp",
            )
            found.append(normal_port(port))
    return tuple(sorted(set(found), key=repr))


def _mounts(plain: dict[str, Any], host: dict[str, Any], image: ImageDefaults) -> tuple[Mount, ...]:
    found = []
    shelf, folder = dockershelf.of(plain)
    for item in _list(plain.get("Mounts")):
        mount = _dict(item)
        if shelf and (mount.get("Name") == shelf or _text(mount.get("Source")).startswith(folder + "/")):
            continue  # files put beside it
        kind, target = _text(mount.get("Type")), _path(_text(mount.get("Destination")))
        read_only = mount.get("RW") is False
        if kind == "volume":
            name = _text(mount.get("Name"))
            if len(name) == 64 and target in image.volumes:
                continue  # an anonymous volume that only the image asked for
            found.append(Mount("volume", target, name, read_only))
        elif kind == "bind":
            propagation = _text(mount.get("Propagation"))
            found.append(Mount("bind", target, _path(_text(mount.get("Source"))), read_only, propagation="" if propagation == "rprivate" else propagation))
    for target, options in _dict(host.get("Tmpfs")).items():
        words = _text(options).split(",")
        found.append(Mount("tmpfs", _path(target), "", "ro" in words, _size(words), _tmpfs_mode(words), _tmpfs_options(words)))
    for item in _list(host.get("Mounts")):
        mount = _dict(item)
        if mount.get("Type") == "tmpfs":
            size = _int(_dict(mount.get("TmpfsOptions")).get("SizeBytes"))
            found.append(Mount("tmpfs", _path(_text(mount.get("Target"))), "", mount.get("ReadOnly") is True, size))
    return tuple(sorted(found, key=repr))


def _size(words: list[str]) -> int:
    for word in words:
        name, _, value = word.partition("=")
        if name == "size":
            scale = {"k": 1024, "m": 1024**2, "g": 1024**3}.get(value[-1:].lower(), 0)
            digits = value[:-1] if scale else value
            return int(digits) * (scale or 1) if digits.isdigit() and len(digits) < 16 else 0
    return 0


def _tmpfs_mode(words: list[str]) -> int:
    for word in words:
        name, _, value = word.partition("=")
        if name == "mode" and value.isdigit():
            mode = int(value, 8) if set(value) <= set("01234567") else 0
            return 0 if mode == 0o1777 else mode
    return 0


def _tmpfs_options(words: list[str]) -> tuple[str, ...]:
    """The rest of the options; Podman adds some of its own."""
    ours = ("rw", "ro", "", "rprivate", "tmpcopyup", "notmpcopyup", *TMPFS_DEFAULTS)
    return tuple(sorted(word for word in words if word not in ours and word.partition("=")[0] not in ("size", "mode")))


def _networks(plain: dict[str, Any], *, podman: bool) -> tuple[NetworkUse, ...]:
    if _text(_dict(plain.get("HostConfig")).get("NetworkMode")).startswith("container:"):
        return ()  # it lives in another's; Podman shows that one's networks here as well
    identity, name = _text(plain.get("Id")), _text(plain.get("Name")).lstrip("/")
    hostname = _text(_dict(plain.get("Config")).get("Hostname"))  # a running container is reached by it too
    found = []
    for network, item in _dict(_dict(plain.get("NetworkSettings")).get("Networks")).items():
        if network in ("bridge", "podman", "host", "none", "default"):
            continue  # the engine's own: nobody joins them by name
        use = _dict(item)
        aliases = {str(alias) for alias in _list(use.get("Aliases"))} - {identity[:12], name, hostname}
        address = _text(_dict(use.get("IPAMConfig")).get("IPv4Address"))
        longer = _text(_dict(use.get("IPAMConfig")).get("IPv6Address"))
        if podman and not address:  # it gives a container the address asked for, and shows only the one it has, while it runs
            address = NOT_SAID + _text(use.get("IPAddress"))
        if podman and not longer:
            longer = NOT_SAID + _text(use.get("GlobalIPv6Address"))
        found.append(NetworkUse(network, tuple(sorted(aliases)), address, longer))
    return tuple(sorted(found, key=repr))


def _resources(host: dict[str, Any], *, podman: bool) -> Resources:
    cpus = _int(host.get("NanoCpus"))
    if not cpus and _int(host.get("CpuQuota")) > 0:  # the older way of saying the same
        cpus = _int(host.get("CpuQuota")) * 1_000_000_000 // (_int(host.get("CpuPeriod")) or 100_000)
    pids = _int(host.get("PidsLimit"))
    if podman and pids == PODMAN_PIDS:
        pids = 0
    return normal_resources(
        Resources(
            memory_bytes=_int(host.get("Memory")),
            memory_reservation_bytes=_int(host.get("MemoryReservation")),
            memory_swap_bytes=_int(host.get("MemorySwap")),
            nano_cpus=cpus,
            pids=pids,
            cpuset=_text(host.get("CpusetCpus")),
        )
    )


def _devices(plain: Any) -> tuple[DeviceNode, ...]:
    found = []
    for item in _list(plain):
        node = _dict(item)
        found.append(DeviceNode(_text(node.get("PathOnHost")), _text(node.get("PathInContainer")), _text(node.get("CgroupPermissions"))))
    return tuple(sorted(found, key=repr))


# --- volumes and networks -----------------------------------------------------------------------------------------------


def volume(plain: Any) -> ObservedVolume:
    """GET /volumes/{name} as a record."""
    found = _dict(plain)
    return ObservedVolume(
        name=_text(found.get("Name")),
        driver=_text(found.get("Driver")) or "local",
        driver_options=_texts(found.get("Options")),
        labels=_texts(found.get("Labels")),
        created_ms=moment_ms(found.get("CreatedAt")),
    )


def network(plain: Any) -> ObservedNetwork:
    """GET /networks/{name} as a record."""
    found = _dict(plain)
    return ObservedNetwork(
        name=_text(found.get("Name")),
        id=_text(found.get("Id")),
        driver=_text(found.get("Driver")) or "bridge",
        driver_options=_texts(found.get("Options")),
        labels=_texts(found.get("Labels")),
        internal=found.get("Internal") is True,
        ipv6=found.get("EnableIPv6") is True,
        pools=tuple(_pool(_dict(item)) for item in _list(_dict(found.get("IPAM")).get("Config"))),
        containers=tuple(sorted(str(key) for key in _dict(found.get("Containers")))),
    )


def _pool(plain: dict[str, Any]) -> Pool:
    reserved = {str(name): _text(address) for name, address in _dict(plain.get("AuxiliaryAddresses")).items()}
    return Pool(_text(plain.get("Subnet")), _text(plain.get("Gateway")).partition("/")[0], _text(plain.get("IPRange")), reserved)
