"""What people see of the image registry: repositories, the images in them, and what they cost.

Owns the shapes and the grouping of manifests into images: what is tagged or stands alone is an image; what an index lists is a part of it; what names a subject
stands with its subject, as does what a tag says to be about another. Never touches storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.server.core.attached import kind_by, named_by
from penstock.server.core.oci import Manifest, Tagged


@dataclass(frozen=True, slots=True)
class RepositoryUse:
    """One repository: its tags, manifests and bytes; `alone_bytes` are those no other repository shares."""

    name: str
    app: str
    tags: int
    manifests: int
    bytes: int
    alone_bytes: int


@dataclass(frozen=True, slots=True)
class AppUse:
    """What an app's repositories hold, shared content counted once."""

    app: str
    repositories: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The whole registry, as far as the asker may see it. `bytes`: shared content counted once."""

    apps: tuple[AppUse, ...]
    repositories: tuple[RepositoryUse, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Attached:
    """What says something about an image: a signature, a list of parts."""

    digest: str
    kind: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A release that needs an image."""

    app: str
    version: str


@dataclass(frozen=True, slots=True)
class ImageView:
    """One image or artifact. `pins`: releases that need it, as far as the asker may see them; `other_pins` counts the rest."""

    digest: str
    media_type: str
    kind: str
    tags: tuple[Tagged, ...]
    platforms: tuple[str, ...]
    bytes: int
    attached: tuple[Attached, ...]
    pins: tuple[Pin, ...]
    other_pins: int


@dataclass(frozen=True, slots=True)
class RepositoryView:
    """One repository with its images, the one tagged last first."""

    use: RepositoryUse
    images: tuple[ImageView, ...]


def usage(held: Mapping[str, Mapping[str, int]], counts: Mapping[str, tuple[int, int]], app_of: Mapping[str, str]) -> Usage:
    """What each repository holds (bytes by digest), counted. `counts`: tags and manifests of each; `app_of`: whose it is."""
    among: dict[str, int] = {}
    for sizes in held.values():
        for digest in sizes:
            among[digest] = among.get(digest, 0) + 1
    uses = tuple(
        RepositoryUse(name, app_of[name], *counts[name], sum(sizes.values()), sum(size for digest, size in sizes.items() if among[digest] == 1))
        for name, sizes in sorted(held.items())
    )
    by_app: dict[str, dict[str, int]] = {}
    for name, sizes in held.items():
        by_app.setdefault(app_of[name], {}).update(sizes)
    apps = tuple(AppUse(app, sum(one.app == app for one in uses), sum(sizes.values())) for app, sizes in by_app.items())
    whole = {digest: size for sizes in held.values() for digest, size in sizes.items()}
    return Usage(tuple(sorted(apps, key=lambda one: (-one.bytes, one.app))), uses, sum(whole.values()))


def attachments(manifests: Mapping[str, Manifest], tags: tuple[Tagged, ...]) -> dict[str, tuple[Attached, ...]]:
    """What says something about which manifest, by digest of the latter: what names it as its subject, and what cosign's tags name it by."""
    about = named_by((one.tag for one in tags), frozenset(manifests))
    pairs = [(one.subject.digest, Attached(digest, kind_of(one))) for digest, one in manifests.items() if one.subject is not None]
    pairs += [(about[one.tag], Attached(one.digest, kind)) for one in tags if one.tag in about and (kind := kind_by(one.tag))]
    found: dict[str, tuple[Attached, ...]] = {}
    for subject, one in pairs:
        found[subject] = (*found.get(subject, ()), one)
    return found


def tops(manifests: Mapping[str, Manifest], tags: tuple[Tagged, ...]) -> tuple[str, ...]:
    """The manifests that are images by themselves: tagged, or neither part of another nor about another."""
    about = named_by((one.tag for one in tags), frozenset(manifests))
    tagged = {one.digest for one in tags if one.tag not in about}
    parts = {child.digest for one in manifests.values() for child in one.children} | {one.digest for one in tags if one.tag in about}
    alone = {digest for digest, one in manifests.items() if digest not in parts and (one.subject is None or one.subject.digest not in manifests)}
    return tuple(sorted((tagged & set(manifests)) | alone))


def reached(digest: str, manifests: Mapping[str, Manifest]) -> frozenset[str]:
    """Everything an image is made of: itself, its parts, its blobs."""
    found, todo = set[str](), [digest]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.add(one)
        manifest = manifests.get(one)
        if manifest is not None:
            todo += [child.digest for child in manifest.children]
            found.update(one.digest for one in manifest.content)
    return frozenset(found)


def kind_of(manifest: Manifest) -> str:
    """What people call it: an artifact by its type, otherwise "image"."""
    if manifest.artifact_type:
        return manifest.artifact_type
    config = manifest.config.media_type if manifest.config is not None else ""
    return "image" if not config or "image.config" in config or "container.image" in config else config
