"""Templates of apps: imported from a catalogue, kept beside the apps they are for, published from.

Owns what an import changes: an app is in the list from then on, with its template and no release; the same again changes nothing. Reading a catalogue is
`core.templates`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.server.actions import visible
from penstock.server.actions.context import Plane, note
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Invalid, missing
from penstock.server.core.model import Actor, App
from penstock.server.core.rights import Target
from penstock.server.core.templates import CatalogueError, Kept, Outcome, read_catalogue
from penstock.server.core.templates import needs as needs_of
from penstock.server.store import releases
from penstock.server.store import templates as store
from penstock.server.store.db import Tx
from penstock.wire.types import sha256_of

MOST_FILE = 1_500_000  # bytes
NEW, CHANGED, SAME, REFUSED = "new", "changed", "same", "refused"


@dataclass(frozen=True, slots=True)
class Line:
    """What an import did with one template: new, changed, same, or refused and why."""

    outcome: Outcome
    did: str


def import_templates(plane: Plane, actor: Actor, *, source: str, catalogue: str, stacks: Mapping[str, str]) -> tuple[Line, ...]:
    """Take in every template that can be; a line for each. Raises Invalid for a file that is no catalogue, or a stack that nobody asks for."""
    permit(actor, "releases.publish", Target())
    raw = catalogue.encode()
    if len(raw) > MOST_FILE:
        raise Invalid("catalogue-too-long", f"the file has {len(raw)} bytes, more than the {MOST_FILE} allowed", field="catalogue", remedy="import it in parts")
    try:
        outcomes = read_catalogue(raw, stacks)
    except CatalogueError as fault:
        raise Invalid("catalogue-refused", str(fault), field="catalogue") from None
    unused = sorted(set(stacks) - {one.template.app for one in outcomes if one.template is not None})
    if unused:
        raise Invalid("stack-unknown", f"no template of the file takes a Compose file as {unused[0][:63]!r}", field="stacks")
    now = plane.clock.now_ms()

    def work(tx: Tx) -> tuple[Line, ...]:
        lines = tuple(Line(one, _keep(tx, one, source, now, actor.name)) for one in outcomes)
        changed = [line.outcome.template.app for line in lines if line.outcome.template is not None and line.did != SAME]
        if changed:
            data = {"source": source, "imported": str(len(changed)), "refused": str(sum(line.did == REFUSED for line in lines))}
            note(plane, tx, actor, "templates.imported", source or "catalogue", data=data, topics=[("deployments", app) for app in changed[:1]])
        return lines

    return plane.db.update(work)


def _keep(tx: Tx, one: Outcome, source: str, now: int, by: str) -> str:
    template = one.template
    if template is None:
        return REFUSED
    digest = sha256_of(repr(template).encode())
    old = store.find(tx, template.app)
    if old is not None and old.digest == digest:
        return SAME
    releases.put_app(tx, App(template.app, template.title or template.app, now))
    store.put(tx, Kept(template.app, template.title, template.description, template.note, source, digest, template.compose, now, by))
    return NEW if old is None else CHANGED


def list_templates(plane: Plane, actor: Actor) -> tuple[Kept, ...]:
    """Those of apps that the actor may see, by app."""
    require(actor, "apps.read")

    def work(tx: Tx) -> tuple[Kept, ...]:
        seen = visible.apps_seen(tx, actor)
        return tuple(one for one in store.all_of(tx) if seen is None or one.app in seen)

    return plane.db.view(work)


def get_template(plane: Plane, actor: Actor, *, app: str) -> Kept:
    """One. Raises Missing."""
    found = next((one for one in list_templates(plane, actor) if one.app == app), None)
    if found is None:
        raise missing("template", app)
    return found


def needs(kept: Kept) -> str:
    """What is to be changed in a template before it can be published, by today's rules; empty where nothing is."""
    return needs_of(kept.compose)


def remove_template(plane: Plane, actor: Actor, *, app: str) -> Kept:
    """It goes; the app stays with its releases. Raises Missing."""
    found = get_template(plane, actor, app=app)
    permit(actor, "releases.publish", Target(app=app))

    def work(tx: Tx) -> None:
        store.remove(tx, app)
        note(plane, tx, actor, "template.removed", app, app=app)

    plane.db.update(work)
    return found
