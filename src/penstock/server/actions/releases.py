"""Publishing: a Compose file and images already pushed become a release. And the catalogue, for reading.

Owns the path from the file to the stored release. What a file may say is `core.compose`'s, what a release is `core.release`'s. Everything that
is not understood, and every image that is missing, is refused by place, all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from penstock.server.actions import visible
from penstock.server.actions.context import Plane, bounded, make_cursor, read_cursor
from penstock.server.actions.context import note as record
from penstock.server.core import compose
from penstock.server.core.access import permit, require
from penstock.server.core.compose import ComposeError
from penstock.server.core.difference import Difference, between_releases
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.images import Documents, Wanted, app_of
from penstock.server.core.model import STANDING, Actor, App, ReleaseBrief, ReleaseId, ReleaseRow
from penstock.server.core.release import Release, digest, document, images_wanted, load
from penstock.server.core.release import publish as make
from penstock.server.core.rights import Allow, Target, may, reach
from penstock.server.core.views import AppView, ImageView, Page, Parameter, ReleaseView
from penstock.server.store import deployments
from penstock.server.store import releases as store
from penstock.server.store.db import Tx

MAX_SOURCE = 1024 * 1024


class Images(Protocol):
    """The built-in registry, as far as publishing needs it."""

    def find(self, wanted: Wanted) -> Documents | None:
        """The manifests and configs of an image; None when it is not there. May read files."""
        ...


@dataclass(frozen=True, slots=True)
class ReleasePreview:
    """What a file would become. `faults` empty: it can be published. `difference`: against the app's newest release."""

    parameters: tuple[Parameter, ...]
    services: tuple[str, ...]
    faults: tuple[compose.Fault, ...]
    difference: Difference | None = None
    name: str = ""


def refused(fault: ComposeError, what: str = "the Compose file") -> Invalid:
    """A ComposeError as the API says it."""
    first = fault.faults[0]
    more = f" (and {len(fault.faults) - 1} more)" if len(fault.faults) > 1 else ""
    return Invalid("compose-refused", f"{what} is refused: {first}{more}", field=first.path or "source", remedy=first.remedy, faults=fault.faults)


def _build(plane: Plane, actor: Actor, source: bytes, app: str, version: str, fixed: Mapping[str, str] | None) -> Release:
    if len(source) > MAX_SOURCE:
        raise Invalid("source-too-long", f"the file has {len(source)} bytes, more than the {MAX_SOURCE} allowed", field="source")
    template = compose.read(source, fixed)
    hosts = registry_hosts(plane)
    # An image that the actor may not pull is not there: a release is no way to another's content.
    found = {one.name: plane.images.find(one) if _may_pull(actor, one.repository) else None for one in images_wanted(template, hosts)}
    return make(app, version, template, found, hosts[0] if hosts else "HOST", hosts)


def _may_pull(actor: Actor, repository: str) -> bool:
    return isinstance(may(actor.rights, "images.pull", Target(app=app_of(repository))), Allow)


def registry_hosts(plane: Plane) -> tuple[str, ...]:
    """The names under which people push to the built-in registry, "host:port"."""
    return tuple(address.partition("://")[2].rstrip("/") for address in plane.addresses)


def _parameters(release: Release) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(one.name, one.default, (one.message or "it has no default") if one.required else "", one.secret, one.used_at)
        for one in release.parameters
        if one.name not in release.fixed
    )


def check(plane: Plane, actor: Actor, *, source: bytes, app: str = "", version: str = "0", fixed: Mapping[str, str] | None = None) -> ReleasePreview:
    """Read a file as `publish` would, and say everything that is wrong with it. Stores nothing."""
    require(actor, "releases.publish")
    try:
        template = compose.read(source, fixed)
        name = app or template.name or "app"
        release = _build(plane, actor, source, name, version, fixed)
    except ComposeError as fault:
        return ReleasePreview((), (), fault.faults)
    newest = plane.db.view(lambda tx: store.newest_of(tx, name) if _sees(tx, actor, name) else None)
    difference = between_releases(load(newest.document), release) if newest is not None else None
    return ReleasePreview(_parameters(release), tuple(str(one["name"]) for one in release.services), (), difference, template.name)


def publish(
    plane: Plane,
    actor: Actor,
    *,
    source: bytes,
    app: str,
    version: str,
    title: str = "",
    note: str = "",
    fixed: Mapping[str, str] | None = None,
) -> ReleaseRow:
    """Make a release, pinned for ever. Publishing the same again gives the same release back; the same version with other content is a
    Conflict. Raises Invalid with all faults."""
    permit(actor, "releases.publish", Target(app=app))
    try:
        release = _build(plane, actor, source, app, version, fixed)
    except ComposeError as fault:
        raise refused(fault) from None
    named = digest(release)
    text = source.decode("utf-8", "replace")

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


def list_apps(plane: Plane, actor: Actor) -> tuple[AppView, ...]:
    """The catalogue, by name."""

    def work(tx: Tx) -> tuple[AppView, ...]:
        seen = visible.apps_seen(tx, actor)
        counts = _counts(tx, actor)
        by_app: dict[str, list[ReleaseBrief]] = {}
        for row in store.briefs(tx):
            by_app.setdefault(row.app, []).append(row)
        return tuple(
            AppView(app.name, app.title, tuple(by_app.get(app.name, ())), counts.get(app.name, 0))
            for app in store.all_apps(tx)
            if seen is None or app.name in seen
        )

    return plane.db.view(work)


def get_app(plane: Plane, actor: Actor, *, app: str) -> AppView:
    """One app with its releases, newest first."""

    def work(tx: Tx) -> AppView:
        found = store.app(tx, app)
        if found is None or not _sees(tx, actor, app):
            raise missing("app", app)
        return AppView(found.name, found.title, store.briefs(tx, app), _counts(tx, actor).get(app, 0))

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
    row = plane.db.view(lambda tx: visible.release(tx, actor, release))
    loaded = load(row.document)
    platforms = [{variant.platform for variant in image.variants} for image in loaded.images]
    common = set.intersection(*platforms) if platforms else set()
    images = tuple(ImageView(image, tuple(str(one["name"]) for one in loaded.services if one["image"] == image.name)) for image in loaded.images)
    irreversible = tuple(str(volume["name"]) for volume in loaded.volumes if volume.get("policy") == "irreversible")
    ruled = any(one.get("healthcheck") or one.get("probes") for one in loaded.services)
    services = tuple(str(one["name"]) for one in loaded.services)
    return ReleaseView(row, _parameters(loaded), services, images, tuple(sorted(common)), irreversible, ruled)


def compare(plane: Plane, actor: Actor, *, old: str, new: str) -> Difference:
    """What changes from one release to another, service by service."""
    one, two = plane.db.view(lambda tx: (visible.release(tx, actor, old), visible.release(tx, actor, new)))
    return between_releases(load(one.document), load(two.document))
