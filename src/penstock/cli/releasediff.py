"""What a release would change, in lines for a terminal.

Owns the words and the order. What changes is the control plane's to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.apiv1 import apps as a

MARKS = {"added": "+", "removed": "-", "changed": "~"}


def lines_of(found: a.ReleaseChange) -> Iterator[str]:
    """The difference, worst first: what restarts, what happens to data, then the rest."""
    where = f" (runs on {found.device})" if found.device else ""
    yield f"{found.a.app} {found.a.version}{where} -> {found.b.version}"
    if found.same and not found.files:
        yield "Nothing changes."
        return
    stopped = [one.name for one in found.services if one.restarts]
    touched = [one.name for one in found.volumes if one.touched]
    yield f"Restarts: {', '.join(stopped) or 'none'}. Volumes touched: {', '.join(touched) or 'none'}."
    for service in found.services:
        if service.kind != "same":
            yield f"{MARKS[service.kind]} service {service.name}: {service.why}"
            yield from _fields(service.changes if service.kind == "changed" else ())
    for volume in found.volumes:
        if volume.kind != "same" or volume.touched:
            yield f"{MARKS.get(volume.kind, '!')} volume {volume.name} ({volume.policy}): {volume.why}"
            yield from _fields(volume.changes if volume.kind == "changed" else ())
    for noun, parts in (("network", found.networks), ("parameter", found.parameters)):
        for part in parts:
            if part.kind != "same":
                yield f"{MARKS[part.kind]} {noun} {part.name}"
                yield from _fields(part.changes)
    yield from (f"~ {one.field}: {one.before} -> {one.after}" for one in found.settings)
    for image in found.images:
        if image.kind != "same":
            yield f"{MARKS[image.kind]} image of {image.service}: {_image(image.before, image.before_digest)} -> {_image(image.after, image.after_digest)}"
    for platform, size in found.fetched.items():
        yield f"  to fetch on {platform}: {size} bytes"
    yield from (f"{MARKS[one.kind]} file {one.path}" for one in found.files)


def _image(name: str, digest: str) -> str:
    return f"{name.partition('@')[0]} {digest[7:19]}" if name else "none"


def _fields(changes: tuple[a.FieldChange, ...]) -> Iterator[str]:
    for one in changes:
        if one.field == "image":
            continue  # stands below, by digest
        yield f"    {one.field}: {one.before or '(not set)'} -> {one.after or '(not set)'}"
