"""Content of other registries taken into ours: a blob through the registry's own rules, and after an image what is attached to it.

Owns the asking for attached documents and that it is best effort: an image is here and may be released whether or not they came. What counts as attached and
how much of it is taken is `core.attached`'s; images themselves are `mirrors`'.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from penstock.server.actions.context import Plane
from penstock.server.core.attached import Tally, fallback_tag, listed, loses, size_of, subjects, tags_about, unfit
from penstock.server.core.images import is_image
from penstock.server.core.mirrors import Mirror
from penstock.server.core.oci import Descriptor, Manifest, NoSpace, OciError, read_manifest
from penstock.server.effects.upstream import BROKEN, GONE, Access, Attached, Fetched, UpstreamFault
from penstock.wire.types import sha256_of

PIECE = 1024 * 1024


def take_in(plane: Plane, repository: str, one: Descriptor, fetched: Fetched) -> int:
    """Put one blob into the registry, through its own rules; its size. Raises UpstreamFault, OciError."""
    content = plane.blobs
    if content.blob_size(one.digest, repository) == one.size:
        return one.size
    upload = content.begin(repository)
    try:
        with fetched.open(one.digest) as file:
            at = 0
            for piece in _pieces(file, one):
                at = content.append(repository, upload, piece, at)
        content.finish(repository, upload, one.digest)
    except BaseException:
        with suppress(OciError):  # it may be gone already, with what was wrong about it
            content.abort(repository, upload)
        raise
    return one.size


def _pieces(file: BinaryIO, one: Descriptor) -> Iterator[bytes]:
    size = 0
    while piece := file.read(PIECE):
        size += len(piece)
        if size > one.size:
            raise OciError(f"{one.digest} has more than the {one.size} bytes that its manifest says")
        yield piece


def bring_along(plane: Plane, mirror: Mirror, access: Access) -> Mirror:
    """The mirror after what is attached to its image there was copied too, as far as it could be. Waits for another registry; raises nothing of it."""
    assert plane.upstream is not None
    stored = plane.blobs.manifest(mirror.repository, mirror.digest)
    if stored is None:
        return mirror
    children = tuple(child for child in read_manifest(stored.raw, stored.media_type).children if is_image(child))
    whole = not children or mirror.digest == mirror.upstream
    tally = Tally()
    try:
        with plane.upstream.attached(mirror.source, access) as asked:
            for subject in subjects(mirror.digest, children, whole=whole):
                _of_subject(plane, mirror.repository, asked, subject, tally)
    except (UpstreamFault, OciError) as fault:
        # It cannot be told what there is: what came before stays counted.
        return replace(mirror, attached=max(mirror.attached, tally.manifests), attached_why=f"what is attached to it there could not be copied: {fault.why}")
    return replace(mirror, attached=tally.manifests, attached_why=tally.why)


def _of_subject(plane: Plane, repository: str, asked: Attached, subject: str, tally: Tally) -> None:
    pages = asked.referrers(subject)
    if pages is None:
        fallback = asked.manifest(fallback_tag(subject))
        pages = () if fallback is None else (fallback,)
    for digest in dict.fromkeys(digest for page in pages for digest in listed(read_manifest(page), subject)):
        _one(plane, repository, asked, digest, "", subject, tally)
    for tag in tags_about(subject):
        _one(plane, repository, asked, tag, tag, subject, tally)


def _one(plane: Plane, repository: str, asked: Attached, reference: str, tag: str, subject: str, tally: Tally) -> None:
    """Copy one attached manifest with its content. What is wrong with it alone is counted; what ends the asking is raised."""
    held = plane.blobs.manifest(repository, reference)
    if held is not None and not tag:
        tally.came(0)
        return
    raw = asked.manifest(reference)
    if raw is None:
        if not tag:
            tally.whys.append(f"{_called(reference)} stands in its list and cannot be had")
        return
    if held is not None and held.digest == sha256_of(raw):
        tally.came(0)
        return
    try:
        manifest = read_manifest(raw)
        why = _refused(manifest, raw, reference, tag, subject) or tally.room(size_of(manifest))
        if not why and held is not None and loses(read_manifest(held.raw, held.media_type), manifest):
            why = "what is here under that tag has more in it than what is there, and stays"
        if not why:
            for one in manifest.content:
                take_in(plane, repository, one, asked)
            plane.blobs.put_manifest(repository, raw, manifest, tag)
            tally.came(size_of(manifest))
            return
    except NoSpace:
        raise
    except OciError as fault:
        why = fault.why
    except UpstreamFault as fault:
        if fault.kind not in (BROKEN, GONE):
            raise
        why = fault.why
    tally.whys.append(f"{_called(reference)}: {why}")


def _called(reference: str) -> str:
    """A digest, or a tag that names one, as short as people read it."""
    return reference[7:19] + reference[71:]


def _refused(manifest: Manifest, raw: bytes, reference: str, tag: str, subject: str) -> str:
    if not tag and sha256_of(raw) != reference:
        return f"it came as {sha256_of(raw)}"
    return unfit(manifest, subject, by_tag=bool(tag))
