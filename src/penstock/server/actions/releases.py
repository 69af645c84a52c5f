"""Publishing: a Compose file and images already pushed become a release. And the catalogue, for reading.

Owns the path from the file to the stored release. What a file may say is `core.compose`'s, what a release is `core.release`'s. Everything that
is not understood, and every image that is missing, is refused by place, all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from penstock.server.actions import devices, mirrors, visible
from penstock.server.actions.context import Plane, bounded, make_cursor, read_cursor
from penstock.server.actions.context import note as record
from penstock.server.actions.images import registry_hosts
from penstock.server.core import compose, interpolate, package
from penstock.server.core.access import permit, require
from penstock.server.core.compose import ComposeError, building
from penstock.server.core.difference import Difference, between_releases
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.images import Documents, Wanted, app_of
from penstock.server.core.model import STANDING, Actor, App, ReleaseBrief, ReleaseId, ReleaseRow
from penstock.server.core.package import PackageRow
from penstock.server.core.parts import PartShown, hazards_of, images_wanted, irreversible_of, shown
from penstock.server.core.parts import publish as make
from penstock.server.core.release import Release, asked_of, digest, document, load
from penstock.server.core.releasechange import ReleaseChange, between
from penstock.server.core.rights import Allow, Target, may, reach
from penstock.server.core.views import AppView, ImageView, Page, Parameter, ReleaseView
from penstock.server.store import deployments, observations, packages
from penstock.server.store import releases as store
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

MAX_SOURCE = 1024 * 1024


class Images(Protocol):
    """The built-in registry, as far as publishing needs it."""

    def find(self, wanted: Wanted) -> Documents | None:
        """The manifests and configs of an image; None when it is not there. May read files."""
        ...


@dataclass(frozen=True, slots=True)
class ReleasePreview:
    """What a file would become. `faults` empty: it can be published. `difference`: against the app's newest release. `copies`: images that publishing brings
    here from other registries first; what they are is not known before."""

    parameters: tuple[Parameter, ...]
    services: tuple[str, ...]
    faults: tuple[compose.Fault, ...]
    difference: Difference | None = None
    name: str = ""
    copies: tuple[str, ...] = ()
    version: str = ""
    hazards: tuple[str, ...] = ()
    parts: tuple[PartShown, ...] = ()


def refused(fault: ComposeError, what: str = "the Compose file") -> Invalid:
    """A ComposeError as the API says it."""
    first = fault.faults[0]
    more = f" (and {len(fault.faults) - 1} more)" if len(fault.faults) > 1 else ""
    return Invalid("compose-refused", f"{what} is refused: {first}{more}", field=first.path or "source", remedy=first.remedy, faults=fault.faults)


Bring = Callable[[tuple[Wanted, ...], Mapping[str, Documents | None]], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Given:
    """What is published: one Compose file's text, or the files of a package by path. `entries` and `profiles` take the place of what the package says."""

    source: bytes = b""
    files: Mapping[str, bytes] | None = None
    entries: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()

    @property
    def contents(self) -> Mapping[str, bytes]:
        """The files that are kept beside the release; one Compose file alone stands in it already."""
        return {} if self.files is None or package.alone(self.files) else self.files

    @property
    def all(self) -> Mapping[str, bytes]:
        """The files to read. Raises Invalid for one that is too long."""
        if len(self.source) > MAX_SOURCE:
            raise Invalid("source-too-long", f"the file has {len(self.source)} bytes, more than the {MAX_SOURCE} allowed", field="source")
        return {compose.ALONE: self.source} if self.files is None else self.files

    @property
    def what(self) -> str:
        """What it is called in a refusal."""
        return "the package" if self.contents else "the Compose file"

    def read(self, fixed: Mapping[str, str] | None) -> package.Templates:
        """What it says. Raises ComposeError, Invalid."""
        return package.read(self.all, self.entries, self.profiles, fixed)


def _build(plane: Plane, actor: Actor, given: Given, read: package.Templates, app: str, version: str, bring: Bring) -> Release:
    hosts = registry_hosts(plane)
    # An image that the actor may not pull is not there: a release is no way to another's content.
    places = images_wanted(read, hosts)
    found = {one.name: plane.images.find(one) if _may_pull(actor, one.repository) else None for one in places}
    digests = {path: sha256_of(content) for path, content in given.contents.items()}
    return make(app, version, read, found, hosts[0] if hosts else "HOST", hosts, bring(places, found), digests)


def _may_pull(actor: Actor, repository: str) -> bool:
    return isinstance(may(actor.rights, "images.pull", Target(app=app_of(repository))), Allow)


def _parameters(release: Release) -> tuple[Parameter, ...]:
    fixed = release.every_fixed
    return tuple(_parameter(one) for one in release.every_parameter if one.name not in fixed)


def _parameter(one: interpolate.Parameter) -> Parameter:
    return Parameter(one.name, one.default, (one.message or "it has no default") if one.required else "", one.secret, one.used_at, one.declared)


def _coming(read: package.Templates, coming: frozenset[str]) -> frozenset[tuple[str, str, int]]:
    """Where images stand that are not here yet: path, file and line."""
    found = set()
    for _, template in read.every:
        for service, image in template.images.items():
            path = f"services.{service}.image"
            if image in coming:
                found.add((path, *template.sources.place(template.places.get(path, (0, 0))[0])))
    return frozenset(found)


def check(
    plane: Plane, actor: Actor, *, source: bytes = b"", given: Given | None = None, app: str = "", version: str = "", fixed: Mapping[str, str] | None = None
) -> ReleasePreview:
    """Read files as `publish` would, and say everything that is wrong with them. Stores nothing."""
    require(actor, "releases.publish")
    given = given or Given(source)
    read = None
    coming: frozenset[str] = frozenset()

    def would(places: tuple[Wanted, ...], found: Mapping[str, Documents | None]) -> dict[str, str]:
        nonlocal coming
        coming = mirrors.would_copy(plane, actor, places, found)
        return {}

    try:
        read = given.read(fixed)
        said, template = read.package, read.common
        name = app or said.name or template.name or "app"
        release = _build(plane, actor, given, read, name, version or said.version or "0", would)
    except ComposeError as fault:
        places = _coming(read, coming) if read is not None else frozenset()
        left = tuple(one for one in fault.faults if (one.path, one.file, one.line) not in places)
        if left or read is None:
            return ReleasePreview((), (), left)
        # Nothing is wrong but that images are not here yet, which publishing sees to.
        return ReleasePreview(
            tuple(_parameter(one) for one in asked_of([one for _, one in read.every])),
            tuple(template.images),
            (),
            name=said.name or template.name,
            version=said.version,
            copies=tuple(sorted(coming)),
            hazards=hazards_of(read.every),
            parts=shown(None, given.contents, said.entries),
        )
    newest = plane.db.view(lambda tx: store.newest_of(tx, name) if _sees(tx, actor, name) else None)
    difference = between_releases(load(newest.document), release) if newest is not None else None
    services = tuple(str(one["name"]) for one in release.services)
    return ReleasePreview(
        _parameters(release),
        services,
        (),
        difference,
        said.name or template.name,
        version=said.version,
        hazards=hazards_of(release.readings),
        parts=shown(release, given.contents, said.entries),
    )


def _named(said: package.Package, name: str, app: str, version: str) -> tuple[str, str]:
    """The app and the version: those of the package, or given where it names none; `name` is what the Compose file calls itself. Raises Invalid."""
    for field, mine, theirs in (("app", app, said.name), ("version", version, said.version)):
        if mine and theirs and mine != theirs:
            why = f"{package.MANIFEST} says {theirs}, and it is published as {mine}"
            raise Invalid(f"{field}-differs", why, field=field, remedy=f"leave the {field} out, or change {package.MANIFEST}")
    app, version = app or said.name or name, version or said.version
    for field, value, where in (("app", app, "`name` in penstock.yaml or in the Compose file"), ("version", version, "`version` in penstock.yaml")):
        if not value:
            raise Invalid(f"{field}-missing", f"it is not said which {field} this is", field=field, remedy=f"give one, or write {where}")
    return app, version


def builds(plane: Plane, actor: Actor, *, given: Given, app: str = "", version: str = "") -> tuple[tuple[building.Build, ...], Mapping[str, bytes]]:
    """What files ask to have built where they lie, and those of them to publish then in place of what they were, by path. Raises Invalid with all faults."""
    require(actor, "images.push")
    if app:
        permit(actor, "images.push", Target(app=app))
    hosts = registry_hosts(plane)
    try:
        opened = package.opened(given.all, given.entries, given.profiles)
        name = building.name_of(given.all, opened.package.entries)
        app, version = _named(opened.package, name, app, version)
        permit(actor, "images.push", Target(app=app))
        return building.plan(given.all, opened.package.entries, opened.package.profiles, app, version, hosts[0] if hosts else "HOST", opened.package.parts)
    except ComposeError as fault:
        raise refused(fault, given.what) from None


def publish(
    plane: Plane,
    actor: Actor,
    *,
    source: bytes = b"",
    given: Given | None = None,
    app: str = "",
    version: str = "",
    title: str = "",
    note: str = "",
    fixed: Mapping[str, str] | None = None,
    platforms: tuple[str, ...] = (),
) -> ReleaseRow:
    """Make a release of `given`, or of one Compose file's text, pinned for ever, its package's files beside it. Images of other
    registries are copied here first (`platforms` of them; none: all): until they are, it is a Conflict "images-on-their-way", and asking again goes on. Publishing
    the same again gives the same release back; the same version with other content is a Conflict. Raises Invalid with all faults."""
    require(actor, "releases.publish")
    given = given or Given(source)
    if app:
        permit(actor, "releases.publish", Target(app=app))
    try:
        read = given.read(fixed)
        said = read.package
        app, version = _named(said, read.common.name, app, version)
        permit(actor, "releases.publish", Target(app=app))
        known = plane.db.view(lambda tx: store.by_version(tx, app, version)) is not None

        def bring(places: tuple[Wanted, ...], found: Mapping[str, Documents | None]) -> dict[str, str]:
            return mirrors.bring(plane, actor, places, found, platforms=platforms, fresh=not known)

        release = _build(plane, actor, given, read, app, version, bring)
    except ComposeError as fault:
        raise refused(fault, given.what) from None
    title = title or said.title
    named = digest(release)
    kept = {path: (release.files[path], content) for path, content in given.contents.items()}
    first = given.source if given.files is None else given.files[said.entries[0]]
    text = first.decode("utf-8", "replace")

    def work(tx: Tx) -> ReleaseRow:
        now = plane.clock.now_ms()
        old = store.by_version(tx, app, version)
        if old is not None:
            if old.digest == named:
                return old
            raise Conflict(
                "version-taken",
                f"{app} {version} was published before with other content; a release never changes",
                field="version",
                remedy="choose another version",
            )
        store.put_app(tx, App(app, title or app, now))
        if title:
            store.set_title(tx, app, title)
        row = ReleaseRow(ReleaseId(plane.ids.new("rel")), app, version, named, document(release), text, now, actor.name, note[:2000])
        store.add(tx, row)
        if kept:
            words = (said.title, said.vendor, said.homepage, said.readme, said.notes, said.licence, said.icon, said.entries, said.profiles)
            packages.add(tx, PackageRow(row.id, *words), kept)
        record(
            plane,
            tx,
            actor,
            "release.published",
            row.id,
            app=app,
            reason=note,
            data={"app": app, "version": version, "digest": named},
            topics=[("deployments", app)],
        )
        tx.after(lambda: plane.poke("inventory"))
        return row

    return plane.db.update(work)


def _sees(tx: Tx, actor: Actor, app: str) -> bool:
    seen = visible.apps_seen(tx, actor)
    return seen is None or app in seen


def _counts(tx: Tx, actor: Actor) -> Counter[str]:
    """How many standing deployments each app has, of those the actor may see."""
    if not reach(actor.rights, "deployments.read"):
        return Counter()
    return Counter(one.app for one in visible.deployments_seen(tx, actor, deployments.all_of(tx, state=STANDING)))


def _app_view(app: App, releases: tuple[ReleaseBrief, ...], counts: Counter[str], said: PackageRow | None) -> AppView:
    return AppView(
        app.name, app.title, releases, counts.get(app.name, 0), said.vendor if said else "", releases[0].version if said and said.icon and releases else ""
    )


def list_apps(plane: Plane, actor: Actor) -> tuple[AppView, ...]:
    """The catalogue, by name."""

    def work(tx: Tx) -> tuple[AppView, ...]:
        seen = visible.apps_seen(tx, actor)
        counts = _counts(tx, actor)
        by_app: dict[str, list[ReleaseBrief]] = {}
        for row in store.briefs(tx):
            by_app.setdefault(row.app, []).append(row)
        said = packages.of_newest(tx)
        return tuple(
            _app_view(app, tuple(by_app.get(app.name, ())), counts, said.get(app.name)) for app in store.all_apps(tx) if seen is None or app.name in seen
        )

    return plane.db.view(work)


def get_app(plane: Plane, actor: Actor, *, app: str) -> AppView:
    """One app with its releases, newest first."""

    def work(tx: Tx) -> AppView:
        found = store.app(tx, app)
        if found is None or not _sees(tx, actor, app):
            raise missing("app", app)
        releases = store.briefs(tx, app)
        return _app_view(found, releases, _counts(tx, actor), packages.get(tx, releases[0].id) if releases else None)

    return plane.db.view(work)


def list_releases(plane: Plane, actor: Actor, *, app: str = "", text: str = "", sort: str = "newest", cursor: str = "", limit: int = 50) -> Page[ReleaseBrief]:
    """Releases, newest first or by app; `text` is part of an app, a version or a note. They grow with time, so the store cuts them."""
    after = read_cursor(cursor, int if sort == "newest" else str, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[ReleaseBrief]:
        seen = visible.apps_seen(tx, actor)
        found = store.page(tx, seen, (after[0], after[1]) if after else None, most + 1, app=app, text=text, sort=sort)
        last = found[most - 1] if len(found) > most else None
        return Page(found[:most], make_cursor(last.published_ms if sort == "newest" else last.app, last.id) if last is not None else "")

    return plane.db.view(work)


def count_releases(plane: Plane, actor: Actor) -> int:
    """How many there are that the actor may see."""
    return plane.db.view(lambda tx: store.count(tx, visible.apps_seen(tx, actor)))


def get_release(plane: Plane, actor: Actor, *, release: str) -> ReleaseView:
    """One release, by id or "app:version", with what a person wants to see of it."""

    def work(tx: Tx) -> tuple[ReleaseRow, PackageRow | None]:
        row = visible.release(tx, actor, release)
        return row, packages.get(tx, row.id)

    row, said = plane.db.view(work)
    loaded = load(row.document)
    readings = [one for _, one in loaded.readings]
    platforms = [{variant.platform for variant in image.variants} for image in loaded.images]
    common = set.intersection(*platforms) if platforms else set()
    users = {(str(service["image"]), str(service["name"])): None for one in readings for service in one.services}
    images = tuple(ImageView(image, tuple(name for used, name in users if used == image.name)) for image in loaded.every_image)
    return ReleaseView(
        row,
        _parameters(loaded),
        tuple(str(one["name"]) for one in loaded.services),
        images,
        tuple(sorted(common)),
        irreversible_of(loaded),
        all(any(service.get("healthcheck") or service.get("probes") for service in one.services) for one in readings),
        hazards_of(loaded.readings),
        shown(loaded, loaded.files, said.entries if said is not None else ()),
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """Two releases, and what the new one changes where the old one runs. `device` is the one that the old was read from, empty for none; `engine` whose parts
    were compared, empty for what is common; `engines` those that either has a part for."""

    old: ReleaseBrief
    new: ReleaseBrief
    device: str
    engine: str
    engines: tuple[str, ...]
    change: ReleaseChange


def compare(plane: Plane, actor: Actor, *, old: str, new: str, device: str = "", engine: str = "") -> Compared:
    """What the release `new` would change where `old` runs, or what runs of the app on `device` (id or name), by the device's engine or `engine`. Raises
    Missing; Invalid where nothing of the app runs there."""
    if engine and (device or engine not in package.RUNTIMES):
        why = f"engine is {engine[:40]!r}; it is {' or '.join(package.RUNTIMES)}, or left out where a device is named, which has its own"
        raise Invalid("engine-unclear", why, field="engine")

    def work(tx: Tx) -> tuple[ReleaseRow, ReleaseRow, str, str]:
        two = visible.release(tx, actor, new)
        if not device:
            return visible.release(tx, actor, old), two, "", engine
        found = devices.find(tx, actor, device)
        seen = next((one.observed for one in observations.of_device(tx, found.id) if one.app == two.app and not one.observed.removed), None)
        if seen is None or not seen.version:
            raise Invalid(
                "nothing-runs", f"{found.name} has reported no release of {two.app}", field="device", remedy="compare two releases, or wait for its report"
            )
        return visible.release(tx, actor, f"{two.app}:{seen.version}"), two, found.name, found.engine

    one, two, name, kind = plane.db.view(work)
    if one.app != two.app:
        raise Invalid(
            "another-app",
            f"{one.app} and {two.app} are two apps, and a device never goes from one to the other",
            field="b",
            remedy="name two releases of one app",
        )
    before, after = load(one.document), load(two.document)
    engines = tuple(sorted({*before.parts, *after.parts}))
    change = between(before.of(kind), after.of(kind))
    return Compared(_brief(one), _brief(two), name, kind if kind in engines else "", engines, change)


def _brief(row: ReleaseRow) -> ReleaseBrief:
    return ReleaseBrief(row.id, row.app, row.version, row.digest, row.published_ms, row.published_by, row.note)
