"""Which devices run something: a digest, a package, what a vulnerability affects. And the lists of vulnerabilities that are asked.

Owns the way from what is asked for to devices: documents name packages of images, releases pin images, devices say which release they run. Judging a
package is `core.vulnerabilities`'. Nobody learns of a device, or of a release, that they may not see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.server.actions import visible
from penstock.server.actions.catalog import release_of
from penstock.server.actions.context import Plane, note
from penstock.server.actions.remembering import remember
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Invalid, missing
from penstock.server.core.images import digests
from penstock.server.core.model import Actor, Device
from penstock.server.core.purl import Package
from penstock.server.core.release import Release
from penstock.server.core.rights import Target, reach
from penstock.server.core.vulnerabilities import (
    AFFECTED,
    CLEAR,
    UNKNOWN,
    Asked,
    ListError,
    Verdict,
    Vulnerability,
    judge,
    meets,
    read_asked,
    read_csv,
    read_osv,
)
from penstock.server.store import devices as device_store
from penstock.server.store import inventory as store
from penstock.server.store import releases
from penstock.server.store.db import Tx
from penstock.wire.types import Image, Variant, digest_fault

MOST_HITS = 5000
MOST_LIST = 2_000_000  # characters of one import
NOTHING = Verdict(AFFECTED)


@dataclass(frozen=True, slots=True)
class Match:
    """Something found in an image: a package with what is to be said of it, or (no package) the digest itself."""

    package: Package | None
    verdict: Verdict
    vulnerability: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is: a release's image for one platform."""

    app: str
    version: str
    image: str
    platform: str
    digest: str
    match: Match


@dataclass(frozen=True, slots=True)
class Hit:
    """A device that runs it."""

    device: str
    name: str
    site: str
    place: Place


@dataclass(frozen=True, slots=True)
class Found:
    """The answer. `hits` are at most MOST_HITS, `devices` and `unknown` count all of them: devices that run it, and devices of which it cannot be told.
    `places` are the releases that have it, whether they run or not; `vulnerabilities` the entries that were judged by. `indexed` of `images` images have a
    list of packages: what has none is not found."""

    hits: tuple[Hit, ...]
    devices: int
    unknown: int
    places: tuple[Place, ...]
    vulnerabilities: tuple[Vulnerability, ...]
    images: int
    indexed: int


def find(plane: Plane, actor: Actor, *, digest: str = "", package: str = "", cve: str = "") -> Found:
    """Devices inside the actor's reach that run it. Exactly one thing is asked for. Raises Invalid, Missing."""
    inside = require(actor, "devices.read")
    if sum(map(bool, (digest, package, cve))) != 1:
        raise Invalid("question-unclear", "ask for one of a digest, a package or a vulnerability", field="digest", remedy="name exactly one")
    if digest and digest_fault(digest):
        raise Invalid("digest-malformed", f"{digest[:80]!r} is no digest", field="digest", remedy="write sha256: and 64 hex digits")
    asked = _asked(package) if package else None

    def work(tx: Tx) -> Found:
        entries: tuple[Vulnerability, ...] = ()
        matches: dict[str, list[Match]] = {}
        if asked is not None:
            matches = _by_package(tx, asked)
        elif cve:
            entries = store.by_name(tx, cve.strip().upper())
            if not entries:
                raise missing("vulnerability", cve[:128])
            matches = _by_entries(tx, entries)
        known = {manifest for _, manifest in store.attached_all(tx)}
        seen = visible.apps_seen(tx, actor) if reach(actor.rights, "apps.read") else frozenset()
        every = [(app, version, image) for (app, version), images in _images(plane, tx).items() for image in images]
        places = [place for app, version, image in every for place in _places(app, version, image, digest, matches)]
        hits = _hits(plane, tx, inside, places)
        shown = tuple(place for place in places if seen is None or place.app in seen)
        images = {image.index or image.variants[0].manifest.digest: image for app, _, image in every if seen is None or app in seen}
        indexed = sum(1 for image in images.values() if known & {image.index, *(variant.manifest.digest for variant in image.variants)})
        sure = {hit.device for hit in hits if hit.place.match.verdict.word == AFFECTED}
        unsure = {hit.device for hit in hits} - sure
        return Found(tuple(hits[:MOST_HITS]), len(sure), len(unsure), shown[:MOST_HITS], entries, len(images), indexed)

    return plane.db.view(work)


def _asked(package: str) -> Asked:
    try:
        return read_asked(package)
    except ListError as fault:
        raise Invalid("package-malformed", str(fault), field="package") from None


def _by_package(tx: Tx, asked: Asked) -> dict[str, list[Match]]:
    names = {asked.name, asked.name.lower(), asked.name.lower().replace("_", "-")}
    found: dict[str, list[Match]] = {}
    for name in sorted(names):
        for manifest, package in store.named(tx, name, asked.ecosystem):
            verdict = meets(package, asked)
            if verdict.word != CLEAR:
                found.setdefault(manifest, []).append(Match(package, verdict))
    return found


def _by_entries(tx: Tx, entries: tuple[Vulnerability, ...]) -> dict[str, list[Match]]:
    found: dict[str, dict[Package, Match]] = {}
    for entry in entries:
        for ecosystem, name in sorted({(one.ecosystem, one.name) for one in entry.affected}):
            for manifest, package in store.named(tx, name, ecosystem):
                verdict = judge(package, entry.affected)
                held = found.setdefault(manifest, {}).get(package)
                if verdict.word != CLEAR and (held is None or held.verdict.word == UNKNOWN):
                    found[manifest][package] = Match(package, verdict, entry.id)
    return {manifest: list(matches.values()) for manifest, matches in found.items()}


def _images(plane: Plane, tx: Tx) -> Mapping[tuple[str, str], tuple[Image, ...]]:
    """The images of every release, by app and version."""
    versions = releases.versions(tx)

    def read() -> Mapping[tuple[str, str], tuple[Image, ...]]:
        return {named: release_of(plane, tx, release)[0].every_image for release, named in sorted(versions.items())}

    known: Mapping[tuple[str, str], tuple[Image, ...]] = remember(plane, ("release-images", len(versions)), lambda: (read(),))[0]
    return known


def _places(app: str, version: str, image: Image, digest: str, matches: Mapping[str, list[Match]]) -> list[Place]:
    found = []
    for variant in image.variants:
        mine = [*matches.get(variant.manifest.digest, ()), *(matches.get(image.index, ()) if image.index else ())]
        if digest and (digest == image.index or digest in _own(variant)):
            mine.append(Match(None, NOTHING))
        found += [Place(app, version, image.name, variant.platform, variant.manifest.digest, match) for match in mine]
    return found


def _own(variant: Variant) -> frozenset[str]:
    return digests(Image(name="x", variants=(variant,)))


def _for_engine(release: Release, places: list[Place], engine: str) -> list[Place]:
    """Those of its images that a device of this engine gets."""
    mine = {image.name for image in release.of(engine).images}
    return [place for place in places if place.image in mine] if release.parts else places


def _hits(plane: Plane, tx: Tx, inside: Any, places: list[Place]) -> list[Hit]:
    by_release: dict[str, dict[str, list[Place]]] = {}
    for place in places:
        by_release.setdefault(place.app, {}).setdefault(place.version, []).append(place)
    named = {version: release for release, version in releases.versions(tx).items()}
    found: list[Hit] = []
    for app, versions in sorted(by_release.items()):
        running = store.running(tx, inside, app, sorted(versions))
        machines = device_store.many(tx, {one.device for one in running})
        made = {version: release_of(plane, tx, named[app, version])[0] for version in versions}
        for one in running:
            device = machines[one.device]
            mine = _for_platform(_for_engine(made[one.version], versions[one.version], device.engine), device)
            found += [Hit(one.device, one.name, one.site, place) for place in mine]
    found.sort(key=lambda hit: (hit.place.match.verdict.word != AFFECTED, hit.name, hit.place.app, hit.place.image))
    return found


def _for_platform(places: list[Place], device: Device) -> list[Place]:
    """Per image those of the platform that the device takes: the best of its own that the image has."""
    rank = {platform: at for at, platform in enumerate(device.platforms)}
    best: dict[str, int] = {}
    for place in places:
        at = rank.get(place.platform, len(rank))
        best[place.image] = min(best.get(place.image, at), at)
    return [place for place in places if rank.get(place.platform, len(rank)) == best[place.image] and (best[place.image] < len(rank) or not rank)]


# --- lists of vulnerabilities -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: entries kept, entries that were withdrawn and so removed."""

    kept: int
    withdrawn: int


def import_list(plane: Plane, actor: Actor, *, source: str, kind: str, text: str) -> Imported:
    """Take in entries of a list, all of them or none: OSV as one JSON object or an array, or CSV. Entries that are known are replaced. Raises Invalid."""
    permit(actor, "vulnerabilities.write", Target())
    if not source or len(source) > 63 or not source.replace("-", "").replace(".", "").isalnum():
        raise Invalid("name-malformed", "a list's name has 1 to 63 letters, digits, dots and dashes", field="source")
    if len(text) > MOST_LIST:
        raise Invalid("list-too-long", f"one import has at most {MOST_LIST} characters", field="text", remedy="send it in parts; each stands for itself")
    try:
        found, withdrawn = _entries(kind, text)
    except ListError as fault:
        raise Invalid("list-refused", str(fault), field="text", remedy="nothing of it was taken in; put it right and send it again") from None

    def work(tx: Tx) -> Imported:
        store.drop_entries(tx, withdrawn)
        store.put_entries(tx, source, list(found.values()), plane.clock.now_ms())
        data = {"source": source, "kept": str(len(found)), "withdrawn": str(len(withdrawn))}
        note(plane, tx, actor, "vulnerabilities.imported", source, data=data)
        return Imported(len(found), len(withdrawn))

    return plane.db.update(work)


def _entries(kind: str, text: str) -> tuple[dict[str, Vulnerability], list[str]]:
    if kind == "csv":
        return {one.id: one for one in read_csv(text)}, []
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise ListError(f"it is no JSON: {fault}" if isinstance(fault, ValueError) else "it is no JSON") from None
    found: dict[str, Vulnerability] = {}
    withdrawn = []
    for one in plain if isinstance(plain, list) else [plain]:
        entry = read_osv(one)
        if entry is None:
            withdrawn.append(str(one["id"]))
        else:
            found[entry.id] = entry
    return found, withdrawn


def list_sources(plane: Plane, actor: Actor) -> tuple[store.Source, ...]:
    """The lists there are."""
    require(actor, "devices.read")
    return plane.db.view(store.sources)


def remove_source(plane: Plane, actor: Actor, *, source: str) -> int:
    """Forget a list; how many entries it had. Raises Missing."""
    permit(actor, "vulnerabilities.write", Target())

    def work(tx: Tx) -> int:
        if source not in {one.name for one in store.sources(tx)}:
            raise missing("list", source)
        many = store.drop_source(tx, source)
        note(plane, tx, actor, "vulnerabilities.removed", source, data={"entries": str(many)})
        return many

    return plane.db.update(work)
