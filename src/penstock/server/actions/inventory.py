"""What is attached to a release's images, and the index of packages that is made of it.

Owns the finding of attached documents (manifests whose subject is an image, or whose tag names it; BuildKit's attestations inside an index) and when they are
read. What a document says is `core.sbom`'s. The registry is the truth: what is attached no more is taken out of the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from penstock.server.actions import visible
from penstock.server.actions.context import Plane
from penstock.server.actions.images import registry_hosts
from penstock.server.core.attached import tags_about
from penstock.server.core.images import is_image, wanted
from penstock.server.core.mirrors import ATTESTED
from penstock.server.core.model import Actor
from penstock.server.core.oci import INDEXES, Content, Manifest, OciError, Stored, read_manifest
from penstock.server.core.release import Release, load
from penstock.server.core.sbom import ATTESTATION, CYCLONEDX, MOST_BYTES, READ, SPDX, NoSbom, SbomError, kind_of, read
from penstock.server.store import inventory as store
from penstock.server.store import releases
from penstock.wire.types import Image

PIECE = 1024 * 1024
MOST_ATTACHED = 200  # of one image that are shown and read


@dataclass(frozen=True, slots=True)
class Attachment:
    """One document attached to an image: `document` is its digest, `manifest` the one it came in, `subject` the manifest or index it is about. `packages`
    and `why`: what reading it gave, -1 where it lists none by its nature or was not read yet."""

    document: str
    manifest: str
    subject: str
    platform: str
    kind: str
    media_type: str
    bytes: int
    repository: str
    packages: int = -1
    why: str = ""


@dataclass(frozen=True, slots=True)
class ImageAttachments:
    """An image of a release, and what is attached to it."""

    image: str
    attached: tuple[Attachment, ...]


def attached_to(content: Content, repository: str, image: Image) -> tuple[Attachment, ...]:
    """Everything attached to an image, in the order of its platforms. Waits for a disk."""
    subjects = [(variant.manifest.digest, variant.platform) for variant in image.variants]
    if image.index:
        subjects.append((image.index, ""))
    found: dict[tuple[str, str], Attachment] = {}
    for subject, platform in subjects:
        for stored, manifest in _about(content, repository, subject):
            for one in _documents(stored.digest, manifest, subject, platform, repository):
                found.setdefault((one.document, one.subject), one)
    platforms = dict(subjects)
    for digest, subject, inner in _attestations(content, repository, image.index):
        for one in _documents(digest, inner, subject, platforms.get(subject, ""), repository):
            found.setdefault((one.document, one.subject), one)
    return tuple(found.values())[:MOST_ATTACHED]


def _about(content: Content, repository: str, subject: str) -> Iterator[tuple[Stored, Manifest]]:
    """What names a manifest as its subject, and what clients have put under a tag that names it."""
    for referrer in content.referrers(repository, subject):
        yield referrer.stored, referrer.manifest
    for tag in tags_about(subject):
        stored = content.manifest(repository, tag)
        if stored is not None:
            yield stored, read_manifest(stored.raw, stored.media_type)


def _attestations(content: Content, repository: str, index: str) -> Iterator[tuple[str, str, Manifest]]:
    top = content.manifest(repository, index) if index else None
    if top is None or top.media_type not in INDEXES:
        return
    for child in read_manifest(top.raw, top.media_type).children:
        subject = child.annotations.get(ATTESTED, "")
        stored = content.manifest(repository, child.digest) if subject and not is_image(child) else None
        if stored is not None:
            yield child.digest, subject, read_manifest(stored.raw, stored.media_type)


def _documents(digest: str, manifest: Manifest, subject: str, platform: str, repository: str) -> Iterator[Attachment]:
    for layer in manifest.layers:
        alone = Manifest(manifest.media_type, layers=(layer,), artifact_type=manifest.artifact_type if len(manifest.layers) == 1 else "")
        yield Attachment(layer.digest, digest, subject, platform, kind_of(alone), layer.media_type, layer.size, repository)


# --- the index --------------------------------------------------------------------------------------------------------------


def index(plane: Plane) -> int:
    """Read what was attached to releases' images since the last time, and forget what is attached no more; how many documents were read."""
    hosts = registry_hosts(plane)
    rows = plane.db.view(releases.of_app)
    there: dict[tuple[str, str], Attachment] = {}
    for row in rows:
        for _, one in _of_release(plane, load(row.document), hosts):
            if _readable(one):
                there.setdefault((one.document, one.subject), one)
    known = plane.db.view(store.attached_all)
    gone = [key for key in known if key not in there]
    if gone:
        plane.db.update(lambda tx: store.forget_documents(tx, gone))
    fresh = [one for key, one in there.items() if key not in known]
    for one in fresh:
        _read_in(plane, one)
    return len(fresh)


def _of_release(plane: Plane, release: Release, hosts: tuple[str, ...]) -> Iterator[tuple[Image, Attachment]]:
    for image in release.every_image:
        try:
            repository = wanted(image.name, hosts).repository
        except OciError:
            continue
        for one in attached_to(plane.blobs, repository, image):
            yield image, one


def _readable(one: Attachment) -> bool:
    return one.kind in (SPDX, CYCLONEDX) or (one.kind == ATTESTATION and one.media_type in READ)


def _read_in(plane: Plane, one: Attachment) -> None:
    try:
        found = read(b"".join(_pieces(plane.blobs, one)))
        kept = store.Attached(one.document, one.subject, one.repository, found.format, len(found.packages), "", plane.clock.now_ms())
        listed = found.packages
    except NoSbom:
        kept, listed = store.Attached(one.document, one.subject, one.repository, "", -1, "", plane.clock.now_ms()), ()
    except (SbomError, OciError) as fault:
        kept, listed = store.Attached(one.document, one.subject, one.repository, "", 0, str(fault), plane.clock.now_ms()), ()
    plane.db.update(lambda tx: store.put_document(tx, kept, listed))


def _pieces(content: Content, one: Attachment) -> Iterator[bytes]:
    if one.bytes > MOST_BYTES:
        raise SbomError(f"it has {one.bytes} bytes, more than the {MOST_BYTES} allowed")
    at = 0
    while at < one.bytes:
        piece = content.read(one.document, at, min(PIECE, one.bytes - at))
        if not piece:
            raise SbomError(f"it ends after {at} of {one.bytes} bytes")
        at += len(piece)
        yield piece


# --- showing ----------------------------------------------------------------------------------------------------------------


def attachments(plane: Plane, actor: Actor, *, release: str) -> tuple[ImageAttachments, ...]:
    """What is attached to the images of a release. Raises Missing."""
    row, known = plane.db.view(lambda tx: (visible.release(tx, actor, release), store.attached_all(tx)))
    loaded = load(row.document)
    by_image: dict[str, list[Attachment]] = {image.name: [] for image in loaded.every_image}
    for image, one in _of_release(plane, loaded, registry_hosts(plane)):
        kept = known.get((one.document, one.subject))
        by_image[image.name].append(one if kept is None else replace(one, packages=kept.packages, why=kept.why))
    return tuple(ImageAttachments(name, tuple(found)) for name, found in by_image.items())
