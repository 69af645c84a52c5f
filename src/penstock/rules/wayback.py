"""Back to what, and is it still possible?

Owns the table of going back (design section 6a): which release a revert returns to, and the proof that its bytes are there. Fetching, waiting
and refusing follow elsewhere.
"""

from __future__ import annotations

from penstock.rules.look import Look
from penstock.rules.memory import AppMemory
from penstock.rules.observed import ObservedImage
from penstock.rules.variants import variants_of
from penstock.wire.log import WayBack
from penstock.wire.record import record
from penstock.wire.types import AppState, Blob, Variant

REMEDY = "order that release once more, and it comes back"  # where a description is lost


@record
class Missing:
    """What a release lacks to be started here without help: blobs neither the engine nor the agent's own store holds."""

    blobs: tuple[Blob, ...]
    why: str


def held_image(variant: Variant, look: Look) -> ObservedImage | None:
    """The variant as the engine holds it, or None."""
    for image in look.seen.images:
        if variant.manifest.digest == image.manifest or variant.config.digest == image.config:
            return image
    return None


def blobs_of(variant: Variant) -> tuple[Blob, ...]:
    """The bytes a variant is made of, the small ones that name the others first."""
    return (variant.manifest, variant.config, *variant.layers)


def lacking(state: AppState, look: Look) -> tuple[Blob, ...]:
    """The blobs that have to be fetched before this release can start here, each once."""
    have = set(look.blobs)
    found: dict[str, Blob] = {}
    for variant in variants_of(state, look.platforms).values():
        if held_image(variant, look) is not None:
            continue
        for blob in blobs_of(variant):
            if blob.digest not in have:
                found.setdefault(blob.digest, blob)
    return tuple(found.values())


def own_copies_lacking(state: AppState, look: Look) -> tuple[Blob, ...]:
    """The blobs of this release that the agent's own store lacks, whatever the engine holds: what somebody's prune would take."""
    have = set(look.blobs)
    found: dict[str, Blob] = {}
    for variant in variants_of(state, look.platforms).values():
        for blob in blobs_of(variant):
            if blob.digest not in have:
                found.setdefault(blob.digest, blob)
    return tuple(found.values())


def back_of(memory: AppMemory, target: str) -> str:
    """The content a failing change to `target` returns to: the newest that soaked here and is not the target; empty when there is none."""
    for good in memory.good:
        if good.content != target:
            return good.content
    return ""


def earlier_of(memory: AppMemory) -> str:
    """Where a person's revert goes. While a change is under way: its way back. Otherwise the newest release that soaked before the one that
    runs; empty when there is none."""
    if memory.change is not None and memory.change.stage in ("applying", "claimed", "confirmed") and memory.change.kind in ("install", "update", "revert"):
        return memory.change.back
    contents = [good.content for good in memory.good]
    if memory.running in contents:
        contents = contents[contents.index(memory.running) + 1 :]
    return contents[0] if contents else ""


def proof(state: AppState | None, content: str, memory: AppMemory, look: Look) -> Missing | None:
    """Why this release could not be brought back just now; None when it could, with every cable cut."""
    if state is None:
        return Missing((), f"the description of release {content[:19]} is no longer on this device; {REMEDY}")
    blobs = lacking(state, look)
    if blobs:
        return Missing(blobs, f"{len(blobs)} of the image parts of version {state.version} are neither in the engine nor in the agent's own store")
    for copy in memory.snapshots:
        if copy.content == content and copy.name not in look.snapshots:
            return Missing((), f"the copy of volume {copy.volume} that belongs to version {state.version} is gone")
    return None


def way_back(memory: AppMemory, releases: dict[str, AppState], look: Look) -> WayBack:
    """What a local revert would bring back now, for people and for the log."""
    content = earlier_of(memory)
    if not content:
        if memory.change is not None and memory.change.kind == "install":
            return WayBack(ok=True, why="nothing ran here before; going back removes it")
        return WayBack(ok=False, why="no earlier release has soaked on this device")
    state = releases.get(content)
    missing = proof(state, content, memory, look)
    if missing is not None:
        return WayBack(ok=False, version=state.version if state else "", content=content, why=missing.why)
    assert state is not None
    return WayBack(ok=True, version=state.version, content=content)
