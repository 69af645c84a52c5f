"""What an engine would pass over without a word, were it asked for it over its API.

Owns that table, which the device refuses by and the plane too, before it sends anything; and the names by which Podman knows accelerators. Never asks an
engine. Sources: Docker Engine API 1.41 to 1.51; Podman's pkg/api/handlers/compat/containers_create.go from 4.3 to 5.8.
"""

from __future__ import annotations

from penstock.wire.options import Accelerator
from penstock.wire.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from penstock.wire.messages import Engine
    from penstock.wire.options import Options

CDI = "cdi"  # the driver that is asked by names of the Container Device Interface
CDI_SINCE = (5, 4)  # of Podman's compatible API
CDI_KINDS = {"": "nvidia.com/gpu", "nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}
TAKEN: tuple[object, ...] = ({}, "", "private", "shareable")  # what every engine takes of `annotations` and `ipc`

NODES = "give the accelerator's device nodes by `devices:` there"


def lacking(options: Options, engine: Engine) -> tuple[str, ...]:
    """The options asked for that this engine would lose."""
    found = []
    if engine.kind == "podman":
        version = _version(".".join(engine.version.split(".")[:2]))
        if options.accelerators and (version < CDI_SINCE or any(cdi_names(one) is None for one in options.accelerators)):
            found.append("accelerators")
        if options.device_cgroup_rules:
            found.append("device_cgroup_rules")
        if version < (5, 0):
            found += [name for name in ("annotations", "ipc") if getattr(options, name) not in TAKEN]
    elif engine.kind == "docker" and options.annotations and _version(engine.api) < (1, 43):
        found.append("annotations")
    return tuple(found)


def refusal(service: str, options: Options, engine: Engine) -> str:
    """Why this engine cannot run the service as it is; empty where it can."""
    lacks = lacking(options, engine)
    if not lacks:
        return ""
    words = " and ".join(name.replace("_", " ") for name in lacks)
    remedy = f"update the engine to Podman 5.4 or later, or {NODES}" if "accelerators" in lacks else "update the engine, or take it out of the release"
    if "accelerators" in lacks and _version(".".join(engine.version.split(".")[:2])) >= CDI_SINCE:
        remedy = f"there only drivers nvidia, amd and cdi are known, without options; {NODES}"
    return f"service {service} asks for {words}, which this engine ({engine.kind} {engine.version}, API {engine.api}) does not take over its API; {remedy}"


def cdi_names(one: Accelerator) -> tuple[str, ...] | None:
    """An accelerator by the names of the Container Device Interface, as its vendor's tools write them; None where it has none."""
    if one.options:
        return None
    if one.driver == CDI:
        return one.device_ids or None
    kind = CDI_KINDS.get(one.driver)
    if kind is None or (not one.driver and "gpu" not in one.capabilities):
        return None
    ids = one.device_ids or (("all",) if one.count < 0 else tuple(str(number) for number in range(max(one.count, 1))))
    return tuple(f"{kind}={identity}" for identity in ids)


def for_podman(options: Options) -> Options:
    """The options with accelerators as Podman wants them."""
    if not options.accelerators:
        return options
    return replace(options, accelerators=tuple(Accelerator(CDI, 0, cdi_names(one) or (), one.capabilities) for one in options.accelerators))


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
