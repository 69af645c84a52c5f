"""What a container may ask for beyond the everyday: isolation, names, limits of the kernel, accelerators, and files put into it.

Owns those records; `types.Service` holds them. Every field's default means "as the engine has it", and is not written, so that a service that
asks for none of this keeps the digest it had before there was any. Never says what of it is wise (`server.core.hazards` does).
"""

from __future__ import annotations

from penstock.wire.record import record

IN_SERVICE = "service:"  # before the name of the service whose namespace is shared
MAX_FILE = 262_144  # bytes of one file of `File`, before base64
MAX_FILES = 524_288  # bytes of all files of one app


@record
class Ulimit:
    """A limit of the kernel on the container's processes; -1 is unlimited."""

    name: str
    soft: int
    hard: int


@record
class Logging:
    """The engine's log driver for a container; `driver` empty is the engine's own."""

    driver: str = ""
    options: dict[str, str] = {}


@record
class Accelerator:
    """Processors beside the processor, such as GPUs: `count` of them (-1: all), or those of these ids. `capabilities` must all be met."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    options: dict[str, str] = {}


@record
class File:
    """A file put into the container before it starts. `content` is base64; or it is the value of `secret`, which travels sealed, in `version`.
    `mode` as in chmod, `uid` and `gid` are numbers of the container."""

    LIMITS = {"content": 4 * (MAX_FILE // 3 + 1)}

    target: str
    content: str = ""
    secret: str = ""
    version: str = ""
    uid: int = 0
    gid: int = 0
    mode: int = 0o444


def size_of(content: str) -> int:
    """The bytes that base64 text stands for."""
    return len(content) // 4 * 3 - content.count("=", -2)


@record
class Options:
    """Everything a service rarely asks for. `network_mode`: host, none, bridge or service:NAME (then it joins no network); `ipc` and `pid`:
    host, service:NAME, for `ipc` also private, shareable and none; `uts`: host; `userns`: host; `cgroup`: host or private. Names in `extra_hosts` stand
    as "name:address", `security`, `device_cgroup_rules` and `groups` as the engine takes them. -1 for `swappiness`: the engine's own."""

    CHOICES = {"uts": ("", "host"), "userns": ("", "host"), "cgroup": ("", "host", "private")}

    privileged: bool = False
    read_only: bool = False
    init: bool = False
    tty: bool = False
    stdin_open: bool = False
    oom_kill_disable: bool = False
    network_mode: str = ""
    ipc: str = ""
    pid: str = ""
    uts: str = ""
    userns: str = ""
    cgroup: str = ""
    cgroup_parent: str = ""
    runtime: str = ""
    hostname: str = ""
    domainname: str = ""
    mac_address: str = ""
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    sysctls: dict[str, str] = {}
    annotations: dict[str, str] = {}
    storage: dict[str, str] = {}
    ulimits: tuple[Ulimit, ...] = ()
    logging: Logging = Logging()
    accelerators: tuple[Accelerator, ...] = ()
    shm_bytes: int = 0
    oom_score_adj: int = 0
    swappiness: int = -1
    cpu_shares: int = 0
    cpu_quota_us: int = 0
    cpu_period_us: int = 0
    cpu_rt_runtime_us: int = 0
    cpu_rt_period_us: int = 0
