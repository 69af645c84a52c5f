"""Handlers for the image registry as people look at it. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import registry as shapes
from penstock.apiv1.common import Outcome
from penstock.server.actions import repositories

if TYPE_CHECKING:
    from penstock.server.api.frame import Call
    from penstock.server.core.registryviews import ImageView, RepositoryUse


def get_usage(call: Call) -> shapes.RegistryUsage:
    """What the registry holds, by app and by repository."""
    found = repositories.list_usage(call.plane, call.actor)
    return shapes.RegistryUsage(
        bytes=found.bytes,
        apps=tuple(shapes.AppStorage(app=one.app, repositories=one.repositories, bytes=one.bytes) for one in found.apps),
        repositories=tuple(map(_repository, found.repositories)),
    )


def get_repository(call: Call) -> shapes.RepositoryDetail:
    """One repository and its images."""
    found = repositories.get_repository(call.plane, call.actor, repository=call.query.name)
    return shapes.RepositoryDetail(repository=_repository(found.use), images=tuple(map(_image, found.images)))


def delete(call: Call) -> Outcome:
    """Delete a tag or an image."""
    body: shapes.RegistryDelete = call.body
    said = repositories.delete(call.plane, call.actor, repository=body.repository, reference=body.reference, reason=body.reason)
    return Outcome(said=said)


def sweep(call: Call) -> shapes.RegistrySwept:
    """Sweep now, or say what would go."""
    body: shapes.RegistrySweep = call.body
    found = repositories.sweep_by_hand(call.plane, call.actor, look_only=body.dry_run, reason=body.reason)
    return shapes.RegistrySwept(
        dry_run=body.dry_run,
        uploads=found.uploads,
        blobs=found.blobs,
        bytes=found.bytes,
        manifests=tuple(shapes.SweptManifest(repository=repository, digest=digest) for repository, digest in found.manifests),
    )


def _repository(use: RepositoryUse) -> shapes.Repository:
    return shapes.Repository(name=use.name, app=use.app, tags=use.tags, manifests=use.manifests, bytes=use.bytes, alone_bytes=use.alone_bytes)


def _image(found: ImageView) -> shapes.RegistryImage:
    return shapes.RegistryImage(
        digest=found.digest,
        media_type=found.media_type,
        kind=found.kind,
        tags=tuple(shapes.Tag(tag=one.tag, since_ms=one.since_ms) for one in found.tags),
        platforms=found.platforms,
        bytes=found.bytes,
        attached=tuple(shapes.Attached(digest=one.digest, kind=one.kind) for one in found.attached),
        pins=tuple(shapes.Pin(app=one.app, version=one.version) for one in found.pins),
        other_pins=found.other_pins,
    )
