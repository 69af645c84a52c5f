"""Does it fit? What an app takes of a device against what the device has, less a reserve for the system, less what other apps were promised.

Owns that reckoning and its sentences. The rule: what is certain refuses, what is likely or not known is said. Certain are a processor that no image or need
allows, memory that releases reserve or need (`firm`) beyond what there is, images and needed disk beyond what is free, and more accelerators than there are. A
limit (`mem_limit`) is no promise: many apps are given more room than they ever take, so limits beyond the memory are said and no more. An app that takes no more
than before is never refused. Sizes in bytes; 0 for what a device has means that it has not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from penstock.server.core.facts import architecture_of
from penstock.server.core.needs import Needs, accelerators_asked, accelerators_of
from penstock.wire.messages import Facts
from penstock.wire.types import AppState

MIB = 1 << 20
RESERVE_MEMORY = (128 * MIB, 0.05)  # at least so much, or this share, is the system's and the agent's
RESERVE_DISK = (512 * MIB, 0.05, 0.25)  # likewise; and of a small disk never more than the last share
UNPACKED = 3  # how many times its compressed size an image commonly takes, with the copy it is made from


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a device has, by its own word. `nodes` None: it does not say."""

    memory_bytes: int = 0
    disk_bytes: int = 0
    disk_free_bytes: int = 0
    platforms: tuple[str, ...] = ()
    nodes: tuple[str, ...] | None = None

    @property
    def memory_reserve(self) -> int:
        """What of the memory is not for apps."""
        return max(RESERVE_MEMORY[0], int(self.memory_bytes * RESERVE_MEMORY[1])) if self.memory_bytes else 0

    @property
    def disk_reserve(self) -> int:
        """What of the disk stays free."""
        least, share, most = RESERVE_DISK
        wanted = max(least, int(self.disk_bytes * share))
        return (min(wanted, int(self.disk_bytes * most)) if self.disk_bytes else wanted) if self.disk_free_bytes else 0


@dataclass(frozen=True, slots=True)
class Room:
    """What an app takes. `firm`: memory that is reserved or needed; `limit`: what its services may take at most, where they have limits; `unlimited`: services
    that have none. `blobs`: its images as they are fetched, digest to size. `accelerators` it needs by its own word, those in `alone` for itself; `reserved` are its services' reservations."""

    app: str
    firm: int = 0
    limit: int = 0
    unlimited: tuple[str, ...] = ()
    disk: int = 0
    blobs: Mapping[str, int] = field(default_factory=dict)
    architectures: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    accelerators: Mapping[str, int] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    alone: frozenset[str] = frozenset()

    @property
    def promised(self) -> int:
        """The memory it counts for."""
        return self.firm or self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it fits: sentences that refuse, and sentences to be said."""

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reserve:
    """A device's room in numbers: what there is, what is the system's, what is promised to apps (by name), what is left (below 0: more was promised than
    there is). Memory 0 or `disk_free` 0: the device has not said."""

    memory_bytes: int
    memory_system: int
    memory_promised: Mapping[str, int]
    memory_left: int
    disk_bytes: int
    disk_free: int
    disk_system: int
    disk_left: int


def capacity_of(facts: Facts, disk_free_bytes: int) -> Capacity:
    """What a device says it has."""
    return Capacity(facts.memory_bytes, facts.disk_bytes, disk_free_bytes, facts.platforms, facts.nodes)


def room_of(state: AppState, needs: Needs, platforms: tuple[str, ...]) -> Room:
    """What an app takes of a device that runs `platforms`, best first."""
    limits = [service.resources for service in state.services]
    reserved = sum(one.memory_reservation_bytes for one in limits)
    blobs: dict[str, int] = {}
    for image in state.images:
        variant = next((one for platform in platforms for one in image.variants if one.platform == platform), None)
        for blob in (variant.manifest, variant.config, *variant.layers) if variant is not None else ():
            blobs[blob.digest] = blob.size
    return Room(
        state.app,
        needs.memory_bytes or reserved,
        sum(one.memory_bytes or one.memory_reservation_bytes for one in limits),
        tuple(service.name for service in state.services if not service.resources.memory_bytes),
        needs.disk_bytes,
        blobs,
        needs.architectures,
        tuple(sorted({node.path for node in needs.nodes} | {node.host for service in state.services for node in service.devices})),
        {one.kind: one.count for one in needs.accelerators},
        _most(accelerators_asked(service) for service in state.services),
        frozenset(one.kind for one in needs.accelerators if not one.shared),
    )


def _most(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in many:
        found |= {kind: max(count, found.get(kind, 0)) for kind, count in one.items()}
    return found


def fits(has: Capacity, wants: Room, others: Iterable[Room], before: Room | None = None) -> Verdict:
    """Whether an app fits beside the others. `before`: what the same app takes there now."""
    beside = sorted((one for one in others if one.app != wants.app), key=lambda one: one.app)
    refusals: list[str] = []
    warnings: list[str] = []
    _processor(has, wants, refusals)
    _memory(has, wants, beside, before, refusals, warnings)
    _disk(has, wants, beside, before, refusals, warnings)
    _hardware(has, wants, beside, before, refusals, warnings)
    return Verdict(tuple(refusals), tuple(warnings))


def reserve(has: Capacity, rooms: Iterable[Room]) -> Reserve:
    """A device's room."""
    promised = {one.app: one.promised for one in sorted(rooms, key=lambda one: one.app)}
    left = has.memory_bytes - has.memory_reserve - sum(promised.values()) if has.memory_bytes else 0
    return Reserve(
        has.memory_bytes,
        has.memory_reserve,
        promised,
        left,
        has.disk_bytes,
        has.disk_free_bytes,
        has.disk_reserve,
        has.disk_free_bytes - has.disk_reserve if has.disk_free_bytes else 0,
    )


def size(amount: int) -> str:
    """Bytes for people: "1.5 GiB"."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if abs(amount) >= 1 << shift:
            return f"{amount / (1 << shift):.1f}".removesuffix(".0") + f" {unit}"
    return f"{amount} bytes"


def _processor(has: Capacity, wants: Room, refusals: list[str]) -> None:
    runs = {architecture_of((platform,)) for platform in has.platforms}
    if wants.architectures and runs and runs.isdisjoint(wants.architectures):
        refusals.append(f"{wants.app} needs a processor of {' or '.join(wants.architectures)}, and this device runs {', '.join(sorted(runs))}")


def _memory(has: Capacity, wants: Room, beside: list[Room], before: Room | None, refusals: list[str], warnings: list[str]) -> None:
    if not has.memory_bytes:
        if wants.promised:
            warnings.append("the device has not said how much memory it has")
        return
    usable = has.memory_bytes - has.memory_reserve
    firm = sum(one.firm for one in beside)
    told = f"the device has {size(has.memory_bytes)}, of which {size(has.memory_reserve)} are the system's"
    if wants.firm and firm + wants.firm > usable and (before is None or wants.firm > before.firm):
        others = _named({one.app: one.firm for one in beside if one.firm})
        refusals.append(f"{wants.app} needs {size(wants.firm)} of memory: {told}{f' and {others} promised' if others else ''}")
        return
    promised = sum(one.promised for one in beside) + wants.promised
    if wants.promised and promised > usable:
        others = _named({one.app: one.promised for one in beside if one.promised})
        warnings.append(
            f"with {wants.app} ({size(wants.promised)}) more memory would be promised than there is: {told}{f' and {others} promised' if others else ''}"
        )
    if wants.unlimited and not wants.firm:
        warnings.append(f"{', '.join(wants.unlimited[:5])} of {wants.app} may take any memory: a `mem_limit` would bound it, `needs: memory` would keep room")


def _named(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{size(amount)} are {app}'s" for app, amount in list(parts.items())[:5])


def _disk(has: Capacity, wants: Room, beside: list[Room], before: Room | None, refusals: list[str], warnings: list[str]) -> None:
    there = {digest for one in (*beside, *((before,) if before is not None else ())) for digest in one.blobs}
    fetched = sum(amount for digest, amount in wants.blobs.items() if digest not in there)
    data = max(0, wants.disk - (before.disk if before is not None else 0))
    if not fetched + data:
        return
    if not has.disk_free_bytes:
        warnings.append("the device has not said how much disk is free")
        return
    free = max(0, has.disk_free_bytes - has.disk_reserve)
    told = f"{size(has.disk_free_bytes)} are free, of which {size(has.disk_reserve)} stay so"
    parts = " and ".join(part for part in (f"{size(fetched)} of images" if fetched else "", f"{size(data)} of data" if data else "") if part)
    if fetched + data > free:
        refusals.append(f"{wants.app} brings {parts}: {told}")
    elif fetched * UNPACKED + data > free:
        warnings.append(f"{wants.app} brings {parts}, unpacked perhaps {size(fetched * UNPACKED + data)}: {told}")


def _hardware(has: Capacity, wants: Room, beside: list[Room], before: Room | None, refusals: list[str], warnings: list[str]) -> None:
    if has.nodes is None:
        if wants.nodes or wants.accelerators or wants.reserved:
            warnings.append("the device has not said which device nodes and accelerators it has")
        return
    missing = [node for node in wants.nodes if node not in has.nodes]
    if missing:
        warnings.append(f"{wants.app} uses {', '.join(missing[:5])}, which the device does not show")
    have = accelerators_of(has.nodes)
    for kind, count in sorted(wants.accelerators.items()):
        if count > have[kind] and (before is None or count > before.accelerators.get(kind, 0)):
            refusals.append(f"{wants.app} needs {count} of the accelerator {kind}, and the device shows {have[kind]}")
            continue
        taken = {one.app: one.accelerators[kind] for one in beside if kind in one.alone and kind in wants.alone}
        over = sum(taken.values()) + count > have[kind] and (before is None or count > before.accelerators.get(kind, 0))
        if over and all(count + one <= have[kind] for one in taken.values()):  # else two of them clash, and that is said
            others = ", ".join(f"{app} has {one}" for app, one in taken.items())
            refusals.append(f"{wants.app} needs {count} of the accelerator {kind}: the device shows {have[kind]}, of which {others}")
    for kind, count in sorted(wants.reserved.items()):
        if count > have[kind] and kind not in wants.accelerators:
            warnings.append(f"{wants.app} reserves {count} of the accelerator {kind}, and the device shows {have[kind]}")
