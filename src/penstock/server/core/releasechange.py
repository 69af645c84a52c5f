"""What a release would change where another one runs: which containers restart and why, which volumes that touches, what is fetched.

Owns the reading of two releases against each other for people (`between`). The fields that differ come from `difference`; what a device then
does is decided there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.server.core.difference import QUIET, FieldChange, PartChange, between_releases
from penstock.server.core.interpolate import Hole
from penstock.server.core.release import Release
from penstock.wire.types import Image

POLICIES = {
    "compatible": "the data stays, and is taken to suit both releases",
    "snapshot": "the data is copied before the change, and put back by a revert",
    "irreversible": "what the change does to the data cannot be taken back",
}
ADDED, REMOVED, CHANGED, SAME = "added", "removed", "changed", "same"


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """One service. `restarts`: its container is stopped or replaced; `why` as a sentence."""

    name: str
    kind: str
    restarts: bool
    why: str
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class VolumeChange:
    """One volume. `touched`: a container that uses it restarts; `services` are those."""

    name: str
    kind: str
    touched: bool
    policy: str
    why: str
    services: tuple[str, ...]
    changes: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageChange:
    """One service's image, by name and digest, before and after; empty: there is none."""

    service: str
    kind: str
    before: str
    after: str
    before_digest: str
    after_digest: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of the packages."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class ReleaseChange:
    """Everything between two releases of an app. `fetched`: platform -> bytes that a device with all of the old one's images still fetches."""

    services: tuple[ServiceChange, ...]
    volumes: tuple[VolumeChange, ...]
    networks: tuple[PartChange, ...]
    parameters: tuple[PartChange, ...]
    images: tuple[ImageChange, ...]
    files: tuple[FileChange, ...]
    fetched: dict[str, int]
    settings: tuple[FieldChange, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing changes on a device."""
        kinds = {one.kind for one in self.services} | {one.kind for one in self.volumes} | {one.kind for one in (*self.networks, *self.parameters)}
        return not self.settings and kinds <= {SAME}


def between(old: Release, new: Release) -> ReleaseChange:
    """What `new` would change where `old` runs, before any value is known."""
    found = between_releases(old, new)
    services = tuple(ServiceChange(part.name, part.kind, part.restarts and part.kind != ADDED, _why(part), part.changes) for part in found.services)
    stopped = {part.name for part in services if part.restarts}
    return ReleaseChange(
        services=services,
        volumes=tuple(_volume(part, old, new, stopped) for part in found.volumes),
        networks=found.networks,
        parameters=found.parameters,
        images=tuple(_images(old, new)),
        files=tuple(_files(old.files, new.files)),
        fetched=_fetched(old.images, new.images),
        settings=settings_between(old, new),
    )


def settings_between(old: Release, new: Release) -> tuple[FieldChange, ...]:
    """The settings that differ."""
    return tuple(
        FieldChange(name, str(before), str(after))
        for name in ("soak_s", "deadline_s", "drift", "keep")
        if (before := getattr(old, name)) != (after := getattr(new, name))
    )


def _why(part: PartChange) -> str:
    if part.kind == ADDED:
        return "it is new, and started"
    if part.kind == REMOVED:
        return "it is not in the new release, so its container is stopped and removed"
    if part.kind == SAME:
        return "nothing changes, it goes on running"
    loud = [one.field for one in part.changes if one.field == "image" or one.field.split(".")[0] not in QUIET]
    if not part.restarts:
        return f"it goes on running; {_listed(one.field for one in part.changes)} {'changes' if len(part.changes) == 1 else 'change'}"
    return f"its container is made anew: {_listed(loud)} {'changes' if len(loud) == 1 else 'change'}"


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    shown = found if len(found) <= 6 else [*found[:5], f"{len(found) - 5} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _volume(part: PartChange, old: Release, new: Release, stopped: set[str]) -> VolumeChange:
    by_name = {str(one["name"]): one for one in (*old.volumes, *new.volumes)}
    policy = str(by_name[part.name].get("policy", "compatible"))
    users = tuple(sorted({name for release in (old, new) for name in _users(release, part.name)} & stopped))
    if part.kind == ADDED:
        why = "it is new, and empty at first"
    elif part.kind == REMOVED:
        why = "the new release does not use it; it stays on the device until somebody removes it"
    elif users:
        why = f"{_listed(users)} {'restarts' if len(users) == 1 else 'restart'}: {POLICIES.get(policy, policy)}"
    else:
        why = "no container that uses it restarts"
    return VolumeChange(part.name, part.kind, bool(users) and part.kind != ADDED, policy, why, users, part.changes)


def _users(release: Release, volume: str) -> list[str]:
    """The services that mount a volume; a source that waits for a value may be any."""
    found = []
    for service in release.services:
        for mount in service.get("mounts", ()):
            source = mount.get("source") if isinstance(mount, dict) else mount
            if source == volume or (isinstance(source, Hole) and (not isinstance(mount, dict) or mount.get("kind") == "volume")):
                found.append(str(service["name"]))
    return found


def _images(old: Release, new: Release) -> Iterable[ImageChange]:
    before, after = _by_service(old), _by_service(new)
    for service in sorted({*before, *after}):
        one, two = before.get(service), after.get(service)
        kind = ADDED if one is None else REMOVED if two is None else SAME if _digest(one) == _digest(two) else CHANGED
        yield ImageChange(service, kind, one.name if one else "", two.name if two else "", _digest(one), _digest(two))


def _by_service(release: Release) -> dict[str, Image]:
    images = {image.name: image for image in release.images}
    return {str(one["name"]): images[str(one["image"])] for one in release.services if str(one["image"]) in images}


def _digest(image: Image | None) -> str:
    return "" if image is None else image.index or image.variants[0].manifest.digest


def _blobs(images: tuple[Image, ...]) -> dict[str, dict[str, int]]:
    """Platform -> digest -> bytes."""
    found: dict[str, dict[str, int]] = {}
    for image in images:
        for variant in image.variants:
            blobs = found.setdefault(variant.platform, {})
            blobs.update({blob.digest: blob.size for blob in (variant.manifest, variant.config, *variant.layers)})
    return found


def _fetched(old: tuple[Image, ...], new: tuple[Image, ...]) -> dict[str, int]:
    have = _blobs(old)
    return {platform: sum(size for digest, size in blobs.items() if digest not in have.get(platform, {})) for platform, blobs in sorted(_blobs(new).items())}


def _files(old: dict[str, str], new: dict[str, str]) -> Iterable[FileChange]:
    for path in sorted({*old, *new}):
        kind = ADDED if path not in old else REMOVED if path not in new else SAME if old[path] == new[path] else CHANGED
        if kind != SAME:
            yield FileChange(path, kind)
