"""Commands about the image registry: what is in it, what it costs, deleting, sweeping. Pushing and pulling is done with docker, podman, skopeo and their kin."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from penstock.apiv1 import registry as i
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Reason, Usage
from penstock.cli.names import RepositoryName

registry = App(name="registry", help="The built-in image registry: what is in it, what it costs, sweeping.")


@registry.command(name="list")
def registry_list(*, common: Common = COMMON) -> int:
    """Every repository."""
    with common.client() as client:
        found = client.registry().repositories
    return out.listing(
        found,
        ("repository", "app", "tags", "manifests", "size"),
        ((one.name, one.app, one.tags, one.manifests, out.size(one.bytes)) for one in found),
        "None yet: docker push HOST/APP/IMAGE:TAG",
        json=common.json,
    )


@registry.command(name="usage")
def registry_usage(*, common: Common = COMMON) -> int:
    """What each app's images cost; content they share is counted once."""
    with common.client() as client:
        found = client.registry()
    if common.json:
        out.show_json(found)
        return out.DONE
    out.table(("app", "repositories", "size"), ((one.app, one.repositories, out.size(one.bytes)) for one in found.apps), "Nothing is in it yet.")
    out.say(f"{out.size(found.bytes)} in all")
    return out.DONE


@registry.command(name="show")
def registry_show(repository: RepositoryName, *, common: Common = COMMON) -> int:
    """One repository: its images, their tags and platforms, and the releases that need them."""
    with common.client() as client:
        found = client.repository(repository)
    if common.json:
        out.show_json(found)
        return out.DONE
    use = found.repository
    out.facts((("repository", use.name), ("app", use.app), ("size", f"{out.size(use.bytes)}, of it alone {out.size(use.alone_bytes)}")))
    out.table(
        ("tags", "digest", "what", "platforms", "size", "tagged", "needed by", "attached"),
        (
            (
                ", ".join(tag.tag for tag in one.tags) or "-",
                one.digest[7:19],
                one.kind,
                ", ".join(one.platforms) or "-",
                out.size(one.bytes),
                out.ago(max(tag.since_ms for tag in one.tags)) if one.tags else "-",
                ", ".join([*(f"{pin.app} {pin.version}" for pin in one.pins), *([f"{one.other_pins} more"] if one.other_pins else [])]) or "-",
                len(one.attached),
            )
            for one in found.images
        ),
        "No image is in it.",
    )
    return out.DONE


@registry.command(name="delete")
def registry_delete(
    image: Annotated[str, Parameter(help="REPOSITORY:TAG, or REPOSITORY@sha256:... for an image with all its tags.")],
    *,
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Delete a tag, or an image that no release needs."""
    repository, at, digest = image.partition("@")
    reference = digest
    if not at:
        repository, _, reference = image.rpartition(":")
    if not repository or not reference:
        raise Usage(f"{image!r} names no tag and no digest: write REPOSITORY:TAG or REPOSITORY@sha256:...")
    with common.client() as client:
        return out.outcome(client.delete_image(i.RegistryDelete(repository=repository, reference=reference, reason=reason)), json=common.json)


@registry.command(name="gc")
def registry_gc(
    *,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only say what would go.")] = False,
    reason: Reason = "",
    common: Common = COMMON,
) -> int:
    """Sweep: what nothing names any more goes; what a release needs, and what was just pushed, stays."""
    with common.client() as client:
        found = client.sweep_registry(i.RegistrySweep(dry_run=dry_run, reason=reason))
    if common.json:
        out.show_json(found)
        return out.DONE
    if found.manifests:
        out.table(("repository", "digest"), ((one.repository, one.digest) for one in found.manifests), "")
    would = "would go" if dry_run else "went"
    out.say(
        f"{out.size(found.bytes)} {would}: {out.number(len(found.manifests), 'manifest')}, {out.number(found.blobs, 'blob')}, "
        f"{out.number(found.uploads, 'upload')} given up"
    )
    return out.DONE
