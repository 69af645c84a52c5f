"""A container's rarer settings (`wire.options`), asked for and seen.

Owns the normal form of both sides (`normal`) and their comparison (`differing`), in which an engine's own additions are no drift: what a service does not
ask for is compared only where an engine's default can be told from a change by hand. Which container is ours is decided elsewhere.
"""

from __future__ import annotations

from penstock.wire.options import Logging, Options
from penstock.wire.record import fields_of, record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.rules.observed import ObservedContainer
    from penstock.wire.options import Ulimit

IN_CONTAINER = "container:"
SHM_DEFAULTS = (65_536_000, 67_108_864)  # Podman's and Docker's own size of /dev/shm

# What Podman gives a container unasked; it shows what was dropped of these by name where "ALL" was asked for.
CAPABILITIES = frozenset(
    ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT")
)  # fmt: skip

# Engines put values of their own here, which a change by hand looks just like: compared only where the service says something.
WHERE_ASKED = frozenset(("runtime", "cgroup", "cgroup_parent", "mac_address", "swappiness", "oom_score_adj", "domainname"))
KEYED = frozenset(("annotations", "storage", "sysctls"))


@record
class Differing:
    """One option that is not as asked for."""

    field: str
    wanted: Any
    seen: Any


def capability(name: str) -> str:
    """ "CAP_NET_ADMIN", "net_admin" and "NET_ADMIN" are one capability."""
    upper = name.upper()
    return upper.removeprefix("CAP_")


def normal(options: Options) -> Options:
    """One form for what engines and people write in several ways. Processor quotas are compared as `nano_cpus`, so they are left out here."""
    return replace(
        options,
        network_mode="" if options.network_mode == "bridge" else options.network_mode,
        ipc="" if options.ipc == "private" else options.ipc,
        cap_add=tuple(sorted({capability(name) for name in options.cap_add})),
        cap_drop=tuple(sorted({capability(name) for name in options.cap_drop})),
        security=tuple(sorted({_security(text) for text in options.security})),
        groups=tuple(sorted(set(options.groups))),
        device_cgroup_rules=tuple(sorted(set(options.device_cgroup_rules))),
        extra_hosts=tuple(sorted(set(options.extra_hosts))),
        accelerators=tuple(sorted(options.accelerators, key=repr)),
        shm_bytes=0 if options.shm_bytes in SHM_DEFAULTS else options.shm_bytes,
        cpu_quota_us=0,
        cpu_period_us=0,
    )


def _security(text: str) -> str:
    plain = text if "=" in text else text.replace(":", "=", 1)
    return "no-new-privileges" if plain == "no-new-privileges=true" else plain


def differing(wanted: Options, seen: Options, untold: tuple[str, ...] = ()) -> list[Differing]:
    """Field by field, both in normal form."""
    found = []
    for field in fields_of(wanted):
        one, other = getattr(wanted, field), getattr(seen, field)
        if field in untold or one == other:
            continue
        if field in WHERE_ASKED and one == _DEFAULT[field]:
            continue
        if field == "hostname" and not one and wanted.network_mode:
            continue  # it has the name of the namespace it lives in
        if field == "ipc" and not one and other == "shareable":
            continue  # an engine's default, among people who set one
        if field in ("cap_add", "cap_drop") and _same_capabilities(wanted, seen):
            continue
        if field == "ulimits":
            other = _only(one, other)
        elif field == "logging":
            one, other = (Logging(one.driver), Logging(other.driver)) if "logging.options" in untold else (one, other)
            other = _log(one, other)
        elif field in KEYED:
            other = {key: value for key, value in other.items() if key in one}
        if one != other:
            found.append(Differing(field, one, other))
    return found


_DEFAULT = {field: getattr(Options(), field) for field in fields_of(Options())}


def _same_capabilities(wanted: Options, seen: Options) -> bool:
    if wanted.privileged and seen.privileged:
        return True  # it has them all, and engines list them as they please
    return _effective(wanted) == _effective(seen)


def _effective(options: Options) -> frozenset[str]:
    held = frozenset() if "ALL" in options.cap_drop else CAPABILITIES - set(options.cap_drop)
    return held | set(options.cap_add)


def _only(wanted: tuple[Ulimit, ...], seen: tuple[Ulimit, ...]) -> tuple[Ulimit, ...]:
    """The limits seen of those asked for; engines and their settings add others."""
    by_name = {limit.name: limit for limit in seen}
    return tuple(by_name[limit.name] for limit in wanted if limit.name in by_name)


def _log(wanted: Logging, seen: Logging) -> Logging:
    return Logging(seen.driver if wanted.driver else "", {key: value for key, value in seen.options.items() if key in wanted.options})


def within(seen: ObservedContainer, services: dict[str, str]) -> ObservedContainer:
    """The container with "service:NAME" in place of "container:ID" where `services` (container id to service) knows it."""
    options = seen.settings.options
    named = {}
    for field in ("network_mode", "ipc", "pid"):
        mode: str = getattr(options, field)
        service = services.get(mode[len(IN_CONTAINER) :], "") if mode.startswith(IN_CONTAINER) else ""
        if service:
            named[field] = "service:" + service
    if not named:
        return seen
    return replace(seen, settings=replace(seen.settings, options=replace(options, **named)))
