"""Copies of other registries' images: made when a release needs them, looked at again, never followed.

Owns the order of things: what is asked for is stored and made by one loop, one image at a time; an image's name here is set last, so that a failed copy
leaves none; what is attached to it comes after it. What is copied of an image and what a look means is `core.mirrors`', asking a registry `effects.upstream`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from penstock.server.actions import visible
from penstock.server.actions.context import Plane, note, tell
from penstock.server.actions.images import pins, registry_hosts
from penstock.server.actions.takingin import bring_along, take_in
from penstock.server.actions.upstreams import OFF, access_of
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.images import Documents, Wanted, app_of
from penstock.server.core.mirrors import (
    COPYING,
    DONE,
    FAILED,
    WAITING,
    Look,
    Mirror,
    at_digest,
    choose,
    due,
    host_of,
    looked,
    news,
    platform_fault,
    source_of,
)
from penstock.server.core.model import SYSTEM, Actor
from penstock.server.core.oci import Descriptor, Manifest, NoSpace, OciError, read_manifest
from penstock.server.core.rights import Allow, Target, may, reach
from penstock.server.effects.upstream import GONE, REFUSED, Access, UpstreamFault
from penstock.server.store import mirrors as store
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

SPARE = 256 * 1024**2  # bytes that stay free beside a copy
AGAIN_S = 2
LOCAL = "it is an image of this registry"


@dataclass(frozen=True, slots=True)
class View:
    """A mirror, how far its copy is (bytes; `total` 0: not known yet), and the releases that pin what it holds."""

    mirror: Mirror
    done: int
    total: int
    releases: tuple[str, ...]


# --- for publishing -----------------------------------------------------------------------------------------------------


def refusal(plane: Plane, tx: Tx, actor: Actor, place: Wanted) -> str:
    """Why an image that is not here is not copied for this actor; empty where it would be. A name without a registry may be one of this plane's own that
    nobody has pushed yet: it is looked for elsewhere only where nothing of the first part of its name was pushed here."""
    host = host_of(source_of(place, registry_hosts(plane)))
    if not place.source and (not host or plane.upstream is None or store.upstream(tx, host) is None or _own(plane, tx, place)):
        return LOCAL
    if plane.upstream is None:
        return OFF
    if store.upstream(tx, host) is None:
        return f"{host} is not among the registries that images are copied from (penstock upstream set {host})"
    if not isinstance(may(actor.rights, "images.push", Target(app=app_of(place.repository))), Allow):
        return f"you may not have it copied: this needs images.push on {app_of(place.repository)} or on the whole fleet"
    return ""


def _own(plane: Plane, tx: Tx, place: Wanted) -> bool:
    copied = {one.repository for one in store.all_of(tx)}
    return any(app_of(one) == app_of(place.repository) and one not in copied for one in plane.blobs.repositories())


def would_copy(plane: Plane, actor: Actor, places: Iterable[Wanted], found: Mapping[str, Documents | None]) -> frozenset[str]:
    """The names of those images that publishing would copy."""
    lacking = [place for place in places if found.get(place.name) is None]
    if not lacking:
        return frozenset()
    return plane.db.view(lambda tx: frozenset(place.name for place in lacking if not refusal(plane, tx, actor, place)))


def bring(
    plane: Plane, actor: Actor, places: Iterable[Wanted], found: Mapping[str, Documents | None], *, platforms: tuple[str, ...] = (), fresh: bool = True
) -> dict[str, str]:
    """Have copied what is not here, and (where `fresh`) what is known to have moved. Per name why an image will not come; raises Conflict
    "images-on-their-way" while copies are made: asking again goes on from there. Raises Invalid."""
    for wrong in filter(None, map(platform_fault, platforms)):
        raise Invalid("platform-malformed", wrong, field="platforms")
    asked = list(places)
    hosts = registry_hosts(plane)
    now = plane.clock.now_ms()

    def work(tx: Tx) -> tuple[dict[str, str], list[Mirror]]:
        whys: dict[str, str] = {}
        ways: list[Mirror] = []
        failed: list[Mirror] = []
        for place in asked:
            kept = store.at(tx, place.repository, place.reference)
            if found.get(place.name) is not None and not _stale(kept, platforms, fresh=fresh):
                continue
            why = refusal(plane, tx, actor, place)
            if why:
                if found.get(place.name) is None and why is not LOCAL:
                    whys[place.name] = why
            elif kept is not None and kept.state in (WAITING, COPYING):
                ways.append(kept)
            elif kept is not None and kept.state == FAILED and not kept.told:
                whys[place.name] = kept.why
                failed.append(kept)
            else:
                ways.append(_asked(plane, actor, place, source_of(place, hosts), platforms, kept, now))
        for mirror in ways:
            store.put(tx, mirror)
        if ways:
            tell(plane, tx, [("mirrors", app) for app in sorted({app_of(mirror.repository) for mirror in ways})])
        else:
            for mirror in failed:
                store.stand(tx, mirror.id, told=True)
        return whys, ways

    whys, ways = plane.db.update(work)
    if ways:
        plane.poke("copies")
        raise Conflict(
            "images-on-their-way",
            f"{len(ways)} of its images are being copied here",
            remedy="ask again in a few seconds; the copies go on by themselves",
            retry_s=AGAIN_S,
            faults=tuple(OnTheWay(mirror.source, _how_far(plane, mirror)) for mirror in ways),
        )
    return whys


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """One image of an unfinished publishing, as a fault says it."""

    path: str
    why: str


def _how_far(plane: Plane, mirror: Mirror) -> str:
    if mirror.id not in plane.copying:
        return "waits for its turn"
    done, total = plane.copying[mirror.id]
    return f"{done} of {total} bytes" if total else "its manifests are read"


def _stale(kept: Mirror | None, platforms: tuple[str, ...], *, fresh: bool) -> bool:
    """Whether what is here is to be copied anew all the same: its tag has moved, or platforms are asked for that were left out."""
    if kept is None or kept.state in (WAITING, COPYING):
        return kept is not None
    narrow = bool(kept.platforms) and bool(platforms) and not set(platforms) <= set(kept.platforms)
    return narrow or (fresh and kept.moved_ms > 0)


def _asked(plane: Plane, actor: Actor, place: Wanted, source: str, platforms: tuple[str, ...], kept: Mirror | None, now: int) -> Mirror:
    if kept is None:
        key = plane.ids.new("mir")
        return Mirror(key, source, place.repository, place.reference, platforms, WAITING, "", False, "", "", 0, now, actor.name, 0, 0, "", 0, 0, 0, "", 0, "")
    both = tuple(sorted({*kept.platforms, *platforms})) if kept.platforms and platforms else kept.platforms if kept.state == DONE else platforms
    return replace(kept, state=WAITING, why="", told=False, platforms=both, asked_ms=now, asked_by=actor.name)


# --- copying ------------------------------------------------------------------------------------------------------------


def copy_next(plane: Plane) -> bool:
    """Make the copy that waits longest, from end to end; whether there was one."""
    if plane.upstream is None:
        return False

    def take(tx: Tx) -> Mirror | None:
        found = store.next_waiting(tx)
        if found is not None:
            store.stand(tx, found.id, state=COPYING)
        return found

    mirror = plane.db.update(take)
    if mirror is None:
        return False
    plane.copying[mirror.id] = (0, 0)
    try:
        after = _copied(plane, mirror)
    except UpstreamFault as fault:
        after = replace(mirror, state=FAILED, why=fault.why)
    except OciError as fault:
        after = replace(mirror, state=FAILED, why=fault.why)
    finally:
        del plane.copying[mirror.id]

    def settle(tx: Tx) -> None:
        store.put(tx, after)
        verb, outcome = ("mirror.copied", "done") if after.state == DONE else ("mirror.failed", "failed")
        data = {"source": after.source, "digest": after.digest, "asked_by": after.asked_by}
        note(plane, tx, SYSTEM, verb, after.id, outcome=outcome, reason=after.why, data=data, topics=[("mirrors", app_of(mirror.repository))])

    plane.db.update(settle)
    if after.state == DONE:
        _along(plane, after)
    return True


def _still(tx: Tx, mirror: Mirror) -> Mirror | None:
    """The mirror as it stands now; None where it was removed or copied anew meanwhile."""
    found = store.find(tx, mirror.id)
    return None if found is None or found.state != DONE or found.copied_ms != mirror.copied_ms else found


def _along(plane: Plane, mirror: Mirror) -> None:
    """Copy what is attached to an image that is here; what came, and why not all of it, is kept and told."""
    try:
        after = bring_along(plane, mirror, _access(plane, mirror.source))
    except UpstreamFault as fault:
        after = replace(mirror, attached_why=fault.why)

    def work(tx: Tx) -> None:
        before = _still(tx, mirror)
        if before is None:
            return
        if (before.attached, before.attached_why) == (after.attached, after.attached_why):
            return
        store.stand(tx, mirror.id, attached=after.attached, attached_why=after.attached_why)
        topics = [("mirrors", app_of(mirror.repository))]
        if after.attached > before.attached:
            data = {"source": mirror.source, "digest": mirror.digest, "attached": str(after.attached)}
            note(plane, tx, SYSTEM, "mirror.attached", mirror.id, reason=after.attached_why, data=data, topics=topics)
        else:
            tell(plane, tx, topics)

    plane.db.update(work)


def _access(plane: Plane, source: str) -> Access:
    host = host_of(source)
    found = plane.db.view(lambda tx: store.upstream(tx, host))
    if found is None:
        raise UpstreamFault(REFUSED, f"{host} is no longer among the registries that images are copied from")
    return access_of(plane, found)


@dataclass(frozen=True, slots=True)
class _Part:
    """One manifest to copy, and what of its content is not here yet."""

    descriptor: Descriptor
    raw: bytes
    manifest: Manifest
    lacking: tuple[Descriptor, ...]


def _copied(plane: Plane, mirror: Mirror) -> Mirror:
    """The mirror after its copy is made and named. Raises UpstreamFault, OciError."""
    assert plane.upstream is not None
    access = _access(plane, mirror.source)
    top = plane.upstream.raw(mirror.source, access)
    if not mirror.by_tag and sha256_of(top) != mirror.reference:
        raise OciError(f"{mirror.source} came as {sha256_of(top)}")
    choice = choose(top, mirror.platforms)
    parts = tuple(_part(plane, mirror, child, top if child.digest == choice.upstream else None, access) for child in choice.children)
    _room(plane, parts)
    total = sum({one.digest: one.size for part in parts for one in part.lacking}.values())
    plane.copying[mirror.id] = (0, total)
    done = 0
    for part in parts:
        if part.lacking:
            with plane.upstream.fetch(at_digest(mirror.source, part.descriptor.digest), access, _teller(plane, mirror.id, done, total)) as fetched:
                done += sum(take_in(plane, mirror.repository, one, fetched) for one in part.lacking)
            plane.copying[mirror.id] = (min(done, total), total)
        if choice.top or part.descriptor.digest != choice.digest:
            plane.blobs.put_manifest(mirror.repository, part.raw, part.manifest)
    named = choice.top or parts[0].raw
    plane.blobs.put_manifest(mirror.repository, named, read_manifest(named, choice.media_type), *((mirror.reference,) if mirror.by_tag else ()))
    size = sum({one.digest: one.size for part in parts for one in part.manifest.content}.values())
    return replace(
        mirror,
        state=DONE,
        why="",
        digest=choice.digest,
        upstream=choice.upstream,
        seen=choice.upstream,
        bytes=size,
        copied_ms=plane.clock.now_ms(),
        checked_ms=plane.clock.now_ms(),
        moved_ms=0,
        gone_ms=0,
        unreachable_ms=0,
        unreachable_why="",
        attached=0,
        attached_why="",
    )


def _teller(plane: Plane, mirror: str, before: int, total: int) -> Callable[[int], None]:
    def told(size: int) -> None:
        plane.copying[mirror] = (min(before + size, total), total)

    return told


def _part(plane: Plane, mirror: Mirror, child: Descriptor, held: bytes | None, access: Access) -> _Part:
    assert plane.upstream is not None
    raw = held if held is not None else plane.upstream.raw(at_digest(mirror.source, child.digest), access)
    if sha256_of(raw) != child.digest:
        raise OciError(f"the manifest {child.digest} came as {sha256_of(raw)}")
    manifest = read_manifest(raw, child.media_type)
    content = manifest.content
    if any(one.foreign for one in content):
        raise OciError("a layer is kept in another place, where devices cannot fetch it")
    return _Part(child, raw, manifest, tuple(one for one in content if plane.blobs.blob_size(one.digest, mirror.repository) != one.size))


def _room(plane: Plane, parts: tuple[_Part, ...]) -> None:
    """Raise where the image is larger than is allowed, or than there is room for: it is held once more on its way, one platform at a time."""
    assert plane.upstream is not None
    total = sum({one.digest: one.size for part in parts for one in part.manifest.content}.values())
    if total > plane.limits.mirror_bytes:
        raise OciError(f"it has {total} bytes, more than the {plane.limits.mirror_bytes} allowed; name the platforms that are needed")
    coming = sum({one.digest: one.size for part in parts for one in part.lacking}.values())
    held = max((sum(one.size for one in part.manifest.content) for part in parts if part.lacking), default=0)
    free = plane.upstream.free_bytes()
    if coming and free < coming + held + SPARE:
        raise NoSpace(f"it needs {coming + held + SPARE} bytes of room here, and {free} are free; free space or name the platforms that are needed")


# --- looking again ------------------------------------------------------------------------------------------------------


def check_due(plane: Plane) -> int:
    """Look again at every mirror that is due; how many."""
    if plane.upstream is None:
        return 0
    now = plane.clock.now_ms()
    found = [one for one in plane.db.view(store.all_of) if due(one, now, plane.limits.mirror_check_s * 1000)]
    for one in found:
        _look(plane, one)
    return len(found)


def check(plane: Plane, actor: Actor, *, mirror: str = "") -> tuple[View, ...]:
    """Look at one mirror now, or at all that the actor may have copied; how they stand. Raises Missing, Invalid."""
    require(actor, "images.push")
    if plane.upstream is None:
        raise Conflict("mirror-off", OFF, remedy='set mirror = "allow-list" in its settings file')
    if mirror:
        found = [plane.db.view(lambda tx: _find(tx, actor, mirror, "images.push"))]
        if found[0].state != DONE:
            raise Conflict("mirror-not-made", f"there is no copy of {found[0].source} yet", remedy="publish a release that needs it")
    else:
        able = reach(actor.rights, "images.push")
        found = [one for one in plane.db.view(store.all_of) if one.state == DONE and able.covers(Target(app=app_of(one.repository)))]
    for one in found:
        _look(plane, one)
    ids = {one.id for one in found}
    return tuple(view for view in list_mirrors(plane, actor) if view.mirror.id in ids)


def _look(plane: Plane, mirror: Mirror) -> None:
    assert plane.upstream is not None
    try:
        seen = Look(digest=sha256_of(plane.upstream.raw(mirror.source, _access(plane, mirror.source))))
    except UpstreamFault as fault:
        seen = Look(gone=True) if fault.kind == GONE else Look(why=fault.why)

    def work(tx: Tx) -> None:
        before = _still(tx, mirror)
        if before is None:
            return
        after = looked(before, seen, plane.clock.now_ms())
        store.put(tx, after)
        verb, why = news(before, after)
        topics = [("mirrors", app_of(after.repository))]
        if verb:
            named = ", ".join(f"{pin.app} {pin.version}" for pin in pins(plane, tx).get(after.digest, ()))
            data = {"source": after.source, "copied": after.upstream, "seen": after.seen, "releases": named}
            note(plane, tx, SYSTEM, verb, after.id, reason=why, data=data, topics=topics)
        else:
            tell(plane, tx, topics)

    plane.db.update(work)
    if not seen.why:
        _along(plane, mirror)


# --- reading ------------------------------------------------------------------------------------------------------------


def list_mirrors(plane: Plane, actor: Actor) -> tuple[View, ...]:
    """Copies of images that the actor may pull, by source; of releases only those it may see are named."""
    able = require(actor, "images.pull")

    def work(tx: Tx) -> tuple[View, ...]:
        seen = visible.apps_seen(tx, actor) if reach(actor.rights, "apps.read") else frozenset()
        held = pins(plane, tx)
        return tuple(
            View(
                one,
                *plane.copying.get(one.id, (0, 0)),
                tuple(f"{pin.app} {pin.version}" for pin in held.get(one.digest, ()) if seen is None or pin.app in seen),
            )
            for one in store.all_of(tx)
            if able.covers(Target(app=app_of(one.repository)))
        )

    return plane.db.view(work)


def _find(tx: Tx, actor: Actor, mirror: str, verb: str) -> Mirror:
    found = store.find(tx, mirror)
    if found is None or not require(actor, "images.pull").covers(Target(app=app_of(found.repository))):
        raise missing("mirror", mirror)
    permit(actor, verb, Target(app=app_of(found.repository)))
    return found


def forget(plane: Plane, actor: Actor, *, mirror: str) -> Mirror:
    """It is no longer looked at, or not copied after all; what is here stays while something needs it. Raises Missing, Conflict."""

    def work(tx: Tx) -> Mirror:
        found = _find(tx, actor, mirror, "images.push")
        if found.state == COPYING:
            raise Conflict("copy-under-way", f"{found.source} is being copied right now", remedy="try again when that has ended")
        store.remove(tx, found.id)
        note(plane, tx, actor, "mirror.forgotten", found.id, data={"source": found.source}, topics=[("mirrors", app_of(found.repository))])
        return found

    return plane.db.update(work)
