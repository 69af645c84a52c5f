"""The image registry as people look at it: repositories and images, what they cost, deleting a tag or an image, sweeping by hand.

Owns who sees which repository: whoever may pull from the app its name begins with. What a sweep takes is `core.sweeping`'s rule; pushing and pulling is the
registry's own address.
"""

from __future__ import annotations

from penstock.server.actions import images
from penstock.server.actions.context import Plane, note
from penstock.server.core.access import permit, require
from penstock.server.core.attached import named_by
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.images import app_of, is_image
from penstock.server.core.model import Actor
from penstock.server.core.oci import (
    CONFIGS,
    TAG,
    Collected,
    Content,
    Manifest,
    NotThere,
    OciError,
    config_platform,
    name_fault,
    read_manifest,
)
from penstock.server.core.registryviews import ImageView, RepositoryUse, RepositoryView, Usage, attachments, kind_of, reached, tops, usage
from penstock.server.core.rights import Reach, Target
from penstock.server.core.rights import reach as reach_of
from penstock.wire.types import digest_fault

MAX_CONFIG = 1024 * 1024  # bytes of a config that is looked into for its platform


def _content(plane: Plane) -> Content:
    found: Content = plane.blobs
    return found


def _sees(within: Reach, repository: str) -> bool:
    return within.covers(Target(app=app_of(repository)))


def list_usage(plane: Plane, actor: Actor) -> Usage:
    """Every repository the actor may pull from, and what each and each app costs. Waits for a disk."""
    within, content = require(actor, "images.pull"), _content(plane)
    seen = [name for name in content.repositories() if _sees(within, name)]
    counts = {name: (len(content.tagged(name)), len(content.manifests(name))) for name in seen}
    return usage({name: content.sizes(name) for name in seen}, counts, {name: app_of(name) for name in seen})


def _find(plane: Plane, actor: Actor, repository: str) -> str:
    within = require(actor, "images.pull")
    if name_fault(repository) is not None or not _sees(within, repository) or repository not in _content(plane).repositories():
        raise missing("repository", repository[:200])
    return repository


def get_repository(plane: Plane, actor: Actor, *, repository: str) -> RepositoryView:
    """One repository with its images. Waits for a disk. Raises Missing."""
    name, content = _find(plane, actor, repository), _content(plane)
    tags, sizes = content.tagged(name), content.sizes(name)
    manifests = {digest: read_manifest(found.raw, found.media_type) for digest in content.manifests(name) if (found := content.manifest(name, digest))}
    pins, seen = plane.db.view(lambda tx: images.pins(plane, tx)), reach_of(actor.rights, "releases.read")
    attached, about = attachments(manifests, tags), named_by((one.tag for one in tags), frozenset(manifests))
    shown = []
    for digest in tops(manifests, tags):
        manifest, parts = manifests[digest], reached(digest, manifests)
        needed = sorted({pin for part in parts if part in manifests for pin in pins.get(part, ())}, key=lambda pin: (pin.app, pin.version))
        mine = tuple(pin for pin in needed if seen.covers(Target(app=pin.app)))
        shown.append(
            ImageView(
                digest,
                manifest.media_type,
                kind_of(manifest),
                tuple(one for one in tags if one.digest == digest and one.tag not in about),
                _platforms(content, manifest),
                sum(sizes.get(part, 0) for part in parts),
                tuple(sorted((found for part in parts for found in attached.get(part, ())), key=lambda found: found.digest)),
                mine,
                len(needed) - len(mine),
            )
        )
    shown.sort(key=lambda one: (-max((tag.since_ms for tag in one.tags), default=0), one.digest))
    whole = list_usage(plane, actor)
    use = next((one for one in whole.repositories if one.name == name), RepositoryUse(name, app_of(name), 0, 0, 0, 0))
    return RepositoryView(use, tuple(shown))


def _platforms(content: Content, manifest: Manifest) -> tuple[str, ...]:
    """What it runs on, as far as it says so."""
    if manifest.children:
        return tuple(dict.fromkeys(child.platform for child in manifest.children if child.platform and is_image(child)))
    config = manifest.config
    if config is None or config.media_type not in CONFIGS or config.size > MAX_CONFIG:
        return ()
    try:
        return (config_platform(content.read(config.digest, 0, config.size)),)
    except OciError:
        return ()


def delete(plane: Plane, actor: Actor, *, repository: str, reference: str, reason: str = "") -> str:
    """Delete a tag, or by digest an image with all its tags; what was done, as a sentence. Raises Missing, Forbidden, Conflict for what a release needs, Invalid."""
    name, content = _find(plane, actor, repository), _content(plane)
    permit(actor, "images.push", Target(app=app_of(name)))
    by_digest = digest_fault(reference) is None
    if not by_digest and not TAG.match(reference):
        raise Invalid(
            "reference-malformed", f"{reference[:100]!r} is neither a tag nor a digest", field="reference", remedy="give a tag, or sha256: and 64 digits"
        )
    if by_digest and images.pinned(plane, reference):
        raise Conflict("image-pinned", "a release needs this image; what was published stays", field="reference", remedy="delete its tag instead")
    try:
        if by_digest:
            content.delete_manifest(name, reference)
        else:
            content.delete_tag(name, reference)
    except NotThere:
        raise missing("image" if by_digest else "tag", reference) from None
    record(plane, actor, "delete", name, reference, reason=reason)
    what = f"The image {reference[7:19]}" if by_digest else f"The tag {reference}"
    return f"{what} is deleted from {name}. What nothing needs any more goes with a later sweep."


def record(plane: Plane, actor: Actor, verb: str, repository: str, reference: str, digest: str = "", reason: str = "") -> None:
    """Onto the record: a manifest was pushed or deleted, here or by a client of the registry."""
    did = "image.pushed" if verb == "push" else "image.deleted"
    data = {"repository": repository, "reference": reference, **({"digest": digest} if digest else {})}
    plane.db.update(lambda tx: note(plane, tx, actor, did, repository, app=app_of(repository), reason=reason, data=data, topics=[("registry", repository)]))


def sweep_by_hand(plane: Plane, actor: Actor, *, look_only: bool, reason: str = "") -> Collected:
    """Sweep now, or say what would go. Raises Forbidden unless the actor may push to every repository."""
    permit(actor, "images.push", Target())
    found = images.collect(plane, look_only=look_only)
    if not look_only:
        data = {"uploads": str(found.uploads), "blobs": str(found.blobs), "bytes": str(found.bytes), "manifests": str(len(found.manifests))}
        plane.db.update(lambda tx: note(plane, tx, actor, "registry.swept", "registry", reason=reason, data=data, topics=[("registry", "")]))
    return found
