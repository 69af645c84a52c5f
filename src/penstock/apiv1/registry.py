"""Shapes for the image registry: repositories, images and tags, what they cost, and sweeping."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from penstock.apiv1.common import Text

RepositoryName = Annotated[str, Meta(min_length=1, max_length=200)]


class Repository(Struct, frozen=True, kw_only=True):
    """A repository. `bytes` is all it holds, `alone_bytes` what no other shares with it."""

    name: str
    app: str
    tags: int
    manifests: int
    bytes: int
    alone_bytes: int


class AppStorage(Struct, frozen=True, kw_only=True):
    """What an app's repositories hold, content they share counted once."""

    app: str
    repositories: int
    bytes: int


class RegistryUsage(Struct, frozen=True, kw_only=True):
    """What the registry holds, as far as the asker may pull from it. `bytes`: shared content counted once."""

    bytes: int
    apps: tuple[AppStorage, ...]
    repositories: tuple[Repository, ...]


class Tag(Struct, frozen=True, kw_only=True):
    """A tag and since when it names this image."""

    tag: str
    since_ms: int


class Attached(Struct, frozen=True, kw_only=True):
    """What says something about an image: a signature, a list of its parts."""

    digest: str
    kind: str


class Pin(Struct, frozen=True, kw_only=True):
    """A release that needs the image."""

    app: str
    version: str


class RegistryImage(Struct, frozen=True, kw_only=True):
    """An image or artifact. `kind` is "image", or an artifact's type. It cannot be deleted while `pins` or `other_pins` (of apps the asker may not see) say that a release needs it."""

    digest: str
    media_type: str
    kind: str
    tags: tuple[Tag, ...]
    platforms: tuple[str, ...]
    bytes: int
    attached: tuple[Attached, ...]
    pins: tuple[Pin, ...]
    other_pins: int


class RepositoryDetail(Struct, frozen=True, kw_only=True):
    """A repository and its images, the one tagged last first."""

    repository: Repository
    images: tuple[RegistryImage, ...]


class RegistryDelete(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be deleted: `reference` is a tag, or the digest of an image, which takes its tags along."""

    repository: RepositoryName
    reference: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Text = ""


class RegistrySweep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`dry_run`: only say what would go."""

    dry_run: bool = False
    reason: Text = ""


class SweptManifest(Struct, frozen=True, kw_only=True):
    """A manifest that went, or would."""

    repository: str
    digest: str


class RegistrySwept(Struct, frozen=True, kw_only=True):
    """What a sweep took away, or would: uploads given up, blobs with their bytes, and the manifests by name."""

    dry_run: bool
    uploads: int
    blobs: int
    bytes: int
    manifests: tuple[SweptManifest, ...]
