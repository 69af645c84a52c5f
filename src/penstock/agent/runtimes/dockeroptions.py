"""The rarer settings of a container (`wire.options`) as the Docker API has them, out and in.

Owns both translations for Docker and for Podman's compatible API, whose habits differ (each is named where it is met). What an engine would pass over is
refused, by `rules.engines`. Pure: values in, values out. Sources: Docker Engine API 1.41 to 1.51, ContainerCreate and ContainerInspect.
"""

from __future__ import annotations

from penstock.agent.runtimes import RuntimeFault
from penstock.rules.engines import refusal
from penstock.rules.optional import normal
from penstock.wire.options import IN_SERVICE, Accelerator, Logging, Options, Ulimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.agent.runtimes import EngineFacts

# Options that Podman's compatible API takes and does not show again.
PODMAN_UNTOLD = (
    "domainname",
    "annotations",
    "storage",
    "device_cgroup_rules",
    "accelerators",
    "swappiness",
    "mac_address",
    "sysctls",
    "logging.options",
    "userns",
    "cgroup",
)


def config(options: Options) -> dict[str, Any]:
    """What of it stands at the top of a create call."""
    found: dict[str, Any] = {}
    if options.hostname:
        found["Hostname"] = options.hostname
    if options.domainname:
        found["Domainname"] = options.domainname
    if options.tty:
        found["Tty"] = True
    if options.stdin_open:
        found["OpenStdin"] = True
    if options.mac_address:
        found["MacAddress"] = options.mac_address
    return found


def host_config(options: Options, services: dict[str, str]) -> dict[str, Any]:
    """What of it stands in `HostConfig`. `services`: service name to the container whose namespace "service:NAME" means."""
    found: dict[str, Any] = {}
    plain = {
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "OomKillDisable": options.oom_kill_disable,
        "NetworkMode": _mode(options.network_mode, services),
        "IpcMode": _mode(options.ipc, services),
        "PidMode": _mode(options.pid, services),
        "UTSMode": options.uts,
        "UsernsMode": options.userns,
        "CgroupnsMode": options.cgroup,
        "CgroupParent": options.cgroup_parent,
        "Runtime": options.runtime,
        "CapAdd": list(options.cap_add),
        "CapDrop": list(options.cap_drop),
        "SecurityOpt": list(options.security),
        "GroupAdd": list(options.groups),
        "DeviceCgroupRules": list(options.device_cgroup_rules),
        "Dns": list(options.dns),
        "DnsSearch": list(options.dns_search),
        "DnsOptions": list(options.dns_options),
        "ExtraHosts": list(options.extra_hosts),
        "Sysctls": dict(options.sysctls),
        "Annotations": dict(options.annotations),
        "StorageOpt": dict(options.storage),
        "ShmSize": options.shm_bytes,
        "OomScoreAdj": options.oom_score_adj,
        "CpuShares": options.cpu_shares,
        "CpuQuota": options.cpu_quota_us,
        "CpuPeriod": options.cpu_period_us,
        "CpuRealtimeRuntime": options.cpu_rt_runtime_us,
        "CpuRealtimePeriod": options.cpu_rt_period_us,
    }
    found.update((key, value) for key, value in plain.items() if value)
    if options.init:
        found["Init"] = True
    if options.swappiness >= 0:
        found["MemorySwappiness"] = options.swappiness
    if options.ulimits:
        found["Ulimits"] = [{"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in options.ulimits]
    if options.logging != Logging():
        found["LogConfig"] = {"Type": options.logging.driver, "Config": dict(options.logging.options)}
    if options.accelerators:
        found["DeviceRequests"] = [
            {
                "Driver": one.driver,
                "Count": one.count,
                "DeviceIDs": list(one.device_ids) or None,
                "Capabilities": [list(one.capabilities)],
                "Options": dict(one.options),
            }
            for one in options.accelerators
        ]
    return found


def _mode(mode: str, services: dict[str, str]) -> str:
    name = mode[len(IN_SERVICE) :]
    return f"container:{services.get(name, name)}" if mode.startswith(IN_SERVICE) else mode


def must_take(service: str, options: Options, facts: EngineFacts) -> None:
    """Raise RuntimeFault for an option this engine would pass over without a word."""
    why = refusal(service, options, facts.engine)
    if why:
        raise RuntimeFault("bad-settings", why, retry=False)


# --- in -----------------------------------------------------------------------------------------------------------------


def seen(plain: dict[str, Any], *, podman: bool) -> Options:
    """The options a container shows (GET /containers/{id}/json), in normal form."""
    config_ = _dict(plain.get("Config"))
    host = _dict(plain.get("HostConfig"))
    identity = _text(plain.get("Id"))
    privileged = host.get("Privileged") is True
    log = _dict(host.get("LogConfig"))
    hostname = _text(config_.get("Hostname"))
    swappiness = host.get("MemorySwappiness")
    mode = _text(host.get("NetworkMode"))
    ipc, pid, uts = (_text(host.get(key)) for key in ("IpcMode", "PidMode", "UTSMode"))
    security = _texts(host.get("SecurityOpt"))
    if privileged or ipc == "host" or pid == "host":
        security = tuple(text for text in security if text not in ("label=disable", "label:disable", "unmask=all"))  # the engine's own doing
    return normal(
        Options(
            privileged=privileged,
            read_only=host.get("ReadonlyRootfs") is True,
            init=host.get("Init") is True,
            tty=config_.get("Tty") is True,
            stdin_open=config_.get("OpenStdin") is True,
            oom_kill_disable=host.get("OomKillDisable") is True,
            network_mode=mode if mode in ("host", "none") or mode.startswith(("container:", "ns:")) else "",
            ipc="" if ipc == "private" else ipc,
            pid="" if pid == "private" else pid,
            uts="host" if uts == "host" else "",
            userns="host" if _text(host.get("UsernsMode")) == "host" else "",
            cgroup=_text(host.get("CgroupnsMode") or host.get("Cgroupns")),
            cgroup_parent=_text(host.get("CgroupParent")),
            runtime=_text(host.get("Runtime")),
            hostname="" if hostname == identity[:12] else hostname,
            domainname=_text(config_.get("Domainname")),
            mac_address=_mac(plain),
            cap_add=_texts(host.get("CapAdd")),
            cap_drop=_texts(host.get("CapDrop")),
            security=security,
            groups=_texts(host.get("GroupAdd")),
            device_cgroup_rules=_texts(host.get("DeviceCgroupRules")),
            dns=_texts(host.get("Dns")),
            dns_search=_texts(host.get("DnsSearch")),
            dns_options=_texts(host.get("DnsOptions")),
            extra_hosts=_texts(host.get("ExtraHosts")),
            sysctls=_pairs(host.get("Sysctls")),
            annotations=_pairs(host.get("Annotations")),
            storage=_pairs(host.get("StorageOpt")),
            ulimits=_ulimits(host.get("Ulimits")),
            logging=Logging(_text(log.get("Type")), _pairs(log.get("Config"))),
            accelerators=_accelerators(host.get("DeviceRequests")),
            shm_bytes=_int(host.get("ShmSize")),
            oom_score_adj=_int(host.get("OomScoreAdj")),
            swappiness=swappiness if isinstance(swappiness, int) and not podman else -1,
            cpu_shares=_int(host.get("CpuShares")),
            cpu_rt_runtime_us=_int(host.get("CpuRealtimeRuntime")),
            cpu_rt_period_us=_int(host.get("CpuRealtimePeriod")),
        )
    )


def _mac(plain: dict[str, Any]) -> str:
    """The address asked for; a running container shows the one it was given too, in the same place."""
    found = _text(_dict(plain.get("Config")).get("MacAddress"))
    for use in _dict(_dict(plain.get("NetworkSettings")).get("Networks")).values():
        found = found or _text(_dict(use).get("MacAddress"))
    return found.lower()


def _ulimits(value: Any) -> tuple[Ulimit, ...]:
    found = []
    for item in value if isinstance(value, list) else ():
        limit = _dict(item)
        name = _text(limit.get("Name")).lower()
        found.append(Ulimit(name.removeprefix("rlimit_"), _int(limit.get("Soft")), _int(limit.get("Hard"))))
    return tuple(found)


def _accelerators(value: Any) -> tuple[Accelerator, ...]:
    found = []
    for item in value if isinstance(value, list) else ():
        one = _dict(item)
        sets = one.get("Capabilities")
        first = sets[0] if isinstance(sets, list) and sets else ()
        found.append(Accelerator(_text(one.get("Driver")), _int(one.get("Count")), _texts(one.get("DeviceIDs")), _texts(first), _pairs(one.get("Options"))))
    return tuple(found)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else 0


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else ()


def _pairs(value: Any) -> dict[str, str]:
    return {str(key): _text(item) for key, item in _dict(value).items()}
