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
    yield f"{found.a.app} {found.a.version}{where} -> {found.b.version}{f', on {found.engine}' if found.engine else ''}"
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


def lines_of_parts(found: tuple[a.ReleasePart, ...], *, short: bool = False) -> Iterator[str]:
    """What devices of each engine get in place of what is common; `short`: only that there are parts, and what is not run."""
    for part in found:
        if part.note:
            yield f"Part for {part.engine}, {part.file}: {part.note}"
            continue
        yield f"Part for {part.engine}, {part.file}"
        if short:
            continue
        for noun, many in (("service", part.services), ("volume", part.volumes), ("network", part.networks), ("parameter", part.parameters)):
            for one in many:
                yield f"  {MARKS[one.kind]} {noun} {one.name}"
                yield from (f"    {line}" for line in _fields(one.changes if one.kind == "changed" else (), image=True))
        yield from (f"  ~ {one.field}: {one.before} -> {one.after}" for one in part.settings)


def _image(name: str, digest: str) -> str:
    return f"{name.partition('@')[0]} {digest[7:19]}" if name else "none"


def _fields(changes: tuple[a.FieldChange, ...], *, image: bool = False) -> Iterator[str]:
    for one in changes:
        if one.field == "image" and not image:
            continue  # stands below, by digest
        yield f"    {one.field}: {one.before or '(not set)'} -> {one.after or '(not set)'}"
